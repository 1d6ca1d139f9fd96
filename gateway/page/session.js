// Where a session lives and its last requests, or why it lives no more, by its sid.

import { make, span, $ } from "./parts.js";
import { ask } from "./stream.js";

const dialog = $("session");

/** findSessions has the form in the head find sessions; open opens a node. */
export function findSessions(open) {
  $("find").addEventListener("submit", async (event) => {
    event.preventDefault();
    const sid = $("sid").value.trim();
    if (!sid) return;
    try {
      show(await ask("GET", `/api/sessions/${encodeURIComponent(sid)}/trace`), open);
    } catch (err) {
      show({ why: err.message, requests: [] }, open);
    }
  });
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
const ago = (time, otherwise) => (time ? `${span((Date.now() - new Date(time)) / 1000)} ago` : otherwise);

function show(s, open) {
  const close = make("button.icon", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const title = s.live ? `Session ${s.sid}` : s.node ? `Session ${s.sid} is over` : "No such session";
  dialog.replaceChildren(make("div.sheet-head", {}, make("h2", { id: "session-title" }, title), close));
  if (s.why) dialog.append(make(s.node ? "p.alarm" : "p", {}, sentence(s.why)));
  if (s.note) dialog.append(make("p.soft", {}, sentence(s.note)));
  if (s.node) dialog.append(facts(s, open));
  if (s.requests.length) dialog.append(requests(s.requests));
  if (!dialog.open) dialog.showModal();
}

function facts(s, open) {
  const node = make("button.link", { type: "button", disabled: s.node_state === "gone", onclick: () => { dialog.close(); open(s.cluster, s.node); } }, s.node);
  const all = [["Cluster", s.cluster], ["Node", node], ["Made", ago(s.since, "no replica remembers when")]];
  if (s.live) all.push(["Transport", s.transport]);
  if (s.tunnel) all.push(["WebSocket at", s.tunnel], ["Since", ago(s.tunnel_since, "unknown")]);
  if (s.eio) all.push(["Engine.IO", String(s.eio)]);
  if (s.live && !s.tunnel) all.push(["Binding", `ends in ${span((new Date(s.expires) - Date.now()) / 1000)} unless it is renewed`]);
  if (s.replicas > 1) all.push(["Replicas", `${s.answered} of ${s.replicas} answered`]);
  const list = make("dl.list");
  for (const [name, value] of all) list.append(make("dt", {}, name), make("dd", {}, value));
  return list;
}

function requests(all) {
  const rows = all.map((q) => make("tr", {}, make("td", {}, ago(q.at)),
    make("td", { title: `at ${q.replica}` }, q.kind.replace("_", " ")),
    make("td", {}, [q.status || "", q.cause].filter(Boolean).join(" ")), make("td.figure", {}, q.took < 1 ? `${Math.round(1000 * q.took)} ms` : span(q.took))));
  const head = ["Ended", "Request", "Answer", "Took"].map((name) => make("th", { scope: "col" }, name));
  return make("table.requests", {}, make("caption.soft", {}, "Its last requests, the latest last"), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

dialog.addEventListener("click", (e) => {
  if (e.target === dialog) dialog.close();
});
