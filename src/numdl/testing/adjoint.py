"""Adjoint (dot product) test: is one linear map the transpose of another?"""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

import jax
import jax.numpy as jnp
import numpy as np

from numdl import checks
from numdl.contracts import Problem, PyTree
from numdl.testing import problems, trees
from numdl.testing.precision import precision_of, require_real


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

    Three pairs are tested: x and y, x and ``A x``, ``A' y`` and y. A factor that one of the maps lacks is hidden by the
    angle between A x and y where they are nearly orthogonal; in the other two pairs there is no such angle.

    The maps are called in the precision of x and y (or p): inside JAX's local 64-bit context where these are float64.

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
        Largest ``|<A x, y> - <x, A' y>| / max(||A x|| ||y||, ||x|| ||A' y||)`` of the pairs.

    Raises:
        AssertionError: a mismatch is above the tolerance, or both products vanish so that nothing was tested.
        ValueError: x, y or p have leaves that are not real, x or y does not fit the maps, or a map answers in a
            shorter precision than it is asked.
        TypeError: a map is no function, or the key no key.

    Examples:
        >>> import numpy as np
        >>> from numdl.testing import check_adjoint
        >>> A = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        >>> x, y = np.array([1.0, -1.0]), np.array([1.0, 0.5, 2.0])
        >>> check_adjoint(lambda x: A @ x, lambda y: A.T @ y, x, y) < 1e-14
        True
    """
    asked = isinstance(linear, Problem)
    if asked:
        require_real("check_adjoint", p=transpose)
    else:
        require_real("check_adjoint", x=x, y=y)
        checks.function("check_adjoint", "linear", linear, "x -> A x, or a Problem")
        checks.function("check_adjoint", "transpose", transpose, "y -> A' y")
    drawn = checks.key("check_adjoint", "key", 0 if key is None else key)
    if tolerance is not None:
        checks.number("check_adjoint", "tolerance", tolerance, least=0)
    with precision_of("check_adjoint", transpose if asked else (x, y)) as precision:
        if asked:
            p = transpose
            x, y = (trees.random_like(p, k) for k in jax.random.split(drawn))
            linear = transpose = problems.curvature(linear, p, problems.companion(linear, p, aux))
        mismatch = _mismatches(linear, transpose, x, y, 1000 * trees.eps((x, y)) if tolerance is None else tolerance)
    if asked if show is None else show:
        products = "<H x, y> and <x, H y>" if asked else "<A x, y> and <x, A' y>"
        print(f"relative mismatch of {products} in {precision}: {mismatch:.1e}")
    return mismatch


def _mismatches(
    linear: Callable[[PyTree], PyTree],
    transpose: Callable[[PyTree], PyTree],
    x: PyTree,
    y: PyTree,
    tolerance: float,
) -> float:
    """The largest mismatch of the three pairs, see ``check_adjoint``."""
    Ax, Aty = linear(x), transpose(y)
    for name, element, of, image in (("y", y, "A x", Ax), ("x", x, "A' y", Aty)):
        if (sizes := [np.shape(a) for a in jax.tree.leaves(element)]) != [np.shape(a) for a in jax.tree.leaves(image)]:
            raise ValueError(
                f"check_adjoint({name}): has arrays of shapes {sizes}, {of} is of another form; needs one form for "
                "both. Give x from the domain and y from the range."
            )
    _require_precision(Ax, Aty, x, y)
    if trees.norm(Ax) == 0.0 and trees.norm(Aty) == 0.0:
        raise AssertionError("check_adjoint: A x and A' y are both zero, so nothing was tested. Take other x and y.")
    worst = _mismatch(Ax, y, x, Aty, tolerance)
    if trees.norm(Ax) > 0.0:
        image = _like(Ax, y)
        worst = max(worst, _mismatch(Ax, image, x, transpose(image), tolerance))
    if trees.norm(Aty) > 0.0:
        image = _like(Aty, x)
        worst = max(worst, _mismatch(linear(image), y, image, Aty, tolerance))
    return worst


def _mismatch(Ax: PyTree, y: PyTree, x: PyTree, Aty: PyTree, tolerance: float) -> float:
    """Relative mismatch of one pair."""
    left, right = trees.dot(Ax, y), trees.dot(x, Aty)
    size = max(trees.norm(Ax) * trees.norm(y), trees.norm(x) * trees.norm(Aty))
    mismatch = abs(left - right) / size
    # "not <=" and not ">": a NaN must fail.
    if not mismatch <= tolerance:
        raise AssertionError(
            f"check_adjoint: <A x, y> = {left:.15g} but <x, A' y> = {right:.15g}, relative mismatch {mismatch:.3g}, "
            f"needs {tolerance:.3g}. One of the two maps is not the transpose of the other, or not linear."
        )
    return mismatch


def _like(image: PyTree, model: PyTree) -> PyTree:
    """An image as an argument: with the structure and the dtypes of the model, at its length."""
    factor = trees.norm(model) / trees.norm(image)
    leaves = zip(jax.tree.leaves(image), jax.tree.leaves(model), strict=True)
    scaled = [np.asarray(factor * np.asarray(a), jnp.result_type(like)) for a, like in leaves]
    kept = [
        a if isinstance(like, np.ndarray) else jnp.asarray(a)
        for a, like in zip(scaled, jax.tree.leaves(model), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(model), kept)


def _require_precision(Ax: PyTree, Aty: PyTree, x: PyTree, y: PyTree) -> None:
    """Refuse maps that are less precise than what they are judged by."""
    found, needed = trees.eps((Ax, Aty)), trees.eps((x, y))
    if found > needed:
        raise ValueError(
            f"check_adjoint: x and y have the rounding unit {needed:.1e}, but A x or A' y comes back with {found:.1e}. "
            "Let both maps compute in the precision of their argument, or give x and y in that of the maps."
        )
