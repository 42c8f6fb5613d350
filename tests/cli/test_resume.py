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
    (tmp_path / "run" / "model.numdl").unlink()
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
    assert json.loads((run / "options.json").read_text())["data"].endswith("flats.csv")


@pytest.fixture
def trained_once(numdl, csv_file, tmp_path, stand_in, monkeypatch):
    """A run whose training is done, and which lacks what a kill at a place has kept from being written."""
    from numdl.cli import fit

    class Killed(BaseException):
        """Like SIGKILL: nothing of the command catches it."""

    def run(place):
        def kill(*_):
            raise Killed

        args = ("fit", csv_file, "--target", "price", "--out", tmp_path / "run")
        with monkeypatch.context() as patch:
            patch.setattr(fit, place, kill)
            with pytest.raises(Killed):
                numdl(*args)
        monkeypatch.setattr(fit, "fit_model", lambda *_: pytest.fail("trained again"))
        return args

    return run


@pytest.mark.parametrize("place", ["write_summary", "write_json", "write_page", "show_end"])
def test_a_kill_after_the_training_costs_no_training(trained_once, numdl, tmp_path, place):
    args = trained_once(place)
    model = (tmp_path / "run" / "model.numdl").read_bytes()
    end = numdl(*args, "--resume")
    assert end.code == 0, end.err
    assert place == "show_end" or "is trained; its report follows" in end.out
    assert (tmp_path / "run" / "model.numdl").read_bytes() == model
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"model.numdl", "options.json", "report.html", "summary.numdl"} <= names
    assert not names & {"checkpoint.numdl", ".lock"} and not any(name.endswith(".tmp") for name in names)
    assert "nothing to resume" in numdl(*args, "--resume").out


def test_the_checkpoint_goes_last(numdl, csv_file, tmp_path, monkeypatch):
    from numdl.cli import fit

    seen = []
    page = fit.write_page
    monkeypatch.setattr(fit, "write_page", lambda *a: (seen.append((tmp_path / "checkpoint.numdl").exists()), page(*a)))
    assert numdl("fit", csv_file, "--target", "price", "--out", tmp_path, "--overwrite").code == 0
    assert seen == [True] and not (tmp_path / "checkpoint.numdl").exists()


def full_disk(monkeypatch, *names):
    """Writing files fails where they are to have one of these names, or in a folder of one."""
    import errno
    import os

    from numdl import container

    true = os.replace

    def replace(source, target):
        if any(name in str(target) for name in names):
            raise OSError(errno.ENOSPC, "No space left on device")
        return true(source, target)

    monkeypatch.setattr(container.os, "replace", replace)


def test_a_full_disk_at_the_page_is_named_and_costs_no_training(numdl, csv_file, tmp_path, monkeypatch):
    from numdl.cli import fit

    args = ("fit", csv_file, "--target", "price", "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        full_disk(patch, "summary.numdl")
        end = numdl(*args)
    assert end.code == 1 and "is full (No space left on device)" in end.err and "--resume" in end.err
    assert end.err.count("Error") == 1 and not list((tmp_path / "run").glob(".*"))
    monkeypatch.setattr(fit, "fit_model", lambda *_: pytest.fail("trained again"))
    assert numdl(*args, "--resume").code == 0


def test_a_full_disk_at_the_model_keeps_it_elsewhere(numdl, csv_file, tmp_path, monkeypatch):
    from numdl.cli import fit

    args = ("fit", csv_file, "--target", "price", "--out", tmp_path / "run")
    (tmp_path / "refuge").mkdir()
    monkeypatch.setattr(fit.tempfile, "tempdir", str(tmp_path / "refuge"))
    with monkeypatch.context() as patch:
        full_disk(patch, str(tmp_path / "run" / "model.numdl"))
        end = numdl(*args)
    assert end.code == 1 and "is full" in end.err and "The model is kept in" in end.err
    (kept,) = (tmp_path / "refuge").rglob("model.numdl")
    kept.rename(tmp_path / "run" / "model.numdl")
    monkeypatch.setattr(fit, "fit_model", lambda *_: pytest.fail("trained again"))
    assert numdl(*args, "--resume").code == 0
    monkeypatch.undo()
    full_disk(monkeypatch, "model.numdl")
    end = numdl(*args[:-1], tmp_path / "other")
    assert end.code == 1 and "Nor could the model be kept" in end.err


def test_a_full_disk_at_the_start_leaves_nothing(numdl, csv_file, tmp_path, monkeypatch):
    full_disk(monkeypatch, "options.json")
    end = numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "new" / "run")
    assert end.code == 1 and "is full" in end.err
    assert not (tmp_path / "new").exists()


def test_a_folder_in_use_is_refused_and_one_of_a_dead_process_is_not(numdl, csv_file, tmp_path):
    from numdl.cli.folder import locked

    run = tmp_path / "run"
    args = ("fit", csv_file, "--target", "price", "--out", run)
    with locked(run):
        for more in ((), ("--resume",), ("--overwrite",)):
            end = numdl(*args, *more)
            assert end.code == 1 and "is writing there; wait for its end, or choose another folder" in end.err
            assert "process " in end.err and end.err.count("\n") == 1
        assert [path.name for path in run.iterdir()] == [".lock"]
    assert not run.exists()
    run.mkdir()
    (run / ".lock").write_text("process 1 on a machine that was switched off")
    assert numdl(*args).code == 0
    assert not (run / ".lock").exists()


@pytest.mark.thorough
def test_kills_spread_over_a_run_cost_nothing(tmp_path):
    """Twenty SIGKILLs, each later after a first checkpoint; --resume ends as the unbroken run did."""
    import os
    import signal
    import subprocess
    import sys
    import time

    data = write_csv(tmp_path / "flats.csv", table())
    words = [sys.executable, "-m", "numdl", "fit", str(data), "--target", "price", "--model", "resnet", "--width", "3"]
    words += ["--depth", "2", "--restarts", "2", "--max-iter", "20", "--quiet", "--out"]
    subprocess.run([*words, str(tmp_path / "whole")], check=True)
    whole = load(tmp_path / "whole" / "model.numdl")
    run, finished = tmp_path / "run", 0
    for i in range(int(os.environ.get("NUMDL_KILLS", "20"))):
        process = subprocess.Popen([*words, str(run), "--resume"])
        while process.poll() is None and not (run / "checkpoint.numdl").exists() and not (run / "model.numdl").exists():
            time.sleep(0.02)
        time.sleep(0.25 * (i % 20))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if i % 5 == 4:  # let one come to its end, and begin again
            subprocess.run([*words, str(run), "--resume"], check=True)
            found = load(run / "model.numdl")
            assert found.history_["objective"].tolist() == whole.history_["objective"].tolist()
            assert {path.name for path in run.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}
            for path in run.iterdir():
                path.unlink()
            run.rmdir()
            finished += 1
    assert finished == int(os.environ.get("NUMDL_KILLS", "20")) // 5
