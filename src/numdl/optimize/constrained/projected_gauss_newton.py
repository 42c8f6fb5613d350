"""Projected Gauss-Newton method: how do Gauss-Newton steps keep to bounds on the unknowns?

Two-metric projection: unknowns at a bound, or next to it, that the gradient pushes against it are held; conjugate
gradients solve ``H d = -g`` among the others, the held ones take a projected gradient step, and the search goes along
the path ``P(p + t d)``, which bends at the bounds. Near the answer the held ones are its active set, and the method is
Newton-CG on a face.

Cost of a step: one linearisation, up to ``max_products`` products, one value per trial.

Sources: Bertsekas, SIAM J. Control Optim. 20 (1982) 221-246 (two-metric projection, eq. 32 for the held ones); Haber,
Computational Methods in Geophysical Electromagnetics, SIAM 2014, sec. 6.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Problem, PyTree, Status
from numdl.linalg import preconditioned_cg
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import departure, gradient_status, linearized
from numdl.optimize.parts.line_search import rounding_of
from numdl.optimize.parts.steps import kept_if, scalars_like


class ProjectedGaussNewton(eqx.Module):
    """Projected Gauss-Newton-CG within ``lower <= p <= upper``, for problems with ``linearize(p, aux)``.

    Attributes:
        lower: structure of p, or one number for all unknowns; -inf for none.
        upper: likewise.
        forcing: relative residual of conjugate gradients at most; it falls with the gradient.
        max_products: products with the curvature in one step.
        max_trials: step lengths tried in one step.
        tol: norm of ``P(p - g) - p``, relative to max(1, |f|), at which to stop; it is zero where the conditions
            of Karush, Kuhn and Tucker hold.
    """

    lower: PyTree
    upper: PyTree
    forcing: float = eqx.field(static=True, default=0.1)
    max_products: int = eqx.field(static=True, default=50)
    max_trials: int = eqx.field(static=True, default=30)
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate, p moved into the bounds; nothing is evaluated.

        Raises:
            ValueError: a lower bound is above the upper one.
        """
        (value,) = scalars_like(p, np.inf)
        vector, unravel = ravel_pytree(p)
        low, high = (np.asarray(bound) for bound in self._bounds(p))
        if np.any(low > high):
            i = int(np.argmax(low > high))
            raise ValueError(
                f"ProjectedGaussNewton: unknown {i} has the bounds {low[i]:g} and {high[i]:g}, needs lower <= upper. "
                "Exchange them."
            )
        return Iterate(unravel(jnp.clip(vector, low, high)), aux, value, (), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left, ``gradient_norm`` is that of ``P(p - g) - p``."""
        point = linearized(problem, iterate.p, iterate.aux)
        low, high = self._bounds(iterate.p)
        reach = jnp.clip(point.p - point.g, low, high) - point.p
        norm = jnp.linalg.norm(reach)
        # Within this distance of a bound, a gradient that pushes against it holds the unknown: no zigzagging.
        near = jnp.minimum(1e-3, norm)
        held = ((point.p <= low + near) & (point.g > 0)) | ((point.p >= high - near) & (point.g < 0))
        free = jnp.where(held, 0.0, 1.0).astype(point.g.dtype)
        solved = preconditioned_cg(
            lambda v: free * point.product(free * v),
            -free * point.g,
            forcing=jnp.minimum(self.forcing, jnp.sqrt(norm)),
            max_products=self.max_products,
        )
        d = jnp.where(held, reach, solved.x)
        promise = -(point.g @ (free * d))
        value, rounding = point.lin.value, rounding_of(point.lin.value)

        def attempt(state: tuple) -> tuple:
            t, _, _, _, _, count = state
            t = jnp.where(count == 0, t, t / 2)
            trial = jnp.clip(point.p + t * d, low, high)
            new, aux = problem.value(point.unravel(trial), point.lin.aux)
            least = t * promise - point.g @ jnp.where(held, trial - point.p, 0.0)
            good = jnp.isfinite(new) & (new <= value - 1e-4 * least + rounding)
            return t, trial, new, aux, good, count + 1

        start = (jnp.ones_like(value), point.p, value, point.lin.aux, jnp.asarray(False), jnp.asarray(0))
        t, trial, new, aux, good, count = jax.lax.while_loop(lambda s: ~s[4] & (s[5] < self.max_trials), attempt, start)
        p, aux, new = kept_if(good, (trial, aux, new), (point.p, point.lin.aux, value))
        work = point.work.linearize + solved.products * point.work.product + count * point.work.value
        metrics = departure(
            point,
            work=work,
            accepted=good,
            trials=count,
            step_length=jnp.where(good, t, 0.0),
            products=solved.products,
            held=jnp.sum(held),
        )
        return Iterate(point.unravel(p), aux, new, (), {**metrics, "gradient_norm": norm})

    def _bounds(self, p: PyTree) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        """Both bounds in flat coordinates."""
        flat = ravel_pytree(p)[0]

        def like(bound: PyTree) -> Array:
            if jax.tree.structure(bound) == jax.tree.structure(0.0) and np.ndim(bound) == 0:
                return jnp.full_like(flat, bound)
            return jnp.asarray(ravel_pytree(bound)[0], flat.dtype)

        return like(self.lower), like(self.upper)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` where the projected gradient is small, ``stalled`` when no step lowers the objective."""
        return gradient_status(history, self.tol)
