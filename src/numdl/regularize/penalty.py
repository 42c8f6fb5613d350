"""How large may the weights be: a quadratic penalty with one parameter per group of weights.

``R(theta) = 1/2 sum_j alpha_{g(j)} (theta_j - ref_j)^2``, j over all entries in JAX's order of leaves. As a prior it
is a Gaussian whose precision the evidence can estimate group by group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from numdl import checks
from numdl.contracts import PyTree


def require_weights(call: str, name: str, alpha: Any, shape: checks.Shape) -> None:
    """Refuse penalty parameters that are no finite numbers >= 0; those that are traced are not looked at.

    Args:
        call: the call to name.
        name: of the argument.
        alpha: as given.
        shape: that they need.

    Raises:
        ValueError: another shape, not finite, or negative.
    """
    checks.finite(call, name, alpha, shape)
    if not checks.traced(alpha) and hasattr(alpha, "__array__") and np.any(np.asarray(alpha) < 0):
        raise ValueError(f"{call}({name}): has negative entries, needs numbers >= 0. Use 0 for no penalty.")


class GroupPenalty(eqx.Module):
    """Quadratic penalty, diagonal, one alpha per group.

    Attributes:
        alpha: (G,), not negative, in units of the mean misfit.
        labels: (p,) group of each entry of theta.
        reference: (p,) where the penalty is zero; None for the origin.
    """

    alpha: Float[Array, " G"]
    labels: Int[Array, " p"]
    reference: Float[Array, " p"] | None = None

    def __check_init__(self) -> None:
        """Refuse what is no penalty."""
        require_weights("GroupPenalty", "alpha", self.alpha, ("G",))
        labels = checks.real("GroupPenalty", "labels", self.labels, ("p",))
        if labels.dtype.kind not in "iu":
            raise ValueError(f"GroupPenalty(labels of dtype {labels.dtype}): needs whole numbers. Use group_labels.")
        if self.reference is not None:
            checks.finite("GroupPenalty", "reference", self.reference, ("p",))

    @property
    def diagonal(self) -> Float[Array, " p"]:
        """Hessian of the penalty, a diagonal."""
        return self.alpha[self.labels]

    def root(self, theta: PyTree) -> Float[Array, " p"]:
        """Residual whose half square norm is the penalty."""
        return jnp.sqrt(self.diagonal) * self._shifted(theta)

    def value(self, theta: PyTree) -> Float[Array, ""]:
        """``R(theta)``."""
        return 0.5 * jnp.sum(self.diagonal * self._shifted(theta) ** 2)

    def gradient(self, theta: PyTree) -> PyTree:
        """Derivative, structure of theta."""
        return ravel_pytree(theta)[1](self.diagonal * self._shifted(theta))

    def product(self, v: PyTree) -> PyTree:
        """Hessian times v, structure of v."""
        vector, unravel = ravel_pytree(v)
        return unravel(self.diagonal * vector)

    def _shifted(self, theta: PyTree) -> Float[Array, " p"]:
        vector = ravel_pytree(theta)[0]
        return vector if self.reference is None else vector - self.reference


def hessian_at(penalty: Any, p: PyTree) -> Callable[[PyTree], PyTree]:
    """Products with the Hessian of a penalty at p.

    Args:
        penalty: with ``hessian(p)`` where that depends on p, as of ``SmoothedTotalVariation``; else with ``product``.
        p: where.

    Returns:
        ``v -> H v``, structure of p.
    """
    return penalty.hessian(p) if hasattr(penalty, "hessian") else penalty.product
