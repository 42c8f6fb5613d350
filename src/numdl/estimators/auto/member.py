"""What does a trained network predict: mean, variance of a new observation, derivative, and each row left out?

The posterior of the weights is that of the model linearised at the most probable ones, `laplace`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dtrmm  # pyright: ignore[reportAttributeAccessIssue]

from numdl.estimators.auto import network
from numdl.estimators.auto.blocks import curvature_at
from numdl.estimators.auto.laplace import Curvature, without_each
from numdl.estimators.auto.network import Architecture, jacobian, predict
from numdl.estimators.kernels.evidence import Rows
from numdl.estimators.kernels.threads import each

BLOCK = 256
"""Rows at once: what belongs to them then stays in the cache."""


class Network(NamedTuple):
    """A trained network for one scaled target, as predictions and files need it.

    Attributes:
        spec: architecture.
        weights: the most probable ones (P,).
        precisions: of the weights (P,).
        noise: variance of one observation.
        root: upper triangular, ``root root'`` is the covariance of the weights (P, P).
        evidence: Laplace log evidence of all observations, in nats, on the scale of that of processes.
        density: sum of the log densities of the rows given all others.
        freedom: number of weights that the data determine.
        iterations: steps taken.
        settled: whether it stopped by itself.
        weight: share in a mixture.
    """

    spec: Architecture
    weights: np.ndarray
    precisions: np.ndarray
    noise: float
    root: np.ndarray
    evidence: float
    density: float
    freedom: float
    iterations: int
    settled: bool
    weight: float = 1.0

    @property
    def name(self) -> str:
        """Of the architecture."""
        return self.spec.name

    @property
    def jitter(self) -> float:
        """Nothing is added for the sake of rounding."""
        return 0.0

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return len(self.weights)

    def moments(self, rows: Rows, box: np.ndarray, x: np.ndarray, *, std: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean, and variance of a new observation; see `kernels.process.Process` for this and the other methods."""
        mean = np.empty(len(x))
        variance = np.empty(len(x)) if std else None

        def fill(start: int) -> None:
            block = slice(start, start + BLOCK)
            if variance is None:
                mean[block] = predict(self.spec, self.weights, x[block])
                return
            mean[block], J = jacobian(self.spec, self.weights, x[block])
            reached = dtrmm(1.0, self.root, J, side=1, overwrite_b=1)
            variance[block] = np.einsum("np,np->n", reached, reached) + self.noise

        each(fill, range(0, len(x), BLOCK))
        return mean, variance

    def slope(self, rows: Rows, box: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Derivative of the mean by the scaled inputs."""
        return network.slope(self.spec, self.weights, x)

    def spread(self, factor: float) -> Network:
        """The same mean, and this factor on all variances.

        Args:
            factor: positive.

        Returns:
            The network.
        """
        root, a = self.root * np.sqrt(factor), self.precisions / factor
        return self._replace(noise=self.noise * factor, root=root, precisions=a)

    def left_out(self, rows: Rows, some: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each row given all the others, in the linearised model; precisions are kept.

        Args:
            rows: what it was trained on.
            some: which rows are asked for; the weights then count as the minimum of the linearised model, for which no
                pass over all rows is needed. None for all.

        Returns:
            Two arrays (n,), or of the length of ``some``.
        """
        if some is not None:
            x, y, w = rows.x[some], rows.y[some], rows.w[some]
            mean, variance = self.moments(rows, np.empty((2, 0)), x, std=True)
            return without_each(y, w, mean, np.asarray(variance), self.noise)
        f, curvature = curvature_at(self.spec, self.weights, self.precisions, self.noise, rows)
        return left_out_of(curvature, rows.y, f, curvature.J @ self.weights)


def left_out_of(
    curvature: Curvature, y: np.ndarray, f: np.ndarray, linear: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same from a curvature that is there.

    Args:
        curvature: at the weights.
        y: targets (n,).
        f: the network at the rows (n,).
        linear: derivative times weights (n,): the linearised model is ``f - linear + J p``.

    Returns:
        Two arrays (n,).
    """
    precision = curvature.precision()
    target = y - f + linear
    dual = (target - curvature.J @ curvature.weights(target)) * curvature.w / curvature.noise
    return y - dual / precision, 1 / precision
