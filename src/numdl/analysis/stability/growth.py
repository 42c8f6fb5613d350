"""Growth of perturbations through the layers.

How do small perturbations of the state and of the gradient travel through the layers?
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from numdl.analysis.stability.layers import Layers

DIRECTIONS = 16
"""So many directions are followed where the width is above the ``DENSE`` of the spectra."""


class Growth(NamedTuple):
    """Norms of products of the step Jacobians ``S_j``.

    Attributes:
        forward: ``||S_{j-1} ... S_0||_2``, (layers + 1, n).
        backward: ``||S_{nt-1} ... S_j||_2``, (layers + 1, n).
        exponents: Lyapunov exponents over the time of the layers, descending, (n, k), in 1 / time.
    """

    forward: np.ndarray
    backward: np.ndarray
    exponents: np.ndarray


def walk(layers: Layers, u0: Any, limit: float) -> list[Any]:
    """What is carried before each layer and after the last, as long as it is finite.

    Args:
        layers: of the network.
        u0: states at time 0, (n, m).
        limit: size above which an entry overflows in the dtype of the network.

    Returns:
        Carries (n, q), at most nt + 1; fewer where layer ``len - 1`` overflows.
    """
    one = layers.compiled(lambda carry, step: jax.vmap(lambda c: layers.advance(c, step))(carry))
    carries = [jax.jit(jax.vmap(layers.start))(u0)]
    for step in layers.steps:
        carry = one(carries[-1], step)
        if not np.all(np.abs(np.asarray(carry)) <= limit):  # NaN compares as false
            break
        carries.append(carry)
    return carries


def growth(layers: Layers, carries: list[Any], count: int) -> Growth:
    """Growth of perturbations of the first state and of gradients of the last one.

    The products are kept as ``Q R``: Q is pushed through a layer and factorised anew, so that directions do not all
    turn into the fastest one. The exponents are the means of ``log |R_ii|`` over time (Benettin's method).

    Args:
        layers: of the network.
        carries: as from ``walk``.
        count: number of directions; m for all, fewer give lower estimates.

    Returns:
        The norms.

    Source: Benettin, Galgani, Giorgilli and Strelcyn, Meccanica 15, 1980; Pascanu, Mikolov and Bengio, On the
    difficulty of training recurrent neural networks, ICML 2013.
    """
    push = layers.compiled(lambda carry, step, Q: jax.vmap(lambda c, Q: _push(layers, c, step, Q))(carry, Q))
    pull = layers.compiled(lambda carry, step, Q: jax.vmap(lambda c, Q: _pull(layers, c, step, Q))(carry, Q))
    finish = jax.jit(jax.vmap(layers.finish))
    finished = jax.jit(lambda at, Q: _push_through(layers.finish, at, Q))
    started = jax.jit(lambda at, Q: _pull_through(layers.start, at, Q))
    first, last = carries[0], carries[-1]
    embed = jax.jit(lambda at, Q: _push_through(layers.start, at, Q))(finish(first), _directions(first, layers, count))
    Q, R = np.linalg.qr(np.asarray(embed))
    forward, rates = [_norm(R)], np.zeros((len(first), R.shape[-1]))
    for carry, step in zip(carries[:-1], layers.steps, strict=False):
        Q, local = np.linalg.qr(np.asarray(push(carry, step, Q)))
        R = local @ R
        rates += np.log(np.maximum(np.abs(np.diagonal(local, axis1=1, axis2=2)), np.finfo(float).tiny))
        forward.append(_norm(np.asarray(finished(carry, Q)) @ R))
    pulled = jax.jit(lambda at, Q: _pull_through(layers.finish, at, Q))
    block = np.asarray(pulled(last, _directions(last, layers, count)))
    Q, R = np.linalg.qr(block)
    backward = [_norm(np.asarray(started(finish(last), Q)) @ R)]
    for carry, step in zip(carries[-2::-1], layers.steps[len(carries) - 2 :: -1], strict=False):
        Q, local = np.linalg.qr(np.asarray(pull(carry, step, Q)))
        R = local @ R
        backward.append(_norm(np.asarray(started(finish(carry), Q)) @ R))
    total = float(layers.h[: len(carries) - 1].sum())
    exponents = -np.sort(-rates, axis=1) / total if total else np.zeros_like(rates)
    return Growth(np.stack(forward), np.stack(backward[::-1]), exponents)


def _directions(carry: Any, layers: Layers, count: int) -> np.ndarray:
    """Orthonormal directions of states, (n, m, count): all, or a random choice."""
    m = jax.eval_shape(layers.finish, carry[0]).shape[0]
    basis = np.eye(m) if count >= m else np.linalg.qr(np.random.default_rng(0).standard_normal((m, count)))[0]
    return np.broadcast_to(basis, (len(carry), *basis.shape))


def _push(layers: Layers, carry: Any, step: Any, Q: Any) -> Any:
    """``S Q``, (q, k)."""
    _, linear = jax.linearize(lambda c: layers.advance(c, step), carry)
    return jax.vmap(linear, 1, 1)(Q)


def _pull(layers: Layers, carry: Any, step: Any, Q: Any) -> Any:
    """``S' Q``, (q, k)."""
    _, back = jax.vjp(lambda c: layers.advance(c, step), carry)
    return jax.vmap(lambda v: back(v)[0], 1, 1)(Q)


def _push_through(function: Any, at: Any, Q: Any) -> Any:
    return jax.vmap(lambda a, Q: jax.vmap(lambda v: jax.jvp(function, (a,), (v,))[1], 1, 1)(Q))(at, jnp.asarray(Q))


def _pull_through(function: Any, at: Any, Q: Any) -> Any:
    return jax.vmap(lambda a, Q: jax.vmap(lambda v: jax.vjp(function, a)[1](v)[0], 1, 1)(Q))(at, jnp.asarray(Q))


def _norm(matrices: np.ndarray) -> np.ndarray:
    """Spectral norm of each, (n,); infinite where a product overflowed."""
    good = np.asarray(np.isfinite(matrices)).all(axis=(1, 2))
    return np.where(good, np.linalg.norm(np.where(np.reshape(good, (-1, 1, 1)), matrices, 0.0), 2, axis=(1, 2)), np.inf)
