// How do criteria judge an alpha? Residual, size and freedom of Tikhonov's solution over alpha, and what is made of them.
import { N, problem } from "./inverse.mjs";
import { geomspace } from "./numerics.mjs";

export const GUARD = 1.4; // numdl.regularize.selectors.GUARD
export const ALPHAS = geomspace(1e-12, 10, 131);

// At one alpha of |A x - c|^2 + alpha |x|^2: r = |A x - c|, size = |x|, freedom = sum of the filter factors, and the curvature of
// (log r, log size) over log alpha. Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 4.5, 5.3 and 5.4.
export function judge(alpha, beta) {
  const { s } = problem();
  let rr = 0, ee = 0, r1 = 0, e1 = 0, r2 = 0, e2 = 0, freedom = 0;
  for (let i = 0; i < N; i++) {
    const f = s[i] ** 2 / (s[i] ** 2 + alpha), g = alpha / (s[i] ** 2 + alpha), b = beta[i] ** 2, q = b / s[i] ** 2;
    // In u = log alpha: f' = -f g, g' = f g. Squares R = g^2 b and E = f^2 q, with their first and second derivatives.
    rr += g * g * b; r1 += 2 * f * g * g * b; r2 += 2 * f * g * g * (2 * f - g) * b;
    ee += f * f * q; e1 -= 2 * f * f * g * q; e2 += 2 * f * f * g * (2 * g - f) * q;
    freedom += f;
  }
  const x1 = r1 / (2 * rr), y1 = e1 / (2 * ee), x2 = r2 / (2 * rr) - r1 ** 2 / (2 * rr ** 2), y2 = e2 / (2 * ee) - e1 ** 2 / (2 * ee ** 2);
  const speed = Math.hypot(x1, y1), r = Math.sqrt(rr);
  return {
    alpha, r, size: Math.sqrt(ee), freedom, speed, curvature: speed ? (x1 * y2 - x2 * y1) / speed ** 3 : 0,
    gcv: (N * rr) / (N - freedom) ** 2, guarded: (rr / N) * (1 - freedom / N) ** (-2 * GUARD),
  };
}

// The grid's choice by each criterion; `explained` is the norm of the noise. A curve that stands still has no corner.
export function choose(path, explained) {
  const least = (key) => path.reduce((k, one, i) => (one[key] < path[k][key] ? i : k), 0);
  const fastest = Math.max(...path.map((one) => one.speed)), bent = path.map((one) => (one.speed > 1e-4 * fastest ? one.curvature : 0));
  let morozov = 0;
  path.forEach((one, i) => { if (one.r <= 1.01 * explained) morozov = i; });
  return { gcv: least("gcv"), guarded: least("guarded"), corner: bent.reduce((k, b, i) => (b >= bent[k] ? i : k), 0), discrepancy: morozov };
}
