"""Validation of a minimisation's start.

Can a minimisation be begun with the unknowns and the budget that were given?
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from numdl import checks
from numdl.contracts import PyTree

SETTINGS: dict[str, dict[str, float]] = {
    "tol": {"least": 0},
    "max_trials": {"least": 1},
    "max_products": {"least": 1},
    "inner_steps": {"least": 1},
    "memory": {"least": 1},
    "blocks": {"least": 1},
    "first_radius": {"above": 0},
    "first_damping": {"above": 0},
    "first_curvature": {"above": 0},
    "first_rho": {"above": 0},
    "first_weight": {"above": 0},
    "forcing": {"above": 0, "below": 1},
    "flatness": {"above": 0, "below": 1},
    "floor": {"least": 0, "most": 1},
    "bend": {"above": 0},
    "most_bent": {"above": 0},
}
"""Range of each setting, whichever method it belongs to."""

WORDS = {"subspace": ("cg", "lanczos", "arnoldi"), "length": ("armijo", "exact")}
"""Settings that are one of a few words."""


PARTS = {
    "transformation": ("update", "optax.adam(1e-3)"),
    "transform": ("update", "optax.adam(1e-3)"),
    "onto": ("prox", "numdl.regularize.non_negative()"),
    "prox": ("prox", "numdl.regularize.L1(jnp.asarray(1e-3))"),
}
"""Settings that are objects: the attribute they need, and an example."""


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
    require_limit(call, "time_budget", time_budget)
    checks.whole(call, "max_iter", max_iter, least=least, hint="Use max_iter=100, in steps.")


def require_limit(call: str, name: str, value: Any) -> None:
    """Refuse what is no upper bound.

    Args:
        call: name for the message.
        name: of the bound.
        value: a number; None or infinity for no limit.

    Raises:
        ValueError: no number, or negative.
    """
    if value is not None:
        checks.number(
            call, name, value, least=0, infinite=True, hint="Use None for no limit." if name == "time_budget" else ""
        )


def require_settings(method: Any) -> None:
    """Refuse settings of a method that are out of range; the same name has the same range in all methods.

    Args:
        method: a module whose fields are its settings.

    Raises:
        ValueError: a setting is no number, not finite, or out of range.
        TypeError: ``diagnose`` is no function, or an object has not what is needed.
    """
    call = type(method).__name__
    for field in dataclasses.fields(method):
        value, bounds = (
            getattr(method, field.name),
            SETTINGS.get(field.name) if str(field.type).startswith(("int", "float")) else None,
        )
        if field.name in WORDS:
            checks.choice(call, field.name, value, WORDS[field.name])
        elif field.name in PARTS and not (value is None and field.default is None):
            if not hasattr(value, PARTS[field.name][0]):
                needed, like = PARTS[field.name]
                raise TypeError(
                    f"{call}({field.name}={checks.shown(value)}): has no {needed}, needs something with it. Give for "
                    f"example {like}."
                )
        elif field.name == "blocks" and bounds is None:
            if value is not None and not (isinstance(value, tuple) and all(isinstance(part, tuple) for part in value)):
                raise TypeError(
                    f"{call}(blocks={checks.shown(value)}): needs tuples of keys, one for each block. Give for example "
                    "(('theta',), ('W',)), or None."
                )
        elif field.name in ("lower", "upper"):
            checks.leaves(call, field.name, value, infinite=True)
        elif field.name == "diagnose" and value is not None:
            checks.function(call, "diagnose", value, "(problem, p, ...) -> dict of metrics")
        elif field.type in ("bool", bool):
            checks.flag(call, field.name, value)
        elif bounds is not None and not (value is None and field.default is None):
            kind: Any = checks.whole if field.type in ("int", int) else checks.number
            kind(call, field.name, value, **bounds, hint=f"Use {field.name}={field.default}.")


def require_unknowns(call: str, p: PyTree) -> None:
    """Refuse a start that has nothing to move, something that cannot be moved, or a number that is not finite.

    Args:
        call: name for the message.
        p: start.

    Raises:
        ValueError: there is no array, or one that is not of real, finite floating-point numbers.
        TypeError: an array is traced.
    """
    _require_values(call, "p", p)
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
        checks.finite(call, f"p{jax.tree_util.keystr(path)}", leaf, hint="Start elsewhere.")


def require_pytree(call: str, **arguments: Any) -> None:
    """Refuse what cannot be an argument of a compiled function.

    Args:
        call: name for the message.
        arguments: optimiser, problem, companion, by name.

    Raises:
        TypeError: a class is not registered with JAX, has a leaf that is no array and no number, or one that is traced.
    """
    for what, given in arguments.items():
        _require_values(call, what, given)
        name = type(given).__name__
        for path, leaf in jax.tree_util.tree_leaves_with_path(given):
            if isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex):
                continue
            if leaf is given:
                raise TypeError(
                    f"{call}({what}={name}): JAX does not know this class as a pytree, needs one. Make it "
                    "an equinox.Module, or a frozen dataclass under jax.tree_util.register_dataclass."
                )
            raise TypeError(
                f"{call}({what}={name}): {jax.tree_util.keystr(path)} is {type(leaf).__name__}, no array. Declare it "
                "static: equinox.field(static=True), or dataclasses.field(metadata={'static': True})."
            )


def _require_values(call: str, name: str, tree: PyTree) -> None:
    """Refuse what stands for numbers while JAX traces: a loop in Python decides by numbers when to stop."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if checks.traced(leaf):
            raise TypeError(
                f"{call}: {name}{jax.tree_util.keystr(path)} is traced, needs numbers, by which it says when to stop. "
                "Call it outside jit, grad and vmap: its steps are compiled anyway. To go through what was found, "
                "differentiate its optimality condition."
            )
