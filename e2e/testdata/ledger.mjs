// What one receiver saw of one numbered stream: nothing missing, nothing twice, nothing out of order, nothing changed.
import { createHash } from "node:crypto";

/** digest names a payload: text by its UTF-8 bytes, binary as it is. */
export function digest(payload) {
  return createHash("sha1").update(payload).digest("hex").slice(0, 16);
}

/**
 * Ledger judges sequence numbers that must arrive as 0, 1, 2, …: a number that comes after a later one is reordered,
 * one that was taken before is doubled, one that a later number overtook and that never came is lost.
 */
export class Ledger {
  next = 0;
  received = 0;
  doubled = 0;
  reordered = 0;
  corrupt = 0;
  missing = new Set();

  take(seq, intact) {
    this.received++;
    if (!intact) this.corrupt++;
    if (seq >= this.next) {
      for (let skipped = this.next; skipped < seq; skipped++) this.missing.add(skipped);
      this.next = seq + 1;
    } else if (this.missing.delete(seq)) {
      this.reordered++;
    } else {
      this.doubled++;
    }
  }

  /** lost counts what never came of the first `sent` numbers. */
  lost(sent = this.next) {
    return this.missing.size + Math.max(0, sent - this.next);
  }
}
