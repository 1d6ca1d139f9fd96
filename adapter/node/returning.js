"use strict";

const DISCONNECT_SOCKETS = "6"; // a message type of Socket.IO's cluster adapter
const LIMIT = 30_000; // ms that middlewares may take to decide on a client, and that reading the stream may be behind

/** later tells whether offset a is behind b in the stream. */
function later(a, b) {
  const [ams, aseq] = a.split("-").map(Number), [bms, bseq] = b.split("-").map(Number);
  return ams > bms || (ams === bms && aseq > bseq);
}

/** receives tells whether a broadcast reaches a session with these rooms. */
function receives(rooms, opts) {
  return (opts.rooms.size === 0 || rooms.some((room) => opts.rooms.has(room))) && !rooms.some((room) => opts.except.has(room));
}

/**
 * Returning looks after the clients that come back. What the stream brings between the last look for missed packets and the moment
 * at which the socket can receive is sent behind them; what was among them and is then read from the stream is not sent again; and where the
 * session is open still, in a half-open connection, it is closed, there or at another node.
 */
class Returning {
  coming = new Map(); // by socket id: {rooms, after, events}
  has = new Map(); // by socket id: the offsets that it was sent as missed, until the stream has been read beyond them
  taken = new Map(); // by socket id: the offset of the message that told the others; "" until it is known

  constructor(adapter, keeper) {
    Object.assign(this, { adapter, keeper, nsp: adapter.nsp });
    this.wrapRestore();
    this.wrapDeliveries();
    this.wrapMessages();
    this.nsp.on("connect", (socket) => this.arrived(socket));
  }

  wrapRestore() {
    const { restoreSession } = this.adapter;
    this.adapter.restoreSession = async (pid, offset) => {
      const events = []; // from now on, for a session that is not known yet
      const here = { rooms: null, after: offset, events };
      this.coming.set(here, here);
      let session;
      try {
        session = await restoreSession.call(this.adapter, pid, offset);
      } finally {
        this.coming.delete(here);
      }
      this.take(session.sid);
      this.expect(session, here);
      return session;
    };
  }

  /** expect adds to what was missed what the stream has brought meanwhile, and keeps what it brings until the socket is there. */
  expect({ sid, rooms, missedPackets }, here) {
    const offsets = new Set(missedPackets.map((data) => data.at(-1)));
    for (const { packet, opts, offset } of here.events) {
      if (offsets.has(offset) || !later(offset, here.after) || !receives(rooms, opts)) continue;
      offsets.add(offset);
      missedPackets.push(packet.data);
    }
    missedPackets.sort((a, b) => (later(a.at(-1), b.at(-1)) ? 1 : -1));
    this.has.set(sid, offsets);
    const coming = { rooms, events: [] };
    this.coming.set(sid, coming);
    setTimeout(() => {
      if (this.coming.get(sid) === coming) this.coming.delete(sid);
      if (this.has.get(sid) === offsets) this.has.delete(sid);
    }, LIMIT).unref();
  }

  arrived(socket) {
    const coming = this.coming.get(socket.id);
    this.coming.delete(socket.id);
    const offsets = this.has.get(socket.id);
    for (const { packet, offset } of coming?.events ?? []) {
      if (!offsets?.has(offset)) socket.packet({ type: packet.type, data: packet.data });
    }
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
        if (rooms === null || receives(rooms, opts)) events.push({ packet: { ...packet }, opts: { rooms: opts.rooms, except: new Set(opts.except) }, offset });
      }
      for (const [sid, offsets] of this.has) if (offsets.has(offset)) opts.except.add(sid);
    };
  }

  /** take ends the session's socket where it is open still. Nodes with the adapter as it is close it, too. */
  take(sid) {
    const old = this.nsp.sockets.get(sid);
    if (old) this.keeper.release(old);
    this.taken.set(sid, "");
    const data = { opts: { rooms: [sid], except: [], flags: {} }, close: true, taken: true };
    this.adapter.publishAndReturnOffset({ type: Number(DISCONNECT_SOCKETS), data })
      .then((offset) => this.taken.set(sid, offset), () => this.taken.delete(sid))
      .then(() => setTimeout(() => this.taken.delete(sid), LIMIT).unref());
  }

  /** wrapMessages releases a session that another node has taken, unless this one has taken it back since. */
  wrapMessages() {
    const { adapter } = this;
    const { onRawMessage } = adapter;
    adapter.onRawMessage = (message, offset) => {
      const sid = message.type === DISCONNECT_SOCKETS && message.uid !== adapter.uid ? takenBy(message.data) : "";
      if (!sid) {
        onRawMessage.call(adapter, message, offset);
        return this.read(offset);
      }
      const back = this.taken.get(sid);
      const socket = this.nsp.sockets.get(sid);
      if (socket && (back === undefined || (back !== "" && later(offset, back)))) this.keeper.release(socket);
    };
  }

  /** read forgets what was sent to clients as missed and cannot be read from the stream any more. */
  read(offset) {
    for (const [sid, offsets] of this.has) {
      if (this.coming.has(sid)) continue;
      for (const o of offsets) if (!later(o, offset)) offsets.delete(o);
      if (offsets.size === 0) this.has.delete(sid);
    }
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
