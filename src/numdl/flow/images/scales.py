"""Multiscale stencils: which convolution on twice as many pixels, or half as many, along both sides means the same?

Four answers, for stencils of an odd number of taps, channel by channel:

- "same": the same numbers;
- "galerkin": on half of the pixels ``R K P`` with means R over cells of 2 x 2 and ``P = 4 R'``, which is a convolution
  again: of 3 taps along an axis become ``(a / 2, b + (a + c) / 2, c / 2)``. On twice as many, the stencil of least norm
  whose ``R K P`` is the given one; of 3 taps it is the only one;
- "dilated": the same numbers at twice the distance, so that each fourth of the pixels is an image of its own;
- "rediscretised": the stencil is read as a differential operator, by its moments ``sum_q s_q q^k`` in units of the
  pixels, and the one with the same moments in length is taken.

Sources: Haber, Ruthotto, Holtham and Jun, Learning across scales: multiscale methods for convolution neural networks,
AAAI 2018 (Galerkin and rediscretised); Yu and Koltun, Multi-scale context aggregation, ICLR 2016 (dilated).
"""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks

TRANSFERS = ("same", "galerkin", "dilated", "rediscretised")


def transferred(
    K: Float[Array | np.ndarray, "taps taps *channels"], how: str = "galerkin", *, coarser: bool = False
) -> Float[Array, "other other *channels"]:
    """Stencils for images of twice as many pixels along both sides, or half as many.

    Args:
        K: stencils, as many taps along both axes, odd.
        how: "same", "galerkin", "dilated" or "rediscretised".
        coarser: whether to half as many pixels.

    Returns:
        Stencils; with another number of taps where they are dilated, or have more than 3 and are Galerkin's.

    Raises:
        ValueError: an unknown word, an entry that is not finite, taps that are not odd, a dilated stencil of an odd
            reach that is to be coarser: it was not dilated; or a rediscretised one of so many taps that its dtype
            does not tell it, in single precision 7 for finer images.
    """
    call = "transferred"
    checks.choice(call, "how", how, TRANSFERS)
    checks.flag(call, "coarser", coarser)
    K = jnp.asarray(checks.finite(call, "K", K, ("taps", "taps", "..."))) * 1.0
    if K.ndim < 2 or K.shape[0] != K.shape[1] or K.shape[0] % 2 == 0:
        raise ValueError(f"{call}(K of shape {K.shape}): needs as many taps along both axes, odd. Use 3 x 3.")
    taps = K.shape[0]
    if how == "same":
        return K
    if how == "dilated" and coarser:
        if taps // 2 % 2:
            raise ValueError(
                f"{call}(how='dilated', coarser=True): a stencil of {taps} taps was not dilated, it has a pixel at an "
                "odd distance. Use 'galerkin' or 'rediscretised'."
            )
        return K[::2, ::2]
    matrices = {"galerkin": _galerkin, "dilated": _dilated, "rediscretised": _rediscretised}
    M = matrices[how](taps, coarser)
    lost = float(jnp.finfo(K.dtype).eps * np.abs(M).max() ** 2) if how == "rediscretised" else 0.0
    if lost > 1e-2:
        raise ValueError(
            f"{call}(K of {taps} x {taps} taps and dtype {K.dtype}, how={how!r}): stencils of so high derivatives grow "
            f"by {np.abs(M).max() ** 2:.1g}, too much for their digits. Use 'galerkin', fewer taps, or float64."
        )
    return jnp.einsum("ai,bj,ij...->ab...", M, M, K).astype(K.dtype)


@functools.cache
def _galerkin(taps: int, coarser: bool) -> np.ndarray:
    """``R K P`` along one axis as a matrix from taps to taps, or its pseudo-inverse from fewer taps."""
    if not coarser:
        reach = taps // 2
        return np.linalg.pinv(_galerkin(2 * max(2 * reach - 1, 0) + 1 if reach else 1, True))
    reach = taps // 2
    behind = (reach + 1) // 2
    G = np.zeros((2 * behind + 1, taps))
    for pixel in (0, 1):  # of a cell; its neighbour at the distance q lies in the cell floor((pixel + q) / 2)
        for q in range(-reach, reach + 1):
            G[(pixel + q) // 2 + behind, q + reach] += 0.5
    return G


@functools.cache
def _dilated(taps: int, coarser: bool) -> np.ndarray:
    D = np.zeros((2 * taps - 1, taps))
    D[::2] = np.eye(taps)
    return D


@functools.cache
def _rediscretised(taps: int, coarser: bool) -> np.ndarray:
    """``V^-1 diag(2^k) V`` with moments ``V s``, ``V_kq = q^k``; ``2^-k`` to a coarser mesh."""
    q, k = np.arange(taps) - taps // 2, np.arange(taps)
    V = np.power(q[None, :].astype(float), k[:, None])
    return np.linalg.solve(V, (0.5 if coarser else 2.0) ** k[:, None] * V)


def roughness(K: Float[Array | np.ndarray, "taps taps *channels"]) -> Float[Array, ""]:
    """Half the sum of squared differences of neighbouring taps: small for stencils that vary little with the pixel.

    Args:
        K: stencils.

    Returns:
        (), in squared units of K; 0 only where all taps of a pair of channels are one number.

    Raises:
        ValueError: an entry is not finite.
    """
    K = jnp.asarray(checks.finite("roughness", "K", K, ("h", "w", "...")))
    return 0.5 * (jnp.sum(jnp.diff(K, axis=0) ** 2) + jnp.sum(jnp.diff(K, axis=1) ** 2))
