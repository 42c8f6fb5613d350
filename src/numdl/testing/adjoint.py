"""Is one linear map the transpose of another?"""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

import jax

from numdl.contracts import Problem, PyTree
from numdl.testing import problems, trees


@overload
def check_adjoint(
    linear: Callable[[PyTree], PyTree],
    transpose: Callable[[PyTree], PyTree],
    x: PyTree,
    y: PyTree,
    *,
    tolerance: float | None = None,
) -> float: ...


@overload
def check_adjoint(
    linear: Problem,
    transpose: PyTree,
    *,
    aux: PyTree = None,
    key: jax.Array | None = None,
    tolerance: float | None = None,
    show: bool = True,
) -> float: ...


def check_adjoint(
    linear: Callable[[PyTree], PyTree] | Problem,
    transpose: Callable[[PyTree], PyTree] | PyTree,
    x: PyTree = None,
    y: PyTree = None,
    *,
    aux: PyTree = None,
    key: jax.Array | None = None,
    tolerance: float | None = None,
    show: bool | None = None,
) -> float:
    """Adjoint test ``<A x, y> = <x, A' y>``; of a problem ``<H x, y> = <x, H y>`` for its curvature at p.

    Args:
        linear: ``x -> A x``; or a ``Problem``, as in ``check_adjoint(problem, p)``.
        transpose: ``y -> A' y``; or p, where the curvature of the problem is taken.
        x: random element of the domain; drawn for a problem.
        y: random element of the range; drawn for a problem.
        aux: companion of a problem; None for its first head, if it has one.
        key: JAX random key of what is drawn; None for a fixed one.
        tolerance: largest relative mismatch, no unit; None for 1000 rounding units of x and y.
        show: whether a line is printed; None for yes where a problem is given.

    Returns:
        ``|<A x, y> - <x, A' y>| / max(||A x|| ||y||, ||x|| ||A' y||)``.

    Raises:
        AssertionError: the mismatch is above the tolerance, or both products vanish so that nothing was tested.
    """
    asked = isinstance(linear, Problem)
    if asked:
        p = transpose
        x, y = (trees.random_like(p, k) for k in jax.random.split(jax.random.key(0) if key is None else key))
        linear = transpose = problems.curvature(linear, p, problems.companion(linear, p, aux))
    mismatch = _mismatch(linear, transpose, x, y, tolerance)
    if asked if show is None else show:
        products = "<H x, y> and <x, H y>" if asked else "<A x, y> and <x, A' y>"
        print(f"relative mismatch of {products}: {mismatch:.1e}")
    return mismatch


def _mismatch(
    linear: Callable[[PyTree], PyTree],
    transpose: Callable[[PyTree], PyTree],
    x: PyTree,
    y: PyTree,
    tolerance: float | None,
) -> float:
    """The test itself, see ``check_adjoint``."""
    Ax, Aty = linear(x), transpose(y)
    left, right = trees.dot(Ax, y), trees.dot(x, Aty)
    size = max(trees.norm(Ax) * trees.norm(y), trees.norm(x) * trees.norm(Aty))
    tolerance = 1000 * trees.eps((x, y)) if tolerance is None else tolerance
    if size == 0.0:
        raise AssertionError("check_adjoint: A x and A' y are both zero, so nothing was tested. Take other x and y.")
    mismatch = abs(left - right) / size
    # "not <=" and not ">": a NaN must fail.
    if not mismatch <= tolerance:
        raise AssertionError(
            f"check_adjoint: <A x, y> = {left:.15g} but <x, A' y> = {right:.15g}, relative mismatch {mismatch:.3g}, "
            f"needs {tolerance:.3g}. One of the two maps is not the transpose of the other, or not linear."
        )
    return mismatch
