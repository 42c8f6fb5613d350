"""Reading and writing of table files.

Which reader understands this file, and how are predictions written so that a reader never sees half a file?
"""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numdl import checks
from numdl.data.read.several import matching, stacked, without
from numdl.data.read.sources import COMPRESSED, STANDARD_INPUT, Source, check_archive, extension_of, load
from numdl.data.read.understand import understood
from numdl.data.table.table import Table

TEXT = (".csv", ".tsv", ".txt", ".dat", ".data", ".asc", ".prn", ".lvm", ".arff")
SHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
RECORDS = (".jsonl", ".ndjson")
READABLE = (*TEXT, *SHEETS, *RECORDS, ".parquet", ".npz", ".mat", ".h5", ".hdf5")
"""File name extensions that `read_table` understands; text, sheets, records and Parquet also compressed or in a ZIP."""

_PACKED = (".zip", *COMPRESSED)
_UNPACKED = (*TEXT, *SHEETS, *RECORDS, ".parquet")

WRITABLE = (".csv", ".parquet")
"""File name extensions that `write_predictions` understands."""


def read_table(
    path: str | os.PathLike[str],
    *,
    text: Sequence[str] = (),
    header: bool | None = None,
    na: Sequence[str] = (),
    sheet: str | int | None = None,
) -> Table:
    r"""Read a table of numbers and text; the extension of the file name says how.

    ===================  ===========================================================================================
    .csv .tsv            text; encoding, delimiter, header and decimal sign are guessed (`numdl.data.read.text`)
    .txt .dat .data      the same, and columns may be separated by runs of blanks
    .asc .prn            as .txt
    .lvm .arff           text with the header of LabVIEW or Weka (`numdl.data.read.headed`)
    .xlsx .xls .ods      the first sheet with cells (extra ``excel``)
    .jsonl .ndjson       one JSON object for each line
    .parquet             columns of numbers or text
    .npz                 arrays with n rows, for instance X (n, d) and y (n,) (`numdl.data.read.containers`)
    .mat                 matrices with n rows, or with n columns (version 7.3 with the extra ``hdf5``)
    .h5 .hdf5            data sets with n rows, or with n columns (extra ``hdf5``)
    .gz .bz2 .xz .zip    one of the files of text, sheets, records or Parquet, compressed
    ===================  ===========================================================================================

    Words that are numbers in another notation become numbers (`numdl.data.table.notation`), with a note.

    Args:
        path: the file; "-" for standard input; a pattern such as "runs/*.csv", or names joined by
            ``os.pathsep`` ("a.csv:b.csv"), for the rows of several files.
        text: columns of a text file that stay text even if all entries look like numbers, such as 007. At prediction
            give ``TableEncoder.text_columns``, so that a file that happens to hold only numbers there is read alike.
        header: whether the first line of a text file or sheet holds names; None guesses.
        na: further words or numbers that stand for a missing entry, such as -999.
        sheet: of a workbook, its name or its number from 1 on; None for the first one with cells, with a note.

    Returns:
        Its columns, with NaN or None where an entry is missing, and notes on how they were read.

    Raises:
        FileNotFoundError: there is no such file; the message names files in the folder that come close.
        ValueError: it is a folder, is empty, has another extension, cannot be read, is damaged, or holds no table.

    Examples:
        >>> import pathlib, tempfile
        >>> from numdl.data import read_table
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "trials.csv"
        >>> _ = file.write_text("speed,material,drag\n1.5,steel,0.2\n2.0,wood,0.4\n")
        >>> table = read_table(file)
        >>> table.n, table.names, table.columns[0]
        (2, ('speed', 'material', 'drag'), array([1.5, 2. ]))
    """
    path = checks.path("read_table", path)
    for argument, given in (("text", text), ("na", na)):
        if isinstance(given, str) or not all(isinstance(word, str) for word in _several("read_table", argument, given)):
            raise TypeError(f"read_table({argument}={checks.shown(given)}): needs several words. Give a tuple of str.")
    if header is not None and not isinstance(header, bool):
        raise TypeError(f"read_table(header={checks.shown(header)}): needs True, False or None. Leave it out.")
    if sheet is not None and (isinstance(sheet, bool) or not isinstance(sheet, str | int)):
        raise TypeError(f"read_table(sheet={checks.shown(sheet)}): needs a name or a number from 1 on. Leave it out.")
    paths = matching(path)
    call = f"read_table({str(path)!r})"
    tables = [
        _read_one(call if one == path else f"read_table({str(one)!r})", one, text, header, sheet) for one in paths
    ]
    return without(stacked(call, [str(one) for one in paths], tables), na)


def _read_one(call: str, path: Path, text: Sequence[str], header: bool | None, sheet: str | int | None) -> Table:
    if str(path) != STANDARD_INPUT:
        _check_readable(call, path)
    try:
        return _read(call, path, text, header, sheet)
    except MemoryError:
        raise ValueError(f"{call}: the table needs more memory than there is; give fewer rows or columns.") from None
    except ValueError as error:
        # a complaint of Table does not know the file
        message = str(error)
        raise ValueError(
            message if message.startswith(call) else f"{call}: {message.removeprefix('Table: ')}"
        ) from None


def _for_arrow(array: np.ndarray) -> Any:
    """The same for Arrow; plain numbers not by ``pa.array``, which loads pandas where there is one: half a second."""
    import pyarrow as pa

    if array.dtype != np.float64:
        return pa.array(array)
    return pa.Array.from_buffers(pa.float64(), len(array), [None, pa.py_buffer(np.ascontiguousarray(array))])


def _read(call: str, path: Path, text: Sequence[str], header: bool | None, sheet: str | int | None) -> Table:
    extension = extension_of(path)
    if sheet is not None and extension in (".npz", ".mat", ".h5", ".hdf5"):
        raise _no_sheets(call, sheet, extension)
    if extension in (".npz", ".mat"):
        from numdl.data.read.containers import read_mat, read_npz

        return understood((read_npz if extension == ".npz" else read_mat)(call, path), None, text)
    if extension in (".h5", ".hdf5"):
        from numdl.data.read.hdf5 import read_hdf5

        return understood(read_hdf5(call, path), None, text)
    source = load(call, path, _UNPACKED)
    table = _parsed(call, source, text, header, sheet)
    return replace(table, notes=(source.note, *table.notes)) if source.note else table


def _no_sheets(call: str, sheet: str | int, extension: str) -> ValueError:
    return ValueError(f"{call}: a file of kind {extension} has no sheet {sheet!r}; leave the sheet out.")


def _parsed(call: str, source: Source, text: Sequence[str], header: bool | None, sheet: str | int | None) -> Table:
    if sheet is not None and source.extension not in SHEETS:
        raise _no_sheets(call, sheet, source.extension)
    if source.extension == ".parquet":
        from numdl.data.read.arrow import read_parquet

        return understood(read_parquet(call, source.content), None, text)
    if source.extension in SHEETS:
        from numdl.data.read.cells import read_sheet
        from numdl.data.read.footer import without_footer, without_headers

        check_archive(call, source.content)
        return understood(
            without_footer(without_headers(read_sheet(call, source.content, header=header, sheet=sheet))), None, text
        )
    if source.extension in RECORDS:
        from numdl.data.read.cells import read_json_lines

        return understood(read_json_lines(call, source.content), None, text)
    from numdl.data.read.delimited import read_delimited

    blanks = source.extension in {".txt", ".dat", ".data", ".asc", ".prn"}
    return read_delimited(call, source.content, blanks=blanks, text=text, header=header, extension=source.extension)


def write_predictions(
    path: str | os.PathLike[str], names: Sequence[str], columns: Sequence[ArrayLike], *, overwrite: bool = False
) -> Path:
    """Write columns to a CSV or Parquet file, complete or not at all.

    The file is written beside its final place and moved there, so an interruption leaves no half file behind. In a CSV
    file text that a spreadsheet would run, `unrun`, begins with an apostrophe; numbers stay numbers.

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
    names = [str(name) for name in names]
    if path.suffix.lower() == ".csv":
        names, arrays = unrun(names), [_unrun_column(array) for array in arrays]
    table = pa.table([_for_arrow(array) for array in arrays], names=names)
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


_RUN = ("=", "+", "-", "@", "\t", "\r")


def unrun(words: Sequence[Any]) -> list[Any]:
    """Text that a spreadsheet would take for a formula, with an apostrophe before it; all else as it is.

    Args:
        words: names or cells; text that is a number, such as ``-3``, is none of these.

    Returns:
        As many.
    """
    return [
        f"'{word}" if isinstance(word, str) and word.startswith(_RUN) and not _number(word) else word for word in words
    ]


def _unrun_column(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "UO":
        return array
    words = unrun(array.tolist())
    return np.asarray(words, object if array.dtype.kind == "O" else None)


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


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
        raise ValueError(f"{call}: the file exists; give another name, or pass overwrite=True to replace it.")
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
    extension, packed = extension_of(path), path.suffix.lower() in COMPRESSED
    if extension not in ((*_UNPACKED,) if packed else (*READABLE, ".zip")):
        known = ", ".join(_UNPACKED if packed else (*READABLE, *_PACKED))
        raise ValueError(f"{call}: unknown extension {extension!r}; rename or convert the file to one of {known}.")
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
