"""Which alpha and which solution, when A is known by its products only: hybrid LSQR.

After k steps of Golub and Kahan, ``A V_k = U_{k+1} B_k``, the problem is projected onto the space of V_k,

    min over y:   1/(2n) ||B_k y - beta_1 e_1||^2  +  alpha/2 ||y||^2 ,

and alpha is chosen there, at every step, with all criteria of the dense case: the small problem has a decomposition of
its own. Semi-convergence is gone: more steps do no harm. A penalty on ``L x`` is transformed to standard form first.
Variants that penalise ``L V_k y`` instead need no factorisation of L, but their space has no part of x that A does not
see, which is where L decides.

GCV counts the n rows of A, not the k + 1 of B_k, and the degrees of freedom of the projected problem: as k grows it is
the GCV of the whole problem. With k + 1 rows it smooths too much (Chung, Nagy and O'Leary), and needs another weight.

Cost of step k: a product with A and one with A' (with L two sparse solves), ``4 n k`` for reorthogonalisation,
``O(k^3)`` for the small problem. Memory: k vectors of n and of p numbers.

Sources: O'Leary and Simmons, SIAM J. Sci. Stat. Comput. 2 (1981) 474-489; Chung, Nagy and O'Leary, ETNA 28 (2008)
149-167.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from numdl.contracts import Status
from numdl.linalg import as_operator
from numdl.linalg.krylov import Step, golub_kahan
from numdl.regularize.iterative.standard_form import standard_form
from numdl.regularize.ridge import RidgeDecomposition, RidgePath, alpha_grid, decompose, ridge_path, tikhonov
from numdl.regularize.selectors import GUARD, Choice, Selector, gcv, search


class HybridResult(NamedTuple):
    """Where hybrid LSQR ended and how it came there.

    Attributes:
        x: solution, (p,).
        alpha: penalty of the mean misfit that was chosen last.
        choice: how, and how sharply; None for a given alpha.
        path: of the projected problem, (m alphas); None for a given alpha.
        freedom: effective degrees of freedom.
        status: why it ended.
        history: ``alpha``, ``residual`` (norm, in the units of b) and ``change`` (of x, relative) at each step.
    """

    x: Float[np.ndarray, " p"]
    alpha: float
    choice: Choice | None
    path: RidgePath | None
    freedom: float
    status: Status
    history: dict[str, np.ndarray]


def hybrid_lsqr(
    A: Any,
    b: Float[np.ndarray, " n"],
    operator: Any = None,
    *,
    alpha: float | None = None,
    selector: Selector | None = None,
    free: int = 0,
    max_iter: int = 200,
    tol: float = 1e-4,
    patience: int = 3,
    reorthogonalise: bool = True,
) -> HybridResult:
    """Tikhonov regularisation of ``A x = b`` from products, alpha chosen on the projected problem.

    Args:
        A: whatever ``numdl.linalg.as_operator`` takes, (n, p).
        b: targets, (n,).
        operator: L, (q, p), in the same forms; None for the identity. It is made a sparse matrix.
        alpha: penalty of the mean misfit; None lets the selector choose at every step.
        selector: criterion; None for GCV that charges 1.4 times for a degree of freedom.
        free: degrees of freedom spent before: 1 where A and b were centred for an intercept.
        max_iter: steps at most.
        tol: relative change of the solution below which a step counts as standing still, no unit.
        patience: steps that must stand still in a row.
        reorthogonalise: whether to keep the vectors orthogonal; without it directions come again and k is too large.

    Returns:
        The solution with its history.

    Raises:
        ValueError: the criterion cannot be met within ``max_iter`` steps (discrepancy), or null spaces meet.
    """
    if operator is not None:
        form = standard_form(A, b, operator)
        options = {"selector": selector, "max_iter": max_iter, "tol": tol, "patience": patience}
        found = hybrid_lsqr(
            form.operator,
            form.b,
            alpha=alpha,
            free=free + form.free,
            reorthogonalise=reorthogonalise,
            **options,
        )
        return found._replace(x=form.lift(found.x))
    A = as_operator(A)
    n, p = A.shape
    selector = partial(gcv, guard=GUARD) if selector is None else selector
    size = float(np.linalg.norm(b))
    history: dict[str, list[float]] = {"alpha": [], "residual": [], "change": []}
    steps: list[Step] = []
    y, still, refused = np.zeros(0), 0, None
    answer = Answer(alpha or 0.0, None, None, float(free))
    status = Status("converged", "The data are orthogonal to the range of A: the solution is zero.")
    for step in golub_kahan(A, b, reorthogonalise=reorthogonalise, max_steps=max_iter):
        steps.append(step)
        status = step.status
        small = _projected(steps, size, n, free)
        try:
            answer, refused = _choose(small, alpha, selector), None
        except ValueError as error:  # a criterion may need more steps
            refused = error
            continue
        before, y = np.append(y, np.zeros(len(steps) - len(y))), small.solution(answer.alpha)[0][:, 0]
        change = float(np.linalg.norm(y - before) / max(np.linalg.norm(y), np.finfo(float).tiny))
        for name, value in zip(history, (answer.alpha, _residual(small, answer.alpha), change), strict=True):
            history[name].append(value)
        still = still + 1 if change <= tol else 0
        if still >= patience:
            status = Status("converged", f"The solution stood still for {patience} steps after {len(steps)} in all.")
            break
    if refused is not None:
        raise refused
    if status.code == "running":
        status = Status("max_iter", f"Stopped after {len(steps)} steps, the most that was allowed.")
    x = np.stack([step.v for step in steps], axis=1) @ y if steps else np.zeros(p)
    arrays = {name: np.array(column) for name, column in history.items()}
    return HybridResult(x, answer.alpha, answer.choice, answer.path, answer.freedom, status, arrays)


class Answer(NamedTuple):
    """What was chosen on the projected problem."""

    alpha: float
    choice: Choice | None
    path: RidgePath | None
    freedom: float


def _projected(steps: list[Step], size: float, n: int, free: int) -> RidgeDecomposition:
    """Decomposition of the projected problem, in the scaling of the whole one."""
    k = len(steps)
    b, right = np.zeros((k + 1, k)), np.zeros((k + 1, 1))
    b[np.arange(k), np.arange(k)] = [step.alpha for step in steps]
    b[np.arange(1, k + 1), np.arange(k)] = [step.beta for step in steps]
    right[0] = size
    scale = np.sqrt((k + 1) / n)
    return decompose(scale * b, scale * right)._replace(n=float(n), free=free)


def _choose(small: RidgeDecomposition, alpha: float | None, selector: Selector) -> Answer:
    if alpha is not None:
        kept = tikhonov(small.c, small.s, np.array([alpha])).kept
        return Answer(alpha, None, None, float(kept.sum()) + small.free)
    path, choice = search(partial(ridge_path, small), selector, alpha_grid(small, 60))
    return Answer(choice.alpha, choice, path, float(path.freedom[choice]))


def _residual(small: RidgeDecomposition, alpha: float) -> float:
    """Norm in the units of b."""
    lost = tikhonov(small.c, small.s, np.array([alpha])).lost[0]
    return float(np.sqrt(small.n * (lost**2 @ small.coefficients[:, 0] ** 2 + small.outside[0])))
