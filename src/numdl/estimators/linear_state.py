"""Which arrays and which JSON make a fitted linear classifier, so that no pickle is needed?"""

from __future__ import annotations

from typing import Any

import lineax
import numpy as np

from numdl.contracts import Status
from numdl.estimators.standard_errors import pack_errors, unpack_errors
from numdl.estimators.state import plain

PLAIN = ("n_features_in_", "n_iter_", "alpha_", "solver_")
ARRAYS = ("coef_", "intercept_")
MATRICES = ("operator", "p_ref")
"""Parameters that are arrays; a lineax operator is stored as its matrix."""
TABLES = ("history_", "path_")


def pack(estimator: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and header of a fitted estimator.

    Args:
        estimator: fitted.

    Returns:
        Arrays by name, and JSON types.
    """
    arrays = {name: getattr(estimator, name) for name in ARRAYS}
    for table in TABLES:
        arrays |= {f"{table}/{name}": column for name, column in getattr(estimator, table).items()}
    errors, reason = pack_errors(estimator._errors)
    arrays |= errors
    parameters = estimator.get_params()
    for name in MATRICES:
        value = parameters.pop(name)
        if value is not None:
            dense = value.as_matrix() if isinstance(value, lineax.AbstractLinearOperator) else value
            arrays[f"parameter/{name}"] = dense
    text = estimator.classes_.dtype.kind not in "biuf"
    header = {
        "parameters": {name: plain(name, value) for name, value in parameters.items()},
        "status": list(estimator.status_),
        "no_errors": reason,
        "text_classes": [str(label) for label in estimator.classes_] if text else None,
        **{name: getattr(estimator, name) for name in PLAIN},
    }
    if not text:
        arrays["classes"] = estimator.classes_
    if hasattr(estimator, "feature_names_in_"):
        header["feature_names"] = [str(name) for name in estimator.feature_names_in_]
    return {name: np.asarray(a) for name, a in arrays.items()}, header


def unpack(estimator: Any, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Any:
    """The estimator that ``pack`` was given.

    Args:
        estimator: unfitted, of the right class.
        arrays: from ``pack``.
        header: from ``pack``.

    Returns:
        The same estimator, fitted.
    """
    estimator.set_params(**header["parameters"])
    estimator.set_params(**{name: arrays.get(f"parameter/{name}") for name in MATRICES})
    for name in ARRAYS:
        setattr(estimator, name, arrays[name])
    for table in TABLES:
        columns = {name.removeprefix(f"{table}/"): a for name, a in arrays.items() if name.startswith(f"{table}/")}
        setattr(estimator, table, columns)
    for name in PLAIN:
        setattr(estimator, name, header[name])
    estimator.status_ = Status(*header["status"])
    estimator._errors = unpack_errors(arrays, header.get("no_errors"))
    labels = header["text_classes"]
    estimator.classes_ = arrays["classes"] if labels is None else np.asarray(labels)
    if "feature_names" in header:
        estimator.feature_names_in_ = np.asarray(header["feature_names"], object)
    return estimator
