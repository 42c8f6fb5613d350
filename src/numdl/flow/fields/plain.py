"""What is the plain layer of a residual network, ``f(t, u, theta) = act(K u + b)``?"""

from __future__ import annotations

from typing import Any

from jaxtyping import Array, Float

from numdl.contracts import Dynamics
from numdl.flow.activations import Activation
from numdl.flow.fields.base import Field, as_weights, generator


def init(key: Any, m: int, scale: float, dtype: Any = None) -> dict[str, Array]:
    """Random weights of one layer.

    Args:
        key: seed, JAX random key or NumPy generator.
        m: width.
        scale: size of the weights, no unit; see ``Field``.
        dtype: of the weights; None for JAX's default.

    Returns:
        ``{"K": (m, m), "b": (m,)}``.
    """
    rng = generator(key)
    return {
        "K": as_weights(scale / m**0.5 * rng.standard_normal((m, m)), dtype),
        "b": as_weights(scale * rng.uniform(-1.0, 1.0, m), dtype),
    }


def dynamics(activation: Activation) -> Dynamics:
    """Right-hand side ``act(K u + b)``.

    Args:
        activation: acts on each entry.

    Returns:
        ``f(t, u, theta)``.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 2.
    """

    def f(t: Any, u: Float[Array, " m"], theta: dict[str, Array]) -> Float[Array, " m"]:
        return activation(theta["K"] @ u + theta["b"])

    return f


PLAIN = Field("plain", init, dynamics)
