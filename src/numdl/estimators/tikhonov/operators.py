"""Penalty operators of linear estimators: which map L does the argument ``operator`` of a linear estimator mean?"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator

from numdl.linalg import as_operator
from numdl.linalg.operators import Difference, ImageGradient, ImageLaplacian

OPERATORS = ("identity", "difference", "gradient", "laplacian")
"""Operators known by name."""


def penalty_operator(call: str, operator: Any, shape: tuple[int, int] | None, p: int) -> LinearOperator | None:
    """The map behind the name, array or operator that the user gave.

    Args:
        call: the call to name in errors.
        operator: one of ``OPERATORS``, an array (q, p), a sparse matrix, or an operator of SciPy or lineax.
        shape: rows and columns of the image that the p unknowns form, row by row; None for a signal.
        p: number of unknowns.

    Returns:
        None for the identity, otherwise the map, (q, p).

    Raises:
        ValueError: unknown name, or an operator or shape that does not fit p unknowns.
    """
    if shape is not None and (len(shape) != 2 or shape[0] * shape[1] != p):
        raise ValueError(
            f"{call}(operator_shape={shape}): {p} unknowns are no such image. Give two numbers with product {p}."
        )
    if isinstance(operator, str):
        operator = _named(call, operator, shape, p)
        if operator is None:
            return None
    found = as_operator(operator, name="operator")
    if found.shape[1] != p:
        raise ValueError(
            f"{call}(operator): it has {found.shape[1]} columns for {p} unknowns. Give L with {p} columns."
        )
    return found


def as_matrix(operator: LinearOperator | None) -> Float[np.ndarray, "q p"] | None:
    """The dense array of a map, from products with the unit vectors; None stays None."""
    return None if operator is None else np.asarray(operator @ np.eye(operator.shape[1]))


def _named(call: str, name: str, shape: tuple[int, int] | None, p: int) -> Any:
    if name not in OPERATORS:
        known = ", ".join(map(repr, OPERATORS))
        raise ValueError(f"{call}(operator={name!r}): unknown. Use one of {known}, an array or an operator.")
    if name == "identity":
        return None
    if p < 2:
        raise ValueError(f"{call}(operator={name!r}): one unknown has no neighbour. Use 'identity'.")
    if shape is None or name == "difference":
        return Difference(p, order=2 if name == "laplacian" else 1)
    return ImageGradient(shape) if name == "gradient" else ImageLaplacian(shape)
