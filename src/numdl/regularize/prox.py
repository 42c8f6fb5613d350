"""Which p is best near q if ``r(p)`` is to be small too: proximal maps of penalties that have no gradient.

``prox(q, t) = argmin_p r(p) + 1/(2t) |p - q|^2``. For the indicator of a convex set it is the projection, for any t.

Source: Parikh and Boyd, Proximal algorithms, Found. Trends Optim. 1 (2014), sec. 6.2 and 6.5.2.
"""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree


class L1(eqx.Module):
    """``r(p) = alpha sum_j m_j |p_j|``; its map shrinks every entry towards zero by ``t alpha m_j``.

    Attributes:
        alpha: not negative, in units of the objective per weight, ().
        mask: structure of p, 1 where an entry is penalised and 0 where it is free; None for all.
    """

    alpha: Float[Array, ""]
    mask: PyTree | None = None

    def __check_init__(self) -> None:
        """Refuse what is no penalty."""
        checks.scalar("L1", "alpha", self.alpha, least=0)
        checks.leaves("L1", "mask", self.mask)

    def value(self, p: PyTree) -> Float[Array, ""]:
        """``r(p)``."""
        sizes = jax.tree.map(lambda a, m: jnp.sum(m * jnp.abs(a)), p, self._weights(p))
        return self.alpha * sum(jax.tree.leaves(sizes), jnp.zeros_like(self.alpha))

    def prox(self, p: PyTree, t: Float[Array, ""] | float) -> PyTree:
        """Soft thresholding, structure of p."""

        def shrink(a: Array, m: Array) -> Array:
            return jnp.sign(a) * jnp.maximum(jnp.abs(a) - t * self.alpha * m, 0)

        return jax.tree.map(shrink, p, self._weights(p))

    def _weights(self, p: PyTree) -> PyTree:
        return jax.tree.map(jnp.ones_like, p) if self.mask is None else self.mask


class Box(eqx.Module):
    """Indicator of ``lower <= p <= upper``; its map clips.

    Attributes:
        lower: structure of p, or one number for all entries; -inf for none.
        upper: likewise.
    """

    lower: PyTree
    upper: PyTree

    def __check_init__(self) -> None:
        """Refuse what is no penalty."""
        checks.leaves("Box", "lower", self.lower, infinite=True)
        checks.leaves("Box", "upper", self.upper, infinite=True)

    def value(self, p: PyTree) -> Float[Array, ""]:
        """0 within the box, infinity outside."""
        inside = jax.tree.map(lambda a, low, high: jnp.all((a >= low) & (a <= high)), p, *self._bounds(p))
        leaves = jax.tree.leaves(p)
        zero = jnp.zeros((), jnp.result_type(*leaves))
        return jnp.where(functools.reduce(jnp.logical_and, jax.tree.leaves(inside)), zero, jnp.inf)

    def prox(self, p: PyTree, t: Float[Array, ""] | float) -> PyTree:
        """Projection, structure of p; t does not matter."""
        return jax.tree.map(lambda a, low, high: jnp.clip(a, low, high), p, *self._bounds(p))

    def _bounds(self, p: PyTree) -> tuple[PyTree, PyTree]:
        def like(bound: PyTree) -> PyTree:
            if jax.tree.structure(bound) == jax.tree.structure(p):
                return bound
            return jax.tree.map(lambda a: jnp.asarray(bound, a.dtype), p)

        return like(self.lower), like(self.upper)


def non_negative() -> Box:
    """The set ``p >= 0``, for unknowns of any structure.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.regularize import non_negative
        >>> [float(x) for x in non_negative().prox(jnp.array([-1.0, 2.0]), 1.0)]
        [0.0, 2.0]
    """
    return Box(0.0, jnp.inf)
