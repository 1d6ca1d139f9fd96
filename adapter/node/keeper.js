"use strict";
const { encode } = require("./msgpack");
const { SET } = require("@socket.io/redis-streams-adapter/dist/util");

const GATHER = 20; // ms, for changes that come together, as at a connection
const SLICE = 500; // sessions that are looked at before others may use the event loop

/**
 * Keeper keeps the sessions of one namespace's connected clients in Redis, in the format of redis-streams-adapter, so that
 * its restoreSession finds them when this process is gone.
 */
class Keeper {
  kept = new Map(); // by socket id: what Redis has {pid, text, at}
  dirty = new Set(); // socket ids
  released = new Set(); // ids of sockets whose end must leave no trace, since their session goes on elsewhere

  constructor(adapter, redis, settings) {
    Object.assign(this, { adapter, redis, settings, nsp: adapter.nsp });
    this.lasts = this.nsp.server.opts.connectionStateRecovery.maxDisconnectionDuration;
    adapter.on("join-room", (room, id) => this.changed(id));
    adapter.on("leave-room", (room, id) => this.changed(id));
    this.wrapEnds();
    this.looking = setInterval(() => this.look([...this.nsp.sockets.keys()]), settings.lookInterval).unref();
  }

  /** wrapEnds has a session that ends for good forgotten, and one that may come back kept as the adapter does. */
  wrapEnds() {
    const { adapter } = this;
    const { persistSession, delAll, close } = adapter;
    adapter.persistSession = (session) => {
      this.kept.delete(session.sid);
      if (!this.released.has(session.sid)) persistSession.call(adapter, session);
    };
    adapter.delAll = (id) => {
      this.forget(id);
      this.released.delete(id);
      delAll.call(adapter, id);
    };
    adapter.close = () => {
      clearInterval(this.looking);
      clearTimeout(this.gathering);
      close.call(adapter);
    };
  }

  changed(id) {
    this.dirty.add(id);
    this.wake(GATHER);
  }

  wake(ms) {
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      this.gather();
    }, ms).unref();
  }

  gather() {
    const now = Date.now();
    for (const id of this.dirty) {
      if (now - (this.kept.get(id)?.at ?? 0) < this.settings.persistInterval) continue; // later
      this.dirty.delete(id);
      this.keep(this.nsp.sockets.get(id));
    }
    if (this.dirty.size > 0) this.wake(this.settings.persistInterval);
  }

  /** look finds changed data, which nothing announces, and sessions that Redis would soon forget. */
  look(ids) {
    for (const id of ids.splice(0, SLICE)) this.keep(this.nsp.sockets.get(id));
    if (ids.length > 0) setImmediate(() => this.look(ids));
  }

  keep(socket) {
    if (!socket?.connected || this.released.has(socket.id)) return;
    const { id: sid, pid, data } = socket;
    let text;
    try {
      text = Buffer.from(encode({ sid, pid, rooms: [...socket.rooms], data })).toString("base64");
    } catch {
      return; // data that cannot be kept, neither now nor at the disconnection
    }
    const old = this.kept.get(sid);
    const now = Date.now(), renew = this.lasts / 3;
    if (old && old.text === text && now - old.at < renew) return;
    const record = { pid, text, at: now };
    this.kept.set(sid, record);
    // The client may be away for as long from a crash that comes just before the next renewal. What is written at the end
    // lives for a shorter time than this has left, by which a gateway that moves the session knows that it was written.
    SET(this.redis, this.key(pid), text, Math.round(this.lasts + renew + 2 * this.settings.lookInterval)).catch(() => {
      if (this.kept.get(sid) === record) this.kept.delete(sid); // the next look tries again
    });
  }

  key(pid) {
    return this.settings.sessionKeyPrefix + pid;
  }

  /** forget removes the session of a client that took its leave. */
  forget(id) {
    const old = this.kept.get(id);
    this.dirty.delete(id);
    if (!old) return;
    this.kept.delete(id);
    this.redis.del(this.key(old.pid)).catch(() => {}); // its time to live ends it
  }

  /**
   * release leaves the session of a socket to where it goes on, and closes the connection that it was on here. When it returns the socket
   * has left its rooms: later, that would take the new one, of the same id, out of them.
   */
  release(socket) {
    this.kept.delete(socket.id);
    this.dirty.delete(socket.id);
    this.released.add(socket.id);
    socket.client.close();
  }
}

module.exports = { Keeper };
