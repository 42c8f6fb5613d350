// 1.3: why do small errors become large ones?
import { geomspace, range } from "../../lib/numerics.mjs";
import { offBy, say } from "../../lib/plot.mjs";

// Two unit columns at the angle a, turned by 0.5: singular values sqrt 2 cos(a/2) and sqrt 2 sin(a/2), right vectors (1, 1) and (1, -1).
const TRUTH = [1, 0.5], TURN = 0.5, ANGLES = geomspace(1e-6, 1.5, 61), EPS = 2 ** -24;
const columns = (a) => [[Math.cos(TURN), Math.sin(TURN)], [Math.cos(TURN + a), Math.sin(TURN + a)]];
const data = (a) => { const [p, q] = columns(a); return [p[0] * TRUTH[0] + q[0] * TRUTH[1], p[1] * TRUTH[0] + q[1] * TRUTH[1]]; };
const singular = (a) => [Math.SQRT2 * Math.cos(a / 2), Math.SQRT2 * Math.sin(a / 2)];

// x = sum (u_i'c / s_i) v_i, for a change e of the data.
function moved(a, e) {
  const s = singular(a), half = TURN + a / 2, u = [[Math.cos(half), Math.sin(half)], [Math.sin(half), -Math.cos(half)]];
  const w = u.map((v, i) => (v[0] * e[0] + v[1] * e[1]) / s[i] / Math.SQRT2);
  return [w[0] + w[1], w[0] - w[1]];
}

// In single precision every operation is rounded. By one rotation (QR), and by Cholesky's method on A'A x = A'c.
const f = Math.fround;
function single(a) {
  const [[p1, p2], [q1, q2]] = columns(a).map((v) => v.map(f)), [c1, c2] = data(a).map(f);
  const h = f(Math.sqrt(f(f(p1 * p1) + f(p2 * p2)))), c = f(p1 / h), s = f(p2 / h);
  const r12 = f(f(c * q1) + f(s * q2)), r22 = f(f(c * q2) - f(s * q1)), b1 = f(f(c * c1) + f(s * c2)), b2 = f(f(c * c2) - f(s * c1));
  const y = f(b2 / r22), qr = [f(f(b1 - f(r12 * y)) / h), y];
  const g11 = f(f(p1 * p1) + f(p2 * p2)), g12 = f(f(p1 * q1) + f(p2 * q2)), g22 = f(f(q1 * q1) + f(q2 * q2));
  const d1 = f(f(p1 * c1) + f(p2 * c2)), d2 = f(f(q1 * c1) + f(q2 * c2));
  const l11 = f(Math.sqrt(g11)), l21 = f(g12 / l11), rest = f(g22 - f(l21 * l21)), l22 = f(Math.sqrt(rest));
  const z1 = f(d1 / l11), z2 = f(f(d2 - f(l21 * z1)) / l22), x2 = f(z2 / l22), normal = rest > 0 ? [f(f(z1 - f(l21 * x2)) / l11), x2] : [Infinity, Infinity];
  const off = (x) => Math.hypot(x[0] - TRUTH[0], x[1] - TRUTH[1]) / Math.hypot(...TRUTH);
  return { qr, normal, qrError: off(qr), normalError: off(normal) };
}
const curves = ANGLES.map(single);

function compute({ angle, noise, phase }) {
  const t = (phase * Math.PI) / 180, e = [noise * Math.cos(t), noise * Math.sin(t)], d = moved(angle, e), s = singular(angle), exact = data(angle), size = Math.hypot(...TRUTH);
  const round = range(121).map((k) => (k * Math.PI) / 60).map((u) => [noise * Math.cos(u), noise * Math.sin(u)]);
  return {
    s, e, c: [exact[0] + e[0], exact[1] + e[1]], exact, x: [TRUTH[0] + d[0], TRUTH[1] + d[1]], error: Math.hypot(...d) / size, worst: noise / s[1] / size, gain: Math.hypot(...d) / noise, kappa: s[0] / s[1],
    disc: round.map((r) => [exact[0] + r[0], exact[1] + r[1]]), ellipse: round.map((r) => { const m = moved(angle, r); return [TRUTH[0] + m[0], TRUTH[1] + m[1]]; }), ...single(angle),
  };
}

const digits = (error) => (error > 0.1 ? "no digit" : `${Math.min(7, Math.floor(-Math.log10(Math.max(error, 1e-8))))} digits`);
const xs = (p) => p.map((q) => q[0]), ys = (p) => p.map((q) => q[1]);

export const page = {
  id: "1.3",
  question: "Why do small errors become large ones?",
  goal: "You will see which errors of the data a least-squares problem enlarges, by how much, and how a careless method doubles the loss.",
  minutes: 15,
  needs: "two linear equations, and the length of a vector",
  controls: {
    angle: { kind: "slider", label: "angle between the columns", min: 3e-6, max: 1.5, log: true, step: 0.02, value: 0.3, show: (a) => say(a, 2) },
    noise: { kind: "slider", label: "error of the data", min: 1e-6, max: 0.3, log: true, step: 0.05, value: 0.1, show: (x) => say(x, 2) },
    phase: { kind: "slider", label: "direction of the error in degrees", min: 0, max: 360, step: 3, value: 60, play: 90, show: (x) => `${x}°` },
  },
  hidden: {},
  guess: {
    ask: "Two explanations of the data are nearly alike: their columns, of length 1, differ by an angle of 0.01, half a degree. The data are wrong by 0.001. How wrong can the two coefficients be?",
    options: ["0.001", "0.01", "0.14"], answer: 2, see: { angle: 0.01, noise: 1e-3, phase: 120 },
    why: "The error can be as large as 0.001 divided by the smallest singular value, $\\sqrt2\\,\\sin(a/2) = 0.0071$. The sum of the coefficients is well known; their difference is not.",
  },
  sentence: [
    "Two columns at an angle of [[angle]], data wrong by [[noise]] in the direction [[phase]]: the coefficients are wrong by {{error}}, {{gain}} times the error of the data. In the worst direction it would be {{worst}}.",
  ],
  breaks: [
    { label: "The worst direction", patch: (s) => ({ phase: Math.round(((TURN + s.angle / 2) * 180) / Math.PI + 90) }), why: "Across the two columns: the only way to explain such a change is a large amount of one column minus nearly the same amount of the other." },
    { label: "The harmless one", patch: (s) => ({ phase: Math.round(((TURN + s.angle / 2) * 180) / Math.PI) }), why: "Along the two columns: a little more of both explains it." },
    { label: "Break the normal equations", patch: { angle: 2e-4, noise: 1e-6 }, why: "In single precision $1 - \\cos^2 a$ is rounding, or zero. The rotation of QR works with $\\sin a$, which is still there." },
  ],
  compute,
  values: (n) => ({ error: offBy(n.error), gain: say(n.gain), worst: offBy(n.worst), kappa: say(n.kappa) }),
  views: [
    {
      frame: () => ({ title: "Data: the disc of errors", equal: true, height: 340, x: { min: -0.3, max: 1.9, label: "first reading" }, y: { min: -0.4, max: 1.6, label: "second reading" } }),
      draw(plot, n, s, { change }) {
        const [p, q] = columns(s.angle);
        plot.line([0, p[0]], [0, p[1]], { color: "grey", width: 2.4, label: "the two columns" });
        plot.line([0, q[0]], [0, q[1]], { color: "grey", width: 2.4 });
        plot.line(xs(n.disc), ys(n.disc), { color: "blue", label: "all errors of this size" });
        plot.dots([n.exact[0]], [n.exact[1]], { color: "green", shape: "diamond", size: 4.5, label: "exact" });
        plot.handle("data", n.c[0], n.c[1], {
          color: "orange", label: "data", value: `error ${say(s.noise, 2)}, direction ${s.phase} degrees`,
          move: (x, y) => change({ noise: Math.hypot(x - n.exact[0], y - n.exact[1]), phase: ((Math.atan2(y - n.exact[1], x - n.exact[0]) * 180) / Math.PI + 360) % 360 }),
          nudge: (dx, dy) => change({ phase: (s.phase + 3 * dx + 360) % 360, noise: s.noise * 10 ** (0.05 * dy) }),
        });
        plot.name("data: drag them", "orange", "circle");
      },
    },
    {
      frame: (n, s) => { const r = Math.max(1.1, (1.15 * s.noise) / n.s[1]); return { title: "Coefficients: the ellipse of answers", equal: true, height: 340, x: { min: TRUTH[0] - r, max: TRUTH[0] + r, label: "first coefficient" }, y: { min: TRUTH[1] - r, max: TRUTH[1] + r, label: "second coefficient" } }; },
      draw(plot, n, s, { ghost }) {
        if (ghost) plot.line(xs(ghost.numbers.ellipse), ys(ghost.numbers.ellipse), { color: "blue", width: 1.4, faint: true, label: "your last setting" });
        plot.line(xs(n.ellipse), ys(n.ellipse), { color: "blue", label: "what the disc becomes" });
        plot.dots([TRUTH[0]], [TRUTH[1]], { color: "green", shape: "diamond", size: 4.5, label: "exact" });
        plot.dots([n.x[0]], [n.x[1]], { color: "orange", size: 5.5, label: "answer to your data" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Relative error of the answer over the angle", height: 250, x: { min: 1e-6, max: 1.6, log: true, label: "angle a" }, y: { min: 1e-9, max: 1e5, log: true, label: "error" } }),
      draw(plot, n, s, { ghost }) {
        if (ghost && ghost.settings.noise !== s.noise) plot.line(ANGLES, ANGLES.map((a) => ghost.settings.noise / singular(a)[1] / Math.hypot(...TRUTH)), { color: "blue", faint: true });
        plot.line(ANGLES, ANGLES.map((a) => s.noise / singular(a)[1] / Math.hypot(...TRUTH)), { color: "blue", label: "errors of the data, at worst" });
        plot.line(ANGLES, ANGLES.map((a) => EPS / a), { color: "grey", dash: "2 4", width: 1, label: "precision / a and / a²" });
        plot.line(ANGLES, ANGLES.map((a) => EPS / a ** 2), { color: "grey", dash: "2 4", width: 1 });
        plot.dots(ANGLES, curves.map((c) => Math.max(c.qrError, 1.2e-9)), { color: "purple", size: 2.6, label: "exact data, single precision, QR" });
        plot.dots(ANGLES, curves.map((c) => c.normalError), { color: "red", shape: "square", size: 2.6, label: "the same by normal equations" });
        const broken = ANGLES.filter((_, i) => !Number.isFinite(curves[i].normalError));
        plot.dots(broken, broken.map(() => 4e4), { color: "red", shape: "cross", size: 3, label: "they have no answer" });
        plot.upright(s.angle, { color: "ink", dash: "", width: 1.2 });
      },
    },
  ],
  table: (n, s) => ({ head: ["angle", "smallest singular value", "worst error", "QR, single", "normal equations, single"], rows: ANGLES.map((a, i) => [say(a), say(singular(a)[1]), offBy(s.noise / singular(a)[1] / Math.hypot(...TRUTH)), say(curves[i].qrError), Number.isFinite(curves[i].normalError) ? say(curves[i].normalError) : "no answer"]).filter((_, i) => i % 6 === 0) }),
  claims: (n, s) => [
    { sentence: "Whatever the direction of the error, the answer is right to 10 %.", holds: n.worst <= 0.1, found: `In the worst direction it is off by ${offBy(n.worst)}.`, why: `The smallest singular value is ${say(n.s[1])}, and an error of the data in that direction is divided by it. Smaller errors or less similar columns are needed; a better solver would not help.` },
    { sentence: "Your error is enlarged no more than twice.", holds: n.gain <= 2, found: `${say(n.gain)} times; between ${say(1 / n.s[0])} and ${say(1 / n.s[1])} is possible.`, why: "It has a part across the columns, which only large coefficients of opposite sign explain." },
    { sentence: "In single precision QR gives three digits.", holds: n.qrError < 1e-3, found: `From exact data: ${digits(n.qrError)}.`, why: `Rounding is an error of the data, too: a part in 17 million, over the singular value ${say(n.s[1])}.` },
    { sentence: "So do the normal equations.", holds: n.normalError < 1e-3, found: Number.isFinite(n.normalError) ? `${digits(n.normalError)}.` : "They are not even positive definite: no answer.", why: `The matrix $A'A$ has the square of each singular value: ${say(n.s[1] ** 2)} instead of ${say(n.s[1])}. Rounding is divided by that.` },
  ],
  text: [
    "## Two directions, two gains",
    "We look for coefficients $x$ with $Ax = c$, where the two columns of $A$ are the explanations and $c$ the data. Every matrix maps a disc to an ellipse, and its inverse maps it back. The half-axes of the ellipse are the *singular values* $s_1 \\ge s_2$: a direction $v_i$ of the coefficients, of length 1, is mapped to $s_iu_i$, and both pairs of directions are orthogonal. So the part of the data along $u_i$ comes from $v_i$, enlarged by $s_i$, and going back divides by it:",
    "$$ x = \\sum_i \\frac{u_i'c}{s_i}\\, v_i , $$",
    "so an error $e$ of the data moves the answer by $u_i'e/s_i$ along $v_i$. For two columns of length 1 at the angle $a$ the values are $s_1 = \\sqrt2\\cos\\frac a2$ and $s_2 = \\sqrt2\\sin\\frac a2$, with $v_1 \\sim (1,1)$ and $v_2 \\sim (1,-1)$: the sum of the two coefficients is easy to learn, their difference is hard. The ratio $\\kappa = s_1/s_2$, here {{kappa}}, is the *condition number*: relative errors grow by up to $\\kappa$.",
    "This has nothing to do with a computer. The data do not say more, and no method can read it from them. One can ask for less: page 1.5 lets go of the direction $v_2$, page 1.10 says what is known of it beforehand.",
    "## How a method makes it worse",
    "Rounding adds an own error, at least a part in 17 million in single precision. A good method, such as QR (rotations that make $A$ triangular), acts like a small error of the data and gives $10^{-7}\\kappa$. Least squares by the normal equations $A'A\\,x = A'c$ first squares all singular values: the condition number becomes $\\kappa^2$, and so does the loss. From $a \\approx 10^{-4}$ on nothing is left, where QR still has three digits. That matters for networks, which are trained in single precision, whenever features are alike.",
  ],
  code: ({ angle, noise, phase }) => `
import numpy as np

a, x = ${angle}, np.array([1, 0.5])
t = 0.5 + np.array([0, a])
A = np.array([np.cos(t), np.sin(t)])
e = ${noise} * np.array([np.cos(np.deg2rad(${phase})), np.sin(np.deg2rad(${phase}))])
s = np.linalg.svd(A, compute_uv=False)
answer = np.linalg.solve(A, A @ x + e)
print(np.linalg.norm(answer - x) / np.linalg.norm(x), s[0] / s[1])
print(np.linalg.norm(e) / s[1] / np.linalg.norm(x))  # in the worst direction
`,
  prints: (n) => [n.error, n.kappa, n.worst],
  exercises: [
    { ask: "The data are wrong by the same small amount in the worst direction. By what factor does the error of the answer grow when the angle shrinks from $a = 1$ to $a = 0.01$? (Within 2 %.)", input: "factor", right: 95.9, wrong: 10000,
      check: ({ answer }) => { const wanted = Math.sin(0.5) / Math.sin(0.005), passed = Math.abs(answer / wanted - 1) < 0.02; return { passed, say: passed ? `Passed: the ratio of the smallest singular values, $\\sin 0.5/\\sin 0.005 = ${say(wanted)}$.` : Math.abs(answer / 1e4 - 1) < 0.1 ? "That is the loss of the normal equations, which square it." : "Divide the smallest singular values, $\\sqrt2 \\sin(a/2)$." }; } },
    { ask: "Now in double precision, 16 digits, with $a = 10^{-5}$: about how many digits do the normal equations leave? (QR leaves 11.)", input: "digits", right: 5.4, wrong: 11,
      check: ({ answer }) => ({ passed: answer >= 4.9 && answer <= 6.1, say: answer >= 4.9 && answer <= 6.1 ? "Passed: $\\kappa = 2\\cdot10^5$, and $16 - 2 \\cdot 5.3 = 5.4$." : "The condition number is $s_1/s_2 \\approx 2/a$. The normal equations lose twice its decades." }) },
  ],
  sources: [
    "G. H. Golub and C. F. Van Loan, *Matrix Computations*, Johns Hopkins 2013, sections 2.6 and 5.3; A. Bjorck, *Numerical Methods for Least Squares Problems*, SIAM 1996, sections 1.4 and 2.2.",
    "In numdl least squares are solved from singular values or QR; `numdl.regularize.ridge.decompose` never forms $A'A$ where that would lose digits.",
  ],
  trials: [1e-6, 1e-4, 3e-3, 0.05, 0.3, 1, 1.5].flatMap((angle, i) => [[1e-6, 60], [1e-3, 150], [0.2, 330]].map(([noise, phase]) => ({ angle, noise, phase: (phase + 17 * i) % 360 }))),
  compare: (n) => ({
    s: n.s, x: n.x, error: n.error, ellipse: n.ellipse.filter((_, i) => i % 20 === 0).flat(), qr: n.qr, normal: n.normal,
    curves: curves.flatMap((c) => [Math.log10(Math.max(c.qrError, 1e-9)), Number.isFinite(c.normalError) ? Math.log10(Math.max(c.normalError, 1e-9)) : 9]),
  }),
};
