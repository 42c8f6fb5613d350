// 1.14: can the data choose every penalty?
import { argmax, argmin, dot, geomspace, linspace, minus, norm, random, range, sum, svd } from "../../lib/numerics.mjs";
import { percent, power, say } from "../../lib/plot.mjs";

// c = Z x + e, 15 bumps of width 0.25 as features, x ~ N(0, 1/a), e ~ N(0, v): alpha = a v in |Z x - c|^2 + alpha |x|^2.
const BUMPS = linspace(-1, 1, 15), WIDTH = 0.25, MOST = 40, PLACES = linspace(-1, 1, 81), ALPHAS = geomspace(1e-5, 1e3, 161), NOISE = 0.3;
const truth = (t) => Math.sin(5 * t) * (1 - t / 2), WANTED = PLACES.map(truth);
const bump = (t) => BUMPS.map((b) => Math.exp(-(((t - b) / WIDTH) ** 2) / 2)), SEEN = PLACES.map(bump);
const BANDS = [0.6744897501960817, 1.6448536269514722];

export function rows(count, draw, moved) {
  const rng = random(draw), t = rng.uniforms(MOST).map((u) => 2 * u - 1), e = rng.normals(MOST);
  return range(count).map((i) => ({ t: t[i], c: moved[i] ?? truth(t[i]) + NOISE * e[i] }));
}
// Singular values, coefficients of the data, and what no feature explains.
export function decompose(data) {
  const Z = data.map((r) => bump(r.t)), c = data.map((r) => r.c), { U, s, V } = svd(Z), beta = U.map((u) => dot(u, c));
  return { s, V, beta, out: Math.max(0, dot(c, c) - dot(beta, beta)), n: data.length };
}
// With v = q / n the evidence is largest for this alpha.
const explained = (d, alpha) => sum(d.beta.map((b, i) => (b * b) / (1 + d.s[i] ** 2 / alpha))) + d.out;
export const logEvidence = (d, alpha, v) => -(explained(d, alpha) / v + d.n * Math.log(2 * Math.PI * v) + sum(d.s.map((s) => Math.log1p((s * s) / alpha)))) / 2;
const gcv = (d, alpha) => { let r = d.out, f = 0; d.s.forEach((s, i) => { const p = (s * s) / (s * s + alpha); r += ((1 - p) * d.beta[i]) ** 2; f += p; }); return (d.n * r) / (d.n - f) ** 2; };

function fit(d, alpha, v) {
  const x = BUMPS.map((_, j) => sum(d.s.map((s, i) => ((s * d.beta[i]) / (s * s + alpha)) * d.V[i][j]))), mean = SEEN.map((z) => dot(z, x));
  // Posterior covariance: v (Z'Z + alpha)^-1, split into the directions that the rows see and the rest.
  const spread = SEEN.map((z) => { let seen = 0, left = dot(z, z); d.s.forEach((s, i) => { const w = dot(d.V[i], z); seen += (w * w) / (s * s + alpha); left -= w * w; }); return Math.sqrt(v * (seen + Math.max(left, 0) / alpha)); });
  return { x, mean, spread };
}

function compute({ alpha, noise, count, draw, moved }) {
  const data = rows(count, draw, moved), d = decompose(data), v = noise ** 2, now = fit(d, alpha, v);
  const profile = ALPHAS.map((a) => { const u = explained(d, a) / count; return { v: u, log: logEvidence(d, a, u) }; }), gcvs = ALPHAS.map((a) => gcv(d, a));
  const errors = ALPHAS.map((a) => norm(minus(fit(d, a, 1).mean, WANTED)) / Math.sqrt(PLACES.length)), top = argmax(profile.map((p) => p.log)), low = argmin(gcvs), best = argmin(errors);
  return {
    data, d, ...now, log: logEvidence(d, alpha, v), profile, gcvs, errors, best: ALPHAS[best], least: errors[best], error: norm(minus(now.mean, WANTED)) / Math.sqrt(PLACES.length),
    evidence: { alpha: ALPHAS[top], noise: Math.sqrt(profile[top].v), log: profile[top].log, error: errors[top] }, gcv: { alpha: ALPHAS[low], error: errors[low] },
    noiseHere: Math.sqrt(explained(d, alpha) / count), covered: now.mean.filter((m, i) => Math.abs(m - WANTED[i]) <= BANDS[1] * now.spread[i]).length / PLACES.length,
  };
}
const ratio = (a, b) => Math.max(a / b, b / a);
const decades = (from, to, by) => range(Math.floor((to - from) / by) + 1).map((k) => [from + by * k, power(from + by * k)]);

const short = (x) => percent(x, 2);

export const page = {
  id: "1.14",
  question: "Can the data choose every penalty?",
  goal: "You will let the evidence choose penalty and noise, compare it with cross validation, and learn what the bands around a fit mean.",
  minutes: 25,
  needs: "pages 1.6 and 1.8; the normal distribution of several variables",
  controls: {
    alpha: { kind: "slider", label: "alpha", min: 1e-5, max: 1e3, log: true, step: 0.05, value: 1e-3, play: 90, show: (a) => say(a, 2) },
    noise: { kind: "slider", label: "assumed noise", min: 0.03, max: 3, log: true, step: 0.05, value: 0.1, show: (x) => say(x, 2) },
    count: { kind: "slider", label: "rows", min: 4, max: MOST, value: 16, show: String },
  },
  hidden: { draw: 18, moved: {} },
  guess: {
    ask: "A curve is fitted to 16 noisy points. Nobody knows the size of the noise, nor how strongly to penalise, and no row is kept back. Can the 16 points alone say both?",
    options: ["no: one of the two must be known", "only the penalty", "yes, both, and roughly right"], answer: 2, hides: ["top", "alphaTop", "noiseTop"], see: (s, n) => ({ alpha: n.evidence.alpha, noise: n.evidence.noise }),
    why: "The points have a probability under each pair (penalty, noise), and it has one maximum. A stiff curve with much noise and a flexible one with little explain the points differently well.",
  },
  sentence: [
    "With $\\alpha=$ [[alpha]] and noise assumed to be [[noise]], the [[count]] points have the log evidence {{log}}. It is largest, {{top}}, at $\\alpha=$ {{alphaTop}} with noise {{noiseTop}} (0.3 was used). The 90 % band covers {{covered}} of the true curve.",
  ],
  breaks: [
    { label: "Take the most probable", patch: (s, n) => ({ alpha: n.evidence.alpha, noise: n.evidence.noise }), why: "The point of the map with the largest evidence: the pair under which these points are least surprising." },
    { label: "Overconfident", patch: { alpha: 3e-5, noise: 0.05 }, why: "Noise assumed far too small, and a flexible curve: it follows every point, and its bands are narrow where points are. They are right only if the assumptions are." },
    { label: "Draw again", patch: (s) => ({ draw: s.draw + 1, moved: {} }) },
  ],
  compute,
  values: (n) => ({ log: say(n.log), top: say(n.evidence.log), alphaTop: say(n.evidence.alpha, 2), noiseTop: say(n.evidence.noise, 2), covered: short(n.covered) }),
  views: [
    {
      frame: () => ({ title: "Fit with 50 % and 90 % bands", height: 370, x: { min: -1, max: 1, label: "place t" }, y: { min: -3, max: 3, label: "value" } }),
      draw(plot, n, s, { change, ghost }) {
        for (const z of [...BANDS].reverse()) plot.area(PLACES, n.mean.map((m, i) => m - z * n.spread[i]), n.mean.map((m, i) => m + z * n.spread[i]), { color: "blue", label: "50 and 90 % of the curves" });
        plot.line(PLACES, WANTED, { color: "grey", dash: "5 4", width: 1.8, label: "truth" });
        if (ghost) plot.line(PLACES, ghost.numbers.mean, { color: "blue", width: 1.3, faint: true });
        plot.line(PLACES, n.mean, { color: "blue", label: "mean" });
        n.data.forEach((r, i) => plot.handle(`row${i}`, r.t, r.c, { color: "ink", label: `row ${i + 1}`, value: say(r.c), move: (_, y) => change({ moved: { ...s.moved, [i]: y } }), nudge: (_, dy) => change({ moved: { ...s.moved, [i]: r.c + 0.05 * dy } }) }));
        plot.name("rows: drag them up and down", "ink", "circle");
      },
    },
    {
      frame: () => ({ title: "Evidence of each pair", height: 370, x: { min: -5, max: 3, label: "α", ticks: decades(-5, 3, 2) }, y: { min: Math.log10(0.03), max: Math.log10(3), label: "noise", ticks: [0.03, 0.1, 0.3, 1, 3].map((v) => [Math.log10(v), String(v)]) } }),
      draw(plot, n, s, { change, ghost, open }) {
        if (open) for (const drop of [30, 10, 4, 1]) plot.region((x, y) => n.evidence.log - drop - logEvidence(n.d, 10 ** x, 100 ** y), { color: "green", label: "evidence within e³⁰, e¹⁰, e⁴, e of the top", cells: 60 });
        if (open) plot.line(ALPHAS.map(Math.log10), n.profile.map((p) => Math.log10(p.v) / 2), { color: "green", dash: "5 4", width: 1.3, label: "best noise for each α" });
        plot.upright(Math.log10(n.gcv.alpha), { color: "orange", label: "GCV's α" });
        plot.upright(Math.log10(n.best), { color: "grey", label: "α of the least error" });
        if (open) plot.dots([Math.log10(n.evidence.alpha)], [Math.log10(n.evidence.noise)], { color: "green", shape: "diamond", size: 5, label: "top" });
        if (ghost) plot.dots([Math.log10(ghost.settings.alpha)], [Math.log10(ghost.settings.noise)], { color: "blue", size: 6, faint: true });
        plot.handle("pair", Math.log10(s.alpha), Math.log10(s.noise), { color: "blue", label: "alpha and noise", value: `alpha ${say(s.alpha, 2)}, noise ${say(s.noise, 2)}`, move: (x, y) => change({ alpha: 10 ** x, noise: 10 ** y }), nudge: (dx, dy) => change({ alpha: s.alpha * 10 ** (0.05 * dx), noise: s.noise * 10 ** (0.05 * dy) }) });
        plot.name("your pair: drag it", "blue", "circle");
      },
    },
    {
      wide: true,
      frame: () => ({ title: "What each criterion thinks of α", height: 210, x: { min: 1e-5, max: 1e3, log: true, label: "α" }, y: { min: 0.05, max: 3, log: true, label: "error" } }),
      draw(plot, n, s) {
        plot.line(ALPHAS, n.errors, { color: "grey", width: 2, label: "true error of the curve" });
        plot.line(ALPHAS, n.gcvs.map(Math.sqrt), { color: "orange", label: "root of GCV: error on a new reading" });
        const low = Math.min(...n.errors);
        plot.line(ALPHAS, n.profile.map((p) => low * Math.exp((n.evidence.log - p.log) / n.data.length)), { color: "green", label: "evidence per row, upside down" });
        plot.upright(s.alpha, { color: "blue", dash: "", width: 1.2 });
      },
    },
  ],
  table: (n) => ({ head: ["α", "best noise", "log evidence", "GCV", "true error"], rows: ALPHAS.map((a, i) => [say(a, 2), say(Math.sqrt(n.profile[i].v)), say(n.profile[i].log), say(n.gcvs[i]), say(n.errors[i])]).filter((_, i) => i % 20 === 0) }),
  claims: (n, s) => [
    { sentence: "Evidence and GCV agree on $\\alpha$ within a factor 3.", holds: ratio(n.evidence.alpha, n.gcv.alpha) <= 3, found: `Evidence says ${say(n.evidence.alpha, 2)}, GCV ${say(n.gcv.alpha, 2)}; the least error is at ${say(n.best, 2)}.`, why: "They ask different questions. GCV asks which fit predicts new readings, evidence which assumptions make these readings likely. With few rows both curves are flat, and the draw decides." },
    { sentence: "Choosing by evidence costs at most a third of error more than the best $\\alpha$.", holds: n.evidence.error <= 1.33 * n.least, found: `Its error is ${say(n.evidence.error)}, that of GCV ${say(n.gcv.error)}, the least ${say(n.least)}.`, why: "In this draw the most probable assumptions are not the best ones; a probability is no guarantee." },
    { sentence: "Your pair is plausible: its evidence is within a factor $e^4$ of the top.", holds: n.log >= n.evidence.log - 4, found: `It is lower by ${say(n.evidence.log - n.log)} in the logarithm.`, why: n.profile[argmin(ALPHAS.map((a) => Math.abs(Math.log(a / s.alpha))))].log < n.evidence.log - 4 ? "At this $\\alpha$ no noise makes the points likely: the curve is " + (s.alpha < n.evidence.alpha ? "allowed to bend far more than it has to." : "held too stiff for them.") : s.noise < n.noiseHere ? "The noise is assumed too small: the fit misses the points by more than that, or bends too much to reach them." : "The noise is assumed too large for what the curve leaves." },
    { sentence: "The 90 % band covers at least 80 % of the curve.", holds: n.covered >= 0.8, found: `It covers ${short(n.covered)}.`, why: "A band says how uncertain the curve is if penalty and noise are right. It does not know that they are not." },
  ],
  text: [
    "## From a penalty to a probability",
    "The curve is a sum of 15 bumps side by side. Column $j$ of $Z$ holds the values of bump $j$ at the places of the points, and $x_j$ says how much of it is taken, so that the points are $c = Zx + e$.",
    "Suppose that before any data the coefficients $x$ are normal with variance $1/a$, and the errors normal with variance $v$. Then the most probable $x$ given the data minimises $|Zx-c|^2/v + a|x|^2$: Tikhonov's answer with $\\alpha = a\\,v$. A penalty is a statement about what is expected. And the data themselves are normal with mean zero and covariance $ZZ'/a + vI$. Their density at what was observed is the *evidence*,",
    "$$ \\log p(c \\mid \\alpha, v) = -\\frac12\\sum_i \\Big( \\frac{(u_i'c)^2}{v(1+s_i^2/\\alpha)} + \\log\\big(2\\pi v(1+s_i^2/\\alpha)\\big)\\Big), $$",
    "with $s_i = 0$ in the directions that no feature reaches. The first term rewards assumptions that make the data unsurprising; the logarithm charges those that would have made everything unsurprising. No row is held out, and the best $v$ for given $\\alpha$ is a mean: the dashed line of the map.",
    "## Bands",
    "After the data $x$ is normal again, with covariance $v\\,(Z'Z+\\alpha)^{-1}$. At a place with features $z$ the curve has the deviation $\\sqrt{v\\,z'(Z'Z+\\alpha)^{-1}z}$, and 90 % of it lies within 1.645 deviations. The same fit and the same bands come from a *Gaussian process* with the kernel $z(t)'z(t')/a$: there one never sees $x$, only covariances of values.",
    "Bands are conditional: *if* penalty, noise and features are right. GCV (page 1.8) needs no such assumption, and gives no bands. Evidence can choose many penalties at once, one for each group of weights, since its slope in each is known; numdl does that for networks, with Laplace's approximation.",
  ],
  code: ({ alpha, noise, count, draw, moved }) => `
import numpy as np
from scipy.stats import multivariate_normal
from numdl.regularize.ridge import decompose, ridge_path
from numdl.regularize.selectors import gcv

rng = np.random.RandomState(${draw})
t, e = 2 * rng.random_sample(40)[:${count}] - 1, rng.standard_normal(40)[:${count}]
c = np.sin(5 * t) * (1 - t / 2) + 0.3 * e
${Object.entries(moved).slice(0, 4).map(([i, y]) => `if ${i} < len(c):\n    c[${i}] = ${y}`).join("\n") || "# every point may be moved: c[3] = 1.0"}

def bumps(t):
    return np.exp(-(((t[:, None] - np.linspace(-1, 1, 15)) / 0.25) ** 2) / 2)

Z, alpha, v = bumps(t), ${alpha}, ${noise}**2
prior = Z @ Z.T * v / alpha + v * np.eye(len(c))  # of the data: a Gaussian process
z = bumps(np.array([0.5]))
mean = z @ Z.T @ np.linalg.solve(prior, c) * v / alpha
var = v / alpha * (z @ z.T - z @ Z.T @ np.linalg.solve(prior, Z @ z.T) * v / alpha)
path = ridge_path(decompose(Z, c[:, None]), np.geomspace(1e-5, 1e3, 161) / len(c))
print(multivariate_normal(np.zeros(len(c)), prior).logpdf(c), len(c) * gcv(path).alpha)
print(mean[0], var[0, 0] ** 0.5)
`,
  prints: (n) => { const k = PLACES.findIndex((t) => Math.abs(t - 0.5) < 1e-9); return [n.log, n.gcv.alpha, n.mean[k], n.spread[k]]; },
  exercises: [
    { ask: "Make the two criteria disagree by more than a factor 3: draw again, change the number of rows, or move points. Then hand in what you have.", start: { label: "Begin", patch: () => ({ draw: 9, moved: {}, count: 16 }) }, button: "Hand in", rightly: (s) => ({ draw: range(200).map((k) => k + 1).find((draw) => { const n = compute({ ...s, draw }); return ratio(n.evidence.alpha, n.gcv.alpha) > 3; }) }),
      check: ({ numbers }) => { const r = ratio(numbers.evidence.alpha, numbers.gcv.alpha), passed = r > 3; return { passed, say: passed ? `Passed: ${say(numbers.evidence.alpha, 2)} against ${say(numbers.gcv.alpha, 2)}, a factor of ${say(r)}. ${numbers.gcv.alpha < numbers.evidence.alpha ? "GCV has seen structure where evidence sees noise: with few rows the denominator of GCV is small, and its valley is flat to the left." : "A few points far from what the prior expects raise the noise that evidence assumes less than GCV's residual."}` : `They differ by a factor of ${say(r)} only. Fewer rows make both curves flatter.` }; } },
    { ask: "One unknown, one reading: $c = x + e$ with $e$ of variance 1 and $x$ of variance $1/a$. You read $c = 3$. Which $a$ has the largest evidence?", input: "a =", right: 0.125, wrong: 0.111,
      check: ({ answer }) => ({ passed: Math.abs(answer - 0.125) < 0.002, say: Math.abs(answer - 0.125) < 0.002 ? "Passed: $c$ has variance $1/a + 1$, and the density at 3 is largest where that is 9." : Math.abs(answer - 1 / 9) < 0.002 ? "Nearly: the noise has its share of the 9." : "The reading is normal with variance $1/a + 1$. Which variance makes the value 3 most likely?" }) },
  ],
  sources: [
    "D. J. C. MacKay, Bayesian interpolation, *Neural Computation* 4 (1992); C. E. Rasmussen and C. K. I. Williams, *Gaussian Processes for Machine Learning*, MIT 2006, sections 2.1 and 5.4; G. Wahba, *Annals of Statistics* 13 (1985), for the comparison with GCV.",
    "In numdl: `numdl select data.csv --target c` reports both choices on your own table; `numdl.regularize.evidence` holds the formulas for groups of weights.",
  ],
  trials: [4, 8, 12, 16, 20, 30, 40].flatMap((count, i) => [[1e-3, 0.1], [0.3, 0.3], [30, 1]].map(([alpha, noise], j) => ({ count, alpha: alpha * (1 + i), noise, draw: 1 + i + 7 * j, moved: j === 2 ? { 1: 1.5, 3: -0.5 } : {} }))),
  compare: (n) => ({ mean: n.mean, spread: n.spread, log: n.log, gcv: n.gcv.alpha, errors: n.errors.filter((_, i) => i % 20 === 0), evidence: [n.evidence.alpha, n.evidence.noise, n.evidence.log], profile: n.profile.filter((_, i) => i % 20 === 0).map((p) => p.log), covered: n.covered }),
};
