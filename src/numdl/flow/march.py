"""How does a sample travel through all steps, one after the other?

Every way to march has one signature, ``(scheme, f, control, coeffs, u0, t0, h)``; they must agree.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import Control, Dynamics, PyTree, Scheme


def serial(
    scheme: Scheme, f: Dynamics, control: Control, coeffs: PyTree, u0: Float[Array, " m"], t0: Any, h: Any
) -> Float[Array, "times m"]:
    """States at all nt + 1 times: ``u_{i+1} = step(f, t_i, h_i, u_i, theta on step i)``.

    Args:
        scheme: one step.
        f: right-hand side ``f(t, u, theta)``.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,).
        t0: start, in time.
        h: step size, in time: one number, or (nt,) for steps of different length.

    Returns:
        (nt + 1, m), starting with u0; for nt = 0 only u0.

    Raises:
        ValueError: h has neither shape () nor (nt,), or the coefficients do not fit the control.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 2.
    """
    u0, steps = _prepare("serial", control, coeffs, u0, t0, h)

    def advance(u: Array, step: tuple[Array, Array, PyTree]) -> tuple[Array, Array]:
        u = _advance(scheme, f, control, u, step)
        return u, u

    _, states = jax.lax.scan(advance, u0, steps)
    return jnp.concatenate([u0[None], states])


def final(
    scheme: Scheme, f: Dynamics, control: Control, coeffs: PyTree, u0: Float[Array, " m"], t0: Any, h: Any
) -> Float[Array, " m"]:
    """Last state of ``serial``, without storing the ones before.

    A reverse-mode derivative still stores what each step needs to be undone; a forward-mode one does not.

    Args:
        scheme: one step.
        f: right-hand side ``f(t, u, theta)``.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,).
        t0: start, in time.
        h: step size, in time: one number, or (nt,) for steps of different length.

    Returns:
        State at the end, (m,); for nt = 0 it is u0.

    Raises:
        ValueError: h has neither shape () nor (nt,), or the coefficients do not fit the control.
    """
    u0, steps = _prepare("final", control, coeffs, u0, t0, h)

    def advance(u: Array, step: tuple[Array, Array, PyTree]) -> tuple[Array, None]:
        return _advance(scheme, f, control, u, step), None

    return jax.lax.scan(advance, u0, steps)[0]


def _advance(scheme: Scheme, f: Dynamics, control: Control, u: Array, step: tuple[Array, Array, PyTree]) -> Array:
    """One step on its own cell."""
    t, h, cell = step
    return scheme.step(f, t, h, u, lambda c: control.at(cell, c))


def _prepare(
    call: str, control: Control, coeffs: PyTree, u0: Array, t0: Any, h: Any
) -> tuple[Array, tuple[Array, Array, PyTree]]:
    """State in the common dtype, and start time, size and cell of each step."""
    cells = control.cells(coeffs)
    leaves = jax.tree.leaves(cells)
    if not leaves:
        raise ValueError(
            f"{call}(coeffs without arrays): the number of steps is unknown. Give at least one leaf (nt, 0)."
        )
    nt = leaves[0].shape[0]
    if jnp.shape(h) not in ((), (nt,)):
        raise ValueError(
            f"{call}(h of shape {jnp.shape(h)}): needs one step size or {nt} of them, shape () or ({nt},). "
            "Give T / nt, or the differences of the time nodes."
        )
    # The carry of a scan must keep its dtype: promote once, here, instead of in every step. The 1.0 turns integers into
    # floats and is weak otherwise.
    dtype = jnp.result_type(u0, *leaves, 1.0)
    sizes = jnp.asarray(h, dtype)
    if sizes.ndim == 0:
        times = t0 + sizes * jnp.arange(nt, dtype=dtype)
        sizes = jnp.broadcast_to(sizes, (nt,))
    else:
        times = t0 + jnp.cumsum(sizes) - sizes
    return jnp.asarray(u0, dtype), (times.astype(dtype), sizes, cells)
