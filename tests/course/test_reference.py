"""Reference results: files say what is needed, measured values are those of benchmarks, cheap ones come again."""

import json
import math
from pathlib import Path

import pytest

from numdl.cli import main
from numdl.course import reference
from numdl.course.reference.recompute import RECOMPUTED

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
WAYS = {"certified", "exact", "independent code", "published", "measured"}
NAMES = list(reference.names())
SLOW = ("deblurring", "stability-toy", "strd-nonlinear")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_what_is_needed(name):
    record = reference.load(name)
    assert set(record) <= {"title", "source", "setting", "command", "results", "data"}
    assert record["title"] and record["source"] and record["setting"] and record["results"]
    whats = [one["what"] for one in record["results"]]
    assert len(set(whats)) == len(whats)
    for one in record["results"]:
        kind, size = one["tolerance"]
        assert kind in reference.KINDS and size > 0 and (kind != "factor" or (size > 1 and one["value"] > 0))
        assert math.isfinite(one["value"]) and one["by"] in WAYS, one
        assert reference.within(one, one["value"])


@pytest.mark.parametrize("name", NAMES)
def test_measured_values_are_those_of_the_benchmarks(name):
    for one in reference.load(name)["results"]:
        if "stored" in one:
            file, *path = one["stored"]
            value = json.loads((RESULTS / file).read_text())
            for key in path:
                value = value[key]
            assert one["value"] == value and one["command"].startswith(("python -m benchmarks", "the course's")), one


@pytest.mark.parametrize("name", NAMES)
def test_what_says_that_it_is_checked_is_recomputed(name):
    record = reference.load(name)
    assert (record["command"] == f"numdl reference check {name}") == (name in RECOMPUTED)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.thorough] if name in SLOW else []) for name in RECOMPUTED]
)
def test_cheap_results_are_found_again(name):
    found = reference.check(name)
    assert found and all(one.holds for one in found), found
    alone = [one["what"] for one in reference.load(name)["results"] if "command" not in one]
    assert alone == [one.what for one in found]


def test_a_wrong_number_is_seen(monkeypatch):
    wrong = {**RECOMPUTED["stability-regions"](reference.load("stability-regions")), "rk4, real axis": 2.7853}
    monkeypatch.setitem(RECOMPUTED, "stability-regions", lambda record: wrong)
    assert [one.what for one in reference.check("stability-regions") if not one.holds] == ["rk4, real axis"]
    assert main(["reference", "check", "stability-regions"]) == 1


@pytest.mark.parametrize(
    ("kind", "size", "near", "far"),
    [
        ("relative", 0.1, 2.19, 2.21),
        ("absolute", 0.1, 1.91, 1.89),
        ("factor", 2.0, 1.01, 0.99),
        ("factor", 2.0, 3.9, 4.1),
    ],
)
def test_tolerances_bound_what_they_say(kind, size, near, far):
    result = {"value": 2.0, "tolerance": [kind, size]}
    assert reference.within(result, near) and not reference.within(result, far)
    assert not reference.within(result, math.nan) and not reference.within(result, -2.0)


@pytest.mark.thorough
def test_certified_numbers_are_those_that_the_optimisers_are_tested_on(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "optimize"))
    from nist_regression import PROBLEMS

    values = {one["what"]: one["value"] for one in reference.load("strd-nonlinear")["results"]}
    for name, problem in PROBLEMS.items():
        assert [values[f"{name}, b{j + 1}"] for j in range(len(problem.certified))] == list(problem.certified)
        assert values[f"{name}, sum of squares"] == problem.squares


def test_the_command_lists_shows_and_checks(capsys):
    assert main(["reference", "list"]) == 0
    listed = capsys.readouterr().out
    assert len(NAMES) >= 15 and all(f"{name} " in listed for name in NAMES)
    assert main(["reference", "show", "stability-toy"]) == 0
    shown = capsys.readouterr().out
    assert "26.688723105" in shown and "numdl reference check stability-toy" in shown and "IPAIopen" in shown
    assert main(["reference", "show", "stability-regions", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == reference.load("stability-regions")
    assert main(["reference", "check", "hamiltonian-layers"]) == 0
    assert capsys.readouterr().out.count("pass") == 8


def test_what_is_not_there_is_refused(capsys):
    with pytest.raises(ValueError, match=r"reference\('stabilty-toy'\): unknown name\. Did you mean 'stability-toy'\?"):
        reference.load("stabilty-toy")
    assert main(["reference", "show", "../peaks"]) == 1
    assert "unknown name" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"takes more than seconds, its command is 'python -m benchmarks toys'"):
        reference.check("swiss-roll")
