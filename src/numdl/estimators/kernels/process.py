"""One Gaussian process at given hyperparameters: what does it predict, and what of a row without that row?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dtrsm  # pyright: ignore[reportAttributeAccessIssue]

from numdl.estimators.kernels.evidence import JITTER, KERNELS, Evidence, Factor, Rows, factorise, left_out
from numdl.estimators.kernels.threads import each

BLOCK = 256
"""Rows at once: what belongs to them then stays in the cache."""


class Process(NamedTuple):
    """One process, as predictions and files need it; a member of a `mixture.Mixture`.

    Attributes:
        name: of the kernel.
        theta: hyperparameters (p,).
        weight: share in the mixture.
        lower: L of the covariance L L' of the rows with noise and jitter (n, n).
        dual: solution of L L' dual = y (n,).
        jitter: variance added for the sake of rounding.
        raised: whether it is more than the least.
        freedom: effective degrees of freedom.
    """

    name: str
    theta: np.ndarray
    weight: float
    lower: np.ndarray
    dual: np.ndarray
    jitter: float
    raised: bool
    freedom: float

    @property
    def noise(self) -> float:
        """Variance of one observation."""
        return float(np.exp(self.theta[0]))

    @property
    def n_parameters(self) -> int:
        """Number of hyperparameters."""
        return len(self.theta)

    def moments(self, rows: Rows, box: np.ndarray, x: np.ndarray, *, std: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean, and variance of a new observation.

        Args:
            rows: what it was conditioned on.
            box: interval of each input (2, d).
            x: scaled rows (n, d).
            std: whether the variance is wanted.

        Returns:
            (n,) both; None for what is not wanted.
        """
        mean = np.empty(len(x))
        variance = np.empty(len(x)) if std else None
        kernel, (noise, signal, linear) = KERNELS[self.name], np.exp(self.theta[:3])
        trained, old = kernel.features(rows.x, box), rows.x.T

        def fill(start: int) -> None:
            block = slice(start, start + BLOCK)
            new = kernel.features(x[block], box)
            k = kernel.cross(self.theta[3:], new, trained)
            k *= signal
            k += linear * (x[block] @ old)
            k += 1.0
            mean[block] = k @ self.dual
            if variance is not None:
                own = 1 + signal * kernel.diagonal(self.theta[3:], new)
                own += linear * np.einsum("nd,nd->n", x[block], x[block])
                half = dtrsm(1.0, self.lower.T, k.T, trans_a=1, overwrite_b=1)
                variance[block] = np.maximum(own - np.einsum("bn,bn->n", half, half), 0.0) + noise

        each(fill, range(0, len(x), BLOCK))
        return mean, variance

    def slope(self, rows: Rows, box: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Derivative of the mean by the scaled inputs.

        Args:
            rows: what it was conditioned on.
            box: interval of each input (2, d).
            x: scaled rows (n, d).

        Returns:
            (n, d).
        """
        out = np.empty_like(x)
        kernel, (_, signal, linear) = KERNELS[self.name], np.exp(self.theta[:3])
        straight = linear * (self.dual @ rows.x)
        for start in range(0, len(x), BLOCK):
            block = slice(start, start + BLOCK)
            out[block] = straight + signal * kernel.slope(self.theta[3:], x[block], rows.x, box, self.dual)
        return out

    def left_out(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the mean of each row's observations given all the other rows.

        Args:
            rows: what it was conditioned on.

        Returns:
            Two arrays (n,).
        """
        precision = Factor(self.lower.T, self.dual, self.jitter).inverse.diagonal()
        return left_out(rows.y, self.dual, precision)


def condition(model: Evidence, theta: np.ndarray) -> tuple[Process, Factor, np.ndarray] | None:
    """The process at these hyperparameters, of weight 1.

    Args:
        model: kernel and rows.
        theta: hyperparameters (p,).

    Returns:
        The process, its factor and the diagonal of its inverse; None where there is no factor.
    """
    covariance = model.covariance(theta)
    least = JITTER * (covariance.trace() + len(covariance))
    factor = factorise(covariance, model.rows, np.exp(theta[0]))
    if factor is None:
        return None
    precision = factor.inverse.diagonal()
    freedom = len(precision) - (np.exp(theta[0]) / model.rows.w + factor.jitter) @ precision
    raised, lower = factor.jitter > 2 * least, factor.upper.T
    process = Process(model.name, theta, 1.0, lower, factor.dual, factor.jitter, bool(raised), float(freedom))
    return process, factor, precision
