"""Is one linear map the transpose of another?"""

from __future__ import annotations

from collections.abc import Callable

from numdl.contracts import PyTree
from numdl.testing import trees


def check_adjoint(
    linear: Callable[[PyTree], PyTree],
    transpose: Callable[[PyTree], PyTree],
    x: PyTree,
    y: PyTree,
    *,
    tolerance: float | None = None,
) -> float:
    """Adjoint test ``<A x, y> = <x, A' y>``.

    Args:
        linear: ``x -> A x``.
        transpose: ``y -> A' y``.
        x: random element of the domain.
        y: random element of the range.
        tolerance: largest relative mismatch, no unit; None for 1000 rounding units of x and y.

    Returns:
        ``|<A x, y> - <x, A' y>| / max(||A x|| ||y||, ||x|| ||A' y||)``.

    Raises:
        AssertionError: the mismatch is above the tolerance, or both products vanish so that nothing was tested.
    """
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
