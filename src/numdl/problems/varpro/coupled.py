"""Full (coupled) problem without elimination.

What is a separable problem when its linear part is not eliminated but moves along with the rest?

    f(theta, W) = 1/n sum_i w_i loss(W [u(theta, x_i); 1], c_i) + alpha_W/2 ||W_m||^2 + penalty(theta)

``VarPro`` is the minimum of this over W: both have the same value at the optimal head, the same gradient in theta
there, and the curvature of the one is the Schur complement of the other's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.problems.fits import require_theta
from numdl.problems.risk.empirical import Empirical
from numdl.problems.varpro.varpro import VarPro
from numdl.regularize.penalty import GroupPenalty


@dataclasses.dataclass(frozen=True)
class SeparableModel:
    """The scores ``W [u(theta, x); 1]`` of one sample; compares by value.

    Attributes:
        features: ``features(theta, x) -> (m,)``.
        intercept: whether the last column of W is a free constant.
        pixels: of a sample, each with m features, one after the other; 1 where samples have none.
    """

    features: Callable[[PyTree, Array], Array]
    intercept: bool
    pixels: int = 1

    def __post_init__(self) -> None:
        """Refuse features that are no function."""
        checks.function("SeparableModel", "features", self.features, "(theta, x_i) -> (m,)")
        checks.whole("SeparableModel", "pixels", self.pixels, least=1)

    def __call__(self, p: dict[str, Any], x: Float[Array, " d"]) -> Float[Array, " k"]:
        """Scores at ``p = {"theta": ..., "W": (k, q)}``, those of one pixel after the other where there are pixels."""
        u = self.features(p["theta"], x)
        if self.pixels > 1:
            u = u.reshape(self.pixels, -1)
            return (u @ p["W"][:, : u.shape[1]].T + (p["W"][:, -1] if self.intercept else 0.0)).ravel()
        return p["W"] @ (jnp.append(u, 1.0) if self.intercept else u)


def full_problem(problem: VarPro, theta: PyTree) -> Empirical:
    """The full problem of a reduced one, in ``p = {"theta": theta, "W": head}``; it needs no companion.

    ``problem.solve(problem.embed(theta), problem.first_head(theta)).W`` is the optimal head to start from, and
    ``problem.first_head(theta)`` a zero one.

    Args:
        problem: separable problem.
        theta: unknowns of the features; only their structure and shapes are used.

    Returns:
        The problem with the same features, loss, data and penalties.
    """
    require_theta("full_problem", problem, theta)
    head = problem.first_head(theta)
    free = np.zeros(head.shape, bool)
    free[:, head.shape[1] - problem.intercept :] = True
    penalty, groups = problem.penalty, problem.penalty.alpha.shape[0]
    # JAX orders the leaves of a dictionary by name: W comes before theta.
    alpha = [penalty.alpha, jnp.append(problem.alpha_head, jnp.zeros((), problem.alpha_head.dtype))]
    several = problem.alpha_head.size  # one for all outputs, or one for each
    labels = np.where(free, groups + several, groups + np.arange(len(head))[:, None] % several).reshape(-1)
    reference = penalty.reference
    if reference is not None:
        reference = jnp.concatenate([jnp.zeros(head.size, reference.dtype), reference])
    return Empirical(
        SeparableModel(problem.features, problem.intercept, problem.pixels),
        problem.loss,
        GroupPenalty(
            jnp.concatenate(alpha),
            jnp.concatenate([jnp.asarray(labels, penalty.labels.dtype), penalty.labels]),
            reference,
        ),
        problem.x,
        problem.c,
        problem.w,
        problem.chunk,
        problem.n_shards,
        problem.pixels,
    )
