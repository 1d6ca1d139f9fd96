// A node with a published defect, of the packages that the environment names: ENGINE, or PARSER or WS below the socket.io of today.
// It prints {"port":N}, then answers {"cmd":"stats"}: POSTs that it never answered though their session is over, and the attachments
// that a packet has it hold.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { say, serve } from "./lines.mjs";

const require = createRequire(import.meta.url);
const { ENGINE, PARSER, WS } = process.env;
const server = createServer();
const posts = new Set();
const decoders = new Set();
let over = 0;

let engine;
if (ENGINE) {
  engine = require(ENGINE).attach(server, { path: "/socket.io/" });
} else {
  const options = {};
  if (PARSER) {
    const parser = require(PARSER);
    class Decoder extends parser.Decoder {
      constructor() {
        super();
        decoders.add(this);
      }
    }
    options.parser = { ...parser, Encoder: parser.Encoder, Decoder };
  }
  if (WS) options.wsEngine = require(WS).Server;
  const io = new (require("socket.io").Server)(server, options);
  io.on("connection", () => {});
  engine = io.engine;
}
// Behind attach, which takes the listeners that are there for other paths than its own.
server.on("request", (request, response) => {
  if (request.method !== "POST") return;
  posts.add(response);
  response.on("finish", () => posts.delete(response));
});
engine.on("connection", (session) => session.on("close", () => over++));

const stats = () => ({
  unanswered: over > 0 ? posts.size : 0,
  held: Math.max(0, ...[...decoders].map((d) => d.reconstructor?.buffers.length ?? 0)),
});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
await serve({ stats });
