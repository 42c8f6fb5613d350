"""Spectral norms of convolutions: by how much does a linear map of images lengthen an image at most?

On a torus a convolution is diagonal in frequencies, ``(K u)^(w) = S(w) u^(w)`` with a matrix ``S(w)`` of the channels,
and its norm is the largest of those of the matrices. With zeros beyond the border it is a part of the convolution on a
torus that is larger by the reach of the kernel, whose zeros serve both sides: that norm is a bound. Images mirrored
again and again repeat after twice their sides: ``K = P C E`` with the convolution C on a torus of twice the sides,
``E u`` the image and its mirror images, which fill it, and P the part that holds the image. Each pixel is four times in
``E u``, ``||E u||^2 = 4 ||u||^2``, however far the kernel reaches, and P lengthens nothing: ``||K|| <= 2 ||C||``.

Source: Sedghi, Gupta and Long, The singular values of convolutional layers, ICLR 2019, sec. 2 (the torus).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numdl.flow.images.operators import Grid, Kind

LARGE = 1e290
"""Sums of many such numbers are finite, and so is what a factorisation computes."""


def norm_bound(kind: Kind, weights: dict[str, Any], grid: Grid, opposite: float | None = None) -> float:
    """Bound of the spectral norm of a map of images; the norm itself on a torus.

    Args:
        kind: of the map.
        weights: its arrays, as it draws them; not traced.
        grid: where it acts.
        opposite: of ``K - K' - opposite I`` instead, not negative; None for K.

    Returns:
        At least the norm, and the norm of maps that join all pixels; infinity where floating point does not hold it.
    """
    values = {name: np.asarray(one, float) for name, one in weights.items()}
    if kind.parts is not None:
        S = kind.parts(values)
        return spectral_norm(S if opposite is None else _opposed(S, opposite))
    assert kind.stencil is not None
    with np.errstate(over="ignore", invalid="ignore"):
        stencil = kind.stencil(values)
    mirrored, reach = grid.border == "reflecting", [taps // 2 for taps in stencil.shape[:2]]
    zeros = grid.border == "zero"
    h, w = (2 * side if mirrored else side + r * zeros for side, r in zip(grid.sides, reach, strict=True))
    if not np.abs(stencil).max() < LARGE:
        return math.inf
    largest = _largest(stencil, (h, w), None if mirrored else opposite)
    if not mirrored:
        return largest
    largest *= 2.0 if any(reach) else 1.0
    return largest if opposite is None else 2 * largest + opposite


def _largest(stencil: np.ndarray, sides: tuple[int, int], opposite: float | None) -> float:
    """Largest norm of the matrices of the channels; of half of the frequencies, the others are their conjugates."""
    turns = [
        np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(taps) - taps // 2) / n)
        for n, taps in zip(sides, stencil.shape[:2], strict=True)
    ]
    found = 0.0
    for row in turns[0][: sides[0] // 2 + 1]:
        S = np.einsum("b,wc,bcio->wio", row, turns[1], stencil, optimize=True)
        if opposite is not None:
            S = _opposed(S, opposite)
        found = max(found, spectral_norm(S))
    return found


def _opposed(S: np.ndarray, opposite: float) -> np.ndarray:
    return S - S.conj().swapaxes(-1, -2) - opposite * np.eye(S.shape[-1])


def spectral_norm(S: np.ndarray) -> float:
    """Largest spectral norm of matrices.

    Args:
        S: (..., rows, columns), at least one.

    Returns:
        In units of S; infinity where entries are near the end of floating point, where factorisations break down.
    """
    return float(np.linalg.norm(S, 2, axis=(-2, -1)).max()) if np.abs(S).max() < LARGE else math.inf
