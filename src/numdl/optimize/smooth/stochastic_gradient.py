"""Stochastic gradient step: how does one batch move the unknowns: any transformation of its gradient that optax offers?

``p <- p + rate * u``, u the update that the transformation makes of the batch's gradient. Give it a learning rate of 1,
as ``optax.sgd(1.0)``, ``optax.sgd(1.0, momentum=0.9, nesterov=True)``, ``optax.adagrad(1.0)``, ``optax.rmsprop(1.0)``
or ``optax.adam(1.0)``: the rate belongs to the run, so that other rates and schedules compile nothing.

Sources: Robbins and Monro, Ann. Math. Stat. 22 (1951) 400-407; Kingma and Ba, ICLR 2015.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Problem, PyTree
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.held_out import held_out
from numdl.optimize.parts.steps import work_of


class StochasticGradient(eqx.Module):
    """Steps along transformed gradients of batches.

    Attributes:
        transform: an ``optax.GradientTransformation`` of learning rate 1. Static: make it once, every new one is
            compiled anew.
    """

    transform: Any = eqx.field(static=True)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        return Iterate(p, aux, unknown_value(p), self.transform.init(p), {})

    def step(self, problem: Problem, iterate: Iterate, rate: Float[Array, ""]) -> Iterate:
        """One step; ``value`` and ``gradient_norm`` are those of the batch at the point it leaves."""
        value, gradient = jax.value_and_grad(lambda p: problem.value(p, iterate.aux)[0])(iterate.p)
        p, state = moved(self.transform, iterate.p, gradient, iterate.state, rate)
        return Iterate(p, iterate.aux, value, state, {"gradient_norm": tree_norm(gradient)})

    def evaluate(self, problem: Problem, p: PyTree, aux: PyTree) -> Float[Array, ""]:
        """Mean misfit of another problem at this point, for validation."""
        return held_out(problem, p, aux)

    def passes(self, problem: Problem, p: PyTree) -> float:
        """Passes over the rows of a batch that its step costs."""
        return work_of(problem, p).trial


def moved(transform: Any, p: PyTree, gradient: PyTree, state: PyTree, rate: Array) -> tuple[PyTree, PyTree]:
    """The unknowns after a step, and the transformation's memory.

    Args:
        transform: an ``optax.GradientTransformation``.
        p: unknowns.
        gradient: structure of p.
        state: memory of the transformation.
        rate: factor on its update, no unit.

    Returns:
        New unknowns, in the dtypes of the old ones, and new memory.
    """
    update, state = transform.update(gradient, state, p)
    return jax.tree.map(lambda a, u: a + (rate * u).astype(a.dtype), p, update), state


def tree_norm(tree: PyTree) -> Float[Array, ""]:
    """Euclidean norm of all entries."""
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


def unknown_value(p: PyTree) -> Float[Array, ""]:
    """An infinite objective in the dtype of p: nothing was evaluated yet."""
    return jnp.asarray(np.asarray(np.inf, np.result_type(*(leaf.dtype for leaf in jax.tree.leaves(p)))))
