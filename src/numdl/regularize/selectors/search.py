"""How is a criterion followed beyond the grid it was first asked on, and between its points?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

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
    refine: int = 20,
) -> tuple[RidgePath, Choice]:
    """Choose on a grid; extend the grid where the choice is at its edge, then refine it around the choice.

    Args:
        paths: path at given alphas, for example ``partial(ridge_path, decomposition)``.
        selector: rule.
        alphas: first grid, ascending, (m,).
        extensions: times that an edge is moved out, by four decades each.
        refine: alphas put on each side of the choice up to its neighbours; 0 for none.

    Returns:
        The path on the final grid, and the choice. A choice that is still at an edge says so.
    """
    path, choice = _ask(paths, selector, alphas)
    for _ in range(extensions):
        if not choice.edge:
            break
        end, way = (alphas[0], -1) if choice.edge == "low" else (alphas[-1], 1)
        alphas = np.union1d(alphas, end * 10.0 ** (way * np.linspace(0, 4, 21)[1:]))
        path, choice = _ask(paths, selector, alphas)
    if not refine or len(alphas) < 2:
        return path, choice
    around = np.log(alphas[[max(choice.index - 1, 0), choice.index, min(choice.index + 1, len(alphas) - 1)]])
    finer = np.exp(np.concatenate([np.linspace(around[i], around[i + 1], refine + 2)[1:-1] for i in (0, 1)]))
    finer = finer[(finer > alphas[0]) & (finer < alphas[-1])]
    return _ask(paths, selector, np.union1d(alphas, finer))


def _ask(paths: Callable, selector: Selector, alphas: np.ndarray) -> tuple[RidgePath, Choice]:
    path = paths(alphas)
    return path, selector(path)
