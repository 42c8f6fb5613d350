"""Adversarial examples by projected gradients (PGD).

How small may a ball around a sample be so that projected gradients still find another class in it?

In a ball of radius r the margin is lowered by steps of length ``2.5 r / steps`` along its steepest direction, each
followed by the projection onto the ball. The radius is bisected, from what the plain gradient reached, or the reach.
The perturbation that is found is then shortened on its ray.

Source: Madry, Makelov, Schmidt, Tsipras, Vladu, ICLR 2018, sec. 2.1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from numdl import checks
from numdl.analysis.adversarial.common import crossing, size, steepest
from numdl.analysis.adversarial.gradient import GradientSearch


@dataclasses.dataclass(frozen=True)
class ProjectedSearch:
    """Projected gradients in balls whose radius is bisected; never farther than ``GradientSearch``.

    Attributes:
        steps: gradients for each radius; at least 3.
        radii: bisections of the radius.
    """

    steps: int = 20
    radii: int = 16

    def __post_init__(self) -> None:
        """Refuse steps that do not reach the sphere.

        Raises:
            ValueError: fewer than 3.
        """
        checks.whole("ProjectedSearch", "steps", self.steps, least=3, hint="Use 20.")
        checks.whole("ProjectedSearch", "radii", self.radii, least=0, hint="Use 16.")

    def __call__(self, at: Callable[[Array], Array], x: Array, label: Array, norm: str, reach: Any) -> Array:
        """Perturbation of one sample, not finite where no ball held another class; see ``Search``."""

        def margin(z: Array) -> Array:
            return jnp.min(at(z))

        def search(radius: Array) -> tuple[Array, Array]:
            """Lowest margin in the ball and where it is."""

            def step(_: Any, carry: tuple) -> tuple:
                delta, best, lowest = carry
                delta = delta - 2.5 * radius / self.steps * steepest(jax.grad(margin)(x + delta), norm)
                length = size(delta, norm)
                shrunk = delta * jnp.minimum(1.0, radius / jnp.where(length > 0, length, 1.0))
                delta = shrunk if norm == "l2" else jnp.clip(delta, -radius, radius)
                found = margin(x + delta)
                better = found < lowest
                return delta, jnp.where(better, delta, best), jnp.where(better, found, lowest)

            start = (jnp.zeros_like(x), jnp.zeros_like(x), margin(x))
            _, best, lowest = jax.lax.fori_loop(0, self.steps, step, start)
            return best, lowest

        straight = GradientSearch()(at, x, label, norm, reach)
        reached = jnp.all(jnp.isfinite(straight))
        farthest, lowest = search(jnp.asarray(reach, x.dtype))
        first = jnp.where(reached, straight, jnp.where(lowest < 0, farthest, jnp.inf))

        def halve(_: Any, carry: tuple) -> tuple:
            low, high, best = carry
            middle = (low + high) / 2
            delta, lowest = search(middle)
            hit = lowest < 0
            return jnp.where(hit, low, middle), jnp.where(hit, middle, high), jnp.where(hit, delta, best)

        top = jnp.where(jnp.all(jnp.isfinite(first)), size(first, norm), reach)
        *_, best = jax.lax.fori_loop(0, self.radii, halve, (jnp.zeros_like(top), top, first))
        direction = best / size(best, norm)
        length = crossing(margin, x, direction, reach)
        return jnp.where(jnp.isfinite(length), length * direction, best)
