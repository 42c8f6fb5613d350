"""Linear models as programs: `TikhonovRegressor`, `SoftmaxClassifier`, `LogisticClassifier`."""

from __future__ import annotations

from typing import Any

import numpy as np

from numdl.export.describers.parts import linear_std, mean_and_std
from numdl.export.description import Description, kind_of
from numdl.export.program import Program, Value, require_fit


def describe(model: Any, std: bool) -> Description:
    """A linear model.

    Args:
        model: fitted.
        std: whether standard deviations are wanted.

    Returns:
        The description.
    """
    coef = np.atleast_2d(model.coef_)
    require_fit(np.shape(model.coef_)[:-1] == np.shape(model.intercept_), "intercept", np.shape(model.intercept_))
    d = coef.shape[1]
    program = Program(d)
    errors = getattr(model, "_errors", None)
    size = np.abs(coef).max(axis=0)
    spread = np.full(d, np.max(np.abs(size), initial=1.0)) / np.where(size > 0, size, 1.0)
    center = np.zeros(d)
    if not isinstance(errors, str) and getattr(errors, "center", None) is not None:
        center = np.asarray(errors.center)  # type: ignore[union-attr]
    if hasattr(model, "classes_"):
        probability = probabilities(program.input.affine(coef, model.intercept_))
        program.results["probability"] = probability.at
        return Description(kind_of(model), program, True, center, spread, np.asarray(model.classes_))
    no_std = ""
    deviation = None
    if std and getattr(errors, "basis", None) is not None:
        deviation = linear_std(program.input, errors)
    elif std:
        no_std = errors if isinstance(errors, str) else "the covariance of so many columns is not kept."
    mean_and_std(program, program.input.affine(coef, model.intercept_), deviation)
    return Description(kind_of(model), program, np.ndim(model.coef_) == 1, center, spread, None, no_std)


def probabilities(scores: Value) -> Value:
    """Probabilities of the classes; one score alone is that of the second of two.

    Args:
        scores: (k,).

    Returns:
        (classes,).
    """
    if scores.size > 1:
        return scores.softmax()
    return scores.program.join([scores.negative().sigmoid(), scores.sigmoid()])
