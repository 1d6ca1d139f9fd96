// Node's emitter, driven by lines of JSON. Arguments: Redis address, prefix.
import { createInterface } from "node:readline";
import { createClient } from "redis";
import { Emitter } from "@socket.io/redis-emitter";

const [address, prefix] = process.argv.slice(2);
const client = createClient({ url: `redis://${address}` });
client.on("error", () => {});
await client.connect();
const emitter = new Emitter(client, { key: prefix });
const unpack = (k, v) => (v && typeof v === "object" && "$bin" in v ? Buffer.from(v.$bin, "base64") : v);
console.log(JSON.stringify({ ready: true }));
createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, target: t, method, args } = JSON.parse(line, unpack);
  try {
    let op = t.nsp ? emitter.of(t.nsp) : emitter;
    for (const r of t.rooms ?? []) op = op.to(r);
    for (const r of t.except ?? []) op = op.except(r);
    if (t.volatile) op = op.volatile;
    if (t.compress) op = op.compress(true);
    op[method](...args);
    console.log(JSON.stringify({ id, value: null }));
  } catch (e) {
    console.log(JSON.stringify({ id, error: String(e.message) }));
  }
}).on("close", () => process.exit(0));
