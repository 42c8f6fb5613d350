"""Reaction-diffusion layers.

How do features spread to their neighbours on a ring: ``act(k * u + b) + gamma (u_{i-1} - 2 u_i + u_{i+1})``?

Diffusion widens the reach of a short kernel to all features. It is stiff for large gamma: the scheme ``"imex"`` takes
it implicitly.

Source: Haber, Lensink, Treister and Ruthotto, IMEXnet: a forward stable deep neural network, ICML 2019, sec. 3.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import Dynamics
from numdl.flow.dynamics.convolution import CONVOLUTION
from numdl.flow.semilinear import Linear, Semilinear, circulant_part


def diffusion(gamma: float) -> Linear:
    """``gamma (u_{i-1} - 2 u_i + u_{i+1})`` with periodic indices, for any width.

    Args:
        gamma: diffusivity over the squared distance of neighbours, in 1 / time, not negative.

    Returns:
        The linear part.
    """

    def times(u: Float[Array, " m"]) -> Float[Array, " m"]:
        return gamma * (jnp.roll(u, 1) - 2 * u + jnp.roll(u, -1))

    def solve(h: Any, r: Float[Array, " m"]) -> Float[Array, " m"]:
        first = np.eye(1, r.shape[0])[0]
        return circulant_part(gamma * (np.roll(first, 1) - 2 * first + np.roll(first, -1))).solve(h, r)

    return Linear(times, solve)


def vector_field(activation: Activation, gamma: float = 1.0) -> Semilinear:
    """Right-hand side ``act(k * u + b) + gamma (u_{i-1} - 2 u_i + u_{i+1})``.

    Args:
        activation: acts on each entry.
        gamma: diffusivity, in 1 / time, not negative.

    Returns:
        ``f(t, u, theta)``.

    Raises:
        ValueError: gamma is negative or not finite.
    """
    checks.number("reaction_diffusion.vector_field", "gamma", gamma, least=0, hint="Use 0 for no damping.")
    return Semilinear(diffusion(gamma), CONVOLUTION.vector_field(activation))


REACTION_DIFFUSION = Dynamics("reaction_diffusion", CONVOLUTION.init, vector_field, damping=1.0)
