// 1.10: what should be smooth?
import { penalty, solveBanded } from "../../lib/images.mjs";
import { argmin, geomspace, random, range } from "../../lib/numerics.mjs";
import { percent, say } from "../../lib/plot.mjs";

// An image of 24 x 24 pixels, some of them missing, the others with errors: |x - c|^2 over the known ones, plus alpha |L x|^2.
const SIDE = 24, ALL = SIDE * SIDE, ROW = 11, BLOCK = 3, ALPHAS = geomspace(1e-3, 10, 13);
const KINDS = [["identity", "the pixels themselves small"], ["gradient", "neighbours alike (gradient)"], ["laplacian", "slopes alike (Laplacian)"]];
const COLORS = { identity: "orange", gradient: "blue", laplacian: "green" };
const truth = range(ALL).map((p) => { const i = Math.floor(p / SIDE), j = p % SIDE; return 0.25 + 0.35 * Math.sin(0.22 * j) * Math.cos(0.16 * i) + (Math.hypot(i - 16, j - 16) < 5 ? 0.4 : 0) + (i < 9 ? (0.4 * i) / 9 : 0.4 * Math.max(0, 1 - (i - 9) / 6)); });
const B = {};
const band = (kind) => (B[kind] ??= penalty(SIDE, kind));
const blockOf = (p) => Math.floor(Math.floor(p / SIDE) / BLOCK) * (SIDE / BLOCK) + Math.floor((p % SIDE) / BLOCK);

// Known pixels (1) and their readings; a brushed block is missing, too.
export function readings(missing, noise, draw, brushed) {
  const rng = random(draw), u = rng.uniforms(ALL), e = rng.normals(ALL), gone = new Set(brushed);
  const known = u.map((v, p) => +(v >= missing && !gone.has(blockOf(p))));
  return { known, c: truth.map((x, p) => known[p] * (x + noise * e[p])) };
}
const fill = ({ known, c }, kind, alpha) => solveBanded(known, alpha, band(kind), c);
const size = Math.sqrt(truth.reduce((t, x) => t + x * x, 0));
const errorOf = (x) => Math.sqrt(x.reduce((t, v, p) => t + (v - truth[p]) ** 2, 0)) / size;

let last = {};
function paths(data, key) {
  if (last.key !== key) last = { key, errors: Object.fromEntries(KINDS.map(([kind]) => [kind, ALPHAS.map((a) => errorOf(fill(data, kind, a)))])) };
  return last.errors;
}
function compute({ missing, alpha, operator, noise, draw, brushed }) {
  const data = readings(missing, noise, draw, brushed), x = fill(data, operator, alpha), errors = paths(data, `${missing} ${noise} ${draw} ${brushed}`), holes = range(ALL).filter((p) => !data.known[p]);
  const seen = data.c.filter((_, p) => data.known[p]), low = Math.min(...seen), high = Math.max(...seen), best = Object.fromEntries(KINDS.map(([kind]) => [kind, argmin(errors[kind])]));
  return { ...data, x, error: errorOf(x), errors, best, least: Object.fromEntries(KINDS.map(([kind]) => [kind, errors[kind][best[kind]]])), holes, low, high, beyond: holes.filter((p) => x[p] < low - 1e-12 || x[p] > high + 1e-12).length };
}

const edges = range(SIDE + 1), shade = (v) => Math.min(Math.max(v / 1.2, 0), 1), rows = (x) => range(SIDE).map((i) => x.slice(SIDE * i, SIDE * (i + 1))).reverse();
const canvas = (title) => ({ title, equal: true, height: 300, x: { min: 0, max: SIDE, ticks: [], label: "" }, y: { min: 0, max: SIDE, ticks: [] } });

export const page = {
  id: "1.10",
  question: "What should be smooth?",
  goal: "You will fill the holes of an image by saying what you expect of it: small values, like neighbours, or like slopes.",
  minutes: 20,
  needs: "pages 1.5 and 1.6: penalties",
  layout: "three",
  controls: {
    operator: { kind: "choice", label: "what is expected", options: KINDS, value: "identity" },
    alpha: { kind: "slider", label: "alpha", min: 1e-3, max: 10, log: true, step: 0.05, value: 0.1, play: 120, show: (a) => say(a, 2) },
    missing: { kind: "slider", label: "missing pixels", min: 0, max: 0.95, step: 0.05, value: 0.6, show: percent },
  },
  hidden: { noise: 0.05, draw: 1, brushed: [] },
  guess: {
    ask: "60 % of the pixels of a photograph are missing, at random places, and the others are noisy. One minimises the misfit of the known ones plus a penalty on the squares of all pixels, as ridge regression does. What appears in the holes?",
    options: ["a mean of their surroundings", "a blurred image", "nothing: zeros"], answer: 2,
    why: "Each pixel is a problem of its own there: no term connects it with its neighbours, and zero is the smallest value. A penalty on differences connects them.",
  },
  sentence: [
    "[[missing]] of the pixels are missing, and a click into the data removes a block. Expect [[operator]], with the weight $\\alpha=$ [[alpha]]: the image is off by {{error}}.",
  ],
  breaks: [
    { label: "Neighbours alike", patch: { operator: "gradient", alpha: 0.1 }, why: "A membrane, held at the known pixels: in a hole each pixel is the mean of its four neighbours." },
    { label: "Slopes alike", patch: { operator: "laplacian", alpha: 0.1 }, why: "A thin plate: it carries slopes into the hole, where the membrane hangs flat. At edges it swings over." },
    { label: "A large hole", patch: { brushed: [27, 28, 35, 36, 43, 44], operator: "laplacian", missing: 0.3 }, why: "In a large hole the penalty alone decides. What it says there is what you put in." },
    { label: "More noise, or less", patch: (s) => ({ noise: s.noise === 0.05 ? 0.2 : 0.05 }), why: "Noise asks for a larger $\\alpha$ with every operator." },
  ],
  compute,
  values: (n) => ({ error: percent(n.error) }),
  views: [
    {
      frame: () => canvas("Data: click to brush away"),
      draw(plot, n, s, { change }) {
        plot.heat(rows(n.c), edges, edges, shade, { color: "ink" });
        plot.dots(n.holes.map((p) => (p % SIDE) + 0.5), n.holes.map((p) => SIDE - Math.floor(p / SIDE) - 0.5), { color: "red", size: 1.1 });
        plot.click((x, y) => { const i = Math.floor(SIDE - y), j = Math.floor(x); if (i < 0 || j < 0 || i >= SIDE || j >= SIDE) return; const b = blockOf(SIDE * i + j); change({ brushed: s.brushed.includes(b) ? s.brushed.filter((k) => k !== b) : [...s.brushed, b] }); });
      },
    },
    { frame: () => canvas("Filled"), draw(plot, n) { plot.heat(rows(n.x), edges, edges, shade, { color: "ink" }); } },
    { frame: () => canvas("Truth"), draw(plot) { plot.heat(rows(truth), edges, edges, shade, { color: "ink" }); } },
    {
      wide: true,
      frame: () => ({ title: "Along the twelfth row", height: 200, x: { min: 0.5, max: SIDE + 0.5, label: "pixel" }, y: { min: -0.1, max: 1.3, label: "brightness", ticks: [0, 0.5, 1] } }),
      draw(plot, n, s, { ghost }) {
        const j = range(SIDE), at = j.map((k) => k + 1), cut = (x) => j.map((k) => x[SIDE * ROW + k]), seen = j.filter((k) => n.known[SIDE * ROW + k]);
        plot.line(at, cut(truth), { color: "grey", dash: "5 4", width: 1.6, label: "truth" });
        if (ghost) plot.line(at, cut(ghost.numbers.x), { color: COLORS[ghost.settings.operator], faint: true, width: 1.4, label: "your last setting" });
        plot.line(at, cut(n.x), { color: COLORS[s.operator], label: "filled" });
        plot.dots(seen.map((k) => k + 1), seen.map((k) => n.c[SIDE * ROW + k]), { color: "ink", size: 3, label: "known" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Error over α, for each expectation", height: 200, x: { min: 1e-3, max: 10, log: true, label: "α" }, y: { min: 0.03, max: 1.1, log: true, label: "error", ticks: [0.05, 0.1, 0.2, 0.5, 1] } }),
      draw(plot, n, s) {
        for (const [kind, text] of KINDS) plot.line(ALPHAS, n.errors[kind], { color: COLORS[kind], width: kind === s.operator ? 2.6 : 1.4, label: text });
        plot.dots([s.alpha], [n.error], { color: COLORS[s.operator], size: 5.5 });
      },
    },
  ],
  table: (n) => ({ head: ["α", "pixels small", "neighbours alike", "slopes alike"], rows: ALPHAS.map((a, i) => [say(a, 2), ...KINDS.map(([k]) => percent(n.errors[k][i]))]) }),
  claims: (n, s) => [
    { sentence: "Differences help: your image is off by at most half of what the best penalty on the pixels themselves reaches.", holds: n.error <= 0.5 * n.least.identity, found: `${percent(n.error)} against ${percent(n.least.identity)}.`, why: s.operator === "identity" ? "Nothing connects a missing pixel with its neighbours." : "With so few pixels missing, or so large a weight, there is little to gain from neighbours." },
    { sentence: "Your weight is within a tenth of the least error with this expectation.", holds: n.error <= 1.1 * n.least[s.operator], found: `The least is ${percent(n.least[s.operator])}, near $\\alpha = ${say(ALPHAS[n.best[s.operator]], 2)}$.`, why: s.alpha < ALPHAS[n.best[s.operator]] ? "You believe the noise of the known pixels." : "You smooth away what the known pixels say." },
    { sentence: "Like slopes are the better expectation here: at their best they err at least 5 % less than like neighbours.", holds: n.least.laplacian <= 0.95 * n.least.gradient, found: `${percent(n.least.laplacian)} against ${percent(n.least.gradient)}.`, why: "The edge of the disc is a jump. The plate pays for it with swings, the membrane with a blur." },
    { sentence: "No hole is filled with a value outside the range of the known pixels.", holds: n.beyond === 0, found: n.beyond ? `${n.beyond} of ${n.holes.length} are.` : `None of ${n.holes.length}; known are ${say(n.low)} to ${say(n.high)}.`, why: s.operator === "laplacian" ? "A plate swings over. The membrane cannot: where nothing is known each pixel is a mean of its neighbours." : "Zero lies outside that range, and the penalty pulls to zero." },
  ],
  text: [
    "## A penalty is an expectation",
    "Let $A$ pick the known pixels. Where pixels are missing, $Ax = c$ says nothing, and any penalty decides alone:",
    "$$ \\min_x\\ |Ax-c|^2 + \\alpha\\,|Lx|^2 . $$",
    "With $L = I$ one expects small values. With $L$ the *gradient*, all differences of neighbours, one expects neighbours to be alike; constants are free. With $L$ the *Laplacian*, the difference of a pixel from the mean of its four neighbours, one expects slopes to be alike; planes are nearly free. (Page 1.14 says it with probabilities: before any data $x$ is normal, and $L'L$ is up to a factor the inverse of its covariance.)",
    "For a network the same question is asked of its weights. The weights of a classifier of images form an image; weight decay expects them to be small, a gradient penalty expects them smooth. And weights of neighbouring layers should be alike if the network is a differential equation in disguise (lecture 3): there $L$ is a difference in depth.",
    "## A penalty in disguise: noise",
    "Add noise of deviation $\\delta$ to all inputs of a linear fit, new in each step, and train on that. On average",
    "$$ \\mathrm{E}\\,|(A+E)x-c|^2 = |Ax-c|^2 + n\\,\\delta^2\\,|x|^2 , $$",
    "since the mixed terms vanish and each of the $n$ rows adds $\\delta^2|x|^2$. So noise on the inputs is ridge regression with $\\alpha = n\\,\\delta^2$. Data that are augmented by small shifts penalise the derivative along the shift in the same way.",
  ],
  code: ({ missing, alpha, operator, noise, draw, brushed }) => `
import numpy as np

i, j = np.mgrid[:24, :24]
truth = 0.25 + 0.35 * np.sin(0.22 * j) * np.cos(0.16 * i) + 0.4 * (np.hypot(i - 16, j - 16) < 5)
truth += np.where(i < 9, 0.4 * i / 9, 0.4 * np.maximum(0, 1 - (i - 9) / 6))
rng = np.random.RandomState(${draw})
known = rng.random_sample((24, 24)) >= ${missing}
known &= ~np.isin(i // 3 * 8 + j // 3, ${JSON.stringify(brushed)})
c = known * (truth + ${noise} * rng.standard_normal((24, 24)))

D = np.diff(np.eye(24), axis=0)  # differences of neighbours
G = np.vstack([np.kron(D, np.eye(24)), np.kron(np.eye(24), D)])
P = ${{ identity: "np.eye(576)", gradient: "G.T @ G", laplacian: "(G.T @ G) @ (G.T @ G)" }[operator]}
x = np.linalg.solve(np.diag(known.ravel().astype(float)) + ${alpha} * P, c.ravel()).reshape(24, 24)
print(np.linalg.norm(x - truth) / np.linalg.norm(truth), x[11, 11], x[20, 3])
`,
  prints: (n) => [n.error, n.x[SIDE * 11 + 11], n.x[SIDE * 20 + 3]],
  exercises: [
    { ask: "A linear fit has 50 rows. To each input, in each step anew, noise of standard deviation 0.2 is added. To which $\\alpha$ in $|Ax-c|^2+\\alpha|x|^2$ does that amount?", input: "α =", right: 2, wrong: 0.04,
      check: ({ answer }) => ({ passed: Math.abs(answer - 2) < 0.02, say: Math.abs(answer - 2) < 0.02 ? "Passed: $n\\,\\delta^2 = 50 \\cdot 0.04$." : Math.abs(answer - 0.04) < 0.002 ? "That is what one row adds." : "Each of the $n$ rows adds $\\delta^2|x|^2$." }) },
    { ask: "One pixel is missing; its four neighbours are 0.2, 0.4, 0.6 and 1.0, known exactly. With which value does the gradient penalty fill it?", input: "value", right: 0.55, wrong: 0.5,
      check: ({ answer }) => ({ passed: Math.abs(answer - 0.55) < 0.003, say: Math.abs(answer - 0.55) < 0.003 ? "Passed: $\\sum (x-c_i)^2$ is least at the mean of the four." : "Minimise the sum of the four squared differences." }) },
  ],
  sources: [
    "P. C. Hansen, *Discrete Inverse Problems*, SIAM 2010, sections 8.1 to 8.3; C. M. Bishop, Training with noise is equivalent to Tikhonov regularization, *Neural Computation* 7 (1995).",
    "In numdl: `numdl.linalg.ImageGradient` and `ImageLaplacian` are penalties of `TikhonovRegressor`; `numdl experiment run inpainting`.",
  ],
  trials: [[0, 0.1], [0.3, 1e-2], [0.5, 1], [0.6, 0.03], [0.7, 10], [0.9, 0.3], [0.2, 0.1]].flatMap(([missing, alpha], i) => KINDS.map(([operator]) => ({ operator, missing, alpha, noise: i % 2 ? 0.2 : 0.05, draw: 1 + (i % 3), brushed: i === 6 ? [27, 28, 36] : [] }))),
  compare: (n) => ({ x: n.x, error: n.error, errors: KINDS.map(([kind]) => n.errors[kind][6]), holes: n.holes.length, beyond: n.beyond }),
};
