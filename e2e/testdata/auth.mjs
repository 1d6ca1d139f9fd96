// Clients that bring a token, by the line protocol:
//   {"cmd":"come","url":…,"library":4|2,"options":{…}} connects and answers {user, auth, url, protocols, transport} as the node sees it,
//     or {error, status}; with "again":{…} a client that is refused tries once more with that auth, and answers {refused, code} too;
//   {"cmd":"end"} answers {reason, after} when the session that came last has ended, with the milliseconds since it came.
import { createRequire } from "node:module";
import { say, serve } from "./lines.mjs";

const require = createRequire(import.meta.url);
let ended;

function come({ url, library, options, again }) {
  const io = require(library === 2 ? "socket.io-client-2" : "socket.io-client");
  const socket = io(url, { ...options, forceNew: true, reconnection: false });
  const began = Date.now();
  ended = new Promise((resolve) => {
    socket.on("disconnect", (reason) => resolve({ reason, after: Date.now() - began }));
  });
  const refused = {};
  return new Promise((resolve) => {
    socket.on("connect_error", (err) => {
      if (!again || refused.refused) return resolve({ error: err.message ?? String(err), status: err.description?.message ?? err.description });
      Object.assign(refused, { refused: err.message, code: err.data?.code });
      socket.auth = again;
      socket.connect();
    });
    socket.on("connect", () => {
      const tell = () => socket.emit("whoami", (who) => {
        resolve({ ...who, ...refused, transport: socket.io.engine.transport.name });
      });
      const wanted = options.transports.at(-1);
      if (socket.io.engine.transport.name === wanted) tell();
      else socket.io.engine.once("upgrade", tell);
    });
  });
}

serve({ come, end: () => ended, stop: () => ({}) });
say({ ready: true });
