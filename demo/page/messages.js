// The conversation on the page: the room's log, what is on its way, and how far each message of ours has come.

import { show } from "./zoom.js";

// Twelve hues in two shades, each dark enough for white letters.
const palette = Array.from({ length: 24 }, (_, i) => `oklch(${i < 12 ? 50 : 40}% 0.13 ${(i % 12) * 30 + (i < 12 ? 0 : 15)})`);
const taken = new Map(); // uid -> place in the palette

/** colour and initial make a member recognisable. Two members have the same colour only when there are more than 24. */
export function colour(uid) {
  if (!taken.has(uid)) {
    let place = 0;
    for (const c of uid) place = (place * 31 + c.codePointAt(0)) >>> 0;
    const used = new Set(taken.size < palette.length ? taken.values() : []);
    while (used.has(place % palette.length)) place++;
    taken.set(uid, place % palette.length);
  }
  return palette[taken.get(uid)];
}

/** straight takes out the characters that turn the direction of what follows; the page finds directions by itself. */
const straight = (text) => text.replace(/\p{Bidi_Control}/gu, "");

/** linked is a text in which addresses of the web can be pressed. */
function linked(text) {
  const body = element("div", "body");
  body.dir = "auto";
  for (const part of straight(text).split(/(https?:\/\/[^\s<>"']*[^\s<>"'.,:;!?)\]}])/i)) {
    const url = /^https?:/i.test(part) && URL.canParse(part) ? part : "";
    if (!url) {
      body.append(part);
      continue;
    }
    const a = element("a", "", part);
    Object.assign(a, { href: url, target: "_blank", rel: "noopener noreferrer" });
    body.append(a);
  }
  return body;
}

export function initial(name) {
  return ([...name][0] ?? "?").toUpperCase();
}

export function element(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
const together = 5 * 60 * 1000; // messages of one member this near stand together

export class Messages {
  #scroll = document.querySelector("#scroll");
  #log = document.querySelector("#log");
  #pending = document.querySelector("#pending");
  #newer = document.querySelector("#newer");
  #earlier = document.querySelector("#earlier");
  #shown = new Map(); // key -> li of the log
  #waiting = new Map(); // key -> li of what is on its way
  #pictures = new Map(); // key -> promise of an object URL

  constructor(chat) {
    this.chat = chat;
    this.#newer.addEventListener("click", () => this.#toEnd());
    this.#scroll.addEventListener("scroll", () => this.#atEnd() && (this.#newer.hidden = true));
    this.#earlier.addEventListener("click", () => this.#fetchEarlier());
    chat.addEventListener("items", (e) => e.room === chat.room && (e.front ? this.draw(true) : this.#add(e.items)));
    chat.addEventListener("outbox", (e) => this.#onItsWay(e.entry));
    chat.addEventListener("sent", (e) => this.#sent(e.entry));
    chat.addEventListener("refused", (e) => this.#refused(e.entry, e.why));
    chat.addEventListener("read", () => this.#states());
    // What grows later, as a picture does, and a window that shrinks do not take the end out of sight.
    const sizes = new ResizeObserver(() => this.#stuck && this.#toEnd());
    for (const part of [this.#scroll, this.#log, this.#pending]) sizes.observe(part);
    this.#scroll.addEventListener("scroll", () => this.#scrolled());
  }

  #stuck = true;
  #top = 0; // where the view was last

  /** scrolled tells a person who looks back from content that has grown: only the former moves up. */
  #scrolled() {
    const { scrollTop } = this.#scroll;
    if (this.#atEnd()) this.#stuck = true;
    else if (scrollTop < this.#top - 1) this.#stuck = false;
    this.#top = scrollTop;
  }

  /** note shows what is no message: who came and left. */
  note(text) {
    this.#log.append(element("li", "note", text));
  }

  /** draw shows the room anew; in place keeps what is looked at where it is. */
  draw(inPlace = false) {
    const below = this.#scroll.scrollHeight - this.#scroll.scrollTop;
    this.#log.replaceChildren();
    this.#pending.replaceChildren();
    this.#shown.clear();
    this.#waiting.clear();
    this.#previous = null;
    const log = this.chat.log();
    this.#append(log.items);
    for (const entry of this.chat.outbox.entries) this.#onItsWay(entry);
    this.#earlier.hidden = !log.earlier;
    if (inPlace) this.#scroll.scrollTop = this.#scroll.scrollHeight - below;
    else this.#toEnd();
  }

  #add(items) {
    const follow = this.#atEnd() || items.some((i) => i.message?.uid === this.chat.uid);
    this.#append(items);
    this.#earlier.hidden = !this.chat.log().earlier;
    if (follow) this.#toEnd();
    else this.#newer.hidden = false;
  }

  #append(items) {
    for (const { message, notice } of items) {
      if (notice) {
        this.#log.append(element("li", "note", notice));
        continue;
      }
      this.#waiting.get(message.key)?.remove();
      this.#waiting.delete(message.key);
      this.#day(message.at);
      const li = this.#item(message);
      this.#shown.set(message.key, li);
      this.#log.append(li);
      this.#previous = message;
    }
    this.#states();
  }

  #previous = null;

  #day(at) {
    const before = this.#log.lastElementChild && this.#previous;
    const day = new Date(at).toDateString();
    if (before && new Date(before.at).toDateString() === day) return;
    if (!before && day === new Date().toDateString()) return;
    this.#log.append(element("li", "note", calendar.format(at)));
  }

  #item(message) {
    const mine = message.uid === this.chat.uid;
    const before = this.#log.lastElementChild;
    const follows = before?.dataset.uid === message.uid && message.at - this.#previous.at < together;
    const li = element("li", [mine ? "mine" : "", follows ? "follows" : ""].join(" ").trim());
    Object.assign(li.dataset, { uid: message.uid, id: message.id, key: message.key });
    const face = element("span", "face", initial(message.name));
    face.style.background = colour(message.uid);
    face.ariaHidden = "true";
    const bubble = element("div", "bubble");
    const who = element("bdi", "who", straight(message.name));
    who.style.color = `color-mix(in oklab, ${colour(message.uid)} 55%, var(--text))`;
    bubble.append(element("span", "hidden", mine ? "You: " : ""), who);
    if (message.image) bubble.append(this.#picture(message));
    if (message.text) bubble.append(linked(message.text));
    bubble.append(this.#foot(message.at, mine ? "sent" : ""));
    li.append(face, bubble);
    return li;
  }

  #foot(at, state) {
    const foot = element("div", "foot");
    const time = element("time", "", clock.format(at));
    time.dateTime = new Date(at).toISOString();
    foot.append(time, element("span", "state", state));
    return foot;
  }

  #picture(message) {
    const img = element("img", "picture");
    img.alt = `Image from ${message.name}`;
    this.#source(message).then((url) => {
      if (url) img.src = url;
      else img.parentElement.replaceWith(element("div", "lost", "An image that is no longer kept"));
    });
    const button = element("button", "look");
    button.type = "button";
    button.append(img, element("span", "hidden", "Look at it large"));
    button.addEventListener("click", () => {
      if (img.src) show(img.src, img.alt);
    });
    return button;
  }

  #source({ key }) {
    if (!this.#pictures.has(key)) {
      const { room } = this.chat;
      const url = this.chat.image(room, key).then((got) => got && URL.createObjectURL(new Blob([got.data], { type: got.type })));
      this.#pictures.set(key, url);
    }
    return this.#pictures.get(key);
  }

  #onItsWay(entry) {
    if (entry.room !== this.chat.room || this.#shown.has(entry.key)) return;
    let li = this.#waiting.get(entry.key);
    if (!li) {
      li = element("li", "mine");
      li.dataset.key = entry.key;
      const bubble = element("div", "bubble");
      bubble.append(element("span", "hidden", "You: "));
      if (entry.image) {
        const img = element("img", "picture");
        img.alt = "Your image";
        img.src = URL.createObjectURL(new Blob([entry.image]));
        img.addEventListener("load", () => URL.revokeObjectURL(img.src), { once: true });
        bubble.append(img);
      }
      if (entry.text) bubble.append(linked(entry.text));
      bubble.append(this.#foot(entry.at, ""));
      li.append(bubble);
      this.#waiting.set(entry.key, li);
      this.#pending.append(li);
      this.#toEnd();
    }
    const why = entry.why ? `waiting: ${entry.why}` : "waiting";
    li.querySelector(".state").textContent = entry.state === "sending" && !entry.why ? "sending…" : why;
  }

  /** A message that is in the log counts as sent, even before the log's own word of it has come. */
  #sent(entry) {
    const li = this.#waiting.get(entry.key);
    if (!li) return;
    li.classList.add("sent");
    li.querySelector(".state").textContent = "sent";
  }

  #refused(entry, why) {
    const li = this.#waiting.get(entry.key);
    if (!li) return;
    this.#waiting.delete(entry.key);
    li.querySelector(".state").textContent = `not sent: ${why}`;
  }

  #states() {
    for (const li of this.#log.querySelectorAll("li.mine:not(.delivered)")) {
      if (!this.chat.delivered(this.chat.room, li.dataset.id)) continue;
      li.classList.add("delivered");
      li.querySelector(".state").textContent = "delivered";
    }
  }

  async #fetchEarlier() {
    this.#earlier.disabled = true;
    await this.chat.earlier().catch(() => {}); // the button stays for another try
    this.#earlier.disabled = false;
  }

  #atEnd() {
    return this.#scroll.scrollHeight - this.#scroll.scrollTop - this.#scroll.clientHeight < 60;
  }

  #toEnd() {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#top = this.#scroll.scrollTop;
    this.#stuck = true;
    this.#newer.hidden = true;
  }
}
