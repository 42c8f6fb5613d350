"""Experiments from a page: how does a reader's click become a run of numdl, with its lines as they come?

The browser asks the local server, which starts ``numdl experiment run`` as a process of its own and passes on what it
prints; one run at a time, and it ends when the reader stops it, leaves the page, or ends the server. The answer is one
JSON object a line: ``{"line": ...}`` as often as the run says something, at the end ``{"claims": ..., "figure": ...}``
or ``{"failed": exit code}``.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from numdl.course import REGISTRY
from numdl.course.catalogue import declared, suggestion

HEARTBEAT = 1.0
"""Seconds after which an empty line is sent, by which a reader who has gone is noticed."""


def experiment_of(source: str) -> dict[str, Any] | None:
    """The experiment that a page grows from, with what may be set; nothing is imported.

    Args:
        source: of the page's module, which names ``numdl experiment run NAME``.

    Returns:
        ``name`` and ``parameters``, name to `numdl.course.outcome.Parameter`; None where it names none.
    """
    found = re.search(r"numdl experiment run ([\w-]+)", source)
    if found is None or found[1] not in REGISTRY:
        return None
    return {"name": found[1], "parameters": declared(REGISTRY[found[1]])}


class Runs:
    """The process that runs, if one does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    @contextlib.contextmanager
    def run(self, asked: Any) -> Iterator[Iterator[dict[str, Any] | None]]:
        """Check what is asked for, and run it as long as somebody stays.

        Args:
            asked: ``name``; ``quick``, ``seed`` and ``settings``, name to number, may be left out.

        Yields:
            What to send, one by one, None for a heartbeat.

        Raises:
            ValueError: it is not such a thing.
            RuntimeError: another run has not ended.
        """
        words = _words(asked)
        with self._alone(), contextlib.closing(self._lines(asked["name"], words)) as lines:
            yield lines

    @contextlib.contextmanager
    def table(self, name: str, content: bytes, target: str) -> Iterator[Iterator[dict[str, Any] | None]]:
        """Criteria for alpha on a file of the reader, as long as somebody stays.

        Args:
            name: of the file; its extension says what it holds.
            content: its bytes.
            target: name of a column; the last one if empty.

        Yields:
            What to send, one by one, see `numdl.course.site.own.curves`; None for a heartbeat.

        Raises:
            ValueError: the extension means nothing.
            RuntimeError: another run has not ended.
        """
        ending = re.search(r"(\.[a-z0-9]{1,8}){1,2}$", name.lower())
        if ending is None:
            raise ValueError(
                f"The file {name[:80]!r} has no extension, needs one such as .csv that says what it holds."
            )
        # Who takes another file has left the run before, which is noticed at its next heartbeat.
        with self._alone(3 * HEARTBEAT), contextlib.closing(self._told(ending[0], content, target)) as lines:
            yield lines

    @contextlib.contextmanager
    def _alone(self, wait: float = 0.0) -> Iterator[None]:
        if not self._lock.acquire(timeout=wait):
            raise RuntimeError("Another run has not ended. Stop it, or wait for it.")
        try:
            yield
        finally:
            self._lock.release()

    def stop(self) -> None:
        """End the process that runs."""
        if self._process is not None:
            self._process.kill()

    def _lines(self, name: str, words: list[str]) -> Generator[dict[str, Any] | None, None, None]:
        with tempfile.TemporaryDirectory(prefix="numdl-run-") as out:
            call = ["numdl", "experiment", "run", name, "--out", out, *words]
            code = yield from self._process_lines(call, out)
            record = Path(out) / f"{name}.json"
            if record.exists():
                figure = base64.b64encode((Path(out) / f"{name}.svg").read_bytes()).decode()
                yield {"claims": json.loads(record.read_text(encoding="utf-8"))["claims"], "figure": figure}
            else:
                yield {"failed": code}

    def _told(self, ending: str, content: bytes, target: str) -> Generator[dict[str, Any] | None, None, None]:
        with tempfile.TemporaryDirectory(prefix="numdl-table-") as folder:
            path = Path(folder) / f"table{ending}"
            path.write_bytes(content)
            ended = False
            for one in self._process_lines(["numdl.course.site.own", str(path), target], folder):
                line = None if one is None else _object(one["line"])
                ended = ended or bool(line and ("failed" in line or "chosen" in line))
                if one is None or line is not None:
                    yield line
            if not ended:
                yield {"failed": "numdl ended without an answer: the file may need more memory than there is."}

    def _process_lines(self, call: list[str], out: str) -> Generator[dict[str, Any] | None, None, int]:
        """Run a module of numdl in a process of its own, which ends with whoever reads its lines.

        Yields:
            As `_said`; the exit code is returned.
        """
        environment = {**os.environ, "COLUMNS": "96", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [sys.executable, "-m", *call],
            env=environment,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            self._process = process
            try:
                yield from _said(process, out)
            finally:
                process.kill()
        return process.returncode


def _object(line: str) -> dict[str, Any] | None:
    """A line that is a JSON object; None for warnings and the like."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _said(process: subprocess.Popen[str], out: str) -> Iterator[dict[str, Any] | None]:
    """Lines of a process as they come, without those on files that go when it has ended.

    Yields:
        ``{"line": ...}``, None while it is silent.
    """
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line.rstrip())
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=HEARTBEAT)
        except queue.Empty:
            yield None
            continue
        if line is None:
            break
        if line and out not in line:
            yield {"line": line}
    process.wait()


def _words(asked: Any) -> list[str]:
    """Options of the command, from what was asked for."""
    if not isinstance(asked, dict) or asked.get("name") not in REGISTRY:
        name = asked.get("name") if isinstance(asked, dict) else asked
        raise ValueError(f"There is no experiment {str(name)[:80]!r}. {suggestion(str(name)[:80], REGISTRY)}")
    seed, settings = asked.get("seed", 0), asked.get("settings", {})
    if type(seed) is not int or seed < 0:
        raise ValueError(f"seed {str(seed)[:80]!r}: needs a whole number >= 0.")
    if not isinstance(settings, dict) or not all(
        re.fullmatch(r"\w+", key) and type(value) in (int, float) for key, value in settings.items()
    ):
        raise ValueError("settings: needs names with numbers.")
    chosen = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return [*(["--quick"] if asked.get("quick") else []), "--seed", str(seed), *chosen]
