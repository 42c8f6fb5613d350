"""Optimisation loop: how does an iteration run, be watched, stop, and go on later?

Plain Python around one compiled step. Everything that lets a run continue stands in ``Progress``; continuing from a
stored one gives the same numbers as a run that was never broken.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from numdl import checks
from numdl.contracts import Iterate, Optimizer, Problem, ProblemT, PyTree, Result, Status, require
from numdl.contracts.interrupts import within_search
from numdl.contracts.threads import one_blas_thread, require_threads
from numdl.optimize.parts.checks import require_budget, require_pytree, require_unknowns
from numdl.optimize.parts.line_search import rounding_of
from numdl.optimize.parts.steps import compiled_step


class NoFiniteStart(ValueError):
    """The objective is no finite number where a minimisation was to begin: another start may do."""


class Best(NamedTuple):
    """The best point so far: unknowns, companion, memory of ``adapt`` there, score (larger is better), iteration."""

    p: PyTree
    aux: PyTree
    memory: PyTree
    score: float
    iteration: int


class Progress(NamedTuple):
    """A run between two steps.

    Attributes:
        iterate: where the optimiser stands.
        memory: what ``adapt`` remembers.
        best: best point so far.
        history: one list per recorded quantity, all of the same length. Entry i of ``objective`` and its like belongs
            to the point that step i left; ``seconds`` and ``work`` (passes over the data) count all up to its end.
        seconds: time spent so far, over all sessions.
        since: number of steps before the present problem, where a coarser one came first; see ``cascadic``.
    """

    iterate: Iterate
    memory: PyTree
    best: Best
    history: dict[str, list[float]]
    seconds: float
    since: int = 0

    @property
    def iteration(self) -> int:
        """Number of steps taken."""
        return len(self.history.get("seconds", ()))

    @property
    def recent(self) -> dict[str, list[float]]:
        """History of the present problem."""
        if not self.since:
            return self.history
        return {name: column[self.since :] for name, column in self.history.items()}


class Adapted(NamedTuple):
    """What an adaptation learns from a step.

    Attributes:
        memory: its new memory.
        score: how good the point is that the step started from; larger is better.
        columns: extra entries of the history.
    """

    memory: PyTree
    score: float
    columns: dict[str, float]


@runtime_checkable
class Adapt(Protocol[ProblemT]):
    """Something that changes the problem between steps, as the evidence changes the penalty parameters."""

    def apply(self, problem: ProblemT, memory: PyTree) -> ProblemT:
        """The problem that belongs to a memory: same shapes, so that nothing is compiled anew."""
        ...

    def update(self, memory: PyTree, after: Iterate) -> Adapted:
        """New memory from the metrics of a step."""
        ...


Observe = Callable[[Progress], Status | None]


def minimize(
    problem: ProblemT,
    optimizer: Optimizer[ProblemT],
    p: PyTree,
    aux: PyTree = None,
    *,
    max_iter: int = 100,
    time_budget: float | None = None,
    adapt: Adapt[ProblemT] | None = None,
    memory: PyTree = None,
    observe: Observe | None = None,
    resume: Progress | None = None,
) -> tuple[Result, Progress]:
    """Lower a problem from ``p`` until the method, the budget, the observer or the user says stop.

    Args:
        problem: what to lower; a pytree.
        optimizer: method; a pytree, and one for this kind of problem.
        p: start.
        aux: the problem's companion at the start.
        max_iter: steps at most.
        time_budget: seconds at most, checked between steps; None for no limit.
        adapt: changes the problem after each step and scores the point the step started from; without it a point's
            score is minus its objective.
        memory: first memory of ``adapt``.
        observe: called after each step; a Status it returns ends the run.
        resume: go on from here instead of from ``p``, with the same problem.

    Returns:
        The best point as a Result, and the Progress to resume from. Ctrl-C ends the run with status ``interrupted``;
        nothing is lost.

    Raises:
        NoFiniteStart: the objective is not finite at the start; a ValueError.
        ValueError: p is no tree of real floating-point arrays, ``resume``
            comes from another method, ``max_iter`` or ``time_budget`` is no number of steps or seconds, or the
            objective is complex.
        TypeError: problem, optimizer or adapt miss a part of their contract or are no pytrees, ``resume`` is no
            Progress, or ``observe`` returns neither a Status nor None.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.optimize import LevenbergMarquardt, minimize
        >>> from numdl.problems import NonlinearLeastSquares
        >>> def decay(p, x):
        ...     return p[0] * jnp.exp(-p[1] * x)
        ...
        >>> x = jnp.linspace(0.0, 2.0, 10)[:, None]
        >>> problem = NonlinearLeastSquares(decay, x, 2.0 * jnp.exp(-0.7 * x))
        >>> result, _ = minimize(problem, LevenbergMarquardt(), jnp.array([1.0, 1.0]))
        >>> [round(float(value), 3) for value in result.p]
        [2.0, 0.7]
    """
    require(problem, Problem, "minimize")
    require(optimizer, Optimizer, "minimize", "use a method of numdl.optimize, such as LBFGS()")
    if adapt is not None:
        require(adapt, Adapt, "minimize(adapt)")
    require_unknowns("minimize", p)
    require_budget("minimize", max_iter, time_budget)
    if observe is not None:
        checks.function("minimize", "observe", observe, "progress -> Status or None")
    require_pytree("minimize", problem=problem, optimizer=optimizer, aux=aux)
    require_threads("minimize")
    with one_blas_thread():
        return _run(problem, optimizer, p, aux, max_iter, time_budget, adapt, memory, observe, resume)


def _run(
    problem: ProblemT,
    optimizer: Optimizer[ProblemT],
    p: PyTree,
    aux: PyTree,
    max_iter: int,
    time_budget: float | None,
    adapt: Adapt[ProblemT] | None,
    memory: PyTree,
    observe: Observe | None,
    resume: Progress | None,
) -> tuple[Result, Progress]:
    """The loop itself, see ``minimize``."""
    began = time.perf_counter()
    if resume is not None:
        memory = _progress(resume).memory
    current = problem if adapt is None else adapt.apply(problem, memory)
    state = _start(current, optimizer, p, aux, memory) if resume is None else _resumed(current, optimizer, resume)
    state = state._replace(history={name: list(column) for name, column in state.history.items()})
    elapsed = state.seconds
    status = Status("max_iter", f"Stopped after {max_iter} iterations, the most that was allowed.")
    try:
        while state.iteration < max_iter:
            iterate = state.iterate._replace(metrics={})
            if adapt is not None:  # the value belongs to the problem as it was
                iterate = iterate._replace(value=jnp.asarray(np.full_like(iterate.value, np.inf)))
            after = jax.block_until_ready(compiled_step(optimizer, current, iterate))
            state = _advance(state, after, adapt, elapsed + time.perf_counter() - began)
            told = None if observe is None else observe(state)
            if not isinstance(told, Status | None):
                raise TypeError(f"minimize(observe): it returned {told!r}, needs a Status to end the run, or None.")
            ended = told or optimizer.status(state.recent)
            if ended.code != "running":
                status = ended
                break
            if time_budget is not None and state.seconds >= time_budget:
                status = Status("time_budget", f"Stopped after {state.seconds:.1f} s; {time_budget:g} s were given.")
                break
            if adapt is not None:
                current = adapt.apply(problem, state.memory)
    except KeyboardInterrupt:
        if within_search():
            raise
        status = Status("interrupted", f"Ctrl-C came after {state.iteration} iterations; the best iterate is kept.")
    if status.converged and adapt is None:
        state = _at_the_end(state)
    best = state.best
    history = {name: np.asarray(column) for name, column in state.history.items()}
    return Result(best.p, best.aux, status, history), state


def _start(
    problem: ProblemT,
    optimizer: Optimizer[ProblemT],
    p: PyTree,
    aux: PyTree,
    memory: PyTree,
) -> Progress:
    """First progress."""
    iterate = optimizer.init(problem, p, aux)
    return Progress(iterate, memory, Best(p, iterate.aux, memory, -math.inf, 0), {}, 0.0)


def _progress(resume: Any) -> Progress:
    """Refuse what no run can go on from."""
    if not isinstance(resume, Progress):
        raise TypeError(
            f"minimize(resume={type(resume).__name__}): needs the Progress that minimize has returned, its second "
            "result. For a stored one see numdl.container."
        )
    return resume


def _resumed(problem: ProblemT, optimizer: Optimizer[ProblemT], progress: Progress) -> Progress:
    """Refuse what this method cannot go on from."""
    at = progress.iterate
    needed = optimizer.init(problem, at.p, at.aux).state
    if checks.form_of(at.state) != checks.form_of(needed):
        raise ValueError(
            f"minimize(resume): its state is {type(at.state).__name__}, not that of {type(optimizer).__name__} with "
            "these settings. Go on with the method that was used, or start anew from resume.best.p."
        )
    return progress


def _at_the_end(state: Progress) -> Progress:
    """The last point is the best one if its value is that but for rounding: slopes fall further than values."""
    last, best = state.iterate, state.best
    least = best.score - float(rounding_of(jnp.asarray(best.score, last.value.dtype)))
    if not -float(last.value) >= least:  # no number is no end either
        return state
    return state._replace(best=Best(last.p, last.aux, state.memory, -float(last.value), state.iteration))


def _advance(state: Progress, after: Iterate, adapt: Adapt | None, seconds: float) -> Progress:
    """Book one step: history, best point, memory; refuses a start without a finite objective."""
    scalars = {name: v for name, v in after.metrics.items() if name != "aux" and np.ndim(v) == 0}
    if jnp.iscomplexobj(after.value):
        raise ValueError(
            f"minimize(problem): the objective is {after.value.dtype}, needs a real number. Give real data, or the "
            "real part of it."
        )
    row = {name: float(v) for name, v in jax.device_get(scalars).items()}
    if not state.history and not np.isfinite(row["objective"]):
        raise NoFiniteStart(
            f"minimize: the objective is {row['objective']} at the start p, needs a finite value. "
            "Scale the data, or start from smaller weights."
        )
    best, memory = state.best, state.memory
    if adapt is None:
        if -float(after.value) > best.score:
            best = Best(after.p, after.aux, memory, -float(after.value), state.iteration + 1)
    else:
        adapted = adapt.update(memory, after)
        if adapted.score > best.score:
            # The companion that the step found under the parameters the point is scored with.
            aux = after.metrics.get("aux", state.iterate.aux)
            best = Best(state.iterate.p, aux, memory, adapted.score, state.iteration)
        memory = adapted.memory
        row |= adapted.columns
    row["seconds"] = seconds
    if "work" in row:  # passes since the start, as seconds are
        row["work"] += state.history["work"][-1] if "work" in state.history else 0.0
    for name, value in row.items():
        state.history.setdefault(name, []).append(value)
    return state._replace(iterate=after, memory=memory, best=best, seconds=seconds)
