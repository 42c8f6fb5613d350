"""Data for other languages: how do arrays leave for MATLAB or Julia, and how do answers come back?

``.npz`` and ``.mat`` hold arrays by name. ``.csv`` has a line for each number, ``name,row,column,value``, with rows and
columns counted from 1; a number alone has row and column 1.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from numdl.container import whole_file
from numdl.data.read.matlab import variables_apart

ENDINGS = (".npz", ".mat", ".csv")
LARGEST = 1 << 26
"""Bytes of a file of answers at most."""
HEAD = ["name", "row", "column", "value"]


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, overwrite: bool = False) -> Path:
    """Write arrays to a file of the kind that its name says.

    Args:
        path: ends in .npz, .mat or .csv.
        arrays: of at most two axes, by name.
        overwrite: whether a file of this name is replaced.

    Returns:
        The path.

    Raises:
        ValueError: another ending, or the file exists.
        OSError: it cannot be written.
    """
    _check_ending(path)
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists. Choose another name, or --overwrite.")
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    stream = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType]
    elif path.suffix == ".mat":
        from scipy.io import savemat

        savemat(stream, arrays, oned_as="column")
    else:
        stream.write(_lines(arrays).encode())
    with whole_file(path, "write_arrays", binary=True) as write:
        write(stream.getvalue())
    return path


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a file that someone else has written.

    Args:
        path: ends in .npz, .mat or .csv.

    Returns:
        Arrays of numbers by name; what else is in the file is left out.

    Raises:
        ValueError: another ending, or it cannot be read.
    """
    _check_ending(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path.name}: has more than {LARGEST >> 20} MB, which no answer needs.")
        found = {".npz": _read_npz, ".mat": _read_mat, ".csv": _read_csv}[path.suffix](path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error}). Check the name.") from None
    return {name: np.asarray(value, float) for name, value in found.items() if np.asarray(value).dtype.kind in "biuf"}


def _check_ending(path: Path) -> None:
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path.name}: needs a name that ends in {', '.join(ENDINGS)}.")


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as file:
            unpacked = sum(one.file_size for one in file.infolist())
        if unpacked > LARGEST:
            raise ValueError(f"unpacks to more than {LARGEST >> 20} MB, which no answer needs")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # of damaged archives almost any type
        if isinstance(error, OSError) and error.errno:
            raise
        raise ValueError(f"{path.name}: is no .npz file ({_said(error)}). Write it with numpy.savez.") from None


def _read_mat(path: Path) -> dict[str, np.ndarray]:
    try:
        return variables_apart(path, LARGEST)
    except ValueError as error:
        raise ValueError(f"{path.name}: is no .mat file that can be read ({_said(error)}). Save it with -v7.") from None


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _lines(arrays: Mapping[str, np.ndarray]) -> str:
    lines = [",".join(HEAD)]
    for name, value in arrays.items():
        table = value.reshape(-1, 1) if value.ndim < 2 else value
        lines += [f"{name},{i + 1},{j + 1},{float(table[i, j])!r}" for i, j in np.ndindex(table.shape)]
    return "\n".join(lines) + "\n"


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    cells: dict[str, dict[tuple[int, int], float]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            if [word.strip().lower() for word in next(rows, [])] != HEAD:
                raise ValueError(f"the first line must be {','.join(HEAD)}")
            for row in rows:
                if row:
                    name, i, j, value = row
                    cells.setdefault(name.strip(), {})[int(i) - 1, int(j) - 1] = float(value)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name}: byte {error.start} is not UTF-8. Save the file with the encoding UTF-8."
        ) from None
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path.name}: {error}. Write {','.join(HEAD)} with row and column from 1.") from None
    return {name: _table(path, name, entries) for name, entries in cells.items()}


def _table(path: Path, name: str, entries: dict[tuple[int, int], float]) -> np.ndarray:
    shape = tuple(1 + max(place[axis] for place in entries) for axis in (0, 1))
    if min(min(place) for place in entries) < 0 or len(entries) != shape[0] * shape[1]:
        raise ValueError(f"{path.name}: {name} has {len(entries)} numbers for {shape[0]} x {shape[1]} places from 1.")
    table = np.empty(shape)
    for place, value in entries.items():
        table[place] = value
    return table
