"""Steihaug's truncated conjugate gradients.

Where is the model ``g'x + 1/2 x'Hx`` lowest within a ball, if H is known only by its products?

Conjugate gradients on ``H x = -g`` from 0, stopped at the boundary ``||x||_D = radius``, along a direction of curvature
that is not positive, or when the residual has fallen by the forcing factor. Iterates grow in the D-norm, so the first
one outside marks the boundary point.

Source: Steihaug, SIAM J. Numer. Anal. 20 (1983) 626-637; Nocedal and Wright, Numerical Optimization, alg. 7.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks


class Subproblem(NamedTuple):
    """Solution of a trust-region subproblem.

    Attributes:
        x: the step, (p,).
        predicted: decrease of the model, not negative; NaN where an argument or a product is not finite, ().
        products: number of products with H.
        boundary: whether the step ends on the boundary.
    """

    x: Float[Array, " p"]
    predicted: Float[Array, ""]
    products: Array
    boundary: Array


def steihaug(
    product: Callable[[Array], Array],
    g: Float[Array, " p"],
    radius: Float[Array, ""] | float,
    *,
    scale: Float[Array, " p"],
    forcing: Float[Array, ""] | float = 0.1,
    max_products: int = 50,
) -> Subproblem:
    """Steihaug's preconditioned conjugate gradients.

    Args:
        product: ``v -> H v``, symmetric.
        g: gradient, (p,).
        radius: of the ball, in the norm ``||x||_D = sqrt(x' D x)``, positive, ().
        scale: diagonal of the preconditioner D, positive, (p,).
        forcing: relative residual ``||r||_{D^-1} / ||g||_{D^-1}`` at which to stop, no unit.
        max_products: products at most.

    Returns:
        The step with the decrease it promises.

    Raises:
        ValueError: a number is out of range, or shapes do not fit.
        TypeError: ``product`` is no function.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.linalg import steihaug
        >>> H, g = jnp.diag(jnp.array([1.0, 4.0])), jnp.array([-1.0, -4.0])
        >>> inside = steihaug(lambda v: H @ v, g, 10.0, scale=jnp.ones(2), forcing=1e-6)
        >>> edge = steihaug(lambda v: H @ v, g, 0.5, scale=jnp.ones(2))
        >>> [round(float(x), 3) for x in inside.x], round(float(jnp.linalg.norm(edge.x)), 3)
        ([1.0, 1.0], 0.5)
    """
    checks.function("steihaug", "product", product, "v -> H v")
    g = jnp.asarray(checks.finite("steihaug", "g", g, ("p",)))
    checks.scalar("steihaug", "radius", radius, above=0)
    scale = checks.finite("steihaug", "scale", scale, g.shape)
    if not checks.traced(scale) and not np.all(np.asarray(scale) > 0):
        raise ValueError("steihaug(scale): has entries that are not positive, needs numbers > 0. Use ones for none.")
    checks.scalar("steihaug", "forcing", forcing, least=0, hint="Use 0.1.")
    checks.whole("steihaug", "max_products", max_products, least=0)
    unit = unit_of(g)  # in which squares do not vanish, and no digit changes
    g, ball = g / unit, jnp.asarray(radius / unit)
    reach = unit_of(ball[None])
    ball = ball / reach
    target = forcing * jnp.sqrt(g @ (g / scale))

    def running(state: tuple) -> Array:
        _, _, r, _, _, count, done, _ = state
        return ~done & (count < max_products) & (jnp.sqrt(r @ (r / scale)) > target)

    def step(state: tuple) -> tuple:
        x, hx, r, d, rz, count, _, _ = state
        hd = product(d)
        curvature = d @ hd
        length = rz / curvature
        outside = ~(curvature > 0) | (_norm((x + length * d) / reach, scale) >= ball)
        length = jnp.where(outside, reach * _to_boundary(x / reach, d, ball, scale), length)
        x, hx, r = x + length * d, hx + length * hd, r + length * hd
        new = r @ (r / scale)
        d = -r / scale + (new / rz) * d
        return x, hx, r, d, new, count + 1, outside, outside

    zero = jnp.zeros_like(g)
    state = (zero, zero, g, -g / scale, g @ (g / scale), jnp.asarray(0), jnp.asarray(False), jnp.asarray(False))
    x, hx, _, _, left, count, _, boundary = jax.lax.while_loop(running, step, state)
    # What is not finite raises nothing, as it may be traced, but no decrease is promised for it.
    predicted = jnp.where(jnp.isfinite(left), -(g @ x + 0.5 * x @ hx), jnp.nan)
    return Subproblem(unit * x, unit * (unit * predicted), count, boundary)


def unit_of(v: Float[Array, " p"]) -> Float[Array, ""]:
    """The power of two just above the largest entry: in this unit squares neither vanish nor overflow, digit by digit.

    Args:
        v: vector, (p,).

    Returns:
        The unit; 1 for zero and for what is not finite.
    """
    largest = jnp.max(jnp.abs(v), initial=0.0)
    known = (largest > 0) & jnp.isfinite(largest)
    return jnp.ldexp(jnp.ones_like(largest), jnp.where(known, jnp.frexp(largest)[1], 0))


def _norm(x: Array, scale: Array) -> Array:
    return jnp.sqrt(x @ (scale * x))


def _to_boundary(x: Array, d: Array, radius: Array, scale: Array) -> Array:
    """Positive t with ``||x + t d||_D = radius``."""
    a, b, c = d @ (scale * d), x @ (scale * d), x @ (scale * x) - radius**2
    return (-b + jnp.sqrt(jnp.maximum(b**2 - a * c, 0.0))) / a
