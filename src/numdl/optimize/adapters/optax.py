"""Adapter for optax.

How does a gradient transformation of optax lower a problem, in the same loop as every other method?

    u, s_new = transformation.update(grad f(p), s, p),    p_new = p + t u

t is 1 while the objective stays finite. A step to where it does not is refused: p and s stay, and t is halved; after
each step that is taken it doubles, up to 1 again. All samples are used; nothing makes the objective fall in each step.

Cost of a step: one linearisation, and one value that tells whether the step may be taken.

Source: DeepMind, optax documentation of ``GradientTransformation`` (init and update).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Problem, PyTree, Status
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import departure, linearized
from numdl.optimize.parts.steps import RUNNING, kept_if, scalars_like

REFUSALS = 30
"""Steps refused in a row after which the method has stalled."""


class Transformed(NamedTuple):
    """State of the method: the transformation's own, and the factor t of its steps, no unit."""

    inner: PyTree
    t: Float[Array, ""]


class Optax(eqx.Module):
    """A gradient transformation for problems with ``linearize(p, aux)``: ``Optax(optax.adam(1e-3))``.

    Attributes:
        transformation: has ``init(p)`` and ``update(gradient, state, p)``. Make it once: a new one is compiled anew.
        tol: norm of the gradient, relative to max(1, |objective|), at which to stop.
    """

    transformation: Any = eqx.field(static=True)
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; the objective is not evaluated."""
        value, t = scalars_like(p, np.inf, 1.0)
        # Numbers that JAX types weakly would be typed otherwise after the first step.
        inner = jax.tree.map(lambda a: jnp.asarray(a, jnp.result_type(a)), self.transformation.init(p))
        return Iterate(p, aux, value, Transformed(inner, t), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step; ``metrics`` belong to the point that was left."""
        point = linearized(problem, iterate.p, iterate.aux)
        inner, t = iterate.state
        updates, following = self.transformation.update(point.lin.gradient, inner, iterate.p)
        trial = jax.tree.map(lambda a, u: (a + t * u).astype(a.dtype), iterate.p, updates)
        following = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), following, inner)
        new, aux = problem.value(trial, point.lin.aux)
        good = jnp.isfinite(new)
        p, aux, new, inner = kept_if(
            good, (trial, aux, new, following), (iterate.p, point.lin.aux, point.lin.value, inner)
        )
        metrics = departure(
            point,
            work=point.work.linearize + point.work.value,
            accepted=good,
            trials=jnp.ones_like(new),
            step_length=jnp.where(good, t, 0.0),
        )
        return Iterate(p, aux, new, Transformed(inner, jnp.where(good, jnp.minimum(1.0, 2 * t), t / 2)), metrics)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient, ``stalled`` when many steps in a row left the domain.

        Args:
            history: columns ``objective``, ``gradient_norm`` and ``accepted``.

        Returns:
            ``running``, or why to stop.
        """
        norm, value = history["gradient_norm"][-1], history["objective"][-1]
        if norm <= self.tol * max(1.0, abs(value)):
            return Status("converged", f"The gradient has a norm of {norm:.1e}; {self.tol:g} was asked for.")
        accepted = history["accepted"]
        if len(accepted) >= REFUSALS and not any(accepted[-REFUSALS:]):
            return Status("stalled", "No step leads to a finite objective. Lower the learning rate.")
        return RUNNING
