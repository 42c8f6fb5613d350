"""Lanczos method: spectrum, inverse, log determinant.

What do a few products tell about the spectrum, the inverse and the logarithm of a symmetric matrix?

Lanczos with full reorthogonalisation from z gives ``H V = V T + rest``. Then ``z' f(H) z ~ ||z||^2 e_1' f(T) e_1``
(Gauss quadrature), and for positive definite H ``H^-1 z ~ ||z|| V T^-1 e_1``. With random signs z the mean of
``z' log(H) z`` is log det H.

Source: Ubaru, Chen, Saad, SIAM J. Matrix Anal. Appl. 38 (2017), alg. 1; Golub and Meurant, Matrices, Moments and
Quadrature, 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks


class Tridiagonal(NamedTuple):
    """What Lanczos leaves of a matrix.

    Attributes:
        basis: orthonormal rows, (steps, p); zero after a breakdown.
        diagonal: of T, (steps,); after a breakdown the first entry again, which stays within the spectrum.
        beside: ``beside[i]`` couples row i with the next one, (steps,); the last one is the size of what is left, and
            zero from a breakdown on: the rest of T is a decoupled block that nothing sees from e_1.
    """

    basis: Float[Array, "steps p"]
    diagonal: Float[Array, " steps"]
    beside: Float[Array, " steps"]

    def matrix(self) -> Float[Array, "steps steps"]:
        """T."""
        return jnp.diag(self.diagonal) + jnp.diag(self.beside[:-1], 1) + jnp.diag(self.beside[:-1], -1)


class Probe(NamedTuple):
    """What one start vector reveals.

    Attributes:
        solve: approximation of ``H^-1 z``, (p,).
        log: approximation of ``z' log(H) z``, ().
    """

    solve: Float[Array, " p"]
    log: Float[Array, ""]


def _checked(call: str, product: Callable[[Array], Array], z: Float[Array, " p"], steps: int) -> Float[Array, " p"]:
    """The start as an array; refuses what cannot be started from."""
    checks.function(call, "product", product, "v -> H v")
    checks.whole(call, "steps", steps, least=1)
    z = jnp.asarray(checks.finite(call, "z", z, ("p",)))
    if not checks.traced(z) and not jnp.any(z):
        raise ValueError(f"{call}(z): is zero, needs a vector with a direction. Draw random signs.")
    return z


def tridiagonalise(product: Callable[[Array], Array], z: Float[Array, " p"], steps: int) -> Tridiagonal:
    """Lanczos from one vector, each new vector made orthogonal to all before, twice.

    Args:
        product: ``v -> H v``, symmetric.
        z: start, not zero, (p,).
        steps: products, at least 1; capped at p. Memory: ``steps`` vectors.

    Returns:
        T and the basis in which it was found.

    Raises:
        ValueError: there is no step, or z is no vector of finite numbers.
        TypeError: ``product`` is no function.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.linalg import tridiagonalise
        >>> H = jnp.array([[4.0, 3.0, 4.0], [3.0, 1.0, 0.0], [4.0, 0.0, 2.0]])
        >>> found = tridiagonalise(lambda v: H @ v, jnp.array([1.0, 0.0, 0.0]), steps=3)
        >>> [round(float(x), 2) for x in found.diagonal]  # found.basis[1] is (0, 0.6, 0.8)
        [4.0, 1.64, 1.36]
        >>> [round(float(x), 2) for x in found.beside[:2]]
        [5.0, 0.48]
    """
    z = _checked("tridiagonalise", product, z, steps)
    p = z.shape[0]
    steps = min(steps, p)
    tiny = jnp.finfo(z.dtype).eps

    def step(carry: tuple, i: Array) -> tuple:
        basis, v, scale = carry
        basis = basis.at[i].set(v)
        w = product(v)
        diagonal = v @ w
        scale = jnp.maximum(scale, jnp.linalg.norm(w))
        for _ in range(2):  # twice is enough
            w = w - basis.T @ (basis @ w)
        beside = jnp.linalg.norm(w)
        # Relative to the largest product so far: that of an indefinite matrix may have a zero diagonal.
        alive = beside > 1e3 * tiny * scale
        return (basis, jnp.where(alive, w / jnp.where(alive, beside, 1.0), 0.0), scale), (
            diagonal,
            jnp.where(alive, beside, 0.0),
        )

    start = (jnp.zeros((steps, p), z.dtype), z / jnp.linalg.norm(z), jnp.zeros((), z.dtype))
    (basis, *_), (diagonal, beside) = jax.lax.scan(step, start, jnp.arange(steps))
    diagonal = jnp.where(jnp.any(basis != 0, axis=1), diagonal, diagonal[0])
    return Tridiagonal(basis, diagonal, beside)


def lanczos_probe(product: Callable[[Array], Array], z: Float[Array, " p"], steps: int) -> Probe:
    """Inverse and logarithm from one vector.

    Args:
        product: ``v -> H v``, symmetric positive definite.
        z: start, not zero, (p,).
        steps: products, at least 1; capped at p. Memory: ``steps`` vectors.

    Returns:
        Solve and quadratic form of the logarithm.

    Raises:
        ValueError: there is no step, or z is no vector of finite numbers.
        TypeError: ``product`` is no function.
    """
    z = _checked("lanczos_probe", product, z, steps)
    size = jnp.linalg.norm(z)
    found = tridiagonalise(product, z, steps)
    values, vectors = jnp.linalg.eigh(found.matrix())
    values = jnp.maximum(values, jnp.finfo(z.dtype).eps * jnp.max(jnp.abs(values)))
    first = vectors[0]
    return Probe(size * found.basis.T @ (vectors @ (first / values)), size**2 * jnp.sum(first**2 * jnp.log(values)))
