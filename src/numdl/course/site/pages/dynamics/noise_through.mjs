// 3.6: how far does noise get?
import { product, random, range, solve, transpose, times } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// 40 points of two classes in the plane, Euler layers up to T = 4 that share their weights, 24 pushes around each point.
const T = 4, K = [[1.2, 1.6], [0.2, -0.15]], B = [0.4, 0], PUSHES = 24, MOST = 24;
const DYNAMICS = [["parabolic", "parabolic layers, −K′tanh(Ku + b)"], ["antisymmetric", "antisymmetric layers, tanh((K − K′)u + b)"], ["plain", "plain layers, tanh(Ku + b)"]];
const rng = random(1), LABEL = range(40).map((i) => (i % 2 ? 1 : -1));
// Classes differ along (0.8, −0.6), which K hardly sees; both are wide along (0.6, 0.8), which K sees best.
export const INPUTS = LABEL.map((c) => { const [p, q] = rng.normals(2), a = 0.7 * c + 0.22 * p, d = 0.6 * q; return [0.8 * a + 0.6 * d, -0.6 * a + 0.8 * d]; });
const AROUND = range(PUSHES).map((k) => [Math.cos((2 * Math.PI * k) / PUSHES), Math.sin((2 * Math.PI * k) / PUSHES)]);
const SQUARE = 4; // |K|², K = [1, 0]' 2 [0.6, 0.8] + [0, 1]' 0.25 [0.8, −0.6]

function network(dynamics, nt) {
  const h = T / nt, turn = K[0][1] - K[1][0];
  const W = dynamics === "antisymmetric" ? [[0, turn], [-turn, 0]] : K;
  return ([x, y]) => {
    for (let k = 0; k < nt; k++) {
      const p = Math.tanh(W[0][0] * x + W[0][1] * y + B[0]), q = Math.tanh(W[1][0] * x + W[1][1] * y + B[1]);
      if (dynamics === "parabolic") { x -= h * (W[0][0] * p + W[1][0] * q); y -= h * (W[0][1] * p + W[1][1] * q); } else { x += h * p; y += h * q; }
    }
    return [x, y];
  };
}
// The head: the line w'u + c that fits the labels best, by least squares with a small penalty of w.
function line(points) {
  const A = points.map((u) => [...u, 1]), At = transpose(A);
  return solve(product(At, A).map((row, i) => row.map((x, j) => x + (i === j && i < 2 ? 0.4 : 0))), times(At, LABEL));
}
const score = (w, u) => w[0] * u[0] + w[1] * u[1] + w[2];
function judged(map, length) {
  const out = INPUTS.map(map), pushed = INPUTS.map(([x, y]) => AROUND.map(([p, q]) => map([x + length * p, y + length * q]))), w = line(out);
  const wrong = pushed.map((all, i) => all.filter((u) => score(w, u) * LABEL[i] <= 0).length), distance = out.map((u, i) => (score(w, u) * LABEL[i]) / Math.hypot(w[0], w[1]));
  const growths = pushed.map((all, i) => Math.max(...all.map(([x, y]) => Math.hypot(x - out[i][0], y - out[i][1]) / length)));
  return {
    out, pushed, w, wrong, distance, growths, growth: Math.max(...growths), right: distance.filter((d) => d > 0).length,
    noise: 1 - wrong.reduce((s, x) => s + x, 0) / (40 * PUSHES), adversary: wrong.filter((x) => x === 0).length,
    certain: distance.filter((d) => d > length).length, lied: distance.filter((d, i) => d > length && wrong[i] > 0).length,
  };
}
const kept = new Map();
function compute({ dynamics, layers, length }) {
  const key = `${dynamics} ${length}`;
  if (!kept.has(key)) kept.set(key, { all: range(MOST).map((k) => judged(network(dynamics, k + 1), length)), bare: judged((u) => u, length) });
  const { all, bare } = kept.get(key);
  return { ...all[layers - 1], all, bare, layers, h: T / layers, reach: (T / layers) * SQUARE };
}
const AT = range(MOST).map((k) => k + 1), LIMIT = (T * SQUARE) / 2, xs = (points) => points.map((u) => u[0]), ys = (points) => points.map((u) => u[1]);
// Two points to follow: the first of each class.
const SHOWN = [0, 1];

export const page = {
  id: "3.6",
  question: "How far does noise get?",
  goal: "You will know which layers cannot make noise louder, how short their steps must be, and why that alone does not make a network robust.",
  minutes: 20,
  needs: "pages 2.15 and 3.5",
  controls: {
    dynamics: { kind: "choice", label: "dynamics", options: DYNAMICS, value: "parabolic" },
    layers: { kind: "slider", label: "layers", min: 1, max: MOST, step: 1, value: 12, play: 350, show: String },
    length: { kind: "slider", label: "length of a push", min: 0.05, max: 0.8, step: 0.05, value: 0.3, show: (x) => say(x) },
  },
  hidden: {},
  guess: {
    ask: "A network never moves two inputs further apart, whatever they are. Somebody may change each input by a little, in whatever direction. Is such a network harder to fool than the same line without any network?",
    options: ["yes: changes can only get smaller", "not necessarily", "no, it is easier"], answer: 1,
    why: "What brings all points together brings the two classes together as well. What counts is the change against the distance to the line behind the network, and both shrink.",
  },
  sentence: [
    "Take [[layers]] [[dynamics]] up to the time $T=4$, so that $h|K|^2=$ {{reach}}. A push of length [[length]] comes out at most {{growth}} times as long. The line behind the network puts {{right}} of 40 points right; {{noise}} % of pushes in all directions leave the right answer, and against somebody who chooses the direction {{adversary}} points hold.",
  ],
  breaks: [
    { label: "Too long steps", patch: { dynamics: "parabolic", layers: 5, length: 0.3 }, why: "The differential equation brings all points together. Steps with $h|K|^2 > 2$ jump over the place where they meet, and throw some of them further apart than they were." },
    { label: "Same weights, plain layers", patch: { dynamics: "plain", layers: 12, length: 0.3 }, why: "$K$ has an eigenvalue with positive real part, and nothing stands against it: pushes grow until tanh is flat. Points of one class are torn apart too, and no line puts them all right." },
  ],
  compute,
  values: (n) => ({ reach: say(n.reach), growth: say(n.growth), right: String(n.right), noise: say(100 * n.noise), adversary: String(n.adversary) }),
  views: [
    {
      frame: (n) => { const r = Math.max(1.2, ...n.out.flat().map(Math.abs)) + 0.3; return { title: "What comes out", equal: true, height: 400, x: { min: -r, max: r, label: "u₁" }, y: { min: -r, max: r, label: "u₂" } }; },
      draw(plot, n, s, { ghost }) {
        const reach = [plot.x.min, plot.x.max], [a, b, c] = n.w, steep = Math.abs(a) > Math.abs(b), other = steep ? [plot.y.min, plot.y.max] : reach;
        const free = other.map((v) => -(c + (steep ? b : a) * v) / (steep ? a : b));
        plot.line(steep ? free : other, steep ? other : free, { color: "grey", dash: "6 4", width: 1.6, label: "line of the head" });
        for (const [k, color] of [[0, "orange"], [1, "blue"]]) {
          const own = range(40).filter((i) => LABEL[i] === (k ? 1 : -1)), i = SHOWN[k];
          const before = AROUND.map(([p, q]) => [INPUTS[i][0] + s.length * p, INPUTS[i][1] + s.length * q]);
          plot.dots(xs(own.map((j) => INPUTS[j])), ys(own.map((j) => INPUTS[j])), { color, size: 2.4, shape: "ring", faint: true, label: k ? "inputs" : "" });
          plot.line(xs(before), ys(before), { color, faint: true, width: 1.2, close: true });
          if (ghost) plot.dots(xs(own.map((j) => ghost.numbers.out[j])), ys(own.map((j) => ghost.numbers.out[j])), { color, size: 1.6, faint: true });
          plot.dots(xs(own.map((j) => n.out[j])), ys(own.map((j) => n.out[j])), { color, size: 2.8, label: k ? "outputs, class 2" : "outputs, class 1" });
          plot.line(xs(n.pushed[i]), ys(n.pushed[i]), { color, width: 1.8, close: true, label: k ? "" : "all pushes of one point" });
        }
        const fooled = n.out.filter((_, i) => n.wrong[i] > 0);
        if (fooled.length) plot.dots(xs(fooled), ys(fooled), { color: "red", shape: "ring", size: 6, label: "some push is put wrong" });
      },
    },
    {
      frame: (n) => ({ title: "How much longer a push comes out", height: 400, x: { min: 0, max: MOST + 0.5, label: "layers up to the time 4" }, y: { min: 0.1, max: 10 ** Math.ceil(Math.log10(Math.max(10, ...n.all.map((one) => one.growth)))), log: true, label: "largest growth of a push" } }),
      draw(plot, n, s, { ghost }) {
        plot.across(1, { label: "what a flow without expansion promises" });
        if (s.dynamics === "parabolic") { plot.upright(LIMIT, { color: "green", label: "h|K|² = 2" }); }
        if (ghost) plot.line(AT, ghost.numbers.all.map((one) => one.growth), { color: "purple", faint: true, label: "your last setting" });
        plot.line(AT, n.all.map((one) => one.growth), { color: "purple", width: 1.4 });
        plot.dots(AT, n.all.map((one) => one.growth), { color: "purple", size: 3, label: "Euler layers" });
        plot.dots([n.layers], [n.growth], { color: "ink", shape: "ring", size: 7, label: "now" });
      },
    },
  ],
  table: (n) => ({ head: ["layers", "h|K|²", "growth of a push", "right", "right after pushes, %", "points that hold"], rows: AT.filter((k) => k < 9 || k % 4 === 0).map((k) => { const one = n.all[k - 1]; return [k, say((T / k) * SQUARE), say(one.growth), one.right, say(100 * one.noise), one.adversary]; }) }),
  claims: (n, s) => [
    { sentence: "No push comes out longer than it went in: $|u(T)-v(T)|\\le|u(0)-v(0)|$.", holds: n.growth <= 1 + 1e-12, found: `The worst comes out ${say(n.growth)} times as long.`, why: s.dynamics === "parabolic" ? `The flow promises it. Euler's steps keep it if $h|K|^2\\le2$, which takes ${LIMIT} layers; here $h|K|^2$ is ${say(n.reach)}.` : s.dynamics === "plain" ? "Plain layers promise nothing." : "Imaginary eigenvalues turn. Euler's steps make a little more of what turns, in each layer, and where tanh is flat in one direction only, a circle becomes an ellipse." },
    { sentence: "A point that lies further from the line than a push is long keeps its class, whoever pushes.", holds: n.lied === 0, found: `${n.certain} points lie so far from it, and ${n.lied} of them are put wrong by some push.`, why: "The distance behind the network says something about pushes before it only if these do not grow." },
    { sentence: "The network is at least as hard to fool as a line without any network.", holds: n.adversary >= n.bare.adversary, found: `${n.adversary} of 40 points hold, with the line alone ${n.bare.adversary}.`, why: s.dynamics === "parabolic" && n.growth <= 1 ? "It lengthens nothing, and it has brought the classes nearer to each other as well." : "Pushes grow in some direction by more than the distance to the line does." },
  ],
  text: [
    "## A flow that cannot expand",
    "The parabolic field $f(u) = -K'\\tanh(Ku+b)$ is the negative slope of the convex function $\\sum_i\\log\\cosh(Ku+b)_i$. Two of its paths satisfy",
    "$$ \\tfrac12\\tfrac{d}{dt}|u-v|^2 = -\\bigl(\\tanh(Ku+b)-\\tanh(Kv+b)\\bigr)'(Ku-Kv) \\le 0, $$",
    "because tanh increases. So $|u(T)-v(T)|\\le|u(0)-v(0)|$ for every pair, near or far, and for every $T$.",
    "## What a step must do",
    "An Euler layer is $u\\mapsto u - hK'\\tanh(Ku+b)$, a step of gradient descent. Its derivative is $I - hK'DK$ with $0 \\le D\\le I$, so its eigenvalues lie between $1 - h|K|^2$ and 1, and",
    "$$ h\\,|K|^2\\le2 $$",
    "is enough for no expansion. Here $|K| = 2$ and $T = 4$, so eight layers do. With fewer the bound may break: it does where tanh is steep, near $Ku+b=0$, which is where the flow takes everything. The weights of the figure are given. Training would not know of this limit: it can make $|K|$ as large as it likes, and a network that was chosen for its promise has then lost it.",
    "## What is gained",
    "Let the head's line be $w'u + c$. An output at the distance $d = |w'u+c|/|w|$ cannot cross it by a change shorter than $d$, and without expansion the input cannot either: *every* push shorter than $d$ is harmless, which no number of tried attacks could prove. The second claim counts the points.",
    "And yet the certificate may be worse than the one of the bare line. All depends on *which* directions are damped. In the figure the classes differ along the direction that $K$ hardly sees (its singular value is ¼), and noise along the other, with the singular value 2, dies. The shortest way to the other class is nearly not damped. Damping does not make that way longer; it only removes what the classifier did not need.",
  ],
  code: (s) => `
import numpy as np

dynamics, layers, length = "${s.dynamics}", ${s.layers}, ${s.length}
K, b, h = np.array([[1.2, 1.6], [0.2, -0.15]]), np.array([0.4, 0]), ${T} / layers
label = np.tile([-1.0, 1.0], 20)
p, q = np.random.RandomState(1).standard_normal((40, 2)).T
inputs = np.outer(0.7 * label + 0.22 * p, [0.8, -0.6]) + np.outer(0.6 * q, [0.6, 0.8])

def network(u):
    W = K - K.T if dynamics == "antisymmetric" else K
    for _ in range(layers):
        rate = np.tanh(u @ W.T + b)
        u = u + h * (-rate @ K if dynamics == "parabolic" else rate)
    return u

angle = 2 * np.pi * np.arange(${PUSHES}) / ${PUSHES}
pushed = network(inputs[:, None] + length * np.stack([np.cos(angle), np.sin(angle)], axis=-1))
out = network(inputs)
growth = np.linalg.norm(pushed - out[:, None], axis=-1).max() / length
A = np.column_stack([out, np.ones(40)])
w = np.linalg.solve(A.T @ A + np.diag([0.4, 0.4, 0]), A.T @ label)
right = (pushed @ w[:2] + w[2]) * label[:, None] > 0
print(growth, right.mean(), right.all(axis=1).sum())
`,
  codeNote: "It prints the largest growth of a push, the share of pushes that leave the right answer, and the points that hold against all.",
  prints: (n) => [n.growth, n.noise, n.adversary],
  exercises: [
    { ask: "Another parabolic network has $|K| = 3$ and goes to $T = 1$. What is the smallest number of Euler layers of equal length that keeps the bound for certain?", input: "layers", right: 5, wrong: 4,
      check: ({ answer }) => ({ passed: answer === 5, say: answer === 5 ? "Passed: $9/n\\le2$ needs $n\\ge4.5$." : answer === 4 ? "Four layers have $h|K|^2 = 9/4$, which is more than 2." : "$h = 1/n$, and $h|K|^2\\le2$; $|K|$ counts twice." }) },
    { ask: "A parabolic network keeps its bound. Its head has $|w| = 1.5$, and an input gets the score $w'u + c = 0.9$. What length of a push is certain to leave its class as it is?", input: "length", right: 0.6, wrong: 0.9,
      check: ({ answer }) => ({ passed: Math.abs(answer - 0.6) < 0.005, say: Math.abs(answer - 0.6) < 0.005 ? "Passed: the output lies $0.9/1.5$ from the line, and no shorter push of the input moves it there." : Math.abs(answer - 0.9) < 0.005 ? "The score is no distance yet: a longer $w$ gives larger scores at the same place." : "How far from the line $w'u + c = 0$ does the output lie?" }) },
  ],
  sources: [
    "L. Ruthotto and E. Haber, Deep neural networks motivated by partial differential equations, *Journal of Mathematical Imaging and Vision* 62 (2020), theorems 1 and 2.",
    "E. Celledoni, M. J. Ehrhardt, C. Etmann, R. I. McLachlan, B. Owren, C.-B. Schönlieb and F. Sherry, Structure-preserving deep learning, *European Journal of Applied Mathematics* 32 (2021), section 3.",
    "Y. Tsuzuku, I. Sato and M. Sugiyama, Lipschitz-margin training, *NeurIPS* 2018 (the certificate by distance over growth).",
    "In numdl: `numdl experiment run robust-dynamics` trains such networks for handwritten digits.",
  ],
  trials: DYNAMICS.flatMap(([dynamics]) => [3, 7, 8, 20].flatMap((layers) => [0.1, 0.5].map((length) => ({ dynamics, layers, length })))),
  compare: (n) => ({ out: n.out, pushed: n.pushed.slice(0, 8), growths: n.growths, line: n.w, noise: n.noise, counts: [n.right, n.adversary, n.certain, n.bare.adversary] }),
};
