"""Linear operators: base class. What do all operators share: sizes, a matrix, an exact adjoint and lineax's questions?

Operators act on flat vectors; an image ``(n1, n2)`` is its vector in row-major order, so that operators compose.
Numbers are kept as they are given and meet JAX's precision only in a product: an operator built from Python or NumPy
numbers outside JAX's 64-bit context is exact inside it.
"""

from __future__ import annotations

import abc

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float


class LinearMap(lx.AbstractLinearOperator):
    """A real linear map between vectors; parameters are its leaves, so it can be trained.

    A subclass gives ``shape`` and ``mv``; it overrides what it can do better.
    """

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def dtype(self) -> jnp.dtype:
        """Precision of the products: that of the parameters; JAX's default precision if there are none."""
        leaves = [leaf for leaf in jax.tree.leaves(self) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)]
        return jnp.result_type(*leaves) if leaves else jnp.result_type(float)

    @property
    def tags(self) -> frozenset[object]:
        """Tags of lineax that hold for all parameters."""
        return frozenset()

    def as_matrix(self) -> Float[Array, "m n"]:
        """The dense matrix, from n products."""
        return jax.vmap(self.mv, out_axes=1)(jnp.eye(self.shape[1], dtype=self.dtype))

    def transpose(self) -> lx.AbstractLinearOperator:
        """The adjoint, from the transposition of every operation of ``mv``."""
        return self if lx.symmetric_tag in self.tags else Transpose(self)

    def in_structure(self) -> jax.ShapeDtypeStruct:
        """Shape and dtype of v in ``A v``."""
        return jax.ShapeDtypeStruct((self.shape[1],), self.dtype)

    def out_structure(self) -> jax.ShapeDtypeStruct:
        """Shape and dtype of ``A v``."""
        return jax.ShapeDtypeStruct((self.shape[0],), self.dtype)


class Transpose(LinearMap):
    """Adjoint of a map by JAX's linear transposition, exact but for rounding.

    Attributes:
        of: the map A of which this is ``A'``.
    """

    of: LinearMap

    @property
    def shape(self) -> tuple[int, int]:
        """Columns and rows of A."""
        m, n = self.of.shape
        return n, m

    @property
    def tags(self) -> frozenset[object]:
        """Those of A, transposed."""
        return lx.transpose_tags(self.of.tags)

    def mv(self, vector: Float[Array, " m"]) -> Float[Array, " n"]:
        """``A' v``."""
        (product,) = jax.linear_transpose(self.of.mv, self.of.in_structure())(vector)
        return product

    def as_matrix(self) -> Float[Array, "n m"]:
        """Transposed matrix of A."""
        return self.of.as_matrix().T

    def transpose(self) -> LinearMap:
        """A."""
        return self.of


def _itself(operator: LinearMap) -> LinearMap:
    return operator


lx.linearise.register(LinearMap, _itself)
lx.conj.register(LinearMap, _itself)  # all maps are real


@lx.materialise.register(LinearMap)
def _(operator: LinearMap) -> lx.AbstractLinearOperator:
    return lx.MatrixLinearOperator(operator.as_matrix(), operator.tags)


@lx.diagonal.register(LinearMap)
def _(operator: LinearMap) -> Array:
    return jnp.diagonal(operator.as_matrix())


@lx.tridiagonal.register(LinearMap)
def _(operator: LinearMap) -> tuple[Array, Array, Array]:
    matrix = operator.as_matrix()
    return jnp.diagonal(matrix), jnp.diagonal(matrix, -1), jnp.diagonal(matrix, 1)


def _answer_by_tag(question, tag: object) -> None:
    question.register(LinearMap, lambda operator: tag in operator.tags)


for _question, _tag in (
    (lx.is_symmetric, lx.symmetric_tag),
    (lx.is_diagonal, lx.diagonal_tag),
    (lx.is_tridiagonal, lx.tridiagonal_tag),
    (lx.has_unit_diagonal, lx.unit_diagonal_tag),
    (lx.is_lower_triangular, lx.lower_triangular_tag),
    (lx.is_upper_triangular, lx.upper_triangular_tag),
    (lx.is_positive_semidefinite, lx.positive_semidefinite_tag),
    (lx.is_negative_semidefinite, lx.negative_semidefinite_tag),
):
    _answer_by_tag(_question, _tag)
