"""Semilinear dynamics.

Which part of a right-hand side may be stiff and is linear: ``f(t, u, theta) = L u + g(t, u, theta)``?

L is symmetric and does not grow: diffusion, or damping. Every scheme can step these dynamics; ``"imex"`` takes L
implicitly and solves with ``I - h L`` exactly: by a division, by eigenvectors that are found once, or by two FFTs. L
may depend on the weights, as diffusion does that is learned.

Source: Haber, Lensink, Treister and Ruthotto, IMEXnet: a forward stable deep neural network, ICML 2019, sec. 3.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree, VectorField, require


class Linear(NamedTuple):
    """A matrix L as what steps ask of it.

    Attributes:
        times: ``times(u)``: ``L u``, (m,).
        solve: ``solve(h, r)``: u with ``(I - h L) u = r``, (m,).
    """

    times: Callable[[Array], Array]
    solve: Callable[[Any, Array], Array]


@dataclasses.dataclass(frozen=True)
class Semilinear:
    """Right-hand side ``f(t, u, theta) = L u + g(t, u, theta)`` of one sample.

    Attributes:
        linear: L, see ``linear_part`` and ``circulant_part``; or ``theta -> L`` where it depends on the weights.
        rest: ``g(t, u, theta)``, (m,).
    """

    linear: Linear | Callable[[PyTree], Linear]
    rest: VectorField

    def __post_init__(self) -> None:
        """Refuse what are no parts of a right-hand side.

        Raises:
            TypeError: the linear part is none, or the rest cannot be called.
        """
        if isinstance(self.linear, type | Linear) or not callable(self.linear):
            require(
                self.linear, Linear, "Semilinear(linear)", "use linear_part or circulant_part, or theta -> one of it"
            )
        checks.function("Semilinear", "rest", self.rest, "(t, u, theta) -> rate")

    def __call__(self, t: Any, u: Float[Array, " m"], theta: PyTree) -> Float[Array, " m"]:
        """Both parts.

        Args:
            t: time.
            u: state, (m,).
            theta: weights.

        Returns:
            ``du/dt``, (m,).
        """
        return self.part(theta).times(u) + self.rest(t, u, theta)

    def part(self, theta: PyTree) -> Linear:
        """L at these weights.

        Args:
            theta: weights.

        Returns:
            L.

        Raises:
            TypeError: a function of the weights gives something else.
        """
        if isinstance(self.linear, Linear):
            return self.linear
        found = self.linear(theta)
        require(found, Linear, "Semilinear(linear)(theta)", "return linear_part or circulant_part")
        return found


def linear_part(L: np.ndarray | float) -> Linear:
    """Linear part of a matrix, by its eigenvectors.

    Args:
        L: symmetric matrix with eigenvalues <= 0, or a number for a multiple of the identity, in 1 / time.

    Returns:
        L for ``Semilinear``.

    Raises:
        ValueError: L is not square, not symmetric, or grows.
    """
    matrix = np.asarray(checks.finite("linear_part", "L", L), float)
    if matrix.ndim == 0:
        rate = float(_decay("linear_part", matrix[None])[0])
        return Linear(lambda u: rate * u, lambda h, r: r / (1 - h * rate))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.allclose(matrix, matrix.T):
        raise ValueError(f"linear_part(L of shape {matrix.shape}): needs a symmetric square matrix, or one number.")
    values, vectors = np.linalg.eigh(matrix)
    values = _decay("linear_part", values)

    product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)  # an accelerator's default is low

    def solve(h: Any, r: Array) -> Array:
        basis, rates = jnp.asarray(vectors, r.dtype), jnp.asarray(values, r.dtype)
        return product(basis, product(basis.T, r) / (1 - h * rates))

    return Linear(lambda u: product(jnp.asarray(matrix, u.dtype), u), solve)


def circulant_part(column: Float[np.ndarray, " m"]) -> Linear:
    """Linear part of a symmetric circulant matrix, by FFT.

    The column ``(-2, 1, 0, ..., 0, 1)`` is diffusion on a ring.

    Args:
        column: first column of L, (m,), in 1 / time.

    Returns:
        L for ``Semilinear``.

    Raises:
        ValueError: the matrix is not symmetric, or grows.
    """
    first = np.asarray(checks.finite("circulant_part", "column", column, ("m",)), float)
    if not first.size or not np.allclose(first[1:], first[1:][::-1]):
        raise ValueError("circulant_part(column): needs the first column of a symmetric matrix, c_j = c_{m-j}.")
    values = _decay("circulant_part", np.fft.rfft(first).real)

    def by_fft(change: Callable[[Array], Array], u: Array) -> Array:
        """What a change of the Fourier modes, given their eigenvalues, makes of a state."""
        return jnp.fft.irfft(change(jnp.asarray(values, u.dtype)) * jnp.fft.rfft(u), u.shape[0]).astype(u.dtype)

    return Linear(lambda u: by_fft(lambda rates: rates, u), lambda h, r: by_fft(lambda rates: 1 / (1 - h * rates), r))


def _decay(call: str, values: np.ndarray) -> np.ndarray:
    """The eigenvalues without rounding above 0, or the reason why they cannot be used."""
    if np.max(values, initial=0.0) > 1e-10 * np.max(np.abs(values), initial=1.0):
        raise ValueError(f"{call}: L has the eigenvalue {np.max(values)}, needs none above 0. Put growth into g.")
    return np.minimum(values, 0.0)
