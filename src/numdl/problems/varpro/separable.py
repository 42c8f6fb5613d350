"""Separable nonlinear least squares.

How is a sum of functions with unknown factors fitted, outside networks and without setting up a penalty?

    c_i ~ sum_j beta_j u_j(theta, x_i),      beta = the head of ``VarPro``

for instance a sum of exponentials, ``u_j = exp(-theta_j x)``. The factors beta need no start: they are eliminated, and
``LevenbergMarquardtQR`` on ``VarPro.residual`` takes the full Golub-Pereyra derivative.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from numdl import checks
from numdl.contracts import PyTree
from numdl.problems.fits import require_loss
from numdl.problems.risk.losses import LEAST_SQUARES, Loss
from numdl.problems.varpro.varpro import VarPro
from numdl.regularize.penalty import GroupPenalty


def separable(
    features: Callable,
    theta: PyTree,
    x: ArrayLike,
    c: ArrayLike,
    *,
    w: ArrayLike | None = None,
    loss: Loss = LEAST_SQUARES,
    alpha: float = 0.0,
    alpha_head: float = 0.0,
    intercept: bool = False,
) -> VarPro:
    """A ``VarPro`` with everything but model and data filled in.

    Args:
        features: ``features(theta, x_i) -> (m,)`` for one sample; a module-level function.
        theta: a start, or anything with its structure: only its size is used.
        x: samples, (n, d) or (n,).
        c: targets, (n, k) or (n,).
        w: positive weights, ``1 / variance`` up to a factor, (n,); None for equal ones.
        loss: misfit of one sample; others than least squares need ``alpha_head > 0``.
        alpha: penalty of theta.
        alpha_head: penalty of the head.
        intercept: whether a free constant is added.

    Returns:
        The problem; its start is ``(theta, problem.first_head(theta))``.

    Raises:
        ValueError: numbers of rows differ, weights are not positive, or the loss needs a penalty of the head.

    Examples:
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> from numdl.optimize import LevenbergMarquardt, minimize
        >>> from numdl.problems import separable
        >>> t = np.linspace(0, 1, 30)
        >>> def decays(theta, t):
        ...     return jnp.exp(-theta * t)
        >>> start = jnp.array([1.0, 5.0])
        >>> problem = separable(decays, start, t, 2 * np.exp(-2 * t) + np.exp(-9 * t))
        >>> result, head = minimize(problem, LevenbergMarquardt(), start, problem.first_head(start))
        >>> [round(float(rate), 2) for rate in result.p]
        [2.0, 9.0]

    Source: Golub and Pereyra, Inverse Problems 19 (2003) R1-R26.
    """
    checks.function("separable", "features", features, "(theta, x_i) -> (m,)")
    require_loss("separable", loss)
    checks.leaves("separable", "theta", theta)
    checks.finite("separable", "x", x, ("n", "..."))
    checks.finite("separable", "c", c, ("n", "..."))
    for name, number in (("alpha", alpha), ("alpha_head", alpha_head)):
        checks.number("separable", name, number, least=0, hint="Use 0 for no penalty.")
    if w is not None:
        checks.finite("separable", "w", w, ("n",))
    columns = [a[:, None] if a.ndim == 1 else a for a in (jnp.asarray(x), jnp.asarray(c))]
    samples, targets = (a.astype(jnp.result_type(a, float)) for a in columns)
    n = len(samples)
    weights = np.ones(n) if w is None else np.asarray(w, float)
    if n == 0 or len(targets) != n or weights.shape != (n,):
        raise ValueError(
            f"separable: x, c and w have {n}, {len(targets)} and {len(weights)} rows, needs the same positive number."
        )
    if not (np.all(weights > 0) and np.all(np.isfinite(weights))):
        raise ValueError(
            f"separable: w[{int(np.argmin(weights > 0))}] = {weights.min():g}, needs positive finite weights. "
            "Leave samples without weight out."
        )
    if loss.name != LEAST_SQUARES.name and alpha_head <= 0:
        raise ValueError(f"separable: alpha_head = {alpha_head:g} with {loss.name}, needs > 0. Try alpha_head=1e-6.")
    size = ravel_pytree(theta)[0].size
    real = samples.dtype
    return VarPro(
        features,
        loss,
        samples,
        targets,
        jnp.asarray(weights / weights.mean(), real),
        GroupPenalty(jnp.full(1, alpha, real), jnp.zeros(size, jnp.int32)),
        jnp.asarray(alpha_head, real),
        intercept=intercept,
    )
