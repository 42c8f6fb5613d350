"""The reference of everything public: which rooms, modules and names are there? Read from the syntax tree."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "numdl"
HIDDEN = {"cli", "course"}
"""Rooms that nobody calls: the command is described by ``numdl --help``, the course by its pages."""


def rooms() -> dict[str, list[Path]]:
    """Name of each public room, and its modules with public names.

    Returns:
        Room to paths; the package itself is ``numdl``.
    """
    found: dict[str, list[Path]] = {"numdl": []}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        private = any(part.startswith("_") and part != "__init__" for part in parts)
        if private or parts[0] in {*HIDDEN, "__init__"} or not definitions(path):
            continue
        found.setdefault(parts[0], []).append(path)
    return found


@functools.cache
def definitions(path: Path) -> dict[str, str]:
    """Public names that a module defines, with their first lines.

    Args:
        path: of the module.

    Returns:
        Functions, classes and documented constants, in the order of the file.
    """
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name, text = node.name, ast.get_docstring(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name, text = getattr(target, "id", "_"), None
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text = str(after.value.value)
        else:
            continue
        if not name.startswith("_") and text:
            found[name] = text.strip().splitlines()[0]
    return found


def exported(path: Path) -> dict[str, str]:
    """What a package offers by its ``__all__``, and where each name is defined.

    Args:
        path: an ``__init__.py``.

    Returns:
        Name to the dotted path of its definition; names that are modules, or are made here, stand for themselves.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ".".join(["numdl", *path.parent.relative_to(SOURCE).parts])
    homes = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                homes[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    names = []
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == "__all__":
            names = ast.literal_eval(node.value) if isinstance(node, ast.Assign) else []
    return {name: _definition(homes[name]) if name in homes else f"{package}.{name}" for name in names}


def _definition(home: str) -> str:
    """Follow a name through packages that only pass it on."""
    *parts, name = home.split(".")
    folder = SOURCE.joinpath(*parts[1:])
    if (folder / "__init__.py").is_file() and name not in definitions(folder / "__init__.py"):
        further = exported(folder / "__init__.py")
        return further.get(name, home)
    return home


def first_line(home: str) -> str:
    """First line of the documentation of a name; empty where it has none.

    Args:
        home: dotted path of its definition.
    """
    *parts, name = home.split(".")
    stem = SOURCE.joinpath(*parts[1:])
    path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
    return definitions(path).get(name, "") if path.is_file() else ""


@functools.cache
def pages() -> dict[str, str]:
    """A page for each room, and one that lists them.

    Returns:
        Name of the file to Markdown.
    """
    found, index = {}, ["# API reference", "", "| room | question it answers |", "|---|---|"]
    for room, modules in rooms().items():
        home = SOURCE if room == "numdl" else SOURCE / room
        home = home / "__init__.py" if home.is_dir() else home.with_suffix(".py")
        question = (ast.get_docstring(ast.parse(home.read_text(encoding="utf-8"))) or "").splitlines()[0]
        name = "numdl" if room == "numdl" else f"numdl.{room}"
        index.append(f"| [`{name}`]({room}.md) | {_cell(question)} |")
        found[f"api/{room}.md"] = _page(name, question, home, modules)
    found["api/index.md"] = "\n".join(index) + "\n"
    return found


def _page(name: str, question: str, home: Path, modules: list[Path]) -> str:
    """Names that the room offers, then all its modules."""
    lines = [f"# `{name}`", "", question, ""]
    names = exported(home) if home.name == "__init__.py" else {}
    if names:
        lines += ["| name | |", "|---|---|"]
        for short, target in sorted(names.items(), key=lambda entry: entry[0].lower()):
            line = first_line(target)  # what has none has no entry to link to
            lines.append(f"| [`{short}`][{target}] | {_cell(line)} |" if line else f"| `{short}` | |")
        lines.append("")
    for path in modules:
        dotted = ".".join(["numdl", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        lines += [f"## `{dotted}`", "", text.split("\n\n")[0], ""]
        for short in definitions(path):
            lines += [f"::: {dotted}.{short}", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
