// Clients of the reference library in one process. The one argument is JSON: name, file (the history), library (4 or 2), modes
// {polling, upgrade, websocket}, fronts, pace (ms), seed.
// Each line on stdin is answered by one on stdout: {"cmd":"stats"}, {"cmd":"route","fronts":[…]}, {"cmd":"cut","share":0.5},
// {"cmd":"stop","patience":ms}. It ends with its stdin.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import * as net from "node:net";
import { history } from "../app/message.mjs";
import { Client } from "./session.mjs";

const require = createRequire(import.meta.url);
const config = JSON.parse(process.argv[2]);
const io = require(config.library === 2 ? "socket.io-client-2" : "socket.io-client");

/** fronts hands each connection to the next address in turn, or the one after it if that refuses. */
const fronts = {
  list: config.fronts,
  turn: config.seed % 1000,
  connect(done) {
    const order = this.list.map((_, i) => this.list[(this.turn + i) % this.list.length]);
    this.turn++;
    const attempt = (error) => {
      const front = order.shift();
      if (!front) return done(error);
      const [host, port] = front.split(":");
      const socket = net.connect({ host, port: Number(port), noDelay: true });
      const timer = setTimeout(() => socket.destroy(new Error("dial: timed out")), 2000);
      socket.once("error", function failed(error) {
        clearTimeout(timer);
        attempt(error);
      });
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.removeAllListeners("error");
        socket.front = front;
        done(null, socket);
      });
    };
    attempt(new Error("no front"));
  },
};

let state = config.seed >>> 0;
/** random is seeded (mulberry32). */
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

const write = history(config.file, { tap: "client" });
const clients = [];
for (const [mode, count] of Object.entries(config.modes)) {
  for (let i = 0; i < count; i++) {
    const by = `${config.name}-${mode}-${i}`;
    clients.push(new Client({ io, mode, fronts, random, pace: config.pace, write: (event) => write({ by, ...event }) }));
  }
}

const commands = {
  stats: () => ({ connected: clients.filter((c) => c.connected).length }),
  route: ({ fronts: list }) => {
    fronts.list = list;
    return {};
  },
  cut: ({ share }) => {
    const some = [...clients].sort(() => random() - 0.5).slice(0, Math.round(share * clients.length));
    for (const client of some) client.cut();
    return {};
  },
  stop: async ({ patience }) => {
    await Promise.all(clients.map((c) => c.stop(patience)));
    return {};
  },
};

const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const command = JSON.parse(line);
  console.log(JSON.stringify(await commands[command.cmd](command)));
});
lines.on("close", () => process.exit(0));
