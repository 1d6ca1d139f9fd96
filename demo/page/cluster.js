// The drawing of the cluster: sessions on the left, replicas in the middle, nodes on the right, Redis below, and each session's
// way. A line that leads elsewhere swings there; dots are frames, polls and messages under way.
//
// Events: "pick" {kind, name, x, y}: somebody pressed a "session" (name is its uid), "replica", "node" or "redis".

import { colour, element, initial } from "./messages.js";

const ns = "http://www.w3.org/2000/svg";
const swing = 700; // ms
const leg = 420; // ms for a dot from one column to the next
const dotsMost = 160;
const still = matchMedia("(prefers-reduced-motion: reduce)");

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(ns, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const ease = (t) => (t < 0.5 ? 4 * t ** 3 : 1 - (-2 * t + 2) ** 3 / 2);

/** A curve is [x1, y1, x2, y2]; it leaves and comes in level. */
const d = ([x1, y1, x2, y2]) => `M${x1} ${y1}C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}`;

function point([x1, y1, x2, y2], t) {
  const middle = (x1 + x2) / 2;
  const [a, b, c, e] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
  return [a * x1 + b * middle + c * middle + e * x2, a * y1 + b * y1 + c * y2 + e * y2];
}

export class Drawing extends EventTarget {
  #sessions = new Map(); // uid -> {from, to, began, line, dot, text, data}
  #boxes = new Map(); // name -> {g, rect, name, load, x, y}
  #order = new Map(); // uid -> when it was first seen
  #dots = new Set();
  #running = false;
  #last = null; // what was shown last

  constructor(target, list) {
    super();
    Object.assign(this, { target, list });
    this.lines = svg("g");
    this.processes = svg("g");
    this.people = svg("g");
    this.flying = svg("g", { class: "flying" });
    this.titles = svg("g", { class: "titles" });
    this.root = svg("svg", { role: "group" }, this.titles, this.lines, this.people, this.processes, this.flying);
    target.replaceChildren(this.root);
    new ResizeObserver(() => this.#last && this.show(...this.#last, true)).observe(target);
  }

  /** show draws the state that a node told of: {nodes, replicas, redis}, and the sessions; uid is our own. Where we are not
   *  connected, the state is what was known last, and our node is the one that does not answer. */
  show(state, sessions, uid, connected, atOnce = false) {
    this.#last = [state, sessions, uid, connected];
    const { nodes, replicas, redis } = state;
    const w = Math.max(280, this.target.clientWidth);
    const h = Math.max(300, this.target.clientHeight);
    const narrow = w < 520;
    this.size = { w, h, top: narrow ? 34 : 54, bottom: h - 64, box: narrow ? [72, 38] : [Math.min(128, w * 0.19), 46] };
    this.columns = { session: narrow ? 12 : 20, replica: w * (narrow ? 0.52 : 0.5), node: w - this.size.box[0] / 2 - 8 };
    this.root.setAttribute("viewBox", `0 0 ${w} ${h}`);
    this.root.setAttribute("class", connected ? "" : "stale");
    this.#title(narrow, sessions.length);
    const me = sessions.find((s) => s.uid === uid);
    const lost = connected ? "" : me?.node;
    const seen = new Set();
    const spread = (list, kind, load) => list.forEach((p, i) => {
      const { top, bottom } = this.size;
      seen.add(p.name);
      const silent = p.name === lost;
      const what = silent ? "no answer" : !p.up ? "down" : p.draining ? "drained" : load(p);
      this.#box(p, kind, this.columns[kind], top + ((bottom - top) * (i + 0.5)) / list.length, {
        what, down: !p.up || silent, draining: p.draining, mine: me?.[kind] === p.name,
      });
    });
    const on = (kind, name) => sessions.filter((s) => s[kind] === name).length;
    spread(replicas, "replica", (p) => (narrow ? `${on("replica", p.name)} here` : many(on("replica", p.name), "session")));
    spread(nodes, "node", (p) => `${p.kind === "js" ? "Node.js" : "Go"}, ${on("node", p.name)}`);
    seen.add("redis");
    this.#box({ ...redis, name: "redis" }, "redis", (this.columns.replica + this.columns.node) / 2, h - 28, {
      what: !redis.up ? "down" : narrow ? "who is where" : "who is where, and what was said", down: !redis.up, wide: narrow ? 110 : 210, label: "Redis",
    });
    for (const [name, box] of this.#boxes) {
      if (seen.has(name)) continue;
      box.g.remove();
      this.#boxes.delete(name);
    }
    this.#placeSessions(sessions, uid, atOnce);
    this.#tell(state, sessions);
  }

  /** frame has a dot go from a session to its node, or back. */
  frame(uid, up) {
    const s = this.#sessions.get(uid);
    if (s) this.#fly(() => this.#way(s), { back: !up, kind: s.data.transport === "polling" ? "poll" : "frame" });
  }

  /** message shows how one reaches all: to its sender's node, by Redis to the others, and on to everybody in the room. */
  async message(uid) {
    const s = this.#sessions.get(uid);
    if (!s) return;
    const { node } = s.data;
    const link = (name) => () => (this.#boxes.has(name) ? [this.#link(name)] : []);
    const others = [...new Set([...this.#sessions.values()].map((o) => o.data.node))].filter((name) => name !== node);
    const down = (name) => {
      for (const o of this.#sessions.values()) if (o.data.node === name) this.#fly(() => this.#way(o), { back: true, kind: "message" });
    };
    await this.#fly(() => this.#way(s), { kind: "message" });
    down(node);
    await this.#fly(link(node), { kind: "message" });
    await Promise.all(others.map(async (name) => {
      await this.#fly(link(name), { back: true, kind: "message" });
      down(name);
    }));
  }

  #title(narrow, n) {
    const { session, replica, node } = this.columns;
    const key = [narrow, n, this.size.w].join();
    if (this.titled === key) return;
    this.titled = key;
    const column = (x, anchor, head, words) => [
      svg("text", { x, y: 16, "text-anchor": anchor, class: "head" }, head),
      ...(narrow ? [] : [svg("text", { x, y: 33, "text-anchor": anchor, class: "small" }, words)]),
    ];
    this.titles.replaceChildren(
      ...column(session - 8, "start", many(n, "session"), "people's connections"),
      ...column(replica, "middle", "sidway replicas", "either one serves anybody"),
      ...column(node + this.size.box[0] / 2, "end", "nodes", "a session lives on one"),
    );
  }

  #box(p, kind, x, y, { what, down, draining, mine, wide, label = p.name }) {
    let box = this.#boxes.get(p.name);
    if (!box) {
      const link = svg("path", { class: "link" });
      const rect = svg("rect", { rx: 11 });
      const name = svg("text");
      const load = svg("text", { class: "small" });
      const g = svg("g", { tabindex: 0, role: "button" }, rect, name, load);
      box = { g, rect, name, load, link, x, y };
      this.#boxes.set(p.name, box);
      this.lines.prepend(link);
      this.processes.append(g);
      this.#pickable(g, kind, p.name, () => [box.x, box.y + box.rect.getAttribute("height") / 2]);
    }
    const [width, height] = [wide ?? this.size.box[0], this.size.box[1]];
    Object.assign(box, { x, y });
    box.g.setAttribute("class", ["process", kind, mine ? "mine" : "", down ? "down" : "", draining ? "draining" : ""].join(" "));
    box.g.setAttribute("aria-label", `${label}, ${{ node: "a node", replica: "a sidway replica", redis: "the store" }[kind]}: ${what}`);
    for (const [k, v] of Object.entries({ x: x - width / 2, y: y - height / 2, width, height })) box.rect.setAttribute(k, v);
    for (const [text, at] of [[box.name, -3], [box.load, 13]]) {
      text.setAttribute("x", x);
      text.setAttribute("y", y + at);
    }
    box.name.textContent = label;
    box.load.textContent = what;
    if (kind !== "redis") box.link.setAttribute("d", d(this.#link(p.name)));
  }

  /** link is the way from a process to Redis. */
  #link(name) {
    const box = this.#boxes.get(name);
    return [box.x, box.y, (this.columns.replica + this.columns.node) / 2, this.size.h - 28];
  }

  #placeSessions(sessions, uid, atOnce) {
    // In the order in which they came, so that a session that moves stays where it is and its line alone swings.
    for (const { uid } of sessions) if (!this.#order.has(uid)) this.#order.set(uid, this.#order.size);
    const ways = [...sessions].sort((a, b) => this.#order.get(a.uid) - this.#order.get(b.uid));
    const { top, h, w } = this.size;
    const room = h - top - 12;
    // As many columns as it takes for dots that can be told apart and pressed.
    const columns = Math.ceil(ways.length / Math.max(1, Math.floor(room / 15)));
    const rows = Math.ceil(ways.length / Math.max(1, columns));
    const step = Math.min(40, room / Math.max(1, rows));
    const r = Math.max(3.5, Math.min(14, step / 2 - 1, (w * 0.2) / Math.max(1, columns) / 2 - 1));
    const left = this.columns.session;
    const across = 2 * r + 2;
    const seen = new Set();
    ways.forEach((data, i) => {
      seen.add(data.uid);
      const x = left + r - 8 + Math.floor(i / rows) * across;
      const y = top + room / 2 + ((i % rows) - (rows - 1) / 2) * step;
      this.#session(data, { x, y, r, mine: data.uid === uid }, atOnce);
    });
    for (const [key, s] of this.#sessions) {
      if (seen.has(key)) continue;
      s.line.remove();
      s.dot.remove();
      this.#sessions.delete(key);
    }
  }

  #session(data, { x, y, r, mine }, atOnce) {
    const replica = this.#boxes.get(data.replica);
    const node = this.#boxes.get(data.node) ?? { x: this.columns.node, y };
    const half = this.size.box[0] / 2;
    const via = replica ?? { x: this.columns.replica, y: (y + node.y) / 2 };
    const to = [x + r, y, via.x - half, via.y, via.x + half, via.y, node.x - half, node.y];
    let s = this.#sessions.get(data.uid);
    if (!s) {
      const circle = svg("circle", { fill: colour(data.uid) });
      const text = svg("text", { class: "initial" });
      const dot = svg("g", { role: "button", tabindex: mine ? 0 : -1 }, circle, text);
      s = { line: svg("path"), dot, circle, text, from: to, to, began: -Infinity };
      this.#sessions.set(data.uid, s);
      this.lines.append(s.line);
      this.people.append(dot);
      this.#pickable(dot, "session", data.uid, () => [s.at[0], s.at[1] + r]);
    }
    const leads = s.data && (s.data.node !== data.node || s.data.replica !== data.replica);
    s.line.setAttribute("class", [data.transport === "polling" ? "polling" : "", mine ? "me" : ""].join(" "));
    Object.assign(s, { data, at: [x, y] });
    if (atOnce || still.matches) Object.assign(s, { from: to, to, began: -Infinity });
    else if (to.some((v, i) => v !== s.to[i])) Object.assign(s, { from: this.#now(s), to, began: performance.now(), swings: leads });
    s.dot.setAttribute("class", mine ? "session me" : "session");
    s.dot.setAttribute("aria-label", `${mine ? "you" : data.name}, a session`);
    s.circle.setAttribute("r", r);
    s.text.textContent = r >= 8 ? initial(data.name) : "";
    if (mine) this.people.append(s.dot);
    this.#put(s);
    this.#run();
  }

  /** now is where a session's line is at this moment of its swing. */
  #now(s) {
    const t = ease(Math.min(1, (performance.now() - s.began) / swing));
    return s.to.map((v, i) => s.from[i] + (v - s.from[i]) * t);
  }

  #way(s) {
    const [a, b, c, e, f, g, k, l] = this.#now(s);
    return [[a, b, c, e], [f, g, k, l]];
  }

  #put(s) {
    const [first, second] = this.#way(s);
    s.line.setAttribute("d", d(first) + d(second));
    const r = Number(s.circle.getAttribute("r"));
    const [x, y] = [first[0] - r, first[1]];
    s.circle.setAttribute("cx", x);
    s.circle.setAttribute("cy", y);
    s.text.setAttribute("x", x);
    s.text.setAttribute("y", y + 3.6);
    s.line.classList.toggle("swings", Boolean(s.swings) && performance.now() - s.began < swing * 2);
  }

  /** fly has a dot take a way of curves, which is asked for anew at each moment, and resolves when it is there. */
  #fly(way, { back = false, kind = "" } = {}) {
    if (still.matches || document.hidden || this.#dots.size >= dotsMost || !this.target.clientWidth) return Promise.resolve();
    const dot = svg("circle", { r: kind === "message" ? 4 : 3, class: kind });
    return new Promise((resolve) => {
      this.#dots.add({ way, back, dot, resolve, began: performance.now() });
      this.#run();
    });
  }

  #run() {
    if (this.#running) return;
    this.#running = true;
    requestAnimationFrame(() => this.#tick());
  }

  #tick() {
    const now = performance.now();
    let busy = false;
    for (const s of this.#sessions.values()) {
      if (now - s.began > swing * 3) continue;
      busy = true;
      this.#put(s);
    }
    for (const f of this.#dots) {
      const curves = f.way();
      const t = (now - f.began) / leg / Math.max(1, curves.length);
      if (t >= 1 || !curves.length) {
        f.dot.remove();
        this.#dots.delete(f);
        f.resolve();
        continue;
      }
      const at = (f.back ? 1 - t : t) * curves.length;
      const i = Math.min(curves.length - 1, Math.floor(at));
      const [x, y] = point(curves[i], at - i);
      f.dot.setAttribute("cx", x);
      f.dot.setAttribute("cy", y);
      if (!f.dot.isConnected) this.flying.append(f.dot);
    }
    this.#running = false;
    if (busy || this.#dots.size) this.#run();
  }

  #pickable(g, kind, name, at) {
    const pick = () => {
      const [x, y] = at();
      this.dispatchEvent(Object.assign(new Event("pick"), { kind, name, x, y }));
    };
    g.addEventListener("click", pick);
    g.addEventListener("keydown", (e) => {
      if (e.key !== "Enter" && e.key !== " ") return;
      e.preventDefault();
      pick();
    });
  }

  #tell({ nodes, replicas }, sessions) {
    const away = [...nodes, ...replicas].filter((p) => !p.up).map((p) => p.name);
    this.root.setAttribute("aria-label", `${many(sessions.length, "session")} on ${many(nodes.length, "node")} through ` +
      `${many(replicas.length, "replica")}; ${away.length ? `${away.join(", ")} down` : "all are up"}`);
    const text = sessions.map((s) => `${s.name}: ${s.replica || "?"} → ${s.node}, ${s.transport}, session ${s.sid}…`);
    this.list.replaceChildren(...text.map((t) => element("li", "", t)));
  }
}
