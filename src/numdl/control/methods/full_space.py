"""Full-space methods, states as unknowns.

What do methods share that move states beside the control: where they begin, their step, and how far it goes?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from numdl.contracts import Iterate, PyTree
from numdl.linalg import LinearQuadratic, follow, riccati
from numdl.optimize.parts.line_search import Found, Trial, armijo
from numdl.optimize.parts.packing import as_layers
from numdl.optimize.parts.steps import work_of


class Move(NamedTuple):
    """A step of control and states, from the start of the flow that does not move.

    Attributes:
        x: of the states, (nt + 1, n m).
        v: of the control, (nt, w).
        multipliers: of the linear dynamics, (nt, n m).
        slope: change of the cost to first order, ().
        bend: what the quadratic terms add to it, ().
        exact: whether the exact Hessian gave it.
    """

    x: Float[Array, "times nm"]
    v: Float[Array, "nt w"]
    multipliers: Float[Array, "nt nm"]
    slope: Float[Array, ""]
    bend: Float[Array, ""]
    exact: Bool[Array, ""]


def states_from(problem: Any, p: PyTree, states: PyTree) -> PyTree:
    """The states given, or all at their beginning.

    Args:
        problem: has ``u0``.
        p: leaves (nt, ...).
        states: (nt + 1, n, m), or None.

    Returns:
        (nt + 1, n, m).
    """
    if states is not None:
        return states
    return jnp.broadcast_to(problem.u0, (jax.tree.leaves(p)[0].shape[0] + 1, *problem.u0.shape))


def newton_move(safe: LinearQuadratic, exact: LinearQuadratic, mu: Float[Array, ""]) -> Move:
    """The step of the exact model where that has a minimum, else of the safe one.

    Args:
        safe: a model whose curvature is not negative.
        exact: another one, which may be indefinite: its recursion then meets a matrix without a Cholesky factor.
        mu: damping of the control, in cost per squared unit of it.

    Returns:
        The step; its slope and bend are those of the undamped model.
    """

    def solved(local: LinearQuadratic) -> tuple[Array, Array, Array, Array]:
        damped = local._replace(R=local.R + mu * jnp.eye(local.R.shape[1], dtype=local.R.dtype))
        feedback = riccati(damped)
        x, v = follow(damped, feedback, jnp.zeros(local.b.shape[1], local.b.dtype))
        bend = jnp.einsum("ja,jab,jb", x, local.Q, x) + jnp.einsum("jv,jvw,jw", v, local.R, v)
        bend = bend / 2 + jnp.einsum("jw,jwa,ja", v, local.S, x[:-1])
        return x, v, (jnp.einsum("jab,jb->ja", feedback.P, x) + feedback.p)[1:], bend

    first = solved(exact)
    good = jnp.all(jnp.isfinite(first[1]))
    x, v, multipliers, bend = jax.lax.cond(good, lambda: first, lambda: solved(safe))
    return Move(x, v, multipliers, jnp.sum(safe.q * x) + jnp.sum(safe.r * v), bend, good)


def move_along(
    problem: Any,
    start: tuple[PyTree, Array],
    move: Move,
    merit: Callable[[Array, Array], Array],
    *,
    old: Float[Array, ""],
    slope: Float[Array, ""],
    max_trials: int,
) -> Found:
    """Largest of the step lengths 1, 1/2, ... with enough decrease of a merit function.

    Args:
        problem: has ``apart``.
        start: control and states.
        move: direction of both.
        merit: of the cost and of what states miss.
        old: merit at the start.
        slope: of the merit along the direction.
        max_trials: points tried at most.

    Returns:
        The step; ``trial.aux`` are control and states at its end.
    """
    p, states = start
    change = as_layers(p, move.v), move.x.reshape(states.shape)

    def at(t: Array) -> Trial:
        here = jax.tree.map(lambda a, d: a + t * d, (p, states), change)
        # No slope is computed: a merit that is the same to rounding is good enough.
        return Trial(merit(*problem.apart(*here)), jnp.zeros_like(old), here)

    return armijo(at, Trial(old, slope, (p, states)), jnp.ones_like(old), max_trials=max_trials)


def next_damping(mu: Float[Array, ""], found: Found) -> Float[Array, ""]:
    """A fifth after a full step, four times after a short one or none."""
    mu = jnp.where(found.t == 1, mu / 5, jnp.where(found.t < 0.2, 4 * mu, mu))
    return jnp.clip(mu, 1e-14, 1e14)


def finite(value: Float[Array, ""]) -> Float[Array, ""]:
    """The value, or the largest number in place of none."""
    return jnp.where(jnp.isfinite(value), value, jnp.finfo(value.dtype).max)


def cost_left(problem: Any, iterate: Iterate) -> Float[Array, ""]:
    """Cost of the control alone: what is known of it, or a march; the largest number where that overflows.

    Args:
        problem: has ``value``.
        iterate: whose control is meant.

    Returns:
        The cost, ().
    """
    known = jnp.isfinite(iterate.value)
    return jax.lax.cond(known, lambda: iterate.value, lambda: finite(problem.value(iterate.p, None)[0]))


def metrics_of(
    problem: Any,
    iterate: Iterate,
    local: LinearQuadratic,
    found: Found,
    *,
    hessians: Bool[Array, ""] | bool,
    **extra: Array,
) -> dict[str, PyTree]:
    """What a step tells of the point it left.

    Args:
        problem: has ``value``.
        iterate: that was left. Where nothing is known of its value, the control is marched alone; a march that
            overflows counts as the largest number.
        local: model there.
        found: the step.
        hessians: whether Hessians of the Lagrangian were taken.
        **extra: more scalars.

    Returns:
        With ``objective``, the largest entry ``missed`` of the states, ``accepted``, ``trials``, ``step_length`` and
        ``work``.
    """
    known, old = jnp.isfinite(iterate.value), cost_left(problem, iterate)
    tangents = local.b.shape[1] // problem.u0.shape[0] + local.r.shape[1]
    passes = 2 + jnp.where(known, 0, 1) + tangents * (1 + 2 * jnp.asarray(hessians)) + found.trials
    scalars = {
        "objective": old,
        "missed": jnp.max(jnp.abs(local.b), initial=0.0),
        "accepted": found.good,
        "trials": found.trials,
        "step_length": found.t,
        "work": work_of(problem, iterate.p).value * passes,
        **extra,
    }
    return {"aux": iterate.aux} | {name: jnp.asarray(value, old.dtype) for name, value in scalars.items()}
