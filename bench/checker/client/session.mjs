// One client of the reference library through all its sessions.
import { Agent } from "node:http";
import { message, received, sizes } from "../app/message.mjs";

const transports = { polling: ["polling"], upgrade: ["polling", "websocket"], websocket: ["websocket"] };
const window = 100;

/** Watched connects by the client's fronts, and knows through which of them requests are in flight. */
class Watched extends Agent {
  busy = new Map(); // socket -> requests in flight and tunnels
  all = new Set();
  failed = ""; // why there was no connection, where the last one came to nothing

  constructor(client) {
    super({ keepAlive: true });
    this.client = client;
  }

  createConnection(options, done) {
    this.client.fronts.connect((error, socket) => {
      this.failed = error ? `, no connection: ${error.message}` : "";
      if (socket) {
        this.all.add(socket);
        socket.once("close", () => this.all.delete(socket));
      }
      done(error, socket);
    });
  }

  addRequest(req, options, ...rest) {
    req.once("socket", (socket) => {
      // xmlhttprequest-ssl 2.1 repeats a request that met a reset on a kept connection, without ever sending it: a browser fails it.
      req.reusedSocket = false;
      this.busy.set(socket, (this.busy.get(socket) ?? 0) + 1);
      if (req.method === "GET") this.client.on(socket.front);
      let tunnel = false;
      req.once("upgrade", () => { tunnel = true; });
      // What has failed counts until the session's end has been written down.
      const done = () => setTimeout(() => this.release(socket), 100);
      req.once("close", () => (tunnel ? socket.once("close", done) : req.res?.complete ? this.release(socket) : done()));
    });
    super.addRequest(req, options, ...rest);
  }

  release(socket) {
    const n = this.busy.get(socket) - 1;
    if (n > 0) this.busy.set(socket, n);
    else this.busy.delete(socket);
  }

  get fronts() {
    return [...new Set([...this.busy.keys()].map((s) => s.front))];
  }

  cut() {
    for (const socket of this.all) socket.destroy();
  }
}

export class Client {
  session = null;
  stopping = null; // what to call when the last session has ended

  constructor(options) {
    Object.assign(this, options);
    this.agent = new Watched(this);
    this.socket = this.io("http://checker", {
      transports: transports[this.mode], upgrade: this.mode === "upgrade", forceNew: true, agent: this.agent, query: { binary: 1 },
    });
    this.socket.io.on("open", () => this.onOpen());
    this.socket.on("connect", () => this.onConnect());
    this.socket.on("connect_error", (error) => this.onRefused(error));
    this.socket.on("down", (head, payload, ack) => this.onMessage(head, payload, ack));
    this.tick();
  }

  get connected() {
    return !!this.session?.connected;
  }

  on(front) {
    if (!this.session || this.session.front === front) return;
    this.session.front = front;
    this.write({ kind: "on", sid: this.session.sid, on: [front] });
  }

  onOpen() {
    const { engine, decoder } = this.socket.io;
    decoder.reconstructor = null; // socket.io-parser 3.3 keeps half a packet of the session before, and ends the process at the next one
    const session = { sid: engine.id, connected: false, next: 0, waiting: new Set(), received: 0, due: -1, ended: false };
    this.session = session;
    this.write({ kind: "open", sid: session.sid, why: this.mode });
    engine.once("close", (reason, description) => this.onClose(session, `${reason} ${describe(description)}${this.agent.failed}`));
    engine.once("upgrade", () => this.write({ kind: "upgraded", sid: session.sid }));
    engine.on("upgradeError", (error) => {
      if (!session.ended) this.write({ kind: "polling", sid: session.sid, why: String(error.message) });
    });
    // A direct connect's own request, and the first poll, came before the session.
    for (const front of this.agent.fronts.slice(0, 1)) this.on(front);
  }

  onConnect() {
    const { session } = this;
    session.connected = true;
    this.write({ kind: "connected", sid: session.sid });
    if (this.stopping) this.settle(session);
  }

  onRefused(error) {
    const status = Number(error.context?.status ?? error.description?.status ?? error.description);
    this.write({ kind: "refused", ...(status > 0 && { code: status }), on: this.agent.fronts, why: `${error.message} ${describe(error.description)}${this.agent.failed}` });
  }

  onClose(session, why) {
    if (session.ended) return;
    this.finish(session, why);
  }

  // The end is written before anything else of it is known to the library.
  finish(session, why) {
    if (session.ended) return;
    session.ended = true;
    session.connected = false;
    this.write({ kind: "end", sid: session.sid, why, on: this.agent.fronts });
    if (why === "stopped") this.stopping();
  }

  onMessage(head, payload, ack) {
    const { session } = this;
    this.write(received(session.sid, "down", head, payload));
    ack?.();
    session.received = Math.max(session.received, head.seq + 1);
    this.check(session);
  }

  tick() {
    this.timer = setTimeout(() => {
      this.say();
      this.tick();
    }, this.pace * (0.5 + this.random()));
  }

  say() {
    const { session, stopping } = this;
    if (!session?.connected || !this.socket.connected || stopping || session.waiting.size >= window) return;
    const { sid } = session;
    const seq = session.next++;
    session.waiting.add(seq);
    this.write({ kind: "send", sid, dir: "up", seq });
    const size = sizes[Math.floor(this.random() * sizes.length)];
    this.socket.emit("up", ...message({ sid, dir: "up", seq, size, binary: seq % 3 === 1 }), () => {
      this.write({ kind: "ack", sid, dir: "up", seq });
      session.waiting.delete(seq);
      this.check(session);
    });
  }

  cut() {
    const { session } = this;
    if (!session || session.ended) return;
    this.finish(session, "cut");
    this.agent.cut();
    this.socket.io.engine.transport.onError("cut"); // where no connection was there to be cut
  }

  /** stop resolves when the session, or the next one that lives, has what it waits for and has ended. */
  async stop(patience) {
    const ended = new Promise((resolve) => { this.stopping = resolve; });
    const timer = setTimeout(() => {
      if (this.session && !this.session.ended) this.finish(this.session, "stopped");
      else this.stopping();
    }, patience);
    if (this.connected) this.settle(this.session);
    await ended;
    clearTimeout(timer);
    clearTimeout(this.timer);
    await this.leave();
  }

  settle(session) {
    this.socket.emit("settle", ({ sent }) => {
      session.due = sent;
      this.check(session);
    });
  }

  check(session) {
    if (session.ended || session.due < 0 || session.received < session.due || session.waiting.size > 0) return;
    this.write({ kind: "settled", sid: session.sid, due: session.due });
    this.finish(session, "stopped");
  }

  // The close packet of a polling session is a request of its own.
  async leave() {
    const { engine } = this.socket.io;
    const closed = new Promise((resolve) => (engine?.readyState === "open" ? engine.once("close", resolve) : resolve()));
    this.socket.disconnect();
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 2000))]);
    this.agent.destroy();
  }
}

const describe = (d) => String(d?.message ?? d?.description?.message ?? d?.description ?? d?.context?.status ?? d ?? "");
