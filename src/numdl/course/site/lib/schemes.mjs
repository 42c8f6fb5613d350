// One step of u' = f(t, u) by numdl's explicit schemes, for a list u that may hold several unknowns.
const move = (u, h, v) => u.map((x, i) => x + h * v[i]);
export const ORDER = { euler: 1, heun: 2, rk4: 4 };
export const STEP = {
  euler: (f, t, u, h) => move(u, h, f(t, u)),
  heun(f, t, u, h) { const a = f(t, u), b = f(t + h, move(u, h, a)); return u.map((x, i) => x + (h / 2) * (a[i] + b[i])); },
  rk4(f, t, u, h) {
    const a = f(t, u), b = f(t + h / 2, move(u, h / 2, a)), c = f(t + h / 2, move(u, h / 2, b)), d = f(t + h, move(u, h, c));
    return u.map((x, i) => x + (h / 6) * (a[i] + 2 * b[i] + 2 * c[i] + d[i]));
  },
};
// All states of nt steps to the time T; backwards if T is negative.
export const march = (scheme, f, nt, T, u) => { const h = T / nt, all = [u]; for (let k = 0; k < nt; k++) all.push(STEP[scheme](f, k * h, all[k], h)); return all; };
