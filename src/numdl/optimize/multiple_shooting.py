"""How is a control found together with its states, which need not fit it on the way?

All states u_j are unknowns beside the control, and ``u_j+1 = Phi_j(u_j, theta)`` are constraints: a first guess of the
path can be given where one of the control cannot, and an unstable flow is never marched over its whole length. Each
step solves the Gauss-Newton model of cost and dynamics, a linear quadratic control problem, by a Riccati recursion: the
block elimination of sequential quadratic programming, for ``O(nt)`` flops. (An augmented Lagrangian needs many solves
with a growing weight, and no structure of the steps is left to it.) A step is judged by the exact merit function

    phi = cost(theta, u) + nu sum |u_j+1 - Phi_j(u_j, theta)|_1,    nu above every multiplier,

and by the decrease that the model promises; the damping of the control follows their ratio.

Cost of a step: one evaluation and all tangents of every layer, ``1 + m + w`` passes for states (m,) and weights (w,) of
a layer; one pass and one recursion for every trial; a value.

Sources: Bock and Plitt, A multiple shooting algorithm for direct solution of optimal control problems, IFAC 1984;
Nocedal and Wright, Numerical Optimization, sec. 18.3 (merit function, eq. 18.36).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import Iterate, PyTree, Status
from numdl.linalg import LinearQuadratic, follow, riccati
from numdl.optimize.accept import judge, kept_if
from numdl.optimize.compiled import scalars_like
from numdl.optimize.descent import gradient_status
from numdl.optimize.packing import as_layers
from numdl.optimize.work import work_of


class Shots(NamedTuple):
    """State of the method: damping, in cost per squared unit of the control, and the weight nu of missed states."""

    mu: Float[Array, ""]
    nu: Float[Array, ""]


class MultipleShooting(eqx.Module):
    """Gauss-Newton on control and states, for problems with ``local`` and ``apart``, such as ``ControlProblem``.

    The companion ``aux`` are the states (nt + 1, n, m), of which the first is never moved; None starts with all at
    their beginning.

    Attributes:
        first_damping: mu at the start.
        max_trials: values of mu tried in one step.
        tol: norm of gradient and missed states, relative to max(1, |cost of the states|), at which
            to stop.
    """

    first_damping: float = eqx.field(static=True, default=1e-3)
    max_trials: int = eqx.field(static=True, default=12)
    tol: float = eqx.field(static=True, default=1e-8)

    def init(self, problem: Any, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        value, mu, nu = scalars_like(p, np.inf, self.first_damping, 0.0)
        if aux is None:
            nt = jax.tree.leaves(p)[0].shape[0]
            aux = jnp.broadcast_to(problem.u0, (nt + 1, *problem.u0.shape))
        return Iterate(p, aux, value, Shots(mu, nu), {})

    def step(self, problem: Any, iterate: Iterate) -> Iterate:
        """One step of control and states, or none if ``max_trials`` dampings did not help.

        Args:
            problem: has ``value``, ``local`` and ``apart``.
            iterate: where the method stands.

        Returns:
            Next iterate; ``value`` is the cost of the control alone, the largest number where its march overflows.
            ``metrics`` belong to the point that was left, with the largest entry ``missed`` of the states.
        """
        local, (cost, defects) = problem.local(iterate.p, iterate.aux), problem.apart(iterate.p, iterate.aux)
        gap, w = jnp.sum(jnp.abs(defects)), local.r.shape[1]
        still = jnp.zeros(local.b.shape[1], local.b.dtype)

        def attempt(carry: tuple) -> tuple:
            _, (mu, nu), p, states, count = carry
            damped = local._replace(R=local.R + mu * jnp.eye(w, dtype=local.R.dtype))
            feedback = riccati(damped)
            x, v = follow(damped, feedback, still)
            change = _model(local, x, v)
            multipliers = jnp.einsum("jab,jb->ja", feedback.P, x) + feedback.p
            steep = 2 * change / jnp.maximum(gap, jnp.finfo(gap.dtype).tiny)
            nu = jnp.fmax(nu, jnp.fmax(1.5 * jnp.max(jnp.abs(multipliers)), jnp.where(gap > 0, steep, 0.0)))
            p_new = jax.tree.map(jnp.add, iterate.p, as_layers(iterate.p, v))
            trial = p_new, iterate.aux + x.reshape(iterate.aux.shape)
            new, missed = problem.apart(*trial)
            merit = new + nu * jnp.sum(jnp.abs(missed))
            good, ratio = judge(cost + nu * gap, merit, nu * gap - change)
            mu = jnp.where(good, jnp.where(ratio > 0.75, mu / 5, mu), 4 * mu)
            p, states = kept_if(good, trial, (p, states))
            return good, Shots(jnp.clip(mu, 1e-14, 1e14), nu), p, states, count + 1

        start = (jnp.asarray(False), iterate.state, iterate.p, iterate.aux, jnp.asarray(0))
        good, state, p, states, count = jax.lax.while_loop(lambda s: ~s[0] & (s[4] < self.max_trials), attempt, start)
        known = jnp.isfinite(iterate.value)
        old = jax.lax.cond(known, lambda: iterate.value, lambda: _finite(problem.value(iterate.p, None)[0]))
        price = work_of(problem, iterate.p).value
        passes = price * (2 + jnp.where(known, 0, 1) + still.size // problem.u0.shape[0] + w + count)
        metrics = {
            "aux": iterate.aux,
            "objective": old,
            "cost_at_states": cost,
            "missed": jnp.max(jnp.abs(defects), initial=0.0),
            "gradient_norm": jnp.hypot(jnp.linalg.norm(_slope(local)), jnp.linalg.norm(defects)),
            "damping": iterate.state.mu,
            "accepted": good.astype(old.dtype),
            "trials": count.astype(old.dtype),
            "work": passes.astype(old.dtype),
        }
        return Iterate(p, states, _finite(problem.value(p, None)[0]), state, metrics)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient with states that fit, ``stalled`` when no damping helps."""
        # The cost of the control alone may be no number yet: what is small is measured by that of the states.
        return gradient_status({**history, "objective": history["cost_at_states"]}, self.tol)


def _model(local: LinearQuadratic, x: Float[Array, "times m"], v: Float[Array, "nt w"]) -> Float[Array, ""]:
    """Change of the quadratic cost."""
    bent = jnp.einsum("ja,jab,jb", x, local.Q, x) + jnp.einsum("jv,jvw,jw", v, local.R, v)
    return bent / 2 + jnp.einsum("jw,jwa,ja", v, local.S, x[:-1]) + jnp.sum(local.q * x) + jnp.sum(local.r * v)


def _slope(local: LinearQuadratic) -> Float[Array, "nt w"]:
    """Derivative of the cost by the control, states following the linear dynamics."""

    def backward(lam: Array, stage: tuple) -> tuple[Array, Array]:
        A, B, q, r = stage
        return q + A.T @ lam, r + B.T @ lam

    return jax.lax.scan(backward, local.q[-1], (local.A, local.B, local.q[:-1], local.r), reverse=True)[1]


def _finite(value: Float[Array, ""]) -> Float[Array, ""]:
    """The value, or the largest number in place of none."""
    return jnp.where(jnp.isfinite(value), value, jnp.finfo(value.dtype).max)
