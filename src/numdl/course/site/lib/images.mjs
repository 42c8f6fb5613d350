// What do pages about small images share? Penalties on neighbouring pixels, and equations of narrow band.
import { range, svd } from "./numerics.mjs";

// Matrix L'L of a penalty on an image of side x side pixels, rows of its lower band: band[i][k] = entry (i, i - k).
// "identity", "gradient" (differences of neighbours, free borders) or "laplacian" (its square); numdl.linalg.ImageGradient and ImageLaplacian.
export function penalty(side, kind) {
  const n = side * side, width = { identity: 0, gradient: side, laplacian: 2 * side }[kind], band = range(n).map(() => new Float64Array(width + 1));
  const neighbours = range(n).map((p) => { const i = Math.floor(p / side), j = p % side; return [i > 0 && p - side, i < side - 1 && p + side, j > 0 && p - 1, j < side - 1 && p + 1].filter((q) => q !== false); });
  const add = (i, j, v) => { if (i >= j) band[i][i - j] += v; };
  for (let p = 0; p < n; p++) {
    if (kind === "identity") add(p, p, 1);
    else if (kind === "gradient") { add(p, p, neighbours[p].length); for (const q of neighbours[p]) add(p, q, -1); }
    else { const row = [[p, neighbours[p].length], ...neighbours[p].map((q) => [q, -1])]; for (const [a, x] of row) for (const [b, y] of row) add(a, b, x * y); }
  }
  return band;
}

// Solution of (diag(d) + alpha B) x = b, B given by its lower band, by Cholesky's method within the band.
export function solveBanded(d, alpha, B, b) {
  const n = b.length, w = B[0].length - 1, L = B.map((row, i) => { const r = row.map((x) => alpha * x); r[0] += d[i]; return r; }), x = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    for (let k = Math.min(w, i); k >= 0; k--) {
      const j = i - k;
      let t = L[i][k];
      for (let m = Math.min(w, i, k + Math.min(w, j)); m > k; m--) t -= L[i][m] * L[j][m - k];
      L[i][k] = k === 0 ? Math.sqrt(t) : t / L[j][0];
    }
    let t = x[i];
    for (let k = Math.min(w, i); k > 0; k--) t -= L[i][k] * x[i - k];
    x[i] = t / L[i][0];
  }
  for (let i = n - 1; i >= 0; i--) { x[i] /= L[i][0]; for (let k = Math.min(w, i); k > 0; k--) x[i - k] -= L[i][k] * x[i]; }
  return Array.from(x);
}

// Where each of the 9 taps of a 3 x 3 stencil finds its pixel: places[3 i + j][p], -1 beyond a border of zeros. numdl.flow.images.
export function places(side, border) {
  const at = (i) => (border === "reflecting" ? Math.min(Math.max(i, 0), side - 1) : border === "periodic" ? (i + side) % side : i < 0 || i >= side ? NaN : i);
  return range(9).map((q) => Int32Array.from(range(side * side), (p) => { const i = at(Math.floor(p / side) + Math.floor(q / 3) - 1), j = at((p % side) + (q % 3) - 1); return Number.isNaN(i + j) ? -1 : side * i + j; }));
}
// z[p, o] = sum of K[q, i, o] u[p + q, i] over the taps q and channels i; K and u are flat, the last channel runs fastest.
export function convolve(K, u, where, before, after) {
  const n = where[0].length, z = new Float64Array(n * after);
  for (let q = 0; q < 9; q++) {
    const places = where[q];
    for (let i = 0; i < before; i++) for (let o = 0; o < after; o++) {
      const k = K[(q * before + i) * after + o];
      for (let p = 0; p < n; p++) { const from = places[p]; if (from >= 0) z[p * after + o] += k * u[from * before + i]; }
    }
  }
  return z;
}
// Its adjoint: an image u with sum(u z') = sum(z convolve(K, u)) for all images.
export function convolveBack(K, z, where, before, after) {
  const n = where[0].length, u = new Float64Array(n * before);
  for (let q = 0; q < 9; q++) {
    const places = where[q];
    for (let i = 0; i < before; i++) for (let o = 0; o < after; o++) {
      const k = K[(q * before + i) * after + o];
      for (let p = 0; p < n; p++) { const from = places[p]; if (from >= 0) u[from * before + i] += k * z[p * after + o]; }
    }
  }
  return u;
}
// Norm of a convolution on a torus of n pixels a side: the largest over all waves; with n one more than the pixels of an image, a
// bound for that image with zeros beyond its border.
export function convolutionNorm(K, before, after, n) {
  let largest = 0;
  for (let a = 0; a <= n >> 1; a++) for (let b = 0; b < n; b++) {
    const S = range(2 * after).map(() => new Array(2 * before).fill(0));
    for (let q = 0; q < 9; q++) {
      const angle = (-2 * Math.PI * (a * (Math.floor(q / 3) - 1) + b * ((q % 3) - 1))) / n, c = Math.cos(angle), s = Math.sin(angle);
      for (let i = 0; i < before; i++) for (let o = 0; o < after; o++) { const k = K[(q * before + i) * after + o]; S[o][i] += c * k; S[after + o][before + i] += c * k; S[after + o][i] += s * k; S[o][before + i] -= s * k; }
    }
    largest = Math.max(largest, svd(S).s[0]);
  }
  return largest;
}
