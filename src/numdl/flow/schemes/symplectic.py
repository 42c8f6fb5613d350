"""Symplectic schemes: symplectic Euler and Verlet.

How do two halves take turns: kick z with y, then move y with the new z?

Both schemes need ``Separable`` dynamics. They are explicit, symplectic where the dynamics are Hamiltonian, and each
step can be undone exactly: subtract in the reverse order what was added.

Source: Hairer, Lubich and Wanner, Geometric numerical integration, 2nd ed., Springer 2006, sec. I.1 and VI.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import PyTree, Scheme, VectorField
from numdl.flow.separable import Separable, halves


def _parts(f: VectorField, scheme: str) -> Separable:
    """The two halves of f, or the reason why the scheme cannot step it."""
    if not isinstance(f, Separable):
        raise ValueError(
            f"scheme {scheme!r}: needs dynamics of two halves that move each other only (hamiltonian, "
            "double_hamiltonian, second_order, hyperbolic). Use 'rk4' or 'implicit_midpoint' for others."
        )
    return f


def euler(
    f: VectorField, t: Any, h: Any, u: Float[Array, " m *n"], theta: Callable[[float], PyTree]
) -> Float[Array, " m *n"]:
    """``z+ = z + h G(t, y, theta(0))``, ``y+ = y + h F(t, z+, theta(0))``.

    Args:
        f: separable dynamics.
        t: time.
        h: step size, in time.
        u: state ``[y; z]``.
        theta: weights at a fraction of the step.

    Returns:
        State at t + h.

    Raises:
        ValueError: f is not separable, or m is odd.
    """
    parts, (y, z), w = _parts(f, "symplectic_euler"), halves(u), theta(0.0)
    z = z + h * parts.second(t, y, w)
    return jnp.concatenate([y + h * parts.first(t, z, w), z])


def euler_back(
    f: VectorField, t: Any, h: Any, u: Float[Array, " m *n"], theta: Callable[[float], PyTree]
) -> Float[Array, " m *n"]:
    """State at t, given that at t + h: undoes ``euler``."""
    parts, (y, z), w = _parts(f, "symplectic_euler"), halves(u), theta(0.0)
    y = y - h * parts.first(t, z, w)
    return jnp.concatenate([y, z - h * parts.second(t, y, w)])


def verlet(
    f: VectorField, t: Any, h: Any, u: Float[Array, " m *n"], theta: Callable[[float], PyTree]
) -> Float[Array, " m *n"]:
    """Half a kick, a full move, half a kick.

    ``z' = z + h/2 G(t, y, theta(0))``, ``y+ = y + h F(t + h/2, z', theta(1/2))``, and
    ``z+ = z' + h/2 G(t + h, y+, theta(1))``.

    Args:
        f: separable dynamics.
        t: time.
        h: step size, in time.
        u: state ``[y; z]``.
        theta: weights at a fraction of the step.

    Returns:
        State at t + h.

    Raises:
        ValueError: f is not separable, or m is odd.
    """
    parts, (y, z) = _parts(f, "verlet"), halves(u)
    z = z + h / 2 * parts.second(t, y, theta(0.0))
    y = y + h * parts.first(t + h / 2, z, theta(0.5))
    return jnp.concatenate([y, z + h / 2 * parts.second(t + h, y, theta(1.0))])


def verlet_back(
    f: VectorField, t: Any, h: Any, u: Float[Array, " m *n"], theta: Callable[[float], PyTree]
) -> Float[Array, " m *n"]:
    """State at t, given that at t + h: undoes ``verlet``."""
    parts, (y, z) = _parts(f, "verlet"), halves(u)
    z = z - h / 2 * parts.second(t + h, y, theta(1.0))
    y = y - h * parts.first(t + h / 2, z, theta(0.5))
    return jnp.concatenate([y, z - h / 2 * parts.second(t, y, theta(0.0))])


SYMPLECTIC_EULER = Scheme(1, euler, inverse=euler_back, halves=True, columns=True)
VERLET = Scheme(2, verlet, inverse=verlet_back, halves=True, columns=True)
