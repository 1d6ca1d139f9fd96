// What happens, the latest first.

import { make, clock, words, $ } from "./parts.js";

const most = 200;
const levels = {
  ejected: "bad", unhealthy: "bad", no_node: "bad", panic: "bad", discovery: "warn", fault: "warn", storm: "warn",
  works_again: "good", healthy: "good", node_available: "good", panic_over: "good",
};
const seen = new Set();

/** forgetEvents is for those of a replica that is another process now. */
export function forgetEvents() {
  seen.clear();
}

export function showEvent(v) {
  if (seen.has(v.id)) return;
  seen.add(v.id);
  const subject = [v.node, v.cluster].filter(Boolean).join(" of ");
  const list = $("events");
  const text = v.text ?? ""; // as it is: settings are named in it
  list.prepend(make("li", { "data-level": levels[v.kind] ?? "info" },
    make("time", { dateTime: v.time, title: new Date(v.time).toLocaleString() }, clock(v.time)),
    make("div", {}, make("b", {}, words(v.kind)), subject ? ` ${subject}` : "", text ? make("span.soft", {}, text) : null)));
  while (list.children.length > most) list.lastElementChild.remove();
  $("no-events").hidden = true;
}
