"""Messages between the checks and the process of a submission: how do values cross without being trusted?

JSON with the bytes of arrays in it: numbers, text, lists, dictionaries, arrays of numbers, and functions as names by
which they are called back. Nothing that is read can run.
"""

from __future__ import annotations

import base64
import json
import math
import os
import select
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np

LARGEST = 1 << 28
"""Bytes of a message at most."""
PIECE = 4096
"""Bytes written at once: a pipe that can be written takes as many without waiting."""


class Unusable:
    """What is no value of these kinds.

    Args:
        kind: name of its type.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind


def pack(value: Any, functions: dict[str, Callable[..., Any]]) -> Any:
    """A value as JSON types.

    Args:
        value: to be sent.
        functions: takes the functions in it, which the other side may call.

    Returns:
        Its JSON; what has no JSON becomes the name of its type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [pack(entry, functions) for entry in value]}
    if isinstance(value, dict):
        return {"dict": [[str(key), pack(entry, functions)] for key, entry in value.items()]}
    if callable(value):
        name = str(len(functions))
        functions[name] = value
        return {"function": name}
    try:
        array = np.asarray(value)
    except Exception:
        return {"unusable": type(value).__name__}
    if array.dtype.kind not in "biufc" or array.nbytes > LARGEST // 2:
        return {"unusable": type(value).__name__ if array.dtype.kind not in "biufc" else "array of more than 128 MB"}
    content = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"array": [array.dtype.str, list(array.shape), content]}


def unpack(value: Any, call: Callable[..., Any] | None = None) -> Any:
    """The value behind JSON types.

    Args:
        value: as it came.
        call: calls a function of the other side: name, then arguments; None if none may be sent.

    Returns:
        The value.

    Raises:
        ValueError: no message that `pack` makes.
    """
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind in ("list", "tuple"):
        entries = [unpack(entry, call) for entry in content]
        return entries if kind == "list" else tuple(entries)
    if kind == "dict":
        return {str(key): unpack(entry, call) for key, entry in content}
    if kind == "array":
        dtype = np.dtype(content[0])
        if dtype.kind not in "biufc":
            raise ValueError(f"unpack: an array of {dtype}, needs numbers.")
        array = np.frombuffer(base64.b64decode(content[2]), dtype).reshape(content[1]).copy()
        return array if array.ndim else array[()]
    if kind == "function" and call is not None:
        return lambda *args: call(content, *args)
    return Unusable(str(content)[:80])


def send(pipe: int, message: Any, until: float = math.inf) -> None:
    """Write a message.

    Args:
        pipe: file descriptor.
        message: JSON types.
        until: time of `time.monotonic` after which nobody waits.

    Raises:
        TimeoutError: the other side does not read.
    """
    content = json.dumps(message).encode()
    content = memoryview(struct.pack(">Q", len(content)) + content)
    while content:
        _wait([], [pipe], until)
        content = content[os.write(pipe, content[:PIECE]) :]


def receive(pipe: int, until: float = math.inf) -> Any:
    """Read a message.

    Args:
        pipe: file descriptor.
        until: time of `time.monotonic` after which nobody waits.

    Returns:
        JSON types.

    Raises:
        EOFError: the other side has gone.
        TimeoutError: nothing came in time.
        ValueError: no message, or too long.
    """
    (length,) = struct.unpack(">Q", _exactly(pipe, 8, until))
    if length > LARGEST:
        raise ValueError(f"receive: a message of {length} bytes, needs at most {LARGEST}.")
    return json.loads(_exactly(pipe, length, until))


def _exactly(pipe: int, count: int, until: float) -> bytes:
    parts = []
    while count:
        _wait([pipe], [], until)
        part = os.read(pipe, min(count, 1 << 20))
        if not part:
            raise EOFError("receive: the other side has gone.")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _wait(reading: list[int], writing: list[int], until: float) -> None:
    if until < math.inf and os.name == "posix":  # elsewhere pipes cannot be waited for
        ready = select.select(reading, writing, [], max(until - time.monotonic(), 0.0))
        if not (ready[0] or ready[1]):
            raise TimeoutError
