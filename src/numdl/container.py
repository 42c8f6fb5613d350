"""Container file of arrays and JSON (safetensors).

How do arrays and a JSON header become one file that is read back exactly, or refused?

The file is a safetensors file: no pickle, nothing in it can run. Its metadata hold the format name, the format version,
what kind of content it is, the header as JSON, and a SHA-256 digest. The digest covers every byte of the file, with the
64 characters of the digest itself read as zeros: whatever damage alters or takes away is noticed.

The digest shows damage, it does not authenticate: who changes a file on purpose can compute it anew, and the file then
predicts what they like. Nothing in a file can run, and what does not fit together is refused; still, take files from
people whom you trust, or compare the SHA-256 of the whole file with one that came another way.

Source: the safetensors format, https://github.com/huggingface/safetensors (8 bytes length, JSON, arrays).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

FORMAT = "numdl"
VERSION = 2
KINDS = ("model", "checkpoint", "summary")

_ZEROS = b'"sha256":"' + b"0" * 64 + b'"'
_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_DTYPES += ("float16", "float32", "float64")


class FullDisk(OSError):
    """A file that cannot be written, as the disk, or what the user may have of it, is full."""


_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)


def write_container(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], header: Mapping[str, Any], *, kind: str
) -> None:
    """Write arrays and a header to one file that appears whole or not at all.

    The file is written beside its final place, flushed to the disk and moved there, so that an interruption leaves
    either the former file or the new one.

    Args:
        path: the file to make or replace; its folder must exist.
        arrays: arrays of booleans, integers or floating-point numbers of any shape, by name.
        header: JSON types; text belongs here.
        kind: "model", "checkpoint" or "summary".

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: the path is a folder, the kind is unknown, an array holds something else than numbers, or the header
            is no JSON.
        OSError: the file cannot be written; `FullDisk` where the disk is full.
    """
    target = Path(os.path.realpath(path))
    call = f"write_container({str(path)!r})"
    _check_kind(call, kind)
    if target.is_dir():
        raise ValueError(f"{call}: this is a folder; give the name of a file in it.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{call}: there is no folder {str(target.parent)!r}; create it first.")
    content = _serialized(call, arrays, header, kind)
    try:
        with _neighbour(target, "xb") as file:
            file.write(content)
    except FullDisk as error:
        raise FullDisk(f"{call}: {error}") from None
    except OSError as error:
        raise type(error)(
            f"{call}: the file cannot be written ({error.strerror or error}); choose another place."
        ) from None
    _flush_folder(target.parent)


def read_container(path: str | os.PathLike[str], *, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write_container` wrote.

    Args:
        path: the file.
        kind: what it must hold: "model", "checkpoint" or "summary".

    Returns:
        The arrays, in the order they were given, and the header.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, cannot be opened, is no numdl file, is truncated or altered, has another format
            version, or holds another kind of content.
    """
    call = f"read_container({str(path)!r})"
    _check_kind(call, kind)
    content = _bytes(call, Path(path))
    metadata, start, end = _metadata(call, content)
    version, whole = metadata.get("version"), _digest_fits(content[:start], content, metadata.get("sha256"))
    if version != str(VERSION):
        doubt = "" if whole else ", or the file is damaged"
        raise ValueError(
            f"{call}: the file has format version {version}, this numdl reads version {VERSION}{doubt}; "
            "use the numdl that wrote it, or make the file again."
        )
    if len(content) < end:
        raise ValueError(
            f"{call}: the file is truncated ({len(content)} of {end} bytes); copy it again, or make it again."
        )
    if not whole:
        raise ValueError(f"{call}: the file is damaged (its checksum is wrong); copy it again, or make it again.")
    if metadata.get("kind") != kind:
        raise ValueError(f"{call}: the file holds a {metadata.get('kind')}, needed is a {kind}; give another file.")
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)  # which allocates nothing that the file does not hold
        order, header = json.loads(metadata["order"]), json.loads(metadata["header"])
        if not isinstance(header, dict):
            raise TypeError("header")
        # copies, so that arrays can be written to whatever safetensors returns
        return {name: np.array(arrays[name]) for name in order}, header
    except (SafetensorError, ValueError, LookupError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"{call}: arrays and header do not fit together ({type(error).__name__}); make the file again."
        ) from None


def _check_kind(call: str, kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"{call}: unknown kind {kind!r}; use one of {', '.join(KINDS)}.")


def _serialized(call: str, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any], kind: str) -> bytes:
    from safetensors.numpy import save

    try:
        text = json.dumps(dict(header))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{call}: the header cannot be written as JSON ({error}); convert it to numbers, text, lists and dicts."
        ) from None
    tensors = {}
    for name, values in arrays.items():
        array = np.asarray(values)
        if array.dtype.name not in _DTYPES or name == "__metadata__":
            raise ValueError(
                f"{call}: array {name!r} has type {array.dtype}; give arrays of numbers or booleans, put text into the "
                "header, and call none of them '__metadata__'."
            )
        tensors[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
    metadata = {"format": FORMAT, "version": str(VERSION), "kind": kind, "header": text, "sha256": "0" * 64}
    metadata["order"] = json.dumps(list(tensors))
    content = save(tensors, metadata)
    # inside the header every quote is escaped, so this pattern occurs once
    before, after = content.split(_ZEROS, 1)
    return before + b'"sha256":"' + hashlib.sha256(content).hexdigest().encode() + b'"' + after


def _bytes(call: str, path: Path) -> bytes:
    if path.is_dir():
        raise ValueError(f"{call}: this is a folder; give the name of a file in it.")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{call}: there is no such file; check the path.") from None
    except OSError as error:
        raise ValueError(
            f"{call}: the file cannot be opened ({error.strerror or error}); check its permissions."
        ) from None


def _metadata(call: str, content: bytes) -> tuple[dict[str, str], int, int]:
    """The metadata, where the arrays start, and where the file must end; nothing in it is trusted yet."""
    start = 8 + int.from_bytes(content[:8], "little")
    try:
        described = json.loads(content[8:start].decode())
        metadata = described.pop("__metadata__")
        if metadata["format"] != FORMAT:
            raise KeyError("format")
        end = start + max((int(array["data_offsets"][1]) for array in described.values()), default=0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError(
            f"{call}: this is no numdl file, or its beginning is damaged or cut off; give a file that numdl wrote, or "
            "make it again."
        ) from None
    return metadata, start, end


def _digest_fits(head: bytes, content: bytes, digest: object) -> bool:
    pattern = f'"sha256":"{digest}"'.encode()
    if len(pattern) != len(_ZEROS) or head.count(pattern) != 1:
        return False
    found = hashlib.sha256(head.replace(pattern, _ZEROS))
    found.update(memoryview(content)[len(head) :])
    return found.hexdigest() == digest


def _flush_folder(folder: Path) -> None:
    # the new name must reach the disk too; some systems cannot flush folders
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str], call: str, *, binary: bool = False) -> Iterator[Callable[[Any], object]]:
    """Give a function that writes to ``path``; the file appears only if the block ends without an error.

    The temporary neighbour is created on entry, so a path that cannot be written fails before any work is done.

    Args:
        path: the file to make or replace; its folder must exist.
        call: name of the calling function, for error messages.
        binary: whether bytes are written.

    Yields:
        A function that appends text (UTF-8), or bytes.

    Raises:
        IsADirectoryError: the path is a folder.
        FileNotFoundError: the folder of the path does not exist.
        PermissionError: the file or its folder cannot be written.
        FullDisk: the disk is full.
        OSError: the path is a device, or its name is too long.
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
    form = {} if binary else {"encoding": "utf-8", "errors": "replace", "newline": "\n"}
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(_neighbour(target, "xb" if binary else "x", **form))
        except FullDisk:
            raise
        except OSError as error:
            raise type(error)(
                f"{call}({str(path)!r}): cannot write there ({error.strerror}). Choose another path."
            ) from None
        yield stream.write


@contextlib.contextmanager
def _neighbour(target: Path, mode: str, **options: Any) -> Iterator[IO[Any]]:
    """A new file beside the target that takes its place if the block ends without an error, and else goes.

    Yields:
        The file, open.

    Raises:
        FullDisk: the disk is full.
    """
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, mode, **options) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise FullDisk(
            f"the disk of {str(target)!r} is full ({error.strerror}); free some space, or choose another place."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
