"""Subsampled Gauss-Newton.

How few samples tell Gauss-Newton where to go, and how many fewer tell it how the objective bends?

Value and gradient come from a sample of n of the N rows, the curvature from a part of that sample. A gradient of a
sample is good enough while its expected error is a share theta of its length (norm test): with ``g_i`` the gradients of
single samples and g that of the sample's objective,

    tr Cov(g_i) / n  (N - n) / (N - 1)  <=  theta^2 ||g||^2 .

Otherwise a sample is drawn that is twice as large, or four times, ..., the first for which this trace and this g would
pass; so few sizes are compiled. On all N rows the left side is zero and the method ends when it is done. For a
separable problem ``g_i`` is taken at the best head of the sample, where the head's own gradient vanishes.

Cost of a test: four passes over the sample. It is for many rows: where a matrix costs three passes (2000 points, one
target), Levenberg-Marquardt on all rows was cheaper.

Sources: Byrd, Chin, Nocedal, Wu, Math. Program. 134 (2012) 127-155, eqs. 3.3 to 3.11 (rule and finite population);
Roosta-Khorasani and Mahoney, Math. Program. 174 (2019) 293-326 (curvature from fewer samples than the gradient).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import (
    DenseProblem,
    Linearization,
    Normal,
    Optimizer,
    PyTree,
    Result,
    SampledProblem,
    Status,
    Work,
    require,
)
from numdl.optimize.drivers.loop import Progress, minimize
from numdl.optimize.drivers.stochastic_epoch import shuffled, take
from numdl.optimize.drivers.stochastic_feed import check_problem
from numdl.optimize.parts.checks import require_unknowns
from numdl.optimize.parts.held_out import held_out
from numdl.optimize.parts.steps import work_of

CALL = "minimize_subsampled"
BATCH = 256
TOO_NOISY = "too_noisy"


class Thinned(eqx.Module):
    """A problem whose curvature comes from a part of its rows; value and gradient are its own.

    Attributes:
        sample: gives value, gradient and companion.
        part: gives curvature.
    """

    sample: SampledProblem
    part: Any

    def value(self, p: PyTree, aux: PyTree) -> tuple[Float[Array, ""], PyTree]:
        """Objective of the sample."""
        return self.sample.value(p, aux)

    def linearize(self, p: PyTree, aux: PyTree) -> Linearization:
        """Value and gradient of the sample, curvature of the part."""
        lin = self.sample.linearize(p, aux)
        return lin._replace(curvature=self.part.linearize(p, lin.aux).curvature)

    def normal(self, p: PyTree, aux: PyTree) -> Normal:
        """Value and gradient of the sample, matrix of the part."""
        lin = self.sample.linearize(p, aux)
        require(self.part, DenseProblem, f"{CALL}(LevenbergMarquardt)", "use TrustRegion")
        thin = self.part.normal(p, lin.aux)
        gradient = ravel_pytree(lin.gradient)[0]
        return thin._replace(value=lin.value, gradient=gradient, aux=lin.aux, metrics=dict(lin.metrics))

    def rows(self, index: Array) -> SampledProblem:
        """Some rows of the sample, with all their curvature."""
        return self.sample.rows(index)

    def work(self, p: PyTree) -> Work:
        """In passes over the sample."""
        whole, share = work_of(self.sample, p), self.part.x.shape[0] / self.sample.x.shape[0]
        matrix = None if whole.matrix is None else whole.linearize + share * whole.matrix
        linearize = whole.linearize + share * whole.linearize
        return whole._replace(linearize=linearize, product=share * whole.product, matrix=matrix)


class Noise(NamedTuple):
    """What the norm test compares: ``tr Cov(g_i)`` and ``||g||^2``."""

    trace: Float[Array, ""]
    square: Float[Array, ""]


@jax.jit
def gradient_noise(problem: Any, p: PyTree, aux: PyTree) -> Noise:
    """Scatter of the gradients of single samples, and the square norm of the gradient of the objective.

    Args:
        problem: has ``x``, ``c``, ``w``, ``linearize`` and ``penalty.gradient``; at least 2 rows.
        p: where.
        aux: companion to start from.

    Returns:
        Both in squared units of the gradient.
    """
    n = problem.x.shape[0]
    lin = problem.linearize(p, aux)
    g = ravel_pytree(lin.gradient)[0]
    mean = g - ravel_pytree(problem.penalty.gradient(p))[0]
    one = jnp.ones(1, bool)

    def deviation(i: Array) -> Array:
        own = jax.grad(lambda q: held_out(take(problem, i[None], one), q, lin.aux))(p)
        return jnp.sum((ravel_pytree(own)[0] - mean) ** 2)

    return Noise(jnp.sum(jax.lax.map(deviation, jnp.arange(n), batch_size=min(n, BATCH))) / (n - 1), g @ g)


def rows_needed(noise: Noise, n: int, total: int, theta: float) -> int:
    """Rows that the norm test asks for: n where it holds, else the first of 2n, 4n, ... that would pass, or all.

    Args:
        noise: at the present point.
        n: rows of the sample.
        total: rows there are.
        theta: share of the gradient's length that its error may have, no unit.

    Returns:
        The number of rows.
    """
    trace, square = float(noise.trace), float(noise.square)
    while n < total and not trace / n * (total - n) / (total - 1) <= theta**2 * square:
        n = min(total, 2 * n)
    return n


def minimize_subsampled(
    problem: SampledProblem,
    optimizer: Optimizer[Thinned],
    p: PyTree,
    aux: PyTree = None,
    *,
    first: int,
    theta: float = 0.5,
    curvature: float = 0.25,
    max_iter: int = 100,
    work: float = math.inf,
    key: int | Array = 0,
    rule: Callable[[Noise, int, int, float], int] = rows_needed,
) -> Result:
    """Lower a problem by a Gauss-Newton method on samples that grow when their gradient is too noisy.

    Args:
        problem: all data (``Empirical``, ``VarPro``). Each sample size is compiled once.
        optimizer: ``TrustRegion`` or ``LevenbergMarquardt``; its steps count their passes.
        p: start.
        aux: companion at the start.
        first: rows of the first sample, at least 2.
        theta: see ``rows_needed``.
        curvature: share of a sample's rows that give the curvature, in (0, 1].
        max_iter: steps in all.
        work: passes over all N rows at most.
        key: seed or JAX random key of the samples.
        rule: ``rule(noise, n, N, theta) -> rows`` after each step.

    Returns:
        The last point; the status on all rows, or ``max_iter``. The history has an entry for each step: ``n`` rows,
        ``objective`` of the sample at the point that was left, ``noise`` (root of the test's left over its right side
        without theta, at the point reached) and ``work``, passes over all N rows so far, tests included.

    Raises:
        ValueError: a setting is out of range, or the data or the start are not finite.
        TypeError: the problem has no samples, or something is of another kind.
    """
    require(problem, SampledProblem, CALL)
    require_unknowns(CALL, p)
    check_problem(problem, CALL)
    total = problem.x.shape[0]
    if not hasattr(problem, "penalty"):
        raise TypeError(f"{CALL}(problem): has no penalty, needs one with gradient(p). Use Empirical or VarPro.")
    first = checks.whole(CALL, "first", first, least=2, most=total, hint=f"The data have {total} rows.")
    checks.number(CALL, "theta", theta, above=0, hint="Use theta=0.5.")
    checks.number(CALL, "curvature", curvature, above=0, most=1, hint="Use curvature=0.25.")
    checks.whole(CALL, "max_iter", max_iter, least=1)
    checks.number(CALL, "work", work, least=0, infinite=True)
    key = checks.key(CALL, "key", key)
    checks.function(CALL, "rule", rule, "(noise, n, N, theta) -> rows")
    history: dict[str, list[float]] = {name: [] for name in ("n", "objective", "noise", "work")}
    n, spent = first, 0.0
    while True:
        order = shuffled(jax.random.fold_in(key, n), total, jnp.asarray(np.int32(total)))
        sample = problem.rows(order[:n])
        thinned = Thinned(sample, problem.rows(order[: max(1, round(curvature * n))]))
        share, before, following = n / total, spent, n

        def judge(
            progress: Progress,
            sample: SampledProblem = sample,
            n: int = n,
            share: float = share,
            before: float = before,
        ) -> Status | None:
            nonlocal spent, following
            noise = gradient_noise(sample, progress.iterate.p, progress.iterate.aux) if n < total else None
            tests = 4.0 * progress.iteration if noise else 0.0
            spent = before + share * (progress.history["work"][-1] + tests)
            ratio = 0.0 if noise is None else float(noise.trace / noise.square) / n * (total - n) / (total - 1)
            row = (n, progress.history["objective"][-1], math.sqrt(ratio), spent)
            for column, entry in zip(history.values(), row, strict=True):
                column.append(float(entry))
            if spent >= work:
                return Status("max_iter", f"Stopped after {spent:.4g} passes over the data; {work:g} were given.")
            following = n if noise is None else rule(noise, n, total, theta)
            return Status(TOO_NOISY, "The gradient of the sample is too noisy.") if following > n else None

        left = max_iter - len(history["n"])
        result, progress = minimize(thinned, optimizer, p, aux, max_iter=left, observe=judge)
        p, aux = progress.iterate.p, progress.iterate.aux
        done = n == total or result.status.code in ("max_iter", "interrupted", "failed")
        if done or len(history["n"]) >= max_iter:
            status = result.status
            if status.code == TOO_NOISY:
                status = Status("max_iter", f"Stopped after {max_iter} iterations, the most that was allowed.")
            return Result(p, aux, status, {name: np.asarray(column) for name, column in history.items()})
        # A method that is done on its sample has nothing more to learn from it.
        n = following if following > n else min(total, 2 * n)
