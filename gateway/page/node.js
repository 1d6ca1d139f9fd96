// A node in all its facts, with its drain.

import { make, setText, setAttribute, setStyle, sparkline, number, rate, percent, count, clock, span, say, $ } from "./parts.js";
import { ask } from "./stream.js";
import { forgetToken, keepToken, keptToken } from "./token.js";
import { stateOf, stateWord, lasting, weightOf, probeOf } from "./nodes.js";

const dialog = $("node");
let shown = null; // what the dialog is about

const facts = [
  ["Address", (n) => n.address], ["From", (n) => n.source], ["Weight", weightOf],
  ["Labels", (n) => Object.entries(n.labels ?? {}).map(([k, v]) => `${k}: ${v}`).join(", ") || "none"],
  ["By WebSocket", (n) => `${number(n.total - n.total_polling)} (${percent(n.total - n.total_polling, n.total)})`],
  ["Polling", (n) => `${number(n.total_polling)} (${percent(n.total_polling, n.total)})`],
  ["Of this replica", (n) => `${number(n.sessions)}: ${number(n.sockets)} by WebSocket, ${number(n.polling)} polling`],
  ["In flight here", (n) => `${count(n.leases, "request")} and WebSockets`],
  ["Last probe", (n) => probeOf(n)],
];

/** openNode shows a node; with change it also asks at once how it is to be changed. */
export function openNode(cluster, name, { status, history, change }) {
  const v = (shown = { cluster, name, values: [], spark: sparkline(), chips: make("p.chips"), total: make("b.large"), begun: make("b"), errors: make("b") });
  v.drain = drainPart(v);
  const list = make("dl.list");
  for (const [title] of facts) {
    v.values.push(make("dd"));
    list.append(make("dt", {}, title), v.values.at(-1));
  }
  dialog.replaceChildren(
    make("div.sheet-head", {}, make("h2", { id: "node-name" }, name, make("span.soft", {}, ` of ${cluster}`)), closing()),
    v.chips,
    make("div.big", {}, make("div", {}, v.total, make("span.soft", {}, " sessions of all replicas")), v.spark,
      make("p", {}, v.begun, make("span.soft", {}, " new/s"), "  ", v.errors, make("span.soft", {}, " errors/s"))),
    v.drain.element, list);
  dialog.showModal();
  showNode(status, history);
  if (change) v.drain.begin();
}

function closing() {
  return make("button.icon", { type: "button", "aria-label": "Close", onclick: (e) => e.target.closest("dialog").close() }, "✕");
}

/** showNode updates the dialog, if it is open. */
export function showNode(status, history) {
  const v = shown;
  if (!v || !dialog.open) return;
  const c = status.clusters.find((c) => c.name === v.cluster);
  const n = c?.nodes.find((n) => n.name === v.name);
  if (!n) {
    v.chips.replaceChildren(make("span.chip.unhealthy", {}, "the cluster has no such node any more"));
    v.drain.element.hidden = true;
    return;
  }
  const of = `${v.cluster}/${v.name}`;
  const chips = [[stateOf(n), stateWord(n)]];
  if (n.ejected && stateOf(n) !== "ejected") chips.push(["ejected", "ejected"]);
  if (n.draining && stateOf(n) !== "draining") chips.push(["draining", "draining"]);
  chips[0][1] = [chips[0][1], lasting(n)].filter(Boolean).join(" ");
  const said = JSON.stringify(chips);
  if (v.said !== said) v.chips.replaceChildren(...chips.map(([kind, word]) => make(`span.chip.${kind}`, {}, word)));
  v.said = said;
  setText(v.total, number(n.total));
  v.spark.draw(history.values(`${of} total`));
  setText(v.begun, rate(history.rate(`${of} begun`)));
  setText(v.errors, rate(history.rate(`${of} errors`)));
  facts.forEach(([, value], i) => setText(v.values[i], value(n)));
  v.drain.update(n, status);
}

/** drainPart is what drains the node or takes that back, each behind a second question. */
function drainPart(v) {
  const begin = make("button", { type: "button", onclick: () => part.begin() });
  const progress = make("p.progress");
  const bar = make("i");
  const meter = make("span.meter", { "aria-hidden": "true", hidden: true }, bar);
  const form = make("form.drain", { hidden: true });
  const element = make("section.change", { "aria-label": `Drain of ${v.name}` }, progress, meter, begin, form);
  const part = {
    element,
    begin() {
      if (!part.node) return;
      fill(form, v, part);
      form.hidden = false;
      begin.hidden = true;
      form.querySelector("input:checked, .primary").focus();
    },
    end() {
      form.hidden = true;
      begin.hidden = false;
      begin.focus();
    },
    update(n, status) {
      const turned = part.node && part.node.draining !== n.draining;
      Object.assign(part, { node: n, token: status.replica.token, redis: status.store.kind === "redis" });
      if (turned && !form.hidden && !form.busy) part.end();
      setText(begin, n.draining ? `Undrain ${n.name} …` : `Drain ${n.name} …`);
      v.most = n.draining ? Math.max(v.most ?? 0, n.total) : 0;
      setText(progress, progressOf(n, new Date(status.at)) + suspendedOf(n, new Date(status.at)));
      meter.hidden = !n.draining;
      setStyle(bar, "width", `${v.most ? (100 * n.total) / v.most : 0}%`);
    },
  };
  return part;
}

/** suspendedOf says that no session of a drained node is moved for a while, where that is so. */
function suspendedOf(n, now) {
  const again = n.drain?.moves_again;
  if (!again || n.total === 0 || new Date(again) <= now) return "";
  return ` None is moved before ${clock(again)}, since five moves in a row went wrong.`;
}

/** progressOf says how far a drain has come. */
function progressOf(n, now) {
  if (!n.draining) return "";
  const d = n.drain ?? {};
  const left = `${count(n.total, "session")} left`;
  if (n.total === 0) return "Drained, and empty: it may be stopped.";
  if (d.silent >= n.total) return `${left}, which poll and have no request here now. Those that stay silent are given up.`;
  if (d.rate > 0) return `${left}, ${rate(d.rate)} a second end, done at ${clock(d.done)}.`;
  if (!d.deadline) return `${left}, which end when their clients leave.`;
  const in_ = (new Date(d.deadline) - now) / 1000;
  return in_ > 0 ? `${left}, ended from ${clock(d.deadline)} on, in ${span(in_)}.` : `${left}, and no other node takes them.`;
}

const deadlines = [["", "never: they end when their clients leave"], ["0s", "at once"], ["1m", "after 1 minute"], ["5m", "after 5 minutes"], ["30m", "after 30 minutes"]];

/** fill makes the form that asks whether it is meant. */
function fill(form, v, part) {
  const n = part.node;
  const where = part.redis ? "at all replicas" : "at this replica";
  const problem = make("p.alarm", { role: "alert" });
  const submit = make("button.primary", { type: "submit" }, n.draining ? `Undrain ${n.name}` : `Drain ${n.name}`);
  const parts = n.draining
    ? [make("p", {}, `${n.name} gets new sessions again, ${where}.`)]
    : [make("p", {}, `${n.name} gets no new sessions, ${where}. The ${count(n.total, "session")} that it has go on.`),
        make("fieldset", {}, make("legend", {}, "They are ended"), ...deadlines.map(([value, words], i) =>
          make("label", {}, make("input", { type: "radio", name: "deadline", value, checked: i === 3 }), ` ${words}`)))];
  form.replaceChildren(...parts, ...tokenParts(part.token), problem,
    make("div.acts", {}, submit, make("button", { type: "button", onclick: () => part.end() }, "Cancel")));
  form.onsubmit = async (event) => {
    event.preventDefault();
    const deadline = new FormData(form).get("deadline");
    const typed = form.querySelector("[name=token]")?.value;
    submit.disabled = form.busy = true;
    try {
      await change(v, n.draining, deadline, typed);
      part.end();
      say(n.draining ? `${n.name} gets new sessions again` : `${n.name} is drained`);
    } catch (err) {
      setText(problem, err.status === 401 ? "That is not the token." : err.message);
      if (err.status === 401 && !typed) fill(form, v, part); // what was kept is of no use
      if (err.status === 401) form.querySelector("[name=token]")?.focus();
    } finally {
      submit.disabled = form.busy = false;
    }
  };
}

async function change(v, draining, deadline, typed) {
  const path = `/api/clusters/${encodeURIComponent(v.cluster)}/nodes/${encodeURIComponent(v.name)}/drain`;
  try {
    await ask(draining ? "DELETE" : "POST", path, { token: typed || keptToken(), body: draining ? undefined : deadline ? { deadline } : {} });
  } catch (err) {
    if (err.status === 401) forgetToken();
    throw err;
  }
  if (typed) keepToken(typed);
}

/** tokenParts ask for the token where one is needed and none is kept. */
function tokenParts(needed) {
  if (!needed) return [];
  if (keptToken()) {
    const forget = make("button.link", { type: "button", onclick: () => { forgetToken(); kept.replaceWith(...tokenParts(true)); } }, "Forget it");
    const kept = make("p.soft", {}, "The token is kept until this tab is closed. ", forget);
    return [kept];
  }
  return [make("label.field", {}, "Token (admin.token)", make("input", { name: "token", type: "password", autocomplete: "off", required: true }))];
}

dialog.addEventListener("click", (e) => {
  if (e.target === dialog) dialog.close(); // beside it
});
