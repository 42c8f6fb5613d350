"""Spectral norms of convolutions: by how much does a linear map of images lengthen an image at most?

On a torus a convolution is diagonal in frequencies, ``(K u)^(w) = S(w) u^(w)`` with a matrix ``S(w)`` of the channels,
and its norm is the largest of those of the matrices. With zeros beyond the border it is a part of the convolution on a
torus that is larger by the reach of the kernel, whose zeros serve both sides: that norm is a bound. Mirrored pixels
are four times there at most, which adds a factor 2.

Source: Sedghi, Gupta and Long, The singular values of convolutional layers, ICLR 2019, sec. 2 (the torus).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numdl.flow.images.operators import Grid, Kind


def symbols(kind: Kind, weights: dict[str, Any], sides: tuple[int, int]) -> np.ndarray:
    """Matrices of the channels at all frequencies of a torus.

    Args:
        kind: of the map.
        weights: its arrays, as it draws them; not traced.
        sides: rows and columns of the torus.

    Returns:
        (rows, columns, channels behind, channels before), complex.
    """
    with jax.enable_x64(True):
        weights = {name: jnp.asarray(np.asarray(values), float) for name, values in weights.items()}
        columns = kind.channels(weights)[1]
        points = np.zeros((columns, *sides, columns))
        points[np.arange(columns), 0, 0, np.arange(columns)] = 1
        act = jax.vmap(lambda u: kind.act(weights, u, Grid(sides, "periodic")))
        found = np.asarray(act(jnp.asarray(points)))
    return np.fft.fft2(found, axes=(1, 2)).transpose(1, 2, 3, 0)


def norm_bound(kind: Kind, weights: dict[str, Any], grid: Grid, opposite: float | None = None) -> float:
    """Bound of the spectral norm of a map of images; the norm itself on a torus.

    Args:
        kind: of the map.
        weights: its arrays, as it draws them; not traced.
        grid: where it acts.
        opposite: of ``K - K' - opposite I`` instead, not negative; None for K.

    Returns:
        At least the norm.
    """
    reach = max(
        [side // 2 for name, values in weights.items() if np.ndim(values) > 2 for side in values.shape[:2]] + [0]
    )
    more = {"zero": reach, "periodic": 0, "reflecting": 2 * reach}[grid.border]
    S = symbols(kind, weights, (grid.sides[0] + more, grid.sides[1] + more))
    if grid.border == "reflecting":
        factor = 2.0 if reach else 1.0
        largest = factor * _largest(S)
        return largest if opposite is None else 2 * largest + opposite
    if opposite is not None:
        S = S - S.conj().swapaxes(2, 3) - opposite * np.eye(S.shape[2])
    return _largest(S)


def _largest(S: np.ndarray) -> float:
    return float(np.linalg.norm(S.reshape(-1, *S.shape[2:]), 2, axis=(1, 2)).max())
