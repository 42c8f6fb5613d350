"""How sure is a trained regressor of its prediction at a new point?

Laplace approximation of one member, in scaled units, with everything per mean over n samples: ``A`` the head's Hessian,
``C`` the block that mixes head and weights, ``S`` the Schur complement with its penalty, ``S = L L'``. For output j of
``s = W z``, ``z = [u; 1]``, ``g_j = ds_j/dtheta``:

    var s_j = ( z'A^-1 z + ||L^-1 (g_j - C_j A^-1 z)||^2 ) / (n beta)

To this come the noise ``1/beta`` and the spread of the members. With ``W = Q R`` only ``r = min(k, m)`` rows R are
differentiated, whatever the number of outputs.

Source: MacKay, Neural Computation 4 (1992) 448-472, sec. 2; Lakshminarayanan et al. (2017) for the spread.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.flatten_util
import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve

from numdl.contracts import PyTree
from numdl.models import ResNet

LARGEST = 2500
"""Weights beyond which only the head's uncertainty is kept: the factor would make the model file large."""

BLOCK = 256


class Posterior(NamedTuple):
    """What a member keeps to predict its uncertainty (float32: it describes an uncertainty).

    Attributes:
        root: (p, p) inverse of L; empty where only the head is kept.
        mixed: (p, r, q) ``C A^-1`` for each rotated output.
        head_inverse: (q, q) ``A^-1``.
        rows: (r, m) R.
        rotation: (k, r) Q.
        count: n beta.
        noise: beta, in 1 / (scaled target)^2.
    """

    root: Float[np.ndarray, "p p"]
    mixed: Float[np.ndarray, "p r q"]
    head_inverse: Float[np.ndarray, "q q"]
    rows: Float[np.ndarray, "r m"]
    rotation: Float[np.ndarray, "k r"]
    count: float
    noise: float


@jax.jit(static_argnums=0)
def _pull(net: ResNet, theta: PyTree, rows: Any, x: Any) -> tuple[Any, Any]:
    """Features (b, m) and ``rows du/dtheta`` (b, r, p)."""

    def one(x: Any) -> tuple[Any, Any]:
        u, pull = jax.vjp(lambda q: net.features(q, x), theta)
        return u, jax.vmap(lambda row: jax.flatten_util.ravel_pytree(pull(row)[0])[0])(rows)

    return jax.vmap(one)(x)


def laplace_posterior(
    net: ResNet,
    theta: PyTree,
    head: Float[np.ndarray, "k q"],
    penalty: Float[np.ndarray, " p"],
    alpha_head: float,
    noise: float,
    total: float,
    x: Float[np.ndarray, "n d"],
    w: Float[np.ndarray, " n"],
) -> Posterior:
    """Posterior of a trained member from its training rows.

    Args:
        net: architecture.
        theta: weights.
        head: W.
        penalty: diagonal of the penalty on theta.
        alpha_head: penalty of the head.
        noise: precision of the noise.
        total: number of observations the rows stand for.
        x: training rows (or some of them), scaled.
        w: their weights.

    Returns:
        The posterior.
    """
    k, q = head.shape
    m = q - 1
    weights = head[:, :m]
    rotation, rows = np.linalg.qr(weights) if k > m else (np.eye(k), weights)
    dense = len(penalty) <= LARGEST
    p, r = (len(penalty) if dense else 0), len(rows)
    gram, mixed, inner = np.zeros((p, p)), np.zeros((p, r * q)), np.zeros((q, q))
    share = w / w.sum()
    for start in range(0, len(x), BLOCK):
        u, j, root = _rows(net, theta, rows, x[start : start + BLOCK], np.sqrt(share[start : start + BLOCK]))
        z = np.column_stack([u * root[:, None], root])
        inner += z.T @ z
        if dense:
            j = j * root[:, None, None]
            wide = j.transpose(2, 1, 0).reshape(p, -1)
            gram += wide @ wide.T
            mixed += np.einsum("brp,bq->prq", j, z, optimize=True).reshape(p, -1)
    inner[range(m), range(m)] += alpha_head
    inner += 1e-12 * np.trace(inner) / q * np.eye(q)
    inverse = cho_solve(cho_factor(inner), np.eye(q))
    solved = (mixed.reshape(p, r, q) @ inverse).reshape(p, -1)
    schur = gram - solved @ mixed.T + np.diag(penalty[:p])
    schur += 1e-10 * np.trace(schur) / max(p, 1) * np.eye(p)
    values, vectors = np.linalg.eigh(schur)
    root = vectors.T / np.sqrt(np.maximum(values, 1e-12 * max(values.max(initial=0.0), 1e-300)))[:, None]
    # Contiguous: a product then rounds as it does after the arrays went through a file.
    root, solved, inverse = (np.ascontiguousarray(a, np.float32) for a in (root, solved.reshape(p, r, q), inverse))
    rows, rotation = (np.ascontiguousarray(a) for a in (rows, rotation))
    return Posterior(root, solved, inverse, rows, rotation, float(total * noise), float(noise))


def _rows(net: ResNet, theta: PyTree, rows: np.ndarray, x: np.ndarray, root: np.ndarray) -> tuple:
    """One block, padded to a fixed size so that one shape is compiled."""
    b = len(x)
    u, j = _pull(net, theta, rows, np.pad(x, ((0, BLOCK - b), (0, 0))))
    return np.asarray(u)[:b], np.asarray(j)[:b], root


def predictive_std(members: list[Any], x: Float[np.ndarray, "n d"], scores: Float[np.ndarray, "e n k"]) -> np.ndarray:
    """Standard deviation of a new observation.

    Args:
        members: with ``net``, ``theta``, ``posterior``.
        x: scaled rows.
        scores: of the members at these rows.

    Returns:
        (n, k), in units of the scaled targets.
    """
    variance = np.mean([_variance(member, x) for member in members], axis=0)
    return np.sqrt(variance + scores.var(axis=0))


def _variance(member: Any, x: np.ndarray) -> np.ndarray:
    posterior: Posterior = member.posterior
    p = len(posterior.root)
    parts = []
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        u, j, _ = _rows(member.net, member.theta, posterior.rows, block, np.ones(len(block)))
        z = np.column_stack([u, np.ones(len(u))])
        inner = np.einsum("bq,qs,bs->b", z, posterior.head_inverse, z)[:, None]
        outer = np.zeros((len(block), len(posterior.rotation)))
        if p:
            d = j - np.einsum("prq,bq->brp", posterior.mixed, z, optimize=True)
            e = d.reshape(-1, p) @ posterior.root.T
            e = e.reshape(len(block), -1, p)
            cross = np.einsum("brp,bsp->brs", e, e, optimize=True)
            outer = np.einsum("kr,brs,ks->bk", posterior.rotation, cross, posterior.rotation, optimize=True)
        parts.append((inner + outer) / posterior.count + 1 / posterior.noise)
    return np.concatenate(parts)
