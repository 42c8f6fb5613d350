"""Image collections (IDX, CIFAR-10).

What do the original files of image collections (MNIST's IDX, CIFAR-10's batches) hold?
"""

from __future__ import annotations

import gzip
import io
import lzma
import math
import os
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from numdl import checks

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CIFAR_RECORD = 1 + 3 * 32 * 32

MOST = 2**32
"""Bytes of images at most, unpacked."""


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Array of an IDX file (MNIST, Fashion-MNIST), plain or gzipped.

    The file is two zero bytes, one byte for the type, one for the number of dimensions, the dimensions as big-endian
    32-bit integers, then the entries, last dimension fastest.

    Args:
        path: the file; compression is recognised by content, not by name.

    Returns:
        The array, in the byte order of this machine.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a folder, damaged compression, another format, or another length than the header says.

    Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits, "The IDX file format".
    """
    checks.path("read_idx", path)
    call = f"read_idx({str(path)!r})"
    raw = _content(call, Path(path))
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES or raw[3] == 0:
        raise ValueError(
            f"{call}: the file starts with {raw[:4].hex(' ')!r}, which is not IDX; check that it is the right file."
        )
    header = 4 + 4 * raw[3]
    if len(raw) < header:
        raise ValueError(f"{call}: the file ends within its header of {header} bytes; copy or download it again.")
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", raw[3], 4))
    kind = np.dtype(_IDX_TYPES[raw[2]])
    expected = header + math.prod(shape) * kind.itemsize
    if len(raw) != expected:
        raise ValueError(
            f"{call}: the header announces shape {shape}, that is {expected} bytes, but there are {len(raw)}; copy or "
            "download the file again."
        )
    return np.frombuffer(raw, kind, offset=header).reshape(shape).astype(kind.newbyteorder("="))


def read_cifar10(path: str | os.PathLike[str]) -> tuple[UInt8[np.ndarray, "n 3 32 32"], UInt8[np.ndarray, " n"]]:
    """Images and labels of one binary batch of CIFAR-10, plain, gzipped or xz-compressed.

    Each record is one byte for the label, then 1024 bytes red, 1024 green, 1024 blue, row by row.

    Args:
        path: the file; compression is recognised by content, not by name.

    Returns:
        Images (n, 3, 32, 32), channels red, green, blue, values 0 .. 255; labels (n,), values 0 .. 9.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a folder, damaged compression, a length that is no multiple of 3073 bytes, or a label above 9.

    Source: Krizhevsky, Learning multiple layers of features from tiny images, 2009; "binary version" of the data page.
    """
    checks.path("read_cifar10", path)
    call = f"read_cifar10({str(path)!r})"
    raw = _content(call, Path(path))
    if not raw or len(raw) % _CIFAR_RECORD:
        raise ValueError(
            f"{call}: the file has {len(raw)} bytes, which is not a positive multiple of {_CIFAR_RECORD}; it is cut "
            "off or is not the binary version, download that again."
        )
    records = np.frombuffer(raw, np.uint8).reshape(-1, _CIFAR_RECORD)
    labels = records[:, 0].copy()
    if labels.max() > 9:
        row = int((labels > 9).argmax())
        raise ValueError(
            f"{call}: record {row + 1} has the label {labels[row]}, above 9; give a batch of CIFAR-10, not CIFAR-100."
        )
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), labels


def _content(call: str, path: Path) -> bytes:
    if path.is_dir():
        raise ValueError(f"{call}: this is a folder; give the name of a file in it.")
    try:
        raw = path.read_bytes()
        for start, library in ((b"\x1f\x8b", gzip), (b"\xfd7zXZ\0", lzma)):
            if raw.startswith(start):
                with library.open(io.BytesIO(raw)) as file:
                    raw = file.read(MOST + 1)
                if len(raw) > MOST:
                    raise ValueError(
                        f"{call}: holds more than {MOST >> 30} GiB when it is unpacked; give a part of it."
                    )
                return raw
    except FileNotFoundError:
        raise FileNotFoundError(f"{call}: there is no such file; check the name and the folder.") from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{call}: the compressed file is cut off or damaged ({error}); copy or download it again."
        ) from None
    except OSError as error:
        raise ValueError(f"{call}: the file cannot be opened ({error.strerror}); check its permissions.") from None
    return raw
