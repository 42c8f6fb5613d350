"""Which parameters of an estimator cannot be used, whatever the data?"""

from __future__ import annotations

from typing import Any

from numdl.estimators.inputs import require_choice, require_number
from numdl.flow import ACTIVATIONS, FIELDS, SCHEMES


def check_parameters(estimator: Any) -> None:
    """Refuse parameters out of range, before the data are looked at.

    Args:
        estimator: has the parameters of ``ResNetRegressor``.

    Raises:
        ValueError: names the parameter, its value and what is needed.
    """
    call = type(estimator).__name__
    for name, least in (("width", 1), ("depth", 0), ("n_restarts", 1)):
        if getattr(estimator, name) != "auto":
            require_number(call, name, getattr(estimator, name), least=least, whole=True)
    for name in ("alpha", "alpha_head"):
        if getattr(estimator, name) != "auto":
            require_number(call, name, getattr(estimator, name), least=0, strict=True)
    require_number(call, "T", estimator.T, least=0, strict=True)
    require_number(call, "smoothness", estimator.smoothness, least=0)
    require_number(call, "max_iter", estimator.max_iter, least=1, whole=True)
    require_number(call, "tol", estimator.tol, least=0)
    require_number(call, "memory_budget", estimator.memory_budget, least=2**20)
    if estimator.time_budget is not None:
        require_number(call, "time_budget", estimator.time_budget, least=0, strict=True)
    require_choice(call, "dynamics", estimator.dynamics, ("auto", *FIELDS))
    require_choice(call, "scheme", estimator.scheme, tuple(SCHEMES))
    require_choice(call, "control", estimator.control, ("constant", "linear"))
    require_choice(call, "activation", estimator.activation, tuple(ACTIVATIONS))
    require_choice(call, "solver", estimator.solver, ("auto", "dense", "matrix-free"))
    require_choice(call, "dtype", estimator.dtype, ("float64", "float32"))
