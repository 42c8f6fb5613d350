"""Stochastic approximation with mini-batches.

How is an objective lowered from a few samples at a time (stochastic approximation)?

Each epoch sees every row once, in an order drawn by a key: the batches of the data in memory, or of a piece of them,
are the steps of one compiled loop. Checks, validation, budget and Ctrl-C happen between such loops.

Sources: Robbins and Monro, Ann. Math. Stat. 22 (1951) 400-407; Bottou, Curtis, Nocedal, SIAM Rev. 60 (2018), sec. 3-4;
Polyak and Juditsky, SIAM J. Control Optim. 30 (1992) 838-855 (averaging).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Problem, PyTree, Result, SampledProblem, Status, StochasticOptimizer, require
from numdl.contracts.interrupts import within_search
from numdl.contracts.threads import one_blas_thread, require_threads
from numdl.optimize.drivers.stochastic_epoch import Chain, Point, Tally, blank, evaluate, run_epoch, verified
from numdl.optimize.drivers.stochastic_feed import (
    CALL,
    Part,
    Pieces,
    check_pieces,
    check_problem,
    first_length,
    from_pieces,
    in_memory,
)
from numdl.optimize.parts.checks import require_limit, require_pytree, require_unknowns
from numdl.optimize.parts.steps import scalars_like


class StochasticProgress(NamedTuple):
    """A run between two compiled loops; all that is needed to go on to the same last bit.

    Attributes:
        chain: unknowns, memory, damping, average and the sums of the epoch that has begun.
        history: one list per recorded quantity, one entry per finished epoch.
        epoch: finished epochs.
        part: finished parts of the epoch that has begun.
        steps: batches so far.
        rows: rows of an epoch; 0 until the first has ended.
        capacity: rows of a part of the data; 0 until the first piece has come.
        seconds: time spent so far, over all sessions.
    """

    chain: Chain
    history: dict[str, list[float]]
    epoch: int
    part: int
    steps: int
    rows: int
    capacity: int
    seconds: float


class Settings(NamedTuple):
    """What ``minimize_stochastic`` was asked for."""

    batch: int
    epochs: int
    rate: float | Callable[[Array], Any]
    key: Array
    validation: Problem | None
    pieces: Pieces | None
    average_from: int | None
    time_budget: float | None


def minimize_stochastic(
    problem: SampledProblem,
    method: StochasticOptimizer,
    p: PyTree,
    aux: PyTree = None,
    *,
    batch: int,
    epochs: int,
    rate: float | Callable[[Array], Any],
    key: int | Array = 0,
    validation: Problem | None = None,
    pieces: Pieces | None = None,
    average_from: int | None = None,
    observe: Callable[[StochasticProgress], Status | None] | None = None,
    time_budget: float | None = None,
    resume: StochasticProgress | None = None,
) -> tuple[Result, StochasticProgress]:
    """Lower a problem by steps on batches of its rows.

    The history has, for each epoch, ``objective`` and ``gradient_norm`` (means over the rows of what their batches said
    before their steps), ``rejected`` (batches that were not finite: the step before was undone and the rate halved),
    ``damping`` (factor on the rate; 64 accepted steps double it, up to 1), ``work`` (passes over all rows, cumulative;
    validation is not counted), ``seconds``, and ``validation``.

    Args:
        problem: has samples ``x``, targets ``c``, weights ``w``, as ``Empirical`` and ``VarPro``. With ``pieces`` its
            rows only give shapes and types.
        method: ``StochasticGradient`` or ``SlimTrain``.
        p: start.
        aux: the problem's companion at the start.
        batch: rows of a batch, at least 1; the last one of an epoch, or of a piece, may be short.
        epochs: passes over the data in all, those of ``resume`` included.
        rate: step length, or a schedule ``rate(step)`` such as those of optax; no unit.
        key: seed or JAX random key of the shuffles.
        validation: a problem whose objective is recorded after each epoch; None for none.
        pieces: data that do not fit into memory: a callable that makes an iterator over ``(x, c)`` or ``(x, c, w)``,
            read in its order and shuffled piece by piece; or a sequence of such (``numdl.data.row_pieces``), whose
            order is shuffled as well.
        average_from: the result is the mean of all iterates from this epoch on (Polyak-Ruppert); None for the last one.
        observe: called after each epoch; a Status it returns ends the run.
        time_budget: seconds at most, checked after each piece; None for no limit.
        resume: go on from here instead of from ``p``, with the same other arguments.

    Returns:
        The last point, or the average, as a Result, and the progress to resume from. Ctrl-C ends the run with status
        ``interrupted`` and loses at most the piece that is being worked on.

    Raises:
        ValueError: a setting or the data are out of range, or the objective is not finite at the start.
        TypeError: problem or method miss a part of their contract or are no pytrees, or pieces can be read only once.

    Examples:
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from numdl.optimize import StochasticGradient, minimize_stochastic
        >>> from numdl.problems import NonlinearLeastSquares
        >>> def decay(p, x):
        ...     return p[0] * jnp.exp(-p[1] * x)
        ...
        >>> x = jnp.linspace(0.0, 2.0, 64)[:, None]
        >>> problem = NonlinearLeastSquares(decay, x, 2.0 * jnp.exp(-0.7 * x), w=jnp.ones(64))
        >>> start, method = jnp.array([1.0, 1.0]), StochasticGradient(optax.sgd(1.0))
        >>> result, _ = minimize_stochastic(problem, method, start, batch=8, epochs=40, rate=0.5)
        >>> bool(abs(result.p - jnp.array([2.0, 0.7])).max() < 0.1)
        True
    """
    batch = checks.whole(CALL, "batch", batch, least=1, hint="Use batch=10.")
    epochs = checks.whole(CALL, "epochs", epochs, least=0)
    if not callable(rate):
        checks.number(CALL, "rate", rate, least=0, hint="Use rate=1e-2.")
    require_unknowns(CALL, p)
    require(problem, SampledProblem, CALL, "use Empirical or VarPro, with weights of 1 if all samples count alike")
    require(method, StochasticOptimizer, CALL, "use StochasticGradient or SlimTrain; other methods are for minimize")
    require_pytree(CALL, problem=problem, method=method, aux=aux)
    check_problem(problem)
    check_pieces(pieces)
    if pieces is None:  # what is more would be filled with copies
        batch = min(batch, problem.x.shape[0])
    require_limit(CALL, "time_budget", time_budget)
    random_key = checks.key(CALL, "key", key)
    if validation is not None:
        require(validation, Problem, f"{CALL}(validation)")
    if average_from is not None:
        checks.whole(CALL, "average_from", average_from, least=0)
    if observe is not None:
        checks.function(CALL, "observe", observe, "progress -> Status or None")
    if resume is not None:
        checks.instance(CALL, "resume", resume, StochasticProgress, "Give the second result of minimize_stochastic.")
    settings = Settings(batch, epochs, rate, random_key, validation, pieces, average_from, time_budget)
    require_threads("minimize_stochastic")
    with one_blas_thread():
        progress = _start(problem, method, p, aux, settings)
        if resume is not None:
            _require_like(resume, progress)
            progress = resume
        status, progress, last = _run(problem, method, progress, settings, observe)
        point = progress.chain.now if last is None else verified(method, last, progress.chain, batch=batch)
    p, aux = _answer(point)
    history = {name: np.asarray(column) for name, column in progress.history.items()}
    return Result(p, aux, status, history), progress


def _start(
    problem: SampledProblem, method: StochasticOptimizer, p: PyTree, aux: PyTree, settings: Settings
) -> StochasticProgress:
    p, aux = jax.tree.map(jnp.asarray, (p, aux))
    iterate = method.init(blank(problem, settings.batch), p, aux)
    none = jnp.asarray(np.int32(0))
    one, zero, unknown = scalars_like(p, 1.0, 0.0, np.inf)
    point = Point(iterate, None if settings.average_from is None else (iterate.p, iterate.aux), none)
    chain = Chain(point, point, one, unknown, Tally(none, zero, zero, none))
    if settings.pieces is None:
        capacity = problem.x.shape[0]
    else:
        capacity = first_length(settings.pieces) or 0
    return StochasticProgress(chain, {}, 0, 0, 0, 0, capacity, 0.0)


def _require_like(resume: StochasticProgress, fresh: StochasticProgress) -> None:
    """Refuse to go on from a run whose memory is not that of this method on these unknowns and batches."""
    kinds = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), one.chain) for one in (resume, fresh)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"{CALL}(resume): that run had another method, batch size, averaging or other unknowns, needs the same. "
            "Give the same arguments as there, or start anew from its result."
        )


def _run(
    problem: SampledProblem,
    method: StochasticOptimizer,
    progress: StochasticProgress,
    settings: Settings,
    observe: Callable[[StochasticProgress], Status | None] | None,
) -> tuple[Status, StochasticProgress, Any]:
    """Epochs until something says stop: why, where, and the data of the last part."""
    clock = partial(lambda began: time.perf_counter() - began, time.perf_counter() - progress.seconds)
    last = None
    try:
        while progress.epoch < settings.epochs:
            key = jax.random.fold_in(settings.key, progress.epoch)
            rows = 0
            for number, part in enumerate(_parts(problem, progress, settings, key)):
                rows += part.valid
                if number < progress.part:  # done before the run was interrupted
                    continue
                if progress.part and (ended := _over_time(progress, settings)):
                    return ended, progress, last
                progress, last = _one_part(method, part, progress, settings, key, clock), part.problem
            progress = _book(method, problem, progress, settings, rows, clock)
            ended = _failed(progress) or (observe(progress) if observe else None) or _over_time(progress, settings)
            if ended:
                return ended, progress, last
    except KeyboardInterrupt:
        if within_search():
            raise
        message = f"Ctrl-C came after {progress.epoch} epochs and {progress.steps} steps; they are kept."
        return Status("interrupted", message), progress, last
    message = f"Stopped after {settings.epochs} epochs, as many as were asked for."
    return Status("max_iter", message), progress, last


def _parts(problem: SampledProblem, progress: StochasticProgress, settings: Settings, key: Array) -> Any:
    if settings.pieces is None:
        return in_memory(problem)
    return from_pieces(problem, settings.pieces, key, progress.capacity or None, progress.rows or None)


def _one_part(
    method: StochasticOptimizer,
    part: Part,
    progress: StochasticProgress,
    settings: Settings,
    key: Array,
    clock: Callable[[], float],
) -> StochasticProgress:
    """All batches of one part."""
    capacity = part.problem.x.shape[0]
    rates = _rates(settings.rate, progress.steps, -(-capacity // settings.batch), progress.chain.damping.dtype)
    average = settings.average_from is not None and progress.epoch >= settings.average_from
    chain = run_epoch(
        method,
        part.problem,
        progress.chain,
        jax.random.fold_in(key, progress.part),
        jnp.asarray(np.int32(part.valid)),
        rates,
        jnp.asarray(np.bool_(average)),
        batch=settings.batch,
    )
    first = float(jax.block_until_ready(chain).first)
    if progress.steps == 0 and not math.isfinite(first):
        raise ValueError(
            f"{CALL}: at the start, in batch 0 of epoch 0 (rows drawn by the key), the objective is {first}, needs a "
            "finite value. Scale the data, or start from smaller weights."
        )
    steps = progress.steps + -(-part.valid // settings.batch)
    return progress._replace(chain=chain, part=progress.part + 1, steps=steps, capacity=capacity, seconds=clock())


def _rates(rate: Any, first: int, count: int, dtype: Any) -> Float[Array, " count"]:
    """The schedule at the steps from ``first`` on."""
    if not callable(rate):
        return jnp.asarray(np.full(count, rate, dtype))
    rates = np.asarray(jax.vmap(rate)(jnp.arange(first, first + count, dtype=jnp.int32)), dtype)
    wrong = ~(np.isfinite(rates) & (rates >= 0))
    if wrong.any():
        step, value = first + int(np.argmax(wrong)), rates[np.argmax(wrong)]
        raise ValueError(f"{CALL}: the schedule says rate({step}) = {value}, needs a finite rate >= 0. Correct it.")
    return jnp.asarray(rates)


def _book(
    method: StochasticOptimizer,
    problem: SampledProblem,
    progress: StochasticProgress,
    settings: Settings,
    rows: int,
    clock: Callable[[], float],
) -> StochasticProgress:
    """Write an epoch into the history and set its sums to zero."""
    chain = progress.chain
    tally = jax.device_get(chain.tally)
    count = float(tally.rows) or math.nan
    row = {
        "objective": float(tally.objective) / count,
        "gradient_norm": float(tally.gradient_norm) / count,
        "rejected": int(tally.rejected),
        "damping": float(chain.damping),
        "work": method.passes(problem, chain.now.iterate.p) * (progress.epoch + 1),
    }
    if settings.validation is not None:
        row["validation"] = float(evaluate(method, settings.validation, *_answer(chain.now)))
    row["seconds"] = clock()
    history = {name: [*progress.history.get(name, []), value] for name, value in row.items()}
    chain = chain._replace(tally=jax.tree.map(jnp.zeros_like, chain.tally))
    return progress._replace(
        chain=chain, history=history, epoch=progress.epoch + 1, part=0, rows=rows, seconds=row["seconds"]
    )


def _answer(point: Point) -> tuple[PyTree, PyTree]:
    """Unknowns and companion: the average once there is one."""
    if point.mean is not None and int(point.averaged):
        return point.mean
    return point.iterate.p, point.iterate.aux


def _failed(progress: StochasticProgress) -> Status | None:
    if math.isfinite(progress.history["objective"][-1]):
        return None
    message = f"No batch of epoch {progress.epoch - 1} had a finite objective. Use a smaller rate."
    return Status("failed", message)


def _over_time(progress: StochasticProgress, settings: Settings) -> Status | None:
    if settings.time_budget is None or progress.seconds < settings.time_budget:
        return None
    message = f"Stopped after {progress.seconds:.1f} s; {settings.time_budget:g} s were given."
    return Status("time_budget", message)
