// What do pages in a plane of two unknowns share? Quadratic valleys: their axes, their level lines, and conjugate gradients.
import { dot, range } from "./numerics.mjs";

export const quadratic = (H, p) => (H[0][0] * p[0] * p[0] + 2 * H[0][1] * p[0] * p[1] + H[1][1] * p[1] * p[1]) / 2;
export const apply = (H, p) => [H[0][0] * p[0] + H[0][1] * p[1], H[1][0] * p[0] + H[1][1] * p[1]];

// Eigenvalues [small, large] of a symmetric 2 x 2 matrix and their unit vectors.
export function axes2(H) {
  const mean = (H[0][0] + H[1][1]) / 2, root = Math.hypot((H[0][0] - H[1][1]) / 2, H[0][1]), large = mean + root;
  const phi = Math.atan2(2 * H[0][1], H[0][0] - H[1][1]) / 2, [c, s] = [Math.cos(phi), Math.sin(phi)];
  return { values: [(H[0][0] * H[1][1] - H[0][1] ** 2) / large, large], vectors: [[-s, c], [c, s]] };
}

// Points of the level line p'Hp/2 = level around `centre`.
export function ellipse({ values, vectors }, level, centre = [0, 0], points = 90) {
  return range(points + 1).map((k) => {
    const t = (2 * Math.PI * k) / points, a = Math.sqrt((2 * level) / values[0]) * Math.cos(t), b = Math.sqrt((2 * level) / values[1]) * Math.sin(t);
    return [centre[0] + a * vectors[0][0] + b * vectors[1][0], centre[1] + a * vectors[0][1] + b * vectors[1][1]];
  });
}

// Conjugate gradients for H p = 0 from p: the start and the points after one and two steps.
export function conjugate(H, p) {
  const way = [p];
  let r = apply(H, p).map((x) => -x), d = r;
  for (let k = 0; k < 2; k++) {
    const q = apply(H, d), curvature = dot(d, q);
    if (!(curvature > 0)) break;
    const t = dot(r, r) / curvature, before = dot(r, r);
    p = [p[0] + t * d[0], p[1] + t * d[1]];
    way.push(p);
    r = [r[0] - t * q[0], r[1] - t * q[1]];
    const s = dot(r, r) / before;
    d = [r[0] + s * d[0], r[1] + s * d[1]];
  }
  return way;
}
