// 2.4: why is a model worst when it just fits?
import { descent_data } from "../../data/descent_data.mjs";
import { argmin, dot, geomspace, norm, random, range, sum, svd } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

const ROWS = 40, SIZES = descent_data.sizes, ALPHAS = geomspace(1e-6, 1e4, 81), GUARD = 1.4;
const RULES = [["none", "no penalty"], ["gcv", "a penalty chosen by GCV"], ["guarded", "a penalty chosen by guarded GCV"], ["best", "the best penalty (it sees the test rows)"]];
const truth = (x) => Math.sin(1.5 * x[0]) + 0.5 * x[1] * x[2];
const chunks = (a, d) => range(a.length / d).map((i) => a.slice(d * i, d * i + d));

// numdl.course.site.grids.random_features, and the decomposition for every number of features.
const drawn = {};
function draw(seed) {
  if (drawn[seed]) return drawn[seed];
  const rng = random(seed), x = chunks(rng.normals(3 * ROWS), 3), xTest = chunks(rng.normals(600), 3), weights = chunks(rng.normals(720), 3);
  const shift = rng.uniforms(240).map((u) => 2 * u - 1), errors = rng.normals(ROWS);
  const seen = (rows, m) => rows.map((r) => range(m).map((j) => Math.tanh(dot(r, weights[j]) + shift[j])));
  const all = seen(x, 240), allTest = seen(xTest, 240), cut = (Z, m) => Z.map((row) => row.slice(0, m));
  return (drawn[seed] = { clean: x.map(truth), errors, test: xTest.map(truth), sizes: SIZES.map((m) => ({ m, ...svd(cut(all, m)), Z: cut(allTest, m) })) });
}

function heads({ sizes, test, clean, errors }, noise, k) {
  const { m, U, s, V, Z } = sizes[k], c = clean.map((t, i) => t + noise * errors[i]), beta = U.map((u) => dot(u, c)), out = Math.max(0, dot(c, c) - dot(beta, beta));
  const spread = Math.sqrt(sum(test.map((t) => (t - sum(test) / test.length) ** 2)));
  const projected = V.map((v) => Z.map((z) => dot(z, v)));
  const head = (f) => {
    const w = f.map((x, i) => (x * beta[i]) / s[i]), predicted = test.map(() => 0);
    w.forEach((x, i) => { for (let j = 0; j < predicted.length; j++) predicted[j] += x * projected[i][j]; });
    return { predicted, size: norm(w), error: Math.sqrt(sum(predicted.map((p, j) => (p - test[j]) ** 2))) / spread };
  };
  const paths = ALPHAS.map((a) => {
    let freedom = 0, rr = out;
    for (let i = 0; i < s.length; i++) { const f = s[i] ** 2 / (s[i] ** 2 + a); freedom += f; rr += ((1 - f) * beta[i]) ** 2; }
    return { gcv: rr / (1 - freedom / ROWS) ** 2, guarded: rr / (1 - freedom / ROWS) ** (2 * GUARD) };
  });
  const at = (a) => head(s.map((x) => (x * x) / (x * x + a))), along = ALPHAS.map(at), errorsAt = along.map((h) => h.error);
  const index = { gcv: argmin(paths.map((p) => p.gcv)), guarded: argmin(paths.map((p) => p.guarded)), best: argmin(errorsAt) };
  return { m, smallest: s.at(-1), none: head(s.map(() => 1)), ...Object.fromEntries(Object.entries(index).map(([name, i]) => [name, { ...along[i], alpha: ALPHAS[i] }])) };
}

const kept = {};
function compute({ size, noise, rule, seed }) {
  const level = Number(noise), all = (kept[`${seed} ${noise}`] ??= SIZES.map((_, k) => heads(draw(seed), level, k)));
  return { all, now: all[size], grid: descent_data.noise[noise], test: draw(seed).test, mine: all[size][rule], peak: Math.max(...all.map((h) => h[rule].error)), end: all.at(-1)[rule].error };
}

const START = SIZES.indexOf(40);
const axis = { min: 3, max: 240, log: true, label: "features m", ticks: [3, 6, 10, 20, 40, 80, 240] };

export const page = {
  id: "2.4",
  question: "Why is a model worst when it just fits?",
  goal: "You will climb the peak of double descent, find the small number behind it, and remove it without looking at the test rows.",
  minutes: 20,
  needs: "least squares; pages 1.5 and 1.8 help",
  controls: {
    size: { kind: "slider", label: "features", min: 0, max: SIZES.length - 1, value: SIZES.indexOf(20), play: 500, show: (k) => String(SIZES[k]) },
    noise: { kind: "choice", label: "noise", options: [["0.1", "little noise (0.1)"], ["0.3", "some noise (0.3)"], ["1", "much noise (1)"]], value: "0.3" },
    rule: { kind: "choice", label: "penalty", options: RULES, value: "none" },
  },
  hidden: { seed: 1 },
  guess: {
    ask: "A model has 40 noisy rows to learn from, and $m$ random features with a linear head. With 40 features it fits them exactly. Then you give it 240 features. What does its error on new rows do?",
    options: ["it grows: far too many parameters", "it stays", "it falls about tenfold"], answer: 2, see: { size: 22 },
    why: "In the middle of 20 draws the error is 10 times the spread of the targets at 40 features, and about 1 at 240. The model is worst where it just fits.",
  },
  sentence: [
    "Draw {{draw}}, [[noise]]: with [[size]] features and [[rule]] the error on new rows is {{error}} times the spread of the targets. The smallest singular value of the features is {{smallest}}, and the head has size {{head}}.",
  ],
  breaks: [
    { label: "Exactly 40 features", patch: { size: START, rule: "none" }, why: "As many features as rows: all rows are met, in the only possible way. One direction of the features is nearly invisible in the rows, and the head uses it with all its force to meet the noise." },
    { label: "Remove the peak", patch: { size: START, rule: "guarded" }, why: "Same rows, same features. A penalty chosen from the training rows alone holds the direction that the rows hardly see. In draw 1 plain GCV is one of the cases that go wrong here, and its guard is needed: try both." },
    { label: "Draw again", patch: (s) => ({ seed: (s.seed % 20) + 1 }) },
  ],
  compute,
  values: (n, { seed }) => ({ draw: `no. ${seed}`, error: say(n.mine.error), smallest: say(n.now.smallest), head: say(n.mine.size) }),
  views: [
    {
      wide: true,
      frame: () => ({ title: "Error on new rows", height: 270, x: axis, y: { min: 0.3, max: 60, log: true, label: "error / spread" } }),
      draw(plot, n, s, { change, open }) {
        const seen = open ? SIZES : SIZES.slice(0, s.size + 1); // the rest answers the guess
        plot.area(seen, n.grid.none.map((q) => q[0]), n.grid.none.map((q) => q[2]), { color: "orange", label: "no penalty: 16 of 20 draws" });
        plot.line(seen, n.grid.none.map((q) => q[1]), { color: "orange", dash: "5 4", width: 1.4 });
        plot.line(seen, n.all.map((h) => h.none.error), { color: "orange", label: "no penalty, this draw" });
        if (s.rule !== "none") {
          plot.area(SIZES, n.grid[s.rule].map((q) => q[0]), n.grid[s.rule].map((q) => q[2]), { color: "blue" });
          plot.line(SIZES, n.grid[s.rule].map((q) => q[1]), { color: "blue", dash: "5 4", width: 1.4 });
          plot.line(SIZES, n.all.map((h) => h[s.rule].error), { color: "blue", label: `${RULES.find(([r]) => r === s.rule)[1].replace(" (it sees the test rows)", "")}` });
        }
        const to = (x) => SIZES.reduce((k, m, j) => (Math.abs(Math.log(m / x)) < Math.abs(Math.log(SIZES[k] / x)) ? j : k), 0);
        plot.handle("m", n.now.m, n.mine.error, { upright: true, color: "ink", label: "features", value: String(n.now.m), move: (x) => change({ size: to(x) }), nudge: (dx, dy) => change({ size: s.size + dx + dy }) });
      },
    },
    {
      frame: () => ({ title: "New rows: predicted against true", height: 300, x: { min: -4, max: 4, label: "true" }, y: { min: -6, max: 6, label: "predicted" } }),
      draw(plot, n, s, { ghost }) {
        plot.line([-4, 4], [-4, 4], { color: "grey", width: 1.4, dash: "5 4", label: "right" });
        if (ghost && ghost.settings.seed === s.seed) plot.dots(n.test, ghost.numbers.mine.predicted, { color: "grey", size: 1.8, faint: true });
        plot.dots(n.test, n.mine.predicted, { color: s.rule === "none" ? "orange" : "blue", size: 2.2, label: "200 new rows" });
        const beyond = n.mine.predicted.filter((p) => Math.abs(p) > 6).length;
        if (beyond) plot.note(-4, 6, `${beyond} of 200 lie outside the figure`, { color: "red", dx: 8, dy: 16 });
      },
    },
    {
      frame: () => ({ title: "What is behind it", height: 300, x: axis, y: { min: 1e-3, max: 1e3, log: true, label: "size" } }),
      draw(plot, n, s, { open }) {
        const seen = open ? SIZES : SIZES.slice(0, s.size + 1);
        plot.line(seen, n.all.map((h) => h.smallest), { color: "green", label: "smallest singular value" });
        plot.line(seen, n.all.map((h) => h[s.rule].size), { color: "purple", label: "size of the head" });
        plot.upright(n.now.m, { color: "ink", dash: "", width: 1.2 });
      },
    },
  ],
  table: (n, s) => ({ head: ["m", "smallest singular value", "head", "error", "median of 20 draws"], rows: n.all.map((h, k) => [h.m, say(h.smallest), say(h[s.rule].size), say(h[s.rule].error), say(n.grid[s.rule][k][1])]) }),
  claims: (n, s) => [
    { sentence: "There is no peak: nowhere is the error more than 1.5 times that at 240 features.", holds: n.peak <= 1.5 * n.end, found: `Its largest value is ${say(n.peak)}, at 240 features it is ${say(n.end)}.`, why: s.rule === "none" ? "Without a penalty nothing holds the direction that the rows hardly see." : "In this draw the criterion chose too small a penalty at some $m$: near $m = 40$ the residual is nearly zero for every small $\\alpha$, and GCV becomes nothing divided by nothing." },
    { sentence: "The smallest singular value is at least a tenth of what it is at 240 features.", holds: n.now.smallest >= 0.1 * n.all.at(-1).smallest, found: `${say(n.now.smallest)} against ${say(n.all.at(-1).smallest)}.`, why: `With ${n.now.m} features for ${ROWS} rows some direction is nearly flat on all rows. The noise in it is divided by this number.` },
    { sentence: "The error is within 1.25 of what the best penalty reaches at this $m$.", holds: n.mine.error <= 1.25 * n.now.best.error, found: `${say(n.mine.error)} against ${say(n.now.best.error)}.`, why: s.rule === "none" ? "More features alone do not do what a penalty does." : `It chose $\\alpha = ${say(n.mine.alpha)}$; the best is ${say(n.now.best.alpha)}.` },
    { sentence: "Predicting the mean would be worse.", holds: n.mine.error < 1, found: `The mean has error 1, the model ${say(n.mine.error)}.`, why: "A model that meets its rows exactly may still know nothing about others." },
  ],
  text: [
    "## Where the peak comes from",
    "The features of the rows form a matrix $Z$ with 40 rows and $m$ columns, $z_j = \\tanh(w_j'x + b_j)$ with $w_j$ and $b_j$ drawn at random and never trained. The head solves $\\min_W |ZW - c|$, and of all solutions the smallest is taken:",
    "$$ W = \\sum_i \\frac{u_i'c}{s_i}\\, v_i . $$",
    "With few features no exact fit exists, and the noise is averaged out. With many features there are many exact fits, and the smallest of them is tame. In between, at $m = 40$, there is exactly one. A square random matrix has a tiny singular value $s_{40}$; the noise in that one direction is divided by it, and the head becomes enormous. The two curves on the right are mirror images: the smaller $s_{40}$, the larger $|W|$.",
    "So double descent is not about the number of parameters. It is page 1.5 again: noise divided by small singular values. A penalty, $\\min |ZW-c|^2 + \\alpha|W|^2$, turns $1/s_i$ into $s_i/(s_i^2+\\alpha)$, which cannot explode, and the peak is gone. The strength can come from the training rows alone.",
    "It is not foolproof. At $m = n$ GCV has its hardest case: residual and remaining freedom vanish together. Draw again with 40 features and watch the first claim.",
  ],
  codeNote: "Copy it: it has your settings and prints smallest singular value, error without penalty, and error with GCV.",
  code: (s) => `
import numpy as np
from numdl.course.site.grids import GRID, random_features
from numdl.regularize.ridge import decompose, ridge_path
from numdl.regularize.selectors import gcv

Z, c, Z_test, truth = random_features(seed=${s.seed}, m=${SIZES[s.size]}, noise=${s.noise})
spread = np.linalg.norm(truth - truth.mean())

def error(W):
    return np.linalg.norm(Z_test @ W - truth) / spread

d = decompose(Z, c[:, None])  # the singular value decomposition
path = ridge_path(d, GRID / 40)  # numdl's misfit is a mean over 40 rows
W = d.solution(gcv(path).alpha)[0][:, 0]
smallest = np.linalg.svd(Z, compute_uv=False)[-1]
print(smallest, error(np.linalg.lstsq(Z, c, rcond=None)[0]), error(W))
`,
  prints: (n) => [n.now.smallest, n.now.none.error, n.now.gcv.error],
  exercises: [
    { ask: "With some noise (0.3) and 40 features, find one of the 20 draws in which GCV errs more than twice as much as the best penalty.", input: "draw", right: 1, wrong: 3,
      check: ({ answer }) => {
        const k = Math.round(answer);
        if (!(k >= 1 && k <= 20)) return { passed: false, say: "Draws are numbered from 1 to 20." };
        const one = heads(draw(k), 0.3, START), ratio = one.gcv.error / one.best.error;
        return { passed: ratio > 2, say: `In draw ${k} GCV errs ${say(ratio)} times as much as the best, with $\\alpha = ${say(one.gcv.alpha)}$ instead of ${say(one.best.alpha)}. ${ratio > 2 ? `Passed. Guarded GCV errs ${say(one.guarded.error / one.best.error)} times as much.` : "Draw again with 40 features and GCV, and watch the third claim."}` };
      } },
    { ask: "The same model gets 100 rows instead of 40. At how many features is it worst without a penalty?", input: "features", right: 100, wrong: 40,
      check: ({ answer }) => ({ passed: Math.round(answer) === 100, say: Math.round(answer) === 100 ? "Passed: where there is exactly one exact fit, $m = n$." : "Not the number of features matters, but that there is just one exact fit." }) },
  ],
  sources: [
    "K. Kan, J. G. Nagy and L. Ruthotto, Avoiding the double descent phenomenon of random feature models using hybrid regularization, 2020.",
    "M. Belkin, D. Hsu, S. Ma and S. Mandal, Reconciling modern machine-learning practice and the bias-variance trade-off, *PNAS* 116 (2019).",
    "The bands are 20 draws computed by numdl: `numdl.course.site.grids.double_descent`.",
  ],
  trials: [["0.3", 1], ["1", 2]].flatMap(([noise, seed]) => [0, 2, 4, 6, 8, 9, 10, 11, 12, 15, 18, 22].map((size, i) => ({ seed, size, noise, rule: RULES[(i + seed) % 4][0] }))),
  compare: (n) => ({ smallest: n.now.smallest, none: [n.now.none.error, n.now.none.size], gcv: [n.now.gcv.error, n.now.gcv.size], guarded: n.now.guarded.error, best: n.now.best.error, predicted: n.now.gcv.predicted }),
};
