"""Assignments of the course: which are there, and does a submission solve one?

A task is one module with a ``TASK``: what is handed out, checks, and mistakes that are recognised by the numbers they
give. The command ``numdl course check`` runs submissions in a process of their own; `check` runs the same checks on
functions, for cells of a notebook.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numdl.course.catalogue import suggestion

if TYPE_CHECKING:
    from numdl.course.assignments.task import Row, Task

__all__ = ["REGISTRY", "check", "find", "solution"]

REGISTRY: dict[str, str] = {
    "graph": "numdl.course.assignments.linear.graph",
    "cgls": "numdl.course.assignments.linear.cgls",
    "choose_alpha": "numdl.course.assignments.linear.choose_alpha",
    "softmax": "numdl.course.assignments.linear.softmax",
    "newton": "numdl.course.assignments.linear.newton",
    "layer": "numdl.course.assignments.nonlinear.layer",
    "convolution": "numdl.course.assignments.nonlinear.convolution",
    "varpro": "numdl.course.assignments.nonlinear.varpro",
    "sgd": "numdl.course.assignments.nonlinear.sgd",
    "antisymmetric": "numdl.course.assignments.dynamics.antisymmetric",
    "sweeps": "numdl.course.assignments.dynamics.sweeps",
    "parareal": "numdl.course.assignments.dynamics.parareal",
}
"""Name to module, in the order of the pages; a module is imported when it is first asked for."""


def find(name: str) -> Task:
    """An assignment by its name.

    Args:
        name: a key of ``REGISTRY``.

    Returns:
        The task.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in REGISTRY:
        raise ValueError(f"there is no assignment {str(name)!r}. {suggestion(name, REGISTRY)}")
    return importlib.import_module(REGISTRY[name]).TASK


def solution(name: str) -> str:
    """The program of the answer key, which passes all checks.

    Args:
        name: of the assignment.

    Returns:
        Python, as a student would hand it in.

    Raises:
        ValueError: there is no such assignment.
    """
    return (Path(__file__).parent / "solutions" / f"{find(name).name}.py").read_text(encoding="utf-8")


def check(name: str, functions: Mapping[str, Callable[..., Any]], student: str = "") -> list[Row]:
    """Check functions against an assignment, in this process and without limits.

    Args:
        name: of the assignment.
        functions: by name, such as ``{"value": value}``; those that are missing fail where they are needed.
        student: whose data are drawn; any text.

    Returns:
        One row for each check: ``check``, ``passed``, ``points``, ``expected``, ``found``, ``mistake``, ``why`` and
        ``page``.

    Raises:
        ValueError: there is no such assignment.
    """
    from numdl.course.assignments.judge import data_of, judged

    task = find(name)
    return judged(task, functions, data_of(task, student))
