"""Tall-skinny QR (TSQR): how is least squares solved on a table that comes in pieces and fits nowhere at once?

A triangle ``R`` with ``R'R = Z'Z`` for ``Z = [1, A, b]`` says all about least squares with A and b; rows are added by
one more QR factorisation of ``[R; new rows]``. ``Z'Z`` itself is never formed: it would square the condition number.

The column of ones stands first. The first row of R then is ``sqrt(n) [1, mean of A, mean of b]``, and the rows below
are the triangle of the part of ``[A, b]`` orthogonal to the ones, that is of the centred table. So the intercept is
never penalised, and no pass over the table is needed for the means before.

Source: Demmel, Grigori, Hoemmen, Langou, SIAM J. Sci. Comput. 34 (2012) A206-A239, sec. 2 (sequential TSQR); Golub and
Van Loan, Matrix Computations, 4th ed., sec. 6.5.3 (appending a row).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import get_lapack_funcs

from numdl import checks
from numdl.linalg.column_units import column_svd
from numdl.linalg.safe_svd import safe_svd


class TSQR(NamedTuple):
    """Rows seen so far, condensed.

    Attributes:
        triangle: upper triangular R of ``sqrt(weights) [1, A, b]``, diagonal not negative, (1 + p + k, 1 + p + k).
        columns: p, number of columns of A.
        rows: how many rows were added.
    """

    triangle: Float[np.ndarray, "q q"]
    columns: int
    rows: int


class Reduced(NamedTuple):
    """A least squares problem of p rows with the solutions and singular values of the whole table.

    ``||A x - b_j||^2`` over the table is ``||matrix x - targets_j||^2 + rest_j^2``, for every x.

    Attributes:
        matrix: upper triangular, (p, p).
        targets: (p, k).
        rest: Euclidean norm of what no x explains, (k,).
        mean_x: column means of A, (p,); zero without intercept.
        mean_c: means of the targets, (k,); zero without intercept.
    """

    matrix: Float[np.ndarray, "p p"]
    targets: Float[np.ndarray, "p k"]
    rest: Float[np.ndarray, " k"]
    mean_x: Float[np.ndarray, " p"]
    mean_c: Float[np.ndarray, " k"]


class Fit(NamedTuple):
    """Solution of least squares from a triangle.

    Attributes:
        coefficients: x, (p, k).
        intercept: (k,).
        residuals: Euclidean norm of the weighted residual over all rows, (k,).
    """

    coefficients: Float[np.ndarray, "p k"]
    intercept: Float[np.ndarray, " k"]
    residuals: Float[np.ndarray, " k"]


def tsqr_start(p: int, k: int) -> TSQR:
    """No rows yet.

    Args:
        p: columns of A, at least 0.
        k: targets, at least 0.

    Returns:
        A triangle of zeros.

    Raises:
        ValueError: a number is not whole, or negative.
    """
    p, k = checks.whole("tsqr_start", "p", p, least=0), checks.whole("tsqr_start", "k", k, least=0)
    if (1 + p + k) ** 2 > 2**31:
        raise ValueError(
            f"tsqr_start(p={p}, k={k}): the triangle needs more than 16 GiB. Use cgls for so many columns."
        )
    return TSQR(np.zeros((1 + p + k, 1 + p + k)), p, 0)


def tsqr_update(
    state: TSQR,
    rows: Float[np.ndarray, "m p"],
    targets: Float[np.ndarray, "m k"],
    weights: Float[np.ndarray, " m"] | None = None,
) -> TSQR:
    """Add rows; the order of rows and the places where the table is cut do not matter but for rounding.

    LAPACK's factorisation of a triangle on top of a rectangle leaves the zeros alone: ``2 m q^2`` operations, from half
    the time of a QR factorisation of both (m much larger than q = 1 + p + k) to a fifth (m = 64, q = 500).

    Args:
        state: rows seen before; unchanged.
        rows: of A, (m, p).
        targets: of b, (m, k).
        weights: of the squared residuals, not negative, (m,); None for 1.

    Returns:
        All rows condensed.

    Raises:
        ValueError: shapes do not fit, an entry is not finite, or a weight is negative.
    """
    checks.record("tsqr_update", "state", state, TSQR)
    q, p = len(state.triangle), state.columns
    lost = f"Fill or skip the row; {state.rows} rows were added before."
    rows = checks.finite("tsqr_update", "rows", rows, ("m", "p"), hint=lost)
    targets = checks.finite("tsqr_update", "targets", targets, ("m", "k"), hint=lost)
    if rows.shape[1] != p or targets.shape != (len(rows), q - 1 - p):
        raise ValueError(
            f"tsqr_update: rows {rows.shape} and targets {targets.shape}, needs (m, {p}) and (m, {q - 1 - p}). Give "
            "the columns that the state was started with."
        )
    if len(rows) == 0:
        return state
    added = np.asfortranarray(np.column_stack([np.ones(len(rows)), rows, targets]), dtype=np.float64)
    if weights is not None:
        weights = np.asarray(checks.finite("tsqr_update", "weights", weights, (len(rows),)))
        if np.any(weights < 0):
            raise ValueError(
                f"tsqr_update(weights): the smallest is {weights.min():g}, needs numbers >= 0. Use 0 to skip a row."
            )
        added *= np.sqrt(weights)[:, None]
    (tpqrt,) = get_lapack_funcs(("tpqrt",), dtype=np.float64)
    # first argument: the rows added have no zeros of their own; second: columns of a block, for LAPACK at most q
    triangle, *_, info = tpqrt(0, min(64, q), np.asfortranarray(state.triangle), added, overwrite_b=1)
    assert info == 0, f"tpqrt refused argument {-info}"
    triangle = np.triu(triangle)
    signs = np.where(np.diagonal(triangle) < 0, -1.0, 1.0)
    return TSQR(np.ascontiguousarray(signs[:, None] * triangle), p, state.rows + len(rows))


def tsqr_reduce(state: TSQR, *, intercept: bool = True) -> Reduced:
    """The problem of p rows that stands for the table, for whoever regularises, decomposes or solves it.

    Args:
        state: condensed rows.
        intercept: whether A and b are centred; otherwise they are taken as they are.

    Returns:
        Triangle, targets and means.

    Raises:
        TypeError: the state is none.
    """
    checks.instance("tsqr_reduce", "state", state, TSQR, "Use tsqr_start and tsqr_update.")
    p, R = state.columns, state.triangle
    if intercept:
        size = R[0, 0] if R[0, 0] > 0 else 1.0  # no row with weight: all means are zero
        means, lower = R[0, 1:] / size, R[1:, 1:]
    else:
        means, lower = np.zeros(len(R) - 1), np.asarray(np.linalg.qr(R[:, 1:], mode="r"))
    rest = np.linalg.norm(lower[p:, p:], axis=0)
    return Reduced(lower[:p, :p], lower[:p, p:], rest, means[:p], means[p:])


def tsqr_solve(state: TSQR, *, shift: float = 0.0, intercept: bool = True) -> Fit:
    """Minimise ``||1 w0' + A x - b||^2 + shift ||x||^2`` over the rows seen; of least norm if that leaves a choice.

    The objective ``1/(2n) ||.||^2 + alpha/2 ||x||^2`` of the library has ``shift = n alpha``.

    Args:
        state: condensed rows.
        shift: not negative, in units of A'A.
        intercept: whether there is a ``w0``; it is not penalised.

    Returns:
        Coefficients, intercept and the norm of the residual.

    Raises:
        ValueError: the shift is negative or not finite.
        TypeError: the state is none.

    Examples:
        >>> import numpy as np
        >>> from numdl.linalg import tsqr_solve, tsqr_start, tsqr_update
        >>> state = tsqr_start(p=1, k=1)
        >>> for x in (np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])):  # a table that comes in pieces
        ...     state = tsqr_update(state, x, 1 + 2 * x)
        >>> fit = tsqr_solve(state)
        >>> fit.coefficients.round(12), fit.intercept.round(12)
        (array([[2.]]), array([1.]))
    """
    checks.instance("tsqr_solve", "state", state, TSQR, "Use tsqr_start and tsqr_update.")
    checks.number("tsqr_solve", "shift", shift, least=0, hint="Give n alpha.")
    small = tsqr_reduce(state, intercept=intercept)
    sizes = np.linalg.norm(state.triangle[:, 1 : 1 + state.columns], axis=0)
    if shift > 0:
        U, sigma, Vt = safe_svd(small.matrix)
    else:
        U, sigma, Vt = column_svd(small.matrix, sizes)
    filtered = np.divide(sigma, sigma**2 + shift, out=np.zeros_like(sigma), where=sigma > 0)
    x = Vt.T @ (filtered[:, None] * (U.T @ small.targets))
    misfit = np.linalg.norm(small.matrix @ x - small.targets, axis=0)
    return Fit(x, small.mean_c - small.mean_x @ x, np.hypot(misfit, small.rest))
