"""Reading and writing of table files.

Which reader understands this file, and how are predictions written so that a reader never sees half a file?
"""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numdl import checks
from numdl.data.table.table import Table

READABLE = (".csv", ".tsv", ".txt", ".dat", ".data", ".parquet", ".npz", ".mat")
"""File name extensions that `read_table` understands."""

WRITABLE = (".csv", ".parquet")
"""File name extensions that `write_predictions` understands."""


def read_table(path: str | os.PathLike[str], *, text: Sequence[str] = ()) -> Table:
    """Read a table of numbers and text; the extension of the file name says how.

    ===================  ===========================================================================================
    .csv .tsv            text; delimiter, header and decimal sign are guessed (`numdl.data.read.delimited`)
    .txt .dat .data      the same, and columns may be separated by runs of blanks
    .parquet             columns of numbers or text
    .npz                 arrays with n rows, for instance X (n, d) and y (n,) (`numdl.data.read.containers`)
    .mat                 MATLAB 5: matrices with n rows, or with n columns; not 7.3
    ===================  ===========================================================================================

    Args:
        path: the file.
        text: columns of a text file that stay text even if all entries look like numbers, such as 007. At prediction
            give ``TableEncoder.text_columns``, so that a file that happens to hold only numbers there is read alike.

    Returns:
        Its columns, with NaN or None where an entry is missing.

    Raises:
        FileNotFoundError: there is no such file; the message names files in the folder that come close.
        ValueError: it is a folder, is empty, has another extension, cannot be read, is damaged, or holds no table.
    """
    from numdl.data.read.arrow import read_parquet
    from numdl.data.read.containers import read_mat, read_npz
    from numdl.data.read.delimited import read_delimited

    path = checks.path("read_table", path)
    if isinstance(text, str) or not all(isinstance(name, str) for name in _several("read_table", "text", text)):
        raise TypeError(f"read_table(text={checks.shown(text)}): needs names of columns. Give for example ('id',).")
    call = f"read_table({str(path)!r})"
    _check_readable(call, path)
    extension = path.suffix.lower()
    try:
        if extension == ".parquet":
            return read_parquet(call, path)
        if extension == ".npz":
            return read_npz(call, path)
        if extension == ".mat":
            return read_mat(call, path)
        return read_delimited(call, path, blanks=extension in {".txt", ".dat", ".data"}, text=text)
    except ValueError as error:
        # a complaint of Table does not know the file
        message = str(error)
        raise ValueError(
            message if message.startswith(call) else f"{call}: {message.removeprefix('Table: ')}"
        ) from None


def _arrow(array: np.ndarray) -> Any:
    """The same for Arrow; plain numbers not by ``pa.array``, which loads pandas where there is one: half a second."""
    import pyarrow as pa

    if array.dtype != np.float64:
        return pa.array(array)
    return pa.Array.from_buffers(pa.float64(), len(array), [None, pa.py_buffer(np.ascontiguousarray(array))])


def write_predictions(
    path: str | os.PathLike[str], names: Sequence[str], columns: Sequence[ArrayLike], *, overwrite: bool = False
) -> Path:
    """Write columns to a CSV or Parquet file, complete or not at all.

    The file is written beside its final place and moved there, so an interruption leaves no half file behind.

    Args:
        path: the file, ending in .csv or .parquet.
        names: k column names.
        columns: k arrays (n,) of numbers or text; entries that are not finite are written as they are.
        overwrite: whether an existing file may be replaced.

    Returns:
        The path written.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: another extension, an existing file, a place that cannot be written, or columns that form no table.
        TypeError: names or columns are no sequence.
    """
    path = checks.path("write_predictions", path)
    call = f"write_predictions({str(path)!r})"
    check_writable(path, overwrite=overwrite, call=call)
    if isinstance(names, str):
        raise TypeError(f"write_predictions(names={names!r}): needs several names. Give ({names!r},) for one column.")
    names = _several("write_predictions", "names", names)
    arrays = [np.asarray(column) for column in _several("write_predictions", "columns", columns)]
    try:
        Table(tuple(names), tuple(arrays))
    except ValueError as error:
        raise ValueError(f"{call}: {str(error).removeprefix('Table: ')}") from None
    import pyarrow as pa

    # the arrays themselves and not the Table's: labels that are integers stay integers
    table = pa.table([_arrow(array) for array in arrays], names=[str(name) for name in names])
    handle, draft = -1, ""
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            if path.suffix.lower() == ".csv":
                from pyarrow import csv as arrow_csv

                arrow_csv.write_csv(table, file)
            else:
                import pyarrow.parquet as pq

                pq.write_table(table, file)
        _usual_permissions(draft)
        os.replace(draft, path)
    except OSError as error:
        raise ValueError(
            f"{call}: the file cannot be written ({error.strerror or error}); choose another place."
        ) from None
    finally:
        if draft and os.path.exists(draft):
            os.unlink(draft)
    return path


def check_writable(path: str | os.PathLike[str], *, overwrite: bool = False, call: str = "check_writable") -> None:
    """Refuse a place for predictions before any work is spent on them.

    Args:
        path: the file to be written.
        overwrite: whether an existing file may be replaced.
        call: the call to name in an error.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: another extension, an existing file, or a folder that cannot be written.
    """
    path = checks.path(call, path)
    if path.suffix.lower() not in WRITABLE:
        raise ValueError(
            f"{call}: cannot write {path.suffix or 'a name without extension'!r}; give a name that ends in .csv or "
            ".parquet."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{call}: there is no folder {str(path.parent)!r}; create it, or choose another place.")
    if path.is_dir():
        raise ValueError(f"{call}: this is a folder; give the name of a file.")
    if path.exists() and not overwrite:
        raise ValueError(f"{call}: the file exists; choose another name, or pass overwrite=True to replace it.")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{call}: the folder {str(path.parent)!r} cannot be written; choose another place.")


def _several(call: str, name: str, values: Any) -> list[Any]:
    """The entries of a sequence; refuses what has none."""
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{call}({name}={checks.shown(values)}): needs several. Give a list.")
    return list(values)


def _check_readable(call: str, path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{call}: this is a folder; give the name of a file in it.")
    if not path.exists():
        raise FileNotFoundError(f"{call}: there is no such file; {_similar(path)}")
    if path.suffix.lower() not in READABLE:
        raise ValueError(
            f"{call}: unknown extension {path.suffix!r}; rename or convert the file to one of {', '.join(READABLE)}."
        )
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise ValueError(f"{call}: the file cannot be opened ({error.strerror}); check its permissions.") from None
    if empty:
        raise ValueError(f"{call}: the file is empty; give a file with at least one row of data.")


def _similar(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r} either, check the path."
    close = difflib.get_close_matches(path.name, sorted(entry.name for entry in path.parent.iterdir()), n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"check the name and the folder {str(path.parent)!r}."


def _usual_permissions(path: str) -> None:
    # mkstemp makes files private; a result file gets what open() would have given
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)
