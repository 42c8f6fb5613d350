"""Golub-Kahan bidiagonalisation: which small bidiagonal matrix does A look like from b?

``beta_1 u_1 = b``, ``alpha_1 v_1 = A' u_1`` and for k = 1, 2, ...

    ``beta_(k+1) u_(k+1) = A v_k - alpha_k u_k``,   ``alpha_(k+1) v_(k+1) = A' u_(k+1) - beta_(k+1) v_k``

so that ``A V_k = U_(k+1) B_k`` with orthonormal columns and B lower bidiagonal: its singular values approach those of
A, the largest first. In floating point the columns lose their orthogonality as soon as one singular value has
converged; reorthogonalisation keeps it, for memory and work of all earlier vectors.

Source: Golub and Kahan, SIAM J. Numer. Anal. 2 (1965) 205-224; Paige and Saunders, ACM Trans. Math. Softw. 8 (1982),
sec. 3; Bjorck, Numerical Methods in Matrix Computations, Springer 2015, sec. 3.3.4 and 4.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.contracts import Status
from numdl.linalg.krylov.record import length
from numdl.linalg.products import as_operator, as_vector


class Step(NamedTuple):
    """Column k of the bidiagonalisation.

    Attributes:
        v: ``v_k``, (n,).
        alpha: ``alpha_k``, on the diagonal, positive.
        u: ``u_(k+1)``, (m,); zero if the column is the last because beta vanished.
        beta: ``beta_(k+1)``, below the diagonal.
        following: ``alpha_(k+1)``, which the next column starts with; zero if there is none.
        status: ``running``, or ``converged`` with the breakdown by name: then this column is the last.
    """

    v: Float[np.ndarray, " n"]
    alpha: float
    u: Float[np.ndarray, " m"]
    beta: float
    following: float
    status: Status


class Bidiagonalization(NamedTuple):
    """``A V = U B``.

    Attributes:
        U: left vectors, (m, k + 1); the last is zero after a breakdown of beta.
        B: lower bidiagonal, (k + 1, k).
        V: right vectors, (n, k).
        status: ``max_iter``, or ``converged`` with the breakdown by name.
    """

    U: Float[np.ndarray, "m k1"]
    B: Float[np.ndarray, "k1 k"]
    V: Float[np.ndarray, "n k"]
    status: Status


def golub_kahan(A: Any, b: Any, *, reorthogonalise: bool = True, max_steps: int | None = None) -> Iterator[Step]:
    """Golub-Kahan bidiagonalisation column by column, two products each.

    ``beta_1 = ||b||`` and ``u_1 = b / beta_1`` are not repeated in the steps. There is no step if ``A' b = 0``.

    Args:
        A: anything `as_operator` takes, (m, n).
        b: start, (m,), in units of the data.
        reorthogonalise: against all earlier vectors, twice each.
        max_steps: columns at most; None for ``min(m, n)``, of which there are no more in exact arithmetic and with
            reorthogonalisation. The memory for reorthogonalisation is of that size.

    Yields:
        Columns, until one breaks down: a coefficient below its rounding error means that the vectors span a space that
        A does not leave, in which the least squares problem is solved.

    Examples:
        >>> import numpy as np
        >>> from numdl.linalg import golub_kahan
        >>> steps = list(golub_kahan(np.diag([3.0, 2.0, 1.0]), np.ones(3)))
        >>> len(steps)
        3
    """
    A = as_operator(A)
    m, n = A.shape
    u = as_vector(b, m, name="b", call="golub_kahan")
    steps = min(m, n) if max_steps is None else checks.whole("golub_kahan", "max_steps", max_steps, least=0)
    if reorthogonalise:
        steps = min(steps, m, n)
    kept_u, kept_v = (np.empty((steps, size)) for size in ((m, n) if reorthogonalise else (0, 0)))
    beta = length(u)
    if beta == 0.0:
        return
    u = u / beta
    v = A.rmatvec(u)
    alpha = length(v)
    if alpha == 0.0:
        return
    v = v / alpha
    size = 0.0
    # Relative to ||A||, which the Frobenius norm of B approaches from below. One rounding error of a product is
    # divided by each small coefficient that it meets on its way to the breakdown.
    rounding = 1000 * np.finfo(float).eps
    for k in range(steps):
        if reorthogonalise:
            kept_u[k], kept_v[k] = u, v
        column, diagonal = v, alpha
        u = _orthogonal(A.matvec(v) - alpha * u, kept_u[: k + 1])
        size = float(np.hypot(size, np.hypot(alpha, length(u))))
        u, beta = _normalised(u, rounding * size)
        v, alpha = np.zeros(n), 0.0
        if beta > 0.0:
            v = _orthogonal(A.rmatvec(u) - beta * column, kept_v[: k + 1])
            v, alpha = _normalised(v, rounding * size)
        status = _judge(k + 1, beta, alpha)
        yield Step(column, diagonal, u, beta, alpha, status)
        if status.code != "running":
            return


def bidiagonalise(A: Any, b: Any, steps: int, *, reorthogonalise: bool = True) -> Bidiagonalization:
    """The first columns of the bidiagonalisation, as matrices.

    Args:
        A: anything `as_operator` takes, (m, n).
        b: start, (m,), not zero.
        steps: columns at most, at least 1.
        reorthogonalise: as for `golub_kahan`.

    Returns:
        U, B, V; fewer columns after a breakdown.

    Raises:
        ValueError: no step is asked for, or ``A' b = 0``, so that there is no first column.

    Examples:
        >>> import numpy as np
        >>> from numdl.linalg import bidiagonalise
        >>> A = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 3.0]])
        >>> U, B, V, _ = bidiagonalise(A, np.array([1.0, 1.0, 1.0]), steps=2)
        >>> B.shape, bool(np.allclose(A @ V, U @ B))
        ((3, 2), True)
    """
    A = as_operator(A)
    b = as_vector(b, A.shape[0], name="b", call="bidiagonalise")
    checks.whole("bidiagonalise", "steps", steps, least=1)
    columns = list(golub_kahan(A, b, reorthogonalise=reorthogonalise, max_steps=steps))
    if not columns:
        raise ValueError(
            "bidiagonalise: A' b = 0, needs a b that is not orthogonal to the columns of A. Take another b."
        )
    k = len(columns)
    B = np.zeros((k + 1, k))
    B[np.arange(k), np.arange(k)] = [column.alpha for column in columns]
    B[np.arange(1, k + 1), np.arange(k)] = [column.beta for column in columns]
    U = np.stack([b / length(b), *(column.u for column in columns)], axis=1)
    V = np.stack([column.v for column in columns], axis=1)
    status = columns[-1].status
    if status.code == "running":
        status = Status("max_iter", f"{k} columns were computed.")
    return Bidiagonalization(U, B, V, status)


def _orthogonal(w: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Part of w beside the rows of the basis, which may be of no length (not kept)."""
    if basis.shape[1]:
        for _ in range(2):  # twice is enough
            w = w - basis.T @ (basis @ w)
    return w


def _normalised(w: np.ndarray, smallest: float) -> tuple[np.ndarray, float]:
    size = length(w)
    if size <= smallest:  # false for NaN, which is no breakdown
        return np.zeros_like(w), 0.0
    with np.errstate(invalid="ignore"):
        return w / size, size


def _judge(k: int, beta: float, alpha: float) -> Status:
    if beta == 0.0:
        return Status("converged", f"Breakdown of beta at column {k}: b lies in the span of A V, the residual is zero.")
    if alpha == 0.0:
        return Status("converged", f"Breakdown of alpha at column {k}: the gradient A' r is zero.")
    return Status("running", "Still running.")
