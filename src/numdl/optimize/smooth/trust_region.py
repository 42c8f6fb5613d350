"""Trust-region Newton-CG: how far to trust a quadratic model that is known only by its products?

Each step minimises the model in a ball and the radius follows the ratio of actual to predicted decrease. A step that
does not decrease the objective, or is not finite, is never accepted. Where the model is lowest in the ball is sought

* by Steihaug's conjugate gradients (``"cg"``): cheapest, they end at the boundary or at the first negative curvature;
* exactly in the Krylov space of Lanczos (``"lanczos"``): beyond the boundary too, and a smaller radius after a rejected
  step costs no product;
* exactly in that of Arnoldi (``"arnoldi"``, the space of GMRES): for curvature operators that need not be symmetric.

With the Gauss-Newton matrix as curvature this is trust-region Gauss-Newton; with ``ExactHessian`` negative curvature is
used.

Cost of a step: one linearisation, up to ``max_products`` products (per trial for ``"cg"``), one value per trial; the
Krylov spaces keep ``max_products`` vectors.

Sources: Steihaug, SIAM J. Numer. Anal. 20 (1983) 626-637; Gould, Lucidi, Roma, Toint, SIAM J. Optim. 9 (1999) 504-525;
Nocedal and Wright, Numerical Optimization, alg. 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Problem, PyTree, Status
from numdl.linalg import Subproblem, krylov_model, lowest_in_ball, steihaug
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.steps import judge, kept_if, scalars_like, trial_status, work_of


class Trust(NamedTuple):
    """State of the method: radius of the ball, in units of the weights."""

    radius: Float[Array, ""]


class TrustRegion(eqx.Module):
    """Trust-region method for problems with ``linearize(p, aux)``.

    Attributes:
        diagnose: ``diagnose(problem, p, linearization) -> dict`` of extra metrics; None for none.
        first_radius: initial radius relative to the norm of the start, no unit.
        max_products: products with the curvature in one step.
        max_trials: radii tried in one step.
        tol: relative decrease of the objective over five steps at which to stop.
        subspace: where the model is minimised, see above.
    """

    diagnose: Callable[[Any, PyTree, Any], dict[str, Array]] | None = eqx.field(static=True, default=None)
    first_radius: float = eqx.field(static=True, default=1.0)
    max_products: int = eqx.field(static=True, default=40)
    max_trials: int = eqx.field(static=True, default=8)
    tol: float = eqx.field(static=True, default=1e-8)
    subspace: Literal["cg", "lanczos", "arnoldi"] = eqx.field(static=True, default="cg")

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        size = sum(float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(p)) ** 0.5
        value, radius = scalars_like(p, np.inf, self.first_radius * max(size, 1.0))
        return Iterate(p, aux, value, Trust(radius), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One accepted step, or none if ``max_trials`` radii did not help.

        Args:
            problem: has ``value`` and ``linearize``.
            iterate: where the method stands.

        Returns:
            Next iterate; ``metrics`` belong to the point that was left.
        """
        vector, unravel = ravel_pytree(iterate.p)
        lin = problem.linearize(iterate.p, iterate.aux)
        g = ravel_pytree(lin.gradient)[0]
        size = jnp.linalg.norm(g)

        def product(v: Array) -> Array:
            return ravel_pytree(lin.curvature(unravel(v)))[0]

        inside, spent = self._subproblem(product, g, iterate.state.radius, jnp.minimum(0.5, jnp.sqrt(size)))

        def attempt(carry: tuple) -> tuple:
            _, radius, p, aux, value, trials, products = carry
            sub, more = inside(radius)
            trial = unravel(vector + sub.x)
            new, new_aux = problem.value(trial, lin.aux)
            good, ratio = judge(lin.value, new, sub.predicted)
            length = jnp.linalg.norm(sub.x)
            grown = jnp.where(sub.boundary & (ratio > 0.75), 2.0 * radius, radius)
            radius = jnp.where(good & (ratio > 0.25), grown, 0.25 * jnp.fmin(length, radius))
            kept = kept_if(good, (trial, new_aux, new), (p, aux, value))
            return (good, radius, *kept, trials + 1, products + more)

        none = jnp.asarray(0)
        start = (jnp.asarray(False), iterate.state.radius, iterate.p, lin.aux, lin.value, none, spent)
        good, radius, p, aux, value, trials, products = jax.lax.while_loop(
            lambda s: ~s[0] & (s[5] < self.max_trials), attempt, start
        )
        radius = jnp.maximum(radius, jnp.finfo(value.dtype).eps)
        cost = work_of(problem, iterate.p)
        metrics = {
            **lin.metrics,
            "aux": lin.aux,
            "objective": lin.value,
            "gradient_norm": size,
            "damping": 1 / iterate.state.radius,
            "accepted": good.astype(value.dtype),
            "trials": trials.astype(value.dtype),
            "products": products.astype(value.dtype),
            "work": (cost.linearize + products * cost.product + trials * cost.value).astype(value.dtype),
        }
        if self.diagnose is not None:
            metrics |= self.diagnose(problem, iterate.p, lin)
        return Iterate(p, aux, value, Trust(radius), metrics)

    def _subproblem(self, product: Callable, g: Array, radius: Array, forcing: Array) -> tuple[Callable, Array]:
        """``radius -> (Subproblem, further products)`` for radii up to this one, and the products spent beforehand."""
        if self.subspace == "cg":
            ones, most = jnp.ones_like(g), self.max_products

            def inside(radius: Array) -> tuple[Subproblem, Array]:
                sub = steihaug(product, g, radius, scale=ones, forcing=forcing, max_products=most)
                return sub, sub.products

            return inside, jnp.asarray(0)
        symmetric = self.subspace == "lanczos"
        model = krylov_model(product, g, radius, symmetric=symmetric, forcing=forcing, max_products=self.max_products)
        return lambda radius: (lowest_in_ball(model, radius), jnp.zeros_like(model.products)), model.products

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``stalled`` when no radius helps, ``converged`` on a plateau of the objective."""
        return trial_status(history, self.tol, "trust region")


NewtonCG = TrustRegion
"""The name by which the method with its default subspace is known."""
