// The nodes of a cluster: the map, in which each is a bar, and the table.

import { make, keyed, setText, setAttribute, setStyle, number, compact, rate, percent, count, span, $ } from "./parts.js";

const natural = new Intl.Collator("en", { numeric: true });

const states = {
  unhealthy: { word: "unhealthy", order: 0 },
  ejected: { word: "ejected", order: 1 },
  draining: { word: "draining", order: 2 },
  untried: { word: "untried", order: 3 },
  warming: { word: "warming up", order: 4 },
  asking: { word: "asks for", order: 4 },
  ok: { word: "healthy", order: 4 },
};

/** stateOf says in a word how a node is: of several facts the gravest. */
export function stateOf(n) {
  if (!n.healthy) return "unhealthy";
  if (n.ejected) return "ejected";
  if (n.draining) return "draining";
  if (n.untried) return "untried";
  const asks = n.asks ?? 1; // the part of its weight that it wants
  if (n.share < 0.999 * n.weight * asks) return "warming";
  return asks < 1 ? "asking" : "ok";
}

export function stateWord(n) {
  const { word } = states[stateOf(n)];
  return stateOf(n) === "asking" ? `${word} ${percent(n.asks, 1)}` : word;
}

/** byName sorts nodes as people count: n2 before n10. */
export const byName = (a, b) => natural.compare(a.name, b.name);

const byConcern = (a, b) => states[stateOf(a)].order - states[stateOf(b)].order || byName(a, b);

/** lasting says for how long a node has been as it is; nothing where that is not known. */
export const lasting = (n) => (n.since ? `for ${span((n.now - n.since) / 1000)}` : "");

const inWords = (n) => `${n.name}, ${[stateWord(n), lasting(n)].filter(Boolean).join(" ")}: ${count(n.total, "session")}, ${number(n.total - n.total_polling)} by WebSocket, ${number(n.total_polling)} polling`;

// How large a cell of the map is, by how many there are.
const sizes = [[8, "large"], [48, "medium"], [Infinity, "small"]];

/** NodeMap draws a cluster's nodes as bars of their sessions. Tab goes to one of them, arrows from one to the next, Enter opens it. */
export class NodeMap {
  constructor(cluster, open) {
    this.open = open;
    this.cells = make("div.map", { role: "group", "aria-label": `Nodes of ${cluster}: arrow keys move, Enter opens` });
    this.cells.addEventListener("keydown", (e) => this.#move(e));
    for (const on of ["pointerover", "focusin"]) this.cells.addEventListener(on, (e) => this.#tip(e.target.closest(".cell")));
    for (const off of ["pointerleave", "focusout"]) this.cells.addEventListener(off, () => this.#tip(null));
    this.element = this.cells;
  }

  update(nodes) {
    const most = Math.max(1, ...nodes.map((n) => n.total));
    setAttribute(this.cells, "data-size", sizes.find(([upTo]) => nodes.length <= upTo)[1]);
    keyed(this.cells, [...nodes].sort(byName), (n) => n.name, (n) => this.#cell(n.name), (e, n) => {
      e.node = n;
      setAttribute(e, "data-state", stateOf(n));
      setAttribute(e, "aria-label", inWords(n));
      setStyle(e.sockets, "height", `${((100 * (n.total - n.total_polling)) / most).toFixed(1)}%`);
      setStyle(e.polling, "height", `${((100 * n.total_polling) / most).toFixed(1)}%`);
      setText(e.number, compact(n.total));
      setText(e.state, stateOf(n) === "ok" ? "" : stateWord(n));
    });
    if (!this.cells.querySelector('[tabindex="0"]')) this.cells.firstElementChild?.setAttribute("tabindex", "0");
    if (this.shown?.isConnected) this.#tip(this.shown);
  }

  #cell(name) {
    const e = make("button.cell", { type: "button", tabIndex: -1, onclick: () => this.open(name) });
    e.sockets = make("i.sockets");
    e.polling = make("i.polling");
    e.number = make("b");
    e.state = make("em");
    e.append(make("span.bar", { "aria-hidden": "true" }, e.sockets, e.polling),
      make("span.label", { "aria-hidden": "true" }, make("span.name", { textContent: name }), e.number, e.state));
    return e;
  }

  #move(event) {
    const all = [...this.cells.children];
    const at = all.indexOf(document.activeElement);
    if (at < 0) return;
    const columns = all.filter((e) => e.offsetTop === all[0].offsetTop).length;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || !all[to]) return;
    event.preventDefault();
    all[at].tabIndex = -1;
    all[to].tabIndex = 0;
    all[to].focus();
  }

  #tip(cell) {
    const tip = $("tip");
    this.shown = cell;
    tip.hidden = !cell;
    if (!cell) return;
    setText(tip, inWords(cell.node));
    const at = cell.getBoundingClientRect();
    const width = tip.offsetWidth;
    setStyle(tip, "left", `${Math.max(8, Math.min(innerWidth - width - 8, at.left + at.width / 2 - width / 2))}px`);
    setStyle(tip, "top", `${at.top - tip.offsetHeight - 8 < 60 ? at.bottom + 8 : at.top - tip.offsetHeight - 8}px`);
  }
}

const shownAtFirst = 12;

const columns = [
  ["Node", "name"], ["State", "state"], ["Sessions", "sessions"], ["Polling", "figure wide"], ["New/s", "figure"], ["Errors/s", "figure"],
  ["Weight", "figure wide"], ["Probe", "wide"], ["", "act wide"],
];

/** NodeTable lists a cluster's nodes, those that need somebody first. */
export class NodeTable {
  constructor(cluster, open) {
    this.open = open;
    this.all = false;
    this.filter = make("input", { type: "search", placeholder: "Filter by name, address or label", "aria-label": `Filter the nodes of ${cluster}`, oninput: () => this.update(this.nodes, this.figures) });
    this.body = make("tbody");
    this.more = make("button.quiet", { type: "button", onclick: () => { this.all = !this.all; this.update(this.nodes, this.figures); } });
    const head = make("tr", {}, ...columns.map(([title, kind]) => make("th", { className: kind, scope: "col" }, title || make("span.hidden", {}, "Change"))));
    this.search = make("div.filter", {}, this.filter);
    this.element = make("div.nodes", {}, this.search, make("table", {}, make("caption.hidden", {}, `Nodes of ${cluster}`), make("thead", {}, head), this.body), this.more);
  }

  /** figures returns a node's sessions and errors per second. */
  update(nodes, figures) {
    Object.assign(this, { nodes, figures });
    const wanted = this.filter.value.trim().toLowerCase();
    const text = (n) => `${n.name} ${n.address} ${stateWord(n)} ${Object.entries(n.labels ?? {}).map(([k, v]) => `${k}: ${v}`).join(" ")}`.toLowerCase();
    const found = [...nodes].filter((n) => !wanted || text(n).includes(wanted)).sort(byConcern);
    const some = this.all || wanted ? found : found.slice(0, shownAtFirst);
    const most = Math.max(1, ...nodes.map((n) => n.total));
    keyed(this.body, some, (n) => n.name, (n) => this.#row(n.name), (e, n) => this.#show(e, n, most));
    this.search.hidden = nodes.length <= shownAtFirst;
    this.more.hidden = nodes.length <= shownAtFirst || Boolean(wanted);
    setText(this.more, this.all ? "Show fewer" : `Show all ${number(nodes.length)} nodes`);
    setAttribute(this.more, "aria-expanded", String(this.all));
  }

  #row(name) {
    const cells = Object.fromEntries(["state", "bar", "total", "polling", "begun", "errors", "weight", "probe"].map((k) => [k, make("span")]));
    const open = make("button.link", { type: "button", onclick: () => this.open(name) }, name);
    cells.address = make("small.soft");
    cells.lasting = make("small.soft");
    cells.act = make("button.small", { type: "button", onclick: () => this.open(name, true) });
    cells.sockets = make("i.sockets");
    cells.polls = make("i.polling");
    const e = make("tr", {},
      make("th", { scope: "row", className: "name" }, open, cells.address),
      make("td.state", {}, cells.state, cells.lasting),
      make("td.sessions", {}, make("span.total", {}, cells.total), make("span.bar", { "aria-hidden": "true" }, cells.sockets, cells.polls)),
      make("td.figure.wide", {}, cells.polling), make("td.figure", {}, cells.begun), make("td.figure", {}, cells.errors),
      make("td.figure.wide", {}, cells.weight), make("td.wide.probe", {}, cells.probe), make("td.act.wide", {}, cells.act));
    e.shown = cells;
    return e;
  }

  #show(e, n, most) {
    const c = e.shown;
    const { begun, errors } = this.figures(n);
    setAttribute(e, "data-state", stateOf(n));
    setText(c.address, n.address);
    c.state.className = `chip ${stateOf(n)}`;
    setText(c.state, stateWord(n));
    setText(c.lasting, lasting(n));
    setText(c.total, number(n.total));
    setStyle(c.sockets, "width", `${((100 * (n.total - n.total_polling)) / most).toFixed(1)}%`);
    setStyle(c.polls, "width", `${((100 * n.total_polling) / most).toFixed(1)}%`);
    setText(c.polling, percent(n.total_polling, n.total));
    setText(c.begun, rate(begun));
    setText(c.errors, rate(errors));
    c.errors.className = errors > 0 ? "alarm" : "";
    setText(c.weight, weightOf(n));
    setText(c.probe, probeOf(n, true));
    setAttribute(c.probe, "title", probeOf(n));
    c.probe.className = n.probe?.reason ? "alarm" : "";
    setText(c.act, n.draining ? "Undrain" : "Drain");
    setAttribute(c.act, "aria-label", `${n.draining ? "Undrain" : "Drain"} ${n.name}`);
  }
}

export function weightOf(n) {
  return Math.abs(n.share - n.weight) < 0.005 * n.weight ? number(n.weight) : `${rate(n.share)} of ${number(n.weight)}`;
}

/** probeOf says what the last probe found, if there was one. */
export function probeOf(n, short) {
  if (!n.probe) return short ? "–" : "not probed";
  const took = `${Math.max(1, Math.round(1000 * n.probe.took))} ms`;
  return n.probe.reason || (short ? took : `good, in ${took}, ${span((n.now - new Date(n.probe.at)) / 1000)} ago`);
}
