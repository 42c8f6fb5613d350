// 3.12: can every layer be trained for itself?
import { norm, range } from "../../lib/numerics.mjs";
import { counted, say } from "../../lib/plot.mjs";

// min q/2 u(1)^2 + 1/2 int v^2 dt, u' = a u + v, u(0) = 1: numdl.linalg's Riccati recursion solves it for 64 layers of Euler,
// u_{k+1} = (1 + h a) u_k + h v_k. A sweep of Pontryagin's principle: states forwards, adjoint backwards, every v_k for itself.
const LAYERS = 64, H = 1 / LAYERS;
const TIMES = range(LAYERS + 1).map((k) => k * H), MIDDLES = range(LAYERS).map((k) => (k + 0.5) * H);

const forwards = (a, v) => { const u = [1]; for (let k = 0; k < LAYERS; k++) u.push((1 + H * a) * u[k] + H * v[k]); return u; };
const backwards = (a, last) => { const p = [last]; for (let k = LAYERS - 1; k > 0; k--) p.unshift((1 + H * a) * p[0]); return p; };
// The layer's own problem: min over v of v^2/2 + p v + rho/2 (v - v_old)^2, p the slope of the end behind the layer.
const sweep = (a, q, rho, v) => { const p = backwards(a, q * forwards(a, v)[LAYERS]); return v.map((old, k) => (rho * old - p[k]) / (1 + rho)); };
const gain = (a) => { let G = 0, m = 1; for (let k = 0; k < LAYERS; k++) { G += H * m * m; m *= 1 + H * a; } return G; };

function compute({ growth: a, weight: q, rho, sweeps }) {
  const G = gain(a), factor = (rho - q * G) / (1 + rho), grown = (1 + H * a) ** LAYERS, end = grown / (1 + q * G);
  const exact = backwards(a, -q * end), all = [range(LAYERS).map(() => 0)];
  for (let k = 0; k < 40; k++) all.push(sweep(a, q, rho, all[k]));
  const errors = all.map((v) => norm(v.map((x, k) => x - exact[k])) / norm(exact)), v = all[sweeps];
  return { G, factor, exact, v, before: all[Math.max(sweeps - 1, 0)], errors, u: forwards(a, v), uExact: forwards(a, exact), p: backwards(a, q * forwards(a, v)[LAYERS]), end, cost: (w) => (q * forwards(a, w)[LAYERS] ** 2) / 2 + (H * norm(w) ** 2) / 2, smallest: Math.max(0, (q * G - 1) / 2), best: q * G };
}

export const page = {
  id: "3.12",
  question: "Can every layer be trained for itself?",
  goal: "You will sweep through the layers with Pontryagin's principle, see why plain sweeps explode, and hold them with one number.",
  minutes: 20,
  needs: "a residual network read as a controlled differential equation, and gradients by the adjoint",
  controls: {
    growth: { kind: "slider", label: "growth a", min: -1, max: 1.5, step: 0.1, value: 0.5, show: (x) => say(x) },
    rho: { kind: "slider", label: "hold rho", min: 0, max: 40, step: 0.25, value: 0, show: (x) => say(x) },
    sweeps: { kind: "slider", label: "sweeps", min: 0, max: 40, value: 0, play: 500, show: (k) => counted(k, "sweep") },
  },
  hidden: { weight: 5 },
  guess: {
    ask: "Pontryagin's principle says: given the states before each layer and the slopes behind it, every layer can be optimised for itself, all at the same time. Repeat that from zero. What happens on a problem with one state and a quadratic goal?",
    options: ["it converges, to the optimum", "it converges, to something else", "it explodes"], answer: 2, hides: ["factor"], see: { sweeps: 5 },
    why: "Each layer corrects the whole error, because it does not know that the others do so too. Sixty-four layers overshoot together, by a factor of 8.5 a sweep here.",
  },
  sentence: [
    "A state that grows at the rate $a=$ [[growth]] is to be steered to zero. Hold each layer near its old weight with $\\rho=$ [[rho]]. After [[sweeps]] the error is {{error}} what it was at the start; each sweep multiplies it by {{factor}}.",
  ],
  breaks: [
    { label: "Next sweep", patch: (s) => ({ sweeps: s.sweeps + 1 }) },
    { label: "No hold, 5 sweeps", patch: { rho: 0, sweeps: 5, growth: 0.5 }, why: "Without a hold the weights swing to the other side in every sweep, farther each time." },
    { label: "One perfect sweep", patch: (s, n) => ({ rho: Math.round(4 * n.best) / 4, sweeps: 1 }), why: "With $\\rho = qG$ the factor is zero, and one sweep is enough. In a network nobody knows $qG$; methods try $\\rho$ and raise it when the cost rises." },
  ],
  compute,
  values: (n, s) => ({ error: `${say(n.errors[s.sweeps] / n.errors[0])} times`, factor: say(n.factor), G: say(n.G) }),
  views: [
    {
      frame: (n) => { const top = 1.3 * Math.max(...n.uExact); return { title: "State, forwards through the layers", height: 300, x: { min: 0, max: 1, label: "time, 64 layers" }, y: { min: -top, max: top, label: "u" } }; },
      draw(plot, n, s, { ghost }) {
        plot.across(0, { color: "grey", width: 1 });
        plot.line(TIMES, n.uExact, { color: "green", dash: "6 4", label: "optimal (Riccati)" });
        if (ghost) plot.line(TIMES, ghost.numbers.u, { color: "blue", faint: true, width: 1.5 });
        plot.line(TIMES, n.u, { color: "blue", label: "state now" });
        if (Math.abs(n.u.at(-1)) > plot.y.max) plot.note(0.98, 0, `ends at ${say(n.u.at(-1))}`, { color: "red", anchor: "end", dy: -8 });
      },
    },
    {
      frame: (n) => { const top = 2.4 * Math.max(...n.exact.map(Math.abs)); return { title: "Weights of the layers", height: 300, x: { min: 0, max: 1, label: "time, 64 layers" }, y: { min: -top, max: top, label: "v" } }; },
      draw(plot, n, s) {
        plot.across(0, { color: "grey", width: 1 });
        plot.line(MIDDLES, n.exact, { color: "green", dash: "6 4", label: "optimal" });
        if (s.sweeps > 0) plot.line(MIDDLES, n.before, { color: "orange", faint: true, width: 1.6, label: "before this sweep" });
        plot.line(MIDDLES, n.p.map((x) => -x), { color: "purple", width: 1.5, dash: "2 4", label: "what each layer asks for alone: −p" });
        plot.line(MIDDLES, n.v, { color: "orange", label: "weights now" });
        if (Math.abs(n.v.at(-1)) > plot.y.max) plot.note(0.98, 0, `the weights leave the figure: ${say(n.v.at(-1))}`, { color: "red", anchor: "end", dy: -8 });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Error of the weights after each sweep", height: 190, x: { min: 0, max: 40, label: "sweep" }, y: { min: 1e-12, max: 1e6, log: true, label: "relative error" } }),
      draw(plot, n, s, { ghost }) {
        const at = range(41);
        if (ghost) plot.line(at, ghost.numbers.errors, { color: "blue", faint: true });
        plot.dots(at, n.errors, { color: "blue", size: 2.8, label: "error" });
        plot.line(at, at.map((k) => Math.abs(n.factor) ** k), { color: "grey", dash: "4 3", width: 1.4, label: "factor to the power of the sweep" });
        plot.dots([s.sweeps], [n.errors[s.sweeps]], { color: "orange", size: 6, shape: "ring", label: "now" });
      },
    },
  ],
  table: (n) => ({ head: ["layer", "state u", "slope p", "weight v", "optimal v"], rows: range(LAYERS).filter((k) => k % 8 === 0 || k === LAYERS - 1).map((k) => [k + 1, say(n.u[k]), say(n.p[k]), say(n.v[k]), say(n.exact[k])]) }),
  claims: (n, s) => [
    { sentence: "The sweeps converge.", holds: Math.abs(n.factor) < 1, found: `Factor ${say(n.factor)} a sweep.`, why: `They need $\\rho > (qG - 1)/2 = ${say(n.smallest)}$; you have ${say(s.rho)}. Below it all layers together overshoot.` },
    { sentence: "They do not swing from side to side.", holds: n.factor >= -1e-12, found: n.factor < 0 ? "The factor is negative." : "The factor is not negative.", why: `That takes $\\rho \\ge qG = ${say(n.best)}$. Below it every sweep crosses the optimum.` },
    { sentence: "The cost falls with this sweep.", holds: s.sweeps === 0 || n.cost(n.v) <= n.cost(n.before) * (1 + 1e-12), found: s.sweeps === 0 ? `It is ${say(n.cost(n.v))} before the first sweep.` : `It goes from ${say(n.cost(n.before))} to ${say(n.cost(n.v))}.`, why: "Each layer lowered its own Hamiltonian, as the principle asks. Together they raised the cost: the states moved under their feet." },
    { sentence: "Ten sweeps bring the error below a thousandth.", holds: n.errors[10] < 1e-3, found: `It is ${say(n.errors[10])}.`, why: Math.abs(n.factor) >= 1 ? "It does not converge at all." : n.factor > 0 ? `You hold too hard: with $\\rho$ near ${say(n.best)} it would.` : `You hold too little: with $\\rho$ near ${say(n.best)} it would.` },
  ],
  text: [
    "## One sweep",
    "Here is the smallest problem that shows it. A state follows $u' = au + v$ from $u(0)=1$, through 64 Euler layers with one weight $v$ each, and the cost is",
    "$$ \\tfrac q2\\, u(1)^2 + \\tfrac12\\int_0^1 v^2\\,dt, \\qquad q = 5 . $$",
    "*Forwards*: compute all states with the present weights. *Backwards*: start from $p(1) = q\\,u(1)$ and go back with $p' = -ap$; $p$ says how much the end of the cost rises when the state behind a layer is pushed. *Each layer for itself*: choose the $v$ that minimises $\\tfrac12 v^2 + pv + \\tfrac\\rho2 (v - v_{\\text{old}})^2$. That is $v = (\\rho v_{\\text{old}} - p)/(1+\\rho)$, and with $\\rho = 0$ it is Pontryagin's principle as it stands.",
    "## Why it explodes",
    "The error of the weights has one shape only, that of $p$, and its size is multiplied in each sweep by",
    "$$ \\frac{\\rho - qG}{1+\\rho}, \\qquad G = \\int_0^1 e^{2at}\\,dt = \\frac{e^{2a}-1}{2a} . $$",
    "$G$ is what all layers together do to the end of the state when each follows $p$; for 64 layers it is {{G}} at your $a$. With $\\rho = 0$ the factor is $-qG$: the layers add up what each of them alone would do rightly. The hold $\\rho$ must exceed $(qG-1)/2$, and $\\rho = qG$ is perfect. A longer or more unstable network has a larger $G$, and needs more.",
    "The method that does this for networks, extended successive approximations, adds the same term and chooses $\\rho$ by watching the cost. For a linear problem like this one Riccati's equation gives the optimum at once: the dashed green curves.",
  ],
  code: (s) => `
import numpy as np

a, q, rho, layers = ${s.growth}, ${s.weight}, ${s.rho}, 64
h = 1 / layers
v = np.zeros(layers)
for _ in range(${s.sweeps}):
    u = 1.0
    for k in range(layers):  # forwards
        u = (1 + h * a) * u + h * v[k]
    p = q * u
    for k in reversed(range(layers)):  # backwards, each layer for itself
        v[k] = (rho * v[k] - p) / (1 + rho)
        p = (1 + h * a) * p
G = h * np.sum((1 + h * a) ** (2 * np.arange(layers)))
print((rho - q * G) / (1 + rho), v[0], v[-1])
`,
  prints: (n) => [n.factor, n.v[0], n.v.at(-1)],
  exercises: [
    { ask: "With $a = 1$ and $q = 5$: what is the smallest $\\rho$ from which on the sweeps converge? Use $G = (e^{2a}-1)/(2a)$.", input: "ρ =", right: 7.49, wrong: 15.97,
      check: ({ answer }) => { const G = (Math.exp(2) - 1) / 2, wanted = (5 * G - 1) / 2, passed = Math.abs(answer / wanted - 1) < 0.02; return { passed, say: passed ? `Passed: $(qG-1)/2 = ${say(wanted)}$.` : Math.abs(answer / (5 * G) - 1) < 0.02 ? "That is the best $\\rho$, not the smallest." : "The factor $(\\rho - qG)/(1+\\rho)$ reaches $-1$ there." }; } },
    { ask: "And which $\\rho$ needs one sweep only, in the same problem?", input: "ρ =", right: 15.97, wrong: 7.49,
      check: ({ answer }) => { const wanted = (5 * (Math.exp(2) - 1)) / 2, passed = Math.abs(answer / wanted - 1) < 0.02; return { passed, say: passed ? `Passed: $qG = ${say(wanted)}$. Set it and take one sweep; 64 Euler layers have a slightly smaller G.` : "Make the numerator of the factor zero." }; } },
  ],
  sources: [
    "Q. Li, L. Chen, C. Tai and W. E, Maximum principle based algorithms for deep learning, *Journal of Machine Learning Research* 18 (2018), sections 3 and 4.",
    "In numdl: `numdl experiment run maximum-principle` trains a network this way; `numdl.control.SuccessiveApproximations` is the method.",
  ],
  trials: [-1, -0.4, 0, 0.5, 1, 1.5].flatMap((growth) => [[0, 3], [4, 10], [12.5, 7], [30, 25]].map(([rho, sweeps]) => ({ growth, rho, sweeps }))),
  compare: (n) => ({ factor: n.factor, v: n.v, u: n.u, exact: n.exact, uExact: n.uExact, slope: n.p }),
};
