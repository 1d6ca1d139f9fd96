// The ordinary requests that people serve from the same node as their sockets.
import { digest } from "./ledger.mjs";

const page = "<!doctype html><title>node</title><script src=/socket.io/socket.io.js></script>";

const routes = {
  "/": (req, res) => res.setHeader("Content-Type", "text/html; charset=utf-8").end(page),

  "/cached": (req, res) => {
    res.setHeader("ETag", '"v1"');
    if (req.headers["if-none-match"] === '"v1"') res.writeHead(304).end();
    else res.end("cached");
  },

  "/chunked": async (req, res) => {
    for (let i = 0; i < 8; i++) {
      res.write(String(i).repeat(10000));
      await new Promise(setImmediate);
    }
    res.end();
  },

  "/empty": (req, res) => res.writeHead(204).end(),

  "/hints": (req, res) => res.writeEarlyHints({ link: "</a.css>; rel=preload" }, () => res.end("hinted")),

  "/upload": async (req, res) => {
    const parts = [];
    for await (const part of req) parts.push(part);
    const body = Buffer.concat(parts);
    res.end(JSON.stringify({ method: req.method, length: body.length, sum: digest(body), headers: req.headers }));
  },
};

/** pages makes a request listener; `open` counts the event streams that are open now, `health` is what a probe finds. */
export function pages(open, health) {
  return (req, res) => {
    const path = req.url.split("?")[0];
    if (path === "/events") return events(req, res, open);
    if (path === "/healthz") return res.writeHead(health.status, { "X-Sidway": health.says }).end();
    if (routes[path]) return routes[path](req, res);
    res.writeHead(404).end("no such page");
  };
}

// An event goes out for each line that the reader asks for by the query, then the stream stays open until the reader leaves.
function events(req, res, open) {
  open.events++;
  res.on("close", () => open.events--);
  res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  res.write("data: 0\n\n");
  let seq = 1;
  const timer = setInterval(() => res.write(`data: ${seq++}\n\n`), 20);
  res.on("close", () => clearInterval(timer));
}
