// What nodes and clients of the reference library have in common: messages, and the lines of a history (package history has both in Go).
import { createHash } from "node:crypto";
import { openSync, writeSync } from "node:fs";

/** now is CLOCK_MONOTONIC in nanoseconds, which all processes of a machine share. */
export const now = () => Number(process.hrtime.bigint());

/** history returns what writes events to a file. A line is with the kernel when it returns, so that kill -9 loses none. */
export function history(file, common) {
  const fd = openSync(file, "a");
  return (event) => writeSync(fd, `${JSON.stringify({ at: now(), ...common, ...event })}\n`);
}

/** digest is over all that says whose message it is. */
export function digest(sid, dir, seq, payload) {
  return createHash("sha1").update(`${sid} ${dir} ${seq} `).update(payload).digest("hex").slice(0, 16);
}

/** message makes the arguments of a numbered message, text or binary. */
export function message({ sid, dir, seq, size, binary }) {
  const piece = `${sid} ${seq} é€😀 `;
  const text = piece.repeat(1 + Math.floor(size / piece.length));
  const payload = binary ? Buffer.from(text) : text;
  return [{ sid, seq, sum: digest(sid, dir, seq, payload) }, payload];
}

/** received is the event of a message that came in session sid. */
export function received(sid, dir, head, payload) {
  const event = { kind: "receive", sid, dir, seq: head.seq };
  if (head.sid !== sid) event.of = head.sid;
  if (digest(head.sid, dir, head.seq, payload) !== head.sum) event.bad = true;
  return event;
}

/** sizes are how long payloads are; another length each time, by the number. */
export const sizes = [20, 60, 40, 300, 700, 50, 2000, 30, 9000, 90];
