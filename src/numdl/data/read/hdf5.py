"""HDF5 and MATLAB 7.3 files: how do their data sets become named columns? Needs h5py, the extra ``hdf5``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from numdl.data.read.arrow import first_line
from numdl.data.read.extras import needed
from numdl.data.table.table import Table

MOST_BYTES = 16 << 30
"""Bytes of one data set that are read; a damaged header may announce any number."""


def read_hdf5(call: str, path: Path) -> Table:
    """Read the data sets of an HDF5 file, or the variables of a MATLAB 7.3 file.

    MATLAB stores matrices by columns and HDF5 by rows, so that each comes out transposed and is turned back. Samples
    are then rows, or columns if only these agree. Data sets in groups have names such as ``run/force``; records with
    fields, as PyTables and pandas write them, give a column for each field.

    Args:
        call: the call to name in an error.
        path: an existing file.

    Returns:
        The columns of all data sets of numbers or text, ``y`` last if there is one.

    Raises:
        ValueError: h5py is not installed, the file is damaged, or its data sets form no table.
    """
    from numdl.data.read.containers import to_table

    h5py = needed(call, "h5py", "hdf5", "HDF5 and MATLAB 7.3 files")
    arrays: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            with path.open("rb") as raw:
                matlab = raw.read(10) == b"MATLAB 7.3"

            def visit(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset) and not name.startswith("#"):
                    arrays.update(_arrays(name, item, matlab))

            file.visititems(visit)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError, OverflowError) as error:
        raise ValueError(
            f"{call}: the file is truncated or is not HDF5 ({first_line(error)}); write or copy it again."
        ) from None
    return to_table(call, arrays, columns_too=True)


def _arrays(name: str, item: Any, matlab: bool) -> dict[str, np.ndarray]:
    if item.dtype is None or item.shape is None or (item.dtype.kind == "O" and item.dtype.metadata is None):
        return {}
    if item.size * item.dtype.itemsize > MOST_BYTES:
        raise ValueError(f"data set {name!r} of shape {item.shape} is above the limit of {MOST_BYTES:,} bytes")
    if "ref" in (item.dtype.metadata or {}):  # cells of MATLAB
        words = [_word(item.file[reference]) for reference in np.ravel(item[()])]
        return {name: np.array(words, dtype=str)} if None not in words else {}
    values = item[()]
    if item.dtype.names:
        return {f"{name}/{part}": np.asarray(values[part]) for part in item.dtype.names}
    if item.dtype.kind == "O":
        values = np.array([w.decode() if isinstance(w, bytes) else str(w) for w in np.ravel(values)]).reshape(
            item.shape
        )
    kind = item.attrs.get("MATLAB_class", b"")
    if kind == b"char":
        return {}
    return {name: np.asarray(values).T if matlab else np.asarray(values)}


def _word(item: Any) -> str | None:
    """Text of a cell, which MATLAB stores as numbers of characters."""
    if item.attrs.get("MATLAB_class", b"") != b"char":
        return None
    return "".join(chr(code) for code in np.ravel(item[()])) if item.dtype.kind == "u" else None
