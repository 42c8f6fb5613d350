"""Iterative refinement of least squares.

How is least squares without penalty solved to all digits that the table holds?

Columns are scaled to norms between 1 and 2 by powers of two, which changes no digit; a Householder QR factorisation
with column pivoting tells the rank. Its solution has lost ``condition * eps``, and with a large residual even
``condition^2 * eps |r|``. Refinement gives that back. It improves x and the residual r together, as the solution of

    [ I   A ] [ r ]   [ b ]
    [ A'  0 ] [ x ] = [ 0 ]

with the misfit of these equations computed as if with twice the digits. While ``condition * eps < 1`` it ends at the
solution of the table as stored, correctly to nearly the last digit.

Cost: ``4 n p^2`` for factor and Q, ``80 n p`` for each step of refinement, of which there are two to five. Memory:
three copies of A.

Sources: Bjorck, BIT 7 (1967) 257-278; Golub and Van Loan, Matrix Computations, 4th ed., sec. 5.3.8 and 5.4.2; Higham,
Accuracy and Stability of Numerical Algorithms, 2nd ed., sec. 20.5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import qr, solve_triangular

from numdl import checks
from numdl.contracts import Status
from numdl.linalg.column_units import powers_of_two
from numdl.linalg.compensated import compensated_product

_STEPS = 20
"""Steps of refinement at most: each gains a digit or more, or is the last."""


class LeastSquares(NamedTuple):
    """Solution of least squares.

    Attributes:
        coefficients: x, (p, k); zero for dependent columns.
        residual: ``b - A x``, (n, k).
        rank: number of columns that are independent in float64, after scaling.
        dependent: numbers of the other columns, which the first ones explain, (p - rank,).
        status: rank and refinement in a sentence; ``stalled`` where refinement did not settle.
    """

    coefficients: Float[np.ndarray, "p k"]
    residual: Float[np.ndarray, "n k"]
    rank: int
    dependent: Int[np.ndarray, " q"]
    status: Status


def least_squares(A: Float[np.ndarray, "n p"], b: Float[np.ndarray, "_ k"]) -> LeastSquares:
    """Minimise ``||A x - b_j||`` for each column of b, refined until digits no longer change.

    Args:
        A: matrix, finite, (n, p).
        b: targets, finite, (n, k).

    Returns:
        Solution, rank and status. Where columns depend on others, a solution that leaves those out.

    Raises:
        ValueError: shapes do not fit, or an entry is not finite.

    Examples:
        >>> import numpy as np
        >>> from numdl.linalg import least_squares
        >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> found = least_squares(A, np.array([[1.0], [3.0], [5.0]]))
        >>> found.coefficients.ravel().round(12), found.rank
        (array([1., 2.]), 2)
    """
    hint = "Fill or drop the row."
    A = checks.finite("least_squares", "A", A, ("n", "p"), hint=hint)
    b = checks.finite("least_squares", "b", b, ("n", "k"), hint=hint)
    if len(A) != len(b):
        raise ValueError(f"least_squares: A {A.shape} and b {b.shape}, needs (n, p) and (n, k). Give matching rows.")
    A, b = np.asarray(A, float), np.asarray(b, float)
    n, p = A.shape
    scale = powers_of_two(A)
    scaled = A / scale
    if A.size == 0:
        return LeastSquares(np.zeros((p, b.shape[1])), b, 0, np.arange(p), _status(np.arange(p), p, 1.0, True))
    factorised: tuple = qr(scaled, mode="economic", pivoting=True)
    Q, R, order = factorised
    pivots = np.abs(np.diagonal(R))
    rank = int(np.sum(pivots > max(n, p) * np.finfo(float).eps * pivots[:1]))
    kept, dependent = order[:rank], np.sort(order[rank:])
    independent, factors = scaled[:, kept], (Q[:, :rank], R[:rank, :rank])
    x, residual, settled = np.zeros((p, b.shape[1])), b.copy(), True
    if rank:
        for j in range(b.shape[1]):
            x[kept, j], residual[:, j], done = _refined(independent, b[:, j], factors)
            settled &= done
    smallest = pivots[rank - 1] / pivots[0] if rank else 1.0
    return LeastSquares(x / scale[:, None], residual, rank, dependent, _status(dependent, p, smallest, settled))


def _refined(
    A: Float[np.ndarray, "n r"], b: Float[np.ndarray, " n"], factors: tuple[np.ndarray, np.ndarray]
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " n"], bool]:
    """x, r, and whether the last correction was of the size of rounding."""
    Q, R = factors
    x, r = np.zeros(A.shape[1]), np.zeros(len(A))
    before = np.inf
    for _ in range(_STEPS):
        f = compensated_product(A, -x, b, -r)
        g = compensated_product(A.T, -r)
        h = solve_triangular(R, g, trans=1)
        q = Q.T @ f
        dx, dr = solve_triangular(R, q - h), f - Q @ (q - h)
        change, size = np.max(np.abs(dx)), np.max(np.abs(x + dx))
        if not change < 0.5 * before:  # the corrections are rounding now, or do not get smaller
            break
        x, r, before = x + dx, r + dr, change
        if change <= np.finfo(float).eps * size:
            break
    return x, r, bool(change <= 4 * np.finfo(float).eps * size)


def _status(dependent: np.ndarray, p: int, smallest: float, settled: bool) -> Status:
    if len(dependent):
        shown = ", ".join(map(str, dependent[:5])) + (", ..." if len(dependent) > 5 else "")
        rank = f"The rank is {p - len(dependent)} of {p}: columns {shown} depend on the others and got no coefficient."
    else:
        rank = f"All {p} columns are independent; the weakest keeps {smallest:.1e} of its length beside the others."
    if settled:
        return Status("converged", rank)
    return Status("stalled", f"{rank} The last digits are not certain: rounding is as large as that.")
