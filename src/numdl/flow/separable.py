"""Separable (partitioned) dynamics.

When do two halves of a state move each other only: ``dy/dt = F(t, z, theta)``, ``dz/dt = G(t, y, theta)``?
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree, VectorField


@dataclasses.dataclass(frozen=True)
class Separable:
    """Right-hand side ``f(t, [y; z], theta) = [F(t, z, theta); G(t, y, theta)]``.

    Every scheme can step it, as it is a right-hand side like any other; symplectic schemes use the parts. Its flow
    keeps the volume, whatever F and G are, for the diagonal blocks of its Jacobian are zero.

    Attributes:
        first: ``F(t, z, theta) -> dy/dt``, (m/2,).
        second: ``G(t, y, theta) -> dz/dt``, (m/2,).
        columns: whether both take many samples as well, as the columns of an array (m/2, n).
    """

    first: VectorField
    second: VectorField
    columns: bool = False

    def __post_init__(self) -> None:
        """Refuse what are no right-hand sides.

        Raises:
            TypeError: one of them cannot be called.
        """
        for name in ("first", "second"):
            checks.function("Separable", name, getattr(self, name), "(t, half, theta) -> rate of the other half")

    def __call__(self, t: Any, u: Float[Array, " m *n"], theta: PyTree) -> Float[Array, " m *n"]:
        """Both rates.

        Args:
            t: time.
            u: state ``[y; z]``, (m,), m even; or those of many samples, (m, n).
            theta: weights.

        Returns:
            ``du/dt``, the shape of u.

        Raises:
            ValueError: m is odd.
        """
        y, z = halves(u)
        return jnp.concatenate([self.first(t, z, theta), self.second(t, y, theta)])


def halves(u: Float[Array, " m *n"]) -> tuple[Float[Array, " half *n"], Float[Array, " half *n"]]:
    """The parts y and z of a state ``[y; z]``.

    Args:
        u: (m,), m even; or (m, n).

    Returns:
        y and z, (m/2,) or (m/2, n) each.

    Raises:
        ValueError: m is odd.
    """
    half = half_width(u.shape[0])
    return u[:half], u[half:]


def half_width(m: int) -> int:
    """Width of each half of a state.

    Args:
        m: width.

    Returns:
        m / 2.

    Raises:
        ValueError: m is odd.
    """
    if m % 2:
        raise ValueError(
            f"a state of width {m} has no two halves [y; z]: Hamiltonian and second-order dynamics need an even width. "
            f"Use width={m + 1}."
        )
    return m // 2
