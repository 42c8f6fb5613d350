"""Preconditioned conjugate gradients.

How far along is ``H x = b`` after a few products with H, if something cheap looks like its inverse?

Preconditioned conjugate gradients from 0, stopped at a relative residual, after a number of products, or along a
direction in which H is not positive: what is returned is then still a direction of descent for ``1/2 x'Hx - b'x``.

Source: Nocedal and Wright, Numerical Optimization, alg. 5.3 and 7.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from numdl import checks
from numdl.linalg.steihaug import unit_of


class CGSolution(NamedTuple):
    """What conjugate gradients found.

    Attributes:
        x: approximate solution, (p,).
        residual: ``b - H x`` as the recurrence knows it, (p,).
        products: number of products with H, ().
        definite: whether H was positive along every direction, ().
        bent: the direction at which the iteration ended along which H is not positive; zero where ``definite``, (p,).
        converged: whether the residual fell as far as was asked for; False where products ran out, where H is not
            positive, and where b, a product or a preconditioned residual is not finite, ().
    """

    x: Float[Array, " p"]
    residual: Float[Array, " p"]
    products: Int[Array, ""]
    definite: Bool[Array, ""]
    bent: Float[Array, " p"]
    converged: Bool[Array, ""]


def preconditioned_cg(
    product: Callable[[Array], Array],
    b: Float[Array, " p"],
    *,
    inverse: Callable[[Array], Array] | None = None,
    forcing: Float[Array, ""] | float = 1e-8,
    max_products: int = 200,
) -> CGSolution:
    """Truncated preconditioned conjugate gradients.

    Args:
        product: ``v -> H v``, symmetric.
        b: right-hand side, (p,).
        inverse: ``r -> M^-1 r``, symmetric and positive; None for the identity.
        forcing: relative residual ``||r||_{M^-1} / ||b||_{M^-1}`` at which to stop, no unit.
        max_products: products at most.

    Returns:
        The solution with its residual. Where the first direction already meets no positive curvature, ``x = M^-1 b``.
        What is not finite raises nothing, as it may be traced: see ``converged``.

    Raises:
        ValueError: a number is out of range, or b is no vector of finite numbers.
        TypeError: ``product`` or ``inverse`` is no function.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.linalg import preconditioned_cg
        >>> A = jnp.array([[4.0, 1.0], [1.0, 3.0]])
        >>> found = preconditioned_cg(lambda v: A @ v, jnp.array([1.0, 2.0]))
        >>> [round(float(v), 3) for v in found.x], bool(found.converged)
        ([0.091, 0.636], True)
    """
    checks.function("preconditioned_cg", "product", product, "v -> H v")
    if inverse is not None:
        checks.function("preconditioned_cg", "inverse", inverse, "r -> M^-1 r")
    b = jnp.asarray(checks.finite("preconditioned_cg", "b", b, ("p",)))
    checks.scalar("preconditioned_cg", "forcing", forcing, least=0, infinite=True, hint="Use 1e-8.")
    checks.whole("preconditioned_cg", "max_products", max_products, least=0)
    solve = inverse or (lambda r: r)
    unit = unit_of(b)  # in which squares do not vanish, and no digit changes
    b = b / unit
    first = solve(b)
    energy = b @ first
    target = forcing**2 * energy

    def running(state: tuple) -> Array:
        _, _, _, rz, count, definite, _ = state
        return definite & (count < max_products) & (rz > target)

    def step(state: tuple) -> tuple:
        x, r, d, rz, count, _, _ = state
        hd = product(d)
        curvature = d @ hd
        definite = curvature > 0
        length = jnp.where(definite, rz / curvature, 0.0)
        x, r = x + length * d, r - length * hd
        z = solve(r)
        new = r @ z
        return x, r, z + (new / rz) * d, new, count + 1, definite, jnp.where(definite, 0.0, d)

    state = (jnp.zeros_like(b), b, first, energy, jnp.asarray(0), jnp.asarray(True), jnp.zeros_like(b))
    x, r, _, left, count, definite, bent = jax.lax.while_loop(running, step, state)
    x = jnp.where(definite | (count > 1), x, first)
    return CGSolution(unit * x, unit * r, count, definite, unit * bent, definite & (left <= target))
