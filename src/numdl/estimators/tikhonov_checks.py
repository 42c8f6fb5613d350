"""What cannot be asked of TikhonovRegressor, and which method answers what can?"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from numdl.estimators.inputs import require_choice, require_number
from numdl.estimators.solved import CRITERIA, NEED_NOISE

METHODS = ("auto", "svd", "tsvd", "cgls", "lsqr", "hybrid-lsqr")
"""Ways to the solution."""

DENSE_COLUMNS, DENSE_ENTRIES = 4000, 2**27
"""Smaller side and number of entries up to which "auto" factorises: a minute and 1 GiB."""

NOT_WITH = {
    "hybrid-lsqr": ("loo", "cv"),
    "cgls": ("loo", "cv", "l-curve", "upre"),
    "lsqr": ("loo", "cv", "l-curve", "upre"),
    "partial_fit": ("loo", "cv"),
}
"""Criteria that need the rows one by one, or a path."""


def check_tikhonov(estimator: Any) -> None:
    """Refuse parameters out of range, before the data are looked at.

    Args:
        estimator: has the parameters of ``TikhonovRegressor``.

    Raises:
        ValueError: names the parameter, its value and what is needed.
    """
    call = type(estimator).__name__
    if isinstance(estimator.alpha, str):
        require_choice(call, "alpha", estimator.alpha, CRITERIA)
    else:
        require_number(call, "alpha", estimator.alpha, least=0)
    if estimator.noise is not None:
        require_number(call, "noise", estimator.noise, least=0)
    require_number(call, "max_iter", estimator.max_iter, least=1, whole=True)
    require_choice(call, "method", estimator.method, METHODS)


def matrix_free(X: Any) -> bool:
    """Whether X is known by its products only."""
    return isinstance(X, LinearOperator) or hasattr(X, "in_structure")


def method_for(estimator: Any, call: str, x: Any) -> str:
    """The method for samples of this kind and size.

    Args:
        estimator: has the parameters of ``TikhonovRegressor``.
        call: the call to name.
        x: array, sparse matrix or operator, (n, d).

    Returns:
        One of ``METHODS`` without "auto".

    Raises:
        ValueError: the method wanted, or the only possible one, cannot do what the other parameters ask.
    """
    products_only = isinstance(x, LinearOperator)
    small = not products_only and min(x.shape) <= DENSE_COLUMNS and np.prod(x.shape) <= DENSE_ENTRIES
    method = ("svd" if small else "hybrid-lsqr") if estimator.method == "auto" else estimator.method
    if method in ("svd", "tsvd"):
        if products_only:
            raise ValueError(f"{call}(method={method!r}): X is known by its products only. Use 'hybrid-lsqr'.")
        return method
    if estimator.alpha in NOT_WITH[method]:
        raise ValueError(f"{call}(alpha={estimator.alpha!r}): not with {method!r}. Use 'gcv' or 'discrepancy'.")
    if estimator.alpha in NEED_NOISE and estimator.noise is None:
        raise ValueError(f"{call}(alpha={estimator.alpha!r}): needs noise with method {method!r}. Give noise.")
    identity = isinstance(estimator.operator, str) and estimator.operator == "identity"
    if method != "hybrid-lsqr" and isinstance(estimator.alpha, str) and not identity:
        raise ValueError(
            f"{call}(method={method!r}): stopping regularises without operator. Give alpha, or use 'hybrid-lsqr'."
        )
    if estimator.standardize:
        raise ValueError(f"{call}(standardize=True): needs a table that fits in memory. Scale X before.")
    return method


def can_condense(estimator: Any) -> bool:
    """Whether alpha can be chosen when the rows are gone.

    Args:
        estimator: has the parameters of ``TikhonovRegressor``.

    Returns:
        True.

    Raises:
        AttributeError: the criterion needs the rows one by one.
    """
    if estimator.alpha in NOT_WITH["partial_fit"]:
        raise AttributeError(f"partial_fit: not with alpha={estimator.alpha!r}, rows are gone. Use 'gcv'.")
    return True


def reference_of(call: str, p_ref: Any, d: int, k: int) -> np.ndarray | None:
    """The prior coefficients, unknowns first.

    Args:
        call: the call to name.
        p_ref: None, or in the shape of ``coef_``.
        d: number of unknowns.
        k: number of targets.

    Returns:
        (d, k), or None.

    Raises:
        ValueError: wrong shape, or not finite.
    """
    if p_ref is None:
        return None
    reference = np.asarray(p_ref, float)
    if reference.size != d * k or reference.shape[-1:] != (d,) or not np.isfinite(reference).all():
        wanted = (d,) if k == 1 else (k, d)
        raise ValueError(
            f"{call}(p_ref): shape {reference.shape}, needs finite numbers in the shape of coef_, {wanted}."
        )
    return reference.reshape(k, d).T
