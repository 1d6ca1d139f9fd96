// A Socket.IO node of several processes behind one port, as @socket.io/sticky 1.x makes it: the primary hands each connection
// to a worker by the first request on it. It prints {"port":N} when all workers run.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { say, serve } from "./lines.mjs";

const workers = 4;

if (cluster.isPrimary) {
  cluster.setupPrimary({ stdio: ["pipe", "ignore", "inherit", "ipc"] });
  const server = createServer();
  createRequire(import.meta.url)("@socket.io/sticky").setupMaster(server, { loadBalancingMethod: "round-robin" });
  let started = 0;
  cluster.on("message", () => {
    if (++started === workers) server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
  });
  for (let i = 0; i < workers; i++) cluster.fork({ STICKY_WORKER: "1", NODE_NAME: `w${i + 1}` });
  serve({ stop: () => ({}) });
} else {
  await import("./server.mjs");
  process.send("started");
}
