// 2.14: what does the landscape look like?
import { symmetric } from "../../lib/graphs.mjs";
import { argmax, dot, eigen2, linspace, minus, norm, random, range, scale, sum } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// v'act(w x + b) with six units and 25 rows. Weights [w, b, v]: ends of two trainings for each activation (Levenberg and Marquardt's
// steps with the penalty 1e-5 |p|^2 / 2), rounded to four digits.
const M = 6, X = linspace(-2, 2, 25), C = X.map((x) => Math.sin(2 * x) + 0.5 * Math.cos(4 * x + 1)), T = linspace(0, 1, 61);
const WEIGHTS = {
  relu: [
    [[1.6043, -1.5234, -1.3508, -0.9631, 1.1231, 1.7014], [1.7632, -0.3241, -1.066, 0.4726, 1.975, -2.1186], [2.3837, -1.5578, 1.7211, 1.073, -2.2724, -2.7173]],
    [[-0.9602, 1.697, -1.9522, -0.2604, 0.8929, -1.788], [0.4615, -2.117, -1.8408, 0.6392, 0.1488, -0.3283], [1.0476, -2.7082, 2.6828, -0.6869, 1.1936, -1.8139]],
  ],
  tanh: [
    [[0.2142, 1.7981, 2.0794, -1.7571, 1.9585, 2.404], [-0.3557, -1.5253, 1.078, 0.3273, -3.1851, 3.3884], [1.2117, 1.51, 1.5611, 0.9788, -2.3794, -1.8665]],
    [[1.1931, -2.367, 2.3687, 0.3982, -2.3781, -2.1116], [2.0882, -1.2942, -2.0651, 0.4611, -3.4606, 3.4772], [1.4363, -1.6126, 1.18, -2.7581, 1.9684, 1.77]],
  ],
};
const ACT = { relu: [(x) => Math.max(x, 0), (x) => +(x > 0)], tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2] };
const LOOKS = [["plain", "plain random directions"], ["filter", "filter-normalised directions"]];
const ENDS = [["itself", "itself before rescaling"], ["twin", "its twin, units in reverse order"], ["second", "another training"], ["paired", "another training, units paired"]];

// Weights are one list of 18 numbers.
const flat = (layers) => layers.flat(), unit = (p, j) => [p[j], p[M + j], p[2 * M + j]];
const rescaled = (p, r) => p.map((x, i) => (i < 2 * M ? x * r : x / r)), arranged = (p, order) => range(3).flatMap((k) => order.map((j) => p[k * M + j]));
function outputs(act, p) { const f = ACT[act][0]; return X.map((x) => { let s = 0; for (let j = 0; j < M; j++) s += p[2 * M + j] * f(p[j] * x + p[M + j]); return s; }); }
function misfit(act, p) { const f = ACT[act][0]; let e = 0; for (let i = 0; i < X.length; i++) { let s = -C[i]; for (let j = 0; j < M; j++) s += p[2 * M + j] * f(p[j] * X[i] + p[M + j]); e += s * s; } return e / (2 * X.length); }
// J'J / n, the Gauss-Newton matrix.
function curvature(act, p) {
  const [f, d] = ACT[act], J = X.map((x) => { const z = range(M).map((j) => p[j] * x + p[M + j]); return [...z.map((t, j) => d(t) * p[2 * M + j] * x), ...z.map((t, j) => d(t) * p[2 * M + j]), ...z.map(f)]; });
  return range(3 * M).map((k) => range(3 * M).map((l) => { let s = 0; for (const row of J) s += row[k] * row[l]; return s / X.length; }));
}

// The order of the other's units that brings them closest to ours.
function pairing(p, q) {
  const far = range(M).map((i) => range(M).map((j) => { const d = minus(unit(p, i), unit(q, j)); return dot(d, d); }));
  let best = Infinity, order = null;
  const go = (taken, cost) => { if (cost >= best) return; const i = taken.length; if (i === M) { best = cost; order = taken; return; } for (let j = 0; j < M; j++) if (!taken.includes(j)) go([...taken, j], cost + far[i][j]); };
  go([], 0);
  return order;
}
const PAIRED = Object.fromEntries(Object.keys(WEIGHTS).map((a) => [a, pairing(flat(WEIGHTS[a][0]), flat(WEIGHTS[a][1]))]));

// Two random directions of the length of the trained weights; filter-normalised: each row of a matrix, and the shifts, in proportion.
function directions(look, seed, trained, p) {
  const rng = random(seed), length = norm(trained);
  return range(2).map(() => {
    const d = rng.normals(3 * M);
    if (look === "plain") return scale(length / norm(d), d);
    const part = (from, to) => { const t = norm(p.slice(from, to)) / norm(d.slice(from, to)); return d.slice(from, to).map((x) => t * x); };
    return [...range(M).flatMap((j) => part(j, j + 1)), ...part(M, 2 * M), ...part(2 * M, 3 * M)];
  });
}

function compute({ scale: r, look, end, activation: act, seed }) {
  const trained = flat(WEIGHTS[act][0]), other = flat(WEIGHTS[act][1]), p = rescaled(trained, r);
  const ends = { itself: trained, twin: arranged(p, range(M).reverse()), second: other, paired: arranged(other, PAIRED[act]) };
  const walk = (q) => { const line = T.map((t) => misfit(act, p.map((x, i) => (1 - t) * x + t * q[i]))); return { line, barrier: Math.max(0, ...line.map((e, k) => e - (1 - T[k]) * line[0] - T[k] * line[60])) }; };
  const G = curvature(act, p), values = symmetric(G).values, before = curvature(act, trained), apply = (A, u, v) => dot(u, A.map((row) => dot(row, v)));
  const inPlane = (A, [u, v]) => eigen2(apply(A, u, u), apply(A, u, v), apply(A, v, u), apply(A, v, v)).map((z) => z[0]);
  const [u, v] = directions(look, seed, trained, p), seen = new Map();
  const at = (a, b) => { const key = `${a} ${b}`; if (!seen.has(key)) seen.set(key, misfit(act, p.map((x, i) => x + a * u[i] + b * v[i]))); return seen.get(key); };
  const mine = outputs(act, p), was = outputs(act, trained), layer = (A, from, to) => sum(range(to - from).map((i) => A[from + i][from + i]));
  return {
    p, u, v, at, values, E: misfit(act, p), change: Math.max(...mine.map((y, i) => Math.abs(y - was[i]))), plane: inPlane(G, [u, v]), planeBefore: inPlane(before, directions(look, seed, trained, trained)),
    ...walk(ends[end]), barriers: Object.fromEntries(ENDS.map(([name]) => [name, walk(ends[name]).barrier])), largest: values[0], largestBefore: symmetric(before).values[0], zero: values.filter((x) => x < 1e-10 * values[0]).length,
    traces: [layer(before, 0, 2 * M), layer(before, 2 * M, 3 * M)], total: sum(values),
  };
}

const [FIRST, HEAD] = compute({ scale: 1, look: "plain", end: "itself", activation: "relu", seed: 1 }).traces, FLATTEST = (FIRST / HEAD) ** 0.25, totalAt = (r) => FIRST / r ** 2 + HEAD * r ** 2;

export const page = {
  id: "2.14",
  question: "What does the landscape look like?",
  goal: "You will look at a minimum through planes, lines and spectra, and find out which of what you see belongs to the network and which to the way of looking.",
  minutes: 15,
  needs: "a network of one layer; eigenvalues; page 2.5 helps",
  controls: {
    scale: { kind: "slider", label: "factor on the first layer", min: 0.1, max: 10, log: true, value: 3.162, play: 250, show: (x) => say(x) },
    look: { kind: "choice", label: "directions", options: LOOKS, value: "plain" },
    end: { kind: "choice", label: "the other end of the walk", options: ENDS, value: "itself" },
  },
  hidden: { activation: "relu", seed: 1 },
  guess: {
    ask: "A trained network of relu units. Multiply its first layer by 10 and divide its second by 10: it computes the same function. Around both settings of the weights you draw the misfit in the plane of the same two random directions. What do you see?",
    options: ["the same picture", "two pictures: one valley is far narrower", "the second is no minimum any more"], answer: 1, hides: ["plane", "before"], see: { scale: 10 },
    why: "The same step in the second layer now changes the outputs ten times as much, and its curvature is a hundred times as large. The valley is several times narrower, and the network has not changed at all.",
  },
  sentence: [
    "Multiply the first layer of a trained network of six {{activation}} units by [[scale]] and divide the second by it: its outputs change by {{change}}, and its misfit is {{misfit}}. Along [[look]] the sharpest curvature in the plane is {{plane}}; before it was {{before}}. Straight to [[end]] there is a barrier of {{barrier}}.",
  ],
  breaks: [
    { label: "Other directions", patch: (s) => ({ seed: s.seed + 1 }) },
    { label: "Break it: tanh", patch: { activation: "tanh" }, why: "$\\tanh(rz)$ is not $r\\tanh(z)$. What was a change of the view only is now another network, and mostly a bad one. Reset brings relu back." },
    { label: "Look fairly", patch: { activation: "relu", look: "filter" }, why: "Each row of weights moves in proportion to its own size. Play the factor: the picture stands still." },
  ],
  compute,
  values: (n, { activation }) => ({ activation, change: n.change < 1e-13 ? "no more than rounding" : `up to ${say(n.change)}`, plane: say(n.plane[0]), before: say(n.planeBefore[0]), barrier: say(n.barrier < 1e-15 ? 0 : n.barrier), misfit: say(n.E) }),
  views: [
    {
      frame: () => ({ title: "Misfit in a plane around the weights", equal: true, height: 400, x: { min: -0.6, max: 0.6, label: "along the first direction" }, y: { min: -0.6, max: 0.6, label: "along the second" } }),
      draw(plot, n) {
        for (const level of [3, 1, 0.3, 0.1, 0.03, 0.01]) plot.region((x, y) => n.at(x, y) - level, { color: "blue", cells: 56, label: "below 3, 1, 0.3, 0.1, 0.03, 0.01" });
        plot.dots([0], [0], { color: "ink", shape: "cross", size: 5, label: "the network" });
      },
    },
    {
      frame: (n) => ({ title: "Straight to the other end", height: 400, x: { min: -0.06, max: 1.06, label: "way", ticks: [[0, "here"], [0.5, "halfway"], [1, "there"]] }, y: { min: 0, max: Math.max(0.02, 1.15 * Math.max(...n.line)), label: "misfit" } }),
      draw(plot, n, s, { ghost }) {
        if (ghost) plot.line(T, ghost.numbers.line, { color: "purple", faint: true, width: 4, label: "your last setting" });
        plot.line([0, 1], [n.line[0], n.line[60]], { color: "grey", dash: "5 4", width: 1.4, label: "straight between both" });
        plot.line(T, n.line, { color: "purple", label: "misfit on the way" });
        plot.dots([0], [n.line[0]], { color: "ink", shape: "cross", size: 5 });
        const k = argmax(n.line.map((e, i) => e - (1 - T[i]) * n.line[0] - T[i] * n.line[60]));
        if (n.barrier > 1e-9) plot.note(T[k], n.line[k], `barrier ${say(n.barrier)}`, { color: "purple", anchor: T[k] < 0.2 ? "start" : T[k] > 0.8 ? "end" : "middle", dy: -8 });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "All curvatures (Gauss-Newton)", height: 210, x: { min: 0.5, max: 18.5, label: "direction, by curvature", ticks: [1, 6, 12, 18] }, y: { min: 1e-13, max: 1e5, log: true, label: "curvature" } }),
      draw(plot, n, s, { ghost }) {
        const show = (values) => values.map((x) => Math.max(x, 3e-13));
        if (ghost) plot.dots(range(18).map((i) => i + 1), show(ghost.numbers.values), { color: "orange", faint: true, size: 5, label: "your last setting" });
        plot.dots(range(18).map((i) => i + 1), show(n.values), { color: "orange", size: 3.6, label: "eigenvalues" });
        plot.across(1e-10 * n.largest, { color: "grey", label: "below this: zero up to rounding" });
      },
    },
  ],
  table: (n) => ({ head: ["way", "misfit", "direction", "curvature"], rows: range(18).map((i) => [i <= 12 ? say(T[5 * i]) : "", i <= 12 ? say(n.line[5 * i]) : "", i + 1, n.values[i] < 1e-10 * n.largest ? "0" : say(n.values[i])]) }),
  claims: (n, s) => [
    { sentence: "It is still the same network.", holds: n.change < 1e-12, found: `Its 25 outputs change by at most ${say(n.change)}.`, why: "For tanh $\\tanh(rz) \\ne r\\tanh(z)$: the factors do not cancel." },
    { sentence: "The picture in the plane is the same as before rescaling.", holds: Math.abs(n.plane[0] / n.planeBefore[0] - 1) < 0.01, found: `Sharpest curvature ${say(n.plane[0])}, before ${say(n.planeBefore[0])}.`, why: s.look === "plain" ? "Steps of fixed length are short for a layer with large weights, and long for one with small weights." : "The directions are in proportion to the weights; but the function is another one." },
    { sentence: "The largest curvature of all is the same as before.", holds: Math.abs(n.largest / n.largestBefore - 1) < 0.01, found: `${say(n.largest)}, before ${say(n.largestBefore)}.`, why: "Curvatures of the first layer are divided by $r^2$, those of the second multiplied. Sharpness alone says nothing about a relu network." },
    { sentence: "Six directions, one for each unit, have no curvature.", holds: n.zero >= 6, found: `${n.zero} of 18 curvatures are zero up to rounding.`, why: "They belong to rescaling each unit by itself, and tanh units cannot be rescaled." },
    { sentence: "One can walk straight to the other end without climbing.", holds: n.barrier < 1e-9, found: `The barrier is ${say(n.barrier < 1e-15 ? 0 : n.barrier)}.`, why: s.end === "itself" ? (s.activation === "relu" ? `Halfway the outputs are $\\frac14(2+r+\\frac1r) = ${say((2 + s.scale + 1 / s.scale) / 4)}$ times what they should be: a barrier between a network and itself.` : "Both ends are different networks.") : s.end === "twin" ? "Halfway each unit is the mean of two different ones. Both ends compute the same, the middle does not." : s.end === "second" ? `Units do different work in both networks, and means of them do neither. Paired, the barrier is ${say(n.barriers.paired)}.` : `Pairing brings it from ${say(n.barriers.second)} to this; what is left lies between really different fits${s.scale === 1 ? "" : ", and in the factor $r$ at one end"}.` },
  ],
  text: [
    "## A plane through a minimum",
    "A network with 18 weights has a landscape in 18 dimensions, one with millions in millions. To see something one chooses two directions $d_1, d_2$ and draws",
    "$$ J(p + a\\,d_1 + b\\,d_2), \\qquad J(p) = \\frac1{2n}\\sum_i \\bigl(v'\\operatorname{act}(w x_i + b) - c_i\\bigr)^2 . $$",
    "Such pictures are used to call one minimum flat and another sharp. Before believing them, ask what they depend on besides the network. A relu unit satisfies $v\\max(wx+b,0) = \\frac vr\\max(rwx+rb,0)$ for each $r>0$: the whole layer can be multiplied by $r$ and the next one divided by it. No output changes, for any input. But steps of fixed length now mean something else: with curvatures $T_1$ and $T_2$ (summed) in both layers,",
    "$$ \\operatorname{tr} H(r) = \\frac{T_1}{r^2} + r^2\\,T_2 . $$",
    "So the same function is as sharp as one likes, and there is one $r$ for which it is flattest. The remedy is to measure steps in the size of the weights: a *filter-normalised* direction has $|d_j| = |p_j|$ in each row $j$ of weights, it is rescaled together with them, and the picture stands still.",
    "## A line between two minima",
    "How much has to be climbed between two trainings? The barrier is the largest height of the misfit above the straight line between its values at both ends. It, too, is deceptive: between a network and itself rescaled there is one, as both layers are means of two sizes, and their product is $\\frac14(2+r+\\frac1r)$ times too large halfway. Between a network and its twin with exchanged units there is one. If units of two trainings are put in the order in which they fit each other best, what remains is nearer to a real difference.",
    "## The spectrum",
    "The eigenvalues of the Gauss-Newton matrix $J_f'J_f/n$ are curvatures in all directions at once: a few stiff ones, a long tail, and exact zeros, one for each unit that can be rescaled. Training hardly moves along the tail; that is why one can train with far more weights than rows. All this is for one layer. In deep networks without identity paths slopes become erratic with depth (page 2.13), and so do their planes; the experiment below draws those of a residual network.",
  ],
  code: (s) => {
    const list = (p) => `[${p.join(", ")}]`, [a, b] = WEIGHTS[s.activation], order = s.end === "paired" ? PAIRED[s.activation] : range(M);
    return `
import jax, jax.numpy as jnp, numpy as np
from numdl.analysis import cut

x, act, r = np.linspace(-2, 2, 25), ${s.activation === "relu" ? "jax.nn.relu" : "jnp.tanh"}, ${s.scale}
c = np.sin(2 * x) + 0.5 * np.cos(4 * x + 1)
w = np.array(${list(a[0])})
b = np.array(${list(a[1])})
v = np.array(${list(a[2])})

def outputs(p):
    return act(jnp.outer(x, p[0]) + p[1]) @ p[2]

def misfit(p):
    return jnp.mean((outputs(p) - c) ** 2) / 2

trained = np.array([w, b, v])
here = np.array([w * r, b * r, v / r])
there = ${s.end === "itself" ? "trained" : s.end === "twin" ? "here[:, ::-1]" : `np.array([${b.map(list).join(",\n    ")}])${s.end === "paired" ? `[:, ${list(order)}]` : ""}`}
with jax.enable_x64(True):
    J = np.asarray(jax.jacobian(outputs)(here)).reshape(25, 18)
    print(cut(misfit, here, there, points=61).barrier, np.linalg.eigvalsh(J.T @ J / 25)[-1])
    print(misfit(here))
`;
  },
  codeNote: "It prints the barrier, the largest curvature, and the misfit.",
  prints: (n) => [n.barrier, n.largest, n.E],
  exercises: [
    { ask: "Make the minimum of the relu network look as flat as you can, by $r$ alone: for which $r$ is the sum of all curvatures smallest? (At $r=1$ the first layer has 32.7 of it and the second 15.3.)", input: "r", right: 1.21, wrong: 1,
      check: ({ answer }) => {
        if (!(answer > 0)) return { passed: false, say: "A factor is positive." };
        const passed = Math.abs(answer / FLATTEST - 1) < 0.03, { change } = compute({ scale: answer, look: "plain", end: "itself", activation: "relu", seed: 1 });
        return { passed, say: `With $r = ${say(answer)}$ the sum is ${say(totalAt(answer))}; the smallest possible is ${say(totalAt(FLATTEST))}. The outputs at all samples change by ${say(change)}. ${passed ? "Passed: $r^4 = T_1/T_2$, the same function, and flatter." : "Set the derivative of $T_1/r^2 + r^2T_2$ to zero."}` };
      } },
    { ask: "You walk straight from a relu network to itself with its first layer times 3 and its second over 3. By which factor are its outputs too large halfway?", input: "factor", right: 1.3333, wrong: 1,
      check: ({ answer }) => ({ passed: Math.abs(answer - 4 / 3) < 0.01, say: Math.abs(answer - 4 / 3) < 0.01 ? "Passed: $\\frac{1+3}2\\cdot\\frac{1+1/3}2 = \\frac43$." : "Halfway the first layer is multiplied by $\\frac{1+3}2$, and the second by?" }) },
  ],
  sources: [
    "H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, Visualizing the loss landscape of neural nets, *NeurIPS* 31 (2018).",
    "L. Dinh, R. Pascanu, S. Bengio and Y. Bengio, Sharp minima can generalize for deep nets, *ICML* 2017 (rescaling).",
    "R. Entezari, H. Sedghi, O. Saukh and B. Neyshabur, The role of permutation invariance in linear mode connectivity of neural networks, *ICLR* 2022.",
    "In numdl: `numdl experiment run loss-landscape`.",
  ],
  trials: ENDS.flatMap(([end], i) => [[0.1, "plain", "relu"], [1, "filter", "relu"], [3.162, "filter", "tanh"], [2, "plain", "relu"], [10, "filter", "relu"], [1, "plain", "tanh"]].map(([r, look, activation], k) => ({ scale: r, look, end, activation, seed: 1 + ((i + k) % 3) }))),
  compare: (n) => ({ values: n.values, line: n.line, barrier: 1 + n.barrier, plane: n.plane, planeBefore: n.planeBefore, around: linspace(-0.6, 0.6, 5).flatMap((b) => linspace(-0.6, 0.6, 5).map((a) => n.at(a, b))), change: 1 + n.change, paired: [n.barriers.second, n.barriers.paired] }),
};
