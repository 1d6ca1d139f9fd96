// The panel: where we are, what can be done to the cluster, and what came of it.

import { draw } from "./cluster.js";
import { verdict } from "./verdict.js";
import { Watch } from "./watch.js";

const every = 1500; // between two looks while the panel is open
const often = 250; // while something happens

// What is said while it happens, and after how many ms it is no longer waited for.
const acts = {
  cut: { words: () => "Your connection is cut. A new one begins…", most: 15_000 },
  "stop-redis": { words: () => "Redis is away for 10 seconds. Messages wait until it is back.", most: 25_000 },
  "kill-node": { words: (name) => `${name} was killed. It starts again in a moment; its clients go to other nodes.`, most: 15_000 },
  "restart-replica": { words: (name) => `${name} restarts. Its clients go through the other replica.`, most: 15_000 },
  "move-session": { words: (name) => `Your session moves${name ? ` to ${name}` : " to another node"}…`, most: 15_000 },
  "drain-node": { words: (name) => `${name} is drained for 10 seconds: its sessions move to other nodes.`, most: 12_000 },
};

export class Panel {
  #panel = document.querySelector("#panel");
  #told = document.querySelector("#told");
  #me = {};
  #state = null; // as a node told it last
  #acting = null;
  #looking = false;

  constructor(chat) {
    this.chat = chat;
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
    chat.addEventListener("state", () => this.#look());
    chat.addEventListener("here", ({ node }) => {
      this.#show("#my-node", node);
      this.#look();
    });
    setInterval(() => this.#look(), every);
  }

  tell(text) {
    this.#told.textContent = text;
  }

  #show(id, text, away = false) {
    const node = document.querySelector(id);
    node.textContent = text || "–";
    node.classList.toggle("away", away);
  }

  async #look() {
    const { chat } = this;
    this.#show("#my-transport", chat.socket.connected ? chat.transport : "none", !chat.socket.connected);
    this.#show("#my-sid", chat.sid && `${chat.sid}…`);
    if (this.#looking || !chat.socket.connected || !(this.#panel.classList.contains("open") || this.#acting)) return;
    this.#looking = true;
    const [me, all] = await Promise.all([chat.ask("status"), chat.ask("cluster")]).catch(() => []);
    this.#looking = false;
    if (!me?.ok || !all?.ok) return;
    this.#me = me;
    this.#state = all.state;
    const kind = { go: "Go", js: "Node.js" }[me.kind];
    this.#show("#my-node", `${me.node} (${kind})`);
    this.#show("#my-replica", me.replica || "not known");
    this.#show("#redis-state", me.redis ? "up" : "away: nothing new is kept", !me.redis);
    for (const button of document.querySelectorAll("[data-act]")) {
      button.hidden = !(all.state.acts ?? []).includes(button.dataset.act);
    }
    // The others are told of every few seconds; of ourselves we know now.
    const sessions = all.sessions.map((s) => (s.uid === chat.uid ? { ...s, ...me, sid: chat.sid } : s));
    draw(document.querySelector("#cluster"), document.querySelector("#sessions"), all.state, sessions, chat.uid);
  }

  /** act has something done and says what came of it; one thing at a time. */
  async act(what, name = { "kill-node": this.chat.node, "drain-node": this.chat.node, "restart-replica": this.#me.replica }[what] ?? "") {
    if (this.#acting) return;
    const { chat } = this;
    this.#acting = what;
    const watch = new Watch(chat);
    const seen = this.#state?.events?.at(-1)?.id ?? 0;
    const looks = setInterval(() => this.#look(), often);
    this.tell(acts[what].words(name));
    const sid = chat.sid;
    // A node that is killed does not answer.
    const answer = what === "cut" ? (chat.cut(), null) : await chat.ask("act", { what, name, sid: what === "move-session" ? chat.wholeSID : "" }).catch(() => null);
    if (answer && !answer.ok) {
      this.tell(answer.error);
    } else {
      const event = () => this.#state?.events?.find((e) => e.id > seen && e.what === "move-session" && e.sid === sid);
      const held = await watch.until(() => this.#over(what, watch, name, event()), acts[what].most);
      this.tell(verdict({ what, name, event: event(), held }, watch));
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
        return events.length && events.at(-1).name === "redis" && events.at(-1).what === "started" && this.#me.redis;
      default:
        return back;
    }
  }
}
