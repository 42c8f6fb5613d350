"""Hessian of the Lagrangian.

How does the Lagrangian of a control problem bend, once the multipliers of its dynamics are known?

    cost + sum_j mu_j+1' (Phi_j(u_j, theta_j) - u_j+1)

The Gauss-Newton model of ``linear_quadratic`` leaves out what the dynamics, the running residual and the output bend.
On an unstable flow the multipliers are large, and ``mu' Phi''`` is as large as the cost's own matrices: a method that
leaves it out converges at a linear rate, however exactly it solves its subproblem.

Cost: ``m + w`` tangents of a gradient in every layer, ``2 (m + w)`` passes.

Source: Nocedal and Wright, Numerical Optimization, eq. 18.6; Dunn and Bertsekas, JOTA 63 (1989) 23-38, sec. 3.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.control.fits import require_problem, require_states
from numdl.control.layers import layer_penalty
from numdl.control.reduced import blocks_of
from numdl.control.stage import stage_hamiltonian
from numdl.linalg import LinearQuadratic


def lagrangian(
    problem: Any,
    coeffs: PyTree,
    states: Float[Array, "times n m"],
    multipliers: Float[Array, "nt nm"],
    local: LinearQuadratic,
) -> LinearQuadratic:
    """The local model with the exact second derivatives of the Lagrangian, which may be indefinite.

    Args:
        problem: a ``ControlProblem``.
        coeffs: leaves (nt, ...).
        states: (nt + 1, n, m), need not fit the control.
        multipliers: of the equations that lead to the states after the first, in cost per unit of the state,
            (nt, n m); the adjoints divided by n where states fit.
        local: as from ``linear_quadratic`` at the same control and states.

    Returns:
        ``local`` with other Q, S and R.

    Raises:
        ValueError: an entry is not finite, or states or multipliers have another shape.
        TypeError: problem or local model are none.
    """
    require_problem("lagrangian", problem, coeffs)
    checks.record("lagrangian", "local", local, LinearQuadratic)
    n, m = problem.u0.shape
    stages = problem.stages(coeffs)
    require_states("lagrangian", "states", problem, len(stages.t), states)
    checks.finite("lagrangian", "multipliers", multipliers, (len(stages.t), n * m))
    unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], coeffs))[1]
    flat = jax.vmap(lambda cell: ravel_pytree(cell)[0])(coeffs)

    def bend(stage: Any, theta: Array, u: Array, lam: Array) -> tuple[Array, Array, Array]:
        def energy(both: Array, lam: Array) -> Array:
            return stage_hamiltonian(problem, stage._replace(cell=unravel(both[m:])), both[:m], lam)

        H = jax.vmap(lambda u, lam: jax.hessian(energy)(jnp.concatenate([u, theta]), lam))(u, n * lam) / n
        coupled = jnp.moveaxis(H[:, m:, :m], 0, 1).reshape(-1, n * m)
        return blocks_of(H[:, :m, :m]), coupled, jnp.sum(H[:, m:, m:], axis=0)

    Q, S, R = jax.vmap(bend)(stages, flat, states[:-1], multipliers.reshape(-1, n, m))
    last = blocks_of(jax.vmap(jax.hessian(problem.terminal))(states[-1], problem.c) / n)
    if problem.penalty is not None:
        R = R + jax.vmap(jnp.diag)(layer_penalty(problem, coeffs)[0])
    return local._replace(Q=jnp.concatenate([Q, last[None]]), S=S, R=R)
