"""Validation of a minimisation's start.

Can a minimisation be begun with the unknowns and the budget that were given?
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numdl.contracts import PyTree


def require_budget(call: str, max_iter: Any, time_budget: Any) -> None:
    """Refuse what is no number of steps and no time.

    Args:
        call: name for the message.
        max_iter: steps at most.
        time_budget: seconds at most; None for no limit.

    Raises:
        ValueError: ``max_iter`` is no whole number >= 0, or ``time_budget`` no number >= 0.
    """
    whole = isinstance(max_iter, int | np.integer) and not isinstance(max_iter, bool)
    if not (whole and max_iter >= 0):
        raise ValueError(f"{call}(max_iter={max_iter!r}): needs a whole number of steps >= 0. Use max_iter=100.")
    if time_budget is not None and not (isinstance(time_budget, int | float | np.number) and time_budget >= 0):
        raise ValueError(f"{call}(time_budget={time_budget!r}): needs seconds >= 0. Use None for no limit.")


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


def require_pytree(call: str, what: str, given: Any) -> None:
    """Refuse what cannot be an argument of a compiled function.

    Args:
        call: name for the message.
        what: name of the argument.
        given: optimiser or problem.

    Raises:
        TypeError: its class is not registered with JAX, or has a leaf that is no array and no number.
    """
    name = type(given).__name__
    for path, leaf in jax.tree_util.tree_leaves_with_path(given):
        if leaf is given:
            raise TypeError(
                f"{call}({what}={name}): JAX does not know this class as a pytree, needs one. Make it "
                "an equinox.Module, or a frozen dataclass under jax.tree_util.register_dataclass."
            )
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex):
            raise TypeError(
                f"{call}({what}={name}): {jax.tree_util.keystr(path)} is {type(leaf).__name__}, no array. Declare it "
                "static: equinox.field(static=True), or dataclasses.field(metadata={'static': True})."
            )


def form_of(tree: PyTree) -> Any:
    """Structure of a tree and shapes of its leaves, to be compared."""
    return jax.tree.structure(tree), [np.shape(leaf) for leaf in jax.tree.leaves(tree)]
