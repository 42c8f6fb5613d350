"""Reversible march of constant memory: how is a derivative made with one state in memory: by undoing the steps?

For schemes whose steps can be undone, the states that the reverse derivative needs are computed backwards from the
end. Memory does not grow with the depth, but for the weights and their gradient; one derivative costs a pass backward
more than with stored states. The states differ from those of the pass forward by rounding, amplified by what the flow
contracts: dynamics that conserve lose nothing, those that forget cannot be undone.

The march is the solution map ``(coeffs, u(0)) -> u(T)``; its tangent map has the inverse ``(dcoeffs, du(T)) ->
du(0)``, the tangent of the backward march. Given to JAX as a linear system with a solver of ours for it and for its
transpose, it is differentiated forwards, backwards and again like anything else.

Source: Chang, Meng, Haber, Ruthotto, Begert and Holtham, Reversible architectures for arbitrarily deep residual neural
networks, AAAI 2018; Gomez, Ren, Urtasun and Grosse, The reversible residual network, NeurIPS 2017.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Control, PyTree, Scheme, Steps, VectorField, require
from numdl.flow.march.serial import advance, begin, enter, leave, retreat, tied


def reversible(
    scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Float[Array, "*n m"], t0: Any, h: Any
) -> Float[Array, "*n m"]:
    """State of ``final``, with derivatives from states that are computed backwards.

    Args:
        scheme: one step that can be undone: ``symplectic_euler``, ``verlet``, ``implicit_midpoint``, or ``coupled``.
        f: right-hand side ``f(t, u, theta)``; arrays it closes over are constants.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,), or those of many samples, (n, m). Under ``vmap`` a derivative by the weights is held for
            each sample; (n, m) adds them up as it goes.
        t0: start, in time.
        h: step size, in time: one number, or (nt,).

    Returns:
        (m,) or (n, m).

    Raises:
        ValueError: the scheme cannot be undone, h has neither shape () nor (nt,), or the coefficients do not fit.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.flow import PiecewiseConstant, get_scheme
        >>> from numdl.flow.march import reversible
        >>> def turn(t, u, theta):
        ...     return theta * jnp.array([[0.0, 1.0], [-1.0, 0.0]]) @ u
        ...
        >>> how = (get_scheme("implicit_midpoint"), turn, PiecewiseConstant(8), jnp.ones((8, 1)))
        >>> end = reversible(*how, jnp.array([1.0, 0.0]), 0.0, 0.25)
        >>> round(float(jnp.linalg.norm(end)), 4)
        1.0
    """
    require(scheme, Scheme, "reversible(scheme)", "use numdl.flow.get_scheme('verlet')")
    if scheme.inverse is None:
        raise ValueError(
            "reversible(scheme without inverse): needs a step that can be undone. Use symplectic_euler, verlet or "
            "implicit_midpoint, or march='coupled' for any other scheme."
        )
    u0, steps = begin("reversible", scheme, f, control, coeffs, u0, t0, h, rows=True)

    def each(one: Any) -> Any:
        """For all samples with the same step: the derivatives by weights are then sums, never one for each sample."""
        return jax.vmap(one, in_axes=(0, None)) if u0.ndim == 2 else one

    forward = each(functools.partial(advance, scheme, f, control))
    backward = each(functools.partial(retreat, scheme, f, control))

    @jax.custom_jvp
    def march(steps: Steps, start: PyTree) -> PyTree:
        return jax.lax.scan(lambda carry, step: (forward(carry, step), None), start, steps)[0]

    @march.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        steps, start = primals
        tangents = tied(tangents)
        end = march(steps, start)

        def undo(direction: Any) -> Any:
            """The system: how the start moves when weights and end do."""
            moved, tangent = direction

            def back(pair: Any, step: Any) -> tuple[Any, None]:
                carry, rate = pair
                return jax.jvp(backward, (carry, step[0]), (rate, step[1])), None

            (_, rate), _ = jax.lax.scan(back, (end, tangent), (steps, moved), reverse=True)
            return moved, rate

        def solve(_: Any, direction: Any) -> Any:
            moved, tangent = direction

            def along(pair: Any, step: Any) -> tuple[Any, None]:
                carry, rate = pair
                return jax.jvp(forward, (carry, step[0]), (rate, step[1])), None

            (_, rate), _ = jax.lax.scan(along, (start, tangent), (steps, moved))
            return moved, rate

        def transpose_solve(_: Any, cotangent: Any) -> Any:
            moved, adjoint = cotangent

            def back(pair: Any, step: Steps) -> tuple[Any, Any]:
                carry, adjoint = pair
                before = backward(carry, step)
                _, pull = jax.vjp(forward, before, step)
                adjoint, slope = pull(adjoint)
                return (before, adjoint), slope

            (_, adjoint), slopes = jax.lax.scan(back, (end, adjoint), steps, reverse=True)
            return jax.tree.map(jnp.add, moved, slopes), adjoint

        _, rate = jax.lax.custom_linear_solve(undo, tangents, solve, transpose_solve)
        return end, rate

    return leave(scheme, march(steps, enter(scheme, u0)))


def coupled(scheme: Scheme, coupling: float = 0.999) -> Scheme:
    """Scheme that can be undone, made from one that cannot, by a second copy of the state.

    With the increment ``P(t, h, u)`` of the scheme and both copies ``y = z = u`` at the start,

        y+ = l y + (1 - l) z + P(t, h, z),        z+ = z - P(t + h, -h, y+),

    which keeps the order of the scheme and is stable on a region of its own. Undoing a step divides by l: rounding
    grows by ``l^(-nt)``, while l = 1 leaves the copies uncoupled and only weakly stable.

    Args:
        scheme: one step from state to state.
        coupling: l, in (0, 1].

    Returns:
        A scheme whose steps cost two of the given one.

    Raises:
        ValueError: the coupling is out of range, or the scheme carries more than the state or has implicit terms.

    Source: McCallum and Foster, Efficient, accurate and stable gradients for neural ODEs, arXiv:2410.11648, sec. 3.
    """
    require(scheme, Scheme, "coupled(scheme)", "use numdl.flow.get_scheme('heun')")
    checks.number("coupled", "coupling", coupling, above=0, most=1, hint="Use 0.999.")
    if scheme.start is not None:
        raise ValueError("coupled(scheme of several steps): needs a scheme from state to state. Use heun or rk4.")

    if scheme.linear:
        raise ValueError(
            "coupled(scheme for a linear part): a step back would divide by I + h L, which may be singular. Use heun "
            "or rk4, or march='checkpointed'."
        )

    def there(f: VectorField, t: Any, h: Any, u: Array, theta: Any) -> Array:
        return scheme.step(f, t, h, u, theta) - u

    def back(f: VectorField, t: Any, h: Any, u: Array, theta: Any) -> Array:
        return scheme.step(f, t + h, -h, u, lambda c: theta(1.0 - c)) - u

    def step(f: VectorField, t: Any, h: Any, carry: tuple[Array, Array], theta: Any) -> tuple[Array, Array]:
        y, z = carry
        y = coupling * y + (1 - coupling) * z + there(f, t, h, z, theta)
        return y, z - back(f, t, h, y, theta)

    def inverse(f: VectorField, t: Any, h: Any, carry: tuple[Array, Array], theta: Any) -> tuple[Array, Array]:
        y, z = carry
        z = z + back(f, t, h, y, theta)
        return (y - (1 - coupling) * z - there(f, t, h, z, theta)) / coupling, z

    return Scheme(scheme.order, step, inverse=inverse, start=lambda u: (u, u), finish=lambda carry: carry[0])


def reversible_by_coupling(
    scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Float[Array, "*n m"], t0: Any, h: Any
) -> Float[Array, "*n m"]:
    """``reversible`` with ``coupled(scheme)``: any scheme, exact gradients, memory independent of depth.

    Args:
        scheme: one step from state to state.
        f: right-hand side ``f(t, u, theta)``; arrays it closes over are constants.
        control: weights in time.
        coeffs: coefficients of the control, leading axis ``n_coeffs``.
        u0: state at t0, (m,), or those of many samples, (n, m).
        t0: start, in time.
        h: step size, in time: one number, or (nt,).

    Returns:
        (m,) or (n, m); the coupled scheme has the order of the scheme, not its states.

    Raises:
        ValueError: as ``coupled`` and ``reversible``.
    """
    return reversible(coupled(scheme), f, control, coeffs, u0, t0, h)
