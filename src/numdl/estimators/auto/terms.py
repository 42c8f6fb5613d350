"""Sparse polynomial chaos by least angles: which few products of Legendre polynomials explain a target?

Candidates are ``prod_j p_{a_j}(t_j)`` with ``(sum_j a_j^q)^(1/q) <= p``: small q keeps interactions of low degree only.
Least angle regression says in which order they come; for each number of terms, least squares on the first k gives

``e_k = 1/n sum_i (r_i / (1 - h_i))^2 * n / (n - k - 1) * (1 + tr(C^-1) / n)``,  ``C = F'F / n``,

the mean square error of rows left out, times what few rows hide of it. Each q and p brings the k of its least e.

Sources: Blatman and Sudret, Adaptive sparse polynomial chaos expansion based on least angle regression, J. Comput.
Phys. 230, 2011; Efron, Hastie, Johnstone and Tibshirani, Least angle regression, Annals of Statistics 32, 2004;
Chapelle, Vapnik and Bengio, Model selection for small sample regression, Machine Learning 48, 2002, for the factor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

NORMS, DEGREE, MOST = (0.5, 0.75, 1.0), 15, 500
"""q, the largest p, and candidates at most."""

DEGREES, LEAST = 2, 5
"""Degrees p without gain after which a norm is left; terms without gain after which a path ends, or n / 10 if more."""


class Terms(NamedTuple):
    """Terms of one q and p.

    Attributes:
        powers: degree of each term in each input (k, d), without the constant.
        candidates: number of terms that they were chosen from.
        error: least e over the variance of the target.
    """

    powers: np.ndarray
    candidates: int
    error: float


def hyperbolic(d: int, q: float, degree: int = DEGREE, most: int = MOST) -> tuple[np.ndarray, np.ndarray]:
    """Degrees of all terms up to a norm.

    Args:
        d: number of inputs.
        q: of the norm ``(sum_j a_j^q)^(1/q)``.
        degree: the largest norm.
        most: terms at most; a whole p that brings more is left out, and those above.

    Returns:
        Degrees (m, d) without the constant, and the least whole p that admits each term (m,), ascending.
    """
    found: list[tuple[int, ...]] = []
    for p in range(1, degree + 1):
        more = _up_to(d, float(p) ** q * (1 + 1e-9), q, most)
        if more is None:
            break
        found = more
    powers = np.zeros((len(found), d), int)
    for row, term in zip(powers, found, strict=True):
        row[list(term[::2])] = term[1::2]
    norm = np.sum(powers.astype(float) ** q, axis=1, where=powers > 0) ** (1 / q)
    least = np.ceil(norm - 1e-6).astype(int)
    order = np.lexsort((norm, least))
    return powers[order], least[order]


def _up_to(d: int, budget: float, q: float, most: int) -> list[tuple[int, ...]] | None:
    """Terms of ``sum_j a_j^q <= budget`` as (input, degree, input, degree, ...); None where there are more."""
    found: list[tuple[int, ...]] = []
    waiting: list[tuple[tuple[int, ...], int, float]] = [((), 0, budget)]
    while waiting:
        term, first, left = waiting.pop()
        top = int(left ** (1 / q)) if left >= 1 else 0
        for j in range(first, d if top else first):
            for a in range(1, top + 1):
                one = (*term, j, a)
                if len(found) == most:
                    return None
                found.append(one)
                waiting.append((one, j + 1, left - float(a) ** q))
    return found


def products(each: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Columns of the terms.

    Args:
        each: polynomials of the inputs (n, d, degrees).
        powers: degrees (k, d).

    Returns:
        (n, k).
    """
    out = np.ones((len(each), len(powers)))
    for j in range(powers.shape[1]):
        some = np.flatnonzero(powers[:, j])
        out[:, some] *= each[:, j, powers[some, j]]
    return out


def path(f: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Terms by least angle regression, and what each of them leaves.

    The active columns are ``X = Q R``; the direction of equal angles is ``Q v / |v|`` with ``R' v = s`` for the signs s
    of the correlations, so that a term more costs one more entry of v.

    Args:
        f: candidates (n, m), without the constant.
        y: target (n,), not constant.
        w: weights of the rows (n,), positive.

    Returns:
        Terms in their order, and e over the variance of y with the first 0, 1, ... of them.
    """
    n, most, root = len(y), min(f.shape[1], len(y) - 3), np.sqrt(w / w.mean())
    x = (f - w @ f / w.sum()) * root[:, None]
    norm = np.sqrt(np.einsum("nm,nm->m", x, x))
    idle = norm > 1e-9 * np.sqrt(n)
    x /= np.where(idle, norm, 1.0)
    y = (y - w @ y / w.sum()) * root
    r, h, variance = y, w / w.sum(), y @ y / n

    def error(k: int) -> float:
        correction = n / (n - k - 1) * (1 + trace / n)
        return float(np.mean((r / np.maximum(1 - h, 1e-12)) ** 2) * correction / variance)

    Q, inverse, v = np.zeros((n, most)), np.zeros((most, most)), np.zeros(most)
    direction, trace, chosen, best = np.zeros(n), 1.0, [], 0
    errors, c = [error(0)], y @ x
    j = int(np.argmax(np.abs(c)))
    while len(chosen) < most and idle[j]:
        k, idle[j] = len(chosen), False
        first = Q[:, :k].T @ x[:, j]
        q = x[:, j] - Q[:, :k] @ first
        again = Q[:, :k].T @ q  # twice, as once is not orthogonal where columns are nearly dependent
        q -= Q[:, :k] @ again
        length = np.sqrt(q @ q)
        if length > 1e-7:
            along, q = first + again, q / length
            chosen.append(j)
            Q[:, k], inverse[:k, k], inverse[k, k] = q, -(inverse[:k, :k] @ along) / length, 1 / length
            v[k] = (np.sign(c[j]) - along @ v[:k]) / length
            direction = direction + q * v[k]
            trace += n * np.sum((inverse[: k + 1, k] / norm[chosen]) ** 2)
            r, h = r - q * (q @ y), h + q * q
            errors.append(error(k + 1))
            best = k + 1 if errors[-1] < errors[best] else best
            if k + 1 > best + max(LEAST, n // 10) or errors[-1] < 1e-26:
                break
        if not chosen:
            break
        steepness, reach = 1 / np.sqrt(v @ v), np.abs(c[chosen]).max()
        a = (steepness * direction) @ x
        with np.errstate(divide="ignore", invalid="ignore"):
            up, down = (reach - c) / (steepness - a), (reach + c) / (steepness + a)
        steps = np.minimum(np.where(steepness - a > 1e-12, up, np.inf), np.where(steepness + a > 1e-12, down, np.inf))
        steps[~idle] = np.inf
        j = int(np.argmin(steps))
        c = c - min(max(float(steps[j]), 0.0), reach / steepness) * a
    return chosen, np.array(errors)


def search(each: np.ndarray, y: np.ndarray, w: np.ndarray, over: Callable[[], bool]) -> list[Terms]:
    """The best terms of each q and p.

    Args:
        each: polynomials of the inputs (n, d, DEGREE + 1).
        y: target (n,), not constant.
        w: weights of the rows (n,).
        over: whether nothing new should be begun.

    Returns:
        Terms; none where no term may be used.
    """
    found: list[Terms] = []
    for q in NORMS:
        powers, least = hyperbolic(each.shape[1], q)
        f = products(each, powers)
        lowest, last = np.inf, 0
        for p in range(1, int(least.max(initial=0)) + 1):
            if p > last + DEGREES or over():
                break
            m = int(np.searchsorted(least, p, side="right"))
            chosen, errors = path(f[:, :m], y, w)
            k = int(np.argmin(errors))
            if errors[k] < lowest:
                lowest, last = errors[k], p
            found.append(Terms(powers[chosen[:k]], m, float(errors[k])))
    return found
