// 3.3: do stable layers make a stable network?
import { eigen2, linspace, range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

const TIME = 12, STEPS = 1200, K0 = (size) => [[0.5, size], [-size, -1]];
const turn = ([a, b], t) => [Math.cos(t) * a - Math.sin(t) * b, Math.sin(t) * a + Math.cos(t) * b];

// K(t) = Q(wt) K0 Q(wt)', Q a rotation. In rotating coordinates v = Q'u the weights stand still: v' = (K0 - w J) v.
const still = (size, w) => { const [[a, b], [c, d]] = K0(size); return [[a, b + w], [c - w, d]]; };
const rate = ([[a, b], [c, d]], [x, y]) => [a * x + b * y, c * x + d * y];
export function march(size, w, steps = STEPS, time = TIME) {
  const h = time / steps, K = K0(size), way = [[1, 0]];
  const f = (t, u) => turn(rate(K, turn(u, -w * t)), w * t), add = (u, s, k) => [u[0] + s * k[0], u[1] + s * k[1]];
  for (let n = 0; n < steps; n++) {
    const t = n * h, u = way[n], a = f(t, u), b = f(t + h / 2, add(u, h / 2, a)), c = f(t + h / 2, add(u, h / 2, b)), d = f(t + h, add(u, h, c));
    way.push([0, 1].map((i) => u[i] + (h / 6) * (a[i] + 2 * b[i] + 2 * c[i] + d[i])));
  }
  return way;
}

function compute({ size, speed }) {
  const [[a, b], [c, d]] = K0(size), frozen = eigen2(a, b, c, d), M = still(size, speed), moving = eigen2(...M.flat());
  const way = march(size, speed), norms = way.map((u) => Math.hypot(...u)), top = Math.max(...frozen.map((z) => z[0])), growth = Math.max(...moving.map((z) => z[0]));
  const limits = [-size - Math.SQRT1_2, -size + Math.SQRT1_2]; // det(K0 - w J) = (size + w)^2 - 1/2
  return { frozen, moving, way, norms, top, growth, limits, logNorm: 0.5, times: linspace(0, TIME, STEPS + 1) };
}

export const page = {
  id: "3.3",
  question: "Do stable layers make a stable network?",
  goal: "You will build a network whose every layer is stable, and which explodes, and know which number to look at instead.",
  minutes: 15,
  needs: "eigenvalues of a 2 x 2 matrix; page 3.2 helps",
  controls: {
    speed: { kind: "slider", label: "speed of the weights", min: -3, max: 3, step: 0.01, value: 0, play: 60, stride: 2, show: (x) => say(x) },
    size: { kind: "slider", label: "size of the turn in the weights", min: 0.8, max: 2, step: 0.05, value: 1, show: (x) => say(x) },
  },
  hidden: {},
  guess: {
    ask: "A network as a differential equation, $u' = K(t)u$. At every time, both eigenvalues of $K(t)$ have real part $-1/4$. Can $u$ grow without bound?",
    options: ["no: everything decays at every time", "only if $K$ itself grows", "yes"], answer: 2, see: { speed: -1 },
    why: "If the weights turn while the state moves, the state can stay in the direction that grows for a moment. Here it does, at speeds around $-1$.",
  },
  sentence: [
    "Let the weights turn at speed $\\omega=$ [[speed]] (their own turn has size [[size]]): at every time the eigenvalues say {{frozen}}, and the state in fact follows $e^{rt}$ with $r=$ {{growth}}. After 12 units of time its norm is {{norm}}.",
  ],
  breaks: [
    { label: "Weights that stand still", patch: { speed: 0, size: 1 }, why: "Now the eigenvalues tell the truth: the state decays like $e^{-t/4}$." },
    { label: "Break it", patch: { speed: -1, size: 1 }, why: "The eigenvalues of $K(t)$ have not moved at all: turning a matrix does not change them. The state grows like $e^{t/2}$." },
  ],
  compute,
  values: (n) => ({ frozen: `${say(n.top)}`, growth: say(n.growth), norm: say(n.norms.at(-1)) }),
  views: [
    {
      frame: () => ({ title: "Eigenvalues", equal: true, height: 330, x: { min: -2, max: 1.2, label: "real part" }, y: { min: -4, max: 4, label: "imaginary part" } }),
      draw(plot, n, s, { ghost }) {
        plot.line([0, 0], [plot.y.min, plot.y.max], { color: "grey", width: 1.2 });
        if (ghost) plot.dots(ghost.numbers.moving.map((z) => z[0]), ghost.numbers.moving.map((z) => z[1]), { color: "orange", faint: true, size: 4.5 });
        plot.dots(n.frozen.map((z) => z[0]), n.frozen.map((z) => z[1]), { color: "blue", shape: "ring", size: 6, label: "of K(t), the same at every time" });
        plot.dots(n.moving.map((z) => z[0]), n.moving.map((z) => z[1]), { color: "orange", size: 4.5, label: "of K₀ − ωJ, in coordinates that turn along" });
      },
    },
    {
      frame: () => ({ title: "Way of the state, 12 units of time", equal: true, height: 330, x: { min: -4, max: 4, label: "u₁" }, y: { min: -4, max: 4, label: "u₂" } }),
      draw(plot, n, s, { ghost }) {
        if (ghost) plot.line(ghost.numbers.way.map((u) => u[0]), ghost.numbers.way.map((u) => u[1]), { color: "orange", faint: true, width: 1.4, label: "your last setting" });
        plot.line(n.way.map((u) => u[0]), n.way.map((u) => u[1]), { color: "orange", label: "state" });
        plot.dots([1], [0], { color: "ink", size: 4, label: "start" });
        const left = n.norms.findIndex((x) => x > 5);
        if (left > 0) plot.note(-4, 4, `it has left the figure after ${say(n.times[left])} units of time`, { color: "red", dx: 4, dy: 14 });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Norm of the state", height: 190, x: { min: 0, max: TIME, label: "time" }, y: { min: 1e-3, max: 1e3, log: true, label: "|u|" } }),
      draw(plot, n, s, { ghost }) {
        plot.line(n.times, n.times.map((t) => Math.exp(n.logNorm * t)), { color: "grey", dash: "5 4", width: 1.4, label: "bound by the logarithmic norm" });
        plot.line(n.times, n.times.map((t) => Math.exp(n.top * t)), { color: "blue", dash: "5 4", width: 1.4, label: "what the eigenvalues of K(t) promise" });
        if (ghost) plot.line(n.times, ghost.numbers.norms, { color: "orange", faint: true });
        plot.line(n.times, n.norms, { color: "orange", label: "what happens" });
      },
    },
  ],
  table: (n) => ({ head: ["time", "u₁", "u₂", "|u|", "e to the power of Re λ t"], rows: range(13).map((k) => [k, say(n.way[100 * k][0]), say(n.way[100 * k][1]), say(n.norms[100 * k]), say(Math.exp(n.top * k))]) }),
  claims: (n, s) => [
    { sentence: "At every time all eigenvalues of $K(t)$ lie in the left half plane.", holds: n.top < 0, found: `Their largest real part is ${say(n.top)}, whatever the speed.`, why: "With so small a turn the growing direction of $K_0$ wins by itself." },
    { sentence: "The state does not grow.", holds: n.growth <= 1e-12, found: `It follows $e^{rt}$ with $r = ${say(n.growth)}$.`, why: `It grows for speeds between ${say(n.limits[0])} and ${say(n.limits[1])}, where $K_0 - \\omega J$ has an eigenvalue in the right half plane.` },
    { sentence: "The eigenvalues of $K(t)$ give the rate of the state.", holds: Math.abs(n.growth - n.top) < 0.01, found: `They say ${say(n.top)}, the rate is ${say(n.growth)}.`, why: "They would if the weights stood still, or turned slowly compared with the state." },
    { sentence: "The logarithmic norm bounds the growth: $|u(t)| \\le e^{t/2}$.", holds: n.norms.every((x, k) => x <= Math.exp(n.logNorm * n.times[k]) * (1 + 1e-9)), found: `At the end the norm is ${say(n.norms.at(-1))}, the bound ${say(Math.exp(n.logNorm * TIME))}.`, why: "" },
  ],
  text: [
    "## The trap",
    "Look at one moment: the weights are $K(t) = Q(\\omega t)\\,K_0\\,Q(\\omega t)'$ with a rotation $Q$ and",
    "$$ K_0 = \\begin{pmatrix} \\tfrac12 & s \\\\ -s & -1 \\end{pmatrix}. $$",
    "A rotation does not change eigenvalues, so those of $K(t)$ are the same at all times: for $s = 1$ they are $-\\tfrac14 \\pm 0.66i$. Each layer on its own is stable. But $K_0$ has a direction, the first axis, along which a state grows at the rate $\\tfrac12$ for a moment, until the turn $s$ has carried it away. If the weights turn along, they keep the state in that direction.",
    "## The right number",
    "Turn with the weights: $v = Q(\\omega t)'u$ has the same norm as $u$ and satisfies an equation whose weights stand still,",
    "$$ v' = (K_0 - \\omega J)\\,v, \\qquad J = \\begin{pmatrix} 0 & -1 \\\\ 1 & 0 \\end{pmatrix}. $$",
    "Now eigenvalues decide. The trace is always $-\\tfrac12$, so the state grows as soon as the determinant $(s+\\omega)^2 - \\tfrac12$ is negative: for $|s + \\omega| < 1/\\sqrt2$.",
    "In a trained network the weights of neighbouring layers differ, and nobody knows such coordinates. Two things still help. The *logarithmic norm*, the largest eigenvalue of $(K+K')/2$, bounds the growth of any network, turning or not; here it is $\\tfrac12$. Antisymmetric weights have logarithmic norm zero, so they are safe at every speed. And a penalty on the differences of neighbouring layers keeps $\\omega$ small, where eigenvalues can be believed.",
  ],
  code: (s) => `
import numpy as np
from scipy.integrate import solve_ivp

w, s = ${s.speed}, ${s.size}
K0 = np.array([[0.5, s], [-s, -1.0]])
J = np.array([[0.0, -1.0], [1.0, 0.0]])

def K(t):
    Q = np.cos(w * t) * np.eye(2) + np.sin(w * t) * J
    return Q @ K0 @ Q.T

u = solve_ivp(lambda t, u: K(t) @ u, (0, 12), [1.0, 0.0], rtol=1e-10, atol=1e-12).y[:, -1]
print(np.linalg.eigvals(K(1.0)).real.max())
print(np.linalg.eigvals(K0 - w * J).real.max(), np.linalg.norm(u))
`,
  prints: (n) => [n.top, n.growth, n.norms.at(-1)],
  exercises: [
    { ask: "With $s = 1$: what is the slowest turn, as $|\\omega|$, at which the state begins to grow?", input: "|ω| =", right: 0.2929, wrong: 1.7071,
      check: ({ answer }) => { const wanted = 1 - Math.SQRT1_2, passed = Math.abs(answer - wanted) < 0.005; return { passed, say: passed ? "Passed: $1 - 1/\\sqrt2 = 0.293$, where $(1+\\omega)^2 = \\tfrac12$." : Math.abs(answer - 1 - Math.SQRT1_2) < 0.01 ? "That is where the growth ends again." : "The determinant $(1+\\omega)^2 - \\tfrac12$ changes its sign there; or move the slider until the second claim breaks." }; } },
    { ask: "What is the largest logarithmic norm of antisymmetric weights, $K = -K'$, of any size and speed?", input: "logarithmic norm", right: 0, wrong: 0.5,
      check: ({ answer }) => ({ passed: answer === 0, say: answer === 0 ? "Passed: $(K+K')/2 = 0$. The norm of the state cannot change." : "It is the largest eigenvalue of $(K + K')/2$." }) },
  ],
  sources: [
    "U. Ascher, R. Mattheij and R. Russell, *Numerical Solution of Boundary Value Problems for Ordinary Differential Equations*, SIAM 1995, section 3.3 (kinematic eigenvalues).",
    "G. Söderlind, The logarithmic norm: history and modern theory, *BIT* 46 (2006).",
    "In numdl: `numdl.analysis.stability.stability_report` gives logarithmic norms and Lyapunov exponents of a trained network.",
  ],
  trials: [-2.5, -1.5, -1, -0.6, -0.29, 0, 0.7, 2.4].flatMap((speed) => [0.8, 1, 1.65].map((size) => ({ speed, size }))),
  compare: (n, s) => ({ frozen: n.top, growth: n.growth, orbit: march(s.size, s.speed, 60, 3).flat(), end: n.norms.at(-1) }),
};
