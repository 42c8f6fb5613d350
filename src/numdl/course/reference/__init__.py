"""Reference results: which numbers can others compare their codes with, and what regenerates them?

Each is a JSON file in ``data``: ``title``, ``source``, ``setting`` (what has to be known to repeat it) and ``results``,
each with what was computed, its value, a tolerance and where it comes from: certified, exact, of an independent code,
published, or measured here. ``command`` regenerates them; the cheap ones are recomputed by ``check``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from numdl.course.catalogue import suggestion

__all__ = ["Compared", "check", "load", "names"]

DATA = Path(__file__).parent / "data"
KINDS = ("relative", "absolute", "factor")
"""What a tolerance bounds: ``|found - value| <= t |value|``, ``<= t``, or the larger over the smaller ``<= t``."""


class Compared(NamedTuple):
    """One result beside what was found now.

    Attributes:
        what: name of the result.
        value: stored.
        found: recomputed.
        holds: whether it is within the tolerance.
    """

    what: str
    value: float
    found: float
    holds: bool


def names() -> dict[str, str]:
    """Every reference result with its title.

    Returns:
        Name to title, by name.
    """
    return {path.stem: _read(path)["title"] for path in sorted(DATA.glob("*.json"))}


def load(name: str) -> dict[str, Any]:
    """One reference result.

    Args:
        name: a key of ``names()``.

    Returns:
        ``title``, ``source``, ``setting``, ``command``, ``results``, and ``data`` where it needs some.

    Raises:
        ValueError: there is none of that name.
    """
    path = DATA / f"{name}.json"
    if path not in DATA.glob("*.json"):
        raise ValueError(f"reference({name!r}): unknown name. {suggestion(name, names())}")
    return _read(path)


def check(name: str) -> list[Compared]:
    """Recompute a reference result that takes seconds.

    Args:
        name: a key of ``numdl.course.reference.recompute.RECOMPUTED``.

    Returns:
        What was found beside each result.

    Raises:
        ValueError: there is none of that name, or it takes more than seconds.
    """
    from numdl.course.reference.recompute import RECOMPUTED

    record = load(name)
    if name not in RECOMPUTED:
        raise ValueError(
            f"reference({name!r}): takes more than seconds, its command is {record['command']!r}. "
            f"Recomputed here are {', '.join(RECOMPUTED)}."
        )
    found = RECOMPUTED[name](record)
    return [
        Compared(one["what"], one["value"], found[one["what"]], within(one, found[one["what"]]))
        for one in record["results"]
        if one["what"] in found
    ]


def within(result: dict[str, Any], found: float) -> bool:
    """Whether a number agrees with a result; what is not a number never does.

    Args:
        result: with ``value`` and ``tolerance``, a pair of one of ``KINDS`` and a size.
        found: to compare.

    Returns:
        The verdict.
    """
    value, (kind, size) = result["value"], result["tolerance"]
    if kind == "factor":
        return bool(found > 0 and max(found / value, value / found) <= size)
    return bool(abs(found - value) <= size * (abs(value) if kind == "relative" else 1.0))


@cache
def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
