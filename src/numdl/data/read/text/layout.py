"""Layout of text tables: where do names, units and rows begin, what separates columns, and which sign is decimal?

The layout is guessed from the first lines only, never from the whole file:

* delimiter: what a first line ``sep=;`` says, else the one of tab, ``;``, ``,``, ``|`` (and runs of blanks, for
  ``.txt``, ``.dat`` and ``.data``) that cuts the longest run of lines into the same number of at least two fields. The
  semicolon comes before the comma because files with decimal commas use it.
* title: lines before this run that are narrower are no part of the table, nor are lines that begin with a word where
  the rows begin with a number or date, as the settings of an oscilloscope do, but for names and units. Lines as wide as
  the table are settings only where something else says so: narrower ones among them, a blank line or known units below
  them, a name such as time in front of the header, or, without a header, first numbers in equal steps.
* comments: lines that start with ``#``, or ``%`` and a blank, before the data are skipped, and those that start with
  ``//``, or ``!`` and a blank, unless they are as wide as the rows; the last one is the header if it has as many
  fields as the data.
* header: the first line, unless all its fields are numbers; then the names are ``column0``, ``column1``, ... Where
  the line may be either, it is asked for and not guessed.
* words over several columns each: a line above the names with gaps; its words tell apart names that repeat.
* units: the line below the header, if it holds words where all lines below hold numbers. A line of numbers of
  channels below them, 0, 1, 2, ... or from 1, is skipped unless the first column goes on evenly from it.

Where the header of a file declares names and delimiter (`declared`), none of this is guessed.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from numdl.data.table.dates import is_date
from numdl.data.table.notation import KNOWN_UNITS, MISSING
from numdl.data.table.table import same_name

_SAMPLE_BYTES = 1 << 16
_SAMPLE_LINES = 50
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_NUMERAL = re.compile(
    r"[+\-\u2212]?(?:\d[\d.,' \u00a0]*|[.,]\d+)(?:[eEdD][+-]?\d+)?|[+-]?(?:inf|infinity)", re.IGNORECASE
)
_COMMENT = re.compile(r"\s*(?:#|%+(?=\s|$))")
_REMARK = re.compile(r"\s*(?://|!(?=\s|$))")
"""Signs of comments that values begin with as well."""
_AXIS = re.compile(r"(?:time|zeit|frequency|frequenz|wavelength)\b.*", re.IGNORECASE)
"""First names of what instruments record."""
_UNIT = re.compile(r"1/[^\s\d]{1,8}|[\[(<].{0,14}[\])>]|[^\W\d_][^\s\d]{0,11}(?:[\d²³/^*·].{0,8})?|[%‰°µΩ€$£#].{0,8}")
_POINT = re.compile(r"[+-]?(?:\d*|\d{1,3}(?:,\d{3})*)\.\d+(?:[eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d*|\d{1,3}(?:\.\d{3})*),\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")


SUMMARY = re.compile(
    r"(?:(?:grand|sub)?[ -]?totals?|sum|mean|average|avg|median|std\.?(?: ?dev\.?)?|stdev|standard deviation|"
    r"mittelwert|durchschnitt|summe|gesamt|standardabweichung|stabw)[ .:]*",
    re.IGNORECASE,
)
"""Words for rows below a table that sum it up."""

EXTREME = re.compile(r"(?:min|max|minimum|maximum|mittel|count|anzahl|n|sd|\u03c3|\u00f8|range)[ .:]*", re.IGNORECASE)
"""Further ones, which are names and classes as well."""


class Layout(NamedTuple):
    """What the first lines say about a text table.

    Attributes:
        delimiter: one character; a blank means "runs of blanks".
        names: column names.
        start: bytes before the first data row.
        decimal: "." or ",", None if no number shows it.
        units: unit by column name, from a line below the header.
        notes: sentences about what was skipped.
    """

    delimiter: str
    names: tuple[str, ...]
    start: int
    decimal: str | None
    units: dict[str, str]
    notes: tuple[str, ...]


class _Record(NamedTuple):
    """Fields of one row, and the number of lines up to its end."""

    fields: list[str]
    end: int


def sniff(call: str, text: bytes, *, blanks: bool = False, header: bool | None = None) -> Layout:
    """Guess the layout of a text table from its first lines.

    Args:
        call: the call to name in an error.
        text: the whole file in UTF-8.
        blanks: whether runs of blanks may separate columns.
        header: whether the first line holds names; None guesses.

    Returns:
        The layout.

    Raises:
        ValueError: only blank lines, or a first line that may hold names or numbers.
    """
    lines = _sample(text)
    told = _SEPARATOR.fullmatch(lines[0]) if lines else None
    begin = 1 if told else 0
    start = next((i for i in range(begin, len(lines)) if _is_data(lines[i])), len(lines))
    remarks = _remarks(lines, start, told[1] if told else None, blanks)
    start = remarks[-1] + 1 if remarks else start
    while start < len(lines) and not _is_data(lines[start]):
        start += 1
    comment = next((i for i in reversed(range(begin, start)) if lines[i].strip()), None)
    if start == len(lines):
        if comment is None:
            raise ValueError(
                f"{call}: the file holds only blank lines; give a file with a header line and rows of data."
            )
        start = comment
    delimiter = told[1] if told else _delimiter(lines[start:], blanks)
    records = [
        _Record(record.fields, record.end + start)
        for record in itertools.islice(_records(lines[start:], delimiter), 3 * _SAMPLE_LINES)
    ]
    if _COMMENT.match(lines[start]):
        records[0].fields[0] = _COMMENT.sub("", records[0].fields[0], count=1).strip()
    top = _top(lines, records, header)
    table = records[top:]
    notes = (
        [f"{'One line' if top == 1 else f'{top} lines'} above the table skipped ({records[0].fields[0][:40]!r})."]
        if top
        else []
    )
    rows = [record.fields for record in table]
    over: list[str] = records[top - 1].fields if top and table[0].end - records[top - 1].end == 1 else []
    grouped = header is None and _grouped(rows)
    if grouped:
        over, table, rows = rows[0], table[1:], rows[1:]
    size = [0, *itertools.accumulate(len(line.encode()) for line in lines)]
    first = size[_line_of(lines, records[top - 1].end)] if top else size[start]
    width = len(rows[0])
    decimal = _decimal(rows[1:] or rows, delimiter)
    if comment is not None and comment != start and header is None and any(map(is_numeral, rows[0])):
        # numpy.savetxt and others put names into a comment, often with blanks between them whatever the delimiter
        title = _COMMENT.sub("", lines[comment], count=1)
        title = _REMARK.sub("", title, count=1) if comment in remarks else title
        fitting = [cut for cut in (fields(title, delimiter), fields(title, " ")) if len(cut) == width > 1]
        if fitting:
            notes = [*_skipped(lines, [i for i in remarks if i != comment]), *notes]
            return Layout(delimiter, _named(fitting[0]), first, decimal, {}, tuple(notes))
    notes = [*_skipped(lines, remarks), *notes]
    if not (has_header(call, rows) if header is None else header):
        return Layout(delimiter, _named([""] * width), first, decimal, {}, tuple(notes))
    rows[0], joined = apart(rows[0], over)
    notes += joined or ([f"The line above the names is skipped ({over[0][:40]!r})."] if grouped else [])
    names = _named(rows[0])
    found = unit_row(rows)
    units = {name: unit for name, unit in zip(names, found, strict=False) if unit}
    if found:
        notes.append(f"The line below the header is read as units ({', '.join(list(units.values())[:4])}).")
    last = 1 if found else 0
    if found and _numbered(rows):
        notes.append(f"The line of numbers of channels below the units is skipped ({', '.join(rows[2][:4])}).")
        last = 2
    return Layout(delimiter, names, size[table[last].end], decimal, units, tuple(notes))


def declared(text: bytes, delimiter: str, names: Sequence[str], decimal: str | None) -> Layout:
    """The layout of rows whose names are declared elsewhere.

    Args:
        text: the rows in UTF-8.
        delimiter: one character.
        names: of the columns.
        decimal: the sign that is declared, None without; what the first rows show goes before it.

    Returns:
        The layout.
    """
    rows = [record.fields for record in itertools.islice(_records(_sample(text), delimiter), 3 * _SAMPLE_LINES)]
    return Layout(delimiter, _named(names), 0, _decimal(rows, delimiter) or decimal, {}, ())


def fields(line: str, delimiter: str) -> list[str]:
    """Cut one line.

    Args:
        line: one physical line.
        delimiter: one character; a blank means "runs of blanks".

    Returns:
        The fields, stripped and without their quotes.
    """
    return next(iter(_records([line], delimiter)), _Record([], 1)).fields


def has_header(call: str, rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of some rows holds names and not values.

    Args:
        call: the call to name in an error.
        rows: fields of the first rows.

    Returns:
        True for names, False for values.

    Raises:
        ValueError: it may hold either.
    """
    head, body = rows[0], rows[1:]
    present = [j for j, word in enumerate(head) if word not in MISSING]
    numbers = {j for j in present if is_numeral(head[j])}
    whole = all(re.fullmatch(r"\d{1,9}", head[j]) for j in numbers)
    if whole and unit_row(rows) and (len(numbers) < len(present) or _known_units(rows[1])):
        return True
    if not numbers:
        return True
    if len(numbers) == len(present):
        if not _counts([head[j] for j in present]):
            return False
    elif not body or any(_all_numerals(body, j) for j in present if j not in numbers):
        return True
    shown = ", ".join(head[:5]) + (", ..." if len(head) > 5 else "")
    raise ValueError(
        f"{call}: the first line ({shown}) may hold names or values; say which with --header or --no-header "
        "(header=True or header=False)."
    )


def unit_row(rows: Sequence[Sequence[str]]) -> list[str]:
    """The units in the row below a header.

    Args:
        rows: fields of the first rows, header included.

    Returns:
        A unit or "" for each column; an empty list if this row is no row of units.
    """
    if len(rows) < 3 or len(rows[1]) != len(rows[0]):
        return []
    row, again = rows[1], (rows[0], rows[1])  # files that were joined as they are repeat both
    body = [other for other in rows[2:] if len(other) == len(rows[0]) and not _below(other) and other not in again]
    numeric = [j for j in range(len(row)) if _all_numerals(body, j)]
    others = set(range(len(row))) - set(numeric)
    words = [row[j] for j in numeric if row[j] not in MISSING]
    if not words or not all(_UNIT.fullmatch(word) for word in words) or any(is_numeral(row[j]) for j in numeric):
        return []
    bare = all(row[j] in MISSING or row[j][:1] in "[(" for j in others)
    if len(numeric) < 2 and not bare:
        return []
    return ["" if word in MISSING else word.strip("[]()<> ") for word in row]


def apart(names: Sequence[str], over: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names below cells that stand over several columns, as ``Front`` and ``Rear`` over ``T, p, T, p``.

    Args:
        names: of the columns; some may repeat.
        over: the line above them; where it is empty, the word to the left counts. Numbers are no such words.

    Returns:
        The names, repeated ones with the word above them in front if that tells them apart, and a note if so.
    """
    times = Counter(name for name in names if name)
    words = list(itertools.accumulate(over, lambda last, word: word or last))
    words += words[-1:] * (len(names) - len(words))
    pairs = zip(names, words or names, strict=False)
    found = [f"{word} {name}" if times[name] > 1 and words and word else name for name, word in pairs]
    filled = [name for name in found if name]
    bare = any(times[name] > 1 and not word for name, word in zip(names, words, strict=False))
    if found == list(names) or len(set(filled)) < len(filled) or bare or any(map(is_numeral, _filled(over))):
        return list(names), []
    first = next(name for name, before in zip(found, names, strict=True) if name != before)
    return found, [f"Names that repeat have the word above them in front ({first})."]


def _grouped(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the second line holds the names, and the first words that stand over several columns each."""
    if len(rows) < 3 or len(rows[1]) != len(rows[0]) or len(rows[0]) < 3:
        return False
    head, names = rows[0], rows[1]
    gaps = [j for j, word in enumerate(head) if not word and j and names[j]]
    words = [*_filled(head), *_filled(names)]
    if not (gaps and head[0] and all(names)) or any(map(is_numeral, words)):
        return False
    if any(name in MISSING for name in names) or not (apart(names, head)[1] or unit_row(rows[1:])):
        return False
    if 2 * sum(name in KNOWN_UNITS for name in names) > len(names) or _known_units(names):
        return False
    body = rows[2:]
    numeric = sum(_all_numerals(body, j) or _all_numerals(body[1:], j) for j in range(len(names)))
    return numeric >= 2 and all(_all_numerals(body, j) or _all_numerals(body[1:], j) for j in gaps)


def _known_units(row: Sequence[str]) -> bool:
    """Whether all words of a row are units in brackets or well-known ones, not only words that may be units."""
    words = [word for word in row if word not in MISSING]
    return bool(words) and all(word in KNOWN_UNITS or re.fullmatch(r"[\[(].{0,14}[\])]", word) for word in words)


def _below(row: Sequence[str]) -> bool:
    """Whether a row sums up those above, or holds one remark."""
    alone = len(row) > 2 and len(_filled(row)) == 1 and not is_numeral(_filled(row)[0])
    return alone or bool(SUMMARY.fullmatch(row[0]) or EXTREME.fullmatch(row[0]))


def is_numeral(word: str) -> bool:
    """Whether a word is a number in any notation, without a unit."""
    return bool(_NUMERAL.fullmatch(word.strip()))


def _sample(text: bytes) -> list[str]:
    """The first lines, whole, with their ends."""
    end = _SAMPLE_BYTES
    while end < len(text) and text.count(b"\n", 0, end) + text.count(b"\r", 0, end) < 8:
        end *= 4
    lines = text[:end].splitlines(keepends=True)
    if end < len(text):
        lines = lines[:-1]
    return [line.decode() for line in lines]


def _remarks(lines: list[str], start: int, delimiter: str | None, blanks: bool) -> list[int]:
    """Lines above the table, from ``start`` on, with a sign of comments in front and of another width than the rows."""
    end = next((i for i in range(start, len(lines)) if _is_data(lines[i]) and not _REMARK.match(lines[i])), len(lines))
    if end in (start, len(lines)):
        return []
    delimiter = delimiter or _delimiter(lines[end:], blanks)
    widths = [len(record.fields) for record in itertools.islice(_records(lines[end:], delimiter), _SAMPLE_LINES)]
    usual = {widths[0], max(widths, key=widths.count)} if widths else set()
    found = []
    for i in (i for i in range(start, end) if _is_data(lines[i])):
        if len(fields(lines[i], delimiter)) in usual:
            break
        found.append(i)
    return found


def _skipped(lines: list[str], remarks: list[int]) -> list[str]:
    if not remarks:
        return []
    count = "One comment" if len(remarks) == 1 else f"{len(remarks)} comments"
    return [f"{count} above the table skipped ({lines[remarks[0]].strip()[:40]!r})."]


def _is_data(line: str) -> bool:
    return bool(line.strip()) and not _COMMENT.match(line)


def _records(lines: Iterable[str], delimiter: str) -> Iterator[_Record]:
    """Rows that are not blank; those that a quote without end makes too long end the sample.

    Yields:
        Fields without their quotes, and the number of lines up to the end of the row.
    """
    if delimiter == " ":
        lines = (" ".join(line.split()) for line in lines)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            row = [field.strip() for field in next(reader)]
        except (StopIteration, csv.Error):
            return
        if any(row) or len(row) > 1:
            yield _Record(row, reader.line_num)


def _delimiter(lines: list[str], blanks: bool) -> str:
    best, longest = ",", 0
    for delimiter in ("\t", ";", ",") + ((" ",) if blanks else ()) + ("|",):
        records = itertools.islice(_records(lines, delimiter), _SAMPLE_LINES)
        runs = [(width, len(list(run))) for width, run in itertools.groupby(len(record.fields) for record in records)]
        run = max((length for width, length in runs if width > 1), default=0)
        if run > longest and (delimiter != "|" or len(runs) == 1):  # bars stand within entries as well
            best, longest = delimiter, run
    return best


def _top(lines: list[str], records: list[_Record], header: bool | None) -> int:
    """Number of records above the table: narrower ones before the longest run of equal width."""
    runs = [
        (width, len(list(run)))
        for width, run in itertools.groupby(len(_filled(r.fields)) and len(r.fields) for r in records)
    ]
    at = max(range(len(runs)), key=lambda i: (runs[i][0] > 1) * runs[i][1])
    above = sum(length for _, length in runs[:at])
    width = runs[at][0]
    blank = [record.end < len(lines) and not lines[record.end].strip() for record in records]
    if settings := _settings([record.fields for record in records[: above + runs[at][1]]], above, blank, header):
        return settings
    titles = [record.fields for record in records[:above]]
    if not above or width < 2 or any(len(_filled(title)) >= width for title in titles):
        return 0
    if all(map(is_numeral, _filled(records[above].fields))) and len(titles) == 1:
        return 0
    apart = not lines[records[above - 1].end].strip() if records[above - 1].end < len(lines) else False
    alone = all(len(_filled(title)) == 1 and not is_numeral(_filled(title)[0]) for title in titles)
    return above if alone or apart or (len(titles) > 1 and not any(map(is_numeral, titles[0]))) else 0


def _settings(rows: list[list[str]], above: int, blank: list[bool], header: bool | None) -> int:
    """Number of lines with settings, each under a word of its own, above a header and rows that begin with numbers.

    Rows are those up to the end of the table; ``above`` of them are of other widths; ``blank`` says below which stands
    a blank line. Words above rows of numbers may as well be rows of a table with two kinds of names: unless the lines
    differ in width, a blank line or known units stand below them, or the header begins with a name such as time, they
    are.
    """
    begins = [bool(row) and (is_numeral(row[0]) or is_date(row[0])) for row in rows]
    first = len(rows) - next((i for i, number in enumerate(reversed(begins)) if not number), len(rows))
    if len(rows) - first < max(first, 3) and len(rows) - first < _SAMPLE_LINES:
        return 0  # the rows are too few to tell
    if (
        header is None
        and not above
        and first > 2
        and any(map(is_numeral, rows[0]))
        and _clocked([row[0] for row in rows[first:]])
    ):
        words = [row[0] for row in rows[:first]]
        if len(set(words)) == len(words) and not any(word in MISSING for word in words):
            named = len(words[-1]) < 3 or _AXIS.fullmatch(words[-1])  # else the rows have no header
            return first - bool(named and not any(map(is_numeral, _filled(rows[first - 1]))))
    head = max(first - 1, above)
    upper = rows[head - 1] if head > above else []
    units = (
        len(_filled(upper)) >= len(_filled(rows[head])) > 0
        and not blank[head - 1]
        and not any(map(is_numeral, _filled(upper)))
        and not _AXIS.fullmatch(rows[head][0])
        and _known_units(rows[head])
        and bool(unit_row(rows[head - 1 :]))
    )
    head -= units
    width = len(rows[-1])
    apart = any(len(row) != width for row in rows[:head]) or (head > 0 and blank[head - 1]) or not rows[0][-1]
    if not first or not (apart or units or _AXIS.fullmatch(rows[head][0])) or not _names(rows[head], rows[first:]):
        return 0
    words = [row[0] for row in rows[:head] if row and row[0]]
    several = len(words) > 2 and len(set(words)) > 0.7 * len(words)
    measured = any(_all_numerals(rows[first:], j) for j in range(1, len(rows[-1])))
    # names in the first column, of which the last ones are numbers, stand beside numbers as well
    named = not any(map(is_numeral, _filled(rows[head])))
    return head if measured and named and several and not any(begins[:first]) else 0


def _clocked(words: list[str]) -> bool:
    """Whether numbers with fractions go on in equal steps, as times that an instrument samples do and names do not."""
    try:
        times = [float(word.replace(",", ".")) for word in words]
    except ValueError:
        return False
    step = (times[-1] - times[0]) / max(len(times) - 1, 1)
    digits = max(len(word.partition(".")[2].partition("e")[0]) for word in words) if words else 0
    even = all(abs(b - a - step) <= 0.1 * step for a, b in itertools.pairwise(times))
    return len(times) > 7 and step > 0 and even and digits > 0 and any(time % 1 for time in times)


def _names(head: list[str], body: list[list[str]]) -> bool:
    """Whether words are all there, but for columns without entries, and all different."""
    words = [word for j, word in enumerate(head) if word or any(j < len(row) and row[j] for row in body)]
    return not any(word in MISSING for word in words) and len(set(words)) == len(words)


def _filled(row: Sequence[str]) -> list[str]:
    return [field for field in row if field]


def _line_of(lines: list[str], at: int) -> int:
    """The first line from ``at`` on that is not blank."""
    return next((i for i in range(at, len(lines)) if lines[i].strip()), at)


def _all_numerals(body: Sequence[Sequence[str]], j: int) -> bool:
    words = [row[j] for row in body if j < len(row) and row[j] not in MISSING]
    return bool(words) and all(map(is_numeral, words))


def _counts(head: list[str]) -> bool:
    """Whether numbers are three or more whole ones in equal steps, such as years."""
    if len(head) < 3 or not all(re.fullmatch(r"\d{1,9}", word) for word in head):
        return False
    steps = {int(b) - int(a) for a, b in itertools.pairwise(head)}
    return len(steps) == 1 and steps.pop() > 0


def _numbered(rows: list[list[str]]) -> bool:
    """Whether the line below the units counts the columns from 0 or 1, all of which hold fractions.

    Not where the first column goes on evenly from it: then it is the first row.
    """
    body = rows[3:]
    if len(body) < 3 or not _counts(rows[2]) or rows[2][:2] not in (["0", "1"], ["1", "2"]):
        return False
    try:
        before, after, next_one = (float(row[0].replace(",", ".")) for row in rows[2:5])
    except ValueError:
        return False
    return abs((after - before) - (next_one - after)) > 1e-3 * abs(next_one - after) and all(
        any(re.search(r"\d[.,]\d", row[j]) for row in body if j < len(row)) for j in range(len(rows[2]))
    )


def _decimal(rows: list[list[str]], delimiter: str) -> str | None:
    # 1,234 and 1.234 show nothing, since they may be groups of digits
    words = {field for row in rows for field in row if not _THOUSANDS.fullmatch(field)}
    comma, point = any(map(_DECIMAL_COMMA.fullmatch, words)), any(map(_POINT.fullmatch, words))
    return None if comma == point else "," if comma else "."


def _named(head: Sequence[str]) -> tuple[str, ...]:
    return tuple(same_name(name) or f"column{i}" for i, name in enumerate(head))
