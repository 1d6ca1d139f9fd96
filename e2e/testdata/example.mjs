// Clients of the example nodes: some poll, some upgrade, some begin as WebSockets. Each says something, and hears what all say.
import { io } from "socket.io-client";

const url = process.argv[2];
const kinds = [["polling"], ["polling", "websocket"], ["websocket"]];
const clients = [...kinds, ...kinds].map((transports) => io(url, { transports, reconnection: false, forceNew: true }));
const nodes = new Set();

await Promise.all(clients.map((socket) => new Promise((resolve, reject) => {
  socket.on("connect_error", reject);
  socket.on("hello", (name) => { nodes.add(name); resolve(); });
})));
await Promise.all(clients.map((socket, i) => new Promise((resolve) => {
  const heard = new Set();
  socket.on("said", (text) => {
    heard.add(text.replace(/^\w+: /, ""));
    if (heard.size === clients.length) resolve();
  });
  socket.emit("say", `I am ${i}`);
})));
for (const socket of clients) socket.close();
if (nodes.size !== 2) throw new Error(`all are on ${[...nodes]}`);
