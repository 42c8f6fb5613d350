// 3.1: is a residual network a differential equation?
import { linspace, range } from "../../lib/numerics.mjs";
import { counted, say } from "../../lib/plot.mjs";
import { ORDER, march } from "../../lib/schemes.mjs";

// u' = tanh(K(t) u + b(t)) moves a mesh of 9 x 9 points; a network takes nt steps of size T / nt.
// Its derivative moves along: an entry is a list (u, first column, second column of the derivative).
const SIDE = 9, MESH = linspace(-1, 1, SIDE).flatMap((y) => linspace(-1, 1, SIDE).map((x) => [x, y])), FINE = 256;
const SCHEMES = [["euler", "Euler (a ResNet)"], ["heun", "Heun"], ["rk4", "RK4"]];
const rate = (t, [x, y, ...V]) => {
  const c = 2 * Math.cos(t), f = Math.tanh(c * x + y + 0.5 * Math.sin(t)), g = Math.tanh(-x - c * y), p = 1 - f * f, q = 1 - g * g;
  return V.length ? [f, g, p * (c * V[0] + V[1]), q * (-V[0] - c * V[1]), p * (c * V[2] + V[3]), q * (-V[2] - c * V[3])] : [f, g];
};
export const way = (scheme, nt, T, u) => march(scheme, rate, nt, T, u);
const ends = (scheme, nt, T) => MESH.map((u) => way(scheme, nt, T, u).at(-1));
const apart = (a, b) => Math.sqrt(a.reduce((s, [x, y], i) => s + (x - b[i][0]) ** 2 + (y - b[i][1]) ** 2, 0) / a.length);

// Determinant of the derivative of the map at each point of the mesh: negative where it turns the plane over.
const derivative = (scheme, nt, T) => MESH.map((u) => { const [, , a, b, c, d] = way(scheme, nt, T, [...u, 1, 0, 0, 1]).at(-1); return a * d - b * c; });

const kept = new Map();
function curve(scheme, T) {
  const key = `${scheme} ${T}`;
  if (!kept.has(key)) { const exact = ends("rk4", FINE, T); kept.set(key, { exact, gaps: range(7).map((k) => apart(ends(scheme, 2 ** k, T), exact)) }); }
  return kept.get(key);
}
function compute({ scheme, steps, T }) {
  const { exact, gaps } = curve(scheme, T), nt = 2 ** steps, mesh = ends(scheme, nt, T), dets = derivative(scheme, nt, T);
  return { exact, gaps, nt, h: T / nt, mesh, dets, turned: dets.filter((d) => d <= 0).length, gap: gaps[steps], order: Math.log2(gaps[steps] / gaps[steps + 1]), declared: ORDER[scheme], trails: [0, 8, 30, 50, 72, 80].map((i) => way(scheme, nt, T, MESH[i])) };
}

const lines = (mesh) => [...range(SIDE).map((j) => range(SIDE).map((i) => mesh[j * SIDE + i])), ...range(SIDE).map((i) => range(SIDE).map((j) => mesh[j * SIDE + i]))];
const rows = (list) => [list.map((u) => u[0]), list.map((u) => u[1])];

export const page = {
  id: "3.1",
  question: "Is a residual network a differential equation?",
  goal: "You will tell depth from time, predict what twice as many layers change, and see what a layer can do that no flow can.",
  minutes: 15,
  needs: "a residual layer; what a differential equation is",
  controls: {
    scheme: { kind: "choice", label: "scheme", options: SCHEMES, value: "euler" },
    steps: { kind: "slider", label: "layers", min: 0, max: 5, value: 2, show: (k) => counted(2 ** k, "layer") },
    T: { kind: "slider", label: "final time", min: 0.25, max: 3, step: 0.25, value: 1, play: 350, show: (x) => say(x) },
  },
  hidden: {},
  guess: {
    ask: "A network of residual layers $u + h f(t,u)$ follows a differential equation up to the time $T = 1$, and misses it by some gap. You take twice as many layers, each half as long, so that $T$ stays. What becomes of the gap?",
    options: ["nothing: a deeper network is a different one", "about a half", "about a quarter"], answer: 1, hides: ["factor"],
    why: "Each Euler step misses by about $h^2$, and there are $T/h$ of them, so the gap goes with $h$. A quarter would be Heun's.",
  },
  sentence: [
    "Take [[steps]] by [[scheme]] up to the time $T=$ [[T]], each of length {{h}}. The mesh ends {{gap}} away from where the differential equation takes it, and at {{turned}} of its 81 points the network has turned the plane over. Twice as many layers would divide the gap by {{factor}}.",
  ],
  breaks: [
    { label: "Break it", patch: { scheme: "euler", steps: 0, T: 1 }, why: "One long layer folds the mesh: around the red points the plane lies with its back upwards, and points that were apart coincide. No differential equation can do that, because two of its paths never meet." },
    { label: "Longer, not deeper", patch: { scheme: "euler", steps: 2, T: 2 }, why: "Time has doubled, the number of layers has not: each layer has to go twice as far, and the gap has grown." },
  ],
  compute,
  values: (n) => ({ h: say(n.h), gap: say(n.gap), turned: String(n.turned), factor: say(2 ** n.order) }),
  views: [
    {
      frame: () => ({ title: "Where the mesh ends", equal: true, height: 400, x: { min: -2.2, max: 2.2, label: "u₁" }, y: { min: -2.2, max: 2.2, label: "u₂" } }),
      draw(plot, n, s, { ghost }) {
        for (const line of lines(n.exact)) plot.line(...rows(line), { color: "grey", width: 1.2, label: "differential equation" });
        if (ghost) for (const line of lines(ghost.numbers.mesh)) plot.line(...rows(line), { color: "orange", faint: true, width: 0.8 });
        for (const line of lines(n.mesh)) plot.line(...rows(line), { color: "orange", width: 1.3, label: "network" });
        const over = n.mesh.filter((_, i) => n.dets[i] <= 0);
        if (over.length) plot.dots(...rows(over), { color: "red", shape: "cross", size: 3.5, label: "turned over" });
        for (const trail of n.trails) { plot.line(...rows(trail), { color: "blue", width: 1, dash: "3 3" }); plot.dots(...rows(trail), { color: "blue", size: n.nt > 16 ? 1.4 : 2.4, label: "six points, layer by layer" }); }
      },
    },
    {
      frame: () => ({ title: "Gap to the differential equation", height: 400, x: { min: 0.8, max: 80, log: true, label: "layers", ticks: [1, 2, 4, 8, 16, 32, 64] }, y: { min: 1e-9, max: 10, log: true, label: "root mean square distance" } }),
      draw(plot, n, s, { ghost }) {
        const at = range(7).map((k) => 2 ** k);
        plot.line(at, at.map((k) => n.gaps[6] * (64 / k) ** n.declared), { color: "grey", dash: "5 4", width: 1.4, label: `falls with the power ${n.declared} of h` });
        if (ghost) plot.line(at, ghost.numbers.gaps, { color: "orange", faint: true, label: "your last setting" });
        plot.line(at, n.gaps, { color: "orange", width: 1.4 });
        plot.dots(at, n.gaps, { color: "orange", size: 3.4, label: "network" });
        plot.dots([n.nt], [n.gap], { color: "ink", shape: "ring", size: 7, label: "now" });
      },
    },
  ],
  table: (n, { T }) => ({ head: ["layers", "h", "gap", "divided by"], rows: range(7).map((k) => [2 ** k, say(T / 2 ** k), say(n.gaps[k]), k ? say(n.gaps[k - 1] / n.gaps[k]) : ""]) }),
  claims: (n, s) => [
    { sentence: `Twice as many layers divide the gap by ${2 ** n.declared}: the order is ${n.declared}, within 0.1.`, holds: Math.abs(n.order - n.declared) <= 0.1, found: `From ${n.nt} to ${2 * n.nt} layers it is divided by ${say(2 ** n.order)}, which is order ${say(n.order)}.`, why: "The law speaks of short steps. Here terms with higher powers of $h$ still count: take more layers or a shorter time." },
    { sentence: "The network folds nothing: its derivative keeps a positive determinant at all 81 points.", holds: n.turned === 0, found: `It is negative at ${n.turned} of them.`, why: `A flow cannot do that. A layer can, once $1 + h\\lambda$ is negative for a direction that shrinks; $h = ${say(n.h)}$ is too long here.` },
    { sentence: "The network ends within 1 % of the mesh's half width.", holds: n.gap <= 0.01, found: `The gap is ${say(n.gap)}.`, why: `With order ${n.declared} that takes about ${Number.isFinite(n.gap) ? say(Math.ceil(n.nt * Math.max(n.gap / 0.01, 1) ** (1 / n.declared))) : "many more"} layers.` },
  ],
  text: [
    "## Two numbers that are called depth",
    "A residual layer adds to its input, $u_{k+1} = u_k + h\\,f(t_k, u_k)$ with $f(t,u) = \\tanh(K(t)u + b(t))$. That is one step of Euler's method for the differential equation",
    "$$ u'(t) = \\tanh\\bigl(K(t)\\,u(t) + b(t)\\bigr), \\qquad 0 \\le t \\le T . $$",
    "The number of layers $n_t$ says how finely it is followed, $T = n_t h$ how far. A network with $h=1$ and a hundred layers goes a hundred units of time, which is very far. In the figure, the weights are given for *every* time: $K(t)$ has the entries $\\pm2\\cos t$ and $\\pm1$. So it makes sense to take them at more places, and the deeper network is nearly the same map.",
    "## How large is the gap?",
    "One step of a scheme of order $p$ misses by about $h^{p+1}$. The misses of $T/h$ steps add up, each carried along by the flow, to",
    "$$ |u_{n_t} - u(T)| \\le C\\,h^p, $$",
    "where $C$ grows with $T$, in the worst case like $e^{LT}$ with the Lipschitz constant $L$ of the field. Euler has $p=1$, Heun 2, RK4 4. RK4 needs four evaluations of the layer for a step and is still far cheaper for a small gap.",
    "## What a flow cannot do",
    "Through every point at every time passes exactly one path. So a flow never lets two points coincide, never turns the plane over, and can be run backwards. It cannot pull a disc out of a ring that surrounds it, unless it gets a further dimension. A long layer is not bound by this: near a point it acts like $I + hJ$, and $1 + h\\lambda$ is negative once a negative eigenvalue $\\lambda$ of $J$ meets a step above $1/|\\lambda|$. Here $K(0)$ has the eigenvalues $\\pm\\sqrt3$, so a first step longer than $1/\\sqrt3 = 0.58$ folds the mesh at the origin. Heun's does not: it multiplies by $1 + h\\lambda + h^2\\lambda^2/2$, which is positive for every real $\\lambda$.",
    "So is a residual network a differential equation? It is, if its weights change little from layer to layer and its layers are short. Nothing in ordinary training asks for either; page 3.4 shows a network that has not learnt one.",
  ],
  code: (s) => `
import numpy as np

def f(t, u):
    x, y = u
    return np.tanh([2 * np.cos(t) * x + y + 0.5 * np.sin(t), -x - 2 * np.cos(t) * y])

def march(scheme, nt, u, T=${s.T}):
    h = T / nt
    for t in h * np.arange(nt):
        a = f(t, u)
        b = f(t + h, u + h * a) if scheme == "heun" else f(t + h / 2, u + h / 2 * a)
        c = f(t + h / 2, u + h / 2 * b)
        slopes = {"euler": a, "heun": (a + b) / 2, "rk4": (a + 2 * b + 2 * c + f(t + h, u + h * c)) / 6}
        u = u + h * slopes[scheme]
    return u

mesh = np.array(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)))
exact = march("rk4", ${FINE}, mesh)
gaps = [np.sqrt(np.mean(np.sum((march("${s.scheme}", nt, mesh) - exact) ** 2, axis=0))) for nt in (${2 ** s.steps}, ${2 ** (s.steps + 1)})]
print(gaps[0], np.log2(gaps[0] / gaps[1]))
`,
  prints: (n) => [n.gap, n.order],
  exercises: [
    { ask: "Euler, $T = 1$: read the gap at 16 and at 32 layers. Predict it for 64, which the slider does not reach.", input: "gap", right: 0.00502, wrong: 0.01,
      check: ({ answer }) => { const wanted = curve("euler", 1).gaps[6], passed = Math.abs(answer / wanted - 1) < 0.05; return { passed, say: passed ? `Passed: it is ${say(wanted)}. Half the step, half the gap.` : "Euler has order 1: half the step, half the gap." }; } },
    { ask: "RK4 has a certain gap with 16 layers. About how many layers make it a thousand times smaller?", input: "layers", right: 90, wrong: 16000,
      check: ({ answer }) => { const passed = Math.abs(answer / (16 * 1000 ** 0.25) - 1) < 0.04; return { passed, say: passed ? "Passed: $16\\cdot 1000^{1/4} = 90$. Euler would need 16,000." : Math.abs(answer - 16000) < 500 ? "That would be Euler's order 1. RK4 has order 4." : "The gap goes with $h^4$, so $(n/16)^4$ must be 1000." }; } },
  ],
  sources: [
    "W. E, A proposal on machine learning via dynamical systems, *Communications in Mathematics and Statistics* 5 (2017).",
    "E. Haber and L. Ruthotto, Stable architectures for deep neural networks, *Inverse Problems* 34 (2018), section 2.",
    "E. Hairer, S. P. Nørsett and G. Wanner, *Solving Ordinary Differential Equations I*, Springer 1993, section II.3 (convergence).",
    "In numdl: `numdl.models.ResNet(..., depth, T, scheme)` keeps the two numbers apart; `numdl experiment run swiss-roll` trains one.",
  ],
  trials: SCHEMES.flatMap(([scheme]) => [0, 3].flatMap((steps) => [0.5, 1, 2, 3].map((T) => ({ scheme, steps, T })))),
  compare: (n) => ({ mesh: n.mesh, exact: n.exact, gap: n.gap, dets: n.dets }),
};
