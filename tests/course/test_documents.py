"""What the documents show runs, and what they list is what there is."""

import inspect
import re
import shlex
from pathlib import Path

import pytest

import numdl

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def shorter(text):
    """The same with a second where a reader would give half a minute."""
    short = text.replace("time_budget=30", "time_budget=1").replace("--time 30s", "--time 1s")
    assert short.count("30") == 0
    return short


@pytest.mark.experiment
def test_the_snippets_of_the_readme_run(tmp_path, monkeypatch, capsys):
    from numdl.cli import main

    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    for block in blocks("python"):
        exec(compile(shorter(block), "README.md", "exec"), names)
    for line in shorter("".join(blocks("sh"))).splitlines():
        program, *words = shlex.split(line)
        assert program == "numdl" and main(words) == 0, capsys.readouterr().err
    written = {
        "report.html",
        "model.numdl",
        "data.csv",
        "predictions.csv",
        "again.html",
        "run/model.numdl",
        "run/model.c",
    }
    written |= {"selection.html", "straight/model.numdl", "waves/report.html", "check.html"}
    assert all((tmp_path / name).exists() for name in written)
    assert names["result"].p == pytest.approx([-0.35667, 1.38629], abs=1e-3)


def test_the_table_of_parameters_is_complete():
    listed = re.findall(
        r"^\| `(\w+)` \| `(.+?)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    found = inspect.signature(numdl.ResNetRegressor.__init__).parameters
    defaults = {name: entry.default for name, entry in found.items() if name != "self"}
    assert {name: eval(default) for name, default in listed} == defaults
    assert [name for name, _ in listed] == list(defaults)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_named_in_tables_and_text_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in re.findall(r"`((?:\w+/)+\w+\.py)`", text):
        assert (ROOT / path).exists() or (ROOT / "src" / "numdl" / path).exists(), path
