"""Which weights of a small network explain the rows best?

The most probable weights minimise ``1/(2 s) sum w (y - f)^2 + 1/2 sum a_g |p_g|^2``. A step of Levenberg-Marquardt
damps the inner weights only, carries the head along and then solves for it again: variable projection. Before each step
precisions and noise move, see `precisions`. That is not monotone in the evidence: the best of all steps is kept.

The evidence counts the ``m! 2^m`` orders and signs of the units that leave the network as it is, for the number of
units whose head the data determine.

Sources: Golub and Pereyra, Inverse Problems 19, 2003, sec. 4; MacKay, Neural Computation 4, 1992, secs. 2 and 4; the
damping is that of Nielsen, Damping parameter in Marquardt's method, IMM-REP-1999-05.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dgels  # pyright: ignore[reportAttributeAccessIssue]
from scipy.special import gammaln

from numdl.estimators.auto.laplace import Curvature
from numdl.estimators.auto.member import Network, left_out_of
from numdl.estimators.auto.network import Architecture, draw, features, jacobian
from numdl.estimators.auto.precisions import Precisions, start
from numdl.estimators.kernels.evidence import Rows, within

LEAST, MOST, WINDOW = 40, 150, 20
"""Steps at least and at most, and how many must bring nothing for a stop."""


class Damping(NamedTuple):
    """Factor of the damping, and by how much it grows after the next failure."""

    size: float = 1e-2
    growth: float = 2.0


class Point(NamedTuple):
    """Weights with what is known there.

    Attributes:
        weights: (P,).
        precisions: there.
        curvature: there.
        f: the network at the rows (n,).
        determined: numbers of weights by group that the data determine, and what they leave (G + 1,).
        evidence: Laplace log evidence.
        steps: taken before.
    """

    weights: np.ndarray
    precisions: Precisions
    curvature: Curvature
    f: np.ndarray
    determined: np.ndarray
    evidence: float
    steps: int


def train(rows: Rows, spec: Architecture, rng: np.random.Generator, deadline: float | None = None) -> Network | None:
    """A network from one start.

    Args:
        rows: the data.
        spec: architecture.
        rng: source of the start.
        deadline: of ``time.monotonic``; the best so far is taken then.

    Returns:
        The network of the best evidence, or None where not even one evidence is finite.
    """
    with np.errstate(all="ignore"):  # what overflows is not finite, which is asked for
        precisions = start(spec)
        found = solve_head(spec, draw(spec, rng), precisions, rows)
        weights = None if found is None else found[0]
        best, seen, damping, done = None, [], Damping(), False
        while weights is not None:
            point = look(spec, weights, precisions, rows, len(seen))
            if point is None:
                break
            seen.append(point.evidence)
            if best is None or point.evidence > best.evidence:
                best = point
            done = settled(seen, len(rows.y))
            if done or len(seen) == MOST or (deadline is not None and time.monotonic() > deadline):
                break
            precisions = _moved(point, rows)
            weights, damping = step(spec, point, precisions, rows, damping)
        return None if best is None else _finish(spec, best, rows, len(seen), done)


def settled(seen: list[float], n: int) -> bool:
    """Whether the last steps brought next to nothing.

    Args:
        seen: evidence of all steps.
        n: number of rows.

    Returns:
        The answer.
    """
    return len(seen) >= LEAST and max(seen[-WINDOW:]) - max(seen[:-WINDOW]) < 0.2 + 0.002 * n


def look(spec: Architecture, weights: np.ndarray, precisions: Precisions, rows: Rows, steps: int) -> Point | None:
    """Evidence and curvature at some weights.

    Args:
        spec: architecture.
        weights: (P,).
        precisions: there.
        rows: the data.
        steps: taken before.

    Returns:
        The point, None where something is not finite.
    """
    f, J = jacobian(spec, weights, rows.x)
    curvature = Curvature(J, precisions.each, precisions.noise, rows.w)
    if not curvature.ok:
        return None
    share, left = curvature.determined()
    determined = np.append(precisions.sums(share), left)
    head = share[spec.n_inner : spec.n_inner + spec.width]
    units = float(np.clip(head, 0.0, 1.0).sum())
    value = likelihood(curvature, rows, f, precisions.each, weights) + precisions.volume(determined)
    value += float(gammaln(units + 1) + units * np.log(2))
    return Point(weights, precisions, curvature, f, determined, value, steps) if np.isfinite(value) else None


def likelihood(curvature: Curvature, rows: Rows, f: np.ndarray, a: np.ndarray, weights: np.ndarray) -> float:
    """Laplace approximation of the log density of all observations, precisions and noise given.

    Args:
        curvature: at the weights.
        rows: the data.
        f: the network at the rows (n,).
        a: precisions of the weights (P,).
        weights: (P,), the most probable ones for the value to be what it says.

    Returns:
        Nats; exact where the network is linear.
    """
    misfit = rows.w @ (rows.y - f) ** 2 / curvature.noise + a @ weights**2
    own = -0.5 * (misfit + curvature.logdet + len(f) * np.log(2 * np.pi))
    return float(own + within(rows, curvature.noise))


def step(
    spec: Architecture, point: Point, precisions: Precisions, rows: Rows, damping: Damping
) -> tuple[np.ndarray | None, Damping]:
    """One step of Levenberg-Marquardt to lower misfit plus penalty, or none where that is not possible.

    Args:
        spec: architecture.
        point: where it begins.
        precisions: those that hold now.
        rows: the data.
        damping: at first.

    Returns:
        New weights, None where they are not finite; damping for the next step.
    """
    a, noise, p, J = precisions.each, precisions.noise, point.weights, point.curvature.J
    r, weight = rows.y - point.f, rows.w / noise
    scale = weight @ J**2
    scale = np.maximum(scale, 1e-6 * scale.max())
    scale[spec.n_inner :] = 0.0
    before = 0.5 * (weight @ r**2 + a @ p**2)
    size, growth = damping
    for _ in range(8):
        delta = direction(J, r, p, a, size * scale, noise, rows.w, point.curvature.gram)
        found = None if delta is None else solve_head(spec, p + delta, precisions, rows)
        if delta is not None and found is not None:
            trial, f = found
            hoped = before - 0.5 * (weight @ (r - J @ delta) ** 2 + a @ (p + delta) ** 2)
            gain = before - 0.5 * (weight @ (rows.y - f) ** 2 + a @ trial**2)
            if gain > 0:
                ratio = float(min(gain / max(hoped, 1e-300), 1.0))
                return trial, Damping(max(size * max(1 / 3, 1 - (2 * ratio - 1) ** 3), 1e-12))
            if hoped < 1e-10 * max(1.0, before):
                break
        size, growth = size * growth, 2 * growth
    return p, Damping(min(size, 1e12), 2.0)


def direction(
    J: np.ndarray,
    r: np.ndarray,
    p: np.ndarray,
    a: np.ndarray,
    damping: np.ndarray,
    noise: float,
    w: np.ndarray,
    gram: np.ndarray | None = None,
) -> np.ndarray | None:
    """Minimiser of ``1/(2 s) |r - J q|_w^2 + 1/2 |p + q|_a^2 + 1/2 |q|_damping^2``, in the dual where rows are few.

    With ``M = a + damping`` and ``q0 = a p / M`` both penalties are ``|q + q0|_M^2`` and a constant.

    Args:
        J: derivative (n, P).
        r: residuals (n,).
        p: weights (P,).
        a: precisions (P,).
        damping: of each weight (P,).
        noise: variance of one observation.
        w: observations of each row (n,).
        gram: upper triangle of ``J' diag(w) J`` where it is known.

    Returns:
        q (P,), None without a factor.
    """
    both = a + damping
    start = a * p / both
    curvature = Curvature(J, both, noise, w, gram=gram)
    return curvature.weights(r + J @ start) - start if curvature.ok else None


def solve_head(
    spec: Architecture, weights: np.ndarray, precisions: Precisions, rows: Rows
) -> tuple[np.ndarray, np.ndarray] | None:
    """The same weights with the most probable head, by QR: normal equations would lose half of the digits.

    Args:
        spec: architecture.
        weights: (P,).
        precisions: that hold the head.
        rows: the data.

    Returns:
        New weights and the network there (n,), None where they are not finite.
    """
    first = spec.n_inner
    seen, root = features(spec, weights, rows.x), np.sqrt(rows.w / precisions.noise)
    matrix = np.concatenate([seen * root[:, None], np.diag(np.sqrt(precisions.each[first:]))])
    if not np.isfinite(matrix).all():
        return None
    head = dgels(matrix, np.append(root * rows.y, np.zeros(matrix.shape[1])))[1][: matrix.shape[1]]
    return (np.append(weights[:first], head), seen @ head) if np.isfinite(head).all() else None


def _moved(point: Point, rows: Rows) -> Precisions:
    """New precisions from what is known at a point."""
    misfit = float(rows.w @ (rows.y - point.f) ** 2) + rows.spread
    squares = np.append(point.precisions.sums(point.weights**2), misfit)
    return point.precisions.moved(point.determined, squares)


def _finish(spec: Architecture, best: Point, rows: Rows, steps: int, done: bool) -> Network | None:
    """What predictions need of the best point."""
    curvature, f = best.curvature, best.f
    mean, variance = left_out_of(curvature, rows.y, f, curvature.J @ best.weights)
    density = -0.5 * float(np.sum((rows.y - mean) ** 2 / variance + np.log(2 * np.pi * variance)))
    root = curvature.posterior_root()
    if root is None or not np.isfinite(density):
        return None
    noise, freedom = curvature.noise, float(rows.w.sum() - best.determined[-1])
    density += within(rows, noise)
    return Network(spec, best.weights, best.precisions.each, noise, root, best.evidence, density, freedom, steps, done)
