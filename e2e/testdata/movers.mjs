// Client sessions that are moved from node to node. The one argument is a configuration in JSON:
//   url, client (the npm package of the library), modes {polling, upgrade, websocket: sessions of each}, rooms (how many), period (ms between
//   a session's messages, each fifth of which is echoed), fault ("skip", "double", "swap": falsifies each 50th number that it sends; "forget": each 50th ask stays unanswered).
// It answers these lines: connect (waits until all are connected, upgraded, and know their node), start, receive {ticks, echoes}
// (waits until each has so many more, and tells which have not), rest (tells all, and counts how long streams stand still anew), settle {ticks, crashed} (waits for what is under
// way, where no node has crashed with it, then tells all), stats, stop.
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Ledger } from "./ledger.mjs";
import { say, serve } from "./lines.mjs";

const config = JSON.parse(process.argv[2]);
const { io } = createRequire(import.meta.url)(config.client ?? "socket.io-client");
const transports = { polling: ["polling"], upgrade: ["polling", "websocket"], websocket: ["websocket"] };
const patience = 30_000;
// All sessions together keep connections, as behind an HTTP proxy: each request of one goes through any replica.
const agent = new (config.url.startsWith("https:") ? https : http).Agent({ keepAlive: true, scheduling: "fifo" });
const lag = monitorEventLoopDelay({ resolution: 10 });
lag.enable();

/** Stream judges one numbered stream and how long it stood still. */
class Stream {
  ledger = new Ledger();
  last = 0;
  gap = 0;

  take(n) {
    if (this.ledger.received === 0) this.ledger.next = n;
    this.ledger.take(n, true);
    const now = performance.now();
    if (this.last) this.gap = Math.max(this.gap, now - this.last);
    this.last = now;
  }

  report(sent) {
    const { doubled, reordered, received } = this.ledger;
    return { received, lost: this.ledger.lost(sent), doubled, reordered, gap: Math.round(this.gap) };
  }
}

class Session {
  ids = [];
  events = [];
  connects = 0;
  recovered = 0;
  disconnects = 0;
  sent = 0;
  asks = 0;
  bare = 0;
  ticks = new Stream();
  echoes = new Stream();
  acks = new Stream();
  waiting = new Set();

  constructor(index, mode) {
    Object.assign(this, { mode, index, name: `${mode}-${index}`, room: `room-${index % config.rooms}` });
    const socket = io(config.url, {
      transports: transports[mode], upgrade: mode === "upgrade", forceNew: true, agent, auth: { name: this.name, room: this.room },
    });
    this.socket = socket;
    socket.on("connect", () => {
      this.connects++;
      if (socket.recovered) this.recovered++;
      this.ids.push(socket.id);
      if (this.connects > 1) this.note(`connect, recovered ${socket.recovered}`);
    });
    socket.on("connect_error", (err) => this.note(`connect_error: ${err.message}`));
    socket.on("disconnect", (reason) => {
      this.disconnects++;
      this.note(`disconnect: ${reason}`);
    });
    socket.on("tick", (n) => this.ticks.take(n));
    socket.on("echo", (n) => this.echoes.take(n));
    socket.on("ask", (n, done) => {
      this.asks++;
      if (typeof done !== "function") this.bare++; // one that was missed, or was received before
      else if (config.fault !== "forget" || n % 50 !== 45) done(n);
    });
  }

  note(event) {
    if (this.events.length < 20) this.events.push(`${(performance.now() / 1000).toFixed(2)} ${event}`);
  }

  get ready() {
    return this.socket.connected && (this.mode !== "upgrade" || this.socket.io.engine.transport.name === "websocket");
  }

  start() {
    setTimeout(() => {
      this.send();
      this.timer = setInterval(() => this.send(), config.period);
    }, (this.index * 37) % config.period);
  }

  send() {
    const n = this.sent++, at = n % 50, { fault } = config;
    if (fault === "skip" && at === 49) return;
    const shown = fault === "swap" && at >= 48 ? n + (at === 48 ? 1 : -1) : n;
    for (let i = fault === "double" && at === 49 ? 2 : 1; i > 0; i--) {
      this.waiting.add(shown);
      this.socket.emit("up", shown, (back) => {
        this.waiting.delete(back);
        this.acks.take(back);
      });
    }
  }

  /** echoed is how many echoes there are of what has been sent. */
  get echoed() {
    return Math.ceil(this.sent / 5);
  }

  idle(ticks, crashed) {
    return this.ticks.ledger.next >= ticks && (crashed || (this.waiting.size === 0 && this.echoes.ledger.next >= this.echoed));
  }

  async whoami() {
    const answer = await this.socket.timeout(patience).emitWithAck("whoami").catch((err) => ({ node: "", error: err.message }));
    return { ...answer, room: this.room };
  }

  report(ticks) {
    const { name, mode, ids, events, connects, recovered, disconnects, sent, asks, bare, first, last } = this;
    return {
      name, mode, ids, events, connects, recovered, disconnects, sent, asks, bare, first, last,
      transport: this.socket.io.engine?.transport?.name ?? "", engine: this.socket.io.engine?.id ?? "", unacked: this.waiting.size,
      ticks: this.ticks.report(ticks), echoes: this.echoes.report(this.echoed), acks: this.acks.report(sent),
    };
  }
}

const sessions = [];
const report = (ticks) => ({ lag: lag.max / 1e6, sessions: sessions.map((s) => s.report(ticks)) });

/** until waits for a condition of all sessions, but not for longer than patience. */
async function until(condition) {
  for (const end = performance.now() + patience; performance.now() < end && !sessions.every(condition);) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const ask = (which) => Promise.all(sessions.map(async (s) => { s[which] = await s.whoami(); }));

say({ ready: true });
serve({
  connect: async () => {
    for (const [mode, count] of Object.entries(config.modes)) {
      for (let i = 0; i < count; i++) sessions.push(new Session(sessions.length, mode));
    }
    await until((s) => s.ready);
    await ask("first");
    lag.reset();
    return report();
  },
  start: () => {
    for (const s of sessions) s.start();
    return {};
  },
  receive: async ({ ticks, echoes }) => {
    const goals = new Map(sessions.map((s) => [s, [s.ticks.ledger.received + ticks, s.echoes.ledger.received + echoes]]));
    const there = (s) => s.ticks.ledger.received >= goals.get(s)[0] && s.echoes.ledger.received >= goals.get(s)[1];
    await until(there);
    return { missing: sessions.filter((s) => !there(s)).map((s) => s.name) };
  },
  stats: () => report(),
  rest: () => {
    const all = report();
    lag.reset();
    for (const s of sessions) s.ticks.gap = s.echoes.gap = s.acks.gap = 0;
    return all;
  },
  settle: async ({ ticks, crashed }) => {
    for (const s of sessions) clearInterval(s.timer);
    await until((s) => s.idle(ticks, crashed));
    await ask("last");
    return report(ticks);
  },
  stop: async () => {
    for (const s of sessions) s.socket.disconnect();
    await new Promise((resolve) => setTimeout(resolve, 200));
    return {};
  },
});
