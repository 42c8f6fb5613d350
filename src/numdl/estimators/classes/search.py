"""Kernel search for classes: which kernels and hyperparameters tell them, and how strongly are they held?

Hyperparameters are those that explain the labels as numbers: the q contrasts of the labels are targets of one process
with normal noise, whose evidence costs one factorisation whatever q. Where rows are few, what is left is the scale of
the scores, which is the size at which left-out observations are most probable, and hyperparameters are averaged over
the normal approximation of their posterior instead of trusted: the most probable ones, a length for each input, imitate
noise, and observations left out from them do not show it.

Where rows are many, kernels are tried on some of them and judged on others, which know nothing of the hyperparameters:
kernels with a length for each input looked better on their own rows and were worse. The best two see all rows, by least
squares on the labels (`numdl.estimators.classes.shares`), or with a softmax likelihood where that is better by far on
held-out rows: classes that overlap or meet along sharp lines. All softmax took twice to five times the time and had
log losses of .061, .081 and .039 on optdigits, pendigits and digits instead of .044, .079 and .027; all least squares
had .74 instead of .71 on a table of four overlapping classes (kin8nm) and .52 instead of .47 on generated ones.

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

from numdl.estimators.classes.member import Labels, Scores, features, kernel_matrix, scores_of
from numdl.estimators.classes.mixing import without_each
from numdl.estimators.classes.shares import EXACT, KERNELS, LEVELS, NOISES, regress
from numdl.estimators.classes.softmax import LeftOut, Softmax, climb, contrasts, leave_out, shares
from numdl.estimators.classes.trees import calibrated, taken_for
from numdl.estimators.kernels.clock import Clock, Late
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

HELD, COMPARED = 600, 1200
"""Rows that judge them at most, none of those that know their hyperparameters, and rows that tell which likelihood."""

ROUGHLY = 1e-4
"""What a step must promise for each observation where likelihoods are compared, in nats."""

GAIN, CHEAP = 0.03, 20_000
"""Share of the held-out log loss that a softmax has to take away, and rows times contrasts from which it has to take
away more, in proportion: it takes ten times the time of least squares and more."""

CERTAIN = 2.0
"""Standard errors by which it has to: one held-out row that least squares were sure of decides nothing."""

FOLDS = 10
"""In which linear scores are judged: where classes can be separated, their left-out rows look far too good."""

MARKS = 1500
"""Rows that a kernel's scores are made of at most."""

DRAWS = 4
"""Hyperparameters that are averaged."""

FIRST, SMALLEST, LARGEST = 10.0, 0.05, 2e4
"""Scales: the first, and ends of what is tried, from scores that all but vanish to labels that are certain."""


class Classes(NamedTuple):
    """A table with classes.

    Attributes:
        x: scaled inputs (n, d), no two rows alike.
        c: observations of each class in each row (n, k).
        box: interval of each input (2, d).
        rows: of how many observations c holds the weights (n, k); None where each has weight 1.
    """

    x: np.ndarray
    c: np.ndarray
    box: np.ndarray
    rows: np.ndarray | None = None

    def rows_at(self, some: np.ndarray) -> np.ndarray | None:
        """``rows`` of some places."""
        return None if self.rows is None else self.rows[some]


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
        noise: of the labels.
        member: least squares on the labels.
        left: shares of the classes at each cell of these rows without one of its observations (cells, k).
        loss: mean log loss of other rows.
        softmax: scale of scores, and what kernels of these rows count in the contrasts (rows, q);
            None for least squares.
    """

    name: str
    best: Candidate
    noise: float
    member: Labels
    left: np.ndarray
    loss: float
    softmax: tuple[float, np.ndarray] | None


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
    for i, name in enumerate(TRIED):
        if found and clock.over():
            notes.append(f"{clock.ending} before the kernel {name} was tried.")
            break
        clock.tell(f"kernel {name}")
        seed = rng.spawn(1)[0]
        work = functools.partial(_candidate, name, table, few, more, order, seed)
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
    return found + _with_more_rows(_best(screened, table, order, clock), table, more, order, notes, clock)


def _best(screened: list[Screened], table: Classes, order: np.ndarray, clock: Clock) -> list[Screened]:
    """The best kernels with the likelihood that is better for the best of them, on more rows than screened it."""
    best = sorted(screened, key=lambda one: one.loss)[:KEPT]
    with clock.guard(needed=False):
        for i, one in enumerate(best):
            clock.check()
            clock.tell(f"kernel {one.name} with a softmax")
            other = _as_softmax(one, table, order, clock.check)
            if i == 0 and (other is one or not _worth_a_softmax(other, table, order, clock.check)):
                break
            best[i] = other
    return best


def _worth_a_softmax(one: Screened, table: Classes, order: np.ndarray, ask: Callable[[], object]) -> bool:
    """Whether a softmax predicts held-out rows better than least squares, both from as many others as are cheap."""
    name, theta, end = one.name, one.best.theta, min(len(order), COMPARED + HELD)
    middle = max(end - HELD, REFINE)
    held, rows = np.sort(order[middle:end]), np.sort(order[:middle])
    x, c, every, base = table.x[rows], table.c[rows], np.arange(len(rows)), shares(table.c)
    made = regress(name, theta, x, c, base, every, table.box, one.noise, table.rows_at(rows))
    phi, upper = features(name, theta, x, every, table.box)
    if made is None or upper is None or one.softmax is None:
        return False
    row, label = np.nonzero(c)
    blur, sharpness, _ = calibrated(made.left, np.exp(base), label, c[row, label], LEVELS)
    plain = Labels.of(name, theta, rows, made.coef, blur, sharpness)
    scale, coef = one.softmax
    fit = climb(phi, c, scale, upper[:, np.searchsorted(rows, one.member.marks)] @ coef, ask, ROUGHLY)
    across = dtrsm(1.0, upper, kernel_matrix(name, theta, table.x[held], x, table.box), side=1)
    told = log_softmax(across @ fit.V @ contrasts(len(base)).T + shares(c), axis=1)
    said = plain.log_p(base, table.x[held], table.x, table.box)
    counts = table.c[held]
    ours, theirs = (np.einsum("nk,nk->n", counts, one) for one in (told, said))
    lost, error = -theirs.sum(), np.sqrt(len(held)) * np.std(ours - theirs)
    least = GAIN * max(1.0, len(order) * (len(base) - 1) / CHEAP)
    return bool(ours.sum() - theirs.sum() > max(least * lost, CERTAIN * error))


def _with_more_rows(
    screened: list[Screened], table: Classes, more: Rows, order: np.ndarray, notes: list[str], clock: Clock
) -> list[Judged]:
    """The best kernels on all rows; where there is no time for any of them, the best one on some."""
    found: list[Judged] = []
    for some in screened:
        if clock.over():
            notes.append(f"{clock.ending} before the kernel {some.name} saw all rows.")
            break
        clock.tell(f"kernel {some.name} on {len(table.x):,} rows")
        with clock.guard(needed=False):
            if (one := _on_all_rows(some, table, more, order, clock)) is not None:
                found.append(one)
            continue
        notes.append(f"{clock.ending} before the kernel {some.name} had seen all rows.")
        break
    return found or [clock.insist(lambda some=some: _on_some_rows(some, table, more)) for some in screened[:1]]


def _candidate(
    name: str, table: Classes, few: Rows, more: Rows, order: np.ndarray, rng: np.random.Generator, clock: Clock | None
) -> Judged | Screened | None:
    """One kernel on all rows, or on some where they are many; None where it has no factor."""
    ask = None if clock is None else clock.check
    best = optimise(Evidence(name, few, table.box, ask), 1, rng)
    if best is None:
        return None
    if len(more.w) > len(few.w):
        best = refine(best, Evidence(name, more, table.box, ask))
    model = Evidence(name, few, table.box)
    if name == "linear":
        return _linear(best, table, more, order, rng)
    if len(table.x) > AVERAGED:
        return _screened(best, table, order, ask)
    phi, upper = features(name, best.theta, table.x, np.arange(len(table.x)), table.box)
    if upper is None:
        return None
    scale, fit, left = _scaled(phi, table.c, ask, functools.partial(leave_out, rows=table.rows))
    marks = np.arange(len(table.x))
    members = [scores_of(name, best.theta, marks, upper, fit.V)]
    if name not in TIED:
        thetas = [np.clip(theta, model.low, model.high) for theta in _draws(best, rng)]
        made = [one for theta in thetas if (one := _drawn(name, theta, table, scale, fit.f, ask)) is not None]
        members = [one for one, _ in made] or members
        each = np.array([one.log_p for _, one in made] or [left.log_p])
        left = left._replace(log_p=without_each(each, left.label))
    return _judged(name, best, members, left, fit.converged, Evidence(name, more, table.box))


def _linear(best: Candidate, table: Classes, more: Rows, order: np.ndarray, rng: np.random.Generator) -> Judged:
    """Linear scores, of a scale that some rows favour, judged in folds."""
    phi, _ = features("linear", best.theta, table.x, order, table.box)
    fold, some = np.asarray(rng.permutation(len(phi)) % FOLDS), np.sort(order[:AVERAGED])
    many = len(phi) > AVERAGED
    part_of = np.asfortranarray(phi[some]), table.c[some]
    scale, fit, left = _scaled(*part_of, None, functools.partial(_folded, fold[some]))
    if many:
        fit = climb(phi, table.c, scale, fit.V)
        left = _folded(fold, phi, table.c, fit)
    members = [scores_of("linear", best.theta, order, None, fit.V)]
    return _judged("linear", best, members, left, fit.converged, Evidence("linear", more, table.box))


def _screened(best: Candidate, table: Classes, order: np.ndarray, ask: Callable[[], object] | None) -> Screened | None:
    """A kernel on the rows that know its hyperparameters, judged on others."""
    rows, held = np.sort(order[:REFINE]), np.sort(order[REFINE : REFINE + HELD])
    x, c, base, found = table.x[rows], table.c[rows], np.exp(shares(table.c)), None
    row, label = np.nonzero(c)
    for noise in NOISES:
        if ask is not None:
            ask()
        made = regress(
            best.name, best.theta, x, c, np.log(base), np.arange(len(x)), table.box, noise, table.rows_at(rows)
        )
        if made is None:
            continue
        blur, sharpness, density = calibrated(made.left, base, label, c[row, label], LEVELS)
        if found is None or density > found[0]:
            found = density, Labels.of(best.name, best.theta, rows, made.coef, blur, sharpness), made.left, noise
    if found is None:
        return None
    _, member, left, noise = found
    loss = -_density(member.log_p(np.log(base), table.x[held], table.x, table.box), table.c[held])
    return Screened(best.name, best, noise, member, left, loss, None)


def _as_softmax(one: Screened, table: Classes, order: np.ndarray, ask: Callable[[], object]) -> Screened:
    """The same kernel with a softmax likelihood, its scale and loss by the rows that judge."""
    held, name, theta = np.sort(order[REFINE : REFINE + HELD]), one.name, one.best.theta
    x, c = table.x[one.member.marks], table.c[one.member.marks]
    phi, upper = features(name, theta, x, np.arange(len(x)), table.box)
    if upper is None:
        return one
    across = dtrsm(1.0, upper, kernel_matrix(name, theta, table.x[held], x, table.box), side=1)
    scale, fit, told = _scaled(phi, c, ask, functools.partial(_held_out, across, table.c[held]))
    return one._replace(loss=-told.density, softmax=(scale, solve_triangular(upper, fit.V)))


def _density(log_p: np.ndarray, c: np.ndarray) -> float:
    """Mean log probability of observations."""
    return float(np.vdot(log_p, c) / c.sum())


def _held_out(phi: np.ndarray, c: np.ndarray, *fit: Any) -> LeftOut:
    """What rows would be taken for that a fit has not seen, over their number."""
    row, label = np.nonzero(c)
    log_p = log_softmax(phi @ fit[2].V @ contrasts(c.shape[1]).T + shares(fit[1]), axis=1)
    return LeftOut(row, label, c[row, label] / c.sum(), log_p[row])


def _on_all_rows(one: Screened, table: Classes, more: Rows, order: np.ndarray, clock: Clock) -> Judged | None:
    """A kernel on all rows, held as strongly as some of them favour."""
    name, theta, n, model = one.name, one.best.theta, len(table.x), Evidence(one.name, more, table.box)
    if one.softmax is not None:
        marks = np.sort(order[:MARKS])
        phi, upper = features(name, theta, table.x, marks, table.box)
        if upper is None:
            return None
        scale, coef = one.softmax
        fit = climb(phi, table.c, scale, upper[:, np.searchsorted(marks, one.member.marks)] @ coef, clock.check)
        members = [scores_of(name, theta, marks, upper, fit.V)]
        return _judged(name, one.best, members, leave_out(phi, table.c, fit, table.rows), fit.converged, model)
    marks = np.sort(order[: n if n <= EXACT else KERNELS])
    if not clock.spare(n**3 if n <= EXACT else 4 * n * KERNELS**2):
        raise Late
    made = regress(name, theta, table.x, table.c, shares(table.c), marks, table.box, one.noise, table.rows)
    return None if made is None else _regressed(one, table, marks, made.coef, made.left, model)


def _on_some_rows(one: Screened, table: Classes, more: Rows) -> Judged:
    """A kernel on the rows that it was screened on: all others are new to it."""
    row, _ = np.nonzero(table.c)
    q = one.member.shares(shares(table.c), table.x, table.x, table.box)[row]
    q[np.isin(row, one.member.marks)] = one.left
    model = Evidence(one.name, more, table.box)
    return _regressed(one, table, one.member.marks, one.member.coef, q, model)


def _regressed(
    one: Screened, table: Classes, marks: np.ndarray, coef: np.ndarray, q: np.ndarray, model: Evidence
) -> Judged:
    """What may become a member, of shares at left-out cells."""
    row, label = np.nonzero(table.c)
    count, base = table.c[row, label], np.exp(shares(table.c))
    blur, sharpness, _ = calibrated(q, base, label, count, LEVELS)
    member = Labels.of(one.name, one.best.theta, marks, coef, blur, sharpness)
    left = LeftOut(row, label, count, taken_for(q, base, blur, sharpness))
    return _judged(member.name, one.best, [member], left, True, model)


def _judged(name: str, best: Candidate, members: list[Any], left: LeftOut, settled: bool, model: Evidence) -> Judged:
    """What may become a member."""
    free = float(np.sum(1 - np.linalg.inv(best.hessian).diagonal()[1:] / model.spread[1:] ** 2))
    return Judged(name, members, left, float(model(best.theta)[0]), free, best.converged and settled)


def _drawn(
    name: str, theta: np.ndarray, table: Classes, scale: float, f: np.ndarray, ask: Callable[[], object] | None
) -> tuple[Scores, LeftOut] | None:
    """A member of other hyperparameters, from the contrasts of one that is there; None without a factor."""
    marks = np.arange(len(table.x))
    phi, upper = features(name, theta, table.x, marks, table.box)
    if upper is None:
        return None
    fit = climb(phi, table.c, scale, dtrsm(1.0, upper, f, trans_a=1), ask)
    return scores_of(name, theta, marks, upper, fit.V), leave_out(phi, table.c, fit, table.rows)


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
        if not rest.any():
            log_p[:] = shares(c)  # one place: nothing but the shares of the classes can be told
            continue
        one = climb(np.asfortranarray(phi[rest]), c[rest], fit.scale, fit.V)
        log_p[~rest] = log_softmax(phi[~rest] @ one.V @ contrasts(c.shape[1]).T + shares(c[rest]), axis=1)
    return LeftOut(row, label, c[row, label], log_p[row])


def _scaled(
    phi: np.ndarray,
    c: np.ndarray,
    ask: Callable[[], object] | None,
    judge: Callable[[np.ndarray, np.ndarray, Softmax], LeftOut],
) -> tuple[float, Softmax, LeftOut]:
    """The fit at the scale that left-out observations favour: by decades, up or else down, then by half a decade."""

    def at(scale: float, V: np.ndarray) -> tuple[Softmax, LeftOut]:
        fit = climb(phi, c, scale, V, ask)
        return fit, judge(phi, c, fit)

    best = at(FIRST, np.zeros((phi.shape[1], c.shape[1] - 1)))
    for way in (10.0, 0.1):
        begun = best
        while SMALLEST < (scale := way * best[0].scale) < LARGEST:
            one = at(scale, best[0].V)
            if one[1].density <= best[1].density:
                break
            best = one
        if best is not begun:
            break
    centre = best[0]
    for way in (-0.5, 0.5):
        one = at(float(np.clip(centre.scale * 10.0**way, SMALLEST, LARGEST)), centre.V)
        if one[1].density > best[1].density:
            best = one
    return best[0].scale, *best
