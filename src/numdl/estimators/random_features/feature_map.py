"""Random feature map.

Which random features does a table get: scaling of its columns, a bandwidth that suits them, evaluation in blocks?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from numdl.data import Scaler
from numdl.estimators.common.weights import weighed
from numdl.estimators.networks.base import precision
from numdl.linalg import TSQR, tsqr_start, tsqr_update
from numdl.models import RandomFeatures, RandomWeights
from numdl.regularize.ridge import RidgeDecomposition, RidgePath, alpha_grid, decompose, leave_one_out
from numdl.regularize.selectors import GUARD, cross_validation

SCALES = tuple(2.0**j for j in range(-4, 5))
"""Bandwidths that "auto" tries."""

TRIAL_ROWS, TRIAL_WIDTH = 2000, 400
"""Rows and features at most of a trial: a quarter of a second for each bandwidth."""

BLOCK = 2**22
"""Features at a time: 32 MiB in float64."""


class FeatureMap(NamedTuple):
    """Random features of rows in the units of the data.

    Attributes:
        center: subtracted from the columns, (d,).
        deviation: then divided by, (d,); so large for constant columns that they stay 0.
        net: the layer.
        theta: its weights.
    """

    center: Float[np.ndarray, " d"]
    deviation: Float[np.ndarray, " d"]
    net: RandomFeatures
    theta: RandomWeights

    def __call__(self, X: Float[np.ndarray, "n d"], dtype: str = "float64") -> Float[np.ndarray, "n m"]:
        """Features of all rows, computed in blocks.

        Args:
            X: rows, (n, d).
            dtype: of the computation and the result.

        Returns:
            (n, m).
        """
        out = np.empty((len(X), self.net.width), dtype)
        for rows, features in self.blocks(X, dtype):
            out[rows] = features
        return out

    def blocks(self, X: Float[np.ndarray, "n d"], dtype: str = "float64") -> Iterator[tuple[slice, np.ndarray]]:
        """The same piece by piece.

        Args:
            X: rows, (n, d).
            dtype: of the computation and the result.

        Yields:
            The rows and their features.
        """
        size = max(1, BLOCK // self.net.width)
        theta = RandomWeights(*(np.asarray(a, dtype) for a in self.theta))
        net = dataclasses.replace(self.net, scale=1.0)  # it is in K: another one compiles nothing
        for start in range(0, len(X), size):
            rows = slice(start, min(start + size, len(X)))
            count = rows.stop - start
            x = np.zeros((min(size, 2 ** (count - 1).bit_length()), net.d), dtype)  # few sizes, few compilations
            x[:count] = (X[rows] - self.center) / self.deviation
            with precision(np.dtype(dtype)):
                yield rows, np.asarray(_features(net, theta, x))[:count]


def draw_map(
    X: Float[np.ndarray, "n d"],
    c: Float[np.ndarray, "n k"],
    weights: Float[np.ndarray, " n"],
    *,
    width: int,
    activation: str,
    scale: float | str,
    standardize: bool,
    seed: int,
) -> FeatureMap:
    """Features for a table.

    Args:
        X: rows, (n, d).
        c: targets, (n, k); "auto" looks at them.
        weights: relative, not negative, (n,).
        width: number of features.
        activation: key of ``ACTIVATIONS``.
        scale: bandwidth, or "auto".
        standardize: whether each column gets deviation 1; otherwise all share one factor.
        seed: of the weights and the trial's rows.

    Returns:
        The map.
    """
    scaler = Scaler.fit(X, weights)
    deviation = scaler.scale
    if not standardize:
        share = weights / weights.sum()
        spread = np.sqrt(np.mean(share @ (X - scaler.center) ** 2))
        deviation = np.where(scaler.flat, scaler.scale, spread)
    if isinstance(scale, str):
        build = partial(_build, scaler.center, deviation, min(width, TRIAL_WIDTH), activation, seed)
        scale = best_scale(build, X, c, weights, seed)
    return _build(scaler.center, deviation, width, activation, seed, scale)


def best_scale(
    build: Any, X: Float[np.ndarray, "n d"], c: Float[np.ndarray, "n k"], weights: Float[np.ndarray, " n"], seed: int
) -> float:
    """The bandwidth of `SCALES` whose ridge regression predicts left-out rows best, on a part of the rows.

    Args:
        build: bandwidth to `FeatureMap`.
        X: rows, (n, d).
        c: targets, (n, k).
        weights: relative, not negative, (n,).
        seed: of the rows.

    Returns:
        The bandwidth; without a spread of the targets the smallest.
    """
    used = np.flatnonzero(weights)
    rows = np.sort(np.random.default_rng(seed).permutation(used)[:TRIAL_ROWS])
    X, c, weights = X[rows], c[rows], weights[rows]
    counted = weighed(weights)
    weights = weights * (counted.factor / counted.sums[0])
    largest = np.abs(c).max()
    c = np.ldexp(c, -np.frexp(largest)[1]) if np.isfinite(largest) else c  # squares of what is huge are no numbers

    def criterion(scale: float) -> float:
        decomposition = decompose_rows(build(scale), X, c, weights, intercept=True)
        path = left_out(decomposition, alpha_grid(decomposition))
        return float(np.nanmin(cross_validation(path, guard=GUARD).criterion))

    return min(SCALES, key=criterion)


def decompose_rows(
    features: FeatureMap,
    X: Float[np.ndarray, "n d"],
    c: Float[np.ndarray, "n k"],
    weights: Float[np.ndarray, " n"],
    *,
    intercept: bool,
) -> RidgeDecomposition:
    """Factorise few rows so that each can be left out; the matrix of their features exists.

    Args:
        features: the map.
        X: rows, (n, d).
        c: targets, (n, k).
        weights: relative, positive, (n,).
        intercept: whether a free intercept is added.

    Returns:
        The decomposition.
    """
    matrix = np.concatenate([block for _, block in features.blocks(X)])
    return decompose(matrix, c, weights=weights, intercept=intercept, keep_left=True)


def left_out(decomposition: RidgeDecomposition, alphas: Float[np.ndarray, " m"]) -> RidgePath:
    """The path with errors of rows that are left out as a whole; degrees of freedom are shares of the rows.

    Args:
        decomposition: from ``decompose_rows``.
        alphas: penalty parameters, ascending, (m,).

    Returns:
        The path, whose n is the number of rows.
    """
    path = leave_one_out(decomposition, alphas, whole_rows=True)
    assert path.weights is not None
    return path._replace(n=float(len(path.weights)))


def add_rows(
    state: TSQR | None,
    features: FeatureMap,
    X: Float[np.ndarray, "n d"],
    c: Float[np.ndarray, "n k"],
    weights: Float[np.ndarray, " n"],
) -> TSQR:
    """Condense the features of more rows; the matrix of all features never exists.

    Args:
        state: rows seen before; None for none.
        features: the map.
        X: rows, (n, d).
        c: targets, (n, k).
        weights: observations each row stands for, (n,).

    Returns:
        All rows condensed.
    """
    state = tsqr_start(features.net.width, c.shape[1]) if state is None else state
    for rows, block in features.blocks(X):
        state = tsqr_update(state, block, c[rows], weights[rows])
    return state


def _build(
    center: np.ndarray, deviation: np.ndarray, width: int, activation: str, seed: int, scale: float
) -> FeatureMap:
    net = RandomFeatures(len(center), width, activation, scale)
    return FeatureMap(center, deviation, net, net.init(seed))


@partial(jax.jit, static_argnums=0)
def _features(net: RandomFeatures, theta: RandomWeights, x: Any) -> Any:
    return jax.vmap(net.features, (None, 0))(theta, x)
