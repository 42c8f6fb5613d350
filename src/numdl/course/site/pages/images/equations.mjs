// 3.20: what kind of equation is a network of images?
import { digits_data } from "../../data/digits_data.mjs";
import { convolutionNorm, convolve, convolveBack, places } from "../../lib/images.mjs";
import { random, range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// A digit of 8 x 8 pixels on a torus, two channels, weights drawn once; and the same digit with noise.
const SIDE = 8, SIZE = 2 * SIDE * SIDE, SHORT = 256, NOISE = 0.3, rng = random(11), WHERE = places(SIDE, "periodic");
const K = rng.normals(36).map((x) => 0.35 * x), NORM = convolutionNorm(K, 2, 2, SIDE);
const DIGIT = Float64Array.from(range(SIZE), (i) => (i % 2 ? 0 : parseInt(digits_data.images[1][i >> 1], 17) / 16)), NOISY = Float64Array.from(rng.normals(SIZE), (x, i) => DIGIT[i] + NOISE * x);
const KINDS = [["plain", "residual"], ["parabolic", "parabolic"], ["hamiltonian", "Hamiltonian"], ["hyperbolic", "second-order"]], COLOR = { plain: "purple", parabolic: "green", hamiltonian: "blue", hyperbolic: "orange" };
const FORM = { plain: "$\\dot u=\\tanh(Ku)$", parabolic: "$\\dot u=-K'\\tanh(Ku)$", hamiltonian: "$\\dot y=\\tanh(Kz),\\ \\dot z=-\\tanh(K'y)$", hyperbolic: "$\\ddot y=-K'\\tanh(Ky)$" };
const act = (u) => convolve(K, u, WHERE, 2, 2).map(Math.tanh), behind = (u) => convolveBack(K, u, WHERE, 2, 2), forces = (y) => behind(act(y)).map((x) => -x);
const add = (u, h, v) => u.map((x, i) => x + h * v[i]), zero = () => new Float64Array(SIZE);
const PARTS = { hamiltonian: [act, (y) => behind(y).map((x) => -Math.tanh(x))], hyperbolic: [(z) => z, forces] };
// A state is a list of images: one, or two halves that move each other.
const STEP = {
  plain: ([u], h) => [add(u, h, act(u))],
  parabolic: ([u], h) => [add(u, h, forces(u))],
};
for (const [kind, [F, G]] of Object.entries(PARTS)) STEP[kind] = ([y, z], h) => { z = add(z, h / 2, G(y)); y = add(y, h, F(z)); return [y, add(z, h / 2, G(y))]; };
const apart = (a, b) => Math.sqrt(a.reduce((t, one, k) => t + one.reduce((s, x, i) => s + (x - b[k][i]) ** 2, 0), 0));
function march(kind, T, n) {
  const start = (image) => (kind in PARTS ? [image, zero()] : [image]);
  let u = start(DIGIT), v = start(NOISY);
  const first = apart(u, v), ratios = [1];
  for (let j = 0; j < n; j++) { u = STEP[kind](u, T / n); v = STEP[kind](v, T / n); ratios.push(apart(u, v) / first); }
  return { end: u[0], other: v[0], ratios };
}
const kept = new Map();
function compute({ kind, steps, T }) {
  const n = Math.round(steps), key = `${kind} ${T}`;
  if (!kept.has(key)) kept.set(key, march(kind, T, SHORT));
  const long = march(kind, T, n), short = kept.get(key);
  return { ...long, short, n, T, ratio: long.ratios[n], exact: short.ratios[SHORT], most: Math.max(...long.ratios), mostExact: Math.max(...short.ratios), h: T / n, reach: (T / n) * NORM * NORM };
}
// Fewest Euler layers that keep distances for certain.
const FEWEST = (T) => Math.ceil((T * NORM * NORM) / 2 - 1e-12);

export const page = {
  id: "3.20",
  question: "What kind of equation is a network of images?",
  goal: "You will tell diffusing, turning and swinging networks from each other by what they do to two versions of an image, and what is theirs from what is their steps'.",
  minutes: 20,
  needs: "pages 3.5 and 3.19",
  controls: {
    kind: { kind: "choice", label: "layers", options: KINDS, value: "parabolic" },
    steps: { kind: "slider", label: "number of layers", min: 1, max: 64, stops: range(7).map((k) => 2 ** k), value: 8, play: 500, show: String },
    T: { kind: "slider", label: "final time", min: 0.5, max: 6, step: 0.5, value: 2, show: say },
  },
  hidden: {},
  guess: {
    ask: "Parabolic layers are steps of an equation by which no two images ever move apart. A network of four long ones was trained for digits. Does it keep the promise of its equation?",
    options: ["yes, by its form", "only if its weights are small enough for its steps", "no network can"], answer: 1, see: { steps: 4, T: 6 },
    why: "The promise belongs to the equation. A step that is longer than the equation allows throws images over the place where they meet. The experiment finds that training does make its weights that large.",
  },
  sentence: [
    "A digit, and the same digit with noise, go through [[steps]] [[kind]] layers up to the time [[T]]. They end {{ratio}} times as far apart as they began. By 256 short steps of the same equation with the same weights it is {{exact}} times.",
  ],
  breaks: [
    { label: "Too long steps", patch: { kind: "parabolic", steps: 4, T: 6 }, why: "The equation brings the two images together. Four Euler steps of length 1.5 throw them apart." },
    { label: "Residual", patch: { kind: "plain", steps: 64, T: 4 }, why: "Short steps do not help here: the equation itself moves images apart, since nothing in its form forbids it." },
  ],
  compute,
  values: (n) => ({ ratio: say(n.ratio), exact: say(n.exact) }),
  views: [
    {
      wide: true,
      frame: () => ({ title: "Images, first channel: blue positive, orange negative", equal: true, height: 210, x: { min: -1, max: 49, label: "", ticks: [[4, "digit"], [14, "with noise"], [26, "digit behind"], [36, "noisy behind"], [45.9, "short steps"]] }, y: { min: -0.6, max: 8.6, label: "", ticks: [] } }),
      draw(plot, n) {
        [[0, DIGIT], [10, NOISY], [22, n.end], [32, n.other], [42, n.short.end]].forEach(([x, u]) => {
          const first = range(SIDE * SIDE).map((p) => u[2 * p]), most = Math.max(...first.map(Math.abs)), edges = (at) => range(SIDE + 1).map((i) => at + i);
          for (const [sign, color] of [[1, "blue"], [-1, "orange"]]) plot.heat(range(SIDE).map((i) => first.slice((SIDE - 1 - i) * SIDE, (SIDE - i) * SIDE).map((v) => sign * v)), edges(x), edges(0), (v) => Math.max(0, v) / most, { color });
          plot.line([x, x + 8, x + 8, x], [0, 0, 8, 8], { color: "grey", width: 1, close: true });
        });
      },
    },
    {
      wide: true,
      frame: (n) => { const all = [...n.ratios, ...n.short.ratios, 1]; return { title: "Distance of both images, over that at the start", height: 300, x: { min: 0, max: n.T, label: "time, from the first layer to the last" }, y: { min: Math.min(0.5, ...all) / 1.2, max: Math.max(2, ...all) * 1.2, log: true, label: "distance" } }; },
      draw(plot, n, s, { ghost }) {
        const at = (m, T) => range(m.length).map((k) => (k * T) / (m.length - 1));
        plot.across(1, { label: "as far apart as at the start" });
        if (ghost) plot.line(at(ghost.numbers.ratios, ghost.settings.T), ghost.numbers.ratios, { color: "grey", faint: true, label: "your last setting" });
        plot.line(at(n.short.ratios, n.T), n.short.ratios, { color: COLOR[s.kind], label: "256 short steps" });
        plot.line(at(n.ratios, n.T), n.ratios, { color: "ink", dash: "5 4", width: 1.4 });
        plot.dots(at(n.ratios, n.T), n.ratios, { color: "ink", size: 3, label: "the layers" });
      },
    },
  ],
  table: (n) => ({ head: ["time", "distance by the layers", "by short steps"], rows: range(n.n + 1).filter((k) => k % Math.ceil(n.n / 16) === 0 || k === n.n).map((k) => [say((k * n.T) / n.n), say(n.ratios[k]), say(n.short.ratios[Math.round((k * SHORT) / n.n)])]) }),
  claims: (n, s) => [
    { sentence: "The layers never bring the two images further apart than they were at the start.", holds: n.most <= 1 + 1e-12, found: `At most ${say(n.most)} times as far.`, why: s.kind === "parabolic" ? `It takes $h|K|^2\\le2$ for certain, and here it is ${say(n.reach)}.` : "Nothing in these equations promises it: " + ({ plain: "the eigenvalues of $K$ may lie on either side.", hamiltonian: "they keep volumes, in which one direction may grow while another shrinks.", hyperbolic: "the other half of the state moves as well, and both swing." }[s.kind] ?? "") },
    { sentence: "Nor does their equation.", holds: n.mostExact <= 1 + 1e-12, found: `By short steps at most ${say(n.mostExact)} times as far.`, why: `${FORM[s.kind]} is no flow down a convex function.` },
    { sentence: "At the end the layers say of the distance what the equation says, within 10 %.", holds: Math.abs(n.ratio / n.exact - 1) <= 0.1, found: `${say(n.ratio)} and ${say(n.exact)}.`, why: "The steps are too long for that: what has been computed is another map than the equation's." },
  ],
  text: [
    "## Three equations",
    "With a convolution $K$ and its transpose $K'$ three families of layers are steps of equations that are known for more than a century. *Parabolic*, as heat: $\\dot u=-K'\\tanh(Ku)$ goes down the convex function $\\sum\\log\\cosh(Ku)$, and smooths whatever $K$ sees. *Hyperbolic*, as waves: $\\ddot y=-K'\\tanh(Ky)$ has the same force, but keeps its energy $\\tfrac12|\\dot y|^2+\\sum\\log\\cosh(Ky)$ and swings. *Hamiltonian*, of first order: $\\dot y=\\tanh(Kz)$, $\\dot z=-\\tanh(K'y)$ turns two halves around each other. The residual layer has no such name: it may do anything, and so one can say nothing about it.",
    "## What follows from the kind",
    "For two parabolic solutions $\\tfrac12\\tfrac{d}{dt}|u-v|^2=-(\\tanh Ku-\\tanh Kv)'(Ku-Kv)\\le0$: noise cannot grow, and neither can the difference of two classes. The other two forget nothing and can be run backwards (page 3.17); in them noise neither dies nor explodes.",
    "## What belongs to the steps",
    "Euler's parabolic step keeps distances if $h|K|^2\\le2$. Verlet's step of $\\ddot y=-K'Ky$ is stable while $h|K|<2$ (at 2 the fastest wave grows linearly), and for $-K'\\tanh(Ky)$ the same holds of every linearisation $-K'DKy$ whose $D$ is held fixed, which is a guide and no proof: a wave may need twice as many or half as many layers, but its limit is linear in $|K|$, as that of a transport equation is. Beyond these limits a network is still a network, and may still classify. What one knew of it from its equation is gone.",
    "The experiment trains all four with equal numbers of weights, on the same digits and for as long, and asks them on images with noise they have not seen. Then it takes the same weights in steps sixteen or more times shorter. Only the parabolic equation brings no two images apart, and as trained, with steps that are too long for its weights, it does.",
  ],
  code: (s) => `
import numpy as np
from numdl.course.site import grids
kind, layers, T = "${s.kind}", ${Math.round(s.steps)}, ${s.T}
rng = np.random.RandomState(11)
K, digit = 0.35 * rng.standard_normal((3, 3, 2, 2)), np.zeros((8, 8, 2))
digit[..., 0].flat = [int(pixel, 17) / 16 for pixel in grids.read("digits_data")["images"][1]]
images = np.stack([digit, digit + ${NOISE} * rng.standard_normal((8, 8, 2))])

def K_times(u):
    return sum(np.roll(u, (1 - i, 1 - j), (1, 2)) @ K[i, j] for i in range(3) for j in range(3))

def K_transposed(u):
    return sum(np.roll(u, (i - 1, j - 1), (1, 2)) @ K[i, j].T for i in range(3) for j in range(3))

F = {"plain": None, "parabolic": None, "hyperbolic": lambda z: z}.get(kind, lambda z: np.tanh(K_times(z)))
G = {"plain": lambda y: np.tanh(K_times(y)), "hamiltonian": lambda y: -np.tanh(K_transposed(y))}.get(
    kind, lambda y: -K_transposed(np.tanh(K_times(y))))
y, z, h = images, 0 * images, T / layers
for _ in range(layers):
    z = z + h / 2 * G(y)
    y = y + h * (F(z) if F else G(y))
    z = z + h / 2 * G(y)
ends = np.stack([y, z]) if F else y[None]
print(np.linalg.norm(ends[:, 1] - ends[:, 0]) / np.linalg.norm(images[1] - images[0]))
`,
  codeNote: "It prints the distance of both images behind the layers, over that at the start.",
  prints: (n) => [n.ratio],
  exercises: [
    { ask: "A second-order network $\\ddot y=-K'\\tanh(Ky)$ with $|K|=2.9$ goes to $T=4$ by Verlet's steps of equal length. How many does it need at least for $h|K|<2$, by which the linearisation at any image, held fixed, is stable?", input: "layers", right: 6, wrong: 17,
      check: ({ answer }) => ({ passed: answer === 6, say: answer === 6 ? "Passed: $4\\cdot2.9/n<2$ above $n=5.8$. Parabolic layers of this norm need 17." : answer === 17 ? "That is the limit of Euler's parabolic step, $h|K|^2\\le2$." : "$h=4/n$." }) },
    { ask: "Take parabolic layers up to the time 2, and find the fewest on the slider for which the two images stay at most as far apart as they were, all the way.", rightly: () => ({ kind: "parabolic", T: 2, steps: ENOUGH() }), start: { label: "Begin", patch: () => ({ kind: "parabolic", T: 2, steps: 64 }) },
      check: ({ settings: s, numbers: n }) => {
        if (s.kind !== "parabolic" || s.T !== 2) return { passed: false, say: "Parabolic layers, up to the time 2." };
        if (n.most > 1 + 1e-12) return { passed: false, say: `They come to ${say(n.most)} times their distance.` };
        return n.n === ENOUGH() ? { passed: true, say: `Passed. $|K|$ is ${say(NORM)}, so that ${FEWEST(2)} layers are enough for all images; these two are content with ${n.n}.` } : { passed: false, say: "They stay together, and with fewer layers they would too." };
      } },
  ],
  sources: [
    "L. Ruthotto and E. Haber, Deep neural networks motivated by partial differential equations, *Journal of Mathematical Imaging and Vision* 62 (2020), sections 2 and 4.",
    "E. Haber and L. Ruthotto, Stable architectures for deep neural networks, *Inverse Problems* 34 (2018).",
    "In numdl: `numdl experiment run pde-networks` trains all four; `numdl.models.image_resnet` with `dynamics=`.",
  ],
  trials: KINDS.flatMap(([kind]) => [1, 4, 16].flatMap((steps) => [0.5, 2, 6].map((T) => ({ kind, steps, T })))),
  compare: (n) => ({ end: Array.from(n.end), other: Array.from(n.other), ratios: n.ratios, exact: n.short.ratios.filter((_, k) => k % 16 === 0), norm: n.reach / n.h }),
};
function ENOUGH() { return [1, 2, 4, 8, 16, 32, 64].find((steps) => compute({ kind: "parabolic", T: 2, steps }).most <= 1 + 1e-12); }
