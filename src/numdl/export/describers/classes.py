"""`AutoClassifier` as a program: scores of the classes by each member, pooled by the means of their log probabilities.

Formulas are those of ``numdl.estimators.classes.member``.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from numdl.export.describers.kernels import Place, covariance
from numdl.export.describers.parts import forest, scaled
from numdl.export.description import Description, kind_of
from numdl.export.program import Program, Value, require_fit

LEAST = 1e-300
"""A sum of probabilities counts as no less, so that it has a logarithm."""


def describe(model: Any, std: bool) -> Description:
    """A mixture of members for the classes.

    Args:
        model: fitted.
        std: whether standard deviations are wanted; classes have none.

    Returns:
        The description.
    """
    program, mixture, classes = Program(len(model._scaler.center)), model.mixture_, np.asarray(model.classes_)
    x = scaled(program.input, model._scaler)[np.flatnonzero(model._active)]
    pooled: Any = 0.0
    for _, group in itertools.groupby(mixture.members, lambda one: one.name):
        draws = list(group)
        scores = [_scores(one, x, mixture) for one in draws]
        require_fit(len(mixture.base) == len(classes), "classes", len(classes))
        # what a single draw adds to all classes alike is lost in the last softmax
        together = scores[0] if len(draws) == 1 else _sum(one.softmax() for one in scores).maximum(LEAST).log()
        pooled = together * (float(sum(one.weight for one in draws)) / float(mixture.temperature)) + pooled
    program.results["probability"] = pooled.softmax().at
    return Description(kind_of(model), program, True, model._scaler.center, model._scaler.scale, classes)


def _scores(one: Any, x: Value, mixture: Any) -> Value:
    """Scores of the classes (k,) by one member."""
    kind, base = kind_of(one), np.asarray(mixture.base)
    if kind == "Trees":
        said = forest(x, one.forest)
        require_fit(said.size == len(base), "trees", said.size, len(base))
        return _taken_for(said.softmax() if one.scores else said, one, base)
    if kind == "Labels":
        shares = _kernel(one.kernel, one, x, mixture).affine(_contrasts(len(base)), np.exp(base))
        return _taken_for(shares.maximum(0.0), one, base)
    inner = _kernel(one.name, one, x, mixture) if len(one.marks) else x.affine(one.coef[:-1].T, one.coef[-1])
    return inner.affine(_contrasts(len(base)), base)


def _kernel(name: str, one: Any, x: Value, mixture: Any) -> Value:
    """Sum of the kernels of a member's rows (k - 1,)."""
    place = Place(x, mixture.x[one.marks], mixture.box)
    signal, linear = (float(value) for value in np.exp(one.theta[1:3]))
    cross, _ = covariance(name, one.theta[3:], place)
    own = x.affine(linear * place.z, 1.0)
    return (own if cross is None else signal * cross + own).affine(one.coef.T)


def _taken_for(shares: Value, one: Any, base: np.ndarray) -> Value:
    """Shares of the classes, blurred and sharpened (k,)."""
    blurred = (1.0 - float(one.blur)) * shares + float(one.blur) * np.exp(base)
    return float(one.sharpness) * blurred.log()


def _contrasts(k: int) -> np.ndarray:
    """Columns that compare each class with all before it (k, k - 1), as the members have them."""
    q = np.triu(np.full((k, k), -1.0))
    np.fill_diagonal(q, np.arange(k))
    q = q[:, 1:]
    return q / np.linalg.norm(q, axis=0)


def _sum(values: Any) -> Value:
    first, *others = values
    for one in others:
        first = first + one
    return first
