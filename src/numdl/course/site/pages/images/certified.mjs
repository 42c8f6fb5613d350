// 3.19: of how many images is it proved?
import { certified_data } from "../../data/certified_data.mjs";
import { digits_data } from "../../data/digits_data.mjs";
import { convolutionNorm, convolve, convolveBack, places } from "../../lib/images.mjs";
import { argmax, range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// Networks trained by numdl: opening of 3 x 3 taps, four layers with h = 1/4, means over 2 x 2 pixels, a head; ReLU, zeros beyond.
const SIDE = 8, M = 3, H = 0.25, CLASSES = 10, COUNT = 100, MOST = 1, WHERE = places(SIDE, "zero");
const NETS = [["parabolic", "parabolic"], ["residual, same norms", "residual, norms held as small"], ["residual, free", "residual, norms left free"]], ALPHAS = [["1e-05", "10⁻⁵"], ["0.01", "10⁻²"]];
const PIXELS = digits_data.images.slice(0, COUNT).map((text) => Float64Array.from(text, (c) => parseInt(c, 17) / 16)), LABELS = digits_data.classes.slice(0, COUNT);
const relu = (x) => (x > 0 ? x : 0), plus = (z, b) => { for (let i = 0; i < z.length; i++) z[i] += b[i % b.length]; return z; };

function features(net, parabolic, image) {
  let u = plus(convolve(net.K0.flat(3), image, WHERE, 1, M), net.b0).map(relu);
  net.K.forEach((K, j) => {
    const k = K.flat(3), act = plus(convolve(k, u, WHERE, M, M), net.b[j]).map(relu);
    const step = parabolic ? convolveBack(k, act, WHERE, M, M).map((x) => -x) : act;
    u = u.map((x, i) => x + H * step[i]);
  });
  const means = new Float64Array((M * SIDE * SIDE) / 4);
  for (let i = 0; i < SIDE; i++) for (let j = 0; j < SIDE; j++) for (let c = 0; c < M; c++) means[((i >> 1) * (SIDE / 2) + (j >> 1)) * M + c] += u[(i * SIDE + j) * M + c] / 4;
  return means;
}
const kept = new Map();
function judged(name, alpha) {
  const key = `${name} ${alpha}`;
  if (!kept.has(key)) {
    const net = certified_data[key], parabolic = name === "parabolic", opening = convolutionNorm(net.K0.flat(3), 1, M, SIDE + 1), norms = net.K.map((K) => convolutionNorm(K.flat(3), M, M, SIDE + 1));
    const factors = norms.map((k) => (parabolic ? Math.max(1, H * k * k - 1) : 1 + H * k)), bound = (opening * factors.reduce((t, x) => t * x, 1)) / 2;
    const apart = net.W.map((v) => net.W.map((w) => Math.hypot(...v.map((x, i) => x - w[i]))));
    const scores = PIXELS.map((image) => { const f = features(net, parabolic, image); return net.W.map((w, k) => w.reduce((t, x, i) => t + x * f[i], net.c[k])); });
    const radius = scores.map((s, r) => Math.max(0, Math.min(...range(CLASSES).filter((k) => k !== LABELS[r]).map((k) => (s[LABELS[r]] - s[k]) / (bound * apart[LABELS[r]][k])))));
    kept.set(key, { opening, norms, factors, bound, scores, radius, found: net.found, right: scores.filter((s, r) => argmax(s) === LABELS[r]).length });
  }
  return kept.get(key);
}
const beyond = (values, size) => values.filter((x) => x > size).length;
function compute({ net, alpha, size }) {
  const own = judged(net, alpha), certified = beyond(own.radius, size), unbroken = beyond(own.found, size);
  return { ...own, size, certified, unbroken, open: unbroken - certified, shorter: own.found.filter((f, i) => f < own.radius[i] * (1 - 5e-3)).length, reach: Math.max(...own.norms.map((k) => H * k * k)) };
}
// The longest change for which 60 digits are proved, and by which network.
function best() {
  const all = NETS.flatMap(([net]) => ALPHAS.flatMap(([alpha]) => range(51).map((k) => ({ net, alpha, size: Number((0.02 * k).toPrecision(12)) }))));
  return all.filter((s) => compute(s).certified >= 60).sort((a, b) => b.size - a.size)[0];
}
const AT = range(101).map((k) => (MOST * k) / 100), ROWS = 2, COLUMNS = 10, BLOCK = 10;
const state = (n, r) => (n.radius[r] > n.size ? "green" : n.found[r] > n.size ? "orange" : "red");

export const page = {
  id: "3.19",
  question: "Of how many images is it proved?",
  goal: "You will bound what a small change of an image can do to a network, and know why some dynamics prove more than others that are as good.",
  minutes: 20,
  needs: "pages 2.15 and 3.6",
  controls: {
    net: { kind: "choice", label: "network", options: NETS, value: "parabolic" },
    alpha: { kind: "choice", label: "penalty on the head", options: ALPHAS, value: "1e-05" },
    size: { kind: "slider", label: "length of a change", min: 0, max: MOST, step: 0.02, value: 0.2, play: 200, show: (x) => say(x) },
  },
  hidden: {},
  guess: {
    ask: "Two networks put 96 % and 97 % of unseen digits right, and the attacks that we know break them equally often. For how many digits can one *prove* that no change of a given small length breaks them?",
    options: ["for equally many", "for hardly any with either", "for most with one, for none with the other"], answer: 2,
    why: "A proof uses a bound of how far features can move. For one network the bound is a half, for the other it is above 80, although the features of neither move nearly so far.",
  },
  sentence: [
    "A digit is 64 pixels from 0 to 1. The [[net]] network, with penalty [[alpha]] on its head, puts {{right}} of 100 unseen digits right, and its features move at most {{bound}} times as far as its input. For changes of length [[size]] it is proved of {{certified}} digits that they keep their class; for {{unbroken}} no attack has found a change that takes it from them.",
  ],
  breaks: [
    { label: "Same norms, another layer", patch: { net: "residual, same norms", alpha: "1e-05", size: 0.2 }, why: "Layers $u + h\\,\\mathrm{relu}(Ku+b)$ with matrices as small as those of the parabolic network have the bound $1+h|K|$ each: 1.7, four times." },
    { label: "Nobody watches the norms", patch: { net: "residual, free", alpha: "1e-05", size: 0.1 }, why: "Training makes matrices as large as it likes. The network is as good and as hard to attack as before, and nothing can be proved of it this way." },
  ],
  compute,
  values: (n) => ({ right: String(n.right), bound: say(n.bound), certified: String(n.certified), unbroken: String(n.unbroken) }),
  views: [
    {
      frame: () => ({ title: "How many of 100 digits", height: 360, x: { min: 0, max: MOST, label: "length of a change" }, y: { min: 0, max: 102, label: "digits" } }),
      draw(plot, n, s, { ghost }) {
        if (ghost) plot.line(AT, AT.map((x) => beyond(ghost.numbers.radius, x)), { color: "green", faint: true, label: "proved, your last setting" });
        plot.line(AT, AT.map((x) => beyond(n.found, x)), { color: "orange", label: "no attack has broken" });
        plot.line(AT, AT.map((x) => beyond(n.radius, x)), { color: "green", label: "proved" });
        plot.upright(n.size, { color: "ink", label: "length of the sentence" });
      },
    },
    {
      frame: () => ({ title: "Each digit: what is proved, what was found", height: 360, x: { min: 1e-3, max: 3, log: true, label: "length below which its class is proved" }, y: { min: 1e-2, max: 3, log: true, label: "length at which an attack broke it" } }),
      draw(plot, n) {
        plot.line([1e-3, 3], [1e-3, 3], { color: "grey", dash: "6 4", label: "nothing may lie below" });
        for (const [color, label] of [["green", "proved"], ["orange", "open"], ["red", "broken"]]) {
          const own = range(COUNT).filter((r) => n.found[r] > 0 && state(n, r) === color);
          plot.dots(own.map((r) => Math.max(n.radius[r], 1e-3)), own.map((r) => Math.min(n.found[r], 3)), { color, size: 3, label });
        }
      },
    },
    {
      wide: true,
      frame: () => ({ title: "The first twenty digits, for changes of this length", height: 230, equal: true, x: { min: 0, max: COLUMNS * BLOCK, label: "green: proved, orange: open, red: broken, or wrong from the start", ticks: [] }, y: { min: 0, max: ROWS * BLOCK, label: "", ticks: [] } }),
      draw(plot, n) {
        for (let r = 0; r < ROWS * COLUMNS; r++) {
          const x = (r % COLUMNS) * BLOCK + 1, y = (ROWS - 1 - Math.floor(r / COLUMNS)) * BLOCK + 1, edges = (at) => range(SIDE + 1).map((i) => at + i);
          plot.heat(range(SIDE).map((i) => Array.from(PIXELS[r].slice((SIDE - 1 - i) * SIDE, (SIDE - i) * SIDE))), edges(x), edges(y), (v) => v, { color: "ink" });
          plot.line([x - 0.5, x + 8.5, x + 8.5, x - 0.5], [y - 0.5, y - 0.5, y + 8.5, y + 8.5], { color: state(n, r), width: 3, close: true });
        }
      },
    },
  ],
  table: (n) => ({ head: ["length of a change", "proved", "no attack has broken"], rows: range(11).map((k) => [say(k / 10), beyond(n.radius, k / 10), beyond(n.found, k / 10)]) }),
  claims: (n, s) => [
    { sentence: "The layers lengthen nothing: the bound is that of the means over 2 × 2 pixels, one half.", holds: n.bound <= 0.5 * (1 + 1e-3), found: `It is ${say(n.bound, 4)}; the layers' factors are ${n.factors.map((x) => say(x)).join(", ")}.`, why: s.net === "parabolic" ? `It needs $h|K|^2\\le2$, and the largest is ${say(n.reach)}.` : "A layer that adds $h\\,\\mathrm{relu}(Ku+b)$ may lengthen a change by $1+h|K|$, and nothing in its form forbids it." },
    { sentence: "No attack needed less than was proved.", holds: n.shorter === 0, found: `${n.shorter} of 100 did.`, why: "Then the bound or its arithmetic is wrong." },
    { sentence: "At least half of the digits are proved for this length.", holds: n.certified >= 50, found: `${n.certified} of 100 are.`, why: n.bound > 1 ? `The margin of a digit is divided by a bound of ${say(n.bound)}.` : "Shorter changes would be: margins are what they are, and half of them are smaller." },
    { sentence: "Little is open: of fewer than 15 digits it is neither proved that they hold nor known how to break them.", holds: n.open < 15, found: `Of ${n.open} digits.`, why: "A product of norms supposes that every layer meets the direction that the next one lengthens most. No image does that." },
  ],
  text: [
    "## From a bound to a proof",
    "Let the features $\\varphi$ move at most $L$ times as far as the input, and let the scores be $s_k = w_k'\\varphi + c_k$. If a digit of class $y$ changes by $d$, the lead of its class over another one changes by at most $|w_y-w_k|\\,L\\,|d|$. So the class stays for all changes shorter than",
    "$$ \\min_{k\\ne y}\\frac{s_y-s_k}{L\\,|w_y-w_k|}. $$",
    "This holds for changes that nobody has thought of. An attack shows the contrary: a change that does break the class. Between the two lies what is open.",
    "## The norm of a convolution",
    "On a torus waves are eigenvectors: a convolution multiplies the wave $\\omega$ by the matrix $S(\\omega)=\\sum_qK_qe^{-i\\omega q}$ of its channels, and its norm is the largest $|S(\\omega)|$. An image with zeros beyond its border is a part of a torus that is larger by one row and one column of zeros, so that this norm bounds its own. The page computes it at 45 waves for each layer.",
    "## Why the parabolic layer gets 1",
    "The layer $u - hK'\\mathrm{relu}(Ku+b)$ has the Jacobian $I-hK'DK$ with $D$ between 0 and $I$: a symmetric matrix with eigenvalues between $1-h|K|^2$ and 1. With $h|K|^2\\le2$ its norm is at most 1, *exactly*, and four of them are at most 1 too. For $u + h\\,\\mathrm{relu}(Ku+b)$ all one knows is the triangle inequality, and factors multiply. During training the norms of the first two networks were held at $h|K|^2\\le2$ after each step; that costs a projection, and digits: with the penalty $10^{-5}$ one or two in a hundred (96 and 95 are right, 97 with norms left free), with $10^{-2}$ many more (84 and 89 against 98).",
    "Four layers are few. With forty the middle network's bound would be $1.7^{40}$, over a thousand million, and the parabolic one's still one half.",
  ],
  code: (s) => `
import numpy as np
from numdl.analysis import certified_radius
from numdl.course.site import grids, pictured
from numdl.models import lipschitz_bound

net, alpha, size = "${s.net}", "${s.alpha}", ${s.size}
stored = grids.read("certified_data")[f"{net} {alpha}"]
p = pictured.weights(stored)
network = pictured.network("parabolic" if net == "parabolic" else "plain")
images, classes = (part[1000:1100] for part in pictured.digits())

bound = lipschitz_bound(network, p["theta"])
features = network.batch(p["theta"], images.reshape(100, 64) / 16)
scores = np.asarray(features @ p["W"].T + p["b"])
radius = certified_radius(scores, classes, p["W"], bound)
print(bound, np.sum(radius > size), np.sum(np.array(stored["found"]) > size))
`,
  codeNote: "It prints the bound, the digits that are proved, and those that no attack has broken.",
  prints: (n) => [n.bound, n.certified, n.unbroken],
  exercises: [
    { ask: "A residual network has 8 layers $u + \\tfrac18\\mathrm{relu}(Ku+b)$ with $|K|=4$. What does the product of the layers' bounds say about its features? (With parabolic layers of these norms, $h|K|^2=2$, it would be 1.)", input: "bound", right: 25.6, wrong: 1,
      check: ({ answer }) => ({ passed: Math.abs(answer - 1.5 ** 8) < 0.3, say: Math.abs(answer - 1.5 ** 8) < 0.3 ? "Passed: $(1+\\tfrac48)^8 = 25.6$, and every two layers more of this kind multiply it by 2.25." : Math.abs(answer - 1.5) < 0.01 ? "That is one layer." : "Each layer has at most the factor $1+h|K|$." }) },
    { ask: "Find a network of the figure and the longest change on its slider for which 60 digits are still proved.", rightly: best, start: { label: "Begin", patch: () => ({ net: "residual, same norms", alpha: "1e-05", size: 0.5 }) },
      check: ({ settings: s, numbers: n }) => {
        if (n.certified < 60) return { passed: false, say: `${n.certified} digits are proved for this length.` };
        const passed = Math.abs(s.size - best().size) < 1e-9 && s.net === best().net;
        return { passed, say: passed ? `Passed: ${n.certified} digits, of ${n.right} that it puts right at all.` : s.net === "parabolic" ? "They are, and for a longer change too." : "They are. Another network proves more." };
      } },
  ],
  sources: [
    "L. Ruthotto and E. Haber, Deep neural networks motivated by partial differential equations, *Journal of Mathematical Imaging and Vision* 62 (2020), theorem 1.",
    "Y. Tsuzuku, I. Sato and M. Sugiyama, Lipschitz-margin training, *NeurIPS* 2018.",
    "H. Sedghi, V. Gupta and P. M. Long, The singular values of convolutional layers, *ICLR* 2019.",
    "In numdl: `numdl experiment run stable-images` trains larger ones; `numdl.models.lipschitz_bound`, `numdl.analysis.certified_radius`, `numdl check`.",
  ],
  trials: NETS.flatMap(([net]) => ALPHAS.flatMap(([alpha]) => [0, 0.1, 0.3, 0.6].map((size) => ({ net, alpha, size })))),
  compare: (n) => ({ scores: n.scores, bound: n.bound, factors: n.factors, radius: n.radius, counts: [n.certified, n.unbroken, n.right, n.shorter] }),
};
