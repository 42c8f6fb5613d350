"""Compilation cache: how does a process find the programs that earlier ones have compiled?

Most of a small fit by a network is compilation. JAX can keep compiled programs in a folder, but writes each in its
place: a process that is killed meanwhile leaves half a file, over which all later ones stumble. So each process gets a
folder of its own, with hard links to what is common, and moves what is new there into the common folder at its end,
which is one step for the file system. Nobody waits for anybody, and what a killed process has compiled is lost.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

MOST = 2**26
"""Bytes of the common folder at most, beyond which goes what was not used for longest; a program has some 20,000."""

ABANDONED = 7 * 24 * 3600
"""Seconds after which a process's own folder counts as left behind by one that was killed."""

OWN, ENTRIES = ".process-", "*-cache"

_kept: list[Path] = []


def compilation_cache(folder: str | os.PathLike[str] | None = None) -> Path | None:
    """Keep the programs that this process compiles for later ones, and take those that are kept; once, at the start.

    The command ``numdl`` does so where it trains. Programs are the same as without, only their compilation is saved: of
    31 s of CPU time, for the first fit of a network to 100 rows, 9 remained. They are kept apart by the version of JAX
    and by the kind of processor. Programs in the folder are run: nobody else may write there.

    Args:
        folder: where; None for what NUMDL_CACHE says, or ``numdl`` in the user's folder for caches. NUMDL_CACHE=off
            keeps nothing.

    Returns:
        The common folder; None where nothing is kept: where it cannot be written, belongs to somebody else or knows no
        hard links, where JAX_COMPILATION_CACHE_DIR gives JAX a folder already, and where the user said so.
    """
    chosen = os.environ.get("NUMDL_CACHE", "") if folder is None else os.fspath(folder)
    if chosen == "off" or (not _kept and _taken()):
        return None
    if _kept:
        return _kept[0]
    common = (Path(chosen).expanduser() if chosen else _of_user() / "numdl") / _kind()
    try:
        common.mkdir(parents=True, exist_ok=True, mode=0o700)
        if hasattr(os, "getuid") and common.stat().st_uid != os.getuid():
            return None
        own = _opened(common)
    except OSError:
        return None
    _tell(own)
    _kept.append(common)
    atexit.register(_publish, own, common)
    return common


def _opened(common: Path) -> Path:
    """A folder for this process with all that is common; those that were left behind go."""
    now = time.time()
    for old in common.glob(f"{OWN}*"):
        with contextlib.suppress(OSError):
            if now - old.stat().st_mtime > ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
    own = Path(tempfile.mkdtemp(prefix=OWN, dir=common))
    try:
        for entry in common.glob(ENTRIES):
            with contextlib.suppress(FileNotFoundError):  # another process has just removed it
                os.link(entry, own / entry.name)
    except OSError:
        shutil.rmtree(own, ignore_errors=True)
        raise
    return own


def _publish(own: Path, common: Path) -> None:
    """Move what is new into the common folder, and remove there what is too much."""
    with contextlib.suppress(OSError):
        for entry in own.glob(ENTRIES):
            if not (common / entry.name).exists():
                os.replace(entry, common / entry.name)
    shutil.rmtree(own, ignore_errors=True)
    with contextlib.suppress(OSError):
        entries = [(max(at.st_atime, at.st_mtime), at.st_size, entry) for entry, at in _sizes(common)]
        size = sum(each for _, each, _ in entries)
        for _, each, entry in sorted(entries):
            if size <= MOST:
                break
            entry.unlink(missing_ok=True)
            size -= each


def _sizes(common: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for entry in common.glob(ENTRIES):
        with contextlib.suppress(FileNotFoundError):
            found.append((entry, entry.stat()))
    return found


def _taken() -> bool:
    """Whether JAX has a folder for programs already."""
    if "jax" in sys.modules:
        return bool(sys.modules["jax"].config.jax_compilation_cache_dir)
    return bool(os.environ.get("JAX_COMPILATION_CACHE_DIR"))


def _tell(own: Path) -> None:
    """Give JAX the folder, loaded or not: without loading it, as not every fit needs it."""
    settings = {
        "jax_compilation_cache_dir": str(own),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": 0,
        "jax_persistent_cache_enable_xla_caches": "none",  # else the name of the folder is a part of each key
    }
    for name, value in settings.items():
        if "jax" in sys.modules:
            sys.modules["jax"].config.update(name, value)
        else:
            os.environ[name.upper()] = str(value)


def _kind() -> str:
    """What has to agree for a program to run: versions of JAX, and the instructions that the processor knows."""
    processor = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(errors="replace")
        processor += sorted(
            {line for line in text.splitlines() if line.startswith(("model name", "flags", "Features"))}
        )
    versions = [metadata.version(name) for name in ("jax", "jaxlib")]
    return f"jax-{versions[0]}-{hashlib.sha256(repr((versions, processor)).encode()).hexdigest()[:12]}"


def _of_user() -> Path:
    """The user's folder for caches, as the system has it."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
