// Drives many sessions of a reference client library. The one argument is its configuration in JSON:
//   url, library (4 or 2), client (its package, where that is not the newest), modes {polling, upgrade, websocket: sessions of each}, window (messages in flight),
//   small (largest ordinary message), large {every, websocket, polling: characters or bytes},
//   upgradeFirst (sessions that upgrade send nothing before they have), stall (ms without an answer after which a message is lost), sharedAgent, reconnection, connectTimeout,
//   inTurn (the sessions of one mode are connected before those of the next are opened), rooms (sessions say in their query which of so many rooms they want).
// It answers these lines: connect (waits until all are connected), exchange {messages}, start {pace}, finish, stats, stop.
import { createRequire } from "node:module";
import * as http from "node:http";
import * as https from "node:https";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Session } from "./session.mjs";
import { say, serve } from "./lines.mjs";

const require = createRequire(import.meta.url);

/** Slots lets `free` holders in at a time, in the order in which they asked. */
class Slots {
  waiting = [];

  constructor(free) {
    this.free = free;
  }

  async take() {
    if (this.free > 0) this.free--;
    else await new Promise((admit) => this.waiting.push(admit));
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = this.waiting.shift();
      if (next) next();
      else this.free++;
    };
  }
}

// How long this process was kept from running at worst: on a crowded machine that alone ends sessions.
const lag = monitorEventLoopDelay({ resolution: 20 });
lag.enable();

class Driver {
  began = Date.now();
  stopping = false;
  largeSlots = new Slots(8);
  waiters = [];

  constructor(config) {
    this.config = { window: 4, stall: 60000, ...config };
    this.io = require(config.client ?? (config.library === 2 ? "socket.io-client-2" : "socket.io-client"));
    if (config.sharedAgent) this.agent = new (config.url.startsWith("https") ? https : http).Agent({ keepAlive: true });
    this.sessions = [];
    for (const [mode, count] of Object.entries(config.modes)) {
      for (let i = 0; i < count; i++) this.sessions.push(new Session(this, this.sessions.length, mode));
    }
  }

  /** until resolves when the condition holds or `ms` have gone; check is called where a condition may have changed. */
  until(condition, ms) {
    return new Promise((resolve) => {
      const poll = setInterval(() => this.check(), 50);
      const timer = setTimeout(() => finish(), ms);
      const finish = () => {
        clearInterval(poll);
        clearTimeout(timer);
        this.waiters = this.waiters.filter((waiter) => waiter.finish !== finish);
        resolve();
      };
      this.waiters.push({ condition, finish });
      this.check();
    });
  }

  check() {
    for (const { condition, finish } of [...this.waiters]) if (condition()) finish();
  }

  open() {
    for (const session of this.sessions) if (!session.socket) session.open();
  }

  async connect() {
    this.open();
    await this.until(() => this.sessions.every((s) => s.socket.connected), this.config.stall);
    return this.report();
  }

  // A session that upgrades is done when it has upgraded too, so that a refused upgrade shows as one.
  async settle() {
    const all = (condition, ms) => this.until(() => this.sessions.every(condition), ms);
    await all((s) => s.idle, 2 * this.config.stall);
    await Promise.all(this.sessions.map((s) => s.settle()));
    await all((s) => s.mode !== "upgrade" || s.transport === "websocket", this.config.stall);
    return this.report();
  }

  // Sessions that are not open yet are opened, and send from their first moment on: across their upgrade too.
  want(messages, pace) {
    this.open();
    for (const session of this.sessions) {
      session.wanted = session.counts.acked + messages;
      session.pace = pace;
      session.pump();
    }
  }

  async openInTurn() {
    for (const mode of Object.keys(this.config.modes)) {
      const sessions = this.sessions.filter((s) => s.mode === mode);
      for (const session of sessions) session.open();
      await this.until(() => sessions.every((s) => s.socket.connected), this.config.stall);
    }
  }

  async exchange({ messages }) {
    if (this.config.inTurn) await this.openInTurn();
    this.want(messages, 0);
    return this.settle();
  }

  start({ pace }) {
    this.want(Infinity, pace);
    return {};
  }

  async finish() {
    for (const session of this.sessions) session.wanted = 0;
    return this.settle();
  }

  report() {
    return { seconds: (Date.now() - this.began) / 1000, lag: lag.max / 1e9, sessions: this.sessions.map((s) => s.report()) };
  }

  async stop() {
    this.stopping = true;
    for (const { socket } of this.sessions) socket?.disconnect();
    // The close packets of polling sessions are requests of their own: let them out before the process ends.
    await this.until(() => this.sessions.every((s) => !s.socket?.io.engine || s.socket.io.engine.readyState === "closed"), 2000);
    this.agent?.destroy();
    return {};
  }
}

const driver = new Driver(JSON.parse(process.argv[2]));
say({ ready: true });
serve({
  connect: () => driver.connect(),
  exchange: (args) => driver.exchange(args),
  start: (args) => driver.start(args),
  finish: () => driver.finish(),
  stats: () => driver.report(),
  stop: () => driver.stop(),
});
