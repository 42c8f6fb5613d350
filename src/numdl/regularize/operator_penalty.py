"""Operator penalty (Tikhonov): how rough may the coefficients of a linear model be, as a function of the feature?

``R(W) = alpha/2 ||L (W_m - W_ref)'||_F^2``: L acts along the features, on each output alone; ``W_m`` are the first m
columns of ``W (k, q)``, an intercept in a further column is free. The identity is Tikhonov's penalty; differences make
neighbouring pixels alike.

Source: Hansen, Discrete Inverse Problems, SIAM 2010, ch. 8 (general form).
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks

Head = Float[Array, "k q"]


class OperatorPenalty(eqx.Module):
    """Quadratic penalty in general form, with the interface of ``GroupPenalty``.

    Attributes:
        alpha: not negative, in units of the mean misfit, ().
        operator: L: None for the identity, an array (r, m), or a lineax operator from (m,) to (r,).
        reference: ``W_ref (k, m)``, where the penalty is zero; None for the origin.
        intercept: whether W has a last column that is free.
    """

    alpha: Float[Array, ""]
    operator: Any = None
    reference: Float[Array, "k m"] | None = None
    intercept: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        """Refuse what is no penalty."""
        checks.scalar("OperatorPenalty", "alpha", self.alpha, least=0)
        if isinstance(self.operator, str | float | int):
            raise TypeError(
                f"OperatorPenalty(operator={self.operator!r}): needs a matrix (r, m) or a lineax operator. Use None "
                "for the identity."
            )
        if hasattr(self.operator, "dtype") and hasattr(self.operator, "ndim"):
            checks.finite("OperatorPenalty", "operator", self.operator, ("r", "m"))
        if self.reference is not None:
            checks.finite("OperatorPenalty", "reference", self.reference, ("k", "m"))

    def root(self, W: Head) -> Float[Array, "k r"]:
        """Residual whose half square norm is the penalty."""
        return jnp.sqrt(self.alpha) * self._apply(self._shifted(W))

    def value(self, W: Head) -> Float[Array, ""]:
        """``R(W)``."""
        return 0.5 * self.alpha * jnp.sum(self._apply(self._shifted(W)) ** 2)

    def gradient(self, W: Head) -> Head:
        """Derivative, shape of W."""
        return self._normal(self._shifted(W))

    def product(self, v: Head) -> Head:
        """Hessian times v, shape of v."""
        return self._normal(self._features(v))

    def matrix(self, q: int) -> Float[Array, "q q"]:
        """Hessian for one output, ``alpha L'L`` with a zero row and column for the intercept.

        Args:
            q: number of columns of W.

        Returns:
            Symmetric, positive semidefinite, (q, q).
        """
        m = q - self.intercept
        square = jnp.eye(m, dtype=self.alpha.dtype) if self.operator is None else self._gram(m)
        return jnp.zeros((q, q), square.dtype).at[:m, :m].set(self.alpha * square)

    def _gram(self, m: int) -> Float[Array, "m m"]:
        columns = self._apply(jnp.eye(m, dtype=self.alpha.dtype))
        return columns @ columns.T

    def _features(self, W: Head) -> Float[Array, "k m"]:
        return W[:, : W.shape[1] - self.intercept]

    def _shifted(self, W: Head) -> Float[Array, "k m"]:
        features = self._features(W)
        return features if self.reference is None else features - self.reference

    def _normal(self, features: Float[Array, "k m"]) -> Head:
        back = self.alpha * self._transposed(self._apply(features))
        return jnp.pad(back, ((0, 0), (0, int(self.intercept))))

    def _apply(self, rows: Float[Array, "k m"]) -> Float[Array, "k r"]:
        """L times each row."""
        if self.operator is None:
            return rows
        if eqx.is_array(self.operator):
            return rows @ self.operator.T
        return jax.vmap(self.operator.mv)(rows)

    def _transposed(self, rows: Float[Array, "k r"]) -> Float[Array, "k m"]:
        """L' times each row."""
        if self.operator is None:
            return rows
        if eqx.is_array(self.operator):
            return rows @ self.operator
        return jax.vmap(self.operator.transpose().mv)(rows)
