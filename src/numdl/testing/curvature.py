"""Curvature test: is a curvature operator symmetric and positive semidefinite?"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from numdl import checks
from numdl.contracts import PyTree
from numdl.testing import trees
from numdl.testing.precision import precision_of, require_real


class CurvatureResult(NamedTuple):
    """What was measured.

    Attributes:
        asymmetry: largest ``|H - H'|`` found, relative to the size of H.
        smallest: smallest eigenvalue (dense) or Rayleigh quotient (random) found, relative to the size of H.
        dense: whether the whole matrix was formed.
        precision: dtype in which H was applied, that of p.
    """

    asymmetry: float
    smallest: float
    dense: bool
    precision: str = "float64"


def check_curvature(
    curvature: Callable[[PyTree], PyTree],
    p: PyTree,
    key: jax.Array,
    *,
    draws: int = 8,
    max_dense: int = 300,
    tolerance: float | None = None,
) -> CurvatureResult:
    """Symmetry ``<H v, w> = <v, H w>`` and ``<H v, v> >= 0``.

    Up to ``max_dense`` unknowns the matrix is formed and its eigenvalues are computed, so a single negative one is
    seen; above, pairs of random directions are used, which see only errors that are not confined to few directions.

    H is applied in the precision of p: inside JAX's local 64-bit context where p is float64.

    Args:
        curvature: ``v -> H v``, structure of p.
        p: gives structure and dtypes.
        key: JAX random key of the directions.
        draws: number of random pairs.
        max_dense: largest number of unknowns for which H is formed.
        tolerance: largest relative asymmetry and negative part; None for 1000 rounding units.

    Returns:
        What was measured.

    Raises:
        AssertionError: H is not symmetric, not positive semidefinite, not finite, or zero.
        ValueError: p has leaves that are not real, or a number is out of range.
        TypeError: ``curvature`` is no function, or the key no key.

    Examples:
        >>> import jax
        >>> import numpy as np
        >>> from numdl.testing import check_curvature
        >>> H = np.array([[2.0, 1.0], [1.0, 3.0]])
        >>> found = check_curvature(lambda v: H @ v, np.zeros(2), jax.random.key(0))
    """
    checks.function("check_curvature", "curvature", curvature, "v -> H v")
    checks.whole("check_curvature", "draws", draws, least=1)
    checks.whole("check_curvature", "max_dense", max_dense, least=0)
    key = checks.key("check_curvature", "key", key)
    if tolerance is not None:
        checks.number("check_curvature", "tolerance", tolerance, least=0)
    require_real("check_curvature", p=p)
    with precision_of("check_curvature", p) as precision:
        result = _measured(curvature, p, key, draws, max_dense)._replace(precision=precision)
        tolerance = 1000 * trees.eps(p) if tolerance is None else tolerance
    if not result.asymmetry <= tolerance:
        raise AssertionError(f"check_curvature: {result}: not symmetric, needs an asymmetry below {tolerance:.1e}.")
    if not result.smallest >= -tolerance:
        raise AssertionError(
            f"check_curvature: {result}: not positive semidefinite, needs smallest >= {-tolerance:.1e}. A full Hessian "
            "in place of the Gauss-Newton matrix does this."
        )
    return result


def _measured(
    curvature: Callable[[PyTree], PyTree], p: PyTree, key: jax.Array, draws: int, max_dense: int
) -> CurvatureResult:
    """The measures, by the matrix or by random pairs."""
    flat, unravel = ravel_pytree(p)
    if flat.size > max_dense:
        return _random(curvature, p, key, draws)
    columns = [ravel_pytree(curvature(unravel(e)))[0] for e in jnp.eye(flat.size, dtype=flat.dtype)]
    H = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    size = float(np.max(np.abs(H), initial=0.0))
    _require_size(size)
    smallest = float(np.min(np.linalg.eigvalsh((H + H.T) / 2)))
    return CurvatureResult(float(np.max(np.abs(H - H.T))) / size, smallest / size, True)


def _random(curvature: Callable[[PyTree], PyTree], p: PyTree, key: jax.Array, draws: int) -> CurvatureResult:
    """Both measures on random pairs of directions."""
    asymmetry, smallest = 0.0, np.inf
    for k in jax.random.split(key, draws):
        v, w = (trees.random_like(p, half) for half in jax.random.split(k))
        Hv, Hw = curvature(v), curvature(w)
        size = max(trees.norm(Hv) * trees.norm(w), trees.norm(v) * trees.norm(Hw))
        _require_size(size)
        asymmetry = max(asymmetry, abs(trees.dot(Hv, w) - trees.dot(v, Hw)) / size)
        smallest = min(smallest, trees.dot(Hv, v) / (trees.norm(Hv) * trees.norm(v)))
    return CurvatureResult(asymmetry, smallest, False)


def _require_size(size: float) -> None:
    """Refuse an operator that cannot be judged."""
    if not 0.0 < size < np.inf:
        raise AssertionError(f"check_curvature: H has size {size}, needs a finite positive one. Check curvature at p.")
