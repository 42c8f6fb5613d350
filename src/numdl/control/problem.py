"""Optimal control problem of deep learning.

What does a control cost that steers samples from where they are to where they are wanted?

    J(theta) = 1/n sum_i [ loss(output(u_i(T)), c_i) + sum_j L_j(u_ij, theta) ] + R(theta)
    subject to  u_i,j+1 = Phi_j(u_ij, theta),    L_j = h_j sum_s b_s L(t_j + c_s h_j, v_s, theta(t_j + c_s h_j))
                                                 L   = 1/2 ||r(t, u, theta)||^2

``Phi_j`` is one step of a scheme for ``u' = f(t, u, theta(t))``. Training of a residual network is the case r = None, a
regulator that of linear f, r and output. The running cost is given by its residual r, so that it has a Gauss-Newton
matrix. Its integral is what the scheme makes of ``z' = L`` as one more state: weights b_s, times and states v_s are
those of the stages (``Scheme.nodes``), so the cost has the order of the scheme. Schemes without that rule see the
ends of a step: its start where they are of first order, the trapezoidal rule where of second.

Cost: a linearisation is a pass forward and one backward over the samples, as is a product with the curvature.

Sources: E, Han and Li, A mean-field optimal control formulation of deep learning, Res. Math. Sci. 6:10 (2019), sec. 2;
Nocedal and Wright, Numerical Optimization, sec. 10.3 (Gauss-Newton).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from numdl.contracts import Linearization, Normal, PyTree, Scheme, Steps, TimedControl, Work
from numdl.control.fits import array, require_fit, require_functions, require_parts, require_states
from numdl.control.lagrangian import lagrangian
from numdl.control.layers import Layers, layers_of
from numdl.control.reduced import linear_quadratic
from numdl.control.shots import Shot, shots
from numdl.linalg import LinearQuadratic
from numdl.problems.risk.losses import LEAST_SQUARES, Loss, misfit_metrics
from numdl.regularize.penalty import hessian_at


class ControlProblem(eqx.Module):
    """Optimal control of n samples at once; ``p`` are the coefficients of the control, there is no companion.

    Attributes:
        scheme: one step from state to state. Static, as ``f``, ``control``, ``output`` and ``running`` are: give
            objects that compare by value (module-level functions), else every new one is compiled anew.
        f: right-hand side ``f(t, u, theta) -> (m,)`` for one sample.
        control: weights in time, such as ``PiecewiseConstant``.
        u0: states at t = 0, (n, m).
        h: step size, in time, () or (nt,).
        c: targets, (n, k).
        loss: terminal cost of one sample.
        output: ``output(u) -> (k,)`` what the loss sees of the last state; None for all of it.
        running: ``running(t, u, theta) -> (q,)``, the residual r of the running cost; None for none.
        penalty: R, has ``value``, ``gradient`` and ``product`` (or ``hessian``) of the coefficients, such as
            ``GroupPenalty``; None for none.
    """

    scheme: Scheme = eqx.field(static=True)
    f: Callable = eqx.field(static=True)
    control: Any = eqx.field(static=True)
    u0: Float[Array, "n m"] = eqx.field(converter=array)
    h: Float[Array, " *nt"] = eqx.field(converter=array)
    c: Float[Array, "n k"] = eqx.field(converter=array)
    loss: Loss = eqx.field(static=True, default=LEAST_SQUARES)
    output: Callable | None = eqx.field(static=True, default=None)
    running: Callable | None = eqx.field(static=True, default=None)
    penalty: Any = None

    def __check_init__(self) -> None:
        """Refuse parts that do not fit each other.

        Raises:
            ValueError: see ``require_parts``.
            TypeError: a function or penalty is none.
        """
        require_parts(self)
        require_functions(self)

    def stages(self, coeffs: PyTree) -> Steps:
        """Start, size and cell of each step.

        Args:
            coeffs: coefficients of the control, leading axis ``n_coeffs``.

        Returns:
            Leaves (nt, ...).

        Raises:
            ValueError: there is no step size for each step, or as ``require_fit``.
            TypeError: as ``require_fit``.
        """
        control = self.control
        cells = control.cells_at(coeffs, self.h) if isinstance(control, TimedControl) else control.cells(coeffs)
        leaves = jax.tree.leaves(cells)
        if not leaves:
            raise ValueError("ControlProblem(coefficients without arrays): the number of steps is unknown. Give one.")
        nt = leaves[0].shape[0]
        if self.h.shape not in ((), (nt,)):
            raise ValueError(
                f"ControlProblem: h has shape {self.h.shape}, but the control has {nt} steps. Give shape () or ({nt},)."
            )
        h = jnp.broadcast_to(self.h, (nt,))
        stages = Steps(jnp.cumsum(h) - h, h, cells)
        require_fit(self, coeffs, stages)
        return stages

    def advance(self, stage: Steps, u: Float[Array, " m"]) -> Float[Array, " m"]:
        """``Phi_j(u, theta)`` of one sample."""
        return self.scheme.step(self.f, stage.t, stage.h, u, lambda c: self.control.at(stage.cell, c))

    def step(self, stage: Steps, u: Float[Array, " m"]) -> tuple[Float[Array, " m"], Float[Array, " sq"]]:
        """``Phi_j(u, theta)`` of one sample, and the residuals ``sqrt(h_j b_s) r(...)`` of all s nodes of the step.

        Half their square norm is ``L_j``.
        """
        running, (t, h, cell) = self.running, stage
        if running is None:
            return self.advance(stage, u), jnp.zeros(0, u.dtype)
        onward, rule = _with_nodes(self.scheme)(self.f, t, h, u, lambda c: self.control.at(cell, c))
        parts = [jnp.sqrt(b * h) * running(t + c * h, v, self.control.at(cell, c)) for b, c, v in rule]
        return onward, jnp.concatenate(parts)

    def scores(self, u: Float[Array, " m"]) -> Float[Array, " k"]:
        """What the loss sees of a last state."""
        return u if self.output is None else self.output(u)

    def terminal(self, u: Float[Array, " m"], c: Float[Array, " k"]) -> Float[Array, ""]:
        """``loss(output(u), c)`` of one sample."""
        return self.loss.value(self.scores(u), c)

    def states(self, coeffs: PyTree) -> Float[Array, "times n m"]:
        """All states of all samples; the first are ``u0``, the last are those at T."""

        def forward(u: Array, stage: Steps) -> tuple[Array, Array]:
            u = jax.vmap(self.advance, (None, 0))(stage, u)
            return u, u

        return jnp.concatenate([self.u0[None], jax.lax.scan(forward, self.u0, self.stages(coeffs))[1]])

    def value(self, p: PyTree, aux: PyTree = None) -> tuple[Float[Array, ""], PyTree]:
        """``J(p)``; the companion passes through."""
        return self._cost(*self._march(p)) + self._penalty(p), aux

    def held_out(self, p: PyTree, aux: PyTree = None) -> Float[Array, ""]:
        """Mean loss at the end alone: for samples that nothing is fitted to."""
        return jnp.mean(jax.vmap(self.terminal)(self.states(p)[-1], self.c))

    def linearize(self, p: PyTree, aux: PyTree = None) -> Linearization:
        """Value, gradient and matrix-free Gauss-Newton curvature."""
        (s, r), push = jax.linearize(self._march, p)
        pull = jax.linear_transpose(push, p)
        n = self.u0.shape[0]
        (slope,) = pull((jax.vmap(self.loss.residual)(s, self.c) / n, r / n))

        bend_penalty = None if self.penalty is None else hessian_at(self.penalty, p)

        def curvature(v: PyTree) -> PyTree:
            ds, dr = push(v)
            bent = jax.vmap(lambda s, c, t: self.loss.hessian(s, c) @ t)(s, self.c, ds)
            (product,) = pull((bent / n, dr / n))
            return product if bend_penalty is None else jax.tree.map(jnp.add, product, bend_penalty(v))

        gradient = slope if self.penalty is None else jax.tree.map(jnp.add, slope, self.penalty.gradient(p))
        misfit = jnp.mean(jax.vmap(self.loss.value)(s, self.c))
        metrics = misfit_metrics(self.loss, s, self.c, jnp.ones(n, s.dtype), misfit)
        return Linearization(self._cost(s, r) + self._penalty(p), gradient, curvature, aux, metrics)

    def normal(self, p: PyTree, aux: PyTree = None) -> Normal:
        """Value, gradient and Gauss-Newton matrix, for Levenberg-Marquardt; a product for each coefficient.

        A penalty is part of the matrix.
        """
        lin = self.linearize(p, aux)
        flat, unravel = ravel_pytree(p)
        matrix = jax.vmap(lambda e: ravel_pytree(lin.curvature(unravel(e)))[0])(jnp.eye(flat.size, dtype=flat.dtype))
        gradient = ravel_pytree(lin.gradient)[0]
        return Normal(lin.value, gradient, matrix, jnp.zeros_like(gradient), aux, dict(lin.metrics))

    def layers(self, p: PyTree) -> Layers:
        """The Hamiltonian of each layer by itself, for methods of the maximum principle, see ``layers_of``."""
        return layers_of(self, p)

    def apart(self, p: PyTree, states: Float[Array, "times n m"]) -> tuple[Float[Array, ""], Float[Array, "nt n m"]]:
        """Cost of given states, and what they miss of the dynamics, ``Phi_j(u_j) - u_j+1``; nothing is marched."""
        require_states("apart", "states", self, self.control.nt, states)
        onward, rest = jax.vmap(jax.vmap(self.step, (None, 0)))(self.stages(p), states[:-1])
        return self._cost(jax.vmap(self.scores)(states[-1]), rest) + self._penalty(p), onward - states[1:]

    def local(self, p: PyTree, states: Float[Array, "times n m"]) -> LinearQuadratic:
        """The linear quadratic problem near control and states, for multiple shooting, see ``linear_quadratic``."""
        return linear_quadratic(self, p, states)

    def lagrangian(
        self,
        p: PyTree,
        states: Float[Array, "times n m"],
        multipliers: Float[Array, "nt nm"],
        local: LinearQuadratic,
    ) -> LinearQuadratic:
        """The same with the exact Hessian of the Lagrangian, see ``lagrangian``."""
        return lagrangian(self, p, states, multipliers, local)

    def shots(self, p: PyTree, U: Float[Array, "inner n m"], Lambda: Float[Array, "inner n m"], blocks: int) -> Shot:
        """Cost and derivatives of blocks that are marched at once, for one-shot methods, see ``shots``."""
        return shots(self, p, U, Lambda, blocks)

    def work(self, p: PyTree) -> Work:
        """A product is a pass with tangents and one backward; a matrix takes one product for each coefficient."""
        return Work(matrix=2.0 + 2.0 * ravel_pytree(p)[0].size)

    def rows(self, index: Int[Array, " r"]) -> ControlProblem:
        """The same problem on a part of the samples."""
        return dataclasses.replace(self, u0=self.u0[index], c=self.c[index])

    def _march(self, coeffs: PyTree) -> tuple[Float[Array, "n k"], Float[Array, "nt n sq"]]:
        """Scores and running residuals, all that the cost depends on."""

        def forward(u: Array, stage: Steps) -> tuple[Array, Array]:
            return jax.vmap(self.step, (None, 0))(stage, u)

        last, rest = jax.lax.scan(forward, self.u0, self.stages(coeffs))
        return jax.vmap(self.scores)(last), rest

    def _cost(self, s: Float[Array, "n k"], r: Float[Array, "nt n sq"]) -> Float[Array, ""]:
        return (jnp.sum(jax.vmap(self.loss.value)(s, self.c)) + jnp.sum(r**2) / 2) / self.u0.shape[0]

    def _penalty(self, p: PyTree) -> Float[Array, ""]:
        return jnp.zeros((), self.u0.dtype) if self.penalty is None else self.penalty.value(p)


def _with_nodes(scheme: Scheme) -> Callable[..., Any]:
    """The step with its quadrature rule, from its ends where the scheme knows none."""
    if scheme.nodes is not None:
        return scheme.nodes

    def ends(f: Any, t: Any, h: Any, u: Array, theta: Callable[[float], PyTree]) -> tuple[Array, tuple]:
        onward = scheme.step(f, t, h, u, theta)
        return onward, ((1.0, 0.0, u),) if scheme.order == 1 else ((0.5, 0.0, u), (0.5, 1.0, onward))

    return ends
