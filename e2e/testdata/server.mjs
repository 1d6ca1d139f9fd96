// A Socket.IO node for the end-to-end tests, told by the environment what to be:
//   NODE_NAME, SOCKETIO (the package of the server), ALLOW_EIO3, PING_INTERVAL, PING_TIMEOUT (ms), PORT (0: any).
// It prints {"port":N}, then answers the lines {"cmd":"stats"}, {"cmd":"health"}, which says how /healthz is answered from then on,
// and {"cmd":"stop"}.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { Ledger, digest } from "./ledger.mjs";
import { pages } from "./pages.mjs";
import { payload } from "./payload.mjs";
import { say, serve } from "./lines.mjs";

const require = createRequire(import.meta.url);
const env = process.env;
const name = env.NODE_NAME ?? "node";
const stats = {
  node: name, sessions: 0, live: 0, upgraded: 0, websockets: 0, sockets: 0, events: 0,
  received: 0, lost: 0, doubled: 0, reordered: 0, corrupt: 0, closes: {},
  clients: {}, // requests and upgrades, by the address that they come from
};
const ledgers = new Set();

const health = { status: 200, says: "ready" };
const server = createServer(pages(stats, health));
const options = {
  pingInterval: Number(env.PING_INTERVAL ?? 25000),
  pingTimeout: Number(env.PING_TIMEOUT ?? 20000),
};
const library = env.SOCKETIO ?? "socket.io";
const io = library === "socket.io-2"
  ? require(library)(server, options)
  : new (require(library).Server)(server, { ...options, allowEIO3: env.ALLOW_EIO3 === "1" });

io.engine.on("connection", (session) => {
  stats.sessions++;
  stats.live++;
  if (session.transport.name === "websocket") stats.websockets++;
  session.on("upgrade", () => stats.upgraded++);
  session.on("close", (reason) => {
    stats.live--;
    stats.closes[reason] = (stats.closes[reason] ?? 0) + 1;
  });
});

io.on("connection", (socket) => {
  stats.sockets++;
  const ledger = new Ledger();
  ledgers.add(ledger);
  const pushes = { salt: stats.sockets, sent: 0, waiting: 0, settled: null };

  const push = () => {
    const seq = pushes.sent++;
    const data = payload({ salt: pushes.salt, seq, size: 40 + (seq % 3) * 700, binary: seq % 2 === 1 });
    socket.emit("push", { seq, sum: digest(data) }, data);
  };
  const pushLater = (ms) => {
    pushes.waiting++;
    setTimeout(() => {
      push();
      if (--pushes.waiting === 0) pushes.settled?.();
    }, ms);
  };

  socket.on("echo", (head, data, ack) => {
    ledger.take(head.seq, digest(data) === head.sum);
    push();
    ack({ seq: head.seq }, data);
    if (head.late) pushLater(head.late);
  });
  socket.on("whoami", (ack) => ack({
    user: socket.handshake.headers["x-user"] ?? "",
    auth: socket.handshake.auth?.token ?? "",
    url: socket.request.url,
    protocols: socket.request.headers["sec-websocket-protocol"] ?? "",
  }));
  socket.on("settle", (ack) => {
    pushes.settled = () => {
      pushes.settled = null;
      ack({ pushed: pushes.sent });
    };
    if (pushes.waiting === 0) pushes.settled();
  });
  socket.emit("hello", { node: name });
});

for (const kind of ["request", "upgrade"]) {
  server.on(kind, (req) => {
    const client = `${kind} ${req.headers["x-real-ip"]}`;
    stats.clients[client] = (stats.clients[client] ?? 0) + 1;
  });
}

// A WebSocket that is no Socket.IO, on a path beside it.
const plain = new (require("ws").WebSocketServer)({ noServer: true });
server.on("upgrade", (req, socket, head) => {
  if (!req.url.startsWith("/live")) return;
  plain.handleUpgrade(req, socket, head, (ws) => ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary })));
});

if (env.STICKY_WORKER) {
  require("@socket.io/sticky").setupWorker(io);
} else {
  server.listen(Number(env.PORT ?? 0), "127.0.0.1", () => say({ port: server.address().port }));
}

serve({
  stats: () => {
    const sums = { received: 0, lost: 0, doubled: 0, reordered: 0, corrupt: 0 };
    for (const ledger of ledgers) {
      sums.received += ledger.received;
      sums.lost += ledger.lost();
      sums.doubled += ledger.doubled;
      sums.reordered += ledger.reordered;
      sums.corrupt += ledger.corrupt;
    }
    return { ...stats, ...sums };
  },
  health: (now) => Object.assign(health, now),
  stop: () => ({}),
});
