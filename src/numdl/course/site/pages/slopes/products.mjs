// 2.6: where do the derivatives of a layer come from?
import { geomspace, random, range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// Small: y -> a = K y + b -> z = tanh(a) -> s = w'z with two inputs and two units. Large: d inputs, m units, q outputs, n samples.
const D = 784, Q = 10, N = 1000, KINDS = [["forwards", "forwards from one weight"], ["backwards", "backwards from the output"]];
const tenth = (x) => Math.round(10 * x) / 10;
function network(seed) { const rng = random(seed), draw = (n) => rng.uniforms(n).map((x) => tenth(3 * x - 1.5)); return { y: draw(2), K: [draw(2), draw(2)], b: draw(2), w: draw(2) }; }
const values = ({ y, K, b, w }) => { const a = K.map((row, i) => row[0] * y[0] + row[1] * y[1] + b[i]), z = a.map(Math.tanh); return { a, z, s: w[0] * z[0] + w[1] * z[1], slope: z.map((x) => 1 - x * x) }; };
// One weight moves, V = e_i e_j': a' = V y, z' = act'(a) o a', s' = w'z'.
function tangent(net, v, i, j) { const a = [0, 1].map((k) => (k === i ? net.y[j] : 0)), z = a.map((x, k) => v.slope[k] * x); return { a, z, s: net.w[0] * z[0] + net.w[1] * z[1] }; }
// The output's slope goes back: z = w, a = act'(a) o z, K = a y'.
function adjoint(net, v) { const z = net.w, a = z.map((x, k) => v.slope[k] * x); return { z, a, K: a.map((x) => net.y.map((y) => x * y)) }; }

// Multiplications and numbers kept for the slopes of a loss of all samples by the m d weights of the layer.
export function costs(m) {
  const sweep = N * m * (D + 1 + Q);
  return { sweep, forwards: m * D * sweep, formed: N * Q * m * (1 + D) + N * Q * m * D, keptBackwards: N * (m + D), keptFormed: N * Q * m * D };
}
const WIDTHS = geomspace(1, 1000, 61);

function compute({ width, seed }) {
  const net = network(seed), v = values(net), forwards = range(4).map((k) => tangent(net, v, k >> 1, k & 1)), back = adjoint(net, v), t = 1e-6;
  const quotient = (values({ ...net, K: [[net.K[0][0] + t, net.K[0][1]], net.K[1]] }).s - v.s) / t;
  return { net, v, forwards, back, quotient, cost: costs(width), apart: Math.max(...forwards.map((f, k) => Math.abs(f.s - back.K[k >> 1][k & 1]))) };
}

const bytes = (x) => { const b = 8 * x; return b > 1e9 ? `${say(b / 1e9)} GB` : b > 1e6 ? `${say(b / 1e6)} MB` : `${say(b / 1e3)} kB`; };
const told = {
  forwards: ["Nothing has been differentiated yet.", "The weight K₁₁ moves at speed 1, so a₁ moves at the speed y₁, and a₂ not at all.", "Each unit passes a part of its speed on: times tanh′(a) = 1 − z².", "The output adds up what arrives: one slope, by K₁₁. To see another weight, begin again."],
  backwards: ["Nothing has been differentiated yet.", "How much does s change with each z? By its outer weight.", "And with each a? Times tanh′(a) = 1 − z², which had to be kept.", "And with each weight? Times what it multiplies, y: all four slopes at once."],
};

export const page = {
  id: "2.6",
  question: "Where do the derivatives of a layer come from?",
  goal: "You will write the two products with a layer's Jacobian, test one against the other, and never form the Jacobian.",
  minutes: 15,
  needs: "the chain rule; matrix products",
  controls: {
    direction: { kind: "choice", label: "direction", options: KINDS, value: "backwards" },
    step: { kind: "slider", label: "step", min: 0, max: 3, value: 3, play: 1500, show: String },
    width: { kind: "slider", label: "units of a large layer", min: 1, max: 1000, log: true, value: 100, show: (x) => String(Math.round(x)) },
  },
  hidden: { seed: 19 },
  guess: {
    ask: "A layer with 784 inputs and 100 units, then 10 outputs, trained on 1000 samples: 78,400 weights in the layer. Evaluating it takes some time $t$. How long does it take to get the slopes of the loss by *all* 78,400 weights?",
    options: ["about $78{,}400\\,t$", "about $100\\,t$", "about $2\\,t$"], answer: 2,
    why: "Forwards, one sweep shows the effect of one weight. Backwards, one sweep shows the cause of one number, the loss, in all weights, and costs about as much as the evaluation.",
  },
  sentence: [
    "Go [[direction]], step [[step]] of 3, through the small network. {{slope}} For a layer of [[width]] units (784 inputs, 10 outputs, 1000 samples) the slopes of the loss cost {{backwards}} multiplications backwards and {{forwards}} forwards; the Jacobian itself would take {{formed}}.",
  ],
  breaks: [
    { label: "Other numbers", patch: (s) => ({ seed: s.seed + 1 }) },
    { label: "The long way", patch: { direction: "forwards", step: 3 }, why: "Forwards is right when few things go in and many come out: the products $Jv$ of Gauss-Newton's inner iterations are forward sweeps." },
    { label: "Break it", patch: { width: 1000 }, why: "Nothing is wrong with the formula of the Jacobian, but it would have 10,000 rows and 784,000 columns: 63 gigabytes. Its products need neither." },
  ],
  compute,
  values: (n, { direction, step }) => ({ slope: told[direction][step], backwards: say(n.cost.sweep), forwards: say(n.cost.forwards), formed: bytes(n.cost.keptFormed) }),
  views: [
    {
      frame: () => ({ title: "A small network with its numbers", height: 380, x: { min: -0.35, max: 3.75, label: "y, then a = Ky + b, z = tanh a, s = w'z", ticks: [] }, y: { min: -1.5, max: 1.5, label: "", ticks: [] } }),
      draw(plot, n, { direction, step }) {
        const { net, v } = n, at = { y: [[0, 0.8], [0, -0.8]], a: [[1.45, 0.8], [1.45, -0.8]], z: [[2.45, 0.8], [2.45, -0.8]], s: [[3.35, 0]] };
        const edge = (p, q, on, text, near = 0.3) => { plot.line([p[0], q[0]], [p[1], q[1]], { color: on ? (direction === "forwards" ? "blue" : "orange") : "grey", width: on ? 2.6 : 1.2 }); if (text) plot.note(p[0] + near * (q[0] - p[0]), p[1] + near * (q[1] - p[1]), text, { color: "grey", anchor: "middle", dy: -4 }); };
        const forth = direction === "forwards";
        [0, 1].forEach((i) => [0, 1].forEach((j) => edge(at.y[j], at.a[i], forth ? step >= 1 && i === 0 && j === 0 : step >= 3, say(net.K[i][j]), i === j ? 0.45 : 0.24)));
        [0, 1].forEach((i) => edge(at.a[i], at.z[i], forth ? step >= 2 && i === 0 : step >= 2, ""));
        [0, 1].forEach((i) => edge(at.z[i], at.s[0], forth ? step >= 3 && i === 0 : step >= 1, say(net.w[i]), 0.45));
        const put = (p, name, value, speed, from) => {
          plot.dots([p[0]], [p[1]], { color: "ink", size: 5 });
          plot.note(p[0], p[1], `${name} = ${say(value, 2)}`, { color: "ink", anchor: "middle", dy: p[1] < 0 ? 22 : -12 });
          if (step >= from && speed !== undefined) plot.note(p[0], p[1], say(speed, 2), { color: forth ? "blue" : "orange", anchor: "middle", dy: p[1] < 0 ? 40 : -30 });
        };
        const f = n.forwards[0], b = n.back, sub = ["₁", "₂"];
        [0, 1].forEach((i) => {
          put(at.y[i], `y${sub[i]}`, net.y[i], undefined, 9);
          put(at.a[i], `a${sub[i]}`, v.a[i], forth ? f.a[i] : b.a[i], forth ? 1 : 2);
          put(at.z[i], `z${sub[i]}`, v.z[i], forth ? f.z[i] : b.z[i], forth ? 2 : 1);
        });
        put(at.s[0], "s", v.s, forth ? f.s : 1, forth ? 3 : 0);
        if (!forth && step >= 3) b.K.forEach((row, i) => row.forEach((x, j) => plot.note(at.y[j][0] + (i === j ? 0.45 : 0.76) * 1.45, at.y[j][1] + (i === j ? 0.45 : 0.76) * (at.a[i][1] - at.y[j][1]), say(x, 2), { color: "orange", anchor: "middle", dy: i === j ? 16 : 4 })));
        plot.name("the network's own numbers", "ink", "circle");
        plot.name(forth ? "speeds, when K₁₁ moves at speed 1" : "slopes of s", forth ? "blue" : "orange", "line");
      },
    },
    {
      frame: () => ({ title: "Multiplications for the slopes by all weights", height: 380, x: { min: 1, max: 1000, log: true, label: "units m of the layer" }, y: { min: 1e5, max: 1e16, log: true, label: "multiplications" } }),
      draw(plot, n, { width }, { ghost }) {
        const lines = [["forwards", "blue", "forwards, weight by weight"], ["formed", "purple", "Jacobian formed and multiplied"], ["sweep", "orange", "backwards, all at once"]];
        for (const [name, color, label] of lines) plot.line(WIDTHS, WIDTHS.map((m) => costs(m)[name]), { color, label });
        if (ghost) plot.dots(lines.map(() => ghost.settings.width), lines.map(([name]) => ghost.numbers.cost[name]), { color: "ink", shape: "ring", size: 5, faint: true });
        for (const [name] of lines) plot.dots([width], [n.cost[name]], { color: "ink", shape: "ring", size: 6, label: "now" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "What has to be kept", height: 180, x: { min: 1, max: 1000, log: true, label: "units m of the layer" }, y: { min: 1e6, max: 1e11, log: true, label: "bytes" } }),
      draw(plot, n, { width }) {
        plot.across(1.6e10, { color: "grey", label: "16 GB" });
        plot.line(WIDTHS, WIDTHS.map((m) => 8 * costs(m).keptFormed), { color: "purple", label: "the Jacobian" });
        plot.line(WIDTHS, WIDTHS.map((m) => 8 * costs(m).keptBackwards), { color: "orange", label: "what the way back needs: inputs and units" });
        plot.upright(width, { color: "ink", label: "now" });
      },
    },
  ],
  table: (n) => ({ head: ["weight", "value", "forwards", "backwards"], rows: range(4).map((k) => [`K${"₁₂"[k >> 1]}${"₁₂"[k & 1]}`, say(n.net.K[k >> 1][k & 1]), say(n.forwards[k].s, 6), say(n.back.K[k >> 1][k & 1], 6)]) }),
  claims: (n, s) => [
    { sentence: "Both directions give the same four slopes.", holds: n.apart < 1e-12, found: `They differ by at most ${say(n.apart)}.`, why: "" },
    { sentence: "The sweep you chose gives the slopes by all weights.", holds: s.direction === "backwards", found: s.direction === "backwards" ? "One way back, four slopes." : "One way forth, one slope.", why: "A forward sweep answers: what does this one weight do to everything? Four weights need four sweeps." },
    { sentence: "It needs nothing but the numbers of the step before.", holds: s.direction === "forwards", found: s.direction === "forwards" ? "Values and speeds go forwards together." : "Here $y$ and $\\tanh'(a)$ come from the way forth.", why: "Backwards one meets the layers in the wrong order, so their inputs must have been kept. Page 3.10 is about that." },
    { sentence: "A difference quotient with $t=10^{-6}$ agrees with the slope by $K_{11}$ to six digits.", holds: Math.abs(n.quotient - n.forwards[0].s) <= 1e-6 * Math.abs(n.forwards[0].s), found: `It says ${say(n.quotient, 8)}, the slope is ${say(n.forwards[0].s, 8)}.`, why: "Half of $t$ times the second derivative is missing, and a smaller $t$ would lose the digits to rounding. A slope made by the chain rule has neither error." },
    { sentence: "The Jacobian of the large layer fits into 16 GB.", holds: 8 * n.cost.keptFormed <= 1.6e10, found: `It takes ${bytes(n.cost.keptFormed)}; the way back keeps ${bytes(n.cost.keptBackwards)}.`, why: "It has a row for each output of each sample, and a column for each weight." },
  ],
  text: [
    "## One layer, two products",
    "Let the columns of $Y$ be samples, and $Z = \\operatorname{act}(KY + be')$ what the layer makes of them. Move the weights a little, in the direction $V$. Each number of $KY$ moves by $VY$, and the activation passes it on:",
    "$$ J_K V = \\operatorname{act}'(KY + be') \\odot (VY) , $$",
    "where $\\odot$ multiplies entry by entry. That is the product of the Jacobian with a vector, although no Jacobian has been written down. The product with its transpose must satisfy $\\langle U, J_K V\\rangle = \\langle J_K'U, V\\rangle$ for all $U$ and $V$. Write the left side as a trace and move everything to $V$:",
    "$$ J_K' U = \\bigl(\\operatorname{act}'(KY+be') \\odot U\\bigr)\\,Y' . $$",
    "In the same way $J_b'U = (\\operatorname{act}' \\odot U)\\,e$, a sum over the samples, since one $b$ serves all; and $J_Y'U = K'(\\operatorname{act}'\\odot U)$, which is what the layer before needs.",
    "## Which order?",
    "The chain rule is a product of matrices, and products may be bracketed as one likes. From the right, with a vector of weights, it goes forwards: cheap if one asks about one direction. From the left, with a vector of outputs, backwards: cheap if one asks about one number, such as a loss. A layer of $m$ units with $d$ inputs and $q$ outputs takes $nm(d+1+q)$ multiplications for $n$ samples in either direction. But forwards there are $md$ directions to ask about.",
    "## Two tests that find nearly every mistake",
    "The *adjoint test* compares $\\langle U, JV\\rangle$ with $\\langle J'U, V\\rangle$ for random $U$, $V$: equal to rounding, or something is transposed or forgotten. It does not see whether $J$ is the derivative at all. That is seen by *Taylor's test*: $|f(K + tV) - f(K) - tJV|$ falls with $t^2$.",
  ],
  code: (s) => `
import numpy as np

rng = np.random.RandomState(${s.seed})
draw = lambda *shape: np.round(3 * rng.random_sample(shape) - 1.5, 1)
y, K, b, w = draw(2), draw(2, 2), draw(2), draw(2)
Y, be = y[:, None], b[:, None]  # one sample, as a column

slope = lambda: 1 - np.tanh(K @ Y + be) ** 2
JV = lambda V: slope() * (V @ Y)
JtU = lambda U: (slope() * U) @ Y.T

U, V = w[:, None], np.array([[1.0, 0.0], [0.0, 0.0]])  # the output's weights; K11 moves
print(np.sum(U * JV(V)), np.sum(JtU(U) * V))  # adjoint test
print(*JtU(U).ravel())
t = 1e-3
print(np.abs(np.tanh((K + t * V) @ Y + be) - np.tanh(K @ Y + be) - t * JV(V)).max())
`,
  codeNote: "It prints the adjoint test, all four slopes, and one line of Taylor's test.",
  prints: (n) => { const t = 1e-3, { net, v } = n, moved = Math.tanh(v.a[0] + t * net.y[0]); return [n.forwards[0].s, n.back.K[0][0], ...n.back.K.flat(), Math.abs(moved - v.z[0] - t * n.forwards[0].z[0])]; },
  exercises: [
    { ask: "One tanh unit with $K = (0.5, -1)$, $b=0$ and the sample $y = (2, 1)$. Behind it, $u = 3$ comes back. What is the slope by the first weight?", input: "slope", right: 6, wrong: 3,
      check: ({ answer }) => ({ passed: Math.abs(answer - 6) < 1e-9, say: Math.abs(answer - 6) < 1e-9 ? "Passed: $a = 0$, so $\\tanh'(a) = 1$, and $1\\cdot3\\cdot y_1 = 6$." : answer === 3 ? "That is the slope by $a$. The weight is multiplied by $y_1$." : "$(\\operatorname{act}'(a)\\,u)\\,y'$, and $a = Ky$ is zero here." }) },
    { ask: "A layer of 4 units sees 5 samples: $KY + be'$ has 20 entries, and $U$ has the same shape. How many numbers has the slope by $b$?", input: "numbers", right: 4, wrong: 20,
      check: ({ answer }) => ({ passed: answer === 4, say: answer === 4 ? "Passed: one for each unit, summed over the five samples." : answer === 20 ? "The same $b$ is added to each of the five columns; its slopes add up." : "As many as $b$ has." }) },
  ],
  sources: [
    "A. Griewank and A. Walther, *Evaluating Derivatives*, SIAM 2008, sections 3.1 and 3.2.",
    "L. Ruthotto and E. Haber, *Numerical Methods for Deep Learning*, course notes, Emory and UBC (single layers, derivatives).",
    "In numdl: JAX differentiates the layers; `numdl.testing.check_adjoint` and `check_gradient` test a layer of your own.",
  ],
  trials: range(24).map((k) => ({ direction: KINDS[k % 2][0], step: k % 4, width: [1, 10, 100, 1000][(k >> 2) % 4], seed: 1 + k })),
  compare: (n) => ({ slopes: n.back.K.flat(), forwards: n.forwards.map((f) => f.s), units: [...n.v.a, ...n.v.z, n.v.s], back: n.back.a, cost: [n.cost.sweep, n.cost.forwards, n.cost.keptFormed, n.cost.keptBackwards, n.cost.formed] }),
};
