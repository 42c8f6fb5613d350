"""Augmented Lagrangian method.

How is a control found when its states may miss the dynamics, and only a price makes them fit in the end?

All states u_j are unknowns beside the control. With ``c_j = Phi_j(u_j, theta) - u_j+1``, multipliers lambda and a
weight rho, the augmented Lagrangian

    cost(theta, u) + sum lambda_j+1' c_j + rho/2 sum |c_j|^2

is smooth and needs no constraints; layers meet in their neighbours' states alone (the auxiliary coordinates of
Carreira-Perpinan and Wang). Each step is one of Newton's method (of Gauss-Newton's, where the exact model has no
minimum) by a Riccati recursion: the change of c_j is an extra control s_j,

    x_j+1 = A x_j + B v_j - s_j    at the price    (lambda_j+1 + rho c_j)' s_j + rho/2 |s_j|^2.

When its gradient is below a tolerance, ``lambda += rho c`` if the states have come closer, and else rho grows tenfold.
No adjoint is marched, so nothing explodes on an unstable flow. The price is linear convergence of the multipliers, by a
factor of about 1 / rho; a rho that is large at once makes a narrow curved valley and short steps.

Cost of a step: as for ``MultipleShooting``, but the recursion has controls (w + n m,).

Sources: Nocedal and Wright, Numerical Optimization, alg. 17.4 (tolerances of Conn, Gould and Toint); Carreira-Perpinan
and Wang, Distributed optimization of deeply nested systems, AISTATS 2014; Evens, Latafat, Themelis, Suykens and
Patrinos, Neural network training as an optimal control problem, CDC 2021.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import FullSpaceProblem, Iterate, PyTree, Status, require
from numdl.control.methods.full_space import (
    finite,
    metrics_of,
    move_along,
    newton_move,
    next_damping,
    states_from,
)
from numdl.linalg import LinearQuadratic
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import gradient_status
from numdl.optimize.parts.steps import kept_if, scalars_like


class Prices(NamedTuple):
    """State of the method.

    Attributes:
        mu: damping, in cost per squared unit of the control.
        rho: weight of missed states, in cost per squared unit of the state.
        multipliers: of the dynamics, (nt, n m), in cost per unit of the state.
        loose: norm of the gradient at which the multipliers are updated.
        far: norm of the missed states at which rho need not grow.
    """

    mu: Float[Array, ""]
    rho: Float[Array, ""]
    multipliers: Float[Array, "nt nm"]
    loose: Float[Array, ""]
    far: Float[Array, ""]


class AugmentedLagrangian(eqx.Module):
    """Augmented Lagrangian on control and states, for problems with ``local``, ``apart`` and ``lagrangian``.

    The companion ``aux`` are the states (nt + 1, n, m), of which the first is never moved; None starts with all at
    their beginning.

    Attributes:
        first_weight: rho at the start.
        first_damping: mu at the start.
        max_trials: step lengths tried in one step.
        tol: norm of the Lagrangian's gradient and missed states, relative to max(1, |cost of the states|), at which to
            stop.
    """

    first_weight: float = eqx.field(static=True, default=10.0)
    first_damping: float = eqx.field(static=True, default=1e-3)
    max_trials: int = eqx.field(static=True, default=20)
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: FullSpaceProblem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated.

        Raises:
            TypeError: the problem cannot be taken apart so.
        """
        require(problem, FullSpaceProblem, "AugmentedLagrangian", "use TrustRegion, which moves the control alone")
        rho = self.first_weight
        value, mu, rho, loose, far = scalars_like(p, np.inf, self.first_damping, rho, 1 / rho, rho**-0.1)
        states = states_from(problem, p, aux)
        multipliers = jnp.asarray(np.zeros((states.shape[0] - 1, problem.u0.size), value.dtype))
        return Iterate(p, states, value, Prices(mu, rho, multipliers, loose, far), {})

    def step(self, problem: FullSpaceProblem, iterate: Iterate) -> Iterate:
        """One inner step, with new multipliers or weight before it where the last ones have done their work.

        Args:
            problem: has ``value``, ``local``, ``apart`` and ``lagrangian``.
            iterate: where the method stands.

        Returns:
            Next iterate; ``value`` is the cost of the control alone, the largest number where its march overflows.
            ``metrics`` belong to the point that was left, with the largest entry ``missed`` of the states.
        """
        start = iterate.p, iterate.aux
        local, (cost, defects) = problem.local(*start), problem.apart(*start)
        c = local.b
        inner = _gradient_norm(local, iterate.state.multipliers + iterate.state.rho * c)
        state = self._updated(iterate.state, c, inner)
        mu, rho, multipliers = state.mu, state.rho, state.multipliers
        norm = _gradient_norm(local, multipliers + rho * c)

        exact = problem.lagrangian(*start, multipliers + rho * c, local)
        safe, exact = (_priced(model, multipliers + rho * c, rho) for model in (local, exact))
        move = newton_move(safe, exact, mu)

        def merit(cost: Array, missed: Array) -> Array:
            missed = missed.reshape(c.shape)
            return cost + jnp.sum(multipliers * missed) + rho / 2 * jnp.sum(missed**2)

        move = move._replace(v=move.v[:, : local.r.shape[1]])
        found = move_along(
            problem, start, move, merit, old=merit(cost, defects), slope=move.slope, max_trials=self.max_trials
        )
        p, states = found.trial.aux
        metrics = metrics_of(
            problem, iterate, local, found, hessians=True, cost_at_states=cost, damping=mu, weight=rho,
            gradient_norm=jnp.hypot(norm, jnp.linalg.norm(c)), exact=move.exact,
        )  # fmt: skip
        state = state._replace(mu=next_damping(mu, found))
        return Iterate(p, states, finite(problem.value(p, None)[0]), state, metrics)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient with states that fit, ``stalled`` when no step length helps."""
        return gradient_status({**history, "objective": history["cost_at_states"]}, self.tol)

    def _updated(self, state: Prices, c: Float[Array, "nt nm"], inner: Float[Array, ""]) -> Prices:
        """Multipliers, weight and tolerances, where the gradient ``inner`` is small enough for new ones."""
        mu, rho, multipliers, loose, far = state
        done, near = inner <= loose, jnp.linalg.norm(c) <= far
        higher = 10 * rho
        least = jnp.asarray(self.tol / 2, rho.dtype)
        closer = Prices(
            mu, rho, multipliers + rho * c, jnp.maximum(loose / rho, least), jnp.maximum(far * rho**-0.9, least)
        )
        dearer = Prices(mu, higher, multipliers, jnp.maximum(1 / higher, least), higher**-0.1)
        updated = jax.tree.map(functools.partial(jnp.where, near), closer, dearer)
        return kept_if(done, updated, state)


def _priced(local: LinearQuadratic, y: Float[Array, "nt nm"], rho: Float[Array, ""]) -> LinearQuadratic:
    """The model with the changes of what is missed as further controls."""
    nt, m = local.B.shape[:2]
    eye = jnp.broadcast_to(jnp.eye(m, dtype=y.dtype), (nt, m, m))
    return local._replace(
        B=jnp.concatenate([local.B, -eye], axis=2),
        b=jnp.zeros_like(local.b),
        S=jnp.concatenate([local.S, jnp.zeros((nt, m, m), y.dtype)], axis=1),
        R=jax.vmap(jax.scipy.linalg.block_diag)(local.R, rho * eye),
        r=jnp.concatenate([local.r, y], axis=1),
    )


def _gradient_norm(local: LinearQuadratic, y: Float[Array, "nt nm"]) -> Float[Array, ""]:
    """Norm of the Lagrangian's gradient by control and states, at multipliers y."""
    ahead = jnp.concatenate([jnp.einsum("jba,jb->ja", local.A, y)[1:], jnp.zeros_like(y[:1])])
    by_state = local.q[1:] + ahead - y
    return jnp.hypot(jnp.linalg.norm(by_state), jnp.linalg.norm(local.r + jnp.einsum("jaw,ja->jw", local.B, y)))
