"""Where the bytes of a table come from: a file, a compressed one, an archive, or standard input."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

STANDARD_INPUT = "-"
"""Name that stands for standard input."""

MOST_BYTES = 4 << 30
"""Bytes that a compressed file may inflate to."""

COMPRESSED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""Extensions of compressed files, and what opens them."""

_PIECE = 1 << 22


class Source(NamedTuple):
    """The content of a file, and what kind of file it is.

    Attributes:
        extension: of the table, in lower case and without that of the compression.
        content: all bytes.
        note: what was unpacked, "" if nothing.
    """

    extension: str
    content: bytes
    note: str


def extension_of(path: Path) -> str:
    """Extension that says what a file holds, without that of its compression: ".csv" of ``a.csv.gz``.

    Args:
        path: name of a file.

    Returns:
        The extension in lower case; that of the compression where there is no other.
    """
    if path.suffix.lower() in COMPRESSED:
        return Path(path.stem).suffix.lower() or path.suffix.lower()
    return path.suffix.lower()


def load(call: str, path: Path, readable: tuple[str, ...]) -> Source:
    """All bytes of a table, unpacked.

    Args:
        call: the call to name in an error.
        path: an existing file, or "-" for standard input.
        readable: extensions of tables, to find the table in an archive.

    Returns:
        The bytes.

    Raises:
        ValueError: damaged, too large when unpacked, an archive with no table or several, or nothing on standard input.
    """
    suffix = path.suffix.lower()
    try:
        if str(path) == STANDARD_INPUT:
            return _standard_input(call)
        if suffix in COMPRESSED:
            with COMPRESSED[suffix](path, "rb") as file:
                return Source(extension_of(path), _limited(call, file, path.stat().st_size), "")
        if suffix == ".zip":
            return _from_zip(call, path, readable)
        return Source(suffix, path.read_bytes(), "")
    except (
        OSError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ValueError(
            f"{call}: the file cannot be unpacked ({str(error).splitlines()[0] if str(error) else 'cut off'}); copy or "
            "compress it again, or give the table itself."
        ) from None


def check_archive(call: str, file: Path | bytes) -> None:
    """Refuse a ZIP archive (also .xlsx, .npz) whose members inflate beyond the limit.

    Args:
        call: the call to name in an error.
        file: an existing file or its bytes; what is no archive passes.

    Raises:
        ValueError: with the size.
    """
    packed = len(file) if isinstance(file, bytes) else file.stat().st_size
    try:
        with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as archive:
            total = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # whoever reads it says what is wrong
    if total > MOST_BYTES:
        raise _too_large(call, packed, f"{total:,}")


def _limited(call: str, file: Any, packed: int) -> bytes:
    pieces, total = [], 0
    while piece := file.read(_PIECE):
        total += len(piece)
        if total > MOST_BYTES:
            raise _too_large(call, packed, f"more than {MOST_BYTES:,}")
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(call: str, packed: int, size: str) -> ValueError:
    return ValueError(
        f"{call}: the file of {packed:,} bytes inflates to {size}, above the limit of {MOST_BYTES:,}; unpack it if "
        "this is meant."
    )


def _from_zip(call: str, path: Path, readable: tuple[str, ...]) -> Source:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
        tables = [m for m in members if Path(m.filename).suffix.lower() in readable]
        if len(tables) != 1:
            names = ", ".join(" ".join(m.filename.split()) for m in (tables or members)[:5])
            raise ValueError(
                f"{call}: the archive holds {len(tables)} tables ({names}); give an archive with one, or the table."
            )
        if tables[0].file_size > MOST_BYTES:
            raise _too_large(call, path.stat().st_size, f"{tables[0].file_size:,}")
        with archive.open(tables[0]) as file:
            content = _limited(call, file, path.stat().st_size)
    name = tables[0].filename
    return Source(Path(name).suffix.lower(), content, f"The table is {name!r} of the archive.")


def _standard_input(call: str) -> Source:
    if sys.stdin.buffer.isatty():
        raise ValueError(f"{call}: standard input is the keyboard; pipe a table into the command, or give a file.")
    content = sys.stdin.buffer.read()
    if not content.strip():
        raise ValueError(f"{call}: standard input is empty; pipe a table into the command, or give a file.")
    if content.startswith(b"PAR1"):
        return Source(".parquet", content, "")
    if content.startswith(b"PK\x03\x04"):
        return Source(".xlsx", content, "")
    if content.startswith(b"\x1f\x8b"):
        with gzip.open(io.BytesIO(content)) as file:
            return Source(".csv", _limited(call, file, len(content)), "")
    return Source(".jsonl" if content.lstrip().startswith(b"{") else ".csv", content, "")
