"""How does a linear head follow one batch after another without a learning rate?

Sampled limited-memory Tikhonov: with the rows ``A_j = diag(sqrt(w/B)) [u, 1]`` of this batch (k) and of the r batches
before, as their features were then, and the sums ``Lambda`` of the regularisation parameters before and after this
step, the head ``W`` becomes ``W - S``,

    (sum_{j=k-r}^{k} A_j'A_j + Lambda_k D) S' = A_k' (A_k W' - b_k) + (Lambda_k - Lambda_{k-1}) D W' ,

D the identity without the intercept. If the memory holds all batches and the features stand still, W is after every
step the Tikhonov head of all rows seen, with the parameter ``Lambda_k``, whatever came before. The parameter comes from
generalised cross validation on the batch (sampled GCV): with ``T`` the influence of its targets on their own fit,

    G(Lambda) = B ||A_k W_new' - b_k||^2 / (B - trace T)^2 ,    T = A_k (sum_j A_j'A_j + Lambda D)^-1 A_k' .

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
        rows: centred, scaled features of the batch times V, (B, m).
        rest: ``A_k W' - b_k``, (B, k).
        shift: change of the scores at the centre, (k,); zero without intercept.
        root: scale ``sqrt(w/B)`` of each row of the batch, (B,).
        weight: the batch's share of the weight in memory, which the intercept adds to the trace, (); 0 without.
    """

    W: Float[Array, "k q"]
    V: Float[Array, "m m"]
    eigenvalues: Float[Array, " m"]
    center: Float[Array, " m"]
    rows: Float[Array, "B m"]
    rest: Float[Array, "B k"]
    shift: Float[Array, " k"]
    root: Float[Array, " B"]
    weight: Float[Array, ""]


def sampled_system(
    W: Float[Array, "k q"],
    u: Float[Array, "B m"],
    c: Float[Array, "B k"],
    root: Float[Array, " B"],
    past: Float[Array, "r B m"],
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
        past_root: their scales; 0 for what is not there yet.
        intercept: whether the last column of W is a free constant.

    Returns:
        The system for ``sampled_step`` and ``sampled_gcv``.
    """
    m = u.shape[1]
    features = jnp.concatenate([past.reshape(-1, m), u])
    roots = jnp.concatenate([past_root.reshape(-1), root])
    scores = u @ W[:, :m].T + (W[:, m] if intercept else 0.0)
    rest = root[:, None] * (scores - c)
    if intercept:
        total = jnp.sum(roots**2)
        center, weight, shift = roots**2 @ features / total, jnp.sum(root**2) / total, root @ rest / total
    else:
        center, weight, shift = jnp.zeros(m, u.dtype), jnp.zeros((), u.dtype), jnp.zeros(c.shape[1], u.dtype)
    centred = roots[:, None] * (features - center)
    eigenvalues, V = jnp.linalg.eigh(centred.T @ centred, symmetrize_input=False)
    # Rounding makes null directions slightly negative.
    return SampledSystem(
        W, V, jnp.maximum(eigenvalues, 0), center, centred[-u.shape[0] :] @ V, rest, shift, root, weight
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


def sampled_gcv(
    system: SampledSystem, before: Float[Array, ""], trials: Float[Array, " t"], count: Float[Array, ""]
) -> Float[Array, " t"]:
    """Criterion ``G`` for trial values of the sum of the parameters.

    Args:
        system: from ``sampled_system``.
        before: sum of the parameters before this step, ().
        trials: sums with this step's, positive, (t,).
        count: number of rows of the batch that count, ().

    Returns:
        ``G``, (t,); 0 where the fit follows its targets whatever the parameter, which says nothing.
    """
    change = _rotated(system, before, trials)
    left = system.rest - system.root[:, None] * system.shift - jnp.einsum("bm,tkm->tbk", system.rows, change)
    energy = jnp.sum(system.rows**2, axis=0)
    trace = system.weight + jnp.sum(energy / (system.eigenvalues + trials[:, None]), axis=1)
    free = count - trace
    seen = free > 1e3 * jnp.finfo(free.dtype).eps * count
    return jnp.where(seen, count * jnp.sum(left**2, axis=(1, 2)) / jnp.where(seen, free, 1.0) ** 2, 0.0)


def _rotated(system: SampledSystem, before: Array, trials: Float[Array, " t"]) -> Float[Array, "t k m"]:
    """Change of the penalised columns in the eigenvectors, for each trial."""
    m = system.V.shape[0]
    pulled, held = system.rest.T @ system.rows, system.W[:, :m] @ system.V
    step = trials[:, None, None] - before
    return (pulled + step * held) / (system.eigenvalues + trials[:, None, None])
