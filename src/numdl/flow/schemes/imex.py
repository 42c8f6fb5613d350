"""Implicit-explicit (IMEX) scheme.

How are stiff linear terms taken implicitly and the rest explicitly: ``(I - h L) u+ = u + h g(t, u, theta)``?

The dynamics are ``Semilinear``, ``u' = L u + g(t, u, theta)``. A step costs a solution with ``I - h L`` more than Euler
and is stable for every step as far as L is concerned. An L that depends on the weights is that of the step's start.

Source: Haber, Lensink, Treister and Ruthotto, IMEXnet: a forward stable deep neural network, ICML 2019, sec. 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float

from numdl.contracts import PyTree, Scheme, VectorField
from numdl.flow.semilinear import Semilinear


def step(f: VectorField, t: Any, h: Any, u: Float[Array, " m"], theta: Callable[[float], PyTree]) -> Float[Array, " m"]:
    """One step of order 1.

    Args:
        f: dynamics with a linear part.
        t: time.
        h: step size, in time.
        u: state, (m,).
        theta: weights at a fraction of the step.

    Returns:
        State at t + h.

    Raises:
        ValueError: f has no linear part.
    """
    if not isinstance(f, Semilinear):
        raise ValueError(
            "scheme 'imex': needs dynamics with a linear part (contractive, reaction_diffusion, on_images with "
            "diffusion, or a Semilinear of yours). Use 'euler', or 'implicit_midpoint' for others that are stiff."
        )
    weights = theta(0.0)
    return f.part(weights).solve(h, u + h * f.rest(t, u, weights))


IMEX = Scheme(1, step, linear=True)
