"""Assignments of the course: which are there, and does a submission solve one?

A task is one module with a ``TASK``: what is handed out, checks, and mistakes that are recognised by the numbers they
give. The command ``numdl course check`` runs submissions in a process of their own; `check` runs the same checks on
functions, for cells of a notebook.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numdl.course.assignments.task import Row, Task

__all__ = ["REGISTRY", "check", "find"]

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
        close = difflib.get_close_matches(str(name), REGISTRY, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Use one of {', '.join(REGISTRY)}."
        raise ValueError(f"there is no assignment {str(name)!r}. {hint}")
    return importlib.import_module(REGISTRY[name]).TASK


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
