"""The command starts quickly, explains itself, and its small parts do what they say."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from numdl import __version__, flow
from numdl.cli import completion, images, main, models
from numdl.cli.app import app
from numdl.cli.baselines import score_rows
from numdl.cli.errors import INTERRUPTED, UserError
from numdl.cli.options import FitOptions, difference, seconds
from numdl.cli.prepare import Part
from numdl.contracts import Status
from numdl.data.table import feature
from numdl.estimators.common import robust
from numdl.estimators.networks import settings
from numdl.estimators.tikhonov import operators
from numdl.export import write
from numdl.report import FitSummary, summary
from numdl.report.summary import read_summary, write_summary

HEAVY = ("jax", "sklearn", "matplotlib", "pyarrow", "scipy", "numpy", "jaxtyping", "numdl.contracts")


@pytest.mark.parametrize("command", ["--help", "--version", "fit --help", "experiment --help"])
def test_help_loads_nothing_heavy(command):
    code = f"import sys; from numdl.cli import main; main({command.split()}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in HEAVY if name in done.stderr.split()] == []


def test_help_and_version():
    runner = CliRunner()
    done = runner.invoke(app, ["--help"])
    assert done.exit_code == 0
    for command in ("fit", "predict", "report", "demo", "experiment"):
        assert f"\n  {command} " in done.output
    assert runner.invoke(app, ["--version"]).output == f"numdl {__version__}\n"
    assert "--target" in runner.invoke(app, ["fit", "--help"]).output


@pytest.mark.parametrize("args", [["fly"], ["fit"], ["predict", "run"], ["experiment", "walk"], ["--colour"]])
def test_wrong_usage_is_exit_code_1(numdl, args):
    end = numdl(*args)
    assert end.code == 1
    assert "Error: " in end.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("60", 60), ("60s", 60), ("1.5 m", 90), ("5min", 300), ("1H", 3600), (".5s", 0.5)],
)
def test_times(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "s", "-5", "0", "5 days", "1e400", "nan", "inf", "1:30", "9" * 400])
def test_bad_times(text):
    with pytest.raises(UserError, match="needed is a positive time"):
        seconds(text)


def test_differences_between_options():
    old = FitOptions(("y",), width=3)
    assert difference(old.to_json(), FitOptions(("y",), width=3, time=9.0).to_json()) is None
    assert difference(old.to_json(), FitOptions(("y",)).to_json()) == "has --width 3, this command has no --width"


def test_scores_by_hand():
    parts = {"train": Part(np.zeros((2, 1)), np.array([1.0, 3.0])), "test": Part(np.ones((1, 1)), np.array([5.0]))}
    (row,) = score_rows("regression", {"zero": lambda x: np.zeros(len(x))}, parts)
    assert row == {"name": "zero", "train": pytest.approx(np.sqrt(5)), "test": 5.0}
    parts = {"train": Part(np.zeros((4, 1)), np.array([[0.0, 0], [2, 20], [0, 0], [2, 20]]))}
    (row,) = score_rows("regression", {"mean": lambda x: np.tile([1.0, 10.0], (len(x), 1))}, parts)
    assert row["train"] == pytest.approx(1.0)
    parts = {"train": Part(np.zeros((4, 1)), np.array(["a", "a", "a", "b"]))}
    (row,) = score_rows("classification", {"a": lambda x: np.full(len(x), "a")}, parts)
    assert row["train"] == 25.0


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_summaries_come_back(tmp_path, task):
    rows = {"c": np.array([0, 1, 1]), "prediction": np.array([0, 1, 0])}
    if task == "regression":
        rows = {name: 1.5 * values for name, values in rows.items()} | {"interval": np.ones(3)}
    summary = FitSummary(
        title="ü [red]",
        task=task,
        status=Status("converged", "Done."),
        facts={"File": "a.csv"},
        scores=[{"name": "numdl", "train": np.float64(0.5), "validation": None, "test": float("nan")}],
        history={"objective": np.array([1.0, np.nan]), "alpha:layer 0/1": np.ones(2)},
        n_parameters=7,
        weights={"K": np.ones((2, 3, 4))},
        class_names=("no", "yes") if task == "classification" else (),
        **rows,
    )
    write_summary(summary, tmp_path / "s.numdl")
    back = read_summary(tmp_path / "s.numdl")
    for name in ("title", "task", "status", "facts", "n_parameters", "held_out_name", "target_names", "class_names"):
        assert getattr(back, name) == getattr(summary, name)
    assert str(back.scores) == str(summary.scores).replace("np.float64(0.5)", "0.5")
    for group in ("history", "weights"):
        assert list(getattr(back, group)) == list(getattr(summary, group))
        for name, values in getattr(summary, group).items():
            np.testing.assert_array_equal(getattr(back, group)[name], values)
    for name in ("c", "prediction", "interval"):
        np.testing.assert_array_equal(getattr(back, name), getattr(summary, name))


def test_a_terminal_sees_one_line_that_moves(tmp_path):
    if os.name != "posix":
        pytest.skip("needs a pseudo terminal")
    code = "from rich.console import Console\nfrom numdl.cli.show import Progress\n"
    code += "with Progress(Console(force_terminal=True, width=80), False) as line:\n"
    code += (
        "    for i in range(3):\n        line.observe({'iteration': i, 'phase': f'part {i // 2}', 'objective': 1.0})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "part 0" in done.stdout
    assert "part 1" in done.stdout
    assert "\x1b[?25h" in done.stdout  # the cursor is back


def test_python_runs_the_package_as_the_command():
    done = subprocess.run([sys.executable, "-m", "numdl", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"numdl {__version__}\n"


def complete(shell, words):
    """What the command answers to the shell's function when the Tab key is pressed after these words."""
    asked = {"_NUMDL_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": words}
    asked |= {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    call = [sys.executable, "-m", "numdl"]
    return subprocess.run(call, env=os.environ | asked, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("numdl pre", "predict\n"),
        ("numdl experiment r", "run\n"),
        ("numdl fit --dyn", "--dynamics\n"),
        ("numdl fit --dynamics hyp", "hyperbolic\n"),
        ("numdl fit --missing ", "refuse\ndrop\nimpute\n"),
        ("numdl experiment run path", "path-planning\npath-with-obstacles\n"),
        ("numdl course start soft", "softmax\n"),
        ("numdl reference show pea", "peaks\n"),
    ],
)
def test_the_shell_completes_commands_options_and_their_values(words, completed):
    assert complete("bash", words) == completed


def test_zsh_completes_values():
    answer = complete("zsh", "numdl export run --to ")
    assert [re.sub(r'.*"(\w+)".*', r"\1", line) for line in answer.splitlines()] == list(completion.LANGUAGES)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_takes_the_script_and_fills_in_a_value(tmp_path):
    """The script that --show-completion prints, sourced by a shell: its function finds the words."""
    (tmp_path / "numdl").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m numdl "$@"\n')
    (tmp_path / "numdl").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    asked = environment | {"_NUMDL_COMPLETE": "source_bash"}
    script = subprocess.run(["numdl"], env=asked, capture_output=True, text=True, check=True).stdout
    press = (
        f"{script}\nCOMP_WORDS=(numdl fit --scheme r)\nCOMP_CWORD=3\n"
        '$(complete -p numdl | sed "s/.*-F \\([^ ]*\\).*/\\1/") numdl\nprintf "%s " "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", press], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "rk3 rk4 "


def test_words_that_are_completed_are_those_of_the_rooms():
    assert tuple(flow.DYNAMICS) == completion.DYNAMICS and tuple(flow.SCHEMES) == completion.SCHEMES
    assert completion.TABLE_MODELS == models.MODELS and completion.IMAGE_MODELS == (images.PATCHES, images.IMAGES)
    assert tuple(write.TARGETS) == completion.LANGUAGES and completion.OPERATORS == operators.OPERATORS
    assert completion.POLICIES == feature.POLICIES and completion.DATES == feature.DATES
    assert completion.LOSSES == robust.LOSSES
    assert ("auto", *summary.TASKS) == completion.TASKS and settings._WORDS["dtype"] == completion.DTYPES


def test_info_tells_scores_and_the_command_that_made_a_run(numdl, csv_file, tmp_path, stand_in):
    given = ("--target", "price", "--model", "mlp", "--width", "8,4", "--seed", "3", "--no-header", "--drop", "a b")
    options = FitOptions(("price",), model="mlp", width=(8, 4), seed=3, header=False, drop=("a b",))
    run = tmp_path / "run"
    assert numdl("info", run).code == 1
    assert numdl("fit", csv_file, "--target", "price", "--out", run).code == 0
    (run / "options.json").write_text(json.dumps({"data": "x y.csv", "options": options.to_json()}))
    result = numdl("info", run)
    assert result.code == 0 and "ridge" in result.out and "model.numdl" in result.out
    (line,) = [line for line in result.out.splitlines() if line.startswith("Command")]
    words = shlex.split(line.removeprefix("Command"))
    assert words[:3] == ["numdl", "fit", "x y.csv"] and sorted(words[3:]) == sorted(given)
    (run / "options.json").write_text("{}")
    assert numdl("info", run).code == 1


def test_an_interruption_while_the_command_loads_is_no_traceback(monkeypatch):
    class Interrupted:
        @staticmethod
        def find_spec(name, *_):
            if name == "numdl.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "numdl.cli.app")
    monkeypatch.setattr(sys, "meta_path", [Interrupted, *sys.meta_path])
    assert main(["--version"]) == INTERRUPTED


def test_errors_of_many_rows_are_those_of_some(numdl, csv_file, tmp_path, monkeypatch, stand_in):
    monkeypatch.setattr("numdl.cli.fit.JUDGED", 4)
    assert numdl("fit", csv_file, "--target", "price", "--out", tmp_path / "run").code == 0
    found = read_summary(tmp_path / "run" / "summary.numdl")
    assert len(found.c) == len(found.rows) == 4 and found.facts["Judged"].startswith("at most 4 rows of each part")
    part = Part(np.arange(10.0)[:, None], np.arange(10.0), np.arange(10) + 1)
    assert part.spread(4).rows.tolist() == [1, 4, 7, 10] and part.spread(10) is part


def commands(group, words=()):
    """All commands and groups by the words that call them."""
    yield words, group
    for name, one in getattr(group, "commands", {}).items():
        yield from commands(one, (*words, name))


HELPS = {" ".join(words): one for words, one in commands(typer.main.get_command(app))}


@pytest.mark.parametrize("width", [60, 120])
def test_help_is_in_the_words_of_its_user(width):
    for words in HELPS:
        done = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": str(width)}, terminal_width=width)
        text = done.output
        assert done.exit_code == 0 and max(map(len, text.splitlines())) <= width
        assert not re.search(r"<\w+( range)?>|list\[|[{}]|\w\.\.\.$|\[\[", text, re.MULTILINE), text
        usage = text.split("Usage: ")[1].split("\n\n")[0].split()
        assert usage[: len(words.split()) + 1] == ["numdl", *words.split()]


def test_each_example_in_the_help_is_a_command_with_its_options():
    for words, one in HELPS.items():
        example = shlex.split(one.epilog.removeprefix("Example: "))[1:]
        assert example[: len(words.split())] == words.split() or not words
        name = next(
            name for name in sorted(HELPS, key=len, reverse=True) if f"{' '.join(example)} ".startswith(name + " ")
        )
        known = {option for param in HELPS[name].params for option in param.opts}
        assert {word for word in example if word.startswith("--")} <= known
        needed = sum(param.required for param in HELPS[name].params)
        assert len(example) - len(name.split()) >= needed


def test_help_names_all_dynamics_and_schemes():
    from numdl.flow import DYNAMICS, SCHEMES

    words = " ".join(CliRunner().invoke(app, ["fit", "--help"], env={"COLUMNS": "1000"}).output.split())
    assert ", ".join(list(DYNAMICS)[:-1]) + f" or {list(DYNAMICS)[-1]}." in words
    assert ", ".join(list(SCHEMES)[:-1]) + f" or {list(SCHEMES)[-1]}." in words


@pytest.mark.parametrize(
    "options",
    [
        {"width": (8, 4), "missing": "impute", "na": ("-9", "x y"), "header": False, "sheet": "Run 3"},
        {"size": (64, 48), "time": 30.0, "seed": 3},
        {"inputs": ("a*", "b"), "drop": ("c",), "weights": "w", "split": "group:g", "loss": "pseudo-huber"},
    ],
)
def test_commands_that_are_printed_give_their_options_back(options, monkeypatch):
    from numdl.cli import fit, images, main
    from numdl.cli.options import FitOptions, command

    seen = []
    for room, name in ((fit, "run_fit"), (images, "run_fit_images")):
        monkeypatch.setattr(room, name, lambda data, given, out, **how: seen.append(given) or 0)
    wanted = FitOptions(target=("y",), **options)
    main(command("data.csv", wanted)[1:])
    assert seen == [wanted]
