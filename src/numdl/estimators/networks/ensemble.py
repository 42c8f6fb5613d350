"""Ensemble of networks that predict together: mean and uncertainty of a prediction."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.flatten_util
import numpy as np
from jaxtyping import Float

from numdl.contracts import PyTree
from numdl.contracts.threads import one_blas_thread
from numdl.estimators.networks.settings import Data
from numdl.estimators.networks.training.trainer import Run
from numdl.linalg.safe_svd import safe_svd
from numdl.models import Network, first_overflow
from numdl.optimize.parts.steps import QUICKLY
from numdl.problems.evidence import units_of
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
        alphas: penalty parameter of each group; the geometric mean of all targets' for the head.
        noise: precision of the noise, in 1 / (scaled target)^2, or that of each target (k,).
        score: log evidence, in nats.
        posterior: Laplace approximation; None for classifiers.
    """

    net: Network
    seed: int
    theta: PyTree
    head: Float[np.ndarray, "k q"]
    alphas: dict[str, float]
    noise: float | Float[np.ndarray, " k"]
    score: float
    posterior: Posterior | None = None


def member_of(run: Run, data: Data | None = None, alpha_head: float | None = None) -> Member:
    """Best point of a run; with ``data`` (least squares) it can tell how sure it is.

    Args:
        run: a finished run.
        data: what it was trained on; None for no posterior.
        alpha_head: penalty of the head that was given; None where the evidence found it.

    Returns:
        The member.
    """
    # Contiguous: a product then rounds as it does after the arrays went through a file.
    theta, head = jax.tree.map(np.ascontiguousarray, (run.result.p, run.result.aux))
    history, best = run.progress.history, run.progress.best
    at = min(best.iteration, run.progress.iteration - 1)
    alphas = {name[6:]: column[at] for name, column in history.items() if name.startswith("alpha:")}
    prior, noise = best.memory[0]
    units = units_of(noise) if np.ndim(noise) else None
    posterior = None
    if data is not None:
        labels, names = group_labels(theta, run.grouping)
        diagonal = np.asarray([alphas[name] for name in names])[labels]
        rows, heads = run.algebra.curvature_rows, len(prior) - len(names)
        penalty: Any = alphas["head"]
        if heads > 1 and alpha_head is None:
            penalty = prior[len(names) :] / (data.total * noise)
        with one_blas_thread():
            posterior = laplace_posterior(
                run.net, theta, head, diagonal, penalty, noise, data.total, data.x[:rows], data.w[:rows]
            )
        posterior = posterior._replace(noise=posterior.noise / data.typical)
    if units is not None:  # the run saw its targets in units of their noise
        head = np.ascontiguousarray(head / units[:, None], head.dtype)
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


def require_member(member: Member, d: int, k: int, *, std: bool, dtype: np.dtype) -> None:
    """Refuse a member whose arrays are not those of its network, without compiling or computing anything.

    Args:
        member: from a file.
        d: number of inputs.
        k: number of outputs.
        std: whether it must know its variance.
        dtype: of the weights.

    Raises:
        ValueError: with the reason.
    """
    net, head, leaves = member.net, member.head, jax.tree.leaves(member.theta)
    if net.d != d or head.shape != (k, net.width + 1):
        raise ValueError(f"{net.title}: {net.d} inputs, head {head.shape}; needed are {d} and {(k, net.width + 1)}")
    if sum(np.size(leaf) for leaf in leaves) != net.n_parameters:
        raise ValueError(f"{net.title}: needs {net.n_parameters} weights")
    posterior = member.posterior
    numbers = [head, *leaves] + [np.asarray(part) for part in posterior or () if np.size(part)]
    if any(np.asarray(part).dtype.kind != "f" or not np.isfinite(part).all() for part in numbers):
        raise ValueError(f"{net.title}: weights are not finite numbers")
    if any(np.asarray(leaf).dtype != dtype for leaf in leaves):
        raise ValueError(f"{net.title}: weights are not {dtype}")
    x = jax.ShapeDtypeStruct((1, d), dtype)
    u = jax.eval_shape(lambda theta, rows: net.batch(theta, rows), member.theta, x)
    if u.shape != (1, net.width):
        raise ValueError(f"{net.title}: gives {u.shape[1:]} features, needed are {net.width}")
    if std and posterior is not None:
        require_posterior(member, posterior, x)


def require_posterior(member: Member, posterior: Posterior, x: Any) -> None:
    """Refuse a posterior that does not belong to its network.

    Args:
        member: its network and weights.
        posterior: what is asked.
        x: shape of a row (1, d).

    Raises:
        ValueError: with the reason.
    """
    (k, q), p = member.head.shape, len(posterior.root)
    r = posterior.rotation.shape[-1]
    shapes = {"rotation": {(k, r)}, "head_root": {(q, q), (k, q, q)}, "count": {(), (k,)}, "noise": {(), (k,)}}
    if p:
        size = sum(np.size(leaf) for leaf in jax.tree.leaves(member.theta))
        shapes |= {"root": {(size, size)}, "projected": {(size, r, q)}, "rows": {(r, q - 1)}}
        jax.eval_shape(lambda *given: _pull(member.net, *given), member.theta, posterior.rows, x)
    for name, needed in shapes.items():
        if np.shape(getattr(posterior, name)) not in needed:
            raise ValueError(f"{member.net.title}: posterior.{name} has shape {np.shape(getattr(posterior, name))}")
    if not (np.min(posterior.count) > 0 and np.min(posterior.noise) > 0):
        raise ValueError(f"{member.net.title}: a posterior needs positive precisions")


LARGEST = 2500
"""Weights beyond which only the head's uncertainty is kept: the factor would make the model file large."""

BLOCK = 256


class Posterior(NamedTuple):
    """What a member keeps to predict its uncertainty; the largest array is float32, as it describes an uncertainty.

    Attributes:
        root: (p, p) inverse of L; empty where only the head is kept.
        projected: (p, r, q) P for each rotated output.
        head_root: (q, q) G; (k, q, q) where each output has its penalty.
        rows: (r, m) R.
        rotation: (k, r) Q.
        count: n beta, of each output (k,) where each has its noise.
        noise: of a new observation, in 1 / (scaled target)^2, likewise; beta where weights are equal.
    """

    root: Float[np.ndarray, "p p"]
    projected: Float[np.ndarray, "p r q"]
    head_root: Float[np.ndarray, "q q"] | Float[np.ndarray, "k q q"]
    rows: Float[np.ndarray, "r m"]
    rotation: Float[np.ndarray, "k r"]
    count: float | Float[np.ndarray, " k"]
    noise: float | Float[np.ndarray, " k"]


def _pull(net: Network, theta: PyTree, rows: Any, x: Any) -> tuple[Any, Any]:
    """Features (b, m) and ``rows du/dtheta`` (b, r, p)."""

    def one(x: Any) -> tuple[Any, Any]:
        u, pull = jax.vjp(lambda q: net.features(q, x), theta)
        return u, jax.vmap(lambda row: jax.flatten_util.ravel_pytree(pull(row)[0])[0])(rows)

    return jax.vmap(one)(x)


_compiled_pull = jax.jit(_pull, static_argnums=0, compiler_options=QUICKLY)


def laplace_posterior(
    net: Network,
    theta: PyTree,
    head: Float[np.ndarray, "k q"],
    penalty: Float[np.ndarray, " p"],
    alpha_head: float | Float[np.ndarray, " k"],
    noise: float | Float[np.ndarray, " k"],
    total: float,
    x: Float[np.ndarray, "n d"],
    w: Float[np.ndarray, " n"],
) -> Posterior:
    """Posterior of a trained member from its training rows.

    Args:
        net: architecture.
        theta: weights.
        head: W, of targets in units of their noise where there are several, see ``numdl.problems.evidence``.
        penalty: diagonal of the penalty on theta.
        alpha_head: penalty of the head, or of each row of it (k,).
        noise: precision of the noise, or that of each target (k,).
        total: number of observations the rows stand for.
        x: training rows (or some of them), scaled.
        w: their weights.

    Returns:
        The posterior.
    """
    k, q = head.shape
    m = q - 1
    weights = head[:, :m]
    each = np.ndim(alpha_head) > 0
    rotation, rows = np.linalg.qr(weights) if k > m and not each else (np.eye(k), weights)
    dense = len(penalty) <= LARGEST
    p, r = (len(penalty) if dense else 0), len(rows)
    share = np.sqrt(w / w.sum())
    blocks = [slice(start, start + BLOCK) for start in range(0, len(x), BLOCK)]
    u = np.concatenate([_rows(net, theta, rows, x[block])[0] for block in blocks])
    z = share[:, None] * np.column_stack([u, np.ones(len(u))])
    triangle = np.linalg.qr(z, mode="r")
    roots = np.stack([_head_root(np.asarray(triangle), a, len(z)) for a in np.ravel(alpha_head)])
    shared = np.zeros(r, int) if len(roots) == 1 else np.arange(r)  # root of each row
    ridges = np.sqrt(np.reshape(alpha_head, (-1, 1, 1))) * np.eye(m, q)
    basis, spill = z @ roots, ridges @ roots
    projected, schur = np.zeros((p, r, q)), np.diag(np.asarray(penalty[:p], float))
    if dense:
        for block in blocks:
            j = share[block, None, None] * _rows(net, theta, rows, x[block])[1]
            for i in range(r):
                projected[:, i] += j[:, i].T @ basis[shared[i], block]
        for block in blocks:
            j = share[block, None, None] * _rows(net, theta, rows, x[block])[1]
            for i in range(r):
                j[:, i] -= basis[shared[i], block] @ projected[:, i].T
            schur += np.einsum("brp,brs->ps", j, j, optimize=True)
        for i in range(r):
            lost = projected[:, i] @ spill[shared[i]].T
            schur += lost @ lost.T
    values, vectors = np.linalg.eigh(schur)
    root = vectors.T / np.sqrt(np.maximum(values, 1e-13 * max(values.max(initial=0.0), 1e-300)))[:, None]
    # Contiguous: a product then rounds as it does after the arrays went through a file.
    head_root = roots if each else roots[0]
    parts = (np.ascontiguousarray(a) for a in (root.astype(np.float32), projected, head_root, rows, rotation))
    root, projected, head_root, rows, rotation = parts
    noise = np.asarray(noise, float) if np.ndim(noise) else float(noise)
    return Posterior(root, projected, head_root, rows, rotation, total * noise, noise)


def _head_root(triangle: np.ndarray, alpha: float, n: int) -> np.ndarray:
    """G with ``G G' = (Z'Z + alpha D)^-1`` from the triangle of Z; directions that nothing sees are left out."""
    q = triangle.shape[1]
    whole = np.vstack([triangle, np.sqrt(alpha) * np.eye(q - 1, q)])
    _, sigma, vt = safe_svd(np.asarray(np.linalg.qr(whole, mode="r")))
    seen = sigma > max(n, q) * np.finfo(float).eps * sigma[0]
    return vt.T * np.where(seen, 1 / np.where(seen, sigma, 1.0), 0.0)


def _rows(net: Network, theta: PyTree, rows: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and derivatives of one block, padded to a fixed size so that one shape is compiled."""
    b = len(x)
    u, j = _compiled_pull(net, theta, rows, np.pad(x, ((0, BLOCK - b), (0, 0))))
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
        inner = np.sum(t**2, axis=-1).reshape(-1, len(block)).T
        outer = np.zeros((len(block), len(posterior.rotation)))
        if p:
            one = "bq" if t.ndim == 2 else "rbq"
            d = j - np.einsum(f"prq,{one}->brp", posterior.projected, t, optimize=True)
            e = d.reshape(-1, p) @ posterior.root.T
            e = e.reshape(len(block), -1, p)
            cross = np.einsum("brp,bsp->brs", e, e, optimize=True)
            outer = np.einsum("kr,brs,ks->bk", posterior.rotation, cross, posterior.rotation, optimize=True)
        parts.append((inner + outer) / posterior.count + 1 / posterior.noise)
    return np.concatenate(parts)
