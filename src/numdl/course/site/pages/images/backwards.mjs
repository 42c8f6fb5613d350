// 3.17: what does the slope of a thousand layers of images need?
import { convolve, convolveBack, places } from "../../lib/images.mjs";
import { norm, random, range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// y' = K1' tanh(K1 z), z' = -K2' tanh(K2 y): images of 6 x 6 pixels on a torus, two channels each, weights drawn once.
const SIDE = 6, SIZE = 2 * SIDE * SIDE, rng = random(5), WHERE = places(SIDE, "periodic");
const START = Float64Array.from(rng.normals(2 * SIZE)), K1 = rng.normals(36).map((x) => 0.3 * x), K2 = rng.normals(36).map((x) => 0.3 * x);
const SCHEMES = [["verlet", "Verlet's steps, undone exactly"], ["euler", "Euler's steps, undone by a step back"]];
// A batch of the sentence: 256 images, 32 x 32 pixels, 128 channels, 4 bytes each.
const STATE = (256 * 32 * 32 * 128 * 4) / 2 ** 30, CARD = 80;

function part(K, sign) {
  let last = null, found = null; // the last kick of a step is the first one of the next
  return (x) => {
    if (x === last) return found;
    const act = convolve(K, x, WHERE, 2, 2);
    for (let i = 0; i < SIZE; i++) act[i] = sign * Math.tanh(act[i]);
    return (last = x, found = convolveBack(K, act, WHERE, 2, 2));
  };
}
function slopeOf(K, sign) { // a symmetric matrix: by itself from behind as well
  return (x, v) => {
    const act = convolve(K, x, WHERE, 2, 2), push = convolve(K, v, WHERE, 2, 2);
    for (let i = 0; i < SIZE; i++) push[i] *= sign * (1 - Math.tanh(act[i]) ** 2);
    return convolveBack(K, push, WHERE, 2, 2);
  };
}
const F = part(K1, 1), G = part(K2, -1), dF = slopeOf(K1, 1), dG = slopeOf(K2, -1);
const exact = (x) => x, single = (x) => Math.fround(x);
const add = (x, h, v, keep) => { const sum = new Float64Array(SIZE); for (let i = 0; i < SIZE; i++) sum[i] = keep(x[i] + h * v[i]); return sum; };

// Each way of stepping: forwards, back, and the slope by the state before a step, whose state is given, from that behind it.
const STEP = {
  verlet: {
    on([y, z], h, keep) { z = add(z, h / 2, G(y), keep); y = add(y, h, F(z), keep); return [y, add(z, h / 2, G(y), keep)]; },
    back([y, z], h, keep) { z = add(z, -h / 2, G(y), keep); y = add(y, -h, F(z), keep); return [y, add(z, -h / 2, G(y), keep)]; },
    slope([y, z], [p, q], h) {
      const middle = add(z, h / 2, G(y), exact), after = add(y, h, F(middle), exact);
      p = add(p, h / 2, dG(after, q), exact);
      q = add(q, h, dF(middle, p), exact);
      return [add(p, h / 2, dG(y, q), exact), q];
    },
  },
  euler: {
    on([y, z], h, keep) { return [add(y, h, F(z), keep), add(z, h, G(y), keep)]; },
    back([y, z], h, keep) { return [add(y, -h, F(z), keep), add(z, -h, G(y), keep)]; },
    slope([y, z], [p, q], h) { return [add(p, h, dG(y, q), exact), add(q, h, dF(z, p), exact)]; },
  },
};
const flat = (u) => [...u[0], ...u[1]], apart = (u, v) => { let a = 0, b = 0; for (const k of [0, 1]) for (let i = 0; i < SIZE; i++) { a += (u[k][i] - v[k][i]) ** 2; b += v[k][i] ** 2; } return Math.sqrt(a / b); };
const kept = new Map();
function compute({ scheme, layers, T }) {
  const key = `${scheme} ${layers} ${T}`;
  if (!kept.has(key)) {
    const h = T / layers, step = STEP[scheme], first = [START.slice(0, SIZE), START.slice(SIZE)], states = [first], rounded = [first.map((x) => x.map(single))];
    for (let j = 0; j < layers; j++) { states.push(step.on(states[j], h, exact)); rounded.push(step.on(rounded[j], h, single)); }
    let slope = states[layers], own = rounded[layers], u = rounded[layers];
    const back = [0];
    for (let j = layers; j > 0; j--) {
      const before = step.back(u, h, single);
      slope = step.slope(states[j - 1], slope, h);
      own = step.slope(before, own, h);
      u = before;
      back.push(apart(u, rounded[j - 1]));
    }
    if (kept.size > 60) kept.clear();
    kept.set(key, { back, image: flat(u), slope: flat(slope), own: flat(own), error: apart(u, first), wrong: apart(own, slope), end: flat(states[layers]) });
  }
  return { ...kept.get(key), layers, h: T / layers, stored: layers * STATE };
}
const FLOOR = 1e-9, DEPTHS = range(8).map((k) => 8 * 2 ** k), PAIRS = [["verlet", "blue", "circle"], ["euler", "orange", "square"]];

export const page = {
  id: "3.17",
  question: "What does the slope of a thousand layers of images need?",
  goal: "You will compute the slopes of a deep network of images in the memory of a few states, and know which digits that costs.",
  minutes: 20,
  needs: "pages 2.7 and 3.10",
  controls: {
    scheme: { kind: "choice", label: "steps", options: SCHEMES, value: "verlet" },
    layers: { kind: "slider", label: "layers", min: 8, max: 1024, stops: range(8).map((k) => 8 * 2 ** k), value: 128, show: String },
    T: { kind: "slider", label: "final time", min: 1, max: 20, step: 1, value: 4, play: 400, show: say },
  },
  hidden: {},
  guess: {
    ask: "A network keeps every layer's state for the slopes: 256 images of 32 × 32 pixels with 128 channels, in single precision, for 1000 layers. How much memory is that?",
    options: ["about 1 GiB", "about 12 GiB", "about 125 GiB"], answer: 2, see: { layers: 1024 },
    why: "One state of the batch takes $256\\cdot32\\cdot32\\cdot128\\cdot4$ bytes, an eighth of a GiB. The weights of a layer of 3 × 3 taps take half a MiB: it is the states that do not fit.",
  },
  sentence: [
    "Take [[layers]] layers up to the time [[T]], by [[scheme]]. The states of a batch of 256 images would take {{stored}} GiB; going back, two of them are enough, a quarter of a GiB. In single precision the image comes back with an error of {{error}}, and the slope computed on the way is wrong by {{wrong}} of its length.",
  ],
  breaks: [
    { label: "Euler, undone by a step back", patch: { scheme: "euler", layers: 128, T: 4 }, why: "A step back takes the field at the wrong end of the step. Each layer adds an error of the size of $h^2$, which has nothing to do with rounding." },
    { label: "Long steps", patch: { scheme: "verlet", layers: 8, T: 20 }, why: "Each step is undone, but for rounding, however long it is. But steps of 2.5 do not follow the flow any more: they stretch differences of images, and so what rounding did. $2.4\\cdot10^{-5}$ are left, 400 times the rounding of one number; 32 layers up to the same time leave a fourteenth of that." },
  ],
  compute: (s) => compute({ ...s, layers: Math.round(s.layers) }),
  values: (n) => ({ stored: say(n.stored), error: say(n.error), wrong: say(n.wrong) }),
  views: [
    {
      frame: (n) => ({ title: "State on the way back against that of the way there", height: 380, x: { min: 0, max: n.layers, label: "layers undone" }, y: { min: FLOOR, max: 10, log: true, label: "difference over size" } }),
      draw(plot, n, s, { ghost }) {
        plot.across(6e-8, { label: "rounding of one number" });
        const line = (m, options) => plot.line(range(m.back.length).map((k) => (k * n.layers) / (m.back.length - 1)), m.back.map((x) => Math.max(x, FLOOR)), options);
        if (ghost) line(ghost.numbers, { color: "grey", faint: true, label: "your last setting" });
        line(n, { color: s.scheme === "verlet" ? "blue" : "orange", label: s.scheme === "verlet" ? "Verlet" : "Euler" });
      },
    },
    {
      frame: () => ({ title: "Memory of one slope of the batch", height: 380, x: { min: 6, max: 1400, log: true, label: "layers", ticks: DEPTHS.filter((_, k) => k % 2 === 0).map((d) => [d, String(d)]) }, y: { min: 0.1, max: 300, log: true, label: "GiB" } }),
      draw(plot, n) {
        plot.across(CARD, { label: "a card of 80 GiB" });
        plot.line(DEPTHS, DEPTHS.map((d) => d * STATE), { color: "purple", label: "every state" });
        plot.line(DEPTHS, DEPTHS.map(() => 2 * STATE), { color: "green", label: "two states, going back" });
        plot.dots([n.layers, n.layers], [n.stored, 2 * STATE], { color: "ink", shape: "ring", size: 6, label: "now" });
      },
    },
  ],
  table: (n) => ({ head: ["layers undone", "difference over size"], rows: range(n.back.length).filter((k) => k % Math.ceil(n.layers / 16) === 0 || k === n.layers).map((k) => [k, say(n.back[k])]) }),
  claims: (n, s) => [
    { sentence: "The image comes back to five digits.", holds: n.error <= 1e-5, found: `The error is ${say(n.error)} of its length.`, why: s.scheme === "euler" ? "Euler's step $u + hf(u)$ is not undone by $u - hf(u)$: the field is taken where the step ends. More layers help as $1/n$ only." : "What rounding did in the last layers has grown on the way back. Shorter steps, a shorter time, or double precision, which moves all by nine digits." },
    { sentence: "The slope that goes with these states is right to four digits.", holds: n.wrong <= 1e-4, found: `It is wrong by ${say(n.wrong)}.`, why: "The slope passes through each layer at the state that was found on the way back, and is as wrong as these states are." },
    { sentence: "Every state would fit on a card of 80 GiB.", holds: n.stored <= CARD, found: `${n.layers} states take ${say(n.stored)} GiB.`, why: "Then store some and compute the others again (page 3.10), or go back." },
  ],
  text: [
    "## A layer that can be undone",
    "Split the channels of an image into two halves $y$ and $z$ and let each move the other one,",
    "$$ \\dot y = K_1'\\tanh(K_1z),\\qquad \\dot z = -K_2'\\tanh(K_2y), $$",
    "with convolutions $K_1$, $K_2$ and their transposes. Verlet's step moves one half at a time, $z\\leftarrow z+\\tfrac h2 G(y)$, $y\\leftarrow y+hF(z)$, $z\\leftarrow z+\\tfrac h2G(y)$. Each of the three lines is undone by a minus sign, whatever $F$ and $G$ are, since what they depend on has not changed. This is a property of the step, not of the differential equation.",
    "So the slope needs the last state only. From it each state before is found, and with it the slope by that layer's weights: three passes instead of two (forwards, backwards, and forwards again on the way back), and no stored state.",
    "## What rounding does",
    "Undoing is exact in exact numbers. In single precision each line rounds, by about $6\\cdot10^{-8}$, and an error made at the end is carried back through all layers. A flow that brings images together would tear these errors apart on the way back. The Hamiltonian one keeps volumes, its linearisation turns rather than stretches, and the errors grow slowly. That is why the dynamics are chosen first and the memory is won afterwards.",
    "## Where images are halved",
    "Pooling cannot be undone: at each change of resolution a state is kept. A network with blocks at 32, 16 and 8 pixels and channels doubled each time keeps states of one, one half and one quarter of the first one's size, whatever the number of layers in each block is.",
    "The experiment does this with 1024 layers and compares memory and slopes with those by stored states.",
  ],
  code: (s) => `
import numpy as np

scheme, layers, T = "${s.scheme}", ${Math.round(s.layers)}, ${s.T}
rng = np.random.RandomState(5)
start = rng.standard_normal((2, 6, 6, 2))
K1, K2 = 0.3 * rng.standard_normal((2, 3, 3, 2, 2))

def act(K, u):
    def shifted(u, i, j):
        return np.roll(u, (1 - i, 1 - j), axis=(0, 1))
    z = np.tanh(sum(shifted(u, i, j) @ K[i, j] for i in range(3) for j in range(3)))
    return sum(shifted(z, 2 - i, 2 - j) @ K[i, j].T for i in range(3) for j in range(3))

def step(y, z, h):  # each line is rounded to single precision
    if scheme == "euler":
        return np.float32(y + h * act(K1, z)), np.float32(z - h * act(K2, y))
    z = np.float32(z - h / 2 * act(K2, y))
    y = np.float32(y + h * act(K1, z))
    return y, np.float32(z - h / 2 * act(K2, y))

y, z = start.astype(np.float32)
for h in [T / layers] * layers + [-T / layers] * layers:
    y, z = step(y, z, h)
print(np.linalg.norm(np.array([y, z]) - start) / np.linalg.norm(start))
`,
  codeNote: "It goes there and back in single precision, and prints the error of the image.",
  prints: (n) => [n.error],
  exercises: [
    { ask: "A card has 40 GiB free for states, and one state of your batch takes an eighth of a GiB. How many layers can you train while every state is stored?", input: "layers", right: 320, wrong: 40,
      check: ({ answer }) => ({ passed: Math.abs(answer - 320) <= 1, say: Math.abs(answer - 320) <= 1 ? "Passed. Going back there is no such number." : "How often does an eighth of a GiB go into 40?" }) },
    { ask: "A network has three blocks of 100 layers each. Between them both sides of an image are halved and the channels doubled, so that a state becomes half as large. Storing every state is compared with storing one state for each block and going back within it. By what factor does the memory fall?", input: "factor", right: 100, wrong: 300,
      check: ({ answer }) => ({ passed: Math.abs(answer - 100) < 1, say: Math.abs(answer - 100) < 1 ? "Passed: $100\\,(1+\\tfrac12+\\tfrac14)$ states of the first size against $1+\\tfrac12+\\tfrac14$." : "Add the sizes of all states in units of the first: with storing, and one for each block." }) },
  ],
  sources: [
    "B. Chang, L. Meng, E. Haber, L. Ruthotto, D. Begert and E. Holtham, Reversible architectures for arbitrarily deep residual neural networks, *AAAI* 2018.",
    "A. N. Gomez, M. Ren, R. Urtasun and R. B. Grosse, The reversible residual network: backpropagation without storing activations, *NeurIPS* 2017.",
    "In numdl: `numdl experiment run reversible-images` goes to 1024 layers; `march=\"reversible\"` of `numdl.models.image_resnet`.",
  ],
  trials: SCHEMES.flatMap(([scheme]) => [8, 64, 256].flatMap((layers) => [1, 4, 9, 20].map((T) => ({ scheme, layers, T })))),
  compare: (n) => ({ end: n.end, image: n.image, slope: n.slope, own: n.own, error: Math.log10(n.error), wrong: Math.log10(n.wrong), stored: n.stored }),
};
