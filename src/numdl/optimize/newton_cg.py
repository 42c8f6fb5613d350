"""How far to trust a Gauss-Newton model that is known only by its products?

Trust-region Gauss-Newton: each step minimises the model in a ball by Steihaug's conjugate gradients. The radius follows
the ratio of actual to predicted decrease. A step that does not decrease the objective, or is not finite, is never
accepted.

Cost of a step: one linearisation, up to ``max_products`` products (a pass forward and one backward each), one value per
trial.

Sources: Steihaug (1983); Nocedal and Wright, Numerical Optimization, alg. 4.1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Iterate, PyTree, Status
from numdl.linalg import steihaug
from numdl.optimize.compiled import scalars_like
from numdl.optimize.status import plateau
from numdl.optimize.work import work_of


class Trust(NamedTuple):
    """State of the method: radius of the ball, in units of the weights."""

    radius: Float[Array, ""]


class NewtonCG(eqx.Module):
    """Trust-region Gauss-Newton with conjugate gradients, for problems with ``linearize(p, aux)``.

    Attributes:
        diagnose: ``diagnose(problem, p, linearization) -> dict`` of extra metrics; None for none.
        first_radius: initial radius relative to the norm of the start, no unit.
        max_products: products with the curvature in one step.
        max_trials: radii tried in one step.
        tol: relative decrease of the objective over five steps at which to stop.
    """

    diagnose: Callable[[Any, PyTree, Any], dict[str, Array]] | None = eqx.field(static=True, default=None)
    first_radius: float = eqx.field(static=True, default=1.0)
    max_products: int = eqx.field(static=True, default=40)
    max_trials: int = eqx.field(static=True, default=8)
    tol: float = eqx.field(static=True, default=1e-8)

    def init(self, problem: Any, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        size = sum(float(np.sum(np.square(leaf))) for leaf in jax.tree.leaves(p)) ** 0.5
        value, radius = scalars_like(p, np.inf, self.first_radius * max(size, 1.0))
        return Iterate(p, aux, value, Trust(radius), {})

    def step(self, problem: Any, iterate: Iterate) -> Iterate:
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
        forcing = jnp.minimum(0.5, jnp.sqrt(size))

        def product(v: Array) -> Array:
            return ravel_pytree(lin.curvature(unravel(v)))[0]

        def attempt(carry: tuple) -> tuple:
            _, radius, p, aux, value, trials, products = carry
            sub = steihaug(product, g, radius, scale=jnp.ones_like(g), forcing=forcing, max_products=self.max_products)
            trial = unravel(vector + sub.x)
            new, new_aux = problem.value(trial, iterate.aux)
            ratio = (lin.value - new) / sub.predicted
            good = jnp.isfinite(new) & (new <= lin.value) & (ratio > 1e-4)
            length = jnp.linalg.norm(sub.x)
            grown = jnp.where(sub.boundary & (ratio > 0.75), 2.0 * radius, radius)
            radius = jnp.where(good & (ratio > 0.25), grown, 0.25 * jnp.minimum(length, radius))
            kept = jax.tree.map(functools.partial(jnp.where, good), (trial, new_aux, new), (p, aux, value))
            return (good, radius, *kept, trials + 1, products + sub.products)

        none = jnp.asarray(0)
        start = (jnp.asarray(False), iterate.state.radius, iterate.p, lin.aux, lin.value, none, none)
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

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``stalled`` when no radius helps, ``converged`` on a plateau of the objective."""
        accepted = history["accepted"]
        if len(accepted) >= 3 and not any(accepted[-3:]):
            return Status("stalled", "No trust region lowers the objective any more: it is minimal to rounding.")
        return plateau(history["objective"], self.tol)
