"""Hamiltonian layers.

How do two halves turn around each other with one matrix: ``y' = act(K z + b)``, ``z' = -act(K' y + b)``?
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Array

from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import PLAIN, Dynamics, Guarantee, plus, times
from numdl.flow.separable import Separable, half_width


def init(key: Any, m: int, scale: float, dtype: Any = None) -> dict[str, Array]:
    """Random weights of one layer.

    Args:
        key: seed, JAX random key or NumPy generator.
        m: width, even.
        scale: size of the weights, no unit; see ``Dynamics``.
        dtype: of the weights; None for JAX's default.

    Returns:
        ``{"K": (m/2, m/2), "b": (m/2,)}``.

    Raises:
        ValueError: m is odd.
    """
    return PLAIN.init(key, half_width(m), scale, dtype)


def vector_field(activation: Activation) -> Separable:
    """Right-hand side ``[act(K z + b); -act(K' y + b)]`` with ``u = [y; z]``.

    The linear part ``[0, K; -K', 0]`` is antisymmetric, so its eigenvalues are imaginary; the volume is kept for every
    activation. With the symplectic Euler scheme the layer can be undone exactly.

    Args:
        activation: acts on each entry.

    Returns:
        ``f(t, u, theta)``.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 4.2.
    """
    return Separable(
        lambda t, z, theta: activation(plus(times(theta["K"], z), theta["b"])),
        lambda t, y, theta: -activation(plus(times(theta["K"].T, y), theta["b"])),
        columns=True,
    )


HAMILTONIAN = Dynamics("hamiltonian", init, vector_field, (Guarantee.VOLUME,))
