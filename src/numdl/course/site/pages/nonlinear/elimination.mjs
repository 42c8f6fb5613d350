// 2.8: what is left when the head is eliminated?
import { argmin, dot, random, range } from "../../lib/numerics.mjs";
import { percent, say } from "../../lib/plot.mjs";

// c_i ~ w exp(-theta t_i): J(theta, w) = 1/(2n) |w z(theta) - c|^2 + alpha/2 w^2, n = 30 readings up to t = 3.
const ROWS = 30, T = range(ROWS).map((i) => (i + 0.5) / 10), ALPHA = 1e-3, DECAY = 1.2, HEAD = 2, SHOWN = 60, MOST = 400;
const THETAS = range(161).map((k) => 0.02 + k * 0.025), WIDE = { min: 0, max: 4 }, TALL = { min: -0.6, max: 4.4 };

const rows = (noise, draw) => { const e = random(draw).normals(ROWS); return T.map((t, i) => HEAD * Math.exp(-DECAY * t) + noise * e[i]); };
// All that J and its slopes need of the rows at one theta; z' = -t z.
const at = (theta, c) => {
  let zz = 0, zc = 0, zd = 0, dc = 0, cc = 0;
  for (let i = 0; i < ROWS; i++) { const z = Math.exp(-theta * T[i]), d = -T[i] * z; zz += z * z; zc += z * c[i]; zd += z * d; dc += d * c[i]; cc += c[i] * c[i]; }
  const w = zc / (zz + ROWS * ALPHA);
  const value = (v) => (v * v * zz - 2 * v * zc + cc) / (2 * ROWS) + (ALPHA / 2) * v * v;
  const slopes = (v) => [(v * (v * zd - dc)) / ROWS, (v * zz - zc) / ROWS + ALPHA * v]; // in theta, in w
  // The slope in theta at a head v changes its sign at v = dc/zd: a head may be wrong by this part before it does.
  return { w, value, slopes, reduced: value(w), slope: slopes(w)[0], spare: Math.abs(dc / zd / w - 1), bad: Math.sign(dc / zd / w - 1) || 1, curvature: zz / ROWS + ALPHA };
};

// Descent with halved steps until J falls enough: from 1, then from twice the last one.
function descend(start, value, slope, most = MOST) {
  const way = [start], sizes = [value(start)];
  let t = 1, first = null;
  while (way.length <= most) {
    const p = way.at(-1), g = slope(p), gg = dot(g, g), now = sizes.at(-1);
    first ??= gg;
    if (gg <= 1e-10 * first || gg === 0) break;
    for (t = Math.min(2 * t, 64); t > 1e-4; t /= 2) {
      const next = p.map((x, i) => x - t * g[i]), found = value(next);
      if (found <= now - 1e-4 * t * gg) { way.push(next); sizes.push(found); break; }
    }
    if (t <= 1e-4) break;
  }
  return { way, sizes };
}

function compute({ theta, head, tolerance, noise, draw }) {
  const c = rows(noise, draw), known = new Map();
  const see = (x) => { if (!known.has(x)) known.set(x, at(x, c)); return known.get(x); };
  const wrong = (x) => { const one = see(x); return one.w * (1 + one.bad * tolerance); };
  const full = descend([theta, head], ([x, w]) => see(x).value(w), ([x, w]) => see(x).slopes(w));
  const exact = descend([theta], ([x]) => see(x).reduced, ([x]) => [see(x).slope]);
  const inexact = descend([theta], ([x]) => see(x).reduced, ([x]) => [see(x).slopes(wrong(x))[0]]);
  let best = THETAS[argmin(THETAS.map((x) => see(x).reduced))];
  for (let k = 0; k < 60; k++) { const e = 1e-4, d = (at(best + e, c).slope - at(best - e, c).slope) / (2 * e); best -= at(best, c).slope / d; } // Newton, to rounding
  const one = see(theta);
  return { c, see, wrong, full, exact, inexact, best, low: at(best, c).reduced, one, off: see(inexact.way.at(-1)[0]), steps: [full, exact, inexact].map((r) => r.way.length - 1) };
}

const near = (x, n) => Math.abs(x / n.best - 1);
export const page = {
  id: "2.8",
  question: "What is left when the head is eliminated?",
  goal: "You will see a landscape of two unknowns become a curve with the same minimisers, and how exactly the inner problem has to be solved.",
  minutes: 20,
  needs: "least squares, and gradient descent as on page 1.4",
  controls: {
    theta: { kind: "slider", label: "start of theta", min: 0.1, max: 3.9, step: 0.05, value: 3.4, show: (x) => say(x) },
    head: { kind: "slider", label: "start of the head w", min: -0.5, max: 4.3, step: 0.05, value: 0.5, show: (x) => say(x) },
    tolerance: { kind: "slider", label: "error of the inner solve", min: 0, max: 0.5, step: 0.01, value: 0, show: percent },
  },
  hidden: { noise: 0.1, draw: 1 },
  guess: {
    ask: "A model $w\\,e^{-\\theta t}$ has a rate $\\theta$ inside and a factor $w$ outside. Given $\\theta$, the best $w$ is one division. So let $w$ always be the best one, and search $\\theta$ alone. What do you lose?",
    options: ["some minimisers of the full problem", "nothing, but new minimisers appear", "nothing at all"], answer: 2,
    why: "At every minimiser of the full problem $w$ is the best one for its $\\theta$. So it lies in the valley, and the height along the valley, the reduced curve, has its minimum there. No others appear.",
  },
  sentence: [
    "Start at $\\theta=$ [[theta]], $w=$ [[head]]. Descent in both unknowns takes {{full}}, descent along the valley {{reduced}}. If each inner solve leaves the head wrong by [[tolerance]], in the direction that hurts, the search ends at $\\theta=$ {{end}}; the best is {{best}}.",
  ],
  breaks: [
    { label: "A sloppy inner solve", patch: { tolerance: 0.2 }, why: "Far from the minimum the slope still points downhill. Near it the true slope is small, the error of the head is not, and the search stops where the two cancel." },
    { label: "Start across the valley", patch: { theta: 0.3, head: 4 }, why: "The full descent first falls into the valley, then follows it in small steps: across the valley the curvature does not let it go faster." },
    { label: "More noise, or less", patch: (s) => ({ noise: s.noise === 0.1 ? 0.4 : 0.1 }), why: "Noise lifts the valley and moves its lowest point. It is still one valley with one minimum." },
    { label: "Draw again", patch: (s) => ({ draw: s.draw + 1 }) },
  ],
  compute,
  values: (n) => ({
    full: n.steps[0] >= MOST ? `more than ${MOST} steps` : `${n.steps[0]} steps`, reduced: `${n.steps[1]} steps`,
    end: say(n.inexact.way.at(-1)[0]), best: say(n.best), spare: percent(n.one.spare),
  }),
  views: [
    {
      frame: () => ({ title: "Full landscape J(θ, w)", height: 390, x: { ...WIDE, label: "θ" }, y: { ...TALL, label: "head w" } }),
      draw(plot, n, s, { change, ghost }) {
        for (const level of [0.003, 0.012, 0.04, 0.1, 0.25, 0.6, 1.5]) plot.region((x, w) => n.see(x).value(w) - n.low - level, { color: "grey", label: "lower and lower", cells: 64 });
        plot.line(THETAS, THETAS.map((x) => n.see(x).w), { color: "blue", label: "valley: best w for each θ" });
        const way = n.full.way;
        if (ghost) plot.line(ghost.numbers.full.way.map((p) => p[0]), ghost.numbers.full.way.map((p) => p[1]), { color: "orange", width: 1.2, faint: true });
        plot.line(way.map((p) => p[0]), way.map((p) => p[1]), { color: "orange", width: 1.4 });
        plot.dots(way.map((p) => p[0]), way.map((p) => p[1]), { color: "orange", size: 2.4, label: "descent in both" });
        plot.dots(n.exact.way.map((p) => p[0]), n.exact.way.map((p) => n.see(p[0]).w), { color: "blue", size: 3, label: "along the valley" });
        if (s.tolerance > 0) plot.dots(n.inexact.way.map((p) => p[0]), n.inexact.way.map((p) => n.wrong(p[0])), { color: "purple", size: 3, shape: "square", label: "with the wrong head" });
        plot.dots([n.best], [n.see(n.best).w], { color: "green", shape: "diamond", size: 5, label: "minimiser" });
        plot.handle("start", s.theta, s.head, { color: "ink", label: "start", value: `theta ${say(s.theta)}, w ${say(s.head)}`, move: (x, y) => change({ theta: x, head: y }), nudge: (dx, dy) => change({ theta: s.theta + 0.05 * dx, head: s.head + 0.05 * dy }) });
        plot.name("start: drag it", "ink", "circle");
      },
    },
    {
      frame: () => ({ title: "What is left: the reduced curve", height: 390, x: { ...WIDE, label: "θ" }, y: { min: 0, max: 0.36, label: "J" } }),
      draw(plot, n, s, { ghost }) {
        const misled = THETAS.map((x) => n.see(x).spare <= s.tolerance && s.tolerance > 0), first = misled.indexOf(true);
        if (first >= 0) { const x = THETAS.filter((_, i) => misled[i]); plot.area([x[0], x.at(-1)], [0, 0], [1, 1], { color: "red", label: "here such a head turns the slope" }); }
        plot.line(THETAS, THETAS.map((x) => n.see(x).value(s.head)), { color: "orange", dash: "6 4", width: 1.5, label: "w held at its start" });
        plot.line(THETAS, THETAS.map((x) => n.see(x).reduced), { color: "blue", label: "best w for each θ" });
        if (ghost && ghost.settings.tolerance > 0) plot.dots(ghost.numbers.inexact.way.map((p) => p[0]), ghost.numbers.inexact.sizes, { color: "purple", faint: true, shape: "square", size: 3 });
        plot.dots(n.exact.way.map((p) => p[0]), n.exact.sizes, { color: "blue", size: 3.2, label: "steps" });
        if (s.tolerance > 0) plot.dots(n.inexact.way.map((p) => p[0]), n.inexact.sizes, { color: "purple", shape: "square", size: 3.2, label: "steps with the wrong head" });
        plot.dots([n.best], [n.low], { color: "green", shape: "diamond", size: 5, label: "minimiser" });
        const length = 0.5, slope = (g, color, label) => plot.line([s.theta - length, s.theta + length], [n.one.reduced - length * g, n.one.reduced + length * g], { color, width: 3, label });
        if (s.tolerance > 0) slope(n.one.slopes(n.wrong(s.theta))[0], "purple", "slope it gives at the start");
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Height above the minimum after each step", height: 200, x: { min: 0, max: SHOWN, label: "step" }, y: { min: 1e-11, max: 3, log: true, label: "J − lowest" } }),
      draw(plot, n, s) {
        const draw = (run, color, label, dash = "") => plot.line(range(run.sizes.length), run.sizes.map((v) => Math.max(v - n.low, 1e-13)), { color, label, dash });
        draw(n.full, "orange", "descent in both");
        draw(n.exact, "blue", "along the valley");
        if (s.tolerance > 0) draw(n.inexact, "purple", "with the wrong head", "6 4");
      },
    },
  ],
  table: (n) => ({
    head: ["step", "θ, both", "w, both", "J", "θ, along", "w, along", "J", "θ, wrong head"],
    rows: [0, 1, 2, 3, 5, 8, 12, 20, 40, 80].map((k) => [k, ...(n.full.way[k] ? [say(n.full.way[k][0]), say(n.full.way[k][1]), say(n.full.sizes[k])] : ["", "", ""]), ...(n.exact.way[k] ? [say(n.exact.way[k][0]), say(n.see(n.exact.way[k][0]).w), say(n.exact.sizes[k])] : ["", "", ""]), n.inexact.way[k] ? say(n.inexact.way[k][0]) : ""]),
  }),
  claims: (n, s) => [
    { sentence: "Both descents end in the same place.", holds: near(n.full.way.at(-1)[0], n) < 0.01 && near(n.exact.way.at(-1)[0], n) < 0.01, found: `In both unknowns at $\\theta = ${say(n.full.way.at(-1)[0], 4)}$, $w = ${say(n.full.way.at(-1)[1], 4)}$; along the valley at ${say(n.exact.way.at(-1)[0], 4)}, ${say(n.see(n.exact.way.at(-1)[0]).w, 4)}.`, why: "The minimisers are the same, but a path may not have arrived: the full one is cut after 400 steps, and where $w$ is near 0 nothing depends on $\\theta$ and it hardly moves." },
    { sentence: "Along the valley it takes at most half the steps.", holds: 2 * n.steps[1] <= n.steps[0], found: `${n.steps[1]} against ${n.steps[0]}.`, why: "Elimination takes away the steep direction across the valley. That gains little where the valley itself is flat, which slows both, or where the full descent happens to fall straight to the minimum." },
    { sentence: "At the start, a head that is wrong by your tolerance still gives a slope that points downhill.", holds: s.tolerance < n.one.spare, found: `It may be wrong by ${percent(n.one.spare)} there, and is by ${percent(s.tolerance)}: the slope is ${say(n.one.slopes(n.wrong(s.theta))[0])} instead of ${say(n.one.slope)}.`, why: "The error of the head has turned the slope round: the search stops before its first step, or goes the wrong way." },
    { sentence: "With such heads the search still comes within 1 % of the best $\\theta$.", holds: near(n.inexact.way.at(-1)[0], n) <= 0.01, found: `It ends at ${say(n.inexact.way.at(-1)[0], 4)}; the best is ${say(n.best, 4)}.`, why: "Near the minimum the true slope vanishes and a fixed error of the head does not. The inner tolerance has to fall with the slope." },
  ],
  text: [
    "## The valley and its height",
    "A separable model is linear in some unknowns, its head $w$, once the others, $\\theta$, are fixed. Here $c_i \\approx w\\,z_i(\\theta)$ with $z_i = e^{-\\theta t_i}$, and",
    "$$ J(\\theta, w) = \\frac1{2n}\\,|w\\,z(\\theta) - c|^2 + \\frac\\alpha2 w^2, \\qquad w(\\theta) = \\frac{z'c}{z'z + n\\alpha} . $$",
    "For each $\\theta$ there is one best head $w(\\theta)$: the blue valley. *Variable projection* searches the height along it, $J_r(\\theta) = J(\\theta, w(\\theta))$, the lowest of all the dashed curves that a fixed head gives. Its slope needs no derivative of $w$:",
    "$$ J_r'(\\theta) = \\partial_\\theta J(\\theta, w(\\theta)) + \\underbrace{\\partial_w J(\\theta, w(\\theta))}_{=\\,0}\\, w'(\\theta) . $$",
    "So one uses the slope of the full problem at the best head, and pays one small linear solve a step. A network with a linear last layer is such a model, with thousands of $\\theta$ and a head that a least-squares solver finds. The head, whose scale decides whether a learning rate is good, is no longer searched at all.",
    "Two faults are common. Where the value leaves out the penalty $\\frac\\alpha2 w^2$, its derivative in $w$ is not zero at this head, so that value and slope are not of one function: the table of page 1.12 shows order 1. And the formula holds *at the best head* only.",
    "## How exact must the head be?",
    "If the head is wrong by $\\delta$, the slope is wrong by about $\\partial_\\theta\\partial_w J\\;\\delta$. Far from the minimum that does no harm: at your start the head may be wrong by {{spare}} before the slope points uphill. Near the minimum the true slope goes to zero, so that the tolerance must go with it. `InexactVarPro` of numdl stops the inner iteration when the estimated error of the slope is a given part of the slope.",
  ],
  code: (s) => `
import jax, jax.numpy as jnp, numpy as np
from numdl.problems import separable

def decay(theta, t):
    return jnp.exp(-theta * t)

t = (np.arange(30) + 0.5) / 10
c = 2 * np.exp(-1.2 * t) + ${s.noise} * np.random.RandomState(${s.draw}).standard_normal(30)
theta, tolerance = np.array([${s.theta}]), ${s.tolerance}
with jax.enable_x64(True):
    problem = separable(decay, theta, t, c, alpha_head=${ALPHA})

    @jax.jit
    def reduced(theta):
        found = problem.linearize(theta, problem.first_head(theta))
        return found.value, found.aux[0, 0], found.gradient[0]

    value, w, slope = map(float, reduced(theta))
z, dz = np.exp(-theta * t), -t * np.exp(-theta * t)
spare = (dz @ c) / (dz @ z) / w - 1  # where the slope would turn
wrong = w * (1 + np.sign(spare) * tolerance)
print(value, w, slope, abs(spare), wrong * (wrong * z - c) @ dz / 30)
`,
  prints: (n, s) => [n.one.reduced, n.one.w, n.one.slope, n.one.spare, n.one.slopes(n.wrong(s.theta))[0]],
  exercises: [
    { ask: "Draw 1 of the noise, $\\theta = 2$: by how many per cent may the head be wrong at most, so that the slope still points downhill? Find it with the third slider, or compute where $\\partial_\\theta J(\\theta, w)$ changes its sign. (Within 2 %.)", input: "per cent", right: 23, wrong: 50,
      check: ({ answer }) => { const spare = 100 * at(2, rows(0.1, 1)).spare, passed = Math.abs(answer - spare) <= 2; return { passed, say: passed ? `Passed: the slope turns at ${say(spare)} %, where $w = z_\\theta'c / z_\\theta'z$.` : answer > spare ? "With that error the third claim fails." : "It may be wrong by more." }; } },
    { ask: "Three readings $c = (3, 3, 0)$, features $z = (1, 2, 2)$ that change with $\\theta$ as $z_\\theta = (0, 0, 1)$, and no penalty. What is the slope of $\\tfrac12|w(\\theta)z - c|^2$?", input: "slope", right: 2, wrong: 1.33,
      check: ({ answer }) => ({ passed: Math.abs(answer - 2) < 0.01, say: Math.abs(answer - 2) < 0.01 ? "Passed: the best head is $w = 9/9 = 1$, its residual $(-2, -1, 2)$, and the slope is $w\\,z_\\theta'(wz - c) = 2$. The head's own derivative has no part in it." : "First the best head: $z'c/z'z = 1$. Then $w\\,z_\\theta'(wz-c)$; the derivative of the head is not needed." }) },
  ],
  sources: [
    "G. H. Golub and V. Pereyra, *SIAM Journal on Numerical Analysis* 10 (1973); L. Kaufman, *BIT* 15 (1975); E. Newman, J. Chung, M. Chung and L. Ruthotto, *SIAM Journal on Scientific Computing* 44 (2022), for networks.",
    "In numdl: `numdl.problems.VarPro` and `InexactVarPro`; `numdl experiment run training-peaks` and `inexact-varpro` measure both on networks.",
  ],
  trials: [[3.4, 0.5, 0], [0.3, 4, 0.1], [2, 2, 0.2], [1, 0.5, 0.05], [1.3, -0.3, 0.01], [2.6, 3.5, 0.4], [0.8, 1, 0.02], [3.9, 4.3, 0.3], [1.8, 0.8, 0.15], [0.5, 2.2, 0.5]].flatMap(([theta, head, tolerance], i) => [0.1, 0.4].map((noise, j) => ({ theta, head, tolerance, noise, draw: 1 + i + 10 * j }))),
  compare: (n, s) => ({
    reduced: THETAS.filter((_, i) => i % 8 === 0).map((x) => n.see(x).reduced), slopes: THETAS.filter((_, i) => i % 8 === 0).map((x) => n.see(x).slope), heads: THETAS.filter((_, i) => i % 8 === 0).map((x) => n.see(x).w),
    value: n.one.value(s.head), gradient: n.one.slopes(s.head), inexact: n.one.slopes(n.wrong(s.theta))[0], best: [n.best, n.low],
    full: n.full.way.slice(0, 8).flat(), along: n.exact.way.slice(0, 8).flat(), misled: n.inexact.way.slice(0, 8).flat(),
  }),
};
