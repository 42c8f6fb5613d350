"""Process of a submission: where do a student's functions run?

Here and nowhere else, with a limit on memory, and nothing that they print is kept. The checks stay in the other
process, which calls these functions through a pipe: a submission cannot reach its marks, and however it ends, the
checks go on.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable
from typing import Any

from numdl.course.assignments.process.wire import pack, receive, send, unpack

FILE = "<submission>"
"""Under this name the submission is compiled; lines of errors are those of this file."""


def main() -> None:
    """Run the submission that comes first, then call what is asked for, until the other side has gone."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    for stream in (incoming, outgoing):
        os.set_inheritable(stream, False)
    first = receive(incoming)
    limit_memory(first["memory"])
    names: dict[str, Any] = {"__name__": "submission", "__file__": FILE}
    answer = attempt(lambda: exec(compile(first["source"], FILE, "exec"), names))
    if "value" in answer:
        answer["defined"] = [name for name in first["names"] if callable(names.get(name))]
    send(outgoing, answer)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            serve(incoming, outgoing, names, receive(incoming))


def serve(incoming: int, outgoing: int, names: dict[str, Any], asked: dict[str, Any]) -> None:
    """Call one function and send what it returns or raises.

    Args:
        incoming: pipe from the checks.
        outgoing: pipe to the checks.
        names: of the submission.
        asked: the message: ``call`` and ``arguments``.
    """

    def call_back(name: str, *args: Any) -> Any:
        send(outgoing, {"back": name, "arguments": pack(list(args), {})})
        reply = receive(incoming)
        if "error" in reply:
            raise ValueError(reply["error"])
        return unpack(reply["value"])

    arguments = unpack(asked["arguments"], call_back)
    send(outgoing, attempt(lambda: names[asked["call"]](*arguments)))


def attempt(run: Callable[[], Any]) -> dict[str, Any]:
    """Call something, whatever it does.

    Args:
        run: the call.

    Returns:
        Message with ``value``, or with ``error``: kind, text, and line of the submission or None.
    """
    try:
        return {"value": pack(run(), {})}
    except BaseException as error:  # SystemExit and KeyboardInterrupt as well
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
        if isinstance(error, SyntaxError) and error.filename == FILE:
            lines = [error.lineno]
        text = "a submission must not end the process" if isinstance(error, SystemExit) else ""
        with contextlib.suppress(Exception):
            text = text or str(error)[:300]
        return {"error": [type(error).__name__, text, lines[-1] if lines else None]}


def limit_memory(limit: int) -> None:
    """Refuse this process more memory than it has now and some, and files that are larger.

    Args:
        limit: bytes that may be added, and bytes of a file.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/statm", encoding="ascii") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + limit, held + limit))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


if __name__ == "__main__":
    main()
