"""All-at-once systems of layers: how is a march differentiated whose unknowns are the states of all layers at once?

The states solve ``u_{j+1} = step_j(u_j)``. Their tangents solve the linear recursion ``du_{j+1} = A_j du_j + b_j``
along them, adjoints its transpose, backwards. Whoever solves such recursions, by whatever means, has a march with all
derivatives: the recursion is given to JAX as a linear system, with the solver for it and for its transpose.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import Control, PyTree, Scheme, Steps, VectorField, require
from numdl.flow.march.serial import advance, begin, tied

Propagate = Callable[[Any, Array], Array]
"""``propagate(data_j, u) -> u`` of the next time."""

Solve = Callable[[Propagate, list, Array, Array], Array]
"""``solve(propagate, data on each level, g, u_0) -> u (nt + 1, ...)``: ``u_{j+1} = propagate(u_j) + g_j``."""


class AllAtOnce(abc.ABC):
    """A way to march that solves for the states of all layers; takes one sample or many.

    Attributes:
        factor: fine steps in one that is a level coarser.
    """

    factor: int = 1
    _name: ClassVar[str]

    @abc.abstractmethod
    def _levels(self, steps: Steps) -> list[Steps]:
        """All steps, and coarser ones that the solver may use."""

    @abc.abstractmethod
    def _solver(self, step: Propagate) -> Solve:
        """Solver of recursions of this step, and of linear ones."""

    def __call__(
        self,
        scheme: Scheme,
        f: VectorField,
        control: Control,
        coeffs: PyTree,
        u0: Float[Array, "*n m"],
        t0: Any,
        h: Any,
    ) -> Float[Array, "*n m"]:
        """State at the end, differentiable forwards and backwards.

        Args:
            scheme: one step from state to state.
            f: right-hand side ``f(t, u, theta)``; arrays it closes over are constants.
            control: weights in time.
            coeffs: coefficients of the control, leading axis ``n_coeffs``.
            u0: state at t0, (m,), or those of many samples, (n, m).
            t0: start, in time.
            h: step size, in time: one number, or (nt,).

        Returns:
            (m,) or (n, m).

        Raises:
            ValueError: the scheme carries more than a state, h has neither shape () nor (nt,), or the coefficients do
                not fit.
        """
        u0, steps = enter_all(self._name, scheme, f, control, coeffs, u0, t0, h)
        step = step_of(scheme, f, control)
        return states_of(self._solver(step), step, self._levels(steps), self.factor, u0)[-1]


def enter_all(
    call: str, scheme: Scheme, f: VectorField, control: Control, coeffs: PyTree, u0: Array, t0: Any, h: Any
) -> tuple[Array, Steps]:
    """State in the common dtype, and all steps.

    Args:
        call: name of the march, for messages.
        scheme: one step from state to state.
        f: right-hand side of one sample.
        control: weights in time.
        coeffs: coefficients of the control.
        u0: (m,) or (n, m).
        t0: start, in time.
        h: step size, in time: one number, or (nt,).

    Returns:
        As ``begin``.

    Raises:
        ValueError: the scheme carries more than a state, or as ``begin``.
    """
    require(scheme, Scheme, f"{call}(scheme)", "use numdl.flow.get_scheme('heun')")
    if scheme.start is not None:
        raise ValueError(f"{call}(scheme of several steps): needs a scheme from state to state. Use heun or rk4.")
    return begin(call, scheme, f, control, coeffs, u0, t0, h, rows=True)


def step_of(scheme: Scheme, f: VectorField, control: Control) -> Propagate:
    """One step of one sample (m,), or of all samples (n, m)."""
    one = functools.partial(advance, scheme, f, control)
    return lambda step, u: jax.vmap(one, (0, None))(u, step) if u.ndim == 2 else one(u, step)


def tangent_of(step: Propagate) -> Propagate:
    """How a tangent moves along ``data_j = (state before the step, step)``."""
    return lambda given, du: jax.jvp(lambda u: step(given[1], u), given[:1], (du,))[1]


def no_source(steps: Steps, u: Array) -> Array:
    """Right-hand side of the recursion of the states."""
    return jnp.zeros((steps.nt, *u.shape), u.dtype)


def one_by_one(propagate: Propagate, data: PyTree, g: Array, start: Array) -> Array:
    """The recursion, step by step."""

    def forward(u: Array, given: Any) -> tuple[Array, Array]:
        u = propagate(given[0], u) + given[1]
        return u, u

    return jnp.concatenate([start[None], jax.lax.scan(forward, start, (data, g))[1]])


def states_of(solve: Solve, step: Propagate, levels: list[Steps], factor: int, u0: Array) -> Array:
    """States at all times, differentiable by steps and start.

    Args:
        solve: solver of recursions, also of linear ones.
        step: one step.
        levels: steps, and coarser ones that the solver may use; the states do not depend on these.
        factor: fine steps in one that is a level coarser.
        u0: start, (m,) or (n, m).

    Returns:
        (nt + 1, m) or (nt + 1, n, m).
    """

    @jax.custom_jvp
    def march(levels: list[Steps], start: Array) -> Array:
        return solve(step, levels, no_source(levels[0], start), start)

    @march.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (levels, start), (moved, start_moved) = primals, tangents
        moved, start_moved = tied((moved[0], start_moved))
        states = march(levels, start)
        tangent = tangent_of(step)
        along = [(states[: -1 : factor**k], level) for k, level in enumerate(levels)]

        def effect(moved: Steps) -> Array:
            """What moved weights do to each step, (nt, ...)."""
            return jax.vmap(lambda u, s, ds: jax.jvp(lambda s: step(s, u), (s,), (ds,))[1])(
                states[:-1], levels[0], moved
            )

        def adjoint(given: Any, dual: Array) -> Array:
            u, s = given
            return jax.vjp(lambda u: step(s, u), u)[1](dual)[0]

        def slope(u: Array, s: Steps, dual: Array) -> Steps:
            return jax.vjp(lambda s: step(s, u), s)[1](dual)[0]

        def system(unknown: Any) -> Any:
            moved, du = unknown
            ahead = jax.vmap(tangent)(along[0], du[:-1]) + effect(moved)
            return moved, jnp.concatenate([du[:1], du[1:] - ahead])

        def forwards(_: Any, right: Any) -> Any:
            moved, r = right
            return moved, solve(tangent, along, r[1:] + effect(moved), r[0])

        def backwards(_: Any, right: Any) -> Any:
            moved, r = right
            back = jax.tree.map(lambda leaf: leaf[::-1], along)
            dual = solve(adjoint, back, r[:-1][::-1], r[-1])[::-1]
            slopes = jax.vmap(slope)(states[:-1], levels[0], dual[1:])
            return jax.tree.map(jnp.add, moved, slopes), dual

        right = jnp.concatenate([start_moved[None], jnp.zeros_like(states[1:])])
        _, states_moved = jax.lax.custom_linear_solve(system, (moved, right), forwards, backwards)
        return states, states_moved

    return march(levels, u0)
