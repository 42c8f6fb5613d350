// 2.13: what reaches the first layer?
import { linspace, median, norm, random, range, scale, times } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// Layers of 100 units with weights of standard deviation g / 10: forwards a state, backwards the slope of one number at the end.
const M = 100, MOST = 30;
const NETWORKS = [["linear", "linear layers"], ["relu", "relu layers"], ["tanh", "tanh layers"], ["residual", "residual tanh layers, h = 1/n"], ["resnet", "residual tanh layers, h = 1"]];
const ACT = { linear: [(x) => x, () => 1], relu: [(x) => Math.max(x, 0), (x) => +(x > 0)], tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2] };
const kind = (network) => ACT[network] ?? ACT.tanh, stays = (network) => +!(network in ACT), length = (network, n) => (network === "residual" ? 1 / n : 1);

const kept = new Map();
function drawn(seed) {
  if (!kept.has(seed)) {
    const rng = random(seed);
    if (kept.size > 2) kept.clear();
    kept.set(seed, { start: rng.normals(M), end: rng.normals(M), weights: range(MOST).map(() => range(M).map(() => rng.normals(M))) });
  }
  return kept.get(seed);
}

// The law for wide layers: mean square of the units forwards, factor of the squared slope in each layer; Gauss's average by the
// trapezoidal rule. Poole and others, 2016.
const Z = linspace(-8, 8, 1281), GAUSS = Z.map((z) => (0.0125 * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI));
const average = (f, spread) => { let s = 0; for (let i = 0; i < Z.length; i++) s += GAUSS[i] * f(spread * Z[i]); return s; };
function law(network, g, n, q0) {
  const [act, slope] = kind(network), h = length(network, n), stay = stays(network), q = [q0], chi = [];
  for (let j = 0; j < n; j++) {
    const spread = g * Math.sqrt(q[j]);
    q.push(stay * q[j] + (network === "linear" ? spread ** 2 : network === "relu" ? spread ** 2 / 2 : h * h * average((x) => act(x) ** 2, spread)));
    chi.push(stay + (network === "linear" ? g * g : network === "relu" ? (g * g) / 2 : h * h * g * g * average((x) => slope(x) ** 2, spread)));
  }
  const p = [1];
  for (let j = n - 1; j >= 0; j--) p.unshift(p[0] * chi[j]);
  return { forwards: q.map((x) => Math.sqrt(x / q0)), backwards: p.map(Math.sqrt) };
}

function compute({ network, gain, layers: n, seed }) {
  const { start, end, weights } = drawn(seed), [act, slope] = kind(network), h = length(network, n), stay = stays(network), s = gain / Math.sqrt(M);
  const states = [start], before = [];
  for (let j = 0; j < n; j++) { before.push(scale(s, times(weights[j], states[j]))); states.push(states[j].map((x, i) => stay * x + h * act(before[j][i]))); }
  let p = end;
  const slopes = [norm(p)];
  for (let j = n - 1; j >= 0; j--) {
    const b = before[j].map((x, i) => h * s * slope(x) * p[i]);
    p = p.map((x, k) => stay * x + b.reduce((t, y, i) => t + y * weights[j][i][k], 0));
    slopes.unshift(norm(p));
  }
  const forwards = states.map((u) => norm(u) / norm(start)), backwards = slopes.map((x) => x / norm(end)), passed = before[n - 1].map(slope);
  return { n, forwards, backwards, last: [...states[n]].sort((a, b) => a - b), alive: passed.filter((x) => x > 0.01).length, law: law(network, gain, n, norm(start) ** 2 / M) };
}

// |K3 K2 K1 y| / |y| for 100 units with weights uniform on +-1/2: the median of 20 draws, made when it is asked for.
let made = null;
const product = () => (made ??= median(range(20).map((seed) => { const rng = random(seed), y = rng.normals(100); let u = y; for (let j = 0; j < 3; j++) u = u.map(() => { let t = 0; for (let i = 0; i < 100; i++) t += (rng.uniform() - 0.5) * u[i]; return t; }); return norm(u) / norm(y); })));

const within = (x, factor) => x <= factor && x >= 1 / factor;
const right = (gain) => ({ linear: "$g = 1$", relu: "$g = \\sqrt 2$", tanh: gain > 1 ? "a smaller $g$: above 1 tanh bounds the states, and nothing bounds the slopes" : gain < 1 ? "a larger $g$, but above 1 the slopes explode" : "fewer layers: at $g=1$ a signal fades slowly, below it faster, and above it the slopes explode", resnet: "shorter steps: with $h=1$ each layer adds as much as all of $h = 1/n$ together", residual: "a smaller $g$" });

export const page = {
  id: "2.13",
  question: "What reaches the first layer?",
  goal: "You will choose the size of the first weights by one line of arithmetic, and know why a signal that arrives says nothing about the slope that comes back.",
  minutes: 15,
  needs: "a network of layers; gradients by the chain rule",
  controls: {
    network: { kind: "choice", label: "network", options: NETWORKS, value: "tanh" },
    gain: { kind: "slider", label: "size of the weights", min: 0.2, max: 3, step: 0.05, value: 1, show: (x) => say(x) },
    layers: { kind: "slider", label: "layers", min: 1, max: MOST, value: 20, play: 150, show: String },
  },
  hidden: { seed: 1 },
  guess: {
    ask: "Three linear layers of 100 units, all weights drawn from the standard normal distribution. A vector of norm 1 goes in. What norm comes out?",
    options: ["about 1", "about 30", "about 1000"], answer: 2,
    why: "Each unit adds up 100 independent terms, so each layer multiplies the norm by about $\\sqrt{100} = 10$. Ten layers would make $10^{10}$ of it.",
  },
  sentence: [
    "A signal goes through [[layers]] [[network]] of 100 units, whose weights have the standard deviation $g/10$ with $g=$ [[gain]]. What comes out is {{forwards}} times what went in; of a slope at the end, {{backwards}} times as much reaches the first layer. {{alive}} of the last 100 units pass any slope at all.",
  ],
  breaks: [
    { label: "Draw again", patch: (s) => ({ seed: s.seed + 1 }) },
    { label: "A signal that looks healthy", patch: { network: "tanh", gain: 2.5, layers: MOST }, why: "Forwards all is well: tanh keeps the units of every layer between −1 and 1. Backwards each layer multiplies the slope by about 1.26, and thirty of them by a thousand: the first layers are told to move far, the last ones hardly at all." },
    { label: "Break it", patch: { network: "relu", gain: 1, layers: MOST }, why: "The size that suits linear layers is too small here: relu cuts off half of the units, so that each layer keeps $1/\\sqrt2$ of the norm, in both directions." },
  ],
  compute,
  values: (n) => ({ forwards: say(n.forwards.at(-1)), backwards: say(n.backwards[0]), alive: String(n.alive) }),
  views: [
    {
      frame: (n) => ({ title: "Norms, layer by layer", height: 340, x: { min: 0, max: n.n, label: "layer" }, y: { min: 1e-6, max: 1e6, log: true, label: "norm over its start" } }),
      draw(plot, n, s, { ghost }) {
        plot.across(1, { width: 1 });
        const at = range(n.n + 1);
        plot.line(at, n.law.forwards, { color: "blue", dash: "6 4", width: 1.3, label: "law for wide layers" });
        plot.line(at, n.law.backwards, { color: "orange", dash: "6 4", width: 1.3 });
        if (ghost) { plot.line(range(ghost.numbers.n + 1), ghost.numbers.forwards, { color: "blue", faint: true, width: 1.5 }); plot.line(range(ghost.numbers.n + 1), ghost.numbers.backwards, { color: "orange", faint: true, width: 1.5 }); }
        plot.line(at, n.forwards, { color: "blue", label: "state, forwards from layer 0" });
        plot.line(at, n.backwards, { color: "orange", label: `slope, backwards from layer ${n.n}` });
      },
    },
    {
      frame: (n, { network }) => { const top = network in ACT && network !== "tanh" ? 1.1 * Math.max(1e-12, ...n.last.map(Math.abs)) : Math.max(1.2, 1.1 * Math.max(...n.last.map(Math.abs))); return { title: "The 100 units of the last layer, sorted", height: 340, x: { min: 0, max: M + 1, label: "unit" }, y: { min: -top, max: top, label: "state" } }; },
      draw(plot, n, { network }, { ghost }) {
        plot.across(0, { width: 1 });
        if (network === "tanh") for (const one of [-1, 1]) plot.across(one, { width: 1, dash: "2 4", label: "all that tanh can say" });
        if (ghost) plot.dots(range(M).map((i) => i + 1), ghost.numbers.last, { color: "blue", faint: true, size: 2.6 });
        plot.dots(range(M).map((i) => i + 1), n.last, { color: "blue", label: "state of a unit" });
      },
    },
  ],
  table: (n) => ({ head: ["layer", "state", "law", "slope", "law"], rows: range(n.n + 1).filter((j) => j % Math.max(1, Math.floor(n.n / 10)) === 0 || j === n.n).map((j) => [j, say(n.forwards[j]), say(n.law.forwards[j]), say(n.backwards[j]), say(n.law.backwards[j])]) }),
  claims: (n, s) => [
    { sentence: "The signal arrives: its norm changes by less than a factor 10.", holds: within(n.forwards.at(-1), 10), found: `${say(n.forwards.at(-1))} of it comes out.`, why: `It needs ${right(s.gain)[s.network]}.` },
    { sentence: "The slope arrives: less than a factor 10 between the last layer and the first.", holds: within(n.backwards[0], 10), found: `${say(n.backwards[0])} of it reaches the first layer.`, why: `It needs ${right(s.gain)[s.network]}. With one learning rate for all layers, some of them ${n.backwards[0] < 1 ? "stand still" : "are thrown about"}.` },
    { sentence: "A third of the last units pass a slope above 0.01.", holds: n.alive >= M / 3, found: `${n.alive} of ${M} do.`, why: s.network === "relu" ? "By chance fewer than half are on for this input." : "The others are saturated: their tanh is flat there." },
    { sentence: "The law for wide layers predicts both within a factor 2.", holds: within(n.forwards.at(-1) / n.law.forwards.at(-1), 2) && within(n.backwards[0] / n.law.backwards[0], 2), found: `It says ${say(n.law.forwards.at(-1))} and ${say(n.law.backwards[0])}.`, why: "The law averages over the draws. With 100 units, every layer deviates by chance, and many layers multiply these deviations: draw again." },
  ],
  text: [
    "## One line of arithmetic",
    "Let the entries of $K$ be independent with mean zero and standard deviation $s$. Unit $i$ receives $\\sum_k K_{ik}u_k$, whose variance is $s^2|u|^2$. With $m$ units,",
    "$$ \\mathbb E\\,|Ku|^2 = m\\,s^2\\,|u|^2 = g^2\\,|u|^2, \\qquad g = s\\sqrt m . $$",
    "So $n$ linear layers multiply a norm by about $g^n$, and the slope on its way back, which goes through the transposed matrices, by the same. Only $g=1$ keeps both: $s = 1/\\sqrt m$. A relu lets half of the mean square pass, so it needs $g=\\sqrt2$. These are the usual initial weights, named after Glorot and He.",
    "## Two directions, two laws",
    "With tanh, forwards and backwards part. If $q$ is the mean square of the units of a layer, then with a standard normal $z$",
    "$$ q_{j+1} = \\mathbb E \\tanh^2(g\\sqrt{q_j}\\,z), \\qquad \\frac{|p_j|^2}{|p_{j+1}|^2} = g^2\\,\\mathbb E \\bigl(\\tanh'(g\\sqrt{q_j}\\,z)\\bigr)^2 . $$",
    "These are the dashed curves. For $g<1$ both the state and the slope die out exponentially. At $g=1$ the state fades slowly, like $1/\\sqrt j$. For $g>1$ the state settles at a size that looks healthy, but the second factor stays above one: the slope explodes, and with it the sensitivity to small changes of the input. There is no $g$ at which tanh keeps everything, which is one reason why deep plain networks are hard to train.",
    "## What residual layers change",
    "A layer $u + h\\tanh(Ku)$ has the derivative $I + h\\operatorname{diag}(\\tanh')K$. With $h = 1/n$ and $|K|\\le L$, all $n$ layers together multiply a slope by at most $(1+L/n)^n \\le e^L$, whatever the depth; random weights have $L \\approx 2g$, and do far less than that, because independent steps mostly cancel. That is page 3.1's network of fixed time. With $h=1$ the bound grows with depth again, and practice adds normalisation to hold it.",
  ],
  code: (s) => `
import numpy as np

network, n, m = "${s.network}", ${s.layers}, 100
rng = np.random.RandomState(${s.seed})
u, p = rng.standard_normal(m), rng.standard_normal(m)
start, end = np.linalg.norm(u), np.linalg.norm(p)
K = ${s.gain} / np.sqrt(m) * rng.standard_normal((${MOST}, m, m))[:n]
stay, h = float(network in ("residual", "resnet")), 1 / n if network == "residual" else 1
act = {"linear": lambda x: x, "relu": lambda x: np.maximum(x, 0)}.get(network, np.tanh)
slope = {"linear": np.ones_like, "relu": lambda x: 1.0 * (x > 0)}.get(network, lambda x: 1 - np.tanh(x) ** 2)

inputs = []
for Kj in K:
    inputs.append(Kj @ u)
    u = stay * u + h * act(Kj @ u)
for Kj, x in zip(K[::-1], inputs[::-1]):
    p = stay * p + h * Kj.T @ (slope(x) * p)
print(np.linalg.norm(u) / start, np.linalg.norm(p) / end)
`,
  prints: (n) => [n.forwards.at(-1), n.backwards[0]],
  exercises: [
    { ask: "Three linear layers of 100 units, weights uniform between $-0.5$ and $0.5$. By what factor do they multiply a norm? Work it out before you let 20 draws decide.", input: "factor", right: 24, wrong: 125,
      check: ({ answer }) => { const found = product(), passed = Math.abs(answer / found - 1) < 0.1; return { passed, say: passed ? `Passed: the median of 20 draws is ${say(found)}. $s = 1/\\sqrt{12}$, and $(10/\\sqrt{12})^3 = 24$. On $\\pm0.05$ it would be 0.024.` : Math.abs(answer / 125 - 1) < 0.1 ? "You took 0.5 for the standard deviation. It is $0.5/\\sqrt3$." : "A uniform number on $\\pm a$ has the standard deviation $a/\\sqrt3$; each layer multiplies by $s\\sqrt{100}$." }; } },
    { ask: "Relu layers of 200 units. Which standard deviation of the weights keeps the norm?", input: "s =", right: 0.1, wrong: 0.0707,
      check: ({ answer }) => { const passed = Math.abs(answer - 0.1) < 0.002; return { passed, say: passed ? "Passed: $\\sqrt{2/200} = 0.1$." : Math.abs(answer - 0.0707) < 0.002 ? "That is for linear layers. Relu halves the mean square." : "Half of $m s^2$ must be one." }; } },
  ],
  sources: [
    "X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, *AISTATS* 2010, section 4.2.",
    "K. He, X. Zhang, S. Ren and J. Sun, Delving deep into rectifiers, *ICCV* 2015, section 2.2.",
    "B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, Exponential expressivity in deep neural networks through transient chaos, *NeurIPS* 2016, section 2.",
    "In numdl: `numdl experiment run plain-vs-residual` trains both.",
  ],
  trials: NETWORKS.flatMap(([network]) => [[0.2, 5], [1, 20], [1.4, 30], [2.5, 17], [3, 30]].map(([gain, layers], i) => ({ network, gain, layers, seed: 1 + (i % 2) }))),
  compare: (n) => ({ forwards: n.forwards, backwards: n.backwards, last: n.last, lawForwards: n.law.forwards, lawBackwards: n.law.backwards }),
};
