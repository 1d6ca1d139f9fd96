"use strict";
const { decode } = require("./msgpack");
const { GETDEL, XRANGE, hashCode } = require("@socket.io/redis-streams-adapter/dist/util");

const BROADCAST = "3", DISCONNECT_SOCKETS = "6"; // message types of Socket.IO's cluster adapter
const LIMIT = 30_000; // ms that middlewares may take to decide on a client, and that reading the stream may be behind

/** later tells whether offset a is behind b in the stream. */
function later(a, b) {
  const [ams, aseq] = a.split("-").map(Number), [bms, bseq] = b.split("-").map(Number);
  return ams > bms || (ams === bms && aseq > bseq);
}

/** receives tells whether a broadcast reaches a session with these rooms. */
function receives(rooms, to) {
  const only = [...to.rooms], except = [...to.except];
  return (only.length === 0 || rooms.some((room) => only.includes(room))) && !rooms.some((room) => except.includes(room));
}

/**
 * Returning looks after the clients that come back: each event reaches them once. What the stream brings between the last look for missed events and
 * the moment at which the socket can receive is sent behind them; what was among them and is then read from the stream is not sent again. And
 * where the session is open still, in a half-open connection, it is closed, here or at another node.
 */
class Returning {
  coming = new Map(); // by socket id, or by itself while that is not known: {rooms, events}
  seen = new Map(); // by socket id: how far the stream was searched for missed events, until it has been read beyond
  taken = new Map(); // by socket id: the offset of the message that told the others; "" until it is known

  constructor(adapter, redis, keeper) {
    const { streamName = "socket.io", streamCount = 1 } = keeper.settings;
    Object.assign(this, { adapter, redis, keeper, nsp: adapter.nsp });
    // As redis-streams-adapter's computeStreamName.
    this.stream = streamCount === 1 ? streamName : `${streamName}-${hashCode(this.nsp.name) % streamCount}`;
    adapter.restoreSession = (pid, offset) => this.restore(pid, offset);
    this.wrapDeliveries();
    this.wrapMessages();
    this.nsp.on("connect", (socket) => this.arrived(socket));
  }

  /** restore takes a session out of Redis, with what its client has missed since offset. It stays there if offset is unknown. */
  async restore(pid, offset) {
    if (!/^[0-9]+-[0-9]+$/.test(offset)) throw new Error("invalid offset");
    if ((await XRANGE(this.redis, this.stream, offset, offset)).length === 0) throw new Error("offset not found");
    const [text] = await GETDEL(this.redis, this.keeper.key(pid));
    if (!text) throw new Error("session not found");
    const session = decode(Buffer.from(text, "base64"));
    const coming = { rooms: session.rooms, events: [] };
    this.coming.set(session.sid, coming);
    setTimeout(() => this.drop(session.sid, coming), LIMIT).unref();
    const { missed, until } = await this.missed(session.rooms, offset);
    coming.events = coming.events.filter((event) => later(event.offset, until));
    this.seen.set(session.sid, until);
    this.take(session.sid);
    return { ...session, missedPackets: missed };
  }

  /** missed searches the stream for events behind offset that can be sent again: those with an acknowledgement and volatile ones cannot. */
  async missed(rooms, offset) {
    const missed = [];
    const [ms, seq] = offset.split("-");
    // Once is enough: what comes behind is kept in `coming`. redis-streams-adapter, which keeps nothing, reads until nothing comes any more.
    for (const { id, message } of await XRANGE(this.redis, this.stream, `${ms}-${Number(seq) + 1}`, "+")) {
      offset = id;
      if (message.nsp !== this.nsp.name || message.type !== BROADCAST) continue;
      const { packet, opts, requestId } = this.adapter.constructor.decode(message).data;
      if (packet.id !== undefined || requestId !== undefined || opts.flags?.volatile || !receives(rooms, opts)) continue;
      missed.push([...packet.data, id]);
    }
    return { missed, until: offset };
  }

  drop(sid, coming) {
    if (this.coming.get(sid) === coming) this.coming.delete(sid);
    if (this.seen.has(sid) && !this.coming.has(sid)) this.seen.delete(sid);
  }

  arrived(socket) {
    const coming = this.coming.get(socket.id);
    if (!coming) return;
    this.coming.delete(socket.id);
    for (const { packet } of coming.events) socket.packet({ type: packet.type, data: packet.data });
  }

  /** wrapDeliveries sees each event on its way to this node's sockets, with its offset. */
  wrapDeliveries() {
    const { adapter } = this;
    const { broadcast, addOffsetIfNecessary } = adapter;
    // except is changed below, and belongs to the caller's operator.
    adapter.broadcast = (packet, opts) => broadcast.call(adapter, packet, { ...opts, except: new Set(opts.except) });
    adapter.addOffsetIfNecessary = (packet, opts, offset) => {
      const before = packet.data?.length;
      addOffsetIfNecessary.call(adapter, packet, opts, offset);
      if (!offset || packet.data?.length === before) return; // it is not among what can be missed
      for (const { rooms, events } of this.coming.values()) {
        if (receives(rooms, opts)) events.push({ packet: { ...packet }, offset });
      }
      for (const [sid, until] of this.seen) if (!later(offset, until)) opts.except.add(sid);
    };
  }

  /** take ends the session's socket where it is open still. Nodes with the adapter as it is close it, too. */
  take(sid) {
    const old = this.nsp.sockets.get(sid);
    if (old) this.keeper.release(old);
    this.taken.set(sid, "");
    const data = { opts: { rooms: [sid], except: [], flags: {} }, close: true, taken: true };
    this.adapter.publishAndReturnOffset({ type: Number(DISCONNECT_SOCKETS), data })
      .then((offset) => this.taken.set(sid, offset), () => {})
      .then(() => setTimeout(() => this.taken.delete(sid), LIMIT).unref());
  }

  /** wrapMessages releases a session that another node has taken, unless this one has taken it back since. */
  wrapMessages() {
    const { adapter } = this;
    const { onRawMessage } = adapter;
    adapter.onRawMessage = (message, offset) => {
      const sid = message.type === DISCONNECT_SOCKETS && message.uid !== adapter.uid ? takenBy(message.data) : "";
      if (!sid) onRawMessage.call(adapter, message, offset);
      else this.yield(sid, offset);
      for (const [returned, until] of this.seen) {
        if (later(offset, until) && !this.coming.has(returned)) this.seen.delete(returned);
      }
    };
  }

  yield(sid, offset) {
    const back = this.taken.get(sid), socket = this.nsp.sockets.get(sid);
    if (socket && (back === undefined || (back !== "" && later(offset, back)))) this.keeper.release(socket);
  }
}

/** takenBy returns the id of a session that goes on elsewhere, "" where a message is about something else. */
function takenBy(text) {
  try {
    const { taken, opts } = JSON.parse(text);
    return taken ? opts.rooms[0] : "";
  } catch {
    return ""; // not ours, so not in JSON
  }
}

module.exports = { Returning };
