"""Notations of numbers: is a column of words a column of numbers, in which notation, and what are its values?

A column is read as numbers where one notation explains every word of it: a decimal point or comma, groups of three
digits (``1,234.5``, ``1.234,5``, ``1 234``, ``1'234``), exponents of FORTRAN (``1.0D+03``), powers of ten (``10^3``,
``1.5x10^3``), a minus sign of typography, digits of full width, hexadecimal digits (``0x1F``, ``1Fh``), and one unit,
percent sign or currency that all words carry; ``5 %`` is 5. Words that look like numbers without being explained, such
as ``<0.05`` or ``5 mm`` above ``3 cm``, are never categories: the column has a `Reading.problem`. ``10+`` is one of
them, and ``1Fh`` a number, only among more than `MANY_NUMBERS` different words; fewer are categories.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

import numpy as np

from numdl.data.table.dates import is_date

_MISSING = (
    "|#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null|NaT|-|--|"
    "---|?|.|<null>|<none>|NAN|n.a.|N/a|#DIV/0!|#VALUE!|#REF!|#NUM!|#NAME?|#NULL!"
)
MISSING = frozenset(_MISSING.split("|"))
"""Words that stand for a missing entry: those of pandas, and those of spreadsheets and instruments."""

MANY_NUMBERS = 10
"""Different numbers above which a column of words is no set of categories that happen to be digits."""

_WIDE = "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff0e\uff0c\uff0b\uff05"
_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ", "\u2019": "'"}) | str.maketrans(
    _WIDE, "0123456789.,+%"
)
_HEX = re.compile(r"[+-]?0[xX][0-9a-fA-F]+")
_HEX_H = re.compile(r"[0-9][0-9A-F]*[hH]")
"""Hexadecimal numbers of programs, and of assemblers, which begin with a digit."""
_OR_MORE = re.compile(r"[+-]?\d[\d.,]*\s?\+")
_MINUS = re.compile("^[\u2212\u2013\u2012\uff0d](?=[\\d.,])|(?<=[eEdD^(])[\u2212\u2013]")
_LIKE = re.compile(
    r"(?P<qualifier>[<>≤≥~≈±]|<=|>=)?\s*(?P<prefix>[€$£¥₹]|(?:EUR|USD|GBP|CHF|JPY)(?=\s))?\s*"
    r"(?P<number>[+-]?(?:\d[\d.,' ]*|[.,]\d+)(?:[eEdD] ?[+-]?\d+)?)"
    r"(?P<gap>\s*)(?P<unit>(?![eEdD] ?[+-]?\d|[eE][+-])/?[^\W\d_][^\d\s]{0,11}(?:[²³⁻¹/^*·-]+[^\s]{0,8})?|"
    r"[%‰°€$£¥₹Ωµ][^\d\s]{0,8})?"
)
_SIMPLE = r"\d[\d.,]*(?:[eE][+-]?\d+)?"
_OTHER = re.compile(
    rf"\([\d.,' ]*\d\)|[+-]?{_SIMPLE} ?/ ?\d[\d.,]*|[+-]?{_SIMPLE}\s*(?:±|\+/-)\s*\d[\d.,]*|"
    rf"[+-]?{_SIMPLE}\(\d+\)(?:[eE][+-]?\d+)?|[+-]?\d+[.,]\d*(?:[eE][+-]?\d+)?[ij]|[+-]?\d+ ?[×⋅·] ?10\d+|"
    rf"\(?[+-]?{_SIMPLE}\s*[+-]\s*(?:[ij]\*?{_SIMPLE}|{_SIMPLE}\*?[ij])\)?|[+-]?{_SIMPLE}\s*∠\s*[+-]?{_SIMPLE}°?|"
    r"[+-]?\d+ ?[°º] ?\d+ ?['′].*|\d+ ?(?:d|h|min|m) ?\d+ ?(?:h|min|m|s).*|\d+[kKMRuµnp]\d+"
)
"""Fractions, uncertainties, complex numbers, lost exponents, degrees with minutes, times in several units."""

_FRACTION = re.compile(r"(?<![\d.,])\d+[.,]\d+(?![\d.,])")
_NUMERAL = re.compile(r"\d[\d.,]*")
_BESIDE, _FORMS = 6, 3
"""Signs beside the digits of a word, and forms of the words of a column, up to which they may be a notation."""

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_POWER = re.compile(
    r"(?:(?<=[\d.,])\s*[xX×*·⋅]\s*|^(?=10)|(?<=^[+-]))10(?:(?:\^|\*\*)\s*\(?([+-]?\d+)\)?|([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))"
)
_UNITS = (
    "mm cm m km nm um in ft s ms us min h d K C F N kN MN Nm kNm Pa hPa kPa MPa GPa bar mbar psi V mV kV A mA W kW MW "
    "mW J kJ Hz kHz MHz GHz g mg kg t rpm ppm dB l ml L mol Ohm kOhm deg rad m/s km/h m/s2 mm/s l/min kg/h g/s EUR "
    "USD mm2 cm2 m2 m3 mm3 cm3"
)
KNOWN_UNITS = frozenset(_UNITS.split())
"""Units that are told from names."""

_SAMPLE = 200
"""Words that are looked at before all are."""

_LETTERS = frozenset({"EUR", "USD", "GBP", "CHF", "JPY", "INF", "NAN"})
"""Letters that numbers may begin with; most of what text holds begins with others."""

_WHOLE = re.compile(r"[+-]?\d+")
_SIGNS = "%‰°€$£¥₹Ωµ"
_TAIL = r"(?:[eE] ?[+-]?\d+)?"
_GROUPED = {
    (decimal, group): re.compile(
        rf"[+-]?(?:[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+|\d*)(?:{re.escape(decimal)}\d*)?{_TAIL}"
    )
    for decimal, groups in ((".", ", '"), (",", ". '"))
    for group in groups
}


@dataclass(frozen=True)
class Reading:
    """What a column of words is.

    Attributes:
        values: float64 (n,) with NaN where an entry is missing, or None if the column is no column of numbers.
        unit: the unit that each word carries, "" without one.
        notation: what is unusual about the words, as parts of a sentence.
        problem: row (from 0) and reason where words look like numbers and cannot be read, else None.
        identifier: whether the words are whole numbers beyond 2^53, which name things and measure nothing.
    """

    values: np.ndarray | None
    unit: str = ""
    notation: tuple[str, ...] = ()
    problem: tuple[int, str] | None = None
    identifier: bool = False


@dataclass
class _Words:
    """The different words of a column, each with its first row and how often it occurs."""

    rows: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


def is_missing(word: str | None) -> bool:
    """Whether an entry of a column of words is missing."""
    return word is None or word in MISSING


def plain_number(word: str) -> float | None:
    """The value of a word in the notation of programming languages, or None."""
    if "_" in word:  # Python takes 1_000 for a number, no file format does
        return None
    try:
        return float(word)
    except ValueError:
        return None


def interpret(words: np.ndarray, decimal: str | None = None) -> Reading:
    """Decide what a column of words is, from all of them.

    Args:
        words: object (n,) of ``str`` and None.
        decimal: "." or "," where other columns of the file show it, and decides what 1,234 and 1.234 are.

    Returns:
        Its values if one notation explains every word, the problem if the words are numbers in none, else neither.
    """
    found = _different(words)
    if not found.rows:
        return Reading(None)
    if _beyond(found):
        return Reading(None, identifier=True)
    if decimal != ",":
        plain: dict[str, float | None] = {}
        for word in found.rows:
            plain[word] = plain_number(word)
            if plain[word] is None:
                break
        else:
            return Reading(_spread(words, plain))
    if (hexadecimal := _hexadecimal(found)) is not None:
        return Reading(_spread(words, hexadecimal), notation=("hexadecimal digits",))
    few = list(itertools.islice(found.rows, _SAMPLE))
    if sum(map(is_date, few)) > 0.5 * len(few):
        return Reading(None)
    possible = [word for word in found.rows if not (word[0].isalpha() and word[:3].upper() not in _LETTERS)]
    parts: dict[str, re.Match[str] | None] = dict.fromkeys(found.rows)
    parts |= {word: _as_number(word) for word in possible}
    usual, several = _usual_unit(parts, found), len(found.rows) > MANY_NUMBERS
    like = {word for word in possible if _counts_as_number(word, parts[word], usual, several)}
    if not _meant_as_numbers(like, found):
        strange = _strange(found)
        return (
            _refused(found.rows[strange], f"{strange!r} is in no known notation of numbers")
            if strange
            else Reading(None)
        )
    for word in found.rows:
        if word not in like:
            return _refused(found.rows[word], f"{word!r} is not a number")
    return _explain(words, found, parts, decimal)


def _hexadecimal(found: _Words) -> dict[str, float | None] | None:
    """The values of hexadecimal numbers, beside whole ones.

    As ``1Fh`` only where they are many, of one length and unlike days and hours.
    """
    of_programs = [word for word in found.rows if _HEX.fullmatch(word)]
    if of_programs and all(_HEX.fullmatch(word) or _WHOLE.fullmatch(word) for word in found.rows):
        whole = {word: int(word, 16 if _HEX.fullmatch(word) else 10) for word in found.rows}
        return (
            {word: float(value) for word, value in whole.items()} if max(map(abs, whole.values())) < 1 << 53 else None
        )
    of_assemblers = all(map(_HEX_H.fullmatch, found.rows)) and len({len(word) for word in found.rows}) == 1
    if of_assemblers and len(found.rows) > MANY_NUMBERS and any(re.search("[A-CEF]", word) for word in found.rows):
        of_words = {word: int(word[:-1], 16) for word in found.rows}
        return {word: float(value) for word, value in of_words.items()} if max(of_words.values()) < 1 << 53 else None
    return None


def _different(words: np.ndarray) -> _Words:
    found = _Words()
    for row, word in enumerate(words):
        if word in found.counts:
            found.counts[word] += 1
        elif word is not None and word not in MISSING:
            found.rows[word], found.counts[word] = row, 1
    return found


def _beyond(found: _Words) -> bool:
    """Whether all words are whole numbers, and one cannot be told from its neighbours as float64."""
    if max(map(len, found.rows)) < 16 or not all(map(_WHOLE.fullmatch, found.rows)):
        return False
    return max(abs(int(word)) for word in found.rows) > 1 << 53


def _plain_signs(word: str) -> str:
    if not word.isascii():
        word = _MINUS.sub("-", word.translate(_BLANKS))
    if "10" in word:
        word = _POWER.sub(_with_e, word.strip())
    return word.strip()


def _with_e(power: re.Match[str]) -> str:
    """A power of ten as programs write it, with a mantissa where it has none."""
    alone = power.string[: power.start()] in ("", "+", "-")
    return ("1" if alone else "") + f"e{(power[1] or power[2]).translate(_SUPERSCRIPT)}"


def _as_number(word: str) -> re.Match[str] | None:
    """The parts of a word that looks like a number with its unit, or None.

    Times such as ``1d 2h`` are no exponents of FORTRAN: before a unit there are none with D or a blank.
    """
    word = _plain_signs(word)
    match = None if _OTHER.fullmatch(word) else _LIKE.fullmatch(word)
    return None if match and match["unit"] and re.search("[dD]|[eE] ", match["number"]) else match


def _usual_unit(parts: dict[str, re.Match[str] | None], found: _Words) -> str:
    """The unit that all numbers of a column carry, "" if they do not."""
    units = {_unit(match) for match in parts.values() if match}
    return units.pop() if len(units) == 1 and all(parts[word] for word in found.rows) else ""


def _unit(match: re.Match[str]) -> str:
    return match["prefix"] or match["unit"] or ""


def _counts_as_number(word: str, match: re.Match[str] | None, usual: str, several: bool) -> bool:
    """Whether a word is a number and not a name with a digit in front, such as 12a or 4WD."""
    if match is None:
        plain = _plain_signs(word)
        more = several and _OR_MORE.fullmatch(plain)
        return bool(more or _OTHER.fullmatch(plain)) or plain_number(word) is not None
    unit = match["unit"]
    if (
        unit is None
        or unit[0] in _SIGNS
        or unit in KNOWN_UNITS
        or match["gap"]
        or match["qualifier"]
        or match["prefix"]
    ):
        return True
    return usual == unit and (several or bool(re.search("[.,e]", match["number"])))


def _meant_as_numbers(like: set[str], found: _Words) -> bool:
    share = sum(found.counts[word] for word in like) / sum(found.counts.values())
    several = len(like) > MANY_NUMBERS
    if not several and all(word[0] in "<>≤≥~≈" for word in like):  # ranges such as <10, 10-20, >20
        return False
    measured = any(re.search(r"\d[.,]\d", word) for word in like)
    return share >= 0.9 or (share >= 0.1 and several) or (share >= 0.5 and measured)


def _strange(found: _Words) -> str | None:
    """The first word of a column such as ``kN 1.25``, ``1.25(3)`` or ``ca. 1.25``: many fractions in few forms."""
    if len(found.rows) <= MANY_NUMBERS:
        return None
    forms: set[str] = set()
    for word in itertools.islice(found.rows, _SAMPLE):
        form = _NUMERAL.sub("", word).replace(" ", "")
        forms.add(form)
        if not _FRACTION.search(word) or len(form) > _BESIDE or len(forms) > _FORMS:
            return None
    return next(iter(found.rows))


def _explain(words: np.ndarray, found: _Words, parts: dict[str, re.Match[str] | None], decimal: str | None) -> Reading:
    """The one notation of a column whose words are all numbers of some kind."""
    numerals: dict[str, str] = {}
    units: dict[str, str] = {}
    for word, row in found.rows.items():
        match = parts[word]
        if match is None:
            if _OR_MORE.fullmatch(_plain_signs(word)):
                return _refused(row, f"{word!r} is a bound and not a value")
            if plain_number(word) is None:
                return _refused(row, f"{word!r} is no single number")
            numerals[word], units[word] = word, ""
            continue
        if match["qualifier"]:
            return _refused(row, f"{word!r} is a bound and not a value")
        numerals[word] = match["number"].replace("d", "e").replace("D", "e").replace("e ", "e").strip()
        units[word] = _unit(match)
    first = next(iter(units))
    other = next((word for word in units if units[word] != units[first]), None)
    if other is not None:
        return _refused(found.rows[other], f"{other!r} has another unit than {first!r} in row {found.rows[first] + 1}")
    values = {sign: _values(numerals, sign) for sign in ".,"}
    can = [sign for sign in ".," if None not in values[sign].values()]
    if len(can) == 1 and decimal is None and (doubtful := _doubtful(numerals, can[0])):
        return _refused(found.rows[doubtful], f"{doubtful!r} may have a decimal sign or one between thousands")
    if not can:
        sign = max(".,", key=lambda sign: sum(value is not None for value in values[sign].values()))
        wrong = next(word for word, value in values[sign].items() if value is None)
        return _refused(found.rows[wrong], f"{wrong!r} does not fit the notation of the other rows")
    if len(can) == 2:
        differ = next((word for word in numerals if values["."][word] != values[","][word]), None)
        if differ is None:
            can = ["."]
        elif decimal is not None:
            can = [decimal]
        else:
            point, comma = values["."][differ], values[","][differ]
            return _refused(found.rows[differ], f"{differ!r} may be {point:g} or {comma:g}")
    return Reading(_spread(words, values[can[0]]), units[first], _described(found, numerals, can[0], units[first]))


def _doubtful(numerals: dict[str, str], decimal: str) -> str | None:
    """A word such as 1.234 beside 2,5, where no word with both signs or two groups shows what a point means."""
    group = {".": ",", ",": "."}[decimal]
    grouped = [word for word, numeral in numerals.items() if group in numeral]
    sure = any(decimal in numerals[word] or numerals[word].count(group) > 1 for word in grouped)
    fractions = any(decimal in numeral for numeral in numerals.values())
    return grouped[0] if grouped and fractions and not sure else None


def _values(numerals: dict[str, str], decimal: str) -> dict[str, float | None]:
    """Values under the decimal sign; all words group their digits alike, if at all."""
    best: dict[str, float | None] = {}
    few = list(itertools.islice(numerals.values(), _SAMPLE))
    for (sign, group), pattern in _GROUPED.items():
        if sign != decimal or (best and not all(map(pattern.fullmatch, few))):
            continue
        values = {
            word: plain_number(numeral.replace(group, "").replace(decimal, ".")) if pattern.fullmatch(numeral) else None
            for word, numeral in numerals.items()
        }
        if None not in values.values():
            return values
        if not best or sum(v is not None for v in values.values()) > sum(v is not None for v in best.values()):
            best = values
    return best


def _spread(words: np.ndarray, values: dict[str, float | None]) -> np.ndarray:
    return np.array([values.get(word, np.nan) for word in words], dtype=np.float64)


def _described(found: _Words, numerals: dict[str, str], decimal: str, unit: str) -> tuple[str, ...]:
    said = []
    other = {".": ",", ",": "."}[decimal]
    if decimal == "," and any("," in numeral for numeral in numerals.values()):
        said.append("decimal comma")
    for group, name in ((other, f"'{other}'"), (" ", "blanks"), ("'", "apostrophes")):
        if any(group in numeral for numeral in numerals.values()):
            said.append(f"{name} between thousands")
    together = "\n".join(found.rows)
    if _POWER.search(together):
        said.append("powers of ten")
    if re.search(r"\d[dD] ?[+-]?\d", together):
        said.append("exponents D of FORTRAN")
    if not together.isascii() and any(_MINUS.search(word.strip()) for word in found.rows):
        said.append("a minus sign of typography")
    if not together.isascii() and any(sign in together for sign in _WIDE):
        said.append("digits of full width")
    if unit:
        said.append(f"the unit {unit} in each cell")
    return tuple(said)


def _refused(row: int, why: str) -> Reading:
    return Reading(None, problem=(row, why))
