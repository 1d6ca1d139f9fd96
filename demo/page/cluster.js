// The drawing of the cluster: sessions on the left, replicas in the middle, nodes on the right, and each session's way.

import { colour, element, initial } from "./messages.js";

const ns = "http://www.w3.org/2000/svg";
const width = 300;
const x = { session: 26, replica: 150, node: 262 };
const box = { width: 62, height: 34 };

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(ns, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** places spreads n things evenly over a height. */
function places(n, height) {
  return Array.from({ length: n }, (_, i) => (height * (i + 0.5)) / n);
}

function process(p, at, y, load, mine, wide = box.width) {
  const label = svg("text", { x: at, y: y - 1 }, p.name);
  const below = svg("text", { x: at, y: y + 11, class: "small" }, p.up ? load : "away");
  const rect = svg("rect", { x: at - wide / 2, y: y - box.height / 2, width: wide, height: box.height, rx: 9 });
  return svg("g", { class: [mine ? "mine" : "", p.up ? "" : "down"].join(" ") }, rect, label, below);
}

function curve(x1, y1, x2, y2) {
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}

const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

/** draw shows the state that a node told of: {nodes, replicas, redis}, and the sessions; uid is our own. */
export function draw(target, list, { nodes, replicas, redis }, sessions, uid) {
  const ways = [...sessions].sort((a, b) => `${a.node} ${a.name}`.localeCompare(`${b.node} ${b.name}`));
  const step = Math.max(9, Math.min(28, 420 / Math.max(1, ways.length)));
  const height = Math.max(170, ways.length * step, nodes.length * 50, replicas.length * 50);
  const at = {
    sessions: places(ways.length, height),
    replicas: new Map(places(replicas.length, height).map((y, i) => [replicas[i].name, y])),
    nodes: new Map(places(nodes.length, height).map((y, i) => [nodes[i].name, y])),
  };
  const me = ways.find((s) => s.uid === uid);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height + 44}`, role: "img" });
  ways.forEach((s, i) => {
    const classes = [s.transport === "polling" ? "polling" : "", s.uid === uid ? "me" : ""].join(" ");
    const replica = at.replicas.get(s.replica);
    const node = at.nodes.get(s.node);
    if (node === undefined) return;
    const start = [x.session + 9, at.sessions[i]];
    const end = [x.node - box.width / 2, node];
    const d = replica === undefined ? curve(...start, ...end)
      : curve(...start, x.replica - box.width / 2, replica) + curve(x.replica + box.width / 2, replica, ...end);
    drawing.append(svg("path", { d, class: classes }));
  });
  ways.forEach((s, i) => {
    const r = Math.min(10, step / 2 + 1);
    drawing.append(svg("circle", { cx: x.session, cy: at.sessions[i], r, fill: colour(s.uid), class: s.uid === uid ? "me" : "" }));
    if (r >= 8) drawing.append(svg("text", { x: x.session, y: at.sessions[i] + 3.6, class: "initial" }, initial(s.name)));
  });
  for (const p of replicas) {
    const load = many(ways.filter((s) => s.replica === p.name).length, "session");
    drawing.append(process(p, x.replica, at.replicas.get(p.name), load, me?.replica === p.name));
  }
  for (const p of nodes) {
    const load = `${p.kind === "js" ? "Node, " : "Go, "}${ways.filter((s) => s.node === p.name).length}`;
    drawing.append(process(p, x.node, at.nodes.get(p.name), load, me?.node === p.name));
  }
  drawing.append(process({ name: "Redis", up: redis.up }, (x.replica + x.node) / 2, height + 22, "bindings, logs", false, 92));
  const text = ways.map((s) => `${s.name}: ${s.replica || "?"} → ${s.node}, ${s.transport}, session ${s.sid}…`);
  const away = [...nodes, ...replicas].filter((p) => !p.up).map((p) => p.name);
  drawing.append(svg("title", {}, `${many(ways.length, "session")} on ${many(nodes.length, "node")} through ` +
    `${many(replicas.length, "replica")}; ${away.length ? `${away.join(", ")} away` : "all are up"}`));
  target.replaceChildren(drawing);
  list.replaceChildren(...text.map((t) => element("li", "", t)));
}
