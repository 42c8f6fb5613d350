"""NPZ and MATLAB files: how do the arrays of an NPZ or MATLAB file become named columns of one length?

* A one-dimensional array, or a matrix with one column, gives one column with its own name; a matrix ``A (n, d)`` gives
  ``A0 ... A{d-1}``. An array ``names`` of d strings, one for each column in order, replaces these names.
* MATLAB knows no one-dimensional arrays and often keeps samples as columns. Samples are rows when all variables agree
  on the number of rows; else columns when all agree on the number of columns. Vectors fit either way; single numbers
  are passed over next to longer variables.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from numdl.data.read.arrow import first_line
from numdl.data.read.hdf5 import read_hdf5
from numdl.data.read.matlab import variables_apart
from numdl.data.read.sources import check_archive
from numdl.data.table.table import Table


def read_npz(call: str, path: Path) -> Table:
    """Read the arrays of a NumPy archive; samples are rows.

    Args:
        call: the call to name in an error.
        path: an existing file.

    Returns:
        The columns of all arrays in archive order, ``y`` last if there is one.

    Raises:
        ValueError: damaged file, pickled objects, more than two dimensions, or different numbers of rows.
    """
    check_archive(call, path)
    try:
        # opened here, because np.load leaves the file open when the archive is damaged
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
        TypeError,
        NotImplementedError,
        MemoryError,
        OverflowError,
        RuntimeError,
    ) as error:
        if "allow_pickle" in str(error):
            raise ValueError(
                f"{call}: the archive holds Python objects, which are not loaded because they can run code; save plain "
                "arrays of numbers or strings with numpy.savez."
            ) from None
        raise ValueError(
            f"{call}: the file is truncated or is no NPZ archive ({first_line(error)}); write it again "
            "with numpy.savez."
        ) from None
    return to_table(call, arrays, columns_too=False)


def read_mat(call: str, path: Path) -> Table:
    """Read the variables of a MATLAB 5 file (or 4); samples are rows, or columns if only these agree.

    Args:
        call: the call to name in an error.
        path: an existing file.

    Returns:
        The columns of all numeric and text variables in file order, ``y`` last if there is one.

    Raises:
        ValueError: damaged file, or variables that agree neither in rows nor in columns.
    """
    with path.open("rb") as file:
        head = file.read(128)
    if head.startswith(b"MATLAB 7.3") or head.startswith(b"\x89HDF"):
        return read_hdf5(call, path)
    try:
        arrays = variables_apart(path)
    except ValueError as error:
        raise ValueError(
            f"{call}: the file is truncated or is not MATLAB 5 ({first_line(error)}); save it again with "
            "save(..., '-v7')."
        ) from None
    return to_table(call, arrays, columns_too=True)


def to_table(call: str, arrays: dict[str, np.ndarray], columns_too: bool) -> Table:
    """Named columns of the arrays of a file.

    Args:
        call: the call to name in an error.
        arrays: by name, in the order of the file.
        columns_too: whether samples may be columns.

    Returns:
        The columns, ``y`` last if there is one, with a note where samples were columns.

    Raises:
        ValueError: no array, one that is no table, or different numbers of samples.
    """
    given = arrays.pop("names", None)
    longest = max((array.size for array in arrays.values()), default=0)
    arrays = {name: array for name, array in arrays.items() if array.size > 1 or (longest == 1 and array.ndim)}
    if not arrays:
        raise ValueError(
            f"{call}: the file holds no array of numbers or text; save, for instance, X (n, d) and y (n,)."
        )
    if "y" in arrays:
        arrays["y"] = arrays.pop("y")
    for name, array in arrays.items():
        if array.dtype.kind not in "fiubUSO" or array.ndim > 2:
            raise ValueError(
                f"{call}: array {name!r} has type {array.dtype} and shape {array.shape}; keep only real or text arrays "
                "with one or two dimensions."
            )
    oriented = _oriented(arrays, columns_too)
    if oriented is None:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        either = "rows or the same number of columns" if columns_too else "rows"
        raise ValueError(
            f"{call}: the arrays do not have the same number of {either} ({shapes}); keep only those that do."
        )
    matrices, turned = oriented
    notes = ()
    if turned:
        shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items() if min(array.shape) > 1)
        notes = (f"Samples are the columns of the variables ({shown}), as all agree in their number.",)
    names: list[str] = []
    columns: list[np.ndarray] = []
    for name, matrix in matrices.items():
        width = matrix.shape[1]
        names += [name] if width == 1 else [f"{name}{j}" for j in range(width)]
        columns += [matrix[:, j] for j in range(width)]
    if given is not None:
        names = [str(name).strip() for name in np.asarray(given).ravel()]
        if len(names) != len(columns):
            raise ValueError(
                f"{call}: 'names' holds {len(names)} names for {len(columns)} columns; give one name for each column "
                f"of {', '.join(matrices)}, in this order."
            )
    return Table(tuple(names), tuple(np.ascontiguousarray(column) for column in columns), notes)


def _oriented(arrays: dict[str, np.ndarray], columns_too: bool) -> tuple[dict[str, np.ndarray], bool] | None:
    """Matrices with samples as rows, and whether they were columns in the file."""
    matrices = {name: array[:, None] if array.ndim == 1 else array for name, array in arrays.items()}
    if not columns_too:
        return (matrices, False) if len({len(matrix) for matrix in matrices.values()}) == 1 else None
    for axis in (0, 1):
        proper = {matrix.shape[axis] for matrix in matrices.values() if min(matrix.shape) > 1}
        lengths = proper or {matrix.size for matrix in matrices.values()}
        if len(lengths) > 1:
            continue
        (n,) = lengths
        vectors = [matrix for matrix in matrices.values() if min(matrix.shape) == 1]
        if all(vector.size == n for vector in vectors):
            turned = axis == 1 and any(min(matrix.shape) > 1 for matrix in matrices.values())
            return {name: _rows_first(matrix, axis) for name, matrix in matrices.items()}, turned
    return None


def _rows_first(matrix: np.ndarray, axis: int) -> np.ndarray:
    if min(matrix.shape) == 1:
        return matrix.reshape(-1, 1)
    return matrix.T if axis else matrix
