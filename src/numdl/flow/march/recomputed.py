"""How is a derivative made with few states in memory, for more passes forward?

Both marches return the state of ``final`` and are differentiated by JAX, forwards and backwards, as often as wanted.
"""

from __future__ import annotations

from typing import Any

import jax
from jaxtyping import Array, Float

from numdl.contracts import Control, Dynamics, PyTree, Scheme
from numdl.flow.march.common import Steps, advance, enter, leave, steps_of


def remat(
    scheme: Scheme, f: Dynamics, control: Control, coeffs: PyTree, u0: Float[Array, " m"], t0: Any, h: Any
) -> Float[Array, " m"]:
    """State at the end; a reverse derivative keeps the nt states and computes what is inside a step again.

    One more pass forward; of use where a step keeps much more than its state, as the stages of Runge-Kutta schemes.

    Args:
        scheme: one step.
        f: right-hand side ``f(t, u, theta)``.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,).
        t0: start, in time.
        h: step size, in time: one number, or (nt,).

    Returns:
        (m,).

    Raises:
        ValueError: h has neither shape () nor (nt,), or the coefficients do not fit the control.
    """
    return _nested("remat", 1, scheme, f, control, coeffs, u0, t0, h)


def checkpointed(
    scheme: Scheme, f: Dynamics, control: Control, coeffs: PyTree, u0: Float[Array, " m"], t0: Any, h: Any
) -> Float[Array, " m"]:
    """State at the end; a reverse derivative keeps about ``3 nt^(1/3)`` states, for at most three more passes forward.

    Checkpoints in three levels: the ends of long segments, inside one those of short ones, inside one every state. The
    binomial schedule, the best for three repetitions, keeps c states with ``(c + 1)(c + 2)(c + 3) / 6 >= nt``: 13 for
    512 steps where this keeps 24, but it needs a program whose length grows with the depth.

    Args:
        scheme: one step.
        f: right-hand side ``f(t, u, theta)``.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,).
        t0: start, in time.
        h: step size, in time: one number, or (nt,).

    Returns:
        (m,).

    Raises:
        ValueError: h has neither shape () nor (nt,), or the coefficients do not fit the control.

    Source: Griewank and Walther, Algorithm 799: revolve, ACM Trans. Math. Software 26, 2000, sec. 2.
    """
    return _nested("checkpointed", 3, scheme, f, control, coeffs, u0, t0, h)


def _nested(
    call: str,
    levels: int,
    scheme: Scheme,
    f: Dynamics,
    control: Control,
    coeffs: PyTree,
    u0: Array,
    t0: Any,
    h: Any,
) -> Array:
    u0, steps = steps_of(call, control, coeffs, u0, t0, h)

    def forward(carry: PyTree, step: Steps) -> PyTree:
        return advance(scheme, f, control, carry, step)

    def scan(inner: Any, carry: PyTree, xs: Steps) -> PyTree:
        """Inner on each entry; what it computes is computed again for the derivative."""
        again = jax.checkpoint(inner, prevent_cse=False)  # inside a scan nothing can be merged
        return jax.lax.scan(lambda carry, x: (again(carry, x), None), carry, xs)[0]

    def run(carry: PyTree, part: Steps, levels: int) -> PyTree:
        if levels == 1:
            return scan(forward, carry, part)
        count = max(1, round(part.nt ** (1 / levels)))
        length = part.nt // count
        segments = jax.tree.map(lambda leaf: leaf[: count * length].reshape(count, length, *leaf.shape[1:]), part)
        carry = scan(lambda carry, segment: run(carry, segment, levels - 1), carry, segments)
        rest = jax.tree.map(lambda leaf: leaf[count * length :], part)
        return run(carry, rest, levels - 1) if rest.nt else carry

    return leave(scheme, run(enter(scheme, u0), steps, levels))
