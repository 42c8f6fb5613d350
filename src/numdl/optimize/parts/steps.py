"""Steps of a minimisation: acceptance of trials, stopping criteria and cost.

What is compiled once for all problems of the same shapes, what does a step cost, may it be kept, and when is an
iteration done? Problem data and penalty parameters are arguments, never closures: changing them compiles nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from numdl.contracts import CountedProblem, Iterate, Optimizer, Problem, ProblemT, PyTree, Status, Work

RUNNING = Status("running", "Still running.")


SMALL = 100_000
"""Numbers in problem and unknowns up to which a step takes less time than its compilation does."""

QUICKLY = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__[:2] == (0, 10) else None
"""JAX 0.10 spends a quarter less on the first fit of a network to 100 rows so, 9.4 -> 6.9 CPU s, and a tenth less with
500. With 20,000 rows steps take a sixth longer. Later versions do not know the option; their preset for fast
compilation gains nothing here."""


def compiled_step(optimizer: Optimizer[ProblemT], problem: ProblemT, iterate: Iterate) -> Iterate:
    """One step; problem data and penalty parameters are arguments, so changing them compiles nothing."""
    size = sum(np.size(leaf) for leaf in jax.tree.leaves((problem, iterate.p)))
    return (_compiled_quickly if size <= SMALL else _compiled)(optimizer, problem, iterate)


def _step(optimizer: Optimizer[ProblemT], problem: ProblemT, iterate: Iterate) -> Iterate:
    return optimizer.step(problem, iterate)


_compiled, _compiled_quickly = jax.jit(_step), jax.jit(_step, compiler_options=QUICKLY)


def scalars_like(p: PyTree, *values: float) -> list[Array]:
    """JAX scalars of the dtype of p, made by NumPy: small eager operations, ``jnp.asarray`` too, are compiled each."""
    dtype = np.result_type(*(leaf.dtype for leaf in jax.tree.leaves(p)))
    return [jax.device_put(np.asarray(value, dtype)) for value in values]


def work_of(problem: Problem, p: PyTree) -> Work:
    """Cost of a problem's operations.

    Args:
        problem: may have ``work(p) -> Work``.
        p: unknowns, for their sizes only.

    Returns:
        Its own answer, or that of a model with one forward and one backward pass.
    """
    return problem.work(p) if isinstance(problem, CountedProblem) else Work()


def plateau(values: Sequence[float], tol: float, window: int = 5) -> Status:
    """Converged when the last ``window`` steps together lowered the objective by less than ``tol`` relative.

    Args:
        values: objective of each iteration, lowest last or nearly so.
        tol: relative decrease, no unit; 0 never stops.
        window: number of steps judged together.

    Returns:
        ``running`` or ``converged``.
    """
    if len(values) <= window or tol <= 0:
        return RUNNING
    before, now = values[-window - 1], values[-1]
    if before - now <= tol * abs(before):
        return Status("converged", f"The last {window} steps lowered the objective by less than {tol:g} of its value.")
    return RUNNING


def judge(
    value: Float[Array, ""], new: Float[Array, ""], predicted: Float[Array, ""]
) -> tuple[Bool[Array, ""], Float[Array, ""]]:
    """Whether a trial is good, and the ratio of actual to predicted decrease.

    Args:
        value: objective where the trial started.
        new: objective there; a number that is not finite is never good, nor is one above ``value``.
        predicted: decrease of the model, positive.

    Returns:
        Whether at least 1e-4 of the promise was kept, and the ratio, no unit.
    """
    ratio = (value - new) / predicted
    return jnp.isfinite(new) & (new <= value) & (ratio > 1e-4), ratio


def kept_if(good: Bool[Array, ""], new: PyTree, old: PyTree) -> PyTree:
    """The new tree where the trial is good, else the old one."""
    return jax.tree.map(functools.partial(jnp.where, good), new, old)


def trial_status(history: Mapping[str, Sequence[float]], tol: float, what: str) -> Status:
    """``stalled`` when three steps in a row found no good trial, ``converged`` on a plateau of the objective.

    Args:
        history: columns ``objective`` and ``accepted``.
        tol: relative decrease of the objective over five steps.
        what: that was tried, for the sentence.

    Returns:
        ``running``, or why to stop.
    """
    accepted = history["accepted"]
    if len(accepted) >= 3 and not any(accepted[-3:]):
        return Status("stalled", f"No {what} lowers the objective any more: it is minimal to rounding.")
    return plateau(history["objective"], tol)


def scaled_gradient(
    gradient: Float[Array, " p"], diagonal: Float[Array, " p"], value: Float[Array, ""]
) -> Float[Array, ""]:
    """Largest ``|g_i| / sqrt(2 H_ii F)``, no unit: its square is the share of F that one unknown alone could remove.

    For least squares it is the largest cosine between the residual and a column of the Jacobian.

    Args:
        gradient: g, (p,).
        diagonal: of the Gauss-Newton matrix with its penalty, (p,), not negative.
        value: F, not negative.

    Returns:
        In [0, 1] for least squares, whatever the units of the unknowns; 0 where nothing is seen.

    Source: More, The Levenberg-Marquardt algorithm, Lecture Notes in Mathematics 630 (1978), sec. 5.
    """
    size = jnp.sqrt(diagonal) * jnp.sqrt(2 * value)
    return jnp.max(jnp.where(size > 0, jnp.abs(gradient) / jnp.where(size > 0, size, 1.0), 0.0), initial=0.0)


STEEP = 1e-6
"""Share of the objective that one unknown could remove, beyond which no plateau is a minimum."""


def level_status(history: Mapping[str, Sequence[float]], status: Status, tol: float) -> Status:
    """``stalled`` instead of ``converged`` where the scaled gradient is large: a plateau is no minimum.

    Args:
        history: columns ``objective`` and ``scaled_gradient``; without the latter nothing changes.
        status: of the objective.
        tol: relative decrease that ended it.

    Returns:
        The status.
    """
    if status.code not in ("converged", "stalled") or not history.get("scaled_gradient"):
        return status
    slope, values = history["scaled_gradient"][-1], history["objective"]
    exact = values[-1] <= 1e-20 * max(values)  # nothing but rounding is left
    if exact or not slope**2 > max(STEEP, 100 * tol):
        return status
    return Status(
        "stalled",
        f"No step lowers the objective any more, but its scaled gradient is {slope:.2g}: this is no minimum. Use "
        "LevenbergMarquardtQR, another start, or other units of the unknowns.",
    )
