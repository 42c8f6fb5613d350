"""Stopping rules of iterative regularisation: when should an iteration stop that regularises by stopping?

CGLS and LSQR find the strong directions first: the error of the solution falls, then rises again as noise comes in
(semi-convergence). The number of iterations is the regularisation parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from numdl import checks
from numdl.contracts import Status
from numdl.linalg import KrylovResult

Method = Callable[..., KrylovResult]
"""``cgls`` or ``lsqr``."""


def stop_discrepancy(noise: float, tau: float = 1.01) -> Callable[[Mapping[str, list[float]]], Status | None]:
    """Rule: stop at the first residual that the noise explains (Morozov).

    Args:
        noise: Euclidean norm of the error in b, in the units of b. Not a variance.
        tau: safety factor, no unit, at least 1.

    Returns:
        ``stop(history)`` for ``cgls`` and ``lsqr``.

    Raises:
        ValueError: noise or tau out of range.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 6.4.
    """
    checks.number("stop_discrepancy", "noise", noise, least=0, hint="Give a norm, not a variance.")
    checks.number("stop_discrepancy", "tau", tau, least=1, hint="Use 1.01.")

    def stop(history: Mapping[str, list[float]]) -> Status | None:
        k, residual = len(history["residual"]) - 1, history["residual"][-1]
        if residual > tau * noise:
            return None
        return Status("converged", f"The residual {residual:.3g} is explained by the noise after {k} iterations.")

    return stop


def gcv_of_iterates(residuals: Any, n: int | float, *, weight: float = 1.0, free: int = 0) -> np.ndarray:
    """``n r_k^2 / (n - free - weight k)^2``: an iteration counts as one degree of freedom.

    Args:
        residuals: norms for k = 0, 1, ..., in the units of b.
        n: number of observations, positive.
        weight: of an iteration, positive, no unit.
        free: degrees of freedom spent before (intercept).

    Returns:
        The criterion for each k; infinite where no degree of freedom is left.

    Raises:
        ValueError: an argument is out of range, or not finite.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 6.4.
    """
    residuals = np.asarray(checks.finite("gcv_of_iterates", "residuals", residuals, ("k",)), float)
    checks.squarable("gcv_of_iterates", "residuals", residuals)
    _require("gcv_of_iterates", n, weight, free)
    left = n - free - weight * np.arange(len(residuals))
    return np.where(left > 0, n * residuals**2 / np.where(left > 0, left, 1.0) ** 2, np.inf)


def _require(call: str, n: int | float, weight: int | float, free: int) -> None:
    checks.number(call, "n", n, above=0)
    checks.number(call, "weight", weight, above=0, hint="Use 1.")
    checks.whole(call, "free", free, least=0, hint="Use 0 without an intercept.")


def stop_gcv(
    n: int | float, *, weight: float = 1.0, free: int = 0, patience: int = 5
) -> Callable[[Mapping[str, list[float]]], Status | None]:
    """Rule: stop when generalised cross validation has not fallen for some iterations; the best lies that far back.

    Args:
        n: number of observations, positive.
        weight: as for ``gcv_of_iterates``.
        free: as for ``gcv_of_iterates``.
        patience: iterations without a new minimum, at least 1.

    Returns:
        ``stop(history)`` for ``cgls`` and ``lsqr``.

    Raises:
        ValueError: an argument is out of range.
    """
    _require("stop_gcv", n, weight, free)
    checks.whole("stop_gcv", "patience", patience, least=1)

    def stop(history: Mapping[str, list[float]]) -> Status | None:
        values = gcv_of_iterates(history["residual"], n, weight=weight, free=free)
        best = int(np.argmin(values))
        if len(values) - 1 - best < patience:
            return None
        return Status("converged", f"Generalised cross validation is least after {best} iterations.")

    return stop


def iterate_by_gcv(
    method: Method,
    A: Any,
    b: Any,
    *,
    max_iter: int = 200,
    weight: float = 1.0,
    free: int = 0,
    patience: int = 5,
    observations: float | None = None,
) -> tuple[KrylovResult, int]:
    """Run a method, find the best number of iterations by GCV, and return that iterate.

    The run is repeated up to the best iteration: keeping all iterates would take their memory.

    Args:
        method: ``cgls`` or ``lsqr``.
        A: whatever ``numdl.linalg.as_operator`` takes, (n, p).
        b: targets, (n,).
        max_iter: iterations at most.
        weight: as for ``gcv_of_iterates``.
        free: as for ``gcv_of_iterates``.
        patience: as for ``stop_gcv``.
        observations: how many the rows stand for, positive; None for one each.

    Returns:
        The iterate with the history of the first run, and its number.

    Raises:
        ValueError: an argument is out of range, or not finite.
        TypeError: the method is no function.
    """
    call = "iterate_by_gcv"
    checks.function(call, "method", method, "cgls or lsqr")
    b = checks.finite(call, "b", b, ("n",))
    checks.whole(call, "max_iter", max_iter, least=0)
    n = len(b) if observations is None else checks.number(call, "observations", observations, above=0)
    run = method(A, b, max_iter=max_iter, stop=stop_gcv(n, weight=weight, free=free, patience=patience))
    best = int(np.argmin(gcv_of_iterates(run.history["residual"], n, weight=weight, free=free)))
    if best == len(run.history["residual"]) - 1:
        return run, best
    return method(A, b, max_iter=best, stop=None)._replace(status=run.status, history=run.history), best
