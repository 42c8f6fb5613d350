"""Singular values of badly scaled columns: which does a matrix have, and which of them are rounding?

A backward stable SVD knows all singular values to ``eps ||A||``: a column of picometres beside one of kilometres is
lost in it. But the rounding of a table is small in each column by itself: perturbations ``||dA_j|| <= eps e_j`` with
e_j the size of column j before centring. So a direction v is known unless ``||A v|| <= eps ||E v||``, E = diag(e),
whatever the units. One-sided Jacobi rotations after a QR factorisation find such values and directions: their relative
error is ``eps`` times the condition of A with columns scaled to norm 1.

Cost: that of an SVD; twice to three times that where units differ and singular values are small.

Source: Drmac and Veselic, SIAM J. Matrix Anal. Appl. 29 (2008) 1322-1342 and 1343-1362 (LAPACK's dgejsv).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg.lapack import dgejsv  # pyright: ignore[reportAttributeAccessIssue]

from numdl import checks
from numdl.linalg.safe_svd import safe_svd

_UNEQUAL, _SMALL = 10.0, 1e-6
"""Ratio of column sizes from which on, and relative singular value below which, units may hide a direction."""


class ColumnSVD(NamedTuple):
    """``A = left diag(values) right``.

    Attributes:
        left: orthonormal columns, (n, r).
        values: singular values, descending; 0 where they are rounding, (r,).
        right: orthonormal rows, (r, p).
    """

    left: Float[np.ndarray, "n r"]
    values: Float[np.ndarray, " r"]
    right: Float[np.ndarray, "r p"]


def column_svd(A: Float[np.ndarray, "n p"], norms: Float[np.ndarray, " p"]) -> ColumnSVD:
    """Singular value decomposition whose rank does not depend on the units of the columns.

    Args:
        A: matrix, finite, (n, p).
        norms: the columns before they were centred, in the units of A, (p,).

    Returns:
        The decomposition, ``r = min(n, p)``. With fewer rows than columns values are known to ``eps ||A||`` only.

    Raises:
        ValueError: another shape, or an entry is not finite.
    """
    A = np.asarray(checks.finite("column_svd", "A", A, ("n", "p")))
    sizes = np.asarray(checks.finite("column_svd", "norms", norms, (A.shape[1],)))
    left, values, right = safe_svd(A)
    # Not in proportion to the number of rows: what a million rows add to the rounding of a factorisation is far less.
    rounding = 4 * (len(values) + 1) * np.finfo(float).eps
    used = sizes[sizes > 0]
    if len(used) and len(A) >= A.shape[1] and used.max() > _UNEQUAL * used.min() and values[-1] < _SMALL * values[0]:
        found = _by_rotations(A)
        if found is not None:
            cut = rounding * np.linalg.norm(found.right * sizes, axis=1)
            return found._replace(values=np.where(found.values > cut, found.values, 0.0))
    return ColumnSVD(left, np.where(values > rounding * np.linalg.norm(sizes), values, 0.0), right)


def powers_of_two(A: Float[np.ndarray, "n p"]) -> Float[np.ndarray, " p"]:
    """For each column the power of two below its norm, 1 for columns of zeros: dividing by it changes no digit.

    Args:
        A: matrix, finite, (n, p).

    Returns:
        (p,).

    Raises:
        ValueError: A is no matrix of finite numbers.
    """
    A = np.asarray(checks.finite("powers_of_two", "A", A, ("n", "p")))
    largest = np.max(np.abs(A), axis=0, initial=0.0)
    largest = np.where(largest > 0, largest, 1.0)
    norms = largest * np.linalg.norm(A / largest, axis=0)  # entries of 1e200 have squares, too
    return 2.0 ** np.floor(np.log2(np.where(norms > 0, norms, 1.0)))


def _by_rotations(A: Float[np.ndarray, "n p"]) -> ColumnSVD | None:
    """The decomposition with small relative errors; None where LAPACK gives up."""
    # joba=0: accurate for any scaling of columns; jobr=0: small columns are kept
    values, left, right, work, _, info = dgejsv(A, joba=0, jobu=0, jobv=0, jobr=0)
    if info != 0:
        return None
    return ColumnSVD(left[:, : A.shape[1]], values * (work[0] / work[1]), right.T)
