// 2.16: do filters need training?
import { digits_data } from "../../data/digits_data.mjs";
import { argmax, argmin, dot, geomspace, mean, norm, random, range, svd, times } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// 120 digits to train on and 180 new ones, filters of 3 x 3 pixels at 36 places, quarters of 3 x 3 places each.
const N = 120, NEW = 180, FIRST = 100, PLACES = 36, TAPS = 9, CLASSES = 10, MOST = 64, ALPHAS = geomspace(1e-6, 1e2, 33);
const KINDS = [["whitened", "patches of the images, whitened"], ["plain", "patches of the images as they are"], ["drawn", "drawn at random"]];
const PIXELS = digits_data.images.slice(FIRST, FIRST + N + NEW).map((text) => Array.from(text, (c) => parseInt(c, 17) / 16)), LABELS = digits_data.classes.slice(FIRST, FIRST + N + NEW);
const centred = (A) => { const middle = A[0].map((_, j) => A.slice(0, N).reduce((t, row) => t + row[j], 0) / N); return A.map((row) => row.map((x, j) => x - middle[j])); };
const patch = (image, p) => range(TAPS).map((q) => image[(Math.floor(p / 6) + Math.floor(q / 3)) * 8 + (p % 6) + (q % 3)]);
const spread = (z) => { const m = mean(z), v = mean(z.map((x) => (x - m) ** 2)); return z.map((x) => (x - m) / Math.sqrt(v + 0.01)); };
const RAW = PIXELS.map((image) => range(PLACES).map((p) => patch(image, p))), PATCHES = RAW.map((all) => all.map(spread));
// Whitening by the patches of the images to train on: R = V diag((l + 0.1)^(-1/2)) V'.
const OWN = PATCHES.slice(0, N).flat(), MU = range(TAPS).map((i) => mean(OWN.map((z) => z[i])));
const COVARIANCE = range(TAPS).map((i) => range(TAPS).map((j) => mean(OWN.map((z) => (z[i] - MU[i]) * (z[j] - MU[j]))))), AXES = svd(COVARIANCE);
const R = range(TAPS).map((i) => range(TAPS).map((j) => AXES.s.reduce((t, l, k) => t + (AXES.V[k][i] * AXES.V[k][j]) / Math.sqrt(l + 0.1), 0)));
const WHITE = PATCHES.map((all) => all.map((z) => times(R, z.map((x, i) => x - MU[i]))));
// Filters are those patches that vary most: the upper half.
const variance = (z) => { const m = mean(z); return mean(z.map((x) => (x - m) ** 2)); };
const LIVELY = (() => { const v = RAW.slice(0, N).flat().map(variance), order = [...v].sort((a, b) => a - b); return range(N * PLACES).filter((i) => v[i] > order[(N * PLACES) >> 1] + 1e-9); })();
const rng = random(2), PICKED = range(MOST).map(() => LIVELY[Math.floor(rng.uniform() * LIVELY.length)]), DRAWN = range(MOST).map(() => rng.normals(TAPS));
const unit = (f) => { const size = norm(f); return f.map((x) => x / size); };
const filter = (kind, k) => unit(kind === "drawn" ? DRAWN[k] : (kind === "plain" ? PATCHES : WHITE)[Math.floor(PICKED[k] / PLACES)][PICKED[k] % PLACES]);

// Averages over the quarters of what responses of both signs exceed the threshold by.
function features(kind, count, threshold) {
  const seen = kind === "plain" ? PATCHES : WHITE, filters = range(count).map((k) => filter(kind, k));
  return seen.map((all) => {
    const row = new Float64Array(8 * count);
    all.forEach((z, p) => {
      const quarter = 2 * Math.floor(p / 18) + Math.floor((p % 6) / 3);
      filters.forEach((f, k) => {
        const r = dot(f, z);
        if (r > threshold) row[8 * k + quarter] += (r - threshold) / 9; else if (-r > threshold) row[8 * k + 4 + quarter] += (-r - threshold) / 9;
      });
    });
    return Array.from(row);
  });
}
const Y = centred(LABELS.map((c) => range(CLASSES).map((k) => +(k === c)))).slice(0, N);
// The head for all alphas by one factorisation of the products of rows; scores of new rows, and of each row left out.
function solved(A) {
  const F = centred(A).map((row) => Float64Array.from(row)), own = F.slice(0, N), gram = F.map((row) => own.map((other) => dot(row, other)));
  const { V, s } = svd(gram.slice(0, N)), size = s.reduce((t, x) => t + x, 0) / N, coefficients = V.map((v) => range(CLASSES).map((k) => v.reduce((t, x, i) => t + x * Y[i][k], 0)));
  const leading = gram.slice(N).map((row) => V.map((v) => dot(row, v))), wrong = (scores, labels) => scores.filter((one, i) => argmax(one) !== labels[i]).length / scores.length;
  const path = ALPHAS.map((alpha) => {
    const kept = s.map((x) => x / (x + size * alpha)), weights = s.map((x, j) => coefficients[j].map((c) => c / (x + size * alpha)));
    const scores = leading.map((row) => range(CLASSES).map((k) => row.reduce((t, x, j) => t + x * weights[j][k], 0)));
    const h = range(N).map((i) => 1 / N + V.reduce((t, v, j) => t + kept[j] * v[i] * v[i], 0)), fitted = range(N).map((i) => range(CLASSES).map((k) => V.reduce((t, v, j) => t + kept[j] * v[i] * coefficients[j][k], 0)));
    const left = fitted.map((row, i) => row.map((x, k) => Y[i][k] - (Y[i][k] - x) / (1 - h[i]))), means = range(CLASSES).map((k) => LABELS.slice(0, N).filter((c) => c === k).length / N);
    const squares = fitted.reduce((t, row, i) => t + row.reduce((u, x, k) => u + (Y[i][k] - x) ** 2, 0), 0), freedom = kept.reduce((t, x) => t + x, 0);
    const shift = (rows) => rows.map((row) => row.map((x, k) => x + means[k]));
    return { scores, fresh: wrong(shift(scores), LABELS.slice(N)), told: wrong(shift(left), LABELS.slice(0, N)), gcv: (N * squares) / (N - 1 - freedom) ** 2 };
  });
  return { path, chosen: argmin(path.map((one) => one.gcv)) };
}
const PIXEL = (() => { const { path, chosen } = solved(PIXELS); return path[chosen].fresh; })();
const kept = new Map();
function compute({ kind, filters, threshold }) {
  const count = Math.round(filters), key = `${kind} ${count} ${threshold}`;
  if (!kept.has(key)) { if (kept.size > 40) kept.clear(); kept.set(key, solved(features(kind, count, threshold))); }
  const { path, chosen } = kept.get(key), fresh = path.map((one) => one.fresh);
  return { path, chosen, count, wrong: fresh[chosen], told: path[chosen].told, best: Math.min(...fresh), pixels: PIXEL, shown: range(Math.min(count, 16)).map((k) => filter(kind, k)) };
}
const percent = (x) => say(100 * x), SHOWN = 3;

export const page = {
  id: "2.16",
  question: "Do filters need training?",
  goal: "You will classify images with filters that nobody has trained, solve for the rest, and know how often it is wrong without a new image.",
  minutes: 20,
  needs: "pages 1.8, 1.9 and 2.1",
  controls: {
    filters: { kind: "slider", label: "number of filters", min: 1, max: MOST, stops: range(Math.log2(MOST) + 1).map((k) => 2 ** k), value: 32, show: String },
    kind: { kind: "choice", label: "filters", options: KINDS, value: "whitened" },
    threshold: { kind: "slider", label: "threshold of a response", min: 0, max: 2, step: 0.25, value: 0.5, show: (x) => say(x) },
  },
  hidden: {},
  guess: {
    ask: "A linear classifier on the 64 pixels of digits, trained with 120 of them, puts one new digit in six wrong. Now it sees instead how strongly 32 small pieces, cut out of the training images at random, occur in each quarter. How many are wrong?",
    options: ["more: the pieces are arbitrary", "about as many", "less than half as many"], answer: 2, hides: ["wrong", "told"],
    why: "Pieces of digits are strokes, ends and bends, and so are other pieces of other digits. Training could choose them better; that they are of the right kind is most of it.",
  },
  sentence: [
    "Take [[filters]] filters of 3 × 3 pixels, [[kind]]. Wherever one responds by more than [[threshold]], with either sign, the excess is counted, in each quarter of the image. A head is solved for on 120 digits, its α by GCV. Of 180 new digits {{wrong}} % are wrong, where the pixels alone have {{pixels}} %; the rows left out one by one had said {{told}} %.",
  ],
  breaks: [
    { label: "Two filters", patch: { filters: 2, kind: "whitened", threshold: 0.5 }, why: "Sixteen numbers for an image. They would have to be the right two strokes." },
    { label: "Only strong responses", patch: { filters: 32, kind: "plain", threshold: 2 }, why: "A sixth of the responses exceed 2, and no digit is left without a feature: of 256, 99 on average are not zero. 14.4 % are wrong, still fewer than by the pixels alone. But the rows left out had said 4.2 %: ten points too few, and nobody without new digits would know." },
  ],
  compute,
  values: (n) => ({ wrong: percent(n.wrong), pixels: percent(n.pixels), told: percent(n.told) }),
  views: [
    {
      frame: () => ({ title: "Some of the filters: blue positive, orange negative", equal: true, height: 330, x: { min: 0, max: 16, label: "", ticks: [] }, y: { min: 0, max: 16, label: "", ticks: [] } }),
      draw(plot, n) {
        n.shown.forEach((f, k) => {
          const x = 4 * (k % 4) + 0.5, y = 12.5 - 4 * Math.floor(k / 4), most = Math.max(...f.map(Math.abs)), edges = (at) => range(4).map((i) => at + i);
          for (const [sign, color] of [[1, "blue"], [-1, "orange"]]) plot.heat(range(3).map((i) => range(3).map((j) => sign * f[3 * (2 - i) + j])), edges(x), edges(y), (v) => Math.max(v, 0) / most, { color });
          plot.line([x, x + 3, x + 3, x], [y, y, y + 3, y + 3], { color: "grey", width: 1, close: true });
        });
      },
    },
    {
      frame: (n) => ({ title: "Wrong digits over the penalty of the head", height: 330, x: { min: 1e-6, max: 1e2, log: true, label: "α, over the mean square of the features" }, y: { min: 0, max: Math.max(25, 5 * Math.ceil(20 * Math.min(0.9, Math.max(...n.path.slice(0, 28).map((one) => one.fresh))))), label: "wrong, %" } }),
      draw(plot, n, s, { ghost, open }) {
        plot.across(100 * n.pixels, { label: "pixels alone" });
        if (!open) return; // the curves answer the guess
        if (ghost) plot.line(ALPHAS, ghost.numbers.path.map((one) => 100 * one.fresh), { color: "blue", faint: true, label: "your last setting" });
        plot.line(ALPHAS, n.path.map((one) => 100 * one.told), { color: "orange", width: 1.6, label: "told by rows left out" });
        plot.line(ALPHAS, n.path.map((one) => 100 * one.fresh), { color: "blue", label: "new digits" });
        plot.upright(ALPHAS[n.chosen], { color: "green", label: "GCV chooses" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "A digit, and where the first filters respond by more than the threshold", equal: true, height: 190, x: { min: -0.5, max: 60, label: "the digit; then filters one to six", ticks: [] }, y: { min: -0.5, max: 8.5, label: "", ticks: [] } }),
      draw(plot, n, s) {
        const seen = (s.kind === "plain" ? PATCHES : WHITE)[SHOWN], grid = (at, m) => range(m + 1).map((i) => at + i);
        plot.heat(range(8).map((i) => PIXELS[SHOWN].slice(8 * (7 - i), 8 * (8 - i))), grid(0, 8), grid(0, 8), (v) => v, { color: "ink" });
        n.shown.slice(0, 6).forEach((f, k) => {
          const x = 12 + 8 * k, responses = range(6).map((i) => range(6).map((j) => dot(f, seen[6 * (5 - i) + j])));
          for (const [sign, color] of [[1, "blue"], [-1, "orange"]]) plot.heat(responses.map((row) => row.map((v) => Math.max(sign * v - s.threshold, 0))), grid(x, 6), grid(1, 6), (v) => Math.min(1, v / 2), { color });
          plot.line([x, x + 6, x + 6, x], [1, 1, 7, 7], { color: "grey", width: 1, close: true });
          plot.line([x + 3, x + 3], [1, 7], { color: "grey", width: 0.6 });
          plot.line([x, x + 6], [4, 4], { color: "grey", width: 0.6 });
        });
      },
    },
  ],
  table: (n) => ({ head: ["α", "wrong of new digits, %", "told by rows left out, %", "GCV"], rows: range(9).map((k) => [say(ALPHAS[4 * k]), percent(n.path[4 * k].fresh), percent(n.path[4 * k].told), say(n.path[4 * k].gcv)]) }),
  claims: (n, s) => [
    { sentence: "The filters leave at most two thirds of the errors that pixels leave.", holds: n.wrong <= (2 / 3) * n.pixels, found: `${percent(n.wrong)} % against ${percent(n.pixels)} %.`, why: n.count < 16 ? "So few filters cannot tell ten classes apart." : s.threshold > 1 ? "What lies below the threshold is lost, and some of it tells digits apart." : "These filters see too much that all digits share." },
    { sentence: "The rows left out tell the error of new ones within 4 points.", holds: Math.abs(n.told - n.wrong) <= 0.04, found: `They said ${percent(n.told)} %, it is ${percent(n.wrong)} %.`, why: "120 rows: a share of 10 % is known to 3 points by them, and one of 40 % to 5. More than twice that is hardly chance." },
    { sentence: "The α of GCV costs at most 2 points over the one that new digits would choose.", holds: n.wrong - n.best <= 0.02, found: `${percent(n.wrong)} % against ${percent(n.best)} %.`, why: "GCV judges squares, and does not ask which score is largest." },
  ],
  text: [
    "## What is fixed, and what is solved for",
    "A patch $z$ of the image, without its mean and divided by its deviation, meets a filter $f_k$ of length 1. Two features record how far the response goes beyond a threshold, $\\max(f_k'z-t,0)$ and $\\max(-f_k'z-t,0)$, averaged over the nine places of a quarter of the image. With $m$ filters these are $8m$ numbers, and only the head on them is fitted, by least squares with a penalty: one factorisation for all α (page 1.8), each row left out in closed form (page 1.9).",
    "## Why whiten",
    "Neighbouring pixels are nearly equal, so a patch is mostly a slope from bright to dark, and most filters would see the same. With the covariance $S=V\\,\\mathrm{diag}(l)\\,V'$ of the patches, $R=V\\,\\mathrm{diag}\\bigl((l+\\varepsilon)^{-1/2}\\bigr)V'$ makes all directions vary alike: edges and ends count as much as slopes. The constant ε keeps what is noise from being blown up. This is the filter factor of page 1.5 once more.",
    "## What is missing",
    "Training moves filters to where the classes differ (page 2.2), layers see larger pieces, and both matter for photographs. But they start from here: with filters that nobody trained, some hundred of them, a few per cent of digits are wrong, and numdl's first answer to a folder of pictures is this model, since it takes seconds and says how good it is.",
  ],
  code: (s) => `
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numdl.course.site import grids
kind, count, threshold = "${s.kind}", ${Math.round(s.filters)}, ${s.threshold}
data, rng = grids.read("digits_data"), np.random.RandomState(2)
x = np.array([[int(pixel, 17) for pixel in one] for one in data["images"][100:400]]) / 16
c = np.array(data["classes"][100:400])
raw = sliding_window_view(x.reshape(300, 8, 8), (3, 3), axis=(1, 2)).reshape(300, 36, 9)
z = (raw - raw.mean(2, keepdims=True)) / np.sqrt(raw.var(2, keepdims=True) + 0.01)
own, v = z[:120].reshape(-1, 9), raw[:120].reshape(-1, 9).var(1)
l, V = np.linalg.eigh(np.cov(own.T, bias=True))
w = z if kind == "plain" else (z - own.mean(0)) @ (V / np.sqrt(l + 0.1)) @ V.T
lively = np.flatnonzero(v > np.sort(v)[len(v) // 2] + 1e-9)
picked = lively[(rng.random_sample(64) * len(lively)).astype(int)]
f = (rng.standard_normal((64, 9)) if kind == "drawn" else w[:120].reshape(-1, 9)[picked])[:count]
r = w.reshape(300, 2, 3, 2, 3, 9) @ (f / np.linalg.norm(f, axis=1)[:, None]).T
A = np.stack([np.maximum(sign * r - threshold, 0).mean((2, 4)) for sign in (1, -1)]).swapaxes(0, 1)
F, E = (A - A[:120].mean(0)).reshape(300, -1), np.eye(10)[c]
K = F @ F[:120].T
alpha = ALPHA_HERE * np.trace(K[:120]) / 120
W = np.linalg.solve(K[:120] + alpha * np.eye(120), E[:120] - E[:120].mean(0))
print(np.mean((K[120:] @ W + E[:120].mean(0)).argmax(1) != c[120:]))
`.replace("ALPHA_HERE", String(ALPHAS[compute(s).chosen])),
  codeNote: "It prints the share of new digits that are wrong, with the α that GCV has chosen on this page.",
  prints: (n) => [n.wrong],
  exercises: [
    { ask: "How many numbers does an image become with 32 filters, both signs, and the four quarters?", input: "features", right: 256, wrong: 128,
      check: ({ answer }) => ({ passed: answer === 256, say: answer === 256 ? "Passed, for 120 rows: there are more features than rows, and α is what keeps the head small." : answer === 128 ? "Both signs have features of their own." : "Filters times signs times quarters." }) },
    { ask: "Find settings by which at most 7 % of the new digits are wrong. Then ask yourself whether you may now call 7 % your error.", rightly: () => ({ filters: 64, kind: "whitened", threshold: 0.5 }), start: { label: "Begin", patch: () => ({ filters: 8, kind: "plain", threshold: 1 }) },
      check: ({ numbers: n }) => ({ passed: n.wrong <= 0.07, say: n.wrong <= 0.07 ? `Passed: ${percent(n.wrong)} %. And no: you have chosen among settings with the new digits, so that they are not new any more (page 1.9). The rows left out, which did not choose, say ${percent(n.told)} %.` : `${percent(n.wrong)} % are wrong. More filters, and a threshold that some responses pass.` }) },
  ],
  sources: [
    "A. Coates, H. Lee and A. Y. Ng, An analysis of single-layer networks in unsupervised feature learning, *AISTATS* 2011, sections 3 and 4.",
    "A. Coates and A. Y. Ng, The importance of encoding versus training with sparse coding and vector quantization, *ICML* 2011.",
    "In numdl: `numdl experiment run image-patches`; `numdl.PatchFeaturesClassifier`, and `numdl fit` of a folder of pictures.",
  ],
  trials: KINDS.flatMap(([kind]) => [2, 16, 64].flatMap((filters) => [0, 0.5, 1.25].map((threshold) => ({ kind, filters, threshold })))).slice(0, 26),
  compare: (n) => ({ scores: n.path[16].scores, shares: [n.wrong, n.told, n.best, n.pixels], chosen: n.chosen, fresh: n.path.map((one) => one.fresh), told: n.path.map((one) => one.told), gcv: n.path.slice(12).map((one) => one.gcv) }),
};
