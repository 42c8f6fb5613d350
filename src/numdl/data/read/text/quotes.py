"""Quotes in text tables: is each quote that is opened also closed?

A quote opens where a field begins, closes before a delimiter or the end of a line, and is doubled inside. One that is
never closed swallows rows without a word, whatever reads the file.
"""

from __future__ import annotations

import numpy as np

_QUOTE, _NEWLINES = ord('"'), (ord("\n"), ord("\r"))


def check_quotes(call: str, text: bytes, delimiter: str) -> bool:
    """Refuse a quote that is not closed, or closed within a field.

    Args:
        call: the call to name in an error.
        text: the whole file in UTF-8.
        delimiter: one character.

    Returns:
        Whether any field is quoted.

    Raises:
        ValueError: names the line in which the quote is opened.
    """
    if b'"' not in text:
        return False
    letters = np.frombuffer(text, np.uint8)
    places = np.flatnonzero(letters == _QUOTE)
    edge = np.zeros(256, dtype=bool)
    edge[[*_NEWLINES, ord(delimiter)]] = True
    opens = np.ones(len(places), dtype=bool)
    inner = places > 0
    opens[inner] = edge[letters[places[inner] - 1]]
    closes = np.ones(len(places), dtype=bool)
    inner = places < len(letters) - 1
    closes[inner] = edge[letters[places[inner] + 1]]
    beside = np.zeros(len(places) + 1, dtype=bool)  # whether quote i stands right behind quote i - 1
    beside[1:-1] = np.diff(places) == 1
    # every other quote opens a field or is the second of a double, and the others close one or are the first
    usual = (opens | beside[:-1])[0::2].all() and (closes | beside[1:])[1::2].all() and len(places) % 2 == 0
    if not usual:
        _walk(call, text, places, opens, closes)
    return bool(opens.any())


def _walk(call: str, text: bytes, places: np.ndarray, opens: np.ndarray, closes: np.ndarray) -> None:
    """Quote by quote, since some stand within fields, such as in 5" pipes."""
    i, n = 0, len(places)
    while i < n:
        if not opens[i]:
            i += 1
            continue
        begin, i = i, i + 1
        while i + 1 < n and places[i + 1] == places[i] + 1:
            i += 2
        if i >= n:
            raise ValueError(
                f"{call}: line {_line(text, places[begin])} opens a quote that is never closed; close it, or complete "
                "the file if it was cut off."
            )
        if not closes[i]:
            first, second = _line(text, places[begin]), _line(text, places[i])
            raise ValueError(
                f"{call}: line {first} opens a quote that is never closed (the next one, in line {second}, is followed "
                "by more text); close it, or double quotes that belong to a value."
            )
        i += 1


def _line(text: bytes, at: int) -> int:
    return text.count(b"\n", 0, int(at)) + 1
