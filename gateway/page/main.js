// The status page: it follows the stream, keeps the last minutes, and shows them.

import { make, keyed, setText, setAttribute, number, span, $ } from "./parts.js";
import { follow } from "./stream.js";
import { History } from "./history.js";
import { Card } from "./clusters.js";
import { showReplicas } from "./replicas.js";
import { showEvent, forgetEvents } from "./events.js";
import { showTiles, totals } from "./tiles.js";
import { openNode, showNode } from "./node.js";
import { findSessions } from "./session.js";

const history = new History();
const staleAfter = 3500; // ms
const fewProblems = 5;
let status = null;
let heard = 0; // when the last status came
let why = "";
let shut = false; // the replica does not answer without its token, or not at all from here
let allProblems = false;

/** remember takes from a status what charts and rates are made of. */
function remember(s) {
  const values = totals(s);
  for (const c of s.clusters) {
    values[`${c.name} begun`] = c.handshakes.made;
    values[`${c.name} ended`] = c.ended;
    for (const [cause, n] of Object.entries(c.ends ?? {})) values[`${c.name} end ${cause}`] = n;
    for (const [outcome, n] of Object.entries(c.moves ?? {})) values[`${c.name} move ${outcome}`] = n;
    for (const [reason, n] of Object.entries(c.responses ?? {})) values[`${c.name} response ${reason}`] = n;
    for (const n of c.nodes) {
      values[`${c.name}/${n.name} total`] = n.total;
      values[`${c.name}/${n.name} begun`] = n.handshakes;
      values[`${c.name}/${n.name} errors`] = n.errors;
    }
  }
  history.add(new Date(s.at).getTime(), values);
}

function take(s) {
  const now = new Date(s.at);
  for (const c of s.clusters) for (const n of c.nodes = c.nodes ?? []) Object.assign(n, { now, since: n.since && new Date(n.since) });
  if (status && status.replica.started !== s.replica.started) { // another process: its totals begin anew
    history.clear();
    forgetEvents();
  }
  status = s;
  heard = performance.now();
  remember(s);
  draw();
  tell();
}

let drawing = 0;

/** draw shows what there is with the next picture that the browser makes: not while nobody sees it, and once for several statuses. */
function draw() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    show();
  });
}

const cards = new Map();

function show() {
  if (!status) return;
  const now = new Date(status.at);
  setText($("self"), status.replica.name);
  setAttribute($("self"), "title", `${status.replica.name}, version ${status.replica.version || "unknown"}, up ${span((now - new Date(status.replica.started)) / 1000)}`);
  showVerdict();
  showTiles(status, history);
  keyed($("clusters"), status.clusters, (c) => c.name, (c) => {
    const card = new Card(c.name, openHere);
    cards.set(c.name, card);
    return card.element;
  }, (_, c) => cards.get(c.name).update(c, history, status.clusters.length === 1));
  showReplicas(status.replicas, now);
  showNode(status, history);
}

function openHere(cluster, node, change) {
  openNode(cluster, node, { status, history, change });
}

const levelWords = { bad: "Wrong", warn: "Look", info: "Note" };

/** showOpen has a button open the node that a problem is about, if it is about one. */
function showOpen(button, p) {
  button.hidden = !p.node;
  setText(button, p.node ? `Open ${p.node}` : "");
  button.onclick = () => openHere(p.cluster, p.node);
}

/** showVerdict says in one sentence whether all is well or what is wrong most, and lists what else is to be known. */
function showVerdict() {
  const problems = status.problems ?? [];
  const level = problems.find((p) => p.level !== "info")?.level ?? "ok";
  setAttribute($("verdict"), "data-level", level);
  setText($("headline"), status.headline);
  document.title = level === "ok" ? "sidway: all is well" : `sidway: ${status.headline}`;
  showOpen($("open-first"), level === "ok" ? {} : problems[0]);
  const listed = level === "ok" ? problems : problems.slice(1); // the headline is the first
  keyed($("problems"), allProblems ? listed : listed.slice(0, fewProblems), (p) => `${p.level} ${p.cluster ?? ""} ${p.node ?? ""} ${p.replica ?? ""} ${p.text.replace(/\d[\d,:.]*/g, "#")}`, () => {
    const e = make("li");
    e.words = make("span.text");
    e.open = make("button.small", { type: "button" });
    e.level = make("b.level");
    e.append(e.level, e.words, e.open);
    return e;
  }, (e, p) => {
    setAttribute(e, "data-level", p.level);
    setText(e.level, levelWords[p.level] ?? p.level);
    setText(e.words, p.text);
    showOpen(e.open, p);
  });
  const more = $("more-problems");
  more.hidden = listed.length <= fewProblems;
  setText(more, allProblems ? "Show fewer" : `Show all ${number(listed.length)}`);
  setAttribute(more, "aria-expanded", String(allProblems));
}

$("more-problems").addEventListener("click", () => {
  allProblems = !allProblems;
  show();
});

/** tell says whether what is shown is live. */
function tell() {
  const age = performance.now() - heard;
  const state = !heard ? (shut ? "shut" : "new") : shut || age > staleAfter ? "stale" : "live";
  setAttribute($("live"), "data-state", state);
  setAttribute(document.body, "data-state", state);
  setText($("live-text"), { new: why ? `not connected: ${why}` : "connecting", shut: "not connected", live: "live", stale: `stale for ${span(age / 1000)}${why ? `: ${why}` : ""}` }[state]);
}

setInterval(tell, 1000);
findSessions(openHere);
follow("/api/status/stream", {
  message: ({ kind, data }) => {
    why = "";
    shut = false;
    if (kind === "status") take(JSON.parse(data));
    else showEvent(JSON.parse(data));
  },
  lost: (err) => {
    why = err.message;
    shut = err.status === 401 || err.status === 403;
    if (shut && !heard) setText($("headline"), `Not connected: ${why}`);
    tell();
  },
});
