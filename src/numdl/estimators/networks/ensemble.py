"""What of a trained run is kept for prediction, and how does it predict?"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from numdl.contracts import PyTree
from numdl.estimators.networks.settings import Data
from numdl.estimators.networks.training.trainer import Run
from numdl.estimators.networks.uncertainty import Posterior, laplace_posterior
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
