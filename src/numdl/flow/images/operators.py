"""Linear maps of images: convolutions of several kinds, each with its transpose.

Which weights stand for a matrix K where the state is an image, and how is ``K u`` formed?

A kind says which arrays of weights there are and how they act on an image of several channels; the transpose is derived
from the action, and is exact. What it costs for c channels, per pixel and with 3 x 3 taps: full 9 c^2, pointwise c^2,
depthwise 9 c, lean (depthwise, then pointwise; Ephrath et al.) 9 c + c^2 multiplications. Two join all h w pixels with
each other, without stencil and border: circulant, by their distance on a torus, ``z[p] = sum_q C[p - q] u[q]`` with
``h w c^2`` weights, by the fast Fourier transform c^2 multiplications and some for that; dense, by a matrix,
``h w c^2``.

Sources: Ephrath, Eliasof, Ruthotto, Haber and Treister, LeanConvNets: low-cost yet effective convolutional neural
networks, IEEE J. Sel. Top. Signal Process. 14, 2020; Hansen, Nagy and O'Leary, Deblurring images, SIAM 2006, sec. 4.2
(block circulant matrices).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from numdl.flow.images.convolution import PADDING, convolve


class Grid(NamedTuple):
    """Where a kind acts.

    Attributes:
        sides: rows and columns of the image.
        border: one of ``BORDERS``, what lies beyond.
    """

    sides: tuple[int, int]
    border: str


class Kind(NamedTuple):
    """A kind of linear map.

    Attributes:
        draw: ``draw(rng, rows, columns, sides)``: random arrays by name, with the sides of a stencil, or of the image
            where there is none; the map of c channels, of rows = columns = c, has a spectral norm of about 2 for many
            channels.
        act: ``act(weights, u, grid)``: the map on one image (h, w, columns), to (h, w, rows).
        channels: ``channels(weights)``: rows and columns.
        stencil: ``stencil(weights)``: taps of all pairs of channels, (taps, taps, columns, rows); None where there are
            none.
        parts: ``parts(weights)``: of a map that joins all pixels, the matrices (..., columns, rows) that it falls into
            after a unitary change of basis, the same before and behind; None for stencils.
    """

    draw: Callable[[np.random.Generator, int, int, tuple[int, int]], dict[str, np.ndarray]]
    act: Callable[[dict[str, Array], Array, Grid], Array]
    channels: Callable[[dict[str, Array]], tuple[int, ...]]
    stencil: Callable[[dict[str, Any]], np.ndarray] | None = None
    parts: Callable[[dict[str, Any]], np.ndarray] | None = None


@dataclasses.dataclass(frozen=True)
class ImageMap:
    """A linear map of flat images, written as a matrix is: ``K @ u``, ``K.T``, ``K - L``.

    Attributes:
        act: ``K u`` of a flat image.
        shape: rows and columns.
    """

    act: Callable[[Array], Array]
    shape: tuple[int, ...]

    def __matmul__(self, u: Float[Array, " columns *n"]) -> Float[Array, " rows *n"]:
        """``K u`` of one image, or of those in the columns of u.

        Raises:
            ValueError: an image of another size.
        """
        if u.shape[0] != self.shape[1]:
            raise ValueError(
                f"a state of {u.shape[0]} numbers, needed are {self.shape[1]}: pixels times channels, or twice as many "
                "where a state has two halves. Check its width."
            )
        return self.act(u) if u.ndim == 1 else jax.vmap(self.act, 1, 1)(u)

    @property
    def T(self) -> ImageMap:
        """The transpose, exact and of the same cost."""

        def act(v: Array) -> Array:
            return jax.linear_transpose(self.act, jax.ShapeDtypeStruct(self.shape[1:], v.dtype))(v)[0]

        return ImageMap(act, self.shape[::-1])

    def __sub__(self, other: ImageMap) -> ImageMap:
        """The difference, entry by entry."""
        return ImageMap(lambda u: self.act(u) - other.act(u), self.shape)


def multiple(factor: float, n: int) -> ImageMap:
    """A multiple of the identity."""
    return ImageMap(lambda u: factor * u, (n, n))


def _full(weights: dict[str, Array], u: Array, grid: Grid) -> Array:
    return convolve(weights[""], u[None], grid.border)[0]


def _draw_full(rng: np.random.Generator, rows: int, columns: int, sides: tuple[int, int]) -> dict[str, np.ndarray]:
    size = (math.prod(sides) * columns) ** -0.5  # the matrix of each frequency has entries of variance 1 / columns
    return {"": size * rng.standard_normal((*sides, columns, rows))}


def _pointwise(weights: dict[str, Array], u: Array, grid: Grid) -> Array:
    return u @ weights[""]


def _draw_pointwise(rng: np.random.Generator, rows: int, columns: int, sides: tuple[int, int]) -> dict[str, np.ndarray]:
    return {"": rng.standard_normal((columns, rows)) / columns**0.5}


def _depthwise(weights: dict[str, Array], u: Array, grid: Grid) -> Array:
    """Shifted products: XLA's own depthwise convolution is 30 to 45 times slower on a CPU."""
    k = weights[""]
    (h, w), reach = grid.sides, [(side // 2, side // 2) for side in k.shape[:2]]
    wide = jnp.pad(u, (*reach, (0, 0)), mode=PADDING[grid.border])
    return sum(
        (k[a, b] * wide[a : a + h, b : b + w] for a in range(k.shape[0]) for b in range(k.shape[1])),
        start=jnp.zeros_like(u),
    )


def _draw_depthwise(rng: np.random.Generator, rows: int, columns: int, sides: tuple[int, int]) -> dict[str, np.ndarray]:
    if rows != columns:
        raise ValueError(f"a depthwise map of {columns} channels has {columns} rows, not {rows}. Use 'lean' or 'full'.")
    return {"": rng.standard_normal((*sides, columns)) / math.prod(sides) ** 0.5}


def _lean(weights: dict[str, Array], u: Array, grid: Grid) -> Array:
    return _depthwise({"": weights["_taps"]}, u, grid) @ weights["_mix"]


def _draw_lean(rng: np.random.Generator, rows: int, columns: int, sides: tuple[int, int]) -> dict[str, np.ndarray]:
    return {
        "_taps": _draw_depthwise(rng, columns, columns, sides)[""],
        "_mix": _draw_pointwise(rng, rows, columns, sides)[""],
    }


def _circulant(weights: dict[str, Array], u: Array, grid: Grid) -> Array:
    C, v = (jnp.fft.rfft2(values, axes=(0, 1)) for values in (weights[""], u))
    z = jnp.einsum("abio,abi->abo", C, v, precision=lax.Precision.HIGHEST)
    return jnp.fft.irfft2(z, s=grid.sides, axes=(0, 1))


def _between_channels(taps: np.ndarray) -> np.ndarray:
    """Taps of each channel (h, w, c) as those of pairs."""
    return taps[..., None] * np.eye(taps.shape[2])


def _frequencies(weights: dict[str, Any]) -> np.ndarray:
    return np.fft.fft2(weights[""], axes=(0, 1))


def _dense(weights: dict[str, Array], u: Array, grid: Grid) -> Array:
    return jnp.tensordot(u, weights[""], 3)


def _draw_dense(rng: np.random.Generator, rows: int, columns: int, sides: tuple[int, int]) -> dict[str, np.ndarray]:
    size = (math.prod(sides) * columns) ** -0.5
    return {"": size * rng.standard_normal((*sides, columns, *sides, rows))}


def _matrix(weights: dict[str, Any]) -> np.ndarray:
    K = weights[""]
    return K.reshape(math.prod(K.shape[:3]), -1)


KINDS = {
    "full": Kind(_draw_full, _full, lambda K: K[""].shape[:1:-1], lambda K: K[""]),
    "pointwise": Kind(_draw_pointwise, _pointwise, lambda K: K[""].shape[::-1], lambda K: K[""][None, None]),
    "depthwise": Kind(_draw_depthwise, _depthwise, lambda K: K[""].shape[2:] * 2, lambda K: _between_channels(K[""])),
    "lean": Kind(
        _draw_lean, _lean, lambda K: K["_mix"].shape[::-1], lambda K: _between_channels(K["_taps"]) @ K["_mix"]
    ),
    "circulant": Kind(_draw_full, _circulant, lambda K: K[""].shape[:1:-1], parts=_frequencies),
    "dense": Kind(_draw_dense, _dense, lambda K: K[""].shape[:1:-3], parts=_matrix),
}
"""Name to kind; a new one is some functions and one entry here."""


def image_map(kind: Kind, weights: dict[str, Array], grid: Grid) -> ImageMap:
    """A linear map of flat images.

    Args:
        kind: which.
        weights: its arrays, as it draws them.
        grid: where it acts.

    Returns:
        The map, of images (h, w, columns), channels last, made flat.
    """
    rows, columns = kind.channels(weights)
    pixels = grid.sides[0] * grid.sides[1]
    act = lambda u: kind.act(weights, u.reshape(*grid.sides, columns), grid).ravel()  # noqa: E731
    return ImageMap(act, (pixels * rows, pixels * columns))
