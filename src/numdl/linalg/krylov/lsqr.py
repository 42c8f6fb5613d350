"""LSQR.

Which x minimises ``||A x - b||^2 + damp^2 ||x||^2``, found by a QR factorisation that grows with Golub and Kahan?

Iterate k is the minimiser in the space of the first k vectors v of Golub and Kahan: in exact arithmetic that of `cgls`.
Two rotations for each column, one that removes damp and one that removes beta, update it from ``x_(k-1)``.

Source: Paige and Saunders, ACM Trans. Math. Softw. 8 (1982) 43-71, sec. 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl import checks
from numdl.linalg.krylov.golub_kahan import golub_kahan
from numdl.linalg.krylov.record import KrylovResult, Record, Stop, exponent, length
from numdl.linalg.products import as_operator, as_vector


@np.errstate(over="ignore", invalid="ignore")  # the status says what is not finite
def lsqr(
    A: Any,
    b: Any,
    *,
    max_iter: int | None = None,
    stop: Stop | None = None,
    damp: float = 0.0,
    reorthogonalise: bool = False,
    tol: float = 1e-12,
    keep_iterates: bool = False,
) -> KrylovResult:
    """LSQR from zero; for another start, solve for the correction with ``b - A x0``.

    The objective ``1/(2n) ||A x - b||^2 + alpha/2 ||x||^2`` of the library has ``damp^2 = n alpha``; ``normal`` in the
    history is that of the shift ``damp^2``.

    Args:
        A: anything `as_operator` takes, (m, n).
        b: data, (m,).
        max_iter: iterations at most, two products each; None for ``2 min(m, n)``, with reorthogonalisation for
            ``min(m, n)``, after which nothing is left.
        stop: rule that sees the history after each iteration.
        damp: not negative, in units of A.
        reorthogonalise: keep the bidiagonalisation orthogonal, as for `golub_kahan`.
        tol: ends when the gradient falls to this part of its first size, no unit; 0 leaves it to the rule.
        keep_iterates: whether all iterates are returned.

    Returns:
        Last iterate, status and history.

    Raises:
        ValueError: bad shapes, an entry that is not finite, or a negative damp.

    Examples:
        >>> import numpy as np
        >>> from numdl.linalg import lsqr
        >>> A = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> np.round(lsqr(A, np.array([1.0, 3.0, 5.0])).x, 6)
        array([1., 2.])
    """
    A = as_operator(A)
    m, n = A.shape
    b = as_vector(b, m, name="b", call="lsqr")
    checks.number("lsqr", "damp", damp, least=0, hint="Give sqrt(n alpha).")
    most = (1 if reorthogonalise else 2) * min(m, n) if max_iter is None else max_iter
    record = Record("lsqr", most, tol, stop, keep_iterates)
    data = exponent(np.max(np.abs(b), initial=0.0))
    b = np.ldexp(b, -data)
    record.units = (data, 0)  # the columns have length 1: A is met once at a time, and not squared
    x, phi_bar = np.zeros(n), length(b)
    status = record.add(x, phi_bar, length(A.rmatvec(b)))
    if status is not None:
        return record.result(x, status)
    w, damped, rho, c, s = x, 0.0, 1.0, -1.0, 0.0  # so that the first column meets no earlier rotation
    for step in golub_kahan(A, b, reorthogonalise=reorthogonalise, max_steps=most):
        w = step.v - (s * step.alpha / rho) * w
        rho_bar = -c * step.alpha
        rho_damped = float(np.hypot(rho_bar, damp))
        damped = float(np.hypot(damped, damp / rho_damped * phi_bar))
        rho = float(np.hypot(rho_damped, step.beta))
        c, s = rho_damped / rho, step.beta / rho
        phi = c * (rho_bar / rho_damped) * phi_bar
        phi_bar = s * (rho_bar / rho_damped) * phi_bar
        x = x + (phi / rho) * w
        # ||[r; damp x]||^2 - damp^2 ||x||^2 loses no more than eps ||A|| ||x||, as x' A' r = damp^2 ||x||^2 for all k
        held = damp * length(x)
        squared = phi_bar**2 + damped**2 - held * held
        status = record.add(x, max(squared, 0.0) ** 0.5, abs(c * phi_bar) * step.following)
        if status is not None:
            break
    return record.result(x, status if status is not None else step.status)
