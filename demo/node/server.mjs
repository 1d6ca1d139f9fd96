// The demo's chat node on Node.js. It takes the flags of `demo --node-only`.
//
//   REDIS_URL=redis://127.0.0.1:6379 node demo/node/server.mjs --name n3 --listen 127.0.0.1:3003

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { hostname } from "node:os";
import { posix } from "node:path";
import { parseArgs } from "node:util";
import { Server } from "socket.io";
import { createAdapter } from "../../adapter/node/index.js"; // @sidway/recovery, which needs the modules of this repository
import { Chat, maxBody } from "./chat.mjs";
import { Rooms, connect } from "./rooms.mjs";
import { Via, parseReplica } from "./via.mjs";

const { values: flags } = parseArgs({
  options: {
    name: { type: "string", default: hostname() },
    listen: { type: "string", default: "127.0.0.1:3001" },
    redis: { type: "string", default: process.env.REDIS_URL ?? "" },
    history: { type: "string", default: "0" },
    replica: { type: "string", multiple: true, default: [] },
    child: { type: "boolean", default: false },
  },
});
if (!flags.redis) {
  console.error("a Redis is needed: --redis or REDIS_URL");
  process.exit(2);
}

const types = { ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml" };
const headers = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; " +
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};

/** page serves the files that the Go nodes have in their binary. */
async function page(req, res) {
  const path = posix.normalize(new URL(req.url, "http://node").pathname);
  if (path === "/healthz") {
    res.end("ok\n");
    return;
  }
  const file = new URL(`../page${path === "/" ? "/index.html" : path}`, import.meta.url);
  const type = types[posix.extname(file.pathname)];
  const info = type && (await stat(file).catch(() => null));
  if (!info?.isFile()) {
    res.writeHead(404).end("not found\n");
    return;
  }
  res.writeHead(200, { ...headers, "content-type": type, "content-length": info.size });
  if (req.method === "HEAD") res.end();
  else createReadStream(file).pipe(res);
}

const server = createServer((req, res) => {
  page(req, res).catch(() => res.writeHead(400).end());
});
const io = new Server(server, {
  maxHttpBufferSize: maxBody,
  serveClient: false,
  connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
  // Pages of other sites may neither read this chat nor press its buttons; CORS does not hold for WebSockets.
  allowRequest: (req, done) => {
    const { origin, host } = req.headers;
    done(null, !origin || origin === `http://${host}` || origin === `https://${host}`);
  },
});
const redis = connect(flags.redis);
// The adapter reads the stream again at once when that fails, for ever: its commands have to wait for Redis instead.
const patient = connect(flags.redis, { patient: true });
io.adapter(createAdapter(patient, { streamName: "demo:stream", sessionKeyPrefix: "demo:session:", channelPrefix: "demo" }));
// It does not look at the outcome of what it keeps at a client's end. A session that is not kept begins anew.
process.on("unhandledRejection", (err) => console.error(`${flags.name}: ${err?.message ?? err}`));

const replicas = flags.replica.map(parseReplica);
const control = process.env.SIDWAY_DEMO_CONTROL
  ? { url: process.env.SIDWAY_DEMO_CONTROL, token: process.env.SIDWAY_DEMO_TOKEN }
  : null;
const rooms = new Rooms(redis, { kept: Number(flags.history) });
const chat = new Chat(io, { name: flags.name, rooms, via: new Via(replicas), control, replicas });

const end = async () => {
  await chat.close();
  process.exit(0);
};
process.once("SIGTERM", end);
process.once("SIGINT", end);
// Whoever started this process holds the other end of its standard input.
if (flags.child) process.stdin.on("end", end).on("error", end).resume();

const at = flags.listen.lastIndexOf(":");
server.listen(Number(flags.listen.slice(at + 1)), flags.listen.slice(0, at) || undefined);
