"""Continuous adjoint.

What gradient does the adjoint equation give when it is discretised by itself (optimise, then discretise)?

``lambda' = -(df/du)' lambda`` and the state are integrated backwards from T with the scheme of the way forward. It
needs no stored states, and its gradient is not the derivative of the discrete loss: the error is of the order of the
scheme at best, and where the flow contracts the backward state explodes. An option to study, not a default;
``adjoint_report`` measures it.

Source: Onken and Ruthotto, Discretize-optimize vs. optimize-discretize for time-series regression and continuous
normalizing flows, arXiv:2005.13420; Gholami, Keutzer and Biros, ANODE, IJCAI 2019.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import Control, PyTree, Scheme, Steps, VectorField, require
from numdl.flow.march.serial import advance, begin


def adjoint(
    scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Float[Array, "*n m"], t0: Any, h: Any
) -> Float[Array, "*n m"]:
    """State of ``final``; its reverse derivative is the adjoint equation, solved backwards by the same scheme.

    Args:
        scheme: one step from state to state, for any dynamics.
        f: right-hand side ``f(t, u, theta)``; arrays it closes over are constants.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,), or those of many samples, (n, m), whose derivatives by the weights are added up step by
            step instead of being held for each sample.
        t0: start, in time.
        h: step size, in time: one number, or (nt,); not differentiated.

    Returns:
        (m,) or (n, m); there is no forward derivative.

    Raises:
        ValueError: the scheme carries more than the state or steps only dynamics of two halves or with a linear part, h
        has neither shape () nor (nt,), or the coefficients do not fit.
    """
    require(scheme, Scheme, "adjoint(scheme)", "use numdl.flow.get_scheme('heun')")
    if scheme.start is not None:
        raise ValueError("adjoint(scheme of several steps): needs a scheme from state to state. Use heun or rk4.")
    if scheme.linear:
        raise ValueError(
            "adjoint(scheme for a linear part): on the way back what decays grows, and imex has no step for that. Use "
            "implicit_midpoint, or march='checkpointed', whose gradients are exact."
        )
    if scheme.halves:
        raise ValueError(
            "adjoint(scheme for two halves): the adjoint equation has no halves that move each other only. Use heun or "
            "rk4, or march='reversible', whose gradients are exact."
        )
    u0, steps = begin("adjoint", scheme, f, control, coeffs, u0, t0, h, rows=True)
    m = u0.shape[-1]

    def each(one: Any) -> Any:
        return jax.vmap(one) if u0.ndim == 2 else one

    @jax.custom_vjp
    def march(cells: PyTree, u: Array, t: Array, h: Array) -> Array:
        def forward(u: Array, step: Steps) -> tuple[Array, None]:
            return each(lambda u: advance(scheme, f, control, u, step))(u), None

        return jax.lax.scan(forward, u, Steps(t, h, cells))[0]

    def forward(cells: PyTree, u: Array, t: Array, h: Array) -> tuple[Array, Any]:
        end = march(cells, u, t, h)
        return end, (Steps(t, h, cells), end)

    def backward(kept: Any, adjoint: Array) -> Any:
        steps, end = kept

        def back(pair: Array, step: Steps) -> tuple[Array, PyTree]:
            def moved(v: PyTree) -> tuple[Array, Array]:
                """State and adjoint one step back, and with them one number: the gradient by the weights, times v.

                Its derivative by v is that gradient, summed over the samples by a product of matrices, and an implicit
                scheme solves for 2 m + 1 numbers instead of 2 m and all weights.
                """

                def rates(t: Any, flat: Array, c: Any) -> Array:
                    """``c`` is where in the step the weights are taken."""
                    u, adjoint = flat[:m], flat[m:-1]
                    rate, pull = jax.vjp(lambda u: f(t, u, control.at(step.cell, c)), u)
                    _, slope = jax.jvp(lambda cell: f(t, u, control.at(cell, c)), (step.cell,), (v,))
                    return jnp.concatenate([rate, -pull(adjoint)[0], -jnp.vdot(adjoint, slope)[None]])

                def one(pair: Array) -> Array:
                    flat = jnp.append(pair, jnp.zeros((), pair.dtype))
                    return scheme.step(rates, step.t + step.h, -step.h, flat, lambda c: 1.0 - c)

                ends = each(one)(pair)
                return jnp.sum(ends[..., -1]), ends[..., :-1]

            slope, pair = jax.grad(moved, has_aux=True)(jax.tree.map(jnp.zeros_like, step.cell))
            return pair, slope

        start, slopes = jax.lax.scan(back, jnp.concatenate([end, adjoint], axis=-1), steps, reverse=True)
        return slopes, start[..., m:], jnp.zeros_like(steps.t), jnp.zeros_like(steps.h)

    march.defvjp(forward, backward)
    return march(steps.cell, u0, steps.t, steps.h)
