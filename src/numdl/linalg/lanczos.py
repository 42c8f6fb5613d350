"""What do a few products tell about the inverse and the logarithm of a symmetric positive definite matrix?

Lanczos with full reorthogonalisation from z gives ``H V = V T + rest``; then ``H^-1 z ~ ||z|| V T^-1 e_1`` and
``z' log(H) z ~ ||z||^2 e_1' log(T) e_1`` (Gauss quadrature). With random signs z the latter's mean is log det H.

Source: Ubaru, Chen, Saad, SIAM J. Matrix Anal. Appl. 38 (2017), alg. 1; Golub and Meurant, Matrices, Moments and
Quadrature, 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Probe(NamedTuple):
    """What one start vector reveals.

    Attributes:
        solve: approximation of ``H^-1 z``, (p,).
        log: approximation of ``z' log(H) z``, ().
    """

    solve: Float[Array, " p"]
    log: Float[Array, ""]


def lanczos_probe(product: Callable[[Array], Array], z: Float[Array, " p"], steps: int) -> Probe:
    """Lanczos from one vector.

    Args:
        product: ``v -> H v``, symmetric positive definite.
        z: start, not zero, (p,).
        steps: products; capped at p. Memory: ``steps`` vectors.

    Returns:
        Solve and quadratic form of the logarithm.
    """
    p = z.shape[0]
    steps = min(steps, p)
    size = jnp.linalg.norm(z)
    tiny = jnp.finfo(z.dtype).eps

    def step(carry: tuple, i: Array) -> tuple:
        basis, v = carry
        basis = basis.at[i].set(v)
        w = product(v)
        diagonal = v @ w
        for _ in range(2):  # twice is enough
            w = w - basis.T @ (basis @ w)
        beside = jnp.linalg.norm(w)
        alive = beside > 1e3 * tiny * jnp.abs(diagonal)
        return (basis, jnp.where(alive, w / jnp.where(alive, beside, 1.0), 0.0)), (diagonal, beside * alive)

    start = (jnp.zeros((steps, p), z.dtype), z / size)
    (basis, _), (diagonal, beside) = jax.lax.scan(step, start, jnp.arange(steps))
    # After a breakdown the rest of T is a decoupled block; ones keep it regular without being seen from e_1.
    diagonal = jnp.where(jnp.any(basis != 0, axis=1), diagonal, 1.0)
    t = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
    values, vectors = jnp.linalg.eigh(t)
    values = jnp.maximum(values, tiny * jnp.max(jnp.abs(values)))
    first = vectors[0]
    return Probe(size * basis.T @ (vectors @ (first / values)), size**2 * jnp.sum(first**2 * jnp.log(values)))
