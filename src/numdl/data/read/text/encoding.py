"""Encodings of text files: which bytes are which characters, and is it text at all?"""

from __future__ import annotations

import codecs
import re

_PIECE = 1 << 24
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def to_utf8(call: str, raw: bytes) -> tuple[bytes, list[str]]:
    """The text of a file in UTF-8 without byte-order mark.

    UTF-8 and UTF-16 are told by their form. What is neither, and text nevertheless, is Windows-1252, which holds
    Latin-1: this is a guess, so it is told together with the first line that shows it.

    Args:
        call: the call to name in an error.
        raw: the whole file.

    Returns:
        The text in UTF-8, and a note if it was in another encoding.

    Raises:
        ValueError: the file is binary, or UTF-8 in most places and not in others.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw[:4096]:
        return _from_utf16(call, raw), ["The file is read as UTF-16."]
    raw = raw.removeprefix(codecs.BOM_UTF8)
    at = 0 if raw.isascii() else _first_fault(raw)
    control = _BINARY.search(raw, 0, _PIECE)
    if control is not None:
        raise ValueError(
            f"{call}: line {_line(raw, control.start())} holds the byte {control[0][0]:#04x}, so the file is not text; "
            "give the extension that says what it is, or save it as CSV."
        )
    if raw.isascii() or at is None:
        return raw, []
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
    return text.encode(), [note]


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
    try:
        return raw.decode(name).encode()
    except UnicodeError:
        raise ValueError(
            f"{call}: the file begins as text in UTF-16 and is damaged later; save it as CSV with the encoding UTF-8."
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
