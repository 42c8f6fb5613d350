"""``numdl fit`` as it comes: the model that chooses, interrupted, short of time, and resumed."""

import contextlib
import csv
import os
import signal

import numpy as np
import pytest

from numdl import load
from numdl.cli import fit as command
from numdl.cli.errors import two_interrupts
from numdl.estimators.kernels import search
from numdl.report.summary import read_summary


@pytest.fixture
def table(tmp_path):
    x = np.random.default_rng(0).uniform(size=(36, 2))
    with open(tmp_path / "table.csv", "w", newline="") as file:
        csv.writer(file).writerows([["a", "b", "y"], *np.column_stack([x, x[:, 0] ** 2 + x[:, 1]])])
    return tmp_path / "table.csv"


def interrupted_at(monkeypatch, call):
    inner, calls = search.optimise, []

    def optimise(*args, **how):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return inner(*args, **how)

    monkeypatch.setattr(search, "optimise", optimise)


@pytest.mark.quick("auto")
@pytest.mark.parametrize("model", ["auto", "kernel"])
def test_a_search_that_was_interrupted_is_repeated_by_resume(numdl, table, tmp_path, monkeypatch, model):
    words = ("fit", table, "--target", "y", "--model", model, "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        interrupted_at(patch, 3)
        end = numdl(*words)
    assert end.code == 130 and "is saved in" in end.err and "--resume repeats the search" in end.err
    assert "--resume" in end.out
    first = load(tmp_path / "run" / "model.numdl")
    assert set(first.evidence_[0]) == {"linear", "rbf"}
    with monkeypatch.context() as patch:
        interrupted_at(patch, 1)
        end = numdl(*words, "--resume")
    assert end.code == 130 and "are those of the run before" in end.err
    end = numdl(*words, "--resume")
    assert end.code == 0 and "the search is repeated" in end.out and "--resume" not in end.out
    assert len(load(tmp_path / "run" / "model.numdl").evidence_[0]) == 6 + (model == "auto")
    assert "nothing to resume" in numdl(*words, "--resume").out


def test_a_search_that_ran_out_of_time_says_so_and_resumes_with_more(numdl, table, tmp_path):
    words = ("fit", table, "--target", "y", "--out", tmp_path / "run")
    end = numdl(*words, "--time", "0.001")
    assert end.code == 0 and "time budget: Members" in end.out and "perhaps with more --time" in end.out
    assert read_summary(tmp_path / "run" / "summary.numdl").status.code == "time_budget"
    end = numdl(*words, "--time", "60", "--resume")
    assert end.code == 0 and "converged: Members" in end.out
    assert "of 4 rows shown lie outside" in read_summary(tmp_path / "run" / "summary.numdl").facts["Extrapolations"]
    (tmp_path / "new.csv").write_text("a,b\n0.5,0.5\n0.5,5\n-3,0.5\n")
    end = numdl("predict", tmp_path / "run", tmp_path / "new.csv")
    assert end.code == 0 and "2 of 3 rows lie outside the training rows" in end.err and "outside" not in end.out
    end = numdl("predict", tmp_path / "run", tmp_path / "new.csv", "--outside")
    assert [line.split(",")[-1] for line in end.out.split()] == ["outside", "0", "1", "1"] and not end.err


def test_an_interruption_that_was_lost_before_the_training_still_ends_it(numdl, table, tmp_path, monkeypatch):
    inner = command.show_start

    def swallow(*args):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        return inner(*args)

    monkeypatch.setattr(command, "show_start", swallow)
    end = numdl("fit", table, "--target", "y", "--out", tmp_path / "run")
    assert end.code == 130 and "nothing is saved" in end.err and not (tmp_path / "run").exists()


def test_interruptions_are_counted():
    with two_interrupts(lambda: None) as heard:
        assert not heard()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert heard()
