// 1.4: how fast is downhill?
import { range } from "../../lib/numerics.mjs";
import { axes2, conjugate, ellipse, quadratic } from "../../lib/plane.mjs";
import { say } from "../../lib/plot.mjs";

// E(p) = p'Hp/2 with curvatures 1 and kappa; the flat direction is turned from the first axis by `angle` degrees.
const SHOWN = 120, MOST = 20000, GOAL = 1e-6, THIN = 6, DIAGONAL = 45;
const turned = (kappa, angle) => {
  const t = (angle * Math.PI) / 180, c = Math.cos(t), s = Math.sin(t);
  return [[c * c + kappa * s * s, (1 - kappa) * c * s], [(1 - kappa) * c * s, s * s + kappa * c * c]];
};
// New unknowns q_i = p_i sqrt(H_ii): the diagonal becomes 1.
const scaled = (H) => { const r = H[0][1] / Math.sqrt(H[0][0] * H[1][1]); return [[1, r], [r, 1]]; };

// Heavy ball in one direction of curvature c: e+ = (1 + beta - eta c) e - beta e-. The larger root of mu^2 - (1 + beta - eta c) mu + beta.
export function slowest(etac, beta) {
  const half = (1 + beta - etac) / 2, d = half * half - beta;
  return d <= 0 ? Math.sqrt(beta) : Math.abs(half) + Math.sqrt(d);
}
function errors(start, curvature, eta, beta, steps) {
  const e = [start, (1 - eta * curvature) * start];
  for (let k = 2; k <= steps; k++) e.push((1 + beta - eta * curvature) * e[k - 1] - beta * e[k - 2]);
  return e.slice(0, steps + 1);
}
// Steps until the error is a millionth of the first one; infinite if that takes more than MOST.
function count(start, values, eta, beta) {
  if (Math.max(...values.map((c) => slowest(eta * c, beta))) >= 1) return Infinity;
  const size = GOAL * Math.hypot(...start);
  let a = start, b = start.map((e, i) => (1 - eta * values[i]) * e), k = 1;
  for (; k < MOST && Math.hypot(...b) > size; k++) [a, b] = [b, b.map((e, i) => (1 + beta - eta * values[i]) * e - beta * a[i])];
  return Math.hypot(...b) > size ? Infinity : k;
}
const best = (kappa) => { const r = Math.sqrt(kappa); return { step: (4 * kappa) / (r + 1) ** 2, beta: ((r - 1) / (r + 1)) ** 2, plainStep: (2 * kappa) / (kappa + 1), plain: (kappa - 1) / (kappa + 1), rate: (r - 1) / (r + 1) }; };

function compute({ condition, step, momentum, angle, rescaled }) {
  const H0 = turned(condition, angle), H = rescaled ? scaled(H0) : H0, axes = axes2(H), { values, vectors } = axes;
  const t = (angle * Math.PI) / 180, p0 = [Math.cos(t) - Math.sin(t), Math.cos(t) + Math.sin(t)]; // one unit along, one across
  let start = rescaled ? p0.map((x, i) => x * Math.sqrt(H0[i][i])) : p0;
  start = start.map((x) => (x * Math.SQRT2) / Math.hypot(...start));
  const at = vectors.map((v) => v[0] * start[0] + v[1] * start[1]), eta = step / values[1], kappa = values[1] / values[0];
  const e = values.map((c, i) => errors(at[i], c, eta, momentum, SHOWN)), total = range(SHOWN + 1).map((k) => Math.hypot(e[0][k], e[1][k]) / Math.SQRT2);
  const rates = values.map((c) => slowest(eta * c, momentum)), way = range(SHOWN + 1).map((k) => [0, 1].map((i) => e[0][k] * vectors[0][i] + e[1][k] * vectors[1][i]));
  const cg = conjugate(H, start), top = best(kappa);
  return {
    H, axes, kappa, start, way, e: e.map((one) => one.map(Math.abs)), total, rates, rate: Math.max(...rates), cg, top,
    steps: count(at, values, eta, momentum), without: count(at, values, eta, 0), plain: count(at, values, top.plainStep / values[1], 0),
    fewest: count(at, values, top.step / values[1], top.beta), other: axes2(rescaled ? H0 : scaled(H0)), sizes: cg.map((p) => Math.hypot(...p) / Math.SQRT2),
  };
}

const steps = (n, rate = 0) => (Number.isFinite(n) ? `${say(n, 5)} step${n === 1 ? "" : "s"}` : rate < 1 ? `more than ${say(MOST)} steps` : "for ever");
const ratio = ({ values }) => values[1] / values[0];

export const page = {
  id: "1.4",
  question: "How fast is downhill?",
  goal: "You will predict the number of steps from one number, the condition, and learn what momentum, conjugate gradients and scaling do to it.",
  minutes: 20,
  needs: "gradients, and the eigenvalues of a symmetric matrix",
  controls: {
    condition: { kind: "slider", label: "condition number", min: 1, max: 1000, log: true, step: 0.1, value: 100, show: (x) => say(x) },
    step: { kind: "slider", label: "step times the largest curvature", min: 0.05, max: 4, step: 0.01, value: 1.8, show: (x) => say(x) },
    momentum: { kind: "slider", label: "momentum", min: 0, max: 0.98, step: 0.01, value: 0, play: 120, show: (x) => say(x) },
  },
  hidden: { angle: THIN, rescaled: false },
  guess: {
    ask: "A valley is a hundred times steeper across than along. Gradient descent, with the best fixed step there is, starts at one unit from the bottom in both directions. How many steps until the error is a millionth?",
    options: ["about 15", "about 70", "about 700"], answer: 2, hides: ["rate", "steps"], see: { step: 1.98 },
    why: "The best step multiplies the error by $99/101$, and $(99/101)^k = 10^{-6}$ takes 691 steps. Momentum, at the cost of remembering one more point, does it in 93; conjugate gradients in two.",
  },
  sentence: [
    "The valley is [[condition]] times steeper across than along. Each step is [[step]] over the largest curvature, and [[momentum]] of the last step is added. In the long run each step multiplies the error by {{rate}}; to be left with a millionth it takes {{steps}}.",
  ],
  breaks: [
    { label: "The best step without momentum", patch: (s, n) => ({ momentum: 0, step: Math.round(100 * n.top.plainStep) / 100 }), why: "Both directions now shrink alike, the steep one by jumping from side to side. A longer step is slower across, a shorter one slower along." },
    { label: "A step too far", patch: { momentum: 0, step: 2.05 }, why: "Across the valley each step jumps past the bottom, to a place higher than before. Momentum allows longer steps: the limit is $2(1+\\beta)$." },
    { label: "Scale the unknowns, or not", patch: (s) => ({ rescaled: !s.rescaled }), why: "Scaling measures each unknown in units in which its own curvature is 1. That mends bad units. The path is now one of a rounder valley; the condition in the sentence is still that of the valley before." },
    { label: "Turn the valley", patch: (s) => ({ angle: s.angle === THIN ? DIAGONAL : THIN }), why: "At 45° both unknowns have the same curvature, so there are no units to mend: the difficulty is that the two are correlated." },
  ],
  compute,
  values: (n) => ({ rate: say(n.rate, 4), steps: steps(n.steps, n.rate), kappa: say(n.kappa) }),
  views: [
    {
      frame: (n, s) => ({ title: s.rescaled ? "Paths, unknowns scaled" : "Paths downhill", equal: true, height: 400, x: { min: -1.7, max: 1.7, label: s.rescaled ? "first unknown, scaled" : "first unknown" }, y: { min: -1.7, max: 1.7, label: s.rescaled ? "second unknown, scaled" : "second unknown" } }),
      draw(plot, n, s, { ghost }) {
        for (const f of [1, 0.4, 0.12, 0.02]) { const c = ellipse(n.axes, f * quadratic(n.H, n.start)); plot.line(c.map((p) => p[0]), c.map((p) => p[1]), { color: "grey", width: 1, label: "equal height" }); }
        if (ghost) plot.line(ghost.numbers.way.map((p) => p[0]), ghost.numbers.way.map((p) => p[1]), { color: "orange", width: 1, faint: true, label: "your last setting" });
        plot.line(n.cg.map((p) => p[0]), n.cg.map((p) => p[1]), { color: "green", width: 2, label: "conjugate gradients" });
        plot.line(n.way.map((p) => p[0]), n.way.map((p) => p[1]), { color: "orange", width: 1.2 });
        plot.dots(n.way.map((p) => p[0]), n.way.map((p) => p[1]), { color: "orange", size: 2.4, label: "descent" });
        plot.dots([n.start[0]], [n.start[1]], { color: "ink", size: 4, label: "start" });
      },
    },
    {
      frame: () => ({ title: "Where it converges", height: 400, x: { min: 0, max: 4, label: "step × largest curvature" }, y: { min: 0, max: 1, label: "momentum β" } }),
      draw(plot, n, s, { change, ghost }) {
        plot.region((x, y) => x - 2 * (1 + y), { color: "orange", label: "converges", cells: 40 });
        const goal = Math.log(n.top.rate) / 2;
        if (n.top.rate > 0) plot.region((x, y) => Math.log(Math.max(slowest(x, y), slowest(x / n.kappa, y), 1e-9)) - goal, { color: "green", label: "at most twice the fewest steps", cells: 110 });
        const x = range(161).map((k) => k / 40), line = (c) => x.map((v) => (1 - Math.sqrt(v / c)) ** 2);
        plot.line(x, line(n.kappa), { color: "blue", dash: "5 4", width: 1.5, label: "fastest along" });
        plot.line(x, line(1), { color: "purple", dash: "5 4", width: 1.5, label: "fastest across" });
        if (ghost) plot.dots([ghost.settings.step], [ghost.settings.momentum], { color: "ink", size: 6, faint: true });
        plot.handle("setting", s.step, s.momentum, {
          color: "ink", label: "step and momentum", value: `step ${say(s.step)}, momentum ${say(s.momentum)}`,
          move: (u, v) => change({ step: u, momentum: v }), nudge: (dx, dy) => change({ step: s.step + 0.01 * dx, momentum: s.momentum + 0.01 * dy }),
        });
        plot.name("your setting: drag it", "ink", "circle");
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Error after each step", height: 230, x: { min: 0, max: SHOWN, label: "step" }, y: { min: 1e-8, max: 10, log: true, label: "error" } }),
      draw(plot, n, s, { ghost }) {
        const k = range(SHOWN + 1);
        plot.across(GOAL, { color: "grey", label: "a millionth" });
        if (ghost) plot.line(k, ghost.numbers.total, { color: "orange", faint: true, width: 1.4 });
        plot.line(k, n.e[0], { color: "blue", width: 1.5, label: "along the valley" });
        plot.line(k, n.e[1], { color: "purple", width: 1.5, label: "across" });
        plot.line(k, n.total, { color: "orange", label: "descent, in all" });
        plot.line(range(n.sizes.length), n.sizes.map((v) => Math.max(v, 1e-12)), { color: "green", label: "conjugate gradients" });
      },
    },
  ],
  table: (n) => ({ head: ["step", "along", "across", "in all", "conjugate gradients"], rows: [0, 1, 2, 5, 10, 20, 40, 80, 120].map((k) => [k, say(n.e[0][k]), say(n.e[1][k]), say(n.total[k]), k < n.sizes.length ? (n.sizes[k] < 1e-13 ? "0 to rounding" : say(n.sizes[k])) : ""]) }),
  claims: (n, s) => [
    { sentence: "It converges.", holds: n.rate < 1, found: `Each step multiplies the error by ${say(n.rate, 4)} in the end.`, why: `The step must stay below $2(1+\\beta) = ${say(2 * (1 + s.momentum))}$ over the largest curvature; yours is ${say(s.step)}.` },
    { sentence: "Momentum pays: with the same step and no momentum it takes longer.", holds: n.steps < n.without, found: `With it ${steps(n.steps, n.rate)}, without ${steps(n.without, Math.max(Math.abs(1 - s.step), Math.abs(1 - s.step / n.kappa)))}.`, why: s.momentum === 0 ? "You use none: raise it." : n.rate >= 1 ? "It does not converge." : "There is too much of it: the ball swings to and fro along the valley, and only $\\beta$ itself damps the swing, by $\\sqrt\\beta$ a step." },
    { sentence: "You are within a fifth of the fewest steps that momentum can reach.", holds: n.steps <= 1.2 * n.fewest, found: `Step ${say(n.top.step)} with momentum ${say(n.top.beta)} needs ${steps(n.fewest)}, you need ${steps(n.steps, n.rate)}; the best step without momentum needs ${steps(n.plain)}.`, why: n.rates[0] >= n.rates[1] - 1e-12 && n.rate < 1 ? "You wait for the direction along the valley. Go to where the two dashed lines cross." : "You wait for the direction across the valley. Go to where the two dashed lines cross." },
    { sentence: "Scaling the unknowns makes the valley at least four times rounder.", holds: s.rescaled ? ratio(n.other) >= 4 * n.kappa : n.kappa >= 4 * ratio(n.other), found: s.rescaled ? `The condition was ${say(ratio(n.other))} and is ${say(n.kappa)}.` : `The condition is ${say(n.kappa)} and would be ${say(ratio(n.other))}.`, why: s.angle === DIAGONAL ? "This valley lies between the axes: both unknowns have the same curvature already. Only a change of directions helps, as conjugate gradients find it." : "The valley is nearly round before scaling." },
  ],
  text: [
    "## Two directions, two numbers",
    "Near a minimum every smooth function is a valley, $E(p) = \\tfrac12 p'Hp$, and descent is $p \\leftarrow p - \\eta Hp$. In the directions of the eigenvectors of $H$ it falls apart: the error along the one with curvature $\\lambda$ is multiplied by $1 - \\eta\\lambda$ in each step. The largest curvature limits the step, $\\eta < 2/\\lambda_{\\max}$; the smallest one then waits. The best compromise makes both factors equal, $\\eta = 2/(\\lambda_{\\min}+\\lambda_{\\max})$, and gives",
    "$$ \\frac{\\kappa-1}{\\kappa+1} , \\qquad \\kappa = \\frac{\\lambda_{\\max}}{\\lambda_{\\min}} , $$",
    "here with $\\kappa =$ {{kappa}}. That is $1 - 2/\\kappa$ for large $\\kappa$: about $7\\kappa$ steps for six digits.",
    "## What momentum does",
    "The *heavy ball* adds a part of the last step, $p_{k+1} = p_k - \\eta Hp_k + \\beta\\,(p_k - p_{k-1})$. In one direction that is a recursion of two terms. Its factors solve $\\mu^2 - (1+\\beta-\\eta\\lambda)\\mu + \\beta = 0$: a damped oscillator. With too little momentum it creeps, with too much it swings, and in between, at $\\beta = (1-\\sqrt{\\eta\\lambda})^2$, it is fastest. Each direction has its own such line in the second figure. Where the two cross,",
    "$$ \\eta = \\frac{4}{(\\sqrt{\\lambda_{\\min}}+\\sqrt{\\lambda_{\\max}})^2}, \\qquad \\beta = \\Big(\\frac{\\sqrt\\kappa-1}{\\sqrt\\kappa+1}\\Big)^2, \\qquad \\text{factor } \\sqrt\\beta = \\frac{\\sqrt\\kappa-1}{\\sqrt\\kappa+1}, $$",
    "the square root of $\\kappa$ has taken the place of $\\kappa$: at $\\kappa = 100$ that is some seven times fewer steps, at $10\\,000$ some sixty-five times.",
    "*Conjugate gradients* choose step and momentum anew in each step, without knowing any curvature, so that the error is the smallest possible. With two unknowns they are done after two steps, with $n$ after $n$. Long before that, the error $e$, measured by $\\sqrt{e'He}$, is below $2\\,\\big(\\frac{\\sqrt\\kappa-1}{\\sqrt\\kappa+1}\\big)^k$ times the first, and less if the eigenvalues lie in clusters.",
    "*Scaling* is the simplest preconditioner: it changes $\\kappa$ itself. Standardising the columns of a table does the same.",
  ],
  code: ({ condition, step, momentum, angle, rescaled }) => `
import numpy as np
from numdl.linalg import cgls

t = np.deg2rad(${angle})
Q = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])  # along, across
H, p = Q @ np.diag([1, ${condition}]) @ Q.T, Q.sum(axis=1)
${rescaled ? "d = np.sqrt(np.diag(H))\nH, p = H / np.outer(d, d), d * p  # unknowns scaled" : "# scale the unknowns: d = np.sqrt(np.diag(H)); H, p = H / np.outer(d, d), d * p"}
curvatures = np.linalg.eigvalsh(H)
eta, beta = ${step} / curvatures[-1], ${momentum}

start, last, steps = p, p, 0
while np.linalg.norm(p) > 1e-6 * np.linalg.norm(start) and steps < 20000:
    p, last, steps = p - eta * H @ p + beta * (p - last), p, steps + 1
    if not np.linalg.norm(p) < 1e100:
        break
one = np.block([[(1 + beta) * np.eye(2) - eta * H, -beta * np.eye(2)], [np.eye(2), np.zeros((2, 2))]])
L = np.linalg.cholesky(H).T  # H = L'L: conjugate gradients by CGLS
first = cgls(L, np.zeros(2), x0=start, max_iter=1).x
print(curvatures[-1] / curvatures[0], np.abs(np.linalg.eigvals(one)).max())
print(steps if np.linalg.norm(p) < 1 else np.inf, np.linalg.norm(first) / np.linalg.norm(start))
`,
  prints: (n) => [n.kappa, n.rate, n.steps, n.sizes[1]],
  exercises: [
    { ask: "Find the best momentum by hand, for $\\kappa = 100$ without scaling: which $\\beta$ needs the fewest steps, when the step may be chosen as well? Two digits.", input: "β =", right: 0.67, wrong: 0.9,
      check: ({ answer }) => { const passed = Math.abs(answer - best(100).beta) <= 0.011; return { passed, say: passed ? "Passed: $(9/11)^2 = 0.669$, with the step 3.31 over the largest curvature." : `With ${say(answer)} no step gets there fastest. ${answer > best(100).beta ? "The error cannot shrink faster than by $\\sqrt\\beta$: use less." : "Then the valley's long direction creeps: use more, and a longer step."}` }; } },
    { ask: "A valley has $\\kappa = 10\\,000$. How many steps does gradient descent need, with its best step and no momentum, until the error is a thousandth? (Within 5 %.)", input: "steps", right: 34539, wrong: 345,
      check: ({ answer }) => { const wanted = Math.log(1e-3) / Math.log(best(1e4).plain), passed = Math.abs(answer / wanted - 1) <= 0.05; return { passed, say: passed ? `Passed: $\\ln 1000 \\cdot \\kappa/2$, that is ${say(wanted)}. With the best momentum it is a matter of hundreds.` : Math.abs(answer / 345 - 1) < 0.05 ? "That is with the best momentum." : "Each step multiplies by $(\\kappa-1)/(\\kappa+1)$, which is nearly $e^{-2/\\kappa}$." }; } },
  ],
  sources: [
    "B. T. Polyak, Some methods of speeding up the convergence of iteration methods, *USSR Computational Mathematics and Mathematical Physics* 4 (1964); J. Nocedal and S. J. Wright, *Numerical Optimization*, Springer 2006, sections 3.3 and 5.1.",
    "The idea of two sliders above a phase diagram: G. Goh, Why momentum really works, *Distill* 2017. Page 3.2 reads a descent step as a layer.",
    "In numdl: `numdl.linalg.cgls`, and `numdl experiment run newton-softmax` for a problem where the valley changes under one's feet.",
  ],
  trials: [[1.2, 1.1, 0.3], [10, 1.8, 0], [10, 0.5, 0.5], [100, 1.98, 0], [100, 3.3, 0.67], [100, 2.6, 0.2], [100, 0.7, 0.9], [400, 1, 0.95], [1000, 3.7, 0.88], [30, 2.05, 0], [300, 3.2, 0.7]].flatMap(([condition, step, momentum], i) => [[THIN, i % 2 === 1], [DIAGONAL, i % 3 === 0]].map(([angle, rescaled]) => ({ condition, step, momentum, angle, rescaled }))),
  compare: (n) => ({ kappa: n.kappa, rate: n.rate, along: n.e[0].slice(0, 60), across: n.e[1].slice(0, 60), steps: [n.steps, n.fewest], conjugate: n.sizes }),
};
