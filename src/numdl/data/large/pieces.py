"""Out-of-core data in pieces: how are data that do not fit into memory read piece by piece in any order?

Stochastic approximation wants the pieces shuffled from epoch to epoch, so they are numbered and read one at a time.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numdl import checks
from numdl.data.large.chunks import choose, map_array, numbers, open_parquet
from numdl.data.read.arrow import from_arrow

Piece = tuple[np.ndarray, np.ndarray]


class ArrayPieces(Sequence[Piece]):
    """Consecutive rows of two arrays that may lie on disk.

    Attributes:
        x: samples, only read when asked for: anything with ``shape`` (n, d) and slices of rows, a mapped
            array, a dataset of HDF5 or Zarr.
        c: targets (n, k), likewise only read when asked for.
        rows: rows of a piece, at least 1; the last one may have fewer.
    """

    def __init__(self, x: Any, c: Any, rows: int = 65536) -> None:
        """Look at shapes only.

        Args:
            x: samples (n, d); only their shape is looked at before they are read.
            c: targets (n, k); only their shape, likewise.
            rows: rows of a piece; memory is about twice that of one piece.

        Raises:
            ValueError: the arrays are no tables with the same number of rows, or ``rows`` is not positive.
        """
        rows = checks.whole("ArrayPieces", "rows", rows, least=1)
        for name, array in (("x", x), ("c", c)):
            if not hasattr(array, "shape"):
                raise TypeError(f"ArrayPieces({name}={checks.shown(array)}): needs an array. Give one, or np.memmap.")
            if getattr(getattr(array, "dtype", None), "kind", "f") == "c":
                raise ValueError(f"ArrayPieces({name} of dtype {array.dtype}): needs real numbers. Give real parts.")
        if len(x.shape) != 2 or len(c.shape) != 2 or x.shape[0] != c.shape[0]:
            raise ValueError(
                f"ArrayPieces: x has shape {tuple(x.shape)} and c {tuple(c.shape)}, needs (n, d) and (n, k) with the "
                "same n. Reshape a single column to (n, 1)."
            )
        self.x, self.c, self.rows = x, c, rows

    def __len__(self) -> int:
        """Number of pieces."""
        return -(-self.x.shape[0] // self.rows)

    def __getitem__(self, index: Any) -> Any:
        """Piece ``x (m, d)``, ``c (m, k)``, in the types of the arrays.

        Raises:
            IndexError: there is no such piece.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"ArrayPieces: there is no piece {index}, needs 0 to {len(self) - 1}.")
        part = slice(index * self.rows, (index + 1) * self.rows)
        return np.asarray(self.x[part]), np.asarray(self.c[part])


class ParquetPieces(Sequence[Piece]):
    """Row groups of a Parquet file, each as samples and targets in float64."""

    def __init__(self, path: str | os.PathLike[str], target: Any, *, columns: Any = None) -> None:
        """Read the footer and choose the columns.

        Args:
            path: the file; write it with row groups that fit into memory.
            target: one column or several.
            columns: of the samples, in this order; None for all but the target.

        Raises:
            ValueError: a damaged file, or an unknown column.
        """
        self.call = f"row_pieces({str(path)!r})"
        self._file, known = open_parquet(self.call, Path(path))
        self.columns, self.targets = choose(self.call, known, target, columns)

    def __len__(self) -> int:
        """Number of row groups."""
        return self._file.metadata.num_row_groups

    def __getitem__(self, index: Any) -> Any:
        """Row group ``x (m, d)``, ``c (m, k)``.

        Raises:
            IndexError: there is no such row group.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.call}: there is no row group {index}, needs 0 to {len(self) - 1}.")
        wanted = list(dict.fromkeys([*self.columns, *self.targets]))
        table = from_arrow(self.call, self._file.read_row_group(index, columns=wanted))
        return numbers(self.call, table, self.columns), numbers(self.call, table, self.targets)


def row_pieces(
    path: str | os.PathLike[str],
    target: Any,
    *,
    columns: Any = None,
    rows: int = 65536,
) -> Sequence[Piece]:
    """Numbered pieces of a file: Parquet by row groups, NPY and stored NPZ mapped and not loaded.

    Args:
        path: ending in .parquet, .npy or .npz.
        target: Parquet: a column or several. NPY: the path of a second NPY file with as many rows. NPZ: the name of
            the array of targets.
        columns: Parquet: columns of the samples, None for all but the target. NPZ: the name of the array of samples,
            None for ``"x"``.
        rows: rows of a piece of NPY and NPZ; the row groups of Parquet are as they were written.

    Returns:
        A sequence of ``x (m, d)``, ``c (m, k)``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another extension, a damaged file, an unknown column or array, or one that is compressed.
    """
    path = checks.path("row_pieces", path)
    rows = checks.whole("row_pieces", "rows", rows, least=1)
    call = f"row_pieces({str(path)!r})"
    if not path.is_file():
        raise FileNotFoundError(f"{call}: there is no such file; check the name and the folder {str(path.parent)!r}.")
    kind = path.suffix.lower()
    if kind == ".parquet":
        return ParquetPieces(path, target, columns=columns)
    if kind == ".npy":
        return ArrayPieces(map_array(call, path), map_array(call, checks.path(call, target, "target")), rows)
    if kind == ".npz":
        x, c = (_map_member(call, path, name) for name in (columns or "x", target))
        return ArrayPieces(x, c, rows)
    raise ValueError(f"{call}: extension {path.suffix!r} is not read in pieces; use .parquet, .npy or .npz.")


def _map_member(call: str, path: Path, name: str) -> np.ndarray:
    """Map one array of an NPZ archive that ``numpy.savez`` stored without compression."""
    try:
        with zipfile.ZipFile(path) as archive:
            known = [member.removesuffix(".npy") for member in archive.namelist()]
            if name not in known:
                raise ValueError(f"{call}: there is no array {name!r}; choose from {', '.join(known)}.")
            info = archive.getinfo(f"{name}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{call}: the array {name!r} is compressed and cannot be mapped; write it by numpy.savez.")
        with path.open("rb") as file:
            # The local header has 30 bytes, then a name and an extra field whose lengths stand at byte 26.
            file.seek(info.header_offset + 26)
            lengths = np.frombuffer(file.read(4), "<u2")
            file.seek(info.header_offset + 30 + int(lengths.sum()))
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = header(file)
            start = file.tell()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise ValueError(f"{call}: the file is damaged ({error}); write it again by numpy.savez.") from None
    if dtype.kind not in "biuf" or len(shape) not in (1, 2):
        raise ValueError(f"{call}: {name} has type {dtype} and shape {shape}, needs real numbers (n, d). Convert it.")
    mapped = np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
    return mapped[:, None] if mapped.ndim == 1 else mapped
