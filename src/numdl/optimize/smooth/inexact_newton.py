"""Inexact Newton-CG method: how accurately must Newton's equations be solved, and by what they may be eased?

Each step solves ``H d = -g`` by preconditioned conjugate gradients up to a relative residual (the forcing term) that
follows how well the last linear model foretold the gradient, then goes along d by Armijo from the full step. The
forcing falls with the gradient, so the convergence is superlinear without solving early systems too well:

    eta = | |g| - |g_old + t H d_old| | / |g_old|,    at least  eta_old^1.618  while that exceeds 0.1.

With the gradient already at ``tol`` no product is spent.

Where conjugate gradients meet a direction n of negative curvature (``ExactHessian``), it is used: with the sign of
descent and the length of the step x found so far, d = x + n. The search along it doubles its length until the objective
rises again, by the strong Wolfe conditions, for the model gives no length.

Cost of a step: one linearisation, at most ``max_products`` products, one value and slope per trial.

Sources: Eisenstat and Walker, SIAM J. Sci. Comput. 17 (1996) 16-32, choice 1 with its safeguard; Gould, Lucidi, Roma,
Toint, Optim. Methods Softw. 14 (2000) 75-98 (linesearches with negative curvature).
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

from numdl.contracts import Iterate, PreconditionedProblem, Problem, PyTree, Status
from numdl.linalg import preconditioned_cg
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import arrive, gradient_status, gradient_target, line_and_start, linearized
from numdl.optimize.parts.line_search import armijo, strong_wolfe
from numdl.optimize.parts.steps import scalars_like

LARGEST = 0.5
"""Forcing term at most, and at the start."""


class Forecast(NamedTuple):
    """State of the method: last forcing term, norm of the last gradient, and the norm the linear model foretold."""

    eta: Float[Array, ""]
    before: Float[Array, ""]
    foretold: Float[Array, ""]


class InexactNewton(eqx.Module):
    """Newton-CG with Eisenstat and Walker's forcing, for problems with ``linearize(p, aux)``.

    Attributes:
        max_products: products with the curvature in one step.
        forcing: a fixed forcing term; None for Eisenstat and Walker's.
        tol: norm of the gradient, relative to max(1, |objective|), at which to stop.

    A ``PreconditionedProblem`` is preconditioned by its own approximate inverse.
    """

    max_products: int = eqx.field(static=True, default=200)
    forcing: float | None = eqx.field(static=True, default=None)
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        value, eta, unknown = scalars_like(p, np.inf, LARGEST, 0.0)
        return Iterate(p, aux, value, Forecast(eta, unknown, unknown), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left."""
        point = linearized(problem, iterate.p, iterate.aux)
        size = jnp.linalg.norm(point.g)
        target = gradient_target(point.lin.value, self.tol)
        eta = self._eta(size, target, iterate.state)
        done = size <= target
        inverse = None
        if isinstance(problem, PreconditionedProblem):
            solve = problem.preconditioner(iterate.p, iterate.aux)
            inverse = lambda r: ravel_pytree(solve(point.unravel(r)))[0]  # noqa: E731
        solved = preconditioned_cg(
            point.product,
            -point.g,
            inverse=inverse,
            forcing=jnp.where(done, jnp.inf, eta),
            max_products=self.max_products,
        )
        d = jnp.where(solved.products > 0, solved.x, -point.g)
        d = d + _as_long(solved.bent, d, point.g)
        line, start = line_and_start(problem, point, d)
        one = jnp.ones_like(size)
        found = jax.lax.cond(solved.definite, lambda: armijo(line, start, one), lambda: strong_wolfe(line, start, one))
        # g + t H d = (1 - t) g - t r with the residual r of H d = -g.
        foretold = jnp.linalg.norm((1 - found.t) * point.g - found.t * solved.residual)
        state = Forecast(eta, size, foretold)
        inner = solved.products * point.work.product
        return arrive(
            point, d, found, state, inner=inner, products=solved.products, forcing=eta, definite=solved.definite
        )

    def _eta(self, size: Array, target: Array, last: Forecast) -> Array:
        """Forcing term of this step."""
        if self.forcing is not None:
            return jnp.full_like(size, self.forcing)
        known = last.before > 0
        eta = jnp.abs(size - last.foretold) / jnp.where(known, last.before, 1.0)
        floor = last.eta**1.618
        eta = jnp.where(floor > 0.1, jnp.maximum(eta, floor), eta)
        # What lies below the target need not be solved for.
        eta = jnp.maximum(eta, 0.5 * target / jnp.maximum(size, jnp.finfo(size.dtype).tiny))
        return jnp.where(known, jnp.minimum(eta, LARGEST), LARGEST)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient, ``stalled`` when no step lowers the objective."""
        return gradient_status(history, self.tol)


def _as_long(bent: Float[Array, " p"], d: Float[Array, " p"], g: Float[Array, " p"]) -> Float[Array, " p"]:
    """A direction of negative curvature, turned downhill and as long as d; zero where there is none."""
    size = jnp.linalg.norm(bent)
    turned = jnp.where(bent @ g > 0, -bent, bent)
    return turned * jnp.where(size > 0, jnp.linalg.norm(d) / jnp.where(size > 0, size, 1.0), 0.0)
