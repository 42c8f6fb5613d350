"""Trust-region subproblem in a Krylov space.

Where is the model ``g'x + 1/2 x'Hx`` lowest within a ball, exactly within a Krylov space of H?

A basis V of ``g, Hg, H^2 g, ...`` with full reorthogonalisation turns the model into a small dense one with
``T = V'HV``, which is minimised in the ball exactly, also where it is not convex: unlike Steihaug's method this goes on
beyond the boundary and along negative curvature. The space grows until the residual of ``(H + lambda) x = -g`` is
small. It does not depend on the radius: after a rejected step, a smaller ball costs no product.

* Lanczos: H is symmetric, T tridiagonal.
* Arnoldi: H need not be symmetric (a truncated or inexact operator); the model sees its symmetric part, the space is
  that of GMRES.

Sources: Gould, Lucidi, Roma, Toint, SIAM J. Optim. 9 (1999) 504-525; Moré and Sorensen, SIAM J. Sci. Stat. Comput. 4
(1983) 553-572; Saad and Schultz, SIAM J. Sci. Stat. Comput. 7 (1986), alg. 1 (Arnoldi's basis).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from numdl import checks
from numdl.linalg.steihaug import Subproblem, unit_of


class KrylovModel(NamedTuple):
    """A quadratic model in a Krylov space.

    Attributes:
        basis: orthonormal rows, zeros where there is none, (s, p).
        matrix: symmetric ``V H V'``; ones on the diagonal where there is no row, (s, s).
        size: norm of g, ().
        products: number of products with H, ().
    """

    basis: Float[Array, "s p"]
    matrix: Float[Array, "s s"]
    size: Float[Array, ""]
    products: Int[Array, ""]


def krylov_model(
    product: Callable[[Array], Array],
    g: Float[Array, " p"],
    radius: Float[Array, ""],
    *,
    symmetric: bool = True,
    forcing: Float[Array, ""] | float = 0.1,
    max_products: int = 50,
) -> KrylovModel:
    """Grow a Krylov space until the minimiser in the ball of this radius is known well enough.

    Args:
        product: ``v -> H v``.
        g: gradient, (p,).
        radius: of the ball, positive, ().
        symmetric: whether H is symmetric.
        forcing: residual ``||(H + lambda) x + g|| / ||g||`` at which to stop, no unit.
        max_products: products at most; capped at p.

    Returns:
        The model, for ``lowest_in_ball`` with this or any smaller radius.

    Raises:
        ValueError: a number is out of range, or g is no vector of finite numbers.
        TypeError: ``product`` is no function.
    """
    checks.function("krylov_model", "product", product, "v -> H v")
    g = jnp.asarray(checks.finite("krylov_model", "g", g, ("p",)))
    if not g.size:
        raise ValueError("krylov_model(g of shape (0,)): needs at least one unknown. Leave out empty arrays.")
    checks.scalar("krylov_model", "radius", radius, above=0)
    checks.scalar("krylov_model", "forcing", forcing, least=0, hint="Use 0.1.")
    checks.whole("krylov_model", "max_products", max_products, least=1)
    p = g.shape[0]
    steps = min(max_products, p)
    unit = unit_of(g)
    size = unit * jnp.linalg.norm(g / unit)
    eps = jnp.finfo(g.dtype).eps

    def running(state: tuple) -> Array:
        *_, count, left = state
        return (count < steps) & (left > forcing * size)

    def grow(state: tuple) -> tuple:
        basis, matrix, v, count, _ = state
        basis = basis.at[count].set(v)
        w = image = product(v)
        column = jnp.zeros(steps, g.dtype)
        for _ in range(2):  # twice is enough
            part = basis @ w
            w, column = w - part @ basis, column + part
        beside = jnp.linalg.norm(w)
        alive = beside > 10 * eps * jnp.linalg.norm(image)
        row = column if symmetric else matrix[count]
        matrix = matrix.at[count].set(row).at[:, count].set(column)
        following = jnp.minimum(count + 1, steps - 1)
        matrix = jnp.where(count + 1 < steps, matrix.at[following, count].set(beside * alive), matrix)
        seen = jnp.arange(steps) <= count
        y = _in_ball(_filled(matrix, seen), size, radius)[0]
        left = jnp.where(alive, beside * jnp.abs(y[count]), 0.0)
        return basis, matrix, jnp.where(alive, w / jnp.where(alive, beside, 1.0), 0.0), count + 1, left

    first = g / jnp.where(size > 0, size, 1.0)
    empty = jnp.zeros((steps, p), g.dtype), jnp.zeros((steps, steps), g.dtype)
    basis, matrix, _, count, _ = jax.lax.while_loop(running, grow, (*empty, first, jnp.asarray(0), size))
    return KrylovModel(basis, _filled(matrix, jnp.arange(steps) < count), size, count)


def lowest_in_ball(model: KrylovModel, radius: Float[Array, ""]) -> Subproblem:
    """Minimiser of the model in a ball; ``s^3`` flops, no product.

    Args:
        model: see ``krylov_model``.
        radius: of the ball, positive, ().

    Returns:
        The step with the decrease it promises; ``products`` are those of the model.

    Raises:
        ValueError: the radius is not positive, or the model is not finite.
        TypeError: the model is none.
    """
    checks.record("lowest_in_ball", "model", model, KrylovModel)
    checks.scalar("lowest_in_ball", "radius", radius, above=0)
    y, boundary = _in_ball(model.matrix, model.size, radius)
    predicted = -(model.size * y[0] + 0.5 * y @ (model.matrix @ y))
    return Subproblem(y @ model.basis, predicted, model.products, boundary)


def _filled(matrix: Array, seen: Array) -> Array:
    """Symmetric part of the rows and columns that are known, and the identity in the others."""
    known = jnp.where(seen[:, None] & seen[None, :], (matrix + matrix.T) / 2, 0.0)
    return known + jnp.diag(jnp.where(seen, 0.0, 1.0).astype(matrix.dtype))


def _in_ball(matrix: Array, size: Array, radius: Array) -> tuple[Array, Array]:
    """``argmin size y_0 + 1/2 y'My`` over ``||y|| <= radius``, and whether it lies on the boundary.

    ``(M + lambda) y = -size e_0`` with ``lambda > -lambda_min``; Newton's method on ``1/||y|| - 1/radius``, which is
    almost linear in lambda, kept in a bracket. The bracket is that of ``mu = lambda - max(0, -lambda_min)``, so that no
    digits are lost next to the pole.
    """
    values, vectors = jnp.linalg.eigh(matrix)
    c = -size * vectors[0]
    tiny = jnp.finfo(size.dtype).tiny
    gaps = values + jnp.maximum(0.0, -values[0])
    convex = values[0] > 0

    def at(mu: Array) -> Array:
        return c / jnp.maximum(gaps + mu, tiny)

    def tighten(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        mu, low, high = state
        y = at(mu)
        norm = jnp.linalg.norm(y)
        low, high = jnp.where(norm > radius, mu, low), jnp.where(norm > radius, high, mu)
        slope = jnp.sum(y**2 / jnp.maximum(gaps + mu, tiny))
        newton = mu + (norm - radius) / radius * norm**2 / jnp.maximum(slope, tiny)
        inside = (newton > low) & (newton < high)
        return jnp.where(inside, newton, (low + high) / 2), low, high

    high = size / radius
    mu, *_ = jax.lax.fori_loop(0, 50, tighten, (high, jnp.zeros_like(high), high))
    interior = convex & (jnp.linalg.norm(at(jnp.zeros_like(mu))) <= radius)
    y = jnp.where(interior, at(jnp.zeros_like(mu)), at(mu))
    # The hard case: g has no part along the lowest eigenvector, which then fills up the rest of the ball.
    short = jnp.sqrt(jnp.maximum(radius**2 - y @ y, 0.0))
    y = y.at[0].add(jnp.where(interior | (short < 1e-6 * radius), 0.0, jnp.where(y[0] < 0, -short, short)))
    y = y * jnp.where(interior, 1.0, radius / jnp.maximum(jnp.linalg.norm(y), tiny))
    return vectors @ y, ~interior
