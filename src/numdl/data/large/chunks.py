"""Chunked reading of large tables: how is a table read in pieces when it does not fit into memory?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numdl import checks
from numdl.data.read.arrow import PANDAS_INDEX, first_line, from_arrow


def row_chunks(
    path: str | os.PathLike[str],
    target: str | int | os.PathLike[str] | Sequence[str] | Sequence[int],
    *,
    columns: Sequence[str] | Sequence[int] | None = None,
    rows: int = 65536,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Samples and targets of consecutive rows; file, columns and numbers are checked as they are read.

    * Parquet: columns are names; row groups are read one after another.
    * NPY: one array (n, d), mapped and not loaded; columns are numbers from 0, a column (n,) counts as (n, 1). The
      target may also be the path of a second NPY file with as many rows.

    Args:
        path: the file, ending in .parquet or .npy.
        target: one column, several, or a second NPY file.
        columns: of the samples, in this order; None for all but the target.
        rows: rows of a piece, at most; memory is about twice that of one piece, in float64.

    Returns:
        Pieces ``x (m, d)``, ``c (m, k)`` in float64 and in the order of the file. The iterator may be made again for
        another pass.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another extension, a damaged file, an unknown column, or (while reading) a column that is not of
            numbers or an entry that is missing or not finite.
    """
    path = checks.path("row_chunks", path)
    call = f"row_chunks({str(path)!r})"
    rows = checks.whole("row_chunks", "rows", rows, least=1)
    if not path.is_file():
        raise FileNotFoundError(f"{call}: there is no such file; check the name and the folder {str(path.parent)!r}.")
    if path.suffix.lower() == ".parquet":
        return _checked(call, _parquet(call, path, target, columns, rows))
    if path.suffix.lower() == ".npy":
        return _checked(call, _npy(call, path, target, columns, rows))
    raise ValueError(f"{call}: extension {path.suffix!r} is not read in pieces; convert the file to .parquet or .npy.")


def _checked(call: str, pieces: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Refuse the first entry that is not finite, with its row in the file.

    Yields:
        The same pieces.
    """
    start = 0
    for x, c in pieces:
        for name, values in (("sample", x), ("target", c)):
            checks.finite(call, name, values, first=start + 1, hint="Fill or remove that row.")
        start += len(x)
        yield x, c


def choose(call: str, known: Sequence[Any], target: Any, columns: Any) -> tuple[list[Any], list[Any]]:
    """Columns of the samples and of the targets.

    Args:
        call: to name in an error.
        known: columns that there are.
        target: one column or several.
        columns: of the samples; None for all but the target.

    Returns:
        Columns of the samples, columns of the targets.

    Raises:
        ValueError: there is no such column.
    """
    for name, given, fits in (("target", target, str | int), ("columns", columns, type(None))):
        if (isinstance(given, bool | str) or not hasattr(given, "__iter__")) and not isinstance(given, fits):
            raise TypeError(f"{call}({name}={checks.shown(given)}): needs columns. Give names or numbers in a list.")
    targets = [target] if isinstance(target, str | int) else list(target)
    chosen = [name for name in known if name not in targets] if columns is None else list(columns)
    for name in [*targets, *chosen]:
        if name not in known:
            shown = ", ".join(str(other) for other in list(known)[:8]) + (", ..." if len(known) > 8 else "")
            raise ValueError(
                f"{call}: there is no column {name!r}, target and columns need names that exist; choose from {shown}."
            )
    return chosen, targets


def _parquet(call: str, path: Path, target: Any, columns: Any, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    import pyarrow as pa

    file, known = open_parquet(call, path)
    chosen, targets = choose(call, known, target, columns)

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        with file:
            batches = file.iter_batches(rows, columns=list(dict.fromkeys([*chosen, *targets])))
            while True:
                try:
                    batch = next(batches, None)
                except (pa.ArrowException, OSError) as error:
                    raise ValueError(f"{call}: the file is damaged ({first_line(error)}); copy it again.") from None
                if batch is None:
                    return
                table = from_arrow(call, pa.Table.from_batches([batch]))
                yield numbers(call, table, chosen), numbers(call, table, targets)

    return pieces()


def open_parquet(call: str, path: Path) -> tuple[Any, list[str]]:
    """Open a Parquet file.

    Args:
        call: to name in an error.
        path: the file.

    Returns:
        The file, and its columns without those that hold an index of pandas.

    Raises:
        ValueError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(
            f"{call}: the file is truncated or is not Parquet ({first_line(error)}); write or copy it again."
        ) from None
    return file, [name for name in file.schema_arrow.names if not PANDAS_INDEX.fullmatch(name)]


def numbers(call: str, table: Any, names: list[str]) -> np.ndarray:
    """Columns of a table as one array.

    Args:
        call: to name in an error.
        table: the table.
        names: columns, in this order.

    Returns:
        (n, len(names)) in float64.

    Raises:
        ValueError: a column holds text.
    """
    found = [table.column(name) for name in names]
    for name, values in zip(names, found, strict=True):
        if values.dtype != np.float64:
            raise ValueError(f"{call}: column {name!r} holds text, needs numbers. Encode it, or choose other columns.")
    return np.column_stack(found) if found else np.zeros((len(table.columns[0]), 0))


def _npy(call: str, path: Path, target: Any, columns: Any, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    x = c = map_array(call, path)
    if isinstance(target, str | os.PathLike):
        c = map_array(call, Path(target))
        if len(c) != len(x):
            raise ValueError(f"{call}: has {len(x)} rows but {str(target)!r} {len(c)}; give files of the same samples.")
        chosen, targets = choose(call, range(x.shape[1]), (), columns)[0], list(range(c.shape[1]))
    else:
        chosen, targets = choose(call, range(x.shape[1]), target, columns)

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(x), rows):
            part = slice(start, start + rows)
            yield x[part][:, chosen].astype(np.float64), c[part][:, targets].astype(np.float64)

    return pieces()


def map_array(call: str, path: Path) -> np.ndarray:
    """Map an NPY file without loading it.

    Args:
        call: to name in an error.
        path: the file.

    Returns:
        (n, d); a column (n,) becomes (n, 1).

    Raises:
        ValueError: the file is damaged or holds something else than real numbers (n, d).
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{call}: {path.name} is missing, truncated or no NPY array of numbers ({first_line(error)}); write it "
            "again with numpy.save."
        ) from None
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise ValueError(
            f"{call}: {path.name} has type {array.dtype} and shape {array.shape}, needs real numbers (n, d). Reshape "
            "or convert it."
        )
    return array[:, None] if array.ndim == 1 else array
