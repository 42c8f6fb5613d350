"""Rematerialisation and checkpointing: how is a derivative made with few states in memory, for more passes forward?

Both marches return the state of ``final`` and are differentiated by JAX, forwards and backwards, as often as wanted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from numdl.contracts import Control, PyTree, Scheme, Steps, VectorField
from numdl.flow.march.serial import advance, begin, enter, leave


def remat(
    scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Float[Array, " m *n"], t0: Any, h: Any
) -> Float[Array, " m *n"]:
    """State at the end; a reverse derivative keeps the nt states and computes what is inside a step again.

    One more pass forward; of use where a step keeps much more than its state, as the stages of Runge-Kutta schemes.

    Args:
        scheme: one step.
        f: right-hand side ``f(t, u, theta)``.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,); or those of many samples, (m, n), where scheme and f take columns.
        t0: start, in time.
        h: step size, in time: one number, or (nt,).

    Returns:
        The shape of u0.

    Raises:
        ValueError: h has neither shape () nor (nt,), or the coefficients do not fit the control.
    """
    return _nested("remat", _flat, scheme, f, control, coeffs, u0, t0, h)


def checkpointed(
    scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Float[Array, " m *n"], t0: Any, h: Any
) -> Float[Array, " m *n"]:
    """State at the end; a reverse derivative keeps about ``3 nt^(1/3)`` states, for at most three more passes forward.

    Checkpoints in three levels: the ends of long segments, inside one those of short ones, inside one every state.
    Steps that do not fit into equal segments come after them, and cost a copy of the weights and of their gradient;
    depths with small factors have none: the lengths add up to 24, 30, 40 and 64 for 512, 1000, 2048 and 8192. The
    binomial schedule, the best for three repetitions, keeps c states with ``(c + 1)(c + 2)(c + 3) / 6 >= nt``: 13 for
    512 steps, but it needs a program whose length grows with the depth.

    Args:
        scheme: one step.
        f: right-hand side ``f(t, u, theta)``.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,); or those of many samples, (m, n), where scheme and f take columns.
        t0: start, in time.
        h: step size, in time: one number, or (nt,).

    Returns:
        The shape of u0.

    Raises:
        ValueError: h has neither shape () nor (nt,), or the coefficients do not fit the control.

    Source: Griewank and Walther, Algorithm 799: revolve, ACM Trans. Math. Software 26, 2000, sec. 2.
    """
    return _nested("checkpointed", segments, scheme, f, control, coeffs, u0, t0, h)


def segments(nt: int) -> tuple[int, ...]:
    """Lengths of the three levels of checkpoints; their product is nt, or a little less.

    Args:
        nt: number of steps.

    Returns:
        ``(a, b, c)`` with the smallest sum where the product is nt, if that is at most half above ``3 nt^(1/3)``, the
        least there is for any depth; else with the smallest sum of all three and the steps that are left.
    """
    if nt < 2:
        return _flat(nt)
    best = 3 * nt ** (1 / 3)

    def split(product: int) -> tuple[int, int, int]:
        sides = [a for a in range(1, math.ceil(best)) if product % a == 0]
        triples = [(a, b, product // (a * b)) for a in sides for b in sides if product % (a * b) == 0]
        return min(triples, key=lambda triple: (sum(triple), triple))

    if sum(split(nt)) <= 1.5 * best:
        return split(nt)
    return min(
        map(split, range(nt, max(1, nt - math.ceil(best)), -1)), key=lambda triple: sum(triple) + nt - math.prod(triple)
    )


def _flat(nt: int) -> tuple[int, ...]:
    return (nt,)


def _nested(
    call: str,
    levels: Callable[[int], tuple[int, ...]],
    scheme: Scheme,
    f: VectorField,
    control: Control,
    coeffs: PyTree,
    u0: Array,
    t0: Any,
    h: Any,
) -> Array:
    u0, steps = begin(call, scheme, f, control, coeffs, u0, t0, h)

    def forward(carry: PyTree, step: Steps) -> PyTree:
        return advance(scheme, f, control, carry, step)

    def nested(depth: int) -> Callable[[PyTree, Steps], PyTree]:
        """March over so many leading axes; what is computed inside is computed again for the derivative."""
        if depth == 0:
            return forward
        again = jax.checkpoint(nested(depth - 1), prevent_cse=False)  # inside a scan nothing can be merged
        return lambda carry, xs: jax.lax.scan(lambda carry, x: (again(carry, x), None), carry, xs)[0]

    shape = levels(steps.nt)
    count = math.prod(shape)
    parts = jax.tree.map(lambda leaf: leaf[:count].reshape(*shape, *leaf.shape[1:]), steps)
    carry = nested(len(shape))(enter(scheme, u0), parts)
    if count < steps.nt:
        carry = nested(1)(carry, jax.tree.map(lambda leaf: leaf[count:], steps))
    return leave(scheme, carry)
