"""Precision of checks.

In which precision does a check compute? In that of the arrays it is given, whatever JAX is set to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numdl import checks
from numdl.contracts import PyTree


@contextmanager
def precision_of(call: str, *given: PyTree) -> Iterator[str]:
    """JAX's local 64-bit context where an array of 64 bits is given; else the configuration of the caller.

    Outside ``jax.enable_x64`` JAX makes float32 of NumPy's float64 without a word, and a check would see nothing below
    float32. Numbers of Python count as float64 where no array stands beside them. An error that arises because
    something else was made in float32 carries a note.

    Args:
        call: what an error calls the caller.
        given: pytrees of arrays; leaves that are no floating point numbers do not matter here.

    Yields:
        Name of the shortest dtype among the leaves within the context, such as ``"float32"``.
    """
    leaves = [leaf for leaf in jax.tree.leaves(given) if jnp.issubdtype(_dtype(leaf), jnp.inexact)]
    arrays = [leaf for leaf in leaves if hasattr(leaf, "dtype")] or leaves
    wide = any(jnp.finfo(_dtype(leaf)).bits == 64 for leaf in arrays)
    already = jnp.result_type(float) == np.float64
    switched = wide and not already
    with jax.enable_x64(wide or already):
        names = {jnp.result_type(leaf).name for leaf in arrays}
        try:
            yield max(names, key=lambda name: float(jnp.finfo(name).eps), default="float32")
        except (TypeError, ValueError) as error:
            if switched:
                error.add_note(
                    f"{call} computes in float64 here, as the arrays it was given, but something it calls may have "
                    "been made in float32. Make it and call the check within `with jax.enable_x64(True):`, or give "
                    "float32 arrays."
                )
            raise


def require_real(call: str, **given: PyTree) -> None:
    """Refuse leaves along which nothing can be differentiated.

    Args:
        call: what the error calls the caller.
        **given: pytrees of arrays and numbers, by the name of the argument.

    Raises:
        ValueError: a leaf is not of real, finite floating point numbers, or there is no leaf.
    """
    leaves = jax.tree.leaves_with_path(given)
    if not leaves:
        names = ", ".join(given)
        raise ValueError(f"{call}({names}): was given no arrays, needs at least one. Check what you pass.")
    for path, leaf in leaves:
        name = path[0].key + jax.tree_util.keystr(path[1:])
        if not jnp.issubdtype(_dtype(checks.finite(call, name, leaf)), jnp.floating):
            raise ValueError(
                f"{call}({name}): is {_dtype(leaf)}, needs real floating point numbers. Use np.asarray(..., float)."
            )


def _dtype(leaf: Any) -> Any:
    """The dtype as it was given: JAX's own ``result_type`` already hides float64."""
    return leaf.dtype if hasattr(leaf, "dtype") else np.result_type(leaf)
