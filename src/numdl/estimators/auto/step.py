"""Levenberg-Marquardt step: which one lowers misfit plus penalty of a network?

``phi(p) = 1/(2 s) sum w (y - f)^2 + 1/2 sum a |p|^2``. Levenberg-Marquardt damps the inner weights only, carries the
head along and then solves for it again: variable projection, with the Jacobian of the joint problem.

Sources: Golub and Pereyra, Separable nonlinear least squares: the variable projection method and its applications,
Inverse Problems 19, 2003, sec. 4; Nielsen, Damping parameter in Marquardt's method, IMM-REP-1999-05.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dgels  # pyright: ignore[reportAttributeAccessIssue]

from numdl.estimators.auto.laplace import Curvature
from numdl.estimators.auto.network import Architecture, features
from numdl.estimators.auto.precisions import Precisions
from numdl.estimators.kernels.evidence import Rows


class Damping(NamedTuple):
    """Factor of the damping, and by how much it grows after the next failure."""

    size: float = 1e-2
    growth: float = 2.0


def step(
    spec: Architecture,
    p: np.ndarray,
    f: np.ndarray,
    curvature: Curvature,
    precisions: Precisions,
    rows: Rows,
    damping: Damping,
) -> tuple[np.ndarray, Damping]:
    """One step of Levenberg-Marquardt to lower misfit plus penalty, or none where that is not possible.

    Args:
        spec: architecture.
        p: weights where it begins (P,).
        f: the network there (n,).
        curvature: there.
        precisions: those that hold now.
        rows: the data.
        damping: at first.

    Returns:
        New weights, or the old ones; damping for the next step.
    """
    a, noise, J = precisions.each, precisions.noise, curvature.J
    r, weight = rows.y - f, rows.w / noise
    scale, pulled = curvature.diagonal / noise, (rows.w * r) @ J
    scale = np.maximum(scale, 1e-6 * scale.max())
    scale[spec.n_inner :] = 0.0
    before = 0.5 * (weight @ r**2 + a @ p**2)
    size, growth = damping
    for _ in range(8):
        delta = direction(J, r, p, a, size * scale, noise, rows.w, curvature.gram, pulled)
        found = None if delta is None else solve_head(spec, p + delta, precisions, rows)
        if delta is not None and found is not None:
            trial, there = found
            hoped = (delta @ pulled - 0.5 * curvature.square(delta)) / noise - 0.5 * a @ ((2 * p + delta) * delta)
            gain = before - 0.5 * (weight @ (rows.y - there) ** 2 + a @ trial**2)
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
    pulled: np.ndarray | None = None,
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
        pulled: ``J' diag(w) r`` where it is known.

    Returns:
        q (P,), None without a factor.
    """
    both = a + damping
    curvature = Curvature(J, both, noise, w, gram=gram)
    if not curvature.dual and pulled is not None:
        return curvature.solve(pulled / curvature.noise - a * p) if curvature.ok else None
    start = a * p / both
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
