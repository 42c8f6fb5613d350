"""Newton's method: what does the whole Hessian buy: the number of correct digits doubles with each step?

``(H + shift I) d = -g`` by Cholesky, then Armijo from the full step. H is ``problem.hessian(p, aux)`` where the problem
has one, else the curvature column by column. The shift is ten roundings of the mean diagonal, and a hundred times more
until the factor exists: singular models (a softmax whose intercepts may shift together) get a step too.

Cost of a step: one linearisation, p products or the problem's own way to H, ``p^3 / 3`` flops, one value and slope per
trial.

Source: Nocedal and Wright, Numerical Optimization, sec. 3.3, alg. 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from numdl.contracts import HessianProblem, Iterate, Problem, PyTree, Status
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import arrive, gradient_status, line_and_start, linearized
from numdl.optimize.parts.line_search import armijo
from numdl.optimize.parts.steps import scalars_like


class Newton(eqx.Module):
    """Newton's method with a dense matrix.

    Attributes:
        tol: norm of the gradient, relative to max(1, |objective|), at which to stop.
    """

    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        (value,) = scalars_like(p, np.inf)
        return Iterate(p, aux, value, (), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left."""
        point = linearized(problem, iterate.p, iterate.aux)
        if isinstance(problem, HessianProblem):
            matrix, inner = problem.hessian(iterate.p, iterate.aux), point.work.matrix or 0.0
        else:
            matrix = jax.lax.map(point.product, jnp.eye(point.p.size, dtype=point.p.dtype))
            inner = point.p.size * point.work.product
        d = -cho_solve((shifted_cholesky(matrix), True), point.g)
        line, start = line_and_start(problem, point, d)
        return arrive(point, d, armijo(line, start, jnp.ones_like(point.lin.value)), (), inner=inner)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient, ``stalled`` when no step lowers the objective."""
        return gradient_status(history, self.tol)


def shifted_cholesky(matrix: Float[Array, "p p"]) -> Float[Array, "p p"]:
    """Lower factor of a semidefinite matrix plus the smallest shift of 10, 1e3, 1e5, ... roundings that it exists for.

    Args:
        matrix: symmetric, (p, p).

    Returns:
        The factor, (p, p).
    """
    unit = jnp.finfo(matrix.dtype).eps * jnp.maximum(jnp.trace(matrix) / matrix.shape[0], jnp.finfo(matrix.dtype).tiny)
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)

    def factor(shift: Array) -> Array:
        return jnp.linalg.cholesky(matrix + shift * identity)

    def grow(state: tuple[Array, Array]) -> tuple[Array, Array]:
        shift = 100 * state[0]
        return shift, factor(shift)

    broken = lambda state: ~jnp.all(jnp.isfinite(state[1])) & (state[0] < 1e12 * unit)  # noqa: E731
    return jax.lax.while_loop(broken, grow, (10 * unit, factor(10 * unit)))[1]
