// 1.1: what is there to learn?
import { dot, linspace, norm, qr, random, range, sum } from "../../lib/numerics.mjs";
import { offBy, say } from "../../lib/plot.mjs";

// Times t = sqrt(2 h / g) of a fall from the height h, n rows between 0.5 and 2 metres, each with an error of the size `noise`.
const G = 9.81, LOW = 0.5, HIGH = 2, FAR = 10, DRAWS = 30, PLACES = linspace(0, FAR, 201);
const fall = (h) => Math.sqrt((2 * h) / G);
const heights = (n) => linspace(LOW, HIGH, n);
const rows = (n, noise, draw) => { const e = random(draw).normals(n); return heights(n).map((h, i) => fall(h) + noise * e[i]); };

// The law t = k h^q: k by least squares, its standard deviation from the residual, and what g = 2/k^2 makes of both.
export function law(h, t, q) {
  const a = h.map((x) => x ** q), k = dot(a, t) / dot(a, a), r = t.map((x, i) => x - k * a[i]), s = norm(r) / Math.sqrt(h.length - 1), deviation = s / norm(a);
  return { k, r, s, deviation, g: 2 / k ** 2, gDeviation: (4 / k ** 3) * deviation };
}
// A description: a polynomial of degree 3 in h.
function description(h, t) {
  const A = h.map((x) => [1, x, x * x, x ** 3]), { Q, R } = qr(A), b = Q.map((v) => dot(v, t)), p = [0, 0, 0, 0];
  for (let i = 3; i >= 0; i--) { let v = b[i]; for (let j = i + 1; j < 4; j++) v -= R[i][j] * p[j]; p[i] = v / R[i][i]; }
  const at = (x) => p[0] + x * (p[1] + x * (p[2] + x * p[3]));
  return { p, at, r: h.map((x, i) => t[i] - at(x)) };
}

function compute({ exponent, noise, count, draw }) {
  const h = heights(count), t = rows(count, noise, draw), one = law(h, t, exponent), other = description(h, t);
  const many = range(DRAWS).map((k) => law(h, rows(count, noise, draw + k), exponent));
  return {
    h, t, ...one, other, many, far: one.k * FAR ** exponent, farOther: other.at(FAR), true: fall(FAR), fit: norm(one.r) / Math.sqrt(count - 1), fitOther: count > 4 ? norm(other.r) / Math.sqrt(count - 4) : NaN,
    covered: many.filter((m) => Math.abs(m.g - G) <= 2 * m.gDeviation).length,
  };
}
const off = (x, n) => Math.abs(x / n.true - 1);

export const page = {
  id: "1.1",
  question: "What is there to learn?",
  goal: "You will tell a law from a description by asking both about a place where there are no data, and give an estimate with its error.",
  minutes: 15,
  needs: "least squares with one unknown",
  controls: {
    exponent: { kind: "slider", label: "exponent of the law", min: 0.1, max: 1, step: 0.05, value: 0.35, play: 350, show: (x) => say(x) },
    noise: { kind: "slider", label: "error of a time", min: 1e-3, max: 0.1, log: true, step: 0.1, value: 0.01, show: (x) => `${say(1000 * x)} ms` },
    count: { kind: "slider", label: "rows", min: 4, max: 60, value: 12, show: String },
  },
  hidden: { draw: 1 },
  guess: {
    ask: "A ball is dropped from heights between 0.5 and 2 metres, and the times are fitted twice: by $k\\sqrt h$ with one unknown $k$, and by a polynomial of degree 3 with four. Each time errs by some 10 milliseconds, and between 0.5 and 2 metres both are as good as that. What does the polynomial say about a fall from 10 metres, 1.43 seconds?",
    options: ["about 1.4 s", "about 1.2 s, or 1.7 s", "anything: 30 s, or a time before the fall"], answer: 2, hides: ["other"], see: { exponent: 0.5 },
    why: "With errors of 10 ms its answers at 10 metres vary from draw to draw by some 20 seconds, and every third one is negative. The law with the right exponent is within 2 %: it knows something about heights that it has never seen.",
  },
  sentence: [
    "The law $t = k\\,h^q$ with $q=$ [[exponent]], fitted to [[count]] rows with errors of [[noise]], leaves residuals of {{fit}}. From 10 metres it predicts {{far}}, the polynomial {{other}}; the truth is 1.43 s.",
  ],
  breaks: [
    { label: "The right law", patch: { exponent: 0.5 }, why: "Now $k$ means something: $g = 2/k^2$. The residuals have no pattern, and the law holds outside the data." },
    { label: "A wrong law, well hidden", patch: { exponent: 0.35, noise: 0.1, count: 12 }, why: "With errors this large the residuals seldom show that the exponent is wrong. The data do not say; whoever predicts must know it from elsewhere." },
    { label: "Draw again", patch: (s) => ({ draw: s.draw + 1 }) },
  ],
  compute,
  values: (n) => ({ fit: `${say(1000 * n.fit)} ms`, far: `${say(n.far)} s`, other: `${say(n.farOther)} s` }),
  views: [
    {
      frame: () => ({ title: "Data, and predictions beyond them", height: 350, x: { min: 0, max: FAR, label: "height h in metres" }, y: { min: 0, max: 2, label: "time t in seconds" } }),
      draw(plot, n, s, { ghost }) {
        plot.area([LOW, HIGH], [0, 0], [2, 2], { color: "grey", label: "where the data are" });
        plot.line(PLACES, PLACES.map(fall), { color: "grey", dash: "5 4", width: 1.8, label: "truth" });
        plot.line(PLACES, PLACES.map(n.other.at), { color: "orange", label: "polynomial of degree 3" });
        if (ghost) plot.line(PLACES, PLACES.map((h) => ghost.numbers.k * h ** ghost.settings.exponent), { color: "blue", faint: true });
        plot.line(PLACES, PLACES.map((h) => n.k * h ** s.exponent), { color: "blue", label: "law" });
        plot.dots(n.h, n.t, { color: "ink", size: 2.8, label: "rows" });
        if (!(n.farOther > 0 && n.farOther < 2)) plot.note(9.9, 0, `the polynomial leaves: ${say(n.farOther)} s at 10 m`, { color: "orange", anchor: "end", dy: -10 });
      },
    },
    {
      frame: (n, s) => { const top = Math.max(3.2 * s.noise, 1.15 * Math.max(...n.r.map(Math.abs))); return { title: "Residuals: what is left of the data", height: 350, x: { min: 0.4, max: 2.1, label: "height h in metres" }, y: { min: -1000 * top, max: 1000 * top, label: "milliseconds" } }; },
      draw(plot, n, s) {
        plot.area([0.4, 2.1], [-2000 * s.noise, -2000 * s.noise], [2000 * s.noise, 2000 * s.noise], { color: "grey", label: "two deviations of the errors" });
        plot.across(0, { color: "grey", dash: "" , width: 1 });
        plot.dots(n.h, n.other.r.map((x) => 1000 * x), { color: "orange", shape: "square", size: 2.8, label: "of the polynomial" });
        plot.dots(n.h, n.r.map((x) => 1000 * x), { color: "blue", size: 3.2, label: "of the law" });
      },
    },
    {
      wide: true,
      frame: (n) => { const all = n.many.flatMap((m) => [m.g - 2 * m.gDeviation, m.g + 2 * m.gDeviation]); return { title: "g = 2/k² from thirty such tables, with two standard deviations", height: 200, x: { min: 0, max: DRAWS + 1, label: "table" }, y: { min: Math.min(9.3, Math.max(0, Math.min(...all))), max: Math.max(10.3, Math.min(40, Math.max(...all))), label: "g in m/s²" } }; },
      draw(plot, n) {
        plot.across(G, { color: "grey", label: "9.81" });
        n.many.forEach((m, i) => plot.line([i + 1, i + 1], [m.g - 2 * m.gDeviation, m.g + 2 * m.gDeviation], { color: "blue", width: 1.5 }));
        plot.dots(range(DRAWS).map((i) => i + 1), n.many.map((m) => m.g), { color: "blue", size: 3, label: "estimate" });
        plot.dots([1], [n.g], { color: "ink", size: 5.5, shape: "ring", label: "the table above" });
      },
    },
  ],
  table: (n) => ({ head: ["height", "time", "residual of the law", "residual of the polynomial"], rows: n.h.map((h, i) => [`${say(h)} m`, `${say(n.t[i], 4)} s`, `${say(1000 * n.r[i])} ms`, `${say(1000 * n.other.r[i])} ms`]) }),
  claims: (n, s) => [
    { sentence: "The residuals of the law are no larger than the errors of the data explain.", holds: n.fit <= s.noise * (1 + 2 / Math.sqrt(2 * (s.count - 1))), found: `${say(1000 * n.fit)} ms against ${say(1000 * s.noise)} ms.`, why: s.exponent === 0.5 ? "The law is right: these errors happen to be larger than usual. Draw again." : "They show a pattern: the form of the law is wrong. The right exponent is a half." },
    { sentence: "The law predicts the fall from 10 metres within 5 %.", holds: off(n.far, n) <= 0.05, found: `${say(n.far)} s, off by ${offBy(off(n.far, n))}.`, why: s.exponent === 0.5 ? "Its form is right, but the data are too few or too poor for that." : "Its exponent is wrong. Within the data that is hardly seen, five times farther out it is." },
    { sentence: "So does the polynomial.", holds: off(n.farOther, n) <= 0.05, found: `${say(n.farOther)} s, off by ${offBy(off(n.farOther, n))}.`, why: "It describes what it has seen. Its four coefficients fit errors too, and at 10 metres $h^3$ enlarges them a thousandfold." },
    { sentence: "The interval of two standard deviations contains $g = 9.81$ in at least 25 of 30 tables.", holds: n.covered >= 25, found: `In ${n.covered}. Here $g = ${say(n.g)} \\pm ${say(n.gDeviation, 2)}$.`, why: s.exponent === 0.5 ? (s.count < 8 ? "With so few rows the deviation itself is poorly known: two of them are not enough." : "A few tables miss it by chance: draw again.") : "The deviation measures what noise does to $k$. It knows nothing of a wrong exponent." },
  ],
  text: [
    "## Words",
    "A table has $n$ rows. Row $i$ has $d$ *features* $x_i$, here one height, and one *target* $c_i$ or several, here one time. A *model* $f(x, p)$ has unknowns $p$, and we assume",
    "$$ c_i = f(x_i, p) + e_i $$",
    "with errors $e_i$ that follow no rule. To learn is to find $p$ such that $f$ is good *on rows not seen*. If the targets are numbers, that is *regression*; if they are names of classes, *classification*, and $f$ gives a probability for each class (page 1.11).",
    "## A law and a description",
    "The law $t = \\sqrt{2h/g}$ comes from mechanics. It has one unknown, and $p$ has a meaning. The polynomial has four unknowns without a meaning, and can imitate any smooth curve over a short stretch. On the data both are good. What tells them apart is *where there are no data*. A network is a description too: very good between its rows, and worth little beyond them, unless something that holds there is built into it. Lecture 3 builds in such things.",
    "## An estimate has an error",
    "Least squares gives $\\hat k = \\sum a_i t_i / \\sum a_i^2$ with $a_i = h_i^q$. Errors of variance $\\sigma^2$ make its variance $\\sigma^2/\\sum a_i^2$; $\\sigma^2$ is estimated by $|r|^2/(n-1)$ from the residuals $r_i = t_i - \\hat k\\,a_i$; it is $n-1$, as one unknown was fitted. For $g = 2/k^2$ multiply the deviation by $|dg/dk| = 4/k^3$. An estimate without this number is half an answer. And the number answers one question only: how far noise moves the estimate *if the model is right*.",
  ],
  code: ({ exponent, noise, count, draw }) => `
import numpy as np
from scipy.optimize import curve_fit

h = np.linspace(0.5, 2, ${count})
t = np.sqrt(2 * h / 9.81) + ${noise} * np.random.RandomState(${draw}).standard_normal(${count})

def law(h, k):
    return k * h**${exponent}

(k,), cov = curve_fit(law, h, t, p0=[0.5])
polynomial = np.polynomial.Polynomial.fit(h, t, 3)
g, deviation = 2 / k**2, 4 / k**3 * cov[0, 0] ** 0.5
print(k, g, deviation)
print(law(10, k), polynomial(10))
`,
  prints: (n) => [n.k, n.g, n.gDeviation, n.far, n.farOther],
  exercises: [
    { ask: "Four rows: heights 0.5, 1, 1.5 and 2 metres, times 0.33, 0.44, 0.56 and 0.64 seconds. Estimate $g$ by least squares on $t = k\\sqrt h$.", input: "g =", right: 9.75, wrong: 9.81,
      check: ({ answer }) => { const one = law([0.5, 1, 1.5, 2], [0.33, 0.44, 0.56, 0.64], 0.5), passed = Math.abs(answer - one.g) < 0.02; return { passed, say: passed ? `Passed: $k = 2.264/5 = 0.4529$, $g = 2/k^2 = ${say(one.g)}$.` : Math.abs(answer - G) < 0.005 ? "That is what is known of $g$. What do these four rows say?" : "$k = \\sum \\sqrt{h_i}\\,t_i / \\sum h_i$, then $g = 2/k^2$." }; } },
    { ask: "The watch is known to err by 0.02 seconds. What is the standard deviation of that $g$? (Within 5 %.)", input: "deviation", right: 0.385, wrong: 0.02,
      check: ({ answer }) => { const { k } = law([0.5, 1, 1.5, 2], [0.33, 0.44, 0.56, 0.64], 0.5), wanted = ((4 / k ** 3) * 0.02) / Math.sqrt(5), passed = Math.abs(answer / wanted - 1) < 0.05; return { passed, say: passed ? `Passed: $\\sigma_k = 0.02/\\sqrt5 = 0.0089$, times $4/k^3 = 43$: ${say(wanted)}. The 9.81 of the books is well within.` : "First $\\sigma_k = \\sigma/\\sqrt{\\sum h_i}$, then multiply by $|dg/dk| = 4/k^3$." }; } },
  ],
  sources: [
    "J. R. Taylor, *An Introduction to Error Analysis*, University Science Books 1997, chapters 3 and 8; T. Hastie, R. Tibshirani and J. Friedman, *The Elements of Statistical Learning*, Springer 2009, chapter 2.",
    "In numdl: `numdl.problems.confidence` gives the standard deviations of any fitted model's unknowns; `numdl look data.csv` says what a table holds.",
  ],
  trials: [0.1, 0.35, 0.5, 0.5, 0.65, 1, 0.5].flatMap((exponent, i) => [[1e-3, 4], [0.01, 12], [0.1, 60]].map(([noise, count], j) => ({ exponent, noise, count: count + i, draw: 1 + i + 3 * j }))),
  compare: (n) => ({ k: n.k, g: n.g, deviation: n.deviation, gDeviation: n.gDeviation, residuals: n.r, other: PLACES.filter((_, i) => i % 20 === 0).map(n.other.at), many: n.many.flatMap((m) => [m.g, m.gDeviation]), far: n.far }),
};
