"""Levenberg-Marquardt method by QR (curve fitting): how to fit few parameters to all digits, whatever their scales?

Each step solves the damped linear least-squares problem

    min_d ||J d + r||^2 + mu ||D d||^2,      D_j = max(norm of column j of J, half of the last D_j),

from a QR factorisation of ``J D^-1`` and the singular values of its triangle: ``J'J`` is never formed, so the condition
is not squared, and every further damping costs only ``P^2``. D makes the method blind to the units of the parameters
(Moré). Unlike Moré's, it forgets: a parameter that once was tiny had a huge column, and would else stay pinned for
good. With ``acceleration`` a trial moves along ``d + a/2``, where a solves the same problem with the second
derivative ``r''(d, d)`` on the right-hand side; a trial whose a is large compared with d is refused, because the curve
bends away from the model (Transtrum and Sethna).

Near a minimum the decrease of the objective drowns in its rounding long before the parameters stop to improve. There, a
step is accepted if it keeps the objective to rounding, and its value is booked one unit in the last place below the
value it came from: the later point has the better parameters, and the loop returns the point of least value. The
iteration ends when the model sees nothing to remove, or less than rounding the parameters changes the residual. Where J
loses its rank the model always sees something; there, it ends when level steps no longer lessen it.

Cost of a step: a Jacobian (P passes forward), ``2 N P^2`` flops for QR, one pass per trial, two more with acceleration.

Sources: Moré, The Levenberg-Marquardt algorithm, Lect. Notes Math. 630 (1978); Nielsen, IMM-REP-1999-05; Transtrum and
Sethna, arXiv:1201.5885 (2012); Bates and Watts, Technometrics 23 (1981), relative offset.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Iterate, PyTree, ResidualProblem, Status, require
from numdl.linalg.triangular import triangle_svd
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.steps import RUNNING, scalars_like

PATIENCE = 10  # steps that neither lower the objective nor lessen what the model sees


class ScaledDamping(NamedTuple):
    """State: damping mu (no unit), the factor of its next increase, and D (P,) in units of r over those of p."""

    mu: Float[Array, ""]
    growth: Float[Array, ""]
    scale: Float[Array, " P"]


class LevenbergMarquardtQR(eqx.Module):
    """Levenberg-Marquardt without normal equations, for problems with a method ``residual(p)``.

    Half the square norm of the residual is the objective (``NonlinearLeastSquares``, ``VarPro``).

    Attributes:
        acceleration: whether trials follow the curvature of the model (geodesic acceleration). On NIST's problems it
            halves the steps and finds the way from the two starts where the method without it goes astray.
        first_damping: initial mu, no unit.
        max_trials: damping values tried in one step.
        bend: with acceleration, the largest ``2 ||D a|| / ||D d||`` of a trial that is not refused.
        tol: see ``status``.
    """

    acceleration: bool = eqx.field(static=True, default=True)
    first_damping: float = eqx.field(static=True, default=1e-3)
    max_trials: int = eqx.field(static=True, default=20)
    bend: float = eqx.field(static=True, default=0.75)
    tol: float = eqx.field(static=True, default=1e-10)

    __check_init__ = require_settings

    def init(self, problem: ResidualProblem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated.

        Raises:
            TypeError: the problem has no residual.
        """
        require(problem, ResidualProblem, "LevenbergMarquardtQR", "use TrustRegion, which needs products only")
        value, mu, growth = scalars_like(p, np.inf, self.first_damping, 2.0)
        return Iterate(p, aux, value, ScaledDamping(mu, growth, jnp.zeros_like(ravel_pytree(p)[0])), {})

    def step(self, problem: ResidualProblem, iterate: Iterate) -> Iterate:
        """One accepted step, or none if ``max_trials`` damping values did not help.

        Args:
            problem: as given to ``init``.
            iterate: where the method stands.

        Returns:
            Next iterate. ``metrics`` belong to the point that was left: ``offset`` is the share of the residual's norm
            that the linear model can remove, ``blur`` the share that rounding the parameters changes.
        """
        vector, unravel = ravel_pytree(iterate.p)
        eps = jnp.finfo(vector.dtype).eps

        def residual(q: Array) -> Array:
            return problem.residual(unravel(q))

        r, j = residual(vector), jax.jacfwd(residual)(vector)
        j = jnp.where(jnp.isfinite(j), j, 0.0)
        value = 0.5 * r @ r
        scale = jnp.maximum(0.5 * iterate.state.scale, jnp.linalg.norm(j, axis=0))
        unit = jnp.where(scale > 0, scale, 1.0)
        solve, seen = _damped_solver(j / unit, eps)
        offset = jnp.linalg.norm(seen(r))
        # Rounding p alone changes r by eps ||J diag(p)||: a decrease below this cannot be seen in the objective.
        blur = eps * (jnp.linalg.norm(r) + jnp.linalg.norm(j * vector))
        rounding = 10 * jnp.linalg.norm(r) * blur

        def attempt(carry: tuple) -> tuple:
            _, damping, p, new_value, count = carry
            d = -solve(r, damping.mu)
            move, straight = d / unit, jnp.asarray(True)
            if self.acceleration:
                second = jax.jvp(lambda q: jax.jvp(residual, (q,), (move,))[1], (vector,), (move,))[1]
                a = -solve(second, damping.mu)
                straight = 2 * jnp.linalg.norm(a) <= self.bend * jnp.linalg.norm(d)
                move = move + jnp.where(straight, 0.5 * a / unit, 0.0)
            trial = vector + move
            s = residual(trial)
            new = 0.5 * s @ s
            image = j @ (d / unit)
            predicted = 0.5 * image @ image + damping.mu * (d @ d)
            ratio = 0.5 * (r - s) @ (r + s) / predicted
            lower = straight & (new <= value) & (ratio > 1e-4)
            level = straight & (predicted <= rounding) & (new <= value + 10 * rounding)
            good = jnp.isfinite(new) & jnp.all(jnp.isfinite(trial)) & (lower | level)
            shrink = jnp.where(level, 0.1, jnp.maximum(1 / 3, 1 - (2 * jnp.minimum(ratio, 2.0) - 1) ** 3))
            mu = jnp.where(good, damping.mu * shrink, damping.mu * damping.growth)
            mu = jnp.clip(mu, eps**2, 1e15)
            damping = ScaledDamping(mu, jnp.where(good, 2.0, 2 * damping.growth), damping.scale)
            new = jnp.where(level, jnp.minimum(new, jnp.nextafter(new_value, -jnp.inf)), new)
            p, new_value = jax.tree.map(functools.partial(jnp.where, good), (trial, new), (p, new_value))
            return good, damping, p, new_value, count + 1

        booked = iterate.value < value  # by a level step; the problem may have changed since then
        lowest = jnp.where(booked & (value - iterate.value <= 100 * rounding), iterate.value, value)
        start = (jnp.asarray(False), iterate.state._replace(scale=scale), vector, lowest, jnp.asarray(0))
        good, damping, p, new, count = jax.lax.while_loop(lambda s: ~s[0] & (s[-1] < self.max_trials), attempt, start)
        metrics = {
            "aux": iterate.aux,
            "objective": value,
            "offset": offset / jnp.maximum(jnp.linalg.norm(r), jnp.finfo(r.dtype).tiny),
            "blur": blur / jnp.maximum(jnp.linalg.norm(r), jnp.finfo(r.dtype).tiny),
            "gradient_norm": jnp.linalg.norm(r @ j),
            "damping": iterate.state.mu,
            "accepted": good.astype(value.dtype),
            "trials": count.astype(value.dtype),
            # Forward passes: residual and Jacobian, trials (with their second derivatives), and the companion.
            "work": (2 + vector.size + count * (3 if self.acceleration else 1)).astype(value.dtype),
        }
        damping = damping._replace(growth=jnp.where(good, damping.growth, 2.0))
        return Iterate(unravel(p), problem.value(unravel(p), iterate.aux)[1], new, damping, metrics)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` by the relative offset, ``stalled`` when no damping helps or no step does.

        Args:
            history: columns ``objective``, ``offset``, ``blur`` and ``accepted``.

        Returns:
            ``running``, or why to stop. The offset does not change with the units of parameters or data.
        """
        if history["offset"][-1] <= self.tol:
            return Status("converged", f"The linear model can remove less than {self.tol:g} of the residual.")
        if history["offset"][-1] <= 2 * history["blur"][-1]:
            return Status("converged", "What the linear model can remove is less than the rounding of the parameters.")
        accepted = history["accepted"]
        if len(accepted) >= 3 and not any(accepted[-3:]):
            return Status("stalled", "No damping lowers the objective any more: it is minimal to rounding.")
        offset, last = history["offset"], history["objective"][-PATIENCE:]
        level = max(last) - min(last) <= 20 * history["blur"][-1] * min(last)
        if level and len(offset) > PATIENCE and min(offset[-PATIENCE:]) > 0.5 * min(offset[:-PATIENCE]):
            return Status("stalled", "Steps neither lower the objective nor lessen what the linear model can remove.")
        return RUNNING


def _damped_solver(j: Float[Array, "N P"], eps: Any) -> tuple[Any, Any]:
    """``solve(r, mu) = argmin ||J z - r||^2 + mu ||z||^2`` and ``seen(r)``, coordinates of r in the range of J."""
    n, p = j.shape
    q, triangle = jnp.linalg.qr(jnp.pad(j, ((0, max(p - n, 0)), (0, 0))))
    left, sigma, right = triangle_svd(triangle)
    keep = sigma > max(n, p) * eps * sigma[:1]

    def seen(r: Array) -> Array:
        return jnp.where(keep, left.T @ (q[:n].T @ r), 0.0)

    def solve(r: Array, mu: Array) -> Array:
        return right.T @ (jnp.where(keep, sigma / jnp.where(keep, sigma**2 + mu, 1.0), 0.0) * seen(r))

    return solve, seen
