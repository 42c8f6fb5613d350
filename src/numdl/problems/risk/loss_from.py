"""Loss from a function: how does a misfit become a ``Loss`` when only its value is known?

Derivatives are automatic; the factor of the Hessian comes from its eigenvalues, negative ones (rounding) set to zero:
directions in which the loss is flat carry no curvature.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from numdl import checks
from numdl.problems.risk.losses import LOSSES, Loss


def loss_from(
    name: str,
    value: Callable[[Array, Array], Array],
    predict: Callable[[Array], Array] | None = None,
    *,
    classes: bool = False,
) -> Loss:
    """A loss from ``value(s, c)``, which must be convex and twice continuously differentiable in the scores s.

    Where the loss is flat, as a squared hinge is for samples beyond the margin, those samples neither push nor bend;
    the head's penalty alone makes its minimiser unique. A loss with a kink (hinge, absolute value) has no curvature
    that Newton's method could use: the head is then not optimal, and ``head_gradient`` in the metrics of ``VarPro``
    stays far from zero. Round the kink off instead.

    Args:
        name: what to call the loss; names of the losses that are known here are taken.
        value: ``value(s, c) -> ()`` for scores (k,) and target (k,) of one sample. Make the loss once and keep it: each
            call returns new functions, and what uses them is compiled anew.
        predict: ``predict(s) -> (k,)``; None for the scores themselves.
        classes: whether targets are classes: the training error is then the share of wrong ones.

    Returns:
        Value, derivatives and prediction for one sample.

    Raises:
        ValueError: the name is taken, or no text.
        TypeError: value or predict cannot be called.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.problems import loss_from
        >>> rounded = loss_from("rounded", lambda s, c: jnp.sum(jnp.sqrt(1 + (s - c) ** 2) - 1))
        >>> s, c = jnp.array([3.0]), jnp.array([0.0])
        >>> round(float(rounded.value(s, c)), 4), round(float(rounded.residual(s, c)[0]), 4)
        (2.1623, 0.9487)
    """
    if not isinstance(name, str) or name in LOSSES:
        raise ValueError(f"loss_from(name={name!r}): needs a text that names none of {', '.join(LOSSES)}. Use another.")
    checks.function("loss_from", "value", value, "(s, c) -> ()")
    if predict is not None:
        checks.function("loss_from", "predict", predict, "s -> prediction")
    hessian = jax.hessian(value)

    def factor(s: Array, c: Array) -> Array:
        curvatures, directions = jnp.linalg.eigh(hessian(s, c))
        return jnp.sqrt(jnp.maximum(curvatures, 0.0))[:, None] * directions.T

    def itself(s: Array) -> Array:
        return s

    return Loss(name, value, jax.grad(value), hessian, factor, predict or itself, classes)
