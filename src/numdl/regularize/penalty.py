"""Quadratic penalties by groups of weights.

How large may the weights be: a quadratic penalty with one parameter per group of weights.

``R(theta) = 1/2 sum_j alpha_{g(j)} (theta_j - ref_j)^2``, j over all entries in JAX's order of leaves. As a prior it
is a Gaussian whose precision the evidence can estimate group by group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from numdl import checks
from numdl.contracts import PyTree


class Penalty(Protocol):
    """What is added to a misfit; where its Hessian is the same everywhere it has ``product(v)`` besides."""

    def value(self, theta: PyTree) -> Float[Array, ""]:
        """``R(theta)``, not negative."""
        ...

    def gradient(self, theta: PyTree) -> PyTree:
        """Derivative, structure of theta."""
        ...


@runtime_checkable
class DiagonalPenalty(Penalty, Protocol):
    """A penalty whose Hessian is a diagonal, the same everywhere."""

    @property
    def diagonal(self) -> Float[Array, " p"]:
        """It, in JAX's order of leaves."""
        ...


@runtime_checkable
class CurvedPenalty(Penalty, Protocol):
    """A penalty whose Hessian depends on where it is taken."""

    def hessian(self, theta: PyTree) -> Callable[[PyTree], PyTree]:
        """``v -> H v`` at theta."""
        ...


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
        checks.finite("GroupPenalty", "alpha", self.alpha, ("G",), least=0, hint="Use 0 for no penalty.")
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
        penalty: a ``CurvedPenalty``, as ``SmoothedTotalVariation``; else with ``product``.
        p: where.

    Returns:
        ``v -> H v``, structure of p.
    """
    return penalty.hessian(p) if isinstance(penalty, CurvedPenalty) else penalty.product


Grouping = Literal["one", "kind", "inputs"]
GROUPINGS: tuple[str, ...] = ("one", "kind", "inputs")


def group_labels(theta: PyTree, grouping: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Group of each entry of theta.

    Args:
        theta: weights; only paths and shapes are used.
        grouping: ``"one"`` group for all; one per ``"kind"``: each matrix and each bias of the opening and of the
            flow; ``"inputs"``: as kind, but a group for each input of the opening (automatic relevance).

    Returns:
        Labels (p,) in the order of JAX's leaves, entries row by row, and the names of the groups.

    Raises:
        ValueError: unknown grouping, or a leaf of theta is no array.

    Examples:
        >>> import numpy as np
        >>> from numdl.models import ResNet
        >>> from numdl.regularize import group_labels
        >>> labels, names = group_labels(ResNet(2, 3, 1).init(0), "kind")
        >>> names, np.bincount(labels)
        (('flow K', 'flow b', 'opening K', 'opening b'), array([9, 3, 6, 3]))
    """
    checks.choice("group_labels", "grouping", grouping, GROUPINGS)
    for path, leaf in jax.tree.leaves_with_path(theta):
        if not hasattr(leaf, "shape"):
            raise ValueError(
                f"group_labels(theta{jax.tree_util.keystr(path)}={checks.shown(leaf)}): needs a tree of arrays. Use "
                "np.asarray for single numbers."
            )
    names: dict[str, int] = {}

    def label(path: tuple[Any, ...], leaf: Any) -> np.ndarray:
        name = " ".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in path) or "weights"
        if grouping == "one":
            name = "weights"
        elif grouping == "inputs" and name == "opening K":
            columns = [names.setdefault(f"input {j}", len(names)) for j in range(leaf.shape[1])]
            return np.broadcast_to(columns, leaf.shape)
        return np.full(leaf.shape, names.setdefault(name, len(names)))

    labels = [np.ravel(a) for a in jax.tree.leaves(jax.tree_util.tree_map_with_path(label, theta))]
    return np.concatenate(labels).astype(np.int32), tuple(names)
