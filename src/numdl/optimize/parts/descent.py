"""Line-search descent methods, common parts.

What do methods that go along a direction share: where they stand, which step they book, when they are done?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Iterate, Linearization, LineProblem, Problem, PyTree, Status, Work
from numdl.optimize.parts.line_search import Found, Known, Line, Trial, line_of
from numdl.optimize.parts.steps import RUNNING, work_of


class Point(NamedTuple):
    """A linearised problem in flat coordinates.

    Attributes:
        lin: the linearisation.
        p: unknowns, (p,).
        g: gradient, (p,).
        unravel: vector to unknowns.
        product: curvature on vectors.
        work: cost of the problem's operations.
        paid: passes that it took to know all this.
    """

    lin: Linearization
    p: Float[Array, " p"]
    g: Float[Array, " p"]
    unravel: Callable[[Array], PyTree]
    product: Callable[[Array], Array]
    work: Work
    paid: Array | float


def linearized(problem: Problem, p: PyTree, aux: PyTree) -> Point:
    """The problem at p."""
    vector, unravel = ravel_pytree(p)
    lin = problem.linearize(p, aux)
    product = lambda v: ravel_pytree(lin.curvature(unravel(v)))[0]  # noqa: E731
    work = work_of(problem, p)
    return Point(lin, vector, ravel_pytree(lin.gradient)[0], unravel, product, work, work.linearize)


def nothing_known(problem: Problem, p: PyTree, aux: PyTree) -> Known | None:
    """Zeros in place of what a trial of ``line_of`` will know; None where its trials know values and slopes only."""
    if isinstance(problem, LineProblem):
        return None

    return jax.tree.map(lambda a: jax.device_put(np.zeros(a.shape, a.dtype)), jax.eval_shape(_known, problem, p, aux))


@jax.jit  # so that its form is found once, and not for each run
def _known(problem: Problem, p: PyTree, aux: PyTree) -> Known:
    lin = problem.linearize(p, aux)
    return Known(ravel_pytree(lin.gradient)[0], dict(lin.metrics))


def revisited(problem: Problem, iterate: Iterate, known: Known | None) -> Point:
    """The problem where a search has ended, from what its last trial knew; the trial is not evaluated again.

    Args:
        problem: as the search saw it.
        iterate: its value is infinite where nothing is known: at the start, or since the problem has changed.
        known: kept from ``Found.trial``.

    Returns:
        The point. Its curvature linearises anew: it is not for methods that need one.
    """
    if known is None:
        return linearized(problem, iterate.p, iterate.aux)
    vector, unravel = ravel_pytree(iterate.p)

    def anew() -> tuple[Array, PyTree, Known]:
        point = linearized(problem, iterate.p, iterate.aux)
        return point.lin.value, point.lin.aux, Known(point.g, dict(point.lin.metrics))

    old = jnp.isfinite(iterate.value)
    value, aux, (g, metrics) = jax.lax.cond(old, lambda: (iterate.value, iterate.aux, known), anew)

    def curvature(v: PyTree) -> PyTree:
        return problem.linearize(iterate.p, aux).curvature(v)

    lin, work = Linearization(value, unravel(g), curvature, aux, metrics), work_of(problem, iterate.p)
    product = lambda v: ravel_pytree(curvature(unravel(v)))[0]  # noqa: E731
    return Point(lin, vector, g, unravel, product, work, jnp.where(old, 0.0, work.linearize))


def line_and_start(problem: Problem, point: Point, d: Float[Array, " p"]) -> tuple[Line, Trial]:
    """The objective along d, and the trial at 0, which is known already."""
    known = None if isinstance(problem, LineProblem) else Known(point.g, dict(point.lin.metrics))
    start = Trial(point.lin.value, point.g @ d, point.lin.aux, known)
    return line_of(problem, point.p, d, point.lin.aux, point.unravel), start


def arrive(
    point: Point,
    d: Float[Array, " p"],
    found: Found,
    state: PyTree,
    *,
    inner: Array | float = 0.0,
    **extra: Array,
) -> Iterate:
    """The iterate after a step along d.

    Args:
        point: that was left.
        d: direction.
        found: the step; a length of 0 stays.
        state: new memory of the method.
        inner: passes that led to d, the linearisation left out.
        **extra: more scalars for the history.

    Returns:
        The iterate; its metrics belong to the point that was left.
    """
    work = point.paid + inner + point.work.line + found.trials * point.work.trial
    return Iterate(
        point.unravel(point.p + found.t * d),
        found.trial.aux,
        found.trial.value,
        state,
        departure(point, work=work, accepted=found.good, trials=found.trials, step_length=found.t, **extra),
    )


def departure(point: Point, **extra: Array | float) -> dict[str, PyTree]:
    """Metrics of the point that is left; numbers of things become floating-point numbers."""
    value = point.lin.value
    known = {"aux": point.lin.aux, "objective": value, "gradient_norm": jnp.linalg.norm(point.g)}
    return {**point.lin.metrics, **known} | {name: jnp.asarray(a, value.dtype) for name, a in extra.items()}


def gradient_target(value: Float[Array, ""], tol: float) -> Float[Array, ""]:
    """The norm of a gradient that counts as zero: ``tol * max(1, |f|)``."""
    return tol * jnp.maximum(1.0, jnp.abs(value))


def gradient_status(history: Mapping[str, Sequence[float]], tol: float) -> Status:
    """``converged`` when the gradient is small, ``stalled`` when no step helps.

    A run whose objective grows is measured by the objective at its start: its gradient is small only beside the growth.

    Args:
        history: columns ``objective``, ``gradient_norm`` and ``accepted``.
        tol: see ``gradient_target``.

    Returns:
        ``running``, or why to stop.
    """
    norm, value = history["gradient_norm"][-1], history["objective"][-1]
    first = history["objective"][0]
    if norm <= tol * max(1.0, abs(value if value <= first else first)):
        return Status("converged", f"The gradient has a norm of {norm:.1e}; {tol:g} max(1, |objective|) was asked for.")
    if not any(history["accepted"][-2:]):
        return Status("stalled", f"No step lowers the objective any more; the gradient has a norm of {norm:.1e}.")
    return RUNNING
