"""A run that was interrupted goes on, and only with the same options and data; with the stand-in."""

import json

import pytest
from flats import table, write_csv

from numdl.container import write_container
from numdl.estimators.common.saving import load
from numdl.report.summary import read_summary

pytestmark = pytest.mark.usefixtures("stand_in")


@pytest.fixture
def interrupted(numdl, csv_file, tmp_path, stand_in):
    """Arguments of a run that Ctrl-C ended after 12 iterations."""
    args = ("fit", csv_file, "--target", "price", "--out", tmp_path / "run")
    stand_in.Regressor.interrupt_at = 12
    end = numdl(*args)
    stand_in.Regressor.interrupt_at = None
    assert end.code == 130
    assert "the best model so far is saved" in end.err
    assert "--resume goes on" in end.err
    assert "repeat the command with --resume" in end.out
    return args


def test_an_interrupted_fit_leaves_a_model_and_its_report(interrupted, tmp_path):
    run = tmp_path / "run"
    assert load(run / "model.numdl").slope.shape == (9,)
    assert read_summary(run / "summary.numdl").status.code == "interrupted"
    assert (run / "report.html").exists()
    assert (run / "checkpoint.numdl").exists()


def test_resume_goes_on_from_the_checkpoint(interrupted, numdl, tmp_path):
    end = numdl(*interrupted, "--resume")
    assert end.code == 0, end.err
    assert "Resuming" in end.out
    assert "iteration 13 " in end.err
    assert "iteration 1 " not in end.err
    assert read_summary(tmp_path / "run" / "summary.numdl").status.code == "converged"
    assert not (tmp_path / "run" / "checkpoint.numdl").exists()


def test_resume_of_a_finished_run_says_so(interrupted, numdl):
    assert numdl(*interrupted, "--resume").code == 0
    end = numdl(*interrupted, "--resume")
    assert end.code == 0
    assert "is finished; there is nothing to resume" in end.out
    assert "mean of the targets" in end.out
    assert "iteration" not in end.err


def test_resume_before_the_first_checkpoint_starts_again(interrupted, numdl, tmp_path):
    (tmp_path / "run" / "checkpoint.numdl").unlink()
    (tmp_path / "run" / "report.html").unlink()
    (tmp_path / "run" / ".0123456789abcdef.tmp").write_text("half a file")
    end = numdl(*interrupted, "--resume")
    assert end.code == 0
    assert "which had not come to its first checkpoint" in end.out
    assert "iteration 1 " in end.err


def test_ctrl_c_before_training_leaves_nothing_behind(numdl, csv_file, tmp_path, stand_in, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    args = ("fit", csv_file, "--target", "price", "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(stand_in.Regressor, "fit", interrupt)
        end = numdl(*args)
    assert end.code == 130 and "nothing is saved" in end.err
    assert not (tmp_path / "run").exists()
    assert numdl(*args).code == 0, "the command can simply be repeated"


def test_resume_without_a_run_starts_one(numdl, csv_file, tmp_path):
    assert numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run", "--resume").code == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--width", "5"], "the run has no --width, this command has --width 5"),
        (["--target", "cost"], "the run has --target price, this command has --target price --target cost"),
        (["--seed", "3"], "has --seed 0, this command has --seed 3"),
        (["--max-iter", "3"], "--max-iter 3"),
        (["--test", "0.2"], "--test 0.2"),
    ],
)
def test_resume_with_other_options_names_them(interrupted, numdl, more, message):
    end = numdl(*interrupted, "--resume", *more)
    assert end.code == 1
    assert message in end.err
    assert end.err.count("\n") == 1


def test_resume_may_have_another_time_limit_and_be_quiet(interrupted, numdl):
    assert numdl(*interrupted, "--resume", "--time", "90s", "--quiet").code == 0


def test_resume_with_other_data_is_refused(interrupted, numdl, csv_file):
    write_csv(csv_file, table(seed=1))
    end = numdl(*interrupted, "--resume")
    assert end.code == 1
    assert "began with other data (flats.csv)" in end.err


def test_the_file_may_have_moved(interrupted, numdl, csv_file, tmp_path):
    moved = csv_file.rename(tmp_path / "moved.csv")
    assert numdl("fit", moved, *interrupted[2:], "--resume").code == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"options": 1}', "\0"])
def test_damaged_options_are_refused(interrupted, numdl, tmp_path, text):
    (tmp_path / "run" / "options.json").write_text(text)
    end = numdl(*interrupted, "--resume")
    assert end.code == 1
    assert "options.json is damaged; start anew with --overwrite" in end.err


def test_a_folder_without_a_run_is_refused(numdl, csv_file, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    end = numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run", "--resume")
    assert end.code == 1
    assert "holds no run" in end.err


def test_a_damaged_checkpoint_is_refused(interrupted, numdl, tmp_path):
    path = tmp_path / "run" / "checkpoint.numdl"
    path.write_bytes(path.read_bytes()[:-1])
    end = numdl(*interrupted, "--resume")
    assert end.code == 1
    assert "truncated" in end.err or "cut off" in end.err
    write_container(path, {}, {"key": "other", "iteration": 1}, kind="checkpoint")
    assert "other data or other parameters" in numdl(*interrupted, "--resume").err


def test_ctrl_c_outside_the_training(numdl, csv_file, tmp_path, monkeypatch):
    from numdl.cli import fit

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(fit, "prepare", interrupt)
        end = numdl("fit", csv_file, "--target", "price", "--out", run)
    assert (end.code, "before the training began; nothing is saved" in end.err) == (130, True)
    with monkeypatch.context() as patch:
        patch.setattr(fit, "_summary", interrupt)
        end = numdl("fit", csv_file, "--target", "price", "--out", run)
    assert (end.code, "the model is in" in end.err) == (130, True)
    assert numdl("fit", csv_file, "--target", "price", "--out", run, "--resume").code == 0
    assert json.loads((run / "options.json").read_text())["data"] == "flats.csv"
