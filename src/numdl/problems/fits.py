"""Compatibility of a problem's parts.

Is what a problem is made of a model, a loss, a penalty and samples that fit each other? By shapes, and by values that
are known: what JAX traces passes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from numdl import checks
from numdl.contracts import CompanionProblem, PyTree, require
from numdl.problems.risk.losses import Loss

FUNCTIONS = {"apply": "(p, x_i) -> (k,)", "features": "(theta, x_i) -> (m,)", "model": "(p, x_i) -> (k,)"}
"""Fields that are functions of one sample, and how they are called."""
ARRAYS: dict[str, checks.Shape] = {
    "x": ("n", "d"),
    "c": ("n", "k"),
    "w": ("n",),
    "z": ("q", "n"),
    "light": ("q", "n"),
}
"""Fields that are arrays, and their shapes."""
COUNTS = ("chunk", "curvature_rows", "n_shards")


def require_parts(problem: Any) -> None:
    """Refuse what is no part of a problem; the same name is the same part in all problems.

    Args:
        problem: a module whose fields are its parts.

    Raises:
        ValueError: an array is not finite or has another shape or number of rows, or a number is out of range.
        TypeError: a model, loss or penalty is none.
    """
    call = type(problem).__name__
    parts = {field.name: (getattr(problem, field.name), field.default) for field in dataclasses.fields(problem)}
    pixels = checks.whole(call, "pixels", getattr(problem, "pixels", 1), least=1)
    if "loss" in parts:
        require_loss(call, problem.loss)
    if "penalty" in parts:
        require_penalty(call, problem.penalty)
    for name, (part, default) in parts.items():
        if part is None and default is None:
            continue
        if name in FUNCTIONS:
            checks.function(call, name, part, FUNCTIONS[name])
        elif name in ARRAYS:
            by_pixel = name == "w" and pixels > 1 and np.ndim(problem.w) == 2
            shape = ("n", pixels) if by_pixel else ARRAYS[name]
            checks.finite(call, name, part, shape, hint="Remove the sample, or mend it.")
        elif name in COUNTS:
            checks.whole(call, name, part, least=1)
        elif name == "alpha_head":
            one_or_each = (problem.c.shape[1] // pixels,) if np.ndim(problem.alpha_head) == 1 else ()
            checks.finite(call, name, part, one_or_each, least=0, hint="Use 0 for no penalty.")
    rows = {
        name: part.shape[1 if name in ("z", "light") else 0]
        for name, (part, _) in parts.items()
        if name in ARRAYS and part is not None
    }
    if len(set(rows.values())) > 1:
        raise ValueError(f"{call}: {_told(rows)}, needs the same number. Give one target and one weight per sample.")
    if pixels > 1 and problem.c.shape[1] % pixels:
        raise ValueError(
            f"{call}(pixels={pixels}): c has {problem.c.shape[1]} columns, needs as many for each pixel. Give those of "
            "one pixel after the other."
        )


def refuse_pixels(call: str, pixels: int) -> None:
    """Refuse problems whose samples have pixels, where each sample is taken to have one row of scores.

    Args:
        call: the call to name.
        pixels: of a sample.

    Raises:
        ValueError: there is more than one.
    """
    if pixels > 1:
        raise ValueError(
            f"{call}: samples have {pixels} pixels, needs 1. Use a method that asks for products only, such as "
            "NewtonCG or LBFGS, or minimize_stochastic."
        )


def require_loss(call: str, loss: Any) -> None:
    """Refuse what is no loss.

    Args:
        call: the call to name.
        loss: as given.
    """
    require(loss, Loss, f"{call}(loss)", "use get_loss('least_squares') or loss_from of numdl.problems")


def require_penalty(call: str, penalty: Any) -> None:
    """Refuse what is no penalty, or one with entries that are not finite.

    Args:
        call: the call to name.
        penalty: as given.

    Raises:
        TypeError: it has no value or gradient.
    """
    if not hasattr(penalty, "value") or not hasattr(penalty, "gradient"):
        raise TypeError(
            f"{call}(penalty={checks.shown(penalty)}): has no value and gradient, needs both. Use GroupPenalty of "
            "numdl.regularize, with alpha=0 for none."
        )
    checks.leaves(call, "penalty", penalty, others=True)


def require_theta(call: str, problem: Any, theta: PyTree, aux: Array | None = None) -> None:
    """Refuse unknowns, or a head, that do not fit a reduced problem; what is traced is not looked at.

    Args:
        call: the call to name.
        problem: as given.
        theta: unknowns of its features.
        aux: its head; None for none.

    Raises:
        ValueError: a number is not finite, or the head has another shape.
        TypeError: the problem is none, or its features cannot be evaluated.
    """
    require(problem, CompanionProblem, f"{call}(problem)", "use VarPro or separable of numdl.problems")
    if any(map(checks.traced, jax.tree.leaves((theta, problem)))):
        return
    checks.leaves(call, "theta", theta)
    row, needs = jax.ShapeDtypeStruct(problem.x.shape[1:], problem.x.dtype), "the unknowns of the features"
    u = checks.shape_of(call, "theta", problem.features, theta, row, needs=needs)
    if aux is not None:
        pixels = getattr(problem, "pixels", 1)
        checks.finite(call, "aux", aux, (problem.c.shape[1] // pixels, jnp.shape(u)[0] // pixels + problem.intercept))


def _told(rows: dict[str, int]) -> str:
    """``x has 3 rows, c has 4``."""
    first, *others = rows.items()
    return f"{first[0]} has {first[1]} rows" + "".join(f", {name} has {count}" for name, count in others)
