"""Trainer of single runs: how is one network trained from one random start, a part at a time, and kept for later?

A run is identified by architecture and start. ``Trainer.advance`` takes it to a given number of iterations; asked again
for no more than that it returns at once. A plan written as plain calls of ``advance`` therefore resumes from stored
runs by simply being executed again.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from numdl.contracts import Result, Status
from numdl.contracts.interrupts import within_search
from numdl.estimators.common.processes import of_first
from numdl.estimators.networks.settings import Data, Settings, Start
from numdl.estimators.networks.training.levels import OneLevel
from numdl.estimators.networks.training.solver_choice import SolverChoice, choose_algebra
from numdl.flow.dynamics.base import as_weights
from numdl.models import Network, first_overflow, prolonged
from numdl.models.levels import with_steps
from numdl.optimize import LevenbergMarquardt, NewtonCG, NoFiniteStart, Progress, minimize
from numdl.optimize.drivers.cascadic import carried
from numdl.problems import FollowEvidence, VarPro, get_loss, laplace_metrics, probed_metrics
from numdl.problems.blocks import over_samples
from numdl.problems.evidence import units_of
from numdl.problems.risk.losses import error_of
from numdl.problems.sharding import count_shards, divide
from numdl.regularize import GroupPenalty, Sizes, group_labels

WINDOW = 10
"""Iterations over which the growth of the evidence is judged."""

CLASS_WINDOW = 5
"""The same for classes: their errors do not change any more when the evidence still creeps."""


class Run(NamedTuple):
    """One network on its way: what can be resumed, and what came out so far."""

    net: Network
    start: Start
    progress: Progress
    result: Result
    algebra: SolverChoice
    grouping: str = "kind"

    @property
    def score(self) -> float:
        """Log evidence of the best point."""
        return self.progress.best.score

    @property
    def ended(self) -> bool:
        """Whether more iterations would be pointless."""
        return self.result.status.code in ("converged", "stalled")


class Trainer:
    """Runs on one data set under one deadline.

    Args:
        data: scaled data.
        settings: what all runs share.
        deadline: ``time.perf_counter()`` value at which everything stops, None for never.
        observe: called after each iteration with a dict of the iteration's numbers.
        store: called after each iteration with all runs; decides itself whether it is time to write.
        mesh: devices among which the rows are divided; None for the default device.

    Attributes:
        runs: what was trained so far.
        squares: whether the misfit is least squares.
        n_shards: into which the rows are divided.
        weights: first weights for an architecture and a seed, instead of random ones.
        refused: sentences on the starts without a finite objective, for which nothing was trained.
    """

    def __init__(
        self,
        data: Data,
        settings: Settings,
        *,
        deadline: float | None = None,
        observe: Callable[[dict[str, Any]], None] | None = None,
        store: Callable[[Trainer], None] | None = None,
        mesh: jax.sharding.Mesh | None = None,
    ) -> None:
        self.data, self.settings, self.deadline, self.mesh = data, settings.filled(), deadline, mesh
        self.squares, self.n_shards = settings.squares, count_shards(mesh)
        self.observe, self.store = observe, store
        self.runs: dict[tuple[Network, Start], Run] = {}
        self.interrupted = False
        self.began = time.perf_counter()
        self.weights: dict[tuple[Network, int], Any] = {}
        self.refused: dict[tuple[Network, Start], str] = {}
        self._setups: dict[Network, tuple[VarPro, Any, FollowEvidence, SolverChoice]] = {}
        self._arrays = divide(mesh, data.w, data.x, data.c)
        self._validation = None if data.x_val is None else (jnp.asarray(data.x_val), jnp.asarray(data.c_val))

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline has passed or the user has interrupted."""
        return self.interrupted or self._past(1.0)

    def spent(self, share: float) -> bool:
        """Whether more than this share of the time has gone, so that nothing new should be begun."""
        return self.interrupted or self._past(share)

    def _past(self, share: float) -> bool:
        """Whether the clock of process 0 has passed a share of the time."""
        if self.deadline is None:
            return False
        return of_first(self.mesh, time.perf_counter() - self.began >= share * (self.deadline - self.began))

    @property
    def elapsed(self) -> float:
        """Seconds since the fit began, over all its sessions."""
        return time.perf_counter() - self.began

    def algebra(self, net: Network) -> SolverChoice:
        """Linear algebra for a network on these data; all levels share that of the finest."""
        n, k = self.data.c.shape
        if self.settings.finest is not None:
            net = dataclasses.replace(with_steps("levels", net), depth=self.settings.finest)
        return choose_algebra(
            n,
            k,
            net,
            squares=self.squares,
            memory_budget=self.settings.memory_budget,
            itemsize=self.data.x.dtype.itemsize,
            solver=self.settings.solver,
            n_shards=self.n_shards,
        )

    def first_weights(self, net: Network, start: Start) -> Any:
        """Weights from which a run begins."""
        dtype, theta = self.data.x.dtype, self.weights.get((net, start.seed))
        if theta is None:
            theta = jax.tree.map(lambda a: np.asarray(a) * dtype.type(start.gain), net.init(start.seed, dtype))
        return jax.tree.map(lambda a: as_weights(a, dtype), theta)

    def setup(self, net: Network, theta: Any) -> tuple[VarPro, Any, FollowEvidence, SolverChoice]:
        """Problem, optimiser and adaptation of all runs of a network; theta are weights of it, whichever."""
        if net in self._setups:
            return self._setups[net]
        settings, dtype = self.settings, self.data.x.dtype
        labels, names = group_labels(theta, settings.grouping)
        algebra = self.algebra(net)
        k = self.data.c.shape[1]
        w, x, c = self._arrays
        problem = VarPro(
            net,
            get_loss(settings.loss),
            x,
            c,
            w,
            GroupPenalty(*jax.device_put((np.zeros(len(names), dtype), labels))),
            jax.device_put(np.zeros((k,) if self.squares and 1 < k <= net.width else (), dtype)),
            chunk=algebra.chunk,
            curvature_rows=algebra.curvature_rows,
            sampled=algebra.sampled,
            n_shards=self.n_shards,
        )
        # Each target has its head's penalty, unless there are more targets than directions of the features: the
        # outputs are then rotated into these, which takes one penalty.
        heads = k if self.squares and k <= net.width else 1
        counts = np.append(np.bincount(labels, minlength=len(names)), np.full(heads, k * net.width // heads))
        fixed = np.full(len(names) + heads, np.nan)
        fixed[: len(names)] = np.nan if settings.alpha is None else settings.alpha
        fixed[len(names) :] = np.nan if settings.alpha_head is None else settings.alpha_head
        sizes = Sizes(self.data.total, k, counts, k, self.squares)
        follow = FollowEvidence(sizes, names, merge_head=settings.tied, fixed=fixed)
        method = LevenbergMarquardt(laplace_metrics, tol=0.0) if algebra.dense else NewtonCG(probed_metrics, tol=0.0)
        self._setups[net] = problem, method, follow, algebra
        return self._setups[net]

    def advance(
        self,
        net: Network,
        start: Start,
        iterations: int,
        phase: str,
        *,
        coarser: Run | None = None,
        finer: Network | None = None,
    ) -> Run | None:
        """Take a run to at least ``iterations`` iterations, or to its end, or to the deadline.

        Args:
            net: architecture.
            start: random start.
            iterations: total number of iterations wanted.
            phase: what this is for, shown with the progress.
            coarser: run on half the steps that this one continues; None where it begins from random weights.
            finer: network on twice the steps, to which this one gives way when the rule says so; None for none.

        Returns:
            The run; None if there was no time to begin it, or no finite objective at its start, see ``refused``.
        """
        if (net, start) in self.refused:
            return None
        run = self.runs.get((net, start))
        if run is not None and (run.ended or run.progress.iteration >= iterations):
            return run
        if self.out_of_time and self.runs:
            return run
        theta = self.first_weights(net, start) if run is None else run.progress.iterate.p
        problem, method, follow, algebra = self.setup(net, theta)
        key, head, resume = (net, start), problem.first_head(theta), None if run is None else run.progress
        if coarser is not None and resume is None:
            resume = carried(coarser.progress, problem, method, prolonged(coarser.net, coarser.progress.iterate.p))
        level = None
        if self.settings.finest is not None:
            problem_next = None if finer is None else self.setup(finer, self.first_weights(finer, start))[0]
            level = OneLevel(with_steps("levels", net), self.settings.finest, problem_next)

        first = follow.start(self.settings.prior)
        seen = first if resume is None else resume.memory

        def watch(progress: Progress) -> Status | None:
            nonlocal seen
            iteration, recent, alphas = progress.iteration, progress.recent, follow.alphas(progress.memory)
            validation = self._validation_error(problem, progress, seen)
            seen = progress.memory
            if validation is not None:
                progress.history.setdefault("validation_error", []).append(validation)
            progress.history["seconds"][-1] = self.elapsed
            growth = self.settings.tol * self.data.total * self.data.c.shape[1]
            status = _judge(recent, growth, WINDOW if self.squares else CLASS_WINDOW)
            if level is not None:
                here = follow.apply(problem, progress.memory).with_targets(problem.c)
                status = level.book(progress, here) or status
            self.runs[key] = Run(net, start, progress, _partial(progress, status), algebra, self.settings.grouping)
            if self.observe is not None:
                self.observe(self._record(progress, phase, iteration, float(np.max(alphas))))
            if self.store is not None:
                self.store(self)
            if status is None and self.out_of_time:
                return Status("time_budget", f"Stopped after {iteration} iterations: the time was used up.")
            return status

        try:
            result, progress = minimize(
                problem,
                method,
                theta,
                head,
                max_iter=iterations,
                adapt=follow,
                memory=first,
                observe=watch,
                resume=resume,
            )
            if result.status.code == "interrupted" and progress.iteration == 0:
                raise KeyboardInterrupt  # no step was taken: there is nothing that could predict
        except NoFiniteStart as error:
            place = first_overflow(net, theta, self.data.x)
            self.refused[key] = f"{net.title}, before any training: {place or error}"
            return None
        except KeyboardInterrupt:  # while something was compiled
            if self.interrupted or not self.runs or within_search():
                raise
            self.interrupted = True
            return self.runs.get(key)
        self.interrupted |= result.status.code == "interrupted"
        self.runs[key] = Run(net, start, progress, result, algebra, self.settings.grouping)
        return self.runs[key]

    def _validation_error(self, problem: VarPro, progress: Progress, seen: Any) -> float | None:
        """Of a head found with the noise that ``seen`` remembers."""
        if self._validation is None:
            return None
        at, head = progress.iterate, progress.iterate.aux
        if np.ndim(seen[0].noise):
            head = head / jnp.asarray(units_of(seen[0].noise), head.dtype)[:, None]
        return float(_held_out_error(problem.features, problem.loss.name, at.p, head, *self._validation))

    def _record(self, progress: Progress, phase: str, iteration: int, alpha: float) -> dict[str, Any]:
        row = {name: column[-1] for name, column in progress.history.items()}
        now = time.perf_counter()
        row |= {
            "phase": phase,
            "iteration": iteration,
            "alpha": alpha,
            "seconds": self.elapsed,
            "seconds_left": None if self.deadline is None else max(self.deadline - now, 0.0),
        }
        return row


@jax.jit(static_argnums=(0, 1))
def _held_out_error(features: Any, loss: str, theta: Any, head: Any, x: Any, c: Any) -> Any:
    u = over_samples(features)(theta, x)
    return error_of(get_loss(loss), u @ head[:, :-1].T + head[:, -1], c, jnp.ones(x.shape[0], x.dtype))


def _judge(recent: Mapping[str, Sequence[float]], growth: float, window: int) -> Status | None:
    """Converged when the best log evidence grew by less than ``growth`` nats over the window."""
    scores = recent.get("log_evidence", [])
    if len(scores) <= 2 * window or growth <= 0:
        return None
    if np.max(scores[-window:]) - np.max(scores[:-window]) >= growth:
        return None
    return Status("converged", f"The last {window} steps raised the log evidence by less than {growth:.2g} nats.")


def _partial(progress: Progress, status: Status | None) -> Result:
    """Result of a run that may go on; its head is the one of the best iterate's own linearisation."""
    history = {name: np.asarray(column) for name, column in progress.history.items()}
    return Result(progress.best.p, progress.best.aux, status or Status("running", "Still running."), history)
