"""Block coordinate descent: what is gained or lost by improving one block of the unknowns at a time?

Alternating minimisation: each step visits the blocks in turn; in a block, a Gauss-Newton step by conjugate gradients in
a ball whose radius is the block's own, accepted if it keeps its promise. With the blocks ``theta`` and ``W`` of a
``coupled`` problem it is the alternation that variable projection is compared with: it does not see how the optimal W
moves with theta.

Cost of a step, for each block: one linearisation, products, one value per trial.

Source: Nocedal and Wright, Numerical Optimization, sec. 9.3 (coordinate search); Ruhe and Wedin, SIAM Rev. 22 (1980)
318-337, algorithm 3 (alternation on separable problems converges linearly).
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
from numdl.linalg import steihaug
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import Point, departure, linearized
from numdl.optimize.parts.steps import judge, kept_if, scalars_like, trial_status


class BlockCoordinateDescent(eqx.Module):
    """Block coordinate descent by trust-region Gauss-Newton, for problems with ``linearize(p, aux)``.

    Attributes:
        blocks: groups of keys of a dictionary p, visited in this order, such as ``(("theta",), ("W",))``; None for each
            top-level part of p on its own, in JAX's order.
        first_radius: initial radius of each block relative to the norm of its start, no unit.
        max_products: products with the curvature in one block.
        max_trials: radii tried in one block.
        tol: relative decrease of the objective over five steps at which to stop.
    """

    blocks: tuple[tuple[str, ...], ...] | None = eqx.field(static=True, default=None)
    first_radius: float = eqx.field(static=True, default=1.0)
    max_products: int = eqx.field(static=True, default=40)
    max_trials: int = eqx.field(static=True, default=8)
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated."""
        vector = np.asarray(ravel_pytree(p)[0])
        sizes = [max(float(np.linalg.norm(vector[mask])), 1.0) for mask in self._masks(p)]
        value, *_ = scalars_like(p, np.inf)
        return Iterate(p, aux, value, jnp.asarray(np.asarray(sizes, vector.dtype) * self.first_radius), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One visit of every block; ``metrics`` belong to the point that was left."""
        masks = self._masks(iterate.p)
        p, aux, radii = iterate.p, iterate.aux, iterate.state
        first, value = None, iterate.value
        accepted, trials, work = jnp.asarray(False), 0, 0.0
        for i, mask in enumerate(masks):
            point = linearized(problem, p, aux)
            first = first or point
            p, aux, value, radius, good, count, spent = self._visit(problem, point, jnp.asarray(mask), radii[i])
            radii = radii.at[i].set(radius)
            accepted, trials, work = accepted | good, trials + count, work + spent
        assert first is not None  # _masks refuses a p without blocks
        return Iterate(p, aux, value, radii, departure(first, work=work, accepted=accepted, trials=trials))

    def _visit(self, problem: Problem, point: Point, mask: Array, radius: Float[Array, ""]) -> tuple:
        """A step of one block: unknowns, companion, value, radius, whether it was good, trials and passes."""
        g = jnp.where(mask, point.g, 0.0)
        value, size = point.lin.value, jnp.linalg.norm(g)

        def attempt(state: tuple) -> tuple:
            _, radius, p, aux, new, count, products = state
            sub = steihaug(
                lambda v: jnp.where(mask, point.product(v), 0.0),
                g,
                radius,
                scale=jnp.ones_like(g),
                forcing=jnp.minimum(0.5, jnp.sqrt(size)),
                max_products=self.max_products,
            )
            trial = point.p + sub.x
            found, new_aux = problem.value(point.unravel(trial), point.lin.aux)
            good, ratio = judge(value, found, sub.predicted)
            grown = jnp.where(sub.boundary & (ratio > 0.75), 2.0 * radius, radius)
            shrunk = 0.25 * jnp.fmin(jnp.linalg.norm(sub.x), radius)
            radius = jnp.where(good & (ratio > 0.25), grown, shrunk)
            p, aux, new = kept_if(good, (trial, new_aux, found), (p, aux, new))
            return good, radius, p, aux, new, count + 1, products + sub.products

        none = jnp.asarray(0)
        # A block whose gradient vanishes is where it should be: no trial.
        start = (size == 0, radius, point.p, point.lin.aux, value, none, none)
        good, shrunk, p, aux, new, count, products = jax.lax.while_loop(
            lambda s: ~s[0] & (s[5] < self.max_trials), attempt, start
        )
        # After a step without success the next one starts from a moderate radius: the other blocks have moved.
        radius = jnp.where(good, jnp.maximum(shrunk, jnp.finfo(value.dtype).eps), radius)
        spent = point.work.linearize + products * point.work.product + count * point.work.value
        return point.unravel(p), aux, new, radius, good & (count > 0), count, spent

    def _masks(self, p: PyTree) -> list[np.ndarray]:
        """For each block, which entries of the flat unknowns belong to it."""
        leaves = jax.tree.leaves_with_path(p)
        names = [jax.tree_util.keystr(path[:1], simple=True) for path, _ in leaves]
        blocks = self.blocks or tuple((name,) for name in dict.fromkeys(names))
        listed = [name for block in blocks for name in block]
        if sorted(listed) != sorted(set(names)):
            raise ValueError(
                f"BlockCoordinateDescent(blocks={self.blocks}): p has the parts {', '.join(dict.fromkeys(names))}, "
                "needs each of them in one block. Name each part once."
            )
        return [
            np.concatenate(
                [np.full(np.size(leaf), name in block) for name, (_, leaf) in zip(names, leaves, strict=True)]
            )
            for block in blocks
        ]

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``stalled`` when no block can be improved, ``converged`` on a plateau of the objective."""
        return trial_status(history, self.tol, "block")
