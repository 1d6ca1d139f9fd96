// What the other files build the page of. Whatever comes from outside is set as text, never as HTML.

const svgNamespace = "http://www.w3.org/2000/svg";

/** make returns an element: make("p.soft", {id: "x"}, "text", child, …). Properties that begin with "aria" or hold "-" are attributes. */
export function make(what, properties, ...children) {
  const [tag, ...classes] = what.split(".");
  const e = document.createElement(tag);
  if (classes.length) e.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name in e && !name.includes("-")) e[name] = value;
    else e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

export const $ = (id) => document.getElementById(id);

/** setText changes a text only where it is another, so that a page that does not change costs nothing. */
export function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

export function setAttribute(e, name, value) {
  if (e.getAttribute(name) !== value) e.setAttribute(name, value);
}

export function setStyle(e, name, value) {
  if (e.style.getPropertyValue(name) !== value) e.style.setProperty(name, value);
}

/** keyed has the children of parent be those of items, in their order: each is created once by its key, and updated each time. */
export function keyed(parent, items, key, create, update) {
  const known = (parent.keyed ??= new Map());
  const wanted = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = key(item);
    if (wanted.has(k)) continue;
    wanted.add(k);
    let e = known.get(k);
    if (!e) known.set(k, (e = create(item)));
    update(e, item);
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
  for (const [k, e] of known) {
    if (wanted.has(k)) continue;
    e.remove();
    known.delete(k);
  }
}

/** svg returns an element of a drawing. */
export function svg(tag, attributes, ...children) {
  const e = document.createElementNS(svgNamespace, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

const sparkWidth = 120;
const sparkHeight = 28;
const fewest = 60; // values that a chart has room for, so that it is not empty at first

/** sparkline returns a small chart that says nothing to screen readers: the figure beside it does. */
export function sparkline() {
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line", "vector-effect": "non-scaling-stroke" });
  const e = svg("svg", { class: "spark", viewBox: `0 0 ${sparkWidth} ${sparkHeight}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, area, line);
  e.draw = (values) => {
    if (values.length < 2) return;
    const most = Math.max(...values, 1e-9) * 1.2;
    const step = sparkWidth / (Math.max(fewest, values.length) - 1);
    const left = sparkWidth - step * (values.length - 1);
    const points = values.map((v, i) => `${(left + i * step).toFixed(1)} ${(sparkHeight - 1 - (v / most) * (sparkHeight - 3)).toFixed(1)}`);
    setAttribute(line, "d", `M${points.join("L")}`);
    setAttribute(area, "d", `M${left.toFixed(1)} ${sparkHeight}L${points.join("L")}L${sparkWidth} ${sparkHeight}Z`);
  };
  return e;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const number = (n) => whole.format(n);
export const compact = (n) => (n < 10000 ? whole.format(n) : short.format(n));
export const count = (n, thing) => `${number(n)} ${thing}${n === 1 ? "" : "s"}`;
export const clock = (time) => clockFormat.format(time instanceof Date ? time : new Date(time));

/** rate writes something per second. */
export const rate = (n) => (n >= 100 ? whole.format(n) : oneDigit.format(n));

/** percent writes a share; what is no share of anything is a dash. */
export const percent = (part, of) => (of > 0 ? `${oneDigit.format((100 * part) / of)} %` : "–");

/** span writes a time that has passed, in its two largest units. */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** words writes a value of a metric's label as people read it. */
export const words = (label) => label.replaceAll("_", " ");

/** say tells screen readers. */
export function say(text) {
  setText($("said"), text);
}
