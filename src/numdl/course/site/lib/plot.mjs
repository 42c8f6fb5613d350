// One figure as SVG: crisp at any size, printed as it stands, coloured by the style sheet, operated by pointer and keyboard.
import { clamp } from "./numerics.mjs";

const NS = "http://www.w3.org/2000/svg", MARGIN = { left: 58, right: 14, top: 10, bottom: 44 };
const ZOOM = 1.25, ROOM = 0.54; // of figures on slides: larger letters, at most this share of the height of the window
const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
export const power = (k) => "10" + String(k).replace(/./g, (c) => SUPER[c]);

// A number as one writes it in a sentence: three digits, powers of ten beyond 10,000 and below 0.001.
export function say(x, digits = 3) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "unknown" : x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const a = Math.abs(x), k = Math.floor(Math.log10(a) + 1e-12), minus = x < 0 ? "−" : "";
  if (k < -3 || k > 5) { const front = (a / 10 ** k).toPrecision(2); return `${minus}${front === "10" ? "1.0" : front}·${power(front === "10" ? k + 1 : k)}`; }
  const text = k >= digits ? Math.round(a).toLocaleString("en") : Number(a.toPrecision(digits)).toString();
  return minus + text;
}

export const counted = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;
export const percent = (x, digits = 3) => `${say(100 * x, digits)}\u00a0%`;
// An error over the size of what was wanted; large ones are no per cent any more.
export const offBy = (x) => (x < 10 ? percent(x) : `${say(x)} times the truth`);

function ticks({ min, max, log, ticks: given }, room) {
  if (given) return given.map((v) => (Array.isArray(v) ? v : [v, say(v)]));
  if (log) {
    const low = Math.ceil(Math.log10(min) - 1e-9), high = Math.floor(Math.log10(max) + 1e-9);
    const step = Math.max(1, Math.ceil((high - low + 1) / room)), found = [];
    for (let k = low; k <= high; k += step) found.push([10 ** k, Math.abs(k) <= 2 ? say(10 ** k) : power(k)]);
    if (found.length < 2) for (const m of [2, 5]) for (let k = low - 1; k <= high; k++) { const v = m * 10 ** k; if (v >= min && v <= max) found.push([v, say(v)]); }
    return found;
  }
  const raw = (max - min) / room, unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw * 0.999), found = [];
  for (let k = Math.ceil(min / step - 1e-9); k * step <= max + 1e-9 * step; k++) found.push([k * step, say(Number((k * step).toPrecision(12)), 4)]);
  return found;
}

let count = 0;

export class Plot {
  // host: an element. view: {title, x, y: {min, max, log, label, ticks}, height, equal: one unit for both axes}.
  constructor(host, view) {
    this.host = host;
    host.classList.add("plot");
    this.head = add(host, "div", { class: "plot-head" });
    this.svg = host.appendChild(document.createElementNS(NS, "svg"));
    this.clipName = `clip${count++}`;
    this.handles = new Map();
    this.svg.addEventListener("pointerdown", (event) => this.pressed(event));
    this.svg.addEventListener("pointermove", (event) => this.held && this.handles.get(this.held)?.move(...this.toData(event)));
    for (const end of ["pointerup", "pointercancel"]) this.svg.addEventListener(end, () => (this.held = null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.begin(view);
  }

  // Empties the figure and draws its frame.
  begin(view) {
    const focus = document.activeElement?.closest?.("svg") === this.svg ? document.activeElement.dataset.key : null;
    this.refocus = focus;
    this.view = view;
    const slides = document.body.classList.contains("slides"), zoom = slides ? ZOOM : 1, tallest = slides ? (ROOM * innerHeight) / ZOOM : Infinity;
    this.width = Math.max((this.host.clientWidth || 600) / zoom, 240);
    this.height = Math.min(view.equal ? Math.min(this.width, view.height ?? 420) : view.height ?? 280, tallest);
    const m = MARGIN;
    this.box = { left: m.left, right: this.width - m.right, top: m.top, bottom: this.height - m.bottom };
    this.scale(view);
    this.box.left = Math.max(m.left, 7 * Math.max(...this.ticksOf("y").map(([, text]) => text.length), 0) + 27); // the name of the axis stands left of its numbers
    this.scale(view);
    this.svg.replaceChildren();
    this.head.replaceChildren();
    this.labels = new Set();
    this.handles.clear();
    this.onClick = null;
    set(this.svg, { viewBox: `0 0 ${this.width} ${this.height}`, role: "group", "aria-label": view.title });
    add(this.head, "strong", {}, view.title);
    this.legend = add(this.head, "span", { class: "legend" });
    const defs = this.make("defs", {}, this.svg), clip = this.make("clipPath", { id: this.clipName }, defs), b = this.box;
    this.make("rect", { x: b.left, y: b.top - 1, width: b.right - b.left, height: b.bottom - b.top + 2 }, clip);
    this.axes();
    this.layer = this.make("g", { "clip-path": `url(#${this.clipName})` }, this.svg);
    this.above = this.make("g", {}, this.svg);
    return this;
  }

  // The axes as wide as the view asks, or wider where both have one unit.
  scale({ x, y, equal }) {
    const b = this.box, wide = b.right - b.left, tall = b.bottom - b.top, unit = Math.max((x.max - x.min) / wide, (y.max - y.min) / tall);
    const grow = (axis, room) => { const c = (axis.min + axis.max) / 2, h = (unit * room) / 2; return equal ? { ...axis, min: c - h, max: c + h } : axis; };
    this.x = grow(x, wide);
    this.y = grow(y, tall);
  }

  ticksOf(axis) {
    const b = this.box;
    return axis === "x" ? ticks(this.x, Math.max(3, (b.right - b.left) / 75)) : ticks(this.y, Math.max(3, (b.bottom - b.top) / 42));
  }

  axes() {
    const g = this.make("g", { class: "axes" }, this.svg), b = this.box;
    for (const [v, text] of this.ticksOf("x")) {
      const at = this.px(v);
      this.make("line", { x1: at, x2: at, y1: b.top, y2: b.bottom, class: "grid-line" }, g);
      this.make("text", { x: at, y: b.bottom + 16, "text-anchor": "middle" }, g, text);
    }
    for (const [v, text] of this.ticksOf("y")) {
      const at = this.py(v);
      this.make("line", { x1: b.left, x2: b.right, y1: at, y2: at, class: "grid-line" }, g);
      this.make("text", { x: b.left - 7, y: at + 4, "text-anchor": "end" }, g, text);
    }
    this.make("text", { x: (b.left + b.right) / 2, y: this.height - 8, "text-anchor": "middle", class: "axis-label" }, g, this.x.label ?? "");
    const middle = (b.top + b.bottom) / 2;
    this.make("text", { x: 13, y: middle, "text-anchor": "middle", class: "axis-label", transform: `rotate(-90 13 ${middle})` }, g, this.y.label ?? "");
  }

  share(axis, v) { return axis.log ? Math.log(Math.max(v, 1e-300) / axis.min) / Math.log(axis.max / axis.min) : (v - axis.min) / (axis.max - axis.min); }
  px(v) { return this.box.left + clamp(this.share(this.x, v), -3, 4) * (this.box.right - this.box.left); }
  py(v) { return this.box.bottom - clamp(this.share(this.y, v), -3, 4) * (this.box.bottom - this.box.top); }
  toData(event) {
    const r = this.svg.getBoundingClientRect(), b = this.box;
    const back = (axis, t) => (axis.log ? axis.min * (axis.max / axis.min) ** t : axis.min + t * (axis.max - axis.min));
    const u = ((event.clientX - r.left) * this.width) / r.width, v = ((event.clientY - r.top) * this.height) / r.height;
    return [back(this.x, (u - b.left) / (b.right - b.left)), back(this.y, (b.bottom - v) / (b.bottom - b.top))];
  }

  make(tag, attributes, parent = this.layer, text = null) {
    const node = parent.appendChild(document.createElementNS(NS, tag));
    set(node, attributes);
    if (text !== null) node.textContent = text;
    return node;
  }

  // The key stands above the figure and never covers data.
  name(label, color, kind, faint = false) {
    if (!label || this.labels.has(label)) return;
    this.labels.add(label);
    const item = add(this.legend, "span", { class: `key c-${color}` }), svg = item.appendChild(document.createElementNS(NS, "svg"));
    set(svg, { viewBox: "0 0 20 10", class: `swatch${faint ? " faint" : ""}`, "aria-hidden": "true" });
    if (kind === "line" || kind === "dash") this.make("line", { x1: 0, x2: 20, y1: 5, y2: 5, class: "stroke", ...(kind === "dash" ? { "stroke-dasharray": "5 3" } : {}) }, svg);
    else if (kind === "area") this.make("rect", { x: 1, y: 0, width: 18, height: 10, class: "area" }, svg);
    else this.shape(kind, 10, 5, 4, svg);
    add(item, "span", {}, label);
  }

  line(xs, ys, { color = "blue", width = 2, dash = "", label = "", faint = false, close = false } = {}) {
    let d = "", open = false;
    for (let i = 0; i < xs.length; i++) {
      if (!Number.isFinite(xs[i]) || !Number.isFinite(ys[i])) { open = false; continue; }
      d += `${open ? "L" : "M"}${this.px(xs[i]).toFixed(1)} ${this.py(ys[i]).toFixed(1)}`;
      open = true;
    }
    this.make("path", { d: d + (close ? "Z" : ""), class: `stroke c-${color}${faint ? " faint" : ""}`, "stroke-width": width, ...(dash ? { "stroke-dasharray": dash } : {}) });
    this.name(label, color, dash ? "dash" : "line", faint);
  }

  area(xs, low, high, { color = "blue", label = "" } = {}) {
    const at = (ys) => xs.map((x, i) => `${this.px(x).toFixed(1)} ${this.py(ys[i]).toFixed(1)}`);
    this.make("path", { d: `M${[...at(low), ...at(high).reverse()].join("L")}Z`, class: `area c-${color}` });
    this.name(label, color, "area");
  }

  shape(kind, x, y, r, parent) {
    if (kind === "cross") return this.make("path", { d: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`, class: "stroke", "stroke-width": 2 }, parent);
    if (kind === "square") return this.make("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r, class: "fill" }, parent);
    if (kind === "diamond") return this.make("path", { d: `M${x} ${y - r - 1}L${x + r + 1} ${y}L${x} ${y + r + 1}L${x - r - 1} ${y}Z`, class: "fill" }, parent);
    return this.make("circle", { cx: x, cy: y, r, class: kind === "ring" ? "stroke" : "fill", ...(kind === "ring" ? { "stroke-width": 1.8 } : {}) }, parent);
  }

  dots(xs, ys, { color = "blue", size = 3.2, shape = "circle", label = "", faint = false } = {}) {
    const g = this.make("g", { class: `c-${color}${faint ? " faint" : ""}` });
    for (let i = 0; i < xs.length; i++) if (Number.isFinite(xs[i]) && Number.isFinite(ys[i])) this.shape(shape, this.px(xs[i]), this.py(ys[i]), size, g);
    this.name(label, color, shape);
  }

  across(y, options = {}) { this.line([this.x.min, this.x.max], [y, y], { width: 1.4, dash: "6 4", color: "grey", ...options }); }
  upright(x, options = {}) { this.line([x, x], [this.y.min, this.y.max], { width: 1.4, dash: "6 4", color: "grey", ...options }); }
  note(x, y, text, { color = "grey", anchor = "start", dx = 0, dy = 0 } = {}) {
    this.make("text", { x: this.px(x) + dx, y: this.py(y) + dy, class: `note-text c-${color}`, "text-anchor": anchor }, this.above, text);
  }

  // The set where f(x, y) <= 0, cut along straight lines through a grid.
  region(f, { color = "blue", label = "", cells = 90 } = {}) {
    const b = this.box, nx = cells, ny = Math.round((cells * (b.bottom - b.top)) / (b.right - b.left));
    const at = (axis, k, n) => axis.min + ((axis.max - axis.min) * k) / n;
    const value = Array.from({ length: ny + 1 }, (_, j) => Array.from({ length: nx + 1 }, (_, i) => f(at(this.x, i, nx), at(this.y, j, ny))));
    let fill = "", edge = "";
    for (let j = 0; j < ny; j++) for (let i = 0; i < nx; i++) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]], v = corners.map(([p, q]) => value[q][p]);
      if (v.every((w) => w > 0)) continue;
      const points = [], cuts = [];
      for (let k = 0; k < 4; k++) {
        const n = (k + 1) % 4, [p, q] = corners[k], [r, s] = corners[n];
        if (v[k] <= 0) points.push([p, q]);
        if (v[k] <= 0 !== v[n] <= 0) { const t = v[k] / (v[k] - v[n]), cut = [p + t * (r - p), q + t * (s - q)]; points.push(cut); cuts.push(cut); }
      }
      const draw = (list) => list.map(([p, q]) => `${this.px(at(this.x, p, nx)).toFixed(1)} ${this.py(at(this.y, q, ny)).toFixed(1)}`).join("L");
      fill += `M${draw(points)}Z`;
      if (cuts.length === 2) edge += `M${draw(cuts)}`;
    }
    this.make("path", { d: fill, class: `area c-${color}` });
    this.make("path", { d: edge, class: `stroke c-${color}`, "stroke-width": 1.6 });
    this.name(label, color, "area");
  }

  // One rectangle for each value; shade(value) in [0, 1]. Edges without smoothing leave no seams.
  heat(values, edgesX, edgesY, shade, { color = "blue" } = {}) {
    const g = this.make("g", { class: `c-${color}` });
    values.forEach((row, j) => row.forEach((value, i) => {
      const x = this.px(edgesX[i]), y = this.py(edgesY[j + 1]), t = shade(value);
      this.make("rect", { x, y, width: this.px(edgesX[i + 1]) - x, height: this.py(edgesY[j]) - y, class: "fill", "shape-rendering": "crispEdges", "fill-opacity": t.toFixed(3) }, g);
    }));
  }

  click(act) { this.onClick = act; this.svg.classList.add("clickable"); }

  // A point to drag, or to move by the arrow keys: nudge(dx, dy) with dx, dy in {-1, 0, 1} (10 with shift).
  handle(key, x, y, { color = "blue", label, move, nudge, upright = false, value = "" }) {
    const g = this.make("g", { class: `handle c-${color}`, tabindex: 0, role: "slider", "aria-label": label, "aria-valuetext": value, "aria-valuenow": upright ? x : y }, this.above);
    g.dataset.key = key;
    if (upright) {
      this.make("rect", { x: this.px(x) - 12, y: this.box.top, width: 24, height: this.box.bottom - this.box.top, class: "grip" }, g);
      this.make("line", { x1: this.px(x), x2: this.px(x), y1: this.box.top, y2: this.box.bottom, class: "stroke", "stroke-width": 2 }, g);
    }
    this.make("circle", { cx: this.px(x), cy: this.py(y), r: 16, class: "grip" }, g);
    this.make("circle", { cx: this.px(x), cy: this.py(y), r: 7, class: "fill knob" }, g);
    this.handles.set(key, { move, nudge });
    if (this.refocus === key) g.focus({ preventScroll: true });
  }

  pressed(event) {
    const key = event.target.closest(".handle")?.dataset.key;
    if (key) {
      this.held = key;
      this.svg.setPointerCapture(event.pointerId);
      event.target.closest(".handle").focus({ preventScroll: true });
      event.preventDefault();
    } else if (this.onClick) this.onClick(...this.toData(event));
  }

  key(event) {
    const handle = this.handles.get(event.target.dataset?.key), far = event.shiftKey ? 10 : 1;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!handle || !way) return;
    event.preventDefault();
    handle.nudge(way[0] * far, way[1] * far);
  }
}

export function set(node, attributes) { for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value); return node; }
export function add(host, tag, attributes = {}, text = null) {
  const node = set(document.createElement(tag), attributes);
  if (text !== null) node.textContent = text;
  host?.appendChild(node);
  return node;
}
