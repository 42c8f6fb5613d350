"""Problems from any model (Equinox, Flax, functions).

How does any model of one sample, whatever holds its weights, become a problem for every optimiser here?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.problems.fits import require_loss
from numdl.problems.risk.empirical import Empirical
from numdl.problems.risk.losses import Loss
from numdl.regularize.penalty import GroupPenalty


class Combined(eqx.Module):
    """An Equinox module without its weights: ``apply(p, x)`` puts them back; compares by value.

    Attributes:
        rest: the module with None in place of its weights.
    """

    rest: Any

    def __call__(self, p: PyTree, x: Float[Array | np.ndarray, " d"]) -> Array:
        """The module with weights p at one sample."""
        return eqx.combine(p, self.rest)(x)


def split_module(module: Any) -> tuple[Callable[[PyTree, Array], Array], PyTree]:
    """Function and weights of an Equinox module.

    Args:
        module: called with one sample; its floating-point arrays are the weights.

    Returns:
        ``apply(p, x)`` and ``p``, for ``empirical``; ``equinox.combine(p, apply.rest)`` is the module again.

    Raises:
        ValueError: the module has no weights, some that are not finite or not real, or other arrays,
            which cannot be static.
    """
    p, rest = eqx.partition(module, eqx.is_inexact_array)
    call = f"split_module({type(module).__name__})"
    checks.leaves(call, "module", p)
    if not jax.tree.leaves(p):
        raise ValueError(f"{call}: no floating-point array found, needs at least one. Give a module with weights.")
    if any(eqx.is_array(leaf) for leaf in jax.tree.leaves(rest)):
        raise ValueError(f"{call}: it holds arrays that are no weights. Make them floating-point, or static fields.")
    return Combined(rest), p


def empirical(
    apply: Callable[[PyTree, Array], Array],
    loss: Loss,
    x: Float[Array | np.ndarray, "n d"],
    c: Float[Array | np.ndarray, "rows k"],
    p: PyTree,
    *,
    alpha: float = 0.0,
    w: Float[Array | np.ndarray, " n"] | None = None,
) -> Empirical:
    """The problem ``1/n sum_i w_i loss(apply(p, x_i), c_i) + alpha/2 ||p||^2`` of any model.

    Args:
        apply: ``apply(p, x_i) -> (k,)`` for one sample; hashable, best a module-level function or from
            ``split_module``.
        loss: misfit of one sample.
        x: samples, (n, d).
        c: targets, (n, k).
        p: weights of any structure; only their shapes and dtypes are used.
        alpha: penalty on all weights, in units of the mean misfit, not negative.
        w: sample weights of mean 1, no unit; None for equal ones.

    Returns:
        Problem for ``minimize`` from p on.

    Raises:
        ValueError: x and c have different numbers of rows, the scores do not fit the targets, or alpha is negative.

    Examples:
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> from numdl.optimize import LevenbergMarquardt, minimize
        >>> from numdl.problems import empirical, get_loss
        >>> x = np.linspace(0, 1, 20)[:, None]
        >>> def model(p, x):
        ...     return p["a"] * jnp.exp(p["rate"] * x)
        >>> start = {"a": jnp.ones(()), "rate": jnp.zeros(())}
        >>> problem = empirical(model, get_loss("least_squares"), x, 2 * np.exp(-3 * x), start)
        >>> result, _ = minimize(problem, LevenbergMarquardt(), start)
        >>> round(float(result.p["a"]), 2), round(float(result.p["rate"]), 2)
        (2.0, -3.0)
    """
    checks.function("empirical", "apply", apply, "(p, x_i) -> (k,)")
    require_loss("empirical", loss)
    x = jnp.asarray(checks.finite("empirical", "x", x, ("n", "d")))
    c = jnp.asarray(checks.finite("empirical", "c", c, ("n", "k")))
    if w is not None:
        checks.finite("empirical", "w", w, (x.shape[0],))
    checks.leaves("empirical", "p", p)
    if x.shape[0] != c.shape[0]:
        raise ValueError(
            f"empirical: x has {x.shape[0]} rows, c has {c.shape[0]}, needs as many. Give one target for each sample."
        )
    checks.number("empirical", "alpha", alpha, least=0, hint="Use 0 for no penalty.")
    row = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    shape = jnp.shape(checks.shape_of("empirical", "apply, p, x", apply, p, row, needs="a model of one sample"))
    if shape != c.shape[1:]:
        raise ValueError(
            f"empirical: apply(p, x_i) has shape {shape}, a target {c.shape[1:]}, needs the same. Give "
            "a model with as many outputs."
        )
    leaves = jax.tree.leaves(p)
    labels = jnp.zeros(sum(leaf.size for leaf in leaves), jnp.int32)
    penalty = GroupPenalty(jnp.full(1, alpha, jnp.result_type(*leaves)), labels)
    return Empirical(apply, loss, penalty, x, c, jnp.ones(x.shape[0], x.dtype) if w is None else jnp.asarray(w))
