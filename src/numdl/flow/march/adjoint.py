"""What gradient does the adjoint equation give when it is discretised by itself (optimise, then discretise)?

``lambda' = -(df/du)' lambda`` and the state are integrated backwards from T with the scheme of the way forward. It
needs no stored states, and its gradient is not the derivative of the discrete loss: the error is of the order of the
scheme at best, and where the flow contracts the backward state explodes. An option to study, not a default;
``check_adjoint`` measures it.

Source: Onken and Ruthotto, Discretize-optimize vs. optimize-discretize for time-series regression and continuous
normalizing flows, arXiv:2005.13420; Gholami, Keutzer and Biros, ANODE, IJCAI 2019.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Control, Dynamics, PyTree, Scheme
from numdl.flow.march.common import Steps, advance, steps_of


def adjoint(
    scheme: Scheme, f: Dynamics, control: Control, coeffs: PyTree, u0: Float[Array, " m"], t0: Any, h: Any
) -> Float[Array, " m"]:
    """State of ``final``; its reverse derivative is the adjoint equation, solved backwards by the same scheme.

    Args:
        scheme: one step from state to state, for any dynamics.
        f: right-hand side ``f(t, u, theta)``; arrays it closes over are constants.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,).
        t0: start, in time.
        h: step size, in time: one number, or (nt,); not differentiated.

    Returns:
        (m,); there is no forward derivative.

    Raises:
        ValueError: the scheme carries more than the state, h has neither shape () nor (nt,), or the coefficients do
        not fit.
    """
    if scheme.start is not None:
        raise ValueError("adjoint(scheme of several steps): needs a scheme from state to state. Use heun or rk4.")
    u0, steps = steps_of("adjoint", control, coeffs, u0, t0, h)

    @jax.custom_vjp
    def march(cells: PyTree, u: Array, t: Array, h: Array) -> Array:
        each = Steps(t, h, cells)
        return jax.lax.scan(lambda u, step: (advance(scheme, f, control, u, step), None), u, each)[0]

    def forward(cells: PyTree, u: Array, t: Array, h: Array) -> tuple[Array, Any]:
        end = march(cells, u, t, h)
        return end, (Steps(t, h, cells), end)

    def backward(kept: Any, adjoint: Array) -> Any:
        steps, end = kept

        def back(pair: tuple[Array, Array], step: Steps) -> tuple[tuple[Array, Array], PyTree]:
            flat, unravel = ravel_pytree((*pair, jax.tree.map(jnp.zeros_like, step.cell)))

            def rates(t: Any, flat: Array, c: Any) -> Array:
                """State, adjoint and gradient move together; ``c`` is where in the step the weights are taken."""
                u, adjoint, _ = unravel(flat)
                rate, pull = jax.vjp(lambda u, cell: f(t, u, control.at(cell, c)), u, step.cell)
                return ravel_pytree((rate, *jax.tree.map(jnp.negative, pull(adjoint))))[0]

            u, adjoint, slope = unravel(scheme.step(rates, step.t + step.h, -step.h, flat, lambda c: 1.0 - c))
            return (u, adjoint), slope

        (_, adjoint), slopes = jax.lax.scan(back, (end, adjoint), steps, reverse=True)
        return slopes, adjoint, jnp.zeros_like(steps.t), jnp.zeros_like(steps.h)

    march.defvjp(forward, backward)
    return march(steps.cell, u0, steps.t, steps.h)
