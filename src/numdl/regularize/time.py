"""How much may weights move in time: a quadratic penalty on their differences from step to step.

``R(theta) = alpha/2 sum_j ||(d_{j+1} - d_j) / h||^2`` with ``d = theta - reference``, j the leading axis.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.linalg.smoothing import smoothing_solve


class TimeSmoothness(eqx.Module):
    """Penalty on the time derivative of weights; weights that do not move cost nothing.

    Attributes:
        alpha: not negative, in units of the mean misfit times time squared, ().
        h: time between neighbouring coefficients, positive, ().
        reference: weights, constants added, that cost nothing, structure of theta; None for zero.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34 (2018), sec. 4.
    """

    alpha: Float[Array, ""]
    h: Float[Array, ""]
    reference: PyTree | None = None

    def __check_init__(self) -> None:
        """Refuse what is no penalty."""
        checks.scalar("TimeSmoothness", "alpha", self.alpha, least=0)
        checks.scalar("TimeSmoothness", "h", self.h, above=0)
        checks.leaves("TimeSmoothness", "reference", self.reference)

    def root(self, theta: PyTree) -> PyTree:
        """Residual whose half square norm is the penalty; one entry of the leading axis less than theta."""
        if self.reference is not None:
            theta = jax.tree.map(jnp.subtract, theta, self.reference)
        return self._differences(theta)

    def value(self, theta: PyTree) -> Float[Array, ""]:
        """``R(theta)``."""
        return 0.5 * sum((jnp.sum(a**2) for a in jax.tree.leaves(self.root(theta))), jnp.zeros_like(self.alpha))

    def gradient(self, theta: PyTree) -> PyTree:
        """Derivative, structure of theta."""
        return self._transposed(self.root(theta))

    def product(self, v: PyTree) -> PyTree:
        """Hessian times v, structure of v."""
        return self._transposed(self._differences(v))

    def solve(self, y: PyTree, shift: Float[Array, ""] | float) -> PyTree:
        """``(H + shift I)^(-1) y`` with the Hessian H of this penalty, by cosine transforms: a preconditioner.

        Args:
            y: right-hand side, structure of theta.
            shift: positive, ().

        Returns:
            Structure of theta.
        """
        return jax.tree.map(lambda a: smoothing_solve(a, self.alpha, shift, self.h), y)

    def _differences(self, v: PyTree) -> PyTree:
        return jax.tree.map(lambda a: jnp.sqrt(self.alpha) / self.h * (a[1:] - a[:-1]), v)

    def _transposed(self, r: PyTree) -> PyTree:
        def one(a: Array) -> Array:
            zero = jnp.zeros_like(a, shape=(1, *a.shape[1:]))
            a = jnp.concatenate([zero, a, zero])
            return jnp.sqrt(self.alpha) / self.h * (a[:-1] - a[1:])

        return jax.tree.map(one, r)
