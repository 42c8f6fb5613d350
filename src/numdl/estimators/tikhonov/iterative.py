"""Iterative and hybrid Tikhonov solver.

How is a regularised linear problem solved whose matrix is sparse, or known by its products only?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator

from numdl.estimators.tikhonov.criteria import NEED_FREEDOM, NEED_NOISE, Solved, selector_of
from numdl.estimators.tikhonov.noise import Noise, for_estimate, residual_level
from numdl.linalg import KrylovResult, as_operator, cgls, lsqr
from numdl.regularize.iterative import hybrid_lsqr, iterate_by_gcv, stop_discrepancy
from numdl.regularize.ridge import RidgePath
from numdl.regularize.selectors import GUARD

STOPPED = {"cgls": cgls, "lsqr": lsqr}
"""Methods that regularise by stopping, or solve for a given alpha."""


def solve_by_products(
    method: str,
    a: Any,
    b: Float[np.ndarray, "n k"],
    weights: Float[np.ndarray, " n"],
    operator: LinearOperator | None,
    reference: Float[np.ndarray, "p k"] | None,
    alpha: float | str,
    noise: float | None,
    *,
    intercept: bool,
    max_iter: int,
) -> list[Solved]:
    """Solve target by target; the matrix is weighted and centred by its products and stays sparse.

    Args:
        method: "cgls", "lsqr" or "hybrid-lsqr".
        a: whatever ``as_operator`` takes, (n, p).
        b: targets, (n, k).
        weights: observations each row stands for, positive, (n,).
        operator: L, (q, p); None for the identity.
        reference: where the penalty is zero, (p, k); None for the origin.
        alpha: number, or name of the criterion.
        noise: standard deviation of the error of one target value, for criteria that need it; None takes
            it for each target from the residuals of the fit that GCV chooses.
        intercept: whether there is a free intercept.
        max_iter: iterations at most.

    Returns:
        One solution for each target.

    Raises:
        ValueError: the criterion cannot be met.
    """
    inner = as_operator(a)
    n, p = inner.shape
    total = weights.sum()
    root = np.sqrt(weights / weights.mean())
    mean = inner.rmatvec(weights) / total if intercept else np.zeros(p)
    make: Any = LinearOperator
    problem = make(
        (n, p),
        matvec=lambda v: root * (inner.matvec(v.ravel()) - mean @ v.ravel()),
        rmatvec=lambda u: inner.rmatvec(root * u.ravel()) - mean * (root @ u.ravel()),
        dtype=np.float64,
    )
    solutions = []
    for j in range(b.shape[1]):
        start = np.zeros(p) if reference is None else reference[:, j]
        center = weights @ b[:, j] / total if intercept else 0.0
        right = root * (b[:, j] - center) - problem.matvec(start)
        rest = (int(intercept), max_iter, float(total))
        level, by_gcv = Noise(noise or 0.0), None
        if alpha in NEED_NOISE and noise is None:
            by_gcv = _one(method, problem, right, operator, "gcv", level, *rest)
            level = _estimated(problem, right, by_gcv, float(total))
        try:
            found = _one(method, problem, right, operator, alpha, level, *rest)
        except ValueError:
            if by_gcv is None or alpha != "discrepancy":
                raise
            found = by_gcv  # exact data: no residual on the path is as small as the noise that this fit has shown
        unknowns = found.unknowns + start[:, None]
        found = found._replace(targets=[j], unknowns=unknowns, intercept=center - mean @ unknowns)
        status = found.status._replace(message=found.status.message + level.message)
        solutions.append(found._replace(status=status, noise=level.level if alpha in NEED_NOISE else None))
    return solutions


def _estimated(problem: LinearOperator, b: Float[np.ndarray, " n"], fit: Solved, observations: float) -> Noise:
    """The noise level that the residuals of a fit show; rows are weighted with mean 1."""
    squares = np.sum((b - problem.matvec(fit.unknowns[:, 0])) ** 2) * observations / len(b)
    level = residual_level(squares, observations, fit.freedom)
    if not level > 0:
        raise ValueError(
            "TikhonovRegressor.fit: the data do not tell their noise level, as no degree of freedom is left. Give "
            "noise, the standard deviation of the error of a target value, or use alpha='gcv'."
        )
    return Noise(level, "the residuals of the fit that GCV chooses")


def _one(
    method: str,
    problem: LinearOperator,
    b: Float[np.ndarray, " n"],
    operator: LinearOperator | None,
    alpha: float | str,
    noise: Noise,
    free: int,
    max_iter: int,
    observations: float,
) -> Solved:
    """The centred problem for one target; its weights have mean 1, and criteria count observations."""
    n = len(b)
    given = None if isinstance(alpha, str) else float(alpha)
    if method == "hybrid-lsqr":
        judge = selector_of(alpha if isinstance(alpha, str) else "gcv", noise.level, observations)
        if alpha == "discrepancy" and noise.source:  # where the level is not reached more steps are taken
            judge = for_estimate(judge, noise.level, observations, extends=False)
        selector = lambda path: judge(_counted(path, observations))  # noqa: E731
        probe = alpha in NEED_FREEDOM
        options = {"alpha": given, "selector": selector, "free": free, "max_iter": max_iter, "probe": probe}
        h = hybrid_lsqr(problem, b, operator, **options)
        steps = int(h.history["step"][-1]) if len(h.history["step"]) else 0
        path = None if h.path is None else _counted(h.path, observations)
        return Solved([], h.x[:, None], np.zeros(1), h.alpha, h.freedom, h.choice, path, h.status, steps)
    solver = STOPPED[method]
    if given is not None:
        run, best = _penalised(solver, problem, b, operator, n * given, max_iter), np.nan
    elif alpha == "discrepancy":
        run = solver(problem, b, max_iter=max_iter, stop=stop_discrepancy(noise.level * np.sqrt(n)))
        best = len(run.history["residual"]) - 1
    else:
        run, best = iterate_by_gcv(
            solver, problem, b, max_iter=max_iter, weight=GUARD, free=free, observations=observations
        )
    steps = len(run.history["residual"]) - 1
    return Solved([], run.x[:, None], np.zeros(1), given or 0.0, best + free, None, None, run.status, steps)


def _counted(path: RidgePath, observations: float) -> RidgePath:
    """The path of n rows, whose weights have mean 1, as that of the observations they stand for."""
    root = float(np.sqrt(observations / path.n))
    limits = (root * path.limits[0], root * path.limits[1])
    return path._replace(n=observations, residuals=root * path.residuals, limits=limits)


def _penalised(
    solver: Callable[..., KrylovResult],
    problem: LinearOperator,
    b: np.ndarray,
    operator: LinearOperator | None,
    shift: float,
    max_iter: int,
) -> KrylovResult:
    """Minimise ``||A x - b||^2 + shift ||L x||^2``; a general L is stacked below A."""
    root = float(np.sqrt(shift))
    if operator is None:
        size = {"shift": shift} if solver is cgls else {"damp": root}
        return solver(problem, b, max_iter=max_iter, **size)
    (n, p), q = problem.shape, operator.shape[0]
    make: Any = LinearOperator
    stacked = make(
        (n + q, p),
        matvec=lambda v: np.concatenate([problem.matvec(v.ravel()), root * operator.matvec(v.ravel())]),
        rmatvec=lambda u: problem.rmatvec(u.ravel()[:n]) + root * operator.rmatvec(u.ravel()[n:]),
        dtype=np.float64,
    )
    return solver(stacked, np.append(b, np.zeros(q)), max_iter=max_iter)
