"""Which weights of a small network explain the rows best, and how strongly is each group of them held?

The most probable weights minimise ``1/(2 s) sum w (y - f)^2 + 1/2 sum a_g |p_g|^2``. A step of Levenberg-Marquardt for
the inner weights carries the head along undamped and then solves for it again: variable projection. After each step the
precisions a_g, one for each input and one for each kind of other weights, and the noise s go to where the evidence of
the linearised model and a wide normal prior of their logarithms balance:

    (gamma_g - a_g |p_g|^2) / 2 = (log a_g - c_g) / t_g^2,    (N - gamma - sum w r^2 / s - S / s) / 2 = (c - log s) / t^2

with gamma_g the number of weights of a group that the data determine. The best evidence of all steps is kept.

Sources: Golub and Pereyra, Inverse Problems 19, 2003, sec. 4; MacKay, Neural Computation 4, 1992, sec. 2; Tipping, JMLR
1, 2001, sec. 2.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dgels  # pyright: ignore[reportAttributeAccessIssue]
from scipy.special import gammaln

from numdl.estimators.auto.laplace import Curvature
from numdl.estimators.auto.network import Architecture, draw, features, jacobian
from numdl.estimators.kernels.evidence import Rows, within

OPT = dict(D="marq", clip=(-1.0, 2.3), most=150, sym=True, mu0=1e-2, mods="", win=20, ptol=1.0, hc=0.0, hs=3.0, xs=4.0, bs=3.0, **{"is": 3.0}, n0=0.1)


class Fit(NamedTuple):
    p: np.ndarray
    log_a: np.ndarray
    noise: float
    evidence: float
    laplace: float
    iterations: int
    trace: list


def prior(spec):
    d, m = spec.d, spec.width
    centre = np.r_[np.full(d, np.log(max(d, 1)) + OPT['xc']), 0.0, np.log(m) + OPT['ic'], np.log(m) + OPT["hc"], np.log(10.0), np.log(1e-2)]
    spread = np.r_[np.full(d, OPT["xs"]), OPT["bs"], OPT["is"], OPT["hs"], 3.0, 3.0]
    return centre, spread


def train(rows: Rows, spec: Architecture, rng, deadline=None):
    n, w, y = len(rows.y), rows.w, rows.y
    N = w.sum()
    groups = spec.groups
    G = spec.d + 4
    counts = np.bincount(groups[groups >= 0], minlength=G)
    on = counts > 0
    centre, spread = prior(spec)
    log_a = centre[:-1].copy()
    noise = OPT["n0"]
    p = draw(spec, rng)
    expand = lambda la: np.where(groups >= 0, np.exp(la)[groups], 1.0)
    a = expand(log_a)
    p = solve_head(spec, p, a, noise, rows)
    mu, nu = OPT["mu0"], 2.0
    best, history = None, []
    for it in range(OPT["most"]):
        f, J = jacobian(spec, p, rows.x)
        r = y - f
        cur = Curvature(J, a, noise, w)
        if cur.upper is None:
            break
        noise = cur.noise
        share, left = cur.determined()
        gamma = np.bincount(groups + 1, share, minlength=G + 1)[1:]
        squares = np.bincount(groups + 1, p**2, minlength=G + 1)[1:]
        misfit = float(w @ r**2) + rows.spread
        lap = -0.5 * (w @ r**2 / noise + a @ p**2 + cur.logdet + n * np.log(2 * np.pi)) + within(rows, noise)
        z = (np.r_[log_a, np.log(noise)] - centre) / spread
        curv = np.r_[gamma, left] / 2
        vol = -0.5 * np.log1p(curv * spread**2)
        use = np.r_[on, True]
        m_eff = share[spec.n_inner : spec.n_inner + spec.width].sum()
        sym = gammaln(m_eff + 1) + m_eff * np.log(2) if OPT["sym"] else 0.0
        ev = lap + (-0.5 * z**2 + vol)[use].sum() + sym
        history.append(ev)
        if best is None or ev > best.evidence:
            best = Fit(p, log_a, noise, ev, lap, it, history)
        if settled(history, n) or (deadline is not None and time.monotonic() > deadline):
            break
        move = it >= OPT['delay']
        log_a = np.where(on & move, rebalance(log_a, gamma, squares, centre[:-1], spread[:-1]), log_a)
        log_s = rebalance(-np.log(noise), left, misfit, -centre[-1], spread[-1])
        noise = float(np.exp(-log_s)) if move else noise
        a = expand(log_a)
        objective = 0.5 * (w @ r**2 / noise + a @ p**2)
        weightJ = None
        for _ in range(8):
            if OPT["D"] == "marq":
                D = (w / noise) @ J**2 if weightJ is None else weightJ
                weightJ = D
                D = np.maximum(D, 1e-6 * D.max())
            elif OPT["D"] == "prior":
                D = a.copy()
            elif OPT["D"] == "sum":
                D = ((w / noise) @ J**2 if weightJ is None else weightJ) + a
            D = D.copy()
            D[spec.n_inner:] = 0.0
            M = a + mu * D
            step = Curvature(J, M, noise, w)
            if step.upper is None:
                mu *= 10
                continue
            d0 = a * p / M
            delta = step.weights(r + J @ d0) - d0
            trial = solve_head(spec, p + delta, a, noise, rows)
            rt = y - features(spec, trial, rows.x) @ trial[spec.n_inner :]
            new = 0.5 * (w @ rt**2 / noise + a @ trial**2)
            lin = r - J @ delta
            predicted = objective - 0.5 * (w @ lin**2 / noise + a @ (p + delta) ** 2)
            if np.isfinite(new) and new < objective:
                rho = (objective - new) / max(predicted, 1e-300)
                p = trial
                mu = max(mu * max(1 / 3 if "fast" not in OPT["mods"] else 0.1, 1 - (2 * min(rho, 1) - 1) ** 3), 1e-12)
                nu = 2.0
                break
            if predicted < 1e-10 * max(1, abs(objective)):
                break
            mu *= nu
            nu *= 2
    return best


def rebalance(log_a, gamma, squares, centre, spread, clip=None):
    """Newton on gamma/2 - a q/2 - (log a - c)/t^2 = 0, concave in log a."""
    low, high = OPT["clip"]
    x = log_a
    for _ in range(20):
        aq = np.exp(np.minimum(x, 600)) * squares
        g = 0.5 * (gamma - aq) - (x - centre) / spread**2
        h = 0.5 * aq + 1 / spread**2
        x = x + np.clip(g / h, -2, 2)
    return log_a + np.clip(x - log_a, low, high)


def settled(history, n):
    k = OPT["win"]
    if len(history) < 40:
        return False
    return max(history[-k:]) - max(history[:-k]) < 0.2 + 0.002 * n


def solve_head(spec, p, a, noise, rows):
    phi = features(spec, p, rows.x)
    i = spec.n_inner
    weight = np.sqrt(rows.w / noise)
    A = np.concatenate([phi * weight[:, None], np.diag(np.sqrt(a[i:]))])
    b = np.r_[weight * rows.y, np.zeros(len(p) - i)]
    out = p.copy()
    out[i:] = dgels(A, b)[1][: len(p) - i]
    return out
