// What a client has said and no node has yet put into the log. One after the other, each again and again until it is
// there: its key makes sure that it is heard once.

const patience = 8000; // for an answer
const pauses = [300, 700, 1500, 3000];

export class Outbox {
  /** Entries in order: {room, key, text, image, at, state: "waiting" | "sending", why}. */
  entries;
  #busy = false;
  #attempts = 0;
  #timer = null;

  /** ask(event, request, data, patience) resolves with a node's answer, and rejects if there is none in time; changed
   *  is told of entries whose state changed, done of those that left the outbox; kept (see kept.js) has them across
   *  reloads of the page. */
  constructor({ ready, ask, changed, done, kept = null }) {
    Object.assign(this, { ready, ask, changed, done, kept });
    this.entries = kept?.load() ?? [];
  }

  add(entry) {
    entry.state = "waiting";
    this.entries.push(entry);
    this.kept?.add(entry);
    this.changed(entry);
    this.pump();
  }

  /** again stops waiting for a better moment, because one has come. */
  again() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#attempts = 0;
    this.pump();
  }

  async pump() {
    if (this.#busy || this.#timer || !this.entries.length || !this.ready()) return;
    this.#busy = true;
    const [entry] = this.entries;
    entry.state = "sending";
    this.changed(entry);
    const answer = await this.#try(entry);
    this.#busy = false;
    if (answer.ok || !answer.retry) {
      this.#attempts = 0;
      this.entries.shift();
      this.kept?.remove(entry);
      this.done(entry, answer);
      this.pump();
      return;
    }
    entry.state = "waiting";
    entry.why = answer.error;
    this.changed(entry);
    const pause = pauses[Math.min(this.#attempts++, pauses.length - 1)];
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.pump();
    }, pause * (0.75 + Math.random() / 2));
  }

  async #try({ room, key, text, image }) {
    try {
      return await this.ask("message", { room, key, text }, image, patience);
    } catch {
      return { ok: false, retry: true, error: "no answer" };
    }
  }
}
