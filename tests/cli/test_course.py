"""The thin commands hand over to the experiments and turn their verdict into an exit code."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from numdl import course
from numdl.course import catalogue


@pytest.fixture
def calls(monkeypatch):
    made = []

    def run(name, out, quick=False, random_state=0, settings=None):
        made.append((name, str(out), quick, random_state, settings))
        if str(out) == "locked":
            raise PermissionError("experiment: the folder 'locked' cannot be written. Choose another place.")
        return {"passed": name != "wrong"}

    def run_demo(names, out, console):
        made.append((names, str(out)))
        if "nothing" in names:
            raise ValueError("demo: there is no 'nothing'. Use peaks.")

    monkeypatch.setattr(course, "REGISTRY", {"right": "x", "wrong": "y"})
    monkeypatch.setattr(course, "run", run)
    monkeypatch.setitem(sys.modules, "numdl.course.demo.run", SimpleNamespace(run_demo=run_demo))
    return made


def test_list_is_by_lecture_with_minutes_and_imports_no_experiment(numdl):
    end = numdl("experiment", "list")
    lines = end.out.splitlines()
    assert (
        end.code == 0
        and "CPU minutes" in lines[0]
        and lines[1] == "1 Linear models"
        and lines[-1].startswith("  sensitivity-vs-adjoint ")
    )
    assert [line for line in lines if line and line[0] != " "] == list(catalogue.LECTURES.values())
    titles = course.names()
    for name, title in titles.items():
        (line,) = (line for line in lines if line.startswith(f"  {name} "))
        told = [f"{value:.1f}" for value in course.MINUTES.get(name, ()) if value is not None]
        assert line.split()[: 1 + len(told)] == [name, *told] and line.endswith(f"  {title}")
    assert set(course.MINUTES) <= set(titles)
    code = "import sys; from numdl.cli import main; main(['experiment', 'list']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    heavy = {"typer", "rich", "numpy", "jax", "matplotlib", "numdl.course.linear.inpainting"}
    assert heavy.isdisjoint(loaded.splitlines()[-1].split())


def test_a_failed_claim_is_exit_code_1(numdl, calls):
    assert numdl("experiment", "run", "right", "--quick", "--set", "noise=0.01", "--seed", "3").code == 0
    assert numdl("experiment", "run", "wrong", "--out", "there").code == 1
    assert calls == [("right", "experiments", True, 3, {"noise": "0.01"}), ("wrong", "there", False, 0, {})]


def test_mistakes(numdl, calls):
    end = numdl("experiment", "run", "rihgt")
    assert (end.code, end.err) == (1, "Error: there is no experiment 'rihgt'. Did you mean 'right'?\n")
    end = numdl("experiment", "run", "else")
    assert (end.code, end.err) == (1, "Error: there is no experiment 'else'. Use one of right, wrong.\n")
    end = numdl("experiment", "run", "right", "--set", "noise")
    assert end.code == 1 and "--set noise: needs NAME=VALUE, such as noise=0.01" in end.err
    end = numdl("experiment", "run", "right", "--out", "locked")
    assert (end.code, "cannot be written" in end.err) == (1, True)
    end = numdl("demo", "nothing")
    assert (end.code, end.err) == (1, "Error: demo: there is no 'nothing'. Use peaks.\n")


def test_parameters_are_shown_with_bounds_and_refused_outside_of_them(numdl, tmp_path):
    shown = numdl("experiment", "show", "choosing-alpha").out
    assert "--set noise=0.001  noise over the root mean square of the data, 1e-06 to 0.5" in shown
    assert "Which criterion chooses alpha well" in shown
    assert "Did you mean 'choosing-alpha'?" in numdl("experiment", "show", "chosing_alpha").err
    for setting, message in (
        ("noise=2", "noise=2): needs a number from 1e-06 to 0.5"),
        ("noise=much", "needs a number from 1e-06 to 0.5"),
        ("noise=nan", "needs a number from 1e-06 to 0.5"),
        ("nois=0.1", "Did you mean 'noise'?"),
    ):
        end = numdl("experiment", "run", "choosing-alpha", "--set", setting, "--out", str(tmp_path / "out"))
        assert end.code == 1 and message in end.err, end.err
    end = numdl("experiment", "run", "bias-variance", "--set", "points=22.5")
    assert end.code == 1 and "needs a whole number from 22 to 300" in end.err
    end = numdl("experiment", "run", "cross-entropy", "--set", "noise=0.1", "--out", str(tmp_path / "out"))
    assert end.code == 1 and "unknown parameter. Use one of spread, start." in end.err
    assert not (tmp_path / "out").exists()


def test_demo(numdl, calls):
    assert numdl("demo").code == 0
    assert numdl("demo", "peaks", "digits", "--out", "pages").code == 0
    assert calls == [([], "demo"), (["peaks", "digits"], "pages")]
