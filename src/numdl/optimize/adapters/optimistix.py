"""Adapter for optimistix: how does a solver of optimistix lower a problem, in the same loop as every other method?

The solver's own ``init``, ``step`` and ``terminate`` are called. A minimiser (``BFGS``, ``LBFGS``, ``NonlinearCG``,
``GradientDescent``, ...) gets the objective with the problem's own gradient, so that nothing is differentiated twice
and a solve for a head is not differentiated at all; a least-squares solver (``LevenbergMarquardt``, ``Dogleg``,
``GaussNewton``) gets the residual and differentiates it itself.

Those solvers evaluate one trial in a step and keep it or not; their first step evaluates the start. So many steps are
needed as their own driver counts, and a step that keeps nothing shows as ``accepted`` 0.

Cost of a step: one linearisation for a minimiser (a refused trial included); for P unknowns a residual, its P
derivatives and a value that tells the companion for a least-squares solver.

Source: optimistix documentation of ``AbstractIterativeSolver`` (init, step and terminate).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import float0
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Iterate, Problem, PyTree, ResidualProblem, Status, require
from numdl.optimize.parts.steps import RUNNING, kept_if, scalars_like, work_of


class Told(NamedTuple):
    """What the last point that was kept is worth."""

    value: Float[Array, ""]
    aux: PyTree
    metrics: Mapping[str, Array]


class Solving(NamedTuple):
    """State of the method: the arrays of the solver's own state, and what is known where it stands."""

    inner: PyTree
    told: Told


class Optimistix(eqx.Module):
    """A solver for any problem, or a ``ResidualProblem``: ``Optimistix(optimistix.BFGS(1e-8, 1e-8))``.

    The solver remembers values: the problem may not change between steps. It decides when it has converged.

    Attributes:
        arrays: of the solver, such as a learning rate.
        rest: the solver without them; compares by value.
    """

    arrays: PyTree
    rest: Any = eqx.field(static=True)

    def __init__(self, solver: Any) -> None:
        """Take a minimiser or a least-squares solver of optimistix.

        Raises:
            TypeError: it is none.
        """
        missing = [name for name in ("init", "step", "terminate") if not hasattr(solver, name)]
        if missing:
            raise TypeError(
                f"Optimistix(solver={checks.shown(solver)}): it has no {', '.join(missing)}, needs them. Give a solver "
                "such as optimistix.BFGS(1e-8, 1e-8)."
            )
        self.arrays, self.rest = eqx.partition(solver, eqx.is_array)

    @property
    def solver(self) -> Any:
        """The solver as it was given."""
        return eqx.combine(self.arrays, self.rest)

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; the objective is not evaluated.

        Args:
            problem: a ``ResidualProblem`` for a least-squares solver.
            p: start.
            aux: companion at the start.

        Returns:
            The iterate.

        Raises:
            TypeError: the problem has no residual to give to a least-squares solver.
        """
        kind = type(self.solver).__name__
        if self._of_residuals():
            require(problem, ResidualProblem, f"Optimistix({kind})", "use a minimiser, optimistix.BFGS(1e-8, 1e-8)")
        (value,) = scalars_like(p, np.inf)
        return Iterate(p, aux, value, _first(self, problem, p, aux), {})

    def step(self, problem: Problem, iterate: Iterate) -> Iterate:
        """One step of the solver; ``metrics`` belong to the point that was left."""
        import optimistix

        fn = self._function(problem, iterate.aux)
        # The solver's state holds functions too: they are those of a state that belongs to this very function.
        static = eqx.partition(self._solver_state(fn, iterate.p), eqx.is_array)[1]
        inner, left = iterate.state
        none = frozenset()
        p, state, told = self.solver.step(fn, iterate.p, None, {}, eqx.combine(inner, static), none)
        done, result = self.solver.terminate(fn, p, None, {}, state, none)
        p = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), p, iterate.p)
        told = self._told(problem, p, iterate.aux) if told is None else told
        following = jax.tree.map(
            lambda new, old: jnp.asarray(new, old.dtype), Solving(eqx.filter(state, eqx.is_array), told), iterate.state
        )
        good = jnp.isfinite(told.value)
        left = kept_if(jnp.isfinite(iterate.value), left, following.told)
        p, following = kept_if(good, (p, following), (iterate.p, iterate.state))
        moved = [jnp.any(new != old) for new, old in zip(*map(jax.tree.leaves, (p, iterate.p)), strict=True)]
        cost = work_of(problem, iterate.p)
        size = sum(leaf.size for leaf in jax.tree.leaves(iterate.p))
        extra = {
            "accepted": jnp.any(jnp.stack(moved)) if moved else False,
            "trials": 1.0,
            "done": done,
            "failed": ~good | (done & (result != optimistix.RESULTS.successful)),
            "work": 1.0 + size + cost.value if self._of_residuals() else cost.linearize,
        }
        metrics = {**left.metrics, "aux": left.aux, "objective": left.value}
        metrics |= {name: jnp.asarray(a, left.value.dtype) for name, a in extra.items()}
        return Iterate(p, following.told.aux, following.told.value, following, metrics)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` or ``failed`` when the solver says so; ``failed`` also where it stepped out of the domain.

        Args:
            history: columns ``done`` and ``failed``.

        Returns:
            ``running``, or why to stop.
        """
        kind = type(self.solver).__name__
        if history["failed"][-1]:
            return Status("failed", f"{kind} of optimistix cannot go on: a value is not finite, or it diverges.")
        if history["done"][-1]:
            return Status("converged", f"{kind} of optimistix has met its tolerances.")
        return RUNNING

    def _of_residuals(self) -> bool:
        import optimistix

        return isinstance(self.solver, optimistix.AbstractLeastSquaresSolver)

    def _function(self, problem: Problem, aux: PyTree) -> Callable[[PyTree, None], tuple[Any, Told | None]]:
        """``fn(p, None)`` as the solver wants it: what is made small, and what is told about the point."""
        if self._of_residuals() and isinstance(problem, ResidualProblem):
            return lambda p, _: (problem.residual(p), None)

        def look(p: PyTree) -> tuple[Told, PyTree]:
            lin = problem.linearize(p, aux)
            norm = jnp.linalg.norm(ravel_pytree(lin.gradient)[0])
            return Told(lin.value, lin.aux, {**lin.metrics, "gradient_norm": norm}), lin.gradient

        @jax.custom_jvp
        def told(p: PyTree) -> tuple[Array, Told]:
            here = look(p)[0]
            return here.value, here

        @told.defjvp
        def _(points: tuple, directions: tuple) -> tuple:
            here, gradient = look(points[0])
            slope = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, gradient, directions[0])), jnp.zeros_like(here.value))
            return (here.value, here), (slope, jax.tree.map(_no_tangent, here))

        return lambda p, _: told(p)

    def _solver_state(self, fn: Callable, p: PyTree) -> PyTree:
        return self.solver.init(fn, p, None, {}, *jax.eval_shape(lambda p: fn(p, None), p), frozenset())

    @staticmethod
    def _told(problem: Problem, p: PyTree, aux: PyTree) -> Told:
        value, companion = problem.value(p, aux)
        return Told(value, companion, {})


@jax.jit
def _first(method: Optimistix, problem: Problem, p: PyTree, aux: PyTree) -> Solving:
    """First state, compiled in one piece; without weak types, which would change after a step."""
    fn = method._function(problem, aux)
    inner = eqx.filter(method._solver_state(fn, p), eqx.is_array)
    shapes = jax.eval_shape(lambda p: fn(p, None)[1] or method._told(problem, p, aux), p)
    return jax.tree.map(
        lambda a: jnp.asarray(a if isinstance(a, jax.Array) else jnp.zeros(a.shape), a.dtype),
        Solving(inner, shapes),
    )


def _no_tangent(a: Array) -> Array | np.ndarray:
    """What does not depend on p as far as the solver is concerned."""
    return jnp.zeros_like(a) if jnp.issubdtype(a.dtype, jnp.inexact) else np.zeros(a.shape, float0)
