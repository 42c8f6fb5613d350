"""Implicit midpoint rule: how does a step use the slope in its middle, where the state is not known yet?

``w = u + h/2 f(t + h/2, w, theta(1/2))``, ``u+ = 2 w - u``: order 2, stable for every step where the dynamics are,
symplectic, and its own inverse with -h. Newton's method finds w; derivatives come from the implicit function theorem,
so they are those of the exact solution and nothing of the iteration is stored.

Source: Hairer, Lubich and Wanner, Geometric numerical integration, 2nd ed., Springer 2006, sec. II.1 and VIII.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import PyTree, Scheme, VectorField

ITERATIONS = 20
"""Newton steps at most; 3 to 5 reach rounding for steps that make sense."""


def step(f: VectorField, t: Any, h: Any, u: Float[Array, " m"], theta: Callable[[float], PyTree]) -> Float[Array, " m"]:
    """One step, see ``nodes``.

    Args:
        f: any dynamics.
        t: time.
        h: step size, in time.
        u: state, (m,).
        theta: weights at a fraction of the step.

    Returns:
        State at t + h.
    """
    return nodes(f, t, h, u, theta)[0]


def nodes(
    f: VectorField, t: Any, h: Any, u: Float[Array, " m"], theta: Callable[[float], PyTree]
) -> tuple[Float[Array, " m"], tuple[tuple[float, float, Array], ...]]:
    """One step and the state in its middle; a dense (m, m) system is solved in every Newton step.

    Where Newton's method does not find a solution the state is NaN: a wrong state would go unnoticed.

    Args:
        f: any dynamics.
        t: time.
        h: step size, in time.
        u: state, (m,).
        theta: weights at a fraction of the step.

    Returns:
        State at t + h, and the midpoint rule.
    """
    middle, weights = t + h / 2, theta(0.5)

    def residual(w: Array) -> Array:
        return w - u - h / 2 * f(middle, w, weights)

    w = jax.lax.custom_root(residual, u, _newton, _solve)
    return 2 * w - u, ((1.0, 0.5, w),)


def _newton(residual: Callable[[Array], Array], start: Array) -> Array:
    """Root of the residual, or NaN."""
    tolerance = 8 * jnp.finfo(start.dtype).eps

    def small(w: Array, change: Array) -> Array:
        return jnp.max(jnp.abs(change), initial=0.0) <= tolerance * (1 + jnp.max(jnp.abs(w), initial=0.0))

    def improve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        w, _, count = state
        change = jnp.linalg.solve(jax.jacfwd(residual)(w), residual(w))
        return w - change, change, count + 1

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        w, change, count = state
        return (count < ITERATIONS) & ~small(w, change)

    first = (start, jnp.full_like(start, jnp.inf), jnp.asarray(0))
    w, change, _ = jax.lax.while_loop(unfinished, improve, first)
    # Rounding may keep the last change a little above the tolerance.
    close = jnp.max(jnp.abs(change), initial=0.0) <= 1e4 * tolerance * (1 + jnp.max(jnp.abs(w), initial=0.0))
    return jnp.where(close, w, jnp.nan)


def _solve(linear: Callable[[Array], Array], right: Array) -> Array:
    """Solution of the linear system, formed column by column."""
    return jnp.linalg.solve(jax.jacfwd(linear)(jnp.zeros_like(right)), right)


def back(f: VectorField, t: Any, h: Any, u: Float[Array, " m"], theta: Callable[[float], PyTree]) -> Float[Array, " m"]:
    """State at t, given that at t + h: the same step the other way."""
    return step(f, t + h, -h, u, lambda c: theta(1.0 - c))


IMPLICIT_MIDPOINT = Scheme(2, step, inverse=back, stability=lambda z: (1 + z / 2) / (1 - z / 2), nodes=nodes)
