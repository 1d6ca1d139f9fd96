// The chat's client, without a page: it connects, stays connected, keeps each room's log whole and in order, sends what
// was said exactly once, and knows what has been delivered. It runs in browsers and in Node.
//
// Events: "state" (connection), "items" {room, items, front} (new in a log), "outbox" {entry} (an entry changed),
// "sent" {entry, id}, "refused" {entry, why}, "read" {room}, "typing" {uid, name}, "rooms" {rooms}, "heard" {uid}: a
// message of that member came by itself; "here" {node, before}: the session is at this node now, maybe without a new connection.

import { Log, covers, position } from "./log.js";
import { Outbox } from "./outbox.js";

const patience = 8000; // for the answer to a request
const greeting = 6000; // for a new connection to be of use
const settle = 150; // for messages that overtook others, and before it is told what was read
const heardMost = 5000; // messages of which it is known how often they came
const lookAgain = 10000; // while something of ours is not known as delivered

class News extends Event {
  constructor(type, detail) {
    super(type);
    Object.assign(this, detail);
  }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Chat extends EventTarget {
  room = "";
  logs = new Map();
  rooms = [];
  /** Room -> uid -> id of the last message that this member's client has. */
  readers = new Map();
  joined = false;
  /** For how long the connection was gone when it last was, in ms, until it was of use again. */
  away = 0;
  /** Whether our node reaches Redis; while it does not, messages wait. */
  redis = true;
  /** The node where our session is; empty before it has said so. */
  node = "";
  /** Number of a message in our room -> how often it came by itself. */
  heard = new Map();
  #syncing = false;
  #again = false;
  #told = new Map();
  #timers = {};
  #gone = 0; // since when the connection is

  /** io is socket.io-client's; options: url, uid, name, polling (no WebSocket), kept (the outbox across reloads, see
   *  kept.js), and more for the library. */
  constructor(io, { url, uid, name, polling = false, kept = null, ...library }) {
    super();
    Object.assign(this, { uid, name, polling });
    this.outbox = new Outbox({
      ready: () => this.joined,
      ask: (...args) => this.ask(...args),
      changed: (entry) => this.#tell("outbox", { entry }),
      done: (entry, answer) => this.#sent(entry, answer),
      kept,
    });
    this.socket = io(url, {
      ...library,
      autoConnect: false,
      transports: this.#transports(),
      reconnectionDelay: 300,
      reconnectionDelayMax: 2000,
    });
    this.#listen();
  }

  /** enter goes into a room, and connects if need be. */
  enter(room) {
    if (room !== this.room) this.heard.clear();
    this.room = room;
    this.joined = false;
    if (this.socket.connected) this.sync();
    else this.socket.connect();
    this.#tell("state");
  }

  rename(name) {
    this.name = name;
    this.sync();
  }

  /** say sends a text, an image (bytes) or both to the room, sooner or later. */
  say(text, image = null) {
    const key = Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
    const entry = { room: this.room, key, text, image, at: Date.now() };
    this.outbox.add(entry);
    return entry;
  }

  typing() {
    if (this.joined) this.socket.volatile.emit("typing", {});
  }

  /** usePolling reconnects without WebSocket, or with it again. */
  usePolling(polling) {
    this.polling = polling;
    this.socket.io.opts.transports = this.#transports();
    this.cut();
  }

  /** cut ends the connection as if the network had, and lets the library make another one. */
  cut() {
    const engine = this.socket.io.engine;
    if (engine) engine.close();
    else this.socket.connect();
  }

  leave() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.socket.disconnect();
    this.joined = false;
  }

  log(room = this.room) {
    if (!this.logs.has(room)) this.logs.set(room, new Log());
    return this.logs.get(room);
  }

  /** delivered tells whether another member's client has this message of ours. */
  delivered(room, id) {
    for (const [uid, last] of this.readers.get(room) ?? []) if (uid !== this.uid && covers(last, id)) return true;
    return false;
  }

  get transport() {
    return this.socket.io.engine?.transport?.name ?? "";
  }

  get sid() {
    return this.wholeSID.slice(0, 4);
  }

  get wholeSID() {
    return (this.socket.connected && this.socket.io.engine?.id) || "";
  }

  /** ask resolves with a node's answer and rejects if there is none in time. */
  async ask(event, request = {}, data = null, limit = patience) {
    const args = data ? [request, data] : [request];
    return this.socket.timeout(limit).emitWithAck(event, ...args);
  }

  async image(room, key) {
    for (let attempt = 0; attempt < 30; attempt++) {
      const answer = this.joined ? await this.ask("image", { room, key }).catch(() => null) : null;
      if (answer?.ok) return { type: answer.type, data: answer.data };
      if (answer && !answer.retry) break;
      await sleep(1000);
    }
    return null;
  }

  /** earlier fetches what precedes the first message that is here. */
  async earlier() {
    const room = this.room;
    const log = this.log(room);
    const answer = await this.ask("history", { room, before: log.first });
    if (!answer.ok) throw new Error(answer.error);
    this.#tell("items", { room, items: log.precede(answer.page), front: true });
  }

  /** sync makes the node know us, and fetches what is missing in our room; again if it is called meanwhile. */
  async sync() {
    this.#again = true;
    if (this.#syncing) return;
    this.#syncing = true;
    while (this.#again && this.room && this.socket.connected) {
      this.#again = false;
      const id = this.socket.id;
      try {
        await this.#fetch();
      } catch {
        await sleep(500);
        this.#again = true;
      }
      if (id !== this.socket.id) this.#again = true;
    }
    this.#syncing = false;
    // The connection may have come back between the loop's last look and here.
    if (this.#again && this.room && this.socket.connected) this.sync();
  }

  async #fetch() {
    const { room, uid, name } = this;
    const log = this.log(room);
    const id = this.socket.id;
    let answer = await this.ask("join", { uid, name, room, after: log.last });
    for (;;) {
      if (!answer.ok) throw new Error(answer.error);
      const items = log.fill(answer.page);
      if (items.length) this.#tell("items", { room, items });
      this.#read(room, answer.page.read ?? []);
      if (!answer.page.more) break;
      answer = await this.ask("history", { room, after: log.last });
    }
    if (room !== this.room || id !== this.socket.id) {
      this.#again = true;
      return;
    }
    if (!this.joined) {
      this.joined = true;
      if (this.#gone) this.away = performance.now() - this.#gone;
      this.#gone = 0;
      this.#tell("state");
    }
    this.outbox.again();
    this.#tellRead();
    this.#watch();
  }

  #listen() {
    const { socket } = this;
    socket.on("connect", () => {
      this.#told.clear();
      this.#tell("state");
      this.sync();
    });
    socket.on("disconnect", () => {
      this.joined = false;
      this.#gone ||= performance.now();
      this.#tell("state");
    });
    socket.on("connect_error", () => this.#tell("state"));
    // A session whose first answer got lost would wait for it for a long time.
    socket.io.on("open", () => {
      this.#after("greeting", greeting, () => socket.connected || socket.io.engine?.close());
      socket.io.engine.on("upgrade", () => this.#tell("state"));
    });
    // A node that takes leave says so to each socket, and the library would stay away then.
    socket.on("disconnect", (reason) => {
      if (reason === "io server disconnect") this.#after("return", 500, () => socket.connect());
    });
    socket.on("message", (room, message) => this.#heard(room, message));
    socket.on("here", (node) => {
      const before = this.node;
      this.node = node;
      this.#tell("here", { node, before });
    });
    socket.on("redis", (up) => {
      const back = up && !this.redis;
      this.redis = up;
      if (back) this.outbox.again();
      this.#tell("state");
    });
    socket.on("read", (room, reader) => this.#read(room, [reader]));
    socket.on("typing", (room, who) => {
      if (room === this.room) this.#tell("typing", who);
    });
    socket.on("rooms", (rooms) => {
      this.rooms = rooms;
      const last = rooms.find((r) => r.name === this.room)?.last ?? "";
      if (this.joined && this.#behind(last)) this.#after("gap", settle, () => this.#behind(last) && this.sync());
      this.#tell("rooms", { rooms });
    });
  }

  /** behind tells whether the log ends elsewhere than ours. */
  #behind(last) {
    const there = position(last);
    const here = position(this.log().last);
    return Boolean(there) && (!here || there.began !== here.began || there.number > here.number);
  }

  #heard(room, message) {
    if (room !== this.room) return;
    this.#tell("heard", { uid: message.uid });
    const number = position(message.id)?.number;
    this.heard.set(number, (this.heard.get(number) ?? 0) + 1);
    this.heard.delete(number - heardMost);
    const log = this.log(room);
    const { fresh, gap } = log.take(message);
    if (fresh.length) {
      this.#tell("items", { room, items: fresh });
      this.#after("read", settle, () => this.#tellRead());
    }
    if (gap && this.joined) this.#after("gap", settle, () => this.#behind(message.id) && this.sync());
    if (gap && this.#syncing) this.#again = true;
  }

  #sent(entry, answer) {
    if (!answer.ok) {
      this.#tell("refused", { entry, why: answer.error });
      return;
    }
    this.#tell("sent", { entry, id: answer.id });
    this.#watch();
  }

  #read(room, readers) {
    if (!this.readers.has(room)) this.readers.set(room, new Map());
    const known = this.readers.get(room);
    let news = false;
    for (const { uid, id } of readers) {
      const before = position(known.get(uid));
      const now = position(id);
      if (!now || (before && (before.began > now.began || (before.began === now.began && before.number >= now.number)))) continue;
      known.set(uid, id);
      news = true;
    }
    if (news) this.#tell("read", { room });
  }

  /** tellRead lets the others know what has come here; again until a node has noted it. */
  async #tellRead() {
    const { room } = this;
    const { last } = this.log(room);
    if (!last || !this.joined || this.#told.get(room) === last) return;
    this.#told.set(room, last);
    const answer = await this.ask("read", { room, id: last }).catch(() => null);
    if (!answer?.ok && this.#told.get(room) === last) {
      this.#told.delete(room);
      this.#after("read", 1000, () => this.#tellRead());
    }
  }

  /** watch asks again who has read, while something of ours is not known as delivered: the word of it may be lost. */
  #watch() {
    const mine = this.log().items.findLast((item) => item.message?.uid === this.uid)?.message;
    if (mine && !this.delivered(this.room, mine.id)) {
      this.#after("watch", lookAgain, () => (this.joined ? this.sync() : undefined));
    }
  }

  #transports() {
    return this.polling ? ["polling"] : ["polling", "websocket"];
  }

  #after(name, ms, then) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(then, ms);
  }

  #tell(type, detail = {}) {
    this.dispatchEvent(new News(type, detail));
  }
}
