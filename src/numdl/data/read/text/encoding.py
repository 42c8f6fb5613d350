"""Encodings of text files: which bytes are which characters, and is it text at all?"""

from __future__ import annotations

import codecs
import re

_PIECE = 1 << 24
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SPARSE = 30
"""Bytes of text, at least, for each control character."""


def to_utf8(call: str, raw: bytes) -> tuple[bytes, list[str]]:
    """The text of a file in UTF-8 without byte-order mark.

    UTF-8 and UTF-16 are told by their form, UTF-32 by its mark. What is none of them, and text nevertheless, is
    Windows-1252, which holds Latin-1: this is a guess, so it is told together with the first line that shows it. The
    mark that DOS put at the end of a file, 0x1a, goes; few other control characters are told and stay in their cells,
    where a number with one in it is refused.

    Args:
        call: the call to name in an error.
        raw: the whole file.

    Returns:
        The text in UTF-8, and notes on what is not plain about it.

    Raises:
        ValueError: the file is binary, or UTF-8 in most places and not in others.
    """
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return _decoded(call, raw, "utf-32"), ["The file is read as UTF-32."]
    head = raw[:4096]
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _SPARSE * head.count(0) > len(head):
        return _from_utf16(call, raw), ["The file is read as UTF-16."]
    raw = raw.removeprefix(codecs.BOM_UTF8)
    raw = raw.rstrip(b"\x1a \r\n") + b"\n" if raw.rstrip(b" \r\n").endswith(b"\x1a") else raw
    at = 0 if raw.isascii() else _first_fault(raw)
    notes = _controls(call, raw)
    if raw.isascii() or at is None:
        return raw, notes
    line = _line(raw, at)
    if _MULTIBYTE.search(raw):
        raise ValueError(
            f"{call}: line {line} is not text in UTF-8, but other lines are; mend that line, or save the file anew "
            "with the encoding UTF-8."
        )
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{call}: line {_line(raw, error.start)} is text neither in UTF-8 nor in Windows-1252; save the file with "
            "the encoding UTF-8."
        ) from None
    shown = text.split("\n")[line - 1].strip()
    start = max(0, next((i for i, sign in enumerate(shown) if ord(sign) > 127), 0) - 20)
    note = f"The file is read as Windows-1252, since line {line} is not UTF-8 ({shown[start : start + 40]!r})."
    return text.encode(), [note, *notes]


def _controls(call: str, raw: bytes) -> list[str]:
    """A note on control characters, which text holds by accident and in few places."""
    found = [(match.start(), match[0][0]) for match in _BINARY.finditer(raw, 0, _PIECE)]
    if not found:
        return []
    at, byte = found[0]
    line, holds = _line(raw, at), f"holds the byte {byte:#04x}"
    if _SPARSE * len(found) > min(len(raw), _PIECE) or b"\0" in raw:
        raise ValueError(
            f"{call}: line {line} {holds}, so the file is not text; give the extension that says what it is, or save "
            "it as CSV."
        )
    more = f", and {len(found) - 1} more such bytes follow" if len(found) > 1 else ""
    return [f"Line {line} {holds}, which is no printed character{more}: read as part of the entry."]


def _from_utf16(call: str, raw: bytes) -> bytes:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    else:
        even, odd = raw[0:4096:2].count(0), raw[1:4096:2].count(0)
        if min(even, odd) > 0.1 * max(even, odd):
            raise ValueError(
                f"{call}: the file holds zero bytes, so it is not text in UTF-8 or UTF-16; save it as CSV with the "
                "encoding UTF-8."
            )
        name = "utf-16-le" if odd > even else "utf-16-be"
    return _decoded(call, raw, name)


def _decoded(call: str, raw: bytes, name: str) -> bytes:
    try:
        return raw.decode(name).encode()
    except UnicodeError:
        raise ValueError(
            f"{call}: the file begins as text in {name[:6].upper()} and is damaged later; save it as CSV with the "
            "encoding UTF-8."
        ) from None


def _first_fault(raw: bytes) -> int | None:
    """Position of the first byte that is not UTF-8; in pieces, so that no second copy of a large file is made."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(raw), _PIECE):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(raw[start : start + _PIECE], final=start + _PIECE >= len(raw))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None


def _line(raw: bytes, at: int) -> int:
    return raw.count(b"\n", 0, at) + 1
