"""Levenberg-Marquardt method: how far to trust a Gauss-Newton model when its matrix can be formed?

Each step solves ``(H + mu D) dp = -g`` with H the Gauss-Newton matrix plus the penalty, D its diagonal without the
penalty. Penalised unknowns have one unit, as their squares are added: their entries of D are floored at a share of
their mean, so that directions the data do not see are held. Unknowns without penalty may have any units, and steps do
not depend on these. The damping mu follows the ratio of actual to predicted decrease; a step that does not decrease the
objective, or yields a number that is not finite, is never accepted.

With ``acceleration`` a trial moves along ``d + a/2``, where a solves the same equations with ``J' H s''(d, d)`` on the
right-hand side, the second derivative of the scores s along d; a trial whose a is long compared with d is refused,
because the path bends away from the model.

Cost of a step: one linearisation, one Cholesky factorisation per trial (``p^3 / 3``), one value per trial,
and three passes more with acceleration.

Sources: Marquardt, SIAM J. 11 (1963); Nielsen, Damping Parameter in Marquardt's Method, IMM-REP-1999-05;
Transtrum and Sethna, arXiv:1201.5885 (2012).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from numdl.contracts import BendingProblem, DenseProblem, Iterate, PyTree, Status, require
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.steps import (
    judge,
    kept_if,
    level_status,
    scalars_like,
    scaled_gradient,
    trial_status,
    work_of,
)


class Damping(NamedTuple):
    """State of the method: damping mu, no unit, and the factor of its next increase."""

    mu: Float[Array, ""]
    growth: Float[Array, ""]


class LevenbergMarquardt(eqx.Module):
    """Levenberg-Marquardt for a ``DenseProblem``.

    Attributes:
        diagnose: ``diagnose(problem, p, normal, factor) -> dict`` of extra metrics from the Cholesky factor of the
            undamped matrix, which is formed anyway (the evidence lives there); None for none.
        first_damping: initial mu, no unit.
        max_trials: damping values tried in one step.
        tol: see ``status``.
        acceleration: whether trials follow the curvature of the path (geodesic acceleration), for a
            ``BendingProblem``, such as ``Empirical``.
        floor: least entry of D of a penalised unknown as a share of their mean entry, in [0, 1]. A unit that saturates
            is hardly seen any more: a low floor lets its weights grow and keeps it saturated, the floor 1 holds it;
            the evidence, which prunes, prefers a low one.
        most_bent: with acceleration, the largest ``2 ||a||_D / ||d||_D`` of a trial that is not refused.
    """

    diagnose: Callable[[Any, PyTree, Any, Array], dict[str, Array]] | None = eqx.field(static=True, default=None)
    first_damping: float = eqx.field(static=True, default=0.1)
    max_trials: int = eqx.field(static=True, default=8)
    tol: float = eqx.field(static=True, default=1e-8)
    acceleration: bool = eqx.field(static=True, default=False)
    floor: float = eqx.field(static=True, default=1e-3)
    most_bent: float = eqx.field(static=True, default=0.75)

    __check_init__ = require_settings

    def init(self, problem: DenseProblem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated.

        Raises:
            TypeError: the problem forms no matrix, or has no ``bend`` for an acceleration.
        """
        require(problem, DenseProblem, "LevenbergMarquardt", "use TrustRegion, which needs products only")
        if self.acceleration:
            require(problem, BendingProblem, "LevenbergMarquardt(acceleration=True)", "use acceleration=False")
        value, *state = scalars_like(p, np.inf, self.first_damping, 2.0)
        return Iterate(p, aux, value, Damping(*state), {})

    def step(self, problem: DenseProblem, iterate: Iterate) -> Iterate:
        """One accepted step, or none if ``max_trials`` damping values did not help.

        Args:
            problem: as given to ``init``.
            iterate: where the method stands.

        Returns:
            Next iterate. ``metrics`` belong to the point that was left, where the matrix was formed.
        """
        vector, unravel = ravel_pytree(iterate.p)
        normal = problem.normal(iterate.p, iterate.aux)
        matrix = normal.matrix + jnp.diag(normal.diagonal)
        seen = jnp.diag(normal.matrix)
        held = normal.diagonal > 0
        level = jnp.sum(jnp.where(held, seen, 0.0)) / jnp.maximum(jnp.sum(held, dtype=seen.dtype), 1)
        unseen = jnp.where(seen > 0, jnp.finfo(vector.dtype).tiny, jnp.mean(seen))  # the others' mean, whatever it is
        weight = jnp.maximum(seen, jnp.where(held, self.floor * level, unseen))
        weight = jnp.maximum(weight, jnp.finfo(vector.dtype).tiny)

        def attempt(carry: tuple) -> tuple:
            _, damping, p, aux, value, count = carry
            factor = jnp.linalg.cholesky(matrix + jnp.diag(damping.mu * weight), symmetrize_input=False)
            move = -cho_solve((factor, True), normal.gradient)
            predicted = -(normal.gradient @ move + 0.5 * move @ (matrix @ move))
            straight = jnp.asarray(True)
            if isinstance(problem, BendingProblem) and self.acceleration:
                a = -cho_solve((factor, True), ravel_pytree(problem.bend(iterate.p, unravel(move)))[0])
                straight = 4 * (a @ (weight * a)) <= self.most_bent**2 * (move @ (weight * move))
                move = move + jnp.where(straight, 0.5 * a, 0.0)
            trial = unravel(vector + move)
            new, new_aux = problem.value(trial, normal.aux)
            good, ratio = judge(normal.value, new, predicted)
            good &= straight & jnp.all(jnp.isfinite(move))
            shrink = jnp.maximum(0.2, 1 - (2 * jnp.minimum(ratio, 2.0) - 1) ** 3)
            mu = jnp.where(good, damping.mu * shrink, damping.mu * damping.growth)
            damping = Damping(jnp.clip(mu, 1e-13, 1e13), jnp.where(good, 2.0, 2 * damping.growth))
            kept = kept_if(good, (trial, new_aux, new), (p, aux, value))
            return (good, damping, *kept, count + 1)

        start = (jnp.asarray(False), iterate.state, iterate.p, normal.aux, normal.value, jnp.asarray(0))
        good, damping, p, aux, value, count = jax.lax.while_loop(
            lambda s: ~s[0] & (s[-1] < self.max_trials), attempt, start
        )
        cost = work_of(problem, iterate.p)
        matrix_cost = cost.linearize + vector.size * cost.product if cost.matrix is None else cost.matrix
        metrics = {
            **normal.metrics,
            "aux": normal.aux,
            "objective": normal.value,
            "gradient_norm": jnp.linalg.norm(normal.gradient),
            "scaled_gradient": scaled_gradient(normal.gradient, seen + normal.diagonal, normal.value),
            "damping": iterate.state.mu,
            "accepted": good.astype(value.dtype),
            "trials": count.astype(value.dtype),
            "work": (matrix_cost + count * (cost.value + 3.0 * self.acceleration)).astype(value.dtype),
        }
        if self.diagnose is not None:
            metrics |= self.diagnose(problem, iterate.p, normal, _safe_factor(matrix))
        # A step that failed starts the next one from a moderate damping: alpha may have changed meanwhile.
        growth = jnp.where(good, damping.growth, 2.0)
        return Iterate(p, aux, value, Damping(damping.mu, growth), metrics)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``stalled`` when no damping helps, ``converged`` on a plateau of the objective with a small scaled gradient.

        Args:
            history: columns ``objective`` and ``accepted``, and ``scaled_gradient`` if there is one.

        Returns:
            ``running``, or why to stop.
        """
        return level_status(history, trial_status(history, self.tol, "damping"), self.tol)


def _safe_factor(matrix: Float[Array, "p p"]) -> Float[Array, "p p"]:
    """Cholesky factor; a matrix that is indefinite by rounding gets a shift of 1e-10 of its mean diagonal."""
    factor = jnp.linalg.cholesky(matrix, symmetrize_input=False)
    shift = 1e-10 * jnp.trace(matrix) / max(matrix.shape[0], 1)
    return jax.lax.cond(
        jnp.all(jnp.isfinite(factor)),
        lambda: factor,
        lambda: jnp.linalg.cholesky(matrix + shift * jnp.eye(matrix.shape[0], dtype=matrix.dtype)),
    )
