// 1.5: where does noise drown the data?
import { N, T, data, filtered, problem, tikhonov, truncated } from "../../lib/inverse.mjs";
import { argmin, geomspace, median, range } from "../../lib/numerics.mjs";
import { offBy, percent, say } from "../../lib/plot.mjs";

const INDEX = range(N).map((i) => i + 1);

function compute({ noise, cut, filter, seed }) {
  const { s, x: truth } = problem(), { beta, sigma } = data(noise, seed);
  const alpha = s[cut - 1] ** 2, f = filter === "truncate" ? truncated(cut) : tikhonov(alpha);
  const errors = INDEX.map((k) => filtered(truncated(k), beta).error);
  const grid = geomspace(1e-20, 10, 148), soft = grid.map((a) => filtered(tikhonov(a), beta).error);
  const best = argmin(errors), gentle = argmin(soft);
  return {
    s, truth, beta, sigma, alpha, f, ...filtered(f, beta), coefficients: beta.map(Math.abs), sizes: beta.map((b, i) => Math.abs(b) / s[i]),
    errors, best: best + 1, bestError: errors[best], exact: errors[N - 1], gentle: soft[gentle], gentleAlpha: grid[gentle],
    beyond: cut < N ? median(beta.slice(cut).map(Math.abs)) / sigma : NaN,
  };
}

const spectrum = { x: { min: 0, max: 65, label: "direction i, from coarse to fine", ticks: [1, 16, 32, 48, 64] } };

export const page = {
  id: "1.5",
  question: "Why is the exact fit useless?",
  goal: "You will find the place where noise drowns the data, and stop there.",
  minutes: 20,
  needs: "the singular value decomposition",
  controls: {
    noise: { kind: "slider", label: "noise", min: 1e-10, max: 0.1, log: true, step: 0.25, value: 1e-3, show: percent },
    cut: { kind: "slider", label: "directions kept", min: 1, max: 64, value: 50, play: 150, show: (k) => String(k) },
    filter: { kind: "choice", label: "how directions are kept", options: [["truncate", "cut off sharply"], ["tikhonov", "let fade (Tikhonov)"]], value: "truncate" },
  },
  hidden: { seed: 1, blind: false },
  guess: {
    ask: "A lens blurs a signal; each of 64 readings then carries an error of 0.1 %. There are as many readings as unknowns, so the equations can be solved exactly. How far is that answer from the truth?",
    options: ["about 0.1 %", "a few per cent", "more than ten times the truth itself"], answer: 2, see: { cut: 64 },
    why: "The exact answer is off by some 5500 times the truth. The smallest singular value of this lens is 36 million times smaller than the largest, and an error in that direction is divided by it.",
  },
  sentence: [
    "The readings carry an error of [[noise]]. Keep the first [[cut]] of 64 directions and [[filter]] behind them: the data are met to {{fit}}, and the answer is off by {{error}}.",
  ],
  breaks: [{ label: "Fit the data exactly", patch: { cut: 64, filter: "truncate" }, why: "All 64 directions are kept, and the residual is zero. The last directions are nothing but noise, divided by singular values near $10^{-8}$." }],
  compute,
  values: (n, { blind }) => ({ fit: percent(n.residual / Math.hypot(...n.beta)), error: blind ? "? (hidden)" : offBy(n.error) }),
  views: [
    {
      frame: () => ({ title: "What the data say", x: spectrum.x, y: { min: 1e-12, max: 1e8, log: true, label: "size" }, height: 330 }),
      draw(plot, n, { cut }, { change, ghost }) {
        plot.across(n.sigma, { color: "grey", label: "noise in one coefficient" });
        plot.dots(INDEX, n.sizes, { color: "green", shape: "cross", size: 2.6, label: "quotient |uᵢ′c| / sᵢ" });
        plot.line(INDEX, n.s, { color: "blue", label: "singular value sᵢ" });
        if (ghost) plot.dots(INDEX, ghost.numbers.coefficients, { color: "orange", size: 2.4, faint: true });
        plot.dots(INDEX, n.coefficients, { color: "orange", size: 2.8, label: "coefficient |uᵢ′c|" });
        plot.handle("cut", cut + 0.5, 1e-11, { upright: true, color: "purple", label: "cut: directions kept", value: String(cut), move: (x) => change({ cut: Math.round(x - 0.5) }), nudge: (dx, dy) => change({ cut: cut + dx + dy }) });
        plot.name("cut: drag it", "purple", "line");
      },
    },
    {
      frame: (n) => ({ title: "What comes out", x: { min: 0, max: 1, label: "place t" }, y: { min: -1.2, max: 2.4, label: "signal" }, height: 330 }),
      draw(plot, n, { blind }, { ghost }) {
        if (!blind) plot.line(T, n.truth, { color: "grey", dash: "5 4", width: 1.6, label: "truth" });
        if (ghost) plot.line(T, ghost.numbers.x, { color: "blue", faint: true, width: 1.4, label: "your last setting" });
        plot.line(T, n.x, { color: "blue", label: "answer" });
        if (Math.max(...n.x.map(Math.abs)) > 8) plot.note(0.5, 2.15, `the answer leaves the figure: up to ${say(Math.max(...n.x.map(Math.abs)), 2)}`, { color: "red", anchor: "middle" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "How much of each direction is kept", x: spectrum.x, y: { min: 0, max: 1.04, label: "filter factor φᵢ", ticks: [0, 0.5, 1] }, height: 150 }),
      draw(plot, n, { filter }) {
        const other = filter === "truncate" ? tikhonov(n.alpha) : truncated(INDEX.filter((i) => n.s[i - 1] ** 2 >= n.alpha).length);
        plot.line(INDEX, other, { color: "grey", width: 1.4, dash: "4 3", label: filter === "truncate" ? "Tikhonov, half at the cut" : "sharp cut" });
        plot.dots(INDEX, n.f, { color: "purple", size: 2.6, label: "kept now" });
      },
    },
  ],
  table: (n, { blind }) => ({
    head: ["i", "sᵢ", "|uᵢ′c|", "quotient", "φᵢ", "error if cut here"],
    rows: INDEX.filter((i) => i % 4 === 0 || i === 1).map((i) => [i, say(n.s[i - 1]), say(n.coefficients[i - 1]), say(n.sizes[i - 1]), say(n.f[i - 1]), blind ? "hidden" : offBy(n.errors[i - 1])]),
  }),
  claims: (n, { noise, cut, blind }) => (blind ? [{ sentence: "The claims speak of the truth; they return when you have handed in your cut.", holds: true, found: "" }] : [
    {
      sentence: "The exact fit is worse than answering zero everywhere.", holds: n.exact > 1, found: `Its error is ${offBy(n.exact)}; that of zero is 100 %.`,
      why: `With noise of only ${percent(noise)}, what the smallest singular value makes of it stays below the signal: here nothing drowns.`,
    },
    {
      sentence: "Behind your cut there is nothing but noise: the typical coefficient is below twice the noise level.", holds: cut === 64 || n.beyond < 2,
      found: cut === 64 ? "You threw nothing away." : `It is ${say(n.beyond)} times the level (0.67 for pure noise).`,
      why: `You throw away directions in which the data still speak. Move the cut to the right, to where the orange dots reach the dashed line.`,
    },
    {
      sentence: "Your answer is within a factor 1.2 of the best sharp cut.", holds: n.error <= 1.2 * n.bestError, found: `The best cut keeps ${n.best} directions and is off by ${offBy(n.bestError)}; yours is off by ${offBy(n.error)}.`,
      why: cut > n.best ? "You keep directions that hold more noise than signal." : "You leave out directions that hold more signal than noise.",
    },
    {
      sentence: "Fading out instead of cutting changes little: at their best the two differ by less than 15 %.", holds: n.gentle <= 1.15 * n.bestError && n.gentle >= 0.85 * n.bestError,
      found: `Best Tikhonov error ${offBy(n.gentle)}, at $\\alpha = $ ${say(n.gentleAlpha)}.`,
      why: "At this noise level the two filters part: one cut serves all directions, while fading treats each by its own strength.",
    },
  ]),
  text: [
    "## Why this happens",
    "Write the blurred readings as $c = Ax + e$. The singular value decomposition $A = \\sum_i s_i u_i v_i'$ splits the problem into 64 equations with one unknown each, and the exact solution is",
    "$$ x = \\sum_{i=1}^{64} \\frac{u_i'c}{s_i}\\, v_i . $$",
    "The blur flattens fine detail, so $s_i$ falls. The exact data fall as well, even faster: they are blurred. The noise does not fall. It has the same size $\\sigma$ in every direction, because $u_i'e$ is one draw of size $\\sigma$ whatever the direction. So there is a place where $|u_i'c|$ stops falling. Behind it the quotient is noise divided by a small number. This is the *Picard condition*: a solution exists in practice as long as the coefficients fall faster than the singular values.",
    "A *filter* multiplies each term by a factor $\\varphi_i$ between 0 and 1. A sharp cut takes $\\varphi_i = 1$ up to $k$. Tikhonov's method minimises $|Ax-c|^2 + \\alpha |x|^2$, and its factors are",
    "$$ \\varphi_i = \\frac{s_i^2}{s_i^2+\\alpha}, $$",
    "one half where $s_i^2 = \\alpha$. On this page $\\alpha = s_k^2$, so that your cut $k$ is where half is kept. A network that is trained with *weight decay*, the same penalty on the squares of its weights, does this in its linear parts: strong directions are learnt, weak ones are held.",
  ],
  code: ({ noise, cut, filter, seed }) => `
import numpy as np
from numdl.data.problems.inverse_problems import deblurring

problem = deblurring(64, 0.03)
A, truth = problem.A, problem.x
sigma = ${noise} * np.linalg.norm(problem.b) / 64**0.5
c = problem.b + sigma * np.random.RandomState(${seed}).standard_normal(64)

U, s, Vt = np.linalg.svd(A)
coefficients = U.T @ c
k = ${cut}
${filter === "truncate" ? "phi = (np.arange(64) < k).astype(float)" : "phi = s**2 / (s**2 + s[k - 1] ** 2)"}
x = Vt.T @ (phi * coefficients / s)
error = np.linalg.norm(x - truth) / np.linalg.norm(truth)
residual = np.linalg.norm((1 - phi) * coefficients) / np.linalg.norm(coefficients)
print(error, residual)
`,
  prints: (n) => [n.error, n.residual / Math.hypot(...n.beta)],
  exercises: [
    {
      ask: "Take new data; noise between 0.1 % and 3 %, unknown, and the truth is hidden. Place the cut by looking at the coefficients alone, then hand it in. It passes if your error is within 1.2 of the best cut's.",
      start: { label: "New data", patch: (round) => ({ noise: [3e-3, 1e-2, 1e-3, 3e-2][(round - 1) % 4], seed: 100 + round, blind: true, cut: 64, filter: "truncate" }) },
      button: "Hand in my cut",
      rightly: (s) => ({ cut: compute(s).best }),
      check: ({ settings, numbers }) => {
        if (!settings.blind) return { passed: false, say: "Take new data first: with the truth in sight this is no exercise." };
        const ratio = numbers.error / numbers.bestError, passed = ratio <= 1.2;
        return { passed, patch: { blind: false }, say: `You kept ${settings.cut}, the best cut keeps ${numbers.best}. Your error is ${say(ratio)} times the best. ${passed ? "Passed." : settings.cut > numbers.best ? "You kept noise: look for where the orange dots stop falling." : "You gave away signal: dots above the dashed line still speak."}` };
      },
    },
    {
      ask: "How many directions would the best cut keep if the noise were 100 times smaller, $10^{-5}$ instead of $10^{-3}$? Answer before you look: the noise level falls by two decades; where does it meet the orange dots then?",
      input: "directions", right: 51, wrong: 35,
      check: ({ answer, settings }) => {
        const { best, errors } = compute({ noise: 1e-5, cut: 1, filter: "truncate", seed: settings.seed }), k = Math.round(answer);
        const passed = k >= 1 && k <= N && errors[k - 1] <= 1.2 * errors[best - 1];
        return { passed, say: `The best cut keeps ${best}${k >= 1 && k <= N ? `; with ${k} the error is ${say(errors[k - 1] / errors[best - 1])} times the best` : ""}. ${passed ? "Passed." : "Set the noise to 0.001 % and look where the dots flatten."}` };
      },
    },
  ],
  sources: [
    "P. C. Hansen, *Discrete Inverse Problems*, SIAM 2010, sections 3.3 (Picard condition), 4.2 and 4.4 (truncation and Tikhonov), 7.1 (blur).",
    "In numdl: `numdl experiment run picard-condition` does the same on Shaw's problem, and `numdl.regularize.ridge.picard` finds the noise level by itself.",
  ],
  trials: [1e-10, 1e-6, 1e-4, 1e-3, 1e-2, 0.1].flatMap((noise, i) => [["truncate", 5 + 9 * i], ["tikhonov", 8 + 8 * i], ["truncate", 64 - 7 * i], ["tikhonov", 60 - 9 * i]].map(([filter, cut]) => ({ noise, cut, filter, seed: 1 + i }))),
  tolerance: 1e-8, // rounding times the condition number, 4e7
  compare: (n) => ({ s: n.s, coefficients: n.coefficients, f: n.f, x: n.x, residual: [n.residual, Math.hypot(...n.beta)], errors: n.errors.slice(0, 50), best: n.best }),
};
