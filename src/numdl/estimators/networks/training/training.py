"""Training of an estimator.

How does an estimator get its members: seed, checkpoint, callbacks, the plan, and what is told of it?
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from numdl.contracts import Status
from numdl.estimators.common.processes import of_first, writes
from numdl.estimators.networks.ensemble import Member, member_of
from numdl.estimators.networks.settings import Data, Settings
from numdl.estimators.networks.training.checkpoint import Checkpoint, fingerprint
from numdl.estimators.networks.training.search import search_architectures, search_table
from numdl.estimators.networks.training.trainer import Trainer
from numdl.flow import Dynamics
from numdl.models import Network

FEW = 5
"""Iterations before which a fit that no step improves any more is not taken for one that is done."""


class Fitted:
    """What a fit leaves in an estimator; see ``ResNetRegressor``."""

    members_: list[Member]
    architecture_: Network
    status_: Status
    history_: dict[str, np.ndarray]
    n_iter_: int
    n_parameters_: int
    alpha_: dict[str, float]
    log_evidence_: float
    effective_dof_: float
    solver_: str
    search_: list[dict[str, Any]]
    seconds_: float


def train(
    estimator: Any,
    data: Data,
    observe: Callable[[dict[str, Any]], None] | None,
    mesh: jax.sharding.Mesh | None = None,
) -> None:
    """Carry out the plan and keep its members, in the fitted attributes of the estimator.

    Args:
        estimator: has the parameters of ``NetworkBase``; its family says which networks.
        data: checked and scaled.
        observe: called after each iteration with a dict of its numbers.
        mesh: devices among which the rows are divided; None for the default device.
    """
    began = time.perf_counter()
    seed = of_first(mesh, int(check_random_state(estimator.random_state).randint(2**31 - 2**10)))
    checkpoint = None
    if estimator.checkpoint is not None:
        checkpoint = Checkpoint(estimator.checkpoint, _fingerprint(estimator, data), seed)
        stored = checkpoint.stored_seed()
        checkpoint.seed = seed = seed if stored is None else stored
    n = len(data.x)
    order = np.random.default_rng(seed).permutation(n) if n > 1000 else np.arange(n)
    data = data._replace(x=data.x[order], c=data.c[order], w=data.w[order])
    context = estimator._init_callback_context(max_subtasks=None)
    context.call_on_fit_task_begin(estimator=estimator)
    stopped_by = "Ctrl-C came"

    def watch(record: dict[str, Any]) -> None:
        nonlocal stopped_by
        if observe is not None:
            observe(record)
        if estimator.verbose:
            _print(record, estimator.verbose)
        task = context.subcontext(task_name="iteration").call_on_fit_task_begin(estimator=estimator)
        if task.call_on_fit_task_end(estimator=estimator, metadata=record):
            stopped_by, trainer.interrupted = "A callback ended the fit", True

    space, stores = estimator._search_space(), checkpoint is not None and writes(mesh)
    trainer = Trainer(
        data,
        Settings(
            loss=estimator._loss(data.c.shape[1]),
            max_iter=int(estimator.max_iter),
            tol=estimator.tol,
            alpha=None if estimator.alpha == "auto" else float(estimator.alpha),
            alpha_head=None if estimator.alpha_head == "auto" else float(estimator.alpha_head),
            solver=estimator.solver,
            memory_budget=estimator.memory_budget,
            finest=int(estimator.depth) if space.levels > 1 else None,
        ),
        deadline=None if estimator.time_budget is None else began + estimator.time_budget,
        observe=watch,
        store=checkpoint.store if checkpoint is not None and stores else None,
        mesh=mesh,
    )
    if checkpoint is not None:
        checkpoint.restore(trainer)
    _warm(estimator, trainer, seed)
    restarts = None if estimator.n_restarts == "auto" else int(estimator.n_restarts)
    runs = search_architectures(trainer, space, data.x.shape[1], restarts, seed)
    unfinished = trainer.out_of_time
    if checkpoint is not None and stores:
        checkpoint.store(trainer, force=True) if unfinished or estimator._keeps else checkpoint.remove()
    given = trainer.settings.alpha_head
    estimator.members_ = [member_of(run, data if trainer.squares else None, given) for run in runs]
    _describe(estimator, trainer, runs[0], stopped_by, unfinished)
    context.call_on_fit_task_end(estimator=estimator)
    if trainer.refused:
        first, tried = next(iter(trainer.refused.values())), len(trainer.refused) + len(trainer.runs)
        message = f"{len(trainer.refused)} of {tried} starts were left out. {first}"
        warnings.warn(f"{type(estimator).__name__}: {message}", RuntimeWarning, stacklevel=4)
    advice = _advice(estimator)
    if advice:
        message = f"{type(estimator).__name__}: {estimator.status_.message} {advice}"
        warnings.warn(message, ConvergenceWarning, stacklevel=4)


def _advice(estimator: Any) -> str:
    """What to do about a status that is no success; nothing where no step helps any more, which is one."""
    code = estimator.status_.code
    if code == "stalled" and not estimator.effective_dof_ >= 1:
        return "The data determine no parameter of this fit: check that targets and weights belong to these rows."
    if code == "stalled" and estimator.n_iter_ < FEW:
        return f"That was after {estimator.n_iter_} iterations: try another random_state, or more n_restarts."
    if code not in ("converged", "stalled", "max_iter", "time_budget", "interrupted"):
        return "Look for entries of X or y far beyond all others, or try another random_state."
    advice = {"max_iter": "raise max_iter", "time_budget": "raise time_budget", "interrupted": "fit again, or go on"}
    return f"The fit may improve further: {advice[code]}." if code in advice else ""


def _describe(estimator: Any, trainer: Trainer, best: Any, stopped_by: str, unfinished: bool) -> None:
    """Fitted attributes that tell what happened."""
    member = estimator.members_[0]
    estimator.architecture_ = best.net
    estimator.status_ = best.result.status
    if trainer.interrupted:
        message = f"{stopped_by} after {trainer.elapsed:.0f} s; the best network is kept."
        estimator.status_ = Status("interrupted", message)
    elif unfinished:
        message = f"Stopped after {trainer.elapsed:.1f} s; {estimator.time_budget:g} s were given."
        estimator.status_ = Status("time_budget", message)
    estimator.history_ = {name: np.asarray(column) for name, column in best.progress.history.items()}
    iterations = best.progress.iteration
    estimator.n_iter_ = max(iterations, 1)
    estimator.n_parameters_ = best.net.n_parameters + member.head.size
    estimator.alpha_ = dict(member.alphas)
    estimator.log_evidence_ = float(best.score)
    at = min(best.progress.best.iteration, iterations - 1)
    estimator.effective_dof_ = float(estimator.history_["effective_dof"][at]) if estimator.history_ else np.nan
    estimator.solver_ = best.algebra.text
    estimator.search_ = search_table(trainer)
    estimator.seconds_ = trainer.elapsed


def _warm(estimator: Any, trainer: Trainer, seed: int) -> None:
    """Hook of ``warm_start``: the members of the last fit are the starts of this one."""
    if estimator.warm_start and hasattr(estimator, "members_"):
        for member in estimator.members_:
            turn = sum(net == member.net for net, _ in trainer.weights)
            trainer.weights[member.net, seed + turn] = member.theta


def _fingerprint(estimator: Any, data: Data) -> str:
    """What a checkpoint must have been written for."""
    # None of these changes the way of a run, only how far it goes.
    ignored = ("verbose", "checkpoint", "time_budget", "max_iter", "warm_start")
    parameters = {name: value for name, value in estimator.get_params().items() if name not in ignored}
    if not isinstance(estimator.random_state, int | np.integer):  # the file's own seed is used
        parameters["random_state"] = None
    if isinstance(parameters.get("dynamics"), Dynamics):  # of the user's own, known by name: functions have no digest
        parameters["dynamics"] = parameters["dynamics"].name
    parameters |= {"class": type(estimator).__name__, "total": data.total}
    return fingerprint(parameters, data.x, data.c, data.w, data.x_val, data.c_val)


def _print(record: dict[str, Any], every: int) -> None:
    if record["iteration"] % every == 0:
        print(
            f"{record['phase']}: iteration {record['iteration']}, objective {record['objective']:.4g}, "
            f"train error {record['train_error']:.4g}, log evidence {record['log_evidence']:.6g}, "
            f"{record['seconds']:.1f} s",
            flush=True,
        )
