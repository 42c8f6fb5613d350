"""Steepest descent: how fast is the plainest method, and what does an exact step cost and gain?

``d = -g`` with Armijo's step, or with the step that is exact for the quadratic model, ``t = g'g / g'Hg`` (one product
with the curvature). On a quadratic of condition kappa the exact step contracts f - f* at least by the factor
``((kappa - 1)/(kappa + 1))^2``.

Cost of a step: one value and slope per trial, of which the last is kept for the next step; with the exact length
a linearisation and a product instead.

Source: Nocedal and Wright, Numerical Optimization, sec. 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Problem, PyTree, Status
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import arrive, gradient_status, line_and_start, linearized, nothing_known, revisited
from numdl.optimize.parts.line_search import Known, armijo
from numdl.optimize.parts.steps import scalars_like


class Length(NamedTuple):
    """State of the method: the last step length, negative before the first step, and what its trial found out."""

    t: Float[Array, ""]
    known: Known | None


class SteepestDescent(eqx.Module):
    """Steepest descent for problems with ``linearize(p, aux)``.

    Attributes:
        length: ``"armijo"`` starts at twice the last step, ``"exact"`` at the minimiser of the quadratic model; both
            end with Armijo's condition.
        tol: norm of the gradient, relative to max(1, |objective|), at which to stop.
    """

    length: Literal["armijo", "exact"] = eqx.field(static=True, default="armijo")
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        value, t = scalars_like(p, np.inf, -1.0)
        return Iterate(p, aux, value, Length(t, self._keeps(nothing_known(problem, p, aux))), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left."""
        if self.length == "exact":
            point = linearized(problem, iterate.p, iterate.aux)
        else:
            point = revisited(problem, iterate, iterate.state.known)
        line, start = line_and_start(problem, point, -point.g)
        square = point.g @ point.g
        last = iterate.state.t
        inner = point.work.product if self.length == "exact" else 0.0
        if self.length == "exact":
            curvature = point.g @ point.product(point.g)
            first = jnp.where(curvature > 0, square / jnp.where(curvature > 0, curvature, 1.0), 1.0)
        else:
            first = jnp.where(last > 0, 2 * last, 1 / jnp.sqrt(jnp.maximum(square, 1.0)))
        # On a quadratic of curvature L this is t <= 1.5 / L: from 2 / L on, steps jump to and fro without gain.
        found = armijo(line, start, first, decrease=0.25)
        state = Length(jnp.where(found.good, found.t, -1.0), self._keeps(found.trial.known))
        return arrive(point, -point.g, found, state, inner=inner)

    def _keeps(self, known: Known | None) -> Known | None:
        """The exact length needs the curvature, which nobody keeps."""
        return None if self.length == "exact" else known

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient, ``stalled`` when no step lowers the objective."""
        return gradient_status(history, self.tol)
