"""Limited-memory head for mini-batches: how does a linear head follow one batch after another without a learning rate?

Sampled limited-memory Tikhonov: with the rows ``A_j = diag(sqrt(w/B)) [u, 1]`` of this batch (k) and of the r batches
before, as their features were then, and the sums ``Lambda`` of the regularisation parameters before and after this
step, the head ``W`` becomes ``W - S``,

    (sum_{j=k-r}^{k} A_j'A_j + Lambda_k D) S' = A_k' (A_k W' - b_k) + (Lambda_k - Lambda_{k-1}) D W' ,

D the identity without the intercept. If the memory holds all batches, the features stand still and W was zero at first,
W is after every step the Tikhonov head of all rows seen, with the parameter ``Lambda_k``. The parameter comes from
generalised cross validation of that Tikhonov problem: with the N rows A and targets b in memory, this batch included,

    G(Lambda) = N ||A X' - b||^2 / (N - trace T)^2 ,    T = A (A'A + Lambda D)^-1 A' ,    A X' = T b .

The source takes the rows of the batch alone. From few rows that says little, and from one row nothing: the residual of
its fit is ``(1 - T)`` times what it was before, so that G is the same for every Lambda.

The intercept is eliminated by centring, the rest diagonalised once, so that each further Lambda costs a few products.

Sources: Newman, Chung, Chung, Ruthotto, SIAM J. Sci. Comput. 44 (2022) A2322-A2348, sec. 3; Chung, Chung, Slagel,
Tenorio, Inverse Problems 36 (2020), sampled limited memory methods for massive linear inverse problems.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class SampledSystem(NamedTuple):
    """What a step and its criterion need, in the eigenvectors V of the centred ``sum_j A_j'A_j``.

    Attributes:
        W: head before the step, (k, m+1), or (k, m) without intercept.
        V: (m, m).
        eigenvalues: ascending, not negative, (m,).
        center: weighted mean of the features in memory, (m,); zero without intercept.
        pulled: centred features of the batch, in V, times ``A_k W' - b_k``, (k, m).
        shift: change of the scores at the centre, (k,); zero without intercept.
        seen: centred features in memory, in V, times their targets, (k, m).
        energy: square norm of the centred targets in memory, ().
        count: number of rows in memory that count, less the free constant, ().
    """

    W: Float[Array, "k q"]
    V: Float[Array, "m m"]
    eigenvalues: Float[Array, " m"]
    center: Float[Array, " m"]
    pulled: Float[Array, "k m"]
    shift: Float[Array, " k"]
    seen: Float[Array, "k m"]
    energy: Float[Array, ""]
    count: Float[Array, ""]


def sampled_system(
    W: Float[Array, "k q"],
    u: Float[Array, "B m"],
    c: Float[Array, "B k"],
    root: Float[Array, " B"],
    past: Float[Array, "r B m"],
    past_c: Float[Array, "r B k"],
    past_root: Float[Array, "r B"],
    *,
    intercept: bool,
) -> SampledSystem:
    """Diagonalise the rows of a batch and of those in memory.

    Args:
        W: head, (k, m+1) or (k, m).
        u: features of the batch.
        c: targets of the batch.
        root: ``sqrt(w/B)``; 0 leaves a row out.
        past: features of the batches in memory.
        past_c: their targets.
        past_root: their scales; 0 for what is not there yet.
        intercept: whether the last column of W is a free constant.

    Returns:
        The system for ``sampled_step`` and ``sampled_gcv``.
    """
    m = u.shape[1]
    features = jnp.concatenate([past.reshape(-1, m), u])
    targets = jnp.concatenate([past_c.reshape(-1, c.shape[1]), c])
    roots = jnp.concatenate([past_root.reshape(-1), root])
    scores = u @ W[:, :m].T + (W[:, m] if intercept else 0.0)
    rest = root[:, None] * (scores - c)
    if intercept:
        share = roots**2 / jnp.sum(roots**2)
        center, middle, shift = share @ features, share @ targets, root @ rest / jnp.sum(roots**2)
    else:
        center, middle, shift = (jnp.zeros(size, u.dtype) for size in (m, c.shape[1], c.shape[1]))
    centred, wanted = roots[:, None] * (features - center), roots[:, None] * (targets - middle)
    eigenvalues, V = jnp.linalg.eigh(centred.T @ centred, symmetrize_input=False)
    return SampledSystem(
        W,
        V,
        jnp.maximum(eigenvalues, 0),  # rounding makes null directions slightly negative
        center,
        rest.T @ centred[-u.shape[0] :] @ V,
        shift,
        wanted.T @ centred @ V,
        jnp.sum(wanted**2),
        (jnp.sum(roots > 0) - intercept).astype(u.dtype),
    )


def sampled_step(
    system: SampledSystem, before: Float[Array, ""], after: Float[Array, ""], *, intercept: bool
) -> Float[Array, "k q"]:
    """Head after the step.

    Args:
        system: from ``sampled_system``.
        before: sum of the parameters before this step, ().
        after: sum with this step's, positive, ().
        intercept: whether the last column of W is a free constant.

    Returns:
        Shape of W.
    """
    inner = _rotated(system, before, after[None])[0] @ system.V.T
    if not intercept:
        return system.W - inner
    free = system.shift - inner @ system.center
    return system.W - jnp.concatenate([inner, free[:, None]], axis=1)


def sampled_gcv(system: SampledSystem, trials: Float[Array, " t"]) -> Float[Array, " t"]:
    """Criterion ``G / N`` for trial values of the sum of the parameters.

    Args:
        system: from ``sampled_system``.
        trials: sums with this step's, positive, (t,).

    Returns:
        (t,); infinite where the fit follows its targets, which says nothing.
    """
    shrunk = system.eigenvalues + trials[:, None]
    explained = jnp.sum(system.seen**2, axis=0) * (system.eigenvalues + 2 * trials[:, None]) / shrunk**2
    misfit = jnp.maximum(system.energy - jnp.sum(explained, axis=1), 0)
    free = system.count - jnp.sum(system.eigenvalues / shrunk, axis=1)
    told = free > 1e-6 * (system.count + 1)
    return jnp.where(told, misfit / jnp.where(told, free, 1.0) ** 2, jnp.inf)


def _rotated(system: SampledSystem, before: Array, trials: Float[Array, " t"]) -> Float[Array, "t k m"]:
    """Change of the penalised columns in the eigenvectors, for each trial."""
    held = system.W[:, : system.V.shape[0]] @ system.V
    step = trials[:, None, None] - before
    return (system.pulled + step * held) / (system.eigenvalues + trials[:, None, None])
