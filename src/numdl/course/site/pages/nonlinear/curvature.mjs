// 2.9: which curvature: Newton's, Gauss-Newton's, or none?
import { dot, linspace, minus, norm, range, scale } from "../../lib/numerics.mjs";
import { axes2 } from "../../lib/plane.mjs";
import { say } from "../../lib/plot.mjs";

// Fit a exp(-b t) to c = exp(-t) + rho e, where e is orthogonal to the Jacobian at (1, 1), so that this stays the minimiser for every
// rho, and is of the size of exp(-t); among those, it is the one to which the second derivatives react most.
const T = linspace(0, 3, 12), STEPS = 30, AT = [1, 1], MOST = 1e4;
const METHODS = [["gauss", "Gauss-Newton"], ["newton", "Newton"], ["marquardt", "Levenberg-Marquardt"], ["trust", "Newton in a trust region"]];
const model = ([a, b]) => T.map((t) => a * Math.exp(-b * t)), jacobian = ([a, b]) => [T.map((t) => Math.exp(-b * t)), T.map((t) => -a * t * Math.exp(-b * t))];
const ERROR = (() => { // minus t^2 exp(-t) without its part in the range of the Jacobian
  const J = jacobian(AT), q = scale(1 / norm(J[0]), J[0]), rest = minus(J[1], scale(dot(q, J[1]), q)), r = scale(1 / norm(rest), rest);
  let e = T.map((t) => -t * t * Math.exp(-t));
  for (let pass = 0; pass < 2; pass++) for (const v of [q, r]) e = minus(e, scale(dot(v, e), v));
  return scale(norm(model(AT)) / norm(e), e);
})();
const data = (rho) => { const f = model(AT); return f.map((x, i) => x + rho * ERROR[i]); };

// J'J, what Gauss and Newton leave out, gradient and value of |f - c|^2 / 2.
function local(p, c) {
  const [a, b] = p, J = jacobian(p), r = minus(model(p), c), both = [[dot(J[0], J[0]), dot(J[0], J[1])], [dot(J[0], J[1]), dot(J[1], J[1])]];
  const mixed = -r.reduce((s, x, i) => s + x * T[i] * Math.exp(-b * T[i]), 0), second = r.reduce((s, x, i) => s + x * a * T[i] ** 2 * Math.exp(-b * T[i]), 0);
  return { JJ: both, S: [[0, mixed], [mixed, second]], g: [dot(J[0], r), dot(J[1], r)], E: dot(r, r) / 2 };
}
const solve2 = ([[a, b], [c, d]], [x, y]) => { const det = a * d - b * c; return [(d * x - b * y) / det, (a * y - c * x) / det]; };
const sum2 = (A, B, t = 1) => A.map((row, i) => row.map((x, j) => x + t * B[i][j]));
export const determinant = (p, c) => { const { JJ, S } = local(p, c), [[a, b], [, d]] = sum2(JJ, S); return a * d - b * b; };

// Minimiser of g's + s'Hs/2 within |s| <= radius: (H + lambda I) s = -g with the least lambda >= 0 that makes H + lambda I definite
// and s short enough; lambda by bisection in the eigenvectors of H.
function within(H, g, radius) {
  const { values, vectors } = axes2(H), along = vectors.map((v) => dot(v, g)), low = Math.max(0, -Math.min(...values));
  const step = (lambda) => [0, 1].map((k) => -along.reduce((s, x, i) => s + (x / (values[i] + lambda)) * vectors[i][k], 0));
  if (low === 0 && norm(step(0)) <= radius) return step(0);
  let a = low, b = low + norm(g) / radius;
  for (let k = 0; k < 100; k++) { const m = (a + b) / 2; if (norm(step(m)) > radius) a = m; else b = m; }
  return step(b);
}

// {way, radii}: the points, and the radius of the trust region around each; Nocedal and Wright, algorithm 4.1.
export function iterate(method, start, c) {
  const way = [start], radii = [];
  let p = start, mu = 0.1, radius = 0.5;
  for (let k = 0; k < STEPS; k++) {
    const now = local(p, c);
    if (method === "marquardt") {
      const step = solve2(sum2(now.JJ, [[1, 0], [0, 1]], mu), now.g), next = minus(p, step);
      if (local(next, c).E < now.E) { p = next; mu = Math.max(mu / 3, 1e-8); } else mu *= 4;
    } else if (method === "trust") {
      const H = sum2(now.JJ, now.S), s = within(H, now.g, radius), predicted = -dot(now.g, s) - (H[0][0] * s[0] ** 2 + 2 * H[0][1] * s[0] * s[1] + H[1][1] * s[1] ** 2) / 2;
      const next = p.map((x, i) => x + s[i]), ratio = predicted > 1e-14 * now.E ? (now.E - local(next, c).E) / predicted : 1;
      radii.push(radius);
      radius = ratio < 0.25 ? radius / 4 : ratio > 0.75 && norm(s) > 0.999 * radius ? Math.min(2 * radius, 4) : radius;
      if (ratio > 0.1) p = next;
    } else p = minus(p, solve2(method === "gauss" ? now.JJ : sum2(now.JJ, now.S), now.g));
    if (!p.every((x) => Math.abs(x) < MOST)) break;
    way.push(p);
  }
  return { way, radii };
}
// Factor by which a step of Gauss-Newton multiplies the error near the minimiser: -(J'J)^(-1) S has one eigenvalue that is not 0.
const FACTOR = (() => { const { JJ, S } = local(AT, data(1)); return -solve2(JJ, [S[0][1], S[1][1]])[1]; })();
export const CRITICAL = 1 / Math.abs(FACTOR);

function compute({ method, residual, start }) {
  const c = data(residual), { way, radii } = iterate(method, [1.6, start], c), errors = way.map((p) => Math.hypot(p[0] - 1, p[1] - 1));
  const near = range(errors.length - 1).filter((k) => errors[k] < 0.1 && errors[k + 1] > 1e-14), gain = near.length ? errors[near.at(-1) + 1] / errors[near.at(-1)] : NaN;
  const energies = way.map((p) => local(p, c).E);
  return { c, way, radii, errors, energies, gain, factor: residual * FACTOR, arrived: errors.findIndex((e) => e < 1e-6), det: determinant([1.6, start], c), lowest: local(AT, c).E };
}

export const page = {
  id: "2.9",
  question: "Which curvature: Newton's, Gauss-Newton's, or none?",
  goal: "You will predict when Gauss-Newton is as fast as Newton, when it is slower, and when it does not converge at all.",
  minutes: 20,
  needs: "Newton's method; least squares",
  controls: {
    method: { kind: "choice", label: "steps", options: METHODS, value: "gauss" },
    residual: { kind: "slider", label: "size of the residual", min: 0, max: 1.5, step: 0.05, value: 0.3, play: 180, show: (x) => say(x) },
    start: { kind: "slider", label: "start of the rate b", min: 0.1, max: 4, step: 0.1, value: 2, show: (x) => say(x) },
  },
  hidden: {},
  guess: {
    ask: "Gauss-Newton leaves out a term of the Hessian. You start it at the distance $10^{-3}$ from a strict minimiser whose residual is large. Can it run away from there?",
    options: ["no: near a minimiser it converges, perhaps slowly", "yes"], answer: 1, see: { residual: 1.5, start: 1.1 },
    why: "Near the minimiser each step multiplies the error by a fixed number, which grows in proportion to the residual. If it is above one in size, the minimiser repels.",
  },
  sentence: [
    "Fit $a\\,e^{-bt}$ to data that no such curve meets: the residual at the best fit, $a=b=1$, is [[residual]] times as large as the curve itself. From $a=1.6$ and $b=$ [[start]], [[method]] steps {{result}}. Near the best fit a step of Gauss-Newton multiplies the error by {{factor}}.",
  ],
  breaks: [
    { label: "No residual", patch: { method: "gauss", residual: 0, start: 2 }, why: "With data that the curve meets nothing is left out at the minimiser: Gauss-Newton is as fast as Newton, without a second derivative." },
    { label: "Break Gauss-Newton", patch: { method: "gauss", residual: 1.5, start: 1.1 }, why: "The minimiser is as much a minimiser as before. But the step, which does not know how strongly the bowl is curved, overshoots it by more than it was away." },
    { label: "Mend Newton", patch: { method: "trust", residual: 0.3, start: 3.5 }, why: "The same Hessian, also where it is indefinite. But a step goes no farther than its model has proved right so far, and within the circle even an indefinite model has a lowest point, which lies downhill." },
    { label: "Break Newton", patch: { method: "newton", residual: 0.3, start: 3.5 }, why: "In the red set the Hessian has a negative eigenvalue, and Newton's step looks for a saddle or a maximum just as gladly." },
  ],
  compute,
  values: (n) => ({ result: n.arrived >= 0 ? `need ${n.arrived} to come within 10⁻⁶` : n.errors.length <= STEPS ? "run away" : `are still ${say(n.errors.at(-1))} away after ${STEPS}`, factor: say(n.factor) }),
  views: [
    {
      frame: () => ({ title: "Misfit over both parameters", height: 420, x: { min: -0.5, max: 2.5, label: "a" }, y: { min: -0.6, max: 4.2, label: "b" } }),
      draw(plot, n, { start, residual }, { change, ghost }) {
        const base = n.lowest, over = (level) => plot.region((a, b) => local([a, b], n.c).E - base - level, { color: "grey", cells: 55, label: "darker: smaller misfit" });
        for (const level of [1, 0.3, 0.1, 0.03]) over(level);
        plot.region((a, b) => determinant([a, b], n.c), { color: "red", cells: 55, label: "Hessian indefinite" });
        const xs = (way) => way.map((p) => p[0]), ys = (way) => way.map((p) => p[1]);
        if (ghost) plot.line(xs(ghost.numbers.way), ys(ghost.numbers.way), { color: "orange", faint: true, width: 1.4 });
        plot.line(xs(n.way), ys(n.way), { color: "orange", width: 1.6 });
        plot.dots(xs(n.way), ys(n.way), { color: "orange", size: 3, label: "steps" });
        const turn = linspace(0, 2 * Math.PI, 61);
        n.radii.slice(0, 5).forEach((r, k) => plot.line(turn.map((t) => n.way[k][0] + r * Math.cos(t)), turn.map((t) => n.way[k][1] + r * Math.sin(t)), { color: "purple", width: 1.2, dash: "3 3", label: k ? "" : "trust regions of the first steps" }));
        plot.dots([1], [1], { color: "green", shape: "diamond", size: 5, label: "minimiser" });
        plot.handle("start", 1.6, start, { color: "orange", label: "start of the rate b", value: say(start), move: (x, y) => change({ start: y }), nudge: (dx, dy) => change({ start: start + 0.1 * dy, residual: residual + 0.05 * dx }) });
      },
    },
    {
      frame: () => ({ title: "Distance from the minimiser", height: 420, x: { min: 0, max: STEPS, label: "step" }, y: { min: 1e-16, max: 1e4, log: true, label: "error" } }),
      draw(plot, n, s, { ghost }) {
        const show = (e) => e.map((x) => x || NaN), from = n.errors.findIndex((e) => e < 0.1), at = range(STEPS + 1);
        if (s.method === "gauss" && from >= 0 && n.factor) plot.line(at.slice(from), at.slice(from).map((k) => n.errors[from] * Math.abs(n.factor) ** (k - from)), { color: "grey", dash: "5 4", width: 1.4, label: `factor ${say(Math.abs(n.factor))} a step` });
        if (ghost) plot.line(range(ghost.numbers.errors.length), show(ghost.numbers.errors), { color: "orange", faint: true, label: "your last setting" });
        plot.line(range(n.errors.length), show(n.errors), { color: "orange", width: 1.4 });
        plot.dots(range(n.errors.length), show(n.errors), { color: "orange", size: 3, label: "steps" });
      },
    },
  ],
  table: (n) => ({ head: ["step", "a", "b", "error", "misfit"], rows: n.way.map((p, k) => [k, say(p[0], 6), say(p[1], 6), say(n.errors[k]), say(n.energies[k], 6)]).filter((_, k) => k < 8 || k % 5 === 0) }),
  claims: (n, s) => [
    { sentence: "The steps arrive at the minimiser.", holds: n.arrived >= 0, found: n.arrived >= 0 ? `After ${n.arrived} steps.` : n.errors.length <= STEPS ? `After ${n.errors.length} steps they have left every bound.` : `After ${STEPS} steps they are ${say(n.errors.at(-1))} away.`, why: s.method === "gauss" ? (Math.abs(n.factor) > 1 ? `The factor ${say(n.factor)} is larger than one in size: they are repelled.` : Math.abs(n.factor) > 0.5 && n.errors.at(-1) < 0.1 ? "They will, at this factor, with more steps." : "The first steps go too far; a damped method would refuse them.") : s.method === "newton" ? (n.det <= 0 ? "At the start the Hessian is indefinite: nothing points to a minimiser." : "The quadratic model is wrong so far away, and nothing checks its steps.") : "Damped steps cannot increase the misfit, but far away the valley is flat: they need more of them." },
    { sentence: "Near the minimiser a step gains two digits or more, and the next one more than that.", holds: n.gain < 0.01, found: Number.isNaN(n.gain) ? "They never come near it." : `The last one above rounding multiplies the error by ${say(n.gain)}.`, why: s.method === "newton" ? "Newton does, once it is near." : s.residual > 0 ? "What is left out does not vanish at the minimiser, since the residual does not: convergence is linear." : "It shows once they are near." },
    { sentence: "At your start the misfit is curved upwards in every direction.", holds: n.det > 0, found: `The determinant of the Hessian is ${say(n.det)}.`, why: "The residuals times the second derivatives outweigh $J'J$ there. Gauss-Newton's matrix is never indefinite; that is the other reason to use it." },
    { sentence: "Near the minimiser Gauss-Newton would converge.", holds: Math.abs(n.factor) < 1, found: `Its factor is ${say(n.factor)}.`, why: `It is proportional to the residual, and passes one in size at ${say(CRITICAL)}.` },
  ],
  text: [
    "## What is left out",
    "For $E(p) = \\tfrac12|f(p)-c|^2$ with residuals $r = f - c$, the Hessian has two parts,",
    "$$ \\nabla^2E = J'J + \\sum_i r_i\\,\\nabla^2 f_i = J'J + S . $$",
    "Newton's step solves with both, Gauss-Newton's with $J'J$ alone. It needs no second derivatives, $J'J$ is never indefinite, and the step always points downhill. The price shows near the minimiser: there",
    "$$ p_{k+1} - p_* \\approx -(J'J)^{-1}S\\,(p_k - p_*) , $$",
    "so the error is multiplied by a matrix that is proportional to the residuals. No residual: quadratic convergence, as Newton. A small one: linear, with a small factor. A large one whose $S$ is as large as $J'J$: none. In the figure the noise is chosen so that the minimiser stays at $(1,1)$, and the factor is exactly proportional to the slider.",
    "## A negative factor",
    "Here the factor is negative: $S$ is positive, the bowl is steeper than $J'J$ believes, and the steps swing from side to side. With noise of the other sign $S$ would be negative, the bowl flatter, and at the same size of residual the minimiser would cease to be one.",
    "## Damping",
    "Levenberg and Marquardt solve with $J'J + \\mu I$, lower $\\mu$ after a step that has lowered the misfit, and raise it after one that has not, which is taken back. That ends the runaway: a large $\\mu$ makes a short step downhill. It does not bring back the second derivatives: with a large residual the convergence stays linear. In networks that fit their data well, residuals are small where it matters, and $J'J$ is the curvature of choice; page 2.8 uses it with the head eliminated.",
    "## A trust region",
    "One may also bound the step instead of adding $\\mu$: minimise the quadratic model $g's + \\tfrac12 s'Hs$ within $|s| \\le \\Delta$. The minimiser solves $(H+\\lambda I)s = -g$ with the least $\\lambda \\ge 0$ that makes the matrix definite and the step short enough, so that it is a damping that finds itself. Then compare: the decrease of the misfit over the decrease that the model promised. Below a quarter the radius becomes a quarter, above three quarters at the border it doubles; a step that gains nearly nothing is taken back. The whole Hessian may be used, indefinite or not: a negative eigenvalue is a direction to follow to the border, not an error. Near the minimiser the border no longer matters, and the steps are Newton's.",
  ],
  code: (s) => `
import numpy as np

t = np.linspace(0, 3, 12)
f = lambda p: p[0] * np.exp(-p[1] * t)
J = lambda p: np.stack([np.exp(-p[1] * t), -p[0] * t * np.exp(-p[1] * t)], axis=1)
e = -(t**2) * np.exp(-t)
Q = np.linalg.qr(J((1, 1)))[0]
e = e - Q @ (Q.T @ e)
c = f((1, 1)) + ${s.residual} * np.linalg.norm(f((1, 1))) / np.linalg.norm(e) * e

def parts(p):
    r, E = f(p) - c, np.exp(-p[1] * t)
    mixed = -(r * t) @ E
    return J(p).T @ J(p), np.array([[0, mixed], [mixed, p[0] * (r * t**2) @ E]]), J(p).T @ r

p = np.array([1.6, ${s.start}])
JJ, S, g = parts(p)
print(np.linalg.det(JJ + S))
for A in (JJ, JJ + S):
    print(*(p - np.linalg.solve(A, g)))
JJ, S, g = parts((1, 1))
print(-np.linalg.solve(JJ, S)[1, 1])
`,
  codeNote: "It prints the determinant of the Hessian at the start, one step of Gauss-Newton and one of Newton from there, and the factor near the minimiser.",
  prints: (n, s) => { const one = (method) => iterate(method, [1.6, s.start], n.c).way[1] ?? [NaN, NaN]; return [n.det, ...one("gauss"), ...one("newton"), n.factor]; },
  exercises: [
    { ask: "At which size of the residual does Gauss-Newton stop converging to this minimiser, however near it starts? (The factor is proportional to the residual.)", input: "residual", right: 0.613, wrong: 1,
      check: ({ answer }) => { const passed = Math.abs(answer / CRITICAL - 1) < 0.02; return { passed, say: passed ? `Passed: at ${say(CRITICAL)} the factor is −1.` : "Read the factor at one residual, and scale it to one." }; } },
    { ask: "At half of that residual, how many steps of Gauss-Newton near the minimiser make the error a million times smaller?", input: "steps", right: 20, wrong: 5,
      check: ({ answer }) => ({ passed: Math.abs(answer - 20) < 0.5, say: Math.abs(answer - 20) < 0.5 ? "Passed: each step halves it, and $2^{20} \\approx 10^6$." : "The factor is one half there." }) },
    { ask: "A trust region has the radius 1. The step to its border should lower the misfit by 0.40 and lowers it by 0.05. What is the next radius?", input: "radius", right: 0.25, wrong: 1,
      check: ({ answer }) => ({ passed: Math.abs(answer - 0.25) < 1e-9, say: Math.abs(answer - 0.25) < 1e-9 ? "Passed: an eighth of what was promised is less than a quarter. The step itself is still taken." : "Compare what came with what was promised: $0.05/0.40$." }) },
  ],
  sources: [
    "J. Nocedal and S. Wright, *Numerical Optimization*, Springer 2006, chapter 4 (trust regions), sections 10.2 and 10.3.",
    "Å. Björck, *Numerical Methods for Least Squares Problems*, SIAM 1996, section 9.2.",
    "In numdl: `numdl.optimize.LevenbergMarquardt`, `TrustRegion`, `Newton`; `numdl experiment run training-peaks` races it.",
  ],
  trials: METHODS.flatMap(([method]) => [[0, 2], [0.3, 1.2], [0.3, 3.5], [0.6, 0.5], [0.9, 1.5], [1.2, 0.9], [1.5, 1.1]].map(([residual, start]) => ({ method, residual, start }))),
  compare: (n, s) => ({ c: n.c, way: n.way.slice(0, 5), det: n.det, factor: n.factor, lowest: n.lowest }),
};
