// 2.2: drawn or trained?
import { moved_data } from "../../data/moved_data.mjs";
import { argmin, linspace, range } from "../../lib/numerics.mjs";
import { bestHead, drawn, errorOf, predict, rows, surface, units } from "../../lib/peaks.mjs";
import { say } from "../../lib/plot.mjs";

const WIDTHS = [4, 8, 16, 32], SIZES = moved_data.sizes, LAST = moved_data.trained["4"].length - 1, ITERATIONS = moved_data.trained["4"].map((one) => one.iteration);
const SCALES = [["0.5", "0.5: gentle bends"], ["1", "1"], ["2", "2"], ["4", "4: sharp bends"]], CELLS = 40, EDGES = linspace(-1, 1, CELLS + 1), MIDDLES = range(CELLS).map((i) => (EDGES[i] + EDGES[i + 1]) / 2);
const TARGET = MIDDLES.map((y) => MIDDLES.map((x) => surface(x, y)));

function fit(layer) {
  const { x, c } = rows(), w = bestHead(x.map((row) => units(layer, row)), c);
  return { layer, w, error: errorOf(layer, w) };
}
const kept = {};
const trained = (m, at) => (kept[`${m} ${at}`] ??= fit(moved_data.trained[m][at]));
const drawnErrors = (draw, scale) => (kept[`drawn ${draw} ${scale}`] ??= SIZES.map((m) => fit(drawn(draw, m, Number(scale))).error));
const middle = (scale) => moved_data.bands[scale].map((q) => q[1]);
// Number of units at which a falling curve over SIZES has an error, along straight lines in logarithms; Infinity beyond its end.
function widthFor(curve, error) {
  const k = curve.findIndex((e) => e <= error);
  if (k < 0) return Infinity;
  if (k === 0) return SIZES[0];
  const t = Math.log(curve[k - 1] / error) / Math.log(curve[k - 1] / curve[k]);
  return SIZES[k - 1] * (SIZES[k] / SIZES[k - 1]) ** t;
}
// A unit bends along k'x + b = 0. Does that line meet the square?
const inside = ({ K, b }) => K.filter((k, i) => Math.abs(b[i]) <= Math.abs(k[0]) + Math.abs(k[1])).length;

function compute({ width, at, scale, draw }) {
  const m = WIDTHS[width], now = trained(m, at), first = trained(m, 0), own = drawnErrors(draw, scale), all = WIDTHS.map((one) => trained(one, at).error);
  return { m, now, first, own, all, equal: widthFor(middle(scale), now.error), inside: inside(now.layer), twice: middle(scale)[SIZES.indexOf(2 * m)], path: range(LAST + 1).map((k) => trained(m, k).error) };
}
const heat = (plot, values) => {
  plot.heat(values, EDGES, EDGES, (v) => Math.min(Math.max(v, 0) / 4, 1) * 0.75, { color: "blue" });
  plot.heat(values, EDGES, EDGES, (v) => Math.min(Math.max(-v, 0) / 4, 1) * 0.75, { color: "orange" });
};
const square = (title) => ({ title, equal: true, height: 330, x: { min: -1, max: 1, label: "x₁" }, y: { min: -1, max: 1, label: "x₂" } });

export const page = {
  id: "2.2",
  question: "Drawn or trained?",
  goal: "You will watch training move the lines along which the units bend, and count how many drawn units are worth one trained unit.",
  minutes: 15,
  needs: "page 2.1: what a layer of features is; the best head of page 2.8 is solved for at each moment",
  controls: {
    at: { kind: "slider", label: "iteration", min: 0, max: LAST, value: LAST - 1, play: 600, show: (k) => String(ITERATIONS[k]) },
    width: { kind: "slider", label: "units", min: 0, max: WIDTHS.length - 1, value: 2, show: (k) => String(WIDTHS[k]) },
    scale: { kind: "choice", label: "size of drawn weights", options: SCALES, value: "2" },
  },
  hidden: { draw: 1 },
  guess: {
    ask: "Sixteen units $\\tanh(k'x+b)$ learn a surface with three hills and hollows from 300 points. Trained, with the best head, they err by 22 % of its spread. Other layers are only drawn at random, and get their best head as well. How many drawn units reach the same 22 %?",
    options: ["16: the head does the work", "about 70", "more than 1000"], answer: 1, hides: ["equal"],
    why: "In the middle of 20 draws it takes 73 units, if the size of the weights is chosen well. With weights a quarter of that size, 128 units still err by more than half the spread.",
  },
  sentence: [
    "After [[at]] iterations of training, [[width]] units err by {{error}} of the spread on new points; as they were drawn it was {{first}}. Drawn units with weights of size [[scale]] need about {{equal}} of them for the same error.",
  ],
  breaks: [
    { label: "As drawn", patch: { at: 0 }, why: "The lines lie where chance has put them: many where the surface is flat, some outside the square, where their unit is a nearly straight function and adds little." },
    { label: "Weights too small", patch: { scale: "0.5", at: LAST }, why: "All units are then nearly linear or quadratic over the square, and nearly alike: 128 of them span little more than the polynomials of low degree." },
    { label: "Draw again", patch: (s) => ({ draw: (s.draw % 20) + 1 }), why: "The thin line is another draw of the units that are not trained." },
  ],
  compute,
  values: (n) => ({ error: say(n.now.error), first: say(n.first.error), equal: Number.isFinite(n.equal) ? say(n.equal, 2) : "more than 128" }),
  views: [
    {
      frame: () => square("The surface, and where the units bend"),
      draw(plot, n, s, { ghost }) {
        heat(plot, TARGET);
        const show = ({ K, b }, color, faint, label) => K.forEach((k, i) => {
          const r = k[0] ** 2 + k[1] ** 2, foot = [(-b[i] * k[0]) / r, (-b[i] * k[1]) / r], along = [(-4 * k[1]) / Math.sqrt(r), (4 * k[0]) / Math.sqrt(r)];
          plot.line([foot[0] - along[0], foot[0] + along[0]], [foot[1] - along[1], foot[1] + along[1]], { color, width: 1.5, faint, label: i ? "" : label });
        });
        if (s.at > 0) show(n.first.layer, "grey", true, "as drawn");
        else if (ghost && ghost.settings.width === s.width) show(ghost.numbers.now.layer, "grey", true, "before");
        show(n.now.layer, "ink", false, "k′x + b = 0");
      },
    },
    {
      frame: () => square("What the network says"),
      draw(plot, n) { const points = MIDDLES.flatMap((y) => MIDDLES.map((x) => [x, y])), all = predict(n.now.layer, n.now.w, points); heat(plot, MIDDLES.map((_, j) => all.slice(CELLS * j, CELLS * j + CELLS))); },
    },
    {
      wide: true,
      frame: () => ({ title: "Error on 400 new points", height: 290, x: { min: 4, max: 128, log: true, label: "units", ticks: [4, 8, 16, 32, 64, 128] }, y: { min: 0.03, max: 1.1, log: true, label: "error / spread", ticks: [0.03, 0.1, 0.3, 1] } }),
      draw(plot, n, s, { change, open }) {
        const band = moved_data.bands[s.scale];
        if (open) plot.area(SIZES, band.map((q) => q[0]), band.map((q) => q[2]), { color: "orange", label: "drawn: 16 of 20 draws" });
        if (open) plot.line(SIZES, band.map((q) => q[1]), { color: "orange", label: "their middle" });
        if (open) plot.line(SIZES, n.own, { color: "orange", width: 1.2, dash: "5 4", label: `draw ${s.draw}` });
        plot.line(WIDTHS, n.all, { color: "blue", label: `trained, iteration ${ITERATIONS[s.at]}` });
        plot.dots(WIDTHS, n.all, { color: "blue" });
        if (open && Number.isFinite(n.equal)) { plot.line([n.m, n.equal], [n.now.error, n.now.error], { color: "ink", width: 1.4, dash: "3 3", label: "equal error" }); plot.dots([n.equal], [n.now.error], { color: "orange", shape: "diamond", size: 4 }); }
        const to = (x) => argmin(WIDTHS.map((m) => Math.abs(Math.log(m / Math.max(x, 1)))));
        plot.handle("m", n.m, n.now.error, { color: "ink", label: "units", value: String(n.m), move: (x) => change({ width: to(x) }), nudge: (dx, dy) => change({ width: s.width + dx + dy }) });
      },
    },
  ],
  table: (n, s) => ({ head: ["units", `drawn, middle of 20`, `draw ${s.draw}`, "trained"], rows: SIZES.map((m, k) => [m, say(middle(s.scale)[k]), say(n.own[k]), WIDTHS.includes(m) ? say(n.all[WIDTHS.indexOf(m)]) : ""]) }),
  claims: (n, s) => [
    { sentence: "Training has at least halved the error.", holds: n.now.error <= 0.5 * n.first.error, found: `${say(n.first.error)} became ${say(n.now.error)}.`, why: n.m <= 8 ? "So few units cannot bend around all hills and hollows, wherever they are put." : "It has only begun: play the iterations." },
    { sentence: "Drawn units need at least four times as many for the same error.", holds: n.equal >= 4 * n.m, found: Number.isFinite(n.equal) ? `About ${say(n.equal, 2)} against ${n.m}.` : `More than 128 against ${n.m}.`, why: s.at < LAST ? "The training has not ended." : "With few units training gains least: it takes several of them to make one hill." },
    { sentence: "Every line meets the square.", holds: n.inside === n.m, found: `${n.inside} of ${n.m} do.`, why: "A unit that bends outside is nearly a straight function inside. Training may leave it so: a straight part can be of use, too." },
    { sentence: "The trained layer is better than twice as many drawn units.", holds: n.now.error < n.twice, found: `${say(n.now.error)} against ${say(n.twice)} in the middle of 20 draws.`, why: "As drawn it is one of the orange draws itself, and half as wide." },
  ],
  text: [
    "## What moves",
    "A unit $\\tanh(k'x+b)$ rises from $-1$ to $1$ across the line $k'x+b=0$, within a strip of width about $2/|k|$; far from the line it is constant. A layer can only bend where it has lines. Drawn layers have them everywhere alike, and the head has to make do:",
    "$$ W = \\operatorname*{argmin}_W\\; \\tfrac1n\\,|WZ - C|^2 + \\alpha\\,|W|^2, \\qquad Z = \\tanh(KX + b). $$",
    "This is a linear problem, solved at once. Such a network is called an extreme learning machine or a random feature model, page 2.1. Training moves the lines as well: $K$ and $b$ follow Levenberg and Marquardt's method for the misfit whose head is eliminated, page 2.8. Play the iterations and watch lines turn towards the edges of hills and gather there.",
    "What training buys is economy: fewer units for the same error, hence cheaper evaluation and a model of fewer numbers. What it costs is a problem that is not convex. The four networks of the figure were trained from one start each, and better ones may exist. With 4 units the training ends in a valley after 20 iterations; with 32 it still gains after 80.",
    "A drawn layer has one number that matters much and costs little to choose: the size of the weights. Compare 0.5 with 2. Nothing has been trained, and the error at 128 units differs by a factor of five.",
    "With many rows and a smooth function drawn units are a good and quick choice, and nothing can go wrong in the training of a head. Where a function has its structure in a small part of space, or has many inputs, chance seldom puts a line where it is needed.",
  ],
  codeNote: "It prints the error of the trained layer of the figure, and that of your draw with 64 units. `numdl.course.site.watched.moving` trains the layers.",
  code: (s) => `
import numpy as np
from numdl.course.site import grids
from numdl.course.site.watched import best_head, drawn_layer, peaks_rows

(x, c), (x_test, c_test) = peaks_rows(seed=0)

def error(K, b):
    w = best_head(np.tanh(x @ K.T + b), c[:, 0])  # ridge, alpha = 1e-8
    off = np.tanh(x_test @ K.T + b) @ w[:-1] + w[-1] - c_test[:, 0]
    return np.sqrt(np.mean(off**2)) / np.std(c_test)

layer = grids.read("moved_data")["trained"]["${WIDTHS[s.width]}"][${s.at}]
print(error(np.array(layer["K"]), np.array(layer["b"])))
print(error(*drawn_layer(seed=${s.draw}, m=64, scale=${s.scale})))
`,
  prints: (n) => [n.now.error, n.own[SIZES.indexOf(64)]],
  exercises: [
    { ask: "Train 8 units to the end. How many drawn units of weights of size 2 have the same error, in the middle of the draws? (Within 20 %.)", input: "units", right: 39, wrong: 16,
      check: ({ answer }) => { const wanted = widthFor(middle("2"), trained(8, LAST).error), passed = Math.abs(answer / wanted - 1) <= 0.2; return { passed, say: passed ? `Passed: about ${say(wanted, 2)}, ${say(wanted / 8, 2)} drawn units for a trained one.` : "Draw a level line from the blue point to the right, until it meets the orange curve." }; } },
    { ask: "How far from the origin is the line along which the unit $\\tanh(3x_1 - 4x_2 + 2)$ bends?", input: "distance", right: 0.4, wrong: 2,
      check: ({ answer }) => ({ passed: Math.abs(answer - 0.4) < 1e-6, say: Math.abs(answer - 0.4) < 1e-6 ? "Passed: $|b|/|k| = 2/5$. It meets the square of the figure." : answer === 2 ? "That is $|b|$. The line is where $k'x + b = 0$: divide by $|k|$." : "$|b|/|k|$." }) },
  ],
  sources: [
    "G.-B. Huang, Q.-Y. Zhu and C.-K. Siew, Extreme learning machine, *Neurocomputing* 70 (2006); A. Rahimi and B. Recht, Random features for large-scale kernel machines, *NIPS* 2007.",
    "In numdl: `RandomFeatures` and `ResNetRegressor` are the two sides; `numdl experiment run extreme-learning` has 1500 rows, more widths and draws.",
  ],
  tolerance: 1e-8, // some heads are known to the condition of their features only
  trials: SCALES.flatMap(([scale], i) => [[0, 0], [1, 4], [2, LAST], [3, 7], [2, 1], [3, LAST]].map(([width, at]) => ({ width, at, scale, draw: 1 + i }))),
  compare: (n) => ({ error: n.now.error, first: n.first.error, all: n.all, drawn: n.own, inside: n.inside, head: [Math.hypot(...n.now.w)] }),
};
