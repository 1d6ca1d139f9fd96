// Sessions of the reference client for the tests of the status page, told by argv: {"url", "polling", "websocket"}. It prints
// {"ready":true} when all are connected, then answers {"cmd":"sids"} with [{"sid","transport","node"}] of those that are. The end of
// stdin ends it.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const { url, polling = 0, websocket = 0 } = JSON.parse(process.argv[2]);
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const sockets = [];
for (let i = 0; i < polling + websocket; i++) {
  const transports = i < polling ? ["polling"] : ["polling", "websocket"];
  const socket = io(url, { transports, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500 });
  socket.on("hello", ({ node }) => (socket.node = node));
  sockets.push(socket);
}
const connected = () => sockets.filter((s) => s.connected && s.node);
const upgraded = () => sockets.slice(polling).filter((s) => s.io.engine?.transport?.name === "websocket");
const tick = setInterval(() => {
  if (connected().length < sockets.length || upgraded().length < websocket) return;
  clearInterval(tick);
  say({ ready: true });
}, 20);
for await (const line of createInterface({ input: process.stdin })) {
  if (JSON.parse(line).cmd === "sids") say(connected().map((s) => ({ sid: s.io.engine.id, transport: s.io.engine.transport.name, node: s.node })));
}
process.exit(0);
