// 2.1: what can a layer separate that a line cannot?
import { dot, random, range, svd } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// Ten points in a disc and ten in the ring around it, through m drawn units: Z = [act(Y K' + b), 1], and a linear head on Z.
const MOST = 30, ALPHA = 1e-7, golden = (i) => (0.618 * i) % 1, polar = (r, a) => [r * Math.cos(a), r * Math.sin(a)];
const DISC = (n) => range(n).map((i) => polar(0.15 + 0.6 * golden(i), 2.4 * i)), RING = (n) => range(n).map((i) => polar(1.2 + 0.5 * golden(i), (2 * Math.PI * i) / n + 0.2));
export const Y = [...DISC(10), ...RING(10)], C = range(20).map((i) => (i < 10 ? 1 : -1)), OTHERS = [...DISC(210).slice(10), ...RING(200)];
const ACT = { identity: (x) => x, tanh: Math.tanh, relu: (x) => Math.max(x, 0) };
const KINDS = [["identity", "units without activation"], ["tanh", "tanh units"], ["relu", "relu units"]];

const kept = {};
const drawn = (seed) => (kept[seed] ??= (() => { const rng = random(seed); return { K: range(MOST).map(() => rng.normals(2)), b: rng.uniforms(MOST).map((x) => 2 * x - 1) }; })());
const row = ({ activation, width, size, seed }, [x, y]) => { const { K, b } = drawn(seed), act = ACT[activation], z = []; for (let j = 0; j < width; j++) z.push(act(size * (K[j][0] * x + K[j][1] * y + b[j]))); z.push(1); return z; };

function compute(s) {
  const Z = Y.map((y) => row(s, y)), { U, s: values, V } = svd(Z), W = range(s.width + 1).map(() => 0);
  values.forEach((v, i) => { const t = (v * dot(U[i], C)) / (v * v + ALPHA); V[i].forEach((x, j) => (W[j] += t * x)); });
  const score = (y) => dot(W, row(s, y)), scores = Y.map(score), rank = values.filter((v) => v > 1e-10 * values[0]).length;
  const sign = (scores.length && U[1] ? Math.sign(U[1][0]) : 1) || 1, side = U[1] ? U[1].map((x) => sign * x * values[1]) : Y.map(() => 0);
  const right = OTHERS.filter((y, i) => (i < 200 ? 1 : -1) * score(y) > 0).length;
  return { values, W, score, scores, rank, side, wrong: scores.filter((x, i) => x * C[i] <= 0).length, miss: Math.max(...scores.map((x, i) => Math.abs(x - C[i]))), right, expected: Math.min(20, s.width + 1), heads: Math.sqrt(dot(W, W)) };
}

export const page = {
  id: "2.1",
  question: "What can a layer separate that a line cannot?",
  goal: "You will count what a layer adds to a linear model: directions, which is to say rank.",
  minutes: 15,
  needs: "least squares; the rank of a matrix",
  controls: {
    width: { kind: "slider", label: "units", min: 1, max: MOST, value: 4, play: 450, show: String },
    activation: { kind: "choice", label: "activation", options: KINDS, value: "tanh" },
    size: { kind: "slider", label: "size of the weights", min: 0.01, max: 10, log: true, value: 1, step: 0.05, show: (x) => say(x, 2) },
  },
  hidden: { seed: 3 },
  guess: {
    ask: "Twenty points in the plane, ten of them surrounded by the other ten. A layer sends each of them to 1000 numbers $Ky + b$, with random $K$ and $b$ and no activation. A linear classifier is fitted to these 1000 numbers. How many of the 20 points can it get right?",
    options: ["all 20: there are 1000 unknowns", "no more than a straight line can", "half of them"], answer: 1, see: { activation: "identity", width: 30 },
    why: "All 1000 numbers are combinations of $y_1$, $y_2$ and 1. The matrix of features has 1000 columns and rank 3, so the classifier is a straight line in the plane.",
  },
  sentence: [
    "Take [[width]] [[activation]] with random weights of size [[size]], and a linear head on what they say. The matrix of features has rank {{rank}}, {{wrong}} of the 20 points are on the wrong side, and of 400 others {{right}} are right.",
  ],
  breaks: [
    { label: "Draw again", patch: (s) => ({ seed: s.seed + 1 }) },
    { label: "Break it", patch: { activation: "identity", width: 30 }, why: "Thirty units, three directions: without an activation a layer only renames the plane." },
    { label: "Almost linear", patch: { activation: "tanh", width: 20, size: 0.03 }, why: "Near zero tanh is a straight line. In exact arithmetic the rank is 20; but the singular values fall so fast that most of the directions cannot be used." },
  ],
  compute,
  values: (n) => ({ rank: String(n.rank), wrong: String(n.wrong), right: String(n.right) }),
  views: [
    {
      frame: () => ({ title: "In the plane", equal: true, height: 360, x: { min: -2, max: 2, label: "y₁" }, y: { min: -2, max: 2, label: "y₂" } }),
      draw(plot, n, s, { ghost }) {
        plot.region((x, y) => -n.score([x, y]), { color: "blue", label: "said to be in the disc", cells: 70 });
        if (ghost) plot.dots(...[0, 1].map((k) => OTHERS.filter((y, i) => (i < 200 ? 1 : -1) * ghost.numbers.score(y) <= 0).map((y) => y[k])), { color: "grey", size: 1.8, faint: true, label: "wrong at your last setting" });
        const put = (from, to, options) => plot.dots(Y.slice(from, to).map((y) => y[0]), Y.slice(from, to).map((y) => y[1]), options);
        put(0, 10, { color: "blue", size: 5, label: "disc" });
        put(10, 20, { color: "orange", size: 5, shape: "diamond", label: "ring" });
      },
    },
    {
      frame: (n) => { const top = 1.2 * Math.max(...n.side.map(Math.abs), 1e-12), wide = Math.max(1.6, ...n.scores.map((x) => 1.15 * Math.abs(x))); return { title: "The same points, seen along the head", height: 360, x: { min: -wide, max: wide, label: "what the head says" }, y: { min: -top, max: top, label: "second strongest feature" } }; },
      draw(plot, n) {
        plot.upright(0, { color: "blue", dash: "", width: 1.6, label: "boundary: in features it is flat" });
        plot.dots(n.scores.slice(0, 10), n.side.slice(0, 10), { color: "blue", size: 5, label: "disc, target 1" });
        plot.dots(n.scores.slice(10), n.side.slice(10), { color: "orange", size: 5, shape: "diamond", label: "ring, target −1" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Singular values of the matrix of features", height: 190, x: { min: 0.5, max: 20.5, label: "direction", ticks: [1, 5, 10, 15, 20] }, y: { min: 1e-17, max: 1e3, log: true, label: "singular value" } }),
      draw(plot, n, s, { ghost }) {
        const at = (values) => range(Math.min(values.length, 20)).map((i) => i + 1);
        plot.across(Math.sqrt(ALPHA), { color: "grey", label: "below this the head cannot use a direction" });
        if (ghost) plot.dots(at(ghost.numbers.values), ghost.numbers.values, { color: "green", faint: true });
        plot.dots(at(n.values), n.values.map((v) => Math.max(v, 2e-17)), { color: "green", size: 4, label: "singular value" });
      },
    },
  ],
  table: (n) => ({ head: ["direction", "singular value", "point", "target", "score"], rows: range(20).map((i) => [i < n.values.length ? i + 1 : "", i < n.values.length ? say(n.values[i]) : "", `(${say(Y[i][0], 2)}, ${say(Y[i][1], 2)})`, C[i], say(n.scores[i])]) }),
  claims: (n, s) => [
    { sentence: "Every unit adds a direction: the rank is $\\min(20, m+1)$.", holds: n.rank === n.expected, found: `It is ${n.rank}, of ${n.expected}.`, why: s.activation === "identity" ? "Without activation all units are combinations of $y_1$, $y_2$ and 1: rank 3, whatever the width." : s.activation === "relu" ? "Units that are on for all points are linear there, and units that are off are zero: they add nothing." : "These weights are so small that tanh is nearly linear: the missing directions have drowned in rounding." },
    { sentence: "All 20 points are on their side.", holds: n.wrong === 0, found: n.wrong ? `${n.wrong} are not.` : "None is wrong.", why: s.activation === "identity" ? "No straight line separates a disc from the ring around it." : "It needs more units, or weights that let their bends fall among the points." },
    { sentence: "The head meets all 20 targets within 0.01.", holds: n.miss < 0.01, found: `The largest miss is ${say(n.miss)}.`, why: s.width < 19 ? "Twenty targets are met by twenty directions: 19 units and the constant." : s.activation === "identity" ? "Three directions cannot meet 20 targets." : "There are enough units, but some directions are weaker than the head's penalty: larger weights or more units." },
    { sentence: "Of 400 other points at least 95 % are right.", holds: n.right >= 380, found: `${n.right} are.`, why: n.wrong === 0 ? "Meeting the 20 points is not yet knowing the disc: between them the boundary goes where it likes." : "It does not even get the 20 points right." },
  ],
  text: [
    "## What a layer does",
    "A layer sends a point $y$ of the plane to $m$ numbers, $z = \\operatorname{act}(Ky + b)$. Write them in a row, with a 1 at its end, one row for each of the 20 points: that is the matrix $Z$, of 20 rows and $m+1$ columns. The head fits the targets $c = \\pm1$ by a linear combination of columns,",
    "$$ \\min_w\\ |Zw - c|^2 + \\alpha\\,|w|^2, \\qquad \\alpha = 10^{-7} . $$",
    "What it can say is what the columns span. If $\\operatorname{rank} Z = 20$, any targets whatever can be met; the network interpolates. Seen in features, the boundary $w'z = 0$ is a plane; the layer has bent the *points* so that a plane can divide them. Back in the plane of $y$, the boundary looks bent.",
    "## Activations raise the rank",
    "Without an activation $Z$ is $[\\,Y K' + b,\\ 1\\,]$: every column is a combination of $y_1$, $y_2$ and 1, so the rank is at most $d+1 = 3$, with a thousand units as with three. With tanh and weights drawn from a density the rank is $\\min(20, m+1)$ with probability one. So 19 units and the constant meet 20 arbitrary targets, although nothing but the head has been fitted.",
    "## Rank is not all or nothing",
    "Rank counts singular values that are not zero, and in practice it matters how far from zero they are. With small weights $\\tanh(x) \\approx x - x^3/3$: the first three directions are those of a linear model, the next seven, squares and cubes of the coordinates, come from the cubic term and are smaller by the square of the weights, and so on. With very large weights units become steps: the rank is full, but each unit only cuts the plane in two, and what is said between the points is accidental. Training the weights, page 2.2, puts the bends where they are needed.",
  ],
  code: (s) => `
import numpy as np
from numdl.regularize.ridge import decompose

def points(start, n, r, wide, angle):
    i = np.arange(start, start + n)
    r = r + wide * (0.618 * i % 1)
    return np.stack([r * np.cos(angle(i)), r * np.sin(angle(i))], axis=1)

disc = points(0, 10, 0.15, 0.6, lambda i: 2.4 * i)
ring = points(0, 10, 1.2, 0.5, lambda i: 2 * np.pi * i / 10 + 0.2)
c = np.repeat([1.0, -1.0], 10)
rng, m = np.random.RandomState(${s.seed}), ${s.width}
K, b = rng.standard_normal((${MOST}, 2))[:m], 2 * rng.random_sample(${MOST})[:m] - 1
act = {"identity": lambda x: x, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}["${s.activation}"]
Z = np.hstack([act(${s.size} * (np.vstack([disc, ring]) @ K.T + b)), np.ones((20, 1))])
scores = Z @ decompose(Z, c[:, None]).solution(${ALPHA} / 20)[0][:, 0]
s = np.linalg.svd(Z, compute_uv=False)
print(np.sum(s > 1e-10 * s[0]), np.sum(scores * c <= 0), np.abs(scores - c).max())
`,
  codeNote: "It prints the rank, the number of wrong points and the largest miss.",
  prints: (n) => [n.rank, n.wrong, n.miss],
  exercises: [
    { ask: "What is the smallest number of tanh units, with random weights of moderate size, with which the head can meet *any* 20 targets at 20 different points? (The constant is one more column.)", input: "units", right: 19, wrong: 20,
      check: ({ answer }) => ({ passed: answer === 19, say: answer === 19 ? "Passed: with the constant that makes 20 columns, and rank 20." : answer === 20 ? "The constant is a column too." : "Count the columns of $Z$; its rank must be 20." }) },
    { ask: "Points in $d = 5$ dimensions, 1000 units without activation, 300 points. What is the rank of $Z$?", input: "rank", right: 6, wrong: 300,
      check: ({ answer }) => ({ passed: answer === 6, say: answer === 6 ? "Passed: five coordinates and the constant." : "Every column is a combination of the coordinates and 1." }) },
  ],
  sources: [
    "T. Cover, Geometrical and statistical properties of systems of linear inequalities, *IEEE Transactions on Electronic Computers* 14 (1965).",
    "G.-B. Huang, Q.-Y. Zhu and C.-K. Siew, Extreme learning machine: theory and applications, *Neurocomputing* 70 (2006), section 2 (rank of the features).",
    "In numdl: `numdl experiment run random-features`.",
  ],
  trials: KINDS.flatMap(([activation]) => [[1, 1], [3, 0.1], [8, 1.5], [14, 0.5], [19, 2], [22, 5], [30, 10]].map(([width, size], i) => ({ activation, width, size, seed: 1 + (i % 3) }))),
  compare: (n) => ({ values: n.values, scores: n.scores, counts: [n.rank, n.wrong, n.right] }),
};
