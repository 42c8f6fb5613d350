"""Log evidence of a Gaussian process: how probable are the targets, with derivatives and rows left out one by one?

The covariance of the function is ``1 + v x'z + s k(x, z)``: an intercept, a linear term and a kernel; targets have unit
variance. Row g stands for ``w_g`` observations with noise variance ``sigma^2`` each, of which y_g is the mean:

``log p(y) = log N(y; 0, K + sigma^2 diag(1/w)) - (N - n)/2 log(2 pi sigma^2) - 1/2 sum log w - S / (2 sigma^2)``

with N the sum of the weights and S the spread within the groups, so that a row of weight 2 and a repeated row are the
same. Several targets (n, q) share one process: their log densities are added up. ``theta`` is ``log sigma^2, log s,
log v`` and what the kernel adds; each has a wide normal prior.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, sec. 2.7 and 5.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs  # pyright: ignore[reportAttributeAccessIssue]

from numdl.estimators.kernels.arcsine import ArcSine
from numdl.estimators.kernels.product import Anova, Legendre
from numdl.estimators.kernels.stationary import Flat, Stationary, Take, Tied, matern52, rbf

KERNELS: Mapping[str, Any] = MappingProxyType(
    {
        "linear": Flat(),
        "rbf": Stationary(rbf),
        "matern52": Stationary(matern52),
        "arcsine": ArcSine(),
        "legendre": Legendre(),
        "anova": Anova(),
    }
)
"""Kernels by name."""

TIED: Mapping[str, Any] = MappingProxyType({"rbf of one length": Tied(rbf), "matern52 of one length": Tied(matern52)})
"""Kernels with one length for all inputs, by name: of many inputs few rows do not tell the lengths."""

JITTER = 8 * np.finfo(float).eps
"""Added to the diagonal, over the trace of K: what rounding may take from its smallest eigenvalue."""

CENTRE, SPREAD = np.log([1e-2, 1.0, 0.1]), np.array([3.0, 3.0, 2.0])
"""Prior of noise, signal and linear term."""

_TILE = 64
_LEAST, _MOST, _REACH = np.log(1e-14), np.log(10.0), 6.0


def kernel_of(name: str) -> Any:
    """The kernel of this name.

    Args:
        name: key of ``KERNELS`` or ``TIED``.

    Returns:
        The kernel.
    """
    return KERNELS[name] if name in KERNELS else TIED[name]


class Rows(NamedTuple):
    """Rows that the evidence is asked of.

    Attributes:
        x: scaled inputs (n, d), no two rows alike.
        y: mean of the scaled targets of each row, (n,) or (n, q) for q targets of one process.
        w: observations that each row stands for (n,), positive.
        spread: S above, of all targets.
    """

    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    spread: float

    @property
    def targets(self) -> int:
        """Number of targets that share the process."""
        return 1 if self.y.ndim == 1 else self.y.shape[1]


class Factor(NamedTuple):
    """``K + sigma^2 diag(1/w) + jitter I = U' U``; ``upper`` is U in Fortran's order, ``dual`` solves for y."""

    upper: np.ndarray
    dual: np.ndarray
    jitter: float

    @property
    def inverse(self) -> np.ndarray:
        """The inverse of the matrix (n, n)."""
        half = dpotri(self.upper, lower=0)[0]  # below the diagonal is what `factorise` left there: zeros
        inverse = half + half.T
        np.fill_diagonal(inverse, half.diagonal())
        return inverse


class Room:
    """Matrices that are used again: new ones of megabytes took a quarter of the time of an evaluation, in the system.

    What is taken stays valid until all of it is given back.
    """

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []
        self._taken = 0

    def back(self) -> None:
        """All may be used again."""
        self._taken = 0

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """A matrix with whatever is in it.

        Args:
            shape: always the same.

        Returns:
            The matrix.
        """
        if self._taken == len(self._kept):
            self._kept.append(np.empty(shape))
        self._taken += 1
        return self._kept[self._taken - 1]


class Evidence:
    """Log posterior of the hyperparameters of one kernel, callable.

    Args:
        name: key of ``KERNELS`` or ``TIED``.
        rows: the data.
        box: interval of each input (2, d).
        ask: called before each evaluation, to raise when the time is over; None for no limit.
    """

    def __init__(self, name: str, rows: Rows, box: np.ndarray, ask: Callable[[], object] | None = None) -> None:
        self.name, self.rows, self.box, self.kernel, self._ask = name, rows, box, kernel_of(name), ask
        centre, spread = self.kernel.prior(rows.x.shape[1])
        self.centre, self.spread = np.r_[CENTRE, centre], np.r_[SPREAD, spread]
        self.low, self.high = self.centre - _REACH * self.spread, self.centre + _REACH * self.spread
        self.low[0], self.high[0] = _LEAST, _MOST
        self.features = self.kernel.features(rows.x, box)
        self.linear = rows.x @ rows.x.T
        self._room = Room()

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log likelihood plus log prior, and its gradient.

        Args:
            theta: hyperparameters (p,).

        Returns:
            Value and gradient (p,); minus infinity and 0 beyond the bounds or where no factor exists.
        """
        if self._ask is not None:
            self._ask()
        if (theta < self.low).any() or (theta > self.high).any():
            return -np.inf, np.zeros(len(theta))
        rows, (noise, signal, linear), take = self.rows, np.exp(theta[:3]), self._room.take
        self._room.back()
        k, pull = self.kernel.train(theta[3:], self.features, take)
        own, g = np.multiply(k, signal, out=take(k.shape)), np.multiply(self.linear, linear, out=take(k.shape))
        own += g
        factor = factorise(own, rows, noise, take)
        if factor is None:
            return -np.inf, np.zeros(len(theta))
        value = self.likelihood(factor, noise)
        dual, more = factor.dual.reshape(len(rows.y), -1), rows.targets * (rows.w.sum() - len(rows.y))
        np.matmul(0.5 * dual, dual.T, out=g)
        inverse = dpotri(factor.upper, lower=0, overwrite_c=1)[0].T  # its lower triangle, above are zeros
        inverse *= 0.5 * rows.targets
        diagonal = np.einsum("nn->n", g)  # a view that can be written
        diagonal += inverse.diagonal()
        g -= inverse
        for block in range(0, len(g), _TILE):  # by columns, each line of the cache once
            g[block : block + _TILE] -= inverse[:, block : block + _TILE].T
        total = diagonal.sum()
        by_noise = noise * (diagonal @ (1 / rows.w)) - 0.5 * more + rows.spread / (2 * noise)
        diagonal += JITTER * total  # the jitter follows the trace
        by_rest = signal * pull(g)
        gradient = np.r_[by_noise, signal * np.vdot(g, k), linear * np.vdot(g, self.linear), by_rest]
        off = (theta - self.centre) / self.spread
        value += -0.5 * off @ off - np.log(self.spread).sum() - 0.5 * len(off) * np.log(2 * np.pi)
        return value, gradient - off / self.spread

    def likelihood(self, factor: Factor, noise: float) -> float:
        """Log density of all observations.

        Args:
            factor: of the rows.
            noise: variance of one observation.

        Returns:
            Nats.
        """
        rows = self.rows
        fit = -0.5 * np.vdot(rows.y, factor.dual) - rows.targets * np.log(factor.upper.diagonal()).sum()
        return float(fit - 0.5 * rows.y.size * np.log(2 * np.pi) + within(rows, noise))

    def covariance(self, theta: np.ndarray) -> np.ndarray:
        """Signal and linear term between the rows, without the intercept.

        Args:
            theta: hyperparameters.

        Returns:
            (n, n).
        """
        return np.exp(theta[1]) * self.kernel.train(theta[3:], self.features)[0] + np.exp(theta[2]) * self.linear

    def hessian(self, theta: np.ndarray, step: float = 0.02) -> np.ndarray:
        """Curvature of minus the log posterior by central differences of its gradient: at least that of the prior.

        Args:
            theta: where, near a maximum.
            step: of the differences.

        Returns:
            (p, p), positive definite.
        """
        rows = []
        for unit in np.eye(len(theta)):
            ends = [np.clip(theta + way * step * unit, self.low, self.high) for way in (-1, 1)]
            before, after = (self(end)[1] for end in ends)
            rows.append((before - after) / max(unit @ (ends[1] - ends[0]), 1e-12))
        prior = 1 / self.spread
        values, vectors = np.linalg.eigh(0.5 * (np.array(rows) + np.array(rows).T) / (prior[:, None] * prior))
        scaled = vectors * prior[:, None]
        return (scaled * np.maximum(values, 1.0)) @ scaled.T


def within(rows: Rows, noise: float) -> float:
    """The part of the log density of all observations that the spread within rows has.

    Args:
        rows: the data.
        noise: variance of one observation.

    Returns:
        Nats.
    """
    more = rows.w.sum() - len(rows.w)
    each = more * np.log(2 * np.pi * noise) + np.log(rows.w).sum()
    return -0.5 * float(rows.targets * each + rows.spread / noise)


def factorise(own: np.ndarray, rows: Rows, noise: float, take: Take = np.empty) -> Factor | None:
    """Factor of ``1 + own + noise diag(1/w)`` with the least jitter that allows one.

    Args:
        own: covariance of the function without its intercept (n, n); overwritten.
        rows: targets and weights.
        noise: variance of one observation.
        take: where matrices come from.

    Returns:
        The factor, or None where the matrix is not positive definite with 10^6 times the least jitter either.
    """
    own += 1.0
    trace, added, matrix = own.trace(), noise / rows.w, take(own.shape)
    diagonal = own.diagonal().copy()
    for more in (1.0, 1e2, 1e4, 1e6):
        jitter = more * JITTER * trace
        np.fill_diagonal(own, diagonal + added + jitter)
        np.copyto(matrix, own)
        upper, info = dpotrf(matrix.T, lower=0, clean=1, overwrite_a=1)
        if info == 0 and np.isfinite(trace):
            return Factor(upper, dpotrs(upper, rows.y, lower=0)[0], float(jitter))
    return None


def left_out(y: np.ndarray, dual: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each y given all the others, from one inverse.

    Args:
        y: targets (n,).
        dual: inverse times y (n,).
        precision: diagonal of the inverse (n,).

    Returns:
        Two arrays (n,).
    """
    return y - dual / precision, 1 / precision
