// Where a session lives, by its sid.

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
      show(await ask("GET", `/api/sessions/${encodeURIComponent(sid)}`), open);
    } catch (err) {
      show(null, open, err.status === 404 ? `${sentence(err.message)}.` : err.message);
    }
  });
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);

function show(s, open, why) {
  const close = make("button.icon", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const head = make("div.sheet-head", {}, make("h2", { id: "session-title" }, s ? `Session ${s.sid}` : "No such session"), close);
  if (!s) {
    dialog.replaceChildren(head, make("p", {}, why));
  } else {
    const node = make("button.link", { type: "button", disabled: !s.known, onclick: () => { dialog.close(); open(s.cluster, s.node); } }, s.node);
    const facts = [["Cluster", s.cluster], ["Node", node], ["Transport", s.transport], ["Engine.IO", String(s.eio)],
      ["Binding", s.transport === "websocket" ? "not needed while its WebSocket lives" : `ends in ${span((new Date(s.expires) - Date.now()) / 1000)} unless it is renewed`]];
    const list = make("dl.list");
    for (const [name, value] of facts) list.append(make("dt", {}, name), make("dd", {}, value));
    dialog.replaceChildren(head, list);
    if (!s.known) dialog.append(make("p.alarm", {}, "The cluster has no node of that name any more, so the session ends with its next request."));
  }
  if (!dialog.open) dialog.showModal();
}

dialog.addEventListener("click", (e) => {
  if (e.target === dialog) dialog.close();
});
