"""Data sets of the demonstration.

Which data does the demonstration train on? All of them come with numdl or scikit-learn; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from numdl.data import TOYS, Dataset, split

HELD_OUT = 0.25
SEED = 0


class DemoSet(NamedTuple):
    """A data set in two parts.

    Attributes:
        title: what is learned from what.
        task: ``"regression"`` or ``"classification"``.
        unit: of the targets, or empty.
        x: training samples, (n, d).
        y: their targets or labels, (n,).
        x_test: held-out samples, (v, d).
        y_test: their targets or labels, (v,).
    """

    title: str
    task: str
    unit: str
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def peaks() -> DemoSet:
    """Noise-free values of the peaks surface: 1500 points to train on."""
    return _parts("Peaks: a smooth surface over the plane, without noise", "", TOYS["peaks-regression"](2000, SEED))


def swiss_roll() -> DemoSet:
    """Two intertwined spirals of 513 points each."""
    data = TOYS["swiss-roll"](513)
    return _classes("Swiss roll: two intertwined spirals", data.x, np.array(["inner", "outer"])[data.labels])


def digits() -> DemoSet:
    """Handwritten digits in 8 x 8 pixels.

    Source: Alpaydin, Kaynak, Optical recognition of handwritten digits, UCI repository, 1998; kept by scikit-learn.
    """
    from sklearn.datasets import load_digits

    x, labels = (np.asarray(a) for a in load_digits(return_X_y=True))
    return _classes("Digits: handwriting in 8 x 8 pixels", x, labels)


def diabetes() -> DemoSet:
    """Progress of a disease after one year from ten measurements; noisy, and close to linear.

    Source: Efron, Hastie, Johnstone, Tibshirani, Annals of Statistics 32, 2004; kept by scikit-learn.
    """
    from sklearn.datasets import load_diabetes

    x, y = (np.asarray(a) for a in load_diabetes(return_X_y=True))
    names = tuple(f"x{j + 1}" for j in range(x.shape[1]))
    return _parts("Diabetes: progress of a disease from ten measurements", "", Dataset(x, y[:, None], names))


def borehole() -> DemoSet:
    """Water flow through a borehole, a simulator with eight inputs: 750 runs to train on."""
    data = TOYS["borehole"](1000, SEED)
    return _parts("Borehole: a simulator of water flow, eight inputs", "m³/year", data)


DEMOS: Mapping[str, Callable[[], DemoSet]] = {
    "peaks": peaks,
    "swiss-roll": swiss_roll,
    "digits": digits,
    "diabetes": diabetes,
    "borehole": borehole,
}
"""Name to a function that makes the data set."""


def _parts(title: str, unit: str, data: Dataset) -> DemoSet:
    train, test = split(len(data.x), (1 - HELD_OUT, HELD_OUT), SEED)
    c = data.c[:, 0]
    return DemoSet(title, "regression", unit, data.x[train], c[train], data.x[test], c[test])


def _classes(title: str, x: np.ndarray, labels: np.ndarray) -> DemoSet:
    train, test = split(len(x), (1 - HELD_OUT, HELD_OUT), SEED, stratify=labels)
    return DemoSet(title, "classification", "", x[train], labels[train], x[test], labels[test])
