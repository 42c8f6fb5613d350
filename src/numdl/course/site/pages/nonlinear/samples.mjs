// 2.10: how many samples are enough?
import { dot, random, range, sum } from "../../lib/numerics.mjs";
import { cholesky, solveWith } from "../../lib/graphs.mjs";
import { counted, percent, say } from "../../lib/plot.mjs";

// c = a'x + noise e with independent normal a (p of 20 columns) and e: all draws in units of the noise, from products of columns.
const MOST = 20, WIDE = MOST + 1, DRAWS = 20, TOL = 0.15, Z = 1.6448536269514722;
const SIZES = range(15).map((k) => Math.round(25 * 2 ** (k / 2))), LAST = SIZES.at(-1);

const rowsOf = (seed, n) => { const rng = random(seed), A = new Float64Array(n * WIDE); for (let i = 0; i < A.length; i++) A[i] = rng.normal(); return A; };
// Products of all columns (the last one is the noise) over the first n rows, for each size.
const kept = {};
const products = (seed) => (kept[seed] ??= (() => {
  const A = rowsOf(seed, LAST), G = range(WIDE).map(() => new Float64Array(WIDE)), found = [];
  for (let i = 0, k = 0; i < LAST; i++) {
    const at = i * WIDE;
    for (let p = 0; p < WIDE; p++) for (let q = 0; q <= p; q++) G[p][q] += A[at + p] * A[at + q];
    if (i + 1 === SIZES[k]) { found.push(G.map((row) => Float64Array.from(row))); k++; }
  }
  return found;
})());

// The fit to the first n rows: its error d, and the misfits of these rows and of all rows there could be, over v / 2.
function fit(seed, k, p) {
  const G = products(seed)[k], n = SIZES[k], right = Array.from(G[MOST].slice(0, p));
  const d = solveWith(cholesky(range(p).map((i) => range(p).map((j) => G[Math.max(i, j)][Math.min(i, j)]))), right);
  return { d, training: (G[MOST][MOST] - dot(right, d)) / n, heldOut: 1 + dot(d, d) };
}
const many = {};
const draws = (k, p) => (many[`${k} ${p}`] ??= range(DRAWS).map((i) => fit(i + 1, k, p)));

// What n fresh rows say of a sample of n: the gap of both means and its standard error, over the mean of the fresh rows.
let own = { seed: 0 };
function ask(seed, k, { d }) {
  if (own.seed !== seed) own = { seed, A: rowsOf(seed, 2 * LAST) };
  const n = SIZES[k], loss = (i) => { let r = own.A[i * WIDE + MOST]; for (let j = 0; j < d.length; j++) r -= own.A[i * WIDE + j] * d[j]; return r * r; };
  const told = (from) => { const l = range(n).map((i) => loss(from + i)), mean = sum(l) / n; return { mean, spread: sum(l.map((x) => (x - mean) ** 2)) / (n - 1) / n }; };
  const sample = told(0), fresh = told(n);
  return { gap: (fresh.mean - sample.mean) / fresh.mean, half: (Z * Math.sqrt(sample.spread + fresh.spread)) / fresh.mean };
}

const asked = {};
function compute({ size, unknowns: p, noise, seed }) {
  const unit = noise ** 2 / 2, n = SIZES[size];
  const all = (asked[`${seed} ${p}`] ??= SIZES.map((_, k) => { const one = fit(seed, k, p); return { ...one, ...ask(seed, k, one) }; }));
  const stop = all.findIndex((one) => one.gap + one.half < TOL), band = SIZES.map((_, k) => { const at = (name) => draws(k, p).map((o) => o[name]).sort((x, y) => x - y); return { training: at("training"), heldOut: at("heldOut") }; });
  return { unit, n, p, all, now: all[size], stop, band, here: draws(size, p), mean: sum(band[size].heldOut) / DRAWS, law: 1 + p / n, exact: 1 + p / (n - p - 1) };
}

const axis = { min: 24, max: 3300, log: true, label: "samples n", ticks: [25, 100, 400, 1600] };

const short = (x) => percent(x, 2);

export const page = {
  id: "2.10",
  question: "How many samples are enough?",
  goal: "You will see training and held-out misfit close in on each other, predict the gap, and stop where it no longer matters.",
  minutes: 15,
  needs: "least squares; mean and variance",
  controls: {
    size: { kind: "slider", label: "samples", min: 0, max: SIZES.length - 1, value: 4, play: 500, show: (k) => String(SIZES[k]) },
    unknowns: { kind: "slider", label: "unknowns", min: 1, max: MOST, value: 8, show: (k) => counted(k, "unknown") },
    noise: { kind: "slider", label: "noise", min: 0.05, max: 2, log: true, step: 0.1, value: 0.3, show: (x) => say(x, 2) },
  },
  hidden: { seed: 2 },
  guess: {
    ask: "With enough samples a model's misfit on new rows comes within 1 % of the best it can be. Now the targets become ten times as noisy. How many times more samples are needed for the same 1 %?",
    options: ["100 times", "10 times", "no more than before"], answer: 2,
    why: "What is lost by a finite sample is $\\frac v2\\frac pn$, the best that can be reached is $\\frac v2$. The noise $v$ cancels: the unknowns decide, $n = 100\\,p$.",
  },
  sentence: [
    "Draw {{draw}}: [[size]] samples for [[unknowns]], with noise of deviation [[noise]]. The samples themselves are left with the misfit {{training}}, all rows there could be with {{heldOut}}; without error in the unknowns both would be {{limit}}. The samples flatter by {{flatter}}.",
  ],
  breaks: [
    { label: "Draw again", patch: (s) => ({ seed: (s.seed % DRAWS) + 1 }) },
    { label: "Break the law", patch: { size: 0, unknowns: 20 }, why: "Twenty unknowns and 25 samples. The law $1+p/n$ holds for $n$ much larger than $p$; here some directions are hardly seen by the sample, and the held-out misfit is far above it. Page 2.4 goes on from here." },
    { label: "A sample with luck", patch: { size: 10, unknowns: 2, seed: 3 }, why: "Two unknowns flatter by a quarter of a percent only. But the noise of 800 samples has a mean square that differs from $v$ by 5 % or so: the training misfit now says more about luck than about the fit." },
  ],
  compute,
  values: (n, { seed }) => ({ draw: `no. ${seed}`, training: say(n.unit * n.now.training), heldOut: say(n.unit * n.now.heldOut), limit: say(n.unit), flatter: short((n.now.heldOut - n.now.training) / n.now.heldOut) }),
  views: [
    {
      wide: true,
      frame: (n) => ({ title: "Misfit over samples", height: 280, x: axis, y: { min: 0, max: n.unit * Math.max(2, Math.min(4, 1.25 * n.all[0].heldOut)), label: "half the mean square" } }),
      draw(plot, n, s, { change }) {
        const put = (name, color, label) => {
          plot.area(SIZES, n.band.map((b) => n.unit * b[name][2]), n.band.map((b) => n.unit * b[name][17]), { color, label: `16 of 20 draws` });
          plot.line(SIZES, n.all.map((o) => n.unit * o[name]), { color, label });
        };
        put("heldOut", "orange", "all rows there could be");
        put("training", "blue", "the samples");
        for (const sign of [-1, 1]) plot.line(SIZES, SIZES.map((m) => n.unit * (1 + (sign * n.p) / m)), { color: "ink", dash: "5 4", width: 1.3, label: "law v/2 (1 ∓ p/n)" });
        plot.across(n.unit, { color: "grey", dash: "2 4", label: "limit v/2" });
        if (n.stop >= 0) plot.upright(SIZES[n.stop], { color: "green", label: "the rule stops" });
        const to = (x) => SIZES.reduce((k, m, j) => (Math.abs(Math.log(m / x)) < Math.abs(Math.log(SIZES[k] / x)) ? j : k), 0);
        plot.handle("n", n.n, n.unit * n.now.heldOut, { upright: true, color: "ink", label: "samples", value: String(n.n), move: (x) => change({ size: to(x) }), nudge: (dx, dy) => change({ size: s.size + dx + dy }) });
      },
    },
    {
      frame: (n) => { const far = 1.1 * Math.max(1.3, ...n.here.map((o) => Math.max(o.training, Math.min(o.heldOut, 4)))); return { title: `Twenty draws of ${n.n} samples`, height: 300, x: { min: 0, max: n.unit * far, label: "misfit of the samples" }, y: { min: 0, max: n.unit * far, label: "misfit of all rows" } }; },
      draw(plot, n, { seed }, { ghost }) {
        plot.line([0, plot.x.max], [0, plot.x.max], { color: "grey", width: 1.4, dash: "5 4", label: "no gap" });
        if (ghost) plot.dots(ghost.numbers.here.map((o) => n.unit * o.training), ghost.numbers.here.map((o) => n.unit * o.heldOut), { color: "grey", size: 2.2, faint: true, label: "at your last setting" });
        plot.dots(n.here.map((o) => n.unit * o.training), n.here.map((o) => n.unit * o.heldOut), { color: "purple", size: 2.8, label: "a draw" });
        plot.dots([n.unit * n.now.training], [n.unit * n.now.heldOut], { color: "orange", size: 5, label: `draw ${seed}` });
        plot.dots([n.unit * (2 - n.law)], [n.unit * n.law], { color: "ink", shape: "cross", size: 6, label: "law" });
      },
    },
    {
      frame: () => ({ title: "What fresh rows say of the gap", height: 300, x: axis, y: { min: 3e-3, max: 3, log: true, label: "share of the misfit" } }),
      draw(plot, n, s) {
        plot.line(SIZES, SIZES.map((m) => (2 * n.p) / (m + n.p)), { color: "ink", dash: "5 4", width: 1.3, label: "gap by the law" });
        plot.line(SIZES, n.all.map((o) => (o.heldOut - o.training) / o.heldOut), { color: "blue", label: "gap, draw " + s.seed });
        plot.line(SIZES, n.all.map((o) => o.gap + o.half), { color: "green", label: "what the test can vouch for" });
        plot.across(TOL, { color: "grey", label: "small enough: 15 %" });
        plot.upright(n.n, { color: "ink", dash: "", width: 1.2 });
      },
    },
  ],
  table: (n) => ({ head: ["n", "samples", "law", "all rows", "law", "gap (share)", "vouched for"], rows: n.all.map((o, k) => [SIZES[k], say(n.unit * o.training), say(n.unit * (1 - n.p / SIZES[k])), say(n.unit * o.heldOut), say(n.unit * (1 + n.p / SIZES[k])), say((o.heldOut - o.training) / o.heldOut), say(o.gap + o.half)]) }),
  claims: (n) => [
    { sentence: "The samples say less than the limit $v/2$.", holds: n.now.training < 1, found: `${say(n.unit * n.now.training, 4)}, and $v/2 = ${say(n.unit, 4)}$.`, why: `The fit takes away the share $p/n = ${say(n.p / n.n)}$. But the mean square of ${n.n} errors differs from $v$ by a share of about $\\sqrt{2/n} = ${say(Math.sqrt(2 / n.n))}$, and in this draw that is upwards.` },
    { sentence: "In the mean of 20 draws all rows are fitted as the law says, $\\frac v2(1+\\frac pn)$, within 5 %.", holds: Math.abs(n.mean / n.law - 1) < 0.05, found: `${say(n.unit * n.mean)}, by the law ${say(n.unit * n.law)}.`, why: `The law is for many samples. For these rows theory gives $\\frac v2(1+\\frac{p}{n-p-1}) = ${say(n.unit * n.exact)}$, and a few draws are much worse than the others.` },
    { sentence: "On all rows the fit is within 1 % of the limit.", holds: n.now.heldOut < 1.01, found: `It is ${short(n.now.heldOut - 1)} above.`, why: `In the mean it is $p/n$, ${short(n.p / n.n)}. It takes about $100\\,p = ${100 * n.p}$ samples.` },
    { sentence: "The rule would stop: fresh rows vouch for a gap below 15 %.", holds: n.now.gap + n.now.half < TOL, found: `They see ${short(n.now.gap)}, give or take ${short(n.now.half)}.`, why: n.now.half > TOL ? "Its own uncertainty is larger than that, however small the gap: the test needs samples, too." : "The sum of both is too large." },
  ],
  text: [
    "## What a sample average forgets",
    "One wants the unknowns $x$ that are best for all rows there could be, and minimises the mean over $n$ of them instead. That is called sample average approximation. Here rows are $c = a'x_* + \\varepsilon$ with normal $a$, $p$ unknowns, and noise of variance $v$. Both misfits are half mean squares, and $v/2$ is what the best unknowns leave. Least squares finds $x = x_* + \\delta$ with $\\delta = (A'A)^{-1}A'\\varepsilon$. The fit absorbs the part of the noise that lies in the $p$ columns of $A$, which is $p$ of $n$ dimensions,",
    "$$ \\mathrm E\\,\\frac1{2n}|Ax-c|^2 = \\frac v2\\Bigl(1-\\frac pn\\Bigr) , $$",
    "$$ \\mathrm E\\,\\frac12\\bigl(v+|\\delta|^2\\bigr) = \\frac v2\\Bigl(1+\\frac{p}{n-p-1}\\Bigr) \\approx \\frac v2\\Bigl(1+\\frac pn\\Bigr) . $$",
    "What is taken from one side is paid for on the other: the error is symmetric about the limit, and the gap is $v\\,p/n$. It falls like $1/n$, not like $1/\\sqrt n$: where the sample average has its minimum matters only quadratically. And the noise cancels from the share $p/n$. More noise means a worse limit, but not a larger sample.",
    "## Networks",
    "Near a minimiser a network with $p$ weights is a linear model in the change of its weights, so for large $n$ the same two laws hold. That is why a network with a thousand weights asks for many thousands of rows, unless a penalty makes its effective number of unknowns, page 1.8, smaller.",
    "## A rule that stops",
    "Nobody knows $p/n$ in advance for a network, or $v$. But one can ask as many fresh rows as the sample has. Their mean misfit minus that of the sample estimates the gap, with a standard error $s$ from both variances. If $\\text{gap} + 1.64\\,s$ is below 15 % of the fresh mean, the sample is large enough (error of the first kind 5 %); otherwise take a larger sample, and start from where the last one ended. For few unknowns the gap is long small before the test can vouch for it: that costs samples, $s$ falls only like $1/\\sqrt n$.",
  ],
  code: (s) => `
import numpy as np
from numdl.optimize import sample_gap

n, p, noise = ${SIZES[s.size]}, ${s.unknowns}, ${s.noise}
rows = np.random.RandomState(${s.seed}).standard_normal((${2 * LAST}, ${WIDE}))
A, best = rows[:, :p], 1 / np.arange(1, p + 1)
c = A @ best + noise * rows[:, ${MOST}]

fit = np.linalg.lstsq(A[:n], c[:n], rcond=None)[0]
losses = (A @ fit - c) ** 2 / 2
every = noise**2 / 2 + np.sum((fit - best) ** 2) / 2  # mean over all rows there could be
found = sample_gap(losses[:n], losses[n : 2 * n])  # n fresh rows
print(losses[:n].mean(), every)
print(found.gap / found.fresh, (found.gap + ${Z.toFixed(10)} * found.error) / found.fresh)
print(noise**2 / 2 * (1 - p / n), noise**2 / 2 * (1 + p / n))
`,
  codeNote: "It prints both misfits; the gap that fresh rows see, as a share, and what they can vouch for; and both laws.",
  prints: (n) => [n.unit * n.now.training, n.unit * n.now.heldOut, n.now.gap, n.now.gap + n.now.half, n.unit * (2 - n.law), n.unit * n.law],
  exercises: [
    { ask: "A model has 25 unknowns. How many samples does it take until its misfit on new rows is, in the mean, 1 % above the limit? (Use the law.)", input: "samples", right: 2500, wrong: 625,
      check: ({ answer }) => ({ passed: Math.abs(answer / 2500 - 1) < 0.02, say: Math.abs(answer / 2500 - 1) < 0.02 ? "Passed: $p/n = 0.01$, so $n = 100\\,p$." : Math.abs(answer / 5000 - 1) < 0.02 ? "That is the gap between both misfits, $2p/n$; the held-out one lies half of it above the limit." : `With ${say(answer)} samples it is ${short(25 / answer)} above.` }) },
    { ask: "Noise of deviation 0.3, 10 unknowns. How many samples until the misfit on new rows is 0.046 in the mean? (Use the law.)", input: "samples", right: 450, wrong: 45,
      check: ({ answer }) => ({ passed: Math.abs(answer / 450 - 1) < 0.02, say: Math.abs(answer / 450 - 1) < 0.02 ? "Passed: $v/2 = 0.045$, and $10/n = 0.001/0.045$." : `With ${say(answer)} samples the law says ${say(0.045 * (1 + 10 / answer), 4)}.` }) },
  ],
  sources: [
    "A. Shapiro, D. Dentcheva and A. Ruszczyński, *Lectures on Stochastic Programming*, SIAM 2009, section 5.1.",
    "T. Amemiya, *Advanced Econometrics*, Harvard University Press 1985, section 4.5 (both laws for nonlinear models).",
    "R. Pasupathy, On choosing parameters in retrospective-approximation algorithms, *Operations Research* 58 (2010).",
    "In numdl: `numdl experiment run saa-sample-size`.",
  ],
  trials: [[0, 20], [0, 1], [4, 8], [8, 3], [10, 2], [14, 20], [14, 8]].flatMap(([size, unknowns], i) => [0.05, 0.3, 2].map((noise, j) => ({ size, unknowns, noise, seed: 1 + ((3 * i + j) % 20) }))),
  compare: (n) => ({ training: n.all.map((o) => n.unit * o.training), heldOut: n.all.map((o) => n.unit * o.heldOut), gap: n.all.map((o) => o.gap), vouched: n.all.map((o) => o.gap + o.half), mean: n.mean, band: [n.band[4].training[2], n.band[4].heldOut[17]], stop: n.stop }),
};
