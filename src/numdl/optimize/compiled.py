"""What is compiled once and shared by every run on problems of the same shapes?

Problem data and penalty parameters are arguments, never closures: changing them compiles nothing.
"""

from __future__ import annotations

from typing import Any

import jax

from numdl.contracts import Iterate, PyTree


@jax.jit
def compiled_step(optimizer: Any, problem: Any, iterate: Iterate) -> Iterate:
    """One step; problem data and penalty parameters are arguments, so changing them compiles nothing."""
    return optimizer.step(problem, iterate)


@jax.jit
def compiled_value(problem: Any, p: PyTree, aux: PyTree) -> tuple[Any, PyTree]:
    """Objective and companion."""
    return problem.value(p, aux)
