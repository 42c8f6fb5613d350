"""Gradient (Taylor) test: is a gradient the derivative of the value it comes with?

In float64 the Taylor expansion decides. In float32 it ends before an error of 0.1 % shows, so the slope is held against
central differences, extrapolated to h = 0 (Richardson), with a bound on their own error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from numdl import checks
from numdl.contracts import Problem, PyTree
from numdl.testing import problems, trees
from numdl.testing.precision import precision_of, require_real

SEEN = 1e-3
"""Relative error of a slope that is seen in every precision, no unit."""
DIFFERENCES = 10
"""Steps of the central differences, from h = 1."""


class TaylorResult(NamedTuple):
    """Errors of the Taylor expansion along one direction, by shrinking step.

    Attributes:
        h: step sizes, largest first, (steps,).
        without: ``|f(p + h v) - f(p)|``, (steps,).
        with_slope: ``|f(p + h v) - f(p) - h <g, v>|``, (steps,).
        orders: observed order of ``with_slope`` from each step to the next one above the rounding level.
        precision: shortest dtype of p, in which f was computed.
        slopes: below float64 the slope of the gradient, that by extrapolated differences, and the error of the latter.
    """

    h: np.ndarray
    without: np.ndarray
    with_slope: np.ndarray
    orders: np.ndarray
    precision: str = "float64"
    slopes: tuple[float, float, float] | None = None

    def __str__(self) -> str:
        """One line per step, and one for the differences where there are some."""
        lines = [f"         h   without slope    with slope   order   in {self.precision}"]
        for i, h in enumerate(self.h):
            order = f"{self.orders[i - 1]:8.3f}" if 0 < i <= len(self.orders) else ""
            lines.append(f"{h:10.3e}   {self.without[i]:13.6e} {self.with_slope[i]:13.6e}{order}")
        if self.slopes is not None:
            lines.append("slope {:.7g}, by differences {:.7g} within {:.1e}".format(*self.slopes))
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

    The precision is that of p: where p is float64, f is called inside JAX's local 64-bit context. In a shorter one the
    direction leans towards the gradient, and extrapolated differences decide: the slope may be off by half of 0.1 %.

    Args:
        fun: a ``Problem``, whose ``value`` is held against the slope of its ``linearize``; or ``p -> (value (),
            gradient with the structure of p)``, as from ``jax.value_and_grad`` or a linearisation.
        p: where to expand; best in float64.
        key: JAX random key of the direction; None for a fixed one.
        aux: companion of a problem; None for its first head, if it has one.
        steps: number of steps ``h = 1, 1/2, 1/4, ...``.
        tolerance: largest distance of an observed order from 2, in float64.
        orders: how many observed orders must agree, in float64.
        show: whether the table is printed; None for yes where a problem is given.

    Returns:
        Table of the errors. An ``f`` that is linear along the direction has no orders, and passes.

    Raises:
        AssertionError: an order is off, the errors fell to the rounding level before enough orders were seen, the
            slope is off, rounding hides 0.1 % of it, or ``value`` and ``linearize`` of a problem differ at p.
        ValueError: the gradient does not have the structure or the shapes of p, p has leaves that are not real, or
            the value comes back in a shorter precision than p, or a number is out of range.
        TypeError: ``fun`` is neither a function nor a problem.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> from numdl.testing import check_gradient
        >>> found = check_gradient(jax.value_and_grad(lambda p: jnp.sum(jnp.sin(p))), np.array([0.3, 1.2]))
        >>> check_gradient(lambda p: (jnp.sum(jnp.sin(p)), 1.01 * jnp.cos(p)), np.array([0.3, 1.2]))
        Traceback (most recent call last):
            ...
        AssertionError: check_gradient: the last orders are [1. 1. 1.], needs 2 within 0.1. ...
    """
    key = jax.random.key(0) if key is None else key
    if not isinstance(fun, Problem):
        checks.function("check_gradient", "fun", fun, "p -> (value, gradient), or a Problem")
    checks.whole("check_gradient", "steps", steps, least=4, most=1000)
    checks.whole("check_gradient", "orders", orders, least=1)
    checks.number("check_gradient", "tolerance", tolerance, above=0)
    key = jax.random.key(0) if key is None else key
    asked = isinstance(fun, Problem)
    require_real("check_gradient", p=p)
    with precision_of("check_gradient", p) as precision:
        if asked:
            fun = problems.value_and_slope("check_gradient", fun, p, problems.companion(fun, p, aux))
        result, linear = _taylor(fun, p, key, steps)
        result = result._replace(precision=precision)
    if result.slopes is None:
        _judge_orders(result, linear, tolerance, orders)
    else:
        _judge_slopes(result, *result.slopes)
    if asked if show is None else show:
        print(result)
    return result


def _taylor(
    fun: Callable[[PyTree], tuple[jax.Array, PyTree]], p: PyTree, key: jax.Array, steps: int
) -> tuple[TaylorResult, bool]:
    """The table, and whether f is linear along the direction up to rounding."""
    value, gradient = fun(p)
    _require_like(p, gradient)
    _require_precision(value, p)
    short = trees.eps(p) > 1e-10
    v = trees.random_like(p, key)
    if short:
        v = _towards(v, gradient)
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
    if short:
        opposite = np.array([float(fun(trees.add(p, -t, v))[0]) for t in h[:DIFFERENCES]])
        result = result._replace(slopes=(slope, *_extrapolated(values[:DIFFERENCES], opposite, h, trees.eps(p))))
    return result, above == 0


def _towards(v: PyTree, gradient: PyTree) -> PyTree:
    """A direction half random and half along the gradient, of the length of v, so that the slope is no accident."""
    length = trees.norm(v)
    share = length / max(trees.norm(gradient), 1e-30) * (1 if trees.dot(gradient, v) >= 0 else -1)
    mixed = trees.add(v, share, gradient)
    return trees.add(jax.tree.map(np.zeros_like, v), length / max(trees.norm(mixed), 1e-30), mixed)


def _extrapolated(ahead: np.ndarray, behind: np.ndarray, h: np.ndarray, eps: float) -> tuple[float, float]:
    """Slope from central differences at halved steps, and its error.

    ``D(h) = f' + c_2 h^2 + c_4 h^4 + ...``: each column of the tableau removes a power. The error of an entry is how
    far it moves from its neighbours of one column less, plus what rounding of f does to the differences it is made of;
    the entry with the smallest error is taken.

    Source: Ridders, Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software 4, 1982.
    """
    h = h[: len(ahead)]
    usable = np.isfinite(behind)
    size = np.maximum(np.abs(ahead), np.abs(behind))
    tableau = ((ahead - behind) / (2 * h))[usable]
    rounding = (2 * eps * size / h)[usable]
    best, error = np.nan, np.inf
    for j in range(1, len(tableau)):
        finer = tableau[1:] + (tableau[1:] - tableau[:-1]) / (4**j - 1)
        moved = np.maximum(np.abs(finer - tableau[1:]), np.abs(finer - tableau[:-1]))
        rounding = rounding[1:]
        i = int(np.argmin(moved + rounding))
        if moved[i] + rounding[i] < error:
            best, error = float(finer[i]), float(moved[i] + rounding[i])
        tableau = finer
    return best, error


def _judge_orders(result: TaylorResult, linear: bool, tolerance: float, orders: int) -> None:
    """Refuse a gradient whose expansion does not end with order 2."""
    if linear:  # from the largest step on
        return
    last = result.orders[-orders:]
    if len(result.orders) < orders:
        raise AssertionError(
            f"check_gradient: {len(result.orders)} orders above the rounding level, needs {orders}. Scale p or f "
            f"so that f curves more.\n{result}"
        )
    if np.max(np.abs(last - 2.0)) > tolerance:
        raise AssertionError(
            f"check_gradient: the last orders are {np.round(last, 3)}, needs 2 within {tolerance}. Near "
            f"1 the gradient is wrong; otherwise take another p or key, away from kinks and inflections.\n{result}"
        )


def _judge_slopes(result: TaylorResult, slope: float, differences: float, error: float) -> None:
    """Refuse a gradient whose slope is off, or cannot be told from one that is."""
    if not error <= SEEN / 4 * abs(slope):
        raise AssertionError(
            f"check_gradient: in {result.precision} differences give the slope {slope:.7g} only within {error:.1e}, "
            f"needs {SEEN / 4 * abs(slope):.1e} to see an error of 0.1 %. Use float64.\n{result}"
        )
    if not abs(slope - differences) <= SEEN / 2 * abs(slope):
        raise AssertionError(
            f"check_gradient: in {result.precision} the slope is {slope:.7g} but {differences:.7g} by differences, "
            f"needs {SEEN / 2:.1e} of it. The gradient is wrong; or p is near a kink, then take another.\n{result}"
        )


def _require_like(p: PyTree, gradient: PyTree) -> None:
    """Refuse a gradient that could only be compared by accident."""
    expected, found = jax.tree.map(np.shape, p), jax.tree.map(np.shape, gradient)
    if expected != found:
        raise ValueError(f"check_gradient: the gradient has shapes {found}, needs those of p, {expected}. Check fun.")


def _require_precision(value: jax.Array, p: PyTree) -> None:
    """Refuse a function that is less precise than its argument."""
    found, needed = trees.eps(value), trees.eps(p)
    if found > needed:
        raise ValueError(
            f"check_gradient: p has the rounding unit {needed:.1e}, but the value comes back with {found:.1e}. Let f "
            "compute in the precision of its argument, or give p in that of f."
        )
