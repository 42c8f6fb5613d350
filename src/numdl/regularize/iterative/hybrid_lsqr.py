"""Which alpha and which solution, when A is known by its products only: hybrid LSQR.

After k steps of Golub and Kahan, ``A V_k = U_{k+1} B_k``, the problem is projected onto the space of V_k,

    min over y:   1/(2n) ||B_k y - beta_1 e_1||^2  +  alpha/2 ||y||^2 ,

and alpha is chosen there, at every step, with all criteria of the dense case: the small problem has a decomposition of
its own. Semi-convergence is gone: more steps do no harm. A penalty on ``L x`` is transformed to standard form first.
Variants that penalise ``L V_k y`` instead need no factorisation of L, but their space has no part of x that A does not
see, which is where L decides.

GCV counts the n rows of A, and needs the degrees of freedom ``tr(H)`` of the whole problem. Those of the projected
problem, ``tr(H_k)``, are too few: the space was built from b, and follows its noise with fewer vectors than a fixed
space would need. (On tomography with 1 % noise GCV then takes a far smaller alpha and errs seven times as much as the
best.) The rest is estimated from one random vector z of signs,

    n - tr(H)  =  (n - tr(H_k))  z'(I - H) z / z'(I - H_k) z

on average but for the variation of the quotient, with ``H_k`` from products at hand and ``z' H z`` from a
bidiagonalisation that starts at z, by Gauss quadrature. As ``H_k <= H <= I`` the quotient is in [0, 1]; it is 1
without any error where the space has all directions above alpha, and falls to 0 with H -> I. Gauss quadrature errs
upwards in H, and so does the projected residual: alphas that the spaces have not reached look bad, and GCV does not run
into them. Where the vectors are not kept orthogonal, directions come again and ``H_k`` counts them again; then z alone
is asked, whose quadrature does not suffer.

Cost of step k: two products with A and two with A' (with L four sparse solves), ``8 n k`` for reorthogonalisation; the
small problems, ``O(k^3)``, are looked at ever more rarely, after each tenth of the steps so far. Memory: 2k vectors of
n and of p numbers. Criteria that ignore degrees of freedom do without z, at half of all that.

Sources: O'Leary and Simmons, SIAM J. Sci. Stat. Comput. 2 (1981) 474-489; Chung, Nagy and O'Leary, ETNA 28 (2008)
149-167; Golub and von Matt, J. Comput. Graph. Statist. 6 (1997) 1-34 (quadrature for GCV); Hutchinson, Commun. Statist.
Simula. 19 (1990) 433-450 (signs).
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.contracts import Status
from numdl.linalg import as_operator
from numdl.linalg.krylov import Step, golub_kahan
from numdl.linalg.products import as_vector
from numdl.regularize.iterative.standard_form import standard_form
from numdl.regularize.ridge import RidgeDecomposition, RidgePath, alpha_grid, decompose, ridge_path, tikhonov
from numdl.regularize.selectors import GUARD, Choice, Selector, gcv, search

TINY = float(np.finfo(float).tiny)

EXACT = 50
"""Steps that are taken at least where degrees of freedom count: they cost little, and small problems become exact."""


class HybridResult(NamedTuple):
    """Where hybrid LSQR ended and how it came there.

    Attributes:
        x: solution, (p,).
        alpha: penalty of the mean misfit that was chosen last.
        choice: how, and how sharply; None for a given alpha.
        path: of the projected problem, (m alphas), with the degrees of freedom of the whole; None for a given alpha.
        freedom: effective degrees of freedom; NaN without ``probe``.
        status: why it ended.
        history: ``step``, ``alpha``, ``residual`` (norm, in the units of b) and ``change`` each time that the projected
            problem was looked at; the last is what the steps since the look before changed at this alpha, relative.
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
    max_iter: int = 500,
    tol: float = 1e-4,
    patience: int = 2,
    reorthogonalise: bool = True,
    probe: bool = True,
) -> HybridResult:
    """Tikhonov regularisation of ``A x = b`` from products, alpha chosen on the projected problem.

    Args:
        A: whatever ``numdl.linalg.as_operator`` takes, (n, p).
        b: targets, (n,).
        operator: L, (q, p), in the same forms; None for the identity. It is made a sparse matrix.
        alpha: penalty of the mean misfit; None lets the selector choose.
        selector: criterion; None for GCV that charges 1.4 times for a degree of freedom.
        free: degrees of freedom spent before: 1 where A and b were centred for an intercept.
        max_iter: steps at most.
        tol: change, as in the history, below which the solution counts as standing still, no unit.
        patience: looks at which it must stand still in a row.
        reorthogonalise: whether to keep the vectors orthogonal; without it directions come again and k is too large.
        probe: whether to estimate degrees of freedom; without, they are NaN, for criteria that do not use them.

    Returns:
        The solution with its history.

    Raises:
        ValueError: the criterion cannot be met within ``max_iter`` steps (discrepancy), null spaces meet, or an
            argument is out of range.

    Examples:
        >>> import numpy as np
        >>> from numdl.data.problems.inverse_problems import deblurring
        >>> from numdl.regularize.iterative import hybrid_lsqr
        >>> problem = deblurring(100)
        >>> found = hybrid_lsqr(problem.A, problem.noisy(0.01, 0))
        >>> bool(np.linalg.norm(found.x - problem.x) < 0.3 * np.linalg.norm(problem.x))
        True
    """
    if alpha is not None:
        checks.number("hybrid_lsqr", "alpha", alpha, least=0)
    if selector is not None:
        checks.function("hybrid_lsqr", "selector", selector, "path -> Choice")
    checks.whole("hybrid_lsqr", "free", free, least=0)
    checks.whole("hybrid_lsqr", "max_iter", max_iter, least=0)
    checks.number("hybrid_lsqr", "tol", tol, least=0)
    checks.whole("hybrid_lsqr", "patience", patience, least=1)
    options = {"selector": selector, "max_iter": max_iter, "tol": tol, "patience": patience, "probe": probe}
    if operator is not None:
        form = standard_form(A, b, operator)
        free += form.free
        found = hybrid_lsqr(form.operator, form.b, alpha=alpha, free=free, reorthogonalise=reorthogonalise, **options)
        return found._replace(x=form.lift(found.x))
    A = as_operator(A)
    n, p = A.shape
    b = as_vector(b, n, name="b", call="hybrid_lsqr")
    checks.squarable("hybrid_lsqr", "b", b)
    selector = partial(gcv, guard=GUARD) if selector is None else selector
    last = min(max_iter, n, p) if reorthogonalise else max_iter
    history: dict[str, list[float]] = {"step": [], "alpha": [], "residual": [], "change": []}
    signs = np.sign(np.random.default_rng(0).standard_normal(n))
    probing = golub_kahan(A, signs, reorthogonalise=reorthogonalise, max_steps=max_iter) if probe else iter(())
    steps: list[Step] = []
    probes: list[Step] = []
    y, before, still, refused, next_look = np.zeros(0), None, 0, None, 1
    answer = Answer(alpha or 0.0, None, None, float(free))
    status = Status("converged", "The data are orthogonal to the range of A: the solution is zero.")
    for step in golub_kahan(A, b, reorthogonalise=reorthogonalise, max_steps=max_iter):
        if not steps:
            checks.squarable("hybrid_lsqr", "A' b / ||b||", [step.alpha])
        steps.append(step)
        probes += [found for found in (next(probing, None),) if found is not None]
        status, k = step.status, len(steps)
        if status.code != "running":  # b lies in a small space, z need not
            probes += islice(probing, max(EXACT - k, 0))
        if status.code == "running" and k < min(next_look, last):
            continue
        next_look = k + max(1, k // 10)
        small = _Projected(steps, probes if probe else None, b, signs, free, reorthogonalise)
        try:
            answer, refused = small.choose(alpha, selector), None
        except ValueError as error:  # a criterion may need more steps
            refused = error
            continue
        y = small.solution(answer.alpha)
        change, before = small.change(before, answer.alpha), small
        for name, value in zip(history, (k, answer.alpha, small.residual(answer.alpha), change), strict=True):
            history[name].append(value)
        still = still + 1 if change <= tol else 0
        if still >= patience and (k >= EXACT or not probe):
            status = Status("converged", f"The solution stood still at {patience} looks, after {k} steps in all.")
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


class _Projected:
    """The projected problem after some steps, in the scaling of the whole one, and its degrees of freedom."""

    def __init__(
        self,
        steps: list[Step],
        probes: list[Step] | None,
        b: np.ndarray,
        signs: np.ndarray,
        free: int,
        orthogonal: bool,
    ) -> None:
        n = len(b)
        size = float(np.linalg.norm(b))
        right = np.zeros((len(steps) + 1, 2))
        right[0, 0] = size
        right[:, 1] = [b @ signs / size, *(step.u @ signs for step in steps)]  # U' z
        both = _decomposed(_bidiagonal(steps), right, n)
        self.free, self.orthogonal = free, orthogonal
        self.seen = n * both.coefficients[:, 1] ** 2
        one = {"coefficients": both.coefficients[:, :1], "outside": both.outside[:1], "offset": both.offset[:, :1]}
        self.problem = both._replace(**one, y_mean=both.y_mean[:1], free=free)
        self.probe = None
        if probes is not None:
            nodes = _nodes(probes)
            start = np.zeros((len(nodes), 1))
            start[0] = np.linalg.norm(signs)
            self.probe = _decomposed(nodes, start, n)

    def choose(self, alpha: float | None, selector: Selector) -> Answer:
        """Alpha by the selector, or the given one."""
        if alpha is not None:
            return Answer(alpha, None, None, float(self.freedom(np.array([alpha]))[0][0]))
        path, choice = search(self.path, selector, alpha_grid(self.problem, 60))
        return Answer(choice.alpha, choice, path, float(path.freedom[choice]))

    def path(self, alphas: np.ndarray) -> RidgePath:
        """The path of the projected problem with the degrees of freedom of the whole."""
        freedom, squared = self.freedom(alphas)
        return ridge_path(self.problem, alphas)._replace(freedom=freedom, squared_freedom=squared)

    def freedom(self, alphas: np.ndarray) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Traces of the influence matrix and of its square; NaN without probe."""
        if self.probe is None:
            return np.full(len(alphas), np.nan), np.full(len(alphas), np.nan)
        n = self.problem.n
        ours = tikhonov(self.problem.c, self.problem.s, alphas).kept
        traces = []
        for power in (1, 2):
            left = self.unseen(alphas, power)
            if self.orthogonal:
                beside = (1 - ours**power) @ self.seen + max(n - self.seen.sum(), 0.0)
                known = n - np.sum(ours**power, axis=1)
                left = known * np.minimum(left / np.maximum(beside, TINY), 1.0)
            traces.append(n - left + self.free)
        return traces[0], traces[1]

    def unseen(self, alphas: np.ndarray, power: int = 1) -> Float[np.ndarray, " m"]:
        """Quadrature of ``z' (I - H^power) z``; zeros without probe."""
        if self.probe is None:
            return np.zeros(len(alphas))
        form, outside = self.probe.n * self.probe.coefficients[:, 0] ** 2, self.probe.n * self.probe.outside[0]
        return (1 - tikhonov(self.probe.c, self.probe.s, alphas).kept ** power) @ form + outside

    def solution(self, alpha: float) -> Float[np.ndarray, " k"]:
        """Coordinates of the solution."""
        return self.problem.solution(alpha)[0][:, 0]

    def change(self, before: _Projected | None, alpha: float) -> float:
        """What the steps since another look changed at one alpha, relative: the solution, or the quadrature."""
        if before is None:
            return np.inf
        new, old = self.solution(alpha), before.solution(alpha)
        moved = np.linalg.norm(new - np.append(old, np.zeros(len(new) - len(old)))) / max(np.linalg.norm(new), TINY)
        (one,), (other,) = (look.unseen(np.array([alpha])) for look in (self, before))
        return float(max(moved, abs(one - other) / max(one, TINY)))

    def residual(self, alpha: float) -> float:
        """Norm in the units of b."""
        d = self.problem
        lost = tikhonov(d.c, d.s, np.array([alpha])).lost[0]
        return float(np.sqrt(d.n * (lost**2 @ d.coefficients[:, 0] ** 2 + d.outside[0])))


def _bidiagonal(steps: list[Step]) -> Float[np.ndarray, "k1 k"]:
    k = len(steps)
    matrix = np.zeros((k + 1, k))
    matrix[np.arange(k), np.arange(k)] = [step.alpha for step in steps]
    matrix[np.arange(1, k + 1), np.arange(k)] = [step.beta for step in steps]
    return matrix


def _nodes(probes: list[Step]) -> np.ndarray:
    """Matrix whose decomposition gives the quadrature: square for Gauss, while there is more to come.

    A breakdown of alpha says that z has a part outside the range of A, with a node at zero that only the last row has.
    Without that row it is counted at the least of the other nodes, and for small alpha as if H kept it.
    """
    if not probes:
        return np.zeros((1, 1))
    complete = probes[-1].status.converged and probes[-1].beta > 0
    return _bidiagonal(probes)[: len(probes) + complete]


def _decomposed(matrix: np.ndarray, right: np.ndarray, n: int) -> RidgeDecomposition:
    """Decomposition of a small problem as one with n observations."""
    scale = np.sqrt(len(matrix) / n)
    return decompose(scale * matrix, scale * right)._replace(n=float(n))
