"""Pieces that several models are made of: scaled inputs, activations, standard deviations of a linear model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.export.description import CannotExport
from numdl.export.program import Program, Value, require_fit

LIMIT, STRETCH, HUGE = 3.0, 2 / 3, 1e150
"""Bound of squashed columns and factor of logarithmic ones, see ``numdl.data.Scaler``; where squares would overflow."""

CORNER = 0.1
"""Half the length of the rounded corner of "smooth_relu"."""


def scaled(x: Value, scaler: Any) -> Value:
    """Inputs as ``numdl.data.Scaler`` hands them on.

    Args:
        x: the row (d,).
        scaler: center, scale, squash, logarithmic.

    Returns:
        (d,).
    """
    z = (x - scaler.center) / scaler.scale
    squash, logarithmic = np.flatnonzero(scaler.squash), np.flatnonzero(scaler.logarithmic)
    plain = np.setdiff1d(np.arange(x.size), np.concatenate([squash, logarithmic]))
    if len(plain) == x.size:
        return z
    parts = [z[plain]] if plain.size else []
    if squash.size:
        tail = z[squash].maximum(-HUGE).minimum(HUGE)
        parts.append(tail / (1.0 + (tail / LIMIT).square()).sqrt())
    if logarithmic.size:
        parts.append(STRETCH * z[logarithmic].asinh())
    return x.program.join(parts)[np.argsort(np.concatenate([plain, squash, logarithmic]))]


def _smooth_relu(z: Value) -> Value:
    corner = z.maximum(-CORNER).minimum(CORNER)
    return (corner + CORNER).square() * (1 / (4 * CORNER)) + (z - CORNER).maximum(0.0)


ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
    "tanh": lambda z: z.tanh(),
    "relu": lambda z: z.maximum(0.0),
    "smooth_relu": _smooth_relu,
    "sine": lambda z: z.sin(),
    "softplus": lambda z: z.softplus(),
    "gelu": lambda z: 0.5 * z * (1.0 + (z * 0.5**0.5).erf()),
    "silu": lambda z: z * z.sigmoid(),
    "identity": lambda z: z,
}
"""Activations of ``numdl.flow`` by name."""


def activation(call: str, name: Any) -> Callable[[Value], Value]:
    """An activation.

    Args:
        call: the model to name.
        name: of the activation.

    Returns:
        What it makes of a vector.

    Raises:
        CannotExport: it is none of ``ACTIVATIONS``.
    """
    if name not in ACTIVATIONS:
        raise CannotExport(
            f"export({call}): the activation {name!r} is not known here ({', '.join(ACTIVATIONS)}). Use one of these."
        )
    return ACTIVATIONS[name]


def linear_std(x: Value, errors: Any) -> Value:
    """Standard deviation of a new observation, as ``StandardErrors.of_observations`` has it.

    Args:
        x: what the linear model sees (p,).
        errors: standard errors with their basis.

    Returns:
        (k,).
    """
    seen = x.affine(errors.basis.T, -(errors.center @ errors.basis)).square()
    return errors.error_std * seen.affine(errors.shares**2, getattr(errors, "typical", 1.0) + errors.level).sqrt()


def forest(x: Value, trees: Any) -> Value:
    """Mean over the trees of a ``numdl.estimators.trees.forest.Forest``.

    Args:
        x: scaled inputs (d,).
        trees: the forest.

    Returns:
        (k,).
    """
    nodes = np.stack([trees.feature, trees.threshold, trees.left, trees.right], axis=1)
    return x.trees(nodes, trees.value / len(trees.root), trees.root)


def mean_and_std(program: Program, mean: Value, std: Value | None) -> None:
    """Name the results of a regressor.

    Args:
        program: theirs.
        mean: (k,).
        std: (k,), or None.
    """
    program.results["mean"] = mean.at
    if std is not None:
        require_fit(std.size == mean.size, "std", std.size, mean.size)
        program.results["std"] = std.at
