// 2.7: which matrices may a layer be?
import { csqrt, range, times, transpose, zeros } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// A layer of 16 units on a line: (K u)_i = l u_{i-1} + c u_i + r u_{i+1} with the stencil a (-1, 2, -1) + b (-1, 0, 1). A free ring adds
// entries `extra` of its first column, shifted from column to column.
const N = 16, BORDERS = [["periodic", "a periodic border"], ["zero", "zeros outside"], ["reflecting", "a reflecting border"], ["free", "a ring with more entries"]];
const STEP = range(N).map((i) => +(i >= 10));
const EXAMPLE = range(N).map((i) => Number((0.6 * Math.cos(2 * i) * Math.exp(-i / 5)).toFixed(1)));
const stencil = (a, b) => [-a - b, 2 * a, -a + b];

export function matrix(border, a, b, extra) {
  const [l, c, r] = stencil(a, b), K = range(N).map(() => zeros(N));
  for (let i = 0; i < N; i++) {
    K[i][i] += c;
    for (const [j, x] of [[i - 1, l], [i + 1, r]]) {
      if (j >= 0 && j < N) K[i][j] += x;
      else if (border === "periodic" || border === "free") K[i][(j + N) % N] += x;
      else if (border === "reflecting") K[i][i] += x;
    }
  }
  if (border === "free") for (let i = 0; i < N; i++) for (let j = 0; j < N; j++) K[i][j] += extra[(i - j + N) % N];
  return K;
}
const turn = (t) => [Math.cos(t), Math.sin(t)];
const transform = (u) => range(N).map((k) => u.reduce(([x, y], v, j) => { const [p, q] = turn((-2 * Math.PI * j * k) / N); return [x + v * p, y + v * q]; }, [0, 0]));
// Eigenvalues in closed form; those of the reflecting border by Yueh, Applied Mathematics E-Notes 5 (2005).
export function eigen(border, a, b, extra) {
  const [l, c, r] = stencil(a, b), root = csqrt([l * r, 0]);
  if (border === "periodic") return range(N).map((k) => { const t = (2 * Math.PI * k) / N; return [c + (l + r) * Math.cos(t), (r - l) * Math.sin(t)]; });
  if (border === "free") { const more = transform(extra); return eigen("periodic", a, b).map(([x, y], k) => [x + more[k][0], y + more[k][1]]); }
  const wave = (t) => [c + 2 * root[0] * Math.cos(t), 2 * root[1] * Math.cos(t)];
  return border === "zero" ? range(N).map((k) => wave(((k + 1) * Math.PI) / (N + 1))) : [[c + l + r, 0], ...range(N - 1).map((k) => wave(((k + 1) * Math.PI) / N))];
}
// The real part of F^(-1)(lambda o F u), by sums over all frequencies.
function byFourier(values, u) {
  const out = zeros(N), waves = transform(u);
  for (let k = 0; k < N; k++) {
    const [x, y] = waves[k], [p, q] = values[k], re = p * x - q * y, im = p * y + q * x;
    for (let i = 0; i < N; i++) { const [e, f] = turn((2 * Math.PI * i * k) / N); out[i] += (re * e - im * f) / N; }
  }
  return out;
}

function compute({ border, second, first, extra }) {
  const K = matrix(border, second, first, extra), values = eigen(border, second, first, extra), out = times(K, STEP), turned = transpose(K);
  const fourier = byFourier(eigen(border === "free" ? "free" : "periodic", second, first, extra), STEP), layer = STEP.map((x, i) => x - 0.25 * out[i]);
  const odd = Math.max(...K.flatMap((row, i) => row.map((x, j) => Math.abs(x + turned[i][j])))), positive = Math.max(...K.flatMap((row, i) => row.filter((_, j) => j !== i)));
  return { K, values, out, layer, byFourier: Math.hypot(...fourier), apart: Math.max(...fourier.map((x, i) => Math.abs(x - out[i]))), odd, positive, sums: Math.min(...K.map((row) => row.reduce((s, x) => s + x, 0))), lowest: Math.min(...values.map((z) => z[0])), largest: Math.max(...values.map((z) => Math.hypot(...z))) };
}

export const page = {
  id: "2.7",
  question: "Which matrices may a layer be?",
  goal: "You will design a layer by its eigenvalues, with three weights instead of 256.",
  minutes: 20,
  needs: "eigenvalues; Fourier's transform helps",
  controls: {
    second: { kind: "slider", label: "weight of the second difference", min: -1, max: 2, step: 0.1, value: 1, show: (x) => say(x) },
    first: { kind: "slider", label: "weight of the first difference", min: -2, max: 2, step: 0.1, value: 0, play: 250, show: (x) => say(x) },
    border: { kind: "choice", label: "border", options: BORDERS, value: "periodic" },
  },
  hidden: { extra: zeros(N) },
  guess: {
    ask: "A layer multiplies by a matrix of $16\\times16$ entries in which every row is the one above, shifted by one to the right and closed to a ring. How many operations does it take to find all its eigenvalues?",
    options: ["about $16^3$", "about $16^2$", "about $16\\log 16$"], answer: 2,
    why: "Waves are its eigenvectors, whatever the entries. The eigenvalues are Fourier's transform of its first column, and the fast transform takes $n\\log n$ operations.",
  },
  sentence: [
    "Give a layer of 16 units on a line the stencil $\\alpha\\,(-1,2,-1) + \\beta\\,(-1,0,1)$ with $\\alpha=$ [[second]] and $\\beta=$ [[first]], and [[border]]. The three weights are {{stencil}}, where a full matrix has 256. The real parts of its eigenvalues begin at {{lowest}}, and the largest eigenvalue has the size {{largest}}.",
  ],
  breaks: [
    { label: "Only turns", patch: { second: 0, first: 1, border: "periodic" }, why: "The first difference is antisymmetric: all eigenvalues lie on the imaginary axis, and $u' = -Ku$ carries a signal along without changing its size." },
    { label: "Any ring", patch: { border: "free", extra: EXAMPLE }, why: "Sixteen free weights instead of three: drag the entries of the first column. The waves stay the eigenvectors, and the eigenvalues are the transform of that column, wherever they go. The grey curve is that of the stencil alone." },
    { label: "Break Fourier", patch: { second: 1, first: 0.5, border: "zero" }, why: "With a border, waves are no longer eigenvectors. Then the eigenvalues are real although $K$ is not symmetric." },
    { label: "Break stability", patch: { second: -0.5, first: 0, border: "periodic" }, why: "A negative second difference sharpens: $u'=-Ku$ lets the finest wave grow fastest." },
  ],
  compute,
  values: (n, { second, first, border }) => ({ stencil: `(${stencil(second, first).map((x) => say(Number(x.toFixed(2)))).join(", ")})${border === "free" ? " and sixteen more" : ""}`, lowest: say(Number(n.lowest.toFixed(10))), largest: say(n.largest) }),
  views: [
    {
      frame: () => ({ title: "The matrix", equal: true, height: 340, x: { min: 0, max: N, label: "column", ticks: [[0.5, "1"], [7.5, "8"], [15.5, "16"]] }, y: { min: 0, max: N, label: "row", ticks: [[15.5, "1"], [8.5, "8"], [0.5, "16"]] } }),
      draw(plot, n) {
        const top = Math.max(...n.K.flat().map(Math.abs), 1e-12), edges = range(N + 1), rows = [...n.K].reverse();
        plot.heat(rows, edges, edges, (x) => Math.max(x, 0) / top, { color: "blue" });
        plot.heat(rows, edges, edges, (x) => Math.max(-x, 0) / top, { color: "orange" });
        plot.line([0, N, N, 0], [0, 0, N, N], { color: "grey", close: true, width: 1 });
        plot.name("positive", "blue", "square");
        plot.name("negative", "orange", "square");
      },
    },
    {
      frame: () => ({ title: "Eigenvalues", equal: true, height: 340, x: { min: -4.5, max: 8.5, label: "real part" }, y: { min: -4.5, max: 4.5, label: "imaginary part" } }),
      draw(plot, n, { second, first }, { ghost }) {
        plot.line([0, 0], [plot.y.min, plot.y.max], { color: "grey", width: 1.2 });
        const ring = range(101).map((k) => (2 * Math.PI * k) / 100);
        plot.line(ring.map((t) => second * (2 - 2 * Math.cos(t))), ring.map((t) => 2 * first * Math.sin(t)), { color: "grey", dash: "5 4", width: 1.3, label: "α(2 − 2 cos t) + 2iβ sin t" });
        if (ghost) plot.dots(ghost.numbers.values.map((z) => z[0]), ghost.numbers.values.map((z) => z[1]), { color: "green", faint: true, size: 3.4 });
        plot.dots(n.values.map((z) => z[0]), n.values.map((z) => z[1]), { color: "green", size: 4, label: "of this matrix" });
        const beyond = n.values.filter((z) => z[0] < plot.x.min || z[0] > plot.x.max || Math.abs(z[1]) > plot.y.max).length;
        if (beyond) plot.note(plot.x.min, plot.y.max, `${beyond} lie outside the figure`, { color: "red", dx: 8, dy: 16 });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "First column of K", height: 170, x: { min: 0.5, max: N + 0.5, label: "row", ticks: [1, 4, 8, 12, 16] }, y: { min: -3, max: 5, label: "weight" } }),
      draw(plot, n, { border, extra }, { change }) {
        const column = n.K.map((row) => row[0]), base = column.map((x, i) => x - extra[i]);
        plot.across(0, { width: 1 });
        column.forEach((x, i) => plot.line([i + 1, i + 1], [0, x], { color: "purple", width: 2 }));
        if (border !== "free") { plot.dots(range(N).map((i) => i + 1), column, { color: "purple", label: "the same shifted by one in the next column, but for the border" }); return; }
        const set = (i, x) => change({ extra: extra.map((old, j) => (j === i ? Number(Math.min(Math.max(x, -3), 3).toFixed(1)) : old)) });
        column.forEach((x, i) => plot.handle(`row${i}`, i + 1, x, { color: "purple", label: `entry ${i + 1} of the first column`, value: say(x), move: (_, y) => set(i, y - base[i]), nudge: (dx, dy) => set(i, extra[i] + 0.1 * (dx + dy)) }));
        plot.name("drag them", "purple", "circle");
      },
    },
    {
      wide: true,
      frame: (n) => ({ title: "What it does to a step", height: 200, x: { min: 1, max: N, label: "unit", ticks: [1, 4, 8, 12, 16] }, y: { min: Math.min(-1, ...n.out) * 1.1, max: Math.max(1.4, ...n.out) * 1.1, label: "u" } }),
      draw(plot, n) {
        const at = range(N).map((i) => i + 1);
        plot.across(0, { width: 1 });
        plot.line(at, STEP, { color: "grey", width: 1.6, label: "u" });
        plot.line(at, n.out, { color: "purple", width: 1.4, dash: "3 3", label: "K u" });
        plot.line(at, n.layer, { color: "green", label: "u − ¼ K u, one layer" });
        plot.dots(at, n.layer, { color: "green", size: 2.6 });
      },
    },
  ],
  table: (n) => ({ head: ["unit", "u", "K u", "u − ¼ K u", "eigenvalue: real", "imaginary"], rows: range(N).map((i) => [i + 1, STEP[i], say(n.out[i]), say(n.layer[i]), say(n.values[i][0]), say(n.values[i][1])]) }),
  claims: (n, s) => [
    { sentence: "Fourier's transform makes it diagonal: $Ku = F^{-1}(\\lambda\\odot Fu)$.", holds: n.apart < 1e-12, found: `For the step both sides differ by ${say(n.apart)}.`, why: s.border === "reflecting" ? "That is for rings. Behind a mirror the waves are cosines, and their transform does it if $\\beta=0$." : "That is for rings. Between zeros the waves are sines." },
    { sentence: "It is stable: no eigenvalue of $-K$ lies in the right half plane.", holds: n.lowest >= -1e-12, found: `The smallest real part of an eigenvalue of $K$ is ${say(n.lowest)}.`, why: "A negative second difference takes from the valleys and gives to the peaks." },
    { sentence: "It is antisymmetric, and keeps the size of every signal.", holds: n.odd < 1e-12, found: `The largest entry of $K + K'$ is ${say(n.odd)}.`, why: s.second !== 0 ? "The second difference is symmetric: it damps, or amplifies." : "The corners of the reflecting border are not: what runs into the mirror is counted twice." },
    { sentence: "It is an M-matrix: nothing positive off the diagonal, no row sum negative.", holds: n.positive <= 1e-12 && n.sums >= -1e-12, found: `Largest entry off the diagonal ${say(n.positive)}, smallest row sum ${say(n.sums)}.`, why: `It needs $|\\beta|\\le\\alpha$. Then $u' = -Ku$ never leaves the range of its values and zero; without it, the layer overshoots.` },
  ],
  text: [
    "## Structure is linear in the weights",
    "A layer with structure has $K = \\operatorname{mat}(Q\\theta)$: few weights $\\theta$, each with a fixed pattern of places. Here $K(\\theta) = \\theta_{1}Q_1 + \\theta_0Q_0 + \\theta_{-1}Q_{-1}$ with shifts $Q_j$. Its derivative by a weight is the pattern itself, $\\partial(Ku)/\\partial\\theta_j = Q_ju$. A *convolution* is $(Ku)_i = \\sum_j\\theta_j\\,u_{i-j}$. Most libraries compute $\\sum_j\\theta_j\\,u_{i+j}$, a correlation, under the same name; the weights then stand in opposite order.",
    "## Eigenvalues for nothing",
    "On a ring, a wave $e^{ikt}$ that is shifted is the same wave times a number. So waves are eigenvectors of all shifts and of every sum of shifts, and the eigenvalues are the transform of the first column:",
    "$$ \\lambda = F(Ke_1), \\qquad \\lambda(t) = \\alpha\\,(2 - 2\\cos t) + 2i\\beta\\sin t . $$",
    "The second difference, which is symmetric, moves them along the real axis; the first difference, antisymmetric, along the imaginary one. A borderless image layer works in two dimensions in the same way. With zeros outside, the eigenvalues are $2\\alpha + 2\\sqrt{\\alpha^2-\\beta^2}\\,\\cos\\frac{k\\pi}{n+1}$; with a mirror they are 0 and the same with $\\frac{k\\pi}n$. They move onto a line, real or upright, and their eigenvectors lean against a border: far from normal, so that eigenvalues say little about the first layers.",
    "## Designing a layer",
    "*Antisymmetric* matrices give flows that keep all they are told (page 3.2 says with which steps). *Symmetric semidefinite* ones smooth. *M-matrices* keep within bounds. And a grid can be refined: the second difference means $-\\Delta x^2\\,u''$, so on twice as many points of the same interval the same layer has its $\\alpha$ multiplied by four, and the first difference its $\\beta$ by two. That is how weights move between resolutions.",
  ],
  code: (s) => `
import numpy as np

n, alpha, beta, border = 16, ${s.second}, ${s.first}, "${s.border}"
left, centre, right = -alpha - beta, 2 * alpha, beta - alpha
K = centre * np.eye(n) + left * np.eye(n, k=-1) + right * np.eye(n, k=1)
if border == "periodic":
    K[0, -1], K[-1, 0] = left, right
if border == "reflecting":
    K[0, 0] += left
    K[-1, -1] += right
${s.border === "free" ? `extra = np.array([${s.extra.join(", ")}])
K[0, -1], K[-1, 0] = left, right
K = K + extra[(np.arange(n)[:, None] - np.arange(n)) % n]
` : ""}u = np.zeros(n)
u[10:] = 1
ring = np.fft.fft([centre, left] + [0] * (n - 3) + [right])${s.border === "free" ? " + np.fft.fft(extra)" : "  # of the first column"}
byFourier = np.fft.ifft(ring * np.fft.fft(u)).real
print(np.linalg.norm(byFourier), np.linalg.norm(K @ u))
print(np.abs(K + K.T).max(), K.sum(axis=1).min())
`,
  codeNote: "It prints the norms of $F^{-1}(\\lambda\\odot Fu)$ and of $Ku$, the largest entry of $K+K'$ and the smallest row sum.",
  prints: (n) => [n.byFourier, Math.hypot(...n.out), n.odd, n.sums],
  exercises: [
    { ask: "The stencil $(-1,2,-1)$ on a ring of 16 units: what is its largest eigenvalue?", input: "λ =", right: 4, wrong: 2,
      check: ({ answer }) => ({ passed: Math.abs(answer - 4) < 1e-6, say: Math.abs(answer - 4) < 1e-6 ? "Passed: $2-2\\cos t$ at $t=\\pi$, the wave $1,-1,1,\\dots$ Between zeros it would be 3.97." : "$2 - 2\\cos t$ for the finest wave." }) },
    { ask: "The same interval gets 32 points instead of 16, and the layer shall still be the same multiple of $-u''$. By what factor does $\\alpha$ change?", input: "factor", right: 4, wrong: 2,
      check: ({ answer }) => ({ passed: Math.abs(answer - 4) < 1e-6, say: Math.abs(answer - 4) < 1e-6 ? "Passed: $(-1,2,-1)u \\approx -\\Delta x^2u''$, and $\\Delta x$ is halved." : Math.abs(answer - 0.25) < 1e-6 ? "The other way: the same $\\alpha$ now means a quarter, so it must be raised." : "$(-1,2,-1)u \\approx -\\Delta x^2u''$." }) },
    { ask: "The first column of a ring is $(0, 1, 0, \\dots, 0)$: the layer shifts every signal by one. What is the size of each of its eigenvalues?", input: "|λ| =", right: 1, wrong: 0,
      check: ({ answer }) => ({ passed: Math.abs(answer - 1) < 1e-6, say: Math.abs(answer - 1) < 1e-6 ? "Passed: $\\lambda_k = e^{-2\\pi ik/16}$. A shift keeps the size of every wave." : "Transform the column: one term is left, $e^{-2\\pi ik/16}$." }) },
  ],
  sources: [
    "P. C. Hansen, J. Nagy and D. O'Leary, *Deblurring Images*, SIAM 2006, chapter 4 (borders, transforms).",
    "W.-C. Yueh, Eigenvalues of several tridiagonal matrices, *Applied Mathematics E-Notes* 5 (2005).",
    "L. Ruthotto and E. Haber, Deep neural networks motivated by partial differential equations, *Journal of Mathematical Imaging and Vision* 62 (2020), section 2.",
  ],
  trials: BORDERS.flatMap(([border]) => [[1, 0], [1, 0.5], [0.1, 1], [0.5, -1], [-0.5, 0], [2, -1.2], [0.3, 1.5]].map(([second, first]) => ({ border, second, first, extra: EXAMPLE }))),
  compare: (n) => ({ K: n.K, real: n.values.map((z) => 5 + z[0]).sort((p, q) => p - q), imaginary: n.values.map((z) => 5 + Math.abs(z[1])).sort((p, q) => p - q), out: n.out, layer: n.layer }),
};
