"""``numdl fit`` is killed at twenty moments and goes on each time: no step, no row and no result is lost.

One training is killed again and again: after each new checkpoint by another delay, so that a kill falls on steps, on
the writing of a checkpoint or on both; each step waits a moment, so that a quick machine is not done before. The last
kills wait until the training is done and hit model, summary or page.
"""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from flats import table, write_csv

from numdl.container import read_container
from numdl.estimators.common.saving import load
from numdl.report.summary import read_summary

OFTEN = """
import sys, time
from numdl.estimators.networks.training import checkpoint, trainer
checkpoint.SECONDS = 0.05
judge = trainer._judge
def slowly(*args):
    time.sleep(0.04)
    return judge(*args)
trainer._judge = slowly
from numdl.cli import main
sys.exit(main())
"""
OPTIONS = ["--target=price", "--width=4", "--depth=4", "--T=1", "--dynamics=plain", "--restarts=3", "--alpha=0.01"]
OPTIONS += ["--max-iter=60", "--quiet"]
LAST = ("model.numdl", "summary.numdl", "report.json", "report.html")
PATIENCE = 300


def age(path):
    return path.stat().st_mtime_ns if path.exists() else 0


def killed(command, run, delay, wait_for):
    """Start, wait for a file that is new, then a little longer; True if the kill came before the end."""
    path, before = run / wait_for, age(run / wait_for)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + PATIENCE
    while process.poll() is None and age(path) == before and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


def steps(run):
    """Iterations in the checkpoint, which must be whole."""
    arrays, header = read_container(run / "checkpoint.numdl", kind="checkpoint")
    return sum(arrays[f"{i}/{one['leaves'] - 1}"].shape[1] for i, one in enumerate(header["runs"]))


@pytest.mark.thorough
def test_twenty_kills_lose_nothing(tmp_path):
    data, rng = write_csv(tmp_path / "flats.csv", table()), np.random.default_rng(0)
    command = [sys.executable, "-c", OFTEN, "fit", str(data), *OPTIONS, "--out"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    subprocess.run([*command, whole], check=True, env=os.environ | {"JAX_PLATFORMS": "cpu"})
    resume, kills, done, seen = [*command, run, "--resume"], 0, 0, []
    for delay in rng.uniform(0, 0.4, 16):
        kills += killed(resume, run, delay, "checkpoint.numdl")
        if not (run / "checkpoint.numdl").exists():
            break
        now = steps(run)
        assert now >= done, "a kill has cost steps that were stored"
        seen.append(now)
        done = now
    for name in LAST:
        kills += killed(resume, run, 0.0, name)
        if (run / "model.numdl").exists():
            load(run / "model.numdl")
    print(f"{kills} kills, steps {seen}")
    assert kills >= 15 and len(set(seen)) >= 5
    subprocess.run(resume, check=True)
    names = {path.name for path in run.iterdir()}
    assert names == {path.name for path in whole.iterdir()}
    assert not [name for name in names if name.endswith(".tmp") or "lock" in name or "checkpoint" in name]
    one, other = (read_summary(folder / "summary.numdl") for folder in (run, whole))
    assert one.status.code == other.status.code
    np.testing.assert_array_equal(one.c, other.c)
    np.testing.assert_allclose(one.prediction, other.prediction, rtol=1e-9)
    np.testing.assert_allclose(one.history["objective"], other.history["objective"], rtol=1e-9)
