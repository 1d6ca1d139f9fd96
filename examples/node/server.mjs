// A chat of one room. Nodes hear of each other's messages through Redis.
//   NAME=n1 PORT=3001 REDIS_URL=redis://127.0.0.1:6379 node server.mjs
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const { NAME = "node", PORT = "3001", HOST = "0.0.0.0", REDIS_URL } = process.env;
let stopping = false;

const http = createServer((req, res) => {
  if (req.url === "/healthz") {
    // sidway reads X-Sidway: a node that stops asks for its drain.
    res.setHeader("X-Sidway", stopping ? "drain" : "ready").end("ok\n");
    return;
  }
  res.end(`this is ${NAME}\n`);
});
const io = new Server(http);

if (REDIS_URL) {
  const publisher = createClient({ url: REDIS_URL });
  const subscriber = publisher.duplicate();
  for (const client of [publisher, subscriber]) {
    client.on("error", (err) => console.error("redis:", err.message));
    await client.connect();
  }
  io.adapter(createAdapter(publisher, subscriber));
}

io.on("connection", (socket) => {
  socket.emit("hello", NAME);
  socket.on("say", (text) => io.emit("said", `${NAME}: ${text}`));
});

http.listen(Number(PORT), HOST, () => console.log(`${NAME} listens on ${http.address().port}`));
process.on("SIGTERM", () => {
  stopping = true; // the health page says so; sidway moves the clients on, and then the process may be killed
});
