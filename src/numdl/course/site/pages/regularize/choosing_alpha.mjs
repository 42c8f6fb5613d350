// 1.8: who chooses alpha?
import { ALPHAS, choose, judge } from "../../lib/criteria.mjs";
import { N, T, data, filtered, problem, tikhonov } from "../../lib/inverse.mjs";
import { argmin, norm } from "../../lib/numerics.mjs";
import { percent, say } from "../../lib/plot.mjs";

const NAMES = { gcv: "GCV", guarded: "guarded GCV", corner: "the L-curve's corner", discrepancy: "the discrepancy principle" };
const LOOKS = { gcv: ["orange", "circle"], guarded: ["red", "square"], corner: ["green", "diamond"], discrepancy: ["purple", "circle"] };
const ENOUGH = 6;

function compute({ noise, alpha, draw, tried }) {
  const { x: truth } = problem(), { beta, sigma } = data(noise, draw), explained = sigma * Math.sqrt(N);
  const path = ALPHAS.map((a) => judge(a, beta)), errors = ALPHAS.map((a) => filtered(tikhonov(a), beta).error);
  const now = { ...judge(alpha, beta), ...filtered(tikhonov(alpha), beta) }, best = argmin(errors), chosen = choose(path, explained);
  const ratio = Object.fromEntries(Object.entries(chosen).map(([name, i]) => [name, errors[i] / errors[best]]));
  const low = path[chosen.gcv].gcv, flat = ALPHAS.filter((_, i) => path[i].gcv <= 1.01 * low);
  return { truth, path, errors, now, best, chosen, ratio, explained, flat: [flat[0], flat.at(-1)], points: [...tried.map((a) => judge(a, beta)), now], scale: norm(beta) };
}

const open = (s) => s.tried.length >= ENOUGH || s.reveal;
const axis = { min: 1e-12, max: 10, log: true, label: "α" };

// A criterion over alpha: the points that were asked for, and the curve once there are enough.
function criterion(plot, n, s, key, color, change) {
  if (open(s)) {
    plot.line(ALPHAS, n.path.map((p) => p[key]), { color, label: "all α" });
    plot.dots(n.points.map((p) => p.alpha), n.points.map((p) => p[key]), { color: "grey", size: 2.6 });
  } else plot.dots(n.points.map((p) => p.alpha), n.points.map((p) => p[key]), { color, size: 3.4, label: "tried" });
  plot.dots([n.now.alpha], [n.now[key]], { color: "blue", size: 5, shape: "ring", label: "your α" });
  if (n.now[key] > plot.y.max) plot.note(n.now.alpha, plot.y.max, `far above: ${say(n.now[key])}`, { color: "blue", anchor: "end", dx: -6, dy: 16 });
  plot.click((x) => change({ tried: [...s.tried, n.now.alpha].slice(-40), alpha: x }));
}
const marks = (plot, n, s, x, y, names) => open(s) && names.forEach((name) => plot.dots([x(n.chosen[name])], [y(n.chosen[name])], { color: LOOKS[name][0], shape: LOOKS[name][1], size: 4.6, label: `${NAMES[name].replace("the ", "")} chooses` }));

const verdict = (n, name) => `It takes $\\alpha = $ ${say(ALPHAS[n.chosen[name]])} and errs ${say(n.ratio[name])} times as much as the best, ${say(ALPHAS[n.best])}.`;

export const page = {
  id: "1.8",
  question: "Who chooses alpha?",
  goal: "You will build three criteria point by point, see which one to trust, and when it fails.",
  minutes: 25,
  own: true,
  needs: "page 1.5: filter factors, and where noise drowns the data",
  controls: {
    noise: { kind: "slider", label: "noise", min: 1e-4, max: 0.1, log: true, step: 0.25, value: 1e-3, show: percent },
    alpha: { kind: "slider", label: "alpha", min: 1e-12, max: 10, log: true, step: 0.02, value: 1e-9, show: (a) => say(a, 2) },
    draw: { kind: "slider", label: "draw of the noise", min: 1, max: 40, value: 7, show: (k) => `no. ${k}` },
  },
  hidden: { tried: [], reveal: false, blind: false },
  guess: {
    ask: "Generalised cross validation (GCV) chooses the strength of the penalty from the data alone. On 40 draws of the same noise, how often does its answer err more than twice as much as the best possible one?",
    options: ["never", "in 1 draw of 40", "in 7 draws of 40"], answer: 2, see: { draw: 15, reveal: true },
    why: "With 0.1 % noise it is fine in 33 draws and fails in 7, once by a factor of 1000. Find such a draw below, and see why.",
  },
  sentence: [
    "Click into the empty axes: each click tries one $\\alpha$. Now $\\alpha=$ [[alpha]], with noise of [[noise]], draw [[draw]]: the residual is {{residual}} of the data, the answer has size {{size}}, and the fit uses {{freedom}} of 64 degrees of freedom. {{left}}",
  ],
  breaks: [
    { label: "Keep this α and try another", patch: (s) => ({ tried: [...s.tried, s.alpha], alpha: s.alpha * 30 > 10 ? 1e-12 : s.alpha * 30 }) },
    { label: "Show all α and the true error", patch: { reveal: true } },
    { label: "Break GCV", patch: { noise: 1e-3, draw: 15, reveal: true, blind: false }, why: "Draw 15: the minimum of GCV is at an $\\alpha$ so small that hardly anything is filtered. To its left the curve is nearly flat, and the noise decides where its lowest point is." },
  ],
  compute,
  values: (n, s) => ({
    residual: percent(n.now.r / n.scale), size: say(n.now.size), freedom: say(n.now.freedom),
    left: open(s) ? "" : `Try ${ENOUGH - s.tried.length} more, and the curves appear.`,
  }),
  views: [
    {
      frame: (n) => ({ title: "GCV: small means it predicts well", x: axis, y: { min: 0.3 * n.path[n.chosen.guarded].gcv, max: 3e3 * n.path[n.chosen.guarded].gcv, log: true, label: "GCV" }, height: 265 }),
      draw(plot, n, s, { change }) {
        criterion(plot, n, s, "gcv", "orange", change);
        marks(plot, n, s, (i) => ALPHAS[i], (i) => n.path[i].gcv, ["guarded", "gcv"]);
      },
    },
    {
      frame: (n) => ({ title: "Residual: should be as large as the noise", x: axis, y: { min: n.explained / 30, max: 1.5 * n.scale, log: true, label: "|A x − c|" }, height: 265 }),
      draw(plot, n, s, { change }) {
        plot.across(n.explained, { color: "grey", label: "norm of the noise" });
        criterion(plot, n, s, "r", "purple", change);
        marks(plot, n, s, (i) => ALPHAS[i], (i) => n.path[i].r, ["discrepancy"]);
      },
    },
    {
      frame: (n) => ({ title: "L-curve: where fit is bought with size", x: { min: n.explained / 30, max: 1.5 * n.scale, log: true, label: "|A x − c|" }, y: { min: 1, max: 1e5, log: true, label: "|x|" }, height: 265 }),
      draw(plot, n, s) {
        if (open(s)) plot.line(n.path.map((p) => p.r), n.path.map((p) => p.size), { color: "green", label: "all α" });
        plot.dots(n.points.map((p) => p.r), n.points.map((p) => p.size), { color: open(s) ? "grey" : "green", size: 3 });
        plot.dots([n.now.r], [n.now.size], { color: "blue", size: 5, shape: "ring", label: "your α" });
        marks(plot, n, s, (i) => n.path[i].r, (i) => n.path[i].size, ["corner"]);
      },
    },
    {
      frame: (n, s) => (s.reveal && !s.blind
        ? { title: "The truth: error of the answer", x: axis, y: { min: 0.05, max: 100, log: true, label: "|x − truth| / |truth|" }, height: 265 }
        : { title: "The answer for your α", x: { min: 0, max: 1, label: "place t" }, y: { min: -1.2, max: 2.4, label: "signal" }, height: 265 }),
      draw(plot, n, s, { ghost, change }) {
        if (s.reveal && !s.blind) {
          plot.line(ALPHAS, n.errors, { color: "blue", label: "error" });
          marks(plot, n, s, (i) => ALPHAS[i], (i) => n.errors[i], ["discrepancy", "corner", "guarded", "gcv"]);
          plot.dots([n.now.alpha], [n.now.error], { color: "blue", size: 5, shape: "ring", label: "your α" });
          plot.click((x) => change({ alpha: x }));
          return;
        }
        if (!s.blind) plot.line(T, n.truth, { color: "grey", dash: "5 4", width: 1.6, label: "truth" });
        if (ghost) plot.line(T, ghost.numbers.now.x, { color: "blue", faint: true, width: 1.4, label: "your last setting" });
        plot.line(T, n.now.x, { color: "blue", label: "answer" });
      },
    },
  ],
  table: (n, s) => {
    const rows = [...n.points].sort((a, b) => a.alpha - b.alpha).map((p) => [say(p.alpha), say(p.r), say(p.size), say(p.freedom), say(p.gcv)]);
    return { head: ["α", "residual", "size", "freedom", "GCV"], rows };
  },
  claims: (n, s) => (s.blind ? [{ sentence: "The claims speak of the truth; they return after five draws.", holds: true, found: "" }] : !open(s) ? [{ sentence: "The claims say what each criterion chooses, and how well.", holds: true, found: "They come with the curves: you choose first." }] : [
    { sentence: "GCV errs at most 1.5 times as much as the best $\\alpha$.", holds: n.ratio.gcv <= 1.5, found: verdict(n, "gcv"), why: n.flat[0] === n.flat[1] ? `Its lowest point is a dip far from the valley where the least error is; there the curve is ${percent(n.path[n.chosen.guarded].gcv / n.path[n.chosen.gcv].gcv - 1)} higher. To the left of that valley the curve is so flat that the draw of the noise decides.` : `Its curve is within 1 % of its minimum from ${say(n.flat[0])} to ${say(n.flat[1])}: in so flat a valley the draw of the noise decides.` },
    { sentence: "Guarded GCV, which charges 1.4 times as much for a degree of freedom, errs at most 1.5 times as much.", holds: n.ratio.guarded <= 1.5, found: verdict(n, "guarded"), why: "The guard lowers the odds of a bad draw; it does not abolish them." },
    { sentence: "The discrepancy principle errs at most 1.5 times as much.", holds: n.ratio.discrepancy <= 1.5, found: `${verdict(n, "discrepancy")} It was told the size of the noise; the others were not.`, why: "In this draw the noise is smaller than its expected size, so the residual can reach the dashed line at an α far too large." },
    { sentence: "The corner of the L-curve errs at most 1.5 times as much.", holds: n.ratio.corner <= 1.5, found: verdict(n, "corner"), why: "The corner balances fit and size of this answer. Nothing in it knows how error depends on α, and here it smooths too little or too much." },
  ]),
  text: [
    "## What the criteria measure",
    "For each $\\alpha$ the answer minimises $|Ax-c|^2+\\alpha|x|^2$. Its residual $r$ rises with $\\alpha$, its size falls, and $f=\\sum_i \\varphi_i$, the sum of the filter factors, counts how many of the 64 directions it still uses.",
    "The *discrepancy principle* asks for the largest $\\alpha$ whose residual the noise explains: $|r| \\le 1.01\\,\\sigma\\sqrt{n}$. A smaller residual would fit noise. It must be told $\\sigma$.",
    "*Generalised cross validation* asks: leave one reading out, and predict it from the others. For a fit that is linear in the readings this needs no second fit: the error at a reading is its residual over $1-h$, where $h$ between 0 and 1 says how far the fit follows that reading (page 1.9). All $h$ together make $f$. Put their mean $f/n$ for each of them; then the mean squared error is",
    "$$ \\mathrm{GCV}(\\alpha) = \\frac{n\\,|r|^2}{(n-f)^2} . $$",
    "The numerator rewards fit. The denominator charges for freedom: a fit that uses all $n$ directions has no residual and no credit. To the left of the minimum numerator and denominator fall together, so the valley is flat there, and once in a while a draw of the noise puts the lowest point far out. The *guard* replaces the exponent 2 by 2.8. That costs little in good draws and saves most bad ones.",
    "The *L-curve* plots size against residual, both in logarithms. Its corner is where smoothing begins to cost fit.",
  ],
  code: ({ noise, alpha, draw }) => `
import numpy as np
from numdl.data.problems.inverse_problems import deblurring
from numdl.regularize.ridge import alpha_grid, decompose, ridge_path
from numdl.regularize.selectors import gcv

problem = deblurring(64, 0.03)
noise = np.random.RandomState(${draw}).standard_normal(64)
c = problem.b + problem.deviation(${noise}) * noise

d = decompose(problem.A, c[:, None])
# numdl's misfit is a mean over the readings: its alpha is ours over 64
path = ridge_path(d, np.array([${alpha} / 64]))
r, f = path.residuals[0], path.freedom[0]
print(r, path.seminorms[0], f, 64 * r**2 / (64 - f) ** 2)
whole = ridge_path(d, np.geomspace(1e-12, 10, 131) / 64)
print(64 * gcv(whole).alpha, 64 * gcv(whole, guard=1.4).alpha)
`,
  prints: (n) => [n.now.r, n.now.size, n.now.freedom, n.now.gcv, ALPHAS[n.chosen.gcv], ALPHAS[n.chosen.guarded]],
  exercises: [
    {
      ask: "Beat GCV. Five draws, the truth hidden: for each, choose $\\alpha$ with the slider or a click, by whatever you see, and hand it in. It passes if the geometric mean of your errors, each over the best one of its draw, is below that of GCV.",
      start: { label: "Begin", patch: (round, memory) => { memory.yours = []; memory.theirs = []; memory.round = round; return { noise: 1e-3, draw: 11, blind: true, reveal: false, tried: [], alpha: 1e-9 }; } },
      button: "Hand in this α",
      rightly: (s) => { const n = compute(s); return { alpha: ALPHAS[n.best] }; },
      check: ({ settings, numbers, memory }) => {
        if (!settings.blind || !memory.yours) return { passed: false, say: "Press Begin first." };
        memory.yours.push(numbers.now.error / numbers.errors[numbers.best]);
        memory.theirs.push(numbers.ratio.gcv);
        const k = memory.yours.length, mean = (a) => Math.exp(a.reduce((s, x) => s + Math.log(x), 0) / a.length);
        if (k < 5) return { passed: true, more: true, say: `Draw ${k} of 5: taken. Here is the next.`, patch: { draw: settings.draw + 1, tried: [], alpha: 1e-9, reveal: false } };
        const passed = mean(memory.yours) < mean(memory.theirs);
        return { passed, patch: { blind: false, reveal: true }, say: `Your errors are ${say(mean(memory.yours))} times the best, those of GCV ${say(mean(memory.theirs))} times. ${passed ? "Passed: draws 13 to 15 are among those where GCV is lost, and you saw it." : "Look at the answer itself: an α that leaves wiggles is too small."}` };
      },
    },
    {
      ask: "With noise of 0.1 %, find one of the 40 draws in which GCV errs more than twice as much as the best $\\alpha$. Which number?",
      input: "draw", right: 15, wrong: 1,
      check: ({ answer }) => {
        const k = Math.round(answer);
        if (!(k >= 1 && k <= 40)) return { passed: false, say: "Draws are numbered from 1 to 40." };
        const n = compute({ noise: 1e-3, alpha: 1e-3, draw: k, tried: [] });
        return { passed: n.ratio.gcv > 2, say: `In draw ${k} GCV errs ${say(n.ratio.gcv)} times as much as the best. ${n.ratio.gcv > 2 ? "Passed." : "That is a good draw. Press “Show all α”, move the draw, and watch the first claim."}` };
      },
    },
  ],
  sources: [
    "G. H. Golub, M. Heath and G. Wahba, *Technometrics* 21 (1979), equation 1.4 (GCV); P. C. Hansen, *Discrete Inverse Problems*, SIAM 2010, chapter 5.",
    "In numdl: `numdl select data.csv --target c` asks all criteria on your own table; `numdl experiment run choosing-alpha` repeats this on a hundred draws. The guard is numdl's own.",
  ],
  trials: [1, 2, 3, 4, 5, 6, 7, 15].flatMap((draw, i) => [1e-4, 1e-3, 1e-2].map((noise, j) => ({ reveal: i > 0, draw, noise, alpha: 10 ** (-9 + i + j) }))),
  compare: (n) => ({
    residuals: n.path.map((p) => p.r), sizes: n.path.map((p) => p.size), freedom: n.path.map((p) => p.freedom), gcv: n.path.map((p) => p.gcv), guarded: n.path.map((p) => p.guarded),
    chosen: [n.chosen.gcv, n.chosen.guarded, n.chosen.discrepancy], now: [n.now.r, n.now.size, n.now.freedom], x: n.now.x,
  }),
};
