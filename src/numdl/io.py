"""How does a fitted estimator become one file and come back?"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from numdl.container import read_container, write_container

LIBRARIES = ("jax", "numpy", "scipy", "scikit-learn")
"""Whose versions a model file records."""


def save(model: Any, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
    """Write a fitted estimator to one file: arrays and a JSON header, no pickle.

    Args:
        model: a fitted estimator of numdl.
        path: the file to make or replace; its folder must exist.
        extra: JSON types to keep with the model, such as the encoding of the table it was fitted on.

    Raises:
        ValueError: this is no estimator of numdl, it is not fitted, ``extra`` is no JSON, or the path is a folder.
        FileNotFoundError: the folder does not exist.
        OSError: the file cannot be written.
    """
    known = _estimators()
    if known.get(type(model).__name__) is not type(model):
        raise ValueError(
            f"save({type(model).__name__}): only estimators of numdl can be stored ({', '.join(known)}); take it out "
            "of its pipeline, or store it by other means."
        )
    arrays, state = model._state()
    header = {
        "class": type(model).__name__,
        "versions": versions(),
        "state": state,
        "extra": dict(extra or {}),
    }
    write_container(path, arrays, header, kind="model")


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
    name, known = header.get("class"), _estimators()
    if name not in known:
        writer = header.get("versions", {}).get("numdl", "unknown")
        raise ValueError(
            f"load({str(path)!r}): the file holds a {name}, which this numdl does not know ({', '.join(known)}); "
            f"use numdl {writer}, which wrote it."
        )
    return known[name]._from_state(arrays, header["state"]), header["extra"]


def versions() -> dict[str, str]:
    """Versions of Python, numdl and the libraries that the numbers depend on."""
    from numdl import __version__

    found = {"numdl": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _estimators() -> dict[str, type]:
    """The classes a file may name: nothing else is ever looked up, so a file cannot reach other code."""
    from numdl import estimators

    members = [getattr(estimators, name) for name in estimators.__all__]
    return {item.__name__: item for item in members if isinstance(item, type) and hasattr(item, "_from_state")}
