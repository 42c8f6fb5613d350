"""Functions of a submission seen from the checks: how long may they take, and what becomes of a process that ends?

Each call has the same time; a function that has not come back in it is not called again. A process that has ended, or
was ended, is started anew for the next call, in an empty folder that goes with it. This is no sandbox: a program that
wants to harm the machine it runs on can. Real grading belongs in a container.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from numdl.course.assignments.process.wire import pack, receive, send, unpack

KEPT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")
"""Of the environment; what else is in it is no business of a submission."""
MOST_ENDS = 2
"""A function that has ended its process so many times is not called again."""
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}


class Failure(Exception):
    """A call that has no result.

    Args:
        kind: name of the exception, or ``time``, ``ended``, ``shape``, ``kind``.
        said: what happened, for people.
        detail: what must agree for two failures to be the same.
    """

    def __init__(self, kind: str, said: str, detail: Any = None) -> None:
        super().__init__(said)
        self.kind, self.said, self.detail = kind, said, detail


class Remote:
    """A submission in a process of its own; a context that ends it.

    Args:
        source: the program.
        names: of the functions that are called.
        seconds: that a call may take.
        memory: bytes that the program may take besides what Python and NumPy hold.
    """

    def __init__(self, source: str, names: Sequence[str], *, seconds: float = 10.0, memory: int = 1 << 30) -> None:
        self._source, self._names, self._seconds, self._memory = source, list(names), seconds, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._slow: set[str] = set()
        self._ends: Counter[str] = Counter()
        self._folder = ""

    def __enter__(self) -> Remote:
        """Start."""
        self._folder = tempfile.mkdtemp(prefix="numdl-check-")
        return self

    def __exit__(self, *_: object) -> None:
        """End the process and remove its folder."""
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> list[str]:
        """Run the program.

        Returns:
            Which of the functions it defines.

        Raises:
            Failure: it raises, ends, or takes too long.
        """
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        home = str(Path(__file__).parents[4])
        paths = [home, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
        environment |= ALONE | {"PYTHONPATH": os.pathsep.join(paths), "HOME": self._folder, "TMPDIR": self._folder}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "numdl.course.assignments.process.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=self._folder,
            env=environment,
            start_new_session=True,
        )
        first = {"source": self._source, "names": self._names, "memory": self._memory}
        answer = self._talk("the program", first, {}, self._seconds + 5)
        if "error" in answer:
            raise self._raised(answer["error"])
        return answer["defined"]

    def function(self, name: str) -> Callable[..., Any]:
        """One of the functions.

        Args:
            name: of it.

        Returns:
            What calls it in the process.
        """
        return partial(self._call, name)

    def _call(self, name: str, *args: Any) -> Any:
        if name in self._slow:
            raise Failure("time", f"{name} was not called again, after {self._seconds:g} s")
        if self._ends[name] >= MOST_ENDS:
            raise Failure("ended", f"{name} was not called again, after it ended its process {MOST_ENDS} times")
        if self._process is None:
            self.start()
        functions: dict[str, Callable[..., Any]] = {}
        message = {"call": name, "arguments": pack(list(args), functions)}
        try:
            answer = self._talk(name, message, functions, self._seconds)
        except Failure as failure:
            if failure.kind == "time":
                self._slow.add(name)
            self._ends[name] += failure.kind == "ended"
            raise
        if "error" in answer:
            raise self._raised(answer["error"])
        return unpack(answer["value"])

    def _talk(self, name: str, message: Any, functions: dict[str, Callable[..., Any]], seconds: float) -> Any:
        """Send a message, answer what is called back, return the reply."""
        process, until = self._process, time.monotonic() + seconds
        assert process is not None and process.stdin is not None and process.stdout is not None
        into, out = process.stdin.fileno(), process.stdout.fileno()
        try:
            send(into, message, until)
            while "back" in (answer := receive(out, until)):
                send(into, _called_back(functions, answer), until)
            return answer
        except TimeoutError:
            self._end()
            raise Failure("time", f"{name} did not end within {seconds:g} s") from None
        except (EOFError, OSError):
            code = self._end()
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            raise Failure(
                "ended", f"{name} ended its process ({how}), for want of memory or by its own doing"
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            self._end()
            raise Failure("ended", f"{name} sent what is no answer") from None

    def _end(self) -> int:
        """End the process, if there is one; its code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)  # it may be ending
        code = process.poll()
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        return process.returncode if code is None else code

    def _raised(self, error: Sequence[Any]) -> Failure:
        kind, text, line = error
        place = f" in line {line}" if isinstance(line, int) else ""
        if kind == "NotImplementedError":  # as in what is handed out
            return Failure(kind, str(text) or f"{kind}{place}")
        return Failure(str(kind), f"raised {kind}{place}" + (f": {text}" if text else ""))


def _called_back(functions: dict[str, Callable[..., Any]], asked: dict[str, Any]) -> dict[str, Any]:
    """Answer to a call from the process."""
    try:
        return {"value": pack(functions[asked["back"]](*unpack(asked["arguments"])), {})}
    except (ValueError, TypeError, KeyError, IndexError) as error:
        return {"error": str(error)}
