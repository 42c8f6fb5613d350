// 2.3: how many units, how many layers?
import { timed_data } from "../../data/timed_data.mjs";
import { dot, range, sum } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// On [0, 1]: m relu units with equally spaced bends, L layers of two units that fold the interval, and a head that sees all of them.
const N = 832, X = range(N).map((i) => (i + 0.5) / N), WIDTHS = range(8).map((k) => 2 ** k), FOLDS = 7, KINK = 1 / 3;
const tent = (x) => 2 * Math.min(x, 1 - x), folded = (k) => X.map((x) => { for (let i = 0; i < k; i++) x = tent(x); return x; });
const TARGETS = {
  sine: X.map((x) => Math.sin(4 * x)), parabola: X.map((x) => x * x), kink: X.map((x) => Math.abs(x - KINK)),
  takagi: X.map((x) => { let s = 0; for (let k = 1; k <= 24; k++) { x = tent(x); s += x / 2 ** k; } return s; }),
};
const KINDS = [["sine", "a sine wave, sin 4x"], ["parabola", "a parabola, x²"], ["kink", "a kink, |x − 1/3|"], ["takagi", "Takagi's curve, kinks on all scales"]];

// Orthonormal functions of the widths' spans, then of the folds, by Gram and Schmidt; null where one adds nothing.
const kept = {};
const spans = (k, bend) => (kept[`${k} ${bend}`] ??= (() => {
  const m = WIDTHS[k], Q = [], hats = range(m + 1).map((j) => X.map((x) => Math.max(0, 1 - Math.abs(m * x - j))));
  return [...hats, ...(bend ? [X.map((x) => Math.max(0, x - KINK))] : []), ...range(FOLDS).map((i) => folded(i + 1))].map((f) => {
    const q = Float64Array.from(f), size = Math.sqrt(dot(q, q));
    for (let pass = 0; pass < 2; pass++) for (const v of Q) { const t = dot(v, q); if (t !== 0) for (let i = 0; i < N; i++) q[i] -= t * v[i]; }
    const left = Math.sqrt(dot(q, q));
    if (left < 1e-10 * size) return null;
    for (let i = 0; i < N; i++) q[i] /= left;
    Q.push(q);
    return q;
  });
})());

const done = {};
// What is left of the target for this width and each number of folds: error over the target's size, and the functions.
const fits = (target, k, bend) => (done[`${target} ${k} ${bend}`] ??= (() => {
  const c = TARGETS[target], r = Float64Array.from(c), size = Math.sqrt(dot(c, c)), all = spans(k, bend), first = all.length - FOLDS, found = [];
  all.forEach((q, i) => {
    if (q) { const t = dot(q, r); for (let j = 0; j < N; j++) r[j] -= t * q[j]; }
    if (i >= first - 1) found.push({ error: Math.sqrt(dot(r, r)) / size, left: Array.from(r) });
  });
  return found;
})());
// Networks that numdl has trained for the same target: seconds of training and error after some iterations, medians of five starts.
const TRAINED = [["8", "8"], ["32", "32"], ["128", "128"], ["8 8", "8, 8"], ["4 4 4 4", "4, 4, 4, 4"], ["8 8 8 8", "8, 8, 8, 8"]];
const training = (target) => TRAINED.map(([key, name]) => {
  const { errors, seconds, weights: count } = timed_data.trained[target][key];
  return { name, count, errors, layers: key.split(" ").length, seconds: timed_data.iterations.map((k) => (k + 1) * seconds) };
});
const weights = (m, L, bend = 0) => 3 * m + 1 + 8 * L - 2 * (L > 0) + 3 * bend;

function compute({ width: k, folds: L, target, bend }) {
  const one = (i, l) => fits(target, i, bend)[l].error, m = WIDTHS[k], now = fits(target, k, bend)[L], W = weights(m, L, bend);
  const shallow = WIDTHS.map((_, i) => one(i, 0)), same = WIDTHS.map((_, i) => one(i, L)), deep = range(FOLDS + 1).map((l) => one(0, l)), here = range(FOLDS + 1).map((l) => one(k, l));
  const at = WIDTHS.map((w) => weights(w, 0, bend)), i = Math.min(Math.max(at.findIndex((w) => w > W) - 1, 0), 6), spot = at.at(-1) < W ? 6 : i, t = Math.log(W / at[spot]) / Math.log(at[spot + 1] / at[spot]);
  const alike = Math.exp((1 - t) * Math.log(shallow[spot]) + t * Math.log(shallow[spot + 1])), from = Math.min(k, 6);
  const trained = training(target), end = (one) => one.errors.at(-1), best = trained.reduce((a, b) => (end(b) < end(a) ? b : a)), deepest = trained.filter((one) => one.layers > 1).map(end);
  return { trained, best, bestError: end(best), deepest: Math.min(...deepest), m, W, error: now.error, left: now.left, f: TARGETS[target].map((c, j) => c - now.left[j]), c: TARGETS[target], shallow, same, deep, here, alike, wider: same[from] / same[from + 1], from: WIDTHS[from], deeper: L < FOLDS ? here[L] / here[L + 1] : here[L - 1] / here[L], pieces: Math.max(m, 2 ** L), exact: now.error < 1e-12 };
}

const percent = (x) => (x < 1e-12 ? "rounding only" : `${say(100 * x)} %`), times = (x, exact) => (exact ? "nothing is left" : say(x, 3));
const made = new Set(["parabola", "takagi"]); // of folds
const slow = { sine: "", parabola: "", kink: "The piece with the kink has width $1/m$ and error $1/m$ in it: that gives $m^{-3/2}$ in the root of the mean square, and hides all that the other pieces gain.", takagi: "With kinks on all scales each piece looks as rough as the whole: the error falls like $1/m$." };

export const page = {
  id: "2.3",
  question: "How many units, how many layers?",
  goal: "You will predict how fast the error falls with the units of one layer, and see for which functions layers beat units.",
  minutes: 15,
  needs: "least squares; page 2.1",
  controls: {
    width: { kind: "slider", label: "units in the first layer", min: 0, max: WIDTHS.length - 1, value: 1, play: 600, show: (k) => String(WIDTHS[k]) },
    folds: { kind: "slider", label: "folding layers", min: 0, max: FOLDS, value: 0, play: 600, show: String },
    target: { kind: "choice", label: "target", options: KINDS, value: "parabola" },
  },
  hidden: { bend: 0 },
  guess: {
    ask: "One layer of 64 relu units bends a line 64 times, and follows a parabola with a certain error. If units may stand in layers, one behind the other, how many of them reach the very same error?",
    options: ["64: a bend is a bend", "about 32", "12"], answer: 2, see: { width: 0, folds: 6 },
    why: "Two units fold the interval in half. Six folds, one after the other, make $2^6 = 64$ pieces with 12 units, and for a parabola these are the right pieces.",
  },
  sentence: [
    "Follow [[target]] with [[width]] relu units in one layer{{bend}} and [[folds]] layers that fold the interval, two units each. With {{weights}} weights the error is {{error}} of the target. Twice the units divide it by {{wider}}, another fold by {{deeper}}.",
  ],
  breaks: [
    { label: "Twelve units in six layers", patch: { target: "parabola", width: 0, folds: 6, bend: 0 }, why: "One unit for the slope and six folds. Now set the folds to 0 and the units to 64: the error is the same." },
    { label: "Break it: fold a sine", patch: { target: "sine", width: 2, folds: 7, bend: 0 }, why: "Seven folds have 128 pieces, but not the freedom to put them where a sine needs them. What depth buys depends on the target." },
    { label: "Move one bend", patch: { target: "kink", width: 2, folds: 0, bend: 1 }, why: "One more unit, with its bend at 1/3, and the error is gone. Equally spaced bends never find it; this is what training the first layer can do, page 2.2." },
  ],
  compute,
  values: (n, s) => ({ weights: String(n.W), error: percent(n.error), wider: times(n.wider, n.exact), deeper: times(n.deeper, n.exact), bend: s.bend ? ", one more with its bend at 1/3," : "" }),
  views: [
    {
      frame: (n) => ({ title: "Target and network", height: 320, x: { min: 0, max: 1, label: "x" }, y: { min: Math.min(...n.c) - 0.1, max: Math.max(...n.c) + 0.1, label: "value" } }),
      draw(plot, n, s, { ghost }) {
        if (ghost && ghost.settings.target === s.target) plot.line(X, ghost.numbers.f, { color: "blue", faint: true, width: 4, label: "your last setting" });
        plot.line(X, n.c, { color: "grey", width: 3.5, label: "target" });
        plot.line(X, n.f, { color: "blue", width: 1.8, label: "network" });
      },
    },
    {
      frame: () => ({ title: "Error over weights", height: 320, x: { min: 3.5, max: 460, log: true, label: "weights", ticks: [4, 10, 30, 100, 300] }, y: { min: 1e-6, max: 2, log: true, label: "error / target" } }),
      draw(plot, n, s, { change }) {
        const show = (e) => e.map((x) => Math.max(x, 1e-9)), at = (L) => WIDTHS.map((m) => weights(m, L, s.bend));
        plot.line(at(0), show(n.shallow), { color: "orange", label: "one layer, more units" });
        plot.dots(at(0), show(n.shallow), { color: "orange", size: 2.6 });
        plot.line(range(FOLDS + 1).map((l) => weights(1, l, s.bend)), show(n.deep), { color: "green", label: "one unit, more folds" });
        plot.dots(range(FOLDS + 1).map((l) => weights(1, l, s.bend)), show(n.deep), { color: "green", shape: "diamond", size: 2.6 });
        if (s.folds) plot.line(at(s.folds), show(n.same), { color: "orange", dash: "5 4", width: 1.4, label: `${s.folds} folds, more units` });
        const to = (x) => WIDTHS.reduce((k, m, j) => (Math.abs(Math.log(weights(m, s.folds, s.bend) / x)) < Math.abs(Math.log(weights(WIDTHS[k], s.folds, s.bend) / x)) ? j : k), 0);
        plot.handle("now", n.W, Math.max(n.error, 1e-6), { color: "blue", label: "units and folds", value: `${n.m} units, ${s.folds} folds`, move: (x) => change({ width: to(x) }), nudge: (dx, dy) => change({ width: s.width + dx, folds: s.folds + dy }) });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Trained instead: error over seconds of training", height: 260, x: { min: 4e-4, max: 2, log: true, label: "seconds of one core, without compiling" }, y: { min: 1e-7, max: 1, log: true, label: "error / target" } }),
      draw(plot, n) {
        plot.across(Math.max(n.error, 1e-7), { color: "blue", label: "yours: only the head is fitted" });
        for (const one of n.trained) {
          const color = one.layers > 1 ? "green" : "orange";
          plot.line(one.seconds, one.errors, { color, width: 1.5, dash: one.layers > 1 ? "6 3" : "", label: one.layers > 1 ? "several layers" : "one layer" });
          plot.dots(one.seconds.slice(-1), one.errors.slice(-1), { color, size: 3, shape: one.layers > 1 ? "diamond" : "circle" });
          plot.note(one.seconds.at(-1), one.errors.at(-1), one.name, { color, dx: 7, dy: one.layers > 1 ? -3 : 11 });
        }
      },
    },
    {
      wide: true,
      frame: (n) => { const top = 1.15 * Math.max(1e-7, ...n.left.map(Math.abs)); return { title: "What is left", height: 190, x: { min: 0, max: 1, label: "x" }, y: { min: -top, max: top, label: "left over", ticks: [-top / 1.15, 0, top / 1.15].map((v) => [v, say(v, 2)]) } }; },
      draw(plot, n) {
        plot.across(0, { color: "grey" });
        plot.line(X, n.left, { color: "purple", width: 1.5, label: "error" });
      },
    },
  ],
  table: (n, s) => ({ head: ["units", "weights, one layer", "error", `error with ${s.folds} folds`, "folds", "weights, one unit", "error, one unit"], rows: range(FOLDS + 1).map((i) => [i < 8 ? WIDTHS[i] : "", i < 8 ? weights(WIDTHS[i], 0, s.bend) : "", i < 8 ? say(n.shallow[i]) : "", i < 8 ? say(n.same[i]) : "", i, weights(1, i, s.bend), say(n.deep[i])]) }),
  claims: (n, s) => [
    { sentence: "Twice the units make the error at least 3.5 times smaller.", holds: n.exact || n.wider >= 3.5, found: n.exact ? "Nothing is left." : `From ${n.from} to ${2 * n.from} units it is divided by ${say(n.wider)}.`, why: n.pieces > n.m && s.folds ? "The folds have made finer pieces already, and what they have left over takes more units." : slow[s.target] || "There are too few pieces for the law to be seen yet." },
    { sentence: "Another fold makes it at least 3.5 times smaller.", holds: n.exact || n.deeper >= 3.5, found: n.exact ? "Nothing is left." : `It divides the error by ${say(n.deeper)}.`, why: 2 ** (s.folds + 1) <= n.m ? `${n.m} units have made these pieces already: the next fold has ${2 ** (s.folds + 1)} only.` : s.target === "takagi" ? "It halves it, for 8 weights, however many pieces there are already." : "A fold does the same in all pieces. This target does not repeat itself." },
    { sentence: "One layer with as many weights would be worse.", holds: s.folds > 0 && !n.exact && n.alike > 1.05 * n.error, found: n.exact ? "Nothing is left to be better at." : `It would have an error of about ${percent(n.alike)}, this network has ${percent(n.error)}.`, why: s.folds === 0 ? "This is one layer." : "The weights of the folds would be better spent on units." },
    { sentence: "One of the trained networks does better than yours, which only has its head fitted.", holds: n.bestError < n.error, found: `At the end of training layers of ${n.best.name} units are at ${percent(n.bestError)}; the best with several layers at ${percent(n.deepest)}.`, why: made.has(s.target) && n.error < 0.9 * n.shallow[s.width] && !n.exact ? "The folds are what this target is made of, and no training has found them, in one layer or in several." : "Your bends stand where they are needed." },
    { sentence: "The error is below 0.1 %.", holds: n.error < 1e-3, found: `It is ${percent(n.error)}.`, why: "More units, more folds, or bends in better places." },
  ],
  text: [
    "## One layer: pieces",
    "A relu unit $\\max(x-b,0)$ bends once. A head on $m$ of them with bends at $b_j = 0, \\frac1m, \\frac2m, \\dots$ gives any continuous function that is straight on $m$ equal pieces, and least squares the best one,",
    "$$ \\min_w\\ \\frac1N \\sum_i \\Bigl(w_0+\\sum_j w_j\\max(x_i-b_j,0) - c(x_i)\\Bigr)^2 . $$",
    "A smooth target differs from a straight line on a piece of width $h=1/m$ by $h^2$. At a kink it differs by $h$, but on one piece only, which is $h\\cdot h^2$ in the mean square. So the error, its root, falls like $m^{-2}$ for a smooth target, like $m^{-3/2}$ if there is a kink between two bends, and like $m^{-1}$ with kinks on all scales.",
    "All of this is for $x$ on a line. In $d$ dimensions $m$ pieces have width $m^{-1/d}$, and $m^{-2/d}$ is hopeless for large $d$. Bends that are *chosen for the target* do better: for functions whose Fourier transform has a bounded first moment, $m$ units reach $e_m\\le C/\\sqrt m$ in any dimension (Barron). Choosing is what training has to achieve.",
    "## Layers: folds",
    "Two units give the tent $g(x) = 2\\max(x,0)-4\\max(x-\\frac12,0)$, which folds $[0,1]$ in half. Applied to its own result it makes four pieces, then eight: $k$ layers of two units make $2^k$ pieces. One layer would need $2^k$ units. But they are not free pieces: every fold repeats one shape everywhere. That is right for a parabola,",
    "$$ x^2 = x - \\sum_{k\\ge1} 4^{-k}\\, g_k(x), \\qquad g_k = g\\circ\\dots\\circ g , $$",
    "so each fold gains a factor 4, the error falls exponentially with the weights; and with $x^2$ come products, polynomials, and smooth functions built from them, for which other constructions take more folds. It is right for Takagi's curve $\\sum 2^{-k}g_k$. It is useless for a single kink, and nearly so for a sine if these folds are all there is. Depth pays where a target is itself made in steps, each using the result of the one before.",
    "## Trained instead: seconds",
    "Nothing but the head has been fitted so far; bends and folds stand where they were put. In the figure with seconds all weights are trained, by Levenberg and Marquardt's steps with the head eliminated (page 2.8), from five random starts each; the median of the error at points that they have not seen is shown. A penalty of $\\alpha = 10^{-10}$ on all weights is minimised along with the misfit. The smallest error on the way is not what counts, since nobody sees it: for the kink eight units come below $10^{-6}$ after a few steps and end at $10^{-4}$. One layer of 32 units beats two layers of 8, which have as many weights, on all four targets, after any number of seconds. For Takagi's curve four layers of eight units could fold four times and more, and end at an error of 1.9 %, where six folds that are put there leave 0.5 %. Depth *can* represent more; a descent from random weights does not find it by itself (page 2.13 on what reaches the first layer, lecture 3 on layers that are small steps).",
    "Seconds count as well as weights: an iteration with 385 weights in one layer takes as long as five with 241 weights in four layers. With many weights the equations of a step dominate, with few of them it is the number of operations that are started.",
  ],
  code: (s) => `
import numpy as np

x = (np.arange(${N}) + 0.5) / ${N}

def fold(y, times):
    for _ in range(times):
        y = 2 * np.minimum(y, 1 - y)  # 2 relu(y) - 4 relu(y - 1/2)
    return y

target = {
    "sine": np.sin(4 * x),
    "parabola": x**2,
    "kink": np.abs(x - 1 / 3),
    "takagi": sum(fold(x, k) / 2**k for k in range(1, 25)),
}["${s.target}"]
bends = np.append(np.arange(${WIDTHS[s.width]}) / ${WIDTHS[s.width]}, [${s.bend ? "1 / 3" : ""}])
units = np.maximum(x[:, None] - bends, 0)
folds = [fold(x, k + 1) for k in range(${s.folds})]
Z = np.column_stack([np.ones_like(x), units, *folds])
left = target - Z @ np.linalg.lstsq(Z, target, rcond=1e-12)[0]
print(np.linalg.norm(left) / np.linalg.norm(target), np.abs(left).max())
`,
  codeNote: "It prints the error over the target, roots of mean squares, and the largest miss.",
  prints: (n) => [n.error, Math.max(...n.left.map(Math.abs))],
  exercises: [
    { ask: "The target has one kink between two bends of a wide layer. By which factor does the error (root of the mean square) fall when the number of units is doubled?", input: "factor", right: 2.83, wrong: 4,
      check: ({ answer }) => { const e = fits("kink", 5, 0)[0].error / fits("kink", 6, 0)[0].error; return { passed: Math.abs(answer / 2 ** 1.5 - 1) < 0.03, say: `From 32 to 64 units the figure's error is divided by ${say(e)}. ${Math.abs(answer / 2 ** 1.5 - 1) < 0.03 ? "Passed: $2^{3/2}$." : "An error of size $h$, on a piece of width $h$: its mean square is $h\\cdot h^2$."}` }; } },
    { ask: "In 10 dimensions the error of a smooth function on a regular grid of pieces falls like $m^{-2/10}$. By which factor must the units grow to halve it? (By Barron's rate it is 4.)", input: "factor", right: 32, wrong: 4,
      check: ({ answer }) => ({ passed: Math.abs(answer / 32 - 1) < 0.02, say: Math.abs(answer / 32 - 1) < 0.02 ? "Passed: $32^{0.2} = 2$." : `A factor ${say(answer)} divides the error by ${say(answer ** 0.2)}.` }) },
  ],
  sources: [
    "A. R. Barron, Universal approximation bounds for superpositions of a sigmoidal function, *IEEE Transactions on Information Theory* 39 (1993).",
    "M. Telgarsky, Benefits of depth in neural networks, *COLT* 2016 (folds).",
    "D. Yarotsky, Error bounds for approximations with deep ReLU networks, *Neural Networks* 94 (2017) (the parabola).",
    "In numdl: `numdl experiment run universal-approximation`.",
  ],
  trials: KINDS.flatMap(([target], i) => [[0, 0], [2, 3], [4, 0], [5, 7], [7, 2], [0, 6]].map(([width, folds], k) => ({ target, width, folds, bend: +((i + k) % 4 === 3) }))),
  compare: (n) => ({ trained: n.trained.flatMap((one) => [...one.seconds, ...one.errors]), best: [n.bestError, n.deepest], f: n.f, ...Object.fromEntries(["shallow", "same", "deep", "here"].map((name) => [name, n[name].map((e) => 1 + e)])), pieces: [n.m, n.pieces] }),
};
