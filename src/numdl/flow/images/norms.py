"""Normalisation layers: over what is the size of an image evened out, and by what is it divided?

``u / sqrt(sum u^2 + eps)`` over the channels of a pixel (total variation), ``(u - mean) / sqrt(var + eps)`` over pixels
of a channel and image (instance), over all of an image (layer), or over all images (batch, which therefore couples
samples: for openings and connectors, not for dynamics). Variances are those of the numbers at hand, not estimates.

Sources: Ruthotto and Haber, JMIV 62 (2020), sec. 2; Ulyanov, Vedaldi and Lempitsky, arXiv 1607.08022 (instance); Ba,
Kiros and Hinton, arXiv 1607.06450 (layer); Ioffe and Szegedy, ICML 2015 (batch).
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks

NORMS = {"tv": (3,), "instance": (1, 2), "layer": (1, 2, 3), "batch": (0, 1, 2)}
"""Axes of (n, height, width, channels) over which each goes."""

EPS = 1e-4
"""Added to a variance or a square, in squared units of the images."""


def normalise(
    u: Float[Array, "n height width channels"],
    norm: str,
    scale: Float[Array, " channels"] | None = None,
    shift: Float[Array, " channels"] | None = None,
    *,
    eps: float = EPS,
) -> Float[Array, "n height width channels"]:
    """Images of even size.

    Args:
        u: images.
        norm: "tv", "instance", "layer" or "batch".
        scale: factor of each channel afterwards; None for 1.
        shift: added to each channel afterwards; None for 0.
        eps: added to the square under the root, positive, in squared units of u.

    Returns:
        Images.

    Raises:
        ValueError: an unknown norm, shapes that do not fit, or an entry that is not finite.
    """
    checks.choice("normalise", "norm", norm, tuple(NORMS))
    checks.scalar("normalise", "eps", eps, above=0)
    checks.finite("normalise", "u", u, ("n", "height", "width", "channels"))
    for name, given in (("scale", scale), ("shift", shift)):
        if given is not None:
            checks.finite("normalise", name, given, (u.shape[3],))
    axes, u = NORMS[norm], 1.0 * jnp.asarray(u)  # squares of bytes would overflow
    if norm == "tv":
        found = u / jnp.sqrt(jnp.sum(u**2, axis=axes, keepdims=True) + eps)
    else:
        centred = u - jnp.mean(u, axis=axes, keepdims=True)
        found = centred / jnp.sqrt(jnp.mean(centred**2, axis=axes, keepdims=True) + eps)
    found = found if scale is None else found * scale
    return found if shift is None else found + shift
