// What a client knows of a room's log. An id is "<when the log began>-<number>"; numbers have no gaps, so a client sees
// by itself what it lacks, however messages reached it.

/** position takes an id apart; null for none. */
export function position(id) {
  const m = /^(\d+)-(\d+)$/.exec(id ?? "");
  return m && { began: Number(m[1]), number: Number(m[2]) };
}

/** covers tells whether someone who has everything up to `id` has the message `other`. */
export function covers(id, other) {
  const a = position(id);
  const b = position(other);
  return Boolean(a && b && a.began === b.began && a.number >= b.number);
}

export class Log {
  /** Items in order: {message} or {notice}. Only grows, at its end or at its front. */
  items = [];
  /** Ids of the first and the last message of the part without gaps; empty before the first page. */
  first = "";
  last = "";
  /** Whether there is more before the first. */
  earlier = false;
  /** Messages that came before those before them did. */
  #ahead = new Map();
  /** Keys of messages, so that one that a node repeated is shown once, even in a log that began anew. */
  keys = new Set();

  /** take adds a message that was told at once. It returns what is new in order, and whether something is missing. */
  take(message) {
    const at = position(message.id);
    const last = position(this.last);
    if (!at) return { fresh: [], gap: false };
    if (!last || at.began !== last.began) return { fresh: [], gap: true };
    if (at.number > last.number) this.#ahead.set(at.number, message);
    return { fresh: this.#advance(), gap: this.#ahead.size > 0 };
  }

  /** fill adds a page of what follows the last message, as the node gave it. It returns what is new in order. */
  fill(page) {
    const fresh = [];
    const [head] = page.messages;
    if (page.reset) {
      if (this.last) this.#notice(fresh, "The log began anew; what was sent before is shown only here.");
      this.#ahead.clear();
      this.first = this.last = "";
      if (head) this.#append(fresh, head);
      this.earlier = Boolean(head) && position(head.id).number > 1;
    } else if (head && position(head.id).number > position(this.last).number + 1) {
      this.#notice(fresh, "Some messages were too many to be kept and are not shown.");
      this.#append(fresh, head);
    }
    for (const message of page.messages) {
      const at = position(message.id);
      const last = position(this.last);
      if (at.number === last.number + 1) this.#append(fresh, message);
    }
    return [...fresh, ...this.#advance()];
  }

  /** precede adds a page of what precedes the first message and returns its items. */
  precede(page) {
    const items = page.messages.filter((m) => !this.keys.has(m.key)).map((message) => ({ message }));
    for (const { message } of items) this.keys.add(message.key);
    if (page.messages.length) this.first = page.messages[0].id;
    this.earlier = page.more && page.messages.length > 0;
    this.items.unshift(...items);
    return items;
  }

  #advance() {
    const fresh = [];
    const last = position(this.last);
    if (!last) return fresh;
    for (const number of this.#ahead.keys()) if (number <= last.number) this.#ahead.delete(number);
    for (let n = last.number + 1; this.#ahead.has(n); n++) {
      this.#append(fresh, this.#ahead.get(n));
      this.#ahead.delete(n);
    }
    return fresh;
  }

  #append(fresh, message) {
    this.last = message.id;
    this.first ||= message.id;
    if (message.key && this.keys.has(message.key)) return;
    this.keys.add(message.key);
    const item = { message };
    this.items.push(item);
    fresh.push(item);
  }

  #notice(fresh, notice) {
    const item = { notice };
    this.items.push(item);
    fresh.push(item);
  }
}
