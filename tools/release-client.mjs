// The nodes that deploy/package/sidway.yaml names, and clients that come through sidway at port 8080, until SIGTERM. Then it prints what became of
// them: echoes by one session that polls, echoes by one on a WebSocket, how often each lost its connection, and new sessions, which
// another client makes all the time, that were had and that failed.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";

for (const port of [3001, 3002]) {
  const server = createServer();
  new Server(server).on("connection", (socket) => socket.on("echo", (value, answer) => answer(value)));
  await new Promise((listening) => server.listen(port, "127.0.0.1", listening));
}
const clients = ["polling", "websocket"].map((transport) => {
  const client = { transport, echoes: 0, lost: 0 };
  const socket = io("http://127.0.0.1:8080", { transports: [transport], reconnectionDelay: 100 });
  socket.on("disconnect", () => client.lost++);
  setInterval(() => socket.connected && socket.emit("echo", 1, () => client.echoes++), 50);
  return client;
});
const handshakes = { had: 0, failed: 0, errors: [] };
let begun = false; // sidway is started after the nodes
setInterval(async () => {
  try {
    const answer = await fetch("http://127.0.0.1:8080/socket.io/?EIO=4&transport=polling", { headers: { connection: "close" } });
    if (!(await answer.text()).startsWith("0{")) throw new Error(answer.status);
    begun = true;
    handshakes.had++;
  } catch (error) {
    if (!begun) return;
    handshakes.failed++;
    handshakes.errors.push(String(error.cause ?? error));
  }
}, 20);
process.on("SIGTERM", () => {
  console.log(JSON.stringify({ clients, handshakes }));
  process.exit();
});
