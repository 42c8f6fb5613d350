// 3.8: discretise first, or differentiate first?
import { geomspace, range, STABILITY } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";
import { march, ORDER } from "../../lib/schemes.mjs";

// u' = lambda u, u(0) = 1, on [0, 1]; the loss is the last state. Two slopes of it by lambda.
const COUNTS = [4, 5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 452, 640], STEPS = geomspace(1e-6, 1, 13);
const SCHEMES = [["euler", "Euler (a ResNet)"], ["heun", "Heun"], ["rk4", "RK4"]];
const R = (scheme, z) => STABILITY[scheme]([z, 0])[0];
const dR = (scheme, z) => range(ORDER[scheme] - 1).reduceRight((s, k) => 1 + (s * z) / (k + 1), 1);
const end = (scheme, nt, lambda) => R(scheme, lambda / nt) ** nt;
// Discretise first: the derivative of R(lambda / nt)^nt.
const discrete = (scheme, nt, lambda) => R(scheme, lambda / nt) ** (nt - 1) * dR(scheme, lambda / nt);
// Differentiate first: state, adjoint and slope together, backwards in time from the end, u' = lambda u, p' = -lambda p, g' = -p u.
const backwards = (scheme, nt, lambda) => march(scheme, (t, [u, p]) => [lambda * u, -lambda * p, -p * u], nt, -1, [end(scheme, nt, lambda), 1, 0]);

// Training: from lambda, lower J = (u(1) - 1/2)^2 / 2 + ALPHA (x - lambda)^2 / 2 along one of the slopes, with Armijo's rule. All points.
const ALPHA = 0.01, GOAL = 0.5, MOST = 40;
const trueSlope = (scheme, nt, lambda, x) => (end(scheme, nt, x) - GOAL) * discrete(scheme, nt, x) + ALPHA * (x - lambda);
function train(scheme, nt, lambda, slope) {
  const value = (x) => (end(scheme, nt, x) - GOAL) ** 2 / 2 + (ALPHA / 2) * (x - lambda) ** 2, way = [lambda];
  for (let t = 1; way.length <= MOST; ) {
    const x = way.at(-1), g = (end(scheme, nt, x) - GOAL) * slope(scheme, nt, x) + ALPHA * (x - lambda);
    t = Math.min(2 * t, 1000);
    while (t > 1e-12 && !(value(x - t * g) <= value(x) - 1e-4 * t * g * g)) t /= 2;
    if (t <= 1e-12 || Math.abs(g) < 1e-9) break;
    way.push(x - t * g);
  }
  return way;
}

function compute({ scheme, lambda, count }) {
  const nt = COUNTS[count], h = 1 / nt, z = lambda * h, states = march(scheme, (t, [u]) => [lambda * u], nt, 1, [1]).map((u) => u[0]), back = backwards(scheme, nt, lambda);
  const first = discrete(scheme, nt, lambda), second = back[nt][2], last = states[nt], exact = Math.exp(lambda);
  const errors = (g) => STEPS.map((t) => Math.abs(end(scheme, nt, lambda + t) - last - t * g)), taylor = { none: errors(0), first: errors(first), second: errors(second) };
  const off = COUNTS.map((n) => { const d = discrete(scheme, n, lambda); return { second: Math.abs(backwards(scheme, n, lambda)[n][2] / d - 1), first: Math.abs(d / exact - 1) }; });
  const order = (e) => Math.log10(e[8] / e[6]); // over t = 1e-3 and 1e-2
  const trained = [discrete, (name, n, x) => backwards(name, n, x)[n][2]].map((slope) => { const way = train(scheme, nt, lambda, slope); return { way, slopes: way.map((x) => Math.abs(trueSlope(scheme, nt, lambda, x))) }; });
  return { trained, nt, h, z, states, back, returned: back[nt][0], first, second, exact, taylor, off, orders: [order(taylor.first), order(taylor.second)], times: range(nt + 1).map((k) => k * h), product: R(scheme, z) * R(scheme, -z) };
}

const shrink = ([scheme, z]) => ({ euler: `$1-(h\\lambda)^2 = ${say(1 - z * z)}$`, heun: `$1 + (h\\lambda)^4/4 = ${say(1 + z ** 4 / 4)}$`, rk4: `$1 + (h\\lambda)^6/72 + (h\\lambda)^8/576 = ${say(1 + z ** 6 / 72 + z ** 8 / 576, 5)}$` })[scheme];

export const page = {
  id: "3.8",
  question: "Discretise first, or differentiate first?",
  goal: "You will know which of two gradients is the derivative of what you compute, and when a march backwards does not come back.",
  minutes: 20,
  needs: "page 3.1; the chain rule, backwards",
  controls: {
    lambda: { kind: "slider", label: "rate of the flow", min: -10, max: 3, step: 0.25, value: -5, play: 150, show: (x) => say(x) },
    count: { kind: "slider", label: "steps", min: 0, max: COUNTS.length - 1, value: 5, show: (k) => String(COUNTS[k]) },
    scheme: { kind: "choice", label: "scheme", options: SCHEMES, value: "euler" },
  },
  hidden: {},
  guess: {
    ask: "You march $u' = -10u$ from $u(0)=1$ by 20 Euler steps to $t=1$, and then by 20 Euler steps back to $t = 0$, with the same equation. Where do you come out?",
    options: ["at 1", "near 0.95", "near 0.003"], answer: 2, see: { lambda: -10 },
    why: "A step forwards multiplies by $1 - \\tfrac12$, a step back by $1 + \\tfrac12$, both together by $\\tfrac34$. And $0.75^{20} = 0.003$.",
  },
  sentence: [
    "Let $u' = \\lambda u$ with $\\lambda=$ [[lambda]], and take [[count]] steps by [[scheme]] to $t=1$. Marched back from there one comes out at {{returned}} instead of 1. The loss is $u(1)$: its slope by $\\lambda$ is {{first}} if one discretises first, and {{second}}, off by {{apart}}, if one differentiates first.",
  ],
  breaks: [
    { label: "Break it", patch: { scheme: "euler", lambda: -10, count: 5 }, why: "The states that the way back passes through were never visited on the way forth. The slope made from them is ten times too small." },
    { label: "A better scheme", patch: { scheme: "rk4", lambda: -10, count: 5 }, why: "RK4 forwards and back multiplies by $1 + z^6/72 + \\dots$ with $z=h\\lambda$. It comes back to half a percent, and so do the slopes; but they are still not the same, and Taylor's test sees it." },
    { label: "A flow that grows", patch: { scheme: "euler", lambda: 3, count: 5 }, why: "It is no better in the other direction: 0.63 instead of 1, because the product of both steps does not ask for the sign of $\\lambda$." },
  ],
  compute,
  values: (n) => ({ returned: say(n.returned, 4), first: say(n.first), second: say(n.second), apart: say(Math.abs(n.second - n.first)) }),
  views: [
    {
      frame: (n) => ({ title: "Forwards, and what comes back", height: 350, x: { min: 0, max: 1, label: "time" }, y: n.exact > 1 ? { min: 0, max: 1.25 * n.exact, label: "u" } : { min: -0.3, max: 1.3, label: "u" } }),
      draw(plot, n, s, { ghost }) {
        const grid = range(101).map((k) => k / 100);
        plot.line(grid, grid.map((t) => Math.exp(s.lambda * t)), { color: "grey", width: 1.4, label: "differential equation" });
        if (ghost) plot.line(ghost.numbers.times.map((t) => 1 - t), ghost.numbers.back.map((b) => b[0]), { color: "orange", faint: true, width: 1.4 });
        plot.line(n.times, n.states, { color: "blue", width: 1.5 });
        plot.dots(n.times, n.states, { color: "blue", size: n.nt > 60 ? 1.5 : 3, label: "forwards" });
        plot.line(n.times.map((t) => 1 - t), n.back.map((b) => b[0]), { color: "orange", width: 1.5 });
        plot.dots(n.times.map((t) => 1 - t), n.back.map((b) => b[0]), { color: "orange", size: n.nt > 60 ? 1.5 : 3, label: "marched back" });
        if (Math.abs(n.returned) > plot.y.max) plot.note(0, plot.y.max, `comes out at ${say(n.returned)}`, { color: "red", dx: 8, dy: 16 });
      },
    },
    {
      frame: () => ({ title: "Taylor's test of both slopes g", height: 350, x: { min: 1e-6, max: 1, log: true, label: "t" }, y: { min: 1e-17, max: 1e2, log: true, label: "|J(λ + t) − J(λ) − t g|" } }),
      draw(plot, n) {
        const show = (e) => e.map((x) => x || NaN);
        plot.line(STEPS, show(n.taylor.none), { color: "grey", width: 1.3, dash: "5 4", label: "without a slope: order 1" });
        for (const [name, color, label] of [["second", "orange", "differentiate first"], ["first", "green", "discretise first"]]) { plot.line(STEPS, show(n.taylor[name]), { color, width: 1.4 }); plot.dots(STEPS, show(n.taylor[name]), { color, size: 3.2, label }); }
      },
    },
    {
      wide: true,
      frame: () => ({ title: "How far off are the slopes?", height: 200, x: { min: 3.5, max: 720, log: true, label: "steps", ticks: [4, 10, 20, 40, 80, 160, 320, 640] }, y: { min: 1e-10, max: 1e4, log: true, label: "relative" } }),
      draw(plot, n, s, { ghost }) {
        if (ghost) plot.line(COUNTS, ghost.numbers.off.map((o) => o.second), { color: "orange", faint: true });
        plot.line(COUNTS, n.off.map((o) => o.second), { color: "orange", label: "differentiate first, from the derivative of the computed loss" });
        plot.line(COUNTS, n.off.map((o) => o.first), { color: "green", label: "discretise first, from the slope of the differential equation" });
        plot.upright(n.nt, { color: "ink", label: "now" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Two trainings: the derivative of the computed objective on the way", height: 210, x: { min: 0, max: MOST, label: "iteration" }, y: { min: 1e-11, max: 3, log: true, label: "|dJ/dx|" } }),
      draw(plot, n) {
        n.trained.forEach(({ slopes }, k) => { const [color, label] = [["green", "led by the slope discretised first"], ["orange", "led by the slope differentiated first"]][k]; plot.line(range(slopes.length), slopes.map((x) => x || NaN), { color, label }); plot.dots([slopes.length - 1], [slopes.at(-1) || NaN], { color, size: 3.4 }); });
      },
    },
  ],
  table: (n) => ({ head: ["t", "without a slope", "differentiate first", "discretise first"], rows: STEPS.map((t, k) => [say(t, 1), say(n.taylor.none[k]), say(n.taylor.second[k]), say(n.taylor.first[k])]).reverse() }),
  claims: (n, s) => [
    { sentence: "The march back returns the start within 1 %.", holds: Math.abs(n.returned - 1) < 0.01, found: `It comes out at ${say(n.returned)}.`, why: `A step forwards and one back multiply by ${shrink([s.scheme, n.z])}, and there are ${n.nt} of them.` },
    { sentence: "Discretise first: the slope passes Taylor's test with order 2.", holds: Math.abs(n.orders[0] - 2) < 0.15, found: `From $t=0.01$ to $0.001$ the error falls with order ${say(n.orders[0])}.`, why: "With so few and long steps $t = 0.01$ is not small." },
    { sentence: "Differentiate first: its slope passes it too.", holds: Math.abs(n.orders[1] - 2) < 0.15, found: `Order ${say(n.orders[1])}.`, why: `It is the derivative of another function: ${say(100 * Math.abs(n.second / n.first - 1))} % away from that of the computed loss. A line search, or a quasi-Newton method, that compares the two will be misled.` },
    { sentence: "A training led by the second slope ends where the derivative of its objective is below $10^{-6}$.", holds: n.trained[1].slopes.at(-1) < 1e-6, found: `It ends at ${say(n.trained[1].slopes.at(-1))} after ${n.trained[1].way.length - 1} iterations, the other at ${say(n.trained[0].slopes.at(-1))} after ${n.trained[0].way.length - 1}.`, why: n.trained[0].slopes.at(-1) < 1e-6 ? "It stops where its own slope is zero, or where the line search finds no step that keeps its promise. Neither is a minimiser of what is computed." : "The other has not arrived in 40 iterations either." },
    { sentence: "The derivative of the computed loss is within 1 % of that of the differential equation.", holds: Math.abs(n.first / n.exact - 1) < 0.01, found: `They are ${say(n.first)} and ${say(n.exact)}.`, why: "It is exact for what is computed, and what is computed is not the differential equation: shorter steps or a higher order." },
  ],
  text: [
    "## Two ways to a slope",
    "*Discretise first*: the loss is a function of finitely many numbers, $J(\\lambda) = R(h\\lambda)^{n}$ with $n = n_t$ steps; Euler has $R(z) = 1+z$. Differentiate that, by the chain rule backwards through the steps: $J' = R^{n-1}R'$. No more and no less than the derivative of what is computed.",
    "*Differentiate first*: the differential equation has an adjoint equation, $p' = -\\lambda p$ from $p(1) = 1$ backwards, and $J' = \\int_0^1 p\\,u\\,dt$. Solve that numerically. To save memory, solve for $u$ backwards as well, together with $p$ and the integral. That is how neural differential equations were first trained.",
    "## Why the way back may lie",
    "A step back with size $-h$ does not undo a step forth. Both together multiply by $R(z)R(-z)$, so with Euler the start comes back as",
    "$$ \\bigl(1 - (h\\lambda)^2\\bigr)^{n} u_0 , $$",
    "with Heun the product is $1 + z^4/4$, with RK4 $1 + z^6/72 + z^8/576$. For the same accuracy on the way back, Euler needs about $\\lambda^2/\\varepsilon$ steps. If $\\lambda$ is negative the equation itself is unstable backwards: it multiplies every error, and in the end rounding, by $e^{|\\lambda|}$.",
    "With Euler the slope differentiated first is $h\\,u_n\\,(1-(1-z^2)^n)/z^2$, and the true one $(1+z)^{n-1}$. They agree as $h\\to0$, and not before. Keeping the states helps: then the integral is $h\\sum p_{k+1}u_{k+1}$, off by the factor $1+z$ only. It is still not the derivative of the loss.",
    "## Does it matter?",
    "The last figure trains: it looks for a rate $x$ that takes the state to $\\tfrac12$ and does not leave $\\lambda$ without need, $J(x) = \\tfrac12(u(1)-\\tfrac12)^2 + \\tfrac1{200}(x-\\lambda)^2$, by descent from $\\lambda$ along one slope or the other. Led by the derivative of what is computed it converges. Led by the other it comes near, and stays there. Optimisation compares: a line search asks whether the loss fell as its slope promised. Near a minimiser both slopes are small and their difference is not. With tight tolerances the two agree, at a price; with loose ones only the first is a gradient. Discretise first, and let the steps be undone exactly, page 3.10, if memory is short.",
  ],
  code: (s) => `
import numpy as np

scheme, lam, nt = "${s.scheme}", ${s.lambda}, ${COUNTS[s.count]}

def march(f, T, u):
    h = T / nt
    for _ in range(nt):
        a = f(u)
        b = f(u + h * a) if scheme == "heun" else f(u + h / 2 * a)
        c = f(u + h / 2 * b)
        slopes = {"euler": a, "heun": (a + b) / 2, "rk4": (a + 2 * b + 2 * c + f(u + h * c)) / 6}
        u = u + h * slopes[scheme]
    return u

def loss(lam):  # discretise
    return march(lambda u: lam * u, 1.0, np.ones(1))[0]

first = loss(lam + 1e-30j).imag / 1e-30  # then differentiate
adjoint = lambda y: np.array([lam * y[0], -lam * y[1], -y[0] * y[1]])  # differentiate
back = march(adjoint, -1.0, np.array([loss(lam), 1.0, 0.0]))  # then march back
print(back[0], first, back[2])
`,
  codeNote: "It prints where the march back comes out, and both slopes.",
  prints: (n) => [n.returned, n.first, n.second],
  exercises: [
    { ask: "Euler forwards and back with $\\lambda = -2$ on $[0,1]$: about how many steps bring the start back within 1 %?", input: "steps", right: 400, wrong: 200,
      check: ({ answer }) => { const back = (n) => Math.abs((1 - 4 / (n * n)) ** n - 1), passed = Number.isInteger(answer) && back(answer) <= 0.01 && answer <= 410; return { passed, say: passed ? "Passed: $(1-4/n^2)^n \\approx 1 - 4/n$, so $n = 400$ will do; 399 is the smallest." : answer > 1 ? `With ${say(answer, 6)} steps it is off by ${say(100 * back(answer))} %. $(1 - 4/n^2)^n \\approx 1 - 4/n$.` : "$(1 - 4/n^2)^n \\approx 1 - 4/n$." }; } },
    { ask: "And with $\\lambda = -100$?", input: "steps", right: 1000000, wrong: 20000,
      check: ({ answer }) => { const off = 1 - Math.exp(answer * Math.log1p(-1e4 / answer ** 2)), passed = answer > 100 && off <= 0.01 && answer < 1.05e6; return { passed, say: passed ? "Passed: $\\lambda^2/n = 0.01$ at a million steps. Nobody would take them forwards." : answer > 100 ? `With ${say(answer, 6)} steps it is off by ${say(100 * off)} %.` : "The same formula with $10^4$ in place of 4." }; } },
  ],
  sources: [
    "D. Onken and L. Ruthotto, Discretize-optimize vs. optimize-discretize for time-series regression and continuous normalizing flows, arXiv:2005.13420, sections 2 and 3.",
    "A. Gholami, K. Keutzer and G. Biros, ANODE: unconditionally accurate memory-efficient gradients for neural ODEs, *IJCAI* 2019, section 3.",
    "In numdl: `numdl experiment run spiral-ode` and `adjoint-accuracy`; all marches but `adjoint` differentiate the steps they take.",
  ],
  trials: SCHEMES.flatMap(([scheme]) => [[-10, 5], [-7.25, 2], [-5, 9], [-1, 0], [0.5, 12], [2, 4], [3, 7]].map(([lambda, count]) => ({ scheme, lambda, count }))),
  compare: (n) => ({ trained: n.trained.flatMap(({ way }) => range(6).map((k) => way[Math.min(k, way.length - 1)])), states: n.states, back: n.back, slopes: [n.first, n.second], none: n.taylor.none, closed: [n.product ** n.nt, n.exact] }),
};
