"""From a fitted model to a file in another language."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from numdl import checks
from numdl.export.description import CannotExport, describe, names_of
from numdl.export.package import pack
from numdl.export.targets import numpy_images

TARGETS = {"numpy": ".py", "c": ".c", "onnx": ".onnx", "matlab": ".m"}
"""Languages and the endings of their files."""

_PRINTERS = {"numpy": "numpy_module", "c": "c99", "onnx": "onnx_graph", "matlab": "matlab"}


def export(
    model: Any,
    path: str | os.PathLike[str],
    to: str | None = None,
    *,
    std: bool | str | float = "auto",
    rows: Any = None,
    encoder: Mapping[str, Any] | None = None,
) -> Path:
    """Write a fitted model as a function that needs neither numdl nor JAX.

    Args:
        model: a fitted estimator.
        path: the file to make or replace.
        to: "numpy", "c", "onnx" or "matlab"; None to tell by the ending, .py, .c, .onnx or .m.
        std: whether standard deviations are computed too; "auto" where they need at most a million numbers; a number
            up to 0.1 for some that may be too large by this share of themselves, where that needs fewer numbers.
        rows: rows (n, d) that the file carries with their predictions; ten are drawn if not given.
        encoder: JSON of the `TableEncoder` of a table, so that the function reads its columns.

    Returns:
        The file.

    Raises:
        CannotExport: this model has no formula, or no deviations; a ValueError that says why.
        ValueError: the language or the rows cannot be used.
        OSError: the file cannot be written.
    """
    path = Path(path)
    target = _target(path, to)
    std = float(std) if isinstance(std, np.floating) else std
    share = isinstance(std, float) and 0 < std <= 0.1
    if not (share or isinstance(std, bool | np.bool_) or (isinstance(std, str) and std == "auto")):
        raise ValueError(f"export(std={checks.shown(std)}): needs True, False, 'auto' or a share to 0.1. Use 'auto'.")
    if known := [name for name in names_of(model) if name in numpy_images.KINDS]:
        if target != "numpy" or std is True or share or rows is not None:
            raise CannotExport(
                f"export({known[0]}, to={target!r}): models of images are written in NumPy, without deviations and "
                "rows. Give to='numpy' alone, or use save and load."
            )
        return _replaced(path, numpy_images.write(model, known[0]))
    described = describe(model, std=float(std) if share else bool(std))
    if rows is not None:
        rows = np.asarray(checks.finite("export", "rows", rows, ("n", "d")), np.float64)
        if rows.shape[1] != described.program.d or not len(rows):
            raise ValueError(f"export(rows of shape {rows.shape}): needs (n, {described.program.d}) with n >= 1.")
    names = getattr(model, "feature_names_in_", None)
    std = std if share or isinstance(std, str) else bool(std)
    package = pack(described, path.stem, names=names, encoder=encoder, std=std, rows=rows)
    content = import_module(f"numdl.export.targets.{_PRINTERS[target]}").write(package)
    if target == "matlab" and package.name != path.stem:
        raise CannotExport(
            f"export({str(path)!r}): MATLAB calls a function by the name of its file, which must be letters, digits "
            f"and underscores. Use {package.name + '.m'!r}."
        )
    return _replaced(path, content)


def _replaced(path: Path, content: bytes) -> Path:
    """The file, written to a neighbour and renamed."""
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _target(path: Path, to: str | None) -> str:
    if to is not None:
        checks.choice("export", "to", to, tuple(TARGETS))
        return to
    for target, ending in TARGETS.items():
        if path.suffix == ending:
            return target
    raise ValueError(
        f"export({str(path)!r}): the ending {path.suffix!r} of the path names no language; give to='numpy', 'c', "
        "'onnx' or 'matlab'."
    )
