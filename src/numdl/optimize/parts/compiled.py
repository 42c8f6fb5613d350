"""Compiled steps: what is compiled once and shared by every run on problems of the same shapes?

Problem data and penalty parameters are arguments, never closures: changing them compiles nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from threadpoolctl import threadpool_limits

from numdl.contracts import Iterate, Optimizer, ProblemT, PyTree


@jax.jit
def compiled_step(optimizer: Optimizer[ProblemT], problem: ProblemT, iterate: Iterate) -> Iterate:
    """One step; problem data and penalty parameters are arguments, so changing them compiles nothing."""
    return optimizer.step(problem, iterate)


def scalars_like(p: PyTree, *values: float) -> list[Array]:
    """JAX scalars of the dtype of p, made by NumPy: small eager operations would be compiled one by one."""
    dtype = np.result_type(*(leaf.dtype for leaf in jax.tree.leaves(p)))
    return [jnp.asarray(np.asarray(value, dtype)) for value in values]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let LAPACK work on one thread while compiled steps run; the former setting returns afterwards.

    JAX calls LAPACK from its own threads. The BLAS library's threads then compete with them for the same cores and wait
    by spinning: on two cores the factor of a 200 x 200 matrix took 364 ms instead of 0.4 ms, a step 24 to 700 ms
    instead of 3 ms.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
