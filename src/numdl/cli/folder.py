"""Run folder: where does a run keep its files, and may this command write there?

Two commands at once keep from writing over each other by a lock on the folder: the operating system holds it, on a file
in the folder, and gives it back when its process ends, however it ends. The file that a killed process leaves holds
nobody up.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from numdl.cli.errors import UserError, blame_input
from numdl.cli.options import FitOptions, difference
from numdl.container import whole_file
from numdl.data.read.several import called, matching
from numdl.data.read.sources import STANDARD_INPUT

LOCK = ".lock"
"""Name of the file."""

_LEFTOVER = re.compile(r"\.[0-9a-f]{16}\.tmp")  # of an atomic write that was killed


class RunFolder(NamedTuple):
    """The files of one run.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def model(self) -> Path:
        """The fitted estimator with the encoding of its table."""
        return self.path / "model.numdl"

    @property
    def summary(self) -> Path:
        """What the report was made from."""
        return self.path / "summary.numdl"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    @property
    def numbers(self) -> Path:
        """The numbers of the page, for programs."""
        return self.path / "report.json"

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished fit stands."""
        return self.path / "checkpoint.numdl"

    @property
    def options(self) -> Path:
        """What the fit was asked to do."""
        return self.path / "options.json"

    @property
    def told(self) -> bool:
        """Whether everything is written."""
        return all(p.exists() for p in (self.model, self.summary, self.report))

    @property
    def finished(self) -> bool:
        """Whether everything is written and nothing is left to do."""
        return self.told and not self.checkpoint.exists()


def claim(folder: RunFolder, held: contextlib.ExitStack, *, resume: bool, overwrite: bool) -> None:
    """Lock a folder for this command, refuse it as `check_folder` does, and remove what a killed run has left.

    Args:
        folder: where the run shall write.
        held: gives the lock back at its end.
        resume: whether a run in it shall go on.
        overwrite: whether a run in it shall be replaced.

    Raises:
        UserError: another command holds it, or the folder cannot be used.
    """
    there = folder.path.is_dir()
    if there:  # a run that goes on there says more than what it has written
        held.enter_context(locked(folder.path))
    check_folder(folder, resume=resume, overwrite=overwrite)
    if not there:
        held.enter_context(locked(folder.path))
    sweep(folder)


def check_folder(folder: RunFolder, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that is in use or cannot be written; nothing is changed.

    Args:
        folder: where the run shall write.
        resume: whether a run in it shall go on.
        overwrite: whether a run in it shall be replaced.

    Raises:
        UserError: with the reason.
    """
    path = folder.path
    if resume and overwrite:
        raise UserError("numdl fit: --resume goes on and --overwrite starts anew; give one of them.")
    if path.exists() and not path.is_dir():
        raise UserError(f"numdl fit --out {path}: this is a file; give the name of a folder.")
    above = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"numdl fit --out {path}: {str(above)!r} cannot be written; choose another place.")
    if not path.is_dir():
        return
    with blame_input():
        used = any(name != LOCK and not _LEFTOVER.fullmatch(name) for name in os.listdir(path))
    if used and not (resume or overwrite):
        raise UserError(
            f"numdl fit --out {path}: the folder is not empty; choose another one, go on with --resume, or replace "
            "the run in it with --overwrite."
        )
    if resume and used and not folder.options.exists():
        raise UserError(
            f"numdl fit --out {path} --resume: the folder holds no run ({folder.options.name} is absent); choose "
            "another folder, or start anew with --overwrite."
        )


def check_same_run(folder: RunFolder, options: FitOptions, digest: str) -> None:
    """Refuse to resume a run with other options or other data.

    Args:
        folder: a folder with a run.
        options: options of this command.
        digest: `fingerprint` of its data file.

    Raises:
        UserError: names the option that differs.
    """
    call = f"numdl fit --out {folder.path} --resume"
    try:
        before = json.loads(folder.options.read_text(encoding="utf-8"))
        other = difference(before["options"], options.to_json())
        changed = before["data_sha256"] != digest
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{call}: {folder.options} is damaged; start anew with --overwrite.") from None
    if other is not None:
        raise UserError(
            f"{call}: the run {other}; repeat the command with the options of the run, or start anew with --overwrite."
        )
    if changed:
        data = called(Path(before.get("data", "another file")))
        raise UserError(
            f"{call}: the run began with other data ({data}); give the file as it was, or start anew with --overwrite."
        )


def begin(folder: RunFolder, options: FitOptions, data: Path, digest: str) -> None:
    """Make the folder ready for a new run: former files of a run are removed, other files stay.

    Args:
        folder: a folder that `check_folder` found usable.
        options: options of this command.
        data: its data file.
        digest: `fingerprint` of this file.

    Raises:
        UserError: the folder cannot be made or written.
    """
    record: dict[str, Any] = {"data": str(data), "data_sha256": digest, "options": options.to_json()}
    with blame_input():
        folder.path.mkdir(parents=True, exist_ok=True)
        for path in (folder.checkpoint, folder.model, folder.summary, folder.report, folder.numbers, folder.options):
            path.unlink(missing_ok=True)
        with whole_file(folder.options, "numdl fit") as write:
            write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def sweep(folder: RunFolder) -> None:
    """Remove what writes that were killed have left behind; only for the process that holds the folder."""
    with contextlib.suppress(OSError):
        for path in folder.path.iterdir():
            if _LEFTOVER.fullmatch(path.name):
                path.unlink()


def abandon(folder: RunFolder) -> None:
    """Take back `begin` where nothing was trained yet, so that the command can simply be repeated."""
    if folder.model.exists() or folder.checkpoint.exists():
        return
    with contextlib.suppress(OSError):
        folder.options.unlink(missing_ok=True)


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, so that a run can tell whether it resumes on the data it began with."""
    if str(path) == STANDARD_INPUT:  # it can be read only once
        return ""
    digests = []
    for one in matching(path):
        with one.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def model_file(path: Path) -> Path:
    """The model a user means who names a run's folder or the file itself.

    Args:
        path: folder or file.

    Returns:
        The file.

    Raises:
        UserError: there is none.
    """
    return _file_of_run(path, RunFolder(path).model, "model")


def summary_file(path: Path) -> Path:
    """The summary a user means who names a run's folder or the file itself.

    Args:
        path: folder or file.

    Returns:
        The file.

    Raises:
        UserError: there is none.
    """
    return _file_of_run(path, RunFolder(path).summary, "summary")


def _file_of_run(path: Path, inside: Path, what: str) -> Path:
    if path.is_dir():
        if inside.exists():
            return inside
        folder = RunFolder(path)
        hint = (
            "its fit is not finished: repeat the command with --resume."
            if folder.options.exists()
            else "give the folder that numdl fit wrote."
        )
        raise UserError(f"there is no {what} in {str(path)!r}; {hint}")
    if not path.exists():
        raise UserError(f"there is no {str(path)!r}; give the folder that numdl fit wrote, or the {what} in it.")
    return path


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
