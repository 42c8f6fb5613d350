// 3.5: what do the dynamics promise?
import { median, norm, random, range, sum } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";
import { STEP } from "../../lib/schemes.mjs";

// Four units, 20 layers of length 1/2 that share their weights, 8 draws. A state carries the four columns of its derivative.
const H = 0.5, LAYERS = 20, DRAWS = 8, S = [[0, 0, 1, 0], [0, 0, 0, 1], [-1, 0, 0, 0], [0, -1, 0, 0]];
const DYNAMICS = [["plain", "plain layers, tanh(Ku + b)"], ["antisymmetric", "antisymmetric layers, K − K′ for K"], ["hamiltonian", "Hamiltonian layers"], ["parabolic", "parabolic layers, −K′tanh(Ku + b)"]];
const SCHEMES = [["euler", "Euler"], ["heun", "Heun"], ["rk4", "RK4"], ["verlet", "Verlet (Hamiltonian only)"]];
export const scheme = ({ dynamics, scheme: name }) => (name === "verlet" && dynamics !== "hamiltonian" ? "heun" : name);

const DRAWN = range(DRAWS).map((i) => { const rng = random(i + 1); return { K: range(4).map(() => rng.normals(4)), b: rng.normals(4).map((x) => 0.1 * x), u: rng.normals(4).map((x) => 0.5 * x), v: rng.normals(4) }; });
function apply(K, x) { const out = []; for (const row of K) { let s = 0; for (let j = 0; j < x.length; j++) s += row[j] * x[j]; out.push(s); } return out; }
function back(K, y) { const out = []; for (let j = 0; j < K[0].length; j++) { let s = 0; for (let i = 0; i < y.length; i++) s += K[i][j] * y[i]; out.push(s); } return out; }
const square = (K, from, size) => [0, 1].map((i) => [0, 1].map((j) => size * K[from + i][j])); // two 2 x 2 blocks of the draw

// For each dynamics: u -> [right-hand side, v -> its derivative times v].
function field(dynamics, { K, b }, size) {
  if (dynamics === "hamiltonian") {
    const A = square(K, 0, size / Math.SQRT2), B = square(K, 2, size / Math.SQRT2), half = (M, c, sign) => (x) => { const t = apply(M, x).map((y, i) => Math.tanh(y + c[i])); return [back(M, t).map((y) => sign * y), (v) => back(M, apply(M, v).map((y, i) => sign * (1 - t[i] ** 2) * y))]; };
    return { first: half(A, b.slice(0, 2), 1), second: half(B, b.slice(2), -1), energy: (u) => sum(apply(A, u.slice(2)).map((y, i) => Math.log(Math.cosh(y + b[i])))) + sum(apply(B, u.slice(0, 2)).map((y, i) => Math.log(Math.cosh(y + b[2 + i])))) };
  }
  const W = K.map((row, i) => row.map((x, j) => (size / 2) * (dynamics === "antisymmetric" ? x - K[j][i] : x)));
  return (u) => {
    const t = apply(W, u).map((y, i) => Math.tanh(y + b[i])), d = t.map((x) => 1 - x * x), J = (v) => apply(W, v).map((y, i) => d[i] * y);
    return dynamics === "parabolic" ? [back(W, t).map((x) => -x), (v) => back(W, J(v)).map((x) => -x)] : [t, J];
  };
}
// One layer for u and the columns of the identity: 20 numbers.
function layer(how, f, u) {
  const start = [...u, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], columns = (w) => range(5).map((k) => w.slice(4 * k, 4 * k + 4));
  if (how === "verlet") {
    let all = columns(start);
    const kick = (part, from, to, h) => { const [rate, J] = f[part](all[0].slice(from, from + 2)); all = all.map((c, k) => c.map((x, i) => (i >= to && i < to + 2 ? x + h * (k ? J(c.slice(from, from + 2)) : rate)[i - to] : x))); };
    kick("second", 0, 2, H / 2); kick("first", 2, 0, H); kick("second", 0, 2, H / 2);
    return all;
  }
  const whole = typeof f === "function" ? f : (u) => { const [p, P] = f.first(u.slice(2)), [q, Q] = f.second(u.slice(0, 2)); return [[...p, ...q], (v) => [...P(v.slice(2)), ...Q(v.slice(0, 2))]]; };
  return columns(STEP[how]((t, w) => { const [u0, ...V] = columns(w), [rate, J] = whole(u0); return [...rate, ...V.flatMap(J)]; }, 0, start, H));
}

export function run(dynamics, how, draw, size) {
  const f = field(dynamics, draw, size), states = [draw.u], jacobians = [];
  let M = range(4).map((i) => range(4).map((j) => +(i === j))); // columns of the derivative of all layers
  for (let k = 0; k < LAYERS; k++) { const [u, ...A] = layer(how, f, states[k]); states.push(u); jacobians.push(A); M = M.map((c) => range(4).map((i) => A.reduce((s, a, j) => s + a[i] * c[j], 0))); }
  let p = draw.v.map((x) => x / norm(draw.v));
  const slopes = [1];
  for (let k = LAYERS - 1; k >= 0; k--) { p = jacobians[k].map((a) => a.reduce((s, x, i) => s + x * p[i], 0)); slopes.unshift(norm(p)); }
  const symplectic = Math.max(...M.flatMap((c, i) => M.map((d, j) => Math.abs(S.reduce((s, row, a) => s + c[a] * row.reduce((t, x, b) => t + x * d[b], 0), 0) - S[i][j])))) / Math.max(1, ...M.flat().map((x) => x * x));
  const energies = f.energy ? states.map(f.energy) : null;
  return { slopes, symplectic, states, drift: energies && energies.map((e) => e / energies[0]), size: states.map((u) => norm(u) / norm(draw.u)) };
}
// Energy error so far of Hamiltonian layers after 1, 2, ..., LONG steps, for the draw whose energy swings most.
const LONG = 4000, SWINGS = 5;
export function inTheLongRun(how, size, layers = LONG) {
  const { first, second, energy } = field("hamiltonian", DRAWN[SWINGS], size), F = (z) => first(z)[0], G = (y) => second(y)[0];
  let u = DRAWN[SWINGS].u, most = 0;
  const start = energy(u), found = [], whole = (t, w) => [...F(w.slice(2)), ...G(w.slice(0, 2))];
  for (let k = 0; k < layers; k++) {
    if (how === "verlet") {
      const kick = (a, b, h) => a.map((x, i) => x + h * b[i]);
      const z = kick(u.slice(2), G(u.slice(0, 2)), H / 2), y = kick(u.slice(0, 2), F(z), H);
      u = [...y, ...kick(z, G(y), H / 2)];
    } else u = STEP[how](whole, 0, u, H);
    most = Math.max(most, Math.abs(energy(u) / start - 1));
    found.push(most);
  }
  return found;
}
const ran = new Map();
const longRun = (how, size) => { const key = `${how} ${size}`; if (!ran.has(key)) ran.set(key, inTheLongRun(how, size)); return ran.get(key); };
const kept = new Map();
function compute(s) {
  const how = scheme(s), key = `${s.dynamics} ${how} ${s.size}`;
  if (!kept.has(key)) {
    const runs = DRAWN.map((draw) => run(s.dynamics, how, draw, s.size)), over = (name, pick) => range(LAYERS + 1).map((k) => pick(runs.map((one) => one[name][k]))), band = (name) => ({ low: over(name, (x) => Math.min(...x)), middle: over(name, median), high: over(name, (x) => Math.max(...x)) });
    const slopes = band("slopes"), other = band(s.dynamics === "hamiltonian" ? "drift" : "size");
    kept.set(key, { runs, slopes, other, how, symplectic: Math.max(...runs.map((one) => one.symplectic)), least: Math.min(...slopes.low), most: Math.max(...slopes.high), drift: s.dynamics === "hamiltonian" ? Math.max(...runs.flatMap((one) => one.drift.map((e) => Math.abs(e - 1)))) : NaN });
  }
  return kept.get(key);
}
const TIMES = range(LAYERS + 1).map((k) => k * H);

export const page = {
  id: "3.5",
  question: "What do the dynamics promise?",
  goal: "You will know which networks cannot lose a slope, which cannot let it grow, and which steps keep these promises.",
  minutes: 20,
  needs: "pages 2.13 and 3.2",
  controls: {
    dynamics: { kind: "choice", label: "dynamics", options: DYNAMICS, value: "hamiltonian" },
    scheme: { kind: "choice", label: "scheme", options: SCHEMES, value: "verlet" },
    size: { kind: "slider", label: "size of the weights", min: 0.2, max: 2.4, step: 0.1, value: 0.6, play: 250, show: (x) => say(x) },
  },
  hidden: {},
  guess: {
    ask: "A differential equation conserves an energy. You follow it by RK4, which has order 4, with the step $\\tfrac12$, and by Verlet's steps, which have order 2. After a very long time, whose energy is nearer to the right one?",
    options: ["RK4's: the higher order wins", "Verlet's", "neither can be trusted"], answer: 1, see: { scheme: "rk4" },
    why: "RK4's energy error is small in each step and adds up without end. Verlet's steps conserve another energy exactly, or nearly so, which is close to the right one: the error swings and stays. In 20 layers RK4 is still far ahead; the lowest figure follows both for 4000.",
  },
  sentence: [
    "Take [[dynamics]] with [[scheme]] steps and weights of size [[size]], 20 layers of length ½, 8 draws. Between the last and the first layer a slope is multiplied by something between {{least}} and {{most}}. {{promise}}",
  ],
  breaks: [
    { label: "The Hamiltonian promise", patch: { dynamics: "hamiltonian", scheme: "verlet", size: 0.6 }, why: "The energy stays within some percent for ever, and $J'SJ = S$ to rounding: no direction can shrink unless another one grows as much." },
    { label: "Same promise, wrong steps", patch: { dynamics: "hamiltonian", scheme: "euler", size: 0.6 }, why: "The differential equation still promises. Euler's steps let the energy grow, layer by layer, and the identity is gone." },
    { label: "Break the parabolic promise", patch: { dynamics: "parabolic", scheme: "euler", size: 2.4 }, why: "The flow cannot expand. A step longer than $2/|K|^2$ overshoots, and expands." },
  ],
  disabled: () => [],
  compute,
  values: (n, s) => ({
    least: say(n.least), most: say(n.most),
    promise: s.dynamics === "hamiltonian" ? `The energy is kept within ${say(100 * n.drift)} %, and J′SJ = S within ${say(n.symplectic)}.` : s.scheme === "verlet" ? "Verlet's steps need two halves that move each other only, so Heun's were taken." : s.dynamics === "parabolic" ? (n.most <= 1 + 1e-12 ? "No slope grows, as promised." : "Some slope grows, against the promise.") : s.dynamics === "plain" ? "Nothing was promised." : "The eigenvalues of each layer are imaginary, which is a hint and no promise.",
  }),
  views: [
    {
      frame: () => ({ title: "Slopes on their way to the first layer", height: 360, x: { min: 0, max: LAYERS * H, label: "time of the layer" }, y: { min: 1e-4, max: 1e4, log: true, label: "norm of the slope, 1 at the end" } }),
      draw(plot, n, s, { ghost }) {
        plot.across(1, { width: 1 });
        plot.area(TIMES, n.slopes.low, n.slopes.high, { color: "orange", label: "all draws" });
        if (ghost) plot.line(TIMES, ghost.numbers.slopes.middle, { color: "orange", faint: true, width: 1.6 });
        plot.line(TIMES, n.slopes.middle, { color: "orange", label: "median" });
      },
    },
    {
      frame: (n, { dynamics }) => ({ title: dynamics === "hamiltonian" ? "Energy over its start" : "Norm of the state over its start", height: 360, x: { min: 0, max: LAYERS * H, label: "time" }, y: n.drift < 0.2 ? { min: 0.8, max: 1.2, label: "energy" } : { min: 0.01, max: 100, log: true, label: dynamics === "hamiltonian" ? "energy" : "norm" } }),
      draw(plot, n, s, { ghost }) {
        plot.across(1, { width: 1, label: s.dynamics === "hamiltonian" ? "what the flow promises" : "" });
        plot.area(TIMES, n.other.low, n.other.high, { color: "blue", label: "all draws" });
        if (ghost && (ghost.settings.dynamics === "hamiltonian") === (s.dynamics === "hamiltonian")) plot.line(TIMES, ghost.numbers.other.middle, { color: "blue", faint: true, width: 1.6 });
        plot.line(TIMES, n.other.middle, { color: "blue", label: "median" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "The long run: largest energy error so far, Hamiltonian layers, one draw", height: 230, x: { min: 1, max: LONG, log: true, label: "layers" }, y: { min: 1e-6, max: 10, log: true, label: "error / energy" } }),
      draw(plot, n, { size }, { open }) {
        if (!open) return; // it answers the guess
        const at = range(LONG).map((k) => k + 1).filter((k) => k < 50 || k % 25 === 0);
        for (const [how, color, label] of [["rk4", "orange", "RK4"], ["verlet", "blue", "Verlet"]]) plot.line(at, at.map((k) => longRun(how, size)[k - 1] || 1e-9), { color, label });
        plot.upright(LAYERS, { label: "the 20 layers above" });
      },
    },
  ],
  table: (n) => ({ head: ["time", "slope: least", "median", "largest", "second figure: median"], rows: range(LAYERS + 1).filter((k) => k % 2 === 0).map((k) => [TIMES[k], say(n.slopes.low[k]), say(n.slopes.middle[k]), say(n.slopes.high[k]), say(n.other.middle[k])]) }),
  claims: (n, s) => [
    { sentence: "No slope vanishes or explodes: in all draws it stays within a factor 10.", holds: n.least >= 0.1 && n.most <= 10, found: `It lies between ${say(n.least)} and ${say(n.most)}.`, why: { plain: "Eigenvalues of plain weights may lie anywhere, and layers multiply what they do.", antisymmetric: n.how === "euler" ? "Euler's steps let everything on the imaginary axis grow." : "Each layer's eigenvalues are imaginary, but those of the product need not be of size one (page 3.3), and tanh flattens what is large.", hamiltonian: "The volume is kept; single directions may still stretch, and others shrink, when weights are large.", parabolic: n.least < 0.1 ? "A parabolic flow forgets; that is its purpose." : "These steps are too long for weights of this size." }[s.dynamics] },
    { sentence: "No slope grows.", holds: n.most <= 1 + 1e-12, found: `The largest is ${say(n.most)} times what it was.`, why: s.dynamics === "parabolic" ? "The flow would keep this promise. Near zero a step needs $h|K|^2 \\le 2$ with Euler and Heun, and 2.78 with RK4." : "Only parabolic flows promise it." },
    { sentence: "The energy is kept within 5 %.", holds: n.drift <= 0.05, found: s.dynamics === "hamiltonian" ? `It moves by up to ${say(100 * n.drift)} %.` : "These dynamics have no energy to keep.", why: s.dynamics === "hamiltonian" ? (n.how === "verlet" ? "The steps are too long for weights of this size. The error goes with $h^2$, and beyond $h\\omega = 2$ Verlet's steps are unstable too." : "The scheme is not symplectic: what it loses or gains in a step adds up.") : "Choose Hamiltonian layers." },
    { sentence: "The network is symplectic: $J'SJ = S$ to ten digits, relative to $J$.", holds: n.symplectic < 1e-10, found: `They differ by ${say(n.symplectic)}.`, why: s.dynamics === "hamiltonian" ? "Of these schemes only Verlet's keeps it, at every step size." : "That is a promise of Hamiltonian dynamics." },
  ],
  text: [
    "## Three promises",
    "*Antisymmetric* layers $\\tanh((K-K')u + b)$ have Jacobians $\\operatorname{diag}(\\tanh')(K-K')$ with imaginary eigenvalues: at every moment neighbours turn around each other and neither part nor meet. With weights that change, or slopes of tanh that do, this is a good hint and no theorem.",
    "*Hamiltonian* layers have two halves that move each other,",
    "$$ y' = K_1'\\tanh(K_1z + b_1), \\qquad z' = -K_2'\\tanh(K_2y + b_2). $$",
    "They conserve the energy $\\sum\\log\\cosh(K_1z+b_1) + \\sum\\log\\cosh(K_2y+b_2)$ as long as the weights do not change in time. And always, the derivative $J$ of the last state by the first satisfies",
    "$$ J'SJ = S, \\qquad S = \\begin{pmatrix} 0 & I \\\\ -I & 0\\end{pmatrix}. $$",
    "So $|J'SJv| = |v|$ for every $v$, and $|Jw|\\ge|w|/|J|$: slopes cannot all vanish, because a slope that shrinks to almost nothing would need a direction that grows without bound.",
    "*Parabolic* layers $-K'\\tanh(Ku+b)$ have Jacobians $-K'DK$ with $0 \\le D\\le I$: symmetric, with no positive eigenvalue. Two states never move apart, noise is damped, and slopes never grow.",
    "## Who keeps them",
    "A promise of the differential equation is kept by its discretisation only if the scheme knows of it. Verlet's steps satisfy $J'SJ=S$ to rounding, whatever $h$; their energy error swings with the size $h^2$ and does not grow. RK4 is more accurate for a while and then drifts. Euler breaks the first two promises at every $h$, and keeps the third as long as $h|K|^2\\le2$.",
  ],
  code: (s) => `
import numpy as np

dynamics, scheme, size, h = "${s.dynamics}", "${scheme(s)}", ${s.size}, ${H}
draw = np.random.RandomState(1).standard_normal  # the first of the draws
K, b, u, v = draw((4, 4)), 0.1 * draw(4), 0.5 * draw(4), draw(4)
K1, K2 = np.sqrt(0.5) * size * K[:2, :2], np.sqrt(0.5) * size * K[2:, :2]
F, G = lambda z: K1.T @ np.tanh(K1 @ z + b[:2]), lambda y: -K2.T @ np.tanh(K2 @ y + b[2:])
W = size / 2 * (K - K.T if dynamics == "antisymmetric" else K)
sign = -W.T if dynamics == "parabolic" else np.eye(4)
f = lambda u: np.append(F(u[2:]), G(u[:2])) if dynamics == "hamiltonian" else sign @ np.tanh(W @ u + b)

def layer(u):
    if scheme == "verlet":
        z = u[2:] + h / 2 * G(u[:2])
        y = u[:2] + h * F(z)
        return np.append(y, z + h / 2 * G(y))
    k1, k2 = f(u), f(u + h / 2 * f(u))
    k3 = f(u + h / 2 * k2)
    rk4 = (k1 + 2 * k2 + 2 * k3 + f(u + h * k3)) / 6
    return u + h * {"euler": k1, "heun": (k1 + f(u + h * k1)) / 2, "rk4": rk4}[scheme]
columns = u + 1e-30j * np.vstack([np.zeros((1, 4)), np.eye(4)])  # complex steps give the derivative
for _ in range(${LAYERS}):
    columns = np.array([layer(column) for column in columns])
print(np.linalg.norm(columns[0].real), np.linalg.norm(columns[1:].imag / 1e-30 @ v) / np.linalg.norm(v))
`,
  codeNote: "For the first draw it prints the norm of the last state and the norm of the slope in the first layer.",
  prints: (n) => [norm(n.runs[0].states.at(-1)), n.runs[0].slopes[0]],
  exercises: [
    { ask: "Of all pairs of these dynamics and schemes, with $h=\\tfrac12$ and weights of size ½: how many satisfy $J'SJ = S$ to ten digits?", input: "pairs", right: 1, wrong: 4,
      check: ({ answer }) => { const count = DYNAMICS.flatMap(([dynamics]) => SCHEMES.filter(([name]) => name !== "verlet" || dynamics === "hamiltonian").map(([name]) => compute({ dynamics, scheme: name, size: 0.5 }))).filter((n) => n.symplectic < 1e-10).length; return { passed: answer === count, say: answer === count ? "Passed: Hamiltonian layers with Verlet's steps, and no other pair." : "Go through the schemes with Hamiltonian layers and read the last claim." }; } },
    { ask: "Parabolic layers with $|K| = 3$, by Euler. Up to which step is it certain that no slope grows?", input: "h =", right: 0.2222, wrong: 0.6667,
      check: ({ answer }) => ({ passed: Math.abs(answer - 2 / 9) < 0.003, say: Math.abs(answer - 2 / 9) < 0.003 ? "Passed: the eigenvalues of $I - hK'DK$ lie between $1 - h|K|^2$ and 1." : Math.abs(answer - 2 / 3) < 0.01 ? "$K$ occurs twice: the eigenvalues go with $|K|^2$." : "Ask for $1 - h|K|^2 \\ge -1$." }) },
  ],
  sources: [
    "E. Haber and L. Ruthotto, Stable architectures for deep neural networks, *Inverse Problems* 34 (2018), sections 2 and 4.",
    "E. Hairer, C. Lubich and G. Wanner, *Geometric Numerical Integration*, Springer 2006, sections VI.2 and IX.8.",
    "C. Galimberti, L. Furieri, L. Xu and G. Ferrari-Trecate, Hamiltonian deep neural networks guaranteeing nonvanishing gradients by design, *IEEE Transactions on Automatic Control* 68 (2023).",
    "In numdl: `numdl experiment run gradients-and-dynamics` and `energy-conservation`.",
  ],
  trials: DYNAMICS.flatMap(([dynamics]) => SCHEMES.filter(([name]) => name !== "verlet" || dynamics === "hamiltonian").flatMap(([name]) => (name === "heun" ? [0.5] : [0.5, 1.7]).map((size) => ({ dynamics, scheme: name, size })))),
  compare: (n, s) => ({ long: s.size < 1 ? ["rk4", "verlet"].map((how) => inTheLongRun(how, s.size, 200).filter((_, k) => k % 20 === 19)) : [], slopes: n.runs.map((one) => one.slopes), states: n.runs.map((one) => one.states.at(-1)), second: n.runs.map((one) => one.drift ?? one.size) }),
};
