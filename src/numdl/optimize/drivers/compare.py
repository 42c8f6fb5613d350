"""Stochastic against sample average approximation.

Which method learns most from the same passes over the same data: stochastic or sample average approximation?

One call runs every method until it has spent its passes over the training data (work units: a forward or a backward
pass over all n samples counts one, inner solves included) and records the misfit of training and validation data on the
way. These recordings are not counted: no method asked for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Optimizer, Problem, PyTree, Result, Status, StochasticOptimizer, require
from numdl.optimize.drivers.loop import Progress, minimize
from numdl.optimize.drivers.stochastic import StochasticProgress, minimize_stochastic
from numdl.optimize.parts.checks import require_limit, require_pytree, require_unknowns
from numdl.optimize.parts.held_out import held_out_value


class Entry(NamedTuple):
    """A method that takes part, and what is special about it.

    Attributes:
        method: an optimiser of ``minimize``, or with ``batch`` a method of ``minimize_stochastic``.
        batch: rows of a batch; None for all rows at once.
        rate: step length or schedule of a stochastic method.
        problem: the same data in another form, as ``coupled`` for methods that do not eliminate the head; None for the
            common problem, start and validation.
        p: start for that form.
        aux: companion for that form.
        validation: validation data in that form.
    """

    method: Optimizer | StochasticOptimizer
    batch: int | None = None
    rate: float | Callable[[Array], Any] = 1e-3
    problem: Problem | None = None
    p: PyTree = None
    aux: PyTree = None
    validation: Problem | None = None


class Curve(NamedTuple):
    """What one method reached, after each step or epoch.

    Attributes:
        work: passes over the training data so far, (steps,).
        seconds: time so far, recordings included, (steps,).
        training: mean misfit of the training data, (steps,).
        validation: mean misfit of the validation data, (steps,); empty without any.
        result: what the method returned.
    """

    work: Float[np.ndarray, " steps"]
    seconds: Float[np.ndarray, " steps"]
    training: Float[np.ndarray, " steps"]
    validation: Float[np.ndarray, " steps"]
    result: Result


def compare(
    problem: Problem,
    methods: Mapping[str, Entry | Optimizer],
    p: PyTree,
    aux: PyTree = None,
    *,
    work: float | int,
    validation: Problem | None = None,
    key: int | Array = 0,
    time_budget: float | None = None,
) -> dict[str, Curve]:
    """Run methods on the same data for the same number of passes.

    Args:
        problem: training data; for stochastic methods with ``x``, ``c`` and ``w``.
        methods: name to ``Entry``, or to an optimiser that takes part as it is.
        p: common start.
        aux: companion at the start.
        work: passes over the training data for each method; the step or epoch that exceeds them is the last.
        validation: held-out data as a problem; None for none.
        key: of the batches of the stochastic methods.
        time_budget: seconds for each method, compilation and recordings included; None for no limit. Where it is spent
            before the passes, the status of the result says so.

    Returns:
        Name to curve.

    Raises:
        ValueError: ``work`` is not positive, a method does not count its passes, or as ``minimize``.
        TypeError: ``methods`` has no names, or as ``minimize``.
    """
    checks.number("compare", "work", work, above=0, hint="Use work=100, in passes over the data.")
    require_unknowns("compare", p)
    require(problem, Problem, "compare")
    if validation is not None:
        require(validation, Problem, "compare(validation)")
    if not isinstance(methods, Mapping) or not methods:
        raise TypeError(
            f"compare(methods={checks.shown(methods)}): needs names with methods. Give for example "
            "{'L-BFGS': numdl.optimize.LBFGS()}."
        )
    require_pytree("compare", aux=aux)
    require_limit("compare", "time_budget", time_budget)
    key = checks.key("compare", "key", key)
    curves = {}
    for name, method in methods.items():
        entry = method if isinstance(method, Entry) else Entry(method)
        if entry.problem is None:
            entry = entry._replace(problem=problem, p=p, aux=aux, validation=validation)
        curves[name] = _curve(name, entry, work, key, time_budget)
    return curves


def _curve(name: str, entry: Entry, work: float | int, key: int | Array, time_budget: float | None) -> Curve:
    columns: dict[str, list[float]] = {"work": [], "seconds": [], "training": [], "validation": []}

    def record(history: Mapping[str, list[float]], p: PyTree, aux: PyTree) -> Status | None:
        if "work" not in history:
            raise ValueError(
                f"compare: {name!r} does not count its passes over the data, needs metrics['work'] in each step. Leave "
                "it out, or count them."
            )
        columns["work"].append(history["work"][-1])
        columns["seconds"].append(history["seconds"][-1])
        columns["training"].append(float(held_out_value(entry.problem, p, aux)))
        if entry.validation is not None:
            columns["validation"].append(float(held_out_value(entry.validation, p, aux)))
        if history["work"][-1] < work:
            return None
        return Status("max_iter", f"Stopped after {history['work'][-1]:g} passes over the data; {work:g} were given.")

    method: Any = entry.method  # ``batch`` says which of the two it is, and its driver looks whether that is true
    problem: Any = entry.problem
    if entry.batch is None:

        def after_step(progress: Progress) -> Status | None:
            return record(progress.history, progress.iterate.p, progress.iterate.aux)

        result, _ = minimize(
            problem, method, entry.p, entry.aux,
            max_iter=math.ceil(work), observe=after_step, time_budget=time_budget,
        )  # fmt: skip
    else:

        def after_epoch(progress: StochasticProgress) -> Status | None:
            iterate = progress.chain.now.iterate
            return record(progress.history, iterate.p, iterate.aux)

        result, _ = minimize_stochastic(
            problem, method, entry.p, entry.aux,
            batch=entry.batch, epochs=math.ceil(work), rate=entry.rate, key=key, observe=after_epoch,
            time_budget=time_budget,
        )  # fmt: skip
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    return Curve(**arrays, result=result)
