"""L-BFGS quasi-Newton method: how well do the last few steps and changes of the gradient stand for the Hessian?

L-BFGS: ``d = -B g`` by the two-loop recursion over at most ``memory`` pairs ``s = p_new - p``, ``y = g_new - g``, from
``B_0 = s'y / y'y``. The strong Wolfe conditions keep ``s'y > 0``; a pair without it (after a change of the problem, or
by rounding) is left out.

Cost of a step: one value and slope per trial, of which the last is kept for the next step, ``4 memory`` inner products.

Source: Nocedal and Wright, Numerical Optimization, alg. 7.4 and 7.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Problem, PyTree, Status
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import arrive, gradient_status, line_and_start, nothing_known, revisited
from numdl.optimize.parts.line_search import Known, strong_wolfe
from numdl.optimize.parts.steps import scalars_like


class Pairs(NamedTuple):
    """State of the method: steps and changes of the gradient, newest last; zeros where there is none yet.

    ``p`` and ``g`` are the point that was left and its gradient: the newest pair is completed when the next gradient
    is known. ``known`` is what the last search found out where it ended.
    """

    s: Float[Array, "memory p"]
    y: Float[Array, "memory p"]
    p: Float[Array, " p"]
    g: Float[Array, " p"]
    known: Known | None


class LBFGS(eqx.Module):
    """L-BFGS for problems with ``linearize(p, aux)``.

    Attributes:
        memory: number of pairs.
        tol: norm of the gradient, relative to max(1, |objective|), at which to stop.
    """

    memory: int = eqx.field(static=True, default=10)
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        (value,) = scalars_like(p, np.inf)
        vector = ravel_pytree(p)[0]
        empty = jax.device_put(np.zeros((self.memory, vector.size), vector.dtype))
        # The gradient is not known yet: the first pair has s = 0, so s'y = 0, and is left out.
        zero = jax.device_put(np.zeros(vector.shape, vector.dtype))
        return Iterate(p, aux, value, Pairs(empty, empty, vector, zero, nothing_known(problem, p, aux)), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left."""
        steps, changes, last, before, known = iterate.state
        point = revisited(problem, iterate, known)
        g = point.g
        s, y = point.p - last, g - before
        valid = s @ y > jnp.finfo(g.dtype).eps * (y @ y)
        steps, changes = (
            jnp.where(valid, jnp.concatenate([rows[1:], new[None]]), rows) for rows, new in ((steps, s), (changes, y))
        )
        d = -two_loop(g, steps, changes)
        d = jnp.where(g @ d < 0, d, -g)
        line, start = line_and_start(problem, point, d)
        fresh = ~jnp.any(steps)
        first = jnp.where(fresh, 1 / jnp.sqrt(jnp.maximum(g @ g, 1.0)), 1.0)
        found = strong_wolfe(line, start, first)
        # A search that failed forgets all pairs: the next step is one of steepest descent.
        steps, changes = (jnp.where(found.good, rows, 0.0) for rows in (steps, changes))
        return arrive(point, d, found, Pairs(steps, changes, point.p, g, found.trial.known))

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient, ``stalled`` when no step lowers the objective."""
        return gradient_status(history, self.tol)


def two_loop(g: Float[Array, " p"], s: Float[Array, "memory p"], y: Float[Array, "memory p"]) -> Float[Array, " p"]:
    """The inverse BFGS matrix of some pairs times g.

    Args:
        g: vector, (p,).
        s: steps, newest last, zero rows are no pairs, (memory, p).
        y: changes of the gradient, ``s'y > 0``, (memory, p).

    Returns:
        ``B g``, (p,).
    """
    products = jnp.sum(s * y, axis=1)
    rho = jnp.where(products > 0, 1 / jnp.where(products > 0, products, 1.0), 0.0)

    def backward(q: Array, pair: tuple) -> tuple[Array, Array]:
        s, y, rho = pair
        a = rho * (s @ q)
        return q - a * y, a

    q, a = jax.lax.scan(backward, g, (s, y, rho), reverse=True)
    newest = y[-1] @ y[-1]
    r = q * jnp.where(newest > 0, products[-1] / jnp.where(newest > 0, newest, 1.0), 1.0)

    def forward(r: Array, pair: tuple) -> tuple[Array, None]:
        s, y, rho, a = pair
        return r + s * (a - rho * (y @ r)), None

    return jax.lax.scan(forward, r, (s, y, rho, a))[0]
