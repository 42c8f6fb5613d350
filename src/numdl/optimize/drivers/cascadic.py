"""Cascadic multilevel optimisation.

When has a coarse problem taught what it can, so that a finer one should go on from there?

Cascadic iteration lowers the problems of a sequence from coarse to fine; each starts where the one before has ended,
prolonged. With J_l the objective on level l, P the prolongation, p_k the k-th iterate on level l, every w steps

    e_k = | J_(l+1)(P p_k) - J_l(p_k) |       estimated discretisation error: one more value, of the finer problem
    d_k = J_l(p_(k-w)) - J_l(p_k)             progress of the last w steps

and the level is left when ``e_k >= fraction * d_k``. A method that gains the factor q in w steps, of what remains to be
gained, has ``q / (1 - q) d_k`` before it: with the fraction 1 a level is left when less remains than what the coarse
steps cannot see (q = 1/2), as nested iteration demands that the algebraic error be brought below the discretisation
error and not further. Where the method is done earlier, the level is left as well.

Sources: Deuflhard, Newton Methods for Nonlinear Problems, Springer 2004, sec. 8.3 (nested Newton iteration); Haber,
Ruthotto, Holtham, Jun, Learning across scales, AAAI 2018 (cascadic training in depth, by a fixed schedule).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from numdl import checks
from numdl.contracts import Optimizer, Problem, ProblemT, PyTree, Result, Status, require
from numdl.optimize.drivers.loop import Best, Observe, Progress, minimize
from numdl.optimize.parts.checks import require_budget, require_unknowns
from numdl.optimize.parts.steps import work_of


@dataclasses.dataclass(frozen=True)
class Refinement:
    """The rule by which a level is left.

    Attributes:
        fraction: of the progress that the discretisation error must reach, no unit, positive.
        window: steps over which progress is measured, and between two looks; at least 1.
    """

    fraction: float = 1.0
    window: int = 5

    def __post_init__(self) -> None:
        """Refuse a rule that cannot be applied.

        Raises:
            ValueError: a number is out of range, or ``window`` no whole one.
        """
        checks.number("Refinement", "fraction", self.fraction, above=0, hint="Use fraction=1.")
        checks.whole("Refinement", "window", self.window, least=1, hint="Use window=5.")

    def looks(self, steps: int) -> bool:
        """Whether to estimate the discretisation error after so many steps on a level."""
        return steps > 0 and steps % self.window == 0

    def due(self, error: float, progress: float) -> bool:
        """Whether to leave the level.

        Args:
            error: ``e_k``, in the unit of the objective; not finite where the prolonged point is of no use.
            progress: ``d_k``, in the same unit.

        Returns:
            ``error >= fraction * progress`` of a finite error.
        """
        return math.isfinite(error) and error >= self.fraction * progress


def judge(
    history: dict[str, list[float]], rule: Refinement, error: float = math.nan, progress: float = math.nan
) -> Status | None:
    """Apply the rule and enter what it was told into the history.

    Args:
        history: one entry is added to ``discretisation_error`` and ``progress``.
        rule: when a level is left.
        error: ``e_k``; NaN where nobody looked.
        progress: ``d_k``.

    Returns:
        Status of a level that is to be left, or None.
    """
    history.setdefault("discretisation_error", []).append(error)
    history.setdefault("progress", []).append(progress)
    if not rule.due(error, progress):
        return None
    return Status(
        "converged", f"Coarse steps err by {error:.2g}, the last {rule.window} iterations gained {progress:.2g}."
    )


class Level(NamedTuple):
    """Where a cascadic iteration stands, to resume from.

    Attributes:
        level: index of the problem.
        progress: on it, with the history of all levels; None where nothing was done.
    """

    level: int
    progress: Progress | None


@jax.jit
def objective(problem: Problem, p: PyTree, aux: PyTree) -> Any:
    """Value of a problem, compiled once for each of its shapes."""
    return problem.value(p, aux)[0]


def _number(problem: Problem, p: PyTree, aux: PyTree) -> float:
    """``objective``, which must be real."""
    found = objective(problem, p, aux)
    if np.iscomplexobj(found):
        raise ValueError(
            f"minimize_cascadic(problems): an objective is {found.dtype}, needs a real one. Give real data."
        )
    return float(found)


def carried(progress: Progress, problem: ProblemT, optimizer: Optimizer[ProblemT], p: PyTree) -> Progress:
    """The run on a finer problem that goes on where a coarser one stands.

    Companion, memory of ``adapt`` and history go on. The state of the method does where it fits: a damping or a radius
    of trust is a number; directions of another length are begun anew. The best point is looked for anew, since
    objectives of different levels are not compared.

    Args:
        progress: at the end of the coarser level.
        problem: the finer one.
        optimizer: method.
        p: prolonged unknowns.

    Returns:
        Progress to give to ``minimize(resume=...)``.
    """
    iterate = progress.iterate
    fresh = optimizer.init(problem, p, iterate.aux)
    state = iterate.state if _alike(iterate.state, fresh.state) else fresh.state
    best = Best(p, iterate.aux, progress.memory, -math.inf, progress.iteration)
    return progress._replace(iterate=fresh._replace(state=state), best=best, since=progress.iteration)


def _alike(one: PyTree, other: PyTree) -> bool:
    """Whether two trees have the same structure, shapes and dtypes."""

    def form(tree: PyTree) -> Any:
        return jax.tree.structure(tree), [(np.shape(a), getattr(a, "dtype", None)) for a in jax.tree.leaves(tree)]

    return form(one) == form(other)


def book_work(history: dict[str, list[float]], share: float, extra: float = 0.0) -> None:
    """Count the last step in passes of the finest level.

    Args:
        history: changed in ``work``, if it has that column.
        share: cost of a pass on this level, in passes of the finest.
        extra: passes of this level that were spent besides the step.
    """
    if "work" in history:
        work = history["work"]
        before = work[-2] if len(work) > 1 else 0.0
        work[-1] = before + share * (work[-1] - before + extra)


def require_levels(problems: Any, resume: Any) -> None:
    """Refuse what is no sequence of problems, and a level that is not among them.

    Args:
        problems: coarsest first.
        resume: a ``Level`` to go on from; None to start.

    Raises:
        TypeError: ``problems`` is a single one, or ``resume`` no Level.
        ValueError: there is no problem, or the level does not exist.
    """
    if not isinstance(problems, Sequence) or isinstance(problems, Problem):
        raise TypeError(
            f"minimize_cascadic(problems={type(problems).__name__}): needs a list of problems, coarsest first. Give "
            "[problem] for a single one."
        )
    if not problems:
        raise ValueError("minimize_cascadic(problems=[]): needs at least one problem, coarsest first.")
    for problem in problems:
        require(problem, Problem, "minimize_cascadic(problems)")
    if resume is None:
        return
    if not isinstance(resume, Level):
        raise TypeError(
            f"minimize_cascadic(resume={type(resume).__name__}): needs the Level that minimize_cascadic has returned, "
            "its second result."
        )
    if resume.level not in range(len(problems)):
        raise ValueError(
            f"minimize_cascadic(resume at level {resume.level}): there are {len(problems)} problems, needs a level "
            f"from 0 to {len(problems) - 1}. Give the problems that were used."
        )


def minimize_cascadic(
    problems: Sequence[ProblemT],
    optimizer: Optimizer[ProblemT],
    p: PyTree,
    aux: PyTree = None,
    *,
    prolong: Callable[[int, PyTree], PyTree],
    rule: Refinement = Refinement(),
    max_iter: int = 100,
    time_budget: float | None = None,
    observe: Observe | None = None,
    resume: Level | None = None,
    ratio: int | float = 2.0,
) -> tuple[Result, Level]:
    """Lower the last of several problems, helped by coarser ones.

    The objectives should approximate one another: a penalty on weights of layers needs the step size as a factor.

    Args:
        problems: coarsest first, at least one. A pass through one counts ``ratio`` times a pass through the one before,
            so that ``history["work"]`` is in passes of the finest. One whose objective is not finite ends it.
        optimizer: method for all levels.
        p: start on the coarsest level.
        aux: companion at the start; the same shapes on all levels.
        prolong: ``prolong(l, p)`` gives the unknowns of level l + 1 for those of level l.
        rule: when a level is left.
        max_iter: steps at most over all levels; the first l + 1 of L levels take at most their share (l + 1) / L.
        time_budget: seconds at most over all levels, checked between steps; None for no limit.
        observe: called after each step; a Status it returns ends the iteration.
        resume: go on from here instead of from ``p``.
        ratio: cost of a pass over that of one on the level before, at least 1: 2 for twice as many layers, 4 for twice
            as many pixels along both sides.

    Returns:
        Best point of the level that was reached, and where to resume from. Besides what the method records the history
        has ``level``, and ``discretisation_error`` and ``progress``, e_k and d_k where the rule looked, else NaN.
        Where the finer objective is not finite at a prolonged point, the status is ``failed`` and all is that of the
        coarse level: a coarse point is never lost.

    Raises:
        ValueError: there is no problem, the objective is not finite at the start on the first level, ``resume`` is on a
            level that does not exist, or as ``minimize``.
        TypeError: ``problems`` is a single one, ``resume`` no Level, or as ``minimize``.
    """
    require_levels(problems, resume)
    require_budget("minimize_cascadic", max_iter, time_budget)
    require_unknowns("minimize_cascadic", p)
    checks.function("minimize_cascadic", "prolong", prolong, "(level, p) -> p of the next level")
    checks.instance("minimize_cascadic", "rule", rule, Refinement)
    checks.number("minimize_cascadic", "ratio", ratio, least=1, hint="Use ratio=2.")
    if observe is not None:
        checks.function("minimize_cascadic", "observe", observe, "progress -> Status or None")
    level, progress = Level(0, None) if resume is None else resume
    while True:
        watch = _Watch(problems, level, prolong, rule, observe, float(ratio))
        limit = math.ceil(max_iter * (level + 1) / len(problems))
        result, progress = minimize(
            problems[level], optimizer, p, aux, max_iter=limit, time_budget=time_budget, observe=watch, resume=progress
        )
        over = watch.told or result.status.code in ("interrupted", "time_budget", "failed")
        if level == len(problems) - 1 or (over and not watch.left):
            return result, Level(level, progress)
        finer = prolong(level, progress.iterate.p)
        lost = None if watch.left else watch.lost(progress, problems[level + 1], finer)
        if lost is not None:
            history = {name: np.asarray(column) for name, column in progress.history.items()}
            return result._replace(status=lost, history=history), Level(level, progress)
        level += 1
        progress = carried(progress, problems[level], optimizer, finer)
        if over:  # by the step after which the level was to be left
            return result, Level(level, progress)


class _Watch:
    """Books each step on a level and applies the rule."""

    def __init__(
        self,
        problems: Sequence[Problem],
        level: int,
        prolong: Any,
        rule: Refinement,
        observe: Observe | None,
        ratio: float,
    ) -> None:
        self.problem = problems[level]
        self.finer = problems[level + 1] if level + 1 < len(problems) else None
        self.level, self.prolong, self.rule, self.observe = level, prolong, rule, observe
        self.share = ratio ** (level + 1 - len(problems))
        self.told = self.left = False

    def __call__(self, progress: Progress) -> Status | None:
        history, iterate = progress.history, progress.iterate
        history.setdefault("level", []).append(float(self.level))
        if self.finer is not None and self.rule.looks(progress.iteration - progress.since):
            p = self.prolong(self.level, iterate.p)
            now, then = float(iterate.value), _number(self.finer, p, iterate.aux)
            book_work(history, self.share, 2.0 * work_of(self.finer, p).value)
            left = judge(history, self.rule, abs(then - now), history["objective"][-self.rule.window] - now)
        else:
            book_work(history, self.share)
            left = judge(history, self.rule)
        told = None if self.observe is None else self.observe(progress)
        self.told, self.left = told is not None, left is not None
        return told or left

    def lost(self, progress: Progress, finer: Problem, p: PyTree) -> Status | None:
        """``failed`` if the finer objective is no number at the prolonged point p; the rule asks for one by itself."""
        value = _number(finer, p, progress.iterate.aux)
        if "work" in progress.history:
            progress.history["work"][-1] += 2.0 * self.share * work_of(finer, p).value
        if math.isfinite(value):
            return None
        return Status(
            "failed",
            f"The objective of level {self.level + 1} is {value} at the prolonged point, which needs a finite value; "
            f"the best point of level {self.level} is kept. Check prolong({self.level}, p), or give levels that are "
            "nearer to each other.",
        )
