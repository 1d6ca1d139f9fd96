// A card for each cluster.

import { make, keyed, setText, setStyle, number, rate, percent, count, compact, words } from "./parts.js";
import { NodeMap, NodeTable, stateOf, stateWord } from "./nodes.js";

/** fact is a figure with its name. */
function fact(name) {
  const value = make("dd");
  const e = make("div", {}, make("dt", {}, name), value);
  e.set = (text) => setText(value, text);
  return e;
}

/** Shares lists what a total is made of, by label: how much each grew lately, and in all. */
class Shares {
  constructor(title, none) {
    this.list = make("ul.shares");
    this.none = make("p.soft.empty", {}, none);
    this.since = make("span.soft");
    this.element = make("section.part", {}, make("h3", {}, title, " ", this.since), this.list, this.none);
  }

  update(totals, grown, minutes) {
    const rows = Object.entries(totals ?? {}).filter(([, n]) => n > 0).map(([name, all]) => ({ name, all, lately: grown(name) }));
    rows.sort((a, b) => b.lately - a.lately || b.all - a.all);
    const most = Math.max(1, ...rows.map((r) => r.lately));
    setText(this.since, minutes);
    this.none.hidden = rows.length > 0;
    keyed(this.list, rows, (r) => r.name, (r) => {
      const e = make("li");
      Object.assign(e, { bar: make("i"), lately: make("b"), total: make("small.soft") });
      e.append(make("span.what", {}, words(r.name)), make("span.bar", { "aria-hidden": "true" }, e.bar), e.lately, e.total);
      return e;
    }, (e, r) => {
      setText(e.lately, number(r.lately));
      setText(e.total, `${compact(r.all)} in all`);
      setStyle(e.bar, "width", `${(100 * r.lately) / most}%`);
    });
  }
}

/** sumUp says how many nodes are in which state. */
function sumUp(nodes) {
  const by = {};
  for (const n of nodes) if (stateOf(n) !== "ok") by[stateWord(n)] = (by[stateWord(n)] ?? 0) + 1;
  return [count(nodes.length, "node"), ...Object.entries(by).map(([word, n]) => `${number(n)} ${word}`)].join(", ");
}

/** Card shows a cluster. */
export class Card {
  constructor(name, open) {
    this.name = name;
    const openNode = (node, change) => open(name, node, change);
    this.map = new NodeMap(name, openNode);
    this.table = new NodeTable(name, openNode);
    this.where = make("p.soft");
    this.sum = make("p.sum");
    this.facts = { sessions: fact("Sessions"), begun: fact("New/s"), ended: fact("Ended/s"), upgrades: fact("Upgrades accepted"), polling: fact("Still polling after 30 s"), waiting: fact("Wait for pace") };
    this.figures = make("dl.facts", {}, ...Object.values(this.facts));
    this.ends = new Shares("WebSockets that ended", "None has ended yet.");
    this.moves = new Shares("Sessions that moved to other nodes", "");
    this.responses = new Shares("Answered by sidway itself", "No request yet.");
    const title = `cluster-${name}`;
    this.element = make("section.card.cluster", { "aria-labelledby": title },
      make("div.card-head", {}, make("h2", { id: title }, name), this.where, this.sum),
      this.figures, this.map.element, legend(), this.table.element,
      make("div.parts", {}, this.ends.element, this.moves.element, this.responses.element));
  }

  update(c, history, alone) {
    setText(this.where, [c.hosts?.join(", ") ?? "any host", c.path, words(c.balance), c.release ? `release ${c.release.label}: ${c.release.value} ${c.release.share}` : ""].filter(Boolean).join(" · "));
    setText(this.sum, sumUp(c.nodes));
    this.figures.hidden = alone;
    const of = (what) => `${c.name} ${what}`;
    this.facts.sessions.set(number(c.nodes.reduce((sum, n) => sum + n.total, 0)));
    this.facts.begun.set(rate(history.rate(of("begun"))));
    this.facts.ended.set(rate(history.rate(of("ended"))));
    this.facts.upgrades.set(percent(c.upgrades.made, c.upgrades.made + c.upgrades.refused));
    this.facts.polling.set(percent(c.old.polling, c.old.all));
    this.facts.waiting.set(number(c.waiting));
    this.map.update(c.nodes);
    this.table.update(c.nodes, (n) => ({ begun: history.rate(`${c.name}/${n.name} begun`), errors: history.rate(`${c.name}/${n.name} errors`) }));
    const minutes = `in the last ${history.seconds() < 60 ? count(Math.max(1, Math.round(history.seconds())), "second") : `${Math.round(history.seconds() / 60)} min`}`;
    this.ends.update(c.ends, (cause) => history.grown(of(`end ${cause}`)), minutes);
    this.moves.element.hidden = !Object.values(c.moves ?? {}).some((n) => n > 0);
    this.moves.update(c.moves, (outcome) => history.grown(of(`move ${outcome}`)), minutes);
    this.responses.update(c.responses, (reason) => history.grown(of(`response ${reason}`)), minutes);
  }
}

function legend() {
  return make("p.legend", {},
    make("span.key.sockets", {}, "WebSocket"), make("span.key.polling", {}, "polling"),
    make("span.key.draining", {}, "draining"), make("span.key.failing", {}, "unhealthy or ejected"));
}
