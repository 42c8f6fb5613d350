"""Direct multiple shooting: how is a control found together with its states, which need not fit it on the way?

All states u_j are unknowns beside the control, and ``u_j+1 = Phi_j(u_j, theta)`` are constraints: a first guess of the
path can be given where one of the control cannot, and an unstable flow is never marched over its whole length. Each
step solves a quadratic model of cost and dynamics, a linear quadratic control problem, by a Riccati recursion: the
block elimination of sequential quadratic programming, for ``O(nt)`` flops. The model is Newton's, with the exact
Hessian of the Lagrangian at the multipliers of the last step, where its recursion shows a minimum; else, and in the
first step, it is that of Gauss and Newton. The step is halved until the exact merit function

    phi = cost(theta, u) + nu sum |u_j+1 - Phi_j(u_j, theta)|_1,    nu by the decrease that the model promises,

has fallen enough. Control and states are shortened together: damping the control alone would still close all gaps of an
unstable flow at once.

Cost of a step: one evaluation and all tangents of every layer, ``1 + m + w`` passes for states (m,) and weights (w,) of
a layer, ``2 (m + w)`` more with the exact Hessian; one or two recursions; one pass for every trial; a value.

Sources: Bock and Plitt, A multiple shooting algorithm for direct solution of optimal control problems, IFAC 1984;
Nocedal and Wright, Numerical Optimization, alg. 18.3 (line search) and eq. 18.36 (nu).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import FullSpaceProblem, Iterate, PyTree, Status, require
from numdl.control.methods.full_space import finite, metrics_of, move_along, newton_move, next_damping, states_from
from numdl.linalg import LinearQuadratic
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import gradient_status
from numdl.optimize.parts.steps import scalars_like


class Shots(NamedTuple):
    """State of the method.

    Attributes:
        mu: damping, in cost per squared unit of the control.
        nu: weight of missed states, in cost per unit of the state.
        multipliers: of the dynamics, (nt, n m); 0 until a step has found them.
    """

    mu: Float[Array, ""]
    nu: Float[Array, ""]
    multipliers: Float[Array, "nt nm"]


class MultipleShooting(eqx.Module):
    """Newton's or Gauss-Newton's method on control and states, for problems such as ``ControlProblem``.

    They have ``local`` and ``apart``, and ``lagrangian`` if ``exact``. The companion ``aux`` are the states (nt + 1, n,
    m), of which the first is never moved; None starts with all at their beginning.

    Attributes:
        first_damping: mu at the start.
        max_trials: step lengths tried in one step.
        tol: norm of gradient and missed states, relative to max(1, |cost of the states|), at which
            to stop.
        exact: whether Hessians of the Lagrangian are used; without them a step costs a third, and problems with large
            multipliers take many more.
    """

    first_damping: float = eqx.field(static=True, default=1e-3)
    max_trials: int = eqx.field(static=True, default=20)
    tol: float = eqx.field(static=True, default=1e-8)
    exact: bool = eqx.field(static=True, default=True)

    __check_init__ = require_settings

    def init(self, problem: FullSpaceProblem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated.

        Raises:
            TypeError: the problem cannot be taken apart so.
        """
        require(problem, FullSpaceProblem, "MultipleShooting", "use TrustRegion, which moves the control alone")
        value, mu, nu = scalars_like(p, np.inf, self.first_damping, 0.0)
        states = states_from(problem, p, aux)
        multipliers = np.zeros((states.shape[0] - 1, problem.u0.size), value.dtype)
        return Iterate(p, states, value, Shots(mu, nu, jnp.asarray(multipliers)), {})

    def step(self, problem: FullSpaceProblem, iterate: Iterate) -> Iterate:
        """One step of control and states, or none if ``max_trials`` lengths did not help.

        Args:
            problem: has ``value``, ``local`` and ``apart``, perhaps ``lagrangian``.
            iterate: where the method stands.

        Returns:
            Next iterate; ``value`` is the cost of the control alone, the largest number where its march overflows.
            ``metrics`` belong to the point that was left, with the largest entry ``missed`` of the states.
        """
        start, (mu, nu, multipliers) = (iterate.p, iterate.aux), iterate.state
        local, (cost, defects) = problem.local(*start), problem.apart(*start)
        bends, exact = jnp.any(multipliers) & self.exact, local
        if self.exact:
            exact = jax.lax.cond(bends, lambda: problem.lagrangian(*start, multipliers, local), lambda: local)
        move = newton_move(local, exact, mu)

        gap = jnp.sum(jnp.abs(defects))
        needed = 2 * (move.slope + jnp.maximum(move.bend, 0.0)) / jnp.maximum(gap, jnp.finfo(gap.dtype).tiny)
        # In exact arithmetic twice the largest multiplier is enough; for tiny gaps the quotient is noise.
        nu = jnp.fmax(nu, jnp.minimum(needed, 2 * jnp.max(jnp.abs(move.multipliers))))
        found = move_along(
            problem, start, move, lambda cost, missed: cost + nu * jnp.sum(jnp.abs(missed)),
            old=cost + nu * gap, slope=move.slope - nu * gap, max_trials=self.max_trials,
        )  # fmt: skip
        p, states = found.trial.aux
        known = jnp.all(jnp.isfinite(move.multipliers))
        multipliers = jnp.where(known, multipliers + found.t * (move.multipliers - multipliers), multipliers)
        metrics = metrics_of(
            problem, iterate, local, found, hessians=bends, cost_at_states=cost, damping=mu, exact=move.exact & bends,
            gradient_norm=jnp.hypot(jnp.linalg.norm(_slope(local)), jnp.linalg.norm(defects)),
        )  # fmt: skip
        state = Shots(next_damping(mu, found), nu, multipliers)
        return Iterate(p, states, finite(problem.value(p, None)[0]), state, metrics)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient with states that fit, ``stalled`` when no step length helps."""
        # The cost of the control alone may be no number yet: what is small is measured by that of the states.
        return gradient_status({**history, "objective": history["cost_at_states"]}, self.tol)


def _slope(local: LinearQuadratic) -> Float[Array, "nt w"]:
    """Derivative of the cost by the control, states following the linear dynamics."""

    def backward(lam: Array, stage: tuple) -> tuple[Array, Array]:
        A, B, q, r = stage
        return q + A.T @ lam, r + B.T @ lam

    return jax.lax.scan(backward, local.q[-1], (local.A, local.B, local.q[:-1], local.r), reverse=True)[1]
