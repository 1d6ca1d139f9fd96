// Reference clients that tests drive by lines of JSON on stdin. Every event that a client receives is told on stdout.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import io2 from "socket.io-client-2";

const clients = new Map();
const out = (o) => process.stdout.write(JSON.stringify(o, pack) + "\n");
function pack(key, value) {
  const v = this[key];
  if (v instanceof Uint8Array || v instanceof ArrayBuffer) return { $bin: Buffer.from(v).toString("base64") };
  return value;
}
const unpack = (key, value) => value && typeof value === "object" && "$bin" in value ? Buffer.from(value.$bin, "base64") : value;

function connect(name, url, { eio3, ...options }) {
  const socket = (eio3 ? io2 : io)(url, { forceNew: true, reconnection: false, ...options });
  clients.set(name, socket);
  const tell = (event, ...args) => out({ client: name, event, args });
  socket.on("connect", () => tell("connect", socket.id, socket.recovered));
  socket.on("disconnect", (reason) => tell("disconnect", reason));
  socket.on("connect_error", (e) => tell("connect_error", e.message));
  socket.io.engine?.on("close", () => tell("engine-close"));
  socket.onAny?.((event, ...args) => {
    const done = typeof args.at(-1) === "function" ? args.pop() : undefined;
    tell(event, ...args);
    if (done && event.startsWith("ask-empty")) done();
    else if (done && event.startsWith("ask") && !event.endsWith("only-" + (name.startsWith("a") ? "b" : "a"))) done(name, "second");
  });
  return socket;
}

const methods = {
  connect: (name, url, options) => { connect(name, url, options); },
  emit: (name, ...args) => { clients.get(name).emit(...args); },
  burst: (name, ev, n) => { for (let i = 0; i < n; i++) clients.get(name).emit(ev, i); },
  ask: (name, ...args) => clients.get(name).timeout(5000).emitWithAck(...args),
  disconnect: (name) => { clients.get(name).disconnect(); },
  // The network goes away without a word: no close packet, no FIN that Socket.IO sees as wanted.
  cut: (name) => { clients.get(name).io.engine.close(); },
  reopen: (name, url) => { const s = clients.get(name); if (url) s.io.uri = url; s.connect(); },
  upgraded: (name) => clients.get(name).io.engine.transport.name,
  cpu: () => { const u = process.cpuUsage(); return u.user + u.system; },
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, method, args = [] } = JSON.parse(line, unpack);
  try {
    out({ id, value: (await methods[method](...args)) ?? null });
  } catch (e) {
    out({ id, error: String(e?.message ?? e) });
  }
}).on("close", () => process.exit(0));
out({ ready: true });
