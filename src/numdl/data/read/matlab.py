"""Variables of a MATLAB file, read in a process of its own: a damaged file can end SciPy's reader with a crash.

The child runs this file as a script, which imports nothing of numdl, and writes the variables to its standard output.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np


def variables(path: Path, largest: int | None = None) -> dict[str, np.ndarray]:
    """Numeric and text variables of a MATLAB 5 file (or 4), read here; cells of text become arrays of text.

    Args:
        path: an existing file.
        largest: bytes at most that its arrays may take as float64; None for any.

    Returns:
        Arrays by name; a field of a structure has both names, ``run.speed``. Arrays of structures are left out.

    Raises:
        ValueError: there would be more bytes.
    """
    import scipy.io.matlab as matlab

    with warnings.catch_warnings():
        warnings.simplefilter("error", matlab.MatReadWarning)
        warnings.filterwarnings("ignore", ".*`spmatrix`")  # of SciPy 1.18: below, any kind is made dense
        if largest is not None and sum(8 * math.prod(shape) for _, shape, _ in matlab.whosmat(path)) > largest:
            raise ValueError(f"unpacks to more than {largest >> 20} MB")
        content = matlab.loadmat(path)
    found: dict[str, np.ndarray] = {}
    waiting = [(name, value) for name, value in content.items() if not name.startswith("__")][::-1]
    while waiting:
        name, value = waiting.pop()
        array = value.toarray() if hasattr(value, "toarray") else np.asarray(value)
        if array.dtype.names is None:
            found[name] = _cell_strings(array)
        elif array.size == 1:
            waiting += [(f"{name}.{field}", array[field].item()) for field in reversed(array.dtype.names)]
    return found


def variables_apart(path: Path, largest: int | None = None) -> dict[str, np.ndarray]:
    """The same, read by another process.

    Args:
        path: an existing file.
        largest: as before.

    Returns:
        Arrays by name.

    Raises:
        ValueError: the file is damaged, or made the reader crash.
    """
    command = [sys.executable, "-P", str(Path(__file__)), str(path), *([] if largest is None else [str(largest)])]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(lines[-1] if lines and done.returncode > 0 else "the reader crashed on it")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


ROOM, GROWN = 2 << 30, 64
"""Bytes that the variables of any file may take, and further ones for each byte of the file."""


def _bound(path: Path) -> None:
    """Let no size that a damaged file states fill the memory: half a kilobyte once asked for 13 GB."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # where there are no such limits
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            taken = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        most, hard = taken + ROOM + GROWN * path.stat().st_size, resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _cell_strings(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "O":
        return array
    words = [str(item.item()) if getattr(item, "size", 0) == 1 else "" for item in array.ravel()]
    return np.array(words, dtype=str).reshape(array.shape)


def _main() -> None:
    try:
        import scipy.io.matlab  # noqa: F401  # what it takes itself does not count

        _bound(Path(sys.argv[1]))
        found = variables(Path(sys.argv[1]), *map(int, sys.argv[2:]))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:  # not savez, whose arguments have names too
            for name, array in found.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
    except MemoryError:
        sys.exit("it states a variable that is larger than the memory")
    except Exception as error:  # on damaged files the reader raises almost any type
        sys.exit((str(error).strip().splitlines() or [type(error).__name__])[0])
    sys.stdout.buffer.write(packed.getvalue())


if __name__ == "__main__":
    _main()
