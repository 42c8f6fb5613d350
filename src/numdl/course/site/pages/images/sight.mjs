// 3.16: how far does a pixel see?
import { convolve, places } from "../../lib/images.mjs";
import { random, range } from "../../lib/numerics.mjs";
import { counted, say } from "../../lib/plot.mjs";

// Layers u + tanh(K u) of 3 x 3 taps on 25 x 25 pixels with two channels, weights drawn once; the second channel may diffuse.
const N = 25, MIDDLE = 12, MOST = 12, SEES = 1e-6, KINDS = [["none", "without diffusion"], ["implicit", "with diffusion, taken implicitly"], ["explicit", "with diffusion, taken explicitly"]];
const rng = random(3), IMAGE = rng.normals(2 * N * N).map((x) => 0.5 * x), WEIGHTS = range(MOST).map(() => rng.normals(36).map((x) => 0.3 * x));
const WHERE = places(N, "reflecting"), CROSS = [1, 3, 5, 7].map((q) => WHERE[q]);
// Second differences of mirrored rows have cosines for eigenvectors.
const Q = range(N).map((i) => range(N).map((k) => Math.sqrt((k ? 2 : 1) / N) * Math.cos((Math.PI * (i + 0.5) * k) / N))), RATE = range(N).map((k) => -4 * Math.sin((Math.PI * k) / (2 * N)) ** 2);
const far = (p) => Math.max(Math.abs(Math.floor(p / N) - MIDDLE), Math.abs((p % N) - MIDDLE));
const QT = range(N).map((k) => range(N).map((i) => Q[i][k]));
const both = (A, X) => { // A X A' of a square of pixels
  const Y = new Float64Array(N * N), Z = new Float64Array(N * N);
  for (let i = 0; i < N; i++) for (let k = 0; k < N; k++) { const a = A[i][k]; for (let j = 0; j < N; j++) Y[i * N + j] += a * X[k * N + j]; }
  for (let i = 0; i < N; i++) for (let k = 0; k < N; k++) { const y = Y[i * N + k]; for (let j = 0; j < N; j++) Z[i * N + j] += y * A[j][k]; }
  return Z;
};
function diffused(u, factor) { // of the second channel, each cosine by its factor
  const spectrum = both(QT, Float64Array.from(range(N * N), (p) => u[2 * p + 1]));
  for (let i = 0; i < N; i++) for (let k = 0; k < N; k++) spectrum[i * N + k] *= factor(RATE[i] + RATE[k]);
  const back = both(Q, spectrum);
  for (let p = 0; p < N * N; p++) u[2 * p + 1] = back[p];
  return u;
}
// The state, and how it changes with the middle pixel: both go through the layers together.
function compute({ kind, layers, gamma }) {
  let u = Float64Array.from(IMAGE), v = new Float64Array(2 * N * N);
  v[2 * (MIDDLE * N + MIDDLE)] = 1;
  for (let j = 0; j < layers; j++) {
    const act = convolve(WEIGHTS[j], u, WHERE, 2, 2).map(Math.tanh), push = convolve(WEIGHTS[j], v, WHERE, 2, 2);
    const next = u.map((x, i) => x + act[i]), change = v.map((x, i) => x + (1 - act[i] ** 2) * push[i]);
    if (kind === "explicit") for (const [to, from] of [[next, u], [change, v]]) for (let p = 0; p < N * N; p++) to[2 * p + 1] += gamma * (CROSS.reduce((t, where) => t + from[2 * where[p] + 1], 0) - 4 * from[2 * p + 1]);
    if (kind === "implicit") for (const to of [next, change]) diffused(to, (r) => 1 / (1 - gamma * r));
    u = next; v = change;
  }
  const size = range(N * N).map((p) => Math.max(Math.abs(v[2 * p]), Math.abs(v[2 * p + 1]))), largest = Math.max(...size), share = size.map((x) => x / largest);
  const by = range(MIDDLE + 1).map((d) => Math.max(...share.filter((_, p) => far(p) === d)));
  const rates = RATE.flatMap((a) => RATE.map((b) => a + b)), factors = rates.map((r) => Math.abs(kind === "explicit" ? 1 + gamma * r : kind === "implicit" ? 1 / (1 - gamma * r) : 1));
  return { share, by, seen: share.filter((x) => x > SEES).length / (N * N), furthest: by.reduce((f, x, d) => (x > 0 ? d : f), 0), longest: Math.max(...factors), largest, state: Array.from(u), change: Array.from(v), decay: Math.acosh(1 + 1 / (2 * gamma)), layers };
}
const AT = range(MIDDLE + 1), EDGES = range(N + 1).map((i) => i - MIDDLE - 0.5), FLOOR = 1e-12;

export const page = {
  id: "3.16",
  question: "How far does a pixel see?",
  goal: "You will know what a stack of small stencils cannot see, and how one implicit step of diffusion shows every pixel the whole image.",
  minutes: 20,
  needs: "pages 2.7 and 3.2",
  controls: {
    kind: { kind: "choice", label: "layers", options: KINDS, value: "none" },
    layers: { kind: "slider", label: "number of layers", min: 1, max: MOST, step: 1, value: 4, play: 500, show: (k) => counted(k, "layer") },
    gamma: { kind: "slider", label: "diffusivity", min: 0.1, max: 100, log: true, step: 0.1, value: 10, show: (x) => say(x) },
  },
  hidden: {},
  disabled: (s) => (s.kind === "none" ? ["gamma"] : []),
  guess: {
    ask: "Two marks at opposite ends of an image of 64 pixels decide together what the line between them means. A network has five layers of 3 × 3 taps. How should it be changed so that a pixel at one end can know about the other?",
    options: ["longer training", "more channels", "neither can help"], answer: 2, see: { layers: 5 },
    why: "Each layer carries news by one pixel. After five layers a pixel knows what lies up to five pixels away, however good the weights are.",
  },
  sentence: [
    "The middle pixel changes a little. After [[layers]] [[kind]], diffusivity [[gamma]] squared pixels a layer, {{seen}} % of the pixels have noticed, which means by more than a millionth of the largest change. At the edge of the image, 12 pixels away, it is {{edge}} of it.",
  ],
  breaks: [
    { label: "One implicit layer", patch: { kind: "implicit", layers: 1, gamma: 31.62 }, why: "An implicit step solves a system of equations that couples all pixels. One is enough for the whole image." },
    { label: "The same diffusion, explicitly", patch: { kind: "explicit", layers: 4, gamma: 31.62 }, why: "An explicit step of diffusion is a stencil: it sees one pixel further, and with $\\gamma > 1/4$ it turns the finest waves round and makes them larger, here by a factor of about 250 in each layer. Beside those, the corners of the square that the taps reach fall below a millionth." },
  ],
  compute,
  values: (n) => ({ seen: say(100 * n.seen), edge: say(n.by[MIDDLE]) }),
  views: [
    {
      frame: () => ({ title: "Change of each pixel, over the largest: white none, dark all", equal: true, height: 400, x: { min: -12.5, max: 12.5, label: "pixels to the right" }, y: { min: -12.5, max: 12.5, label: "pixels up" } }),
      draw(plot, n, s) {
        const square = range(N).map((i) => range(N).map((j) => n.share[i * N + j]));
        plot.heat(square, EDGES, EDGES, (x) => (x > SEES ? 0.12 + 0.88 * (1 + Math.log10(x) / 6) : 0), { color: "blue" });
        const r = Math.min(n.layers + 0.5, 12.5);
        plot.line([-r, r, r, -r], [-r, -r, r, r], { color: "orange", dash: "6 4", width: 1.8, close: true, label: `what ${n.layers} stencil${n.layers > 1 ? "s reach" : " reaches"}` });
        plot.dots([0], [0], { color: "ink", shape: "ring", size: 6, label: "the pixel that changes" });
      },
    },
    {
      frame: () => ({ title: "Largest change at a distance", height: 400, x: { min: 0, max: MIDDLE + 0.4, label: "pixels from the middle" }, y: { min: FLOOR, max: 3, log: true, label: "share of the largest change" } }),
      draw(plot, n, s, { ghost }) {
        plot.across(SEES, { label: "counts as seen" });
        if (ghost) plot.line(AT, ghost.numbers.by.map((x) => (x > 0 ? x : NaN)), { color: "blue", faint: true, label: "your last setting" });
        if (s.kind === "implicit") plot.line(AT, AT.map((d) => Math.exp(-d * n.decay)), { color: "green", dash: "3 3", label: "decay of one implicit step along a row" });
        const seen = AT.filter((d) => n.by[d] > 0);
        plot.line(seen, seen.map((d) => n.by[d]), { color: "blue", width: 1.4 });
        plot.dots(seen, seen.map((d) => Math.max(n.by[d], FLOOR)), { color: "blue", label: "change" });
        plot.upright(n.layers, { color: "orange", label: "number of layers" });
      },
    },
  ],
  table: (n) => ({ head: ["pixels from the middle", "largest change, over the largest of all"], rows: AT.map((d) => [d, say(n.by[d])]) }),
  claims: (n, s) => [
    { sentence: "News travels one pixel a layer: nothing further away than the number of layers notices.", holds: n.furthest <= n.layers, found: `The furthest pixel that notices is ${n.furthest} away; there ${n.layers > 1 ? `are ${n.layers} layers` : "is one layer"}.`, why: "An implicit step is no stencil. Its inverse matrix has no entry that is zero." },
    { sentence: "Every pixel of the image sees the middle one.", holds: n.seen === 1, found: `${say(100 * n.seen)} % do.`, why: s.kind === "implicit" ? "Diffusion carries over a distance of about $\\sqrt\\gamma$ pixels a layer; beyond it, what arrives falls by $e$ for each further such distance." : "It would take 12 layers to the edge and, along the diagonal, to the corner; and then what arrives has passed many taps." },
    { sentence: "Diffusion alone makes no image larger.", holds: n.longest <= 1 + 1e-12, found: s.kind === "none" ? "There is none." : `The wave that grows most becomes ${say(n.longest)} times as large in one layer.`, why: "An explicit step multiplies a wave by $1 - \\gamma\\lambda$ with $\\lambda$ up to 8, and that is below −1 once $\\gamma > 1/4$. The implicit step divides by $1+\\gamma\\lambda$, which is at least 1." },
  ],
  text: [
    "## What a stencil reaches",
    "A layer $u_{j+1} = u_j + \\tanh(K_ju_j)$ of 3 × 3 taps asks a pixel and its eight neighbours. After $L$ layers an entry depends on the square of $2L+1$ pixels around it, and on nothing else. To join two ends of an image of $S$ pixels takes $S-1$ layers, or coarser images in between, which lose the place of a pixel.",
    "## A step that solves",
    "Treat the layer as a step of $\\dot u = \\tanh(Ku) + \\gamma\\Delta u$, where $\\Delta$ adds the differences to the four neighbours. The learned part stays explicit, diffusion becomes implicit:",
    "$$ (I - h\\gamma\\Delta)\\,u_{j+1} = u_j + h\\tanh(K_ju_j). $$",
    "With mirrored borders the eigenvectors of $\\Delta$ are products of cosines with eigenvalues $-\\lambda$ between −8 and 0, so that a layer costs two cosine transforms more. Each wave is divided by $1+h\\gamma\\lambda\\ge1$: nothing grows, whatever $\\gamma$ is (page 3.2: implicit Euler is stable in the whole left half plane).",
    "Along a row, $(I-\\gamma\\Delta)^{-1}$ falls as $e^{-\\kappa d}$ with $\\cosh\\kappa = 1 + 1/(2\\gamma)$, that is, over a length of about $\\sqrt\\gamma$ pixels. The figure's dashed line shows it; in the plane what arrives is a little less.",
    "## Some channels keep, others carry",
    "Diffusion blurs. In the figure one channel has none, and keeps pixels apart, the other one carries. The next layer's $K$ mixes them: a pixel reads from the blurred channel what the sharp one cannot know. Each channel's $\\gamma$ is trained with the other weights, as $\\gamma = e^{\\beta}$, which keeps it positive.",
    "The experiment trains both kinds on images of 64 × 64 pixels where the class of a pixel depends on marks at both ends of a stick. With five layers and 30 weights more, implicit diffusion put 99.96 % of the object's pixels right, and the explicit network 61 %, in the mean of three draws.",
  ],
  code: (s) => `
import numpy as np

kind, layers, gamma, n = "${s.kind}", ${s.layers}, ${s.gamma}, 25
rng = np.random.RandomState(3)
u, K = 0.5 * rng.standard_normal((n, n, 2)), 0.3 * rng.standard_normal((12, 3, 3, 2, 2))
rate, Q = np.linalg.eigh(np.diff(np.eye(n), axis=0).T @ np.diff(np.eye(n), axis=0))
rates = -(rate[:, None] + rate)[..., None] * np.array([0, gamma])

def convolve(K, u):
    w = np.pad(u, ((1, 1), (1, 1), (0, 0)), mode="symmetric")
    return sum(w[a:a + n, b:b + n] @ K[a, b] for a in range(3) for b in range(3))

def filtered(u, factor):
    return np.einsum("hi,wj,ijc->hwc", Q, Q, factor * np.einsum("hi,wj,hwc->ijc", Q, Q, u))

v = (np.arange(2 * n * n) == 2 * (12 * n + 12)).reshape(n, n, 2) * 1.0
for A in K[:layers]:
    act, step = np.tanh(convolve(A, u)), 1 / (1 - rates) if kind == "implicit" else 1
    spread = [filtered(x, rates) if kind == "explicit" else 0 for x in (u, v)]
    u = filtered(u + act + spread[0], step)
    v = filtered(v + (1 - act**2) * convolve(A, v) + spread[1], step)
share = np.abs(v).max(axis=2) / np.abs(v).max()
print(np.mean(share > 1e-6), share[12, 24])
`,
  codeNote: "It prints the share of pixels that have noticed, and what arrives at the right edge in the row of the middle pixel.",
  prints: (n) => [n.seen, n.share[MIDDLE * N + N - 1]],
  exercises: [
    { ask: "Opposite corners of an image of 64 × 64 pixels are to see each other through layers of 3 × 3 taps, all with the same number of pixels. How many layers does that take at least?", input: "layers", right: 63, wrong: 64,
      check: ({ answer }) => ({ passed: answer === 63, say: answer === 63 ? "Passed: 63 steps along the diagonal. A stencil of 3 × 3 taps goes there directly." : answer === 64 ? "Count the steps from the first pixel to the last, not the pixels." : answer === 32 || answer === 31 ? "Then both corners reach the middle, but neither reaches the other: who asks is a pixel at one of them." : "One pixel a layer, along the diagonal too." }) },
    { ask: "Three layers with implicit diffusion: make the diffusivity as small as you can while every pixel of the figure still sees the middle one.", rightly: () => ({ kind: "implicit", layers: 3, gamma: GOOD }), start: { label: "Begin", patch: () => ({ kind: "implicit", layers: 3, gamma: 100 }) },
      check: ({ settings: s, numbers: n }) => {
        if (s.kind !== "implicit" || s.layers !== 3) return { passed: false, say: "Set three layers with implicit diffusion." };
        if (n.seen < 1) return { passed: false, say: `Only ${say(100 * n.seen)} % of the pixels see it. Diffuse more.` };
        const less = compute({ ...s, gamma: s.gamma / 10 ** 0.15 });
        return less.seen === 1 ? { passed: false, say: "All see it, and they would with less." } : { passed: true, say: `Passed: $\\sqrt\\gamma$ is ${say(Math.sqrt(s.gamma))} pixels, and the corners are 17 away. A millionth is little, so that three such layers carry far beyond it.` };
      } },
  ],
  sources: [
    "E. Haber, K. Lensink, E. Treister and L. Ruthotto, IMEXnet: a forward stable deep neural network, *ICML* 2019, sections 3 and 4.",
    "W. Luo, Y. Li, R. Urtasun and R. Zemel, Understanding the effective receptive field in deep convolutional neural networks, *NeurIPS* 2016.",
    "In numdl: `numdl experiment run field-of-view` trains both kinds; `numdl.flow.on_images` with the scheme imex, `numdl.problems.segmentation`.",
  ],
  trials: KINDS.flatMap(([kind]) => [1, 3, 7, 12].flatMap((layers) => (kind === "none" ? [10] : [0.2, 3.162, 50.12]).map((gamma) => ({ kind, layers, gamma })))),
  compare: (n) => ({ state: n.state, change: n.change.map((x) => x / n.largest), seen: n.seen, by: n.by, longest: n.longest }),
};
const GOOD = [...range(31)].map((k) => Number((10 ** (-1 + 0.1 * k)).toPrecision(4))).find((gamma) => compute({ kind: "implicit", layers: 3, gamma }).seen === 1);
