"""Convolution operators: how is a signal or an image blurred by a kernel, and what lies beyond its edge?"""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.signal import convolve
from jaxtyping import Array, Float

from numdl import checks
from numdl.linalg.operators.base import LinearMap

BOUNDARIES = {"zero": "constant", "periodic": "wrap", "neumann": "symmetric"}
"""What lies beyond the edge, and NumPy's name for padding with it."""

METHODS = ("fft", "direct")


class _Convolution(LinearMap):
    """Convolution in any dimension: the field is padded by its boundary values and convolved where kernels fit."""

    kernel: eqx.AbstractVar[Any]
    method: eqx.AbstractVar[str]
    boundary: eqx.AbstractVar[str]

    @property
    def _grid(self) -> tuple[int, ...]:
        raise NotImplementedError

    def _require_grid(self) -> None:
        raise NotImplementedError

    def __check_init__(self) -> None:
        name = type(self).__name__
        self._require_grid()
        checks.finite(name, "kernel", self.kernel, ("m1", "m2")[: len(self._grid)])
        if 0 in np.shape(self.kernel):
            raise ValueError(
                f"{name}(kernel of shape {np.shape(self.kernel)}): needs at least 1 entry each way. Use [1.0] for none."
            )
        checks.choice(name, "method", self.method, METHODS)
        checks.choice(name, "boundary", self.boundary, BOUNDARIES)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns: as many values come out as go in."""
        return math.prod(self._grid), math.prod(self._grid)

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " n"]:
        """The kernel on the field."""
        pad = [((m - 1) - m // 2, m // 2) for m in self.kernel.shape]
        field = jnp.pad(vector.reshape(self._grid), pad, mode=BOUNDARIES[self.boundary])
        kernel = jnp.asarray(self.kernel)
        return convolve(field, kernel, "valid", self.method, precision=jax.lax.Precision.HIGHEST).ravel()


class Convolution1D(_Convolution):
    """``y_i = sum_j k_j x_(i - j + c)``, centre ``c = m // 2``, as many values out as in.

    Beyond the edge x is 0 ("zero"), goes on from the other end ("periodic"), or is mirrored between its last point and
    the next ("neumann", also called reflexive: no flux). All three are exact for every kernel, of any length, whichever
    method. The transforms pay for long kernels.

    Attributes:
        kernel: k, (m,); a parameter.
        size: n, number of points.
        method: "fft" or "direct", the sum itself.
        boundary: "zero", "periodic" or "neumann".

    Source: Hansen, Nagy, O'Leary, Deblurring Images, SIAM 2006, ch. 3-4.
    """

    kernel: Float[Array, " m"] | Float[np.ndarray, " m"]
    size: int = eqx.field(static=True)
    method: str = eqx.field(static=True, default="fft", kw_only=True)
    boundary: str = eqx.field(static=True, default="zero", kw_only=True)

    @property
    def _grid(self) -> tuple[int, ...]:
        return (self.size,)

    def _require_grid(self) -> None:
        checks.whole("Convolution1D", "size", self.size, least=1)


class Convolution2D(_Convolution):
    """``Y_ij = sum_kl K_kl X_(i - k + c1, j - l + c2)``, centre ``(m1 // 2, m2 // 2)``, on vectors of images.

    Attributes:
        kernel: K, (m1, m2); a parameter.
        image: rows and columns of the image, (n1, n2).
        method: "fft" or "direct", the sum itself.
        boundary: "zero", "periodic" or "neumann", as for `Convolution1D`.

    Source: Hansen, Nagy, O'Leary, Deblurring Images, SIAM 2006, ch. 3-4.
    """

    kernel: Float[Array, "m1 m2"] | Float[np.ndarray, "m1 m2"]
    image: tuple[int, int] = eqx.field(static=True)
    method: str = eqx.field(static=True, default="fft", kw_only=True)
    boundary: str = eqx.field(static=True, default="zero", kw_only=True)

    @property
    def _grid(self) -> tuple[int, ...]:
        return self.image

    def _require_grid(self) -> None:
        checks.wholes("Convolution2D", "image", self.image, count=2, least=1)
