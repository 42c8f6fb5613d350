"""Proximal gradient method (ISTA, FISTA).

How is ``f(p) + r(p)`` lowered when f is smooth and r has a simple proximal map but no gradient?

ISTA: ``p_new = prox_{r/L}(p - g/L)``; FISTA takes the gradient at a point extrapolated along the last step and gains a
rate of ``1/k^2`` instead of ``1/k``. L is found by backtracking: it doubles until the quadratic model bounds f, and
falls by a tenth each step. A step that turns against the extrapolated gradient step restarts the momentum, which makes
the method linear on strongly convex problems without their constant.

Cost of a step: one linearisation, one value per trial, and one value to book the objective.

Sources: Beck and Teboulle, SIAM J. Imaging Sci. 2 (2009) 183-202; O'Donoghue and Candes, Found. Comput. Math. 15
(2015) 715-732, sec. 3.2 (gradient scheme).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Problem, PyTree, Status
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import departure, gradient_status, linearized
from numdl.optimize.parts.line_search import rounding_of
from numdl.optimize.parts.steps import scalars_like


class Momentum(NamedTuple):
    """State of the method: the point before, FISTA's counter t (1 at a restart), and the bound L of the curvature."""

    before: Float[Array, " p"]
    t: Float[Array, ""]
    L: Float[Array, ""]


class ProximalGradient(eqx.Module):
    """Proximal gradient descent for problems with ``linearize(p, aux)``.

    Attributes:
        prox: r, with ``value(p)`` and ``prox(p, t)``, such as those of ``numdl.regularize.prox``; None for r = 0.
        accelerated: FISTA instead of ISTA.
        first_curvature: first L, positive, in units of the curvature; the backtracking corrects it.
        max_trials: values of L tried in one step.
        tol: norm of ``L (y - p_new)``, a gradient where r = 0, relative to max(1, |f|), at which to stop.
    """

    prox: Any = None
    accelerated: bool = eqx.field(static=True, default=True)
    first_curvature: float = eqx.field(static=True, default=1.0)
    max_trials: int = eqx.field(static=True, default=60)
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        value, t, L = scalars_like(p, np.inf, 1.0, self.first_curvature)
        return Iterate(p, aux, value, Momentum(ravel_pytree(p)[0], t, L), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left, but for the norm, which belongs to the step."""
        vector, unravel = ravel_pytree(iterate.p)
        before, t, L = iterate.state
        following = (1 + jnp.sqrt(1 + 4 * t**2)) / 2 if self.accelerated else t
        y = vector + (t - 1) / following * (vector - before)
        point = linearized(problem, unravel(y), iterate.aux)
        rounding = rounding_of(point.lin.value)

        def attempt(state: tuple) -> tuple:
            L, _, _, _, _, count = state
            L = jnp.where(count == 0, L, 2 * L)
            new = self._prox(unravel, y - point.g / L, 1 / L)
            value, aux = problem.value(unravel(new), iterate.aux)
            move = new - y
            bound = point.lin.value + point.g @ move + L / 2 * (move @ move) + rounding
            return L, new, value, aux, jnp.isfinite(value) & (value <= bound), count + 1

        state = (0.9 * L, vector, point.lin.value, point.lin.aux, jnp.asarray(False), jnp.asarray(0))
        L, new, value, aux, good, count = jax.lax.while_loop(lambda s: ~s[4] & (s[5] < self.max_trials), attempt, state)
        restart = (y - new) @ (new - vector) > 0
        norm = jnp.where(good, L * jnp.linalg.norm(y - new), jnp.linalg.norm(point.g))
        new, aux = jax.tree.map(lambda a, b: jnp.where(good, a, b), (new, aux), (vector, iterate.aux))
        objective, left = problem.value(iterate.p, iterate.aux)
        objective = objective + self._value(iterate.p)
        total = jnp.where(good, value + self._value(unravel(new)), objective)
        work = point.work.linearize + (count + 1) * point.work.value
        metrics = departure(point, work=work, accepted=good, trials=count, curvature=L, restart=restart)
        metrics |= {"objective": objective, "gradient_norm": norm, "aux": left}
        state = Momentum(vector, jnp.where(restart | ~good, 1.0, following), L)
        return Iterate(unravel(new), aux, total, state, metrics)

    def _prox(self, unravel: Any, vector: Array, t: Array) -> Array:
        return vector if self.prox is None else ravel_pytree(self.prox.prox(unravel(vector), t))[0]

    def _value(self, p: PyTree) -> Array | float:
        return 0.0 if self.prox is None else self.prox.value(p)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a short step, ``stalled`` when no step is bounded by its model."""
        return gradient_status(history, self.tol)
