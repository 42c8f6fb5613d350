// Which ill-posed problem do the pages of lecture 1 share? numdl's `deblurring(64, 0.03)`: a signal seen through a lens.
import { dot, linspace, median, norm, plus, random, range, scale, sum, svd, times, minus } from "./numerics.mjs";

export const N = 64, WIDTH = 0.03;
export const T = range(N).map((i) => (i + 0.5) / N);

export function kernel(width, n) {
  const points = width * n, reach = Math.min(Math.max(Math.trunc(5 * points), 1), n - 1);
  const values = range(2 * reach + 1).map((i) => Math.exp(-(((i - reach) / points) ** 2) / 2));
  return values.map((v) => v / sum(values));
}

let made = null;
// {A, x, b, U, s, V}: made once, 64 singular values from 1 to 1e-8.
export function problem() {
  if (made) return made;
  const k = kernel(WIDTH, N), half = k.length >> 1;
  const A = range(N).map((i) => range(N).map((j) => (Math.abs(i - j) <= half ? k[half + i - j] : 0)));
  const x = T.map((t) => +(t > 0.1 && t < 0.25) + (t < 0.5) * Math.min(Math.max((t - 0.35) / 0.15, 0), 1) + 1.5 * Math.exp(-(((t - 0.75) / 0.06) ** 2) / 2));
  made = { A, x, b: times(A, x), ...svd(A) };
  return made;
}

// Data with errors of the relative size `noise`; sigma is the standard deviation of one of them.
export function data(noise, seed) {
  const { b, U } = problem(), sigma = (noise * norm(b)) / Math.sqrt(N);
  const c = plus(b, scale(sigma, random(seed).normals(N)));
  return { c, sigma, beta: U.map((u) => dot(u, c)) };
}

export const tikhonov = (alpha) => problem().s.map((s) => (s * s) / (s * s + alpha));
export const truncated = (k) => range(N).map((i) => +(i < k));

// What filter factors make of the data: x = sum f_i beta_i / s_i v_i.
export function filtered(f, beta) {
  const { s, V, x: truth } = problem();
  const x = range(N).map(() => 0);
  for (let i = 0; i < N; i++) { const w = (f[i] * beta[i]) / s[i]; if (w) for (let j = 0; j < N; j++) x[j] += w * V[i][j]; }
  return { x, error: norm(minus(x, truth)) / norm(truth), residual: Math.sqrt(sum(f.map((v, i) => ((1 - v) * beta[i]) ** 2))) };
}
