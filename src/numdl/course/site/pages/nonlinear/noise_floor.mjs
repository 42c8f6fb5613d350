// 2.11: why does SGD stop getting better?
import { argmin, geomspace, mean, random, range, sum } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// E(x) = mean of (x - a_i)'H(x - a_i)/2 over 200 rows a_i of mean 0, H = diag(1, 8): the gradient of a row is H (x - a_i).
const ROWS = 200, PASSES = 20, CURVATURE = [1, 8], START = [-3, 2], BETA = 0.9;
const BATCHES = [1, 2, 5, 10, 20, 50, 200], METHODS = [["sgd", "at a constant rate"], ["decay", "at a rate that falls like 1/k"], ["momentum", "with momentum 0.9"], ["adagrad", "with AdaGrad's scaling"], ["adam", "with Adam's scaling"]];
const cloud = (() => {
  const a = random(11).normals(2 * ROWS), points = range(ROWS).map((i) => [0.6 * a[2 * i], 0.6 * a[2 * i + 1]]);
  const mean = [0, 1].map((j) => sum(points.map((p) => p[j])) / ROWS), centred = points.map((p) => p.map((x, j) => x - mean[j]));
  return { points: centred, spread: [0, 1].map((j) => sum(centred.map((p) => p[j] ** 2)) / ROWS) };
})();
const energy = (x) => (CURVATURE[0] * x[0] ** 2 + CURVATURE[1] * x[1] ** 2) / 2;
// Variance of a batch's gradient, rows drawn with replacement; the batch of all rows has none.
const scatter = (batch) => CURVATURE.map((h, j) => (batch === ROWS ? 0 : (h * h * cloud.spread[j]) / batch));
const rateAt = (method, rate, k, batch) => (method === "decay" ? rate / (1 + (k * batch) / (2 * ROWS)) : rate);
const steps = (batch) => (PASSES * ROWS) / batch;

// Mean of the rows of each batch, as NumPy's RandomState draws them.
function batches(batch, draw) {
  if (batch === ROWS) return range(steps(batch)).map(() => [0, 0]);
  const rng = random(draw);
  return range(steps(batch)).map(() => { let x = 0, y = 0; for (let i = 0; i < batch; i++) { const p = cloud.points[Math.floor(ROWS * rng.uniform())]; x += p[0]; y += p[1]; } return [x / batch, y / batch]; });
}

function run(method, rate, batch, draw) {
  const way = [START], means = batches(batch, draw), m = [0, 0], v = method === "adagrad" ? [0.1, 0.1] : [0, 0];
  for (let k = 0; k < means.length; k++) {
    const t = rateAt(method, rate, k, batch);
    way.push(way[k].map((x, j) => {
      const g = CURVATURE[j] * (x - means[k][j]);
      if (method === "momentum") { m[j] = BETA * m[j] + g; return x - t * m[j]; }
      if (method === "adagrad") { v[j] += g * g; return x - (t * g) / Math.sqrt(v[j] + 1e-7); }
      if (method === "adam") { m[j] = 0.9 * m[j] + 0.1 * g; v[j] = 0.999 * v[j] + 0.001 * g * g; return x - (t * m[j]) / (1 - 0.9 ** (k + 1)) / (Math.sqrt(v[j] / (1 - 0.999 ** (k + 1))) + 1e-8); }
      return x - t * g;
    }));
    if (!(energy(way.at(-1)) < 1e12)) break;
  }
  return way;
}

// Expected energy after each step, for the methods that are linear: mean and covariance of (x, last step).
function expected(method, rate, batch) {
  if (method === "adagrad" || method === "adam") return null;
  const beta = method === "momentum" ? BETA : 0, v = scatter(batch), found = new Array(steps(batch) + 1).fill(0);
  CURVATURE.forEach((h, j) => {
    let x = START[j], d = 0, xx = 0, xd = 0, dd = 0;
    found[0] += (h * x * x) / 2;
    for (let k = 0; k < steps(batch); k++) {
      const t = rateAt(method, rate, k, batch), noise = t * t * v[j], a = 1 - t * h, c = -t * h;
      [xx, xd, dd] = [a * a * xx + 2 * a * beta * xd + beta * beta * dd + noise, a * c * xx + (a + c) * beta * xd + beta * beta * dd + noise, c * c * xx + 2 * c * beta * xd + beta * beta * dd + noise];
      d = beta * d - t * h * x; x += d;
      found[k + 1] += (h * (x * x + xx)) / 2;
    }
  });
  return found;
}
// Variance of x in each direction in the long run, at a constant rate.
export const floor = (rate, batch, beta) => scatter(batch).map((v, j) => { const h = CURVATURE[j]; return rate * h >= 2 * (1 + beta) ? Infinity : (rate * v * (1 + beta)) / (h * (1 - beta) * (2 * (1 + beta) - rate * h)); });

const RATES = geomspace(1e-3, 0.24, 60);
const known = {};
// The constant rate with the least expected energy after all passes.
const bestRate = (batch) => (known[batch] ??= (() => { const ends = RATES.map((r) => expected("sgd", r, batch).at(-1)), k = argmin(ends); return { rate: RATES[k], end: ends[k] }; })());

function compute({ rate, batch: at, method, draw }) {
  const batch = BATCHES[at], way = run(method, rate, batch, draw), E = way.map(energy), n = E.length, passes = E.map((_, k) => (k * batch) / ROWS);
  const part = (a, b) => E.slice(Math.floor(a * n), Math.floor(b * n) + 1), late = way.slice(n >> 1), middle = [0, 1].map((j) => mean(late.map((p) => p[j])));
  const steady = method === "sgd" || method === "momentum", spread = steady ? floor(rate, batch, method === "momentum" ? BETA : 0) : null;
  return {
    batch, way, E, passes, late, middle, done: n === steps(batch) + 1, spread, low: spread ? (CURVATURE[0] * spread[0] + CURVATURE[1] * spread[1]) / 2 : null, tail: mean(part(0.5, 1)),
    second: mean(part(0.25, 0.5)), last: mean(part(0.75, 1)), mean: energy(middle), expected: expected(method, rate, batch), best: bestRate(batch),
  };
}

const limit = (method) => (method === "momentum" ? (2 * (1 + BETA)) / CURVATURE[1] : 2 / CURVATURE[1]);
export const page = {
  id: "2.11",
  question: "Why does SGD stop getting better?",
  goal: "You will predict the level at which stochastic descent stays, and choose rate, batch and method for a given number of passes.",
  minutes: 20,
  needs: "gradient descent as on page 1.4, mean and variance",
  controls: {
    method: { kind: "choice", label: "method", options: METHODS, value: "sgd" },
    rate: { kind: "slider", label: "learning rate", min: 5e-4, max: 1, log: true, step: 0.05, value: 0.05, show: (x) => say(x) },
    batch: { kind: "slider", label: "rows in a batch", min: 0, max: BATCHES.length - 1, value: 0, play: 900, show: (k) => String(BATCHES[k]) },
  },
  hidden: { draw: 1 },
  guess: {
    ask: "Stochastic descent with a constant rate has come as near to the minimum as it gets in 20 passes over the rows. You let it run ten times longer. What happens to the error?",
    options: ["it falls tenfold", "it falls by $\\sqrt{10}$", "it stays as it is"], answer: 2,
    why: "Each step moves by the rate times the noise of one batch, and that noise does not fall. Only a lower rate, a larger batch or averaging brings the error down.",
  },
  sentence: [
    "Steps [[method]], $\\mu=$ [[rate]], from batches of [[batch]] of 200 rows. In 20 passes that makes {{steps}}; over the second half the height above the minimum is {{tail}} on average. {{formula}}",
  ],
  breaks: [
    { label: "Just too fast", patch: { method: "sgd", rate: 0.2506 }, why: "The rate exceeds $2/8$, twice the reciprocal of the largest curvature. No amount of noise is needed for that to fail." },
    { label: "Let the rate fall", patch: { method: "decay", rate: 0.1, batch: 0 }, why: "First far, then fine: the floor sinks with the rate, like $1/k$." },
    { label: "Momentum, same rate", patch: { method: "momentum", rate: 0.01, batch: 0 }, why: "With $\\beta = 0.9$ each gradient is used ten times over: it is ten times the rate in disguise, with about the floor of that rate." },
    { label: "Draw again", patch: (s) => ({ draw: s.draw + 1 }) },
  ],
  compute,
  values: (n) => ({ steps: `${say(steps(n.batch), 5)} steps`, tail: n.done ? say(n.tail) : "beyond all bounds", formula: n.low === null ? "No formula predicts it." : Number.isFinite(n.low) ? `The formula says ${say(n.low)}.` : "The formula has no answer." }),
  views: [
    {
      frame: () => ({ title: "Path, and the cloud it ends in", equal: true, height: 390, x: { min: -3.3, max: 2.2, label: "flat direction, curvature 1" }, y: { min: -2.4, max: 2.4, label: "steep direction, curvature 8" } }),
      draw(plot, n, s, { ghost }) {
        plot.dots(cloud.points.map((p) => p[0]), cloud.points.map((p) => p[1]), { color: "grey", size: 1.6, label: "minimisers of single rows" });
        const thin = (way) => way.filter((_, k) => k < 150 || k % Math.ceil(way.length / 700) === 0);
        if (ghost) { const late = thin(ghost.numbers.late); plot.dots(late.map((p) => p[0]), late.map((p) => p[1]), { color: "orange", size: 1.4, faint: true }); }
        const way = thin(n.way), late = thin(n.late);
        plot.line(way.map((p) => p[0]), way.map((p) => p[1]), { color: "orange", width: 0.7 });
        plot.dots(late.map((p) => p[0]), late.map((p) => p[1]), { color: "orange", size: 1.8, label: "second half of the steps" });
        if (n.spread && Number.isFinite(n.low)) { const t = range(91).map((k) => (k * Math.PI) / 45), [a, b] = n.spread.map((v) => 2 * Math.sqrt(v)); plot.line(t.map((u) => a * Math.cos(u)), t.map((u) => b * Math.sin(u)), { color: "green", label: "two predicted deviations" }); }
        plot.dots([n.middle[0]], [n.middle[1]], { color: "blue", shape: "diamond", size: 5, label: "their mean" });
        plot.dots([START[0]], [START[1]], { color: "ink", size: 4, label: "start" });
      },
    },
    {
      frame: () => ({ title: "Height above the minimum", height: 390, x: { min: 0, max: PASSES, label: "passes over the rows" }, y: { min: 1e-5, max: 100, log: true, label: "E − lowest" } }),
      draw(plot, n, s, { ghost }) {
        const every = Math.ceil(n.E.length / 500), pick = (a) => a.filter((_, k) => k % every === 0);
        if (ghost) { const e = Math.ceil(ghost.numbers.E.length / 300); plot.line(ghost.numbers.passes.filter((_, k) => k % e === 0), ghost.numbers.E.filter((_, k) => k % e === 0), { color: "orange", faint: true, width: 0.8 }); }
        plot.line(pick(n.passes), pick(n.E), { color: "orange", width: 1, label: "this run" });
        if (n.expected) plot.line(pick(n.expected.map((_, k) => (k * n.batch) / ROWS)), pick(n.expected), { color: "green", width: 2.2, label: "expected" });
        if (n.low !== null && Number.isFinite(n.low) && n.low > 0) plot.across(n.low, { color: "green", label: "floor" });
        plot.line([PASSES / 2, PASSES], [n.mean, n.mean], { color: "blue", width: 3, label: "mean of the second half" });
      },
    },
  ],
  table: (n) => ({ head: ["pass", "this run", "expected"], rows: [0, 0.5, 1, 2, 4, 8, 12, 16, 20].map((p) => { const k = Math.round((p * ROWS) / n.batch); return [p, k < n.E.length ? say(n.E[k]) : "beyond all bounds", n.expected ? say(n.expected[k]) : "no formula"]; }) }),
  claims: (n, s) => [
    { sentence: "It comes at least ten times nearer to the minimum.", holds: n.done && n.tail < energy(START) / 10, found: n.done ? `From ${say(energy(START))} to ${say(n.tail)}.` : "It runs away.", why: s.rate >= limit(s.method) && (s.method === "sgd" || s.method === "momentum") ? `The rate must stay below ${say(limit(s.method))}: the limit of the steep direction.` : s.rate < 0.01 ? "The rate is too low for 20 passes." : "With so few steps the rate is too low, or the noise is too strong for it." },
    { sentence: "It has stopped getting better: the last quarter is no better than 0.6 times the second.", holds: n.done && n.last >= 0.6 * n.second, found: n.done ? `Second quarter ${say(n.second)}, last ${say(n.last)}.` : "It runs away.", why: !n.done ? "Below the limit of stability it would." : s.method === "decay" || s.method === "adagrad" ? "The rate keeps falling, and the floor with it." : n.batch === ROWS ? "Batches of all rows carry no noise." : "It is still on its way; at this rate the flat direction needs more passes." },
    { sentence: "Over the second half the height is what the formula of the floor says, within 30 %.", holds: n.done && n.low !== null && Math.abs(n.tail / n.low - 1) < 0.3, found: n.low === null ? "The formula speaks of a constant rate." : `Found ${say(n.tail)}, formula ${say(n.low)}.`, why: n.low === null ? "Here each step has its own rate." : !Number.isFinite(n.low) ? "Beyond the limit of stability there is no floor." : n.tail > n.low ? "The start is not forgotten yet, or so few steps fluctuate." : "So few independent steps fluctuate: draw again." },
    { sentence: "The mean of the points of the second half is at least five times nearer than they are.", holds: n.done && n.mean * 5 <= n.tail, found: `Its height is ${say(n.mean)}, theirs ${say(n.tail)} on average.`, why: !n.done ? "It runs away." : "Averaging removes noise, not the way that is still to go: the steps must scatter round the minimum, and there must be many." },
    { sentence: "No constant rate is expected to be twice as good after these passes.", holds: n.done && n.tail <= 2 * n.best.end, found: `With this batch the best one is ${say(n.best.rate)}, expected to reach ${say(n.best.end)}.`, why: s.rate > n.best.rate ? "Your rate has a higher floor." : "At your rate the start is not forgotten in 20 passes." },
  ],
  text: [
    "## Where the floor is",
    "Each of the 200 rows $a_i$ is a point of the plane and asks for $\\tfrac12(x-a_i)'H(x-a_i)$ with the curvatures $H = \\operatorname{diag}(1, 8)$; $E(x)$ is the mean over the rows, lowest where $x$ is their mean, 0. A row's gradient is $H(x-a_i)$, which is $Hx$ in the mean and otherwise misleads by $-Ha_i$. A batch's gradient is the gradient plus noise, of variance $v$ in the direction at hand. With curvature $h$ and rate $\\mu$ a step is $x \\leftarrow (1-\\mu h)\\,x - \\mu\\,\\xi$. The first part forgets the start. The second adds variance $\\mu^2 v$ in every step, of which the first part keeps $(1-\\mu h)^2$; where the two balance,",
    "$$ \\operatorname{var}(x) = \\frac{\\mu^2 v}{1-(1-\\mu h)^2} = \\frac{\\mu\\, v}{h\\,(2-\\mu h)} . $$",
    "For small rates that is $\\mu v/2h$: half the rate, half the floor, and twice the steps to get there. A batch of $b$ rows drawn independently has $1/b$ of the variance and costs $b$ times as much: per pass over the data, a batch of 10 at the rate $10\\mu$ does about what a batch of 1 does at $\\mu$, as long as $10\\mu$ is stable.",
    "*Momentum* $\\beta$ makes it $\\dfrac{\\mu\\,v\\,(1+\\beta)}{h\\,(1-\\beta)\\,(2(1+\\beta)-\\mu h)}$, the floor of the rate $\\mu/(1-\\beta)$ for small $\\mu$: it moves faster and stops earlier, like a larger rate.",
    "## What brings it down",
    "*A falling rate*: with $\\mu_k \\sim 1/k$ the floor sinks like $1/k$. If it falls too soon, the start is never forgotten. *Averaging* keeps a large rate and takes the mean of the points: their scatter averages out, like $1/k$ too. *AdaGrad* divides by the root of the sum of squared gradients, so its rate falls by itself, like $1/\\sqrt k$, in each direction at its own pace. *Adam* divides by a running mean of squares, which does not grow: it has a floor of its own, set by the rate, and needs a schedule like plain descent.",
    "Rows here are drawn with replacement, so that the formula is exact. numdl shuffles them instead: each row once per pass, with a lower floor.",
  ],
  codeNote: "Copy it: it has your settings and prints the height after the last step, its mean over the second half, and the floor of plain descent.",
  code: (s) => `
import numpy as np

a = 0.6 * np.random.RandomState(11).standard_normal((200, 2))
a -= a.mean(axis=0)
h, x, rate, b = np.array([1, 8]), np.array([-3.0, 2.0]), ${s.rate}, ${BATCHES[s.batch]}
rng, heights, m, v = np.random.RandomState(${s.draw}), [], 0, ${s.method === "adagrad" ? "0.1" : "0"}
for k in range(4000 // b):
    rows = ${BATCHES[s.batch] === ROWS ? "np.arange(200)" : "(200 * rng.random_sample(b)).astype(int)"}
    g = h * (x - a[rows].mean(axis=0))
${{ sgd: "    x = x - rate * g", decay: "    x = x - rate / (1 + k * b / 400) * g", momentum: "    m = 0.9 * m + g\n    x = x - rate * m", adagrad: "    v = v + g**2\n    x = x - rate * g / np.sqrt(v + 1e-7)", adam: "    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2\n    x = x - rate * m / (1 - 0.9 ** (k + 1)) / (np.sqrt(v / (1 - 0.999 ** (k + 1))) + 1e-8)" }[s.method]}
    heights.append(h @ x**2 / 2)
    if not heights[-1] < 1e12:
        break
noise = h**2 * (a**2).mean(axis=0) / b
print(heights[-1], np.mean(heights[len(heights) // 2 :]))
print(h @ (rate * noise / (h * (2 - rate * h))) / 2 if rate < 0.25 else np.inf)
`,
  prints: (n, s) => [n.E.at(-1), mean(n.E.slice(1 + ((n.E.length - 1) >> 1))), s.rate < 0.25 ? CURVATURE.reduce((t, h, j) => t + (s.rate * h * h * cloud.spread[j]) / (2 * n.batch * (2 - s.rate * h)), 0) : Infinity],
  exercises: [
    { ask: "One unknown, curvature $h = 4$, a gradient with noise of variance $v = 2$. At which constant rate is the variance of $x$ in the long run 0.05? (Within 5 %.)", input: "μ =", right: 0.143, wrong: 0.2,
      check: ({ answer }) => { const passed = Math.abs(answer * 7 - 1) < 0.05; return { passed, say: passed ? "Passed: $2\\mu / (4(2-4\\mu)) = 0.05$ gives $\\mu = 1/7$." : Math.abs(answer - 0.2) < 0.005 ? "That is from $\\mu v/2h$, which holds for small rates only. This one is not small: $\\mu h = 0.8$." : "Solve $\\mu v/(h(2-\\mu h)) = 0.05$." }; } },
    { ask: "In the figure: plain descent, batches of 1, 20 passes. Which constant rate is expected to end lowest? Find it; the last claim knows. (Within 15 %.)", input: "μ =", right: 0.0011, wrong: 0.05,
      check: ({ answer }) => { const best = bestRate(1), passed = Math.abs(answer / best.rate - 1) < 0.15; return { passed, say: passed ? `Passed: ${say(best.rate)} ends at ${say(best.end)} on average. It forgets the start just in time.` : answer > best.rate ? "It ends on a higher floor than necessary." : "It has not forgotten the start by then." }; } },
  ],
  sources: [
    "H. Robbins and S. Monro, *Annals of Mathematical Statistics* 22 (1951); B. T. Polyak and A. B. Juditsky, *SIAM Journal on Control and Optimization* 30 (1992), for averaging; L. Bottou, F. Curtis and J. Nocedal, *SIAM Review* 60 (2018), section 4.",
    "D. P. Kingma and J. Ba, Adam, *ICLR* 2015; J. Duchi, E. Hazan and Y. Singer, AdaGrad, *Journal of Machine Learning Research* 12 (2011).",
    "In numdl: `minimize_stochastic` with `StochasticGradient`, which takes any transformation of optax.",
  ],
  trials: METHODS.flatMap(([method], i) => [[0.05, 0], [0.005, 1], [0.2, 3], [0.02, 2], [0.7, 6]].map(([rate, batch], j) => ({ method, rate: method === "adagrad" ? Math.min(1, 5 * rate) : rate, batch: (batch + (j % 2) * (i % 3)) % 7, draw: 1 + i + j }))),
  compare: (n, s) => ({
    way: n.way.slice(0, 100).flat(), end: n.way.at(-1), length: n.way.length, tail: n.tail, mean: n.middle, spread: n.spread ?? [], expected: (n.expected ?? []).filter((_, k) => k % 20 === 0 && k <= 200), batch: n.batch,
  }),
};
