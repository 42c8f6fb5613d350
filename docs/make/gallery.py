"""What do the experiments and examples show? Their texts, and the pictures and lines of their own runs."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

from docs.make import runs

ROOT = Path(__file__).parents[2]
COURSE = ROOT / "src" / "numdl" / "course"
LECTURES = {
    "linear": "Lecture 1: linear models",
    "nonlinear": "Lecture 2: nonlinear models",
    "dynamics": "Lecture 3: networks as differential equations",
    "control": "Lecture 3: training as optimal control",
}


def registry() -> dict[str, Path]:
    """Name of each experiment and its file, in the order of the course.

    Returns:
        Read from the syntax tree: nothing is imported.
    """
    for node in ast.parse((COURSE / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "REGISTRY" and node.value:
            modules = ast.literal_eval(node.value)
            return {
                name: COURSE.joinpath(*module.split(".")[2:]).with_suffix(".py") for name, module in modules.items()
            }
    raise ValueError(f"{COURSE / '__init__.py'} has no REGISTRY of experiments. Look where it went.")


def examples() -> list[Path]:
    """Files of examples."""
    return sorted((ROOT / "examples").glob("*.py"))


def jobs() -> list[runs.Job]:
    """What leaves the pictures and printed lines that the pages show."""
    return [
        *(runs.Job(name, path, f"{name}.png") for name, path in registry().items()),
        *(runs.Job(path.name, path, f"{path.stem}.txt") for path in examples()),
    ]


def pages(folder: Path, pictures: Path) -> dict[str, str]:
    """Two pages: experiments by lecture, and examples.

    Args:
        folder: where pages are laid out; pictures go to ``assets/pictures``.
        pictures: what ``runs.run`` wrote; a part that is missing is left out.

    Returns:
        Name of the file to Markdown.
    """
    return {"gallery/experiments.md": _experiments(folder, pictures), "gallery/examples.md": _examples(pictures)}


def _experiments(folder: Path, pictures: Path) -> str:
    lines = [
        "# Experiments of the course",
        "",
        "Each computes, checks its own claims, draws one figure and writes its numbers. The pictures are those of the",
        "small versions (`--quick`), which take seconds; `numdl experiment list` has the minutes of all. The",
        "interactive pages of the course open with `numdl course`.",
    ]
    for part, title in LECTURES.items():
        lines += ["", f"## {title}"]
        for name, path in registry().items():
            if path.parent.name == part:
                lines += ["", *_experiment(name, path, folder, pictures)]
    return "\n".join(lines) + "\n"


def _experiment(name: str, path: Path, folder: Path, pictures: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    title = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "TITLE"
    )
    lines = [f"### {name}", "", f"**{title}.**", "", *(ast.get_docstring(tree) or "").splitlines()[2:], ""]
    picture, record = pictures / f"{name}.png", pictures / f"{name}.json"
    if picture.is_file():
        copy = folder / "assets" / "pictures" / picture.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, copy)
        at = f"../assets/pictures/{picture.name}"
        lines += [f"[![{title}]({at}){{ loading=lazy }}]({at})", ""]  # on a small screen it can be opened
    lines += ["```", f"numdl experiment run {name}{_settings(tree)}", "```"]
    if record.is_file():
        claims = json.loads(record.read_text(encoding="utf-8"))["claims"]
        lines += ["", '??? success "What the run found"', ""]
        lines += [f"    - {claim['sentence']}: **{claim['measured']}**" for claim in claims]
    return lines


def _settings(tree: ast.Module) -> str:
    """What may be set, with its defaults, as options of the command."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PARAMETERS":
            declared = node.value
            assert isinstance(declared, ast.Dict)
            pairs = zip(declared.keys, declared.values, strict=True)
            calls = {ast.literal_eval(key): value for key, value in pairs if key and isinstance(value, ast.Call)}
            return "".join(f" --set {key}={ast.literal_eval(call.args[0]):g}" for key, call in calls.items())
    return ""


def _examples(pictures: Path) -> str:
    lines = ["# Examples", "", "One file for each subject, in `examples/`; `make check` runs them all."]
    for path in examples():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        lines += ["", f"## {path.stem.replace('_', ' ').capitalize()}", "", text, ""]
        code = path.read_text(encoding="utf-8").splitlines()
        lines += [f'??? example "{path.name}"', "", "    ```py", *(f"    {line}" for line in code), "    ```"]
        output = pictures / f"{path.stem}.txt"
        if output.is_file():
            printed = output.read_text(encoding="utf-8").rstrip().splitlines()
            lines += [
                "",
                '??? quote "What it prints"',
                "",
                "    ```text",
                *(f"    {line}" for line in printed),
                "    ```",
            ]
    return "\n".join(lines) + "\n"
