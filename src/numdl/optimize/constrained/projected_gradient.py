"""Projected gradient method: how is f lowered within a box, or any set that is easily projected onto?

Spectral projected gradient: ``d = P(p - t g) - p`` with Barzilai and Borwein's ``t = s's / s'y``, which estimates an
inverse curvature from the last step, then Armijo along d, which stays in the convex set.

Cost of a step: one linearisation, one value and slope per trial.

Source: Birgin, Martinez, Raydan, SIAM J. Optim. 10 (2000) 1196-1211, SPG2 with a monotone search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Problem, PyTree, Status
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import arrive, gradient_status, line_and_start, linearized
from numdl.optimize.parts.line_search import armijo
from numdl.optimize.parts.steps import scalars_like


class Spectral(NamedTuple):
    """State of the method: the point that was left and its gradient; ``known`` is 0 before the first step."""

    p: Float[Array, " p"]
    g: Float[Array, " p"]
    known: Float[Array, ""]


class ProjectedGradient(eqx.Module):
    """Spectral projected gradient for problems with ``linearize(p, aux)``.

    Attributes:
        onto: the set, with ``prox(p, t)`` its projection, such as ``Box`` of ``numdl.regularize.prox``.
        tol: norm of ``P(p - g) - p``, relative to max(1, |f|), at which to stop.
    """

    onto: Any
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate, the projection of p; the objective is not evaluated."""
        value, known = scalars_like(p, np.inf, 0.0)
        p = self.onto.prox(p, 1.0)
        flat = ravel_pytree(p)[0]
        zero = jnp.asarray(np.zeros(flat.shape, flat.dtype))  # by its shape: p may be traced
        return Iterate(p, aux, value, Spectral(zero, zero, known), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left, ``gradient_norm`` is that of ``P(p - g) - p``."""
        point = linearized(problem, iterate.p, iterate.aux)
        last = iterate.state
        reach = self._towards(point.p, point.g, point.unravel, jnp.ones_like(last.known))
        norm = jnp.linalg.norm(reach)
        s, y = point.p - last.p, point.g - last.g
        bend = s @ y
        spectral = jnp.where(bend > 0, s @ s / jnp.where(bend > 0, bend, 1.0), 1e10)
        first = 1 / jnp.maximum(jnp.max(jnp.abs(reach), initial=0.0), 1.0)
        t = jnp.where(last.known > 0, jnp.clip(spectral, 1e-10, 1e10), first)
        d = self._towards(point.p, point.g, point.unravel, t)
        line, start = line_and_start(problem, point, d)
        found = armijo(line, start, jnp.ones_like(norm))
        after = arrive(point, d, found, Spectral(point.p, point.g, found.good.astype(norm.dtype)))
        return after._replace(metrics={**after.metrics, "gradient_norm": norm})

    def _towards(self, p: Array, g: Array, unravel: Any, t: Array) -> Array:
        """``P(p - t g) - p``."""
        return ravel_pytree(self.onto.prox(unravel(p - t * g), t))[0] - p

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` where the projected gradient is small, ``stalled`` when no step lowers the objective."""
        return gradient_status(history, self.tol)
