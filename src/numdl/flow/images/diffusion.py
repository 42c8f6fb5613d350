"""Diffusion of images, a diffusivity for each channel: how do pixels that lie far apart meet in one implicit step?

    (L u)[p, c] = gamma_c sum_q (u[q, c] - u[p, c]),    q the four neighbours of p, gamma = exp(log_gamma)

with the border that convolutions have: mirror images, the other side, or zeros. L is symmetric with eigenvalues <= 0
whatever the weights are, so ``(I - h L)^-1`` lengthens nothing. It carries what a pixel says over a distance d with
the factor ``exp(-d / sqrt(h gamma))`` about, to all pixels in one step where gamma is large: of images of S pixels
along a side ``h gamma = (S / 4)^2`` does.

``L = gamma (D kron I + I kron D)``: eigenvectors of D are cosines at mirrors (DCT-II), sines in zeros and Fourier modes
on a torus. There and back costs ``4 h w (h + w)`` multiplications a channel by one product with their matrix along each
axis, which up to 100 pixels along a side is faster on a CPU than an FFT is.

Source: Haber, Lensink, Treister and Ruthotto, IMEXnet: a forward stable deep neural network, ICML 2019, sec. 3.
"""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from numdl.flow.images.convolution import PADDING
from numdl.flow.images.operators import Grid
from numdl.flow.semilinear import Linear

LARGEST = 40.0
"""Logarithms of diffusivities are taken for at most this: beyond it, the next step to infinity times zero is near."""


def diffusion(log_gamma: Float[Array, " c"], grid: Grid) -> Linear:
    """``L`` of flat images, with its implicit steps.

    Args:
        log_gamma: logarithm of the diffusivity of each channel in squared pixels over time, (c,); below -40 or above
            40 it is taken for these.
        grid: where it acts.

    Returns:
        L as what steps ask of it, of images (h w c,).
    """
    gamma = jnp.exp(jnp.clip(log_gamma, -LARGEST, LARGEST))
    image = (*grid.sides, *gamma.shape)

    def times(u: Float[Array, " m"]) -> Float[Array, " m"]:
        v = u.reshape(image)
        wide = jnp.pad(v, ((1, 1), (1, 1), (0, 0)), mode=PADDING[grid.border])
        around = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
        return (gamma * (around - 4 * v)).ravel()

    def solve(h: Any, r: Float[Array, " m"]) -> Float[Array, " m"]:
        (Q, down), (P, along) = (
            (jnp.asarray(vectors, r.dtype), jnp.asarray(values, r.dtype))
            for vectors, values in (modes(n, grid.border) for n in grid.sides)
        )
        rates, exact = (down[:, None] + along)[..., None] * gamma, lax.Precision.HIGHEST
        spectrum = jnp.einsum("hi,wj,hwc->ijc", Q, P, r.reshape(image), precision=exact) / (1 - h * rates)
        return jnp.einsum("hi,wj,ijc->hwc", Q, P, spectrum, precision=exact).ravel()

    return Linear(times, solve)


def log_starts(spread: tuple[float, float], channels: int) -> Float[np.ndarray, " c"]:
    """Logarithms of the diffusivities that channels start with, equal factors from one to the next.

    Args:
        spread: diffusivities of the first channel and the last one, in squared pixels over time.
        channels: how many, at least 1.

    Returns:
        (channels,).
    """
    return np.linspace(np.log(spread[0]), np.log(spread[1]), channels)


@functools.lru_cache(maxsize=64)
def modes(n: int, border: str) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, " n"]]:
    """Orthonormal eigenvectors, as columns, and eigenvalues of the second difference of n pixels.

    Args:
        n: pixels along an axis, at least 1.
        border: one of ``BORDERS``.

    Returns:
        (n, n) and (n,), from -4 to 0.
    """
    wide = np.pad(np.eye(n), ((1, 1), (0, 0)), mode=PADDING[border])  # type: ignore
    values, vectors = np.linalg.eigh(wide[:-2] - 2 * wide[1:-1] + wide[2:])
    return vectors, np.where(values > -1e-12, 0.0, values)
