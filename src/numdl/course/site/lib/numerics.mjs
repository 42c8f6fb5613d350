// Which small numerical methods do the figures need? Matrices are arrays of rows.
// Random numbers are those of NumPy's RandomState (MT19937 and the polar method): same seed, same numbers in Python.

export const zeros = (n) => new Array(n).fill(0);
export const range = (n) => Array.from({ length: n }, (_, i) => i);
export const linspace = (a, b, n) => range(n).map((i) => a + ((b - a) * i) / (n - 1));
export const geomspace = (a, b, n) => linspace(Math.log(a), Math.log(b), n).map(Math.exp);
export const dot = (a, b) => { let s = 0; for (let i = 0; i < a.length; i++) s += a[i] * b[i]; return s; };
export const norm = (a) => Math.sqrt(dot(a, a));
export const sum = (a) => a.reduce((s, x) => s + x, 0);
export const minus = (a, b) => a.map((x, i) => x - b[i]);
export const plus = (a, b) => a.map((x, i) => x + b[i]);
export const scale = (t, a) => a.map((x) => t * x);
export const times = (A, x) => A.map((row) => dot(row, x));
export const transpose = (A) => A[0].map((_, j) => A.map((row) => row[j]));
export const product = (A, B) => { const C = transpose(B); return A.map((row) => C.map((column) => dot(row, column))); };
export const mean = (a) => sum(a) / a.length;
export const argmin = (a) => a.reduce((k, x, i) => (x < a[k] ? i : k), 0);
export const argmax = (a) => a.reduce((k, x, i) => (x > a[k] ? i : k), 0);
export const clamp = (x, a, b) => Math.min(Math.max(x, a), b);

export function median(a) {
  const b = [...a].sort((x, y) => x - y), k = b.length >> 1;
  return b.length % 2 ? b[k] : (b[k - 1] + b[k]) / 2;
}

// numpy.random.RandomState(seed): `uniform()` is random_sample(), `normal()` is standard_normal().
export function random(seed) {
  const mt = new Uint32Array(624);
  mt[0] = seed >>> 0;
  for (let i = 1; i < 624; i++) mt[i] = Math.imul(1812433253, mt[i - 1] ^ (mt[i - 1] >>> 30)) + i;
  let at = 624, kept = null;
  function word() {
    if (at === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (mt[i] & 0x80000000) | (mt[(i + 1) % 624] & 0x7fffffff);
        mt[i] = mt[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = mt[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }
  const uniform = () => ((word() >>> 5) * 67108864 + (word() >>> 6)) / 9007199254740992;
  function normal() {
    if (kept !== null) { const x = kept; kept = null; return x; }
    let a, b, r;
    do { a = 2 * uniform() - 1; b = 2 * uniform() - 1; r = a * a + b * b; } while (r >= 1 || r === 0);
    const f = Math.sqrt((-2 * Math.log(r)) / r);
    kept = f * a;
    return f * b;
  }
  return { uniform, normal, normals: (n) => range(n).map(normal), uniforms: (n) => range(n).map(uniform) };
}

// A = Q R, Q as an array of its columns, by Gram and Schmidt's method, twice (Giraud and others, Numer. Math. 101, 2005).
export function qr(A) {
  const Q = transpose(A), p = Q.length, R = range(p).map(() => zeros(p));
  for (let j = 0; j < p; j++) {
    for (let pass = 0; pass < 2; pass++) for (let i = 0; i < j; i++) {
      const t = dot(Q[i], Q[j]);
      R[i][j] += t;
      for (let k = 0; k < Q[j].length; k++) Q[j][k] -= t * Q[i][k];
    }
    R[j][j] = norm(Q[j]);
    Q[j] = scale(1 / R[j][j], Q[j]);
  }
  return { Q, R };
}

// Singular values, descending, by one-sided Jacobi rotations: A = U diag(s) V'. U (n, r) and V (p, r) as arrays of their
// columns, r = min(n, p). Source: Golub and Van Loan, Matrix Computations, 2013, sec. 8.6.3.
export function svd(A) {
  if (A.length < A[0].length) { const { U, s, V } = svd(transpose(A)); return { U: V, s, V: U }; }
  if (A.length > 1.3 * A[0].length) {
    const { Q, R } = qr(A), { U, s, V } = svd(R);
    return { U: U.map((u) => Q[0].map((_, i) => u.reduce((t, x, j) => t + x * Q[j][i], 0))), s, V };
  }
  const W = transpose(A).map((w) => Float64Array.from(w)), p = W.length, n = A.length;
  const V = range(p).map((i) => Float64Array.from(range(p), (j) => +(i === j)));
  for (let sweep = 0; sweep < 40; sweep++) {
    let turned = 0;
    for (let i = 0; i < p - 1; i++) for (let j = i + 1; j < p; j++) {
      const x = W[i], y = W[j];
      let a = 0, b = 0, g = 0;
      for (let k = 0; k < n; k++) { a += x[k] * x[k]; b += y[k] * y[k]; g += x[k] * y[k]; }
      if (Math.abs(g) <= 1e-15 * Math.sqrt(a * b)) continue;
      turned++;
      const z = (b - a) / (2 * g), t = (z < 0 ? -1 : 1) / (Math.abs(z) + Math.sqrt(1 + z * z));
      const c = 1 / Math.sqrt(1 + t * t), s = c * t;
      rotate(x, y, c, s);
      rotate(V[i], V[j], c, s);
    }
    if (!turned) break;
  }
  const sizes = W.map(norm), list = (w) => Array.from(w), order = range(p).sort((i, j) => sizes[j] - sizes[i]);
  return { U: order.map((i) => scale(1 / (sizes[i] || 1), list(W[i]))), s: order.map((i) => sizes[i]), V: order.map((i) => list(V[i])) };
}

function rotate(x, y, c, s) {
  for (let k = 0; k < x.length; k++) { const u = x[k], v = y[k]; x[k] = c * u - s * v; y[k] = s * u + c * v; }
}

// Solution of A x = b (square) by elimination with row exchanges.
export function solve(A, b) {
  const n = b.length, M = A.map((row, i) => [...row, b[i]]);
  for (let k = 0; k < n; k++) {
    let p = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(M[i][k]) > Math.abs(M[p][k])) p = i;
    [M[k], M[p]] = [M[p], M[k]];
    for (let i = k + 1; i < n; i++) { const f = M[i][k] / M[k][k]; for (let j = k; j <= n; j++) M[i][j] -= f * M[k][j]; }
  }
  const x = zeros(n);
  for (let i = n - 1; i >= 0; i--) { let s = M[i][n]; for (let j = i + 1; j < n; j++) s -= M[i][j] * x[j]; x[i] = s / M[i][i]; }
  return x;
}

// Complex numbers are pairs [re, im].
export const cadd = (a, b) => [a[0] + b[0], a[1] + b[1]];
export const cmul = (a, b) => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];
export const cdiv = (a, b) => { const d = b[0] * b[0] + b[1] * b[1]; return [(a[0] * b[0] + a[1] * b[1]) / d, (a[1] * b[0] - a[0] * b[1]) / d]; };
export const cabs = (a) => Math.hypot(a[0], a[1]);
export function csqrt(a) {
  const r = cabs(a), re = Math.sqrt(Math.max((r + a[0]) / 2, 0)), im = Math.sqrt(Math.max((r - a[0]) / 2, 0));
  return [re, a[1] < 0 ? -im : im];
}

// Both eigenvalues of [[a, b], [c, d]].
export function eigen2(a, b, c, d) {
  const mean = (a + d) / 2, root = csqrt([((a - d) / 2) ** 2 + b * c, 0]);
  return [[mean + root[0], root[1]], [mean - root[0], -root[1]]];
}

// Eigenvalues of a small real matrix: its characteristic polynomial (Faddeev and Le Verrier), whose roots Aberth's iteration finds
// all at once. Simple eigenvalues to rounding, double ones to its root; for 2 to 6 rows.
export function eigenvalues(A) {
  const n = A.length, c = [1];
  let M = A.map((row) => row.map(() => 0));
  for (let k = 1; k <= n; k++) {
    M = product(A, M).map((row, i) => row.map((x, j) => x + (i === j ? c[k - 1] : 0)));
    c.push(-sum(product(A, M).map((row, i) => row[i])) / k);
  }
  const size = Math.max(...c.slice(1).map((x, k) => Math.abs(x) ** (1 / (k + 1)))) || 1;
  const x = range(n).map((k) => size * Math.cos((2 * Math.PI * k) / n + 0.4)), y = range(n).map((k) => size * Math.sin((2 * Math.PI * k) / n + 0.4));
  for (let sweep = 0; sweep < 100; sweep++) {
    let moved = 0;
    for (let k = 0; k < n; k++) {
      let pr = 1, pi = 0, dr = 0, di = 0; // the polynomial and its derivative, by Horner's rule
      for (let j = 1; j <= n; j++) {
        [dr, di] = [dr * x[k] - di * y[k] + pr, dr * y[k] + di * x[k] + pi];
        [pr, pi] = [pr * x[k] - pi * y[k] + c[j], pr * y[k] + pi * x[k]];
      }
      const p2 = pr * pr + pi * pi;
      if (p2 < 1e-200) continue;
      let qr = (dr * pr + di * pi) / p2, qi = (di * pr - dr * pi) / p2;
      for (let j = 0; j < n; j++) {
        const u = x[k] - x[j], v = y[k] - y[j], d2 = u * u + v * v;
        if (j !== k && d2 > 1e-200) { qr -= u / d2; qi += v / d2; }
      }
      const q2 = qr * qr + qi * qi;
      x[k] -= qr / q2; y[k] += qi / q2;
      moved = Math.max(moved, 1 / Math.sqrt(q2));
    }
    if (moved < 1e-15 * size) break;
  }
  return range(n).map((k) => [x[k], y[k]]);
}

// One-step growth of the test equation u' = lambda u, z = h lambda: the stability function of each scheme of numdl.
const taylor = (order) => (z) => { let p = [1, 0], R = [1, 0]; for (let k = 1; k <= order; k++) { p = cmul(p, [z[0] / k, z[1] / k]); R = cadd(R, p); } return R; };
export const STABILITY = {
  euler: taylor(1), heun: taylor(2), rk3: taylor(3), rk4: taylor(4),
  implicit_midpoint: (z) => cdiv([1 + z[0] / 2, z[1] / 2], [1 - z[0] / 2, -z[1] / 2]),
};
// Verlet on y' = z, z' = lambda^2 y: eigenvalues of its step, mu^2 - (2 + z^2) mu + 1 = 0.
export function amplification(scheme, z) {
  if (scheme !== "verlet") return cabs(STABILITY[scheme](z));
  const half = cadd([1, 0], scale(0.5, cmul(z, z))), root = csqrt(cadd(cmul(half, half), [-1, 0]));
  return Math.max(cabs(cadd(half, root)), cabs(cadd(half, scale(-1, root))));
}
