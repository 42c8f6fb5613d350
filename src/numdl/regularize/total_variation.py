"""Smoothed total variation.

How much may weights jump in time? A penalty on the sum of their changes, smoothed so that it has a gradient.

``R(theta) = alpha sum_j sqrt(((theta_{j+1} - theta_j) / h)^2 + eps) + ridge/2 ||theta||^2``, j the leading axis, entry
by entry. A jump costs what a slow change of the same height does, whereas ``TimeSmoothness`` forbids jumps.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree


class SmoothedTotalVariation(eqx.Module):
    """Penalty on the total variation of weights in time.

    It is not quadratic: the Hessian that ``hessian`` offers belongs to one theta.

    Attributes:
        alpha: not negative, in units of the mean misfit times those of time over weight, ().
        h: time between neighbouring coefficients, positive, ().
        eps: square of the slope, weight over time, below which the penalty is smooth like a square; positive, ().
        ridge: weight of ``1/2 ||theta||^2``, not negative, (); without it constants cost nothing more than zero.

    Source: Vogel and Oman, Iterative methods for total variation denoising, SIAM J. Sci. Comput. 17 (1996) 227-238.
    """

    alpha: Float[Array, ""]
    h: Float[Array, ""]
    eps: Float[Array, ""]
    ridge: Float[Array, ""] | float = 0.0

    def __check_init__(self) -> None:
        """Refuse what is no penalty."""
        for name in ("alpha", "ridge"):
            checks.scalar("SmoothedTotalVariation", name, getattr(self, name), least=0)
        for name in ("h", "eps"):
            checks.scalar("SmoothedTotalVariation", name, getattr(self, name), above=0)

    def value(self, theta: PyTree) -> Float[Array, ""]:
        """``R(theta)``."""
        zero = jnp.zeros_like(self.alpha)
        slopes = jax.tree.leaves(jax.tree.map(self._slopes, theta))
        changes = sum((jnp.sum(jnp.sqrt(d**2 + self.eps)) for d in slopes), zero)
        return self.alpha * changes + self.ridge / 2 * sum((jnp.sum(a**2) for a in jax.tree.leaves(theta)), zero)

    def gradient(self, theta: PyTree) -> PyTree:
        """Derivative, structure of theta."""
        return self.hessian(theta)(theta)  # the slope of sqrt(d^2 + eps) is d times the lagged weight

    def hessian(self, theta: PyTree) -> Callable[[PyTree], PyTree]:
        """``v -> alpha B' diag(1 / sqrt((B theta)^2 + eps)) B v + ridge v``, the lagged-diffusivity Hessian at theta.

        Positive semidefinite, and above the true Hessian, whose weights are smaller by the factor
        ``eps / ((B theta)^2 + eps)``.

        Args:
            theta: where.

        Returns:
            Linear map of the structure of theta.
        """
        weights = jax.tree.map(lambda a: self.alpha / jnp.sqrt(self._slopes(a) ** 2 + self.eps), theta)

        def product(v: PyTree) -> PyTree:
            return jax.tree.map(lambda a, w: self._transposed(w * self._slopes(a)) + self.ridge * a, v, weights)

        return product

    def _slopes(self, a: Array) -> Array:
        return (a[1:] - a[:-1]) / self.h

    def _transposed(self, r: Array) -> Array:
        zero = jnp.zeros_like(r, shape=(1, *r.shape[1:]))
        r = jnp.concatenate([zero, r, zero])
        return (r[:-1] - r[1:]) / self.h
