// A Node Socket.IO server that tests drive by lines of JSON on stdin and that answers on stdout.
// Arguments: adapter kind, Redis port, prefix, JSON of further options.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Server } from "socket.io";
import { createClient } from "redis";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";

const [kind, redisPort, prefix, more = "{}"] = process.argv.slice(2);
const options = JSON.parse(more);

const pub = createClient({ url: `redis://127.0.0.1:${redisPort}` });
pub.on("error", () => {});
await pub.connect();
const sub = pub.duplicate();
sub.on("error", () => {});
await sub.connect();

const streams = { streamName: prefix, channelPrefix: prefix, sessionKeyPrefix: prefix + ":session:" };
const { createAdapter: createRecoveryAdapter } = kind === "recovery" ? await import(process.env.RECOVERY) : {};
const adapters = {
  pubsub: () => createAdapter(pub, sub, { key: prefix, requestsTimeout: options.requestsTimeout ?? 5000 }),
  sharded: () => createShardedAdapter(pub, sub, { channelPrefix: prefix, subscriptionMode: options.subscriptionMode ?? "dynamic" }),
  streams: () => createStreamsAdapter(pub, streams),
  recovery: () => createRecoveryAdapter(pub, streams),
};

const http = createServer();
const io = new Server(http, { ...options.server, adapter: adapters[kind]() });

const heard = [];
function setup(nsp) {
  nsp.on("connection", (socket) => {
    socket.on("join", (room, done) => { socket.join(room); done(); });
    socket.on("message", (...args) => socket.emit("message-back", ...args));
    socket.on("message-with-ack", (...args) => args.pop()(...args));
    socket.on("auth", (done) => done(socket.handshake.auth));
    socket.on("leave", (room, done) => { socket.leave(room); done(); });
    socket.on("data", (data, done) => { socket.data = data; done(); });
    socket.on("relay", (ev, ...args) => socket.broadcast.emit(ev, ...args));
    socket.on("relay-room", (room, ev, ...args) => socket.to(room).emit(ev, ...args));
    socket.on("ask-back", (ev) => socket.emit(ev, () => {}));
    socket.on("bye", () => socket.disconnect(true));
    socket.on("reply", (ev, ...args) => socket.emit(ev, ...args));
    socket.on("whoami", (done) => done({ id: socket.id, recovered: socket.recovered, rooms: [...socket.rooms].sort(), data: socket.data ?? null }));
  });
  nsp.on("note", (...args) => heard.push(args));
  nsp.on("ask-node", (arg, done) => done({ from: "node", arg }));
}
setup(io.of("/"));
setup(io.of("/chat"));
setup(io.of(/^\/dynamic-\d+$/));
io.on("new_namespace", (nsp) => {
  if (nsp.name.startsWith("/dynamic-")) {
    nsp.on("note", (...args) => heard.push(args));
  }
});

const out = (o) => process.stdout.write(JSON.stringify(o, pack) + "\n");
function pack(key, value) {
  if (this[key] instanceof Uint8Array) return { $bin: Buffer.from(this[key]).toString("base64") };
  return value;
}
function unpack(key, value) {
  return value && typeof value === "object" && "$bin" in value ? Buffer.from(value.$bin, "base64") : value;
}

function operator(t) {
  let op = io.of(t.nsp ?? "/");
  if (t.rooms) op = op.to(t.rooms);
  if (t.except) op = op.except(t.except);
  if (t.local) op = op.local;
  if (t.volatile) op = op.volatile;
  if (t.compress) op = op.compress(true);
  if (t.timeout) op = op.timeout(t.timeout);
  return op;
}

const details = (s) => ({ id: s.id, rooms: [...s.rooms].sort(), data: s.data ?? null,
  handshake: { query: s.handshake.query, auth: s.handshake.auth, ua: s.handshake.headers["user-agent"], xcustom: s.handshake.headers["x-custom"], url: s.handshake.url, secure: s.handshake.secure, issued: typeof s.handshake.issued } });

const methods = {
  emit: (t, args) => { operator(t).emit(...args); },
  flood: async (t, [ev, n, gap]) => {
    for (let i = 0; i < n; i++) {
      operator(t).emit(ev, i);
      if (gap) await new Promise((r) => setTimeout(r, gap));
    }
  },
  emitWithAck: (t, args) => new Promise((resolve) => operator(t).emit(...args, (err, responses) => resolve({ err: !!err, responses }))),
  fetchSockets: async (t) => (await operator(t).fetchSockets()).map(details),
  socketsJoin: (t, [rooms]) => { operator(t).socketsJoin(rooms); },
  socketsLeave: (t, [rooms]) => { operator(t).socketsLeave(rooms); },
  disconnectSockets: (t, [close]) => { operator(t).disconnectSockets(close); },
  serverSideEmit: (t, args) => { io.of(t.nsp ?? "/").serverSideEmit(...args); },
  serverSideEmitWithAck: (t, args) => new Promise((resolve) => io.of(t.nsp ?? "/").serverSideEmit(...args, (err, responses) => resolve({ err: !!err, responses }))),
  serverCount: (t) => io.of(t.nsp ?? "/").adapter.serverCount(),
  allRooms: async (t) => [...(await io.of(t.nsp ?? "/").adapter.allRooms())].sort(),
  remote: async (t, [method, ...args]) => { const [s] = await operator(t).fetchSockets(); s[method](...args); },
  remoteAsk: async (t, args) => { const [s] = await operator(t).fetchSockets(); return new Promise((resolve) => s.timeout(2000).emit(...args, (err, r) => resolve({ err: !!err, r }))); },
  heard: () => heard,
  cpu: () => { const u = process.cpuUsage(); return u.user + u.system; },
  close: () => new Promise((resolve) => io.close(() => resolve())),
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, target = {}, method, args = [] } = JSON.parse(line, unpack);
  try {
    out({ id, value: (await methods[method](target, args)) ?? null });
  } catch (e) {
    out({ id, error: String(e?.message ?? e) });
  }
}).on("close", () => process.exit(0));

http.listen(0, "127.0.0.1", () => out({ ready: true, port: http.address().port }));
