// The replicas that share a Redis.

import { make, keyed, setText, setAttribute, setStyle, number, count, span, $ } from "./parts.js";

const shownAtFirst = () => (innerWidth < 700 ? 8 : 60);
const silentAfter = 5; // seconds, as in the API's problems
let all = false;
let last = [];

function stateOf(r) {
  if (r.stopping) return "stopping";
  if (r.heard > silentAfter) return "silent";
  return r.unready ? "unready" : "ok";
}

export function showReplicas(replicas, now) {
  last = [replicas, now];
  $("replicas-card").hidden = false;
  const versions = new Set(replicas.map((r) => r.version));
  setText($("replicas-sum"), (replicas.length === 1 ? "one" : `${number(replicas.length)} share the sessions`) + (versions.size > 1 ? `, in ${versions.size} versions` : `, version ${[...versions][0] || "unknown"}`));
  const order = { silent: 0, unready: 0, stopping: 1, ok: 2 };
  const sorted = [...replicas].sort((a, b) => order[stateOf(a)] - order[stateOf(b)] || Boolean(b.self) - Boolean(a.self) || a.name.localeCompare(b.name, "en", { numeric: true }));
  const few = shownAtFirst();
  keyed($("replicas"), all ? sorted : sorted.slice(0, few), (r) => `${r.name} ${r.started}`, create, (e, r) => update(e, r, now, versions.size > 1));
  const more = $("more-replicas");
  more.hidden = replicas.length <= few;
  setText(more, all ? "Show fewer" : `Show all ${number(replicas.length)} replicas`);
  setAttribute(more, "aria-expanded", String(all));
}

$("more-replicas").addEventListener("click", () => {
  all = !all;
  showReplicas(...last);
});

function create(r) {
  const [host] = splitName(r.name);
  const e = make("li.replica", { title: r.name });
  Object.assign(e, { chip: make("span.chip"), sockets: make("b"), facts: make("small.soft.address"), meter: make("i"), full: make("small.soft") });
  e.append(make("div.line", {}, make("span.host", {}, host), e.chip), e.facts,
    make("div.line", {}, make("span", {}, e.sockets, " WebSockets"), e.full), make("span.meter", { "aria-hidden": "true" }, e.meter));
  return e;
}

function update(e, r, now, versions) {
  const state = stateOf(r);
  const full = r.limit > 0 ? r.connections / r.limit : 0;
  setAttribute(e, "data-state", state);
  e.chip.hidden = state === "ok" && !r.self;
  e.chip.className = `chip ${state === "ok" ? "" : state}`;
  setText(e.chip, { ok: "this one", unready: "alive, not ready", stopping: "stopping", silent: `silent for ${span(r.heard)}` }[state]);
  setAttribute(e.chip, "title", r.unready ?? "");
  setText(e.sockets, number(r.tunnels));
  setText(e.full, `${Math.round(100 * full)} %`);
  setAttribute(e.full, "title", `${count(r.connections, "connection")}, limit ${number(r.limit)}`);
  setStyle(e.meter, "width", `${Math.min(100, 100 * full).toFixed(1)}%`);
  setAttribute(e.meter, "data-level", full >= 1 ? "bad" : full >= 0.9 ? "warn" : "ok");
  setText(e.facts, [`up ${span((now - new Date(r.started)) / 1000)}`, versions ? r.version : "", splitName(r.name)[1]].filter(Boolean).join(" · "));
}

/** splitName takes a replica's name apart: host/address. */
function splitName(name) {
  const at = name.indexOf("/");
  return at < 0 ? [name, ""] : [name.slice(0, at), name.slice(at + 1)];
}
