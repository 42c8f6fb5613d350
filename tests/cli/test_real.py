"""The command with the real estimators: what is stored predicts, and signals lose nothing."""

import csv
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from flats import table, write_csv

from numdl.data import TableEncoder, read_table
from numdl.estimators.common.saving import load_with_extra
from numdl.report.summary import read_summary

SMALL = ("--width", "3", "--depth", "1", "--dynamics", "plain", "--restarts", "1")


COMMAND = "import sys; from numdl.cli import main; sys.exit(main())"

# a pause after each iteration, so that signals come while the training runs, however fast the machine is
SLOWLY = """
import sys, time
from numdl.cli import main, show

observe = show.Progress.observe
show.Progress.observe = lambda self, record: (observe(self, record), time.sleep(0.3))
sys.exit(main())
"""


def start(*args, code=COMMAND):
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def wait_for(process, condition):
    """Wait until something has happened, or the process has ended."""
    for _ in range(6000):
        if condition() or process.poll() is not None:
            return
        time.sleep(0.02)
    process.kill()
    raise AssertionError("nothing happened for two minutes")


@pytest.fixture(scope="module")
def flats(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("data") / "flats.csv", table())


def test_what_is_stored_predicts_the_same(numdl, flats, tmp_path):
    run = tmp_path / "run"
    end = numdl("fit", flats, "--target", "price", "--target", "cost", "--out", run, *SMALL, "--max-iter", "4")
    assert end.code == 0, end.err
    end = numdl("predict", run, flats, "--std")
    assert end.code == 0, end.err
    found = [[float(value) for value in row.values()] for row in csv.DictReader(io.StringIO(end.out))]
    model, extra = load_with_extra(run / "model.numdl")
    encoder = TableEncoder.from_json(extra["encoder"])
    mean, std = model.predict(encoder.transform(read_table(flats)), return_std=True)
    np.testing.assert_allclose(np.asarray(found)[:, ::2], mean, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(found)[:, 1::2], std, rtol=1e-12)
    assert read_summary(run / "summary.numdl").weights


def test_classes(numdl, flats, tmp_path):
    end = numdl("fit", flats, "--target", "kind", "--out", tmp_path / "run", *SMALL, "--max-iter", "4")
    assert end.code == 0, end.err
    end = numdl("predict", tmp_path / "run", flats)
    assert end.out.startswith("kind,probability_cheap,probability_dear\n")
    assert end.out.count("\n") == 61


@pytest.mark.slow
def test_ctrl_c_saves_the_best_model(numdl, flats, tmp_path):
    run = tmp_path / "run"
    process = start("fit", flats, "--target", "price", "--out", run, *SMALL, code=SLOWLY)
    for line in process.stderr:
        if line.startswith("iteration 11 "):
            break
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert code == 130, err
    assert "stopping after this step" in err
    assert "the best model so far is saved" in err
    assert "interrupted: " in out
    assert (run / "checkpoint.numdl").exists()
    end = numdl("predict", run, flats)
    assert end.code == 0, end.err


@pytest.mark.thorough
@pytest.mark.slow
def test_a_killed_fit_resumes_to_the_same_result(numdl, flats, tmp_path):
    options = ("fit", flats, "--target", "price", *SMALL, "--max-iter", "30", "--quiet", "--out")
    run = tmp_path / "run"
    checkpoint = run / "checkpoint.numdl"
    process = start(*options, run, code=SLOWLY)
    wait_for(process, checkpoint.exists)
    first = checkpoint.stat().st_mtime_ns
    wait_for(process, lambda: checkpoint.stat().st_mtime_ns > first)
    process.send_signal(signal.SIGKILL)
    assert finish(process)[0] == -signal.SIGKILL
    assert not (run / "model.numdl").exists()
    end = numdl(*options, run, "--resume")
    assert end.code == 0, end.err
    assert numdl(*options, tmp_path / "unbroken").code == 0
    broken, unbroken = (read_summary(folder / "summary.numdl") for folder in (run, tmp_path / "unbroken"))
    np.testing.assert_array_equal(broken.prediction, unbroken.prediction)
    np.testing.assert_array_equal(broken.history["objective"], unbroken.history["objective"])
    assert not checkpoint.exists()


STUBBORN = """
import os, time
from numdl.cli.errors import two_interrupts

with two_interrupts(lambda: os.write(1, b"told\\n")):
    try:
        os.write(1, b"ready\\n")
        time.sleep(60)
    except KeyboardInterrupt:
        os.write(1, b"first\\n")
        while True:  # as deaf as compiled code
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass
"""


def test_a_second_ctrl_c_quits_at_once():
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert sorted([process.stdout.readline(), process.stdout.readline()]) == ["first\n", "told\n"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_exit_codes_of_the_process(tmp_path):
    assert finish(start("--version"))[0] == 0
    code, out, err = finish(start("fit", tmp_path / "absent.csv", "--target", "y", "--out", tmp_path / "run"))
    assert (code, out) == (1, "")
    assert "there is no such file" in err
    assert err.count("\n") == 1


def test_a_closed_pipe_is_no_error_of_ours(tmp_path):
    process = start("--help")
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_device_is_no_error_of_ours(tmp_path):
    code = (
        "from numdl.cli.errors import UserError\nfrom numdl.cli.predict import _print\nimport numpy as np\n"
        "try: _print(['y'], [np.zeros(3)])\nexcept UserError as error: raise SystemExit(str(error))"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "the output cannot be written (No space left on device)" in done.stderr
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
