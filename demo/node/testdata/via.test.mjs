import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { Via } from "../via.mjs";

const replicas = [{ name: "r1", host: "one", port: "8080" }, { name: "r2", host: "two", port: "8080" }, { name: "r3", host: "one", port: "81" }];

/** engine has one session, of a client that connected to port 8080 of whoever is at this address. */
function engine(address) {
  const server = Object.assign(new EventEmitter(), { use: (handler) => (server.handler = handler) });
  const request = (sid, from) => ({ url: `/socket.io/?sid=${sid}`, socket: { remoteAddress: from }, headers: { "x-forwarded-port": "8080" } });
  server.begin = (id) => server.emit("connection", Object.assign((server.session = new EventEmitter()), { id, request: request("", address) }));
  server.ask = (sid, from) => new Promise((done) => server.handler(request(sid, from), {}, done));
  return server;
}

test("a replica that is found later", async () => {
  let hosts = {};
  const via = new Via(replicas, async (host) => (hosts[host] ? [{ address: hosts[host] }] : Promise.reject(new Error("no such host"))));
  const server = engine("::ffff:127.0.0.1");
  via.watch(server);
  await via.look();
  server.begin("s1");
  assert.equal(via.of("s1"), "");
  hosts = { one: "127.0.0.1", two: "127.0.0.2" };
  await via.look();
  assert.equal(via.of("s1"), "r1");
  await server.ask("s1", "127.0.0.2");
  assert.equal(via.of("s1"), "r2");
  await server.ask("unknown", "127.0.0.2");
  assert.equal(via.of("unknown"), "");

  hosts = { two: "127.0.0.1" }; // one goes, and two gets its address
  await via.look();
  await server.ask("s1", "127.0.0.1");
  assert.equal(via.of("s1"), "r2");
  hosts = {};
  await via.look();
  assert.equal(via.of("s1"), "r2");
  hosts = { one: "127.0.0.3", two: "127.0.0.1" };
  await via.look();
  assert.equal(via.of("s1"), "r2");
  server.session.emit("close");
  assert.equal(via.of("s1"), "");
});

test("a lookup that takes long", async () => {
  let answer;
  let asked = 0;
  const slow = new Promise((resolve) => (answer = resolve));
  const via = new Via(replicas.slice(0, 2), (host) => (host === "one" ? (asked++, slow) : Promise.resolve([{ address: "127.0.0.2" }])));
  const server = engine("127.0.0.2");
  via.watch(server);
  server.begin("s1");
  const looks = [via.look(), via.look()];
  await looks[1];
  assert.equal(via.of("s1"), "r2");
  assert.equal(asked, 1);
  answer([{ address: "127.0.0.1" }]);
  await looks[0];
});
