"""Standard-form transformation: how does a penalty on ``L x`` become one on the unknowns themselves?

    min ||A x - b||^2 + shift ||L x||^2   is   min ||A L# z - (b - A x0)||^2 + shift ||z||^2,   x = L# z + x0,

with W an orthonormal basis of the null space of L, ``x0 = W (A W)^+ b`` and the A-weighted pseudo-inverse
``L# = (I - W (A W)^+ A) L^+``. A Krylov method on the right begins where L says that solutions are, and reaches parts
of x that A alone does not see: the space of A itself does not contain them.

``L^+ = (L'L + W W')^-1 L'``, from one sparse factorisation of ``L'L`` bordered by W.

Sources: Elden, BIT 22 (1982) 487-502; Hansen, Discrete Inverse Problems, SIAM 2010, sec. 8.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, eigsh, splu

from numdl import checks
from numdl.linalg import as_operator

BLOCK = 256
"""Columns of L that are found at once."""


class StandardForm(NamedTuple):
    """A problem whose penalty is ``||z||``.

    Attributes:
        operator: ``A L#``, (n, q).
        b: ``b - A x0``, (n,).
        lift: z to ``x = L# z + x0``.
        free: dimension of the null space of L: directions that are not penalised.
    """

    operator: LinearOperator
    b: Float[np.ndarray, " n"]
    lift: Callable[[np.ndarray], np.ndarray]
    free: int


def standard_form(A: Any, b: Float[np.ndarray, " n"], operator: Any) -> StandardForm:
    """Transform to standard form; L is made a sparse matrix, A is used by products only.

    Args:
        A: whatever ``numdl.linalg.as_operator`` takes, (n, p).
        b: targets, (n,).
        operator: L, (q, p), in the same forms.

    Returns:
        The transformed problem.

    Raises:
        ValueError: the null spaces of A and L meet.
    """
    A = as_operator(A)
    b = checks.finite("standard_form", "b", b, (A.shape[0],))
    if getattr(getattr(operator, "dtype", None), "kind", "") == "c":
        checks.real("standard_form", "operator", operator)  # refuses: imaginary parts would be dropped
    if isinstance(operator, np.ndarray):
        checks.real("standard_form", "operator", operator, ("q", "p"))
    L = _sparse(operator)
    checks.finite("standard_form", "operator", L.data)
    q, p = L.shape
    normal = (L.T @ L).tocsc()
    w = _null_space(normal)
    free = w.shape[1]
    bordered = sparse.block_array([[normal, w], [w.T, -sparse.eye_array(free)]]) if free else normal
    factor = splu(sparse.csc_array(bordered))

    def inverse(v: np.ndarray) -> np.ndarray:
        return factor.solve(np.append(v, np.zeros(free)))[:p]

    seen = np.stack([A.matvec(column) for column in w.T], axis=1) if free else np.zeros((A.shape[0], 0))
    if free and np.linalg.matrix_rank(seen) < free:
        raise ValueError(
            f"standard_form: the null spaces of A and of the operator meet: of {free} directions that L does not see A "
            f"sees {np.linalg.matrix_rank(seen)}, so no alpha makes the solution unique. Give L another boundary."
        )
    known = np.linalg.pinv(seen)

    def project(v: np.ndarray) -> np.ndarray:  # I - W (A W)^+ A
        return v - w @ (known @ A.matvec(v)) if free else v

    def forward(z: np.ndarray) -> np.ndarray:
        image = A.matvec(inverse(L.T @ z.ravel()))
        return image - seen @ (known @ image)

    def backward(u: np.ndarray) -> np.ndarray:
        u = u.ravel() - known.T @ (seen.T @ u.ravel())
        return L @ inverse(A.rmatvec(u))

    start = w @ (known @ b)
    make: Any = LinearOperator
    transformed = make((A.shape[0], q), matvec=forward, rmatvec=backward, dtype=np.float64)
    return StandardForm(transformed, b - seen @ (known @ b), lambda z: project(inverse(L.T @ z)) + start, free)


def _sparse(operator: Any) -> Any:
    """The operator as a sparse matrix, found by products with blocks of unit vectors."""
    if sparse.issparse(operator):
        return sparse.csr_array(operator)
    if isinstance(operator, np.ndarray):
        return sparse.csr_array(np.asarray(operator, float))
    L = as_operator(operator, name="operator")
    p = L.shape[1]
    blocks = [L @ np.eye(p, min(BLOCK, p - i), -i) for i in range(0, p, BLOCK)]
    return sparse.hstack([sparse.csr_array(block) for block in blocks], format="csr")


def _null_space(normal: Any) -> Float[np.ndarray, "p w"]:
    """Orthonormal basis of the null space of ``L'L``: eigenvectors at zero, asked for in growing number."""
    p = normal.shape[0]
    size = float(abs(normal).sum(axis=0).max()) or 1.0
    wanted = 4
    while wanted < min(p - 1, 200):
        start = np.cos(np.arange(p) ** 2.0)  # fixed, and in no particular direction
        values, vectors = eigsh(normal, k=wanted, sigma=-1e-6 * size, which="LM", v0=start)
        null = values < 1e-11 * size
        if not null.all():
            return np.linalg.qr(vectors[:, null])[0]
        wanted *= 2
    values, vectors = np.linalg.eigh(normal.toarray())
    return vectors[:, values < 1e-11 * size]
