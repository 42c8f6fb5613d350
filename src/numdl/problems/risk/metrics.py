"""Which plain numbers say how well scores fit, for the history and the progress line?"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.problems.risk.losses import Loss


def misfit_metrics(
    loss: Loss,
    s: Float[Array, "n k"],
    c: Float[Array, "n k"],
    w: Float[Array, " n"],
    data: Float[Array, ""],
) -> dict[str, Array]:
    """Mean misfit and training error.

    Args:
        loss: misfit of one sample.
        s: scores, (n, k).
        c: targets, (n, k).
        w: weights of mean 1, (n,).
        data: weighted mean misfit, ().

    Returns:
        ``misfit`` and ``train_error``: root mean squared error over samples and outputs, or share of samples whose
        class is wrong.
    """
    return {"misfit": data, "train_error": error_of(loss, s, c, w)}


def error_of(loss: Loss, s: Float[Array, "n k"], c: Float[Array, "n k"], w: Float[Array, " n"]) -> Float[Array, ""]:
    """Root mean squared error, or the share of wrong classes.

    Args:
        loss: misfit of one sample.
        s: scores, (n, k).
        c: targets, (n, k).
        w: weights of mean 1, (n,).

    Returns:
        (), in the units of c, or no unit.
    """
    if not loss.classes:
        return jnp.sqrt(jnp.mean(w[:, None] * (jax.vmap(loss.predict)(s) - c) ** 2))
    if c.shape[1] == 1:
        return jnp.mean(w * ((s[:, 0] > 0) != (c[:, 0] > 0.5)))
    return jnp.mean(w * (jnp.argmax(s, axis=1) != jnp.argmax(c, axis=1)))
