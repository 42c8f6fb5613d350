"""Sample average approximation (SAA).

How large a sample does sample average approximation need, and when is a sample used up?

Retrospective approximation: lower the mean over a sample of n_j rows, ask m rows that the method has not seen, take a
larger sample from where it stands. A sample is used up when its objective has fallen below what the fresh rows say.
With the losses ``l_i`` of the sample S and of the fresh rows F at the present point,

    gap = mean_F l - mean_S l ,    se^2 = var_F(l) / m + var_S(l) / n_j ,    used up: gap > z se ,

z the (1 - level) quantile of the normal distribution: a one-sided test of "the sample still speaks for all data". The
mean over S at the sample's minimiser is biased downwards, so the gap bounds from above how far the sample misleads. A
sample is large enough when its method is done and the upper end of the interval, ``gap + z se``, is below ``tol`` times
``mean_F l``; else n grows by a factor, up to all rows. Testing after every step rejects more often than ``level``.

Sources: Shapiro, Dentcheva, Ruszczynski, Lectures on Stochastic Programming, SIAM 2009, sec. 5.1.1 (bias) and 5.6.1
(validation of a candidate by fresh samples); Pasupathy, Oper. Res. 58 (2010) 889-901 (retrospective approximation,
geometric growth); Royset, Comput. Optim. Appl. 55 (2013) 265-309 (control of the sample size).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Optimizer, Problem, PyTree, Result, SampledProblem, Status, require
from numdl.optimize.drivers.loop import Progress, minimize
from numdl.optimize.drivers.stochastic_epoch import shuffled
from numdl.optimize.drivers.stochastic_feed import check_problem
from numdl.optimize.parts.checks import require_unknowns
from numdl.optimize.parts.held_out import held_out_losses, held_out_value

CALL = "minimize_sample_average"
USED_UP = "used_up"


class Gap(NamedTuple):
    """What fresh rows say about a sample.

    Attributes:
        gap: mean loss of the fresh rows minus that of the sample.
        error: its standard error.
        fresh: mean loss of the fresh rows.
    """

    gap: float
    error: float
    fresh: float


def sample_gap(sample: Float[np.ndarray, " n"], fresh: Float[np.ndarray, " m"]) -> Gap:
    """Difference of two means with its standard error (Welch).

    Args:
        sample: losses of the rows that the point was fitted to, n >= 2.
        fresh: losses of rows that it has not seen, m >= 2.

    Returns:
        Gap in the unit of the losses; positive if the sample flatters.

    Raises:
        ValueError: fewer than two losses, or one that is not finite.
    """
    for name, losses in (("sample", sample), ("fresh", fresh)):
        if len(checks.finite("sample_gap", name, losses, ("n",))) < 2:
            raise ValueError(f"sample_gap({name} of shape {losses.shape}): needs at least 2 losses. Draw more rows.")
    error = math.sqrt(np.var(sample, ddof=1) / len(sample) + np.var(fresh, ddof=1) / len(fresh))
    return Gap(float(np.mean(fresh) - np.mean(sample)), error, float(np.mean(fresh)))


def minimize_sample_average(
    problem: SampledProblem,
    optimizer: Optimizer,
    p: PyTree,
    aux: PyTree = None,
    *,
    first: int,
    growth: float = 2.0,
    level: float = 0.05,
    tol: float = 0.05,
    max_iter: int = 20,
    work: float = math.inf,
    key: int | Array = 0,
    validation: Problem | None = None,
) -> Result:
    """Lower a problem on samples that grow when they are used up.

    The history has one entry for each sample: ``n`` rows, ``steps``, ``objective`` (sample mean of the misfit at its
    end), ``fresh`` (that of the fresh rows), ``gap``, ``error``, ``used_up`` (1 if the test ended it), ``work`` (passes
    over all rows so far, tests included) and ``validation``.

    Args:
        problem: all data. Each sample size is compiled once.
        optimizer: method for a sample; its steps must count their passes as ``metrics["work"]``.
        p: start.
        aux: companion at the start.
        first: rows of the first sample, at least 2.
        growth: factor from a sample to the next, above 1.
        level: probability that one test calls a sample used up that is not, in (0, 1/2).
        tol: half-width that is good enough, relative to the mean loss of the fresh rows, no unit.
        max_iter: steps on a sample at most.
        work: passes over all rows at most.
        key: seed or JAX random key of the samples.
        validation: held-out data, recorded and not counted; None for none.

    Returns:
        The last point; ``converged`` if a sample was large enough, or the method was done on all rows.

    Raises:
        ValueError: a setting is out of range, or the data or the start are not finite.
        TypeError: the problem has no samples, or something is of another kind.
    """
    require(problem, SampledProblem, CALL)
    require_unknowns(CALL, p)
    check_problem(problem, CALL)
    total = problem.x.shape[0]
    first = checks.whole(CALL, "first", first, least=2, most=total, hint=f"The data have {total} rows.")
    checks.number(CALL, "growth", growth, above=1, hint="Use growth=2.")
    checks.number(CALL, "level", level, above=0, below=0.5, hint="Use level=0.05.")
    checks.number(CALL, "tol", tol, least=0)
    checks.whole(CALL, "max_iter", max_iter, least=1)
    checks.number(CALL, "work", work, least=0, infinite=True)
    key = checks.key(CALL, "key", key)
    if validation is not None:
        require(validation, Problem, f"{CALL}(validation)")
    z = NormalDist().inv_cdf(1 - level)
    history: dict[str, list[float]] = {}
    n, spent, number = first, 0.0, 0
    while True:
        order = np.asarray(shuffled(jax.random.fold_in(key, number), total, jnp.asarray(np.int32(total))))
        sample = problem.rows(jnp.asarray(order[:n]))
        # One fresh row has no variance: the sample is then judged as if it were all data.
        fresh = problem.rows(jnp.asarray(order[n : 2 * n])) if total - n >= 2 else None
        passed = _on_sample(sample, fresh, optimizer, p, aux, max_iter, z, total, work - spent)
        p, aux, spent = passed.p, passed.aux, spent + passed.work
        row = passed.row | {"n": n, "work": spent}
        if validation is not None:
            row["validation"] = float(held_out_value(validation, p, aux))
        for name, value in row.items():
            history.setdefault(name, []).append(value)
        status = _enough(passed, fresh is None, z, tol, spent, work)
        if status is not None:
            return Result(p, aux, status, {name: np.asarray(column) for name, column in history.items()})
        n, number = min(total, math.ceil(growth * n)), number + 1


class _Passed(NamedTuple):
    """What happened on one sample."""

    p: PyTree
    aux: PyTree
    status: Status
    work: float
    row: dict[str, float]


def _on_sample(
    sample: SampledProblem,
    fresh: SampledProblem | None,
    optimizer: Optimizer,
    p: PyTree,
    aux: PyTree,
    max_iter: int,
    z: float,
    total: int,
    budget: float,
) -> _Passed:
    """Steps on one sample until its method is done, the test says it is used up, or the passes are spent."""
    share = sample.x.shape[0] / total
    test = 0.0 if fresh is None else share + fresh.x.shape[0] / total  # a pass forward over both
    gap = Gap(0.0, 0.0, math.nan)
    spent = 0.0

    def judge(progress: Progress) -> Status | None:
        nonlocal gap, spent
        iterate = progress.iterate
        spent = progress.history["work"][-1] * share + progress.iteration * test
        if fresh is not None:
            losses = (np.asarray(held_out_losses(part, iterate.p, iterate.aux)) for part in (sample, fresh))
            gap = sample_gap(*losses)
            if gap.gap > z * gap.error:
                return Status(USED_UP, "Fresh samples say more than the sample.")
        return Status("max_iter", "The passes are spent.") if spent >= budget else None

    result, progress = minimize(sample, optimizer, p, aux, max_iter=max_iter, observe=judge)
    iterate = progress.iterate
    row = {
        "steps": progress.iteration,
        "objective": float(held_out_value(sample, iterate.p, iterate.aux)),
        **gap._asdict(),
        "used_up": float(result.status.code == USED_UP),
    }
    return _Passed(iterate.p, iterate.aux, result.status, spent, row)


def _enough(passed: _Passed, everything: bool, z: float, tol: float, spent: float, work: float) -> Status | None:
    """Why to stop, or None for a larger sample."""
    if passed.status.code in ("failed", "interrupted") or everything:
        return passed.status
    if spent >= work:
        return Status("max_iter", f"Stopped after {spent:.4g} passes over the data; {work:g} were given.")
    upper = passed.row["gap"] + z * passed.row["error"]
    if passed.status.code != USED_UP and upper <= tol * passed.row["fresh"]:
        return Status("converged", f"Fresh samples exceed the sample by at most {upper:.3g}, {tol:g} of their mean.")
    return None
