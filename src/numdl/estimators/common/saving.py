"""Saving and loading: how does a fitted estimator become one file and come back?

The checksum of a file shows damage and authenticates nobody, see `numdl.container`: what is loaded is therefore asked
for some predictions, and refused unless they are numbers.
"""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from numdl import __version__, checks
from numdl.container import read_container, write_container
from numdl.estimators.common.codec import ESTIMATORS, Encoder, fitting, known_estimators, restored
from numdl.estimators.common.leaving import ExportMixin
from numdl.export import DESCRIBERS, CannotExport, Description, describe

LIBRARIES = ("jax", "numpy", "scipy", "scikit-learn")
"""Whose versions a model file records."""


class SaveMixin(ExportMixin):
    """Estimators that can be stored in one file; each class that inherits it is known to `load` by its name."""

    _left_out: ClassVar[tuple[str, ...]] = ()
    """Fitted attributes that a file does not hold."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Make the class known, unless a class of that name is."""
        super().__init_subclass__(**options)
        ESTIMATORS.setdefault(cls.__name__, cls)

    def save(self, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
        """Write the fitted estimator to one file, atomically: arrays and JSON, no pickle.

        Args:
            path: the file to make or replace; its folder must exist.
            extra: JSON types to keep with the model, such as the encoding of the table it was fitted on.

        Raises:
            ValueError: the estimator is not fitted, holds what a file cannot hold, ``extra`` is no JSON, the path is a
                folder, or another class has the name of this one.
            FileNotFoundError: the folder does not exist.
            OSError: the file cannot be written.
        """
        check_is_fitted(self)
        if extra is not None:
            checks.instance("save", "extra", extra, Mapping, "Give a dictionary of JSON types.")
        checks.path("save", path)
        name = type(self).__name__
        if ESTIMATORS[name] is not type(self):
            raise ValueError(f"save({name}): another class has this name; give yours a name of its own.")
        encoder = Encoder()
        header = {"class": name, "versions": versions(), "state": encoder.state(self), "extra": dict(extra or {})}
        write_container(path, encoder.arrays, header, kind="model")

    def _restore(self) -> None:
        """Make again what a file does not hold."""

    def _require_sound(self) -> None:
        """Refuse contents that give no predictions, whatever the error is."""
        model: Any = self
        described = self._formula()
        scaler: Any = getattr(self, "_scaler", None)
        if described is not None:
            rows = described.rows()
        elif hasattr(scaler, "center") and type(self).__module__.startswith("numdl."):
            rows = scaler.center + scaler.spread * np.random.default_rng(0).normal(size=(10, len(scaler.center)))
            rows = np.vstack([rows, 0 * scaler.spread])  # where a centre out of all proportion shows
        else:
            return
        if hasattr(self, "predict_proba"):
            require_classes(model.classes_)
            return require_numbers([model.predict_proba(rows)], len(model.classes_))
        k = None if described is None else described.k
        require_numbers([model.predict(rows)], k)
        if described is not None and "std" in described.names:
            require_numbers(model.predict(rows, return_std=True), k)

    def _formula(self, *, std: bool = True) -> Description | None:
        """The description where there is one, which gives numbers too."""
        if not any(base.__name__ in DESCRIBERS and base.__module__.startswith("numdl.") for base in type(self).__mro__):
            return None  # graphs, and classes of somebody's own
        try:
            described = describe(self, std=std)
        except CannotExport:
            return None
        require_numbers(described.evaluate(described.rows()), described.k)
        return described


def require_numbers(found: Any, k: int | None) -> None:
    """Refuse predictions that are no finite numbers.

    Args:
        found: arrays, each (n,) or (n, k).
        k: number of targets or classes; None where it is not known.

    Raises:
        ValueError: with the reason.
    """
    for values in found:
        if values.dtype.kind != "f" or (k is not None and (values.shape[1:] or (1,)) != (k,)):
            raise ValueError(f"predictions are {values.dtype} of shape {values.shape}, needed are {k} numbers a row")
        if not np.isfinite(values).all():
            raise ValueError("predictions are not finite")


def require_classes(classes: Any) -> None:
    """Refuse labels that are none, or no list of different ones in order.

    Args:
        classes: of a file.

    Raises:
        ValueError: with the reason.
    """
    words = np.asarray(classes).dtype.kind != "f" or np.isfinite(classes).all()
    if np.ndim(classes) != 1 or not words or not np.array_equal(classes, np.unique(classes)):
        raise ValueError("labels of the classes are not different ones in order")


def save(model: Any, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
    """Write a fitted estimator to one file: arrays and a JSON header, no pickle.

    Args:
        model: a fitted estimator of numdl.
        path: the file to make or replace; its folder must exist.
        extra: JSON types to keep with the model, such as the encoding of the table it was fitted on.

    Raises:
        ValueError: this is no estimator of numdl, or as for `SaveMixin.save`.
        FileNotFoundError: the folder does not exist.
        OSError: the file cannot be written.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from numdl import TikhonovRegressor, save
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> model = TikhonovRegressor().fit(x, 2 * x[:, 0] + 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(model, f"{folder}/line.numdl", extra={"unit": "mm"})
    """
    if not isinstance(model, SaveMixin):
        raise ValueError(
            f"save({type(model).__name__}): only estimators of numdl can be stored ({', '.join(_estimators())}); take "
            "it out of its pipeline, or store it by other means."
        )
    model.save(path, extra)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a fitted estimator from the file that `save` wrote.

    Args:
        path: the file.

    Returns:
        The estimator; it predicts what the stored one predicted.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no model of numdl, is damaged, has another format version, or holds a class that this
            numdl does not know.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from numdl import TikhonovRegressor, load, save
        >>> x = np.linspace(-1, 1, 20)[:, None]
        >>> model = TikhonovRegressor().fit(x, 2 * x[:, 0] + 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(model, f"{folder}/line.numdl")
        ...     again = load(f"{folder}/line.numdl")
        ...
        >>> round(float(again.predict([[3.0]])[0]), 6)
        7.0
    """
    return load_with_extra(path)[0]


def load_with_extra(path: str | os.PathLike[str]) -> tuple[Any, dict[str, Any]]:
    """Read a fitted estimator and what was stored beside it.

    Args:
        path: the file.

    Returns:
        The estimator, and ``extra`` as given to `save`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as for `load`.
    """
    arrays, header = read_container(path, kind="model")
    name, made_by = header.get("class"), header.get("versions")
    known = _estimators(name if isinstance(name, str) else None)
    if not isinstance(name, str) or name not in known:
        writer = made_by.get("numdl", "unknown") if isinstance(made_by, dict) else "unknown"
        raise ValueError(
            f"load({str(path)!r}): the file holds a {name}, which this numdl does not know ({', '.join(known)}); "
            f"use numdl {writer}, which wrote it, or import the module of your own estimator first."
        )
    with fitting(path), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        model = restored(known[name], header["state"], arrays)
        model._require_sound()
        extra = dict(header["extra"])
    for told in dict.fromkeys(str(warning.message) for warning in heard):
        if told.startswith("load: "):  # the others are of the predictions that were asked for
            warnings.warn(f"load({str(path)!r}): {told.removeprefix('load: ')}", stacklevel=3)
    return model, extra


def versions() -> dict[str, str]:
    """Versions of Python, numdl and the libraries that the numbers depend on."""
    found = {"numdl": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _estimators(name: Any = None) -> dict[str, type]:
    """The classes a file may name: those that can be stored, of numdl or of modules that were imported."""
    return {known: kind for known, kind in known_estimators(name).items() if hasattr(kind, "predict")}
