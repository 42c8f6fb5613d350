"""Compiled steps: what is compiled once and shared by every run on problems of the same shapes?

Problem data and penalty parameters are arguments, never closures: changing them compiles nothing.
"""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Array

from numdl.contracts import Iterate, Optimizer, ProblemT, PyTree


@jax.jit
def compiled_step(optimizer: Optimizer[ProblemT], problem: ProblemT, iterate: Iterate) -> Iterate:
    """One step; problem data and penalty parameters are arguments, so changing them compiles nothing."""
    return optimizer.step(problem, iterate)


def scalars_like(p: PyTree, *values: float) -> list[Array]:
    """JAX scalars of the dtype of p, made by NumPy: small eager operations, ``jnp.asarray`` too, are compiled each."""
    dtype = np.result_type(*(leaf.dtype for leaf in jax.tree.leaves(p)))
    return [jax.device_put(np.asarray(value, dtype)) for value in values]
