"""Kernel search for classes: which kernels and hyperparameters tell them, and how strongly are they held?

Hyperparameters are those that explain the labels as numbers: the q contrasts of the labels are targets of one process
with normal noise, whose evidence costs one factorisation whatever q. What is left is the scale of the scores, which is
the size at which left-out observations are most probable. Where rows are few, hyperparameters are averaged over the
normal approximation of their posterior instead of trusted: the most probable ones, a length for each input, imitate
noise, and observations left out from them do not show it. Where rows are many, kernels and scales are judged on some of
them, and the best two kernels see all.

On digits, optdigits, spambase and pendigits two kernels had log losses of .041, .060, .128 and .077, all four .043,
.063, .128 and .081 at 1.1 to 1.6 times the cost. Looser steps lost: they misjudge kernels.

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
"""Rows up to which hyperparameters are averaged, each draw costs a fit, and kernels and scales are chosen on all."""

KEPT = 2
"""Kernels that go on where only some of the rows were screened, see above: each step on all costs seconds."""

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


class Screened(NamedTuple):
    """A kernel on some of the rows.

    Attributes:
        name: of the kernel.
        best: its hyperparameters.
        scale: of its scores.
        coef: what kernels of these rows count in the contrasts (rows, q).
        density: sum of the log probabilities of left-out observations there.
    """

    name: str
    best: Candidate
    scale: float
    coef: np.ndarray
    density: float


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
    rows, found, screened = as_numbers(table), [], []
    order = rng.permutation(len(rows.w))
    few, more = part(rows, order[:SCREEN]), part(rows, order[:REFINE])
    marks = np.sort(order[:MARKS])
    for i, name in enumerate(TRIED):
        if found and clock.over():
            notes.append(f"{clock.ending} before the kernel {name} was tried.")
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
                notes.append(f"{clock.ending} while the kernel {name} was tried.")
                break
        if isinstance(one, Screened):
            screened.append(one)
        elif one is not None:
            found.append(one)
        else:
            notes.append(f"Left out, because its matrices have no Cholesky factor: {name}.")
    for some in sorted(screened, key=lambda some: -some.density)[:KEPT]:
        if clock.over():
            notes.append(f"{clock.ending} before the kernel {some.name} saw all rows.")
            break
        clock.tell(f"kernel {some.name} on {len(table.x):,} rows")
        with clock.guard(needed=False):
            if (one := _on_all_rows(some, table, more, marks, clock.check)) is not None:
                found.append(one)
            continue
        notes.append(f"{clock.ending} before the kernel {some.name} had seen all rows.")
        break
    return found


def _candidate(
    name: str, table: Classes, few: Rows, more: Rows, marks: np.ndarray, rng: np.random.Generator, clock: Clock | None
) -> Judged | Screened | None:
    """One kernel on all rows, or on some where they are many; None where it has no factor."""
    ask = None if clock is None else clock.check
    best = optimise(Evidence(name, few, table.box, ask), 1, rng)
    if best is None:
        return None
    if len(more.w) > len(few.w):
        best = refine(best, Evidence(name, more, table.box, ask))
    model = Evidence(name, few, table.box)
    if name != "linear" and len(table.x) > AVERAGED:
        some = marks[_every(marks)]
        phi, upper = features(name, best.theta, table.x[some], np.arange(len(some)), table.box)
        if upper is None:
            return None
        scale, fit, left = _scaled(phi, table.c[some], ask, leave_out)
        return Screened(name, best, scale, solve_triangular(upper, fit.V), left.density)
    phi, upper = features(name, best.theta, table.x, marks, table.box)
    if not phi.shape[1]:
        return None
    if name == "linear":
        folded = functools.partial(_folded, np.asarray(rng.permutation(len(phi)) % FOLDS))
        scale, fit, left = _scaled(phi, table.c, ask, folded)
    else:
        scale, fit, left = _scaled(phi, table.c, ask, leave_out)
    members = [scores_of(name, best.theta, marks, upper, fit.V)]
    if name != "linear" and name not in TIED:
        thetas = [np.clip(theta, model.low, model.high) for theta in _draws(best, rng)]
        made = [one for theta in thetas if (one := _drawn(name, theta, table, scale, fit.f, ask)) is not None]
        members = [one for one, _ in made] or members
        each = np.array([one.log_p for _, one in made] or [left.log_p])
        left = left._replace(log_p=without_each(each, left.label))
    return _judged(name, best, members, left, fit, Evidence(name, more, table.box))


def _on_all_rows(
    one: Screened, table: Classes, more: Rows, marks: np.ndarray, ask: Callable[[], object]
) -> Judged | None:
    """A kernel on all rows, at the scale that some of them favour, from the scores that these gave."""
    phi, upper = features(one.name, one.best.theta, table.x, marks, table.box)
    if upper is None:
        return None
    fit = climb(phi, table.c, one.scale, upper[:, _every(marks)] @ one.coef, ask)
    members = [scores_of(one.name, one.best.theta, marks, upper, fit.V)]
    left = leave_out(phi, table.c, fit)
    return _judged(one.name, one.best, members, left, fit, Evidence(one.name, more, table.box))


def _every(marks: np.ndarray) -> slice:
    """Which of the marks the scale is sought on."""
    return slice(None, None, -(-len(marks) // AVERAGED))


def _judged(name: str, best: Candidate, members: list[Any], left: LeftOut, fit: Softmax, model: Evidence) -> Judged:
    """What may become a member."""
    free = float(np.sum(1 - np.linalg.inv(best.hessian).diagonal()[1:] / model.spread[1:] ** 2))
    return Judged(name, members, left, float(model(best.theta)[0]), free, best.converged and fit.converged)


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
