"""Adversarial examples by linearisation (DeepFool).

Which perturbation is the smallest of all that reach another class: Newton's method on the boundary?

For each other class j the problem ``min ||delta|| s.t. m_j(x + delta) = 0`` with ``m_j = s_y - s_j`` is solved by
linearising the constraint only: the smallest perturbation that makes the linear model vanish is explicit,

    delta_new = -(m_j - g' delta) z / ||g||_*,      z = g / ||g||_2 (l2) or sign(g) (linf),     g = grad m_j(x + delta),

measured from the sample, not from the last point, so that its limit is a stationary point of the distance; the sum of
steps that each are minimal is not. Steps are shortened until the merit ``||delta|| + 2 |m_j| / ||g||_*`` falls. The
nearest class wins, shortened on its ray. Exact after one step for linear scores and any number of classes.

Sources: Rackwitz and Fiessler, Computers & Structures 9 (1978) 489-494 (the iteration, for reliability); Zhang and Der
Kiureghian (1995) (the merit); Moosavi-Dezfooli, Fawzi, Frossard, DeepFool, CVPR 2016 (classifiers).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from numdl import checks
from numdl.analysis.adversarial.common import crossing, dual_size, size, steepest

SHORTER = 5  # step lengths 1, 1/2, ..., 1/16


@dataclasses.dataclass(frozen=True)
class LinearisedSearch:
    """Minimal-norm steps towards every other class.

    Attributes:
        steps: linearisations for each class.
    """

    steps: int = 20

    def __post_init__(self) -> None:
        """Refuse no step.

        Raises:
            ValueError: fewer than 1.
        """
        checks.whole("LinearisedSearch", "steps", self.steps, least=1, hint="Use 20.")

    def __call__(self, at: Callable[[Array], Array], x: Array, label: Array, norm: str, reach: Any) -> Array:
        """Perturbation of one sample, not finite where no class was reached; see ``Search``."""

        def towards(j: Array) -> Array:
            """Perturbation towards class j."""

            def constraint(delta: Array) -> Array:
                return at(x + delta)[j]

            def step(_: Any, delta: Array) -> Array:
                m, g = jax.value_and_grad(constraint)(delta)
                slope = dual_size(g, norm)
                safe = jnp.where(slope > 0, slope, 1.0)
                full = -(m - g @ delta) / safe * steepest(g, norm)
                length = size(full, norm)
                full = full * jnp.minimum(1.0, reach / jnp.where(length > 0, length, 1.0))
                trials = delta + 0.5 ** jnp.arange(SHORTER, dtype=x.dtype)[:, None] * (full - delta)
                merit = jax.vmap(lambda d: size(d, norm) + 2 * jnp.abs(constraint(d)) / safe)(trials)
                best = trials[jnp.nanargmin(merit)]
                return jnp.where((slope > 0) & jnp.all(jnp.isfinite(best)), best, delta)

            delta = jax.lax.fori_loop(0, self.steps, step, jnp.zeros_like(x))
            length = size(delta, norm)
            direction = delta / jnp.where(length > 0, length, 1.0)
            reached = crossing(lambda z: jnp.min(at(z)), x, direction, reach)
            return jnp.where(jnp.isfinite(reached), reached * direction, jnp.inf)

        classes = jnp.arange(jax.eval_shape(at, x).shape[0])
        found = jax.lax.map(towards, classes)
        lengths = jnp.where(classes == label, jnp.inf, jax.vmap(lambda d: size(d, norm))(found))
        return found[jnp.argmin(jnp.where(jnp.isfinite(lengths), lengths, jnp.inf))]
