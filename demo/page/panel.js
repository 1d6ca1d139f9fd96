// The panel: where we are, what can be broken, and the cluster.

import { draw } from "./cluster.js";

const every = 1500; // between two looks while the panel is open

const words = {
  "stop-redis": () => "Redis is away for 10 seconds. Messages wait until it is back.",
  "kill-node": (name) => `${name} was killed. It starts again in a moment; its clients go to other nodes.`,
  "restart-replica": (name) => `${name} restarts. Its clients go through the other replica.`,
};

export class Panel {
  #panel = document.querySelector("#panel");
  #told = document.querySelector("#told");
  #me = {};

  constructor(chat) {
    this.chat = chat;
    const polling = document.querySelector("#polling");
    polling.checked = chat.polling;
    polling.addEventListener("change", () => {
      chat.usePolling(polling.checked);
      this.tell(polling.checked ? "A new session, by polling only." : "A new session, which may upgrade.");
    });
    document.querySelector("#cut").addEventListener("click", () => {
      chat.cut();
      this.tell("Your connection was cut. A new session begins, perhaps on another node.");
    });
    for (const button of document.querySelectorAll("[data-act]")) {
      button.addEventListener("click", () => this.#act(button.dataset.act));
    }
    chat.addEventListener("state", () => this.#look());
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
    if (!chat.socket.connected || !this.#panel.classList.contains("open")) return;
    const [me, all] = await Promise.all([chat.ask("status"), chat.ask("cluster")]).catch(() => []);
    if (!me?.ok || !all?.ok) return;
    this.#me = me;
    const kind = { go: "Go", js: "Node.js" }[me.kind];
    this.#show("#my-node", `${me.node} (${kind})`);
    this.#show("#my-replica", me.replica || "not known");
    this.#show("#redis-state", me.redis ? "up" : "away: nothing new is kept", !me.redis);
    for (const button of document.querySelectorAll("[data-act]")) {
      button.hidden = !(all.state.acts ?? []).includes(button.dataset.act);
    }
    // The others are told of every few seconds; of ourselves we know now.
    const sessions = all.sessions.map((s) => (s.uid === chat.uid ? { ...s, ...me } : s));
    draw(document.querySelector("#cluster"), document.querySelector("#sessions"), all.state, sessions, chat.uid);
  }

  async #act(what) {
    const name = { "kill-node": this.#me.node, "restart-replica": this.#me.replica }[what] ?? "";
    this.tell(words[what](name));
    const answer = await this.chat.ask("act", { what, name }).catch(() => null); // a killed node does not answer
    if (answer && !answer.ok) this.tell(answer.error);
  }
}
