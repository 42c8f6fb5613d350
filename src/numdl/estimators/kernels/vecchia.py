"""Vecchia approximation: which hyperparameters make each row most probable given its nearest neighbours?

With C the covariance of a row and its neighbours, the row first, ``Q = C^-1``, ``q = Q e_1`` and ``b = Q y``,

    log p(y_1 | neighbours) = 1/2 log q_1 - b_1^2 / (2 q_1) - 1/2 log 2 pi,

and its derivative by C is ``-1/2 (1/q_1 + b_1^2/q_1^2) q q' + (b_1/q_1) q b'``: rank two for each row. Each row is
left out of its own neighbours, so the sum over some rows, with neighbours among all, is the leave-one-out log density
where rows are as dense as all are. It chooses lengths that no subset could show.

Sources: Vecchia, Estimation and model identification for continuous spatial processes, JRSS B 50, 1988; Rasmussen and
Williams, Gaussian Processes for Machine Learning, MIT Press 2006, sec. 5.4.2.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtri

from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import CENTRE, SPREAD, Rows
from numdl.estimators.kernels.nearest import PROFILES, Nearest, Neighbours, cover, jitter_of, slices, solve
from numdl.estimators.kernels.threads import each

FEW, MANY = 30, 60
"""Neighbours while hyperparameters are sought, and of a prediction."""

SOUGHT = 1000
"""Rows whose density chooses hyperparameters."""


class Density:
    """Mean log density of some rows given their neighbours, with derivatives; callable.

    Args:
        kernel: name in ``PROFILES``.
        rows: all rows.
        index: rows and their neighbours (b, 1 + m).
    """

    def __init__(self, kernel: str, rows: Rows, index: np.ndarray) -> None:
        self._profile, self._x = PROFILES[kernel], rows.x[index]
        self._y, self._w = rows.y[index], rows.w[index]

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and derivative.

        Args:
            theta: hyperparameters (3 + d,).

        Returns:
            Mean over the rows in nats, and (3 + d,).
        """
        parts = each(lambda b: self._part(theta, self._x[b], self._y[b], self._w[b]), slices(len(self._y), 128))
        values, slopes = zip(*parts, strict=True)
        return sum(values) / len(self._y), np.sum(slopes, axis=0) / len(self._y)

    def _part(self, theta: np.ndarray, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray]:
        (noise, signal, linear), m = np.exp(theta[:3]), x.shape[1]
        C, k, slope, straight = cover(self._profile, theta, x, x)
        i = np.arange(m)
        C[:, i, i] += noise / w + jitter_of(theta, m - 1)
        right = np.zeros((*y.shape, 2))
        right[:, 0, 0], right[..., 1] = 1.0, y
        solved = solve(C, right)
        q, b = solved[..., 0], solved[..., 1]
        first, error = q[:, 0], b[:, 0]
        if not (first > 0).all():  # rounding left no positive definite matrix
            return -np.inf, np.zeros(len(theta))
        value = 0.5 * float(np.sum(np.log(first) - error**2 / first - np.log(2 * np.pi)))
        left = (-0.5 * (1 / first + (error / first) ** 2))[:, None] * q + (error / first)[:, None] * b
        G = left[:, :, None] * q[:, None, :]
        G = 0.5 * (G + G.transpose(0, 2, 1))
        z = x * np.exp(-theta[3:])
        H = G * slope
        by_length = -4 * signal * (np.einsum("bm,bmd->d", H.sum(axis=2), z**2) - np.einsum("bmd,bmd->d", z, H @ z))
        by_noise = noise * float(np.sum(np.einsum("bmm->bm", G) / w))
        by_jitter = jitter_of(theta, m - 1) * float(np.einsum("bmm->", G))
        by_signal = signal * float(np.vdot(G, k)) + by_jitter
        return value, np.r_[by_noise, by_signal, linear * float(np.vdot(G, straight)), by_length]


def nearest(
    rows: Rows, rng: np.random.Generator, clock: Clock, kernels: tuple[str, ...] = tuple(PROFILES)
) -> Nearest | None:
    """The process on nearest rows of the best kernel, its hyperparameters found on some rows among all.

    All kernels are tried on a quarter of these rows; the best goes on. Neighbours are found anew whenever the lengths
    have moved. Variances are stretched in the end to what rows show that had no part in the search.

    Args:
        rows: the data.
        rng: source of the rows.
        clock: when to stop.
        kernels: names in ``PROFILES``.

    Returns:
        The member; None where the time ended, or nothing is finite, before there was one.
    """
    n, d = rows.x.shape
    order = rng.permutation(n)
    some, other = order[:SOUGHT], order[SOUGHT : 2 * SOUGHT] if n >= 2 * SOUGHT else order
    theta = np.r_[np.log(0.1), CENTRE[1:], np.full(d, np.log(2.0) + 0.5 * np.log(d))]
    tried = []
    for kernel in kernels:
        with clock.guard(needed=False):
            found = theta
            for _ in range(2):
                value, found = _climb(kernel, rows, some[: SOUGHT // 4], found, 12, clock)
            tried.append((value, kernel, found))
    if not tried:
        return None
    _, kernel, theta = max(tried, key=lambda one: one[0])
    with clock.guard(needed=False):
        for steps in (10, 20):
            theta = _climb(kernel, rows, some, theta, steps, clock)[1]
    one = Nearest(kernel, theta, MANY, 0.0)
    with clock.guard(needed=False):
        clock.check()
        mean, variance = one.left_out(rows, other)
        off = np.abs(rows.y[other] - mean) / np.sqrt(variance)
        if np.isfinite(off).all():
            share = 1 - one.noise / rows.w[other] / variance
            one = one._replace(freedom=float(n * np.mean(np.clip(share, 0.0, 1.0))))
            return one.spread(stretch(off))
    return None


def stretch(off: np.ndarray) -> float:
    """Factor on variances that lets intervals of 50 and 90 % hold what they say, one too many and the other too few.

    Errors with heavy tails have a mean square that both would be too wide with.

    Args:
        off: absolute errors over their standard deviations (n,).

    Returns:
        A number between 0.1 and 10.
    """
    half, most = np.quantile(off, (0.5, 0.9)) / ndtri((0.75, 0.95))
    return float(np.clip(half * most, 0.1, 10.0))


def _climb(
    kernel: str, rows: Rows, some: np.ndarray, theta: np.ndarray, steps: int, clock: Clock
) -> tuple[float, np.ndarray]:
    """L-BFGS on log density plus log prior of hyperparameters with neighbours of the first; value and where."""
    d = rows.x.shape[1]
    centre = np.r_[CENTRE, np.full(d, np.log(4.0) + 0.25 * np.log(d))]
    spread = np.r_[SPREAD, np.full(d, 2.5)]
    near = Neighbours(rows, theta, FEW)
    density = Density(kernel, rows, np.concatenate(each(lambda b: near.others(some[b]), slices(len(some)))))

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        clock.check()
        value, slope = density(centre + spread * u)
        if not np.isfinite(value):
            return 1e10, np.zeros(len(u))
        return float(0.5 * u @ u / len(some) - value), u / len(some) - slope * spread

    bounds = [(-4.5, 3.0)] + [(-4.5, 4.5)] * (len(theta) - 1)
    first = np.clip((theta - centre) / spread, *np.transpose(bounds))
    done = minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps})
    return -float(done.fun), centre + spread * done.x
