"""Program of a student: what does a file hold that may be run, and what does it import?

Read from the syntax tree; nothing is run here. What may be imported is a convention between people, not a wall: a
program that wants to reach a module will.
"""

from __future__ import annotations

import ast
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from numdl.course.assignments.task import Task

LARGEST = 1 << 20
"""Bytes of a file at most."""
ENDINGS = (".py", ".ipynb")
REFUSED = ("numdl", "sklearn", "scipy.optimize", "importlib", "subprocess", "multiprocessing", "ctypes", "socket")
"""Modules that hold what is to be written, or lead around the rule."""
HIDING = ("__import__", "eval", "exec")
"""Functions by which imports are hidden."""


def read_program(path: Path, names: Sequence[str]) -> str:
    """The program in a file.

    Args:
        path: ``.py``, or ``.ipynb``, of which the cells are taken that the functions need.
        names: of the functions.

    Returns:
        Its text.

    Raises:
        ValueError: it cannot be read, is too large, is not UTF-8, or is no Python.
    """
    text = _text(path)
    if path.suffix == ".ipynb":
        text = _cells(path, text, names)
    parsed(path.name, text)
    return text


def parsed(name: str, text: str) -> ast.Module:
    """Syntax tree of a program.

    Args:
        name: of the file, for the error.
        text: of the program.

    Returns:
        The tree.

    Raises:
        ValueError: no Python; says where.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        line = f"line {error.lineno}" if error.lineno else "somewhere"
        shown = f" ({error.text.strip()[:60]})" if error.text and error.text.strip() else ""
        raise ValueError(f"{name}: {line} is no Python: {error.msg}{shown}. Run the file yourself first.") from None
    except (ValueError, RecursionError, MemoryError):
        raise ValueError(f"{name}: cannot be read as Python. Save the program as plain text.") from None


def defined(tree: ast.Module) -> set[str]:
    """Names that a program defines at its top level.

    Args:
        tree: of the program.

    Returns:
        Names of functions, classes and variables.
    """
    return {name for statement in tree.body for name in _bound(statement)}


def complaint(path: Path, text: str, task: Task, allow: Sequence[str] | None) -> str:
    """What a program imports that it may not.

    Args:
        path: of the file, for the sentence.
        text: of the program.
        task: says what else is refused.
        allow: packages that may be imported besides Python's own; None for all that are not refused.

    Returns:
        A sentence, empty if there is nothing.
    """
    refused = tuple(name for name in (*REFUSED, *task.refused) if name not in (allow or ()))
    for name, line in _used(parsed(path.name, text)):
        parts = name.split(".")
        prefixes = {".".join(parts[: k + 1]) for k in range(len(parts))}
        if name in HIDING:
            return f"{path.name}: line {line} calls {name}, which hides what is imported. Write it without."
        if taken := [one for one in refused if one in prefixes]:
            return (
                f"{path.name}: line {line} uses {taken[0]}, which is not allowed here. Write it yourself, with NumPy."
            )
        if allow is not None and not prefixes & set(allow) and parts[0] not in sys.stdlib_module_names:
            return f"{path.name}: line {line} imports {parts[0]}; allowed are {', '.join(allow) or 'no packages'}."
    return ""


def _text(path: Path) -> str:
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path.name}: needs a file that ends in .py or .ipynb. For other languages: --answers.")
    if not path.is_file():
        raise ValueError(f"{path}: cannot be read, is no file. Check the name.")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}). Check the name.") from None
    if len(content) > LARGEST:
        raise ValueError(f"{path.name}: has more than {LARGEST >> 20} MB, which no program needs. Clear its outputs.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name}: byte {error.start} is not UTF-8. Save the file with the encoding UTF-8."
        ) from None


def _cells(path: Path, text: str, names: Sequence[str]) -> str:
    """Cells of a notebook that define the functions, and those that they need in turn."""
    try:
        cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{path.name}: is no notebook. Save it again from Jupyter, or give a .py file.") from None
    cells = ["" if cell.startswith("%%") else _without_magic(cell) for cell in cells]
    trees = [parsed(f"{path.name}, cell {k + 1}", cell) for k, cell in enumerate(cells)]
    wanted, taken = set(names), set()
    while new := [k for k, tree in enumerate(trees) if k not in taken and defined(tree) & wanted]:
        taken.update(new)
        wanted |= {node.id for k in new for node in ast.walk(trees[k]) if isinstance(node, ast.Name)}
    return "\n".join(cells[k] for k in sorted(taken))


def _without_magic(cell: str) -> str:
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in cell.split("\n"))


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _used(tree: ast.Module) -> list[tuple[str, int]]:
    """Modules, with their parts as far as they are spelt out, and functions that hide imports; with lines."""
    found, short = [], {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append((alias.name, node.lineno))
                short[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}" if node.module else alias.name
                found.append((name, node.lineno))
                short[alias.asname or alias.name] = name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (chain := _chain(node)) and chain[0] in short:
            found.append((".".join([short[chain[0]], *chain[1:]]), node.lineno))
        elif isinstance(node, ast.Name) and node.id in HIDING:
            found.append((node.id, node.lineno))
    return sorted(found, key=lambda entry: entry[1])


def _chain(node: ast.AST) -> list[str]:
    """``["a", "b", "c"]`` of ``a.b.c``; empty if it starts with anything but a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []
