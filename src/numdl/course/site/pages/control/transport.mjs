// 3.21: what is open? Optimal transport of points as a place to begin.
import { mean, random, range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// Forty points x with mean zero; the second cloud is R(angle) diag(s, 1/s) x, shifted to the right.
const N = 40, ANGLES = range(13).map((k) => 15 * k), square = ([a, b]) => a * a + b * b;
export const CLOUD = (() => { const rng = random(2), all = range(N).map(() => rng.normals(2).map((v) => 0.5 * v)), mean = [0, 1].map((i) => all.reduce((s, p) => s + p[i], 0) / N); return all.map((p) => [p[0] - mean[0], p[1] - mean[1]]); })();
const turned = (angle, s) => { const c = Math.cos((angle * Math.PI) / 180), d = Math.sin((angle * Math.PI) / 180); return CLOUD.map(([x, y]) => [c * s * x - (d * y) / s, d * s * x + (c * y) / s]); };

// The cheapest pairing by shortest augmenting paths: row i is added by a path of least reduced cost, u and v are the potentials.
export function pairing(cost) {
  const n = cost.length, u = new Array(n).fill(0), v = new Array(n).fill(0), owner = new Array(n).fill(-1);
  for (let row = 0; row < n; row++) {
    const far = new Array(n).fill(Infinity), from = new Array(n).fill(-1), done = new Array(n).fill(false), reached = [];
    let i = row, length = 0, free = -1, last = -1;
    while (free < 0) {
      let next = -1;
      for (let j = 0; j < n; j++) if (!done[j]) {
        const way = length + cost[i][j] - u[i] - v[j];
        if (way < far[j]) { far[j] = way; from[j] = last; }
        if (next < 0 || far[j] < far[next]) next = j;
      }
      done[next] = true;
      length = far[next];
      if (owner[next] < 0) free = next; else { reached.push(next); last = next; i = owner[next]; }
    }
    u[row] += length;
    for (const j of reached) { u[owner[j]] += length - far[j]; v[j] -= length - far[j]; }
    for (let j = free; ; j = from[j]) { const before = from[j]; owner[j] = before < 0 ? row : owner[before]; if (before < 0) break; }
  }
  const sigma = new Array(n);
  owner.forEach((i, j) => (sigma[i] = j));
  return sigma;
}
const between = (a, b) => square([a[0] - b[0], a[1] - b[1]]);
const spread = (points) => [mean(points.map((p) => p[0] ** 2)), mean(points.map((p) => p[0] * p[1])), mean(points.map((p) => p[1] ** 2))];

// Costs without the shift, which adds its square to each of them because the first cloud has mean zero.
const kept = new Map();
function costs(angle, s) {
  const key = `${angle} ${s}`;
  if (kept.has(key)) return kept.get(key);
  const B = turned(angle, s), C = CLOUD.map((a) => B.map((b) => between(a, b))), sigma = pairing(C), best = mean(sigma.map((j, i) => C[i][j])), own = mean(C.map((row, i) => row[i]));
  const [p, q, r] = spread(CLOUD), [a, b, c] = spread(B), trace = p * a + 2 * q * b + r * c, root = Math.sqrt(Math.max((p * r - q * q) * (a * c - b * b), 0));
  const bound = p + r + a + c - 2 * Math.sqrt(trace + 2 * root); // tr(A + B - 2 (AB)^(1/2)): Gelbrich 1990
  const t = (angle * Math.PI) / 180, l = Math.log(s), flow = Math.abs(l) < 1e-9 ? t * t * (p + r) : ((t * t + l * l) * (p * (s * s - 1) + r * (1 - 1 / (s * s)))) / (2 * l) - 4 * t * l * q;
  kept.set(key, { B, sigma, best, own, bound, flow });
  return kept.get(key);
}
function compute({ angle, stretch, distance }) {
  const now = costs(angle, stretch), add = distance ** 2, curve = ANGLES.map((a) => costs(a, stretch)), B = now.B.map((p) => [p[0] + distance, p[1]]);
  let crossed = 0, open = 0;
  for (let i = 0; i < N; i++) for (let j = 0; j < i; j++) {
    const d = [CLOUD[i][0] - CLOUD[j][0], CLOUD[i][1] - CLOUD[j][1]], e = (k, m) => [B[k][0] - B[m][0], B[k][1] - B[m][1]], dot = (x, y) => x[0] * y[0] + x[1] * y[1];
    if (dot(d, e(i, j)) < 0) crossed++;
    if (dot(d, e(now.sigma[i], now.sigma[j])) < -1e-12) open++;
  }
  const moved = now.sigma.filter((j, i) => j !== i).length;
  return { ...now, B, curve, best: now.best + add, own: now.own + add, bound: now.bound + add, flow: now.flow + add, add, crossed, open, moved };
}

export const page = {
  id: "3.21",
  question: "What is open?",
  goal: "You will pair two clouds at the least cost, see what a flow pays more, and leave with five questions to begin from.",
  minutes: 20,
  needs: "page 3.1: a network as a flow of points",
  controls: {
    angle: { kind: "slider", label: "angle", min: 0, max: 180, step: 5, value: 90, play: 250, show: (x) => `${x}°` },
    stretch: { kind: "slider", label: "stretch", min: 0.4, max: 2.5, step: 0.05, value: 1.6, show: (x) => say(x) },
    distance: { kind: "slider", label: "distance", min: 0, max: 3, step: 0.1, value: 2, show: (x) => say(x) },
  },
  hidden: {},
  guess: {
    ask: "A cloud of points is to be moved onto another one, which is the same cloud shifted by $m$ and turned by 180° about its middle. Who goes where does not matter. The cheapest way pays the mean of the squared distances. What does it pay?",
    options: ["$|m|^2$ and something for the turn", "about $|m|^2$", "less than $|m|^2$"], answer: 1, see: { angle: 180, stretch: 1 },
    why: "Nobody has to turn: a round cloud that is turned looks nearly the same, and points go to whoever stands in the right place. Less than $|m|^2$ is impossible, since the mean must travel by $m$.",
  },
  sentence: [
    "The second cloud is the first one stretched by [[stretch]] in one direction and squeezed in the other, turned by [[angle]], and [[distance]] away. Point by point the way costs {{own}}; the cheapest pairing costs {{best}} and sends {{moved}} of 40 points to another place. A flow that turns and stretches on its way costs {{flow}}.",
  ],
  breaks: [
    { label: "A flow that is optimal", patch: { angle: 0, stretch: 2, distance: 2 }, why: "Stretching without a turn is the gradient of a convex function, $x \\mapsto \\nabla(\\tfrac12x'Sx + m'x)$: then everybody's own place is the cheapest." },
    { label: "A flow that cannot be", patch: { angle: 180, stretch: 1, distance: 2 }, why: "Straight ways would all meet in one point half-way. A flow cannot do that, so it has to go around, and pays $\\pi^2$ times the spread of the cloud; the cheapest pairing hardly pays for the turn at all." },
  ],
  compute,
  values: (n) => ({ own: say(n.own), best: say(n.best), moved: String(n.moved), flow: say(n.flow) }),
  views: [
    {
      frame: () => ({ title: "Both clouds", equal: true, height: 380, x: { min: -2.2, max: 4.6, label: "u₁" }, y: { min: -2.6, max: 2.6, label: "u₂" } }),
      draw(plot, n, { distance }, { change, ghost }) {
        n.B.forEach((b, i) => plot.line([CLOUD[i][0], b[0]], [CLOUD[i][1], b[1]], { color: "orange", width: 1.3, faint: true, label: "each to its own place" }));
        n.sigma.forEach((j, i) => plot.line([CLOUD[i][0], n.B[j][0]], [CLOUD[i][1], n.B[j][1]], { color: "green", width: 1.2, label: "cheapest pairing" }));
        if (ghost) plot.dots(ghost.numbers.B.map((p) => p[0]), ghost.numbers.B.map((p) => p[1]), { color: "purple", faint: true, size: 2.5 });
        plot.dots(CLOUD.map((p) => p[0]), CLOUD.map((p) => p[1]), { color: "blue", size: 3.2, label: "first cloud" });
        plot.dots(n.B.map((p) => p[0]), n.B.map((p) => p[1]), { color: "purple", shape: "diamond", size: 3.2, label: "second cloud" });
        plot.handle("cloud", distance, 0, { color: "purple", label: "middle of the second cloud", value: say(distance), move: (x) => change({ distance: x }), nudge: (dx) => change({ distance: distance + 0.1 * dx }) });
      },
    },
    {
      frame: (n) => ({ title: "Cost over the angle", height: 380, x: { min: 0, max: 180, label: "angle in degrees", ticks: [0, 45, 90, 135, 180] }, y: { min: Math.max(0, n.add - 0.2), max: n.add + Math.min(1.1 * Math.max(...n.curve.map((c) => c.flow)), 8), label: "mean squared distance" } }),
      draw(plot, n, { angle }, { ghost }) {
        const put = (name, options) => plot.line(ANGLES, n.curve.map((c) => c[name] + n.add), options);
        plot.across(n.add, { label: "the shift alone" });
        put("flow", { color: "red", label: "a flow that turns and stretches" });
        put("own", { color: "orange", label: "straight, each to its own place" });
        if (ghost) plot.line(ANGLES, ghost.numbers.curve.map((c) => c.best + ghost.numbers.add), { color: "green", faint: true });
        put("best", { color: "green", label: "cheapest pairing" });
        put("bound", { color: "ink", dash: "2 4", width: 1.4, label: "bound from the covariances" });
        plot.dots([angle, angle, angle], [n.flow, n.own, n.best], { color: "ink", shape: "ring", size: 5, label: "now" });
      },
    },
  ],
  table: (n) => ({ head: ["angle", "flow", "own place", "cheapest", "bound"], rows: ANGLES.map((a, k) => [`${a}°`, say(n.curve[k].flow + n.add), say(n.curve[k].own + n.add), say(n.curve[k].best + n.add), say(n.curve[k].bound + n.add)]) }),
  claims: (n, s) => [
    { sentence: "Everybody's own place is the cheapest pairing.", holds: n.moved === 0, found: `It costs ${say(n.own)}, the cheapest ${say(n.best)}.`, why: s.angle === 0 ? "Only rounding could say so." : "A turn is no gradient of a convex function. Some points do better by exchanging their places." },
    { sentence: "Of no two points do the straight ways to their own places tend to cross.", holds: n.crossed === 0, found: `${n.crossed} of 780 pairs have $\\langle x_i-x_j,\\,y_i-y_j\\rangle < 0$; in the cheapest pairing ${n.open}.`, why: "Such a pair could exchange its ends and save $-2\\langle x_i-x_j, y_i-y_j\\rangle$. In a cheapest pairing there is none, so its straight ways never meet at the same time: they form a flow." },
    { sentence: "The flow that turns costs at most 5 % more than the cheapest pairing.", holds: n.flow <= 1.05 * n.best, found: `${say(n.flow)} against ${say(n.best)}.`, why: "It carries every point around the middle, which nobody asked for. A training that only looks at where the cloud ends has no reason to avoid it; a penalty on the length of the ways has." },
    { sentence: "The covariances alone give the cost within 5 %.", holds: n.bound >= 0.95 * n.best, found: `Their bound is ${say(n.bound)}, the cost ${say(n.best)}.`, why: "The bound is exact if one cloud is a symmetric stretching of the other, as normal distributions can be; forty points differ in more than their covariance." },
  ],
  text: [
    "## The cheapest flow",
    "A generative network is a flow that carries one cloud, usually normal, onto another, the data. Infinitely many flows do that. Those with the least kinetic energy are singled out:",
    "$$ W_2^2 = \\min_{\\sigma}\\ \\frac1n\\sum_i |x_i - y_{\\sigma(i)}|^2 = \\min \\int_0^1 \\frac1n\\sum_i |u_i'(t)|^2\\,dt . $$",
    "The first minimum is over all $n!$ pairings and can be found in about $n^3$ operations; the second is over all ways, and the best ways are straight. Brenier's theorem says which maps are optimal: the gradients of convex functions. A turn is none. In one respect the problem is simple: a shift by $m$ adds $|m|^2$, and never changes who goes where.",
    "In the plane, and with 40 points, this is solved. The questions begin where a pairing cannot be computed.",
    "## Five open questions, and where to begin",
    "*Densities in high dimension.* Flows with a penalty on their energy come near the optimum without any pairing, and their likelihood can be evaluated. How near, from how many samples? Begin with `numdl experiment run path-planning`, and compare its energy with the pairing's.",
    "*Control in high dimension.* The value function of a control problem satisfies an equation whose grid grows exponentially with the dimension; networks approximate it along the ways that are used. When can one trust them off these ways? Begin with page 3.12 and two states.",
    "*Images as differential equations.* Layers that discretise known equations promise stability (page 2.7). Do they keep it after training, and what do they lose? Begin with `numdl check` of a network of your own.",
    "*Low precision.* Eight bits are enough for many forward passes. Which of the identities of this course, the adjoint test, reversal, conserved energy, survive them? Begin with page 3.10 and round every state.",
    "*Inexact training.* Gradients from few cycles (page 3.15), loosely solved adjoints (3.8), inexact heads (2.8): how inexact may each be, so that training still converges, at the least total work? Begin with the angle between true and inexact gradients.",
  ],
  code: (s) => `
import numpy as np
from scipy.optimize import linear_sum_assignment

x = 0.5 * np.random.RandomState(2).standard_normal((40, 2))
x = x - x.mean(axis=0)
t, s, m = np.deg2rad(${s.angle}), ${s.stretch}, np.array([${s.distance}, 0.0])
M = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) @ np.diag([s, 1 / s])
y = x @ M.T + m
cost = np.sum((x[:, None] - y) ** 2, axis=2)
i, j = linear_sum_assignment(cost)
own, best = np.mean(np.diag(cost)), np.mean(cost[i, j])

A, B = x.T @ x / 40, np.cov(y.T, bias=True)
bound = m @ m + np.trace(A + B) - 2 * np.sum(np.sqrt(np.linalg.eigvals(A @ B)).real)
print(own, best, bound, np.sum(i != j))
`,
  prints: (n) => [n.own, n.best, n.bound, n.moved],
  exercises: [
    { ask: "Set the sliders so that the second cloud has another shape than the first, with a stretch of at least 1.5, and everybody's own place is still the cheapest. Then press the button.", button: "Check my setting", rightly: () => ({ angle: 0, stretch: 2 }),
      check: ({ numbers, settings }) => { const shape = Math.max(settings.stretch, 1 / settings.stretch) >= 1.5, passed = shape && numbers.moved === 0; return { passed, say: passed ? "Passed: a stretching along fixed axes is the gradient of a convex function." : !shape ? "The shapes must differ: stretch by 1.5 or more." : `${numbers.moved} points still do better elsewhere. What must the map not do?` }; } },
    { ask: "Two clouds of the same shape and position of all points relative to their means; the second is shifted by $(3, 4)$. What is $W_2^2$?", input: "cost", right: 25, wrong: 5,
      check: ({ answer }) => ({ passed: answer === 25, say: answer === 25 ? "Passed: $|m|^2 = 25$, and no pairing is cheaper." : answer === 5 ? "That is the distance; the cost is the mean of its square." : "A shift by $m$ costs $|m|^2$." }) },
  ],
  sources: [
    "G. Peyré and M. Cuturi, *Computational Optimal Transport*, Foundations and Trends in Machine Learning 11 (2019), chapters 2 and 7.",
    "M. Gelbrich, On a formula for the L² Wasserstein metric between measures on Euclidean and Hilbert spaces, *Mathematische Nachrichten* 147 (1990).",
    "D. Onken, S. Wu Fung, X. Li and L. Ruthotto, OT-Flow: fast and accurate continuous normalizing flows via optimal transport, *AAAI* 2021.",
    "In numdl: `numdl experiment run path-planning` and `path-with-obstacles`.",
  ],
  trials: [0, 15, 45, 90, 135, 180].flatMap((angle) => [[1, 0], [1.6, 2], [0.5, 1], [2.5, 3]].map(([stretch, distance]) => ({ angle, stretch, distance }))),
  compare: (n) => ({ B: n.B, costs: [n.own, n.best, n.bound, n.flow].map((c) => 1 + c), sigma: n.best === n.own ? range(N) : n.sigma }),
};
