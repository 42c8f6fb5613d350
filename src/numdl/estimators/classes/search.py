"""Which kernels and hyperparameters tell the classes, and how strongly are they held?

Hyperparameters are those that explain the labels as numbers: the q contrasts of the labels are targets of one process
with normal noise, whose evidence costs one factorisation whatever q. What is left is the scale of the scores, which is
the size at which left-out observations are most probable. Where rows are few, hyperparameters are averaged over the
normal approximation of their posterior instead of trusted: the most probable ones, a length for each input, imitate
noise, and observations left out from them do not show it.

Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, secs. 5.4 and 6.5.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from numdl.estimators.classes.member import Scores, features, scores_of
from numdl.estimators.classes.mixing import without_each
from numdl.estimators.classes.softmax import LeftOut, Softmax, climb, contrasts, leave_out
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import Evidence, Rows
from numdl.estimators.kernels.optimum import Candidate, optimise, refine
from numdl.estimators.kernels.search import part

TRIED = ("linear", "rbf", "matern52", "arcsine")
"""Kernels in the order in which they are worth their time."""

SCREEN, REFINE = 200, 600
"""Rows on which hyperparameters are sought, and on which those worth it go on; up to the latter they are averaged."""

MARKS = 1500
"""Rows that a kernel's scores are made of at most."""

DRAWS = 6
"""Hyperparameters that are averaged."""

SCALES = 10.0 ** np.arange(-1.0, 5.0, 0.5)
"""Scales, from scores that all but vanish to labels that are certain."""


class Classes(NamedTuple):
    """A table with classes.

    Attributes:
        x: scaled inputs (n, d), no two rows alike.
        c: observations of each class in each row (n, k).
        box: interval of each input (2, d).
    """

    x: np.ndarray
    c: np.ndarray
    box: np.ndarray


class Judged(NamedTuple):
    """What may become a member of a mixture.

    Attributes:
        name: under which its weight is told.
        members: one for each draw of its hyperparameters.
        left: each observation without it.
        evidence: log posterior density of the labels taken for numbers.
        free: number of hyperparameters that the data determine: by so many nats left-out rows are too probable.
        converged: whether its search ended by itself.
    """

    name: str
    members: list[Scores]
    left: LeftOut
    evidence: float
    free: float
    converged: bool


def as_numbers(table: Classes) -> Rows:
    """Contrasts of the labels, of mean 0 and mean square 1, as targets of a process.

    Args:
        table: the data.

    Returns:
        Rows with q targets.
    """
    Q, total = contrasts(table.c.shape[1]), table.c.sum(axis=0)
    ends = Q - total @ Q / total.sum()  # of the classes (k, q)
    square = float(total @ (ends**2).sum(axis=1))
    w = table.c.sum(axis=1)
    y = (table.c / w[:, None]) @ ends
    within = max(square - float(w @ (y**2).sum(axis=1)), 0.0)
    unit = square / (total.sum() * Q.shape[1])
    return Rows(table.x, y / np.sqrt(unit), w, within / unit)


def candidates(table: Classes, rng: np.random.Generator, notes: list[str], clock: Clock) -> list[Judged]:
    """Members by kernel, the first whatever the time.

    Args:
        table: the data.
        rng: source of subsets and draws.
        notes: what the user should know is appended.
        clock: nothing new is begun when it says that the time is over.

    Returns:
        Those that have factors, the linear one first.
    """
    rows, found = as_numbers(table), []
    order = rng.permutation(len(rows.w))
    few, more = part(rows, order[:SCREEN]), part(rows, order[:REFINE])
    marks = np.sort(order[:MARKS])
    for i, name in enumerate(TRIED):
        if found and clock.over():
            notes.append(f"The time was over before the kernel {name} was tried.")
            break
        seed = rng.spawn(1)[0]
        work = functools.partial(_candidate, name, table, few, more, marks, seed)
        if i == 0:
            one = clock.insist(lambda work=work: work(None))
        else:
            one, done = None, False
            with clock.guard(needed=not found):
                one, done = work(clock), True
            if not done:
                notes.append(f"The time was over while the kernel {name} was tried.")
                break
        if one is not None:
            found.append(one)
        else:
            notes.append(f"Left out, because its matrices have no Cholesky factor: {name}.")
    return found


def _candidate(
    name: str, table: Classes, few: Rows, more: Rows, marks: np.ndarray, rng: np.random.Generator, clock: Clock | None
) -> Judged | None:
    """One kernel on all rows; None where it has no factor."""
    ask = None if clock is None else clock.check
    best = optimise(Evidence(name, few, table.box, ask), 1, rng)
    if best is None:
        return None
    if len(more.w) > len(few.w):
        best = refine(best, Evidence(name, more, table.box, ask))
    thetas = [best.theta]
    model = Evidence(name, few, table.box)
    if name != "linear" and len(table.x) <= REFINE:
        thetas = [np.clip(theta, model.low, model.high) for theta in _draws(best, rng)]
    kept = [(theta, *features(name, theta, table.x, marks, table.box)) for theta in thetas]
    kept = [one for one in kept if one[1].shape[1]]
    if not kept:
        return None
    fits, left = _scaled([phi for _, phi, _ in kept], table.c, ask)
    members = [scores_of(name, theta, marks, upper, fit.V) for (theta, _, upper), fit in zip(kept, fits, strict=True)]
    evidence = Evidence(name, more, table.box)(best.theta)[0]
    free = float(np.sum(1 - np.linalg.inv(best.hessian).diagonal()[1:] / model.spread[1:] ** 2))
    return Judged(name, members, left, float(evidence), free, best.converged and all(fit.converged for fit in fits))


def _draws(best: Candidate, rng: np.random.Generator) -> list[np.ndarray]:
    """Hyperparameters from the normal approximation of their posterior, in pairs about its centre."""
    root = np.linalg.cholesky(best.hessian)
    steps = solve_triangular(root.T, rng.standard_normal((len(root), DRAWS // 2))).T
    return [best.theta + way * step for step in steps for way in (-1, 1)]


def _scaled(phis: list[np.ndarray], c: np.ndarray, ask: object) -> tuple[list[Softmax], LeftOut]:
    """Fits at the scale that left-out observations favour, coming from small ones: each start is close."""
    starts = [np.zeros((phi.shape[1], c.shape[1] - 1)) for phi in phis]
    best: tuple[list[Softmax], LeftOut] | None = None
    for scale in SCALES:
        fits = [climb(phi, c, scale, V, ask) for phi, V in zip(phis, starts, strict=True)]  # type: ignore[arg-type]
        each = [leave_out(phi, c, fit) for phi, fit in zip(phis, fits, strict=True)]
        left = each[0]._replace(log_p=without_each(np.array([one.log_p for one in each]), each[0].label))
        if best is not None and left.density <= best[1].density:
            break
        best, starts = (fits, left), [fit.V for fit in fits]
    assert best is not None
    return best
