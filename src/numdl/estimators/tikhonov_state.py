"""Which arrays and which JSON make a fitted linear regressor, so that no pickle is needed?"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from numdl.contracts import Status
from numdl.estimators.standard_errors import pack_errors, unpack_errors
from numdl.estimators.state import plain
from numdl.regularize.ridge import RidgePath
from numdl.regularize.selectors import Choice

PLAIN = ("n_features_in_", "n_iter_", "method_")
ARRAYS = ("coef_", "intercept_", "alpha_", "freedom_")


def pack(estimator: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and header of a fitted regressor; its decomposition is left out.

    Args:
        estimator: a fitted ``TikhonovRegressor``.

    Returns:
        Arrays by name, and JSON types.
    """
    arrays = {name: np.asarray(getattr(estimator, name)) for name in ARRAYS}
    errors, reason = pack_errors(estimator._errors)
    arrays |= errors
    parameters = estimator.get_params()
    given = {name: value for name, value in parameters.items() if isinstance(value, np.ndarray)}
    arrays |= {f"parameter/{name}": value for name, value in given.items()}
    header: dict[str, Any] = {name: getattr(estimator, name) for name in PLAIN}
    header["parameters"] = {name: plain(name, value) for name, value in parameters.items() if name not in given}
    header["no_errors"] = reason
    header["noise_"] = plain("noise_", estimator.noise_)
    header["status"] = list(estimator.status_)
    header["paths"] = []
    for i, (path, choice) in enumerate(zip(estimator.paths_, estimator.choices_, strict=True)):
        fields = {**path._asdict(), **{f"choice {name}": v for name, v in dataclasses.asdict(choice).items()}}
        arrays |= {f"path/{i}/{name}": value for name, value in fields.items() if isinstance(value, np.ndarray)}
        header["paths"].append({name: value for name, value in fields.items() if not isinstance(value, np.ndarray)})
    if hasattr(estimator, "feature_names_in_"):
        header["feature_names"] = [str(name) for name in estimator.feature_names_in_]
    return arrays, header


def unpack(estimator: Any, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Any:
    """The estimator that ``pack`` was given.

    Args:
        estimator: unfitted, of the right class.
        arrays: from ``pack``.
        header: from ``pack``.

    Returns:
        The same estimator, fitted.
    """
    given = {name.removeprefix("parameter/"): a for name, a in arrays.items() if name.startswith("parameter/")}
    estimator.set_params(**header["parameters"], **given)
    for name in ARRAYS:
        value = arrays[name]
        setattr(estimator, name, value.item() if value.ndim == 0 else value)
    for name in PLAIN:
        setattr(estimator, name, header[name])
    noise = header["noise_"]
    estimator.noise_ = np.array(noise) if isinstance(noise, list) else noise
    estimator.status_ = Status(*header["status"])
    estimator._errors = unpack_errors(arrays, header.get("no_errors"))
    paths, choices = [], []
    for i, stored in enumerate(header["paths"]):
        start = f"path/{i}/"
        fields = {**stored, **{name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)}}
        chosen = {name.removeprefix("choice "): fields.pop(name) for name in list(fields) if name.startswith("choice ")}
        choices.append(Choice(**{**chosen, "interval": tuple(chosen["interval"])}))
        paths.append(RidgePath(**{**fields, "limits": tuple(fields["limits"])}))
    estimator.paths_, estimator.choices_ = tuple(paths), tuple(choices)
    if "feature_names" in header:
        estimator.feature_names_in_ = np.asarray(header["feature_names"], object)
    return estimator
