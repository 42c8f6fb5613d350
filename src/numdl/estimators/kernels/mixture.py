"""What does a mixture of Gaussian processes predict: mean, deviation, quantiles, derivative, and each row left out?"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dtrsm  # pyright: ignore[reportAttributeAccessIssue]
from scipy.special import ndtr, ndtri

from numdl.estimators.kernels.evidence import KERNELS, Factor, Rows, left_out
from numdl.estimators.kernels.search import Process

BLOCK = 256
"""Rows at once: what belongs to them then stays in the cache."""


class Mixture(NamedTuple):
    """Processes for one scaled target.

    Attributes:
        processes: the processes; their weights have the sum 1.
        rows: what they were conditioned on.
        box: lowest and highest value of each input (2, d).
    """

    processes: list[Process]
    rows: Rows
    box: np.ndarray


def moments(mixture: Mixture, x: np.ndarray, *, std: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean of each member and its variance of a new observation.

    Args:
        mixture: the processes.
        x: scaled rows (n, d).
        std: whether variances are wanted.

    Returns:
        (members, n) both; None for what is not wanted.
    """
    means = np.empty((len(mixture.processes), len(x)))
    variances = np.empty_like(means) if std else None
    for i, process in enumerate(mixture.processes):
        kernel, (noise, signal, linear) = KERNELS[process.kernel], np.exp(process.theta[:3])
        trained, old = kernel.features(mixture.rows.x, mixture.box), mixture.rows.x.T
        for start in range(0, len(x), BLOCK):
            block = slice(start, start + BLOCK)
            new = kernel.features(x[block], mixture.box)
            k = kernel.cross(process.theta[3:], new, trained)
            k *= signal
            k += linear * (x[block] @ old)
            k += 1.0
            means[i, block] = k @ process.dual
            if variances is not None:
                own = 1 + signal * kernel.diagonal(process.theta[3:], new)
                own += linear * np.einsum("nd,nd->n", x[block], x[block])
                half = dtrsm(1.0, process.lower.T, k.T, trans_a=1, overwrite_b=1)
                variances[i, block] = np.maximum(own - np.einsum("bn,bn->n", half, half), 0.0) + noise
    return means, variances


def combine(weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a mixture of normal distributions.

    Args:
        weights: (m,), their sum 1.
        means: (m, n).
        variances: (m, n).

    Returns:
        Two arrays (n,).
    """
    mean = weights @ means
    return mean, np.sqrt(weights @ (variances + (means - mean) ** 2))


def quantile(weights: np.ndarray, means: np.ndarray, variances: np.ndarray, level: float) -> np.ndarray:
    """Quantile of a mixture of normal distributions, by bisection between those of its members.

    Args:
        weights: (m,), their sum 1.
        means: (m, n).
        variances: (m, n).
        level: between 0 and 1.

    Returns:
        (n,).
    """
    deviations = np.sqrt(variances)
    each = means + deviations * ndtri(level)
    low, high = each.min(axis=0), each.max(axis=0)
    for _ in range(50 if len(weights) > 1 else 0):
        middle = 0.5 * (low + high)
        below = weights @ ndtr((middle - means) / deviations) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def slopes(mixture: Mixture, x: np.ndarray) -> np.ndarray:
    """Derivative of the mean by the scaled inputs.

    Args:
        mixture: the processes.
        x: scaled rows (n, d).

    Returns:
        (n, d).
    """
    out, old = np.zeros_like(x), mixture.rows.x
    for process in mixture.processes:
        kernel, (_, signal, linear) = KERNELS[process.kernel], np.exp(process.theta[:3])
        straight = linear * (process.dual @ old)
        for start in range(0, len(x), BLOCK):
            block = slice(start, start + BLOCK)
            curved = kernel.slope(process.theta[3:], x[block], old, mixture.box, process.dual)
            out[block] += process.weight * (straight + signal * curved)
    return out


def each_left_out(mixture: Mixture, group: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each observation given all others, hyperparameters and weights of members fixed.

    A row alone follows from the inverse. One of several rows at the same place is predicted from the process without
    that place and the other observations there.

    Args:
        mixture: the processes.
        group: which row of the mixture each observation belongs to (n,).
        y: scaled targets (n,).
        w: weights (n,), positive.

    Returns:
        Two arrays (n,).
    """
    rows = mixture.rows
    others = np.maximum(rows.w[group] - w, 0.0)
    others[others < 1e-12 * rows.w[group]] = 0.0
    rest = np.where(others > 0, (rows.w[group] * rows.y[group] - w * y) / np.where(others > 0, others, 1.0), 0.0)
    means, variances = [], []
    for process in mixture.processes:
        noise = np.exp(process.theta[0])
        precision = Factor(process.lower.T, process.dual, process.jitter).inverse.diagonal()
        place, variance = left_out(rows.y, process.dual, precision)
        latent = np.maximum(variance - noise / rows.w, np.finfo(float).tiny)[group]
        gain = latent * others / (noise + latent * others)
        means.append(place[group] + gain * (rest - place[group]))
        variances.append(latent * (1 - gain) + noise / w)
    weights = np.array([process.weight for process in mixture.processes])
    return combine(weights, np.array(means), np.array(variances))


def mean_over(mixture: Mixture, of: Callable[[Process], float]) -> float:
    """Mean over the processes of a number that each of them has.

    Args:
        mixture: the processes.
        of: the number of a process.

    Returns:
        The mean.
    """
    return float(sum(process.weight * of(process) for process in mixture.processes))
