"""Validation error of a problem: what does a problem say about samples that nothing may be fitted to?"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import HeldOutProblem, Problem, PyTree, SampledProblem
from numdl.optimize.drivers.stochastic_epoch import take


def held_out(problem: Problem, p: PyTree, aux: PyTree) -> Float[Array, ""]:
    """Mean misfit with a given companion: ``problem.held_out`` where there is one, else its objective.

    A separable problem solves for its head in ``value``; on samples held out that would be fitting to them.
    """
    return problem.held_out(p, aux) if isinstance(problem, HeldOutProblem) else problem.value(p, aux)[0]


@jax.jit
def held_out_value(problem: Problem, p: PyTree, aux: PyTree) -> Float[Array, ""]:
    """``held_out``, compiled."""
    return held_out(problem, p, aux)


@jax.jit
def held_out_losses(problem: SampledProblem, p: PyTree, aux: PyTree) -> Float[Array, " n"]:
    """``held_out`` of each sample by itself, with its weight; their mean is that of the problem."""
    one = jnp.ones(1, bool)
    return jax.vmap(lambda i: held_out(take(problem, i[None], one), p, aux))(jnp.arange(problem.x.shape[0]))
