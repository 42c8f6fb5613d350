"""Model files in NumPy: what does one hold, read without JAX, scikit-learn and the class of its estimator?"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np

from numdl.container import read_container
from numdl.estimators.common.codec import decode, fitting
from numdl.export import Description, describe


def read_plain(path: str | os.PathLike[str]) -> tuple[SimpleNamespace, dict[str, Any]]:
    """The attributes of a stored estimator and what was stored beside it; records are namespaces with their ``kind``.

    Args:
        path: the file.

    Returns:
        Attributes, and ``extra`` as given to ``save``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no model of numdl, or is damaged.
    """
    arrays, header = read_container(path, kind="model")
    with fitting(path):
        plain = decode({"$estimator": [header["class"], header["state"]]}, arrays, plain=True)
        return plain, dict(header["extra"])


class Formula:
    """The predictions of a described model, under the names that estimators have for them.

    Args:
        described: the model.

    Attributes:
        classes_: labels; None for regressors.
    """

    def __init__(self, described: Description) -> None:
        self._described = described
        self.classes_ = described.classes

    def predict(self, x: np.ndarray, return_std: bool = False) -> Any:
        """Mean (n, k), and standard deviation.

        Args:
            x: rows (n, d), finite.
            return_std: whether it is wanted.

        Returns:
            As regressors, always with a second axis.

        Raises:
            ArithmeticError: a result is not finite.
        """
        found = self._found(x, *(("mean", "std") if return_std else ("mean",)))
        return tuple(found) if return_std else found[0]

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities.

        Args:
            x: rows (n, d), finite.

        Returns:
            (n, classes).

        Raises:
            ArithmeticError: a result is not finite.
        """
        return self._found(x, "probability")[0]

    def _found(self, x: np.ndarray, *names: str) -> list[np.ndarray]:
        found = self._described.evaluate(x, *names)
        if not all(np.isfinite(values).all() for values in found):
            raise ArithmeticError("not finite")  # the estimator knows in which layer
        return found


def formula_of(plain: Any, *, std: bool) -> Formula | None:
    """The predictions of a stored model as a formula.

    Args:
        plain: as from `read_plain`.
        std: whether standard deviations are wanted.

    Returns:
        The formula; None where there is none, or where the parts do not fit together: the estimator says why.
    """
    try:
        described = describe(plain, std=std)
        if not all(np.isfinite(values).all() for values in described.evaluate(described.rows())):
            return None
        if described.classes is not None and described.classes.shape != (described.k,):
            return None
    except Exception:  # contents of a file, whose checksum authenticates nobody: loading the estimator says what it is
        return None
    known = "probability" in described.names or not std or "std" in described.names
    return Formula(described) if known else None
