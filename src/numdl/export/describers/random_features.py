"""Random features as programs: a drawn layer and a linear head."""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl.export.describers.linear import probabilities
from numdl.export.describers.parts import activation, linear_std, mean_and_std
from numdl.export.description import Description, kind_of
from numdl.export.program import Program, require_fit


def describe(model: Any, std: bool) -> Description:
    """A layer ``sigma(K x + b)`` and its head.

    Args:
        model: fitted.
        std: whether standard deviations are wanted.

    Returns:
        The description.
    """
    drawn, head = model.features_, getattr(model, "softmax_", model)
    require_fit(np.shape(head.coef_)[:-1] == np.shape(head.intercept_), "intercept", np.shape(head.intercept_))
    program = Program(len(drawn.center))
    act = activation(kind_of(model), drawn.net.activation)
    seen = act(((program.input - drawn.center) / drawn.deviation).affine(drawn.theta.K, drawn.theta.b))
    value = seen.affine(np.atleast_2d(head.coef_), head.intercept_)
    single = getattr(model, "dtype", "float64") == "float32"
    if hasattr(model, "classes_"):
        program.results["probability"] = probabilities(value).at
        classes = np.asarray(model.classes_)
        return Description(kind_of(model), program, True, drawn.center, drawn.deviation, classes, single=single)
    errors = _errors(model) if std else None
    known = getattr(errors, "basis", None) is not None
    mean_and_std(program, value, linear_std(seen, errors) if known else None)
    no_std = "" if known or not std else "the covariance of so many features is not kept."
    return Description(
        kind_of(model), program, np.ndim(model.coef_) == 1, drawn.center, drawn.deviation, None, no_std, single
    )


def _errors(model: Any) -> Any:
    """Standard errors; an estimator that was loaded finds them again."""
    find = getattr(model, "_known_errors", None)
    return getattr(model, "_errors", None) if find is None else find("predict")
