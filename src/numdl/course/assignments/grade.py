"""Grade of a submission: from a file, or a folder of files, to rows and marks.

A submission that cannot be run has a report as well, with a sentence instead of rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from numdl.checks import unmarked
from numdl.course.assignments import REGISTRY, find
from numdl.course.assignments.exchange import read_arrays
from numdl.course.assignments.judge import data_of, judged, judged_answers
from numdl.course.assignments.process.remote import Failure, Remote
from numdl.course.assignments.submission import ENDINGS, complaint, defined, parsed, read_program
from numdl.course.assignments.task import Row, Task

COLUMNS = ("student", "task", "file", "points", "of", "passed", "checks", "mistakes", "error")
"""Of the table of marks."""


class Rules(NamedTuple):
    """How submissions are run.

    Attributes:
        allow: packages that may be imported besides Python's own; None for all that no task refuses.
        seconds: that a call may take.
        memory: bytes that a program may take besides Python and NumPy.
    """

    allow: tuple[str, ...] | None = None
    seconds: float = 10.0
    memory: int = 1 << 30


class Report(NamedTuple):
    """What became of a submission.

    Attributes:
        task: name of the assignment; empty if none was recognised.
        student: whose data were drawn.
        file: name of the file.
        rows: one for each check; none if it could not be run.
        error: why it could not be run; empty if it was.
    """

    task: str
    student: str
    file: str
    rows: tuple[Row, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was run and passed all checks."""
        return not self.error and all(row.passed for row in self.rows)

    @property
    def points(self) -> int:
        """Earned."""
        return sum(row.points for row in self.rows if row.passed)

    @property
    def of(self) -> int:
        """Points of all checks."""
        return find(self.task).points if self.error and self.task else sum(row.points for row in self.rows)

    @property
    def mistakes(self) -> list[str]:
        """Those that were recognised, each once."""
        return list(dict.fromkeys(row.mistake for row in self.rows if row.mistake))

    @property
    def trouble(self) -> str:
        """Why it could not be run, or the first call that had no result; empty if neither."""
        return self.error or next((row.found for row in self.rows if not row.passed and not row.expected), "")

    def as_json(self) -> dict[str, Any]:
        """In JSON types."""
        return {
            "task": self.task,
            "student": self.student,
            "file": self.file,
            "passed": self.passed,
            "points": self.points,
            "of": self.of,
            "mistakes": self.mistakes,
            "error": self.error,
            "checks": [row._asdict() for row in self.rows],
        }


def grade(path: Path, student: str = "", *, name: str = "", rules: Rules | None = None) -> Report:
    """Run a submission and check it.

    Args:
        path: ``.py`` or ``.ipynb``.
        student: whose data are drawn.
        name: of the assignment; found out by the name of the file and by what it defines if empty.
        rules: how it is run.

    Returns:
        The report.

    Raises:
        ValueError: there is no assignment of that name.
    """
    rules = rules or Rules()
    name = name or next((one for one in sorted(REGISTRY, key=len, reverse=True) if _begins(path.stem, one)), "")
    if name:
        find(name)
    try:
        task, text = _understood(path, name)
    except ValueError as error:
        return Report(name, student, path.name, error=_plain(str(error)))
    if said := complaint(path, text, task, rules.allow):
        return Report(task.name, student, path.name, error=_plain(said))
    names = [function.name for function in task.functions]
    with Remote(text, names, seconds=rules.seconds, memory=rules.memory) as remote:
        try:
            present = remote.start()
        except Failure as failure:
            return Report(task.name, student, path.name, error=_plain(f"{path.name}: {failure.said}."))
        if not present:
            said = f"{path.name}: defines none of {', '.join(names)}. `numdl course start {task.name}` writes them."
            return Report(task.name, student, path.name, error=_plain(said))
        rows = judged(task, {one: remote.function(one) for one in present}, data_of(task, student))
    clean = tuple(row._replace(expected=_plain(row.expected), found=_plain(row.found)) for row in rows)
    return Report(task.name, student, path.name, clean)


def grade_answers(name: str, path: Path, student: str = "") -> Report:
    """Check answers that another language has computed.

    Args:
        name: of the assignment.
        path: of the answers, .npz, .mat or .csv.
        student: whose data were used.

    Returns:
        The report.

    Raises:
        ValueError: there is no assignment of that name.
    """
    task = find(name)
    try:
        found = read_arrays(path)
    except ValueError as error:
        return Report(name, student, path.name, error=_plain(str(error)))
    return Report(name, student, path.name, tuple(judged_answers(task, found, data_of(task, student))))


def _understood(path: Path, name: str) -> tuple[Task, str]:
    """Assignment and program of a file."""
    if name:
        task = find(name)
        return task, read_program(path, [function.name for function in task.functions])
    everything = [function.name for one in REGISTRY for function in find(one).functions]
    text = read_program(path, everything)
    known = defined(parsed(path.name, text))
    shares = {one: _share(find(one), known) for one in REGISTRY}
    best = max(shares, key=lambda one: shares[one])
    if shares[best] == 0:
        raise ValueError(
            f"{path.name}: belongs to no assignment. Name it after one, such as softmax.py, or give --task."
        )
    return find(best), text


def _begins(stem: str, name: str) -> bool:
    return stem == name or (stem.startswith(name) and not (stem[len(name)].isalnum()))


def _share(task: Task, known: set[str]) -> float:
    return sum(function.name in known for function in task.functions) / len(task.functions)


def grade_folder(folder: Path, *, name: str = "", rules: Rules | None = None) -> Iterator[Report]:
    """Grade all submissions of a folder, in the order of their names.

    A student is the subfolder in which a file lies, ``anna/softmax.py``; of a file in the folder itself what its name
    says besides the assignment, ``softmax_anna.py`` or ``anna.py``.

    Args:
        folder: looked through with its subfolders; links are not followed.
        name: of the assignment; found out for each file if empty.
        rules: how submissions are run.

    Yields:
        A report for each file.

    Raises:
        ValueError: the folder holds no submission.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in ENDINGS and path.is_file()]
    paths = [path for path in paths if not path.is_symlink() and ".ipynb_checkpoints" not in path.parts]
    if not paths:
        raise ValueError(f"{folder}: holds no submission, needs files that end in .py or .ipynb. Check the name.")
    for path in paths:
        inside = path.relative_to(folder)
        student = inside.parts[0] if len(inside.parts) > 1 else _student(path.stem)
        report = grade(path, student, name=name, rules=rules)
        yield report._replace(student=_plain(student), file=_plain(inside.as_posix()))


def _student(stem: str) -> str:
    for name in REGISTRY:
        if _begins(stem, name):
            return stem[len(name) + 1 :] or stem
    return stem


def marks(reports: Sequence[Report]) -> bytes:
    """Table of marks.

    Args:
        reports: of `grade_folder`.

    Returns:
        CSV with the columns `COLUMNS`; no cell is text that a spreadsheet would run.
    """
    from numdl.data.read.files import unrun

    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(COLUMNS)
    for one in reports:
        good = sum(row.passed for row in one.rows)
        cells = [
            one.student,
            one.task,
            one.file,
            one.points,
            one.of,
            good,
            len(one.rows),
            "; ".join(one.mistakes),
            one.trouble,
        ]
        table.writerow(unrun([_plain(cell) if isinstance(cell, str) else cell for cell in cells]))
    return stream.getvalue().encode("utf-8", "replace")


def _plain(text: str) -> str:
    """One line without control characters, such as would move the cursor of a terminal or recolour it."""
    return unmarked("".join(sign if sign.isprintable() else " " for sign in text)).strip()[:500]
