// What do pages about networks on a surface share? The peaks surface as numdl.course.site.watched draws its rows, layers, heads.
import { dot, qr, random, range, sum, zeros } from "./numerics.mjs";

export const ROWS = 300, TEST = 400, ALPHA = 1e-8;

// The function of MATLAB's peaks on [-1, 1]^2, over 2.
export function surface(a, b) {
  const x = 3 * a, y = 3 * b, e = Math.exp;
  return (3 * (1 - x) ** 2 * e(-(x ** 2) - (y + 1) ** 2) - 10 * (x / 5 - x ** 3 - y ** 5) * e(-(x ** 2) - y ** 2) - e(-((x + 1) ** 2) - y ** 2) / 3) / 2;
}

let made = null;
// {x, c, xTest, cTest, spread}: the rows of seed 0, made once; spread is the deviation of the targets to test.
export function rows() {
  if (made) return made;
  const u = random(0).uniforms(2 * (ROWS + TEST)), all = range(ROWS + TEST).map((i) => [2 * u[2 * i] - 1, 2 * u[2 * i + 1] - 1]), c = all.map(([a, b]) => surface(a, b));
  const cTest = c.slice(ROWS), middle = sum(cTest) / TEST;
  return (made = { x: all.slice(0, ROWS), c: c.slice(0, ROWS), xTest: all.slice(ROWS), cTest, spread: Math.sqrt(sum(cTest.map((t) => (t - middle) ** 2)) / TEST) });
}

// Units tanh(k'x + b): {K, b}, deviation `scale`; the first units of a seed are the same for every m.
export function drawn(seed, m, scale) {
  const w = random(seed).normals(3 * m).map((x) => scale * x);
  return { K: range(m).map((i) => [w[3 * i], w[3 * i + 1]]), b: range(m).map((i) => w[3 * i + 2]) };
}
export const units = ({ K, b }, x) => K.map((k, i) => Math.tanh(k[0] * x[0] + k[1] * x[1] + b[i]));

// Minimiser of mean |[Z, 1] w - c|^2 + ALPHA |w|^2, the constant last and free, by the QR decomposition of the stacked rows.
export function bestHead(Z, c) {
  const m = Z[0].length, root = Math.sqrt(Z.length * ALPHA), below = range(m).map((i) => { const row = zeros(m + 1); row[i] = root; return row; });
  const { Q, R } = qr([...Z.map((z) => [...z, 1]), ...below]), right = Q.map((q) => { let s = 0; for (let i = 0; i < c.length; i++) s += q[i] * c[i]; return s; }), w = zeros(m + 1);
  for (let i = m; i >= 0; i--) { let s = right[i]; for (let j = i + 1; j <= m; j++) s -= R[i][j] * w[j]; w[i] = s / R[i][i]; }
  return w;
}
export const predict = (layer, w, x) => x.map((row) => dot(units(layer, row), w) + w.at(-1)); // dot goes over the units only

// Root mean square error on the rows to test, over their deviation.
export function errorOf(layer, w) {
  const { xTest, cTest, spread } = rows();
  return Math.sqrt(sum(predict(layer, w, xTest).map((p, i) => (p - cTest[i]) ** 2)) / TEST) / spread;
}
