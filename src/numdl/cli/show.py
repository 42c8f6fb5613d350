"""Terminal output of ``numdl fit``: what does the user of ``numdl fit`` see: before, while and after the training?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

from rich.console import Console
from rich.status import Status
from rich.text import Text

from numdl.checks import unmarked
from numdl.cli.folder import RunFolder
from numdl.cli.prepare import Prepared
from numdl.data.read.several import apart
from numdl.report import FitSummary, ProgressLine, print_status, score_table, target_table

_LABEL = 11

UNFINISHED = ("interrupted", "time_budget")
"""Codes of a search that was cut short."""


class _Unmarked:
    """Standard output for people: marks of direction in names are shown and not obeyed."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(unmarked(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def terminal(quiet: bool = False) -> Console:
    """The console of a command.

    Args:
        quiet: whether nothing is printed.

    Returns:
        One that writes to standard output.
    """
    return Console(file=cast(IO[str], _Unmarked(sys.stdout)), quiet=quiet)


class Progress:
    """What follows the training: a line that is redrawn, and above it one line for each new phase.

    Args:
        console: where to print; standard error, so that standard output can be piped.
        quiet: print nothing.
    """

    def __init__(self, console: Console, quiet: bool) -> None:
        self._console = console
        self._line = None if quiet else ProgressLine(console)
        self._phase = ""
        self._wheel: Status | None = None

    def __enter__(self) -> Progress:
        """Start following."""
        return self

    def compiling(self) -> None:
        """Say why nothing is seen until the first step is compiled."""
        if self._line is not None:
            self._console.print(Text("compiling the first step takes some seconds", style="dim"), soft_wrap=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        if self._line is not None:
            self._line.close()
        self._wait(None)

    def _wait(self, phase: str | None) -> None:
        """Turn a wheel beside what is being done, in a terminal only; None ends it."""
        if self._wheel is not None and phase is None:
            self._wheel.stop()
            self._wheel = None
        elif phase is not None:
            if self._wheel is None:
                self._wheel = self._console.status("")
                self._wheel.start()
            self._wheel.update(Text(phase, style="dim"))

    def observe(self, record: dict[str, Any]) -> None:
        """Show one iteration; for ``observe=`` of the estimators.

        Args:
            record: the numbers of the iteration, or the phase of a search alone.
        """
        if self._line is None:
            return
        phase = str(record.get("phase", ""))
        if "iteration" not in record:
            self._wait(phase)
            return
        if phase != self._phase:
            self._console.print(Text(phase, style="dim"), soft_wrap=True)
            self._phase = phase
        names = ("train_error", "validation_error", "alpha", "damping", "seconds", "seconds_left")
        self._line.update(record["iteration"], record["objective"], **{name: record.get(name) for name in names})


def show_start(console: Console, data: Path, prepared: Prepared, checkpoint: Path | None, processes: int = 1) -> None:
    """Say what was found in the file.

    Args:
        console: where to print.
        data: the file.
        prepared: its content.
        checkpoint: where a resumed run goes on, None for a new one.
        processes: number of those that share the training rows.
    """
    encoder = prepared.encoder
    targets = ", ".join(encoder.target_names[:5]) + (" and more" if len(encoder.target_names) > 5 else "")
    row(console, "Data", f"{', '.join(map(str, apart(data)))}: {prepared.rows:,} rows, {prepared.columns:,} columns")
    inputs = len(encoder.feature_names)
    row(console, "Task", f"{encoder.task} of {targets} from {inputs:,} input{'s' * (inputs > 1)}")
    names = {"train": "training", "validation": "validation", "test": "test"}
    row(console, "Rows", ", ".join(f"{len(part.x):,} {names[name]}" for name, part in prepared.parts.items()))
    if processes > 1:
        row(console, "Processes", f"{processes}, each with its part of the training rows")
    for note in prepared.notes:
        row(console, "Note", note)
    if checkpoint is not None:
        missing = "" if checkpoint.exists() else ", which had not come to its first checkpoint"
        if RunFolder(checkpoint.parent).finished:
            missing = ": the search is repeated, its model replaced at the end"
        row(console, "Resuming", f"the run in {checkpoint.parent}{missing}")


def show_result(console: Console, summary: FitSummary, folder: RunFolder) -> None:
    """Say what came out and where it is.

    Args:
        console: where to print.
        summary: the finished fit.
        folder: its files.
    """
    console.print()
    console.print(score_table(summary))
    each = target_table(summary)
    if each is not None:
        console.print(each)
    print_status(summary.status, console)
    for name in ("Network", "Features", "Penalty", "Parameters", "Solver", "Seconds"):
        if name in summary.facts:
            row(console, name, summary.facts[name])
    for name, path in (("Model", folder.model), ("Report", folder.report), ("Numbers", folder.numbers)):
        row(console, name, str(path))


def show_end(console: Console, summary: FitSummary, folder: RunFolder) -> None:
    """`show_result` of a table, and what to do next.

    Args:
        console: where to print.
        summary: the finished fit.
        folder: its files.
    """
    show_result(console, summary, folder)
    repeated = summary.model in ("auto", "kernel") and summary.status.code in UNFINISHED
    if folder.checkpoint.exists() or repeated:
        row(console, "Go on", "repeat the command with --resume, perhaps with more --time")
    run = shlex.quote(str(folder.path))
    row(console, "Next", f"numdl predict {run} NEW.csv --out predictions.csv")
    row(console, "", f"numdl export {run} --to c (or numpy, onnx, matlab)")


def row(console: Console, label: str, text: str) -> None:
    """One line: what it is about, and what there is to say.

    Args:
        console: where to print.
        label: up to ten letters.
        text: of any length.
    """
    console.print(Text.assemble((f"{label:<{_LABEL}}", "dim"), text), soft_wrap=True)
