"""The thin commands hand over to the experiments and turn their verdict into an exit code."""

import sys
from types import SimpleNamespace

import pytest

from numdl import course


@pytest.fixture
def calls(monkeypatch):
    made = []

    def run(name, out, quick=False):
        made.append((name, str(out), quick))
        if str(out) == "locked":
            raise PermissionError("experiment: the folder 'locked' cannot be written. Choose another place.")
        return {"passed": name != "wrong"}

    def run_demo(names, out, console):
        made.append((names, str(out)))
        if "nothing" in names:
            raise ValueError("demo: there is no 'nothing'. Use peaks.")

    monkeypatch.setattr(course, "REGISTRY", {"right": "x", "wrong": "y"})
    monkeypatch.setattr(course, "names", lambda: {"right": "It [holds].", "wrong": "It does not."})
    monkeypatch.setattr(course, "run", run)
    monkeypatch.setitem(sys.modules, "numdl.course.demo.run", SimpleNamespace(run_demo=run_demo))
    return made


def test_list(numdl, calls):
    end = numdl("experiment", "list")
    assert (end.code, end.out) == (0, "right  It [holds].\nwrong  It does not.\n")


def test_a_failed_claim_is_exit_code_1(numdl, calls):
    assert numdl("experiment", "run", "right", "--quick").code == 0
    assert numdl("experiment", "run", "wrong", "--out", "there").code == 1
    assert calls == [("right", "experiments", True), ("wrong", "there", False)]


def test_mistakes(numdl, calls):
    end = numdl("experiment", "run", "rihgt")
    assert (end.code, end.err) == (1, "Error: there is no experiment 'rihgt'; use one of right, wrong.\n")
    end = numdl("experiment", "run", "right", "--out", "locked")
    assert (end.code, "cannot be written" in end.err) == (1, True)
    end = numdl("demo", "nothing")
    assert (end.code, end.err) == (1, "Error: demo: there is no 'nothing'. Use peaks.\n")


def test_demo(numdl, calls):
    assert numdl("demo").code == 0
    assert numdl("demo", "peaks", "digits", "--out", "pages").code == 0
    assert calls == [([], "demo"), (["peaks", "digits"], "pages")]
