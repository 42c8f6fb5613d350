"""CGLS: which x minimises ``||A x - b||^2 + shift ||x||^2``, found by conjugate gradients without forming A'A?

``r`` is the residual of the data and ``s = A' r - shift x`` half the negative gradient; recurring r and not s keeps the
accuracy of a method that never squares A.

Source: Hestenes and Stiefel, J. Res. Nat. Bur. Standards 49 (1952), sec. 10; Bjorck, Numerical Methods for Least
Squares Problems, SIAM 1996, alg. 7.4.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl import checks
from numdl.contracts import Status
from numdl.linalg.krylov.record import KrylovResult, Record, Stop, exponent, length
from numdl.linalg.products import as_operator, as_vector


@np.errstate(over="ignore", invalid="ignore")  # the status says what is not finite
def cgls(
    A: Any,
    b: Any,
    *,
    x0: Any = None,
    max_iter: int | None = None,
    stop: Stop | None = None,
    shift: float = 0.0,
    tol: float = 1e-12,
    keep_iterates: bool = False,
) -> KrylovResult:
    """Conjugate gradients on the normal equations ``(A'A + shift I) x = A' b``.

    The objective ``1/(2n) ||A x - b||^2 + alpha/2 ||x||^2`` of the library has ``shift = n alpha``. From ``x0 = 0`` and
    without shift the iterates themselves are regularised: ``||x_k||`` grows, ``||r_k||`` falls, and an early end is a
    filter (semi-convergence).

    Args:
        A: anything `as_operator` takes, (m, n).
        b: data, (m,).
        x0: start, (n,); None for zero. It moves the path, not the minimiser.
        max_iter: iterations at most, two products each; None for ``2 min(m, n)``.
        stop: rule that sees the history after each iteration.
        shift: not negative, in units of A'A.
        tol: ends when the gradient falls to this part of its first size, no unit; 0 leaves it to the rule.
        keep_iterates: whether all iterates are returned.

    Returns:
        Last iterate, status and history.

    Raises:
        ValueError: bad shapes, an entry that is not finite, or a negative shift.

    Examples:
        >>> import numpy as np
        >>> from numdl.linalg import cgls
        >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> found = cgls(A, np.array([1.0, 3.0, 5.0]))
        >>> np.round(found.x, 6)
        array([1., 2.])
        >>> found.status.code
        'converged'
    """
    A = as_operator(A)
    m, n = A.shape
    b = as_vector(b, m, name="b", call="cgls")
    checks.number("cgls", "shift", shift, least=0, hint="Give n alpha, which is not negative.")
    record = Record("cgls", 2 * min(m, n) if max_iter is None else max_iter, tol, stop, keep_iterates)
    x = np.zeros(n) if x0 is None else as_vector(x0, n, name="x0", call="cgls")
    start = b - A.matvec(x) if x0 is not None else b
    # In units of powers of two, b = data b^, A = size A^, all squares are near 1 and no digit changes.
    data = exponent(max(np.max(np.abs(b), initial=0.0), np.max(np.abs(start), initial=0.0)))
    r = np.ldexp(start, -data)
    s = A.rmatvec(r)
    size = exponent(length(s)) - exponent(length(r))
    size = max(size, exponent(shift) // 2) if shift else size
    record.units, weight = (data, size), float(np.ldexp(shift, -2 * size))
    x, s = np.ldexp(x, size - data), np.ldexp(s, -size)
    s = s - weight * x
    d, gamma = s, float(s @ s)
    status = record.add(x, length(r), length(s))
    while status is None:
        q = np.ldexp(A.matvec(d), -size)
        curvature = float(q @ q + weight * (d @ d))
        if curvature == 0.0 or gamma == 0.0:
            status = Status("stalled", "Squares vanished in floating point along the next direction. Scale A and b.")
            break
        step = gamma / curvature
        x, r = x + step * d, r - step * q
        s = np.ldexp(A.rmatvec(r), -size) - weight * x
        before, gamma = gamma, float(s @ s)
        d = s + (gamma / before) * d
        status = record.add(x, length(r), length(s))
    return record.result(x, status)
