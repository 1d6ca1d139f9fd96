// The panel: where we are, what can be done to the cluster, and what came of it.

import { Drawing } from "./cluster.js";
import { Events } from "./events.js";
import { Guests } from "./guests.js";
import { Menu } from "./menu.js";
import { show } from "./zoom.js";
import { span, verdict } from "./verdict.js";
import { Watch } from "./watch.js";

const every = 1500; // between two looks while the panel is open
const often = 250; // while something happens
const dotEvery = 70; // ms between two dots of our own, at least

// What is said while it happens, and after how many ms it is no longer waited for.
const acts = {
  cut: { words: () => "Your connection is cut. A new one begins…", most: 15_000 },
  "stop-redis": { words: () => "Redis is away for 10 seconds. Messages wait until it is back.", most: 25_000 },
  "kill-node": { words: (name) => `${name} was killed. It starts again in a moment; its clients go to other nodes.`, most: 15_000 },
  "restart-replica": { words: (name) => `${name} restarts. Its clients go through the other replica.`, most: 15_000 },
  "move-session": { words: (name) => `Your session moves${name ? ` to ${name}` : " to another node"}…`, most: 15_000 },
  "drain-node": { words: (name) => `${name} is drained for 10 seconds: its sessions move to other nodes.`, most: 15_000 },
};

export class Panel {
  #panel = document.querySelector("#panel");
  #told = document.querySelector("#told");
  #me = {};
  #state = null; // as a node told it last
  #sessions = [];
  #acting = null;
  #looking = false;
  #away = false; // our connection is gone
  #events = new Events();

  constructor(chat) {
    this.chat = chat;
    this.drawing = new Drawing(document.querySelector("#cluster"), document.querySelector("#sessions"));
    this.menu = new Menu(this.drawing, {
      look: () => ({ state: this.#state, sessions: this.#sessions, uid: chat.uid }),
      act: (what, name) => this.act(what, name || undefined),
    });
    const polling = document.querySelector("#polling");
    polling.checked = chat.polling;
    polling.addEventListener("change", () => {
      chat.usePolling(polling.checked);
      this.tell(polling.checked ? "A new session, by polling only." : "A new session, which may upgrade.");
    });
    document.querySelector("#cut").addEventListener("click", () => this.act("cut"));
    for (const button of document.querySelectorAll("[data-act]")) {
      button.addEventListener("click", () => this.act(button.dataset.act));
    }
    this.#invite(document.querySelector("#guests"));
    document.querySelector("#phone").addEventListener("click", () => this.#phone());
    chat.addEventListener("state", () => this.#connection());
    chat.addEventListener("here", ({ node, before }) => {
      this.#show("#my-node", node);
      if (before && before !== node && !this.#away) this.#events.note(`your session goes on at ${node}`);
      this.look();
    });
    chat.addEventListener("heard", ({ uid }) => this.#watched && this.drawing.message(uid));
    this.#follow();
    setInterval(() => this.look(), every);
  }

  tell(text) {
    this.#told.textContent = text;
  }

  get #watched() {
    return this.#panel.classList.contains("open");
  }

  #show(id, text, away = false) {
    const node = document.querySelector(id);
    node.textContent = text || "–";
    node.classList.toggle("away", away);
  }

  #invite(button) {
    const guests = new Guests(this.chat, window.io);
    button.addEventListener("click", () => {
      const come = !guests.here;
      if (come) guests.come();
      else guests.go();
      button.textContent = come ? "Send the guests home" : "Add 50 guests";
      button.ariaPressed = String(come);
      this.#events.note(come ? "50 guests come in" : "the guests leave");
    });
  }

  async #phone() {
    const answer = await this.chat.ask("phone").catch(() => null);
    if (answer?.ok) show(URL.createObjectURL(new Blob([answer.png], { type: "image/png" })), "The address as a QR code", answer.url);
    else this.tell(answer?.error ?? "No answer: try again.");
  }

  /** follow shows what our own session sends and receives. */
  #follow() {
    const last = { true: 0, false: 0 };
    const dot = (up) => {
      if (!this.#watched || performance.now() - last[up] < dotEvery) return;
      last[up] = performance.now();
      this.drawing.frame(this.chat.uid, up);
    };
    this.chat.socket.io.on("open", () => {
      const { engine } = this.chat.socket.io;
      engine.on("packetCreate", () => dot(true));
      engine.on("packet", () => dot(false));
    });
  }

  /** connection notes when ours goes and comes. */
  #connection() {
    const { chat } = this;
    if (chat.joined && this.#away) {
      this.#events.note(`you are back, on ${chat.node || "a node"}, after ${span(chat.away)}`);
      this.#away = false;
    } else if (!chat.socket.connected && chat.node && !this.#away) {
      this.#events.note("your connection is gone");
      this.#away = true;
    }
    this.look();
  }

  /** look asks how the cluster is, and shows it. */
  async look() {
    const { chat } = this;
    const { connected } = chat.socket;
    this.#show("#my-transport", connected ? chat.transport : "none", !connected);
    this.#show("#my-sid", chat.sid && `${chat.sid}…`);
    if (!connected) {
      this.#show("#my-node", chat.node && `${chat.node}: no answer`, true);
      this.#draw();
    }
    if (this.#looking || !connected || !(this.#watched || this.#acting)) return;
    this.#looking = true;
    const [me, all] = await Promise.all([chat.ask("status"), chat.ask("cluster")]).catch(() => []);
    this.#looking = false;
    if (!me?.ok || !all?.ok) return;
    this.#me = me;
    this.#state = all.state;
    this.#events.take(all.state.events ?? []);
    const kind = { go: "Go", js: "Node.js" }[me.kind];
    this.#show("#my-node", `${me.node} (${kind})`);
    this.#show("#my-replica", me.replica || "not known");
    this.#show("#redis-state", me.redis ? "up" : "down: nothing new is kept", !me.redis);
    for (const button of document.querySelectorAll("[data-act]")) {
      button.hidden = !(all.state.acts ?? []).includes(button.dataset.act);
    }
    document.querySelector("#phone").hidden = !all.state.phone;
    // The others are told of every few seconds; of ourselves we know now.
    this.#sessions = all.sessions.map((s) => (s.uid === chat.uid ? { ...s, ...me, sid: chat.sid } : s));
    this.#draw();
  }

  #draw() {
    if (this.#state) this.drawing.show(this.#state, this.#sessions, this.chat.uid, this.chat.socket.connected);
  }

  /** act has something done and says what came of it; one thing at a time. */
  async act(what, name = { "kill-node": this.chat.node, "drain-node": this.chat.node, "restart-replica": this.#me.replica }[what] ?? "") {
    if (this.#acting) {
      this.tell("One thing at a time: wait for the verdict.");
      return;
    }
    const { chat } = this;
    this.#acting = what;
    const watch = new Watch(chat);
    const seen = this.#state?.events?.at(-1)?.id ?? 0;
    // A session that polls moves when no answer is pending, and a look asks for two.
    const looks = setInterval(() => this.look(), chat.transport === "polling" ? every : often);
    this.tell(acts[what].words(name));
    const sid = chat.sid;
    // A node that is killed does not answer.
    const answer = what === "cut" ? (chat.cut(), null) : await chat.ask("act", { what, name, sid: what === "move-session" ? chat.wholeSID : "" }).catch(() => null);
    if (answer && !answer.ok) {
      this.tell(answer.error);
    } else {
      const event = () => this.#state?.events?.find((e) => e.id > seen && e.what === "move-session" && e.sid === sid);
      const held = await watch.until(() => this.#over(what, watch, name, event()), acts[what].most);
      const words = verdict({ what, name, event: event(), held }, watch);
      this.tell(words.join(" ").trim());
      this.#events.note(words[0]);
    }
    watch.stop();
    clearInterval(looks);
    this.#acting = null;
  }

  /** over tells whether what was done has had its effect on us. */
  #over(what, watch, name, event) {
    const { chat } = this;
    const back = watch.disconnects > 0 && chat.joined;
    const elsewhere = chat.joined && chat.node !== watch.from;
    const events = this.#state?.events ?? [];
    switch (what) {
      case "move-session":
        return Boolean(event);
      case "drain-node":
        return watch.from === name ? elsewhere || back : this.#state?.nodes.some((n) => n.name === name && n.draining);
      case "kill-node":
        return watch.from === name ? elsewhere || back : watch.seconds > 1;
      case "restart-replica":
        return this.#me.replica === name && watch.disconnects === 0 ? watch.seconds > 5 : back || watch.disconnects === 0;
      case "stop-redis":
        return events.length && events.at(-1).name === "redis" && events.at(-1).what === "started" && this.#me.redis && !chat.outbox.entries.length;
      default:
        return back;
    }
  }
}
