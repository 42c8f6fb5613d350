"""Outcome of an experiment: what does an experiment hand to the runner: numbers, claims about them, and a figure?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Claim(NamedTuple):
    """A sentence that the numbers support or contradict.

    Attributes:
        sentence: what is claimed, with its bound.
        holds: whether the measurement meets the bound.
        measured: the measurement, with its unit where it has one.
    """

    sentence: str
    holds: bool
    measured: str


class Parameter(NamedTuple):
    """A number of an experiment that may be set; one declaration serves command, page and slider.

    Attributes:
        default: a whole number where only such ones make sense.
        least: smallest value that makes sense.
        most: largest.
        meaning: what it is, with its unit, without a full stop.
    """

    default: float
    least: float
    most: float
    meaning: str


class Outcome(NamedTuple):
    """Result of an experiment.

    Attributes:
        numbers: JSON types, NumPy scalars and arrays; what is not finite is stored as null.
        claims: at least one.
        draw: draws on an empty figure with constrained layout; everything it needs is computed already.
    """

    numbers: Mapping[str, Any]
    claims: Sequence[Claim]
    draw: Callable[[Figure], None]


class Experiment(Protocol):
    """What a module of an experiment offers; with ``PARAMETERS``, ``run`` takes these by keyword, too.

    Attributes:
        TITLE: one line, without a full stop.
    """

    TITLE: str

    def run(self, quick: bool, random_state: int, **settings: Any) -> Outcome:
        """Compute."""
        ...


def at_most(sentence: str, value: float, bound: float, unit: str = "") -> Claim:
    """Claim ``value <= bound``; NaN never holds.

    Args:
        sentence: what is claimed; `` at most <bound>`` is added.
        value: measurement.
        bound: largest value that is allowed.
        unit: of both, put behind the numbers.

    Returns:
        The claim.
    """
    return Claim(f"{sentence} at most {bound:g}{unit}", bool(value <= bound), f"{value:.3g}{unit}")


def at_least(sentence: str, value: float, bound: float, unit: str = "") -> Claim:
    """Claim ``value >= bound``; NaN never holds.

    Args:
        sentence: what is claimed; `` at least <bound>`` is added.
        value: measurement.
        bound: smallest value that is allowed.
        unit: of both, put behind the numbers.

    Returns:
        The claim.
    """
    return Claim(f"{sentence} at least {bound:g}{unit}", bool(value >= bound), f"{value:.3g}{unit}")
