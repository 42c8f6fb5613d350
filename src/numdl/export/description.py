"""What a fitted model is once it left its estimator: a program, the meaning of its results, and typical rows."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import Any

import numpy as np

from numdl import checks
from numdl.export.evaluate import evaluate
from numdl.export.program import Program

DESCRIBERS: dict[str, str] = {
    "AutoClassifier": "numdl.export.describers.classes",
    "AutoRegressor": "numdl.export.describers.mixtures",
    "KernelRegressor": "numdl.export.describers.mixtures",
    "LogisticClassifier": "numdl.export.describers.linear",
    "MLPClassifier": "numdl.export.describers.networks",
    "MLPRegressor": "numdl.export.describers.networks",
    "RandomFeaturesClassifier": "numdl.export.describers.random_features",
    "RandomFeaturesRegressor": "numdl.export.describers.random_features",
    "ResNetClassifier": "numdl.export.describers.networks",
    "ResNetRegressor": "numdl.export.describers.networks",
    "SingleLayerClassifier": "numdl.export.describers.networks",
    "SingleLayerRegressor": "numdl.export.describers.networks",
    "SoftmaxClassifier": "numdl.export.describers.linear",
    "TikhonovRegressor": "numdl.export.describers.linear",
}
"""Estimator by name to the module whose ``describe(model, std)`` knows it; a new kind is one entry and one function."""


class CannotExport(ValueError):
    """A model that has no description; the text says why."""


@dataclasses.dataclass(frozen=True)
class Description:
    """A fitted model without its estimator.

    Attributes:
        model: name of the estimator.
        program: results "mean" and, if known, "std", (k,); or "probability", one for each class.
        flat: whether targets are (n,) instead of (n, k).
        center: a typical row (d,).
        spread: how far typical rows lie from it (d,), positive.
        classes: labels in the order of the probabilities; None for regressors.
        no_std: why there is no "std", if there is none.
        single: whether the model computes in float32.
    """

    model: str
    program: Program
    flat: bool
    center: np.ndarray
    spread: np.ndarray
    classes: np.ndarray | None = None
    no_std: str = ""
    single: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Results that there are."""
        return tuple(self.program.results)

    @property
    def k(self) -> int:
        """Number of targets, or of classes."""
        return self.program.nodes[self.program.results[self.names[0]]].size

    def rows(self, n: int = 10) -> np.ndarray:
        """Typical rows; columns that were constant, whose spread is the largest float64, lie one unit beside.

        Args:
            n: how many.

        Returns:
            (n, d).
        """
        spread = np.where(self.spread < np.finfo(np.float64).max, self.spread, 1.0)
        return self.center + spread * np.random.default_rng(0).normal(size=(n, len(self.center)))

    def evaluate(self, x: np.ndarray, *names: str) -> list[np.ndarray]:
        """Results for rows.

        Args:
            x: (n, d), finite.
            *names: of ``names``; all if none is given.

        Returns:
            Arrays (n, k).

        Raises:
            ValueError: other columns.
        """
        if np.shape(x)[1] != self.program.d:
            raise ValueError(f"{self.model}: {np.shape(x)[1]} columns, needs {self.program.d}. Give those of the fit.")
        return evaluate(self.program, names or self.names, np.ascontiguousarray(x, np.float64))


def describe(model: Any, *, std: bool | float = True) -> Description:
    """A fitted model as a program.

    Args:
        model: a fitted estimator, or what a file holds of one, with the same attributes.
        std: whether standard deviations are wanted, where the model has some; a number for some that may be too large
            by this share of themselves, where that needs fewer numbers.

    Returns:
        The description.

    Raises:
        CannotExport: there is none for this model; the message says why.
        ValueError: its parts do not fit together, as those of a file that was altered; or std is neither.
    """
    if isinstance(std, bool | np.bool_):
        std = bool(std)
    else:
        hint = "Give True, False, or the share by which deviations may be too large."
        std = float(checks.number("describe", "std", std, above=0, hint=hint))
    names = names_of(model)
    known = [name for name in names if name in DESCRIBERS]
    if not known:
        name = names[0] or names[1]
        why = "it labels the rows of its graph and has no formula for others; " if name.startswith("Graph") else ""
        raise CannotExport(
            f"export({name}): {why}needs a model with a formula: {', '.join(DESCRIBERS)}. Use save and load."
        )
    found = import_module(DESCRIBERS[known[0]]).describe(model, std)
    d = getattr(model, "n_features_in_", found.program.d)  # whatever else a file says
    if found.program.d != d:
        raise ValueError(f"{names[0] or names[1]}: {d} inputs, and parts for {found.program.d}")
    return found


def names_of(model: Any) -> list[str]:
    """Names by which a model may be known: of its kind in a file, of its class and of those that it extends.

    Args:
        model: an estimator, or what a file holds of one.

    Returns:
        The narrowest first; the first is empty for an estimator.
    """
    return [getattr(model, "kind", "")] + [base.__name__ for base in type(model).__mro__]


def kind_of(value: Any) -> str:
    """Name of the class of a record, or of what a file holds of one.

    Args:
        value: the record.

    Returns:
        The name.
    """
    return getattr(value, "kind", None) or type(value).__name__
