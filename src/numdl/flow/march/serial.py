"""Serial march: one step after the other, all states stored for the gradient; and what all marches share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Control, PyTree, Scheme, Steps, TimedControl, VectorField, require


def begin(
    call: str,
    scheme: Scheme,
    f: VectorField,
    control: Control,
    coeffs: PyTree,
    u0: Array,
    t0: Any,
    h: Any,
    *,
    rows: bool = False,
    axes: tuple[int, ...] = (1, 2),
) -> tuple[Array, Steps]:
    """State in the common dtype, and start time, size and cell of each step.

    Parts that do not fit each other are refused; values that JAX traces are not known yet, and pass.

    Args:
        call: name of the march, for messages.
        scheme: one step.
        f: right-hand side ``f(t, u, theta)``.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,), or those of many samples.
        t0: start, in time.
        h: step size, in time: one number, or (nt,).
        rows: whether samples are rows, (n, m), of which f sees one; else columns, of which it sees all.
        axes: how many u0 may have.

    Returns:
        u0 in the dtype of the march, and the steps.

    Raises:
        ValueError: h has neither shape () nor (nt,), the coefficients do not fit the control, or f gives no rate of the
            state's shape.
        TypeError: scheme, right-hand side or control are none.
    """
    require(scheme, Scheme, f"{call}(scheme)", "use numdl.flow.get_scheme('heun')")
    require(control, Control, f"{call}(control)", "use numdl.flow.PiecewiseConstant(nt)")
    checks.function(call, "f", f, "(t, u, theta) -> du/dt")
    u0, t0 = checks.finite(call, "u0", u0, ("m", "...")), checks.finite(call, "t0", t0, ())
    checks.finite(call, "h", h)
    cells = control.cells_at(coeffs, h) if isinstance(control, TimedControl) else control.cells(coeffs)
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
    u0, steps = jnp.asarray(u0, dtype), Steps(times.astype(dtype), sizes, cells)
    if u0.ndim not in axes:
        needed = "one state (m,)" + " or those of samples" * (2 in axes)
        raise ValueError(f"{call}(u0 of shape {u0.shape}): needs {needed}. Use jax.vmap for others.")
    if not any(map(checks.traced, jax.tree.leaves((u0, steps)))) and steps.nt:
        u = jax.ShapeDtypeStruct(u0.shape[-1:] if rows else u0.shape, u0.dtype)
        t, _, cell = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), steps)
        needs = "a state and the weights of one layer that fit each other"
        rate = checks.shape_of(
            call, "f, coeffs, u0", lambda t, u, cell: f(t, u, control.at(cell, 0.0)), t, u, cell, needs=needs
        )
        if jnp.shape(rate) != u.shape:
            raise ValueError(
                f"{call}(f): gives {jax.tree.map(jnp.shape, rate)} for u0 of shape {u0.shape}, needs the rate of the "
                "state, of its shape. Check the weights in coeffs, and that f returns one array."
            )
    return u0, steps


def advance(scheme: Scheme, f: VectorField, control: Control, carry: PyTree, step: Steps) -> PyTree:
    """The carry after one step on its own cell."""
    return scheme.step(f, step.t, step.h, carry, lambda c: control.at(step.cell, c))


def retreat(scheme: Scheme, f: VectorField, control: Control, carry: PyTree, step: Steps) -> PyTree:
    """The carry before one step; only for schemes with an inverse."""
    assert scheme.inverse is not None
    return scheme.inverse(f, step.t, step.h, carry, lambda c: control.at(step.cell, c))


def tied(tangents: PyTree) -> PyTree:
    """The same tangents, each of which seems to depend on all of them.

    JAX differentiates backwards what is unknown and computes the rest ahead, but a linear system cannot be transposed
    whose right-hand side is known in parts (as the start is, whose tangent is zero, where only weights are asked for).
    A branch that is never taken makes all parts unknown together; the compiler takes it out.
    """
    total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(tangents))

    def tie(leaf: Array) -> Array:
        return jax.lax.select(True, leaf, jnp.broadcast_to(total, leaf.shape).astype(leaf.dtype))

    return jax.tree.map(tie, tangents)


def enter(scheme: Scheme, u: Array) -> PyTree:
    """What the scheme carries, from a state."""
    return u if scheme.start is None else scheme.start(u)


def leave(scheme: Scheme, carry: PyTree) -> Array:
    """The state in what the scheme carries."""
    return carry if scheme.finish is None else scheme.finish(carry)


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

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.flow import PiecewiseConstant, get_scheme, serial
        >>> def decay(t, u, theta):
        ...     return -theta * u
        ...
        >>> states = serial(get_scheme("rk4"), decay, PiecewiseConstant(4), jnp.ones((4, 1)), jnp.ones(1), 0.0, 0.25)
        >>> states.shape, round(float(states[-1, 0]), 3)
        ((5, 1), 0.368)
    """
    u0, steps = begin("serial", scheme, f, control, coeffs, u0, t0, h, axes=(1,))

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
    u0, steps = begin("final", scheme, f, control, coeffs, u0, t0, h)

    def forward(carry: PyTree, step: Steps) -> tuple[PyTree, None]:
        return advance(scheme, f, control, carry, step), None

    return leave(scheme, jax.lax.scan(forward, enter(scheme, u0), steps)[0])
