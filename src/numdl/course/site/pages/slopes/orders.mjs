// 3.9: forwards or backwards?
import { dot, product, random, range, transpose, zeros } from "../../lib/numerics.mjs";
import { counted, say } from "../../lib/plot.mjs";

// n layers u+ = u + h tanh(K u + b) of two units, the first r of (K11, K12, K21, K22, b1, b2) of each are parameters; q losses,
// which are the components of the last state in q directions.
const M = 2, MOST = 12, H = 0.5, NAMES = ["K₁₁", "K₁₂", "K₂₁", "K₂₂", "b₁", "b₂"];
const WEIGHTS = (() => { const rng = random(5); return range(MOST).map(() => rng.normals(6)); })();

function layers(n) {
  let u = [1, -0.5];
  return range(n).map((k) => {
    const [a, b, c, d, e, f] = WEIGHTS[k], z = [Math.tanh(a * u[0] + b * u[1] + e), Math.tanh(c * u[0] + d * u[1] + f)], s = z.map((x) => H * (1 - x * x));
    const A = [[1 + s[0] * a, s[0] * b], [s[1] * c, 1 + s[1] * d]], R = [[s[0] * u[0], s[0] * u[1], 0, 0, s[0], 0], [0, 0, s[1] * u[0], s[1] * u[1], 0, s[1]]];
    u = [u[0] + H * z[0], u[1] + H * z[1]];
    return { A, R, u };
  });
}
export const direction = (i, q) => [Math.cos((Math.PI * i) / q), Math.sin((Math.PI * i) / q)];

// Multiplications, counted as they are made below.
export const multiplications = (n, p, q) => ({ forwards: (p * M * M * (n - 1)) / 2 + q * p * M, backwards: q * (n - 1) * M * M + q * p * M });

function compute({ layers: n, parameters: r, losses: q }) {
  const net = layers(n), p = n * r, V = range(M * n).map(() => zeros(p));
  let now = [];
  net.forEach(({ A, R }, k) => { // T V = R, from the first block row to the last
    const own = R.map((row) => row.slice(0, r));
    now = k ? product(A, now).map((row, i) => [...row, ...own[i]]) : own;
    now.forEach((row, i) => row.forEach((x, j) => (V[M * k + i][j] = x)));
  });
  const G = range(q).map((i) => direction(i, q)), Z = range(M * n).map(() => zeros(q));
  let z = transpose(G);
  for (let k = n - 1; k >= 0; k--) { // T'Z = G', from the last block row to the first
    z.forEach((row, i) => row.forEach((x, j) => (Z[M * k + i][j] = x)));
    z = product(transpose(net[k].A), z);
  }
  const forwards = product(G, now), backwards = G.map((_, i) => net.flatMap(({ R }, k) => range(r).map((j) => dot([R[0][j], R[1][j]], [Z[M * k][i], Z[M * k + 1][i]]))));
  const apart = Math.max(...forwards.map((row, i) => Math.max(...row.map((x, j) => Math.abs(x - backwards[i][j])))));
  return { n, r, q, p, V, Z, forwards, backwards, apart, cost: multiplications(n, p, q), double: multiplications(2 * n, 2 * p, q), end: net[n - 1].u };
}
const blocks = (plot, rows, columns, high, wide) => { for (let k = 1; k < rows; k++) plot.line([0, wide], [high * k, high * k], { color: "grey", width: 0.5 }); for (let k = 1; k < columns; k++) plot.line([(wide * k) / columns, (wide * k) / columns], [0, high * rows], { color: "grey", width: 0.5 }); };
const shade = (rows) => { const top = Math.max(...rows.flat().map(Math.abs)); return (x) => (x === 0 ? 0 : 0.12 + 0.88 * Math.sqrt(Math.abs(x) / top)); };

export const page = {
  id: "3.9",
  question: "Forwards or backwards?",
  goal: "You will read sensitivities and adjoints as two ways through one system of equations, and count which is shorter.",
  minutes: 15,
  needs: "page 2.6: products with a layer's Jacobian",
  controls: {
    layers: { kind: "slider", label: "layers", min: 2, max: MOST, value: 6, show: String },
    parameters: { kind: "slider", label: "parameters of each layer", min: 1, max: 6, value: 3, show: (k) => counted(k, "parameter") },
    losses: { kind: "slider", label: "losses", min: 1, max: 40, value: 1, play: 250, show: (k) => counted(k, "loss", "losses") },
  },
  hidden: {},
  guess: {
    ask: "A network of many layers has 1000 parameters and gives 10 numbers. You want all 10,000 slopes. Which way is shorter?",
    options: ["backwards, in ten sweeps", "forwards, in a thousand sweeps", "it makes no difference"], answer: 0,
    why: "Each way back serves one number, each way forth one parameter. Backwards wins as soon as there are more than about two parameters for each number.",
  },
  sentence: [
    "A network of [[layers]] layers with [[parameters]] each, {{p}} in all, and [[losses]]. For all slopes the way forth makes {{forwards}} multiplications, the way back {{backwards}}. Backwards wins from {{crossing}} parameters on.",
  ],
  breaks: [
    { label: "Break it", patch: { layers: 4, parameters: 1, losses: 40 }, why: "Few parameters, many numbers to differentiate: now forwards is shorter. Fits of a physical model with five constants to a thousand data are of this kind." },
    { label: "Training", patch: { layers: 12, parameters: 6, losses: 1 }, why: "One loss, as in training: the right figure has a single column, the left one is a large triangle. It is made for one row of slopes, and then thrown away." },
  ],
  compute,
  values: (n) => ({ p: String(n.p), forwards: say(n.cost.forwards), backwards: say(n.cost.backwards), crossing: String(2 * n.q + 1) }),
  views: [
    {
      frame: (n) => ({ title: "Forwards: how every state answers to every parameter", height: 340, x: { min: 0, max: n.p, label: "parameters, layer by layer", ticks: range(n.n).map((k) => [n.r * (k + 0.5), String(k + 1)]) }, y: { min: 0, max: M * n.n, label: "layer of the state", ticks: range(n.n).map((k) => [M * (n.n - k - 0.5), String(k + 1)]) } }),
      draw(plot, n) {
        plot.heat([...n.V].reverse(), range(n.p + 1), range(M * n.n + 1), shade(n.V), { color: "blue" });
        blocks(plot, n.n, n.n, M, n.p);
        plot.name("solved from the top: V with T V = R", "blue", "square");
      },
    },
    {
      frame: (n) => ({ title: "Backwards: how every loss answers to every state", height: 340, x: { min: 0, max: n.q, label: "losses", ticks: n.q > 12 ? [[0.5, "1"], [n.q - 0.5, String(n.q)]] : range(n.q).map((k) => [k + 0.5, String(k + 1)]) }, y: { min: 0, max: M * n.n, label: "layer of the state", ticks: range(n.n).map((k) => [M * (n.n - k - 0.5), String(k + 1)]) } }),
      draw(plot, n) {
        plot.heat([...n.Z].reverse(), range(n.q + 1), range(M * n.n + 1), shade(n.Z), { color: "orange" });
        blocks(plot, n.n, n.q, M, n.q);
        plot.name("solved from the bottom: Z with T′Z = G′", "orange", "square");
      },
    },
    {
      wide: true,
      frame: (n) => ({ title: "Multiplications for all slopes", height: 200, x: { min: 1, max: 200, log: true, label: "parameters in all" }, y: { min: 1, max: 1e6, log: true, label: "multiplications" } }),
      draw(plot, n, s, { ghost }) {
        const at = range(60).map((k) => 200 ** (k / 59));
        for (const [name, color, label] of [["forwards", "blue", "forwards"], ["backwards", "orange", "backwards"]]) {
          if (ghost) plot.line(at, at.map((p) => multiplications(ghost.numbers.n, p, ghost.numbers.q)[name]), { color, faint: true });
          plot.line(at, at.map((p) => multiplications(n.n, p, n.q)[name]), { color, label });
        }
        plot.upright(2 * n.q, { color: "grey", label: "both equal: two parameters for each loss" });
        plot.dots([n.p, n.p], [n.cost.forwards, n.cost.backwards], { color: "ink", shape: "ring", size: 6, label: "now" });
      },
    },
  ],
  table: (n) => ({ head: ["parameter", "forwards: slope of loss 1", "backwards: slope of loss 1"], rows: range(n.p).filter((j) => n.p <= 24 || j % n.r === 0).map((j) => [`${NAMES[j % n.r]} of layer ${1 + Math.floor(j / n.r)}`, say(n.forwards[0][j], 6), say(n.backwards[0][j], 6)]) }),
  claims: (n) => [
    { sentence: "Both ways give the same slopes.", holds: n.apart < 1e-12, found: `All ${n.q * n.p} agree to ${say(n.apart)}.`, why: "" },
    { sentence: "Backwards takes fewer multiplications.", holds: n.cost.backwards < n.cost.forwards, found: `${say(n.cost.backwards)} against ${say(n.cost.forwards)}.`, why: `${counted(n.p, "parameter")} are not more than twice ${counted(n.q, "loss", "losses")}.` },
    { sentence: "Backwards also keeps fewer numbers.", holds: n.n < n.p, found: `It keeps the states of ${n.n} layers, ${M * n.n} numbers. Forwards keeps the present sensitivities, ${M * n.p} numbers, and no state.`, why: "With one parameter for each layer there is nothing to gain. Forwards needs no memory of the past at all." },
    { sentence: "Twice as many layers, each with its own parameters, mean at most 2.5 times the work forwards.", holds: n.double.forwards <= 2.5 * n.cost.forwards, found: `It grows by the factor ${say(n.double.forwards / n.cost.forwards)}; backwards by ${say(n.double.backwards / n.cost.backwards)}.`, why: "There are twice as many parameters, and each of them has twice as far to go: four times the work." },
  ],
  text: [
    "## One system",
    "Layer $k$ makes $u_k$ of $u_{k-1}$ and its parameters $\\theta_k$. Change the parameters a little: the states change by $v_k = A_kv_{k-1} + R_k\\,\\delta\\theta_k$, with the Jacobians $A_k$ and $R_k$ of the layer. Write that for all layers below each other:",
    "$$ \\underbrace{\\begin{pmatrix} I & & & \\\\ -A_2 & I & & \\\\ & -A_3 & I & \\\\ & & \\ddots & \\ddots \\end{pmatrix}}_{T} \\begin{pmatrix} v_1 \\\\ v_2 \\\\ v_3 \\\\ \\vdots \\end{pmatrix} = \\underbrace{\\begin{pmatrix} R_1 & & & \\\\ & R_2 & & \\\\ & & R_3 & \\\\ & & & \\ddots \\end{pmatrix}}_{R} \\delta\\theta . $$",
    "A loss that changes by $g'v$ therefore has the gradient $g'\\,T^{-1}R$: a row, a matrix, a matrix. There are two ways to bracket it.",
    "*Sensitivities*: $V = T^{-1}R$ first. Solve $Tv = Re_i$ for every parameter $i$, from the top: that is a march forwards with the layers, one for each parameter. *Adjoints*: $z' = g'T^{-1}$ first. Solve $T'z = g$ from the bottom: that is a march backwards, $z_{k-1} = A_k'z_k$, one for each loss. The gradient is then $R'z$, layer by layer.",
    "## Counting",
    "Let there be $n$ layers with $m$ units, $p$ parameters spread evenly over the layers, and $q$ losses of the last state. A parameter of layer $k$ passes the $n-k$ layers behind it, half of them on average. So",
    "$$ \\text{forwards: } \\tfrac12\\,p\\,m^2(n-1) + qpm, \\qquad \\text{backwards: } q\\,m^2(n-1) + qpm . $$",
    "They meet at $p = 2q$, whatever the depth. Training has $q=1$ and $p$ in the millions. Data assimilation and optimal control have $q=1$ too. A model with five constants and a thousand data has it the other way round, and Gauss-Newton, which needs products with the whole Jacobian, goes forwards for $Jv$ and backwards for $J'w$.",
  ],
  code: (s) => `
import numpy as np

n, r, q, h = ${s.layers}, ${s.parameters}, ${s.losses}, 0.5
weights = np.random.RandomState(5).standard_normal((${MOST}, 6))[:n]
T, R, G = np.eye(2 * n), np.zeros((2 * n, n * r)), np.zeros((q, 2 * n))
u = np.array([1.0, -0.5])
for k, (K, b) in enumerate(zip(weights[:, :4].reshape(n, 2, 2), weights[:, 4:])):
    z = np.tanh(K @ u + b)
    s = h * (1 - z**2)
    rows = slice(2 * k, 2 * k + 2)
    if k:
        T[rows, 2 * k - 2 : 2 * k] = -(np.eye(2) + s[:, None] * K)
    slopes = s[:, None] * np.hstack([np.kron(np.eye(2), u), np.eye(2)])
    R[rows, k * r : (k + 1) * r] = slopes[:, :r]
    u = u + h * z
angle = np.pi * np.arange(q) / q
G[:, -2:] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
forwards = G @ np.linalg.solve(T, R)
backwards = np.linalg.solve(T.T, G.T).T @ R
print(forwards[0, 0], backwards[0, 0], np.sum(forwards**2))
`,
  codeNote: "It solves the one system in both ways, and prints the first slope twice and the sum of all squares.",
  prints: (n) => [n.forwards[0][0], n.backwards[0][0], n.forwards.flat().reduce((s, x) => s + x * x, 0)],
  exercises: [
    { ask: "Ten losses. What is the smallest number of parameters, spread evenly over the layers, for which backwards takes fewer multiplications?", input: "parameters", right: 21, wrong: 10,
      check: ({ answer }) => ({ passed: answer === 21, say: answer === 21 ? "Passed: they meet at $p = 2q = 20$. Set ten losses and look where the lines cross." : answer === 20 ? "At 20 both take the same." : "A parameter passes half of the layers on average, so a way forth costs half as much as a way back." }) },
    { ask: "1000 layers of 10 units, a million parameters, one loss. How many times as many multiplications does forwards take?", input: "times", right: 4947, wrong: 500000,
      check: ({ answer }) => { const cost = [(1e6 * 100 * 999) / 2 + 1e7, 100 * 999 + 1e7], wanted = cost[0] / cost[1], passed = Math.abs(answer / wanted - 1) < 0.05; return { passed, say: passed ? `Passed: about ${say(wanted)}. The way back itself is nearly free; what remains is $R'z$, once for each parameter.` : Math.abs(answer / 5e5 - 1) < 0.05 ? "You left out $qpm$, which both ways pay: here it dominates the way back." : "Put the numbers into both formulas." }; } },
  ],
  sources: [
    "A. Griewank and A. Walther, *Evaluating Derivatives*, SIAM 2008, sections 3.2 and 4.1.",
    "Y. Cao, S. Li, L. Petzold and R. Serban, Adjoint sensitivity analysis for differential-algebraic equations, *SIAM Journal on Scientific Computing* 24 (2003), section 2.",
    "In numdl: `numdl experiment run sensitivity-vs-adjoint`.",
  ],
  trials: [2, 3, 6, 9, 12].flatMap((n, i) => [[1, 1], [3, 2], [4, 7], [6, 40]].map(([parameters, losses]) => ({ layers: n, parameters, losses: losses + (i % 2) * (losses < 40) }))),
  compare: (n) => ({ V: n.V, Z: n.Z, slopes: n.forwards, back: n.backwards, end: n.end, cost: [n.cost.forwards, n.cost.backwards] }),
};
