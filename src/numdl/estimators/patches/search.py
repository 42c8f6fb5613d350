"""How many filters are worth their time: their number doubles while left-out errors fall and time is left?

Each stage adds filters to those that are there: responses, products of columns and all else of earlier stages stay.
Generalised cross validation tells whether a stage was worth it, and in the first one whether an image and its mirror
image mean the same: then their features are added, which halves the columns and doubles what is known of each.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from numdl.contracts.threads import one_blas_thread
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.patches.features import fold, pooled, rooted
from numdl.estimators.patches.filters import Filters, draw_filters
from numdl.estimators.patches.head import Columns, Ridge
from numdl.estimators.patches.intake import reduced

FIRST = 96
"""Filters of the first stage."""

MOST = 768
"""Filters where nothing else ends the search."""

WORTH = 0.005
"""Share by which the criterion has to fall for another stage."""

MEMORY = 2**30
"""Bytes of all columns at most."""

GIVEN = 2**33
"""Bytes of all columns and of two matrices of their products at most where the number of filters is given."""

SIDE = 8192
"""Side of the matrix that is factored for each alpha at most: columns, or rows where these are fewer."""

START = 0.03
"""Alpha where its search begins."""

TRIED = 4
"""Alphas that are tried from the one of the stage before on: three that enclose the least, and one between them."""

PILOT, REST, FEWEST = 500, 3.5, 16
"""Images whose responses tell how long those of all take, seconds of the first stage over these, and fewest filters."""


class Found(NamedTuple):
    """A fit.

    Attributes:
        filters: those that are used.
        folded: whether images and their mirror images mean the same.
        columns: features of the rows.
        head: solved.
        stages: number of filters and criterion of each stage, (stages, 2).
        mirrored: criterion of the first stage with features of mirror images added and apart, (2,); not numbers where
            it was not asked.
        ended: why there are not more filters: "criterion", "most", "memory", "time" or "interrupted".
    """

    filters: Filters
    folded: bool
    columns: Columns
    head: Ridge
    stages: np.ndarray
    mirrored: np.ndarray
    ended: str


class Stage:
    """Adds filters to columns and measures what that takes.

    Args:
        images: (n, H, W, C).
        filters: as many as there will ever be.
        folded: whether features of mirror images are added.
        columns: without any yet.
        alpha: of the head; None to choose it.
    """

    def __init__(
        self, images: np.ndarray, filters: Filters, folded: bool, columns: Columns, alpha: float | None
    ) -> None:
        self.images, self.filters, self.folded, self.columns, self.alpha = images, filters, folded, columns, alpha
        self.count = 0
        self._rates = np.zeros(3)  # seconds by filter, by square of the number, and by its cube

    def add(self, features: np.ndarray, count: int, start: float) -> Ridge:
        """The head after further columns.

        Args:
            features: of the filters up to ``count``; changed.
            count: number of filters then.
            start: alpha where the search begins.

        Returns:
            The head.
        """
        began, before = time.monotonic(), self.columns.tried
        self.columns.add(rooted(features))
        added = time.monotonic()
        head = self.columns.solve(start) if self.alpha is None else self.columns.at(self.alpha)
        each = (time.monotonic() - added) / max(self.columns.tried - before, 1)
        self._rates[1] = (added - began) / (count**2 - self.count**2)
        self._rates[2] = each * (TRIED if self.alpha is None else 1) / count**3
        self.count = count
        return head

    def to(self, count: int, start: float) -> Ridge:
        """The head with more filters.

        Args:
            count: number of filters then.
            start: alpha where the search begins.

        Returns:
            The head.
        """
        began = time.monotonic()
        features = pooled(self.filters, self.images, folded=self.folded, first=self.count, last=count)
        self._rates[0] = (time.monotonic() - began) / (count - self.count)
        return self.add(features, count, start)

    def affordable(self, seconds: float, most: int) -> int:
        """How many filters the time is enough for, and left-out rows in the end.

        To leave rows out, a triangular solve for each, takes about as long at most as products of all columns.

        Args:
            seconds: that are left.
            most: answer at most.

        Returns:
            An even number.
        """
        k = np.arange(self.count, most + 1, 2.0)
        powers = np.stack([k - self.count, 2 * k**2 - self.count**2, k**3])
        fit = k[self._rates @ powers <= seconds]
        return int(fit[-1]) if len(fit) else self.count


def grown(
    images: np.ndarray,
    c: np.ndarray,
    w: np.ndarray,
    *,
    count: int | None,
    alpha: float | None,
    mirror: bool | None,
    rng: np.random.Generator,
    clock: Clock,
) -> Found:
    """Filters, columns and head.

    Args:
        images: (n, H, W, C), float32 or uint8.
        c: targets (n, k).
        w: weights of the rows, positive, (n,).
        count: number of filters; None for as many as are worth it.
        alpha: of the head; None to choose it.
        mirror: whether mirror images mean the same; None to find out.
        rng: draws patches.
        clock: says when time is over.

    Returns:
        The fit; a first stage of `FEWEST` filters is done whatever the time.
    """
    most = _even(count or MOST)
    with one_blas_thread():
        filters = draw_filters(images, most, rng)
    first = min(FIRST, most)
    if not count and np.isfinite(clock.end):
        first = _in_time(images, filters, first, clock.left())
    clock.tell(f"{first} filters")
    stage, head, mirrored = clock.insist(lambda: _first_stage(images, c, w, filters, first, alpha, mirror))
    stages, ended = [(first, head.criterion)], "most"
    each, n = len(stage.columns) / first, len(images)
    largest = most if count else _even(min(MEMORY / (4 * n * each), most if n <= SIDE else SIDE / each))
    while stage.count < most:
        k = stage.count
        wanted = _even(most if count else min(2 * k, most, largest))
        if not count and np.isfinite(clock.end):
            can = stage.affordable(clock.end - time.monotonic(), min(most, largest, 5 * k // 2))
            wanted = can if can < 5 * k // 2 else wanted
        if wanted < min(1.2 * k, most):
            ended = "memory" if largest < 1.2 * k else "time"
            break
        clock.tell(f"{wanted} filters")
        if clock.over():
            ended = "time"
            break
        before, done = head, False
        with clock.guard(needed=False):
            head, done = stage.to(wanted, head.alpha), True
        if not done:
            ended = "time"
            break
        stages.append((wanted, head.criterion))
        if not count and before.criterion - head.criterion < WORTH * before.criterion:
            ended = "criterion"
            break
    ended = "interrupted" if ended == "time" and clock.interrupted else ended
    used = int(stages[-1][0])
    kept = filters._replace(weights=filters.weights[:used], bias=filters.bias[:used])
    return Found(kept, stage.folded, stage.columns, head, np.array(stages), mirrored, ended)


def _in_time(images: np.ndarray, filters: Filters, first: int, seconds: float) -> int:
    """Filters of the first stage that are likely to be fitted in time, `FEWEST` or more, by a few images."""
    n, some = len(images), images[:PILOT]
    if n <= 4 * PILOT:
        return first
    began = time.monotonic()
    pooled(filters, some, folded=False, last=first)
    whole = max(REST * (time.monotonic() - began) * n / len(some), 1e-9)  # clocks stand still for up to 16 ms
    return min(first, max(_even(first * seconds / whole), FEWEST))


def _first_stage(
    images: np.ndarray,
    c: np.ndarray,
    w: np.ndarray,
    filters: Filters,
    first: int,
    alpha: float | None,
    mirror: bool | None,
) -> tuple[Stage, Ridge, np.ndarray]:
    """Whether images mean the same as their mirror images, by the criterion."""
    began = time.monotonic()
    features = pooled(filters, images, folded=False, last=first)
    seconds = time.monotonic() - began
    mirrored, best = np.full(2, np.nan), None
    for i, folded in enumerate((True, False)):
        if mirror is None or mirror == folded:
            stage = Stage(images, filters, folded, Columns(c, w), alpha)
            stage._rates[0] = seconds / first
            head = stage.add(fold(features, filters) if folded else features, first, START)
            mirrored[i] = head.criterion
            if best is None or head.criterion < best[1].criterion:
                best = stage, head
    assert best is not None
    return *best, mirrored


def require_memory(call: str, images: np.ndarray, count: Any, mirror: Any) -> None:
    """Refuse a number of filters whose columns the memory does not hold.

    Args:
        call: the call to name.
        images: (n, H, W, C), as given.
        count: number of filters, or "auto", which stays below by itself.
        mirror: whether features of mirror images are added, or "auto".

    Raises:
        ValueError: they take more than `GIVEN` bytes.
    """
    n = len(images)
    if isinstance(count, str) or _bytes(n, count, 32) <= GIVEN:  # cells are 4 x 4 at most
        return
    cells = draw_filters(reduced(images[:1]), 2, np.random.default_rng(0)).grid
    each = cells[0] * cells[1] * (1 if mirror is True else 2)
    if _bytes(n, count, each) <= GIVEN:
        return
    fit = max([k for k in range(2, int(count), 2) if _bytes(n, k, each) <= GIVEN], default=2)
    raise ValueError(
        f"{call}: n_filters = {count} with {n} images needs {_bytes(n, count, each) / 2**30:.0f} GiB, at most "
        f'{GIVEN / 2**30:.0f} are taken. Give n_filters up to {fit}, "auto", or fewer images.'
    )


def _bytes(n: int, count: int, each: int) -> float:
    """Memory of columns and of two matrices of their products, or of those of the rows."""
    return 4.0 * n * count * each + 16.0 * min(n, count * each) ** 2


def _even(count: float) -> int:
    return 2 * max(int(count) // 2, 1)
