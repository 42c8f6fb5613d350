"""One-shot optimisation: how is a control improved while state and adjoint are still on their way?

The steps are parted into blocks, which are marched at once from states U of their own. An iteration is one step of the
control, and one inexact sweep of state and adjoint: the end of each block becomes the start of the next, information
moves on by a block, and ``blocks`` sweeps at a control that rests make everything exact. The sequential depth of a
sweep is that of one block. The control lowers the doubly augmented Lagrangian

    E(theta, U, Lambda) + rho/2 e,    e = 1/n |missed states|^2 + n |missed adjoints|^2,

of which E is the Lagrangian of the shots, by one step of L-BFGS with the strong Wolfe conditions, U and Lambda held;
its Hessian is the preconditioner of the theory, and the pairs hold nothing but it. No step length is given.

The sweep may raise what the control has lowered. Then the control rests, until the sum is below that before its last
step or all is exact, and rho is set to 1.5 times what would have paid for the rise, ``2 dE / (-de)``; else it falls, by
3 %. With one block it is L-BFGS on the cost; with two the states fit after the first sweep, and the adjoint lags.

Cost of an iteration: four passes (state and adjoint, and the derivative of both) and as many for each trial; a value,
for the record.

Failure modes: the theory asks for a sweep that contracts, and blocks of an unstable or a residual flow do not; then the
control rests often, and the more the more blocks there are. All in all it costs several times the passes of L-BFGS on
the cost, and pays only where blocks are marched on devices of their own.

Sources: Griewank, Projected Hessians for preconditioning in one-step one-shot design optimization, 2006; Hamdi and
Griewank, Properties of an augmented Lagrangian for design optimization, Optim. Methods Softw. 25 (2010) 645-664;
Bosse, Gauger, Griewank, Guenther and Schulz, One-shot approaches to design optimization, 2014. The rule for rho is that
of E-MSA.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from numdl.contracts import Iterate, PyTree, ShotProblem, Status, require
from numdl.control.methods.full_space import cost_left, finite, states_from
from numdl.optimize.parts.checks import require_settings
from numdl.optimize.parts.descent import gradient_status
from numdl.optimize.parts.line_search import Found, Known, Trial, rounding_of, strong_wolfe
from numdl.optimize.parts.steps import kept_if, scalars_like, work_of
from numdl.optimize.smooth.lbfgs import two_loop


class Terms(NamedTuple):
    """E, e and the shots at one point; ``shot`` is None where only the numbers are kept."""

    E: Float[Array, ""]
    e: Float[Array, ""]
    shot: Any = None


class Sweeps(NamedTuple):
    """State of the method.

    Attributes:
        multipliers: Lambda, (blocks - 1, n, m).
        rho: weight of what is missed.
        s: steps of the control, newest last, (memory, p).
        y: changes of the gradient along them, (memory, p).
        before: E and e before the control's last step.
        after: E and e behind it, before the sweep.
        rests: for how many iterations the control has rested.
    """

    multipliers: Float[Array, "inner n m"]
    rho: Float[Array, ""]
    s: Float[Array, "memory p"]
    y: Float[Array, "memory p"]
    before: Terms
    after: Terms
    rests: Float[Array, ""]


class OneShot(eqx.Module):
    """One-shot optimisation by blocks, for problems with ``shots``, such as ``ControlProblem``.

    The companion ``aux`` are the states (nt + 1, n, m), of which those where blocks begin count; None starts with all
    at their beginning.

    Attributes:
        blocks: how many are marched at once, divides the number of steps.
        memory: pairs of L-BFGS.
        first_rho: rho at the start.
        tol: norm of gradient and of what is missed, relative to max(1, |E|), at which to stop.
    """

    blocks: int = eqx.field(static=True, default=2)
    memory: int = eqx.field(static=True, default=10)
    first_rho: float = eqx.field(static=True, default=0.1)
    tol: float = eqx.field(static=True, default=1e-8)

    __check_init__ = require_settings

    def init(self, problem: ShotProblem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated.

        Raises:
            TypeError: the problem cannot be taken apart so.
        """
        require(problem, ShotProblem, "OneShot", "use LBFGS, which marches all steps")
        value, rho, zero = scalars_like(p, np.inf, self.first_rho, 0.0)
        multipliers = np.zeros((self.blocks - 1, *problem.u0.shape), value.dtype)
        empty = jnp.asarray(np.zeros((self.memory, ravel_pytree(p)[0].size), value.dtype))
        # An infinite E: the first iterate counts as lower than what was before.
        none = Terms(value, zero)
        state = Sweeps(jnp.asarray(multipliers), rho, empty, empty, none, none, zero)
        return Iterate(p, states_from(problem, p, aux), value, state, {})

    def step(self, problem: ShotProblem, iterate: Iterate) -> Iterate:
        """A step of the control, unless it has to rest, and a sweep.

        Args:
            problem: has ``value`` and ``shots``.
            iterate: where the method stands.

        Returns:
            Next iterate; ``value`` is the cost of the control alone, the largest number where its march overflows.
            ``metrics`` belong to the point that was left, with the largest entry ``missed`` of the states.
        """
        state, rho = iterate.state, iterate.state.rho
        p, unravel = ravel_pytree(iterate.p)
        length = (iterate.aux.shape[0] - 1) // self.blocks
        U = iterate.aux[length::length][: self.blocks - 1]
        at = self._augmented(problem, unravel, U, state.multipliers, rho)
        (merit, terms), g = at(p)
        raised = merit > state.before.E + rho / 2 * state.before.e + rounding_of(merit)
        rests = raised & (state.rests < self.blocks)
        start = Trial(merit, jnp.zeros_like(merit), terms, Known(g, {}))
        stay = Found(jnp.zeros_like(merit), start, jnp.asarray(True), jnp.asarray(0))
        d = -two_loop(g, state.s, state.y)
        d = jnp.where(g @ d < 0, d, -g)
        found = jax.lax.cond(rests, lambda: stay, lambda: self._search(at, p, d, g, start, ~jnp.any(state.s)))

        new = _remembered(state, found, d, g)._replace(
            multipliers=state.multipliers + found.trial.aux.shot.missed_adjoint
        )
        paid = 3 * (terms.E - state.after.E) / jnp.maximum(state.after.e - terms.e, jnp.finfo(merit.dtype).tiny)
        paid = jnp.where((terms.e < 0.5 * state.after.e) & jnp.isfinite(paid), paid, rho)
        new = new._replace(
            rho=jnp.clip(jnp.where(raised, jnp.maximum(rho, paid), 0.97 * rho), 1e-8, 1e10),
            before=kept_if(rests, state.before, Terms(terms.E, terms.e)),
            after=kept_if(rests, state.after, Terms(found.trial.aux.E, found.trial.aux.e)),
            rests=jnp.where(rests, state.rests + 1, 0.0),
        )
        # Each block begins where the one before it has ended.
        control, states = unravel(p + found.t * d), found.trial.aux.shot.states
        slope = jnp.linalg.norm(ravel_pytree(terms.shot.gradient)[0])
        metrics = {
            "aux": iterate.aux,
            "objective": cost_left(problem, iterate),
            "gradient_norm": jnp.hypot(slope, jnp.sqrt(terms.e)),
            "missed": jnp.max(jnp.abs(terms.shot.missed), initial=0.0),
            "damping": rho,
            "rests": rests.astype(merit.dtype),
            "accepted": found.good.astype(merit.dtype),
            "trials": found.trials.astype(merit.dtype),
            "work": (work_of(problem, iterate.p).value * (4 * (found.trials + 1) + 1)).astype(merit.dtype),
        }
        return Iterate(control, states, finite(problem.value(control, None)[0]), new, metrics)

    def _augmented(self, problem: ShotProblem, unravel: Callable, U: Array, multipliers: Array, rho: Array) -> Callable:
        """Value, terms and gradient of the doubly augmented Lagrangian by the control."""

        def value(p: Array) -> tuple[Array, Terms]:
            shot = problem.shots(unravel(p), U, multipliers, self.blocks)
            n = problem.u0.shape[0]
            e = jnp.sum(shot.missed**2) / n + n * jnp.sum(shot.missed_adjoint**2)
            return shot.value + rho / 2 * e, Terms(shot.value, e, shot)

        return jax.value_and_grad(value, has_aux=True)

    def _search(self, at: Callable, p: Array, d: Array, g: Array, start: Trial, fresh: Bool[Array, ""]) -> Found:
        """A step along d that meets the strong Wolfe conditions."""

        def line(t: Array) -> Trial:
            (merit, terms), here = at(p + t * d)
            return Trial(merit, here @ d, terms, Known(here, {}))

        first = jnp.where(fresh, 1 / jnp.sqrt(jnp.maximum(g @ g, 1.0)), 1.0)
        return strong_wolfe(line, start._replace(slope=g @ d), first)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` where gradient and what is missed are small, ``stalled`` when no step of the control helps."""
        return gradient_status(history, self.tol)


def _remembered(state: Sweeps, found: Found, d: Float[Array, " p"], g: Float[Array, " p"]) -> Sweeps:
    """The pairs with that of this step, or none after a search that failed."""
    known = found.trial.known
    s, y = found.t * d, (g if known is None else known.g) - g
    valid = s @ y > jnp.finfo(g.dtype).eps * (y @ y)
    longer = (jnp.concatenate([rows[1:], new[None]]) for rows, new in ((state.s, s), (state.y, y)))
    steps, changes = kept_if(valid, tuple(longer), (state.s, state.y))
    return state._replace(s=jnp.where(found.good, steps, 0.0), y=jnp.where(found.good, changes, 0.0))
