// The demo's chat node on Node.js. It takes the flags of `demo --node-only`.
//
//   REDIS_URL=redis://127.0.0.1:6379 node demo/node/server.mjs --name n3 --listen 127.0.0.1:3003

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { hostname } from "node:os";
import { posix } from "node:path";
import { parseArgs } from "node:util";
import { createAdapter } from "@socket.io/redis-adapter";
import { Server } from "socket.io";
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
  // Pages of other sites may neither read this chat nor press its buttons; CORS does not hold for WebSockets.
  allowRequest: (req, done) => {
    const { origin, host } = req.headers;
    done(null, !origin || origin === `http://${host}` || origin === `https://${host}`);
  },
});
const redis = connect(flags.redis);
const publisher = connect(flags.redis);
const subscriber = connect(flags.redis);
// The adapter does not look at the outcome, and what could not be told, clients find in the log.
const publish = publisher.publish.bind(publisher);
publisher.publish = (...args) => publish(...args).catch(() => 0);
const subscribed = (method) => {
  const call = subscriber[method].bind(subscriber);
  // While Redis is away a subscription is tried again; the library renews those that were made.
  subscriber[method] = async (...args) => {
    for (;;) {
      try {
        return await call(...args);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  };
};
subscribed("pSubscribe");
subscribed("subscribe");
io.adapter(createAdapter(publisher, subscriber, { key: "demo" }));

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
