"""Files as test rigs, spreadsheets and mishaps make them, with what must come of each: right values or a right refusal.

``python tests/data/hostile.py FOLDER`` writes them all.
"""

import bz2
import gzip
import io
import json
import re
import sys
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

SERIES = np.arange(1.0, 13.0)
NAN = np.nan


class Case(NamedTuple):
    """One file: its bytes, and the columns and a part of the notes that reading gives, or a part of the refusal."""

    name: str
    content: bytes
    columns: dict | None = None
    note: str = ""
    refused: str = ""
    target: str = ""  # where the refusal comes with the use of a column


def rows(*lines, end="\n", encoding="utf-8"):
    return (end.join(lines) + end).encode(encoding)


def workbook():
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Rig 3"
    for row in (["Endurance run 17"], ["Operator", "M. Weber"], [], ["Time", "Force", "State"], ["s", "kN", None]):
        sheet.append(row)
    for i in range(4):
        sheet.append([i, 1.5 * i, "on" if i % 2 else "off"])
    sheet.append([])
    sheet.append(["End of run"])
    book.create_sheet("Empty")
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def sheet(*lines):
    import openpyxl

    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def measured(header, *, end="\n", comma=False, before="", behind=""):
    """What instruments write: a header, then rows of time, force and torque."""
    lines = ["\t".join([f"{i * 0.25:.4f}", f"{1.5 * i:.4f}", f"{100 - 2.5 * i:.4f}"]) for i in range(12)]
    body = end.join(f"{before}{line}{behind}" for line in lines) + end
    return (header + (body.replace(".", ",") if comma else body)).encode()


def hidden():
    """A workbook whose first sheet nobody sees."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title, book.active.sheet_state = "Secret", "hidden"
    data = book.create_sheet("Data")
    for one in (book.active, data):
        for line in (["x", "y"], *([i, 2.5 * i] for i in range(1, 5 if one is data else 3))):
            one.append(line)
    book.active = 1
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


TOWNS = ["Oslo", "Bergen", "Bodo", "Vardo"]
RIG = {"Force": 1.5 * np.arange(12), "Torque": 100 - 2.5 * np.arange(12)}


def labview(columns="One", decimal="."):
    """A measurement of LabVIEW with units and a column of remarks; without X the first column is empty."""
    x = columns == "One"
    lines = (
        "LabVIEW Measurement\t\nWriter_Version\t2\nSeparator\tTab\nMulti_Headings\tYes\n"
        f"X_Columns\t{columns}\nDecimal_Separator\t{decimal}\n***End_of_Header***\t\n\t\nChannels\t2\t\n"
        "Samples\t12\t12\t\nY_Unit_Label\tNewton (rms)\tN m\t\nX0\t0.0\t0.0\t\nDelta_X\t0.25\t0.25\t\n"
        "***End_of_Header***\t\t\t\t\nX_Value\tForce\tTorque\tComment\n"
    )
    body = [f"{i * 0.25 if x else ''}\t{1.5 * i:.4f}\t{100 - 2.5 * i:.4f}\n" for i in range(12)]
    return (lines + "".join(body).replace(".", decimal)).encode()


ARFF = """% a test rig
@RELATION rig
@ATTRIBUTE force NUMERIC
@ATTRIBUTE 'oil temp' REAL
@attribute gear {1,2}
@ATTRIBUTE remark string
@DATA
1.5,20,1,'all, well'
% pause
3,?,2,late
4.5,22,1,'all, well'
6,23,2,late
"""


def means():
    """A table whose last rows are as wide as the others."""
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["Time", "Force"], ["s", "kN"], *([i, 1.5 * i] for i in range(4)), ["Mean", 2.25], ["Max.", 4.5]):
        book.active.append(row)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def structure():
    """What ``save`` writes of ``run.speed``, ``run.at.load`` and a number."""
    import scipy.io

    packed = io.BytesIO()
    run = {"speed": SERIES[:4], "at": {"load": 2.5 * SERIES[:4]}, "count": 4.0}
    scipy.io.savemat(packed, {"run": run})
    return packed.getvalue()


def hdf5(matlab):
    import h5py

    packed = io.BytesIO()
    with h5py.File(packed, "w", userblock_size=512) as file:
        x = np.arange(12.0).reshape(4, 3)
        file["X"] = x.T if matlab else x
        file["y"] = SERIES[:4][None] if matlab else SERIES[:4]
    raw = packed.getvalue()
    return (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + raw[512:]) if matlab else raw


def zipped(name, content, packing=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", packing) as archive:
        archive.writestr(name, content)
        archive.writestr("readme.md", "what it is")
    return packed.getvalue()


def damaged_mat():
    import scipy.io

    packed = io.BytesIO()
    scipy.io.savemat(packed, {"X": np.arange(12.0).reshape(4, 3), "y": SERIES[:4]})
    raw = bytearray(packed.getvalue())
    raw[128:132] = (255, 255, 255, 255)
    return bytes(raw)


def parquet():
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed = io.BytesIO()
    serial = pa.array([2**60 + i for i in range(4)])
    pq.write_table(
        pa.table({"serial": serial, "load": pa.array(["1,5", "2,5", None, "3,0"]), "y": [1, 2, 3, 4]}), packed
    )
    return packed.getvalue()


def long_quotes(close):
    """Above 1 MB, where readers cut files into blocks: a legal line break in a quote, or a quote without end."""
    body = [f'{i},{i / 8},"free text of some length, and more {i}"' for i in range(30_000)]
    body[11_000] = '11000,1375.0,"two\nlines"' if close else '11000,1375.0,"never closed'
    return rows("i,x,remark", *body)


XY = {"x": SERIES[:4], "y": [2.5, 5, 7.5, 10]}
STATES = ["on", "off", "on", "off"]
LOSS = [f"s{i:03d}" for i in range(60)]

CASES = [
    # ---- notations of numbers
    Case(
        "thousands.csv",
        rows("x,load", *(f'{i},"{i},234.5"' for i in range(1, 5))),
        {"x": SERIES[:4], "load": SERIES[:4] * 1000 + 234.5},
        "Column 'load' is read as numbers with ',' between thousands",
    ),
    Case(
        "thousands_de.csv",
        rows("x;load", *(f"{i},5;{i}.234,5" for i in range(1, 5))),
        {"x": SERIES[:4] + 0.5, "load": SERIES[:4] * 1000 + 234.5},
        "decimal comma, '.' between thousands",
    ),
    Case(
        "late_comma.csv",
        rows("x;load", *(f"{i};{i}" for i in range(1, 300)), "300;0,5"),
        {"load": [*np.arange(1.0, 300), 0.5]},
        "Column 'load' is read as numbers with decimal comma",
    ),
    Case(
        "blanks.csv",
        rows("x;load", *(f"{i};{i}\u202f234,5" for i in range(1, 5))),
        {"load": SERIES[:4] * 1000 + 234.5},
        "blanks between thousands",
    ),
    Case(
        "ambiguous.csv",
        rows("x;load", *(f"{i};{i},234" for i in range(1, 5))),
        refused="column 'load', row 1: '1,234' may be 1234 or 1.234",
        target="x",
    ),
    Case(
        "percent.csv",
        rows("x,humidity", *(f"{i},{10 * i} %" for i in range(1, 5))),
        {"humidity": 10 * SERIES[:4]},
        "the unit % in each cell",
    ),
    Case(
        "currency.csv",
        rows("x,price", *(f'{i},"€{i},200.50"' for i in range(1, 5))),
        {"price": 1000 * SERIES[:4] + 200.5},
        "the unit € in each cell",
    ),
    Case(
        "unit_cells.csv", rows("x,way", *(f"{i},{i}.5 mm" for i in range(1, 5))), {"way": SERIES[:4] + 0.5}, "unit mm"
    ),
    Case(
        "mixed_units.csv",
        rows("x,way", "1,2.5 mm", "2,3.5 mm", "3,0.5 cm", "4,5.5 mm"),
        refused="column 'way', row 3: '0.5 cm' has another unit than '2.5 mm' in row 1",
        target="x",
    ),
    Case("minus.csv", rows("x,T", *(f"{i},\u2212{i}.5" for i in range(1, 5))), {"T": -SERIES[:4] - 0.5}, "minus sign"),
    Case(
        "fortran.dat",
        rows("  x    sigma", *(f" {i}   {i}.0D+03" for i in range(1, 5))),
        {"sigma": 1000 * SERIES[:4]},
        "exponents D of FORTRAN",
    ),
    Case(
        "limit.csv",
        rows("x,lead", "1,0.07", "2,<0.05", "3,0.11", "4,0.09"),
        refused="column 'lead', row 2: '<0.05' is a bound and not a value",
        target="x",
    ),
    *(
        Case(
            f"{name}.csv",
            rows("x,lead", *(f"{i},{i / 8}" for i in range(1, 30)), f"30,{word}"),
            refused=rf"column 'lead', row 30: '{re.escape(word)}' is a bound and not a value",
            target="x",
        )
        for name, word in (("above", ">3"), ("or_more", "10+"))
    ),
    Case("classes_or_more.csv", rows("x,rooms", "1,1", "2,2", "3,3+", "4,3+"), {"rooms": ["1", "2", "3+", "3+"]}),
    Case(
        "full_width.csv",
        rows("x,load", *(f"{i},\uff11\uff12\uff0e\uff15{i}" for i in range(1, 5))),
        {"load": 12.5 + SERIES[:4] / 100},
        "Column 'load' is read as numbers with digits of full width",
    ),
    Case(
        "hexadecimal.xlsx",
        sheet(["x", "adc"], *([i, f"0x{i + 8:02X}"] for i in range(1, 5))),
        {"adc": SERIES[:4] + 8},
        "Column 'adc' is read as numbers with hexadecimal digits",
    ),
    Case(
        "hexadecimal_h.csv",
        rows("x,adc", *(f"{i},0{i + 8:02X}h" for i in range(20))),
        {"adc": np.arange(20) + 8.0},
        "Column 'adc' is read as numbers with hexadecimal digits",
    ),
    Case(
        "hexadecimal_classes.csv",
        rows("x,mark", *(f"{i},{m}" for i, m in enumerate(["1AH", "1BH", "2DH"] * 5))),
        {"mark": ["1AH", "1BH", "2DH"] * 5},
    ),
    Case(
        "hexadecimal_negative.xlsx",
        sheet(["x", "adc"], *([i, f"-0x{(1 << 60) + i:X}"] for i in range(1, 5))),
        {"adc": [f"-0x{(1 << 60) + i:X}" for i in range(1, 5)]},
    ),
    Case(
        "hours.csv", rows("x,at", *(f"{i},{12 * i:02d}h" for i in range(1, 5))), {"at": 12 * SERIES[:4]}, "the unit h"
    ),
    Case(
        "powers.csv",
        rows("x;load", *(f"{i};{i},5x10^3" for i in range(1, 5)), "5;7,5 · 10⁻²", "6;8,5 × 10^\u22123"),
        {"load": [1500, 2500, 3500, 4500, 0.075, 0.0085]},
        "decimal comma, powers of ten",
    ),
    *(
        Case(
            f"{name}.csv",
            rows("f,Z,y", *(f"{i},{cell.format(i / 7 + 1)},{i * i}" for i in range(30))),
            refused=f"column 'Z', row 1: .* {why}",
            target="y",
        )
        for name, cell, why in (
            ("complex", "{0:.3f}+{0:.2f}j", "is no single number"),
            ("angles", "{0:.3f}∠{0:.1f}°", "is no single number"),
            ("uncertain", "{0:.3f}(12)", "is no single number"),
            ("unit_first", "kN {0:.3f}", "is in no known notation of numbers"),
            ("vectors", "[{0:.3f} {0:.2f}]", "is in no known notation of numbers"),
            ("around", "ca. {0:.3f}", "is in no known notation of numbers"),
        )
    ),
    Case(
        "composed.csv",
        rows(
            "where,x", *(f"{word},{i / 7}" for i, word in enumerate(["Gr\u00f6\u00dfe", "Gro\u0308\u00dfe", "k"] * 3))
        ),
        {"where": ["Gr\u00f6\u00dfe", "Gr\u00f6\u00dfe", "k"] * 3},
    ),
    Case(
        "versions.csv",
        rows("fw,x,y", *(f"V{1 + i % 5}.2,{i / 7},{i * i}" for i in range(60))),
        {"fw": [f"V{1 + i % 5}.2" for i in range(60)]},
    ),
    Case(
        "joined_blocks.csv",
        rows(
            "x,load",
            "[s],[kN]",
            *(f"{i},{i / 4}" for i in range(3)),
            "",
            "x,load",
            "[s],[kN]",
            *(f"{i},{i / 4}" for i in range(3, 6)),
        ),
        {"x": np.arange(6.0), "load": np.arange(6) / 4},
        "2 lines that repeat the header skipped",
    ),
    Case(
        "joined_units_once.csv",  # what follows a repeated header is data
        rows("x,load", "s,kN", *(f"{i},{i / 4}" for i in range(3)), "x,load", *(f"{i},{i / 4}" for i in range(3, 6))),
        {"x": np.arange(6.0), "load": np.arange(6) / 4},
        "One line that repeats the header skipped",
    ),
    Case(
        "joined_dates.csv",
        rows("day,kind", *(f"2024-05-0{i},k" for i in (1, 2)), "day,kind", *(f"2024-05-0{i},m" for i in (3, 4))),
        {"day": [f"2024-05-0{i}" for i in (1, 2, 3, 4)], "kind": ["k", "k", "m", "m"]},
        "One line that repeats the header skipped",
    ),
    Case(
        "joined_footer.csv",
        rows("x;op;run", "2,5;k;u", "1,25;m;v", "x;op;run", "0,125;k;u", "Ende;;"),
        {"x": [2.5, 1.25, 0.125], "op": [*"kmk"]},
        "One line that repeats the header skipped",
    ),
    Case(
        "letters.csv",  # without a header: rows that equal the first are data
        rows(*(letter for letter in "abcabcaa")),
        {"a": [*"bcabcaa"]},
    ),
    Case("word_name.csv", rows("name", "Weber", "name", "Kunz", "Weber"), {"name": ["Weber", "name", "Kunz", "Weber"]}),
    Case(
        "words_between.csv",
        rows("x,T", *(f"{i},{'off' if i % 3 else i / 7}" for i in range(1, 61))),
        refused="column 'T', row 1: 'off' is not a number",
        target="x",
    ),
    Case(
        "missing_words.csv",
        rows("x,T", "1,2.5", "2,N/A", "3,-", "4,?", "5,None", "6,<NA>", "7,<null>", "8,#DIV/0!"),
        {"T": [2.5] + [NAN] * 7},
    ),
    Case(
        "own_target.csv",
        rows("x,name", *(f"{i},{name}" for i, name in enumerate(LOSS))),
        refused="target 'name' is text with 60 different values, 60 of which occur once",
        target="name",
    ),
    # ---- what stands around the table
    Case(
        "units.csv",
        rows("Time;Force;State", "s;kN;", *(f"{i};{2.5 * i};{s}" for i, s in enumerate(STATES, 1))),
        {"Time": SERIES[:4], "Force": 2.5 * SERIES[:4], "State": STATES},
        "read as units (s, kN)",
    ),
    Case(
        "title.csv",
        rows("Endurance run 17", "Operator,Weber", "", "x,y,z", *(f"{i},{2.5 * i},{i}" for i in range(1, 5))),
        XY,
        "2 lines above the table skipped ('Endurance run 17')",
    ),
    Case(
        "quoted_comma.csv",
        rows('"x","y"', *(f'"0,00{i}","-0,12{i}"' for i in range(1, 5))),
        {"x": SERIES[:4] / 1000, "y": -0.12 - SERIES[:4] / 1000},
        "Numbers are read with a decimal comma",
    ),
    Case(
        "quoted_either.csv",
        rows('"x","y"', *(f'{i},"1,12{i}"' for i in range(1, 5))),
        refused="column 'y', row 1: '1,121' may be 1121 or 1.121",
        target="x",
    ),
    Case(
        "dates_and_numbers.csv",
        rows("d,x,y", *(f"{45000 if i == 3 else f'2026-03-0{i}'},{i},{2 * i}" for i in range(1, 7))),
        refused="column 'd', row 3: '45000' is no date or time, as others are",
        target="y",
    ),
    Case("sep.csv", rows("sep=;", "x;y", *(f"{i};{2.5 * i}" for i in range(1, 5))), XY),
    Case(
        "footer.csv",
        rows("x,y", *(f"{i},{2.5 * i}" for i in range(1, 5)), "", "Exported by LabTool 4"),
        XY,
        "below the table is skipped ('Exported by LabTool 4')",
    ),
    Case(
        "footer_of_cells.csv",
        rows("t;x;y", *(f"00:0{i}:00;{i};{2.5 * i}" for i in range(1, 5)), "Ende;;", ";;", ";;"),
        XY | {"t": [f"00:0{i}:00" for i in range(1, 5)]},
        "2 rows without entries at the end skipped. One row below the table skipped ('Ende').",
    ),
    Case(
        "means.csv",
        rows("x,y", *(f"{i},{2.5 * i}" for i in range(1, 5)), "Mittelwert,6.25", "Std. dev.,2.8", "max,10"),
        XY,
        "3 rows below the table skipped ('Mittelwert')",
    ),
    Case(
        "means_of_names.csv",
        rows("part,x,y", *(f"P{i},{i},{2.5 * i}" for i in range(1, 5)), "Total,10,25"),
        XY | {"part": [f"P{i}" for i in range(1, 5)]},
        "One row below the table skipped ('Total')",
    ),
    Case(
        "sum_beside_a_class.csv",
        rows("x,y,of", *(f"{i},{2.5 * i},{'AB'[i % 2]}" for i in range(1, 5)), "5,25,Total"),
        XY | {"of": ["B", "A", "B", "A"]},
        "One row below the table skipped ('Total')",
    ),
    Case(
        "total_is_a_class.csv",
        rows("x,y,of", *(f"{i},{2.5 * i},{'AB'[i % 2]}" for i in range(1, 5)), "5,24,Total"),
        {"x": [1, 2, 3, 4, 5], "y": [2.5, 5, 7.5, 10, 24], "of": ["B", "A", "B", "A", "Total"]},
    ),
    Case(
        "total_beside_a_constant.csv",
        rows("day,kind,site", "1,partial,7", "2,annular,7", "3,partial,7", "4,total,7"),
        {"day": [1, 2, 3, 4], "kind": ["partial", "annular", "partial", "total"], "site": [7, 7, 7, 7]},
    ),
    Case(
        "mean_beside_one_that_is_none.csv",
        rows("x,y,of", "1,2.5,A", "2,5,B", "3,7.5,A", "2,1,mean"),
        {"x": [1, 2, 3, 2], "y": [2.5, 5, 7.5, 1], "of": ["A", "B", "A", "mean"]},
    ),
    Case("max_is_a_name.csv", rows("who,x", "Joe,1", "Ann,2", "Max,3"), {"who": ["Joe", "Ann", "Max"]}),
    Case("mean_is_a_class.csv", rows("of,x", "mean,1", "sum,2", "sum,3", "mean,4"), {"x": SERIES[:4]}),
    Case("last_gap.csv", rows("s,x,y", "a,1,2", "b,,", "c,,"), {"x": [1, NAN, NAN], "s": ["a", "b", "c"]}),
    Case("only_gaps.csv", rows("x,y,z", ",,", ",,"), {"x": [None]}, "One row without entries at the end skipped."),
    Case("means.xlsx", means(), {"Time": np.arange(4.0), "Force": 1.5 * np.arange(4)}, "2 rows below the table"),
    Case(
        "matlab_comments.dat",
        rows("% Rig 9", "%", "% speed [rpm]", "x y", "rpm %", *(f"{i} {2.5 * i}" for i in range(1, 5))),
        XY,
        "read as units (rpm, %)",
    ),
    Case("percent_name.csv", rows("%load,y", "1,2.5", "2,5"), {"%load": SERIES[:2], "y": [2.5, 5]}),
    Case("trailing.csv", rows("x;y;", *(f"{i};{2.5 * i};" for i in range(1, 5))), XY, "One column without name"),
    Case(
        "years.csv", rows("2019,2020,2021", "1.5,2,3", "4,5,6"), refused=r"2019, 2020, 2021\) may hold names or values"
    ),
    Case("no_header.csv", rows("0.5,oak,3", "1.5,elm,4"), refused="may hold names or values"),
    # ---- instruments
    Case("one.lvm", labview(), RIG | {"X_Value": np.arange(12) * 0.25}, "The header of LabVIEW, 14 lines, is skipped"),
    Case("no_x.lvm", labview("No"), RIG, "LabVIEW"),
    Case("comma.lvm", labview(decimal=","), RIG, "decimal comma"),
    Case(
        "separator.lvm",
        labview().replace(b"Separator\tTab", b"Separator\tComma").replace(b"\t", b","),
        RIG | {"X_Value": np.arange(12) * 0.25},
        "LabVIEW",
    ),
    Case(
        "thousandths.lvm",
        b"LabVIEW Measurement\t\nX_Columns\tNo\nDecimal_Separator\t,\n***End_of_Header***\t\nX_Value\t#a\tComment\n"
        b"\t1,125\t\n\t2,250\t\n\t3,375\t\n",
        {"#a": [1.125, 2.25, 3.375]},
        "decimal comma",
    ),
    Case("labview.csv", rows("LabVIEW measurements,b", "1,2", "3,4"), {"LabVIEW measurements": [1, 3]}),
    Case("toa5.csv", rows("TOA5000,b", "1,2", "3,4"), {"TOA5000": [1, 3]}),
    Case("cut_campbell.dat", rows('"TOA5","CR1000"', '"At","x"'), refused="ends within its header"),
    Case("cut.lvm", labview()[:200], refused="the LabVIEW file ends within its header"),
    Case("cut_rows.lvm", labview()[:-90], {"Force": RIG["Force"][:8]}, "declares 12 samples, the file holds 8"),
    Case("twice.lvm", labview() + labview()[60:], refused="holds 2 measurements"),
    Case(
        "rig.arff",
        ARFF.encode(),
        {"force": [1.5, 3, 4.5, 6], "oil temp": [20, NAN, 22, 23], "gear": ["1", "2", "1", "2"]}
        | {"remark": ["all, well", "late"] * 2},
    ),
    Case("sparse.arff", b"@relation r\n@attribute a real\n@data\n{0 1}\n", refused="line 4 is of a sparse table"),
    Case("ragged.arff", b"@relation r\n@attribute a real\n@data\n1\n1,2\n", refused="line 5 has 2 values"),
    Case(
        "signs.arff",
        rows("@relation r", "@attribute #preg real", "@attribute '% fat' real", "@attribute //x {low,mean}", "@data")
        + rows("1,2,low", "3,4,low", "5,6,mean"),
        {"#preg": [1, 3, 5], "% fat": [2, 4, 6], "//x": ["low", "low", "mean"]},
    ),
    Case("range.arff", b"@relation r\n@attribute a real[0,9]\n@attribute b{x,y}\n@data\n1,x\n", {"a": [1], "b": ["x"]}),
    Case("no_type.arff", b"@relation r\n@attribute alpha\n@data\n1\n", refused="line 2 declares no attribute"),
    Case(
        "blanks.arff",
        b"@relation r\n@attribute a real\n@attribute b real\n@data\n1 2\n",
        refused="separate values by commas",
    ),
    Case("weights.arff", b"@relation r\n@attribute a real\n@data\n1, {2}\n", refused="leave out the weights in braces"),
    Case("cut.arff", b"@relation r\n@attribute a real\n", refused="no line @data"),
    Case(
        "campbell.dat",
        measured(
            '"TOA5","CR1000","CR1000","1","OS.1","CPU:a.CR1","3","T"\n"At","Force","Torque"\n"TS","Deg C","Nm"\n'
            '"","Avg","Smp"\n'
        ).replace(b"\t", b","),
        RIG,
        "Campbell",
    ),
    Case(
        "scope.csv",
        measured(
            "Model,MDO3014\nFirmware Version,1.26\n\nWaveform Type,ANALOG,\nHorizontal Scale,0.004,\n"
            "Sample Interval,4e-06,\nRecord Length,12,\nProbe Attenuation,1,1\nVertical Units,V,V\nLabel,,\n"
            "TIME,Force,Torque\n"
        ).replace(b"\t", b","),
        RIG | {"TIME": np.arange(12) * 0.25},
        "9 lines above the table skipped ('Model')",
    ),
    Case(
        "block.txt",
        measured("Test:\tEndurance\nOperator:\tWeber\nRate:\t50\tHz\n\nTime\tForce\tTorque\ns\tkN\tNm\n"),
        RIG | {"Time": np.arange(12) * 0.25},
        "read as units (s, kN, Nm)",
    ),
    Case(
        "channels.txt",
        measured("Time\tForce\tTorque\ns\tkN\tNm\n0\t1\t2\n", comma=True),
        RIG,
        "The line of numbers of channels below the units is skipped (0, 1, 2)",
    ),
    Case(
        "axes.csv",
        measured("x-axis,1,2\nsecond,Volt,Volt\n").replace(b"\t", b","),
        {"1": RIG["Force"], "2": RIG["Torque"]},
        "read as units (second, Volt, Volt)",
    ),
    Case(
        "exclamation.dat",
        measured("! Rig 3, run 17\n! Time Force Torque\n"),
        RIG,
        "One comment above the table skipped ('! Rig 3, run 17')",
    ),
    Case(
        "slashes.csv",
        measured("// Rig 3\n// run 17\nTime\tForce\tTorque\n"),
        RIG,
        "2 comments above the table skipped ('// Rig 3')",
    ),
    Case("slashes_header.csv", rows("//server/path,b,c", "1,2,3", "4,5,6"), {"//server/path": [1, 4], "c": [3, 6]}),
    Case("exclamation_header.csv", rows("! flag,b", "1,2", "4,5"), {"! flag": [1, 4]}),
    Case("slashes_rows.csv", rows("//cdn/x,0.5", "//cdn/y,1.5", "w,2.5"), refused="may hold names or values"),
    Case(
        "channel_like_row.csv",
        rows("t,x,y", "s,m,m", "0,10,20", "0.5,10.5,20.3", "1.5,11.5,20.1", "2.5,12,19.5"),
        {"t": [0, 0.5, 1.5, 2.5]},
        "units",
    ),
    Case(
        "even_first_row.csv",
        rows("t,x,y", "s,m,m", "0,1,2", "0.5,10.5,20.3", "1.0,11.5,20.1", "1.5,12,19.5"),
        {"t": [0, 0.5, 1, 1.5]},
        "units",
    ),
    Case(
        "towns.csv",
        rows("station,temp", *(f"{town},NA" for town in TOWNS), *(f"{1000 + i},{i}.5" for i in range(50))),
        {"station": [*TOWNS, *(str(1000 + i) for i in range(50))], "temp": [NAN] * 4 + [i + 0.5 for i in range(50)]},
    ),
    Case(
        "towns_twice.csv",
        rows("station,temp,rain", *(f"{town},NA,NA" for town in TOWNS), *(f"{1000 + i},{i}.5,2" for i in range(50))),
        {"rain": [NAN] * 4 + [2] * 50},
    ),
    Case(
        "starts.csv",
        rows("bib,time", *(f"DNS-{a},did not start" for a in "ABCD"), *(f"{i},{i}.5" for i in range(1, 51))),
        {"bib": [*(f"DNS-{a}" for a in "ABCD"), *map(str, range(1, 51))]},
    ),
    Case(
        "scope_of_one.csv",
        rows("Model,MSO", "Points,1000", "Source,CH1", "Coupling,DC", "TIME,CH1", *(f"{i / 8},{i}" for i in range(12))),
        {"TIME": np.arange(12) / 8, "CH1": np.arange(12.0)},
        "4 lines above the table skipped ('Model')",
    ),
    Case(
        "scope_points.csv",
        rows("Model,MSO", "Source,CH1", "Coupling,DC", "Points,1000", "TIME,CH1", *(f"{i / 8},{i}" for i in range(12))),
        {"TIME": np.arange(12) / 8, "CH1": np.arange(12.0)},
        "4 lines above the table skipped ('Model')",
    ),
    Case("blanks.prn", measured("  Time   Force   Torque\n").replace(b"\t", b"   "), RIG),
    Case(
        "names_then_numbers.csv",
        rows("part,x", *(f"P{i},{i}" for i in range(20)), *(f"{i},{i}" for i in range(20, 90))),
        {"x": np.arange(90.0)},
    ),
    Case(
        "words_then_numbers.csv",
        rows("part,kind", *(f"P{i},k{i % 3}" for i in range(20)), *(f"{i},k{i % 3}" for i in range(20, 90))),
        {"kind": [f"k{i % 3}" for i in range(90)]},
    ),
    Case("late_numbers.csv", rows("part,x", *(f"P{i},{i}" for i in range(9)), "10,9", "11,10"), {"x": np.arange(11.0)}),
    Case(
        "scope_without_names.csv",
        rows("Points,2500", "Source,CH1", "Scale,1.0", *(f"{i * 4e-7:.7f},{i}" for i in range(12))),
        {"column0": [float(f"{i * 4e-7:.7f}") for i in range(12)], "column1": np.arange(12.0)},
        "3 lines above the table skipped ('Points')",
    ),
    Case(
        "scope_short_names.csv",
        rows("Points,2500", "Source,CH1", "Scale,1.0", "t,U", *(f"{i * 4e-7:.7f},{i}" for i in range(12))),
        {"U": np.arange(12.0)},
        "3 lines above the table skipped ('Points')",
    ),
    Case(
        "words_above_uneven.csv",  # names and masses of parts, some of which are called by numbers
        rows("P1,2500", "P2,2600", "P3,1.5", *(f"{i * i}.5,{i}" for i in range(12))),
        refused="may hold names or values",
    ),
    Case(
        "groups.csv",
        rows("Front,,Rear,,", "T,p,T,p,y", *(f"{i},{2 * i},{3 * i},{4 * i},{5 * i}" for i in range(1, 5))),
        {"Front T": SERIES[:4], "Front p": 2 * SERIES[:4], "Rear T": 3 * SERIES[:4], "y": 5 * SERIES[:4]},
        "Names that repeat have the word above them in front (Front T).",
    ),
    Case(
        "groups_units.csv",
        rows("In,,Out", "speed,load,flow", "1/min,Nm,l/s", *(f"{i},{2 * i},{3 * i}" for i in range(1, 5))),
        {"speed": SERIES[:4], "load": 2 * SERIES[:4], "flow": 3 * SERIES[:4]},
        "The line above the names is skipped ('In'). The line below the header is read as units (1/min, Nm, l/s).",
    ),
    Case(
        "unnamed_column_with_units.csv",
        rows("Time,,State", "s,kN,x", *(f"{i},{2 * i},{3 * i}" for i in range(1, 5))),
        {"Time": SERIES[:4], "column1": 2 * SERIES[:4]},
        "read as units (s, kN, x)",
    ),
    Case(
        "groups.xlsx",
        sheet(["Front", None, "Rear"], ["T", "p", "T", "p"], *([i, 2 * i, 3 * i, 4 * i] for i in range(1, 5))),
        {"Front T": SERIES[:4], "Front p": 2 * SERIES[:4], "Rear T": 3 * SERIES[:4], "Rear p": 4 * SERIES[:4]},
        "Names that repeat have the word above them in front (Front T).",
    ),
    Case("hidden.xlsx", hidden(), XY, "Sheet 'Data' is read, others are not: 'Secret'"),
    Case(
        "spans.xlsx",
        sheet(["t", "x"], *([timedelta(hours=50 * i, seconds=1.5), i] for i in range(1, 4))),
        {"t": ["50:00:01.500000", "100:00:01.500000", "150:00:01.500000"]},
    ),
    Case("bars.csv", rows("x|y", *(f"{i}|{2.5 * i}" for i in range(1, 5))), XY),
    # what looks like the last few and is not
    Case(
        "same_names.xlsx",
        sheet(["T", "p", "T", "p"], *([i, 2.5 * i, 3 * i, 4 * i] for i in range(1, 6))),
        refused="column names must differ",
    ),
    Case(
        "numbers_above_names.csv",
        rows("Rig A", "Run,17.5,3", "x,y,x,y", *(f"{i},{2 * i},{3 * i},{4 * i}" for i in range(1, 5))),
        refused="column names must differ",
    ),
    Case(
        "doses.csv",
        rows("dose,resp", "control,1", "vehicle,2", *(f"{i / 2},{i}" for i in range(12))),
        {"dose": ["control", "vehicle", *(f"{i / 2}" for i in range(12))], "resp": [1, 2, *range(12)]},
    ),
    Case(
        "gaps_in_the_first_row.csv",
        rows("date,temp,,rain", "2001-01-01,NA,NA,NA", *(f"2001-01-0{i},{i},{2 * i},{3 * i}" for i in range(2, 6))),
        {"temp": [np.nan, 2, 3, 4, 5], "rain": [np.nan, 6, 9, 12, 15]},
    ),
    Case("bars_within.csv", rows("word", *(f"a{i}|b" for i in range(5))), {"word": [f"a{i}|b" for i in range(5)]}),
    # ---- encodings and quotes
    Case("utf32.csv", rows("x;y", *(f"{i};{2.5 * i}" for i in range(1, 5)), encoding="utf-32"), XY, "UTF-32"),
    Case("one_zero.csv", rows("x,y", *(f"{i},2" for i in range(20)), "1,\0"), refused="line 22 holds the byte 0x00"),
    Case(
        "latin1.csv",
        rows("Öltemperatur,y", *(f"{i},{i / 4}" for i in range(12_000)), encoding="latin-1"),
        {"Öltemperatur": np.arange(12_000.0)},
        "read as Windows-1252, since line 1 is not UTF-8",
    ),
    Case(
        "utf16.csv",
        rows("Öl;y", *(f"{i};{2.5 * i}" for i in range(1, 5)), encoding="utf-16"),
        {"Öl": SERIES[:4], "y": XY["y"]},
        "UTF-16",
    ),
    Case("nfd.csv", rows("O\u0308l,y", *(f"{i},{2.5 * i}" for i in range(1, 5))), {"\u00d6l": SERIES[:4]}),
    Case(
        "half_utf8.csv", rows("Öl,y", "1,2") + b"2,\xe4\n", refused="line 3 is not text in UTF-8, but other lines are"
    ),
    Case("open_quote.csv", long_quotes(close=False), refused="line 11002 opens a quote that is never closed"),
    Case("line_break.csv", long_quotes(close=True), {"i": np.arange(30_000.0)}),
    Case(
        "header_break.csv",
        rows('"x\n[mm]","y"', *(f"{i},{2.5 * i}" for i in range(1, 5))),
        {"x\n[mm]": SERIES[:4], "y": XY["y"]},
    ),
    Case(
        "wide.csv",
        rows(",".join(f"channel_{i:06d}" for i in range(6000)), *[",".join(["1.5"] * 6000)] * 2),
        {"channel_005999": [1.5, 1.5]},
    ),
    # ---- other formats
    Case(
        "rig.xlsx",
        workbook(),
        {"Time": np.arange(4.0), "Force": 1.5 * np.arange(4), "State": ["off", "on"] * 2},
        "read as units (s, kN)",
    ),
    Case("a.csv.gz", gzip.compress(rows("x,y", *(f"{i},{2.5 * i}" for i in range(1, 5)))), XY),
    Case("a.tsv.bz2", bz2.compress(rows("x\ty", *(f"{i}\t{2.5 * i}" for i in range(1, 5)))), XY),
    Case("a.zip", zipped("run/a.csv", rows("x,y", *(f"{i},{2.5 * i}" for i in range(1, 5)))), XY, "'run/a.csv'"),
    Case(
        "a.jsonl",
        rows(*(json.dumps({"x": i, "y": 2.5 * i, "s": s}) for i, s in enumerate(STATES, 1))),
        XY | {"s": STATES},
    ),
    Case(
        "nested.jsonl",
        rows(*(json.dumps({"at": {"x": i, "by": {"y": 2.5 * i}}, "s": s}) for i, s in enumerate(STATES, 1))),
        {"at.x": XY["x"], "at.by.y": XY["y"], "s": STATES},
    ),
    Case("list.jsonl", rows('{"x": {"y": [1, 2]}}'), refused="line 1 holds a list for 'x.y'"),
    Case("twice.jsonl", rows('{"x": {"y": 1}, "x.y": 2}'), refused="two entries named 'x.y'"),
    Case("a.h5", hdf5(matlab=False), {"X2": [2, 5, 8, 11], "y": SERIES[:4]}),
    Case("a73.mat", hdf5(matlab=True), {"X2": [2, 5, 8, 11], "y": SERIES[:4]}),
    Case("structure.mat", structure(), {"run.speed": SERIES[:4], "run.at.load": XY["y"]}),
    Case("damaged.mat", damaged_mat(), refused="truncated or is not MATLAB 5"),
    Case("cut.csv.gz", gzip.compress(rows("x,y", *["1,2"] * 999))[:-9], refused="cannot be unpacked"),
    Case(
        "a.parquet",
        parquet(),
        {"load": [1.5, 2.5, NAN, 3], "y": SERIES[:4], "serial": [str(2**60 + i) for i in range(4)]},
        "decimal comma",
    ),
]


def write(folder):
    for case in CASES:
        (Path(folder) / case.name).write_bytes(case.content)


if __name__ == "__main__":
    write(sys.argv[1])
