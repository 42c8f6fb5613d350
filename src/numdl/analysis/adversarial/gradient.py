"""Adversarial examples by the gradient: how far along its steepest direction does a sample leave its class?

One slope at the sample gives the direction: the gradient of the margin for l2, its signs for linf; the first crossing
on that ray is found by bisection. Exact for two classes with linear scores; with more classes, or curved scores, an
upper bound of the smallest perturbation.

Source: Goodfellow, Shlens, Szegedy, Explaining and harnessing adversarial examples, ICLR 2015, sec. 4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from numdl.analysis.adversarial.common import crossing, steepest


@dataclasses.dataclass(frozen=True)
class GradientSearch:
    """Along the gradient of the margin (l2), or its signs (linf)."""

    def __call__(self, at: Callable[[Array], Array], x: Array, label: Array, norm: str, reach: Any) -> Array:
        """Perturbation of one sample, not finite where the ray does not leave the class; see ``Search``."""

        def margin(z: Array) -> Array:
            return jnp.min(at(z))

        direction = -steepest(jax.grad(margin)(x), norm)
        length = crossing(margin, x, direction, reach)
        return jnp.where(jnp.isfinite(length), length * direction, jnp.inf)
