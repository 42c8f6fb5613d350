"""Mixtures for many rows: which members predict where rows are too many for the matrix of a process?

A layer of one unit beside a straight line is there at once. Then come a process on nearest rows, `kernels.vecchia`,
boosted trees, and residual networks: trained on few rows first, where a step costs little, then on more, in the end on
all, up to 50,000. Each start gives another function, so the mean of several is better than any.

Rows of a sample are predicted by each member from all others. Weights are those of the mean that errs least there,
``min |y - F w|^2`` for ``w >= 0, sum w = 1``: with thousands of rows evidence is settled to hundreds of nats by one
member, though the mean of several is the better prediction. All variances are multiplied by one number, with which
intervals of the mixture hold of the errors there what they say.

Sources: Wolpert, Stacked generalization, Neural Networks 5, 1992; Breiman, Stacked regressions, Machine Learning 24,
1996; Byrd, Chin, Neveitt and Nocedal, On the use of stochastic Hessian information in optimization methods for machine
learning, SIAM J. Optim. 21, 2011, for curvature from few rows first.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from numdl.estimators.auto.boosted import boosted
from numdl.estimators.auto.member import Network
from numdl.estimators.auto.network import Architecture
from numdl.estimators.auto.training import Training
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import Rows, within
from numdl.estimators.kernels.mixture import simplex
from numdl.estimators.kernels.search import NEGLIGIBLE, WIDE, Search, part
from numdl.estimators.kernels.vecchia import nearest, stretch

MANY = 4000
"""Rows from which on members are these."""

NETWORKS = 3
"""That are trained by default."""

STAGES, LINE = ((2_000, 40), (10_000, 20), (50_000, 15)), ((10_000, 10),)
"""Rows, and steps at most on as many: the first finds the way, the last the minimum; and those of the first member."""

WIDTHS, HEAVIEST = (16, 8, 4, 2), 3000
"""Widths of networks, the first with not more weights than this is taken: steps take n p^2 operations."""

WORTH = 0.1
"""Weight of the first network below which no other is trained."""

JUDGED = 4000
"""Rows of the sample."""


def search(rows: Rows, count: int, rng: np.random.Generator, notes: list[str], clock: Clock) -> Search:
    """Members and weights.

    Args:
        rows: the data.
        count: networks.
        rng: source of starts and samples.
        notes: what the user should know is appended.
        clock: nothing but the first member is begun when it says that the time is over.

    Returns:
        Members with weights; as evidence the log density of each row given all others, extrapolated from the sample.

    Raises:
        ValueError: nothing has a finite value.
    """
    n, d = rows.x.shape
    order = rng.permutation(n)
    sample = np.sort(order[-JUDGED:])
    found: dict[str, Any] = {}
    spec = Architecture(d, 1, 0, linear=True)
    first = clock.insist(functools.partial(_network, rows, order, spec, np.random.default_rng(0), LINE, None))
    if first is not None:
        found["line"] = first
    if d <= WIDE and not clock.over():
        clock.tell(f"nearest rows of {n:,}")
        with clock.guard(needed=not found):
            if (one := nearest(rows, rng, clock)) is not None:
                found[one.name] = one
    if not clock.over():
        least = min((one.noise for one in found.values()), default=np.inf)
        if (one := boosted(rows, None, least, rng, clock)) is not None:
            found[one.name] = one
    width = next((width for width in WIDTHS if Architecture(d, width, 2).n_weights <= HEAVIEST), None)
    if width is None and count:
        notes.append(f"{d} inputs are too many for the curvature of a network beside so many rows: none was tried.")
    for i in range(1, count + 1 if width else 1):
        if clock.over():
            notes.append(f"{clock.ending} before network {i} of {count} was tried.")
            break
        clock.tell(f"network {i} of {count}")
        with clock.guard(needed=not found):
            spec = Architecture(d, width or 1, 2)
            if (one := _network(rows, order, spec, rng, STAGES, clock)) is not None:
                found[f"{spec.name} ({i})"] = one
            if i == 1 and i < count and not clock.over() and _share(stack(found, rows, sample)) < WORTH:
                break
    clock.over()
    return clock.insist(lambda: stack(found, rows, sample))


def _share(found: Search) -> float:
    """Weight of the networks but the first member."""
    return sum(one.weight for one in found.members if isinstance(one, Network) and one.spec.depth)


def stack(found: dict[str, Any], rows: Rows, sample: np.ndarray) -> Search:
    """Weights of members by what they say of rows that they are not given, see above.

    Args:
        found: members by name.
        rows: the data.
        sample: which rows are asked.

    Returns:
        The members of more than a hundredth; converged where all networks among them had settled.

    Raises:
        ValueError: no member is finite there.
    """
    y, w, n = rows.y[sample], rows.w[sample], len(rows.y)
    judged = {name: one.left_out(rows, sample) for name, one in found.items()}
    judged = {name: pair for name, pair in judged.items() if np.isfinite(pair).all() and (pair[1] > 0).all()}
    if not judged:
        raise ValueError(
            "fit: neither a straight line nor a network gave finite values. Look for entries of X or y far beyond all "
            "others."
        )
    errors = np.stack([(mean - y) * np.sqrt(w) for mean, _ in judged.values()], axis=1)
    weights = simplex(errors.T @ errors)
    weights[weights < NEGLIGIBLE] = 0.0
    weights /= weights.sum()
    means, variances = (np.stack([pair[k] for pair in judged.values()]) for k in (0, 1))
    spread = weights @ (variances + (means - weights @ means) ** 2)
    factor = stretch(np.abs(y - weights @ means) / np.sqrt(spread))
    evidence, members = {}, []
    for (name, (mean, variance)), weight in zip(judged.items(), weights, strict=True):
        density = -0.5 * np.mean((y - mean) ** 2 / variance + np.log(2 * np.pi * variance))
        evidence[name] = float(n * density) + within(rows, found[name].noise)
        if weight:
            members.append(found[name].spread(factor)._replace(weight=float(weight)))
    settled = all(one.settled for one in members if isinstance(one, Network))
    return Search(members, evidence, settled)


def _network(
    rows: Rows,
    order: np.ndarray,
    spec: Architecture,
    rng: np.random.Generator,
    stages: tuple[tuple[int, int], ...],
    clock: Clock | None,
) -> Network | None:
    """A network trained on more and more rows; None without a finite one."""
    training = None
    for size, most in stages:
        some = part(rows, order[:size])
        if training is None:
            training = Training(some, spec, rng, 0.1)
        else:
            training.onto(some)
        training.advance(most, None if clock is None else clock.end)
        if size >= len(order) or (clock is not None and clock.over()):
            break
    return None if training is None else training.brief()
