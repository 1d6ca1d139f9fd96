// A Node node whose sessions can move: the Redis Streams adapter with connection state recovery, told by the environment what to be:
//   NODE_NAME, PORT (0: any), REDIS (host:port),
//   ADAPTER (the module that makes it, if not @socket.io/redis-streams-adapter), PING_INTERVAL, PING_TIMEOUT (ms).
// It keeps nothing of a session but what the session's own rooms and data hold, as a node must whose sessions come and go.
// It prints {"port":N}, then answers the lines {"cmd":"stats"}, {"cmd":"publish","rooms":[…],"period":ms,"fault":…}, {"cmd":"hush"},
// {"cmd":"freeze"} (it stands still, while no ping is unanswered), {"cmd":"stop"}.
import { createServer } from "node:http";
import { createClient } from "redis";
import { Server } from "socket.io";
import { say, serve } from "./lines.mjs";
import { Publisher, Ups } from "./moves.mjs";

const env = process.env;
const name = env.NODE_NAME ?? "node";
const stats = { node: name, live: 0, connections: 0, recovered: 0, asked: 0, answered: 0, wrong: [], reasons: {} };
const ups = new Ups();

const redis = createClient({ url: `redis://${env.REDIS}` });
redis.on("error", () => {});
await redis.connect();
const { createAdapter } = await import(env.ADAPTER ?? "@socket.io/redis-streams-adapter");

const http = createServer((_, answer) => answer.end("a Node node"));
const io = new Server(http, {
  adapter: createAdapter(redis, { maxLen: 100_000 }), // what has come for a node that stands still is not trimmed by what it then says
  pingInterval: Number(env.PING_INTERVAL ?? 25000),
  pingTimeout: Number(env.PING_TIMEOUT ?? 20000),
  connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
});

function welcome(socket) {
  const { name: who, room } = socket.handshake.auth;
  stats.connections++;
  stats.live++;
  if (socket.recovered) {
    stats.recovered++;
    const whole = socket.data.who === who && socket.rooms.has(room) && socket.rooms.has(socket.id) && socket.rooms.size === 2;
    if (!whole) stats.wrong.push(`${who}: ${JSON.stringify(socket.data)} in ${[...socket.rooms]}`);
  } else {
    socket.data = { who, up: -1 };
    socket.join(room);
  }
  const run = ups.run(who);
  let next = socket.recovered ? socket.data.up + 1 : null;
  socket.on("up", (n, ...rest) => {
    const done = rest.at(-1);
    if (next !== null && next !== n) stats.wrong.push(`${who}: its data say that ${next} comes next, not ${n}`);
    next = null;
    run(n);
    socket.data.up = n;
    if (n % 5 === 0) {
      socket.emit("echo", n / 5);
      stats.asked++;
      socket.emit("ask", n, (answer) => {
        if (answer === n) stats.answered++;
      });
    }
    done(n);
  });
  socket.on("whoami", (done) => done({ node: name, id: socket.id, who: socket.data.who, rooms: [...socket.rooms].sort() }));
  socket.on("disconnect", (reason) => {
    stats.live--;
    stats.reasons[reason] = (stats.reasons[reason] ?? 0) + 1;
  });
}
io.on("connection", welcome);
io.of("/chat").on("connection", welcome);

const pinged = new Set();
io.engine.on("connection", (connection) => {
  connection.on("packetCreate", (packet) => packet.type === "ping" && pinged.add(connection));
  connection.on("heartbeat", () => pinged.delete(connection));
  connection.on("close", () => pinged.delete(connection));
});
function freeze() {
  if (pinged.size > 0) setTimeout(freeze, 1);
  else process.kill(process.pid, "SIGSTOP");
}

const publisher = new Publisher(io);
http.listen(Number(env.PORT ?? 0), "127.0.0.1", () => say({ port: http.address().port }));
serve({
  stats: () => ({ ...stats, ups: ups.report() }),
  publish: (args) => publisher.start(args),
  hush: () => publisher.stop(),
  freeze: () => (setTimeout(freeze), {}),
  stop: () => ({}),
});
