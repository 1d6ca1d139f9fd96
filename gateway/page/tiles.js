// The figures at the top: each with a chart of the last minutes.

import { make, setText, setAttribute, setStyle, sparkline, number, compact, rate, percent, words, $ } from "./parts.js";

const tiles = [];

function tile(title, show, chart = "line") {
  const value = make("dd.value");
  const note = make("dd.note.soft");
  const spark = chart === "line" ? sparkline() : make("span.meter", {}, make("i"));
  const e = make("div.tile", {}, make("dt", {}, title), value, note, chart === "none" ? null : make("dd.chart", { "aria-hidden": "true" }, spark));
  $("tiles").append(e);
  tiles.push((status, history) => {
    const [text, more, drawn, level] = show(status, history);
    setText(value, text);
    setText(note, more);
    setAttribute(e, "data-level", level ?? "ok");
    if (chart === "line") spark.draw(drawn);
    else if (chart === "meter") setStyle(spark.firstElementChild, "width", `${Math.min(100, drawn).toFixed(1)}%`);
  });
}

const sum = (status, of) => status.clusters.reduce((all, c) => all + of(c), 0);
const sumOf = (counts) => Object.values(counts ?? {}).reduce((a, b) => a + b, 0);

/** totals are what the tiles show of all clusters together, for History. */
export function totals(status) {
  return {
    sessions: sum(status, (c) => c.nodes.reduce((n, of) => n + of.total, 0)),
    begun: sum(status, (c) => c.handshakes.made),
    ended: sum(status, (c) => c.ended),
    sockets: sum(status, (c) => c.tunnels),
    closed: sum(status, (c) => sumOf(c.ends)),
    made: sum(status, (c) => c.upgrades.made),
    refused: sum(status, (c) => c.upgrades.refused),
    mute: sum(status, (c) => c.mute ?? 0),
    answered: sum(status, (c) => sumOf(c.responses)),
    polling: sum(status, (c) => c.old.polling),
  };
}

/** largest names the label whose total has grown most lately. */
function largest(status, history, kind, of) {
  const grown = new Map();
  for (const c of status.clusters) {
    for (const name of Object.keys(of(c) ?? {})) grown.set(name, (grown.get(name) ?? 0) + history.grown(`${c.name} ${kind} ${name}`));
  }
  const [name, n] = [...grown].sort((a, b) => b[1] - a[1])[0] ?? ["", 0];
  return n > 0 ? `mostly ${words(name)}` : "none lately";
}

tile("Sessions", (s, h) => [compact(totals(s).sessions), s.replicas.length > 1 ? `of ${number(s.replicas.length)} replicas` : "of one replica", h.values("sessions")]);
tile("New sessions", (s, h) => [`${rate(h.rate("begun"))}/s`, `${rate(h.rate("ended"))}/s end; at this replica`, h.rates("begun"), sum(s, (c) => c.waiting) > 0 ? "warn" : "ok"]);
tile("Upgrades accepted", (s, h) => {
  const [made, refused] = [h.grown("made"), h.grown("refused")];
  const t = totals(s);
  const [m, r] = made + refused > 0 ? [made, refused] : [t.made, t.refused];
  const mute = h.grown("mute");
  const note = m + r > 0 ? `by nodes; ${compact(r)} of ${compact(m + r)} refused` : "none yet";
  return [percent(m, m + r), mute > 0 ? `${note}; ${compact(mute)} WebSockets carried nothing` : note, h.rates("made"), r > m || mute >= 5 ? "warn" : "ok"];
});
tile("Still polling", (s, h) => {
  const old = sum(s, (c) => c.old.all);
  const polling = sum(s, (c) => c.old.polling);
  return [percent(polling, old), old > 0 ? `${compact(polling)} of ${compact(old)} sessions, after 30 s` : "not known of any session yet", h.values("polling"), old >= 20 && 5 * polling >= old ? "warn" : "ok"];
});
tile("WebSockets here", (s, h) => [compact(totals(s).sockets), `${rate(h.rate("closed"))}/s end, ${largest(s, h, "end", (c) => c.ends)}`, h.values("sockets")]);
tile("Answered by sidway", (s, h) => [`${rate(h.rate("answered"))}/s`, largest(s, h, "response", (c) => c.responses), h.rates("answered"), h.rate("answered") >= 1 ? "warn" : "ok"]);
tile("Connections here", (s) => {
  const { connections, limit } = s.replica;
  return [compact(connections), `limit ${number(limit)}`, (100 * connections) / Math.max(1, limit), connections >= 0.9 * limit ? "warn" : "ok"];
}, "meter");
tile("Bindings", (s) => {
  if (s.store.kind !== "redis") return ["Memory", "one replica, no Redis", [], "ok"];
  return s.store.up ? ["Redis", "up: sessions are known to all replicas", [], "ok"] : ["Redis", "cannot be used, see above", [], "bad"];
}, "none");

export function showTiles(status, history) {
  for (const show of tiles) show(status, history);
}
