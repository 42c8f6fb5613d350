"""Text files whose header says what they hold: ARFF (Weka), LabVIEW measurements, tables of Campbell loggers (TOA5).

Each becomes names and rows as plain delimited text. What a header declares is not guessed: no row is taken for a
comment, a line of units or a footer.

Sources: Weka manual, attribute-relation file format; National Instruments, specification for the LabVIEW measurement
file (.lvm); Campbell Scientific, data file formats of the CR1000.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

END = "***End_of_Header***"
_ATTRIBUTE = re.compile(
    r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{'"][^\s{]*(?=[\s{]))\s*(.+)""", re.IGNORECASE
)
_NUMBERS, _WORDS = ("numeric", "real", "integer"), ("string", "date", "relational", "{")
_COMMA = re.compile(r"Separator[\t,;\s]\s*Comma[\t,;\s]*", re.IGNORECASE)


class Plain(NamedTuple):
    """A file as plain delimited text.

    Attributes:
        content: in UTF-8.
        names: of all columns, of which no line of the content tells; empty where they are not declared.
        delimiter: of the content, where names are declared.
        decimal: decimal sign that is declared.
        text: columns that the header declares to be text.
        units: by column.
        notes: sentences about the header.
    """

    content: bytes
    names: tuple[str, ...] = ()
    delimiter: str = ","
    decimal: str | None = None
    text: tuple[str, ...] = ()
    units: Mapping[str, str] = MappingProxyType({})
    notes: tuple[str, ...] = ()


def plain_text(call: str, content: bytes, extension: str) -> Plain:
    """A text file without the header of its kind.

    Args:
        call: the call to name in an error.
        content: the whole file in UTF-8.
        extension: of its name.

    Returns:
        Plain delimited text; the content itself where the file has no such header.

    Raises:
        ValueError: the header is damaged, or declares what is no table.
    """
    if extension == ".arff":
        return _arff(call, content.decode())
    if content[:200].split(b"\n")[0].strip(b"\r\t,; ").lower() == b"labview measurement":
        return _lvm(call, content.decode())
    if content.startswith((b"TOA5,", b'"TOA5",')):
        return _toa5(call, content.decode())
    return Plain(content)


def _arff(call: str, content: str) -> Plain:
    names, text, lines = [], [], iter(enumerate(content.splitlines(), 1))
    for number, line in lines:
        word = line.strip()
        if word.lower() == "@data":
            break
        if not word.lower().startswith("@attribute"):
            continue
        found = _ATTRIBUTE.fullmatch(word)
        kind = re.match(r"[a-z]+|\{", found[2].lower()) if found else None
        if found is None or kind is None or kind[0] not in (*_NUMBERS, *_WORDS):
            raise ValueError(
                f"{call}: line {number} declares no attribute with name and type ({word[:60]!r}); mend the header."
            )
        name = found[1]
        if name[0] in "'\"":
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        names.append(name)
        if kind[0] == "relational":
            raise ValueError(f"{call}: line {number} declares tables within a table; export the inner one alone.")
        if kind[0] not in _NUMBERS:
            text.append(name)
    else:
        raise ValueError(f"{call}: there is no line @data; give the whole file.")
    rows = [(number, line.strip()) for number, line in lines if line.strip() and not line.lstrip().startswith("%")]
    if not names or not rows:
        raise ValueError(f"{call}: {len(names)} attributes and {len(rows)} rows; give a file with some of both.")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number, row in rows:
        if row.startswith("{"):
            raise ValueError(f"{call}: line {number} is of a sparse table; save it dense (Weka's SparseToNonSparse).")
        quote = "'" if "'" in row else '"'
        cells = next(csv.reader([row], quotechar=quote, skipinitialspace=True, escapechar="\\"))
        if len(cells) != len(names):
            weighted = re.search(r",\s*\{[^{}]*\}$", row)
            advice = (
                "leave out the weights in braces at the ends of rows"
                if weighted
                else "separate values by commas, and quote those that hold one"
            )
            raise ValueError(
                f"{call}: line {number} has {len(cells)} values, and {len(names)} attributes are declared; {advice}."
            )
        writer.writerow(cell.strip() for cell in cells)
    return Plain(out.getvalue().encode(), tuple(names), decimal=".", text=tuple(text))


def _lvm(call: str, content: str) -> Plain:
    lines = content.splitlines()
    ends = [i for i, line in enumerate(lines) if line.strip().startswith(END)]
    said = [line.rstrip().split("\t") for line in lines[: ends[-1] if ends else 0]]
    sign = "," if any(_COMMA.fullmatch("\t".join(row)) for row in said) else "\t"
    if sign == ",":
        said = [row if len(row) > 1 else row[0].split(",") for row in said]
    keys = {row[0]: [word.strip() for word in row[1:]] for row in said if row}
    if not ends or len(lines) < ends[-1] + 3 or any(line.startswith("Channels") for line in lines[ends[-1] + 1 :]):
        raise ValueError(f"{call}: the LabVIEW file ends within its header; give the whole file.")
    segments = sum(row[0] == "Channels" for row in said if row)
    if segments > 1:
        raise ValueError(
            f"{call}: the LabVIEW file holds {segments} measurements, each with a header; give each its own file."
        )
    names = [name.strip() for name in lines[ends[-1] + 1].split(sign)]
    rows = [line.split(sign) for line in lines[ends[-1] + 2 :] if line.strip()]
    units = keys.get("Y_Unit_Label", [])
    kind = keys.get("X_Columns", ["One"])[0].lower()
    if kind == "multi" and len(names) > 2:  # X of each channel beside its values
        at = [j for j, name in enumerate(names) if name == names[0]]
        names = [f"{name} {at.index(j) + 1}" if j in at[1:] else name for j, name in enumerate(names)]
        spread = [""] * len(names)
        for j, unit in zip((j for j in range(len(names)) if j not in at), units, strict=False):
            spread[j] = unit
    else:
        spread = ["", *units]
    width = max(len(row) for row in rows)
    remark = names[-1] == "Comment" and all(len(row) < len(names) or not row[-1].strip() for row in rows)
    first = 1 if kind == "no" or all(not row[0].strip() for row in rows) else 0
    last = len(names) - 1 if remark else max(len(names), width)
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerows([(row + [""] * last)[first:last] for row in rows])
    decimal = next((word for word in keys.get("Decimal_Separator", []) if word in (",", ".")), None)
    known = {name: unit for name, unit in zip(names, spread, strict=False) if unit}
    notes = [f"The header of LabVIEW, {ends[-1] + 1} lines, is skipped."]
    declared = keys.get("Samples", [""])[0]
    if declared.isdecimal() and int(declared) != len(rows):
        notes.append(f"The header declares {declared} samples, the file holds {len(rows)}.")
    chosen = tuple((names + [""] * last)[first:last])
    return Plain(out.getvalue().encode(), chosen, "\t", decimal, units=known, notes=tuple(notes))


def _toa5(call: str, content: str) -> Plain:
    lines = content.splitlines(keepends=True)
    names, units = (next(csv.reader([line]), []) for line in [*lines, "", "", ""][1:3])
    if len(lines) < 5 or not any(names):
        raise ValueError(
            f"{call}: the file of a Campbell logger ends within its header of 4 lines; give the whole file."
        )
    known = {name: unit for name, unit in zip(names, units, strict=False) if unit not in ("", "TS", "RN")}
    note = "The header of a Campbell logger, 4 lines, is skipped but for names and units."
    return Plain("".join(lines[4:]).encode(), tuple(names), ",", ".", units=known, notes=(note,))
