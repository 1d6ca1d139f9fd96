// What a person would notice of a fault, measured: for how long nobody answered, whether the connection was kept, and what
// became of the room's messages meanwhile.

import { position } from "./log.js";

const beatEvery = 25; // ms
const beatLimit = 20_000;
const settled = 400; // for what is still on its way when all is well again

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Watch {
  from;
  disconnects = 0;
  /** The longest that a request waited for its answer, in ms, and how many there were, and how many were never answered. */
  longest = 0;
  beats = 0;
  unanswered = 0;
  #began = performance.now();
  #gone = false; // the connection is
  /** How long it took until the connection was of use again, in ms; 0 where it was kept. */
  away = 0;
  #left;

  constructor(chat) {
    this.chat = chat;
    this.from = chat.node;
    this.#left = position(chat.log().last)?.number ?? 0;
    this.room = chat.room;
    chat.socket.on("disconnect", this.#onDisconnect);
    chat.addEventListener("state", this.#onState);
    this.timer = setInterval(() => this.#beat(), beatEvery);
    this.#beat();
  }

  /** until waits for something, for at most so many ms, and then measures on until all has settled. */
  async until(holds, most) {
    while (!holds() && performance.now() - this.#began < most) await sleep(20);
    const held = Boolean(holds());
    await sleep(settled);
    return held;
  }

  stop() {
    clearInterval(this.timer);
    this.chat.socket.off("disconnect", this.#onDisconnect);
    this.chat.removeEventListener("state", this.#onState);
  }

  get seconds() {
    return (performance.now() - this.#began) / 1000;
  }

  /** messages counts those of the room meanwhile: in its log, of these the ones that came twice, and those that did not come by themselves and
   *  were fetched; gaps are those that are missing here. */
  messages() {
    const log = this.chat.log(this.room);
    const end = position(log.last)?.number ?? 0;
    const count = { total: 0, doubled: 0, fetched: 0, gaps: 0 };
    const here = new Set(log.items.filter((i) => i.message).map((i) => position(i.message.id)?.number));
    for (let n = this.#left + 1; n <= end; n++) {
      const times = this.chat.heard.get(n) ?? 0;
      count.total++;
      count.doubled += Math.max(0, times - 1);
      if (!here.has(n)) count.gaps++;
      else if (times === 0) count.fetched++;
    }
    return count;
  }

  #onDisconnect = () => {
    this.disconnects++;
    this.#gone = true;
  };

  #onState = () => {
    if (!this.#gone || !this.chat.joined) return;
    this.away = Math.max(this.away, this.chat.away);
    this.#gone = false;
  };

  async #beat() {
    const { socket } = this.chat;
    if (!socket.connected) return;
    const began = performance.now();
    this.beats++;
    const answer = await this.chat.ask("beat", {}, null, beatLimit).catch(() => null);
    if (!answer) this.unanswered++;
    else this.longest = Math.max(this.longest, performance.now() - began);
  }
}
