"""Adaptive step size: how does a step size that follows an error estimate march, whatever scheme was asked for?"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Control, PyTree, Scheme, VectorField
from numdl.flow.march.serial import begin


def adaptive(
    scheme: Scheme,
    f: VectorField,
    control: Control,
    coeffs: PyTree,
    u0: Float[Array, " m"],
    t0: Any,
    h: Any,
    *,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    max_steps: int = 4096,
) -> Float[Array, " m"]:
    """State at the end by the pair of Tsitouras of order 5(4) with step control, from diffrax.

    Its steps end at those of the control, where weights may jump. The derivative is that of the steps taken, by
    recursive checkpoints; there is no forward derivative.

    Args:
        scheme: not used, but needed; the signature is that of all ways to march.
        f: right-hand side ``f(t, u, theta)``.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,).
        t0: start, in time.
        h: size of the steps of the control, in time: one number, or (nt,).
        rtol: relative tolerance of a step, positive.
        atol: absolute tolerance of a step, in the units of the state, positive.
        max_steps: most steps in one step of the control, at least 1; more end with NaN.

    Returns:
        (m,).

    Raises:
        ValueError: h has neither shape () nor (nt,), the coefficients do not fit the control, or a setting is out of
            range.
        ImportError: diffrax is not installed.

    Source: Tsitouras, Computers and Mathematics with Applications 62, 2011; Kidger, On neural differential equations,
    2022.
    """
    try:
        import diffrax
    except ImportError:
        raise ImportError(
            "march='adaptive' needs the package diffrax. Install numdl[ode], or march with steps."
        ) from None
    checks.number("adaptive", "rtol", rtol, above=0, hint="Use 1e-6.")
    checks.number("adaptive", "atol", atol, above=0, hint="Use 1e-8.")
    checks.whole("adaptive", "max_steps", max_steps, least=1, hint="Use 4096.")
    u0, steps = begin("adaptive", scheme, f, control, coeffs, u0, t0, h, axes=(1,))

    def across(u: Array, step: Any) -> tuple[Array, None]:
        start, size, cell = step

        def field(c: Any, u: Array, cell: PyTree) -> Array:
            """The rate per step: time inside it runs from 0 to 1."""
            return size * f(start + c * size, u, control.at(cell, c))

        # Numbers of Python would be float64 where that is on, whatever u is.
        zero, one = jnp.zeros((), u.dtype), jnp.ones((), u.dtype)
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            zero,
            one,
            None,
            u,
            args=cell,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
            max_steps=max_steps,
            throw=False,
        )
        assert found.ys is not None
        good = found.result == diffrax.RESULTS.successful
        return jnp.where(good, found.ys[-1], jnp.nan), None

    return jax.lax.scan(across, u0, steps)[0]
