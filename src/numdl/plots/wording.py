"""Wording of numbers, durations and names: how do numbers, durations and names read in a sentence or a label?

Called for each number of a page, by what has checked its arguments: nothing is refused here.
"""

from __future__ import annotations

import math

MISSING = "–"


def finite(value: object) -> float | None:
    """The value as a float, or ``None`` if it is missing, not a number or not finite."""
    try:
        number_ = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number_ if math.isfinite(number_) else None


def number(value: object, digits: int = 4) -> str:
    """A number with so many significant digits, a dash if there is none."""
    x = finite(value)
    if x is None:
        return MISSING
    if 10 ** (digits - 1) <= abs(x) < 1e6:
        return f"{x:,.0f}"
    text = f"{x:.{digits}g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}"


def short(text: object, length: int = 24) -> str:
    """The text in one line of at most ``length`` characters, without control characters.

    Long text loses its middle: numbered names differ at their end.

    Args:
        text: anything that has a text.
        length: characters, at least 3: two ends and the gap.

    Returns:
        The line.
    """
    line = " ".join("".join(ch if ch.isprintable() else " " for ch in str(text)).split())
    if len(line) <= length:
        return line
    tail = length // 3
    return line[: length - 1 - tail].rstrip() + "…" + line[-tail:].lstrip()


def duration(seconds: object) -> str:
    """Seconds as ``0.8 s``, ``12 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    s = finite(seconds)
    if s is None or s < 0:
        return MISSING
    if s < 9.95:
        return f"{s:.2g} s" if s < 1 else f"{s:.1f} s"
    if s < 59.5:
        return f"{s:.0f} s"
    if s < 3570:
        minutes, rest = divmod(round(s), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(s / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def factor(value: float) -> str:
    """A ratio of errors, to two digits: a third one would claim more than one split can show."""
    return number(value, 2) if value < 9.5 else number(round(value), 2) if value < 100 else number(value, 3)


def compare(own: float, other: float) -> str:
    """How an error stands to another one: ``12 times below``, ``equal to``, ``1.3 times above``."""
    if own == other:
        return "equal to"
    word = "below" if own < other else "above"
    if own <= 0 or other <= 0:
        return word
    ratio = max(own / other, other / own)
    if 0.95 < other / own < 1.05:
        return "about equal to"
    return f"{factor(ratio)} times {word}" if math.isfinite(ratio) else word


def power(value: float, _: int) -> str:
    """A power of ten as plain text, for a logarithmic axis; empty where there is none."""
    if not 0 < value < math.inf:
        return ""
    exponent = round(math.log10(value))
    if -3 < exponent < 4:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
