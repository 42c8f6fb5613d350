"""What the documents show runs, and what they list is what there is."""

import contextlib
import inspect
import re
import shlex
from pathlib import Path

import pytest

import numdl

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
GENERATED = ("reference.md", "gallery/experiments.md", "gallery/examples.md", "api/")
WRITTEN = {
    "README.md": {"report.html", "model.numdl"},
    "docs/index.md": {"report.html", "model.numdl"},
    "docs/howto/export.md": {"model.py"},
    "docs/howto/terminal.md": {"data.csv", "predictions.csv", "again.html", "run/model.numdl", "run/model.c"},
    "docs/howto/linear.md": {"selection.html", "straight/model.numdl", "waves/report.html", "smooth/model.numdl"},
}


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name, *languages):
    found = re.findall(r"^```(\w*)\n(.*?)^```", text_of(name), flags=re.DOTALL | re.MULTILINE)
    return [block for language, block in found if language in languages]


def shorter(text):
    """The same with a second where a reader would give more."""
    return re.sub(r"time_budget=\d+", "time_budget=1", text).replace("--time 30s", "--time 1s")


@pytest.mark.experiment
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of the second that they are given
@pytest.mark.parametrize("name", ["README.md", *(name for name in PAGES if blocks(name, "python"))])
def test_the_snippets_of_a_page_run(name, tmp_path, monkeypatch, capsys):
    from numdl.cli import main

    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for block in blocks(name, "python"):
        exec(compile(shorter(block), name, "exec"), names)
    for line in shorter("".join(blocks(name, "sh"))).splitlines():
        program, *words = shlex.split(line)
        assert program == "numdl" and main(words) == 0, capsys.readouterr().err
    assert all((tmp_path / path).exists() for path in WRITTEN.get(name, ()))
    if name == "docs/howto/toolbox.md":
        assert names["result"].p == pytest.approx([-0.35667, 1.38629], abs=1e-3)


def test_commands_that_pages_show_are_commands_with_these_options():
    """What is not run, as it needs a file of the reader, is at least understood."""
    import typer

    from numdl.cli.app import app

    group, seen = typer.main.get_command(app), 0
    for name in ("README.md", *PAGES):
        for block in blocks(name, "", "sh"):
            for line in re.findall(r"(?:^|[a-z] )(numdl [a-z].*)$", block, flags=re.MULTILINE):
                words = shlex.split(line, comments=True)[1:]
                command, seen = group, seen + 1
                while hasattr(command, "commands") and words and words[0] in command.commands:
                    command = command.commands[words.pop(0)]
                assert command is not group, (name, line)
                known = {
                    option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
                }
                assert {word for word in words if word.startswith("--")} <= known, (name, line)
    assert seen > 15


def test_the_table_of_parameters_is_complete():
    listed = re.findall(r"^\| `(\w+)` \| `(.+?)` \|", text_of("docs/parameters.md"), flags=re.MULTILINE)
    found = inspect.signature(numdl.ResNetRegressor.__init__).parameters
    defaults = {name: entry.default for name, entry in found.items() if name != "self"}
    assert {name: eval(default) for name, default in listed} == defaults
    assert [name for name, _ in listed] == list(defaults)


def test_the_readme_is_short():
    assert len(text_of("README.md").splitlines()) <= 120


@pytest.mark.parametrize("name", [*DOCUMENTS, *PAGES])
def test_links_lead_somewhere(name):
    text = re.sub(r"```.*?```", "", text_of(name), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text):
        path = (ROOT / name).parent / target
        made = name.startswith("docs/") and str(path.resolve().relative_to(ROOT / "docs")).startswith(GENERATED)
        assert made or path.exists(), target


@pytest.mark.parametrize("name", [*DOCUMENTS, *PAGES])
def test_files_named_in_tables_and_text_exist(name):
    for path in re.findall(r"`((?:\w+/)+\w+\.py)`", text_of(name)):
        assert (ROOT / path).exists() or (ROOT / "src" / "numdl" / path).exists(), path


def test_modules_named_in_pages_exist():
    """Dotted names of the library, and names after ``from numdl ... import`` in tables."""
    import importlib

    for name in PAGES:
        for dotted in set(re.findall(r"`(numdl(?:\.\w+)+)`", text_of(name))):
            parts, found = dotted.split("."), None
            for cut in range(len(parts), 0, -1):
                with contextlib.suppress(ModuleNotFoundError):
                    found = importlib.import_module(".".join(parts[:cut]))
                    break
            for part in parts[cut:]:
                assert hasattr(found, part), (name, dotted)
                found = getattr(found, part)
