"""Block operators: how are large operators built of small ones?"""

from __future__ import annotations

import math
from itertools import accumulate

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from numdl import checks
from numdl.linalg.operators.base import LinearMap


class Kronecker(LinearMap):
    """``(A kron B) vec(X) = vec(A X B')`` with vec row by row.

    Attributes:
        a: operator on vectors, (m1, n1).
        b: operator on vectors, (m2, n2).

    Source: Van Loan, The ubiquitous Kronecker product, J. Comput. Appl. Math. 123 (2000), sec. 1.
    """

    a: lx.AbstractLinearOperator
    b: lx.AbstractLinearOperator

    def __check_init__(self) -> None:
        """Refuse operators that act on more than one vector."""
        _require_vectors("Kronecker", (self.a, self.b))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, (m1 m2, n1 n2)."""
        return self.a.out_size() * self.b.out_size(), self.a.in_size() * self.b.in_size()

    @property
    def dtype(self) -> jnp.dtype:
        """The larger of the factors' precisions."""
        return _dtype((self.a, self.b))

    @property
    def tags(self) -> frozenset[object]:
        """What both factors are."""
        return _tags((self.a, self.b))

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " m"]:
        """B along the rows of X, then A along the columns."""
        rows = jax.vmap(self.b.mv)(vector.reshape(self.a.in_size(), self.b.in_size()))
        return jax.vmap(self.a.mv, 1, 1)(rows).ravel()

    def as_matrix(self) -> Float[Array, "m n"]:
        """Dense Kronecker product."""
        return jnp.kron(self.a.as_matrix(), self.b.as_matrix())

    def transpose(self) -> Kronecker:
        """``A' kron B'``."""
        return Kronecker(self.a.transpose(), self.b.transpose())


class BlockDiagonal(LinearMap):
    """``A = diag(A_1, ..., A_s)``: each block acts on its part of the vector.

    Attributes:
        blocks: operators on vectors, (m_i, n_i), at least one.
    """

    blocks: tuple[lx.AbstractLinearOperator, ...]

    def __check_init__(self) -> None:
        """Refuse nothing and operators that act on more than one vector.

        Raises:
            ValueError: there is no block.
        """
        checks.instance("BlockDiagonal", "blocks", self.blocks, tuple, "Give the operators as a tuple.")
        if not self.blocks:
            raise ValueError("BlockDiagonal(blocks=()): has 0 blocks, needs at least 1. Give the operators as a tuple.")
        _require_vectors("BlockDiagonal", self.blocks)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, sums over the blocks."""
        return sum(block.out_size() for block in self.blocks), sum(block.in_size() for block in self.blocks)

    @property
    def dtype(self) -> jnp.dtype:
        """The largest of the blocks' precisions."""
        return _dtype(self.blocks)

    @property
    def tags(self) -> frozenset[object]:
        """What all blocks are."""
        return _tags(self.blocks)

    def mv(self, vector: Float[Array, " n"]) -> Float[Array, " m"]:
        """Each block on its part."""
        ends = list(accumulate(block.in_size() for block in self.blocks))
        parts = jnp.split(vector, ends[:-1])
        return jnp.concatenate([block.mv(part) for block, part in zip(self.blocks, parts, strict=True)])

    def transpose(self) -> BlockDiagonal:
        """Transposed blocks."""
        return BlockDiagonal(tuple(block.transpose() for block in self.blocks))


def _require_vectors(name: str, operators: tuple[lx.AbstractLinearOperator, ...]) -> None:
    for operator in operators:
        field = {"BlockDiagonal": "blocks"}.get(name, "a" if operator is operators[0] else "b")
        if not isinstance(operator, lx.AbstractLinearOperator):
            raise TypeError(
                f"{name}({field}={checks.shown(operator)}): needs lineax operators. Use lineax.MatrixLinearOperator(A)."
            )
        for leaf in jax.tree.leaves(operator):
            if hasattr(leaf, "dtype"):
                checks.finite(name, field, leaf)
        for structure in (operator.in_structure(), operator.out_structure()):
            if not isinstance(structure, jax.ShapeDtypeStruct) or structure.shape != (math.prod(structure.shape),):
                raise ValueError(
                    f"{name}: {type(operator).__name__} maps {operator.in_structure()} to {operator.out_structure()}, "
                    "needs one vector each. Flatten its input and output."
                )


def _dtype(operators: tuple[lx.AbstractLinearOperator, ...]) -> jnp.dtype:
    return jnp.result_type(*(operator.in_structure().dtype for operator in operators))


def _tags(operators: tuple[lx.AbstractLinearOperator, ...]) -> frozenset[object]:
    questions = {
        lx.symmetric_tag: lx.is_symmetric,
        lx.diagonal_tag: lx.is_diagonal,
        lx.lower_triangular_tag: lx.is_lower_triangular,
        lx.upper_triangular_tag: lx.is_upper_triangular,
    }
    return frozenset(tag for tag, holds in questions.items() if all(holds(operator) for operator in operators))
