"""Can a minimisation be begun with the unknowns and the budget that were given?"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numdl import checks
from numdl.contracts import PyTree


def require_budget(call: str, max_iter: Any, time_budget: Any, *, least: int = 0) -> None:
    """Refuse what is no number of steps and no time.

    Args:
        call: name for the message.
        max_iter: steps at most.
        time_budget: seconds at most; None or infinity for no limit.
        least: steps.

    Raises:
        ValueError: ``max_iter`` is no whole number in range, or ``time_budget`` no number >= 0.
    """
    checks.whole(call, "max_iter", max_iter, least=least, hint="Use max_iter=100, in steps.")
    require_limit(call, "time_budget", time_budget)


def require_limit(call: str, name: str, value: Any) -> None:
    """Refuse what is no upper bound.

    Args:
        call: name for the message.
        name: of the bound.
        value: a number; None or infinity for no limit.

    Raises:
        ValueError: no number, or negative.
    """
    if value is not None and not (isinstance(value, float) and value == math.inf):
        checks.number(call, name, value, least=0, hint="Use None for no limit." if name == "time_budget" else "")


def require_unknowns(call: str, p: PyTree) -> None:
    """Refuse a start that has nothing to move, or something that cannot be moved.

    Args:
        call: name for the message.
        p: start.

    Raises:
        ValueError: there is no array, or one that is not of real floating-point numbers.
    """
    leaves = jax.tree_util.tree_leaves_with_path(p)
    if not leaves:
        raise ValueError(f"{call}: p has no arrays, needs at least one. Give the unknowns as a tree of arrays.")
    for path, leaf in leaves:
        kind = getattr(leaf, "dtype", None)
        if kind is None or not jnp.issubdtype(kind, jnp.floating):
            kind = type(leaf).__name__ if kind is None else kind
            raise ValueError(
                f"{call}: p{jax.tree_util.keystr(path)} is {kind}, needs an array of real floating-point numbers. "
                "Convert it (complex unknowns to real and imaginary parts), or leave out of p what is no unknown."
            )


def form_of(tree: PyTree) -> Any:
    """Structure of a tree and shapes of its leaves, to be compared."""
    return jax.tree.structure(tree), [np.shape(leaf) for leaf in jax.tree.leaves(tree)]
