"""Parameter validation of linear classifiers.

Which parameters of a linear classifier cannot be used, and what do operator and prior mean for scaled features?
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import lineax
import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.estimators.common.intake import require_seed

SOLVERS = ("auto", "newton-cg", "lbfgs", "gauss-newton", "steepest-descent", "nonlinear-cg")
CHOICES = ("auto", "cv", "loo", "evidence")


def check_linear_parameters(estimator: Any) -> None:
    """Refuse parameters out of range, before the data are looked at.

    Args:
        estimator: has the parameters of ``SoftmaxClassifier``.

    Raises:
        ValueError: names the parameter, its value and what is needed.
    """
    call = type(estimator).__name__
    if isinstance(estimator.alpha, str):
        checks.choice(call, "alpha", estimator.alpha, CHOICES)
    else:
        checks.number(call, "alpha", estimator.alpha, least=0)
    checks.choice(call, "solver", estimator.solver, SOLVERS)
    checks.whole(call, "max_iter", estimator.max_iter, least=1)
    checks.whole(call, "verbose", estimator.verbose, least=0)
    require_seed(call, estimator.random_state)
    checks.number(call, "tol", estimator.tol, least=0)
    checks.choice(call, "dtype", estimator.dtype, ("float64", "float32"))


def scaled_operator(call: str, operator: Any, d: int, dtype: np.dtype) -> Any:
    """The operator L of the penalty, checked against the number of features.

    Args:
        call: the call to name.
        operator: None, an array (r, d), or a lineax operator.
        d: number of features.
        dtype: of the computation.

    Returns:
        None, a JAX array, or the lineax operator.

    Raises:
        ValueError: it does not act on d features, or is not finite.
    """
    if operator is None:
        return None
    if isinstance(operator, lineax.AbstractLinearOperator):
        if operator.in_size() != d:
            raise ValueError(f"{call}: operator acts on {operator.in_size()} features, X has {d}. Give one for X.")
        return operator
    matrix = np.asarray(checks.finite(call, "operator", operator), dtype)
    if matrix.ndim != 2 or matrix.shape[1] != d:
        raise ValueError(f"{call}: operator has shape {matrix.shape}, needs (rows, {d}): one column for each feature.")
    return jnp.asarray(matrix)


def gram(operator: Any) -> Float[np.ndarray, "d d"] | None:
    """``L'L`` of an operator as ``scaled_operator`` gives it.

    Args:
        operator: L.

    Returns:
        The matrix, float64; None for the identity.
    """
    if operator is None:
        return None
    L = np.asarray(operator.as_matrix() if isinstance(operator, lineax.AbstractLinearOperator) else operator, float)
    return L.T @ L


def scaled_reference(
    call: str, p_ref: Any, k: int, d: int, scale: Float[np.ndarray, " d"], dtype: np.dtype
) -> np.ndarray | None:
    """The prior coefficients for scaled features.

    Args:
        call: the call to name.
        p_ref: None, (d,) or (k, d), for the features as given.
        k: number of scores.
        d: number of features.
        scale: of the features.
        dtype: of the computation.

    Returns:
        (k, d), or None.

    Raises:
        ValueError: wrong shape, or not finite.
    """
    if p_ref is None:
        return None
    values = np.asarray(checks.finite(call, "p_ref", p_ref), np.float64)
    if values.shape not in {(d,), (k, d)}:
        raise ValueError(f"{call}: p_ref has shape {values.shape}, needs ({k}, {d}) or ({d},), as coef_ has.")
    with np.errstate(over="ignore"):
        scaled = np.broadcast_to(values * scale, (k, d)).astype(dtype)
    return checks.finite(f"{call}: in units of deviations", "p_ref", scaled)
