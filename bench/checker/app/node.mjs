// A Socket.IO node that writes a history. The environment says what it is:
//   NODE_NAME, HOST, PORT (0: any), SOCKETIO (4 or 2), PING_INTERVAL, PING_TIMEOUT, PUSH (ms), HISTORY (a directory),
//   KEEP_ALIVE (ms for which idle connections are kept), QUIET (1: answers do not say for how long),
//   BUSY (ms for which it does nothing else, half of the time).
// It prints {"port":N} when it accepts.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { history, message, now, received, sizes } from "./message.mjs";

const require = createRequire(import.meta.url);
const env = process.env;
const by = `${env.NODE_NAME}/${process.pid}`;
const write = history(join(env.HISTORY, `node-${by.replace("/", "-")}.jsonl`), { tap: "node", by });
const push = Number(env.PUSH ?? 500);
const known = new Set();

const server = createServer((req, res) => res.end("ok"));
if (env.KEEP_ALIVE) server.keepAliveTimeout = Number(env.KEEP_ALIVE);
const options = {
  pingInterval: Number(env.PING_INTERVAL ?? 25000),
  pingTimeout: Number(env.PING_TIMEOUT ?? 20000),
};
const io = env.SOCKETIO === "2"
  ? require("socket.io-2")(server, options)
  : new (require("socket.io").Server)(server, { ...options, allowEIO3: true });

// Node writes its Keep-Alive only beside its own Connection.
if (env.QUIET) server.prependListener("request", (_, res) => res.setHeader("Connection", "keep-alive"));
for (const kind of ["request", "upgrade"]) {
  server.prependListener(kind, (req) => {
    const sid = new URL(req.url, "http://node").searchParams.get("sid");
    if (sid && !known.has(sid)) write({ kind: "stray", sid, why: `${req.method} ${kind}` });
  });
}

io.engine.on("connection", (session) => {
  known.add(session.id);
  write({ kind: "open", sid: session.id });
  session.on("close", (why) => {
    known.delete(session.id);
    write({ kind: "end", sid: session.id, why });
  });
});

io.on("connection", (socket) => {
  const sid = socket.conn.id;
  let sent = 0;
  const send = () => {
    const seq = sent++;
    write({ kind: "send", sid, dir: "down", seq });
    // Raw clients understand no attachments; the others ask for some.
    const binary = !!socket.handshake.query.binary && seq % 3 === 1;
    socket.emit("down", ...message({ sid, dir: "down", seq, size: sizes[seq % sizes.length], binary }), () => {
      write({ kind: "ack", sid, dir: "down", seq });
    });
  };
  const timer = setInterval(send, push * (0.75 + Math.random() / 2));
  socket.on("up", (head, payload, ack) => {
    write(received(sid, "up", head, payload));
    if (!ack) return; // nothing is asked for
    ack();
    if (head.seq % 3 === 0) send();
  });
  socket.on("settle", (ack) => {
    clearInterval(timer);
    ack({ sent });
  });
  socket.on("disconnect", () => clearInterval(timer));
});

if (env.BUSY) {
  setInterval(() => {
    for (const end = now() + env.BUSY * 1e6; now() < end;);
  }, 2 * env.BUSY);
}

server.listen(Number(env.PORT ?? 0), env.HOST ?? "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
