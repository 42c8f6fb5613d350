"""Steps of a minimisation: what is compiled once for all problems of the same shapes, and what does a step cost?

Problem data and penalty parameters are arguments, never closures: changing them compiles nothing.
"""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Array

from numdl.contracts import CountedProblem, Iterate, Optimizer, Problem, ProblemT, PyTree, Work


@jax.jit
def compiled_step(optimizer: Optimizer[ProblemT], problem: ProblemT, iterate: Iterate) -> Iterate:
    """One step; problem data and penalty parameters are arguments, so changing them compiles nothing."""
    return optimizer.step(problem, iterate)


def scalars_like(p: PyTree, *values: float) -> list[Array]:
    """JAX scalars of the dtype of p, made by NumPy: small eager operations, ``jnp.asarray`` too, are compiled each."""
    dtype = np.result_type(*(leaf.dtype for leaf in jax.tree.leaves(p)))
    return [jax.device_put(np.asarray(value, dtype)) for value in values]


def work_of(problem: Problem, p: PyTree) -> Work:
    """Cost of a problem's operations.

    Args:
        problem: may have ``work(p) -> Work``.
        p: unknowns, for their sizes only.

    Returns:
        Its own answer, or that of a model with one forward and one backward pass.
    """
    return problem.work(p) if isinstance(problem, CountedProblem) else Work()
