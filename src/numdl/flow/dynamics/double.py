"""Two-matrix layers: what is the layer of two matrices, ``f(t, u, theta) = act(K2 act(K1 u + b1) + b2)``?"""

from __future__ import annotations

from typing import Any

from jaxtyping import Array, Float

from numdl.contracts import VectorField
from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import PLAIN, Dynamics, by_columns, generator, plus, times


def init(key: Any, m: int, scale: float, dtype: Any = None) -> dict[str, Array]:
    """Random weights of one layer whose inner width equals the outer one.

    Args:
        key: seed, JAX random key or NumPy generator.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.
        dtype: of the weights; None for JAX's default.

    Returns:
        ``{"K1": (m, m), "b1": (m,), "K2": (m, m), "b2": (m,)}``.
    """
    rng = generator(key)
    first, second = (PLAIN.init(rng, m, scale, dtype) for _ in range(2))
    return {"K1": first["K"], "b1": first["b"], "K2": second["K"], "b2": second["b"]}


def vector_field(activation: Activation) -> VectorField:
    """Right-hand side ``act(K2 act(K1 u + b1) + b2)``; ``K1 (r, m)`` and ``K2 (m, r)`` may have any inner width r.

    Args:
        activation: acts on each entry, inside and outside.

    Returns:
        ``f(t, u, theta)``.

    Source: He, Zhang, Ren and Sun, Identity mappings in deep residual networks, ECCV 2016, fig. 1 (two weight layers).
    """

    @by_columns
    def f(t: Any, u: Float[Array, " m *n"], theta: dict[str, Any]) -> Float[Array, " m *n"]:
        inner = activation(plus(times(theta["K1"], u), theta["b1"]))
        return activation(plus(times(theta["K2"], inner), theta["b2"]))

    return f


DOUBLE = Dynamics("double", init, vector_field)
