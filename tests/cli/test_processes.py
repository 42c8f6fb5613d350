"""The command in several processes: how they are seen and refused, one result for all numbers, what a loss leaves."""

import os
import shutil
import signal
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from flats import table, write_csv

from numdl.cli.errors import UserError
from numdl.cli.models import check_processes
from numdl.cli.processes import Job, joined, launched
from numdl.container import read_container
from numdl.estimators.common.processes import of_first, several, writes
from numdl.estimators.common.saving import load

ALONE = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_NTASKS")
OPTIONS = ["--target=price", "--width=3", "--depth=2", "--T=1", "--dynamics=plain", "--restarts=1", "--alpha=0.01"]
OPTIONS += ["--max-iter=12"]
COMMAND = "import sys; from numdl.cli import main; sys.exit(main())"
FALLS = """
import os, signal, sys
from numdl.cli import main
from numdl.estimators.networks.training import trainer as runs
judge, judged = runs._judge, []
def fall(*of):
    judged.append(of)
    if len(judged) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return judge(*of)
runs._judge = fall
sys.exit(main())
"""


@pytest.fixture
def alone(monkeypatch):
    for name in ALONE:
        monkeypatch.delenv(name, raising=False)


def start(codes, *args):
    """Two processes as a launcher starts them; their exit codes, outputs and errors."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {"JAX_COORDINATOR_ADDRESS": address, "OMPI_COMM_WORLD_SIZE": "2", "JAX_PLATFORMS": "cpu"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            env=environment | {"OMPI_COMM_WORLD_RANK": str(i)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i, code in enumerate(codes)
    ]
    try:
        said = [process.communicate(timeout=300) for process in both]
    finally:
        for process in both:
            process.kill()
    return [(process.returncode, *words) for process, words in zip(both, said, strict=True)]


@pytest.mark.parametrize(
    ("variables", "seen"),
    [
        ({}, (1, 0)),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}, (4, 3)),
        ({"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, (1, 0)),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "0"}, (8, 0)),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, (1, 0)),  # in a batch script, but not started by srun
    ],
)
def test_a_launcher_is_seen(alone, monkeypatch, variables, seen):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched() == seen


def test_a_process_that_is_alone_joins_nothing(alone):
    with joined("run") as job:
        assert job == Job(1, 0, None) and job.first
        assert job.together(lambda: 3) == 3 and job.of_first(True) is True
        job.require_same("00ff", "file")
    assert not jax.distributed.is_initialized()


def test_processes_that_do_not_find_each_other(alone, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    former = signal.getsignal(signal.SIGINT)

    def refuse(**options):
        assert (options["num_processes"], options["process_id"]) == (2, 1)
        assert options["heartbeat_timeout_seconds"] <= 60
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    try:
        with pytest.raises(UserError, match=r"process 1 of 2 .*Set JAX_COORDINATOR_ADDRESS=HOST:PORT"), joined("run"):
            pass
    finally:
        signal.signal(signal.SIGINT, former)


def test_a_launcher_that_ends_the_job_is_answered(tmp_path):
    code = "import os, signal; from numdl.cli.processes import _ended\n"
    code += "signal.signal(signal.SIGTERM, _ended(2, 1, 'run'))\n"
    code += "os.kill(os.getpid(), signal.SIGTERM)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 130 and "process 1 of 2: the launcher ends the job" in done.stderr
    assert "What is in run is whole: repeat the command with --resume" in done.stderr


@pytest.mark.parametrize(("model", "task"), [("linear", "regression"), ("random-features", "classification")])
def test_what_one_process_solves_alone_is_refused_to_several(model, task):
    check_processes(model, task, 1)
    with pytest.raises(UserError, match=f"--model {model}: .* 2 were started; start the command without mpirun"):
        check_processes(model, task, 2)
    check_processes("resnet", task, 2)
    check_processes("linear", "classification", 2)


def test_one_process_decides_and_writes_by_itself():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    for where in (None, mesh):
        assert not several(where) and writes(where) and of_first(where, 7) == 7


def history(folder):
    return load(folder / "model.numdl").history_["objective"]


@pytest.mark.thorough
def test_a_lost_process_ends_the_job_and_any_number_goes_on(alone, numdl, tmp_path):
    data = write_csv(tmp_path / "flats.csv", table())
    assert numdl("fit", data, *OPTIONS, "--out", tmp_path / "whole", "--quiet").code == 0
    (code, _, said), (killed, _, _) = start(
        (COMMAND, FALLS), "fit", data, *OPTIONS, "--out", tmp_path / "run", "--quiet"
    )
    assert killed == -signal.SIGKILL
    assert code == 130, said
    assert "process 0 of 2: another process was lost" in said and "repeat the command with --resume" in said
    arrays, header = read_container(tmp_path / "run" / "checkpoint.numdl", kind="checkpoint")
    assert arrays and header["runs"][0]["net"]
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    assert numdl("fit", data, *OPTIONS, "--out", tmp_path / "run", "--quiet", "--resume").code == 0
    (code, out, said), (other, silent, _) = start(
        (COMMAND, COMMAND), "fit", data, *OPTIONS, "--out", tmp_path / "again", "--resume"
    )
    assert (code, other) == (0, 0), said
    assert "2, each with its part of the training rows" in out and "Resuming" in out
    assert "Rows" not in silent
    for folder in ("run", "again"):
        np.testing.assert_allclose(history(tmp_path / folder), history(tmp_path / "whole"), rtol=1e-9)


@pytest.mark.thorough
def test_a_mistake_of_all_is_said_once(alone, tmp_path):
    data = write_csv(tmp_path / "flats.csv", table())
    ends = start((COMMAND, COMMAND), "fit", data, "--target", "rent", "--out", tmp_path / "run")
    assert [end[0] for end in ends] == [1, 1]
    assert sum("Error: " in end[2] for end in ends) == 1
    assert not (tmp_path / "run").exists()
