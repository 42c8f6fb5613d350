// 1.12: is my derivative right?
import { dot, norm, random, range, scale, sum } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// f(p) = 1/n sum log(1 + exp(s_i)) - c_i s_i + alpha/2 |p|^2, s = X p: logistic regression of 12 rows with 3 unknowns.
const ROWS = 12, STEPS = 27, ALPHA = 0.1, P = [0.4, -0.3, 0.2], KINK = 0.003;
const H = range(STEPS).map((k) => 0.5 ** k);
const FAULTS = [
  ["none", "no fault"], ["sign", "a wrong sign"], ["mean", "a lost 1/n"], ["entry", "a forgotten entry"], ["tiny", "a small relative error"], ["kink", "a kink nearby"], ["single", "single precision"],
];
const made = (() => {
  const rng = random(12), X = range(ROWS).map(() => rng.normals(3)), e = rng.normals(ROWS);
  return { X, c: X.map((x, i) => +(x[0] - x[1] + 0.5 * x[2] + e[i] > 0)) };
})();
const softplus = (s) => Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s)));
const sigmoid = (s) => 1 / (1 + Math.exp(-s));
const value = (p) => sum(made.X.map((x, i) => { const s = dot(x, p); return softplus(s) - made.c[i] * s; })) / ROWS + (ALPHA / 2) * dot(p, p);
const slopes = (p, share) => range(3).map((j) => share * sum(made.X.map((x, i) => (sigmoid(dot(x, p)) - made.c[i]) * x[j])) + ALPHA * p[j]);

export const direction = (draw) => { const d = random(100 + draw).normals(3); return scale(1 / norm(d), d); };

// What a table says, as numdl.testing.check_gradient reads it: the last three orders above the rounding level must be 2 within 0.1.
export function read(withSlope, f, slope, eps) {
  const floor = H.map((h) => 300 * eps * Math.max(Math.abs(f), h * Math.abs(slope))), below = withSlope.findIndex((e, i) => !(e > floor[i]));
  const above = below < 0 ? STEPS : below, orders = range(STEPS - 1).map((i) => Math.log2(withSlope[i] / withSlope[i + 1])), seen = orders.slice(0, Math.max(above - 1, 0));
  const good = (a) => a.length >= 3 && a.every((o) => Math.abs(o - 2) <= 0.1);
  return { floor, above, orders, last: seen.slice(-3), passes: good(seen.slice(-3)), first: good(seen.slice(2, 5)) };
}

function compute({ fault: chosen, size, draw, blind, secret }) {
  const fault = blind ? secret : chosen, d = direction(draw), at = (h) => P.map((x, j) => x + h * d[j]);
  const kink = P[0] + KINK * d[0], eps = fault === "single" ? 2 ** -23 : 2 ** -52;
  const fun = (p) => { const v = value(p) + (fault === "kink" ? 0.2 * Math.abs(p[0] - kink) : 0); return fault === "single" ? Math.fround(v) : v; };
  const right = slopes(P, 1 / ROWS);
  if (fault === "kink") right[0] += 0.2 * Math.sign(P[0] - kink);
  const g = { sign: () => scale(-1, right), mean: () => slopes(P, 1), entry: () => [right[0], right[1], 0], tiny: () => scale(1 + size, right) }[fault]?.() ?? right;
  const f = fun(P), slope = dot(g, d), moved = H.map((h) => fun(at(h)));
  const without = moved.map((v) => Math.abs(v - f)), withSlope = moved.map((v, i) => Math.abs(v - f - H[i] * slope));
  const h = fault === "single" ? 2 ** -6 : 2 ** -12, central = (fun(at(h)) - fun(at(-h))) / (2 * h);
  return { fault, d, f, g, slope, true: dot(right, d), without, withSlope, central, ...read(withSlope, f, slope, eps) };
}

const digits = (orders) => (orders.length ? orders.map((o) => o.toFixed(2)).join(", ") : "none");
const reason = (n) => {
  if (n.last.length < 3) return "Rounding hides the table before three orders are seen.";
  const near = n.last.reduce((s, o) => s + o, 0) / 3;
  return Math.abs(near - 1) < 0.3 ? "Orders near 1 say that a part of the slope is wrong: $h$ times that part is left." : "The orders have not settled. Take another direction or more steps.";
};

// Gradients whose fault the reader shall name, in another order of directions at each turn.
const HIDDEN = ["kink", "tiny", "mean", "single", "none"];
const anonymous = (turn, k) => ({ blind: true, secret: HIDDEN[(k + turn - 1) % HIDDEN.length], size: 1e-3, draw: 1 + ((turn + k) % 4) });

export const page = {
  id: "1.12",
  question: "Is my derivative right?",
  goal: "You will read the table that decides it, tell common faults apart, and know what the table cannot see.",
  minutes: 20,
  needs: "Taylor's formula, and the gradient of a function of several unknowns",
  controls: {
    fault: { kind: "choice", label: "fault", options: FAULTS, value: "tiny" },
    size: { kind: "slider", label: "relative error", min: 1e-9, max: 0.3, log: true, step: 0.25, value: 1e-3, show: (x) => say(x) },
    draw: { kind: "slider", label: "direction", min: 1, max: 20, value: 1, play: 600, show: (k) => `no. ${k}` },
  },
  hidden: { blind: false, secret: "none" },
  guess: {
    ask: "A gradient is 0.1 % too large. You compare $f(p+hd)$ with $f(p) + h\\,g'd$ for $h = 1, \\tfrac12, \\tfrac14, \\dots$ Where does the fault show?",
    options: ["at once, at large $h$", "only at small $h$", "nowhere: 0.1 % is too little"], answer: 1,
    why: "At large $h$ the curvature of $f$ outweighs it, and the error falls by four with each halving, as it should. At small $h$ the wrong part, which only halves, is what remains.",
  },
  sentence: [
    "The code of the gradient has [[fault]] (here [[size]]), and is tested in direction [[draw]]. The last three orders are {{orders}}: the test says {{verdict}}.",
  ],
  breaks: [
    { label: "No fault", patch: { fault: "none", blind: false }, why: "The error with the slope falls by four with each halving of $h$, until rounding of $f$ stops it. Then it even grows, relative to $h$." },
    { label: "A kink nearby", patch: { fault: "kink", blind: false }, why: "The gradient is right, but at $h = 0.003$ the direction crosses a kink, as of $|p_1|$ or of a relu. Beyond it the order is 1, before it 2." },
    { label: "An error too small to see", patch: { fault: "tiny", size: 1e-8, blind: false }, why: "The wrong part is below the rounding of $f$ wherever it would outweigh the curvature. About $10^{-7}$ is the limit here: the square root of the precision." },
  ],
  disabled: (s) => (s.fault === "tiny" && !s.blind ? [] : ["size"]),
  compute,
  values: (n) => ({ orders: digits(n.last), verdict: n.passes ? "“right”" : "“wrong”" }),
  views: [
    {
      frame: () => ({ title: "Errors of the expansion", height: 380, x: { min: 1e-8, max: 2, log: true, label: "step h" }, y: { min: 1e-17, max: 10, log: true, label: "error" } }),
      draw(plot, n, s, { ghost }) {
        plot.line(H, H.map((h) => (n.without[0] || 1) * h), { color: "grey", width: 1, dash: "2 4", label: "order 1" });
        plot.line(H, H.map((h) => (n.withSlope[0] || 1) * h * h), { color: "grey", width: 1, dash: "7 4", label: "order 2" });
        plot.line(H, n.floor.map((v) => v / 300), { color: "purple", width: 1.4, label: "rounding of f" });
        if (ghost) plot.dots(H, ghost.numbers.withSlope, { color: "blue", size: 2.6, faint: true });
        plot.dots(H, n.without, { color: "orange", size: 2.8, label: "without slope" });
        plot.line(H, n.withSlope, { color: "blue", width: 1, faint: true });
        plot.dots(H, n.withSlope, { color: "blue", size: 3, label: "with slope" });
      },
    },
    {
      frame: () => ({ title: "Order from each step to its half, with slope", height: 380, x: { min: 1e-8, max: 2, log: true, label: "step h" }, y: { min: -1, max: 4, label: "order" } }),
      draw(plot, n, s, { ghost }) {
        plot.area([1e-8, 2], [1.9, 1.9], [2.1, 2.1], { color: "green", label: "2 within 0.1" });
        plot.across(1, { color: "grey", label: "order 1" });
        if (ghost) plot.dots(H.slice(0, -1), ghost.numbers.orders, { color: "blue", size: 2.4, faint: true });
        const cut = Math.max(n.above - 1, 0), used = Math.max(cut - 3, 0);
        plot.dots(H.slice(cut, -1), n.orders.slice(cut), { color: "purple", size: 2.4, shape: "cross", label: "rounding" });
        plot.dots(H.slice(0, used), n.orders.slice(0, used), { color: "blue", size: 3, label: "order" });
        plot.dots(H.slice(used, cut), n.orders.slice(used, cut), { color: "blue", size: 5, shape: "ring", label: "the three that decide" });
      },
    },
  ],
  table: (n) => ({ head: ["h", "without slope", "with slope", "order"], rows: H.map((h, i) => [say(h), say(n.without[i]), say(n.withSlope[i]), i ? (i < n.above ? n.orders[i - 1].toFixed(2) : "rounding") : ""]) }),
  claims: (n, s) => (s.blind ? [{ sentence: "The claims would name the fault; they return when you have handed in your answer.", holds: true, found: "" }] : [
    { sentence: "The table says that the gradient is right: its last three orders are 2 within 0.1.", holds: n.passes, found: `They are ${digits(n.last)}.`, why: reason(n) },
    { sentence: "Its verdict is true.", holds: n.passes === (Math.abs(n.slope / n.true - 1) < 1e-12), found: `The slope along the direction is ${say(n.slope, 6)}; right is ${say(n.true, 6)}.`, why: n.passes ? `An error of ${say(Math.abs(n.slope / n.true - 1))} in the slope leaves less than the rounding of $f$ at every step where the curvature does not hide it.` : "The gradient is right where it is taken. What the table shows belongs to another place." },
    { sentence: "The three orders from $h = \\tfrac14$ on would have given the same verdict.", holds: n.first === n.passes, found: `They are ${digits(n.orders.slice(2, 5))}.`, why: n.passes ? (n.fault === "kink" ? "At large steps the direction crosses the kink." : "At large steps the third derivative still counts.") : "At large steps the curvature hides what is wrong. Judge by the last orders, never by the best ones." },
    { sentence: "A central difference agrees with the slope to a part in a million.", holds: Math.abs(n.central / n.slope - 1) < 1e-6, found: `It is ${say(n.central, 7)}, off by ${say(Math.abs(n.central / n.slope - 1))} of the slope.`, why: n.fault === "single" ? "In single precision differences have three or four digits left." : "A difference shows that something is wrong. It does not say by itself whether it is the gradient or the step." },
  ]),
  text: [
    "## The table",
    "Let $g$ be what your code says is the gradient of $f$ at $p$. Along any direction $d$ Taylor's formula says",
    "$$ |f(p+hd) - f(p)| = O(h), \\qquad |f(p+hd) - f(p) - h\\,g'd| = O(h^2) , $$",
    "and the second holds only if $g'd$ is the slope. So halve $h$ and watch the second error: it must fall to a quarter. If a part of the slope is wrong, $h$ times that part is left, and the error ends by halving. Take a random direction: one that is special, such as a unit vector, can miss a wrong entry.",
    "The *order* from one step to the next is $\\log_2$ of the ratio of the errors. At large $h$ third derivatives disturb it. At small $h$ the difference of two nearly equal numbers is rounding. Between them it must be 2. The test of numdl takes the last three orders above the rounding level, because a gradient that is slightly wrong looks right while $h$ is large.",
    "## What it cannot see",
    "With an error of the size $\\varepsilon$ in the slope $\\sigma$, the wrong part $h\\varepsilon\\sigma$ outweighs the curvature $\\tfrac12h^2f''$ only for $h < 2\\varepsilon\\sigma/f''$. There both are of the size $\\varepsilon^2$. So errors below the square root of the precision stay unseen: about $10^{-7}$ in double precision, and 0.1 % is already too little in single precision. *Test in double precision, even if you train in single.*",
    "## The other half: adjoints",
    "Let $J$ be the matrix of derivatives of all outputs of a network by all its weights. Its gradient is $J'u$, computed backwards without forming $J$. Whether the two directions belong together is a test of one line, exact to rounding: for random $v$ and $u$",
    "$$ u'(Jv) = v'(J'u) . $$",
    "Taylor's table for $Jv$ and this identity for $J'u$ locate a fault: in the derivative, or in its transpose.",
  ],
  code: (s) => `
import numpy as np

rng = np.random.RandomState(12)
X, e = rng.standard_normal((12, 3)), rng.standard_normal(12)
c = X @ [1, -1, 0.5] + e > 0
p, d = np.array([0.4, -0.3, 0.2]), np.random.RandomState(${100 + s.draw}).standard_normal(3)
d /= np.linalg.norm(d)
kink = ${!s.blind && s.fault === "kink" ? 0.2 : 0} * np.array([1, 0, 0])

def f(p):
    s = X @ p
    value = np.mean(np.logaddexp(0, s) - c * s) + 0.05 * p @ p + np.sum(kink * np.abs(p - start - 0.003 * d))
    return ${!s.blind && s.fault === "single" ? "float(np.float32(value))" : "value"}

start = p
g = X.T @ (1 / (1 + np.exp(-X @ p)) - c) ${!s.blind && s.fault === "mean" ? "" : "/ 12 "}+ 0.1 * p - kink * np.sign(d)
${s.blind ? "# the fault is hidden until you hand in your answer; this gradient has none" : { sign: "g = -g", entry: "g[2] = 0", tiny: `g = ${1 + s.size} * g` }[s.fault] ?? "# change g here: g = -g, g[2] = 0, g = 1.001 * g"}
errors = np.array([abs(f(p + h * d) - f(p) - h * g @ d) for h in 0.5 ** np.arange(8)])
print(f(p), g @ d, *np.log2(errors[:-1] / errors[1:])[:4])
`,
  prints: (n) => [n.f, n.slope, ...n.orders.slice(0, 4)],
  exercises: [
    { ask: "Five anonymous gradients, one after the other. Look at the two figures only, and name the fault of each by its number: 0 none, 1 a wrong sign, 2 a lost 1/n, 3 a forgotten entry, 4 a small relative error, 5 a kink nearby, 6 single precision. Faults of the same kind (1, 2 and 3) count as one: a part of the slope is plainly wrong. Four of five are a pass.",
      start: { label: "Begin", patch: (round, memory) => { Object.assign(memory, { at: 0, right: 0, turn: round }); return anonymous(round, 0); } },
      input: "fault", button: "Hand in", right: ({ secret }) => FAULTS.findIndex(([name]) => name === secret), wrong: 4,
      check: ({ answer, settings, memory }) => {
        if (!settings.blind) return { passed: false, say: "Press Begin first." };
        const k = FAULTS.findIndex(([name]) => name === settings.secret), group = (i) => (i >= 1 && i <= 3 ? 1 : i), passed = group(Math.round(answer)) === group(k);
        const told = { none: "order 2 down to the rounding of double precision", mean: "order 1 almost from the beginning, with an error as large as without the slope", tiny: "order 2 first, then 1", kink: "order 1 or none at large steps, then suddenly 2", single: "order 2, and a floor nine decades higher" }[settings.secret];
        const done = (memory.at += 1) === HIDDEN.length;
        memory.right += passed;
        const verdict = `${passed ? "Right" : "No"}: gradient ${memory.at} had ${FAULTS[k][1]}. Its mark is ${told}.`;
        if (!done) return { passed, more: true, patch: anonymous(memory.turn, memory.at), say: `${verdict} The figures show the next one.` };
        return { passed: memory.right >= 4, patch: { blind: false, fault: settings.secret }, say: `${verdict} ${memory.right >= 4 ? "Passed" : "Not yet"}: ${memory.right} of ${HIDDEN.length}.` };
      } },
    { ask: "In direction 1: how large may a relative error of the slope be and still escape this test? Find it with the slider, to a factor of 3.", input: "ε =", right: 5e-8, wrong: 1e-3,
      check: ({ answer }) => {
        const passes = (size) => compute({ fault: "tiny", size, draw: 1 }).passes, passed = answer > 0 && passes(answer) && !passes(3 * answer);
        return { passed, say: passed ? "Passed: about the square root of the precision of $f$, here with the margin of 300 rounding errors that the test allows itself." : answer > 0 && passes(answer) ? "It escapes, and so does one three times as large." : "The test sees that one." };
      } },
  ],
  sources: [
    "Taylor's formula; the reading of the table and its rounding level are those of `numdl.testing.check_gradient`, and `numdl.testing.check_adjoint` is the other half.",
    "On differences in finite precision: C. J. F. Ridders, Accurate computation of F'(x) and F'(x)F''(x), *Advances in Engineering Software* 4 (1982). On derivatives by programs: J. Nocedal and S. J. Wright, *Numerical Optimization*, Springer 2006, chapter 8.",
  ],
  trials: FAULTS.flatMap(([fault], i) => [1, 4, 9].map((draw, j) => ({ fault, draw: draw + i, size: [1e-3, 1e-5, 1e-8][j] }))).concat([{ fault: "tiny", size: 0.1, draw: 2 }]),
  compare: (n) => ({ f: n.f, gradient: n.g, without: n.without, withSlope: n.withSlope, orders: n.orders.filter((_, i) => i < n.above - 1 && n.withSlope[i + 1] > 1e-5), passes: +n.passes, central: n.central }),
};
