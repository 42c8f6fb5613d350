// What do pages about graphs share? Neighbours, parts, the Laplacian with its smoothest vectors, and labels that spread.
import { dot, norm, range, scale, sum, zeros } from "./numerics.mjs";

// numdl.regularize.graph.neighbour_weights: points joined if one is among the q nearest of the other; weights [i][j].
export function weights(points, q, kind) {
  const n = points.length, W = range(n).map(() => new Float64Array(n)), far = points.map((p) => points.map((r) => Math.hypot(p[0] - r[0], p[1] - r[1])));
  const near = far.map((row, i) => range(n).filter((j) => j !== i).sort((a, b) => row[a] - row[b]).slice(0, q)), reach = near.map((list, i) => far[i][list.at(-1)]);
  near.forEach((list, i) => list.forEach((j) => { W[i][j] = W[j][i] = kind === "gaussian" ? Math.exp(-(far[i][j] ** 2) / (reach[i] * reach[j])) : 1; }));
  return W;
}
export const laplacian = (W) => W.map((row, i) => { const r = Array.from(row, (w) => -w); r[i] = sum(Array.from(row)); return r; });

// Number of the connected part of each point.
export function parts(W) {
  const part = new Array(W.length).fill(-1);
  let count = 0;
  for (let s = 0; s < W.length; s++) {
    if (part[s] >= 0) continue;
    const open = [s];
    part[s] = count;
    while (open.length) { const i = open.pop(); for (let j = 0; j < W.length; j++) if (W[i][j] > 0 && part[j] < 0) { part[j] = count; open.push(j); } }
    count += 1;
  }
  return { part, count };
}

// Lower factor of a symmetric positive definite matrix, and the solution with it.
export function cholesky(A) {
  const L = A.map((row) => Float64Array.from(row));
  for (let i = 0; i < L.length; i++) for (let j = 0; j <= i; j++) {
    let t = A[i][j];
    for (let k = 0; k < j; k++) t -= L[i][k] * L[j][k];
    L[i][j] = i === j ? Math.sqrt(t) : t / L[j][j];
  }
  return L;
}
export function solveWith(L, b) {
  const n = b.length, x = Array.from(b);
  for (let i = 0; i < n; i++) { let t = x[i]; for (let k = 0; k < i; k++) t -= L[i][k] * x[k]; x[i] = t / L[i][i]; }
  for (let i = n - 1; i >= 0; i--) { let t = x[i]; for (let k = i + 1; k < n; k++) t -= L[k][i] * x[k]; x[i] = t / L[i][i]; }
  return x;
}

// All eigenvalues of a small symmetric matrix, descending, with their vectors, by Jacobi rotations: to rounding of the largest one.
export function symmetric(A) {
  const n = A.length, M = A.map((r) => Float64Array.from(r)), V = range(n).map((i) => Float64Array.from(range(n), (j) => +(i === j)));
  const small = 1e-17 * Math.max(...A.flat().map(Math.abs));
  for (let sweep = 0; sweep < 30; sweep++) {
    let turned = false;
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) {
      if (Math.abs(M[p][q]) <= small) continue;
      turned = true;
      const z = (M[q][q] - M[p][p]) / (2 * M[p][q]), t = (z < 0 ? -1 : 1) / (Math.abs(z) + Math.sqrt(1 + z * z)), c = 1 / Math.sqrt(1 + t * t), s = c * t;
      for (let k = 0; k < n; k++) { const a = M[k][p], b = M[k][q]; M[k][p] = c * a - s * b; M[k][q] = s * a + c * b; }
      for (let k = 0; k < n; k++) { const a = M[p][k], b = M[q][k]; M[p][k] = c * a - s * b; M[q][k] = s * a + c * b; const u = V[p][k], v = V[q][k]; V[p][k] = c * u - s * v; V[q][k] = s * u + c * v; }
    }
    if (!turned) break;
  }
  const order = range(n).sort((i, j) => M[j][j] - M[i][i]);
  return { values: order.map((i) => M[i][i]), vectors: order.map((i) => Array.from(V[i])) };
}

// The smallest nonzero eigenvalues of a connected Laplacian with their vectors, by Lanczos' method on its inverse.
export function smoothest(L, count, steps = 40) {
  const n = L.length, shift = sum(L.map((row, i) => row[i])) / n ** 2, factor = cholesky(L.map((row) => row.map((x) => x + shift))), Q = [], a = [], b = [];
  let q = range(n).map((i) => Math.sin(1 + 12.9898 * i)), mean = sum(q) / n;
  q = q.map((x) => x - mean);
  q = scale(1 / norm(q), q);
  for (let k = 0; k < Math.min(steps, n - 1); k++) {
    Q.push(q);
    let r = solveWith(factor, q);
    mean = sum(r) / n;
    r = r.map((x) => x - mean);
    const size = norm(r);
    a.push(dot(q, r));
    for (let pass = 0; pass < 2; pass++) for (const v of Q) { const t = dot(v, r); for (let i = 0; i < n; i++) r[i] -= t * v[i]; }
    b.push(norm(r));
    if (b[k] <= 1e-13 * size) break;
    q = scale(1 / b[k], r);
  }
  const T = a.map((x, i) => { const row = zeros(a.length); row[i] = x; if (i > 0) row[i - 1] = b[i - 1]; if (i < a.length - 1) row[i + 1] = b[i]; return row; }), { values, vectors } = symmetric(T), kept = Math.min(count, values.length);
  return { values: values.slice(0, kept).map((x) => 1 / x), vectors: vectors.slice(0, kept).map((y) => range(n).map((i) => sum(y.map((t, k) => t * Q[k][i])))) };
}

// numdl.regularize.graph.spread_labels for one column: (F + alpha L) f = F c, F = 1/l at the l labelled points; NaN in parts without a label.
export function spread(L, part, labels, alpha) {
  const reached = range(L.length).filter((i) => labels.some(([j]) => part[j] === part[i])), at = new Map(reached.map((i, k) => [i, k]));
  const A = reached.map((i) => reached.map((j) => alpha * L[i][j])), right = zeros(reached.length), f = new Array(L.length).fill(NaN);
  for (const [i, c] of labels) { A[at.get(i)][at.get(i)] += 1 / labels.length; right[at.get(i)] += c / labels.length; }
  solveWith(cholesky(A), right).forEach((x, k) => { f[reached[k]] = x; });
  return f;
}
