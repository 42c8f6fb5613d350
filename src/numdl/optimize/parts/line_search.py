"""Line search (Armijo, strong Wolfe): how far to go along a direction of descent?

Two answers, both on ``phi(t) = f(p + t d)``: Armijo's, which asks for enough decrease, and strong Wolfe's, which also
asks that the slope has flattened and so keeps quasi-Newton and nonlinear conjugate gradients sane. Near a minimiser a
decrease drowns in rounding long before the slope does; there slopes decide what values cannot.

Sources: Nocedal and Wright, Numerical Optimization, alg. 3.1, 3.5, 3.6; Hager and Zhang, SIAM J. Optim. 16 (2005),
eq. 4.1 (approximate decrease).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from numdl import checks
from numdl.contracts import LineProblem, Problem, PyTree


class Known(NamedTuple):
    """What a linearisation says of a point besides its value: the gradient (p,) and the metrics."""

    g: Float[Array, " p"]
    metrics: Mapping[str, Array]


class Trial(NamedTuple):
    """A point on the line.

    Attributes:
        value: objective there.
        slope: ``phi'(t)``.
        aux: the problem's companion there.
        known: what else the trial found out, for the step that starts there; None where it found out no more.
    """

    value: Float[Array, ""]
    slope: Float[Array, ""]
    aux: PyTree
    known: Known | None = None


Line = Callable[[Array], Trial]


class Found(NamedTuple):
    """Result of a search.

    Attributes:
        t: step length, no unit; 0 where none was found.
        trial: the point there.
        good: whether the conditions hold.
        trials: number of points tried.
    """

    t: Float[Array, ""]
    trial: Trial
    good: Bool[Array, ""]
    trials: Int[Array, ""]


def line_of(problem: Problem, p: Float[Array, " p"], d: Float[Array, " p"], aux: PyTree, unravel: Callable) -> Line:
    """The objective along a line; a problem that knows a cheaper way is a ``LineProblem``.

    Args:
        problem: perhaps a ``LineProblem``.
        p: origin, (p,).
        d: direction, (p,).
        aux: companion at the origin.
        unravel: vector to unknowns.

    Returns:
        ``t -> Trial``.
    """
    if isinstance(problem, LineProblem):
        evaluate = problem.along(unravel(p), unravel(d), aux)
        return lambda t: Trial(*evaluate(t))

    def trial(t: Array) -> Trial:
        lin = problem.linearize(unravel(p + t * d), aux)
        g = ravel_pytree(lin.gradient)[0]
        return Trial(lin.value, g @ d, lin.aux, Known(g, dict(lin.metrics)))

    return trial


def rounding_of(value: Float[Array, ""]) -> Float[Array, ""]:
    """What a difference of two values of this size may be by rounding alone."""
    return 10 * jnp.finfo(value.dtype).eps * jnp.abs(value)


def armijo(line: Line, start: Trial, first: Float[Array, ""], *, decrease: float = 1e-4, max_trials: int = 30) -> Found:
    """Largest of ``t = first, first/2, ...`` with ``phi(t) <= phi(0) + decrease t phi'(0)``.

    Where values differ by rounding only, ``phi'(t) <= (2 decrease - 1) phi'(0)`` decides instead: on a quadratic it is
    the same condition.

    Args:
        line: the objective along the direction.
        start: at t = 0; its slope is negative. From a value or slope that is not finite nothing is found.
        first: first trial, positive, ().
        decrease: share of the decrease that the slope promises, no unit, below 1/2.
        max_trials: points tried at most.

    Returns:
        The step. A value that is not finite is never accepted.

    Raises:
        ValueError: a number is out of range.
        TypeError: ``line`` is no function, or ``start`` no Trial.

    Source: Armijo, Pacific J. Math. 16 (1966); Nocedal and Wright, alg. 3.1.
    """
    _require("armijo", line, start, first, decrease, max_trials)
    rounding = rounding_of(start.value)

    def attempt(state: tuple) -> tuple:
        t, _, _, count = state
        t = jnp.where(count == 0, t, t / 2)
        trial = line(t)
        change = trial.value - start.value
        falls = change <= decrease * t * start.slope
        flat = (jnp.abs(change) <= rounding) & (trial.slope <= (2 * decrease - 1) * start.slope)
        return t, trial, jnp.isfinite(trial.value) & (falls | flat), count + 1

    state = (first, start, jnp.asarray(False), jnp.asarray(0))
    t, trial, good, count = jax.lax.while_loop(lambda s: ~s[2] & (s[3] < max_trials), attempt, state)
    return _kept(good, t, trial, start, count)


def _require(call: str, line: Any, start: Any, first: Any, decrease: Any, max_trials: Any) -> None:
    """Refuse what no search can be begun with; values that are not finite are its business."""
    checks.function(call, "line", line, "t -> Trial")
    checks.instance(call, "start", start, Trial)
    for name, entry in (("value", start.value), ("slope", start.slope)):
        if jnp.iscomplexobj(entry):
            raise ValueError(f"{call}(start.{name}): the objective is complex, needs real numbers. Check the problem.")
        checks.real(call, f"start.{name}", entry, ())
    checks.scalar(call, "first", first, above=0, infinite=True, hint="Use 1.")
    checks.number(call, "decrease", decrease, above=0, below=0.5, hint="Use decrease=1e-4.")
    checks.whole(call, "max_trials", max_trials, least=1)


class _Bracket(NamedTuple):
    """Interval of the zoom: the better end, the other end with its value, and whether an interval was found."""

    low: Array
    at_low: Trial
    high: Array
    at_high: Trial
    closed: Array


def strong_wolfe(
    line: Line,
    start: Trial,
    first: Float[Array, ""],
    *,
    decrease: float = 1e-4,
    flatness: float = 0.9,
    max_trials: int = 25,
) -> Found:
    """A step with Armijo's decrease and ``|phi'(t)| <= flatness |phi'(0)|``.

    The trial doubles until an interval holds such a step; then the interval is cut where the cubic through values and
    slopes of its ends is lowest, or in the middle if that is too near an end.

    Args:
        line: the objective along the direction, with its slope.
        start: at t = 0; its slope is negative. From a value or slope that is not finite nothing is found.
        first: first trial, positive, ().
        decrease: as for ``armijo``.
        flatness: share of the slope that may be left: 0.9 for quasi-Newton, 0.1 for nonlinear conjugate gradients.
        max_trials: points tried at most.

    Returns:
        The step. Where the trials run out, the best one with Armijo's decrease is returned if there is one.

    Raises:
        ValueError: a number is out of range.
        TypeError: ``line`` is no function, or ``start`` no Trial.

    Source: Nocedal and Wright, alg. 3.5 and 3.6; interpolation (3.59).
    """
    _require("strong_wolfe", line, start, first, decrease, max_trials)
    checks.number("strong_wolfe", "flatness", flatness, above=0, below=1, hint="Use flatness=0.9.")
    rounding = rounding_of(start.value)

    def enough(t: Array, value: Array) -> Array:
        return jnp.isfinite(value) & (value <= start.value + decrease * t * start.slope + rounding)

    def attempt(state: tuple) -> tuple:
        t, _, bracket, count = state
        trial = line(t)
        falls = enough(t, trial.value)
        # The better end stays: a trial that does not fall, or is not below it, becomes the other end.
        worse = ~falls | ((trial.value > bracket.at_low.value + rounding) & (bracket.low > 0))
        done = ~worse & (jnp.abs(trial.slope) <= -flatness * start.slope)
        here = _Bracket(bracket.low, bracket.at_low, t, trial, jnp.asarray(True))
        width = jnp.where(bracket.closed, bracket.high - bracket.low, 1.0)
        turned = trial.slope * width >= 0  # rises towards the other end: that end is the old better one
        flipped = _Bracket(t, trial, bracket.low, bracket.at_low, jnp.asarray(True))
        moved = bracket._replace(low=t, at_low=trial)
        better = _where(turned, flipped, moved)
        bracket = _where(worse, here, better)
        following = jnp.where(bracket.closed, _inside(bracket), 2.0 * t)
        return following, done, bracket, count + 1

    def running(state: tuple) -> Array:
        _, done, _, count = state
        return ~done & (count < max_trials)

    zero = jnp.zeros_like(first)
    bracket = _Bracket(zero, start, zero, start, jnp.asarray(False))
    state = (first, jnp.asarray(False), bracket, jnp.asarray(0))
    _, _, bracket, count = jax.lax.while_loop(running, attempt, state)
    # A point that meets the conditions has become the better end.
    return _kept(bracket.low > 0, bracket.low, bracket.at_low, start, count)


def _inside(bracket: _Bracket) -> Array:
    """Next trial within the interval: minimiser of the cubic, kept a tenth of the width away from both ends."""
    low, high, a, b = bracket.low, bracket.high, bracket.at_low, bracket.at_high
    width = high - low
    d1 = a.slope + b.slope - 3 * (b.value - a.value) / width
    d2 = jnp.sign(width) * jnp.sqrt(d1**2 - a.slope * b.slope)
    t = high - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2)
    share = (t - low) / width
    return low + width * jnp.where((share > 0.1) & (share < 0.9), share, 0.5)


def _where(condition: Array, a: Any, b: Any) -> Any:
    return jax.tree.map(functools.partial(jnp.where, condition), a, b)


def _kept(good: Array, t: Array, trial: Trial, start: Trial, count: Array) -> Found:
    return Found(jnp.where(good, t, 0.0), _where(good, trial, start), good, count)
