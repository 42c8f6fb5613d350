"""How does a text file come into being whole or not at all?"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str], call: str) -> Iterator[Callable[[str], object]]:
    """Give a function that writes text to ``path``; the file appears only if the block ends without an error.

    The temporary neighbour is created on entry, so a path that cannot be written fails before any work is done.

    Args:
        path: the file to make or replace; its folder must exist.
        call: name of the calling function, for error messages.

    Yields:
        A function that appends text (UTF-8).

    Raises:
        IsADirectoryError: the path is a folder.
        FileNotFoundError: the folder of the path does not exist.
        PermissionError: the file or its folder cannot be written.
        OSError: the path is a device, its name is too long, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    if os.path.isdir(target):
        raise IsADirectoryError(f"{call}({str(path)!r}): this is a folder. Name a file in it, such as report.html.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"{call}({str(path)!r}): the folder {str(target.parent)!r} does not exist. Create it first."
        )
    try:
        target.stat()
    except FileNotFoundError:
        pass
    except OSError as error:  # a name too long, a link to itself
        raise type(error)(
            f"{call}({str(path)!r}): cannot write there ({error.strerror}). Choose another path."
        ) from None
    if target.exists() and not target.is_file():
        raise OSError(f"{call}({str(path)!r}): this is not a regular file. Choose another path.")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"{call}({str(path)!r}): the file exists and is read-only. Choose another path.")
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        stream = open(temporary, "x", encoding="utf-8", errors="replace", newline="\n")  # noqa: SIM115
    except OSError as error:
        raise type(error)(
            f"{call}({str(path)!r}): cannot write there ({error.strerror}). Choose another path."
        ) from None
    try:
        with stream:
            yield stream.write
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
