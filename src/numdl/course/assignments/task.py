"""Assignment: what is handed out, what is asked of a submission, and which mistakes are known by name?

A module of a task holds one ``Task``: the functions a student writes, data that are drawn for each student, checks, and
mistakes. No mistake is recognised by the text of a program. ``Task.build`` makes the functions as they should be, and
with switches as they are with a mistake in them; a check looks at the numbers of all of them through one probe, and
numbers that agree name the mistake. ``build`` goes another way than the one a student is shown, by loops and dense
matrices: slow, and plain enough to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

Functions = SimpleNamespace
"""The functions of a submission by name."""
Data = SimpleNamespace
"""What is drawn for one student, arrays and numbers by name."""
Values = Mapping[str, np.ndarray]
"""What a probe saw, by name."""
Judge = Callable[[Values, Values], "tuple[str, str] | None"]
"""What was seen and what would be right, to None or (what was expected, what came)."""


class Function(NamedTuple):
    """A function that the student writes.

    Attributes:
        name: of the function.
        arguments: as in its definition, ``"W, X, C"``.
        doc: its docstring: arguments with shapes, what is returned, and two numbers to compare with, as doctests.
        returns: arguments to the shape of the result, or a list of shapes where several results are returned; -1
            stands for any length. None for anything.
    """

    name: str
    arguments: str
    doc: str
    returns: Callable[..., Any] | None = None


class Mistake(NamedTuple):
    """A mistake that is known by name.

    Attributes:
        name: a few words.
        why: what is wrong with it, a sentence.
        variants: switches of ``Task.build``, one mapping for each way to make the mistake.
    """

    name: str
    why: str
    variants: tuple[Mapping[str, Any], ...]


class Check(NamedTuple):
    """One thing that is asked of a submission.

    Attributes:
        name: what is asked, a few words.
        page: of the course, which says why.
        probe: functions and data to what is seen, an array, a number, or several by name.
        judge: says whether that will do.
        points: weight in the marks.
    """

    name: str
    page: str
    probe: Callable[[Functions, Data], Any]
    judge: Judge
    points: int = 1


@dataclass(frozen=True)
class Task:
    """An assignment.

    Attributes:
        name: of the task and of the file, a name in Python.
        title: one line, without a full stop.
        text: what is to be done, Markdown.
        functions: what the student writes.
        draw: data of one student.
        build: the functions as they should be, or with mistakes that its switches put in.
        mistakes: known by name.
        checks: in the order in which they are shown.
        elsewhere: what the arrays of ``tables`` and ``answers`` are, Markdown.
        tables: data to the arrays (at most two axes) that other languages work on.
        answers: functions and data to the arrays that are wanted back from them.
        refused: modules that may not be imported besides `REFUSED`, as they hold what is to be written.
        pairs: whether two mistakes at once are looked for as well.
    """

    name: str
    title: str
    text: str
    functions: tuple[Function, ...]
    draw: Callable[[np.random.Generator], Data]
    build: Callable[..., dict[str, Callable[..., Any]]]
    mistakes: tuple[Mistake, ...]
    checks: tuple[Check, ...]
    elsewhere: str
    tables: Callable[[Data], dict[str, np.ndarray]]
    answers: Callable[[Functions, Data], dict[str, np.ndarray]]
    refused: tuple[str, ...] = ()
    pairs: bool = True

    @property
    def points(self) -> int:
        """Of all checks together."""
        return sum(check.points for check in self.checks)

    @property
    def pages(self) -> tuple[str, ...]:
        """Pages of the course that the checks lead to."""
        return tuple(dict.fromkeys(check.page for check in self.checks))


class Row(NamedTuple):
    """What one check found.

    Attributes:
        check: what was asked.
        passed: whether it will do.
        points: of this check, whether earned or not.
        expected: what would be right; empty if it passed or nothing came.
        found: what came; empty if it passed.
        mistake: which one it looks like; empty if none that is known.
        why: what is wrong with it, a sentence.
        page: of the course, which says why.
    """

    check: str
    passed: bool
    points: int
    expected: str
    found: str
    mistake: str
    why: str
    page: str


def number(value: Any, digits: int = 6) -> str:
    """A number for people.

    Args:
        value: real or complex.
        digits: at most.

    Returns:
        Its text.
    """
    return f"{complex(value) if np.iscomplexobj(value) else float(value):.{digits}g}"


def close(tolerance: float = 1e-10) -> Judge:
    """Every number agrees with the right one.

    Args:
        tolerance: largest difference over the largest right number of the same array, no unit.

    Returns:
        The judge; it shows the number that is farthest off.
    """

    def judge(seen: Values, right: Values) -> tuple[str, str] | None:
        for name, wanted in right.items():
            came = seen[name]
            label = f"{name} " if name else ""
            if came.shape != wanted.shape:
                return f"{label}of shape {wanted.shape}", f"shape {came.shape}"
            off = np.abs(came - wanted)
            off = np.where(np.isfinite(came), off, np.inf)
            if off.size and not off.max() <= tolerance * max(float(np.abs(wanted).max()), 1e-300):
                at = np.unravel_index(int(off.argmax()), off.shape)
                place = f"{label}{list(map(int, at))} = " if at else f"{label}= " if name else ""
                digits = 6 if number(wanted[at]) != number(came[at]) else 15
                return place + number(wanted[at], digits), number(came[at], digits)
        return None

    return judge


def holds(test: Callable[[Values], Any], expected: str, found: Callable[[Values], str]) -> Judge:
    """What was seen has a property.

    Args:
        test: whether it has.
        expected: the property in words.
        found: what was seen in words.

    Returns:
        The judge.
    """
    return lambda seen, _: None if test(seen) else (expected, found(seen))


def order_two(seen: Values, right: Values) -> tuple[str, str] | None:
    """Judge of a Taylor test: what was seen are the errors of value plus slope at h and h/10, under ``errors``.

    Args:
        seen: errors of the submission.
        right: errors of the right functions.

    Returns:
        None if they fall a hundredfold within 0.2 of the order.
    """
    first, last = seen["errors"]
    order = float(np.log10(first / last)) if first > 0 and last > 0 else np.nan
    if last <= 2 * right["errors"][1] or abs(order - 2) < 0.2:
        return None
    return "order 2", f"order {order:.2f}"


def taylor(value: Callable[[Any], Any], at: Any, direction: Any, slope: Any, h: float = 1e-2) -> dict[str, np.ndarray]:
    """Errors of value plus slope at h and h / 10, for `order_two`.

    Args:
        value: a function of an array.
        at: where.
        direction: array of the same shape.
        slope: derivative in this direction, of the shape of the value.
        h: the longer step; both stay far from rounding.

    Returns:
        ``errors`` (2,).
    """
    start = value(at)
    errors = [np.linalg.norm(np.ravel(value(at + s * direction) - start - s * slope)) for s in (h, h / 10)]
    return {"errors": np.array(errors)}
