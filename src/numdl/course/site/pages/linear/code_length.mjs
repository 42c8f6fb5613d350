// 1.11: why cross entropy?
import { dot, linspace, sum } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// One row, three classes, the first is right. Scores: offset + (m, d/2, -d/2).
const MARGINS = linspace(-40, 40, 161), BITS = Math.LOG2E;
const CORNERS = [[0.5, Math.sqrt(3) / 2], [0, 0], [1, 0]];
const scores = (m, d, offset = 0) => [offset + m, offset + d / 2, offset - d / 2];

// Both losses, their slopes in m and their curvatures, from probabilities that cannot overflow.
export function losses(m, d) {
  const s = scores(m, d), top = Math.max(...s), e = s.map((x) => Math.exp(x - top)), q = e.map((x) => x / sum(e)), wrong = (e[1] + e[2]) / sum(e);
  const rest = Math.log(e[1] + e[2]) + top - m, cross = rest > 0 ? rest + Math.log1p(Math.exp(-rest)) : Math.log1p(Math.exp(rest));
  const r = [-wrong, q[1], q[2]], dq = [q[0] * wrong, -q[0] * q[1], -q[0] * q[2]], squares = dot(r, r) / 2, slope = dot(r, dq);
  const ddq = [dq[0] * (1 - 2 * q[0]), -dq[0] * q[1] - q[0] * dq[1], -dq[0] * q[2] - q[0] * dq[2]];
  return { q, cross, slope: -wrong, bend: q[0] * wrong, squares, squaresSlope: slope, squaresBend: dot(dq, dq) + dot(r, ddq) };
}

// The two formulas for cross entropy in a given precision: every result is rounded to it.
export function inPrecision(m, d, offset, single) {
  const f = single ? Math.fround : (x) => x, s = scores(m, d, offset).map(f), top = Math.max(...s);
  const lse = (a) => f(Math.log(a.map((x) => f(Math.exp(x))).reduce((t, x) => f(t + x))));
  return { plain: f(lse(s) - s[0]), shifted: f(f(lse(s.map((x) => f(x - top))) + top) - s[0]) };
}

function compute({ margin, offset, precision, tilt }) {
  const single = precision === "single", now = losses(margin, tilt), formulas = inPrecision(margin, tilt, offset, single);
  return { ...now, ...formulas, over: MARGINS.map((m) => losses(m, tilt)), plains: MARGINS.map((m) => inPrecision(m, tilt, offset, single).plain), limit: single ? 88.7 : 709.8, bits: now.cross * BITS };
}

const wrong = (found, right) => !(Math.abs(found / right - 1) < 1e-6);
const place = (q) => [0, 1].map((i) => q.reduce((t, x, j) => t + x * CORNERS[j][i], 0));
export const page = {
  id: "1.11",
  question: "Why cross entropy?",
  goal: "You will read a loss as the length of a code, see why squared errors of probabilities do not move a wrong answer, and compute it without overflow.",
  minutes: 20,
  needs: "logarithms, and probabilities of three classes",
  controls: {
    margin: { kind: "slider", label: "lead of the right class", min: -40, max: 40, step: 0.5, value: -12, play: 120, show: (x) => say(x) },
    offset: { kind: "slider", label: "added to all scores", min: -1000, max: 1000, step: 10, value: 0, show: (x) => say(x) },
    precision: { kind: "choice", label: "precision", options: [["single", "single precision"], ["double", "double precision"]], value: "single" },
  },
  hidden: { tilt: 1 },
  guess: {
    ask: "A network gives the right class a probability of one in a million. Two losses are possible: the squared error of the probabilities, and the logarithm of that probability. Which one pulls the score of the right class up, and how much harder than the other?",
    options: ["the squared error, about a million times", "both alike: the row is badly wrong", "the logarithm, about a million times"], answer: 2, hides: ["slope", "square"], see: { margin: -13 },
    why: "The slope of the logarithm is $1 - q$, nearly 1. That of the squared error carries the factor $q$: where the answer is most wrong, it is flat.",
  },
  sentence: [
    "The score of the right class is [[margin]] above the mean of the two others, so it has the probability {{q}}: to name it costs {{bits}} bits. One unit of lead changes the cross entropy by {{slope}}, the squared error by {{square}}. With [[offset]] added to all scores, the plain formula in [[precision]] gives {{plain}}; right is {{cross}}.",
  ],
  breaks: [
    { label: "Add 100 to all scores", patch: { offset: 100, precision: "single" }, why: "No probability changes. But $e^{100}$ is beyond single precision, whose largest number is $e^{88.7}$, and the plain formula says infinity." },
    { label: "Hopelessly wrong", patch: { margin: -30, offset: 0 }, why: "The squared error is at its largest, and flat: $10^{-13}$ is left of its slope. A network that starts here does not move." },
    { label: "Nearly sure", patch: { margin: 18, offset: 0, precision: "single" }, why: "$1 + e^{-18}$ is 1 in single precision, and the loss becomes 0. For rows that are right this does little harm: their slope is $q - 1$, computed without that sum." },
  ],
  compute,
  values: (n) => ({ q: say(n.q[0]), bits: say(n.bits), slope: say(n.slope), square: say(n.squaresSlope), plain: say(n.plain, 6), cross: say(n.cross, 6) }),
  views: [
    {
      frame: () => ({ title: "Both losses over the lead", height: 340, x: { min: -40, max: 40, label: "lead of the right class" }, y: { min: -2, max: 42, label: "loss" } }),
      draw(plot, n, s, { change, ghost }) {
        plot.line(MARGINS, n.over.map((o) => o.cross), { color: "blue", label: "cross entropy" });
        plot.line(MARGINS, n.over.map((o) => 20 * o.squares), { color: "orange", label: "squared error, 20 times" });
        const bad = MARGINS.filter((_, i) => !Number.isFinite(n.plains[i])), good = MARGINS.filter((_, i) => Number.isFinite(n.plains[i]) && i % 4 === 0);
        plot.dots(good, good.map((m) => n.plains[MARGINS.indexOf(m)]), { color: "red", size: 2.2, label: "plain formula" });
        plot.dots(bad.filter((_, i) => i % 4 === 0), bad.filter((_, i) => i % 4 === 0).map(() => 40.5), { color: "red", shape: "cross", size: 3, label: "it has no answer" });
        const tangent = (value, slope, color) => plot.line([s.margin - 7, s.margin + 7], [value - 7 * slope, value + 7 * slope], { color, width: 1.2, dash: "4 3" });
        tangent(n.cross, n.slope, "blue"); tangent(20 * n.squares, 20 * n.squaresSlope, "orange");
        if (ghost) plot.dots([ghost.settings.margin], [ghost.numbers.cross], { color: "blue", size: 4.5, faint: true });
        plot.dots([s.margin], [20 * n.squares], { color: "orange", size: 5 });
        plot.handle("margin", s.margin, n.cross, { color: "blue", label: "lead of the right class", value: say(s.margin), move: (x) => change({ margin: x }), nudge: (dx, dy) => change({ margin: s.margin + 0.5 * (dx + dy) }) });
      },
    },
    {
      frame: () => ({ title: "Three probabilities: one point in a triangle", equal: true, height: 340, x: { min: -0.15, max: 1.15, ticks: [], label: "lines: 1, 2, 3, … bits" }, y: { min: -0.14, max: 1, ticks: [] } }),
      draw(plot, n, s, { change, ghost }) {
        plot.line([...CORNERS, CORNERS[0]].map((c) => c[0]), [...CORNERS, CORNERS[0]].map((c) => c[1]), { color: "grey", width: 1.4 });
        for (let b = 1; b <= 7; b++) { const y = (2 ** -b * Math.sqrt(3)) / 2, w = (2 ** -b) / 2; plot.line([w, 1 - w], [y, y], { color: "blue", width: 1, label: "equally many bits" }); }
        plot.note(0.5, Math.sqrt(3) / 2, "right class", { color: "grey", anchor: "middle", dy: -6 });
        plot.note(0, 0, "second", { anchor: "middle", dy: 16 }); plot.note(1, 0, "third", { anchor: "middle", dy: 16 });
        if (ghost) { const p = place(ghost.numbers.q); plot.dots([p[0]], [p[1]], { color: "ink", size: 6, faint: true }); }
        const [x, y] = place(n.q);
        plot.handle("q", x, y, {
          color: "ink", label: "probabilities", value: n.q.map((v) => say(v)).join(", "),
          move: (u, v) => { const q0 = Math.min(Math.max((2 * v) / Math.sqrt(3), 1e-9), 1 - 1e-9), q2 = Math.min(Math.max(u - q0 / 2, 1e-9), 1 - q0 - 1e-10), q1 = Math.max(1 - q0 - q2, 1e-10); change({ tilt: Math.log(q1 / q2), margin: Math.log(q0) - (Math.log(q1) + Math.log(q2)) / 2 }); },
          nudge: (dx, dy) => change({ margin: s.margin + 0.5 * dy, tilt: s.tilt - 0.5 * dx }),
        });
        plot.name("prediction: drag it", "ink", "circle");
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Pull on the score of the right class", height: 200, x: { min: -40, max: 40, label: "lead of the right class" }, y: { min: 1e-18, max: 10, log: true, label: "−slope" } }),
      draw(plot, n, s) {
        plot.line(MARGINS, n.over.map((o) => -o.slope), { color: "blue", label: "cross entropy: 1 − q" });
        plot.line(MARGINS, n.over.map((o) => -o.squaresSlope), { color: "orange", label: "squared error" });
        plot.upright(s.margin, { color: "ink", dash: "", width: 1.2 });
      },
    },
  ],
  table: (n) => ({ head: ["lead", "probability", "bits", "slope", "squared error", "slope", "plain formula"], rows: MARGINS.map((m, i) => [say(m), say(n.over[i].q[0]), say(n.over[i].cross * BITS), say(n.over[i].slope), say(n.over[i].squares), say(n.over[i].squaresSlope), say(n.plains[i])]).filter((_, i) => i % 16 === 0) }),
  claims: (n, s) => [
    { sentence: "The plain formula, $\\log\\sum e^{s_j} - s_c$, is right to six digits.", holds: !wrong(n.plain, n.cross), found: `It gives ${say(n.plain, 6)}; right is ${say(n.cross, 6)}.`, why: !Number.isFinite(n.plain) ? (s.offset > 0 ? `$e^s$ overflows beyond $s = ${n.limit}$.` : `All $e^{s_j}$ are rounded to zero, and $\\log 0$ is no number.`) : "The sum is rounded to the precision of the largest term, and what is left of the loss is smaller." },
    { sentence: "So is the shifted one, with the largest score taken out of the sum.", holds: !wrong(n.shifted, n.cross), found: `It gives ${say(n.shifted, 6)}.`, why: "It cannot overflow. But the loss is the small difference of larger numbers, and their rounding remains: an absolute error of the size of the precision times the scores." },
    { sentence: "The squared error pulls at least a tenth as hard as cross entropy.", holds: n.squaresSlope <= 0.1 * n.slope, found: `${say(-n.squaresSlope)} against ${say(-n.slope)}.`, why: n.q[0] < 0.5 ? `Its slope carries the factor $q = ${say(n.q[0])}$: the more wrong, the less it moves.` : "Near the right answer it carries one factor $1-q$ more." },
    { sentence: "The squared error curves upwards here, as cross entropy does everywhere.", holds: n.squaresBend > 0, found: `Curvatures ${say(n.squaresBend)} and ${say(n.bend)}.`, why: "Left of its bend it is not convex: it has flat stretches where no minimum is." },
  ],
  text: [
    "## Bits",
    "Suppose that messages name classes, and that class $j$ has a code word of $-\\log_2 q_j$ bits: short words for what one expects. If class $j$ comes with frequency $p_j$, a message takes $-\\sum p_j \\log_2 q_j$ bits on average. That is least for $q = p$, and the excess measures how wrong the expectation $q$ is. For a row whose class $c$ is known, the *cross entropy* is what its name costs: $-\\log q_c$. One divides by $\\log 2$ to have bits.",
    "A model gives scores $s_j$, of any sign, and the probabilities are $q_j = e^{s_j}/\\sum_i e^{s_i}$, *softmax*. With $e_c$ for the vector that is 1 at the right class and 0 elsewhere, the loss of a row is",
    "$$ \\log \\sum_j e^{s_j} - s_c , \\qquad \\text{slope } q - e_c, \\qquad \\text{Hessian } \\operatorname{diag}(q) - q\\,q' . $$",
    "The Hessian is positive semidefinite, so the loss is convex in the scores, and in the weights of any model whose scores are linear in them. It has the null vector $(1, 1, 1)$: adding a number to all scores changes nothing.",
    "The squared error $\\tfrac12|q - e_c|^2$ is bounded. It has no more to lose on a row that is hopelessly wrong, and so it does not move it. The logarithm charges each further decade of disbelief the same.",
    "## Computed",
    "Because a number may be added to all scores, subtract the largest one, $t$: $\\log\\sum e^{s_j - t} + t - s_c$. Then no exponential exceeds 1, one of them is 1, and nothing overflows or vanishes. The shift is per row. A shift by the largest score of the whole table would let other rows underflow.",
  ],
  code: ({ margin, offset, precision, tilt }) => `
import jax, jax.numpy as jnp, numpy as np
from numdl.problems import get_loss

s = np.array([${margin}, ${tilt / 2}, ${-tilt / 2}], float)
wide = s + ${offset}

c = np.array([1.0, 0.0, 0.0])

@jax.jit
def losses(s, c):
    loss = get_loss("softmax")
    squares = jax.value_and_grad(lambda s: jnp.sum((jax.nn.softmax(s) - c) ** 2) / 2)(s)
    return loss.value(s, c), loss.residual(s, c)[0], squares[0], squares[1][0]

with jax.enable_x64(True):
    print(*losses(s, c))
with np.errstate(all="ignore"):
    e = np.exp(wide).astype(np.${precision === "single" ? "float32" : "float64"})
    print(float(np.log(e.sum()) - e.dtype.type(wide[0])) if e.max() > 0 else -np.inf - wide[0])
`,
  prints: (n) => [n.cross, n.slope, n.squares, n.squaresSlope, n.plain],
  exercises: [
    { ask: "Find a start from which the squared error does not move although the answer is wrong: a lead at which its slope is below $10^{-6}$ and the right class has a probability below $\\tfrac13$. (Let the other two scores be equal.)", input: "lead", right: -15, wrong: -5,
      check: ({ answer }) => { const n = losses(answer, 0), flat = Math.abs(n.squaresSlope) < 1e-6, bad = n.q[0] < 1 / 3; return { passed: flat && bad, say: `Its slope there is ${say(n.squaresSlope)}, that of cross entropy ${say(n.slope)}. ${flat && bad ? "Passed: $\\tfrac32 q(1-q)^2$ with $q \\approx \\tfrac12 e^{m}$." : flat ? "Flat, but the answer is right there." : "Go farther."}` }; } },
    { ask: "Messages come with frequencies $\\tfrac12, \\tfrac14, \\tfrac14$, but the code was made for $\\tfrac14, \\tfrac12, \\tfrac14$. How many bits does a message take on average? (The best code takes 1.5.)", input: "bits", right: 1.75, wrong: 1.5,
      check: ({ answer }) => ({ passed: Math.abs(answer - 1.75) < 0.005, say: Math.abs(answer - 1.75) < 0.005 ? "Passed: $\\tfrac12\\cdot 2 + \\tfrac14\\cdot 1 + \\tfrac14\\cdot 2$. The excess of a quarter of a bit is the divergence of the two." : "Word lengths are $-\\log_2 q_j$, so 2, 1 and 2 bits; weigh them with the true frequencies." }) },
  ],
  sources: [
    "C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006, sections 1.6 and 4.3.4; on code lengths as areas: C. Olah, Visual information theory, 2015.",
    "P. Blanchard, D. J. Higham and N. J. Higham, Accurately computing the log-sum-exp and softmax functions, *IMA Journal of Numerical Analysis* 41 (2021).",
    "In numdl: `numdl.problems.SOFTMAX`; `numdl experiment run cross-entropy` compares the two losses on data.",
  ],
  trials: [-40, -20, -12, -3, 0.5, 2, 9, 12].flatMap((margin, i) => [["single", 0, 1], ["double", 100 * (i - 3), 0], ["single", i % 2 ? 200 : -400, -2]].map(([precision, offset, tilt]) => ({ margin, precision, offset, tilt }))),
  compare: (n) => ({ q: n.q, cross: n.cross, slope: n.slope, bend: n.bend, squares: n.squares, squaresSlope: n.squaresSlope, squaresBend: n.squaresBend, plain: n.plain, shifted: n.shifted, curve: n.over.filter((_, i) => i % 20 === 0).flatMap((o) => [o.cross, o.squares]) }),
};
