// 1.13: how far should a step go?
import { argmin, dot, geomspace, linspace, norm, random, range, solve, sum } from "../../lib/numerics.mjs";
import { apply } from "../../lib/plane.mjs";
import { say } from "../../lib/plot.mjs";

// E(p) = mean log(1 + exp(-z_i'p)) + alpha/2 |p|^2, z_i = y_i x_i: 24 rows of two classes.
const ROWS = 24, ALPHA = 0.02, MOST = 150, TRIALS = 30, DONE = 1e-8;
const Z = (() => { const e = random(4).normals(2 * ROWS); return range(ROWS).map((i) => [0.7 + 0.9 * e[2 * i], 0.5 + 2.2 * e[2 * i] + 0.9 * e[2 * i + 1]]); })();
const softplus = (s) => Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s)));
const sigmoid = (s) => 1 / (1 + Math.exp(-s));
export const value = (p) => sum(Z.map((z) => softplus(-dot(z, p)))) / ROWS + (ALPHA / 2) * dot(p, p);
const gradient = (p) => { const g = [ALPHA * p[0], ALPHA * p[1]]; for (const z of Z) { const w = sigmoid(-dot(z, p)) / ROWS; g[0] -= w * z[0]; g[1] -= w * z[1]; } return g; };
const hessian = (p) => { const H = [[ALPHA, 0], [0, ALPHA]]; for (const z of Z) { const q = sigmoid(dot(z, p)), w = (q * (1 - q)) / ROWS; H[0][0] += w * z[0] * z[0]; H[0][1] += w * z[0] * z[1]; H[1][1] += w * z[1] * z[1]; } H[1][0] = H[0][1]; return H; };
const plus = (p, t, d) => [p[0] + t * d[0], p[1] + t * d[1]];

// Conjugate gradients on H d = -g until the residual is eta |g|; with no step the direction is -g.
function direction(p, g, eta) {
  const H = hessian(p);
  let d = [0, 0], r = [-g[0], -g[1]], s = r, products = 0;
  while (products < 2 && norm(r) > eta * norm(g)) {
    const q = apply(H, s), t = dot(r, r) / dot(s, q), before = dot(r, r);
    d = plus(d, t, s); r = plus(r, -t, q); products += 1;
    s = plus(r, dot(r, r) / before, s);
  }
  return { d: products ? d : [-g[0], -g[1]], products };
}
// One pass: the value at a point. A gradient costs one more, a product with the Hessian two.
function search(p, d, slope, first, decrease) {
  const now = value(p), tried = [];
  for (let t = first, k = 0; k < TRIALS; k++, t /= 2) {
    const found = value(plus(p, t, d));
    tried.push(t);
    if (found <= now + decrease * t * slope + 1e-15 * Math.abs(now)) return { t, tried, value: found };
  }
  return { t: 0, tried, value: now };
}
export function descend(start, first, decrease, eta) {
  let p = start, g = gradient(p), passes = 2;
  const way = [p], sizes = [norm(g)], cost = [passes], heights = [value(p)], steps = [];
  while (way.length <= MOST && sizes.at(-1) > DONE * sizes[0]) {
    const { d, products } = direction(p, g, eta), found = search(p, d, dot(g, d), first, decrease);
    passes += 2 * products + found.tried.length;
    steps.push({ p, d, slope: dot(g, d), ...found });
    if (found.t === 0) break;
    p = plus(p, found.t, d); g = gradient(p); passes += 1;
    way.push(p); sizes.push(norm(g)); cost.push(passes); heights.push(found.value);
  }
  return { way, sizes, cost, heights, steps, passes, arrived: sizes.at(-1) <= DONE * sizes[0] };
}
export const lowest = (() => { let p = [0, 0]; for (let k = 0; k < 30; k++) p = plus(p, -1, solve(hessian(p), gradient(p))); return { p, value: value(p) }; })();

const FIRSTS = [0.25, 0.5, 1, 2, 4, 8, 16], ETAS = [1, 0.5, 0.1, 1e-6];
const fewest = {};
// The fewest passes from a start over a grid of first steps, decreases and inner tolerances.
export function best(start) {
  return (fewest[start] ??= (() => { let found = { passes: Infinity }; for (const first of FIRSTS) for (const decrease of [1e-4, 0.1, 0.3]) for (const eta of ETAS) { const run = descend(start, first, decrease, eta); if (run.arrived && run.passes < found.passes) found = { passes: run.passes, first, decrease, eta }; } return found; })());
}

function compute({ first, decrease, inner, start }) {
  const run = descend(start, first, decrease, inner), one = run.steps[0], far = Math.max(2.2 * first, 1e-3), ts = linspace(0, far, 161), cut = ts.map((t) => value(plus(one.p, t, one.d)));
  const allowed = ts.map((t, i) => t > 0 && cut[i] <= cut[0] + decrease * t * one.slope), gap = run.heights.map((h) => Math.max(h - lowest.value, 1e-17));
  // Digits of the gradient won in all, over those before the last iteration.
  const r = run.sizes.map((x) => x / run.sizes[0]), k = r.length - 1, order = k >= 2 && r[k - 1] < 0.2 ? Math.log(r[k]) / Math.log(r[k - 1]) : NaN;
  return { ...run, one, ts, cut, allowed, gap, order, exact: ts[argmin(cut)], last: run.steps.at(-1).t, least: best(start) };
}

const xs = (w) => w.map((p) => p[0]), ys = (w) => w.map((p) => p[1]);
const LEVELS = geomspace(0.004, 8, 9);
export const page = {
  id: "1.13",
  question: "How far should a step go?",
  goal: "You will choose the step along a direction by its decrease, and the direction between steepest descent and Newton's by an inner tolerance.",
  minutes: 20,
  needs: "page 1.4; gradient and Hessian of a function of two unknowns",
  controls: {
    first: { kind: "slider", label: "first step tried", min: 0.05, max: 50, log: true, step: 0.05, value: 8, show: (x) => say(x, 2) },
    decrease: { kind: "slider", label: "part of the promised decrease", min: 1e-4, max: 0.9, log: true, step: 0.05, value: 0.1, show: (x) => say(x, 2) },
    inner: { kind: "slider", label: "inner tolerance", min: 1e-6, max: 1.26, log: true, step: 0.1, value: 1, play: 250, show: (x) => say(x, 2) },
  },
  hidden: { start: [-2, -2.5] },
  guess: {
    ask: "A convex function with one minimum. From a start that is far away you take full Newton steps, each to the minimum of the local quadratic model, and accept every one. What happens?",
    options: ["it converges, faster and faster", "it converges slowly at first", "it may run away"], answer: 2, see: { first: 1, decrease: 1e-4, inner: 1e-6 },
    why: "Where the function is nearly straight its curvature is small, and the quadratic model has its minimum far out. For a logistic loss the next point is flatter still. A search that asks for enough decrease cuts such steps.",
  },
  sentence: [
    "Try the step [[first]]; halve it until $E$ falls by [[decrease]] of what the slope promises. The direction solves Newton's equations up to [[inner]]. It takes {{iterations}} and {{passes}} passes over the rows.",
  ],
  breaks: [
    { label: "Steepest descent", patch: { inner: 1, first: 4, decrease: 1e-4 }, why: "No inner step: the direction is $-g$, across the valley and not along it." },
    { label: "Newton, checked", patch: { inner: 1e-6, first: 1, decrease: 1e-4 }, why: "From afar the first steps are cut. Near the minimum the full step is accepted, and the correct digits double each time." },
    { label: "Ask for too much", patch: { inner: 1e-6, first: 1, decrease: 0.6 }, why: "A full Newton step on a parabola achieves exactly half of what its slope promises. Who asks for more rejects it for ever, and falls back to slow convergence." },
  ],
  compute,
  values: (n) => ({ iterations: n.arrived ? `${n.steps.length} iterations` : `more than ${MOST} iterations`, passes: String(n.passes), accepted: say(n.one.t) }),
  views: [
    {
      frame: () => ({ title: "The path over the landscape", equal: true, height: 390, x: { min: -3, max: 4.6, label: "first weight" }, y: { min: -3.4, max: 3.4, label: "second weight" } }),
      draw(plot, n, s, { change, ghost }) {
        for (const level of LEVELS) plot.region((x, y) => value([x, y]) - lowest.value - level, { color: "grey", label: "lower and lower", cells: 44 });
        if (ghost) plot.line(xs(ghost.numbers.way), ys(ghost.numbers.way), { color: "orange", width: 1.2, faint: true });
        const end = plus(n.one.p, n.ts.at(-1), n.one.d);
        plot.line([n.one.p[0], end[0]], [n.one.p[1], end[1]], { color: "blue", width: 1.4, dash: "5 4", label: "first direction" });
        plot.line(xs(n.way), ys(n.way), { color: "orange", width: 1.6 });
        plot.dots(xs(n.way), ys(n.way), { color: "orange", size: 2.6, label: "accepted points" });
        plot.dots([lowest.p[0]], [lowest.p[1]], { color: "green", shape: "diamond", size: 5, label: "minimum" });
        plot.handle("start", s.start[0], s.start[1], { color: "ink", label: "start", value: `${say(s.start[0])}, ${say(s.start[1])}`, move: (x, y) => change({ start: [x, y] }), nudge: (dx, dy) => change({ start: [s.start[0] + 0.1 * dx, s.start[1] + 0.1 * dy] }) });
        plot.name("start: drag it", "ink", "circle");
      },
    },
    {
      frame: (n) => { const low = Math.min(...n.cut), high = Math.max(n.cut[0], Math.min(Math.max(...n.cut), 3 * n.cut[0])), pad = 0.15 * (high - low); return { title: "Cut along the first direction", height: 390, x: { min: 0, max: n.ts.at(-1), label: "step t" }, y: { min: low - pad, max: high + pad, label: "E(p + t d)" } }; },
      draw(plot, n, s) {
        let from = null;
        const strip = (a, b) => plot.area([a, b], [plot.y.min, plot.y.min], [plot.y.max, plot.y.max], { color: "green", label: "enough decrease" });
        n.allowed.forEach((good, i) => { if (good && from === null) from = n.ts[i]; if (from !== null && (!good || i === n.ts.length - 1)) { strip(from, n.ts[good ? i : i - 1]); from = null; } });
        plot.line(n.ts, n.ts.map((t) => n.cut[0] + t * n.one.slope), { color: "grey", width: 1.2, label: "what the slope promises" });
        plot.line(n.ts, n.ts.map((t) => n.cut[0] + s.decrease * t * n.one.slope), { color: "green", dash: "6 4", width: 1.5, label: "what is asked" });
        plot.line(n.ts, n.cut, { color: "blue", label: "E along it" });
        const no = n.one.tried.filter((t) => t !== n.one.t);
        plot.dots(no, no.map((t) => Math.min(value(plus(n.one.p, t, n.one.d)), plot.y.max)), { color: "red", shape: "cross", size: 4.5, label: "rejected" });
        if (n.one.t > 0) plot.dots([n.one.t], [n.one.value], { color: "orange", size: 5, label: "accepted" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Height above the minimum over passes", height: 200, x: { min: 1, max: 1000, log: true, label: "passes over the rows" }, y: { min: 1e-16, max: 10, log: true, label: "E − lowest" } }),
      draw(plot, n, s, { ghost }) {
        if (ghost) plot.line(ghost.numbers.cost, ghost.numbers.gap, { color: "orange", faint: true });
        plot.line(n.cost, n.gap, { color: "orange", width: 1.4 });
        plot.dots(n.cost, n.gap, { color: "orange", size: 2.8, label: "after each iteration" });
        plot.upright(n.least.passes, { color: "green", label: "fewest passes on a grid of settings" });
      },
    },
  ],
  table: (n) => ({ head: ["iteration", "step accepted", "tried", "E − lowest", "gradient", "passes"], rows: n.steps.map((step, k) => [k + 1, say(step.t), step.tried.length, say(n.gap[k + 1] ?? n.gap.at(-1)), say(n.sizes[k + 1] ?? n.sizes.at(-1)), n.cost[k + 1] ?? n.passes]).filter((_, k) => k < 8 || k % 15 === 0) }),
  claims: (n, s) => [
    { sentence: "The first step tried is accepted at the start.", holds: n.one.tried.length === 1, found: n.one.t > 0 ? `After ${n.one.tried.length} trials the step is ${say(n.one.t)}; the lowest point of the cut is near ${say(n.exact)}.` : "No step is accepted.", why: s.inner < 0.5 ? "Far from the minimum Newton's model is no description of $E$." : "The step is too long for the curvature along the gradient." },
    { sentence: "The gradient falls to $10^{-8}$ of its first size within 150 iterations.", holds: n.arrived, found: `After ${n.steps.length} it is ${say(n.sizes.at(-1) / n.sizes[0])} of it.`, why: s.decrease > 0.5 ? "So much decrease is asked that every step becomes tiny." : "Steepest descent with short steps: see page 1.4 for how many it needs." },
    { sentence: "The last iteration nearly doubles the correct digits: at least 1.7 times as many.", holds: n.arrived && n.order >= 1.7, found: Number.isFinite(n.order) ? `Their number grew by the factor ${say(n.order)}; the last step was ${say(n.last)} of the direction.` : "Too few iterations to tell.", why: s.inner > 0.01 ? "That takes Newton's direction: an inner tolerance that goes to zero." : n.last !== 1 ? "Newton's direction is right, but its length was changed: the full step 1 has to be tried first, and accepted." : "There were too few iterations near the minimum." },
    { sentence: "You need at most half more passes than the best setting of a grid.", holds: n.arrived && n.passes <= 1.5 * n.least.passes, found: `You need ${n.arrived ? n.passes : "more than " + n.passes}; with first step ${say(n.least.first)} and inner tolerance ${say(n.least.eta)} it takes ${n.least.passes}.`, why: n.arrived ? "Trials that are rejected, inner steps and iterations all cost passes." : "It has not arrived." },
  ],
  text: [
    "## Enough decrease",
    "Let $d$ be a direction with slope $g'd < 0$. A small step along it promises a decrease of $-t\\,g'd$. *Armijo's rule* accepts a step if a part $c$ of the promise is kept,",
    "$$ E(p + td) \\le E(p) + c\\,t\\,g'd , $$",
    "and halves it otherwise. To ask for decrease alone is not enough: steps that overshoot to nearly the same height, again and again, decrease $E$ and lead nowhere. Steps that are small enough always pass the rule, so it must begin with a long one. Methods that build an estimate of the Hessian from the gradients they meet, such as BFGS, also need that the slope has flattened, $|g(p+td)'d| \\le c_2|g'd|$: together the *strong Wolfe conditions*.",
    "The part $c$ is small, $10^{-4}$, because on a parabola the exact minimiser keeps just $\\tfrac12$ of the promise. With $c > \\tfrac12$ Newton's full step is rejected even where it is perfect.",
    "## Which direction, and how exactly",
    "*Newton's* direction solves $Hd = -g$. Near the minimum it squares the error; it does not see how the valley is stretched. *Newton-CG* solves the equations by conjugate gradients and stops when $|Hd+g| \\le \\eta\\,|g|$. Its first inner iterate points along $-g$, with the length that the curvature suggests; further ones turn towards the valley. So $\\eta$ leads from steepest descent to Newton. Far away exact inner solves are wasted. To keep the fast end, $\\eta$ has to fall with $|g|$: with $\\eta \\sim |g|$ the order is 2, with a constant $\\eta$ it is 1, though with a good factor.",
    "An inner step costs a product with the Hessian, as much as value and gradient together. With two unknowns there are at most two; with millions it is the inner tolerance that decides the price.",
  ],
  code: ({ first, decrease, inner, start }) => `
import numpy as np

e = np.random.RandomState(4).standard_normal((24, 2))
Z = np.column_stack([0.7 + 0.9 * e[:, 0], 0.5 + 2.2 * e[:, 0] + 0.9 * e[:, 1]])  # rows times labels
E = lambda p: np.mean(np.logaddexp(0, -Z @ p)) + 0.01 * p @ p

p, first, decrease, eta, iterations = np.array([${start}], float), ${first}, ${decrease}, ${inner}, 0
q = 1 / (1 + np.exp(Z @ p))
g = g0 = 0.02 * p - Z.T @ q / 24
while np.linalg.norm(g) > 1e-8 * np.linalg.norm(g0) and iterations < ${MOST}:
    H, d, r, s = Z.T @ (Z * (q * (1 - q))[:, None]) / 24 + 0.02 * np.eye(2), 0 * g, -g, -g
    for _ in range(2):  # conjugate gradients
        if np.linalg.norm(r) > eta * np.linalg.norm(g):
            t = r @ r / (s @ H @ s)
            d, r, old = d + t * s, r - t * H @ s, r
            s = r + (r @ r) / (old @ old) * s
    d, t = (d if d.any() else -g), first
    while E(p + t * d) > E(p) + decrease * t * g @ d + 1e-15 * E(p) and t > first / 2**29:
        t /= 2
    p, iterations = p + t * d, iterations + 1
    q = 1 / (1 + np.exp(Z @ p))
    g = 0.02 * p - Z.T @ q / 24
print(iterations, E(p), *p)
`,
  prints: (n) => [n.steps.length, n.heights.at(-1), ...n.way.at(-1)],
  exercises: [
    { ask: "From the start below: set first step, decrease and inner tolerance so that it arrives with as few passes as you can, then hand in. It passes within a fifth of the best of a grid.",
      start: { label: "Take the start", patch: () => ({ start: [2.5, -2.5], first: 0.1, decrease: 1e-4, inner: 1 }) }, button: "Hand in", rightly: (s) => { const { first, decrease, eta } = best(s.start); return { first, decrease, inner: eta }; },
      check: ({ settings, numbers }) => { const least = best(settings.start), passed = numbers.arrived && numbers.passes <= 1.2 * least.passes; return { passed, say: `You need ${numbers.arrived ? numbers.passes : "more than " + numbers.passes} passes; the grid's best ${least.passes}, with first step ${say(least.first)}, decrease ${say(least.decrease)} and inner tolerance ${say(least.eta)}. ${passed ? "Passed." : "A direction that knows the curvature needs fewer iterations, each of them dearer."}` }; } },
    { ask: "On the parabola $E(p) = \\tfrac12p^2$ from $p = 1$ along $d = -1$: what is the longest step that Armijo's rule accepts with $c = \\tfrac14$?", input: "t =", right: 1.5, wrong: 2,
      check: ({ answer }) => ({ passed: Math.abs(answer - 1.5) < 0.01, say: Math.abs(answer - 1.5) < 0.01 ? "Passed: $\\tfrac12(1-t)^2 \\le \\tfrac12 - \\tfrac t4$ up to $t = 2(1-c)$. With $c > \\tfrac12$ the minimiser $t = 1$ itself is refused." : Math.abs(answer - 2) < 0.01 ? "That is where $E$ is as high as before: decrease alone." : "Write $\\tfrac12(1-t)^2 \\le \\tfrac12 - c\\,t$." }) },
  ],
  sources: [
    "J. Nocedal and S. J. Wright, *Numerical Optimization*, Springer 2006, sections 3.1 (Armijo, Wolfe), 7.1 (inexact Newton); L. Armijo, *Pacific Journal of Mathematics* 16 (1966); R. Dembo, S. Eisenstat and T. Steihaug, *SIAM Journal on Numerical Analysis* 19 (1982).",
    "In numdl: `numdl.optimize.armijo`, `strong_wolfe`, `NewtonCG`; `numdl experiment run newton-softmax` counts passes on digits.",
  ],
  trials: [[-2, -2.5], [2.5, -2.5], [-3, 1], [0.5, 0.2]].flatMap((start, i) => [[1, 1e-4, 1], [1, 1e-4, 1e-6], [4, 0.1, 1], [1, 0.6, 1e-6], [16, 0.3, 0.1]].map(([first, decrease, inner], j) => ({ start, first: first * (i === 2 && j === 0 ? 0.2 : 1), decrease, inner }))),
  compare: (n) => ({ way: n.way.slice(0, 8).flat(), heights: n.heights.slice(0, 8), cut: n.cut.filter((_, i) => i % 20 === 0), accepted: n.steps.slice(0, 7).map((s) => s.t), trials: n.steps.slice(0, 7).map((s) => s.tried.length), lowest: [...lowest.p, lowest.value] }),
};
