// Reads lines of JSON: {"value": …} is encoded by notepack.io, {"hex": …} decoded. Numbers outside JSON come as {"$n": text}.
import { createInterface } from "node:readline";
import msgpack from "notepack.io";

const revive = (k, v) => {
  if (v && typeof v === "object") {
    if ("$n" in v) return Number(v.$n);
    if ("$bin" in v) return Buffer.from(v.$bin, "base64");
    if ("$date" in v) return new Date(v.$date);
  }
  return v;
};
function plain(v) {
  if (v instanceof Uint8Array || v instanceof ArrayBuffer) return { $bin: Buffer.from(v).toString("base64") };
  if (v instanceof Date) return Number.isNaN(v.getTime()) ? null : v.toISOString();
  if (Array.isArray(v)) return v.map(plain);
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, e]) => [k, plain(e)]));
  if (typeof v === "number" && !Number.isFinite(v)) return null;
  return v === undefined ? null : v;
}
createInterface({ input: process.stdin }).on("line", (line) => {
  const ask = JSON.parse(line);
  try {
    if ("hex" in ask) console.log(JSON.stringify({ value: { v: plain(msgpack.decode(Buffer.from(ask.hex, "hex"))) } }));
    else console.log(JSON.stringify({ value: msgpack.encode(JSON.parse(JSON.stringify(ask.value), revive)).toString("hex") }));
  } catch (e) {
    console.log(JSON.stringify({ error: String(e.message) }));
  }
}).on("close", () => process.exit(0));
