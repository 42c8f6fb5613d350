// 2.5: why are there so many minimisers?
import { eigen2, linspace, range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// E(w) = 1/(2n) sum (act(w1 x) + act(w2 x) - c)^2 at 21 points x, c from the weights (2, -0.7).
const X = linspace(-2, 2, 21), TRUTH = [2, -0.7], TWIN = [-0.7, 2], STEPS = 40, SIDE = linspace(-3, 3, 12), LINE = linspace(-0.25, 1.25, 61);
const ACT = {
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2, (x) => { const t = Math.tanh(x); return -2 * t * (1 - t * t); }],
  sine: [Math.sin, Math.cos, (x) => -Math.sin(x)],
  relu: [(x) => Math.max(x, 0), (x) => +(x > 0), () => 0],
  identity: [(x) => x, () => 1, () => 0],
};
const KINDS = [["tanh", "tanh"], ["sine", "sine"], ["relu", "relu"], ["identity", "identity (none)"]];
const targets = (a) => X.map((x) => ACT[a][0](TRUTH[0] * x) + ACT[a][0](TRUTH[1] * x)), TARGETS = Object.fromEntries(Object.keys(ACT).map((a) => [a, targets(a)]));

export function energy(a, [p, q]) { const f = ACT[a][0], c = TARGETS[a]; let s = 0; for (let i = 0; i < X.length; i++) { const r = f(p * X[i]) + f(q * X[i]) - c[i]; s += r * r; } return s / (2 * X.length); }
function slope(a, [p, q]) {
  const [f, d] = ACT[a], c = TARGETS[a];
  let g = 0, h = 0;
  for (let i = 0; i < X.length; i++) { const x = X[i], r = f(p * x) + f(q * x) - c[i]; g += r * d(p * x) * x; h += r * d(q * x) * x; }
  return [g / X.length, h / X.length];
}
function curvatures(a, [p, q]) {
  const [f, d, b] = ACT[a], c = TARGETS[a];
  let pp = 0, pq = 0, qq = 0;
  X.forEach((x, i) => { const r = f(p * x) + f(q * x) - c[i], u = d(p * x), v = d(q * x); pp += x * x * (u * u + r * b(p * x)); qq += x * x * (v * v + r * b(q * x)); pq += x * x * u * v; });
  return eigen2(pp / X.length, pq / X.length, pq / X.length, qq / X.length).map((z) => z[0]);
}
// Levenberg and Marquardt's steps: (J'J + mu I) d = -g, mu smaller after a step that went down, larger after one that was refused.
function descend(a, w) {
  const d = ACT[a][1], way = [w];
  let mu = 1, E = energy(a, w), [x, y] = w;
  for (let k = 0; k < STEPS; k++) {
    let pp = mu, pq = 0, qq = mu;
    for (const t of X) { const u = d(x * t) * t, v = d(y * t) * t; pp += (u * u) / X.length; pq += (u * v) / X.length; qq += (v * v) / X.length; }
    const [g, h] = slope(a, [x, y]), det = pp * qq - pq * pq, next = [x - (qq * g - pq * h) / det, y - (pp * h - pq * g) / det], F = energy(a, next);
    if (F < E) { [x, y] = next; E = F; mu = Math.max(mu / 3, 1e-6); } else mu *= 4;
    way.push([x, y]);
  }
  return way;
}
const close = (w, v) => Math.hypot(w[0] - v[0], w[1] - v[1]) < 0.1;

const kept = {};
const basins = (a) => (kept[a] ??= SIDE.flatMap((q) => SIDE.map((p) => { const end = descend(a, [p, q]).at(-1), E = energy(a, end); return { start: [p, q], end, kind: E < 1e-3 ? (close(end, TRUTH) ? "truth" : close(end, TWIN) ? "twin" : "other") : "stuck" }; })));

function compute({ activation: a, p, q }) {
  const way = descend(a, [p, q]), end = way.at(-1), all = basins(a), count = (kind) => all.filter((one) => one.kind === kind).length;
  const line = LINE.map((t) => energy(a, [0, 1].map((i) => TRUTH[i] + t * (TWIN[i] - TRUTH[i]))));
  return { way, end, E: energy(a, end), first: energy(a, [p, q]), twin: energy(a, [q, p]), errors: way.map((w) => energy(a, w)), line, barrier: Math.max(...line.slice(10, 51)), curvatures: curvatures(a, end), slope: Math.hypot(...slope(a, end)), all, counts: ["truth", "twin", "other", "stuck"].map(count) };
}

const stuck = { tanh: "On the diagonal both units have the same slope for ever, and never part: the end is a saddle.", sine: "A sine that is a period off has to pass over a hill to get better.", relu: "Both units point the same way: one side of the data sees nobody, and no slope tells either unit to turn round.", identity: "" };

export const page = {
  id: "2.5",
  question: "Why are there so many minimisers?",
  goal: "You will count the minimisers that symmetry makes, and tell them from those that are really worse.",
  minutes: 15,
  needs: "gradient descent; a network of one layer",
  controls: {
    activation: { kind: "choice", label: "activation", options: KINDS, value: "tanh" },
    p: { kind: "slider", label: "start of the first weight", min: -3, max: 3, step: 0.1, value: -1.5, play: 200, stride: 2, show: (x) => say(x) },
    q: { kind: "slider", label: "start of the second weight", min: -3, max: 3, step: 0.1, value: -2, show: (x) => say(x) },
  },
  hidden: {},
  guess: {
    ask: "A network of three different tanh units, each with a weight inside and a weight outside, $\\sum_{i=1}^3 v_i\\tanh(w_i x)$, fits its data exactly. How many other settings of its six weights compute the very same function?",
    options: ["none", "5", "47"], answer: 2,
    why: "The units can be exchanged, in 6 ways; and each unit can change the sign of both its weights, in 8 ways. $6\\cdot8 = 48$ settings, 47 others. For 100 units the number has 189 digits.",
  },
  sentence: [
    "Fit $\\operatorname{act}(w_1x)+\\operatorname{act}(w_2x)$ with the activation [[activation]] to data made with the weights 2 and −0.7. Descent (by Levenberg and Marquardt's steps) from $w_1=$ [[p]] and $w_2=$ [[q]] ends at {{end}} with the misfit {{E}}. Of 144 starts, {{truth}} end at the weights that made the data, {{twin}} at their twin, {{stuck}} are stuck.",
  ],
  breaks: [
    { label: "Exchange the units", patch: (s) => ({ p: s.q, q: s.p }), why: "Everything is mirrored at the diagonal, and the misfits along the way are the same numbers." },
    { label: "Break it: equal units", patch: { activation: "tanh", p: 1, q: 1 }, why: "Equal weights get equal slopes, at every step. The descent never leaves the diagonal and ends at a saddle. That is why weights are drawn, and not set to one number." },
    { label: "Really worse", patch: { activation: "relu", p: 1, q: 2.5 }, why: "Both units are on for $x>0$. They share the work there, along a whole line of minimisers, and the data at $x<0$ have no unit." },
  ],
  compute,
  values: (n) => ({ end: `(${say(n.end[0])}, ${say(n.end[1])})`, E: say(n.E), truth: String(n.counts[0]), twin: String(n.counts[1]), stuck: String(n.counts[3]) }),
  views: [
    {
      frame: () => ({ title: "Misfit over both weights", equal: true, height: 420, x: { min: -3.2, max: 3.2, label: "w₁" }, y: { min: -3.2, max: 3.2, label: "w₂" } }),
      draw(plot, n, { activation, p, q }, { change, ghost }) {
        for (const level of [1, 0.4, 0.16, 0.064, 0.016]) plot.region((x, y) => energy(activation, [x, y]) - level, { color: "grey", cells: 60, label: "darker: smaller misfit" });
        plot.line([-3.2, 3.2], [-3.2, 3.2], { color: "grey", dash: "2 4", width: 1.2, label: "equal units" });
        for (const [kind, color, shape, label] of [["truth", "blue", "circle", "start that ends at (2, −0.7)"], ["twin", "green", "circle", "at the twin"], ["other", "purple", "ring", "at another perfect fit"], ["stuck", "red", "cross", "stuck"]]) {
          const some = n.all.filter((one) => one.kind === kind);
          if (some.length) plot.dots(some.map((o) => o.start[0]), some.map((o) => o.start[1]), { color, shape, size: 2.6, label });
        }
        if (ghost) plot.line(ghost.numbers.way.map((w) => w[0]), ghost.numbers.way.map((w) => w[1]), { color: "orange", faint: true, width: 1.6 });
        plot.line(n.way.map((w) => w[0]), n.way.map((w) => w[1]), { color: "orange", width: 2.2, label: "descent" });
        plot.dots([n.end[0]], [n.end[1]], { color: "orange", shape: "diamond", size: 5 });
        plot.handle("start", p, q, { color: "orange", label: "start of the descent", value: `${say(p)}, ${say(q)}`, move: (x, y) => change({ p: x, q: y }), nudge: (dx, dy) => change({ p: p + 0.1 * dx, q: q + 0.1 * dy }) });
      },
    },
    {
      frame: (n) => ({ title: "Straight from (2, −0.7) to its twin", height: 420, x: { min: -0.25, max: 1.25, label: "way", ticks: [[0, "(2, −0.7)"], [0.5, "equal"], [1, "(−0.7, 2)"]] }, y: { min: 0, max: 1.15 * Math.max(n.barrier, 0.05, n.line[0]), label: "misfit" } }),
      draw(plot, n) {
        plot.line(LINE, n.line, { color: "purple", label: "misfit on the line between the two" });
        plot.dots([0], [0], { color: "blue", size: 5, label: "made the data" });
        plot.dots([1], [0], { color: "green", size: 5, label: "twin: units exchanged" });
        if (n.barrier > 1e-9) plot.note(0.5, n.barrier, `barrier ${say(n.barrier)}`, { color: "purple", anchor: "middle", dy: -8 });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Misfit along the descent", height: 180, x: { min: 0, max: STEPS, label: "step" }, y: { min: 1e-12, max: 10, log: true, label: "misfit" } }),
      draw(plot, n, s, { ghost }) {
        const show = (e) => e.map((x) => Math.max(x, 1e-13));
        if (ghost) plot.line(range(STEPS + 1), show(ghost.numbers.errors), { color: "orange", faint: true, width: 4, label: "your last setting" });
        plot.line(range(STEPS + 1), show(n.errors), { color: "orange", label: "descent" });
      },
    },
  ],
  table: (n) => ({ head: ["step", "w₁", "w₂", "misfit"], rows: [0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, STEPS].map((k) => [k, say(n.way[k][0], 4), say(n.way[k][1], 4), say(n.errors[k])]) }),
  claims: (n, s) => [
    { sentence: "Exchanging both units changes nothing.", holds: Math.abs(n.first - n.twin) <= 1e-14 * (1 + n.first), found: `Misfit ${say(n.first)} at your start, and ${say(n.twin)} at its mirror image.`, why: "Only rounding could break this one." },
    { sentence: "This descent ends at a perfect fit.", holds: n.E < 1e-3, found: `Misfit ${say(n.E)} after ${STEPS} steps.`, why: n.slope > 1e-3 && s.activation !== "relu" ? `It is still on its way: the slope is ${say(n.slope)}.` : stuck[s.activation] },
    { sentence: "Where it ends, the misfit is curved upwards in every direction.", holds: n.curvatures[1] > 1e-6, found: `The curvatures are ${say(n.curvatures[0])} and ${say(n.curvatures[1])}.`, why: n.curvatures[1] < -1e-6 ? "It is no minimum: a step to the side would go down. Descent stays there by symmetry only." : "There is a line of equally good weights: what one unit gives up, the other takes over." },
    { sentence: "Whatever the start, the fit is perfect.", holds: n.counts[3] === 0, found: `${n.counts[3]} of 144 starts are stuck.`, why: s.activation === "tanh" ? "They are the twelve on the diagonal, which never leave it." : "These minimisers come from the activation, not from symmetry: they are really worse." },
    { sentence: "One can walk straight from one perfect fit to its twin without climbing.", holds: n.barrier < 1e-9, found: `The barrier is ${say(n.barrier)}.`, why: "In the middle both units are equal, and one unit cannot do the work of two different ones." },
  ],
  text: [
    "## Symmetry",
    "A network adds up its units, and a sum does not know the order of its terms. So $E(w_1, w_2) = E(w_2, w_1)$: the landscape is its own mirror image at the diagonal, and every minimiser off the diagonal has a twin. With $m$ units there are $m!$ of them. If the activation is odd and units have outer weights $v_i$, then $v\\tanh(wx) = (-v)\\tanh(-wx)$ gives another factor $2^m$. With relu even a continuum: $v\\,\\max(wx,0)$ does not change when $w$ is doubled and $v$ halved.",
    "These minimisers are all equally good. They make the problem non-convex, since halfway between two of them, in general, the fit is bad; they do not make it hard. But they leave traces: on the diagonal the two slopes are equal,",
    "$$ \\frac{\\partial E}{\\partial w_i} = \\frac1n\\sum_k r_k\\,\\operatorname{act}'(w_i x_k)\\,x_k , $$",
    "so a descent that starts with equal units keeps them equal for ever. Between the twins lies a saddle. With tanh that is all there is here: every start off the diagonal finds one of the twins.",
    "## And the rest",
    "Other minimisers come from the activation. A sine fits data of one frequency, and from a wrong frequency every small change looks worse. A relu unit that sees no data, or shares the work of another, has no slope that would call it elsewhere. These are really worse. Wide networks suffer less from them: among many drawn units some lie near where they are needed, and the head, page 2.8, can switch off the others.",
  ],
  code: (s) => `
import numpy as np

x = np.linspace(-2, 2, 21)
act, slope = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sine": (np.sin, np.cos),
    "relu": (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0)),
    "identity": (lambda x: x, np.ones_like),
}["${s.activation}"]

def residual(w):
    return act(w[0] * x) + act(w[1] * x) - act(2 * x) - act(-0.7 * x)

w, mu = np.array([${s.p}, ${s.q}]), 1.0
for _ in range(${STEPS}):
    p, q = (slope(wi * x) * x for wi in w)  # columns of the Jacobian
    A, B, C = mu + np.mean(p * p), np.mean(p * q), mu + np.mean(q * q)
    g, h = np.mean(residual(w) * p), np.mean(residual(w) * q)
    step = -np.array([C * g - B * h, A * h - B * g]) / (A * C - B * B)
    better = np.sum(residual(w + step) ** 2) < np.sum(residual(w) ** 2)
    w, mu = (w + step, max(mu / 3, 1e-6)) if better else (w, 4 * mu)
middle = np.array([0.65, 0.65])
print(*w, np.mean(residual(w) ** 2) / 2, np.mean(residual(middle) ** 2) / 2)
`,
  codeNote: "It prints where the descent ends, its misfit, and the misfit halfway between the twins.",
  prints: (n) => [...n.end, n.E, n.line[30]],
  exercises: [
    { ask: "A network adds up three units $\\operatorname{act}(w_i x)$ with three different weights, and fits exactly. How many minimisers does symmetry alone give, this one counted?", input: "minimisers", right: 6, wrong: 3,
      check: ({ answer }) => ({ passed: answer === 6, say: answer === 6 ? "Passed: $3! = 6$ orders." : "In how many orders can three units stand?" }) },
    { ask: "Now with outer weights, $\\sum v_i\\tanh(w_ix)$, three units. How many?", input: "minimisers", right: 48, wrong: 12,
      check: ({ answer }) => ({ passed: answer === 48, say: answer === 48 ? "Passed: $3!\\cdot2^3 = 48$." : answer === 6 ? "Each unit may also change the sign of both its weights." : answer === 12 ? "Each of the three units may change its signs by itself: $2^3$." : "Count the orders, and for each unit the two choices of sign." }) },
  ],
  sources: [
    "R. Hecht-Nielsen, On the algebraic structure of feedforward network weight spaces, in *Advanced Neural Computers*, 1990.",
    "H. Sussmann, Uniqueness of the weights for minimal feedforward nets with a given input-output map, *Neural Networks* 5 (1992).",
    "In numdl: `numdl experiment run non-convexity`.",
  ],
  tolerance: 1e-7, // where a minimum lies is known to the root of rounding only
  trials: KINDS.flatMap(([activation]) => [[-1.5, -2], [1, 1], [1, 2.5], [2.7, -2.9], [0.3, -0.2]].map(([p, q]) => ({ activation, p, q }))),
  compare: (n) => ({ end: n.end, errors: n.errors.slice(0, 6), line: n.line.map((e) => 1 + e), curvatures: n.curvatures, counts: n.counts }),
};
