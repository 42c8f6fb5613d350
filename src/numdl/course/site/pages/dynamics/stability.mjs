// 3.2: which steps keep an orbit?
import { amplification, clamp, range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

const TIME = 40, START = [1, 0];
const SCHEMES = [["euler", "forward Euler (a ResNet)"], ["heun", "Heun"], ["rk3", "RK3"], ["rk4", "RK4"], ["verlet", "Verlet"], ["implicit_midpoint", "implicit midpoint"]];
const field = (g, [y, z]) => [Math.tanh(-g * y + z), Math.tanh(-y - g * z)];
const axpy = (u, ...pairs) => pairs.reduce((w, [t, k]) => [w[0] + t * k[0], w[1] + t * k[1]], u);

// One layer of size h; numdl.flow.schemes.
export const STEPS = {
  euler: (f, u, h) => axpy(u, [h, f(u)]),
  heun(f, u, h) { const a = f(u), b = f(axpy(u, [h, a])); return axpy(u, [h / 2, a], [h / 2, b]); },
  rk3(f, u, h) { const a = f(u), b = f(axpy(u, [h / 2, a])), c = f(axpy(u, [-h, a], [2 * h, b])); return axpy(u, [h / 6, a], [(2 * h) / 3, b], [h / 6, c]); },
  rk4(f, u, h) { const a = f(u), b = f(axpy(u, [h / 2, a])), c = f(axpy(u, [h / 2, b])), d = f(axpy(u, [h, c])); return axpy(u, [h / 6, a], [h / 3, b], [h / 3, c], [h / 6, d]); },
  verlet(f, [y, z], h) { const half = z - (h / 2) * Math.tanh(y), next = y + h * Math.tanh(half); return [next, half - (h / 2) * Math.tanh(next)]; },
  // w = u + h/2 f(w) by Newton's method, its 2 x 2 Jacobian by hand; then 2 w - u.
  implicit_midpoint(f, u, h, g) {
    let w = u;
    for (let k = 0; k < 20; k++) {
      const v = f(w), r = [w[0] - u[0] - (h / 2) * v[0], w[1] - u[1] - (h / 2) * v[1]], p = 1 - v[0] ** 2, q = 1 - v[1] ** 2;
      const a = 1 + (h / 2) * p * g, b = (-h / 2) * p, c = (h / 2) * q, d = 1 + (h / 2) * q * g, det = a * d - b * c;
      const change = [(d * r[0] - b * r[1]) / det, (a * r[1] - c * r[0]) / det];
      w = [w[0] - change[0], w[1] - change[1]];
      if (Math.max(...change.map(Math.abs)) < 1e-15) break;
    }
    return [2 * w[0] - u[0], 2 * w[1] - u[1]];
  },
};
export const march = (scheme, h, g, steps, start = START) => { const f = (u) => field(g, u), way = [start]; for (let k = 0; k < steps; k++) way.push(STEPS[scheme](f, way[k], h, g)); return way; };
const energy = ([y, z]) => Math.log(Math.cosh(y)) + Math.log(Math.cosh(z));
const damped = ({ scheme, damping }) => (scheme === "verlet" ? 0 : damping);

function compute(s) {
  const { scheme, h } = s, g = damped(s), steps = Math.round(TIME / h), way = march(scheme, h, g, steps), z = [-h * g, h], R = amplification(scheme, z);
  const energies = way.map(energy), fine = march("rk4", 0.02, g, TIME / 0.02);
  return { way, fine, energies, z, R, g, steps, times: range(steps + 1).map((k) => k * h), decades: (1e4 * Math.log(R)) / Math.LN10, descent: [1, 3].map((c) => Math.abs(1 - h * c)), rise: Math.max(...energies) / energies[0] };
}

const limit = (scheme, g) => ({ euler: g ? `$h \\le 2\\gamma/(\\gamma^2+1) = ${say((2 * g) / (g * g + 1))}$` : "damping: with $\\gamma = 0$ no step at all is small enough", heun: g ? "a smaller step or more damping" : "damping: $|R(iy)|^2 = 1 + y^4/4$ is above 1 for every step", rk3: "without damping $h \\le \\sqrt 3 = 1.73$", rk4: "without damping $h \\le \\sqrt 8 = 2.83$", verlet: "$h \\le 2$", implicit_midpoint: "nothing" })[scheme];
const many = (decades) => (Math.abs(decades) < 1.5 ? say(10 ** decades) : `10 to the power ${say(decades)}`);

export const page = {
  id: "3.2",
  question: "Which steps keep an orbit?",
  goal: "You will read the stability of a layer from one picture, and see why a plain ResNet cannot turn for ever.",
  minutes: 20,
  needs: "complex numbers, and a residual layer read as one Euler step",
  controls: {
    scheme: { kind: "choice", label: "scheme", options: SCHEMES, value: "euler" },
    h: { kind: "slider", label: "step size", min: 0.05, max: 3, step: 0.05, value: 0.3, play: 140, show: (h) => say(h) },
    damping: { kind: "slider", label: "damping", min: 0, max: 1.5, step: 0.05, value: 0, show: (g) => say(g) },
  },
  hidden: {},
  guess: {
    ask: "A network of two units turns: $y' = \\tanh z$, $z' = -\\tanh y$. Exactly solved, it goes round one closed curve for ever. You take residual layers, $u + h f(u)$. How small must $h$ be so that it does not spiral out?",
    options: ["$h < 1$", "$h < 0.1$", "no $h$ is small enough"], answer: 2,
    why: "Each Euler step multiplies a small turn by $|1 + ih| = \\sqrt{1+h^2}$, which is above 1 for every $h$. A smaller step only delays it.",
  },
  sentence: [
    "With [[scheme]] layers of size $h=$ [[h]] and damping $\\gamma=$ [[damping]], one layer multiplies a small turn by {{factor}}, and 10,000 layers multiply it by {{thousand}}. After {{steps}} layers the energy is {{energy}} times what it was.",
  ],
  breaks: [
    { label: "Heun looks fine", patch: { scheme: "heun", h: 0.3, damping: 0 }, why: "The orbit looks closed, and the factor is 1.001. But there is no limit below which it becomes 1: over 10,000 layers the state grows by more than four decades." },
    { label: "Break RK4", patch: { scheme: "rk4", h: 2.9, damping: 0 }, why: "The dot has just left the region at $\\sqrt 8 = 2.83$. Until then RK4 even loses energy, and so it still does far out, where tanh is flat and the turn slow: the orbit falls in. But near the origin each layer pushes outwards, so that it never settles there." },
  ],
  disabled: ({ scheme }) => (scheme === "verlet" ? ["damping"] : []),
  compute,
  values: (n) => ({ factor: say(n.R, 5), thousand: many(n.decades), steps: String(n.steps), energy: say(n.energies.at(-1) / n.energies[0]) }),
  views: [
    {
      frame: () => ({ title: "One layer: factor at most 1 inside", equal: true, height: 400, x: { min: -4, max: 1.5, label: "Re hλ" }, y: { min: -3.2, max: 3.2, label: "Im hλ" } }),
      draw(plot, n, { scheme, h, damping }, { change, ghost }) {
        if (scheme === "verlet") plot.line([0, 0], [-2, 2], { color: "blue", width: 5, label: "kept: the axis up to 2" });
        else plot.region((x, y) => amplification(scheme, [x, y]) - 1 - 1e-12, { color: "blue", label: "|R(hλ)| ≤ 1" });
        plot.line([0, 0], [plot.y.min, plot.y.max], { color: "grey", width: 1 });
        if (ghost) plot.dots([ghost.numbers.z[0], ghost.numbers.z[0]], [ghost.numbers.z[1], -ghost.numbers.z[1]], { color: "orange", size: 5, faint: true });
        if (scheme === "euler") plot.dots([-h, -3 * h], [0, 0], { color: "grey", shape: "diamond", size: 4, label: "descent, curvatures 1 and 3" });
        const inside = n.R <= 1 + 1e-10;
        plot.dots(n.z.slice(0, 1), [-n.z[1]], { color: inside ? "green" : "red", size: 5.5 });
        plot.handle("turn", n.z[0], n.z[1], {
          color: inside ? "green" : "red", label: "eigenvalue times step; left and right change the damping, up and down the step", value: `h ${say(h)}, damping ${say(n.g)}`,
          move: (x, y) => change({ h: y, damping: clamp(-x / Math.max(y, 0.05), 0, 1.5) }), nudge: (dx, dy) => change({ h: h + 0.05 * dy, damping: damping - 0.05 * dx }),
        });
        plot.name(inside ? "hλ of the turn, inside: drag it" : "hλ of the turn, outside: drag it", inside ? "green" : "red", "circle");
      },
    },
    {
      frame: () => ({ title: `The orbit, ${TIME} units of time`, equal: true, height: 400, x: { min: -5, max: 5, label: "y" }, y: { min: -5, max: 5, label: "z" } }),
      draw(plot, n, s, { ghost }) {
        plot.line(n.fine.map((u) => u[0]), n.fine.map((u) => u[1]), { color: "grey", width: 1.4, label: "differential equation" });
        if (ghost) plot.line(ghost.numbers.way.map((u) => u[0]), ghost.numbers.way.map((u) => u[1]), { color: "orange", width: 1, faint: true, label: "your last setting" });
        plot.line(n.way.map((u) => u[0]), n.way.map((u) => u[1]), { color: "orange", width: 1 });
        plot.dots(n.way.map((u) => u[0]), n.way.map((u) => u[1]), { color: "orange", size: 2, label: "layers" });
        plot.dots([START[0]], [START[1]], { color: "ink", size: 4, label: "start" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Energy log cosh y + log cosh z, which the differential equation keeps or lowers", height: 190, x: { min: 0, max: TIME, label: "time" }, y: { min: 1e-3, max: 30, log: true, label: "energy" } }),
      draw(plot, n, s, { ghost }) {
        const grid = range(201).map((k) => (k * TIME) / 200);
        plot.line(grid, grid.map((t) => energy(n.fine[Math.round(t / 0.02)])), { color: "grey", width: 1.4, label: "differential equation" });
        if (ghost) plot.line(ghost.numbers.times, ghost.numbers.energies, { color: "orange", faint: true, width: 1.2 });
        plot.line(n.times, n.energies, { color: "orange", label: "layers" });
      },
    },
  ],
  table: (n) => ({ head: ["layer", "time", "y", "z", "energy"], rows: n.way.map((u, k) => [k, say(n.times[k]), say(u[0]), say(u[1]), say(n.energies[k])]).filter((_, k) => k % Math.max(1, Math.round(n.steps / 12)) === 0) }),
  claims: (n, s) => [
    { sentence: "One layer does not blow up a small perturbation: $|R(h\\lambda)| \\le 1$.", holds: n.R <= 1 + 1e-10, found: `$h\\lambda = ${say(n.z[0])} \\pm ${say(n.z[1])}i$ gives ${say(n.R, 5)}.`, why: `This scheme needs ${limit(s.scheme, n.g)}.` },
    { sentence: "Ten thousand layers multiply it by less than 10.", holds: n.decades < 1, found: `By ${many(n.decades)}.`, why: n.R < 1.01 ? "A factor this close to 1 is invisible in a few layers and deadly in many." : "Each layer takes its share, and the shares multiply." },
    { sentence: `In ${n.steps} layers the energy never rises by more than 5 %.`, holds: n.rise <= 1.05, found: `Its largest value is ${say(n.rise)} times the first.`, why: n.R > 1 + 1e-10 ? "The small turns grow, until tanh saturates and bounds the speed." : "The steps are stable and yet too long to follow this curve: stability says that nothing explodes, not that the answer is accurate." },
    { sentence: "Gradient descent with this rate converges on curvatures 1 and 3.", holds: Math.max(...n.descent) < 1, found: `It multiplies the two errors by ${say(n.descent[0])} and ${say(n.descent[1])} a step: a descent step is an Euler step with $\\lambda = -1$ and $-3$.`, why: "Euler's disc ends at $-2$, so the rate must stay below $2/3$." },
  ],
  text: [
    "## One number for each layer",
    "Near the origin the network is linear, $u' = Ku$ with $K = \\begin{pmatrix} -\\gamma & 1 \\\\ -1 & -\\gamma \\end{pmatrix}$, and $K$ has the eigenvalues $\\lambda = -\\gamma \\pm i$. Along an eigenvector every scheme does the same thing: it multiplies by a number $R(h\\lambda)$. For forward Euler, that is for a residual layer,",
    "$$ u_{k+1} = u_k + h\\lambda u_k = (1 + h\\lambda)\\,u_k , \\qquad R(z) = 1 + z . $$",
    "Heun, RK3 and RK4 follow $e^z$ one, two and three terms further. The set where $|R(z)| \\le 1$ is the *stability region*: the blue set. A layer keeps perturbations down exactly if $h\\lambda$ lies in it.",
    "Networks that keep information, antisymmetric and Hamiltonian ones, have $\\lambda$ on the imaginary axis. There Euler gives $|1+iy|^2 = 1 + y^2$, and Heun $|R(iy)|^2 = 1 + y^4/4$: both are above 1 for *every* $y>0$. Heun is only weaker poison, not the way out that it is often said to be. RK3 contains the axis up to $\\sqrt3$, RK4 up to $\\sqrt8$, Verlet up to 2, and the implicit midpoint rule contains all of it, with $|R|=1$ exactly.",
    "The other remedy is damping: it moves $\\lambda$ to the left, and Euler's disc takes it in once $h \\le 2\\gamma/(\\gamma^2+\\omega^2)$, here with frequency $\\omega = 1$.",
    "The same disc rules training. A descent step $p - \\eta\\,\\nabla E$ on a valley of curvature $c$ is an Euler step of size $\\eta$ for $p' = -cp$. Its point is $-\\eta c$ on the real axis, and it must not pass $-2$. Learning rates and depths of layers obey one picture.",
  ],
  code: (s) => `
import jax, jax.numpy as jnp
from numdl.analysis.stability import amplification
from numdl.flow import BasisInTime, get_activation, get_dynamics, get_scheme, serial

scheme, h, g, nt = get_scheme("${s.scheme}"), ${s.h}, ${damped(s)}, ${Math.round(TIME / s.h)}
z = complex(-h * g, h)
${s.scheme === "verlet" ? 'f = get_dynamics("hamiltonian").vector_field(get_activation("tanh"))\nweights = {"K": jnp.ones((1, 1, 1)), "b": jnp.zeros((1, 1))}' : 'f = get_dynamics("plain").vector_field(get_activation("tanh"))\nweights = {"K": jnp.array([[[-g, 1.0], [-1.0, -g]]]), "b": jnp.zeros((1, 2))}'}
with jax.enable_x64(True):
    control = BasisInTime(nt, 1, "legendre")  # one set of weights for all layers
    start = jnp.array([1.0, 0.0])
    orbit = serial(scheme, f, control, jax.tree.map(jnp.float64, weights), start, 0.0, h)
    energy = jnp.log(jnp.cosh(orbit)).sum(axis=1)
    print(amplification(scheme, [z], scheme.halves)[0], energy[-1] / energy[0])
`,
  prints: (n) => [n.R, n.energies.at(-1) / n.energies[0]],
  exercises: [
    { ask: "A layer has damping $\\gamma = 0.3$ and frequency $\\omega = 2$. What is the largest step of forward Euler that does not let it grow? (The figure has $\\omega = 1$.)", input: "h =", right: 0.1467, wrong: 0.55,
      check: ({ answer }) => { const wanted = 0.6 / 4.09, passed = Math.abs(answer / wanted - 1) < 0.01; return { passed, say: passed ? "Passed: $2\\gamma/(\\gamma^2+\\omega^2) = 0.6/4.09 = 0.1467$." : Math.abs(answer - 0.55) < 0.01 ? "That is the step for $\\omega = 1$. Here the eigenvalues are $-0.3 \\pm 2i$." : "Write $|1 + h\\lambda|^2 = (1 - 0.3h)^2 + (2h)^2$ and ask where it is 1." }; } },
    { ask: "Gradient descent on a valley with curvatures 1 and 50. With the largest rate that does not diverge, by what factor does the error in the flat direction shrink each step?", input: "factor", right: 0.96, wrong: 0.04,
      check: ({ answer }) => { const passed = Math.abs(answer - 0.96) < 0.002; return { passed, say: passed ? "Passed: the rate is $2/50 = 0.04$, and the flat direction keeps $|1 - 0.04| = 0.96$ of its error. The steep direction sets the speed of the flat one." : "The point $-50\\eta$ must not pass $-2$, so $\\eta = 0.04$. The flat direction is multiplied by $|1 - \\eta|$." }; } },
  ],
  sources: [
    "E. Hairer and G. Wanner, *Solving Ordinary Differential Equations II*, Springer 1996, section IV.2.",
    "E. Haber and L. Ruthotto, Stable architectures for deep neural networks, *Inverse Problems* 34 (2018), section 4.",
    "In numdl: `numdl experiment run stability-regions`, and `numdl check` for a network of your own.",
  ],
  trials: SCHEMES.flatMap(([scheme], i) => [[0.1, 0], [0.5, 0.2], [1.5, 0.05], [2.6, 0.6]].map(([h, damping]) => ({ scheme, h: Math.round(20 * (h + 0.05 * i)) / 20, damping }))),
  compare: (n, s) => ({ R: n.R, orbit: march(s.scheme, s.h, n.g, 40).flat(), region: range(25).map((k) => amplification(s.scheme, s.scheme === "verlet" ? [0, k / 8] : [-(k % 5) / 1.5, k / 8])) }),
};
