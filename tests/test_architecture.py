"""Rooms import only what the table allows, read from the syntax tree."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "numdl"

# Whom every room may import.
COMMON = {"checks"}
# Which further rooms a room may import, when it is loaded or later.
ALLOWED = {
    "checks": set(),
    "contracts": set(),
    "container": set(),
    "linalg": {"contracts"},
    "data": {"contracts"},
    "flow": {"contracts"},
    "regularize": {"contracts", "linalg"},
    "optimize": {"contracts", "linalg"},
    # flow: stability judges trained networks.
    "analysis": {"contracts", "linalg", "flow"},
    "models": {"contracts", "flow"},
    "problems": {"contracts", "linalg", "regularize", "optimize"},
    "control": {"contracts", "linalg", "regularize", "optimize", "problems"},
    # container: checkpoints are files; flow: the names of fields, schemes and activations that parameters may take;
    # linalg: operators are parameters, and linear models are solved by products; analysis: stability of a fit;
    # report: the page of a fit, written by a method of it; export: a fit in another language, likewise.
    "estimators": {
        "contracts",
        "container",
        "linalg",
        "data",
        "flow",
        "models",
        "problems",
        "optimize",
        "regularize",
        "analysis",
        "report",
        "export",
    },
    # export: a fitted model as a program, whatever estimator it has left.
    "export": {"contracts"},
    "plots": {"contracts"},
    "report": {"contracts", "container", "plots"},
    "testing": {"contracts"},
    "cli": {"contracts", "container", "data", "estimators", "export", "report", "course"},
}
ALLOWED["course"] = {room for room in ALLOWED if room != "cli"}
# The package itself offers what its doors lead to, and nothing may import the package as a whole, except the version.
ALLOWED["__init__"] = {"estimators"}
ALLOWED["__main__"] = {"cli"}
PACKAGE_NAMES = {"__version__"}
for room in set(ALLOWED) - COMMON - {"container", "contracts", "__init__", "__main__"}:
    ALLOWED[room] = ALLOWED[room] | COMMON


def room_of(path, source):
    return path.relative_to(source).parts[0].removesuffix(".py")


def imports(path, source):
    """Rooms that a file imports, with line, those inside functions too; relative imports are resolved."""
    package = ["numdl", *path.relative_to(source).parts[:-1]]
    tree = ast.parse(path.read_text(), str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module or "").split(".") if node.module else base
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "numdl" and name[1:2] not in ([n] for n in PACKAGE_NAMES):
                yield (name[1] if len(name) > 1 else "numdl"), node.lineno


def violations(source):
    found = []
    for path in sorted(source.rglob("*.py")):
        room = room_of(path, source)
        if room not in ALLOWED:
            found.append(f"{path.relative_to(source)}: room {room} is not in the table")
            continue
        for other, line in dict.fromkeys(imports(path, source)):
            if other != room and other not in ALLOWED[room]:
                found.append(f"{path.relative_to(source)}:{line}: {room} may not import {other}")
    return found


def test_rooms_import_only_what_they_may():
    assert (SOURCE / "contracts").exists(), "nothing to walk"
    assert violations(SOURCE) == []


def test_the_page_shows_the_same_table():
    shown = {}
    page = (SOURCE.parents[1] / "ARCHITECTURE.md").read_text()
    for line in page.split("## The way of the data")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            room = cells[0].strip("`").removesuffix("/").removesuffix(".py")
            words = {
                "nothing of numdl": set(),
                "all but cli": set(ALLOWED) - {"cli", "course", "__init__", "__main__"},
            }
            rooms = words.get(cells[2], set(cells[2].split(", ")))
            shown[room] = rooms | COMMON if rooms else rooms
    assert "Every room below may import `checks` as well." in page
    assert shown == {room: rooms for room, rooms in ALLOWED.items() if not room.startswith("__")}


def test_the_package_shows_its_estimators_and_rooms_and_nothing_else():
    code = (
        "import numdl, inspect; names = dir(numdl); things = [getattr(numdl, name) for name in names];"
        "print(*(n for n, t in zip(names, things) if inspect.ismodule(t)));"
        "print(*(n for n, t in zip(names, things) if not inspect.ismodule(t)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rooms, names = (line.split() for line in done.stdout.splitlines())
    assert set(rooms) == set(ALLOWED) - {"__init__", "__main__", "container", "checks", "cli"}
    assert {"ResNetRegressor", "TikhonovRegressor", "load", "save"} < set(names)
    assert all(name in ("load", "save") or name[0].isupper() for name in names)


def test_modules_open_with_a_term_that_can_be_searched_for():
    """A question alone is a riddle: before it stands what the field calls the thing."""
    lines = {
        file: (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0] for file in SOURCE.rglob("*.py")
    }
    assert [str(file) for file, line in lines.items() if not line] == []
    assert [f"{file}: {line}" for file, line in lines.items() if line.endswith("?") and ":" not in line] == []


def test_one_public_name_means_one_thing():
    """Of all rooms but the course, whose verbs are those of its commands."""
    meanings = {}
    for package in pkgutil.walk_packages([str(SOURCE)], "numdl."):
        if package.ispkg and not package.name.startswith("numdl.course"):
            room = importlib.import_module(package.name)
            for name in getattr(room, "__all__", ()):
                meanings.setdefault(name, {}).setdefault(id(getattr(room, name)), []).append(package.name)
    assert {name: list(found.values()) for name, found in meanings.items() if len(found) > 1} == {}


def test_the_table_has_no_circle():
    order, left = [], dict(ALLOWED)
    while left:
        free = [room for room, needs in left.items() if needs <= set(order)]
        assert free, f"circle among {sorted(left)}"
        order += free
        left = {room: needs for room, needs in left.items() if room not in free}


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("flow/march.py", "from numdl.models import ResNet", "flow may not import models"),
        ("flow/schemes/tableau.py", "from ...optimize.loop import minimize", "flow may not import optimize"),
        ("flow/march.py", "from .. import report", "flow may not import report"),
        ("report/page.py", "import numdl.optimize", "report may not import optimize"),
        ("report/page.py", "import numdl", "report may not import numdl"),
        ("optimize/loop.py", "def f():\n    from numdl import problems", "optimize may not import problems"),
        ("contracts/problem.py", "from numdl.linalg import solve", "contracts may not import linalg"),
        ("container.py", "from numdl.contracts import Status", "container may not import contracts"),
        ("estimators/base.py", "def f():\n    from numdl.cli import main", "estimators may not import cli"),
        ("checks.py", "from numdl.contracts import Status", "checks may not import contracts"),
        ("helpers.py", "import numpy", "room helpers is not in the table"),
    ],
)
def test_a_planted_import_is_seen(tmp_path, file, line, message):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    (found,) = violations(tmp_path)
    assert message in found


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("linalg/tsqr.py", "from numdl import checks"),
        ("flow/march.py", "from numdl.contracts import Scheme\nfrom .control import X\nimport jax"),
        ("container.py", "from numdl import __version__"),
        ("course/nonlinear/peaks.py", "from ..testing import check_order"),
        ("estimators/base.py", "class A:\n    def report(self):\n        from numdl.report import write_page"),
        ("estimators/summary.py", "if TYPE_CHECKING:\n    from numdl.report import FitSummary"),
    ],
)
def test_allowed_imports_pass(tmp_path, file, line):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    assert violations(tmp_path) == []
