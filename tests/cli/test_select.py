"""``numdl select`` prints the criteria, recommends one, writes a page, and refuses in one sentence."""

import re
import shlex

import numpy as np
import pytest
from flats import table, write_csv

from numdl import load as numdl_load
from numdl.estimators.tikhonov.selection import NAMES


@pytest.fixture
def numbers(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4))
    y = x @ [1.0, -1, 0.5, 0] + rng.normal(size=50)
    path = tmp_path / "numbers.csv"
    header = "a,b,c,d,y,z,flat"
    rows = np.column_stack([x, y, y**2, np.ones(50)])
    np.savetxt(path, rows, delimiter=",", header=header, comments="", fmt="%.17g")
    return path


def test_select_prints_and_writes(numdl, numbers, tmp_path):
    page = tmp_path / "page.html"
    result = numdl("select", numbers, "--target", "y", "--out", page)
    assert result.code == 0, result.err
    for name in NAMES.values():
        assert name in result.out
    assert "Recommended: alpha = " in result.out and "Page" in result.out
    html = page.read_text()
    assert (
        html.count("<svg") == 4
        and "Picard plot" in html
        and "http" not in html.split("</style>")[1].replace("http://www.w3.org", "")
    )


def test_the_command_that_it_prints_fits_that_model(numdl, numbers, tmp_path):
    result = numdl("select", numbers, "--target", "y", "--out", tmp_path / "page.html")
    (words,) = [line.removeprefix("Use it: numdl ") for line in result.out.splitlines() if line.startswith("Use it")]
    given = shlex.split(words)
    assert numdl(*given, "--out", tmp_path / "run", "--test", "0").code == 0
    alpha = float(re.search(r"Recommended: alpha = (\S+)\. ", result.out)[1])
    assert numdl_load(tmp_path / "run" / "model.numdl").alpha_ == pytest.approx(alpha, rel=1e-2)


def test_a_sheet_is_read_as_fit_reads_it(numdl, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["nothing here"])
    sheet, rng = book.create_sheet("rig 2"), np.random.default_rng(0)
    sheet.append(["a", "b", "when", "kind", "y"])
    for i in range(40):
        a, b = rng.normal(size=2)
        sheet.append([-999 if i == 3 else a, b, f"2024-05-{1 + i % 28:02}", i % 3, a - b + 0.1 * rng.normal()])
    book.save(tmp_path / "rig.xlsx")
    words = [tmp_path / "rig.xlsx", "--target", "y", "--sheet", "rig 2", "--na", "-999", "--missing", "impute"]
    words += ["--dates", "elapsed", "--text", "kind", "--drop", "b"]
    result = numdl("select", *words, "--out", tmp_path / "page.html")
    assert result.code == 0, result.err
    (said,) = [line for line in result.out.splitlines() if line.startswith("Use it")]
    for word in ("--sheet 'rig 2'", "--na -999", "--missing impute", "--dates elapsed", "--text kind", "--drop b"):
        assert word in said
    end = numdl("select", *words, "--drop", "z*", "--out", tmp_path / "other.html")
    assert end.code == 1 and "numdl select --drop 'z*'" in end.err
    end = numdl("select", *words, "--missing", "guess", "--out", tmp_path / "other.html")
    assert end.code == 1 and "numdl select --missing guess: needed is" in end.err


def test_several_targets_operators_and_noise(numdl, numbers, tmp_path):
    page = tmp_path / "page.html"
    words = ["--target", "y", "--target", "z", "--operator", "difference", "--noise", "0.5", "--out", page]
    result = numdl("select", numbers, *words)
    assert result.code == 0, result.err
    assert "given, in standard deviations" in page.read_text()
    assert numdl("select", numbers, *words).code == 1  # the page exists
    assert numdl("select", numbers, *words, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "nothing"], "nothing"),
        (["--target", "y", "--operator", "smooth"], "Use one of 'identity'"),
        (["--target", "flat"], "nothing to learn"),
        (["--target", "y", "--out", "/nowhere/page.html"], "does not exist"),
    ],
)
def test_mistakes_are_one_sentence(numdl, numbers, tmp_path, words, message):
    out = [] if "--out" in words else ["--out", tmp_path / "page.html"]
    result = numdl("select", numbers, *words, *out)
    assert result.code == 1 and message in result.err and "Traceback" not in result.err


def test_classes_are_refused(numdl, tmp_path):
    path = write_csv(tmp_path / "flats.csv", table())
    result = numdl("select", path, "--target", "town", "--out", tmp_path / "page.html")
    assert result.code == 1 and "town" in result.err
