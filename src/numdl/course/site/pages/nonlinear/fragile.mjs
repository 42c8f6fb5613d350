// 2.15: how little changes the answer?
import { argmin, linspace, random, range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// Class by the sign of s(u) = u2 - B(u1), B(t) = bend (tanh(3t + 2) - tanh(3t - 2) - 1): a network of two tanh units.
const STEPS = 12, REACH = 4, KINDS = [["gradient", "the gradient, once"], ["minimal", "minimal steps, added up"], ["measured", "steps measured from the point"]];
const POINTS = (() => { const rng = random(4); return range(24).map(() => rng.normals(2).map((v) => Number((0.9 * v).toFixed(2)))); })();
const B = (a, t) => a * (Math.tanh(3 * t + 2) - Math.tanh(3 * t - 2) - 1);
const B1 = (a, t) => { const p = Math.tanh(3 * t + 2), q = Math.tanh(3 * t - 2); return 3 * a * (q * q - p * p); };
const B2 = (a, t) => { const p = Math.tanh(3 * t + 2), q = Math.tanh(3 * t - 2); return 18 * a * (q * (1 - q * q) - p * (1 - p * p)); };
const score = (a, u) => u[1] - B(a, u[0]), slope = (a, u) => [-B1(a, u[0]), 1];

// Nearest point (t, B(t)) of the boundary: a grid, then Newton's method for the slope of the squared distance.
export function nearest(a, [x, y]) {
  const far = (t) => (t - x) ** 2 + (B(a, t) - y) ** 2;
  let t = linspace(x - REACH, x + REACH, 1601).reduce((best, s) => (far(s) < far(best) ? s : best), x);
  for (let k = 0; k < 30; k++) { const g = t - x + (B(a, t) - y) * B1(a, t), h = 1 + B1(a, t) ** 2 + (B(a, t) - y) * B2(a, t); if (h <= 0) break; const step = Math.max(-0.01, Math.min(0.01, -g / h)); t += step; if (Math.abs(step) < 1e-15) break; }
  return { at: [t, B(a, t)], distance: Math.sqrt(far(t)) };
}
// First crossing along a ray: steps of 0.01, then bisection; infinite if there is none within reach.
function crossing(a, u, d) {
  const sign = Math.sign(score(a, u)), on = (t) => [u[0] + t * d[0], u[1] + t * d[1]];
  for (let k = 1; k <= 100 * REACH; k++) if (score(a, on(0.01 * k)) * sign <= 0) {
    let low = 0.01 * (k - 1), high = 0.01 * k;
    for (let i = 0; i < 60; i++) { const m = (low + high) / 2; if (score(a, on(m)) * sign <= 0) high = m; else low = m; }
    return high;
  }
  return Infinity;
}
export function search(kind, a, u) {
  const s = score(a, u), g = slope(a, u), size = Math.hypot(...g), way = [u];
  if (kind === "gradient") { const d = g.map((x) => (-Math.sign(s) * x) / size), t = crossing(a, u, d); return { way: Number.isFinite(t) ? [u, [u[0] + t * d[0], u[1] + t * d[1]]] : [u, [u[0] + REACH * d[0], u[1] + REACH * d[1]]], distance: t, end: t }; }
  let p = u;
  for (let k = 0; k < STEPS; k++) {
    const v = score(a, p), h = slope(a, p), q = h[0] ** 2 + h[1] ** 2;
    if (kind === "minimal") p = [p[0] - (v * h[0]) / q, p[1] - (v * h[1]) / q];
    else { // the nearest zero of the linear model at p, measured from u; shorter while distance and score together do not fall
      const full = -(v + h[0] * (u[0] - p[0]) + h[1] * (u[1] - p[1])) / q, to = [u[0] + full * h[0], u[1] + full * h[1]], merit = (z) => Math.hypot(z[0] - u[0], z[1] - u[1]) + (2 * Math.abs(score(a, z))) / Math.sqrt(q);
      const trials = range(5).map((i) => p.map((x, c) => x + 0.5 ** i * (to[c] - x)));
      p = trials.reduce((best, z) => (merit(z) < merit(best) ? z : best));
    }
    way.push(p);
  }
  const d = [p[0] - u[0], p[1] - u[1]], length = Math.hypot(...d), end = crossing(a, u, d.map((x) => x / length));
  return { way, distance: end, end: length };
}

const kept = {};
function compute({ kind, x, y, bend }) {
  const u = [x, y], s = score(bend, u), g = slope(bend, u), size = Math.hypot(...g), best = nearest(bend, u), found = search(kind, bend, u);
  const to = [best.at[0] - x, best.at[1] - y], cosine = best.distance > 1e-12 ? (-Math.sign(s) * (to[0] * g[0] + to[1] * g[1])) / (size * best.distance) : 1;
  const fragile = (kept[bend] ??= POINTS.map((p) => nearest(bend, p).distance));
  return { u, s, g, size, best, found, linear: Math.abs(s) / size, certificate: Math.abs(s) / Math.sqrt(1 + 9 * bend * bend), angle: (Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI, fragile };
}
const along = (a, u, to) => { const length = Math.hypot(to[0] - u[0], to[1] - u[1]) || 1; return (t) => score(a, [u[0] + (t * (to[0] - u[0])) / length, u[1] + (t * (to[1] - u[1])) / length]); };
const GRID = linspace(0, 2.5, 126);

export const page = {
  id: "2.15",
  question: "How little changes the answer?",
  goal: "You will find the smallest change that moves a point into another class, and see which searches only think they have.",
  minutes: 15,
  needs: "gradients; the score of a classifier",
  controls: {
    kind: { kind: "choice", label: "search", options: KINDS, value: "gradient" },
    x: { kind: "slider", label: "first coordinate of the point", min: -2, max: 2, step: 0.05, value: 0.3, play: 150, show: (v) => say(v) },
    y: { kind: "slider", label: "second coordinate of the point", min: -2, max: 2, step: 0.05, value: -0.6, show: (v) => say(v) },
  },
  hidden: { bend: 1 },
  guess: {
    ask: "A classifier decides by the sign of a score $s(u)$. At your point $s = 1$ and the gradient has the norm 1. How far is the nearest point of the other class?",
    options: ["1", "at least 1", "it may be much nearer, or much farther"], answer: 2,
    why: "The gradient knows the score near the point only. If the score gets steeper on the way, the boundary is nearer; if it bends away, farther. Only for a linear score is $|s|/|\\nabla s|$ the distance.",
  },
  sentence: [
    "Put a point at $u_1=$ [[x]], $u_2=$ [[y]] (or drag it). Its score is {{score}}. Searching by [[kind]], one finds another class at the distance {{found}}; the nearest point of it is {{best}} away.",
  ],
  breaks: [
    { label: "Straight boundary", patch: { bend: 0, x: 0.3, y: -0.6 }, why: "With a linear score everything agrees: one gradient, one division." },
    { label: "Break the gradient", patch: { bend: 1, kind: "gradient", x: 0, y: -0.5 }, why: "Under the top of the hill the score rises straight upwards only; the slope to the sides, where the boundary is near, begins farther out." },
    { label: "Minimal steps mislead", patch: { bend: 1, kind: "minimal", x: 0.3, y: -0.6 }, why: "Every step is the shortest to where the score seems to vanish. Their sum ends on the boundary, but not at its nearest point, because no step remembers where it began." },
  ],
  compute,
  values: (n) => ({ score: say(n.s), found: Number.isFinite(n.found.distance) ? say(n.found.distance, 4) : "nowhere within 4", best: say(n.best.distance, 4) }),
  views: [
    {
      frame: () => ({ title: "Two classes in the plane", equal: true, height: 400, x: { min: -2.3, max: 2.3, label: "u₁" }, y: { min: -2.2, max: 2.2, label: "u₂" } }),
      draw(plot, n, { x, y, bend }, { change, ghost }) {
        plot.region((p, q) => -score(bend, [p, q]), { color: "blue", label: "class of positive score" });
        const put = (sign, options) => { const some = POINTS.filter((p) => Math.sign(score(bend, p)) === sign); plot.dots(some.map((p) => p[0]), some.map((p) => p[1]), options); };
        put(1, { color: "blue", size: 3, label: "data, positive" });
        put(-1, { color: "grey", size: 3, shape: "square", label: "data, negative" });
        const ring = range(91).map((k) => (2 * Math.PI * k) / 90);
        plot.line(ring.map((t) => x + n.best.distance * Math.cos(t)), ring.map((t) => y + n.best.distance * Math.sin(t)), { color: "green", width: 1.2, label: "nothing nearer" });
        plot.line([x, n.best.at[0]], [y, n.best.at[1]], { color: "green", width: 1.4 });
        plot.dots([n.best.at[0]], [n.best.at[1]], { color: "green", shape: "diamond", size: 5, label: "nearest point" });
        if (ghost) plot.line(ghost.numbers.found.way.map((p) => p[0]), ghost.numbers.found.way.map((p) => p[1]), { color: "orange", faint: true, width: 1.4 });
        plot.line(n.found.way.map((p) => p[0]), n.found.way.map((p) => p[1]), { color: "orange", width: 1.6 });
        plot.dots(n.found.way.slice(1).map((p) => p[0]), n.found.way.slice(1).map((p) => p[1]), { color: "orange", size: 3, label: "search" });
        plot.handle("point", x, y, { color: "ink", label: "your point", value: `${say(x)}, ${say(y)}`, move: (p, q) => change({ x: p, y: q }), nudge: (dx, dy) => change({ x: x + 0.05 * dx, y: y + 0.05 * dy }) });
      },
    },
    {
      frame: () => ({ title: "Score on the way", height: 400, x: { min: 0, max: 2.5, label: "distance from your point" }, y: { min: -1.5, max: 2.5, label: "score, positive where you start" } }),
      draw(plot, n, { bend }) {
        const sign = Math.sign(n.s) || 1, show = (f) => GRID.map((t) => sign * f(t));
        plot.across(0, { width: 1.4, dash: "", label: "boundary" });
        plot.line(GRID, GRID.map((t) => sign * n.s - n.size * t), { color: "grey", dash: "5 4", width: 1.4, label: "what the gradient at your point promises" });
        plot.line(GRID, show(along(bend, n.u, n.found.way.at(-1))), { color: "orange", label: "towards what the search found" });
        plot.line(GRID, show(along(bend, n.u, n.best.at)), { color: "green", label: "towards the nearest point" });
        plot.dots([n.linear], [0], { color: "grey", size: 4 });
        if (Number.isFinite(n.found.distance)) plot.dots([n.found.distance], [0], { color: "orange", size: 4 });
        plot.dots([n.best.distance], [0], { color: "green", shape: "diamond", size: 5 });
      },
    },
  ],
  table: (n, { bend }) => ({ head: ["step", "u₁", "u₂", "distance from the start", "score"], rows: n.found.way.map((p, k) => [k, say(p[0], 5), say(p[1], 5), say(Math.hypot(p[0] - n.u[0], p[1] - n.u[1]), 5), say(score(bend, p))]) }),
  claims: (n, s) => [
    { sentence: "The search has found the nearest point, within 1 %.", holds: n.found.distance <= 1.01 * n.best.distance + 1e-9, found: Number.isFinite(n.found.distance) ? `It found ${say(n.found.distance, 4)}, the nearest is ${say(n.best.distance, 4)}.` : "Its ray does not reach another class.", why: s.kind === "gradient" ? "One slope, one straight line: right only where the score is nearly linear." : s.kind === "minimal" ? "It ends on the boundary, where the steps happened to lead." : "It has ended in another stationary point of the distance; a search from your point cannot see all of the boundary." },
    { sentence: "The distance is $|s|/|\\nabla s|$, within 5 %.", holds: Math.abs(n.linear - n.best.distance) <= 0.05 * n.best.distance, found: `The formula says ${say(n.linear, 4)}.`, why: "It holds for linear scores." },
    { sentence: "The gradient points to the nearest point, within 10 degrees.", holds: n.angle <= 10, found: `The angle is ${say(n.angle)} degrees.`, why: "It points to where the score changes fastest here, not to where it vanishes first." },
    { sentence: "The certificate $|s|/L$ reaches at least half of the distance.", holds: n.certificate >= 0.5 * n.best.distance, found: `With $L = ${say(Math.sqrt(1 + 9 * s.bend * s.bend))}$ nothing can change within ${say(n.certificate)}.`, why: "$L$ bounds the slope everywhere, and most places are less steep. A certificate is true and timid; a search is bold and may be wrong. The truth lies between them." },
  ],
  text: [
    "## The problem",
    "Given a point $x$ with the score $s(x)>0$, find the smallest change that reaches the other class:",
    "$$ \\min_\\delta\\ |\\delta| \\quad\\text{subject to}\\quad s(x+\\delta) = 0 . $$",
    "For a linear score $s = w'u + b$ the answer is $\\delta = -s\\,w/|w|^2$, and the distance is $|s|/|w|$. In high dimension it is small even for sensible classifiers: each of a thousand pixels moves a little, and their contributions to $w'\\delta$ add up.",
    "## Three searches",
    "*The gradient, once*: go along $-\\nabla s(x)$ until the class changes. *Minimal steps* (DeepFool as it was published): replace $s$ by its linear model at the present point, go to the nearest zero of that, and repeat. It reaches the boundary quickly, wherever it meets it. *Measured from the point*: use the same linear model at $u_k$, but ask for its zero nearest to $x$,",
    "$$ u_{k+1} = x - \\frac{s(u_k) + \\nabla s(u_k)'(x - u_k)}{|\\nabla s(u_k)|^2}\\,\\nabla s(u_k) . $$",
    "Where that stands still, $s = 0$ and $x - u$ is parallel to the gradient: the conditions for a nearest point. Engineers have used it since 1978 to find the most likely failure of a structure. Steps are shortened until a sum of distance and score falls; still, what it finds is the best nearby.",
    "## What a search can prove",
    "A search proves that a point is fragile, never that it is safe. Safety needs a bound of the slope everywhere, $|\\nabla s|\\le L$: then nothing changes within $|s|/L$. That is why networks with bounded slopes, page 3.6, are asked for.",
  ],
  code: (s) => `
import numpy as np
from scipy.optimize import minimize_scalar

a, x = ${s.bend}, np.array([${s.x}, ${s.y}])
B = lambda t: a * (np.tanh(3 * t + 2) - np.tanh(3 * t - 2) - 1)
slope = lambda t: 3 * a * (np.tanh(3 * t - 2) ** 2 - np.tanh(3 * t + 2) ** 2)
score = lambda u: u[1] - B(u[0])
gradient = lambda u: np.array([-slope(u[0]), 1.0])

far = lambda t: np.hypot(t - x[0], B(t) - x[1])  # brute force: along the boundary
grid = np.linspace(x[0] - 4, x[0] + 4, 1601)
t = grid[np.argmin(far(grid))]
best = minimize_scalar(far, bounds=(t - 0.01, t + 0.01), method="bounded", options={"xatol": 1e-12}).fun

u = x  # minimal steps, added up
for _ in range(${STEPS}):
    u = u - score(u) / np.sum(gradient(u) ** 2) * gradient(u)
print(score(x), abs(score(x)) / np.linalg.norm(gradient(x)), best, np.linalg.norm(u - x))
`,
  codeNote: "It prints the score, the linear formula, the true distance, and how far the sum of minimal steps has led.",
  prints: (n, s) => [n.s, n.linear, n.best.distance, search("minimal", s.bend, [s.x, s.y]).end],
  exercises: [
    { ask: "Which of the 24 data is the most fragile? Move your point onto it (within 0.1) and check; any within 10 % of the smallest distance will do.", button: "Check my point", rightly: (s) => { const all = compute(s).fragile, [x, y] = POINTS[argmin(all)]; return { x, y }; },
      check: ({ settings, numbers }) => { const near = POINTS.map((p, i) => [Math.hypot(p[0] - settings.x, p[1] - settings.y), i]).sort((a, b) => a[0] - b[0])[0], least = Math.min(...numbers.fragile), own = numbers.fragile[near[1]]; const passed = near[0] <= 0.1 && own <= 1.1 * least; return { passed, say: passed ? `Passed: it is ${say(own)} from another class.` : near[0] > 0.1 ? "There is no datum within 0.1 of your point." : `This one is ${say(own)} away; there is one at ${say(least)}.` }; } },
    { ask: "A linear score $s(u) = 3u_1 - 4u_2 + 2$. How far is the point $(2, 1)$ from the other class?", input: "distance", right: 0.8, wrong: 4,
      check: ({ answer }) => ({ passed: Math.abs(answer - 0.8) < 1e-6, say: Math.abs(answer - 0.8) < 1e-6 ? "Passed: $|s|/|w| = 4/5$." : answer === 4 ? "That is the score. Divide by the norm of the weights." : "$s = 4$ and $|w| = 5$." }) },
  ],
  sources: [
    "S.-M. Moosavi-Dezfooli, A. Fawzi and P. Frossard, DeepFool, *CVPR* 2016, section 2.",
    "R. Rackwitz and B. Fiessler, Structural reliability under combined random load sequences, *Computers & Structures* 9 (1978).",
    "In numdl: `numdl.analysis.attack` with `GradientSearch`, `ProjectedSearch` and `LinearisedSearch`; `numdl experiment run adversarial-examples`.",
  ],
  trials: KINDS.flatMap(([kind]) => [[0.4, 0, 1], [0.1, -0.5, 1], [0.3, -0.6, 1], [-1.2, 0.5, 1], [1.5, -1.6, 1], [-0.7, 1.3, 1], [0.9, 0.2, 0]].map(([x, y, bend]) => ({ kind, x, y, bend }))),
  compare: (n) => ({ score: [n.s, n.linear, n.angle], best: [...n.best.at, n.best.distance], way: n.found.way.slice(0, 6), end: Number.isFinite(n.found.distance) ? n.found.distance : 0, fragile: n.fragile }),
};
