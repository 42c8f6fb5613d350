"""How does a sample travel through all steps, one after the other, every state kept for the derivative?"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import Control, PyTree, Scheme, Steps, VectorField
from numdl.flow.march.common import advance, enter, leave, steps_of


def serial(
    scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Float[Array, " m"], t0: Any, h: Any
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
    u0, steps = steps_of("serial", control, coeffs, u0, t0, h)

    def forward(carry: PyTree, step: Steps) -> tuple[PyTree, Array]:
        carry = advance(scheme, f, control, carry, step)
        return carry, leave(scheme, carry)

    _, states = jax.lax.scan(forward, enter(scheme, u0), steps)
    return jnp.concatenate([u0[None], states])


def final(
    scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Float[Array, " m *n"], t0: Any, h: Any
) -> Float[Array, " m *n"]:
    """Last state of ``serial``, without storing the ones before.

    A reverse-mode derivative still stores what each step needs to be undone; a forward-mode one does not.

    Args:
        scheme: one step.
        f: right-hand side ``f(t, u, theta)``.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,); or those of many samples, (m, n), where scheme and f take columns.
        t0: start, in time.
        h: step size, in time: one number, or (nt,) for steps of different length.

    Returns:
        State at the end, the shape of u0; for nt = 0 it is u0.

    Raises:
        ValueError: h has neither shape () nor (nt,), or the coefficients do not fit the control.
    """
    u0, steps = steps_of("final", control, coeffs, u0, t0, h)

    def forward(carry: PyTree, step: Steps) -> tuple[PyTree, None]:
        return advance(scheme, f, control, carry, step), None

    return leave(scheme, jax.lax.scan(forward, enter(scheme, u0), steps)[0])
