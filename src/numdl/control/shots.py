"""Shooting intervals.

What do the shots of a control problem say of its cost, if each block of steps is marched from a state of its own?

    E(theta, U, Lambda) = cost of the marches + sum_k Lambda_k' (F_k-1(U_k-1, theta) - U_k),    k = 1 .. blocks - 1

F_k leads through a block, ``U_0 = u0``, and all blocks are marched at once: the sequential depth is that of one block.
At states and adjoints that fit, E is the cost and its derivative by theta the gradient. Elsewhere its derivatives are
those of an inexact state and adjoint: by Lambda what the states miss, by U what the adjoints miss.

Source: Guenther, Gauger and Schroder, A non-intrusive parallel-in-time approach for simultaneous optimization with
unsteady PDEs, Optim. Methods Softw. 34 (2019) 1306-1321, sec. 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree, Steps
from numdl.control.fits import require_problem


class Shot(NamedTuple):
    """One sweep forward and one backward through all blocks at once.

    Attributes:
        value: E, ().
        gradient: of E by the coefficients, their structure.
        states: of the marches, (nt + 1, n, m); the first of a block is where the block before ended.
        missed: ``F_k-1 - U_k``, (blocks - 1, n, m).
        missed_adjoint: derivative of E by U, (blocks - 1, n, m), in cost per unit of the state.
    """

    value: Float[Array, ""]
    gradient: PyTree
    states: Float[Array, "times n m"]
    missed: Float[Array, "inner n m"]
    missed_adjoint: Float[Array, "inner n m"]


def shots(
    problem: Any, coeffs: PyTree, U: Float[Array, "inner n m"], Lambda: Float[Array, "inner n m"], blocks: int
) -> Shot:
    """March all blocks and go back through them.

    Args:
        problem: a ``ControlProblem``.
        coeffs: coefficients of the control.
        U: states where the blocks after the first begin, (blocks - 1, n, m).
        Lambda: multipliers there, in cost per unit of the state; the adjoints divided by n where they fit.
        blocks: how many, at least 1, divides nt.

    Returns:
        E and its derivatives, for two passes.

    Raises:
        ValueError: the number of steps is no multiple of ``blocks``, or states or multipliers have another shape or
            are not finite.
        TypeError: the problem is none.
    """
    require_problem("shots", problem, coeffs)
    blocks = checks.whole("shots", "blocks", blocks, least=1)
    for name, given in (("U", U), ("Lambda", Lambda)):
        checks.finite("shots", name, given, (blocks - 1, *problem.u0.shape))
    n = problem.u0.shape[0]

    def energy(coeffs: PyTree, U: Array) -> tuple[Array, tuple[Array, Array]]:
        stages = problem.stages(coeffs)
        nt = stages.t.shape[0]
        if nt % blocks:
            raise ValueError(f"shots(blocks={blocks}): needs a divisor of the {nt} steps. Use blocks=1, or more steps.")
        parted = jax.tree.map(lambda leaf: leaf.reshape(blocks, nt // blocks, *leaf.shape[1:]), stages)

        def march(u: Array, block: Steps) -> tuple[Array, Array]:
            def forward(u: Array, stage: Steps) -> tuple[Array, tuple[Array, Array]]:
                u, rest = jax.vmap(problem.step, (None, 0))(stage, u)
                return u, (u, jnp.sum(rest**2) / (2 * n))

            _, (path, rest) = jax.lax.scan(forward, u, block)
            return path, jnp.sum(rest)

        paths, rest = jax.vmap(march)(jnp.concatenate([problem.u0[None], U]), parted)
        missed = paths[:-1, -1] - U
        cost = jnp.mean(jax.vmap(problem.terminal)(paths[-1, -1], problem.c)) + jnp.sum(rest)
        if problem.penalty is not None:
            cost = cost + problem.penalty.value(coeffs)
        states = jnp.concatenate([problem.u0[None], paths.reshape(nt, *problem.u0.shape)])
        return cost + jnp.sum(Lambda * missed), (states, missed)

    (value, (states, missed)), (gradient, slope) = jax.value_and_grad(energy, (0, 1), has_aux=True)(coeffs, U)
    return Shot(value, gradient, states, missed, slope)
