// What happened, with times: what the launcher noted, and what this page saw itself. The newest stands first.

import { element } from "./messages.js";
import { span } from "./verdict.js";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const most = 200;

/** words tells of an event of the launcher (see Event in demo/chat/panel.go). */
function words({ what, name, sid, from, to, outcome, took }) {
  switch (what) {
    case "kill-node": return `${name} was killed`;
    case "restart-replica": return `${name} was told to restart`;
    case "stop-redis": return "Redis was stopped";
    case "started": return `${name === "redis" ? "Redis" : name} is up again`;
    case "ended": return `${name} ended by itself`;
    case "drain-node": return outcome ? `${name} could not be drained` : `${name} is drained`;
    case "drained": return `${name} was empty after ${span(took)}`;
    case "undrained": return `${name} takes sessions again`;
    case "move-session": return outcome === "moved" ? `session ${sid}… moved from ${from} to ${to} in ${span(took)}` : `session ${sid}… did not move (${outcome})`;
    default: return `${what} ${name}`;
  }
}

export class Events {
  #list = document.querySelector("#events");
  #last = 0;

  /** take adds those of the launcher's events that are new here. */
  take(events) {
    for (const e of events) {
      if (e.id <= this.#last) continue;
      this.#last = e.id;
      this.#add(e.at, words(e));
    }
  }

  /** note adds one that this page saw. */
  note(text) {
    this.#add(Date.now(), text, "own");
  }

  #add(at, text, kind = "") {
    const li = element("li", kind);
    const time = element("time", "", clock.format(at));
    time.dateTime = new Date(at).toISOString();
    li.append(time, element("span", "", text));
    const after = [...this.#list.children].find((other) => other.firstChild.dateTime <= time.dateTime);
    this.#list.insertBefore(li, after ?? null);
    if (this.#list.children.length > most) this.#list.lastChild.remove();
  }
}
