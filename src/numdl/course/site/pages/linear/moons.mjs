// 1.2: what does a graph know without labels?
import { laplacian, parts, smoothest, spread, weights } from "../../lib/graphs.mjs";
import { argmin, random, range, sum } from "../../lib/numerics.mjs";
import { percent, say } from "../../lib/plot.mjs";

// 100 points on two half circles that interlace; the first 50 are the upper moon.
const COUNT = 100, HALF = 50, ALPHA = 1e-3, SHOWN = 6;
const KINDS = [["gaussian", "weights that fall with distance"], ["connectivity", "weights of 1"]];
export function moons(noise, draw) {
  const rng = random(draw), u = rng.uniforms(COUNT), e = rng.normals(2 * COUNT);
  return range(COUNT).map((i) => { const t = Math.PI * u[i], up = i < HALF; return [(up ? Math.cos(t) : 1 - Math.cos(t)) + noise * e[2 * i], (up ? Math.sin(t) : 0.5 - Math.sin(t)) + noise * e[2 * i + 1]]; });
}

function compute({ neighbours, noise, kind, draw, first, second }) {
  const points = moons(noise, draw), W = weights(points, neighbours, kind), L = laplacian(W), { part, count } = parts(W);
  // Each part has a zero eigenvalue of its own; the others come from the parts one by one.
  const lists = range(count).map((k) => range(COUNT).filter((i) => part[i] === k)), found = [];
  let fiedler;
  for (const list of lists) {
    found.push(0);
    if (list.length < 2) continue;
    const low = smoothest(list.map((i) => list.map((j) => L[i][j])), SHOWN);
    found.push(...low.values);
    if (count === 1) fiedler = low.vectors[0];
  }
  if (count > 1) { const largest = lists.reduce((a, b) => (b.length > a.length ? b : a)); fiedler = range(COUNT).map((i) => (largest.includes(i) ? 1 : -1) / Math.sqrt(COUNT)); }
  // Its sign is free: positive where the upper moon is, on average.
  const lean = sum(fiedler.slice(0, HALF)) - sum(fiedler.slice(HALF));
  if (lean < 0) fiedler = fiedler.map((x) => -x);
  const labels = [[first, 1], [second, -1]], f = spread(L, part, labels, ALPHA), upper = (i) => i < HALF;
  const distance = (i, j) => Math.hypot(points[i][0] - points[j][0], points[i][1] - points[j][1]), share = (good) => range(COUNT).filter(good).length / COUNT;
  return {
    points, W, count, fiedler, f, values: found.sort((a, b) => a - b).slice(0, SHOWN), cut: share((i) => fiedler[i] > 0 === upper(i)), reached: share((i) => (upper(i) ? f[i] > 0 : f[i] < 0)),
    nearest: share((i) => distance(i, first) < distance(i, second) === upper(i)), bridges: sum(range(HALF).map((i) => sum(Array.from(W[i].slice(HALF))))), unknown: f.filter(Number.isNaN).length,
  };
}

const closest = (n, x, y) => argmin(n.points.map((p) => Math.hypot(p[0] - x, p[1] - y)));
const frame = (title, { points }) => {
  const reach = (k, low, high) => ({ min: Math.min(low, ...points.map((p) => p[k] - 0.1)), max: Math.max(high, ...points.map((p) => p[k] + 0.1)) });
  return { title, equal: true, height: 330, x: { ...reach(0, -1.35, 2.35), label: "first feature" }, y: { ...reach(1, -0.95, 1.4), label: "second feature" } };
};
// Before a guess is made: the points alone.
const plain = (plot, n) => plot.dots(n.points.map((p) => p[0]), n.points.map((p) => p[1]), { color: "grey", size: 3.2, label: "points: guess first" });
function cloud(plot, n, value, colors, labels) {
  const unknown = range(COUNT).filter((i) => !Number.isFinite(value[i]) || value[i] === 0);
  for (const [sign, k] of [[1, 0], [-1, 1]]) for (const [moon, shape] of [[0, "circle"], [1, "square"]]) {
    const list = range(COUNT).filter((i) => sign * value[i] > 0 && +(i >= HALF) === moon);
    plot.dots(list.map((i) => n.points[i][0]), list.map((i) => n.points[i][1]), { color: colors[k], shape, size: 3.6 });
  }
  plot.dots(unknown.map((i) => n.points[i][0]), unknown.map((i) => n.points[i][1]), { color: "red", shape: "cross", size: 3 });
  colors.forEach((color, k) => plot.name(labels[k], color, "circle"));
  if (unknown.length) plot.name("not reached", "red", "cross");
}

export const page = {
  id: "1.2",
  question: "What does a graph know without labels?",
  goal: "You will find two groups from neighbours alone, and carry two labels to a hundred points.",
  minutes: 20,
  needs: "eigenvalues and eigenvectors of a symmetric matrix",
  controls: {
    neighbours: { kind: "slider", label: "neighbours", min: 1, max: 30, value: 8, play: 500, show: String },
    noise: { kind: "slider", label: "noise of the points", min: 0, max: 0.4, step: 0.01, value: 0.08, show: (x) => say(x) },
    kind: { kind: "choice", label: "kind of graph", options: KINDS, value: "gaussian" },
  },
  hidden: { draw: 2, first: 4, second: 70 },
  guess: {
    ask: "A hundred points form two interlaced half moons. One point of each is labelled; for the other 98 nothing is known but their places. How many can be labelled rightly?",
    options: ["about half", "about 80, by the nearer label", "nearly all"], answer: 2, hides: ["reached", "nearest", "cut"],
    why: "Each point resembles its neighbours. A label that passes from neighbour to neighbour follows its moon to the end. The nearer label is often on the wrong moon.",
  },
  sentence: [
    "Join each point with its [[neighbours]] nearest neighbours, with [[kind]]; noise [[noise]]. The graph has {{parts}}. Two labels spread to {{reached}} of the points rightly (the nearer label: {{nearest}}); {{split}}, without any label, tells {{cut}} rightly.",
  ],
  breaks: [
    { label: "Too few neighbours", patch: { neighbours: 2, noise: 0.08 }, why: "The graph falls into parts, and each has a zero eigenvalue of its own. A label does not leave its part." },
    { label: "Too many", patch: { neighbours: 30, noise: 0.08 }, why: "Edges now lead from moon to moon. A function that is smooth along them ignores the gap." },
    { label: "Draw again", patch: (s) => ({ draw: s.draw + 1 }) },
  ],
  compute,
  values: (n) => ({ split: n.count === 1 ? "the second eigenvector" : "the largest part against the rest", parts: n.count === 1 ? "one part" : `${n.count} parts`, reached: percent(n.reached), nearest: percent(n.nearest), cut: percent(n.cut) }),
  views: [
    {
      frame: (n) => frame("Two labels, spread along the edges", n),
      draw(plot, n, s, { change, open }) {
        let d = "";
        for (let i = 0; i < COUNT; i++) for (let j = 0; j < i; j++) if (n.W[i][j] > 0) d += `M${plot.px(n.points[i][0]).toFixed(1)} ${plot.py(n.points[i][1]).toFixed(1)}L${plot.px(n.points[j][0]).toFixed(1)} ${plot.py(n.points[j][1]).toFixed(1)}`;
        plot.make("path", { d, class: "stroke c-grey", "stroke-width": 0.7 });
        if (open) cloud(plot, n, n.f, ["blue", "orange"], ["first class", "second class"]); else plain(plot, n);
        for (const [key, color, name] of [["first", "blue", "first"], ["second", "orange", "second"]]) {
          const at = n.points[s[key]];
          plot.handle(key, at[0], at[1], { color, label: `label of the ${name} class`, value: `point ${s[key] + 1}`, move: (x, y) => change({ [key]: closest(n, x, y) }), nudge: (dx, dy) => change({ [key]: (s[key] + dx + dy + COUNT) % COUNT }) });
        }
        plot.name("large: the two labels, drag them", "ink", "circle");
      },
    },
    {
      frame: (n) => frame(n.count === 1 ? "Second eigenvector: no label at all" : "Largest part against the rest", n),
      draw(plot, n, s, { open }) {
        if (!open) return plain(plot, n);
        cloud(plot, n, n.fiedler, ["purple", "green"], ["positive", "negative"]);
        plot.name("squares: lower moon", "grey", "square");
      },
    },
    {
      wide: true,
      frame: (n) => ({ title: "The smallest eigenvalues of the Laplacian", height: 180, x: { min: 0.5, max: SHOWN + 0.5, label: "number", ticks: range(SHOWN).map((k) => k + 1) }, y: { min: -0.05 * Math.max(n.values.at(-1), 0.02), max: 1.1 * Math.max(n.values.at(-1), 0.02), label: "eigenvalue" } }),
      draw(plot, n, s, { ghost }) {
        const at = range(SHOWN).map((k) => k + 1);
        plot.across(0, { color: "grey", dash: "", width: 1 });
        if (ghost) plot.dots(at, ghost.numbers.values, { color: "ink", size: 5, faint: true });
        plot.dots(at, n.values, { color: "ink", size: 4, label: "eigenvalue" });
        plot.dots(at.filter((_, k) => n.values[k] < 1e-12), at.filter((_, k) => n.values[k] < 1e-12).map(() => 0), { color: "red", shape: "ring", size: 7, label: "zero: one for each part" });
      },
    },
  ],
  table: (n) => ({ head: ["point", "first feature", "second feature", "moon", "spread label", "second eigenvector"], rows: range(COUNT).filter((i) => i % 10 === 4).map((i) => [i + 1, say(n.points[i][0]), say(n.points[i][1]), i < HALF ? "upper" : "lower", say(n.f[i]), say(n.fiedler[i])]) }),
  claims: (n, s) => [
    { sentence: "The graph is connected: the Laplacian has one zero eigenvalue.", holds: n.count === 1, found: `It has ${n.count === 1 ? "one part" : `${n.count} parts`}.`, why: `With ${s.neighbours} neighbours some points only know each other. More neighbours join the parts.` },
    { sentence: `${n.count === 1 ? "The second eigenvector" : "The largest part against the rest"} tells at least 95 % of the points rightly.`, holds: n.cut >= 0.95, found: `${percent(n.cut)}; edges of the weight ${say(n.bridges)} in all lead from moon to moon.`, why: n.count > 1 ? "With several parts zero is an eigenvalue as often, and no second eigenvector is singled out: the graph can only tell its parts apart." : "It cuts where little weight is cut and both sides are large. Here that is not the gap between the moons." },
    { sentence: "Two labels reach at least 95 % of the points rightly.", holds: n.reached >= 0.95, found: `${percent(n.reached)}${n.unknown ? `; ${n.unknown} points are in parts without a label` : ""}.`, why: n.unknown ? "No path leads there." : "Where the edges between the moons weigh much, values leak from one to the other, and the sign is decided by the nearer label." },
    { sentence: "The graph does better than the nearer label.", holds: n.reached > n.nearest, found: `${percent(n.reached)} against ${percent(n.nearest)}.`, why: "Either the edges are poor, or the labels happen to lie well for distances." },
  ],
  text: [
    "## Smooth on a graph",
    "Give neighbouring points $i$ and $j$ a weight $w_{ij} = w_{ji} > 0$, and let $d_i = \\sum_j w_{ij}$. The *graph Laplacian* is the matrix $L = D - W$, where $W$ holds the weights and the diagonal matrix $D$ the sums $d_i$. Its rows sum to zero. For any values $f$ at the points, a vector with one entry for each,",
    "$$ f'Lf = \\tfrac12 \\sum_{i,j} w_{ij}\\,(f_i - f_j)^2 . $$",
    "(Here and on all pages a prime is the transpose: $f'Lf$ is a number.) The half is there because each edge is counted twice in the sum. So $f'Lf$ is small if $f$ changes little along strong edges. It is zero exactly if $f$ is constant on each connected part: *there are as many zero eigenvalues as parts*.",
    "In a connected graph the constant vector is the first eigenvector. The second one, *Fiedler's vector*, is the smoothest function that is orthogonal to constants. To be smooth it must be nearly constant where edges are many, and change its sign where they are few: between the groups.",
    "With labels $c_i$ at a few points one minimises their misfit plus $\\frac\\alpha2 f'Lf$. For small $\\alpha$ the labelled points keep their values and every other point takes the weighted mean of its neighbours, $f_i = \\sum_j w_{ij}f_j/d_i$: a harmonic function, as of a temperature with two held ends.",
    "## What it presumes",
    "That neighbours tend to be of one class. The number of neighbours, the weights and the scale of each feature decide who is a neighbour; no formula can do that for you. The weights here are $e^{-d_{ij}^2/(s_is_j)}$ with $s_i$ the distance to the last neighbour of $i$, so that dense and thin regions are treated alike.",
  ],
  code: ({ neighbours, noise, kind, draw, first, second }) => `
import numpy as np
from numdl.regularize.graph import graph_laplacian, neighbour_weights, smoothest, spread_labels

rng = np.random.RandomState(${draw})
t, e, up = np.pi * rng.random_sample(100), rng.standard_normal((100, 2)), np.arange(100) < 50
x = np.where(up, np.cos(t), 1 - np.cos(t)), np.where(up, np.sin(t), 0.5 - np.sin(t))
x = np.column_stack(x) + ${noise} * e

far = np.linalg.norm(x[:, None] - x, axis=2)
near = np.argsort(far + np.diag(np.full(100, np.inf)), axis=1)[:, :${neighbours}]
W = neighbour_weights(near, np.take_along_axis(far, near, 1), kind="${kind}")
L = graph_laplacian(W)
values, vectors = smoothest(L, 6)

c, known = np.zeros((100, 1)), np.isin(np.arange(100), [${first}, ${second}])
c[${first}], c[${second}] = 1, -1
f = spread_labels(L, c, known, alpha=${ALPHA})[:, 0]
print(np.sum(values < 1e-9), values[-1], np.mean(np.where(up, f > 0, f < 0)))
`,
  prints: (n) => [n.values.filter((v) => v < 1e-9).length, n.values.at(-1), n.reached],
  exercises: [
    { ask: "Six points with the edges 1–2, 2–3, 3–1, 3–4, 4–5, 5–6. The edges 3–4 and 5–6 are cut. How many zero eigenvalues does the Laplacian have then? Predict it without computing.", input: "zeros", right: 3, wrong: 2,
      check: ({ answer }) => ({ passed: answer === 3, say: answer === 3 ? "Passed: the parts are {1, 2, 3}, {4, 5} and {6}. A point without edges is a part, too." : "Count the parts. A single point is one." }) },
    { ask: "Values $f = +1$ on one group and $-1$ on the other; the only edges between them have the weights 0.3 and 0.2. What is $f'Lf$?", input: "f′Lf =", right: 2, wrong: 4,
      check: ({ answer }) => ({ passed: Math.abs(answer - 2) < 0.001, say: Math.abs(answer - 2) < 0.001 ? "Passed: $(0.3+0.2)\\cdot 2^2$, each edge once. So Fiedler's vector looks for a cut of little weight." : Math.abs(answer - 4) < 0.001 ? "That is the double sum without its half: each edge was counted twice." : "Sum $w_{ij}(f_i-f_j)^2$ over the edges, each once." }) },
  ],
  sources: [
    "U. von Luxburg, A tutorial on spectral clustering, *Statistics and Computing* 17 (2007); X. Zhu, Z. Ghahramani and J. Lafferty, *ICML* 2003, for harmonic labels; L. Zelnik-Manor and P. Perona, *NIPS* 17 (2004), for the local scale.",
    "In numdl: `numdl.regularize.graph`, `numdl experiment run spectral-clustering`, and a classifier that uses few labels.",
  ],
  trials: [2, 3, 5, 8, 12, 20, 30].flatMap((neighbours, i) => [[0, "gaussian"], [0.08, "connectivity"], [0.25, "gaussian"]].map(([noise, kind], j) => ({ neighbours, noise: neighbours < 4 && kind === "connectivity" ? 0.15 : noise, kind, draw: 1 + i + 3 * j, first: 3 * i + j, second: 60 + 5 * i }))),
  compare: (n) => ({ points: n.points.flat(), parts: n.count, values: n.values, second: n.count === 1 ? n.fiedler : [], spread: n.f, cut: n.cut, reached: n.reached, nearest: n.nearest, bridges: n.bridges }),
};
