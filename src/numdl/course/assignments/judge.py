"""Judgement of a submission: which checks does it pass, and which mistake explains one that it does not pass?"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from numdl.course.assignments.process.remote import Failure
from numdl.course.assignments.process.wire import Unusable
from numdl.course.assignments.task import Check, Data, Function, Functions, Judge, Mistake, Row, Task, Values, close

SAME = 1e-6
"""Two programs with the same mistake agree to this, relative to the largest number."""
ALIKE = ("shape", "MemoryError")
"""Kinds of failures by which mistakes are known."""
LOOSE = 1e-6
"""Answers from files may have been printed with few digits."""
SHORT = "right to a few digits only"
SHORT_WHY = "The numbers are nearly right: something was computed in float32, or an iteration stopped early."


class Seen(NamedTuple):
    """What a probe saw, or why it saw nothing."""

    values: Values
    failure: Failure | None = None


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


def judged(task: Task, functions: Mapping[str, Callable[..., Any]], data: Data) -> list[Row]:
    """Run the checks of a task.

    Args:
        task: the assignment.
        functions: of the submission, by name; those that are missing fail where they are needed.
        data: of the student.

    Returns:
        One row for each check.
    """
    given = callables(task, functions)
    return _rows(task, task.checks, [observe(check.probe, given, data) for check in task.checks], data)


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
    return _rows(task, checks, [_given(answers, name, wanted) for name, wanted in right.items()], data)


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


def _rows(task: Task, checks: Sequence[Check], seen: Sequence[Seen], data: Data) -> list[Row]:
    rights = callables(task, task.build())
    rows, likes, numbers = [], [], []
    for check, came in zip(checks, seen, strict=True):
        right = observe(check.probe, rights, data)
        complaint = _complaint(check.judge, came, right)
        rows.append(Row(check.name, complaint is None, check.points, *(complaint or ("", "")), "", "", check.page))
        likes.append([] if complaint is None else _looks_like(task, check, came, right, data))
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


def _looks_like(task: Task, check: Check, came: Seen, right: Seen, data: Data) -> list[tuple[str, str]]:
    """Names and reasons of the mistakes, or else of the pairs of mistakes, that give the numbers that came."""
    if came.failure is not None and came.failure.kind not in ALIKE:
        return []

    def seen(switches: Mapping[str, Any]) -> Seen:
        return observe(check.probe, callables(task, task.build(**switches)), data)

    found: dict[str, str] = {}
    differ: list[tuple[Mistake, Mapping[str, Any], Seen]] = []
    for mistake in task.mistakes:
        for switches in mistake.variants:
            variant = seen(switches)
            if not _refused(variant, right, check.judge):
                continue  # this check does not see it
            if _same(came, variant):
                found[mistake.name] = mistake.why
            elif not any(_same(variant, other) for _, _, other in differ):
                differ.append((mistake, switches, variant))
    if found or not task.pairs:
        return list(found.items())
    for (one, first, _), (other, second, _) in itertools.combinations(differ, 2):
        if one.name != other.name and not set(first) & set(second) and _same(came, seen({**first, **second})):
            found[f"{one.name}, and {other.name}"] = f"{one.why} {other.why}"
    return list(found.items())


def observe(probe: Callable[[Functions, Data], Any], functions: Functions, data: Data) -> Seen:
    """What a probe sees, as arrays by name; what it raises is a failure.

    Args:
        probe: of a check.
        functions: from `callables`.
        data: of the student.

    Returns:
        Values or failure.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            seen = probe(functions, data)
        except Failure as failure:
            return Seen({}, failure)
        except (ValueError, TypeError, ArithmeticError, IndexError, np.linalg.LinAlgError) as error:
            return Seen({}, Failure("kind", f"what came cannot be used ({type(error).__name__}: {error})"))
    named = seen if isinstance(seen, Mapping) else {"": seen}
    return Seen({name: np.asarray(value) for name, value in named.items()})


def _complaint(judge: Judge, seen: Seen, right: Seen) -> tuple[str, str] | None:
    if right.failure is not None:
        raise right.failure  # the task is wrong, not the submission
    if seen.failure is not None:
        return f"shape {seen.failure.detail[1]}" if seen.failure.kind == "shape" else "", seen.failure.said
    with np.errstate(all="ignore"):
        return judge(seen.values, right.values)


def _refused(variant: Seen, right: Seen, judge: Judge) -> bool:
    return _complaint(judge, variant, right) is not None


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
    sizes = np.abs(b[np.isfinite(b)])
    return np.allclose(a, b, rtol=0, atol=tolerance * float(sizes.max(initial=0.0)), equal_nan=True)


def callables(task: Task, functions: Mapping[str, Callable[..., Any]]) -> Functions:
    """Functions that give arrays of the right shape, or a failure.

    Args:
        task: the assignment.
        functions: by name.

    Returns:
        All functions of the task by name.
    """
    made = {one.name: _callable(one, functions.get(one.name)) for one in task.functions}
    return SimpleNamespace(**made)


def _callable(function: Function, raw: Callable[..., Any] | None) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        if raw is None:
            raise Failure("missing", f"there is no function {function.name}")
        with _failing():
            result = raw(*[arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args])
        shapes = None if function.returns is None else function.returns(*args)
        if not isinstance(shapes, list):
            return _array(function.name, result, shapes)
        if not isinstance(result, tuple | list) or len(result) != len(shapes):
            came = f"{len(result)}" if isinstance(result, tuple | list) else _kind(result)
            raise Failure("kind", f"{function.name} returned {came} instead of {len(shapes)} results")
        return tuple(_array(function.name, one, shape) for one, shape in zip(result, shapes, strict=True))

    return call


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except Failure:
        raise
    except (Exception, SystemExit) as error:
        text = str(error)[:300]
        raise Failure(type(error).__name__, f"raised {type(error).__name__}" + (f": {text}" if text else "")) from error


def _array(name: str, value: Any, shape: tuple[int, ...] | None) -> Any:
    if value is None:
        raise Failure("kind", f"{name} returned nothing; is a return missing?")
    try:
        array: Any = None if isinstance(value, Unusable | str) else np.asarray(value)
    except (ValueError, TypeError):
        array = None
    if array is None or array.dtype.kind not in "biufc":
        raise Failure("kind", f"{name} returned {_kind(value)}, no numbers")
    if array.dtype.kind == "c" and np.abs(array.imag).max(initial=0) <= 1e-12 * np.abs(array).max(initial=0):
        array = array.real
    array = array.astype(complex if array.dtype.kind == "c" else float)
    if shape is not None and not (
        len(shape) == array.ndim and all(want in (-1, had) for want, had in zip(shape, array.shape, strict=True))
    ):
        said = f"{name} returned shape {array.shape}"
        raise Failure("shape", said, (array.shape, str(shape).replace("-1", "any")))
    return array if array.ndim else array[()]


def _kind(value: Any) -> str:
    kind = value.kind if isinstance(value, Unusable) else type(value).__name__
    return f"{'an' if kind[:1] in 'aeio' else 'a'} {kind}"
