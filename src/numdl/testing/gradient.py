"""Is a gradient the derivative of the value it comes with?"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from numdl.contracts import Problem, PyTree
from numdl.testing import problems, trees


class TaylorResult(NamedTuple):
    """Errors of the Taylor expansion along one direction, by shrinking step.

    Attributes:
        h: step sizes, largest first, (steps,).
        without: ``|f(p + h v) - f(p)|``, (steps,).
        with_slope: ``|f(p + h v) - f(p) - h <g, v>|``, (steps,).
        orders: observed order of ``with_slope`` from each step to the next one above the rounding level.
    """

    h: np.ndarray
    without: np.ndarray
    with_slope: np.ndarray
    orders: np.ndarray

    def __str__(self) -> str:
        """One line per step."""
        lines = ["         h   without slope    with slope   order"]
        for i, h in enumerate(self.h):
            order = f"{self.orders[i - 1]:8.3f}" if 0 < i <= len(self.orders) else ""
            lines.append(f"{h:10.3e}   {self.without[i]:13.6e} {self.with_slope[i]:13.6e}{order}")
        return "\n".join(lines)


def check_gradient(
    fun: Callable[[PyTree], tuple[jax.Array, PyTree]] | Problem,
    p: PyTree,
    key: jax.Array | None = None,
    *,
    aux: PyTree = None,
    steps: int = 26,
    tolerance: float = 0.1,
    orders: int = 3,
    show: bool | None = None,
) -> TaylorResult:
    """Taylor test: the error of value plus slope falls with order 2 down to the rounding level.

    The last observed orders above the rounding level decide, not the best ones: a slope that is slightly wrong looks
    right while h is large. ``with_slope`` ends at a few hundred rounding errors of f, so relative errors of the slope
    down to about the square root of the machine epsilon are seen.

    Args:
        fun: a ``Problem``, whose ``value`` is held against the slope of its ``linearize``; or ``p -> (value (),
            gradient with the structure of p)``, as from ``jax.value_and_grad`` or a linearisation.
        p: where to expand; use float64.
        key: JAX random key of the direction; None for a fixed one.
        aux: companion of a problem; None for its first head, if it has one.
        steps: number of steps ``h = 1, 1/2, 1/4, ...``.
        tolerance: largest distance of an observed order from 2.
        orders: how many observed orders must agree.
        show: whether the table is printed; None for yes where a problem is given.

    Returns:
        Table of the errors. An ``f`` that is linear along the direction has no orders, and passes.

    Raises:
        AssertionError: an order is off, the errors fell to the rounding level before enough orders were seen, or
            ``value`` and ``linearize`` of a problem differ at p.
        ValueError: the gradient does not have the structure or the shapes of p.
    """
    key = jax.random.key(0) if key is None else key
    asked = isinstance(fun, Problem)
    if asked:
        fun = problems.value_and_slope("check_gradient", fun, p, problems.companion(fun, p, aux))
    result = _taylor(fun, p, key, steps, tolerance, orders)
    if asked if show is None else show:
        print(result)
    return result


def _taylor(
    fun: Callable[[PyTree], tuple[jax.Array, PyTree]],
    p: PyTree,
    key: jax.Array,
    steps: int,
    tolerance: float,
    orders: int,
) -> TaylorResult:
    """The test itself, see ``check_gradient``."""
    value, gradient = fun(p)
    _require_like(p, gradient)
    v = trees.random_like(p, key)
    slope = trees.dot(gradient, v)
    h = 0.5 ** np.arange(steps)
    values = np.array([float(fun(trees.add(p, t, v))[0]) for t in h])
    without = np.abs(values - float(value))
    with_slope = np.abs(values - float(value) - h * slope)

    floor = 300 * trees.eps(p) * np.maximum(abs(float(value)), h * abs(slope))
    above = int(np.argmin(np.append(with_slope > floor, False)))
    observed = np.log2(with_slope[: max(above - 1, 0)] / with_slope[1 : max(above, 1)])
    result = TaylorResult(h, without, with_slope, observed)
    if not (np.all(np.isfinite(values)) and np.isfinite(slope)):
        raise AssertionError(f"check_gradient: values or slope not finite. Start nearer to the domain of f.\n{result}")
    if above == 0:  # linear along v up to rounding, from the largest step on
        return result
    if len(observed) < orders:
        raise AssertionError(
            f"check_gradient: {len(observed)} orders above the rounding level, needs {orders}. Use float64.\n{result}"
        )
    if np.max(np.abs(observed[-orders:] - 2.0)) > tolerance:
        raise AssertionError(
            f"check_gradient: the last orders are {np.round(observed[-orders:], 3)}, needs 2 within {tolerance}. Near "
            f"1 the gradient is wrong; otherwise take another p or key, away from kinks and inflections.\n{result}"
        )
    return result


def _require_like(p: PyTree, gradient: PyTree) -> None:
    """Refuse a gradient that could only be compared by accident."""
    expected, found = jax.tree.map(np.shape, p), jax.tree.map(np.shape, gradient)
    if expected != found:
        raise ValueError(f"check_gradient: the gradient has shapes {found}, needs those of p, {expected}. Check fun.")
