"""Judgement of a submission: which checks does it pass, and which mistake explains one that it does not pass?"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from numdl.course.assignments.observation import Seen, callables, observe
from numdl.course.assignments.process.remote import Failure
from numdl.course.assignments.task import Check, Data, Functions, Judge, Mistake, Row, Task, Values, close

SAME = 1e-6
"""Two programs with the same mistake agree to this, relative to the largest number."""
ALIKE = ("shape", "MemoryError")
"""Kinds of failures by which mistakes are known."""
LOOSE = 1e-6
"""Answers from files may have been printed with few digits."""
SHORT = "right to a few digits only"
SHORT_WHY = "The numbers are nearly right: something was computed in float32, or an iteration stopped early."


def data_of(task: Task, student: str) -> Data:
    """Data of one student: the same for the same name on every machine.

    Args:
        task: the assignment.
        student: any text.

    Returns:
        What ``task.draw`` makes of it.
    """
    digest = hashlib.sha256(f"{task.name}\n{student.strip()}".encode(errors="replace")).digest()
    return task.draw(np.random.default_rng(int.from_bytes(digest[:16], "big")))


class Known:
    """What the right program, and those with mistakes in them, show to the probes of a task.

    Each is looked at once for the data of a student, when it is first asked for, however many submissions are judged.

    Attributes:
        task: the assignment.
        data: of the student.
    """

    def __init__(self, task: Task, data: Data) -> None:
        self.task, self.data = task, data
        self._seen: dict[Any, Seen] = {}
        self._refused: dict[str, list[tuple[Mistake, Mapping[str, Any], Seen]]] = {}

    def seen(self, check: Check, switches: Mapping[str, Any] = MappingProxyType({})) -> Seen:
        """What a check sees of the program with mistakes.

        Args:
            check: of the task.
            switches: of ``Task.build``; none for the right program.

        Returns:
            Values or failure.
        """
        key = (check.name, *sorted(switches.items()))
        if key not in self._seen:
            made = callables(self.task, self.task.build(**switches))
            self._seen[key] = observe(check.probe, made, self.data)
        return self._seen[key]

    def variants(self, check: Check) -> list[tuple[Mistake, Mapping[str, Any], Seen]]:
        """The single mistakes that a check sees.

        Args:
            check: of the task.

        Returns:
            Mistake, switches that make it, and what the check sees of it; those that it does not refuse are left out.
        """
        if check.name not in self._refused:
            all_of = ((mistake, switches) for mistake in self.task.mistakes for switches in mistake.variants)
            looked = [(mistake, switches, self.seen(check, switches)) for mistake, switches in all_of]
            right = self.seen(check)
            self._refused[check.name] = [one for one in looked if _complaint(check.judge, one[2], right) is not None]
        return self._refused[check.name]


def judged(
    task: Task, functions: Mapping[str, Callable[..., Any]], data: Data, known: Known | None = None
) -> list[Row]:
    """Run the checks of a task.

    Args:
        task: the assignment.
        functions: of the submission, by name; those that are missing fail where they are needed.
        data: of the student.
        known: of this task and these data, to be used for several submissions; None for one.

    Returns:
        One row for each check.
    """
    given = callables(task, functions)
    return _rows(known or Known(task, data), task.checks, [observe(check.probe, given, data) for check in task.checks])


def judged_answers(task: Task, answers: Mapping[str, np.ndarray], data: Data) -> list[Row]:
    """Compare the answers of another language.

    Args:
        task: the assignment.
        answers: arrays by name.
        data: of the student.

    Returns:
        One row for each array that is wanted.
    """
    right = answers_of(task, data)
    checks = [Check(name, task.pages[0], partial(_answer, task, name), close(LOOSE)) for name in right]
    return _rows(Known(task, data), checks, [_given(answers, name, wanted) for name, wanted in right.items()])


def answers_of(task: Task, data: Data) -> Mapping[str, np.ndarray]:
    """Right answers to the data of one student, by which shapes are shown.

    Args:
        task: the assignment.
        data: of the student.

    Returns:
        Arrays by name.
    """
    return observe(task.answers, callables(task, task.build()), data).values


def _answer(task: Task, name: str, functions: Functions, data: Data) -> np.ndarray:
    return task.answers(functions, data)[name]


def _given(answers: Mapping[str, np.ndarray], name: str, wanted: np.ndarray) -> Seen:
    came = answers.get(name)
    if came is None:
        return Seen({}, Failure("missing", f"no {name} in the file"))
    if came.size == wanted.size and min(wanted.ndim, came.ndim) < 2 <= max(wanted.ndim, came.ndim):
        came = came.reshape(wanted.shape)  # rows and columns are matrices in MATLAB, and numbers too
    if came.shape != wanted.shape:
        return Seen({}, Failure("shape", f"shape {came.shape}", (came.shape, str(wanted.shape))))
    return Seen({"": came})


def _rows(known: Known, checks: Sequence[Check], seen: Sequence[Seen]) -> list[Row]:
    rows, likes, numbers = [], [], []
    for check, came in zip(checks, seen, strict=True):
        right = known.seen(check)
        complaint = _complaint(check.judge, came, right)
        rows.append(Row(check.name, complaint is None, check.points, *(complaint or ("", "")), "", "", check.page))
        likes.append([] if complaint is None else _looks_like(known, check, came))
        numbers.append(came.failure is None and _near(came.values, right.values))
    # Several mistakes may look alike to one check: the one that explains most is named.
    counts = Counter(entry for like in likes for entry in like)
    for k, like in enumerate(likes):
        if like:
            named = max(like, key=lambda entry: counts[entry])
            rows[k] = rows[k]._replace(mistake=named[0], why=named[1])
        elif not rows[k].passed and numbers[k]:
            rows[k] = rows[k]._replace(mistake=SHORT, why=SHORT_WHY)
    return rows


def _looks_like(known: Known, check: Check, came: Seen) -> list[tuple[str, str]]:
    """Names and reasons of the mistakes, or else of the pairs of mistakes, that give the numbers that came."""
    if came.failure is not None and came.failure.kind not in ALIKE:
        return []

    variants = known.variants(check)
    found = {mistake.name: mistake.why for mistake, _, variant in variants if _same(came, variant)}
    if found or not known.task.pairs:
        return list(found.items())
    differ: list[tuple[Mistake, Mapping[str, Any], Seen]] = []
    for one in variants:
        if not any(_same(one[2], other) for _, _, other in differ):
            differ.append(one)
    for (one, first, _), (other, second, _) in itertools.combinations(differ, 2):
        if (
            one.name != other.name
            and not set(first) & set(second)
            and _same(came, known.seen(check, {**first, **second}))
        ):
            found[f"{one.name}, and {other.name}"] = f"{one.why} {other.why}"
    return list(found.items())


def _complaint(judge: Judge, seen: Seen, right: Seen) -> tuple[str, str] | None:
    if right.failure is not None:
        raise right.failure  # the task is wrong, not the submission
    if seen.failure is not None:
        return f"shape {seen.failure.detail[1]}" if seen.failure.kind == "shape" else "", seen.failure.said
    with np.errstate(all="ignore"):
        return judge(seen.values, right.values)


def _same(seen: Seen, variant: Seen) -> bool:
    """Whether two submissions look alike; failures do where they are wrong shapes, or of memory."""
    if seen.failure is not None or variant.failure is not None:
        kinds = [None if one.failure is None else (one.failure.kind, one.failure.detail) for one in (seen, variant)]
        return kinds[0] == kinds[1] and kinds[0] is not None and kinds[0][0] in ALIKE
    if set(seen.values) != set(variant.values):
        return False
    return all(_agree(came, variant.values[name]) for name, came in seen.values.items())


def _near(came: Values, right: Values) -> bool:
    """Whether rounding to seven digits explains the difference."""
    return all(name in came and _agree(came[name], value, 1e-5) for name, value in right.items())


def _agree(a: np.ndarray, b: np.ndarray, tolerance: float = SAME) -> bool:
    if a.shape != b.shape or not np.array_equal(np.isnan(a), np.isnan(b)):
        return False
    a, b = a * 1.0, b * 1.0  # truth values have no difference
    sizes = np.abs(b[np.isfinite(b)])
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= tolerance * float(sizes.max(initial=0.0))
    return bool(np.all(near | (a == b) | np.isnan(b)))
