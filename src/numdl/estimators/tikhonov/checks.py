"""Parameter validation of TikhonovRegressor.

What cannot be asked of TikhonovRegressor, and which method answers what can?
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator
from sklearn.model_selection import check_cv
from sklearn.utils import check_array

from numdl import checks
from numdl.estimators.common.intake import in_words, require_finite, validate_data
from numdl.estimators.common.robust import LOSSES
from numdl.estimators.tikhonov.criteria import CRITERIA
from numdl.linalg import as_operator
from numdl.linalg.products import require_finite_entries

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
        checks.choice(call, "alpha", estimator.alpha, CRITERIA)
    else:
        checks.number(call, "alpha", estimator.alpha, least=0)
    if estimator.noise is not None:
        checks.number(call, "noise", estimator.noise, least=0)
    checks.choice(call, "loss", estimator.loss, LOSSES)
    if estimator.loss != "squared" and estimator.noise is not None:
        raise ValueError(
            f"{call}(noise={estimator.noise!r}, loss={estimator.loss!r}): gross errors have no standard deviation. "
            "Leave noise=None, it is estimated."
        )
    checks.whole(call, "max_iter", estimator.max_iter, least=1)
    checks.choice(call, "method", estimator.method, METHODS)
    if estimator.operator_shape is not None:
        checks.wholes(call, "operator_shape", estimator.operator_shape, count=2, least=1)
    with in_words(f"{call}(cv)", "It needs a number of folds or a splitter. Give cv=5."):
        check_cv(estimator.cv)


def matrix_free(X: Any) -> bool:
    """Whether X is known by its products only."""
    return isinstance(X, LinearOperator) or hasattr(X, "in_structure")


def checked_samples(estimator: Any, call: str, X: Any, y: Any, *, reset: bool) -> tuple[Any, np.ndarray]:
    """Samples as an array, a sparse matrix or an operator, and targets.

    Args:
        estimator: gets ``n_features_in_`` and column names if ``reset``.
        call: the call to name.
        X: as given, (n, d).
        y: as given, (n,) or (n, k).
        reset: whether these are the first rows.

    Returns:
        Both, checked.

    Raises:
        ValueError: wrong shape, or not finite.
    """
    if matrix_free(X):
        X, y = as_operator(X, name="X"), np.asarray(_targets(call, y), np.float64)
        if X.shape[0] != len(y):
            raise ValueError(f"{call}: X has {X.shape[0]} rows and y {len(y)}. Give one target per row.")
        estimator.n_features_in_ = X.shape[1]
        return X, y
    options = {"accept_sparse": "csr", "multi_output": True, "y_numeric": True, "ensure_all_finite": False}
    X, y = validate_data(estimator, X, y, reset=reset, dtype=np.float64, **options)
    require_finite_samples(estimator, call, X)
    return X, y


def _targets(call: str, y: Any) -> Any:
    with in_words(call, "y needs to be a table of numbers (n, k), or (n,). Check it."):
        return check_array(y, ensure_2d=False, dtype="numeric")


def require_finite_samples(estimator: Any, call: str, X: Any) -> None:
    """Refuse NaN and infinity in a table or a sparse matrix, naming row and column.

    Args:
        estimator: may know the names of the columns.
        call: the call to name.
        X: (n, d).

    Raises:
        ValueError: an entry is not finite.
    """
    if scipy.sparse.issparse(X):
        require_finite_entries(call, "X", X, getattr(estimator, "feature_names_in_", None))
    else:
        require_finite(call, "X", X, getattr(estimator, "feature_names_in_", None))


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
    reference = np.asarray(checks.finite(call, "p_ref", p_ref), float)
    if reference.size != d * k or reference.shape[-1:] != (d,):
        wanted = (d,) if k == 1 else (k, d)
        raise ValueError(
            f"{call}(p_ref): shape {reference.shape}, needs finite numbers in the shape of coef_, {wanted}."
        )
    return reference.reshape(k, d).T
