"""Work units of a step: how many passes over the data does a step cost?"""

from __future__ import annotations

from numdl.contracts import CountedProblem, Problem, PyTree, Work


def work_of(problem: Problem, p: PyTree) -> Work:
    """Cost of a problem's operations.

    Args:
        problem: may have ``work(p) -> Work``.
        p: unknowns, for their sizes only.

    Returns:
        Its own answer, or that of a model with one forward and one backward pass.
    """
    return problem.work(p) if isinstance(problem, CountedProblem) else Work()
