// 1.6: what do bias and variance trade?
import { argmin, dot, geomspace, mean, random, range, sum, svd, transpose } from "../../lib/numerics.mjs";
import { percent, say } from "../../lib/plot.mjs";

// Polynomials in Legendre's basis, fitted to 24 points with the penalty alpha |p|^2 and judged on 101 places between -1 and 1.
const ROWS = 24, MOST = 15, FITS = 20, ALPHAS = geomspace(1e-6, 1e3, 91);
const T = range(ROWS).map((i) => -1 + (2 * i + 1) / ROWS), PLACES = range(101).map((k) => k / 50 - 1);
const truth = (t) => Math.sin(5 * t) * (1 - t / 2);
const F = T.map(truth), WANTED = PLACES.map(truth);
function legendre(t) {
  const p = [1, t];
  for (let k = 1; k < MOST; k++) p.push(((2 * k + 1) * t * p[k] - k * p[k - 1]) / (k + 1));
  return p.map((v, k) => v * Math.sqrt(2 * k + 1));
}
const ALL = T.map(legendre), SEEN = PLACES.map(legendre);

// For a degree: singular values, the truth in their directions, and what each direction does at the places.
const made = [];
const at = (degree) => (made[degree] ??= (() => {
  const { U, s, V } = svd(ALL.map((row) => row.slice(0, degree + 1))), B = SEEN.map((row) => V.map((v) => dot(v, row.slice(0, degree + 1))));
  const C = transpose(B);
  return { U, s, B, beta: U.map((u) => dot(u, F)), gram: C.map((a) => C.map((b) => dot(a, b) / PLACES.length)) };
})());
const weights = (s, alpha) => s.map((x) => x / (x * x + alpha));
const fitted = ({ B }, w, beta) => B.map((row) => { let v = 0; for (let j = 0; j < row.length; j++) v += row[j] * w[j] * beta[j]; return v; });

// Expected squared error, exactly: of the mean fit, and of a fit around it.
function parts(degree, alpha, noise) {
  const one = at(degree), w = weights(one.s, alpha), centre = fitted(one, w, one.beta);
  return { bias: mean(centre.map((v, m) => (v - WANTED[m]) ** 2)), variance: noise ** 2 * sum(w.map((x, j) => x * x * one.gram[j][j])) };
}

function compute({ degree, alpha, noise, sets }) {
  const one = at(degree), w = weights(one.s, alpha), centre = fitted(one, w, one.beta), off = centre.map((v, m) => v - WANTED[m]), rng = random(5);
  const pull = w.map((x, j) => (x * mean(one.B.map((row, m) => row[j] * off[m])))), now = parts(degree, alpha, noise);
  const errors = [], fits = [];
  let rows = null;
  for (let k = 0; k < FITS * sets; k++) {
    const e = rng.normals(ROWS).map((x) => noise * x), d = one.U.map((u) => dot(u, e)), moved = d.map((x, j) => x * w[j]);
    errors.push(now.bias + 2 * dot(pull, d) + sum(moved.map((x, i) => x * dot(one.gram[i], moved))));
    if (k >= FITS * (sets - 1)) { fits.push(fitted(one, w, one.beta.map((b, j) => b + d[j]))); rows = F.map((f, i) => f + e[i]); }
  }
  const path = ALPHAS.map((a) => parts(degree, a, noise)), total = path.map((p) => p.bias + p.variance), best = argmin(total);
  const found = mean(errors), spread = Math.sqrt(mean(errors.map((e) => (e - found) ** 2)) / errors.length);
  return {
    ...now, total: now.bias + now.variance, centre, fits, rows, found, spread, errors, path, best: ALPHAS[best], least: total[best], free: (({ bias, variance }) => bias + variance)(parts(degree, 0, noise)), mean: PLACES.map((_, m) => mean(fits.map((f) => f[m]))),
    degrees: range(MOST + 1).map((d) => parts(d, alpha, noise)),
  };
}
// The best alpha to five digits, by golden section around the grid's best.
export function bestAlpha(degree, noise) {
  const f = (u) => { const p = parts(degree, Math.exp(u), noise); return p.bias + p.variance; }, g = (Math.sqrt(5) - 1) / 2;
  const k = argmin(ALPHAS.map((a) => f(Math.log(a))));
  let a = Math.log(ALPHAS[Math.max(k - 1, 0)]), b = Math.log(ALPHAS[Math.min(k + 1, ALPHAS.length - 1)]);
  for (let i = 0; i < 60; i++) { const x = b - g * (b - a), y = a + g * (b - a); if (f(x) < f(y)) b = y; else a = x; }
  return Math.exp((a + b) / 2);
}

export const page = {
  id: "1.6",
  question: "What do bias and variance trade?",
  goal: "You will split the error of a fit exactly into what it always misses and what the noise adds, and find where their sum is least.",
  minutes: 20,
  needs: "least squares with a penalty, mean and variance",
  controls: {
    degree: { kind: "slider", label: "degree", min: 0, max: MOST, value: 12, show: String },
    alpha: { kind: "slider", label: "alpha", min: 1e-6, max: 1e3, log: true, step: 0.1, value: 1e-4, play: 120, show: (a) => say(a, 2) },
    noise: { kind: "slider", label: "noise", min: 0.03, max: 0.95, log: true, step: 0.05, value: 0.3, show: (x) => say(x) },
  },
  hidden: { sets: 1 },
  guess: {
    ask: "Twenty people measure the same curve at 24 places, each with an own error of 0.3, and fit a polynomial of degree 12 without a penalty. A penalty pulls all coefficients towards zero, so it makes the average of the twenty fits worse. What does the best penalty do to the error of a single fit?",
    options: ["it makes it worse too", "it lowers it by a few per cent", "it lowers it to less than a third"], answer: 2, see: { alpha: 5 },
    why: "The expected squared error falls from 0.233 to 0.069. What the fits always miss grows from nothing to 0.024, but what the noise adds falls from 0.233 to 0.044.",
  },
  sentence: [
    "Polynomials of degree [[degree]], penalty $\\alpha=$ [[alpha]], readings that err by [[noise]]: the mean fit misses the curve by {{bias}} (squared), the single fits scatter round it by {{variance}}, and a fit errs by the sum, {{total}}. The average over {{draws}} fits is {{found}}.",
  ],
  breaks: [
    { label: "Twenty more", patch: (s) => ({ sets: Math.min(s.sets + 1, 50) }), why: "The average over all fits so far, the ring, closes in on the formula like one over the root of their number." },
    { label: "All bias", patch: { degree: 4, alpha: 1e-6, noise: 0.03 }, why: "A degree too low misses the curve in all twenty fits alike. Neither more rows nor a penalty would help." },
    { label: "All variance", patch: { degree: 15, alpha: 1e-6, noise: 0.5 }, why: "The mean fit is right, and no single one is. Look at the ends: there a polynomial of high degree is free to swing." },
  ],
  compute,
  values: (n) => ({ bias: say(n.bias), variance: say(n.variance), total: say(n.total), found: say(n.found), draws: String(n.errors.length) }),
  views: [
    {
      frame: () => ({ title: "Twenty fits and their mean", height: 360, x: { min: -1, max: 1, label: "place t" }, y: { min: -2.6, max: 2.2, label: "value" } }),
      draw(plot, n) {
        n.fits.forEach((f) => plot.line(PLACES, f, { color: "orange", width: 1, faint: true, label: "twenty fits" }));
        plot.dots(T, n.rows, { color: "orange", size: 2.6, label: "readings of one of them" });
        plot.line(PLACES, WANTED, { color: "grey", dash: "5 4", width: 1.8, label: "truth" });
        plot.line(PLACES, n.centre, { color: "blue", width: 2.4, label: "mean of all possible fits" });
      },
    },
    {
      frame: () => ({ title: "Expected squared error over α", height: 360, x: { min: 1e-6, max: 1e3, log: true, label: "α" }, y: { min: 1e-4, max: 100, log: true, label: "squared error" } }),
      draw(plot, n, s, { change, ghost }) {
        if (ghost) plot.line(ALPHAS, ghost.numbers.path.map((p) => p.bias + p.variance), { color: "green", faint: true });
        plot.line(ALPHAS, n.path.map((p) => p.bias), { color: "blue", label: "bias, squared" });
        plot.line(ALPHAS, n.path.map((p) => p.variance), { color: "orange", label: "variance" });
        plot.line(ALPHAS, n.path.map((p) => p.bias + p.variance), { color: "green", width: 2.6, label: "sum" });
        plot.line([s.alpha, s.alpha], [n.found - 2 * n.spread, n.found + 2 * n.spread], { color: "ink", width: 2 });
        plot.dots([s.alpha], [n.found], { color: "ink", shape: "ring", size: 5, label: "average of the fits drawn" });
        plot.handle("alpha", s.alpha, 2e-4, { upright: true, color: "ink", label: "alpha", value: say(s.alpha, 2), move: (x) => change({ alpha: x }), nudge: (dx, dy) => change({ alpha: s.alpha * 10 ** (0.1 * (dx + dy)) }) });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "The same over the degree, at your α", height: 200, x: { min: 0, max: MOST, label: "degree" }, y: { min: 1e-4, max: 100, log: true, label: "squared error" } }),
      draw(plot, n, s) {
        const d = range(MOST + 1);
        plot.line(d, n.degrees.map((p) => p.bias), { color: "blue", label: "bias, squared" });
        plot.line(d, n.degrees.map((p) => p.variance), { color: "orange", label: "variance" });
        plot.line(d, n.degrees.map((p) => p.bias + p.variance), { color: "green", width: 2.6, label: "sum" });
        plot.dots([s.degree], [n.total], { color: "ink", shape: "ring", size: 5 });
      },
    },
  ],
  table: (n) => ({ head: ["α", "bias²", "variance", "sum"], rows: ALPHAS.map((a, i) => [say(a, 2), say(n.path[i].bias), say(n.path[i].variance), say(n.path[i].bias + n.path[i].variance)]).filter((_, i) => i % 10 === 0) }),
  claims: (n, s) => [
    { sentence: "The noise does more harm than the pull of the model: variance exceeds bias.", holds: n.variance > n.bias, found: `${say(n.variance)} against ${say(n.bias)}.`, why: s.degree < 8 ? "The degree is too low for this curve: all fits miss it alike." : "The penalty pulls all fits away from the curve alike." },
    { sentence: "Your penalty is better than none.", holds: n.total < n.free, found: `${say(n.total)} against ${say(n.free)}, ${percent(Math.abs(n.total / n.free - 1), 2)} ${n.total < n.free ? "less" : "more"}.`, why: s.degree < 4 ? "With so few coefficients there is little variance to save." : "It takes away more truth than noise." },
    { sentence: "Your $\\alpha$ is within a tenth of the least error at this degree.", holds: n.total <= 1.1 * n.least, found: `The least is ${say(n.least)}, at $\\alpha = ${say(n.best, 2)}$.`, why: s.alpha < n.best ? "You keep too much of the noise." : "You pull too hard." },
    { sentence: "The fits that were drawn agree with the formula within two standard deviations.", holds: Math.abs(n.found - n.total) <= 2 * n.spread, found: `Their average is ${say(n.found)} ± ${say(n.spread, 2)}, the formula says ${say(n.total)}.`, why: "One average of twenty lies farther away now and then. Draw twenty more." },
  ],
  text: [
    "## An exact split",
    "The readings are $c = f + e$ with independent errors of variance $\\sigma^2$. The fit is linear in them: $g = G\\,c$, where $G$ depends on the degree and on $\\alpha$. Its mean over the noise is $Gf$. So at every place",
    "$$ \\mathrm{E}\\,(g - f)^2 = \\underbrace{(Gf - f)^2}_{\\text{bias, squared}} + \\underbrace{\\mathrm{E}\\,(Ge)^2}_{\\text{variance}} , $$",
    "because the mixed term has mean zero. Nothing is neglected. For the coefficients themselves let $A$ hold the values of polynomials of degree 0, 1, 2, … at the readings, one column for each (on this page Legendre's, scaled to mean square 1, so that none is penalised more than another for its size), with singular values $s_i$. The fit has $x_\\alpha = (A'A+\\alpha I)^{-1}A'c$, and with the truth $x_i$ in the directions $v_i$ of page 1.5",
    "$$ \\mathrm{E}\\,|x_\\alpha - x|^2 = \\sum_i \\Big(\\frac{\\alpha\\,x_i}{s_i^2+\\alpha}\\Big)^2 + \\sigma^2 \\sum_i \\frac{s_i^2}{(s_i^2+\\alpha)^2} . $$",
    "The first sum grows with $\\alpha$ and begins with slope zero. The second falls and begins with a negative slope. So *some* penalty always beats none, whatever the truth is: a small bias costs nothing to first order.",
    "## What one can and cannot see",
    "Both curves need the truth. In practice one sees one fit, not twenty, and neither bias nor variance; pages 1.8 and 1.9 estimate where the sum is least. What the split explains is the direction: more noise or fewer rows ask for more penalty or a lower degree; a richer curve asks for less. Degree and penalty are two handles on the same trade, and the penalty is the finer one: with noise of 0.3 the error without it rises from 0.08 at degree 10 to 6 at degree 15; with the best penalty, from 0.055 to 0.093.",
  ],
  code: ({ degree, alpha, noise }) => `
import numpy as np
from numpy.polynomial.legendre import legvander
from numdl.regularize.ridge import decompose

def basis(t):
    return legvander(t, ${degree}) * np.sqrt(2 * np.arange(${degree + 1}) + 1)

t, places = -1 + (2 * np.arange(24) + 1) / 24, np.linspace(-1, 1, 101)
f, wanted = (np.sin(5 * x) * (1 - x / 2) for x in (t, places))
d = decompose(basis(t), np.column_stack([f, np.eye(24)]))  # the truth, and each reading alone
answers = basis(places) @ d.solution(${alpha} / 24)[0]  # numdl's misfit is a mean over 24 rows
bias = np.mean((answers[:, 0] - wanted) ** 2)
variance = ${noise} ** 2 * np.mean(np.sum(answers[:, 1:] ** 2, axis=1))

errors, rng = [], np.random.RandomState(5)
for _ in range(20):
    fit = answers[:, 0] + answers[:, 1:] @ (${noise} * rng.standard_normal(24))
    errors.append(np.mean((fit - wanted) ** 2))
print(bias, variance, np.mean(errors))
`,
  prints: (n) => [n.bias, n.variance, n.errors.slice(0, FITS).reduce((s, e) => s + e / FITS, 0)],
  exercises: [
    { ask: "Degree 12. The noise doubles from 0.2 to 0.4. By what factor does the best $\\alpha$ grow? Guess from the picture first, then answer within 20 %.", input: "factor", right: 2.16, wrong: 1,
      check: ({ answer }) => { const [a, b] = [0.2, 0.4].map((x) => bestAlpha(12, x)), passed = Math.abs(answer / (b / a) - 1) < 0.2; return { passed, say: passed ? `Passed: from ${say(a)} to ${say(b)}, a factor of ${say(b / a)}. If all coefficients were alike it would be 4, the ratio of the variances.` : "Set each noise, and move α to where the green curve is lowest." }; } },
    { ask: "Without a penalty, a polynomial of degree 7 is fitted to 24 points with errors of standard deviation 0.3. What is the variance of the fit, averaged over the 24 points? (The trace of a projection is its rank.)", input: "variance", right: 0.03, wrong: 0.09,
      check: ({ answer }) => ({ passed: Math.abs(answer / 0.03 - 1) < 0.02, say: Math.abs(answer / 0.03 - 1) < 0.02 ? "Passed: $\\sigma^2 (d+1)/n = 0.09 \\cdot 8/24$, whatever the points and the truth are." : "The fit at the points is $Pc$ with a projection of rank 8. The sum of the variances is $\\sigma^2 \\operatorname{tr}(PP')$." }) },
  ],
  sources: [
    "T. Hastie, R. Tibshirani and J. Friedman, *The Elements of Statistical Learning*, Springer 2009, section 7.3; P. C. Hansen, *Discrete Inverse Problems*, SIAM 2010, section 4.4.",
    "In numdl: `numdl experiment run bias-variance` does it for the coefficients of an ill-posed problem.",
  ],
  trials: [0, 2, 4, 6, 8, 10, 12, 15].flatMap((degree, i) => [[1e-6, 0.02], [1e-2, 0.3], [3, 0.8]].map(([alpha, noise], j) => ({ degree, alpha: alpha * 10 ** (i % 3), noise, sets: 1 + ((i + j) % 3) }))),
  compare: (n) => ({ bias: n.bias, variance: n.variance, found: n.found, centre: n.centre, last: n.fits.at(-1), path: n.path.filter((_, i) => i % 10 === 0).flatMap((p) => [p.bias, p.variance]), degrees: n.degrees.flatMap((p) => [p.bias, p.variance]) }),
};
