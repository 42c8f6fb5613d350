"""Lock on the folder of a run: how do two commands at once keep from writing over each other?

The operating system holds the lock, on a file in the folder, and gives it back when its process ends, however it ends:
the file that a killed process leaves holds nobody up.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from numdl.cli.errors import UserError, blame_input

LOCK = ".lock"
"""Name of the file."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a folder for this process; it is made, and goes at the end where nothing was put into it.

    Args:
        path: the folder.

    Yields:
        Nothing.

    Raises:
        UserError: another process that lives holds it, or it cannot be made.
    """
    made = [place for place in (path, *path.parents) if not place.exists()]
    with blame_input():
        path.mkdir(parents=True, exist_ok=True)
    handle = _taken(path / LOCK)
    try:
        yield
    finally:
        if handle is not None:
            with contextlib.suppress(OSError):
                (path / LOCK).unlink()  # while it is held: who opened it before sees that it is gone
            os.close(handle)
            if os.name == "nt":  # where an open file cannot be removed
                with contextlib.suppress(OSError):
                    (path / LOCK).unlink()
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()  # only if it is empty


def _taken(file: Path) -> int | None:
    """The open file, locked and still in its place; None where the file system has no locks or cannot be written."""
    while True:
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            if not _lock(handle):
                raise UserError(
                    f"numdl fit --out {file.parent}: {_owner(handle)} is writing there; wait for its end, or choose "
                    "another folder."
                )
            if os.fstat(handle).st_nlink and os.path.samestat(os.fstat(handle), os.stat(file)):
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return handle
        except FileNotFoundError:
            pass  # its owner has just ended and removed it: once more
        except OSError:  # a full disk, no locks
            return handle
        except UserError:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int) -> bool:
    """Whether the lock is this process's now."""
    try:
        import fcntl
    except ImportError:  # Windows removes no open file, which is lock enough once it is locked
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
        except PermissionError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(handle: int) -> str:
    with contextlib.suppress(OSError):
        return os.read(handle, 200).decode(errors="replace") or "another numdl fit"
    return "another numdl fit"
