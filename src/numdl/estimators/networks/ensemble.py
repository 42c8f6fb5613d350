"""Ensemble of networks that predict together: mean and uncertainty of a prediction."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.flatten_util
import numpy as np
from jaxtyping import Float

from numdl.contracts import PyTree
from numdl.estimators.networks.settings import Data
from numdl.estimators.networks.training.trainer import Run
from numdl.models import Network, first_overflow
from numdl.regularize import group_labels

ROWS = 8192
"""Rows predicted at once; fewer are padded to a power of two, so that few shapes are compiled."""


class Member(NamedTuple):
    """One trained network.

    Attributes:
        net: architecture.
        seed: of its start.
        theta: weights of opening and flow.
        head: W, (k, m+1), intercept last.
        alphas: penalty parameter of each group.
        noise: precision of the noise, in 1 / (scaled target)^2.
        score: log evidence, in nats.
        posterior: Laplace approximation; None for classifiers.
    """

    net: Network
    seed: int
    theta: PyTree
    head: Float[np.ndarray, "k q"]
    alphas: dict[str, float]
    noise: float
    score: float
    posterior: Posterior | None = None


def member_of(run: Run, data: Data | None = None) -> Member:
    """Best point of a run; with ``data`` (least squares) it can tell how sure it is."""
    # Contiguous: a product then rounds as it does after the arrays went through a file.
    theta, head = jax.tree.map(np.ascontiguousarray, (run.result.p, run.result.aux))
    history, best = run.progress.history, run.progress.best
    at = min(best.iteration, run.progress.iteration - 1)
    alphas = {name[6:]: column[at] for name, column in history.items() if name.startswith("alpha:")}
    noise = float(best.memory[0].noise)
    posterior = None
    if data is not None:
        labels, names = group_labels(theta, run.grouping)
        diagonal = np.asarray([alphas[name] for name in names])[labels]
        rows = run.algebra.curvature_rows
        posterior = laplace_posterior(
            run.net, theta, head, diagonal, alphas["head"], noise, data.total, data.x[:rows], data.w[:rows]
        )
    return Member(run.net, run.start.seed, theta, head, alphas, noise, float(best.score), posterior)


@jax.jit(static_argnums=0)
def _embed(net: Network, theta: PyTree, x: Any) -> Any:
    return net.batch(theta, x)


def predict_scores(member: Member, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
    """``W [u(T); 1]`` for scaled rows, block by block; a row whose features overflow is refused."""
    parts = []
    for start in range(0, len(x), ROWS):
        block = x[start : start + ROWS]
        rows = len(block)
        size = min(ROWS, max(16, 1 << (rows - 1).bit_length()))
        padded = np.pad(block, ((0, size - rows), (0, 0)))
        u = np.asarray(_embed(member.net, member.theta, padded))[:rows]
        if not np.isfinite(u).all() and (place := first_overflow(member.net, member.theta, block)) is not None:
            raise ValueError(f"{member.net.title}: {place._replace(row=start + place.row)}")
        parts.append(u @ member.head[:, :-1].T + member.head[:, -1])
    return np.concatenate(parts) if parts else np.zeros((0, len(member.head)))


LARGEST = 2500
"""Weights beyond which only the head's uncertainty is kept: the factor would make the model file large."""

BLOCK = 256


class Posterior(NamedTuple):
    """What a member keeps to predict its uncertainty; the largest array is float32, as it describes an uncertainty.

    Attributes:
        root: (p, p) inverse of L; empty where only the head is kept.
        projected: (p, r, q) P for each rotated output.
        head_root: (q, q) G.
        rows: (r, m) R.
        rotation: (k, r) Q.
        count: n beta.
        noise: beta, in 1 / (scaled target)^2.
    """

    root: Float[np.ndarray, "p p"]
    projected: Float[np.ndarray, "p r q"]
    head_root: Float[np.ndarray, "q q"]
    rows: Float[np.ndarray, "r m"]
    rotation: Float[np.ndarray, "k r"]
    count: float
    noise: float


@jax.jit(static_argnums=0)
def _pull(net: Network, theta: PyTree, rows: Any, x: Any) -> tuple[Any, Any]:
    """Features (b, m) and ``rows du/dtheta`` (b, r, p)."""

    def one(x: Any) -> tuple[Any, Any]:
        u, pull = jax.vjp(lambda q: net.features(q, x), theta)
        return u, jax.vmap(lambda row: jax.flatten_util.ravel_pytree(pull(row)[0])[0])(rows)

    return jax.vmap(one)(x)


def laplace_posterior(
    net: Network,
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
    share = np.sqrt(w / w.sum())
    blocks = [slice(start, start + BLOCK) for start in range(0, len(x), BLOCK)]
    u = np.concatenate([_rows(net, theta, rows, x[block])[0] for block in blocks])
    z = share[:, None] * np.column_stack([u, np.ones(len(u))])
    ridge = np.sqrt(alpha_head) * np.eye(m, q)
    _, sigma, vt = np.linalg.svd(np.linalg.qr(np.vstack([z, ridge]), mode="r"), full_matrices=False)
    seen = sigma > max(len(z), q) * np.finfo(float).eps * sigma[0]
    head_root = vt.T * np.where(seen, 1 / np.where(seen, sigma, 1.0), 0.0)
    basis, spill = z @ head_root, ridge @ head_root
    projected, schur = np.zeros((p, r, q)), np.diag(np.asarray(penalty[:p], float))
    if dense:
        for block in blocks:
            j = share[block, None, None] * _rows(net, theta, rows, x[block])[1]
            projected += np.einsum("brp,bq->prq", j, basis[block], optimize=True)
        for block in blocks:
            j = share[block, None, None] * _rows(net, theta, rows, x[block])[1]
            j -= np.einsum("prq,bq->brp", projected, basis[block], optimize=True)
            schur += np.einsum("brp,brs->ps", j, j, optimize=True)
        lost = (projected @ spill.T).reshape(p, -1)
        schur += lost @ lost.T
    values, vectors = np.linalg.eigh(schur)
    root = vectors.T / np.sqrt(np.maximum(values, 1e-13 * max(values.max(initial=0.0), 1e-300)))[:, None]
    # Contiguous: a product then rounds as it does after the arrays went through a file.
    parts = (np.ascontiguousarray(a) for a in (root.astype(np.float32), projected, head_root, rows, rotation))
    root, projected, head_root, rows, rotation = parts
    return Posterior(root, projected, head_root, rows, rotation, float(total * noise), float(noise))


def _rows(net: Network, theta: PyTree, rows: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and derivatives of one block, padded to a fixed size so that one shape is compiled."""
    b = len(x)
    u, j = _pull(net, theta, rows, np.pad(x, ((0, BLOCK - b), (0, 0))))
    return np.asarray(u, float)[:b], np.asarray(j, float)[:b]


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
        u, j = _rows(member.net, member.theta, posterior.rows, block)
        t = np.column_stack([u, np.ones(len(u))]) @ posterior.head_root
        inner = np.sum(t**2, axis=1, keepdims=True)
        outer = np.zeros((len(block), len(posterior.rotation)))
        if p:
            d = j - np.einsum("prq,bq->brp", posterior.projected, t, optimize=True)
            e = d.reshape(-1, p) @ posterior.root.T
            e = e.reshape(len(block), -1, p)
            cross = np.einsum("brp,bsp->brs", e, e, optimize=True)
            outer = np.einsum("kr,brs,ks->bk", posterior.rotation, cross, posterior.rotation, optimize=True)
        parts.append((inner + outer) / posterior.count + 1 / posterior.noise)
    return np.concatenate(parts)
