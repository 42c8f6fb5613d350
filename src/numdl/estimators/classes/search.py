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
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dtrsm  # pyright: ignore[reportAttributeAccessIssue]
from scipy.special import log_softmax

from numdl.estimators.classes.member import Scores, features, scores_of
from numdl.estimators.classes.mixing import without_each
from numdl.estimators.classes.softmax import LeftOut, Softmax, climb, contrasts, leave_out, shares
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import TIED, Evidence, Rows
from numdl.estimators.kernels.optimum import Candidate, optimise, refine
from numdl.estimators.kernels.search import part

TRIED = ("linear", "matern52 of one length", "arcsine", "matern52", "rbf")
"""Kernels in the order in which they are worth their time."""

SCREEN, REFINE = 200, 400
"""Rows on which hyperparameters are sought, and on which they go on."""

AVERAGED = 600
"""Rows up to which hyperparameters are averaged, each draw costs a fit, and the scale is chosen on all of them."""

FOLDS = 10
"""In which linear scores are judged: where classes can be separated, their left-out rows look far too good."""

MARKS = 1500
"""Rows that a kernel's scores are made of at most."""

DRAWS = 4
"""Hyperparameters that are averaged."""

SCALES = 10.0 ** np.arange(-1.0, 5.0)
"""Scales, from scores that all but vanish to labels that are certain; half a decade more or less follows."""


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
        members: `Scores` for each draw of its hyperparameters, or `numdl.estimators.classes.trees.Trees`.
        left: each observation without it.
        evidence: log posterior density of the labels taken for numbers; not a number for trees.
        free: number of hyperparameters that the data determine: by so many nats left-out rows are too probable.
        converged: whether its search ended by itself.
    """

    name: str
    members: list[Any]
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
        clock.tell(f"kernel {name}")
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
    model = Evidence(name, few, table.box)
    phi, upper = features(name, best.theta, table.x, marks, table.box)
    if not phi.shape[1]:
        return None
    if name == "linear":
        scale, fit, left = _scaled(
            phi, table.c, ask, functools.partial(_folded, np.asarray(rng.permutation(len(phi)) % FOLDS))
        )
    elif len(table.x) <= AVERAGED:
        scale, fit, left = _scaled(phi, table.c, ask, leave_out)
    else:
        some = marks[:: -(-len(marks) // AVERAGED)]
        own = features(name, best.theta, table.x[some], np.arange(len(some)), table.box)[0]
        scale = _scaled(own, table.c[some], ask, leave_out)[0] if own.shape[1] else 1.0
        fit = climb(phi, table.c, scale, np.zeros((phi.shape[1], table.c.shape[1] - 1)), ask)
        left = leave_out(phi, table.c, fit)
    members, converged = [scores_of(name, best.theta, marks, upper, fit.V)], fit.converged
    if name != "linear" and name not in TIED and len(table.x) <= AVERAGED:
        thetas = [np.clip(theta, model.low, model.high) for theta in _draws(best, rng)]
        made = [one for theta in thetas if (one := _drawn(name, theta, table, scale, fit.f, ask)) is not None]
        members = [one for one, _ in made] or members
        each = np.array([one.log_p for _, one in made] or [left.log_p])
        left = left._replace(log_p=without_each(each, left.label))
    evidence = Evidence(name, more, table.box)(best.theta)[0]
    free = float(np.sum(1 - np.linalg.inv(best.hessian).diagonal()[1:] / model.spread[1:] ** 2))
    return Judged(name, members, left, float(evidence), free, best.converged and converged)


def _drawn(
    name: str, theta: np.ndarray, table: Classes, scale: float, f: np.ndarray, ask: Callable[[], object] | None
) -> tuple[Scores, LeftOut] | None:
    """A member of other hyperparameters, from the contrasts of one that is there; None without a factor."""
    marks = np.arange(len(table.x))
    phi, upper = features(name, theta, table.x, marks, table.box)
    if upper is None:
        return None
    fit = climb(phi, table.c, scale, dtrsm(1.0, upper, f, trans_a=1), ask)
    return scores_of(name, theta, marks, upper, fit.V), leave_out(phi, table.c, fit)


def _draws(best: Candidate, rng: np.random.Generator) -> list[np.ndarray]:
    """Hyperparameters from the normal approximation of their posterior, in pairs about its centre."""
    root = np.linalg.cholesky(best.hessian)
    steps = solve_triangular(root.T, rng.standard_normal((len(root), DRAWS // 2))).T
    return [best.theta + way * step for step in steps for way in (-1, 1)]


def _folded(fold: np.ndarray, phi: np.ndarray, c: np.ndarray, fit: Softmax) -> LeftOut:
    """What the rows of each fold would be taken for without them."""
    row, label = np.nonzero(c)
    log_p = np.empty(c.shape)
    for j in np.unique(fold):
        rest = fold != j
        one = climb(np.asfortranarray(phi[rest]), c[rest], fit.scale, fit.V)
        log_p[~rest] = log_softmax(phi[~rest] @ one.V @ contrasts(c.shape[1]).T + shares(c[rest]), axis=1)
    return LeftOut(row, label, c[row, label], log_p[row])


def _scaled(
    phi: np.ndarray,
    c: np.ndarray,
    ask: Callable[[], object] | None,
    judge: Callable[[np.ndarray, np.ndarray, Softmax], LeftOut],
) -> tuple[float, Softmax, LeftOut]:
    """The fit at the scale that left-out observations favour, coming from small ones: each start is close."""
    V, best = np.zeros((phi.shape[1], c.shape[1] - 1)), None
    for scale in SCALES:
        fit = climb(phi, c, float(scale), V, ask)
        left = judge(phi, c, fit)
        if best is not None and left.density <= best[1].density:
            break
        best, V = (fit, left), fit.V
    assert best is not None
    centre = best[0]
    for way in (-0.5, 0.5):
        fit = climb(phi, c, float(centre.scale * 10.0**way), centre.V, ask)
        left = judge(phi, c, fit)
        if left.density > best[1].density:
            best = fit, left
    return best[0].scale, *best
