"""Search over alpha: how is a criterion followed beyond the grid it was first asked on, and between its points?"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.regularize.ridge.filters import require_alphas
from numdl.regularize.ridge.path import RidgePath
from numdl.regularize.selectors.choice import Choice

Selector = Callable[[RidgePath], Choice]
"""A rule that chooses from a path."""


def search(
    paths: Callable[[np.ndarray], RidgePath],
    selector: Selector,
    alphas: Float[np.ndarray, " m"],
    *,
    extensions: int = 3,
    levels: int = 3,
) -> tuple[RidgePath, Choice]:
    """Choose on a grid; extend the grid where the choice is at its edge, then refine it around the choice.

    Args:
        paths: path at given alphas, for example ``partial(ridge_path, decomposition)``; asked once for each alpha.
        selector: rule.
        alphas: first grid, ascending, (m,).
        extensions: times that an edge is moved out, by four decades each.
        levels: times that nine alphas are put between the choice and each of its neighbours: each level finds alpha
            ten times more precisely.

    Returns:
        The path on the final grid, and the choice. A choice that is still at an edge says so.

    Raises:
        ValueError: an argument is out of range.
        TypeError: paths or selector is no function.

    Examples:
        >>> from functools import partial
        >>> import numpy as np
        >>> from numdl.data.problems.inverse_problems import deblurring
        >>> from numdl.regularize.ridge import decompose, ridge_path
        >>> from numdl.regularize.selectors import gcv, search
        >>> problem = deblurring(100)
        >>> d = decompose(problem.A, problem.noisy(0.01, 0)[:, None])
        >>> path, choice = search(partial(ridge_path, d), gcv, np.logspace(-6, -2, 3))
        >>> choice.edge, len(path.alphas) > 3
        ('', True)
    """
    checks.function("search", "paths", paths, "alphas -> RidgePath")
    checks.function("search", "selector", selector, "path -> Choice")
    alphas = require_alphas("search", alphas)
    checks.whole("search", "extensions", extensions, least=0)
    checks.whole("search", "levels", levels, least=0, most=20)
    path = paths(alphas)
    choice = selector(path)
    for _ in range(extensions):
        if not choice.edge:
            break
        end, way = (path.alphas[0], -1) if choice.edge == "low" else (path.alphas[-1], 1)
        path = _merged(path, paths(np.sort(end * 10.0 ** (way * np.linspace(0, 4, 21)[1:]))))
        choice = selector(path)
    for _ in range(levels):
        at = np.log(path.alphas[max(choice.index - 1, 0) : choice.index + 2])
        finer = np.concatenate([np.linspace(low, high, 11)[1:-1] for low, high in itertools.pairwise(at)] or [at[:0]])
        finer = np.setdiff1d(np.exp(finer), path.alphas)
        if not len(finer):
            break
        path = _merged(path, paths(finer))
        choice = selector(path)
    return path, choice


def _merged(one: RidgePath, other: RidgePath) -> RidgePath:
    """Both paths as one, alphas ascending."""
    order = np.argsort(np.concatenate([one.alphas, other.alphas]))
    names = ("alphas", "residuals", "seminorms", "freedom", "squared_freedom", "errors")
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in names if getattr(one, name) is not None}
    return one._replace(**{name: np.concatenate(pair)[order] for name, pair in pairs.items()})
