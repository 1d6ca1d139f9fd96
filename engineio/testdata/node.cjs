// Answers the tests' questions with Node's own Engine.IO code: one JSON request a line on stdin, one answer a line on
// stdout, until stdin ends.
"use strict";
const fs = require("fs");
const http = require("http");
const path = require("path");
const querystring = require("querystring");
const readline = require("readline");
const url = require("url");

const root = path.join(__dirname, "..", "..", "node_modules");
const load = (name) => require(path.join(root, name));
const { Polling } = load("engine.io/build/transports/polling.js");
const { JSONP } = load("engine.io/build/transports/polling-jsonp.js");
const parser3 = load("engine.io/build/parser-v3/index.js");
const { Decoder } = load("socket.io-parser-4.2.2/build/cjs/index.js");
const parser4 = load("engine.io-parser/build/cjs/index.js");

// transport returns a transport of a node that is connected to nothing.
function transport(c) {
  const request = { _query: { EIO: String(c.version) }, headers: {} };
  if (c.jsonp !== undefined) request._query.j = c.jsonp;
  return c.jsonp !== undefined ? new JSONP(request) : new Polling(request);
}

// closedByClient says whether a node that gets this body in a POST takes the session for closed by the client.
function closedByClient(c) {
  const t = transport(c);
  let closed = false;
  t.onClose = () => (closed = true);
  t.onPacket = () => {};
  const body = Buffer.from(c.body, "base64");
  t.onData(c.binary ? body : body.toString("utf8"));
  return closed;
}

// harms says whether a node that gets this body in a POST waits for more than ten attachments, or for a number that is none, or has an
// event whose name is neither text nor a number.
function harms(c) {
  const t = transport(c);
  let harmed = false;
  t.onClose = () => {};
  t.onPacket = ({ type, data }) => {
    if (type !== "message" || typeof data !== "string") return;
    try {
      const p = new Decoder().decodeString(data);
      const binary = p.type === 5 || p.type === 6;
      if (binary && !(p.attachments >= 1 && p.attachments <= 10)) harmed = true;
      const name = (p.type === 2 || p.type === 5) && p.data && p.data.length > 0 && p.data[0];
      if (name !== false && name !== undefined && typeof name !== "string" && typeof name !== "number") harmed = true;
    } catch (e) {} // it is refused
  };
  const body = Buffer.from(c.body, "base64");
  t.onData(c.binary ? body : body.toString("utf8"));
  return harmed;
}

// closedByNode says whether a client that gets this body in answer to a poll takes the session for closed.
function closedByNode(c) {
  const body = Buffer.from(c.body, "base64");
  let data = c.binary ? body : body.toString("utf8");
  if (c.jsonp !== undefined) {
    const slots = {};
    new Function("___eio", data)(new Proxy(slots, { get: () => (text) => (data = text) }));
  }
  let closed = false;
  const packet = (p) => {
    if (p.type === "close") closed = true;
    return !closed;
  };
  if (c.version === 4) parser4.decodePayload(data).every(packet);
  else parser3.decodePayload(data, packet);
  return closed;
}

const attempt = (f, c) => {
  try {
    return f(c);
  } catch (e) {
    return false;
  }
};

function encode(c) {
  const packets = c.packets.map((p) => (p.bytes ? { type: p.type, data: Buffer.from(p.bytes, "base64") } : p));
  let body;
  const done = (data) => (body = data);
  if (c.version === 4) parser4.encodePayload(packets, done);
  else if (c.binary) parser3.encodePayloadAsBinary(packets, done);
  else parser3.encodePayload(packets, false, done);
  if (c.jsonp !== undefined) {
    const t = transport(c);
    Polling.prototype.doWrite = done;
    t.doWrite(body);
  }
  return Buffer.from(body).toString("base64");
}

const servers = {};

function serve(kind) {
  const server = http.createServer();
  const cors = { origin: true, credentials: true };
  const io =
    kind === "2.5"
      ? load("socket.io-2")(server)
      : new (load("socket.io").Server)(server, { cors, allowEIO3: kind === "4.8 with EIO 3" });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      servers[port] = io;
      resolve(port);
    }),
  );
}

// readQuery returns the parameters of a query as engine.io 6 and engine.io 3 read them (prepare in lib/server).
function readQuery(raw) {
  const target = "/socket.io/?" + Buffer.from(raw, "base64").toString("latin1");
  const pick = ({ EIO, transport, sid, j }) => ({ EIO, transport, sid, j });
  return [
    pick(Object.fromEntries(new URL(target, "https://socket.io").searchParams.entries())),
    pick(querystring.parse(url.parse(target).query)),
  ];
}

const session = (q) => (servers[q.port].engine || servers[q.port].eio).clients[q.sid];

const commands = {
  inherited: () => Object.getOwnPropertyNames(Object.prototype),
  query: (q) => q.cases.map(readQuery),
  close: (q) => q.cases.map((c) => attempt(c.client ? closedByClient : closedByNode, c)),
  harms: (q) => q.cases.map((c) => attempt(harms, c)),
  encode: (q) => q.cases.map(encode),
  serve: (q) => serve(q.kind),
  end: (q) => {
    session(q).close();
    return true;
  },
  waitForPoll: async (q) => {
    while (!session(q).transport.writable) await new Promise(setImmediate);
    return true;
  },
};

readline
  .createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const q = JSON.parse(line);
    fs.writeSync(1, JSON.stringify(await commands[q.cmd](q)) + "\n");
  })
  .on("close", () => process.exit(0));
