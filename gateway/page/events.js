// What happens, the latest first.

import { make, clock, words, $ } from "./parts.js";
import { stateOf } from "./nodes.js";

const most = 200;
const levels = {
  ejected: "bad", unhealthy: "bad", no_node: "bad", panic: "bad", discovery: "warn",
  works_again: "good", healthy: "good", node_available: "good", panic_over: "good",
};
const seen = new Set();
const latest = new Map(); // of each node the time of the latest event of a kind

/** forgetEvents is for those of a replica that is another process now. */
export function forgetEvents() {
  seen.clear();
  latest.clear();
}

const keyOf = (kind, cluster, node) => JSON.stringify([kind, cluster, node]);

/** sinceOf returns since when the replica knows a node to be as it is, if its latest events, which are all that it remembers, say so. */
export function sinceOf(cluster, n) {
  const state = stateOf(n);
  const time = state === "draining" ? n.drain?.since : latest.get(keyOf(state, cluster, n.name));
  return time && new Date(time);
}

export function showEvent(v) {
  if (seen.has(v.id)) return;
  seen.add(v.id);
  if (v.node) latest.set(keyOf(v.kind, v.cluster, v.node), v.time);
  const subject = [v.node, v.cluster].filter(Boolean).join(" of ");
  const list = $("events");
  const text = v.text === undefined ? "" : words(v.text);
  list.prepend(make("li", { "data-level": levels[v.kind] ?? "info" },
    make("time", { dateTime: v.time, title: new Date(v.time).toLocaleString() }, clock(v.time)),
    make("div", {}, make("b", {}, words(v.kind)), subject ? ` ${subject}` : "", text ? make("span.soft", {}, text) : null)));
  while (list.children.length > most) list.lastElementChild.remove();
  $("no-events").hidden = true;
}
