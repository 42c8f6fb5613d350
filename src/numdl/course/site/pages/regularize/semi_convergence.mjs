// 1.7: when should an iteration stop?
import { kernel } from "../../lib/inverse.mjs";
import { argmin, dot, geomspace, norm, product, random, range, scale, sum, svd, transpose } from "../../lib/numerics.mjs";
import { offBy, percent, say } from "../../lib/plot.mjs";

// An image of 24 x 24 pixels, blurred along rows and columns by one matrix K: A = K x K has the singular values s_i s_j.
const SIDE = 24, ALL = SIDE * SIDE, WIDTH = 0.06, MOST = 400, STEPS = [...new Set(geomspace(1, MOST, 60).map(Math.round))];
const METHODS = [["descent", "gradient descent (step 1)"], ["cgls", "conjugate gradients (CGLS)"], ["hybrid", "a hybrid method (α by GCV in each step)"]];
const ALPHAS = geomspace(1e-8, 1, 81), SMALL = 30; // steps of the hybrid method

const image = range(SIDE).map((i) => range(SIDE).map((j) => (i >= 4 && i < 10 && j >= 3 && j < 12 ? 1 : 0) + (Math.hypot(i - 15.5, j - 16) < 5 ? 0.7 : 0) + (i >= 14 && j >= 2 && j < 8 ? (i - 13) / 10 : 0)));
let made = null;
function problem() {
  if (made) return made;
  const k = kernel(WIDTH, SIDE), half = k.length >> 1, K = range(SIDE).map((i) => range(SIDE).map((j) => (Math.abs(i - j) <= half ? k[half + i - j] : 0)));
  const { U, s, V } = svd(K), data = product(product(K, image), transpose(K));
  const into = (B, X) => product(product(B, X), transpose(B)).flat(); // B holds vectors as rows
  return (made = { V, s: s.flatMap((a) => s.map((b) => a * b)), truth: into(V, image), size: Math.sqrt(sum(image.flat().map((x) => x * x))), data, U, into });
}
// Coefficients of the data in the singular directions, and the norm of their noise.
export function readings(noise, draw) {
  const { data, U, into } = problem(), sigma = (noise * Math.sqrt(sum(data.flat().map((x) => x * x)))) / SIDE, e = random(draw).normals(ALL), noisy = data.map((row, i) => row.map((x, j) => x + sigma * e[SIDE * i + j]));
  return { noisy, beta: into(U, noisy), level: sigma * SIDE };
}

// Iterates in the singular directions: each is multiplied by its s.
function conjugate(s, beta) {
  const n = s.length, x = new Float64Array(n), r = Float64Array.from(beta), g = Float64Array.from(s, (v, i) => v * beta[i]), d = g.slice(), all = [];
  let gamma = dot(g, g);
  for (let k = 0; k < MOST; k++) {
    let curved = 0;
    for (let i = 0; i < n; i++) curved += (s[i] * d[i]) ** 2;
    if (!(curved > 0)) { all.push(x.slice()); continue; }
    const t = gamma / curved;
    for (let i = 0; i < n; i++) { x[i] += t * d[i]; r[i] -= t * s[i] * d[i]; g[i] = s[i] * r[i]; }
    const next = dot(g, g), w = next / gamma;
    for (let i = 0; i < n; i++) d[i] = g[i] + w * d[i];
    gamma = next;
    all.push(x.slice());
  }
  return all;
}
function descent(s, beta) {
  const x = new Float64Array(s.length), all = [];
  for (let k = 0; k < MOST; k++) { for (let i = 0; i < s.length; i++) x[i] += s[i] * (beta[i] - s[i] * x[i]); all.push(x.slice()); }
  return all;
}
// Golub and Kahan's bidiagonalisation A V = U B, and Tikhonov's method on the small problem |B y - |c| e_1|^2 + alpha |y|^2, alpha by GCV
// of that problem. Source: Chung, Nagy and O'Leary, ETNA 28 (2008), with the weight 1.
function hybrid(s, beta) {
  const size = norm(beta), U = [scale(1 / size, beta)], V = [], B = [], xs = [], alphas = [];
  const apart = (w, all) => { for (let pass = 0; pass < 2; pass++) for (const q of all) { const t = dot(q, w); for (let i = 0; i < w.length; i++) w[i] -= t * q[i]; } const t = norm(w); for (let i = 0; i < w.length; i++) w[i] /= t; return t; };
  for (let k = 1; k <= SMALL; k++) {
    const v = s.map((x, i) => x * U[k - 1][i] - (k > 1 ? B[k - 2][1] * V[k - 2][i] : 0)), a = apart(v, V);
    V.push(v);
    const u = s.map((x, i) => x * v[i] - a * U[k - 1][i]), b = apart(u, U);
    U.push(u); B.push([a, b]);
    const small = svd(range(k + 1).map((i) => range(k).map((j) => (i === j ? B[j][0] : i === j + 1 ? B[j][1] : 0)))), c = small.U.map((w) => size * w[0]), out = Math.max(0, size ** 2 - dot(c, c));
    const alpha = ALPHAS[argmin(ALPHAS.map((t) => { let r = out, f = 0; small.s.forEach((q, i) => { const p = q ** 2 / (q ** 2 + t); r += ((1 - p) * c[i]) ** 2; f += p; }); return r / (k + 1 - f) ** 2; }))];
    const y = range(k).map((j) => sum(small.s.map((q, i) => ((q * c[i]) / (q * q + alpha)) * small.V[i][j]))), x = new Float64Array(s.length);
    y.forEach((t, j) => { for (let i = 0; i < x.length; i++) x[i] += t * V[j][i]; });
    xs.push(x); alphas.push(alpha);
  }
  return { xs, alphas };
}
const held = (all) => [...all, ...range(MOST - all.length).map(() => all.at(-1))]; // it hardly moves by then, and is ended

const kept = {};
export function run(noise, draw, method) {
  return (kept[`${noise} ${draw} ${method}`] ??= (() => {
    const { s, truth, size } = problem(), { noisy, beta, level } = readings(noise, draw), mixed = method === "hybrid" ? hybrid(s, beta) : null, alphas = mixed ? held(mixed.alphas) : null;
    const all = mixed ? held(mixed.xs) : method === "descent" ? descent(s, beta) : conjugate(s, beta);
    const errors = all.map((x) => { let t = 0; for (let i = 0; i < ALL; i++) t += (x[i] - truth[i]) ** 2; return Math.sqrt(t) / size; });
    const residuals = all.map((x) => { let t = 0; for (let i = 0; i < ALL; i++) t += (s[i] * x[i] - beta[i]) ** 2; return Math.sqrt(t); }), stop = residuals.findIndex((r) => r <= 1.01 * level);
    return { noisy, beta, level, all, errors, residuals, alphas, stop: stop < 0 ? MOST : stop + 1, best: argmin(errors) + 1 };
  })());
}

function compute({ step, noise, method, draw }) {
  const one = run(noise, draw, method), k = STEPS[step], { s, V } = problem(), x = one.all[k - 1], W = transpose(V), M = range(SIDE).map((i) => Array.from(x.slice(SIDE * i, SIDE * (i + 1))));
  const others = Object.fromEntries(METHODS.map(([name]) => [name, run(noise, draw, name)])), order = range(ALL).sort((a, b) => s[b] - s[a]);
  return { ...one, alpha: one.alphas?.[k - 1] ?? 0, others, k, x, image: product(product(W, M), V), error: one.errors[k - 1], residual: one.residuals[k - 1], least: one.errors[one.best - 1], s: order.map((i) => s[i]), factors: order.map((i) => (x[i] * s[i]) / one.beta[i]) };
}

const edges = range(SIDE + 1), shade = (v) => Math.min(Math.max(v / 1.15, 0), 1);
const picture = (title, pick) => ({
  frame: () => ({ title, equal: true, height: 300, x: { min: 0, max: SIDE, ticks: [], label: "" }, y: { min: 0, max: SIDE, ticks: [] } }),
  draw(plot, n, s) { const values = pick(n, s); if (values) plot.heat([...values].reverse(), edges, edges, shade, { color: "ink" }); else plot.note(SIDE / 2, SIDE / 2, "hidden", { anchor: "middle" }); },
});
const NUMBERS = range(MOST).map((k) => k + 1), COLORS = { descent: "orange", cgls: "blue", hybrid: "green" };

export const page = {
  id: "1.7",
  question: "When should an iteration stop?",
  goal: "You will watch an iteration find the image and then lose it in noise, and stop it without knowing the truth.",
  minutes: 20,
  needs: "page 1.5: filter factors; page 1.4: conjugate gradients",
  layout: "three",
  controls: {
    method: { kind: "choice", label: "method", options: METHODS, value: "cgls" },
    step: { kind: "slider", label: "iterations", min: 0, max: STEPS.length - 1, value: argmin(STEPS.map((k) => Math.abs(k - 12))), play: 220, show: (i) => String(STEPS[i]) },
    noise: { kind: "slider", label: "noise", min: 5e-4, max: 0.2, log: true, step: 0.1, value: 0.05, show: percent },
  },
  hidden: { draw: 1, blind: false },
  guess: {
    ask: "A blurred image with 5 % of noise is to be made sharp: the equations are solved by conjugate gradients. After 11 iterations the answer is off by 29 %. What about 200 iterations?",
    options: ["it is more accurate", "about the same: it has converged", "it is useless"], answer: 2, see: { step: argmin(STEPS.map((k) => Math.abs(k - 200))) },
    why: "The residual goes on falling, and the answer gets worse than a blank image. First the strong directions are fitted, which hold the image; then the weak ones, where the data are noise.",
  },
  sentence: [
    "After [[step]] iterations of [[method]], with noise of [[noise]], the residual is {{residual}} times the norm of the noise, and the image is off by {{error}}.",
  ],
  breaks: [
    { label: "Stop at the noise", patch: (s, n) => ({ method: s.method === "hybrid" ? "cgls" : s.method, step: argmin(STEPS.map((k) => Math.abs(k - n.others[s.method === "hybrid" ? "cgls" : s.method].stop))) }), why: "The discrepancy principle: stop when the residual is no larger than the noise explains. The truth has no part in it; the size of the noise has." },
    { label: "Go on for ever", patch: { step: STEPS.length - 1, method: "cgls" }, why: "The data are met better and better, down to their errors." },
    { label: "Hold it by a penalty", patch: { step: STEPS.length - 1, method: "hybrid" }, why: "Each step solves a small problem with a penalty, and GCV chooses the penalty anew from that problem. The error levels off instead of rising. When to stop has become how much to penalise." },
    { label: "Draw again", patch: (s) => ({ draw: s.draw + 1 }) },
  ],
  compute,
  values: (n, { blind }) => ({ residual: say(n.residual / n.level), error: blind ? "? (hidden)" : offBy(n.error) }),
  views: [
    picture("Data: blurred, noisy", (n) => n.noisy),
    picture("Answer", (n) => n.image),
    picture("Truth", (n, s) => (s.blind ? null : image)),
    {
      wide: true,
      frame: (n, s) => ({ title: s.blind ? "Residual over the noise" : "Error of the image, and residual over the noise (dashed)", height: 220, x: { min: 1, max: MOST, log: true, label: "iterations" }, y: { min: 0.1, max: 50, log: true, label: "error, residual", ticks: [0.1, 0.3, 1, 3, 10, 30] } }),
      draw(plot, n, s, { ghost, open }) {
        const seen = open ? NUMBERS : NUMBERS.slice(0, n.k);
        plot.across(1, { color: "grey", label: "residual = noise" });
        if (!s.blind) {
          for (const [name, text] of METHODS) plot.line(seen, n.others[name].errors.slice(0, seen.length), { color: COLORS[name], width: name === s.method ? 2.6 : 1.3, label: text });
          if (ghost) plot.line(NUMBERS, ghost.numbers.errors, { color: COLORS[ghost.settings.method], faint: true });
        }
        plot.line(seen, n.residuals.slice(0, seen.length).map((r) => r / n.level), { color: COLORS[s.method], dash: "6 4", width: 1.5 });
        if (!s.blind) plot.dots([n.k], [n.error], { color: COLORS[s.method], size: 5.5 });
        plot.dots([n.k], [n.residual / n.level], { color: COLORS[s.method], size: 4.5, shape: "ring" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "How much of each direction is in the answer", height: 190, x: { min: 1e-6, max: 1.1, log: true, label: "singular value" }, y: { min: -0.2, max: 1.4, label: "filter factor", ticks: [0, 0.5, 1] } }),
      draw(plot, n, s, { ghost }) {
        plot.across(1, { color: "grey" });
        if (s.method !== "descent") plot.line(n.s, n.s.map((x) => 1 - (1 - x * x) ** n.k), { color: "orange", width: 1.2, dash: "4 3", label: "descent after as many iterations" });
        if (ghost && ghost.settings.method === s.method) plot.dots(ghost.numbers.s, ghost.numbers.factors, { color: COLORS[s.method], size: 1.8, faint: true });
        plot.dots(n.s, n.factors, { color: COLORS[s.method], size: 2.2, label: "now" });
      },
    },
  ],
  table: (n, s) => ({ head: ["iterations", "residual / noise", "error", "error, descent", "error, CGLS", "error, with penalty"], rows: [1, 2, 3, 5, 8, 12, 20, 40, 100, 400].map((k) => [k, say(n.residuals[k - 1] / n.level), ...(s.blind ? ["hidden", "hidden", "hidden", "hidden"] : [offBy(n.errors[k - 1]), ...METHODS.map(([m]) => offBy(n.others[m].errors[k - 1]))])]) }),
  claims: (n, s) => (s.blind ? [{ sentence: "The claims speak of the truth; they return when you have handed in your iteration.", holds: true, found: "" }] : [
    { sentence: "Your answer is within a tenth of the best iterate.", holds: n.error <= 1.1 * n.least, found: `The best one is number ${n.best}, off by ${offBy(n.least)}; yours by ${offBy(n.error)}.`, why: n.k < n.best ? "You stop too early: details are missing that the data show." : "You go on too long: what comes in now is noise." },
    { sentence: "Stopping where the residual reaches the noise errs at most 1.3 times as much as the best.", holds: n.stop < MOST && n.errors[n.stop - 1] <= 1.3 * n.least, found: `${n.stop === MOST ? "It is not reached; iteration 400 is" : `That is iteration ${n.stop},`} off by ${offBy(n.errors[n.stop - 1])}.`, why: s.method === "hybrid" && n.stop === MOST ? "The penalty keeps the residual above the noise, however long one goes on: this method has to be stopped by nobody." : n.stop === MOST ? "The residual does not come down to the noise in 400 iterations." : "It stops early, because a residual as large as the noise is possible with less detail." },
    { sentence: "It must be stopped: after 400 iterations the error is more than 1.5 times the least.", holds: n.errors[MOST - 1] > 1.5 * n.least, found: `${offBy(n.errors[MOST - 1])} against ${offBy(n.least)}.`, why: s.method === "hybrid" ? `The penalty $\\alpha = ${say(n.alpha)}$ holds the weak directions.` : s.method === "descent" ? "Gradient descent comes to the weak directions so slowly that 400 iterations are not enough to spoil it." : "There is too little noise for that." },
    { sentence: "Conjugate gradients reach their best at least five times sooner than gradient descent.", holds: 5 * n.others.cgls.best <= n.others.descent.best, found: `After ${n.others.cgls.best} and ${n.others.descent.best === MOST ? "more than 399" : n.others.descent.best} iterations.`, why: n.others.descent.best === MOST ? "With so little noise neither has found its best long before iteration 400." : "With much noise a few iterations are enough for both." },
  ]),
  text: [
    "## Iterations are filters",
    "In the direction $u_i$ gradient descent for $\\tfrac12|Ax-c|^2$ from zero, with the step $\\omega$, is a geometric series. After $k$ steps the answer is $\\sum_i \\varphi_i\\,(u_i'c/s_i)\\,v_i$ with",
    "$$ \\varphi_i = 1 - (1 - \\omega s_i^2)^k . $$",
    "Directions with $s_i^2 > 1/(\\omega k)$ are in, the others are still out. So the number of iterations plays the role of $1/\\alpha$ in Tikhonov's filter. In the beginning the error falls, since the strong directions hold the image. Later it rises, because the weak ones hold noise that is divided by $s_i$: *semi-convergence*.",
    "*CGLS*, the conjugate gradients of page 1.4 for $A'Ax = A'c$ without forming $A'A$, does the same with other filters. It chooses a polynomial that suits the data, so its factors can exceed 1, and it needs far fewer iterations, about the square root. That also makes the right moment shorter.",
    "## When to stop",
    "If the norm $\\delta$ of the noise is known: at the first iterate with $|Ax_k - c| \\le 1.01\\,\\delta$. If it is not: *hybrid* methods combine the iteration with a penalty that is chosen on the small projected problem in each step, by GCV. Then the error levels off instead of rising, and stopping late costs only time.",
    "The hybrid method of the figure builds, step by step, orthonormal vectors $v_1, v_2, \\dots$ in which the answer is sought, the same ones that CGLS uses. In them $A$ becomes a matrix $B_k$ with two diagonals, and Tikhonov's method for that small matrix costs next to nothing. GCV of the small problem, $|r|^2/(k+1-f)^2$, chooses $\\alpha$ again in each step: in the beginning only strong directions are there and hardly any penalty is needed; as weak ones come in, it grows and holds them. After 30 steps it stands nearly still, and is ended.",
    "Training a network by descent from small weights is such an iteration. Early stopping is regularisation; watching the error on held-out rows replaces the known $\\delta$.",
  ],
  codeNote: "Copy it: it has your data and prints error and residual, of conjugate gradients after twelve iterations at most. Later on rounding parts the paths of any two programs.",
  code: ({ step, noise, method, draw }) => `
import numpy as np
from numdl.linalg import bidiagonalise, cgls

i, j = np.mgrid[:24, :24]
truth = 1.0 * ((i >= 4) & (i < 10) & (j >= 3) & (j < 12)) + 0.7 * (np.hypot(i - 15.5, j - 16) < 5)
truth += (i >= 14) * (j >= 2) * (j < 8) * (i - 13) / 10
d = np.arange(24)[:, None] - np.arange(24)
reach = np.exp(-((np.arange(-7, 8) / 1.44) ** 2) / 2)
K = np.where(np.abs(d) <= 7, np.exp(-((d / 1.44) ** 2) / 2), 0) / reach.sum()
A, x = np.kron(K, K), truth.ravel()
sigma = ${noise} * np.linalg.norm(A @ x) / 24
c = A @ x + sigma * np.random.RandomState(${draw}).standard_normal(576)
${method === "descent" ? `y = 0 * x
for _ in range(${STEPS[step]}):
    y = y + A.T @ (c - A @ y)` : method === "cgls" ? `y = cgls(A, c, max_iter=${Math.min(STEPS[step], 12)}, tol=0.0).x` : `k = ${Math.min(STEPS[step], 12)}
U, B, V, _ = bidiagonalise(A, c, k)
alphas, b = np.geomspace(1e-8, 1, 81), np.linalg.norm(c) * np.eye(k + 1)[0]
solvers = [np.linalg.solve(B.T @ B + alpha * np.eye(k), B.T) for alpha in alphas]
gcv = [np.sum((B @ S @ b - b) ** 2) / (k + 1 - np.trace(B @ S)) ** 2 for S in solvers]
y = V @ (solvers[np.argmin(gcv)] @ b)`}
print(np.linalg.norm(y - x) / np.linalg.norm(x), np.linalg.norm(A @ y - c) / (24 * sigma))
`,
  prints: (n, s) => { const k = s.method === "descent" ? n.k : Math.min(n.k, 12); return [n.errors[k - 1], n.residuals[k - 1] / n.level]; },
  exercises: [
    { ask: "New data, and the truth is hidden. Stop CGLS by the residual and the look of the answer alone, and hand in. It passes if your error is at most 1.3 of the best iterate's.",
      start: { label: "New data", patch: (round) => ({ blind: true, method: "cgls", draw: 50 + round, noise: [0.05, 0.01, 0.125, 0.025][(round - 1) % 4], step: 0 }) }, button: "Hand in", rightly: (s) => ({ step: argmin(STEPS.map((_, step) => compute({ ...s, step }).error)) }),
      check: ({ settings, numbers }) => {
        if (!settings.blind) return { passed: false, say: "Take new data first." };
        const ratio = numbers.error / numbers.least, passed = ratio <= 1.3;
        return { passed, patch: { blind: false }, say: `You stopped after ${numbers.k}; the best is ${numbers.best}. Your error is ${say(ratio)} times the least. ${passed ? "Passed." : numbers.k < numbers.best ? "The residual was still far above the noise." : "The ring had fallen below the dashed line: the residual was smaller than the noise."}` };
      } },
    { ask: "Gradient descent with step 1, largest singular value 1. After how many iterations is the direction with $s = 0.1$ half in the answer?", input: "iterations", right: 69, wrong: 10,
      check: ({ answer }) => ({ passed: Math.abs(answer - 69) <= 1, say: Math.abs(answer - 69) <= 1 ? "Passed: $0.99^k = \\tfrac12$. That is $0.69/s^2$; for $s = 0.01$ it takes a hundred times as many." : "Solve $1-(1-s^2)^k = \\tfrac12$." }) },
  ],
  sources: [
    "P. C. Hansen, *Discrete Inverse Problems*, SIAM 2010, chapter 6; J. Chung and S. Gazzola, Computational methods for large-scale inverse problems: a survey on hybrid projection methods, *SIAM Review* 66 (2024).",
    "In numdl: `numdl.linalg.cgls` and `numdl.regularize.iterative.hybrid_lsqr`; `numdl experiment run semi-convergence`.",
  ],
  trials: METHODS.flatMap(([method], m) => [0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.02].map((noise, i) => ({ method, noise, step: (4 * i + 3 * m) % 12, draw: 1 + (i % 2) }))),
  compare: (n) => ({ errors: n.errors.slice(0, 12), residuals: n.residuals.slice(0, 12), image: n.k <= 12 ? n.image.flat() : [], alphas: n.alphas ? n.alphas.slice(0, 12) : [], factors: n.k <= 12 ? n.factors.slice(0, 1) : [] }),
};
