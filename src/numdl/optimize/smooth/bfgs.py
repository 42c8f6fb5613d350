"""BFGS quasi-Newton method.

How far does a dense picture of the inverse Hessian carry that is learnt from gradients alone?

BFGS: ``d = -B g``; each pair ``s = p_new - p``, ``y = g_new - g`` updates

    B <- (I - s y'/s'y) B (I - y s'/s'y) + s s'/s'y,

the first one from ``B = s'y / y'y I``, which has the size of the inverse curvature along the step. The strong Wolfe
conditions keep ``s'y > 0`` and so B positive; a pair without it (after a change of the problem, or by rounding) is left
out.

Cost of a step: one value and slope per trial, of which the last is kept for the next step, ``6 p^2`` flops
and ``p^2`` numbers.

Source: Nocedal and Wright, Numerical Optimization, alg. 6.1, eqs. 6.17 and 6.20.
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


class Inverse(NamedTuple):
    """State of the method: B, and the point that was left with its gradient.

    ``learnt`` is 0 until B has seen a pair; p, g complete the next pair when the next gradient is known.
    ``known`` is what the last search found out where it ended.
    """

    B: Float[Array, "p p"]
    learnt: Float[Array, ""]
    p: Float[Array, " p"]
    g: Float[Array, " p"]
    known: Known | None


class BFGS(eqx.Module):
    """BFGS with a dense inverse for problems with ``linearize(p, aux)``.

    Attributes:
        tol: norm of the gradient, relative to max(1, |objective|), at which to stop.
    """

    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        value, learnt = scalars_like(p, np.inf, 0.0)
        vector = ravel_pytree(p)[0]
        B, g = np.eye(vector.size, dtype=vector.dtype), np.zeros_like(vector)
        # The gradient is not known yet: the first pair has s = 0, so s'y = 0, and is left out.
        known = nothing_known(problem, p, aux)
        return Iterate(p, aux, value, Inverse(jnp.asarray(B), learnt, vector, jnp.asarray(g), known), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left."""
        point = revisited(problem, iterate, iterate.state.known)
        B, learnt = _updated(iterate.state, point.p, point.g)
        d = -(B @ point.g)
        d = jnp.where(point.g @ d < 0, d, -point.g)
        line, start = line_and_start(problem, point, d)
        first = jnp.where(learnt > 0, 1.0, 1 / jnp.sqrt(jnp.maximum(point.g @ point.g, 1.0)))
        found = strong_wolfe(line, start, first)
        # A search that failed forgets B: the next step is one of steepest descent.
        B = jnp.where(found.good, B, jnp.eye(B.shape[0], dtype=B.dtype))
        return arrive(point, d, found, Inverse(B, learnt * found.good, point.p, point.g, found.trial.known))

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient, ``stalled`` when no step lowers the objective."""
        return gradient_status(history, self.tol)


def _updated(state: Inverse, p: Float[Array, " p"], g: Float[Array, " p"]) -> tuple[Array, Array]:
    """B with the pair that is complete now, and whether B has seen any pair."""
    s, y = p - state.p, g - state.g
    bend, square = s @ y, y @ y
    valid = bend > jnp.finfo(g.dtype).eps * square
    rho = 1 / jnp.where(valid, bend, 1.0)
    B = jnp.where(state.learnt > 0, state.B, jnp.where(valid, bend / jnp.where(square > 0, square, 1.0), 1.0) * state.B)
    By = B @ y
    # Both rank-one corrections in one symmetric form: no product of matrices.
    new = B - rho * (jnp.outer(s, By) + jnp.outer(By, s)) + rho * (1 + rho * (y @ By)) * jnp.outer(s, s)
    return jnp.where(valid, new, state.B), jnp.where(valid, 1.0, state.learnt)
