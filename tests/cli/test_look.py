"""What ``numdl look`` says of a file, and that the command it ends with runs."""

import dataclasses
import shlex
import sys

import numpy as np
import pytest

from numdl.cli.columns import chosen, expand
from numdl.cli.errors import UserError
from numdl.cli.options import FitOptions
from numdl.cli.prepare import prepare, read_encoded
from numdl.data import Table, read_table
from numdl.data.table.copies import first_of_equals
from numdl.data.table.profile import digits, names_rows, profile, sentinels, suggested_targets, unit_of


@pytest.fixture
def rig(tmp_path):
    """A test rig with a title, units, decimal commas, a sentinel, serial numbers and a remark at the end."""
    rng = np.random.default_rng(0)
    lines = ["Prüfstand 3;Weber", "", "Zeit;Öl [°C];Moment;Zustand;Serie;Faktor;Kraft", "s;;Nm;;;;kN"]
    for i in range(60):
        oil, moment = -999 if i % 20 == 0 else 80 + 5 * rng.normal(), 100 + 20 * rng.normal()
        row = f"{i / 2:.1f};{oil:.2f};{moment:.3f};{'an' if i % 3 else 'aus'};{2**60 + i};1.5;{3 * moment + oil:.4f}"
        lines.append(row.replace(".", ","))
    path = tmp_path / "rig.csv"
    path.write_bytes("\n".join([*lines, "", "Export: LabTool 4", ""]).encode("cp1252"))
    return path


def test_look_tells_what_is_there_and_what_comes_next(numdl, rig, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    done = numdl("look", rig, "--out", tmp_path / "look.html")
    assert done.code == 0 and done.err == ""
    for text in (
        "60 rows, 7 columns",
        "Windows-1252, since line 1",
        "One line above the table skipped ('Prüfstand 3')",
        "read as units (s, Nm, kN)",
        "decimal comma",
        "('Export: LabTool 4')",
        "-999 in 3 rows may stand for missing",
        "its whole numbers are beyond 2^53",
        "it is constant",
        "Target  Kraft (regression)",
        "Split   time: rows follow Zeit",
        f"numdl fit {rig} --target Kraft --na -999 --missing impute --drop Zeit --split time",
        "'Zeit' rises with the rows",
    ):
        assert text in done.out, text
    page = (tmp_path / "look.html").read_text()
    assert "rig.csv" in page and "Kraft" in page and "<script" not in page
    assert numdl("look", rig, "--out", tmp_path / "look.html").code == 1


def test_the_next_command_runs(numdl, rig, tmp_path, stand_in):
    out = numdl("look", rig).out
    command = shlex.split(next(line for line in out.splitlines() if line.startswith("Next")))[2:]
    done = numdl(*command, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    seen = stand_in.Regressor.seen
    # the test rows are the last ones, and the sentinel is filled with the median and shown
    oil = [float(line.split(";")[1].replace(",", ".")) for line in rig.read_bytes().decode("cp1252").split("\n")[4:64]]
    told = [value for value in oil[:48] if value != -999]
    assert len(seen["X"]) == 48 and set(np.round(told, 2)) <= set(np.round(seen["X"][:, 0], 2))
    assert seen["X_val"][1, 0] == pytest.approx(oil[49]) and (seen["X"][:, 0] > 60).all()
    assert set(seen["X"][:, 1]) == {0.0, 1.0}
    assert "Notes on the file" in done.out or "is dropped: it is constant" in done.out


def test_the_next_command_of_a_clock_alone_keeps_it(tmp_path, numdl):
    (tmp_path / "decay.csv").write_text("time [s],level\n" + "".join(f"{i},{1 / (1 + i)}\n" for i in range(30)))
    out = numdl("look", tmp_path / "decay.csv").out
    assert "--split time" in out and "--drop" not in out


def test_look_asks_for_no_split_by_dates_that_cannot_be_told(tmp_path, numdl):
    for day, split in (("{:02d}/03/2024", "random"), ("{:02d}.03.2024", "time"), ("{:02d}:10:30", "time")):
        rows = "".join(f"{day.format(i % 12 + 1 + 60 * day.endswith('30'))},{i / 7},{i * i % 17}\n" for i in range(40))
        (tmp_path / "when.csv").write_text("when,x,y\n" + rows)
        out = numdl("look", tmp_path / "when.csv").out
        assert f"Split   {split}" in out and ("--split time" in out) == (split == "time"), day


def test_values_at_the_end_of_a_converter_are_told_with_all_digits(tmp_path, numdl, stand_in):
    rows = "".join(f"{2147483647 if i % 9 == 4 else i / 7},{i},{i * i % 17}\n" for i in range(60))
    (tmp_path / "full.csv").write_text("level,x,y\n" + rows)
    out = numdl("look", tmp_path / "full.csv").out
    assert "2147483647 in 7 rows" in " ".join(out.split()) and "--na 2147483647 --missing impute" in out
    end = numdl(
        "fit", tmp_path / "full.csv", "--target=y", "--na=2147483647", "--missing=impute", "--out", tmp_path / "r"
    )
    assert end.code == 0 and "'level' in 7 rows" in end.out and stand_in.Regressor.seen["X"][:, 0].max() < 10


def test_that_no_row_tests_is_told(tmp_path, numdl, stand_in):
    rows = "".join(f"{i % 3}.25,{i % 3}.5\n" for i in range(12))
    (tmp_path / "two.csv").write_text("x,y\n" + rows)
    end = numdl("fit", tmp_path / "two.csv", "--target=y", "--seed=1", "--out", tmp_path / "run")
    assert end.code == 0 and "No rows are held out for a test: equal rows stay on one side" in end.out


def test_units_in_headers():
    assert [unit_of(name) for name in ("Force [kN]", "Weg (mm)", "T in °C", "y", "f(x) old")] == [
        "kN",
        "mm",
        "°C",
        "",
        "",
    ]


def test_sentinels_lie_apart_and_repeat():
    x = np.linspace(20, 90, 50)
    assert sentinels(np.append(x, [-999.0, -999.0])) == ((-999.0, 2),)
    assert sentinels(np.append(x, -999.0)) == ()
    assert sentinels(np.append(np.linspace(-2000, 2000, 50), [-999.0, -999.0])) == ()
    for value in (9.96921e36, -999.9, 1e20):  # as files of single precision hold them
        single = float(np.float32(value))
        assert sentinels(np.append(x, [single, single])) == ((single, 2),)
        assert float(digits(single)) == single
    assert digits(-999.0) == "-999"


def test_equal_rows():
    number, word = np.array([1.0, np.nan, 1.0, np.nan, 1.0]), np.array(["a", "b", "b", "b", "a"], dtype=object)
    assert first_of_equals([number, word]).tolist() == [0, 1, 2, 1, 0]
    assert profile(Table(("x", "s"), (number, word))).duplicates == 2


def test_groups_and_random_splits_are_proposed():
    runs = Table(("run", "x"), (np.repeat(np.arange(5.0), 6), np.random.default_rng(0).normal(size=30)))
    assert profile(runs).split == "group:run"
    assert profile(runs.select(["x"])).split == "random"


def test_standard_input(numdl, monkeypatch):
    import io
    from types import SimpleNamespace

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a,b\n1,2\n2,3.5\n")))
    done = numdl("look", "-")
    assert done.code == 0 and "2 rows, 2 columns" in done.out


def write(tmp_path, n=60):
    rng = np.random.default_rng(0)
    lines = ["run,x1,x2,note,w,y1,y2"]
    for i in range(n):
        a, b = rng.normal(size=2)
        lines.append(f"{i // 6},{a:.4f},{b:.4f},n{i % 3},{1 + i % 2},{a + b:.4f},{a - b:.4f}")
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_columns_by_pattern(numdl, tmp_path, stand_in):
    path = write(tmp_path)
    done = numdl(
        "fit", path, "--target", "y*", "--inputs", "x1:x2", "--inputs", "run", "--drop", "ru?", "--out", tmp_path / "r"
    )
    assert done.code == 0, done.err
    assert stand_in.Regressor.seen["X"].shape[1] == 2 and stand_in.Regressor.seen["y"].shape[1] == 2
    done = numdl("fit", path, "--target", "y1", "--drop", "z*", "--out", tmp_path / "s")
    assert done.code == 1 and "numdl fit --drop 'z*': there is no column 'z*'" in done.err


def test_groups_stay_together_and_leave_no_trace(numdl, tmp_path, stand_in):
    path = write(tmp_path)
    done = numdl("fit", path, "--target", "y1", "--split", "group:run", "--drop", "note", "--out", tmp_path / "r")
    assert done.code == 0, done.err
    seen, table = stand_in.Regressor.seen, read_table(path)
    runs = dict(zip(table.column("x1"), table.column("run"), strict=True))
    train, watched = ({runs[x] for x in seen[name][:, 0]} for name in ("X", "X_val"))
    assert not train & watched and len(seen["X"]) % 6 == 0 and seen["X"].shape[1] == 4


def test_equal_rows_never_lie_on_both_sides(numdl, tmp_path, stand_in):
    path = write(tmp_path)
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *lines, *lines[::2]]) + "\n")
    assert numdl("fit", path, "--target", "y1", "--out", tmp_path / "r").code == 0
    seen = stand_in.Regressor.seen
    train, watched = ({tuple(row) for row in seen[name]} for name in ("X", "X_val"))
    assert watched and not train & watched


def test_test_rows_of_another_file_and_missing_rows(numdl, tmp_path, stand_in):
    path = write(tmp_path)
    header, *lines = path.read_text().splitlines()
    new = [line.replace(",n", "1,n") for line in lines[:7]]
    (tmp_path / "b.csv").write_text("\n".join([header, *new, *lines[10:12]]) + "\n")
    (tmp_path / "c.csv").write_text("\n".join([header, *lines[10:12]]) + "\n")
    lines[4] = lines[4].replace("n1", "n1").replace(lines[4].split(",")[1], "N/A")
    path.write_text("\n".join([header, *lines]) + "\n")
    refused = numdl("fit", path, "--target", "y1", "--out", tmp_path / "r")
    assert refused.code == 1 and "column 'x1', row 5 is missing" in refused.err and "--missing impute" in refused.err
    split = f"file:{tmp_path / 'b.csv'}"
    done = numdl("fit", path, "--target", "y1", "--missing", "drop", "--split", split, "--out", tmp_path / "r")
    assert done.code == 0, done.err
    assert "53 training, 6 validation, 7 test" in done.out
    assert "1 of 60 rows is left out, as an entry is missing in 'x1'." in done.out
    assert "2 of 9 rows of b.csv are left out: training has them." in done.out
    split = f"file:{tmp_path / 'c.csv'}"
    done = numdl("fit", path, "--target", "y1", "--missing", "drop", "--split", split, "--out", tmp_path / "s")
    assert done.code == 1 and "each of its rows is one of the training" in done.err


def test_equal_rows_of_categories_are_answers_of_many_and_lie_on_both_sides(tmp_path):
    """Survivors by sex and class are twelve different rows: no test was possible, or all of it was wrong."""
    rng = np.random.default_rng(0)
    sex, rank = rng.integers(2, size=400), rng.integers(3, size=400)
    lived = rng.random(400) < 0.2 + 0.2 * rank + 0.1 * sex
    rows = [
        f"{'mf'[a]},{'xyz'[b]},{('no', 'yes')[c]},{20 + 5 * a + 3 * b + c}"
        for a, b, c in zip(sex, rank, 1 * lived, strict=True)
    ]
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("\n".join(["sex,rank,lived,age", *rows]) + "\n")
    other.write_text("\n".join(["sex,rank,lived,age", *rows[:60]]) + "\n")
    for target, drop in (("lived", "age"), ("age", "lived")):
        options = FitOptions((target,), drop=(drop,), test=0.2)
        found = prepare(read_encoded(path, options), options, watched=False)
        assert [len(part.x) for part in found.parts.values()] == [320, 80] and not found.notes
        options = FitOptions((target,), drop=(drop,), split=f"file:{other}")
        found = prepare(read_encoded(path, options), options, watched=False)
        assert len(found.parts["test"].x) == 60 and not found.notes
    # who has had which outcome: a category of two, and nobody of the first has fallen ill
    path.write_text("\n".join(["group,ill", *["a,no"] * 40, *["b,no"] * 40, *["b,yes"] * 4]) + "\n")
    options = FitOptions(("ill",), test=0.25)
    found = prepare(read_encoded(path, options), options, watched=False)
    assert [len(part.x) for part in found.parts.values()] == [63, 21]
    # a file of categories twice is told by its rows, which occur as often each
    lines = [
        f"{a}{b},{a}{c},{b}{c},{d}" for a in "abc" for b in "abc" for c in "abc" for d in ("n", "y")[: 1 + (a < c)]
    ]
    path.write_text("\n".join(["p,q,r,z", *lines, *lines]) + "\n")
    options = FitOptions(("z",), test=0.3)
    parts = prepare(read_encoded(path, options), options, watched=False).parts
    train, test = ({(*row, label) for row, label in zip(part.x, part.y, strict=True)} for part in parts.values())
    assert test and not train & test
    options = FitOptions(("z",), split=f"file:{path}")
    with pytest.raises(UserError, match="each of its rows is one of the training"):
        prepare(read_encoded(path, options), options, watched=False)
    # rows of measurements that are equal in all are copies, also where the label of some places is not settled
    x = rng.normal(size=(100, 2)).round(6)
    rows = [f"{a},{b},{'uv'[i % 2]}" for i, (a, b) in enumerate([*x, *x[:50], x[1], x[2]])]
    path.write_text("\n".join(["a,b,c", *rows]) + "\n")
    options = FitOptions(("c",), test=0.3)
    parts = prepare(read_encoded(path, options), options, watched=False).parts
    train, test = ({(*row, label) for row, label in zip(part.x, part.y, strict=True)} for part in parts.values())
    assert test and not train & test


def test_wrong_words(numdl, tmp_path):
    path = write(tmp_path)
    for option, word in (("--split", "blocks"), ("--missing", "zero"), ("--dates", "julian")):
        done = numdl("fit", path, "--target", "y1", option, word, "--out", tmp_path / "r")
        assert done.code == 1 and f"numdl fit {option} {word}: needed is" in done.err
    done = numdl("fit", path, "--target", "y1", "--weights", "note", "--out", tmp_path / "r")
    assert done.code == 1 and "--weights 'note': needed are numbers" in done.err


def test_weights_belong_to_their_rows(tmp_path):
    from numdl.cli.options import FitOptions
    from numdl.cli.prepare import prepare, read_encoded

    path = write(tmp_path)
    table = read_table(path)
    weight = dict(zip(table.column("x1"), table.column("w"), strict=True))
    options = FitOptions(target=("y1",), weights="w", drop=("note", "y2", "run"))
    prepared = prepare(read_encoded(path, options), options, watched=True)
    assert prepared.encoder.feature_names == ("x1", "x2")
    assert prepared.weights.tolist() == [weight[x] for x in prepared.parts["train"].x[:, 0]]


def test_predict_knows_what_was_said_about_missing_entries(numdl, tmp_path, stand_in):
    path = write(tmp_path)
    header, *lines = path.read_text().splitlines()
    lines[3:9] = [line.replace(line.split(",")[1], "-999") for line in lines[3:9]]
    path.write_text("\n".join([header, *lines]) + "\n")
    named = ("--target", "y1", "--inputs", "x*", "--na", "-999", "--missing", "impute")
    assert numdl("fit", path, *named, "--out", tmp_path / "r").code == 0
    assert stand_in.Regressor.seen["X"].shape[1] == 3
    (tmp_path / "new.csv").write_text("x1,x2\n-999,0.5\nN/A,0.5\n")
    done = numdl("predict", tmp_path / "r", tmp_path / "new.csv")
    assert done.code == 0, done.err
    name, first, second = done.out.splitlines()
    assert name == "y1" and first == second


def test_one_column_has_no_target_and_a_long_name_takes_one_line(numdl, tmp_path):
    (tmp_path / "one.csv").write_text("only\n" + "\n".join(f"{i}.5" for i in range(20)))
    done = numdl("look", tmp_path / "one.csv")
    assert "none: needs a column" in done.out and "--target only" not in done.out
    rows = "\n".join(f"{i}.5,{i * i},{-i}" for i in range(20))
    (tmp_path / "long.csv").write_text(f'{"x" * 9999},"two\nlines",y\n{rows}')
    out = numdl("look", tmp_path / "long.csv").out
    assert len(out) < 2000 and "two lines" in out and "--target y" in out


def dated(tmp_path, lines):
    path = tmp_path / "dated.csv"
    path.write_text("x,when,y\n" + "".join(f"{line}\n" for line in lines))
    return path


def test_the_latest_rows_test_whatever_their_order_in_the_file(tmp_path):
    day = np.random.default_rng(0).permutation(40)
    path = dated(tmp_path, [f"{i},{np.datetime64('2024-01-01') + np.timedelta64(int(i), 'D')},{2 * i}" for i in day])
    options = FitOptions(("y",), split="time", test=0.25)
    for dates in ("drop", "elapsed"):
        chosen = dataclasses.replace(options, dates=dates)
        found = prepare(read_encoded(path, chosen), chosen, watched=False)
        assert sorted(found.parts["test"].y) == [*range(60, 80, 2)] and len(found.parts["train"].y) == 30
        assert any("split by the dates in 'when', in which the file is not sorted" in note for note in found.notes)
    in_order = np.concatenate([2 * day[30:]])
    assert sorted(in_order) != [*range(60, 80, 2)]  # the mutant: the last rows of the file
    plain = dataclasses.replace(options, drop=("when",))
    found = prepare(read_encoded(path, plain), plain, watched=False)
    np.testing.assert_array_equal(found.parts["test"].y, in_order)
    assert any("No column holds dates" in note for note in found.notes)
    doubtful = dated(tmp_path, [f"{i},{1 + i % 9}/{1 + i % 7}/2024,{2 * i}" for i in range(40)])
    with pytest.raises(UserError, match=r"'when'.*begins with the day or the month"):
        prepare(read_encoded(doubtful, options), options, watched=False)


@pytest.fixture
def sheets(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for name, factor in (("Rig", 1), ("2", 10), ("Old", 100)):
        sheet = book.active if name == "Rig" else book.create_sheet()
        sheet.title = name
        sheet.append(["x", "y"])
        for i in range(12):
            sheet.append([i, factor * i])
    book.create_sheet("Empty")
    path = tmp_path / "book.xlsx"
    book.save(path)
    return path


def test_a_sheet_is_chosen_by_name_or_number(numdl, sheets):
    note = "Sheet 'Rig' is read, others are not: '2', 'Old', 'Empty'; --sheet NAME or NUMBER chooses one."
    assert read_table(sheets).notes == (note,)
    for sheet, factor in (("Rig", 1), ("Old", 100), (3, 100), ("3", 100), ("2", 10), (1, 1)):  # a name comes first
        table = read_table(sheets, sheet=sheet)
        assert table.column("y")[2] == 2 * factor and table.notes == ()
    for sheet, why in (("Neu", "its 4 sheets are 'Rig', '2', 'Old'"), (5, "sheets are"), (0, "sheets are")):
        with pytest.raises(ValueError, match=f"there is no sheet {sheet!r}.*{why}.*number from 1"):
            read_table(sheets, sheet=sheet)
    with pytest.raises(ValueError, match="'Empty' holds no cell"):
        read_table(sheets, sheet="Empty")
    with pytest.raises(TypeError, match=r"read_table\(sheet=1.5\)"):
        read_table(sheets, sheet=1.5)
    out = numdl("look", sheets, "--sheet", "Old").out
    assert "1100" in out and f"numdl fit {sheets} --target y" in out and "--sheet Old" in out


def test_a_cover_is_not_the_table(numdl, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["Prüfstand 3"])
    for name, lines in (("Remarks", [["who", "what"], ["AB", "new sensor"]]), ("Run", [["n", "y"], [1, 2], [3, 5]])):
        for line in (sheet := book.create_sheet(name)) and lines:
            sheet.append(line)
    book.save(tmp_path / "a.xlsx")
    table = read_table(tmp_path / "a.xlsx")
    assert table.names == ("n", "y") and "Sheet 'Run' is read, others are not: 'Sheet', 'Remarks'" in table.notes[0]
    del book["Run"], book["Remarks"]
    book.create_sheet("Empty too").append(["also"])
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(ValueError, match=r"no rows.*has the sheets 'Sheet', 'Empty too'; --sheet NAME or NUMBER"):
        read_table(tmp_path / "a.xlsx")


def test_all_of_numbered_targets_are_suggested():
    def suggested(*names):
        columns = [np.random.default_rng(i).normal(size=9) for i in range(len(names))]
        return suggested_targets(profile(Table(names, tuple(columns))))

    assert suggested("inputs0", "inputs1", "targets0", "targets1") == "targets0:targets1"
    assert suggested("x1", "x2", "y1", "y2", "y3") == "y1:y3"
    assert suggested("y1", "x", "y2") == "y2"  # not side by side
    assert suggested("x0", "x1") == "x1"  # nothing would be left
    assert suggested("id_", "x1", "x2", "x3") == "x3" and suggested("temp", "2018", "2019") == "2019"  # no targets
    assert suggested("x [mm]", "y1 [V]", "y2 [Nm]") == "y1:y2"  # which the command understands
    assert suggested("X0", "X1", "T0", "T1", "T2") == "T0:T2"  # matrices of a MAT file
    assert suggested("a", "T0", "T1") == "T1"
    assert suggested("x", "y") == "y" and suggested("x", "y", "height") == "height"


def test_other_files_have_no_sheets(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,4\n")
    np.savez(tmp_path / "a.npz", x=np.arange(3.0))
    for name in ("a.csv", "a.npz"):
        with pytest.raises(ValueError, match="has no sheet 'Rig'; leave the sheet out"):
            read_table(tmp_path / name, sheet="Rig")


def test_columns_are_named_without_their_units(tmp_path):
    table = Table(
        ["speed [rpm]", "load (Nm)", "load [kN]", "fuel [g/kWh]", "w", "run [1]"],
        [np.arange(6.0), np.arange(6.0) ** 2, np.arange(6.0) ** 3, np.arange(6.0) % 4, np.ones(6), np.arange(6.0) // 2],
    )
    assert expand("fit", ["speed:load (Nm)", "fuel:run"], table.names) == (*table.names[:2], *table.names[3:])
    options = FitOptions(("fuel",), inputs=("speed", "load (Nm)"), weights="w", split="group:run")
    found, named = chosen(table, options)
    assert found.names == ("speed [rpm]", "load (Nm)", "fuel [g/kWh]", "w", "run [1]")
    assert (named.target, named.weights, named.group) == (("fuel [g/kWh]",), "w", "run [1]")
    with pytest.raises(UserError, match="there is no column 'load'"):  # two columns would do
        chosen(table, dataclasses.replace(options, inputs=("load",)))
    with pytest.raises(UserError, match="needed is one column, not 'load"):
        chosen(table, dataclasses.replace(options, split="group:load*"))


def test_groups_named_without_their_unit_stay_together(tmp_path):
    path = tmp_path / "groups.csv"
    rows = [f"{i},{np.sin(i):.6f},{i // 5}" for i in range(60)]
    path.write_text("\n".join(["x,y,run [1]", *rows]))
    options = FitOptions(("y",), split="group:run", test=0.3)
    parts = prepare(read_encoded(path, options), options, watched=False).parts
    train, test = (set((parts[name].rows - 1) // 5) for name in ("train", "test"))
    assert train and test and not train & test
    assert parts["train"].x.shape[1] == 1  # the group is no input


def test_test_rows_are_on_a_sheet_of_a_workbook(numdl, tmp_path, stand_in):
    openpyxl = pytest.importorskip("openpyxl")
    rng, book = np.random.default_rng(0), openpyxl.Workbook()
    book.active.title = "train"
    for name, n in (("train", 40), ("test", 12)):
        sheet = book["train"] if name == "train" else book.create_sheet(name)
        for row in (["x", "y"], ["mm", "kN"], *rng.normal(size=(n, 2)).tolist()):
            sheet.append(row)
    path = tmp_path / "a.xlsx"
    book.save(path)
    done = numdl("fit", path, "--target", "y", "--split", f"file:{path}", "--out", tmp_path / "r")
    assert done.code == 1 and "or another sheet (file:TEST.xlsx:SHEET)" in done.err  # the same sheet
    done = numdl("fit", path, "--target", "y", "--split", f"file:{path}:test", "--out", tmp_path / "r")
    assert done.code == 0 and "12 test" in done.out and "a.xlsx: The row below the header is read as units" in done.out
    # and what the row of units says stands where the column is named
    options = FitOptions(("y",))
    assert prepare(read_encoded(path, options), options, watched=False).label("y") == "y [kN]"
    assert "RMSE of y [kN]" in (tmp_path / "r" / "report.json").read_text()


def test_a_clock_among_the_inputs_is_told(tmp_path):
    path, rng = tmp_path / "a.csv", np.random.default_rng(0)
    lines = [f"{0.5 * i},{a},{b}" for i, (a, b) in enumerate(rng.normal(size=(40, 2)))]
    path.write_text("\n".join(["time [s],x,y", *lines]) + "\n")
    for split, told in (("time", True), ("random", False)):
        options = FitOptions(("y",), split=split)
        notes = " ".join(prepare(read_encoded(path, options), options, watched=False).notes)
        assert ("Input 'time [s]' rises or falls with time" in notes and "add --drop 'time [s]'" in notes) == told
        assert "'x'" not in notes
    options = FitOptions(("y",), split="time", test=0.1)
    for seed in range(20):  # of two test rows some input is often the largest
        rows = np.random.default_rng(seed).normal(size=(24, 5))
        path.write_text("\n".join(["a,b,c,d,y", *(",".join(map(str, row)) for row in rows)]) + "\n")
        notes = " ".join(prepare(read_encoded(path, options), options, watched=False).notes)
        assert "rises or falls" not in notes


def test_copies_are_told(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40))
    at = np.r_[np.arange(40), np.arange(10)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["x,y,w", *(f"{x[i]},{y[i]},{1 + i % 2}" for i in at)]) + "\n")
    options = FitOptions(("y",), test=0.0, weights="w")
    found = prepare(read_encoded(path, options), options, watched=False)
    assert len(found.parts["train"].x) == len(found.weights) == 50  # estimators count them once
    assert "10 rows repeat an earlier one in inputs and target" in " ".join(found.notes)
    # ratings at few settings: equal rows are as many by chance
    path.write_text("\n".join(["x,y", *(f"{i % 3},{i % 7 % 4 + 0.5}" for i in range(60))]) + "\n")
    options = FitOptions(("y",), test=0.0)
    found = prepare(read_encoded(path, options), options, watched=False)
    assert len(found.parts["train"].x) == 60 and not found.notes


@pytest.mark.parametrize("name", ["rownames", "row_id", "RowNumber", "obs", "Case"])
def test_names_of_columns_that_name_rows(name):
    assert names_rows(name, np.arange(1.0, 9)) and not names_rows(f"{name}s of x", np.arange(1.0, 9))


def test_columns_that_name_rows(numdl, tmp_path, stand_in, monkeypatch):
    """Also where a quarter of the rows occur twice: a serial number became 51 inputs without a word."""
    monkeypatch.setenv("COLUMNS", "160")
    rng = np.random.default_rng(0)
    lines = [f"{i + 1000},SN{i:04d},{a:.5f},{a + b:.5f}" for i, (a, b) in enumerate(rng.normal(size=(60, 2)))]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["Sample No.,serial,x,y", *lines, *lines[::4]]) + "\n")
    out = numdl("look", path).out
    assert "60 of 60 different rows have a word of their own" in out and "seems to name rows by numbers" in out
    assert "--target y --drop 'Sample No.'" in out
    done = numdl("fit", path, "--target", "y", "--out", tmp_path / "r")
    assert "Column 'serial' is dropped: it is text that names rows" in done.out
    assert "add --drop 'Sample No.'" in done.out and stand_in.Regressor.seen["X"].shape[1] == 2
    # time steps and counts are measurements
    table = Table(("step", "n", "id"), (np.arange(9.0), np.arange(9.0) ** 2, np.arange(9.0) // 2))
    assert not any(column.numbered for column in profile(table).columns)


def test_infinite_entries_are_told_and_the_next_command_takes_them_for_missing(numdl, tmp_path, stand_in):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["x,z,y", *(f"{i},{'-inf' if i == 7 else i % 5},{i / 7}" for i in range(40))]) + "\n")
    out = numdl("look", path).out
    assert "infinite in 1 rows, row 8 first" in out
    command = shlex.split(next(line for line in out.splitlines() if line.startswith("Next")))[2:]
    assert command[-4:] == ["--na", "-inf", "--missing", "impute"]
    assert numdl(*command, "--out", tmp_path / "r").code == 0
    assert "--na inf --missing impute" in numdl("fit", path, "--target", "y", "--out", tmp_path / "s").err


def test_several_files_are_one_table(numdl, tmp_path, stand_in, monkeypatch):
    """As the shell gives them for a pattern that is not quoted."""
    monkeypatch.chdir(tmp_path)
    for k in range(3):
        (tmp_path / f"d{k}.csv").write_text("\n".join(["x,y", *(f"{i},{i % 7}.5" for i in range(20 * k, 20 * k + 20))]))
    out = numdl("look", "d0.csv", "d1.csv", "d2.csv").out
    assert out.startswith("d0.csv, d1.csv, d2.csv: 60 rows, 2 columns")
    command = shlex.split(next(line for line in out.splitlines() if line.startswith("Next")))[2:]
    assert command[:4] == ["fit", "d0.csv", "d1.csv", "d2.csv"]
    done = numdl(*command, "--out", "run")
    assert done.code == 0 and "60 rows" in done.out, done.err
    assert "fit d0.csv d1.csv d2.csv --target y" in numdl("info", "run").out
    done = numdl("predict", "run", "d0.csv", "d2.csv")
    assert len(done.out.splitlines()) == 41
    done = numdl("look", "d0.csv", "e.csv")
    assert done.code == 1 and "read_table('e.csv'): there is no such file" in done.err
    (tmp_path / "a:b.csv").write_text("x,y\n1,2\n2,3\n")  # a file of this name comes first
    assert "2 rows" in numdl("look", "a:b.csv").out
    (tmp_path / "-x.csv").write_text("x,y\n1,2\n2,3\n")
    assert "fit ./-x.csv --target y" in numdl("look", "--", "-x.csv").out


def test_filled_gaps_are_told_where_they_are(tmp_path, numdl):
    from numdl.report.summary import read_summary

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    lines = [f"{'n/a' if i % 10 == 3 else a},{b},{a + b}" for i, (a, b) in enumerate(x)]
    (tmp_path / "gaps.csv").write_text("load [kN],speed,y\n" + "\n".join(lines) + "\n")
    args = ("fit", tmp_path / "gaps.csv", "--target", "y", "--missing", "impute", "--model", "linear")
    end = numdl(*args, "--out", tmp_path / "run")
    told = "Missing entries are filled, and an input tells where: 'load [kN]' in 6 rows."
    assert end.code == 0 and told in end.out
    found = read_summary(tmp_path / "run" / "summary.numdl")
    assert told in found.facts["Notes on the file"]
    assert "slice-0-0" in (tmp_path / "run" / "report.html").read_text()  # a response curve in spite of the gaps
    assert list(found.input_names) == ["load [kN]", "speed"] and len(found.effects["shown"]) == 2
