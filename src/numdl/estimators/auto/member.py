"""What does a trained network predict: mean, variance of a new observation, derivative, and each row left out?

The posterior of the weights is that of the model linearised at the most probable ones, `laplace`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dtrmm  # pyright: ignore[reportAttributeAccessIssue]

from numdl.estimators.auto import network
from numdl.estimators.auto.laplace import Curvature
from numdl.estimators.auto.network import Architecture, jacobian, predict
from numdl.estimators.kernels.evidence import Rows

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
        left_out: sum of the log densities of the rows given all others.
        freedom: number of weights that the data determine.
        iterations: steps taken.
        settled: whether it stopped by itself.
    """

    spec: Architecture
    weights: np.ndarray
    precisions: np.ndarray
    noise: float
    root: np.ndarray
    evidence: float
    left_out: float
    freedom: float
    iterations: int
    settled: bool


def moments(one: Network, x: np.ndarray, *, std: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean, and variance of a new observation.

    Args:
        one: the network.
        x: scaled rows (n, d).
        std: whether the variance is wanted.

    Returns:
        (n,) both; None for what is not wanted.
    """
    mean = np.empty(len(x))
    variance = np.empty(len(x)) if std else None
    for start in range(0, len(x), BLOCK):
        block = slice(start, start + BLOCK)
        if variance is None:
            mean[block] = predict(one.spec, one.weights, x[block])
            continue
        mean[block], J = jacobian(one.spec, one.weights, x[block])
        reached = dtrmm(1.0, one.root, J, side=1, overwrite_b=1)
        variance[block] = np.einsum("np,np->n", reached, reached) + one.noise
    return mean, variance


def slope(one: Network, x: np.ndarray) -> np.ndarray:
    """Derivative of the mean by the scaled inputs.

    Args:
        one: the network.
        x: scaled rows (n, d).

    Returns:
        (n, d).
    """
    return network.slope(one.spec, one.weights, x)


def left_out(one: Network, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each row's y given all the other rows, in the linearised model; precisions are kept.

    Args:
        one: the network.
        rows: what it was trained on.

    Returns:
        Two arrays (n,).
    """
    f, J = jacobian(one.spec, one.weights, rows.x)
    curvature = Curvature(J, one.precisions, one.noise, rows.w)
    return left_out_of(curvature, rows.y, f, J @ one.weights)


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
