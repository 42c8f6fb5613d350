"""Adams-Bashforth scheme: how does a scheme of two steps use the slope of the step before?

``u+ = u + h ((1 + r/2) f_now - r/2 f_before)`` with ``r = h / h_before``; one evaluation for each step and order 2. The
first step is an Euler step: one local error of order 2 does not lower the order.

Source: Hairer, Norsett and Wanner, Solving ordinary differential equations I, 2nd ed., Springer 1993, sec. III.1 and
III.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import PyTree, Scheme, VectorField


class Carry(NamedTuple):
    """What a step hands to the next.

    Attributes:
        u: state, (m,).
        slope: slope at the start of the step before, (m,).
        h: size of the step before, in time; 0 before the first.
    """

    u: Array
    slope: Array
    h: Array


def start(u: Float[Array, " m *n"]) -> Carry:
    """Before the first step there is no slope."""
    return Carry(u, jnp.zeros_like(u), jnp.zeros((), u.dtype))


def step(f: VectorField, t: Any, h: Any, carry: Carry, theta: Callable[[float], PyTree]) -> Carry:
    """One step.

    Args:
        f: any dynamics.
        t: time.
        h: step size, in time.
        carry: state and what is left of the step before.
        theta: weights at a fraction of the step.

    Returns:
        The same at t + h.
    """
    slope = f(t, carry.u, theta(0.0))
    known = carry.h != 0
    r = jnp.where(known, h / jnp.where(known, carry.h, 1), 0)
    u = carry.u + h * ((1 + r / 2) * slope - r / 2 * carry.slope)
    return Carry(u, slope, jnp.asarray(h, carry.h.dtype))


ADAMS_BASHFORTH = Scheme(2, step, start=start, finish=lambda carry: carry.u, columns=True)
