"""Dates and times: is a word a date or a time, and which moment does it name?"""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

CYCLES = {"day": 1.0, "year": 365.2425}
"""Periods in days."""

_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?"
_SPAN = r"\d{3,5}:\d{2}:\d{2}(?:[.,]\d+)?|\d{1,3}:\d{2}[.,]\d+"
"""Beyond 99 h, and minutes with seconds, which spreadsheets write into CSV."""
_ZONE = r"(?:Z|\s?UTC|[+-]\d{2}:?\d{2})?"
_DAY = (
    r"\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{1,2}\.\d{1,2}\.\d{2,4}|\d{1,2}/\d{1,2}/\d{2,4}|"
    r"\d{1,2}-\d{1,2}-\d{4}|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4}|[A-Za-z]{3,9} \d{1,2}, \d{4}"
)
_SLASHES = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(?!\d)")
_CLOCK = re.compile(r"\d{1,2}:\d{2}")
_ELAPSED = re.compile(r"(\d{1,4}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?")
_MINUTES = re.compile(r"(\d{1,3}):(\d{2}[.,]\d+)")
_DATE = re.compile(rf"(?:{_DAY})(?:[T ]{_TIME}{_ZONE})?|{_TIME}{_ZONE}|{_SPAN}")


def is_date(word: str) -> bool:
    """Whether a word has the form of a date, a time, or both.

    Args:
        word: one entry of a column.

    Returns:
        True for forms such as 2024-05-31, 31.5.2024 08:15, 5/31/24, 08:15:00.5 and 15:00.5 (minutes).
    """
    return bool(_DATE.fullmatch(word.strip()))


class Calendar(NamedTuple):
    """How the dates of a column become numbers.

    Attributes:
        day_first: whether 3/4/2021 is in April.
        origin: days from 1970 to the first date of the training rows.
        cycles: the periods in which the training rows differ, of "day" and "year".
    """

    day_first: bool
    origin: float
    cycles: tuple[str, ...] = ()

    def days(self, call: str, name: str, column: np.ndarray) -> Float[np.ndarray, " n"]:
        """Days since the first date of the training rows.

        Args:
            call: the call to name in an error.
            name: column name.
            column: object (n,), nothing missing.

        Returns:
            Days (n,), float64.

        Raises:
            ValueError: an entry is no date; names column and row.
        """
        return _days(call, name, column, self.day_first) - self.origin

    def turns(self, days: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n m"]:
        """Sine and cosine of the place in each cycle.

        Args:
            days: as `days` gives them (n,).

        Returns:
            (n, 2 for each cycle).
        """
        angles = [2 * np.pi * (days + self.origin) / CYCLES[cycle] for cycle in self.cycles]
        return np.column_stack([f(angle) for angle in angles for f in (np.sin, np.cos)])


def calendar_of(call: str, name: str, column: np.ndarray) -> Calendar:
    """How the dates of the training rows are written, and where they begin.

    Args:
        call: the call to name in an error.
        name: column name.
        column: object (n,) of words that are dates, None or missing words.

    Returns:
        The calendar.

    Raises:
        ValueError: day and month may be exchanged, or an entry is no date.
    """
    words = [word for word in column if word is not None and is_date(word)]
    slashes = [
        match for match in map(_SLASHES.match, words) if match and "." not in match[0]
    ]  # with points days come first
    first = max((int(match[1]) for match in slashes), default=13)
    second = max((int(match[2]) for match in slashes), default=0)
    if slashes and max(first, second) <= 12:
        raise ValueError(
            f"{call}: column {name!r}: it cannot be told whether {slashes[0].string!r} begins with the day or the "
            "month; write dates as 2024-05-31, or leave the column out (--drop)."
        )
    days = _days(call, name, np.array(words, dtype=object), first > 12)
    within, dates = np.ptp(days % 1.0) > 0, np.ptp(np.floor(days)) > 0
    cycles = tuple(cycle for cycle, varies in (("day", within), ("year", dates)) if varies)
    return Calendar(first > 12, float(days.min()), cycles or ("day",))


def _days(call: str, name: str, column: np.ndarray, day_first: bool) -> np.ndarray:
    found = {word: _moment(word, day_first) for word in set(column)}
    for row, word in enumerate(column):
        if found[word] is None:
            short = _ELAPSED.fullmatch(word.strip())
            told = "times as 0:50:00 or 50:00:00" if short and not short[3] else "dates as 2024-05-31 12:30"
            raise ValueError(
                f"{call}: column {name!r}, row {row + 1}: {word!r} is no date that is understood; write {told}, or "
                "leave the column out (--drop)."
            )
    return np.array([found[word] for word in column], dtype=np.float64)


def _moment(word: str, day_first: bool) -> float | None:
    """Days since 1970, or since midnight for a time alone."""
    word = word.strip()
    if match := _SLASHES.match(word):
        one, two = int(match[1]), int(match[2])
        day, month = (one, two) if day_first or "." in match[0] else (two, one)
        year = int(match[3]) + (2000 if len(match[3]) == 2 else 0)
        word = f"{year:04d}-{month:02d}-{day:02d}{word[match.end() :]}"
    elif match := _MINUTES.fullmatch(word):
        minutes, seconds = int(match[1]), float(match[2].replace(",", "."))
        return None if seconds >= 60 else (minutes * 60 + seconds) / 86400
    elif match := _ELAPSED.fullmatch(word):  # perhaps beyond 24 h
        hours, minutes, seconds = int(match[1]), int(match[2]), float((match[3] or "0").replace(",", "."))
        doubtful = max(minutes, seconds) >= 60 or (hours >= 24 and match[3] is None)  # 50:00 may be minutes, seconds
        return None if doubtful else (hours * 3600 + minutes * 60 + seconds) / 86400
    elif _CLOCK.match(word):
        word = f"1970-01-01 {word}"
    try:
        clock = re.sub(r"([ T])(\d):", r"\g<1>0\2:", word.replace("/", "-").replace(",", "."))
        moment = datetime.datetime.fromisoformat(clock)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp() / 86400
