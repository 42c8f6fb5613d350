"""Convergence order test: with which order does a discretisation converge?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numdl import checks
from numdl.testing.precision import precision_of


class OrderResult(NamedTuple):
    """Errors by number of steps.

    Attributes:
        nts: numbers of steps, (count,).
        errors: largest absolute error of each solution, (count,).
        orders: observed order between neighbours, (count - 1,).
        precision: dtype of the solutions.
    """

    nts: np.ndarray
    errors: np.ndarray
    orders: np.ndarray
    precision: str = "float64"

    def __str__(self) -> str:
        """One line per number of steps."""
        orders = ["", *(f"{order:8.3f}" for order in self.orders)]
        rows = zip(self.nts, self.errors, orders, strict=True)
        return "\n".join(
            [f"      nt         error   order   in {self.precision}", *(f"{nt:8d} {e:13.6e}{o}" for nt, e, o in rows)]
        )


def check_order(
    solve: Callable[[int], Any], exact: Any, nts: Sequence[int], order: float, *, tolerance: float = 0.1
) -> OrderResult:
    """Observed order of convergence, ``log(e_i / e_{i+1}) / log(nt_{i+1} / nt_i)``.

    Use a problem that is nonlinear and whose right-hand side and weights move in time: an autonomous one cannot see
    wrong stage times.

    ``solve`` is called in the precision of ``exact``: inside JAX's local 64-bit context where that is float64, as
    lists of numbers are.

    Args:
        solve: ``nt -> solution`` with nt steps, any array.
        exact: the solution, or one known to far more digits; same shape, real or complex.
        nts: increasing numbers of steps, at least two.
        order: declared order, positive.
        tolerance: largest distance, positive, of every observed order from the declared one.

    Returns:
        Table of the errors.

    Raises:
        AssertionError: an observed order is off, or an error is at the rounding level.
        ValueError: nts has fewer than two entries or does not increase, another argument is out of range, or the
            shapes differ.
        TypeError: ``solve`` is no function.

    Examples:
        >>> import math
        >>> from numdl.testing import check_order
        >>> def euler(nt):
        ...     u = 1.0
        ...     for j in range(nt):
        ...         u += u * math.cos(j / nt) / nt
        ...     return u
        ...
        >>> found = check_order(euler, math.exp(math.sin(1.0)), (200, 400, 800), order=1)
    """
    checks.function("check_order", "solve", solve, "nt -> solution")
    nt = np.asarray(checks.wholes("check_order", "nts", nts, least=1))
    if nt.size < 2 or np.any(np.diff(nt) <= 0):
        raise ValueError(f"check_order(nts={list(nts)}): needs at least two increasing numbers. Use (16, 32, 64).")
    checks.number("check_order", "order", order, above=0)
    checks.number("check_order", "tolerance", tolerance, above=0)
    truth = np.asarray(exact)
    if truth.dtype.kind not in "biufcV" or not truth.size or not np.all(np.isfinite(truth)):
        raise ValueError(f"check_order(exact={checks.shown(exact)}): needs finite numbers. Give the solution.")
    with precision_of("check_order", truth):
        solutions = [np.asarray(solve(int(n))) for n in nt]
    for n, solution in zip(nt, solutions, strict=True):
        if solution.shape != truth.shape:
            raise ValueError(
                f"check_order(exact of shape {truth.shape}): solve({n}) has shape {solution.shape}, needs the same. "
                "Reshape one of them."
            )
    errors = np.array([np.max(np.abs(solution - truth)) for solution in solutions])
    floor = 100 * np.finfo(solutions[0].dtype).eps * np.max(np.abs(truth))
    with np.errstate(divide="ignore", invalid="ignore"):
        orders = np.log(errors[:-1] / errors[1:]) / np.log(nt[1:] / nt[:-1])
    result = OrderResult(nt, errors, orders, solutions[0].dtype.name)
    if not np.all(errors > floor):
        raise AssertionError(
            f"check_order: errors at the rounding level {floor:.1e}, or not finite. Use fewer steps or a harder "
            f"problem.\n{result}"
        )
    if not np.all(np.abs(orders - order) <= tolerance):
        raise AssertionError(
            f"check_order: observed order {np.round(orders, 3)}, needs {order} within {tolerance}. A lower one means a "
            f"wrong stage or time; if the orders still move towards {order}, use more steps.\n{result}"
        )
    return result
