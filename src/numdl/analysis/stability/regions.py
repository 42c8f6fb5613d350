"""Stability regions.

Up to which step size does a scheme keep down what decays, and which scheme keeps it down at this one?

An eigenvalue lambda of the Jacobian decays if its real part is not positive. The scheme is stable on it if
``|R(h lambda)| <= 1``, with the scheme's stability function R; schemes without one are run on the test equation itself,
``u' = lambda u``, or ``y' = z, z' = lambda^2 y`` if the dynamics are separable, and the spectral radius of a step is
taken.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from numdl.contracts import Scheme
from numdl.flow.march.serial import enter
from numdl.flow.schemes import SCHEMES
from numdl.flow.separable import Separable

ON_THE_AXIS = 1e-7
"""Real parts below this share of the largest eigenvalue are rounding: an eigenvalue may be defective."""

WIDEST = 1e3
"""Step sizes are searched within this factor of those of the network."""


def amplification(scheme: Scheme, z: Any, separable: bool) -> np.ndarray:
    """Largest factor by which one step multiplies a solution of the test equation.

    Args:
        scheme: one step.
        z: ``h lambda``, complex, any shape.
        separable: whether the test equation has two halves.

    Returns:
        ``|R(z)|``, or the spectral radius of the step; the shape of z. NaN where z is, and for schemes that treat parts
        of the dynamics differently: one eigenvalue of all of it says nothing of their step.

    Source: Hairer and Wanner, Solving ordinary differential equations II, 2nd ed., Springer 1996, sec. IV.2 and V.1.
    """
    z = np.asarray(z, complex)
    if scheme.linear:
        return np.full(z.shape, np.nan)
    if scheme.stability is not None:
        return np.abs(scheme.stability(z))
    found, good = np.full(z.size, np.nan), np.isfinite(z.ravel())
    if good.any():
        with jax.enable_x64(True):
            at = jnp.asarray(z.ravel()[good])
            steps = _steps(scheme, at.real, at.imag, separable)
        found[good] = np.abs(np.linalg.eigvals(np.asarray(steps))).max(axis=-1)
    return found.reshape(z.shape)


def decaying(values: Any) -> np.ndarray:
    """Eigenvalues whose real part is not positive, but for rounding, mirrored into the upper half plane.

    Args:
        values: complex, any shape; what is not finite is left out.

    Returns:
        Complex, (count,); a conjugate pair says the same twice.
    """
    values = np.ravel(values)
    values = values[np.isfinite(values)]
    small = values.real <= ON_THE_AXIS * np.max(np.abs(values), initial=0.0)
    return np.minimum(values.real[small], 0.0) + 1j * np.abs(values.imag[small])


def tolerance(scheme: Scheme) -> float:
    """How much of an amplification above 1 is rounding; a spectral radius is known to the root of it only."""
    return 1e-10 if scheme.stability is not None else 1e-6


def inside(scheme: Scheme, z: Any, separable: bool) -> bool:
    """Whether all of ``h lambda`` is in the scheme's stability region, or nothing is known of one."""
    return scheme.linear or bool(np.all(amplification(scheme, z, separable) <= 1 + tolerance(scheme)))


def largest_step(scheme: Scheme, values: np.ndarray, h: float, separable: bool) -> float:
    """Largest step size up to which all smaller ones are stable on these eigenvalues, by bisection.

    Args:
        scheme: one step.
        values: decaying eigenvalues, in 1 / time, (count,).
        h: a step size, in time, to search around.
        separable: whether the dynamics have two halves.

    Returns:
        Step size, in time; 0 if it is below ``h / 1000``, infinite if it is above ``1000 h``, NaN if it is not known.
    """
    if scheme.linear:
        return np.nan
    if scheme.stability is None:  # each trial costs eigenvalues: those that agree to 1e-4 are taken once
        unit = 1e-4 * np.max(np.abs(values), initial=np.finfo(float).tiny)
        values = unit * np.unique(np.round(values / unit))
    return largest_stable(lambda size: inside(scheme, size * values, separable), h, trials=121)


def largest_stable(stable: Callable[[float], bool], h: float, trials: int = 31) -> float:
    """Largest step size up to which all smaller ones are stable, as far as trials tell, by bisection.

    Args:
        stable: whether a step size is.
        h: a step size, in time, to search around.
        trials: sizes between ``h / 1000`` and ``1000 h`` that are tried before bisection.

    Returns:
        Step size, in time; 0 if it is below ``h / 1000``, infinite if it is above ``1000 h``.
    """
    low = 0.0
    for high in h * np.geomspace(1 / WIDEST, WIDEST, trials):
        if not stable(high):
            break
        low = high
    else:
        return np.inf
    if low == 0.0:
        return 0.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if stable(middle) else (low, middle)
    return float(low)


def first_scheme(z: np.ndarray, separable: bool) -> str | None:
    """First scheme of ``SCHEMES`` whose stability region contains all of ``h lambda``.

    Args:
        z: ``h lambda`` of the decaying eigenvalues, (count,).
        separable: whether the dynamics have two halves, as symplectic schemes need.

    Returns:
        Its name, or None.
    """
    for name, scheme in SCHEMES.items():
        if (separable or not scheme.halves) and not scheme.linear and inside(scheme, z, separable):
            return name
    return None


@partial(jax.jit, static_argnums=(0, 3))
def _steps(scheme: Scheme, real: Any, imag: Any, separable: bool) -> Any:
    """Matrices of the steps for several eigenvalues, compiled once for each scheme."""
    return jax.vmap(lambda real, imag: _step(scheme, real, imag, separable))(real, imag)


def _step(scheme: Scheme, real: Any, imag: Any, separable: bool) -> Any:
    """Matrix of one step of size 1 on the test equation with the eigenvalue ``real + i imag``, in real numbers."""

    def times(real: Any, imag: Any, u: Any) -> Any:
        return jnp.stack([real * u[0] - imag * u[1], imag * u[0] + real * u[1]])

    if separable:
        f: Any = Separable(lambda t, z, theta: z, lambda t, y, theta: times(real**2 - imag**2, 2 * real * imag, y))
    else:
        f = lambda t, u, theta: times(real, imag, u)  # noqa: E731
    # A scheme that remembers is past its start only after a step.
    one = jnp.ones(())
    carry = scheme.step(f, 0.0, one, enter(scheme, jnp.zeros(4 if separable else 2)), lambda c: None)
    flat, unflatten = ravel_pytree(carry)
    return jax.jacfwd(lambda flat: ravel_pytree(scheme.step(f, 0.0, one, unflatten(flat), lambda c: None))[0])(flat)
