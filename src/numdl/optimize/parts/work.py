"""How many passes over the data does a step cost?"""

from __future__ import annotations

from typing import Any

from numdl.contracts import PyTree, Work


def work_of(problem: Any, p: PyTree) -> Work:
    """Cost of a problem's operations.

    Args:
        problem: may have ``work(p) -> Work``.
        p: unknowns, for their sizes only.

    Returns:
        Its own answer, or that of a model with one forward and one backward pass.
    """
    return problem.work(p) if hasattr(problem, "work") else Work()
