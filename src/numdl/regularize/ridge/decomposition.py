"""SVD and GSVD of a regularised problem.

What has to be computed once, so that a regularised least-squares problem is solved for every alpha?

    min over X:   1/(2n) sum_i w_i ||a_i X + b0 - b_i||^2  +  alpha/2 ||L (X - X0)||_F^2

with n the sum of the sample weights and a free intercept b0. One factorisation finds directions in which data and
penalty decouple: ``Z b_j = c_j u_j`` with orthonormal u_j and ``||L b_j|| = s_j``, where Z is A, centred, its rows
scaled by ``sqrt(w_i / n)``. The solution for every alpha is then a weighted sum of the b_j.

For ``L = I`` this is the singular value decomposition, otherwise the generalised one, from a QR factorisation of Z and
L stacked and the CS decomposition of its orthogonal factor. Products ``A'A`` are never formed: their condition is the
square.

Cost: ``2 n p^2`` for the triangle of Z (n > p), then about ``20 p^3``, with L ``2 (p + q) p^2`` more. Memory: one copy
of A.

Sources: Hansen, Discrete Inverse Problems, SIAM 2010, ch. 3, 4 and 8; Paige and Saunders, SIAM J. Numer. Anal. 18
(1981) 398-405; Golub and Van Loan, Matrix Computations, 2013, sec. 6.1.6.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from numdl import checks
from numdl.linalg import TSQR, column_svd, powers_of_two, tsqr_reduce
from numdl.linalg.safe_svd import safe_svd
from numdl.regularize.ridge.filters import Filter, tikhonov


class RidgeDecomposition(NamedTuple):
    """Directions in which data and penalty decouple.

    Attributes:
        c: strengths in the data, descending in ``c / s``; numbers below rounding are zero, (r,).
        s: strengths in the penalty; zero where nothing is penalised, (r,).
        coefficients: ``u_j' Y``: what the targets say along each direction, (r, k).
        basis: the directions b_j as columns, (p, r).
        dual: ``dual @ basis`` is the identity, (r, p).
        outside: squares of the scaled targets that no X can reach, (k,).
        offset: where unknowns are without data (X0), (p, k).
        x_mean: weighted means of the columns of A, (p,); zero without intercept.
        y_mean: weighted means of the targets, (k,); zero without intercept.
        n: sum of the sample weights: number of observations of each target.
        free: directions beside these that nothing penalises: 1 for an intercept, else 0.
        left: the u_j as columns, (rows, r); None if they were not asked for.
        rest: what the targets have outside, (rows, k); None if ``left`` is.
        weights: sample weights, (rows,); None if ``left`` is.
    """

    c: Float[np.ndarray, " r"]
    s: Float[np.ndarray, " r"]
    coefficients: Float[np.ndarray, "r k"]
    basis: Float[np.ndarray, "p r"]
    dual: Float[np.ndarray, "r p"]
    outside: Float[np.ndarray, " k"]
    offset: Float[np.ndarray, "p k"]
    x_mean: Float[np.ndarray, " p"]
    y_mean: Float[np.ndarray, " k"]
    n: float
    free: int
    left: Float[np.ndarray, "rows r"] | None = None
    rest: Float[np.ndarray, "rows k"] | None = None
    weights: Float[np.ndarray, " rows"] | None = None

    @property
    def scale(self) -> float:
        """Largest ``(c / s)^2`` among penalised directions: above it alpha holds everything; 0 if there is none."""
        held = (self.s > 0) & (self.c > 0)
        return float(np.max((self.c[held] / self.s[held]) ** 2, initial=0.0))

    def solution(
        self, alpha: float, filter: Filter = tikhonov
    ) -> tuple[Float[np.ndarray, "p k"], Float[np.ndarray, " k"]]:
        """Minimiser for one alpha.

        Args:
            alpha: penalty of the mean misfit, not negative. For zero, directions that data do not see stay at X0.
            filter: how directions are kept.

        Returns:
            Unknowns (p, k) and intercept (k,).
        """
        kept = filter(self.c, self.s, np.array([float(alpha)])).kept[0]
        gain = np.divide(kept, self.c, out=np.zeros_like(kept), where=self.c > 0)
        unknowns = self.offset + self.basis @ (gain[:, None] * self.coefficients)
        return unknowns, self.y_mean - self.x_mean @ unknowns


def decompose(
    a: Float[np.ndarray, "n p"],
    b: Float[np.ndarray, "n k"],
    operator: Float[np.ndarray, "q p"] | None = None,
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    reference: Float[np.ndarray, "p k"] | None = None,
    intercept: bool = False,
    keep_left: bool = False,
) -> RidgeDecomposition:
    """Factorise a regularised least-squares problem.

    Args:
        a: matrix, (n, p), finite.
        b: targets, (n, k), finite.
        operator: L, (q, p); None for the identity.
        weights: observations each row stands for, not negative, (n,); None for one each.
        reference: X0, (p, k); None for zero.
        intercept: whether a free intercept is added.
        keep_left: whether to keep what leave-one-out needs, n (r + k) numbers.

    Returns:
        The decomposition.

    Raises:
        ValueError: there is a direction that neither A nor L sees, L is zero, or numbers are too small or large for
            their squares.

    Examples:
        >>> import numpy as np
        >>> from numdl.regularize.ridge import decompose
        >>> A, b = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([[1.0], [3.0], [5.0]])
        >>> d = decompose(A, b)
        >>> np.round(d.solution(1e-12)[0], 3)
        array([[1.],
               [2.]])
        >>> np.round(d.solution(1.0)[0], 3)
        array([[0.846],
               [1.308]])
    """
    a = np.asarray(checks.finite("decompose", "a", a, ("n", "p")), float)
    n, p = a.shape
    b = np.asarray(checks.finite("decompose", "b", b, (n, "k")), float)
    for name, given in (("a", a), ("b", b)):
        checks.squarable("decompose", name, given)
    if not n:
        raise ValueError("decompose(a of shape (0, p)): needs at least one row. Give data.")
    weights = np.ones(n) if weights is None else np.asarray(checks.finite("decompose", "weights", weights, (n,)))
    if np.any(weights < 0) or not np.any(weights > 0):
        raise ValueError(
            f"decompose(weights): reach from {weights.min():g} to {weights.max():g}, needs numbers >= 0, one of them "
            "> 0. Use 0 to leave a row out."
        )
    if operator is not None:
        operator = checks.finite("decompose", "operator", operator, ("q", p))
    if reference is not None:
        reference = checks.finite("decompose", "reference", reference, (p, b.shape[1]))
    total = float(weights.sum())
    root = np.sqrt(weights / total)[:, None]
    offset = np.zeros((p, b.shape[1])) if reference is None else reference
    x_mean = weights @ a / total if intercept else np.zeros(p)
    y_mean = weights @ b / total if intercept else np.zeros(b.shape[1])
    z = root * (a - x_mean)
    y = root * (b - y_mean - (a - x_mean) @ offset) if reference is not None else root * (b - y_mean)
    top, head, outside, q = _reduce(z, y, keep_left)
    c, s, left, basis, dual = _factors(top, operator, x_mean)
    coefficients = left.T @ head
    if outside is None:
        outside = np.sum((head - left @ coefficients) ** 2, axis=0)
    kept = RidgeDecomposition(c, s, coefficients, basis, dual, outside, offset, x_mean, y_mean, total, int(intercept))
    if not keep_left:
        return kept
    left = left if q is None else q @ left
    return kept._replace(left=left, rest=y - left @ coefficients, weights=weights)


def decompose_condensed(
    state: TSQR, operator: Float[np.ndarray, "q p"] | None = None, *, intercept: bool = True
) -> RidgeDecomposition:
    """The same from a table condensed piece by piece.

    Args:
        state: from ``numdl.linalg.tsqr_update``.
        operator: L, (q, p); None for the identity.
        intercept: whether there is a free intercept.

    Returns:
        The decomposition.

    Raises:
        ValueError: no row was added, there is a direction that neither A nor L sees, or L is zero.
    """
    checks.instance("decompose_condensed", "state", state, TSQR, "Use tsqr_start and tsqr_update.")
    if operator is not None:
        operator = checks.finite("decompose_condensed", "operator", operator, ("q", state.columns))
    n = float(state.triangle[0, 0] ** 2)
    if not n > 0:
        raise ValueError("decompose_condensed: no row of positive weight was added. Use tsqr_update first.")
    small, root = tsqr_reduce(state, intercept=intercept), np.sqrt(n)
    c, s, left, basis, dual = _factors(small.matrix / root, operator, small.mean_x)
    outside = (small.rest / root) ** 2
    offset = np.zeros_like(small.targets)
    coefficients = left.T @ (small.targets / root)
    means = (small.mean_x, small.mean_c)
    return RidgeDecomposition(c, s, coefficients, basis, dual, outside, offset, *means, n, int(intercept))


def _factors(z: np.ndarray, operator: np.ndarray | None, mean: np.ndarray) -> tuple:
    """Strengths and directions; strengths that are rounding of the table before centring become zero."""
    sizes = np.hypot(np.linalg.norm(z, axis=0), mean)
    if operator is not None:
        return _generalised(z, operator, sizes)
    left, c, right = column_svd(z, sizes)
    return c, np.ones_like(c), left, right.T, right


def _reduce(z: np.ndarray, y: np.ndarray, keep_left: bool) -> tuple:
    """Rows of the problem that matter: Z and Y, or their triangles where there are many more rows than columns."""
    n, p = z.shape
    k = y.shape[1]
    if n <= p + k:
        return z, y, None, None
    if keep_left:
        q, r = np.linalg.qr(z)
        head = q.T @ y
        return r, head, np.sum((y - q @ head) ** 2, axis=0), q
    r = np.asarray(np.linalg.qr(np.hstack([z, y]), mode="r"))
    return r[:p, :p], r[:p, p:], np.sum(r[p : p + k, p:] ** 2, axis=0), None


def _generalised(z: np.ndarray, operator: np.ndarray, sizes: np.ndarray) -> tuple:
    """Generalised singular value decomposition by stacking; both parts are brought to the same size first."""
    size = np.linalg.norm(operator)
    if size == 0:
        raise ValueError("decompose: the operator is zero, so nothing is penalised. Give another, or alpha = 0.")
    balance = float((np.linalg.norm(z) or 1.0) / size)
    rows, p = z.shape
    stack = np.vstack([z, balance * operator])
    unit = powers_of_two(stack)  # null spaces do not depend on the units of the columns
    if len(stack) < p:
        _refuse_common_null_space(stack / unit, unit)
    q, t = np.linalg.qr(stack / unit)
    spread = np.linalg.svd(t, compute_uv=False)
    if spread[-1] <= max(stack.shape) * np.finfo(float).eps * spread[0]:
        _refuse_common_null_space(t, unit)
    left, c, w = safe_svd(q[:rows])
    # The null space of L comes out as rounding, magnified by the condition of t: its dimension is known better.
    free = p - int(np.linalg.matrix_rank(operator / powers_of_two(operator)))
    rounding = 4 * (len(c) + 1) * np.finfo(float).eps
    if rows >= p and c[-1] <= rounding * c[0]:
        seen = _all_seen(z, operator, sizes, balance, free)
        if seen is not None:
            return seen
    # Directions beyond the rank of Z are not seen by the data: they stay at the reference and need no basis vector.
    s = np.linalg.norm(q[rows:] @ w.T, axis=0) / balance
    s[np.argsort(s)[: min(free, len(s))]] = 0.0
    basis = solve_triangular(t, w.T) / unit[:, None]
    return np.where(c > rounding * np.max(c, initial=0.0), c, 0.0), s, left, basis, (w @ t) * unit


def _all_seen(z: np.ndarray, operator: np.ndarray, sizes: np.ndarray, balance: float, free: int) -> tuple | None:
    """The same where the data see all directions, but some so weakly that they are rounding beside the penalty.

    With ``Z K`` orthonormal the singular values of ``L K`` are the ratios s / c: no direction can be lost.
    """
    left, values, right = column_svd(z, sizes)
    if not np.all(values > 0):
        return None
    p = len(values)
    _, found, w = safe_svd(operator @ (right.T / values), full_matrices=True)
    ratios = np.zeros(p)
    ratios[: len(found)] = found[:p]
    ratios[p - free :] = 0.0
    w, ratios = w[::-1], ratios[::-1]
    length = np.hypot(1.0, balance * ratios)
    basis, dual = (right.T / values) @ w.T / length, length[:, None] * (w * values) @ right
    return 1 / length, ratios / length, left @ w.T, basis, dual


def _refuse_common_null_space(stack: np.ndarray, unit: np.ndarray) -> None:
    """Name a direction that data and penalty leave free together; ``unit`` is what columns were divided by."""
    direction = safe_svd(stack, full_matrices=True)[2][-1] / unit
    direction = direction / direction[np.argmax(np.abs(direction))]
    constant = np.ptp(direction) < 1e-6
    largest = np.argsort(-np.abs(direction))[:3]
    named = "the constant vector" if constant else ", ".join(f"{direction[j]:.2g} in column {j}" for j in largest)
    raise ValueError(
        f"decompose: the null spaces of the data and of the operator meet ({named}), so no alpha makes the solution "
        "unique. Add a row to the operator that sees it, drop a column, or use operator='identity'."
    )
