"""Affine layers ``act(K u + b)``, plain or with a structured K: what do they share?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import VectorField
from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import Draw, Dynamics, by_columns, drawn, plus, times

Product = Callable[[dict[str, Any], Array], Array]
"""``product(theta, u)``: ``K u`` for one sample, (m,), or for the columns of u, (m, n)."""


def affine(name: str, draw: Draw, product: Product) -> Dynamics:
    """Dynamics ``act(K u + b)`` whose matrix is made from fewer, or other, numbers than its entries.

    Args:
        name: the key under which it is registered.
        draw: random numbers behind K.
        product: ``K u`` from these numbers.

    Returns:
        Dynamics whose layer has the weights of ``draw`` and ``b (m,)``.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 2.
    """

    def layer(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
        return draw(rng, m, scale) | {"b": scale * rng.uniform(-1.0, 1.0, m)}

    def vector_field(activation: Activation) -> VectorField:
        @by_columns
        def f(t: Any, u: Float[Array, " m *n"], theta: dict[str, Any]) -> Float[Array, " m *n"]:
            return activation(plus(product(theta, u), theta["b"]))

        return f

    return Dynamics(name, drawn(layer), vector_field)


def draw(rng: np.random.Generator, m: int, scale: float) -> dict[str, np.ndarray]:
    """Random K.

    Args:
        rng: source of random numbers.
        m: width.
        scale: size of the weights, no unit; see ``Dynamics``.

    Returns:
        ``{"K": (m, m)}``.
    """
    return {"K": scale / m**0.5 * rng.standard_normal((m, m))}


def product(theta: dict[str, Any], u: Float[Array, " m *n"]) -> Float[Array, " m *n"]:
    """``K u``.

    Args:
        theta: with ``K (m, m)``.
        u: (m,), or (m, n).

    Returns:
        The shape of u.
    """
    return times(theta["K"], u)


PLAIN = affine("plain", draw, product)
