"""Overfitting: training against validation error.

Where does the error on data that were not trained on turn upwards, over iterations or over complexity?

Source: Prechelt, Early stopping - but when?, in Neural Networks: Tricks of the Trade, Springer 1998.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from numdl import checks
from numdl.contracts import PyTree

Objective = Callable[[PyTree, PyTree], Any]


class OverfittingCurve(NamedTuple):
    """Training and validation side by side.

    Attributes:
        x: iterations, or whatever measures complexity, ascending, (points,).
        training: error on the training part, (points,).
        validation: error on the part that was held out, (points,).
    """

    x: np.ndarray
    training: np.ndarray
    validation: np.ndarray

    @property
    def best(self) -> int:
        """Position of the smallest validation error."""
        return int(np.nanargmin(self.validation))

    @property
    def overfit(self) -> float:
        """Validation error at the end over the smallest one, no unit; 1 where it never turned upwards."""
        return float(self.validation[-1] / self.validation[self.best])


class Watch:
    """Observer for a loop: ``minimize(..., observe=watch)`` and then ``watch.curve()``.

    Args:
        training: ``(p, aux) -> ()``, error on the training part.
        validation: ``(p, aux) -> ()``, error on the held-out part with the companion as it is: for ``VarPro`` the
            head must come from training, so its ``value``, which solves for another one, does not serve.
    """

    def __init__(self, training: Objective, validation: Objective) -> None:
        for name, judge in (("training", training), ("validation", validation)):
            checks.function("Watch", name, judge, "(p, aux) -> ()")
        self._judge = [eqx.filter_jit(f) for f in (training, validation)]
        self._rows: list[tuple[float, float]] = []

    def __call__(self, progress: Any) -> None:
        """Evaluate both at the point a step has reached; never stops the loop."""
        p, aux = progress.iterate.p, progress.iterate.aux
        training, validation = (float(f(p, aux)) for f in self._judge)
        self._rows.append((training, validation))

    def curve(self) -> OverfittingCurve:
        """What was seen so far, over iterations from 1.

        Returns:
            One point for each step.

        Raises:
            ValueError: nothing was seen.
        """
        if not self._rows:
            raise ValueError("Watch.curve: no step was seen. Give the object as `observe` to the loop first.")
        training, validation = np.array(self._rows).T
        return OverfittingCurve(np.arange(1, len(training) + 1), training, validation)


def over_complexity(fit: Callable[[Any], tuple[float, float]], sizes: Sequence[Any]) -> OverfittingCurve:
    """Train once for each size.

    Args:
        fit: ``fit(size) -> (training error, validation error)``.
        sizes: complexities, ascending: widths, degrees, 1/alpha, ...

    Returns:
        One point for each size.

    Raises:
        ValueError: no size.
    """
    checks.function("over_complexity", "fit", fit, "size -> (training error, validation error)")
    if isinstance(sizes, str) or not hasattr(sizes, "__len__"):
        raise TypeError(f"over_complexity(sizes={checks.shown(sizes)}): needs several. Give a list.")
    if not len(sizes):
        raise ValueError("over_complexity(sizes=[]): needs at least one size.")
    training, validation = np.array([fit(size) for size in sizes], float).T
    return OverfittingCurve(np.asarray(sizes), training, validation)
