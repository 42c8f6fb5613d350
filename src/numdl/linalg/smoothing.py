"""Smoothing by cosine transforms.

Which x is near y and smooth along the leading axis? ``(a D'D + b I) x = y``, by cosine transforms.

D is the first difference quotient inside the line, ``(x_(i+1) - x_i) / h``, the "neumann" case of ``Difference``. The
orthonormal cosine transform of type II turns ``D'D`` into the diagonal ``(2 sin(pi k / (2 n)) / h)^2``, k = 0 .. n - 1.

Source: Strang, The discrete cosine transform, SIAM Rev. 41 (1999) 135-147.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks


def smoothing_solve(
    y: Float[Array, "n ..."],
    a: Float[Array, ""] | float,
    b: Float[Array, ""] | float,
    h: Float[Array, ""] | float = 1.0,
) -> Float[Array, "n ..."]:
    """``(a D'D + b I)^(-1) y`` for each column of y, exact but for rounding, with ``n log n`` operations.

    Args:
        y: right-hand sides, one for each index of the further axes, (n, ...).
        a: weight of the differences, not negative, in units of b times those of ``h^2``, ().
        b: shift, positive, ().
        h: distance of the points, positive, ().

    Returns:
        Solutions, shape and dtype of y.

    Raises:
        ValueError: a, b or h is known and out of range.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.linalg import smoothing_solve
        >>> y = jnp.array([0.0, 3.0, 0.0])
        >>> [round(float(x), 3) for x in smoothing_solve(y, a=1.0, b=1.0)]
        [0.75, 1.5, 0.75]
    """
    y = checks.finite("smoothing_solve", "y", y, ("n", "..."))
    checks.scalar("smoothing_solve", "a", a, least=0)
    checks.scalar("smoothing_solve", "b", b, above=0, hint="Without a shift, constants are in the kernel of D.")
    checks.scalar("smoothing_solve", "h", h, above=0)
    n = y.shape[0]
    if y.size == 0:
        return y
    waves = jnp.asarray((2 * np.sin(np.pi * np.arange(n) / (2 * n))) ** 2, y.dtype).reshape(n, *(1,) * (y.ndim - 1))
    # a and h first, then the waves: for small h a / h^2 alone may leave the range of float32
    diagonal = jnp.asarray(a, y.dtype) * (waves / jnp.asarray(h, y.dtype) / jnp.asarray(h, y.dtype)) + jnp.asarray(
        b, y.dtype
    )
    spectrum = jax.scipy.fft.dct(y, type=2, axis=0, norm="ortho")
    return jax.scipy.fft.idct(spectrum / diagonal, type=2, axis=0, norm="ortho")
