"""Problems under test.

How is a problem asked for its value, slope and curvature at one point, whatever companion it needs?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from numdl.contracts import CompanionProblem, Problem, PyTree
from numdl.testing import trees


def companion(problem: Problem, p: PyTree, aux: PyTree) -> PyTree:
    """The companion given, else the first head where the problem offers one.

    Args:
        problem: to be asked.
        p: unknowns.
        aux: companion, or None.

    Returns:
        A companion for ``value`` and ``linearize``, or None.
    """
    return problem.first_head(p) if aux is None and isinstance(problem, CompanionProblem) else aux


def value_and_slope(call: str, problem: Problem, p: PyTree, aux: PyTree) -> Callable[[PyTree], tuple[Any, PyTree]]:
    """Values from ``value``, and the slope at p from ``linearize``: an optimiser relies on the two belonging together.

    Args:
        call: what an error calls the caller.
        problem: to be asked.
        p: where the slope is taken.
        aux: companion.

    Returns:
        ``q -> (value at q, slope at p)``.

    Raises:
        AssertionError: ``linearize`` and ``value`` give different values at p.
    """
    value = jax.jit(lambda problem, q, aux: problem.value(q, aux)[0])
    at_p, slope = jax.jit(lambda problem, q, aux: problem.linearize(q, aux)[:2])(problem, p, aux)
    first = value(problem, p, aux)
    if not abs(float(first) - float(at_p)) <= trees.eps(p) ** 0.5 * max(abs(float(first)), 1e-300):
        raise AssertionError(
            f"{call}: value gives {float(first):.15g} but linearize {float(at_p):.15g} at the same p. Let both compute "
            "the same objective, penalties included, from finite data."
        )
    return lambda q: (value(problem, q, aux), slope)


def curvature(problem: Problem, p: PyTree, aux: PyTree) -> Callable[[PyTree], PyTree]:
    """Products with the curvature of the linearisation at p, compiled once.

    Args:
        problem: to be asked.
        p: where.
        aux: companion.

    Returns:
        ``v -> H v``.
    """
    product = jax.jit(lambda problem, q, aux, v: problem.linearize(q, aux).curvature(v))
    return lambda v: product(problem, p, aux, v)
