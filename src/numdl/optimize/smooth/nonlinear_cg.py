"""Nonlinear conjugate gradients: how much faster is a gradient that remembers one direction?

Hager and Zhang's nonlinear conjugate gradients: ``d = -g + beta d_old`` with ``y = g - g_old`` and

    beta = (y - 2 d_old |y|^2 / d_old'y)' g / d_old'y,    at least  -1 / (|d_old| min(0.01, |g_old|)).

With any line search ``g'd <= -7/8 |g|^2``. On quadratics with exact steps this is the linear method.

Cost of a step: one value and slope per trial, of which the last is kept for the next step.

Source: Hager and Zhang, SIAM J. Optim. 16 (2005) 170-192, eqs. 1.3, 1.6 and 1.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Problem, PyTree, Status
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import arrive, gradient_status, line_and_start, nothing_known, revisited
from numdl.optimize.parts.line_search import Known, strong_wolfe
from numdl.optimize.parts.steps import scalars_like


class Remembered(NamedTuple):
    """State of the method: last direction and gradient, and the decrease ``t g'd`` the last slope promised.

    ``known`` is what the last search found out where it ended.
    """

    d: Float[Array, " p"]
    g: Float[Array, " p"]
    promised: Float[Array, ""]
    known: Known | None


class NonlinearCG(eqx.Module):
    """Nonlinear conjugate gradients for problems with ``linearize(p, aux)``.

    Attributes:
        flatness: share of the slope that a step may leave, no unit.
        tol: norm of the gradient, relative to max(1, |objective|), at which to stop.
    """

    flatness: float = eqx.field(static=True, default=0.1)
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        value, none = scalars_like(p, np.inf, 0.0)
        zero = jnp.asarray(np.zeros_like(ravel_pytree(p)[0]))
        return Iterate(p, aux, value, Remembered(zero, zero, none, nothing_known(problem, p, aux)), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left."""
        old, before, promised, last = iterate.state
        point = revisited(problem, iterate, last)
        g = point.g
        known = promised < 0
        d = jnp.where(known, -g + self._beta(g, old, before) * old, -g)
        d = jnp.where(g @ d < 0, d, -g)
        line, start = line_and_start(problem, point, d)
        size = jnp.sqrt(jnp.maximum(g @ g, 1.0))
        first = jnp.where(known & (start.slope < 0), promised / start.slope, 1 / size)
        found = strong_wolfe(line, start, jnp.clip(first, 1e-12, 1e12), flatness=self.flatness)
        # A search that failed forgets the direction: the next step is one of steepest descent.
        state = Remembered(d, g, jnp.where(found.good, found.t * start.slope, 0.0), found.trial.known)
        return arrive(point, d, found, state)

    @staticmethod
    def _beta(g: Array, old: Array, before: Array) -> Array:
        y = g - before
        slope = old @ y
        slope = jnp.where(slope == 0, 1.0, slope)
        beta = (y - 2 * old * (y @ y) / slope) @ g / slope
        tiny = jnp.finfo(g.dtype).tiny
        least = -1 / jnp.maximum(jnp.linalg.norm(old) * jnp.minimum(0.01, jnp.linalg.norm(before)), tiny)
        return jnp.maximum(beta, least)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient, ``stalled`` when no step lowers the objective."""
        return gradient_status(history, self.tol)
