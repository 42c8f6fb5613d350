"""Saving and loading: how does a fitted estimator become one file and come back?"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from sklearn.utils.validation import check_is_fitted

from numdl import __version__, checks
from numdl.container import read_container, write_container
from numdl.estimators.common.codec import ESTIMATORS, Encoder, known_estimators, restored
from numdl.estimators.common.leaving import ExportMixin

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
    name = header.get("class")
    known = _estimators(name)
    if name not in known:
        writer = header.get("versions", {}).get("numdl", "unknown")
        raise ValueError(
            f"load({str(path)!r}): the file holds a {name}, which this numdl does not know ({', '.join(known)}); "
            f"use numdl {writer}, which wrote it, or import the module of your own estimator first."
        )
    try:
        return restored(known[name], header["state"], arrays), header["extra"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"load({str(path)!r}): the parts of the file do not fit together ({type(error).__name__}: {error}); save "
            f"the {name} again."
        ) from None


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
