// What one thing of the drawing is, in a line of words, and what can be done with it there.

import { element } from "./messages.js";

const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

export class Menu {
  #menu = document.querySelector("#menu");

  /** look returns {state, sessions, uid}; act does something: (what, name). */
  constructor(drawing, { look, act }) {
    Object.assign(this, { look, act });
    drawing.addEventListener("pick", (e) => this.#open(e));
    document.addEventListener("pointerdown", (e) => this.#menu.contains(e.target) || this.close());
    this.#menu.addEventListener("keydown", (e) => {
      if (e.key !== "Escape") return;
      e.stopPropagation();
      this.close();
    });
  }

  close() {
    this.#menu.hidden = true;
  }

  #open({ kind, name, x, y }) {
    const { words, acts } = this.#of(kind, name);
    const can = this.look().state?.acts ?? [];
    const buttons = acts.filter(([, what]) => what === "cut" || can.includes(what)).map(([label, what, ...args]) => {
      const button = element("button", "", label);
      button.type = "button";
      button.addEventListener("click", () => {
        this.close();
        this.act(what, ...args);
      });
      return button;
    });
    this.#menu.replaceChildren(element("p", "", words), ...buttons);
    this.#menu.hidden = false;
    const { clientWidth, clientHeight } = this.#menu.parentElement;
    this.#menu.style.left = `${Math.max(4, Math.min(x - this.#menu.offsetWidth / 2, clientWidth - this.#menu.offsetWidth - 4))}px`;
    this.#menu.style.top = `${Math.max(4, Math.min(y + 6, clientHeight - this.#menu.offsetHeight - 4))}px`;
    buttons[0]?.focus();
  }

  #of(kind, name) {
    const { state, sessions, uid } = this.look();
    const on = many(sessions.filter((s) => s[kind] === name).length, "session");
    const me = sessions.find((s) => s.uid === uid);
    switch (kind) {
      case "node": {
        const p = state.nodes.find((n) => n.name === name);
        const what = p?.kind === "js" ? "Node.js" : "Go";
        return {
          words: `${name} is a chat server, a Socket.IO node in ${what}. ${on} live${on === "1 session" ? "s" : ""} on it and on no other one.`,
          acts: [[`Kill ${name}`, "kill-node", name], [`Drain ${name} for 10 s`, "drain-node", name],
            ...(me && me.node !== name ? [["Move my session here", "move-session", name]] : [])],
        };
      }
      case "replica":
        return {
          words: `${name} is a sidway replica: it reads the session's id in each request and leads it to the session's node. ${on} last came through it.`,
          acts: [[`Restart ${name}`, "restart-replica", name]],
        };
      case "redis":
        return {
          words: "Redis remembers which session is on which node, for all replicas, and keeps what was said.",
          acts: [["Stop Redis for 10 s", "stop-redis", ""]],
        };
      default: {
        const s = sessions.find((o) => o.uid === name);
        if (!s) return { words: "This session is over.", acts: [] };
        const way = `session ${s.sid}…, by ${s.transport}, through ${s.replica || "a replica"} to ${s.node}`;
        return s === me
          ? { words: `This is you: ${way}.`, acts: [["Move me to another node", "move-session", ""], ["Cut my connection", "cut", ""]] }
          : { words: `${s.name}: ${way}.`, acts: [] };
      }
    }
  }
}
