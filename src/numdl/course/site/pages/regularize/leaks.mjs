// 1.9: what may cross validation see?
import { argmin, dot, mean, random, range, sum } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// 40 rows, 200 independent normal features, c = delta (x_1 + ... + x_5) + e; the m features of the largest correlation, and a ridge of 1.
const ROWS = 40, ALL = 200, REAL = 5, RIDGE = 1, DRAWS = 20, SIZES = [1, 2, 3, 5, 8, 12, 16, 20], FOLDS = [["2", "2 folds"], ["5", "5 folds"], ["10", "10 folds"], ["20", "20 folds"]];
const LEAKS = [["features", "features are chosen"], ["units", "features are standardised"], ["looking", "nothing is done, and the best of eight sizes is reported"]];
const drawn = {};
// Columns of the features, and the errors of the targets.
const data = (seed) => (drawn[seed] ??= (() => { const rng = random(seed), a = rng.normals(ROWS * ALL); return { X: range(ALL).map((j) => Float64Array.from(range(ROWS), (i) => a[ALL * i + j])), e: rng.normals(ROWS) }; })());

function units(X, rows) {
  const m = new Float64Array(ALL), s = new Float64Array(ALL), n = rows.length;
  for (let j = 0; j < ALL; j++) {
    let t = 0, v = 0;
    for (const i of rows) t += X[j][i];
    m[j] = t / n;
    for (const i of rows) v += (X[j][i] - m[j]) ** 2;
    s[j] = Math.sqrt(v / n);
  }
  return { m, s };
}
// Features in the order of their correlation with the targets.
function ranked(X, c, rows, { m, s }) {
  const mid = mean(rows.map((i) => c[i])), size = new Float64Array(ALL);
  for (let j = 0; j < ALL; j++) { let t = 0; for (const i of rows) t += (X[j][i] - m[j]) * (c[i] - mid); size[j] = Math.abs(t / s[j]); }
  return range(ALL).sort((i, j) => size[j] - size[i]).slice(0, SIZES.at(-1));
}
// For each number of features: constant, features and coefficients. One Cholesky factor serves them all.
function train(X, c, rows, order, { m, s }) {
  const mid = mean(rows.map((i) => c[i])), Z = order.map((j) => rows.map((i) => (X[j][i] - m[j]) / s[j])), d = rows.map((i) => c[i] - mid), L = [], y = [];
  order.forEach((_, a) => {
    const row = [];
    for (let b = 0; b <= a; b++) { let t = dot(Z[a], Z[b]) + (a === b ? RIDGE : 0); for (let k = 0; k < b; k++) t -= row[k] * (a === b ? row[k] : L[b][k]); row.push(a === b ? Math.sqrt(t) : t / L[b][b]); }
    L.push(row);
    let t = dot(Z[a], d);
    for (let k = 0; k < a; k++) t -= row[k] * y[k];
    y.push(t / row[a]);
  });
  return SIZES.map((size) => {
    const w = new Array(size).fill(0);
    for (let a = size - 1; a >= 0; a--) { let t = y[a]; for (let b = a + 1; b < size; b++) t -= L[b][a] * w[b]; w[a] = t / L[a][a]; }
    for (let a = 0; a < size; a++) w[a] /= s[order[a]];
    return { b: mid - sum(w.map((x, a) => x * m[order[a]])), order, w };
  });
}

const EVERY = range(ROWS), kept = {};
// Squared errors over the variance of the targets for each number of features: estimated by folds, and on new rows.
function estimate(seed, folds, delta, cheat) {
  return (kept[`${seed} ${folds} ${delta} ${cheat}`] ??= (() => {
    const { X, e } = data(seed), c = e.map((x, i) => x + delta * sum(range(REAL).map((j) => X[j][i]))), whole = units(X, EVERY), order = ranked(X, c, EVERY, whole), errors = SIZES.map(() => 0);
    for (let f = 0; f < folds; f++) {
      const inside = EVERY.filter((i) => i % folds !== f), scale = cheat === "units" ? whole : units(X, inside);
      const models = train(X, c, inside, cheat === "features" ? order : ranked(X, c, inside, scale), scale);
      for (let i = f; i < ROWS; i += folds) models.forEach((one, k) => { let t = one.b; for (let a = 0; a < one.w.length; a++) t += one.w[a] * X[one.order[a]][i]; errors[k] += (c[i] - t) ** 2 / ROWS; });
    }
    // The features are independent and of variance 1: the error on new rows is exact.
    const variance = 1 + REAL * delta ** 2;
    const truth = train(X, c, EVERY, order, whole).map(({ b, w }) => { let t = variance + b * b; w.forEach((x, a) => (t += order[a] < REAL ? (x - delta) ** 2 - delta ** 2 : x * x)); return t / variance; });
    return { errors: errors.map((v) => v / variance), truth };
  })());
}
export function study(seed, folds, delta, leak) {
  const { errors: honest, truth } = estimate(seed, folds, delta, "none"), best = argmin(honest), looking = leak === "looking";
  return { honest, leaky: looking ? honest.map(() => honest[best]) : estimate(seed, folds, delta, leak).errors, truth: looking ? truth.map(() => truth[best]) : truth, fair: truth, best };
}
const known = {};
function compute({ folds, size, leak, signal }) {
  const delta = signal ? 0.6 : 0, all = (known[`${folds} ${leak} ${delta}`] ??= range(DRAWS).map((k) => study(k + 1, Number(folds), delta, leak))), middle = (key, k) => mean(all.map((a) => a[key][k]));
  return { all, k: size, m: SIZES[size], honest: middle("honest", size), leaky: middle("leaky", size), truth: middle("truth", size), fair: middle("fair", size), over: Object.fromEntries(["honest", "leaky", "truth", "fair"].map((key) => [key, SIZES.map((_, k) => middle(key, k))])) };
}

const off = (x, y) => Math.abs(x / y - 1);
const axis = { min: 1, max: 20, log: true, label: "features used", ticks: SIZES };
export const page = {
  id: "1.9",
  question: "What may cross validation see?",
  goal: "You will find which preparation of the data leaks from the rows that judge into the rows that learn, and how much it costs.",
  minutes: 20,
  needs: "least squares; what a test row is for",
  controls: {
    leak: { kind: "choice", label: "what happens before the rows are split", options: LEAKS, value: "features" },
    folds: { kind: "choice", label: "folds", options: FOLDS, value: "10" },
    size: { kind: "slider", label: "features used", min: 0, max: SIZES.length - 1, value: 5, play: 600, show: (k) => String(SIZES[k]) },
  },
  hidden: { signal: false },
  guess: {
    ask: "A table has 40 rows, 200 features and a target, all pure noise. Someone keeps the 12 features that correlate best with the target, then runs tenfold cross validation on a linear fit of those 12. What does it report? (1 means: no better than the mean.)",
    options: ["about 1, or worse: it is noise", "about 0.9", "about 0.6: a good third explained"], answer: 2, hides: ["leaky", "truth", "honest"],
    why: "The 12 features were chosen on all rows, also on those that later judge. It reports 0.64 on average over 20 such tables; on new rows the fit errs 1.45 times as much as the mean does.",
  },
  sentence: [
    "Before the rows are split into [[folds]], [[leak]]; then a linear fit uses [[size]] of 200 features. Over 20 tables the reported error is {{leaky}} of the variance. On new rows it is {{truth}}. Cross validation that repeats every step within the folds says {{honest}}.",
  ],
  breaks: [
    { label: "Noise, or a signal", patch: (s) => ({ signal: !s.signal }), why: "With the signal, five of the 200 features carry 64 % of the variance. Then there is something to find, and the leak is smaller but still there." },
    { label: "A harmless leak", patch: { leak: "units" }, why: "Means and deviations of features hardly depend on which rows are left out, and know nothing of the target. It is bad style, and costs next to nothing." },
    { label: "Half the rows", patch: (s) => ({ folds: "2", leak: s.leak, signal: true }), why: "With two folds the models that are judged learn from 20 rows. The estimate is honest about those, and so too pessimistic about the model that learns from 40." },
  ],
  compute,
  values: (n) => ({ leaky: say(n.leaky), truth: say(n.truth), honest: say(n.honest) }),
  views: [
    {
      frame: () => ({ title: "Twenty tables: reported and true error", height: 340, x: { min: 0, max: DRAWS + 1, label: "table", ticks: [1, 5, 10, 15, 20] }, y: { min: 0.15, max: 3, log: true, label: "error / variance", ticks: [0.2, 0.5, 1, 2] } }),
      draw(plot, n) {
        const k = n.k, at = range(DRAWS).map((i) => i + 1);
        plot.across(1, { color: "grey", label: "the mean of the targets" });
        at.forEach((x) => plot.line([x, x], [n.all[x - 1].leaky[k], n.all[x - 1].truth[k]], { color: "orange", width: 1, faint: true }));
        plot.dots(at, n.all.map((a) => a.truth[k]), { color: "blue", shape: "diamond", size: 3.6, label: "on new rows" });
        plot.dots(at, n.all.map((a) => a.leaky[k]), { color: "orange", size: 3.4, label: "reported" });
        plot.dots(at, n.all.map((a) => a.honest[k]), { color: "green", shape: "ring", size: 3.4, label: "all steps within the folds" });
      },
    },
    {
      frame: () => ({ title: "Mean of the twenty, over the number of features", height: 340, x: axis, y: { min: 0.15, max: 3, log: true, label: "error / variance", ticks: [0.2, 0.5, 1, 2] } }),
      draw(plot, n, s, { change, ghost }) {
        plot.across(1, { color: "grey" });
        if (ghost) plot.line(SIZES, ghost.numbers.over.leaky, { color: "orange", faint: true });
        plot.line(SIZES, n.over.fair, { color: "blue", label: "on new rows" });
        plot.line(SIZES, n.over.leaky, { color: "orange", label: "reported" });
        plot.line(SIZES, n.over.honest, { color: "green", dash: "6 4", label: "all steps within the folds" });
        const to = (x) => argmin(SIZES.map((m) => Math.abs(Math.log(m / x))));
        plot.handle("size", n.m, n.over.leaky[n.k], { upright: true, color: "ink", label: "features used", value: String(n.m), move: (x) => change({ size: to(x) }), nudge: (dx, dy) => change({ size: s.size + dx + dy }) });
      },
    },
  ],
  table: (n) => ({ head: ["features", "reported", "all steps within the folds", "on new rows"], rows: SIZES.map((m, k) => [m, say(n.over.leaky[k]), say(n.over.honest[k]), say(n.over.fair[k])]) }),
  claims: (n, s) => [
    { sentence: "What is reported is within 15 % of the error on new rows, on average.", holds: off(n.leaky, n.truth) <= 0.15, found: `${say(n.leaky)} against ${say(n.truth)}.`, why: s.leak === "features" ? "The choice of features saw the targets of the rows that judge: those rows are fitted already." : s.leak === "looking" ? "The smallest of eight noisy estimates is small partly by luck. The rows that chose must not report." : "This gap is not the leak: each fold learns from fewer rows than the final model, which makes cross validation pessimistic." },
    { sentence: "With all steps within the folds it is.", holds: off(n.honest, n.fair) <= 0.15, found: `${say(n.honest)} against ${say(n.fair)}.`, why: s.folds === "2" ? "Two folds learn from half of the rows: honest, but about another model. Take more folds." : "The choice of features varies from fold to fold, so the models judged are others than the final one." },
    { sentence: "In at least half of the 20 tables the honest estimate is within 20 % of the truth.", holds: n.all.filter((a) => off(a.honest[n.k], a.fair[n.k]) <= 0.2).length >= 10, found: `In ${n.all.filter((a) => off(a.honest[n.k], a.fair[n.k]) <= 0.2).length} of 20.`, why: "Forty rows judge a model poorly: the mean of forty squares has a standard deviation of 22 % by itself." },
    { sentence: "The fit is of use: on new rows it is better than the mean.", holds: n.fair < 1, found: `Its error is ${say(n.fair)}.`, why: s.signal ? "Too many of the features chosen are noise." : "There is nothing to find. Every feature that is used only adds noise of its own." },
  ],
  text: [
    "## Three sets, three roles",
    "Rows that *train* choose the weights. Rows that *validate* choose everything else: penalty, features, depth, when to stop. Rows that *test* choose nothing; they report once. A row that has had a part in a choice is spent. *Cross validation* makes the most of few rows: split them into $K$ folds, let each fold be judged by a model that learnt from the others, and average.",
    "The rule is simple. *Whatever looks at targets belongs inside the folds*: choosing features, tuning, removing outliers. Otherwise the rows that judge have already been fitted. In the figure the 12 best of 200 random features correlate with 40 random targets by 0.3 to 0.5 each, and would so by chance in any table.",
    "Steps that look at features only, such as standardising, leak little. Do them inside the folds all the same; there the code is right for all cases.",
    "Reporting the best of several estimates is a leak too, of the third kind: the estimate was used to choose. Estimate the chosen model again, with rows that had no part: an outer loop of folds (*nested* cross validation), or a test set.",
    "## One fit instead of forty",
    "For least squares with a fixed penalty, leaving one row out needs no refit. The fitted values are linear in the targets, $\\hat c = Hc$; without a penalty the *hat matrix* is $H = Z(Z'Z)^{-1}Z'$, with the features in $Z$. The error at row $i$ of a model that has not seen it is",
    "$$ \\frac{r_i}{1-h_{ii}} . $$",
    "GCV (page 1.8) replaces $h_{ii}$ by its mean. The formula presumes that nothing else was chosen with the help of row $i$.",
  ],
  codeNote: "Copy it: for table 1 it prints the reported error and the error on new rows when features are chosen first, and then the honest estimate.",
  code: ({ folds, size, signal }) => `
import numpy as np

def fit(X, c, chosen):
    m, s = X[:, chosen].mean(axis=0), X[:, chosen].std(axis=0)
    Z = (X[:, chosen] - m) / s
    w = np.linalg.solve(Z.T @ Z + np.eye(len(chosen)), Z.T @ (c - c.mean())) / s
    return c.mean() - m @ w, w

def best(X, c):
    return np.argsort(-np.abs((X - X.mean(axis=0)).T @ (c - c.mean()) / X.std(axis=0)))[:${SIZES[size]}]

rng, delta, K = np.random.RandomState(1), ${signal ? "0.6" : "0.0"} * (np.arange(200) < 5), ${folds}
X, e = rng.standard_normal((40, 200)), rng.standard_normal(40)
c, errors = X @ delta + e, []
for leak in (True, False):
    off = np.zeros(40)
    for rows in (np.arange(40) % K == f for f in range(K)):
        chosen = best(X, c) if leak else best(X[~rows], c[~rows])
        b, w = fit(X[~rows], c[~rows], chosen)
        off[rows] = c[rows] - b - X[rows][:, chosen] @ w
    errors.append(np.mean(off**2) / (1 + delta @ delta))
b, w = fit(X, c, best(X, c))
delta[best(X, c)] -= w  # exact for independent features of variance 1
print(errors[0], (1 + b**2 + delta @ delta) / (1 + ${signal ? "5 * 0.36" : "0"}), errors[1])
`,
  prints: (n, s) => { const one = study(1, Number(s.folds), s.signal ? 0.6 : 0, "features"); return [one.leaky[s.size], one.fair[s.size], one.honest[s.size]]; },
  exercises: [
    { ask: "Pure noise again, and a reported error far below 1. One step leaks. Change it, so that what is reported is back at chance or worse, and hand in.",
      start: { label: "Begin", patch: () => ({ signal: false, leak: "features", folds: "10", size: 5 }) }, button: "Hand in", rightly: () => ({ leak: "units" }),
      check: ({ settings, numbers }) => { const passed = !settings.signal && numbers.leaky >= 0.95 && numbers.m >= 5; return { passed, say: passed ? `Passed: it reports ${say(numbers.leaky)}, and the truth is ${say(numbers.truth)}. The choice of features has to happen inside the folds.` : settings.signal ? "Take the noise, not the signal." : numbers.m < 5 ? "Keep at least 5 features." : `It still reports ${say(numbers.leaky)}.` }; } },
    { ask: "A least-squares fit has the residual 0.4 at a row whose diagonal entry of the hat matrix is 0.2. How large would the error at this row be if the fit had not seen it?", input: "error", right: 0.5, wrong: 0.4,
      check: ({ answer }) => ({ passed: Math.abs(answer - 0.5) < 0.005, say: Math.abs(answer - 0.5) < 0.005 ? "Passed: $0.4/(1-0.2)$. The row pulled the fit towards itself by a fifth." : "$r_i/(1-h_{ii})$." }) },
  ],
  sources: [
    "T. Hastie, R. Tibshirani and J. Friedman, *The Elements of Statistical Learning*, Springer 2009, section 7.10.2, the wrong and the right way; C. Ambroise and G. McLachlan, *PNAS* 99 (2002).",
    "In numdl: estimators standardise inside every fold; `numdl experiment run cross-validation` compares folds with the error on new rows.",
  ],
  trials: [["2", 0], ["5", 0], ["10", 1], ["5", 1]].flatMap(([folds, signal], i) => LEAKS.flatMap(([leak], j) => [0, 1].map((k) => ({ folds, leak, signal: signal === 1, size: (i + 2 * j + 5 * k) % 8 })))),
  compare: (n) => ({ reported: n.all.slice(0, 2).flatMap((a) => a.leaky), honest: n.all.slice(0, 2).flatMap((a) => a.honest), truth: n.all.slice(0, 2).flatMap((a) => a.fair), features: n.m }),
};
