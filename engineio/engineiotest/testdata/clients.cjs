// Connects the reference clients of both revisions to the node whose address is the first argument, over each
// transport, and exchanges messages. Prints one line for each that succeeds and exits with 1 at the first failure.
"use strict";
const path = require("path");
const root = path.join(__dirname, "..", "..", "..", "node_modules");
const clients = {
  4: require(path.join(root, "engine.io-client")).Socket,
  3: require(path.join(root, "socket.io-client-2/node_modules/engine.io-client")),
};
const messages = ["hello", "1:1\\n\n", "\u00e4\u20ac\u{1f600}", Buffer.from([0, 1, 2, 255]), "x".repeat(100000)];

function exchange(version, name, transports) {
  return new Promise((resolve, reject) => {
    const Client = clients[version];
    const socket = new Client(process.argv[2], { path: "/socket.io/", transports });
    const fail = (why) => reject(new Error(`EIO ${version}, ${name}: ${why}`));
    const timer = setTimeout(() => fail("timed out"), 10000);
    let got = 0;
    let upgraded = transports.length === 1;
    const send = (from, to) => messages.slice(from, to).forEach((m) => socket.send(m));
    const done = () => {
      if (got < messages.length || !upgraded) return;
      clearTimeout(timer);
      socket.removeAllListeners("close");
      socket.on("close", () => resolve(`EIO ${version}, ${name}: ${socket.transport.name}`));
      socket.close();
    };
    socket.on("open", () => send(0, upgraded ? messages.length : 3));
    socket.on("upgrade", () => {
      upgraded = true;
      send(3);
    });
    socket.on("error", (e) => fail(e.message + " " + (e.description || "")));
    socket.on("close", (why) => fail(`closed: ${why}`));
    socket.on("message", (m) => {
      const want = messages[got++];
      const same = typeof want === "string" ? m === want : Buffer.compare(Buffer.from(m), want) === 0;
      if (!same) return fail(`message ${got} is ${String(m).slice(0, 80)}`);
      done();
    });
  });
}

(async () => {
  for (const version of [4, 3]) {
    for (const [name, transports] of Object.entries({
      polling: ["polling"],
      websocket: ["websocket"],
      upgrade: ["polling", "websocket"],
    })) {
      console.log(await exchange(version, name, transports));
    }
  }
  process.exit(0);
})().catch((e) => {
  console.error(e.message);
  process.exit(1);
});
