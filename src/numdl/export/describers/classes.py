"""`AutoClassifier` as a program: scores of the classes by each member, pooled by the means of their log probabilities.

Formulas are those of ``numdl.estimators.classes.member``.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from numdl.export.describers.kernels import KERNELS, Place
from numdl.export.describers.parts import forest, scaled
from numdl.export.description import Description, kind_of
from numdl.export.program import Program, Value

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
        # what a single draw adds to all classes alike is lost in the last softmax
        together = scores[0] if len(draws) == 1 else _sum(one.softmax() for one in scores).maximum(LEAST).log()
        pooled = together * (float(sum(one.weight for one in draws)) / float(mixture.temperature)) + pooled
    program.results["probability"] = pooled.softmax().at
    return Description(kind_of(model), program, True, model._scaler.center, model._scaler.scale, classes)


def _scores(one: Any, x: Value, mixture: Any) -> Value:
    """Scores of the classes (k,) by one member."""
    k = len(mixture.base)
    if kind_of(one) == "Trees":
        shares, said = np.exp(np.asarray(mixture.base)), forest(x, one.forest)
        said = said.softmax() if one.scores else said
        blurred = (1.0 - float(one.blur)) * said + float(one.blur) * shares
        return float(one.sharpness) * blurred.log()
    if not len(one.marks):
        inner = x.affine(one.coef[:-1].T, one.coef[-1])
    else:
        place = Place(x, mixture.x[one.marks], mixture.box)
        signal, linear = (float(value) for value in np.exp(one.theta[1:3]))
        cross, _ = KERNELS[one.name.removesuffix(" of one length")](one.theta[3:], place)
        own = x.affine(linear * place.z, 1.0)
        inner = (own if cross is None else signal * cross + own).affine(one.coef.T)
    return inner.affine(_contrasts(k), mixture.base)


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
