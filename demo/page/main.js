// The page: who we are, which room, and the parts that show it.

import { Chat } from "./chat.js";
import { Compose } from "./compose.js";
import { Kept } from "./kept.js";
import { Messages, colour, element, initial } from "./messages.js";
import { Panel } from "./panel.js";

const $ = (selector) => document.querySelector(selector);
const typingLasts = 3500;
const saidLasts = 6000;
const together = 700; // those who come within it are told of as one
const leaveAfter = 4000; // a tab that is loaded again is away for a moment
const suggested = ["Ada", "Alan", "Barbara", "Edsger", "Frances", "Grace", "Hedy", "Ken", "Margaret", "Radia"];
const byNumber = new Intl.Collator(undefined, { numeric: true }); // Guest 2 before Guest 10
const drawers = matchMedia("(max-width: 860px)"); // where the panel lies over the chat

/** A tab is a member of its own, and stays one when it is loaded again. */
function ownUID() {
  let uid = sessionStorage.getItem("uid");
  if (!uid) {
    uid = Array.from(crypto.getRandomValues(new Uint8Array(9)), (b) => b.toString(16).padStart(2, "0")).join("");
    sessionStorage.setItem("uid", uid);
  }
  return uid;
}

class Page {
  #typists = new Map(); // uid -> {name, timer}
  #unread = 0; // messages that came while the tab was hidden
  #here = null; // uid -> name of those in the room, null before it is known
  #came = []; // names of those of whom the room is about to be told
  #soon = 0;
  #leaving = new Map(); // uid -> timer
  #seen = new Map(); // room -> id of its last message when we were there last

  constructor(name, room) {
    this.kept = new Kept(sessionStorage);
    this.chat = new Chat(window.io, { uid: ownUID(), name, kept: this.kept });
    this.messages = new Messages(this.chat);
    this.panel = new Panel(this.chat);
    this.compose = new Compose(this.chat, (text) => this.#say(text));
    this.#listen();
    this.#drawers();
    $("#my-name").value = name;
    $("#welcome").hidden = true;
    $("#app").hidden = false;
    this.go(room);
    this.compose.focus();
  }

  go(room) {
    sessionStorage.setItem("room", room);
    this.#seen.set(this.chat.room, this.chat.log().last);
    this.chat.enter(room);
    $("#room-title").textContent = room;
    this.#here = null;
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    this.#leaving.clear();
    clearTimeout(this.#soon);
    this.#came = [];
    this.#title();
    for (const { timer } of this.#typists.values()) clearTimeout(timer);
    this.#typists.clear();
    this.#showTypists();
    this.messages.draw();
    this.#showRooms();
  }

  #listen() {
    const { chat } = this;
    chat.addEventListener("state", () => this.#showState());
    chat.addEventListener("rooms", () => this.#showRooms());
    chat.addEventListener("typing", ({ uid, name }) => this.#typist(uid, name));
    chat.addEventListener("items", ({ items }) => {
      for (const { message } of items) if (message) this.#forget(message.uid);
      if (document.hidden) this.#unread += items.filter(({ message }) => message && message.uid !== chat.uid).length;
      this.#title();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#unread = 0;
      this.#title();
    });
    $("#new-room").addEventListener("submit", (e) => {
      e.preventDefault();
      const name = $("#new-room-name").value.trim();
      if (!name) return;
      $("#new-room-name").value = "";
      this.#close("side");
      this.go(name);
    });
    $("#rename").addEventListener("submit", (e) => {
      e.preventDefault();
      $("#my-name").blur();
    });
    $("#my-name").addEventListener("change", () => this.#rename());
    $("#theme").addEventListener("click", () => this.#theme());
    // What waits is kept, as far as there is room for it.
    addEventListener("beforeunload", (e) => {
      if (chat.outbox.entries.some((entry) => !this.kept.has(entry))) e.preventDefault();
    });
  }

  #rename() {
    const name = $("#my-name").value.trim();
    if (!name) {
      $("#my-name").value = this.chat.name;
      return;
    }
    remember(name);
    this.chat.rename(name);
  }

  #theme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  }

  #title() {
    document.title = `${this.#unread ? `(${this.#unread}) ` : ""}${this.chat.room} – sidway chat`;
  }

  #drawers() {
    for (const name of ["side", "panel"]) $(`#open-${name}`).addEventListener("click", () => this.#toggle(name));
    document.addEventListener("keydown", (e) => {
      if (e.key !== "Escape" || $("#zoom").open) return;
      for (const name of ["side", "panel"]) this.#close(name);
    });
    for (const over of ["#veil", "main"]) $(over).addEventListener("pointerdown", () => this.#closeDrawers());
    $("#close-panel").addEventListener("click", () => {
      this.#close("panel");
      $("#open-panel").focus();
    });
    drawers.addEventListener("change", () => this.#closeDrawers());
    if (!drawers.matches) this.#toggle("panel");
  }

  #closeDrawers() {
    if (!matchMedia("(min-width: 1101px)").matches) this.#close("side");
    if (drawers.matches) this.#close("panel");
    this.#veil();
  }

  #toggle(name) {
    const open = $(`#${name}`).classList.toggle("open");
    $(`#open-${name}`).ariaExpanded = String(open);
    if (open && name === "panel") this.panel.look();
    if (open && drawers.matches) this.#close(name === "side" ? "panel" : "side");
    this.#veil();
  }

  #close(name) {
    $(`#${name}`).classList.remove("open");
    $(`#open-${name}`).ariaExpanded = "false";
    this.#veil();
  }

  #veil() {
    $("#veil").hidden = !$("#side.open") && !(drawers.matches && $("#panel.open"));
  }

  #say(text) {
    this.panel.tell(text);
    $("#typing").textContent = text;
    setTimeout(() => $("#typing").textContent === text && this.#showTypists(), saidLasts);
  }

  #showState() {
    const { joined, socket, redis } = this.chat;
    const well = redis ? "connected" : "connected, but Redis is down: messages wait";
    $("#state").textContent = joined ? well : socket.connected ? "joining…" : "reconnecting…";
    $("#state").classList.toggle("away", !joined || !redis);
  }

  /** toldOf tells who came and who left. */
  #toldOf(members) {
    const now = new Map(members.map((m) => [m.uid, m.name]));
    if (!now.has(this.chat.uid)) return; // the room as it was before we came
    const before = this.#here;
    this.#here = now;
    if (!before) return;
    const came = [...now].filter(([uid]) => !before.has(uid) && !this.#leaving.has(uid)).map(([, name]) => name);
    for (const uid of now.keys()) this.#leaving.delete(uid);
    this.#came.push(...came);
    if (came.length) this.#soon = clearTimeout(this.#soon) ?? setTimeout(() => this.messages.note(`${names(this.#came.splice(0))} came in`), together);
    const left = [...before].filter(([uid]) => !now.has(uid));
    if (!left.length) return;
    const timer = setTimeout(() => {
      const gone = left.filter(([uid]) => this.#leaving.get(uid) === timer);
      for (const [uid] of gone) this.#leaving.delete(uid);
      if (gone.length) this.messages.note(`${names(gone.map(([, name]) => name))} left`);
    }, leaveAfter);
    for (const [uid] of left) this.#leaving.set(uid, timer);
  }

  #showRooms() {
    const { chat } = this;
    const rooms = chat.rooms.filter((r) => r.members.length || r.last || r.name === chat.room);
    if (!rooms.some((r) => r.name === chat.room)) rooms.unshift({ name: chat.room, last: "", members: [] });
    let news = false;
    $("#rooms").replaceChildren(...rooms.map((room) => {
      const fresh = room.name !== chat.room && this.#seen.has(room.name) && room.last !== this.#seen.get(room.name);
      news ||= fresh;
      return this.#room(room, fresh);
    }));
    $("#open-side .dot").hidden = !news;
    const here = rooms.find((r) => r.name === chat.room).members.toSorted((a, b) => byNumber.compare(a.name, b.name));
    $("#count").textContent = here.length === 1 ? "1 person here" : `${here.length} people here`;
    $("#people").replaceChildren(...here.map((m) => this.#person(m)));
    this.#toldOf(here);
  }

  #room(room, fresh) {
    const button = element("button");
    button.type = "button";
    button.append(element("span", "name", room.name));
    if (fresh) button.append(element("span", "new"), element("span", "hidden", "new messages"));
    button.append(element("span", "people", String(room.members.length)), element("span", "hidden", "people"));
    if (room.name === this.chat.room) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => {
      this.#close("side");
      if (room.name !== this.chat.room) this.go(room.name);
    });
    const li = element("li");
    li.append(button);
    return li;
  }

  #person(member) {
    const li = element("li");
    const face = element("span", "face", initial(member.name));
    face.style.background = colour(member.uid);
    face.ariaHidden = "true";
    const you = member.uid === this.chat.uid ? " (you)" : "";
    li.append(face, element("bdi", "name", member.name + you), element("span", "node", `on ${member.node}`));
    return li;
  }

  #typist(uid, name) {
    clearTimeout(this.#typists.get(uid)?.timer);
    this.#typists.set(uid, { name, timer: setTimeout(() => this.#forget(uid), typingLasts) });
    this.#showTypists();
  }

  #forget(uid) {
    clearTimeout(this.#typists.get(uid)?.timer);
    if (this.#typists.delete(uid)) this.#showTypists();
  }

  #showTypists() {
    const names = [...this.#typists.values()].map((t) => t.name);
    const who = names.length > 3 ? "Several people are" : names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)} are` : `${names[0]} is`;
    $("#typing").textContent = names.length ? `${who} typing…` : "";
  }
}

const names = (list) => (list.length > 3 ? `${list.slice(0, 2).join(", ")} and ${list.length - 2} others` : list.join(" and "));

function remember(name) {
  localStorage.setItem("name", name);
  sessionStorage.setItem("name", name);
}

const name = sessionStorage.getItem("name");
const asked = decodeURIComponent(location.hash.slice(1));
if (name) {
  new Page(name, asked || sessionStorage.getItem("room") || "lobby");
} else {
  $("#welcome").hidden = false;
  $("#name").value = localStorage.getItem("name") ?? suggested[Math.floor(Math.random() * suggested.length)];
  if (asked) $("#first-room").value = asked;
  $("#name").focus();
  $("#name").select();
  $("#welcome").addEventListener("submit", (e) => {
    e.preventDefault();
    const chosen = $("#name").value.trim();
    const room = $("#first-room").value.trim();
    if (!chosen || !room) return;
    remember(chosen);
    new Page(chosen, room);
  });
}
