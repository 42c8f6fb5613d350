"""Change of resolution: how do pixels become channels, or means of their neighbours?

``space_to_depth`` loses nothing: the pixels of each square become channels of one pixel, so that a convolution behind
it sees a patch at a fraction of the cost of one at full resolution. ``average_pool`` is the mean over each square; with
squares as large as the image, over all of it. Both are linear; their adjoints, which JAX derives, are the inverse
rearrangement and the mean's copies over its number of pixels.

Sources: Shi et al., Real-time single image and video super-resolution, CVPR 2016, sec. 3.2 (the rearrangement);
Ruthotto and Haber, JMIV 62 (2020), sec. 2.2 (average pooling in connecting layers).
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks


def space_to_depth(
    u: Float[Array, "n height width channels"], factor: int | tuple[int, int]
) -> Float[Array, "n rows columns more"]:
    """Images whose pixels hold the pixels of a rectangle, row by row, channels of one pixel beside each other.

    Args:
        u: images.
        factor: pixels along a side of the rectangles, or (rows, columns) of one; the image is a multiple of them.

    Returns:
        (n, height / a, width / b, a b channels).

    Raises:
        ValueError: an entry that is not finite, or sides that are no multiple of the factor.
    """
    parts = _divided("space_to_depth", u, factor).swapaxes(2, 3)
    return parts.reshape(*parts.shape[:3], math.prod(parts.shape[3:]))


def average_pool(
    u: Float[Array, "n height width channels"], factor: int | tuple[int, int]
) -> Float[Array, "n rows columns channels"]:
    """Means over rectangles of pixels that do not overlap.

    Args:
        u: images.
        factor: pixels along a side of the rectangles, or (rows, columns) of one; the image is a multiple of them.

    Returns:
        (n, height / a, width / b, channels).

    Raises:
        ValueError: an entry that is not finite, or sides that are no multiple of the factor.
    """
    return jnp.mean(_divided("average_pool", u, factor), axis=(2, 4))


def _divided(call: str, u: Any, factor: Any) -> Float[Array, "n rows a columns b channels"]:
    """Images with axes for their rectangles and for the pixels in these."""
    u = jnp.asarray(checks.finite(call, "u", u, ("n", "height", "width", "channels")))
    n, h, w, c = u.shape
    a, b = rectangle(call, "factor", factor, (h, w))
    return u.reshape(n, h // a, a, w // b, b, c)


def rectangle(call: str, name: str, factor: Any, sides: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of the rectangles that an image is divided into.

    Args:
        call: the call to name.
        name: of the factor there.
        factor: one whole number, or two.
        sides: rows and columns of the image.

    Returns:
        Two whole numbers.

    Raises:
        ValueError: they are none, or do not divide the sides.
    """
    both = (factor, factor) if checks.is_whole(factor) else factor
    a, b = checks.wholes(call, name, both, count=2, least=1)
    if sides[0] % a or sides[1] % b:
        raise ValueError(
            f"{call}({name}={checks.shown(factor)}): an image of {sides[0]} x {sides[1]} is not made of rectangles of "
            f"{a} x {b}. Give divisors of its sides."
        )
    return a, b
