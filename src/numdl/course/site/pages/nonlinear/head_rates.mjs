// 2.12: which unknowns need a learning rate?
import { argmin, dot, geomspace, random, range, svd, sum, transpose, zeros } from "../../lib/numerics.mjs";
import { ROWS, bestHead, drawn, errorOf, rows, units } from "../../lib/peaks.mjs";
import { say } from "../../lib/plot.mjs";

const UNITS = 8, SCALE = 2, EPOCHS = 4, RATES = geomspace(1e-3, 1, 7), LOOKS = 30, TRIALS = range(25).map((k) => 10 ** (-10 + k / 2)), KEPT = 20, DOUBLE = 64;
const BATCHES = [["10", "batches of 10 rows"], ["50", "batches of 50 rows"], ["300", "all 300 rows at once"]];
const ALPHAS = [["chosen", "chosen from the batches by GCV"], ["1e-6", "held at 10⁻⁶"], ["1e-2", "held at 0.01"], ["1", "held at 1"]];
const memoryOf = (batch) => Math.ceil((KEPT * (UNITS + 1)) / batch);

// numdl.course.site.watched.batches: each epoch in the order of uniform numbers.
function batches(batch, draw) {
  const rng = random(draw), found = [];
  for (let k = 0; k < EPOCHS; k++) {
    const u = rng.uniforms(ROWS), order = range(ROWS).sort((i, j) => u[i] - u[j]);
    for (let i = 0; i < ROWS; i += batch) found.push(order.slice(i, i + batch));
  }
  return found;
}

// optax.adam(1.0) on a list of numbers: returns move(p, g, rate).
function adam(size) {
  const m = zeros(size), v = zeros(size);
  let k = 0;
  return (p, g, rate) => {
    k++;
    for (let i = 0; i < size; i++) {
      m[i] = 0.9 * m[i] + 0.1 * g[i]; v[i] = 0.999 * v[i] + 0.001 * g[i] ** 2;
      p[i] -= (rate * m[i]) / (1 - 0.9 ** k) / (Math.sqrt(v[i] / (1 - 0.999 ** k)) + 1e-8);
    }
  };
}
// Weights as one list: k and b of the first unit, of the second, ...
const layerOf = (p) => ({ K: range(UNITS).map((i) => [p[3 * i], p[3 * i + 1]]), b: range(UNITS).map((i) => p[3 * i + 2]) });
const listOf = ({ K, b }) => K.flatMap((k, i) => [...k, b[i]]);

// Slope of the mean misfit of a batch in the weights of the layer, from features, residuals and head.
function slope(x, Z, rest, w) {
  const g = zeros(3 * UNITS), n = x.length;
  for (let r = 0; r < n; r++) for (let i = 0; i < UNITS; i++) {
    const d = (rest[r] * w[i] * (1 - Z[r][i] ** 2)) / n;
    g[3 * i] += d * x[r][0]; g[3 * i + 1] += d * x[r][1]; g[3 * i + 2] += d;
  }
  return g;
}

// The head after a batch, by the sampled limited-memory Tikhonov step of numdl.problems.SlimTrain. memory: {past: [{Z, c}], alpha, chosen}.
function headStep(w, Z, c, memory, kept, fixed) {
  const n = Z.length, root2 = 1 / n, all = [...memory.past, { Z, c }], count = n * all.length, m = UNITS;
  const centre = zeros(m);
  let middle = 0;
  for (const one of all) one.Z.forEach((z, i) => { for (let j = 0; j < m; j++) centre[j] += z[j] / count; middle += one.c[i] / count; });
  const A = range(m).map(() => zeros(m)), seen = zeros(m);
  let energy = 0;
  for (const one of all) one.Z.forEach((z, i) => {
    const t = one.c[i] - middle, d = z.map((x, j) => x - centre[j]);
    energy += root2 * t * t;
    for (let j = 0; j < m; j++) { seen[j] += root2 * t * d[j]; for (let k = 0; k < m; k++) A[j][k] += root2 * d[j] * d[k]; }
  });
  const { s, V } = svd(A), rest = Z.map((z, i) => dot(z, w) + w[m] - c[i]), rotate = (a) => V.map((v) => dot(v, a));
  const pulled = rotate(centre.map((x, j) => root2 * sum(rest.map((r, i) => r * (Z[i][j] - x))))), shift = sum(rest) / count, told = rotate(seen);
  let after = memory.alpha, chosen = memory.chosen;
  if (!fixed) {
    const trials = TRIALS.map((t) => s[0] * t), criterion = trials.map((t) => {
      const misfit = Math.max(energy - sum(told.map((b, i) => (b * b * (s[i] + 2 * t)) / (s[i] + t) ** 2)), 0), free = count - 1 - sum(s.map((x) => x / (x + t)));
      return free > 1e-6 * count ? misfit / free ** 2 : Infinity;
    });
    const best = argmin(criterion), factor = 2 ** Math.min(n / DOUBLE, 1);
    if (Number.isFinite(criterion[best])) { after = chosen ? Math.min(Math.max(trials[best], after / factor), after * factor) : trials[best]; chosen = true; } else if (!chosen) after = s[0];
  }
  const before = memory.chosen || fixed ? memory.alpha : after, held = rotate(w.slice(0, m)), turned = pulled.map((b, i) => (b + (after - before) * held[i]) / (s[i] + after));
  const inner = range(m).map((j) => sum(turned.map((t, i) => t * V[i][j])));
  memory.past = kept ? [...memory.past, { Z, c }].slice(-kept) : [];
  memory.alpha = after; memory.chosen = chosen;
  return [...inner.map((x, j) => w[j] - x), w[m] - (shift - dot(inner, centre))];
}

// One training: errors on the rows to test at LOOKS moments, the parameters that were chosen, and where it ended.
function train(method, rate, batch, alpha, kept, draw) {
  const { x, c } = rows(), rng = random(draw + 100), p = listOf(drawn(draw, UNITS, SCALE)), parts = batches(batch, draw), move = adam(method === "adam" ? 4 * UNITS + 1 : 3 * UNITS);
  let w = method === "adam" ? range(UNITS + 1).map(() => rng.normal() / 4) : zeros(UNITS + 1);
  const memory = { past: [], alpha: alpha === "chosen" ? 1e-6 : Number(alpha), chosen: false }, errors = [], alphas = [], at = [];
  parts.forEach((index, k) => {
    const rowsX = index.map((i) => x[i]), t = index.map((i) => c[i]), layer = layerOf(p), Z = rowsX.map((row) => units(layer, row));
    if (method === "slim") w = headStep(w, Z, t, memory, kept, alpha !== "chosen");
    const rest = Z.map((z, i) => dot(z, w) + w[UNITS] - t[i]), g = slope(rowsX, Z, rest, w);
    if (method === "adam") {
      const n = t.length, q = [...p, ...w];
      move(q, [...g, ...range(UNITS).map((j) => sum(rest.map((r, i) => r * Z[i][j])) / n), sum(rest) / n], rate);
      for (let i = 0; i < p.length; i++) p[i] = q[i];
      w = q.slice(p.length);
    } else move(p, g, rate);
    if ((k + 1) % Math.ceil(parts.length / LOOKS) === 0) { at.push(((k + 1) * EPOCHS) / parts.length); errors.push(errorOf(layerOf(p), w)); alphas.push(memory.alpha); }
  });
  const layer = layerOf(p);
  return { errors, alphas, at, end: errors.at(-1), best: errorOf(layer, bestHead(x.map((row) => units(layer, row)), c)) };
}

const kept = {};
const all = (method, batch, alpha, memory, draw) => (kept[[method, batch, alpha, memory, draw]] ??= RATES.map((rate) => train(method, rate, batch, alpha, memory, draw)));
function compute({ rate, batch, alpha, forget, draw }) {
  const b = Number(batch), memory = forget ? 0 : memoryOf(b), adams = all("adam", b, "", 0, draw), slims = all("slim", b, alpha, memory, draw), ends = (runs) => runs.map((run) => run.end);
  const least = (runs) => Math.min(...ends(runs)), wide = (runs) => ends(runs).filter((e) => e < 1).length;
  return { adams, slims, adam: adams[rate], slim: slims[rate], bestAdam: least(adams), bestSlim: least(slims), wide: [wide(adams), wide(slims)], ratio: Math.exp(sum(RATES.map((_, k) => Math.log(adams[k].end / slims[k].end))) / RATES.length), memory };
}

const axis = { min: 1e-3, max: 1, log: true, label: "learning rate" };
export const page = {
  id: "2.12",
  question: "Which unknowns need a learning rate?",
  goal: "You will train the same network twice, once with a rate for all weights and once with a rate for the layer only, and see what a wrong rate costs.",
  minutes: 20,
  needs: "pages 2.8 and 2.11: the best head of a layer, and steps on batches",
  controls: {
    rate: { kind: "slider", label: "learning rate", min: 0, max: RATES.length - 1, value: 3, play: 700, show: (k) => say(RATES[k], 2) },
    batch: { kind: "choice", label: "batches", options: BATCHES, value: "10" },
    alpha: { kind: "choice", label: "penalty of the head", options: ALPHAS, value: "chosen" },
  },
  hidden: { draw: 1, forget: 0 },
  guess: {
    ask: "A small network, 8 units and a head, learns a surface of three hills and hollows (page 2.2) from 300 rows. It learns from batches of 10, four times through all of them. Adam at the rate 0.1 ends with an error of 0.77. Now the rate is a hundred times smaller, 0.001, and the time is the same. What does Adam reach? Predicting the mean has error 1.",
    options: ["about 0.8", "about 0.9", "more than 1: worse than the mean"], answer: 2, see: { rate: 0 },
    why: "It ends at 1.23: its head has not even found the mean level of the targets. With the head solved for and only the layer left to the same rate, the error is 0.83.",
  },
  sentence: [
    "At the rate [[rate]], with [[batch]], Adam on all weights ends with an error of {{adam}}. If only the layer follows that rate, and a step without a rate moves the head, its penalty [[alpha]], it is {{slim}}. The best head for that layer would bring {{best}}.",
  ],
  breaks: [
    { label: "A hundred times too slow", patch: { rate: 0, batch: "10", alpha: "chosen", forget: 0 }, why: "At this rate the layer hardly moves in either training. Adam's head does not arrive either; the other head is there after the first few batches, because it is computed and not descended to." },
    { label: "Forget earlier batches", patch: { rate: 3, batch: "10", alpha: "chosen", forget: 1 }, why: "Ten rows cannot determine nine numbers of a head: without a memory each batch drags the head to its own best, and GCV sees ten rows that can all be met." },
    { label: "Remember again", patch: { forget: 0 }, why: "The features of the last 180 rows are kept, as they were when their batch came: 20 rows for each unknown of the head." },
    { label: "Other weights", patch: (s) => ({ draw: (s.draw % 9) + 1 }) },
  ],
  compute,
  values: (n) => ({ adam: say(n.adam.end), slim: say(n.slim.end), best: say(n.slim.best) }),
  views: [
    {
      wide: true,
      frame: () => ({ title: "Error on new rows after four epochs", height: 270, x: axis, y: { min: 0.4, max: 4, log: true, label: "error / spread", ticks: [0.5, 0.7, 1, 2, 4] } }),
      draw(plot, n, s, { change, ghost, open }) {
        const seen = range(RATES.length).filter((k) => open || k >= s.rate), at = seen.map((k) => RATES[k]); // lower rates answer the guess
        if (ghost) plot.line(RATES, ghost.numbers.slims.map((run) => run.end), { color: "grey", faint: true });
        plot.across(1, { label: "the mean of the targets" });
        for (const [runs, color, shape, label] of [[n.adams, "orange", "square", "Adam on all weights"], [n.slims, "blue", "circle", "Adam on the layer, head solved for"]]) {
          plot.line(at, seen.map((k) => runs[k].end), { color, label });
          plot.dots(at, seen.map((k) => runs[k].end), { color, shape });
        }
        const to = (x) => argmin(RATES.map((r) => Math.abs(Math.log(r / Math.max(x, 1e-9)))));
        plot.handle("rate", RATES[s.rate], n.slim.end, { upright: true, color: "ink", label: "learning rate", value: say(RATES[s.rate], 2), move: (x) => change({ rate: to(x) }), nudge: (dx, dy) => change({ rate: s.rate + dx + dy }) });
      },
    },
    {
      frame: () => ({ title: "Error on new rows on the way", height: 280, x: { min: 0, max: EPOCHS, label: "passes over all rows" }, y: { min: 0.4, max: 4, log: true, label: "error / spread", ticks: [0.5, 0.7, 1, 2, 4] } }),
      draw(plot, n) {
        plot.across(1);
        plot.line(n.adam.at, n.adam.errors, { color: "orange", label: "Adam on all weights" });
        plot.line(n.slim.at, n.slim.errors, { color: "blue", label: "head solved for" });
      },
    },
    {
      frame: () => ({ title: "Penalty of the head", height: 280, x: { min: 0, max: EPOCHS, label: "passes over all rows" }, y: { min: 1e-9, max: 1000, log: true, label: "sum of the parameters Λ" } }),
      draw(plot, n) { plot.line(n.slim.at, n.slim.alphas, { color: "blue", label: "as used after each batch" }); },
    },
  ],
  table: (n) => ({ head: ["rate", "Adam on all weights", "head solved for", "best head of that layer"], rows: RATES.map((r, k) => [say(r, 2), say(n.adams[k].end), say(n.slims[k].end), say(n.slims[k].best)]) }),
  claims: (n, s) => [
    { sentence: "At this rate solving for the head is better than descending to it.", holds: n.slim.end < n.adam.end, found: `Error ${say(n.slim.end)} against ${say(n.adam.end)}.`, why: n.memory ? "Where Adam has a good rate it can be as good: both move the layer in the same way." : "Without a memory each batch has a head of its own, which is noise for all others." },
    { sentence: "At every rate of the figure the result is better than the mean of the targets.", holds: n.wide[1] === RATES.length, found: `With the head solved for at ${n.wide[1]} of ${RATES.length} rates, with Adam at ${n.wide[0]}.`, why: n.memory ? "A rate that throws the layer about spoils any head." : "The head follows the last batch alone." },
    { sentence: "The head is within 10 % of the best head for its layer.", holds: n.slim.end <= 1.1 * n.slim.best, found: `Error ${say(n.slim.end)}; the best head has ${say(n.slim.best)}.`, why: !n.memory ? "It knows ten rows." : s.rate >= 4 ? "At this rate the layer moves so fast that the features in memory are old: the head fits a layer that is no more." : "The penalty holds it back, or its rows are few." },
    { sentence: "Over the seven rates together Adam's error is at least 1.2 times as large.", holds: n.ratio >= 1.2, found: `In the geometric mean ${say(n.ratio)} times.`, why: n.memory ? "It depends on the draw: a good rate for Adam exists in each, only one has to find it." : "A head without a memory loses what it could gain." },
  ],
  text: [
    "## A head needs no rate",
    "The model is the network of page 2.2 with 8 units, $s = W\\,[\\tanh(Kx+b);\\,1]$. Its misfit is quadratic in the head $W$ and anything but quadratic in $K$ and $b$. For the latter a step size has to be found, page 2.11; for a quadratic function the minimiser can be computed, page 2.8. With batches one cannot, as a batch does not see all rows. But one can do a little more than a gradient step: with the rows $M_j$ of features of this batch and of the last $r$ batches,",
    "$$ W_k = W_{k-1} - \\big(\\text{slope of this batch at } W_{k-1} + (\\Lambda_k-\\Lambda_{k-1})\\,W_{k-1}\\big)\\Big(\\sum_{j=k-r}^{k} M_j'M_j + \\Lambda_k I\\Big)^{-1}. $$",
    "If the memory holds all batches and the layer stands still, $W_k$ is after every step the Tikhonov head of all rows seen so far, with the parameter $\\Lambda_k$, whatever their order. There is no rate in it. The layer then takes Adam's step from the gradient at the new head. Both trainings cost one pass forwards and one backwards for each batch.",
    "The parameter is chosen as on page 1.8: by GCV of the rows in memory, batch by batch, at most a small factor away from the last one. Hold it at $10^{-6}$ or at 1 and compare: the choice costs nothing and spares a second number that one would have to find.",
    "What remains is the rate of the layer, and it matters less: a poor layer with its best head is still a fair model, while a good layer with a head that has not arrived is none. At the best rate of Adam the difference is small. The point is that one need not know it.",
    "*Where this fails.* Without memory, ten rows determine nine numbers of the head, badly. And at high rates the layer runs away from the features in memory: compare the error with that of the best head of the same layer in the table.",
  ],
  codeNote: "It trains with numdl's `SlimTrain` and prints the error at the end, and that of the best head for the same layer.",
  code: (s) => `
import jax, numpy as np, optax
from numdl.course.site.watched import batches, error_of, head_race, rms
from numdl.problems import SlimTrain

with jax.enable_x64(True):
    problem, theta, head, test = head_race(draw=${s.draw})
    method = SlimTrain(optax.adam(1.0), ${s.alpha === "chosen" ? "" : `alpha=${s.alpha}, fixed=True, `}memory=${s.forget ? 0 : memoryOf(Number(s.batch))})
    parts = jax.numpy.asarray(batches(${s.batch}, ${s.draw}))
    now, step = method.init(problem.rows(parts[0]), theta, head), jax.jit(method.step)
    for index in parts:
        now = step(problem.rows(index), now, ${RATES[s.rate] === 1 ? "1.0" : RATES[s.rate]})
    layer = now.p["opening"]
    print(rms(test, now.p, now.aux), error_of(*map(np.asarray, (layer["K"], layer["b"]))))
`,
  prints: (n) => [n.slim.end, n.slim.best],
  exercises: [
    { ask: "One row in a batch, and no memory. Its residual was 3 before the step; the fit with the parameter $\\Lambda$ leaves $(1-T)\\cdot 3$ of it, where $T$ is its own filter factor, between 0 and 1. What is $G(\\Lambda) = N|r|^2/(N-T)^2$ with $N = 1$?", input: "G", right: 9, wrong: 3,
      check: ({ answer }) => ({ passed: Math.abs(answer - 9) < 1e-9, say: Math.abs(answer - 9) < 1e-9 ? "Passed: $9(1-T)^2/(1-T)^2 = 9$, for every $\\Lambda$. One row says nothing about the penalty, so nothing is gained without a memory." : "Put $r = 3(1-T)$ and $N = 1$ into $G$: something cancels." }) },
    { ask: "With batches of 10 rows and the first draw of weights: how many of the seven rates let Adam on all weights end below 0.8?", input: "number of rates", right: 2, wrong: 7,
      check: ({ answer }) => { const count = all("adam", 10, "", 0, 1).filter((run) => run.end < 0.8).length, mine = all("slim", 10, "chosen", memoryOf(10), 1).filter((run) => run.end < 0.8).length, passed = Math.round(answer) === count; return { passed, say: passed ? `Passed. With the head solved for it is ${mine} of 7.` : "Play the rates, or open the table under the figure." }; } },
  ],
  sources: [
    "E. Newman, J. Chung, M. Chung and L. Ruthotto, slimTrain: a stochastic approximation method for training separable deep neural networks, *SIAM J. Sci. Comput.* 44 (2022), section 3.",
    "J. Chung, M. Chung, J. T. Slagel and L. Tenorio, Sampled limited memory methods for massive linear inverse problems, *Inverse Problems* 36 (2020).",
    "In numdl: `numdl.problems.SlimTrain`, with more rows and deeper networks in `numdl experiment run slim-train`.",
  ],
  tolerance: 1e-7, // 120 steps repeat the rounding of each other
  trials: [["10", "chosen", 0], ["50", "chosen", 0], ["10", "1e-2", 0], ["300", "chosen", 0], ["10", "chosen", 1]].flatMap(([batch, alpha, forget], k) => [0, 2, 4, 6].map((rate) => ({ batch, alpha, forget, rate, draw: k === 1 ? 2 : 1 }))),
  compare: (n) => ({ adam: n.adam.end, slim: n.slim.end, best: n.slim.best, alpha: n.slim.alphas.at(-1) }),
};
