// A chat node's Socket.IO events; demo/chat does the same in Go and says why it is as it is.

import { position } from "./rooms.mjs";

export const maxImage = 1 << 20;
export const maxBody = 2 << 20;
const most = { name: 24, room: 32, text: 4000 };
const every = { report: 3000, look: 1000 };

const label = (text, most) => [...String(text ?? "").replace(/[\p{Cc}\p{Bidi_Control}\uFFFD]/gu, "").trim()].slice(0, most).join("").trim();
const roomOf = (text) => label(String(text ?? "").replace(/[{}]/g, ""), most.room);
const isKey = (text) => typeof text === "string" && /^[0-9a-zA-Z_-]{1,64}$/.test(text);
const refuse = (error) => ({ ok: false, error, retry: false });

/** imageType tells an image by its bytes; empty if it is none that is shown. */
function imageType(b) {
  const starts = (bytes, at = 0) => b.subarray(at, at + bytes.length).equals(Buffer.from(bytes, "latin1"));
  if (starts("\x89PNG\r\n\x1a\n")) return "image/png";
  if (starts("\xff\xd8\xff")) return "image/jpeg";
  if (starts("GIF87a") || starts("GIF89a")) return "image/gif";
  if (starts("RIFF") && starts("WEBPVP", 8)) return "image/webp";
  return "";
}

export class Chat {
  #view = null; // the rooms as last seen
  #told = "";
  #away = false;
  #timers = [];

  /** control is {url, token} of what started this node, or null. */
  constructor(io, { name, rooms, via, control, replicas }) {
    Object.assign(this, { io, name, rooms, via, control, replicas });
    via.watch(io.engine);
    io.on("connection", (socket) => this.#connected(socket));
    const often = (ms, work) => {
      work();
      this.#timers.push(setInterval(work, ms));
    };
    often(every.report, () => this.rooms.report(this.#self(), this.#members()).catch(() => {}));
    often(every.look, () => this.#look());
    often(every.look, () => this.via.look());
  }

  async close() {
    for (const timer of this.#timers) clearInterval(timer);
    await this.rooms.leave(this.#members()).catch(() => {});
    await this.io.close();
  }

  #self() {
    return { name: this.name, kind: "js" };
  }

  #members() {
    return [...this.io.of("/").sockets.values()].map((s) => this.#member(s)).filter((m) => m.room);
  }

  #member(socket) {
    const { uid = "", name = "", room = "" } = socket.data;
    const { id, transport } = socket.conn;
    return { socket: socket.id, room, uid, name, node: this.name, replica: this.via.of(id), transport: transport.name, sid: id.slice(0, 4) };
  }

  async #look() {
    try {
      this.#view = await this.rooms.list();
      this.#reached(true);
    } catch {
      this.#reached(false);
      return;
    }
    const text = JSON.stringify(this.#shown());
    if (text === this.#told) return;
    this.#told = text;
    this.io.local.emit("rooms", this.#shown());
  }

  #reached(redis) {
    if (this.#away === !redis) return;
    this.#away = !redis;
    this.io.local.emit("redis", redis);
  }

  #shown() {
    return this.#view.map(({ name, last, members }) => ({ name, last, members: members.map(({ uid, name, node }) => ({ uid, name, node })) }));
  }

  #connected(socket) {
    for (const event of ["join", "message", "history", "image", "read", "typing", "status", "cluster", "act", "phone", "beat"]) {
      socket.on(event, async (request, ...rest) => {
        const ack = typeof rest.at(-1) === "function" ? rest.pop() : () => {};
        const answer = await this[event](socket, request && typeof request === "object" ? request : {}, rest[0])
          .catch(() => ({ ok: false, error: "Redis is away", retry: true }));
        ack(answer);
      });
    }
    socket.on("disconnect", () => {
      const member = this.#member(socket);
      if (member.room) this.rooms.leave([member]).then(() => this.#look(), () => {});
    });
    if (socket.recovered && socket.data.room) this.#welcome(socket);
    // By way of this node alone: with recovery, an event that is sent to a socket goes through Redis first.
    const alone = this.io.local.to(socket.id);
    alone.emit("here", this.name);
    alone.emit("redis", !this.#away);
    if (this.#view) alone.emit("rooms", this.#shown());
  }

  /** welcome tells the other nodes that a client is here now, whose session goes on here. */
  #welcome(socket) {
    this.rooms.report(this.#self(), [this.#member(socket)]).then(() => this.#look(), () => {});
  }

  async join(socket, { uid, name, room, after }) {
    name = label(name, most.name);
    room = roomOf(room);
    if (!name || !room || !isKey(uid)) return refuse("a name and a room are needed");
    const before = this.#member(socket);
    Object.assign(socket.data, { uid, name, room });
    if (before.room !== room) {
      if (before.room) socket.leave(before.room);
      socket.join(room);
      if (before.room) await this.rooms.leave([before]);
    }
    await this.rooms.report(this.#self(), [this.#member(socket)]);
    this.#look();
    return { ok: true, name, room, page: await this.rooms.after(room, after) };
  }

  async message(socket, { room, key, text }, image) {
    const who = socket.data;
    room = roomOf(room);
    text = String(text ?? "").toWellFormed?.().trim() ?? String(text ?? "").trim();
    if (!who.room) return { ok: false, error: "not in a room", retry: true };
    if (!room || !isKey(key)) return refuse("a room and a key are needed");
    if ([...text].length > most.text) return refuse("too long");
    if (!Buffer.isBuffer(image) || !image.length) image = null;
    if (!text && !image) return refuse("nothing to say");
    if (image?.length > maxImage) return refuse("an image may have 1 MB");
    const message = { key, uid: who.uid, name: who.name, text, at: Date.now() };
    if (image) {
      message.image = { type: imageType(image), size: image.length };
      if (!message.image.type) return refuse("not a PNG, JPEG, GIF or WebP image");
    }
    const id = await this.rooms.append(room, message, image);
    // Again for one that was appended before: the node that did it may have died before it told anybody.
    this.io.to(room).emit("message", room, { ...message, id });
    return { ok: true, id };
  }

  async history(_socket, { room, after, before }) {
    const page = before ? await this.rooms.before(roomOf(room), before) : await this.rooms.after(roomOf(room), after);
    return { ok: true, page };
  }

  async image(_socket, { room, key }) {
    if (!isKey(key)) return refuse("a key is needed");
    const data = await this.rooms.image(roomOf(room), key);
    return data ? { ok: true, type: imageType(data), data } : refuse("no longer kept");
  }

  async read(socket, { room, id }) {
    const { uid } = socket.data;
    room = roomOf(room);
    if (!position(id) || !uid || !room) return refuse("a room and a message are needed");
    await this.rooms.read(room, uid, id);
    socket.to(room).emit("read", room, { uid, id });
    return { ok: true };
  }

  async typing(socket) {
    const { room, uid, name } = socket.data;
    if (room) socket.volatile.to(room).emit("typing", room, { uid, name });
    return { ok: true };
  }

  async status(socket) {
    const { node, replica, transport, sid } = this.#member(socket);
    return { ok: true, node, kind: "js", replica, transport, sid, redis: !this.#away, at: Date.now() };
  }

  async cluster() {
    const state = await (this.control ? this.#ask("GET", "/state").catch(() => ({ nodes: [], replicas: [], redis: {}, acts: [], events: [] })) : this.#guess());
    const sessions = (this.#view ?? []).flatMap((r) => r.members).map((m) => ({ ...m, socket: "" }));
    return { ok: true, state, sessions };
  }

  async #guess() {
    const nodes = await this.rooms.nodes().catch(() => [{ name: this.name, kind: "js" }]);
    return {
      nodes: nodes.map(({ name, kind }) => ({ name, kind, up: true, restarts: 0 })),
      replicas: this.replicas.map(({ name }) => ({ name, kind: "sidway", up: true, restarts: 0 })),
      redis: { name: "redis", kind: "redis", up: !this.#away, restarts: 0 },
      acts: [],
      events: [],
    };
  }

  async beat() {
    return { ok: true, node: this.name };
  }

  async act(_socket, { what, name, sid }) {
    if (!this.control) return refuse("nothing can be broken here");
    return this.#ask("POST", "/act", { what, name, sid }).then(() => ({ ok: true }), (err) => refuse(err.message));
  }

  async phone() {
    if (!this.control) return refuse("the address is not known here");
    return this.#ask("GET", "/phone").then(({ url, png }) => ({ ok: true, url, png: Buffer.from(png, "base64") }), (err) => refuse(err.message));
  }

  async #ask(method, path, body) {
    const answer = await fetch(this.control.url + path, {
      method,
      headers: { authorization: `Bearer ${this.control.token}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(3000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text.trim());
    return text ? JSON.parse(text) : null;
  }
}
