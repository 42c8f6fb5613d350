"""Train, validation and test split.

What are samples and targets, and which rows are for training, which for checking?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from numdl import checks


class Dataset(NamedTuple):
    """Samples with their targets.

    Attributes:
        x: samples (n, d).
        c: targets (n, k); one-hot for classes.
        names: d names of the inputs.
    """

    x: Float[np.ndarray, "n d"]
    c: Float[np.ndarray, "n k"]
    names: tuple[str, ...]

    @property
    def labels(self) -> Int[np.ndarray, " n"]:
        """Class numbers 0 .. k-1 (n,), for one-hot targets."""
        return self.c.argmax(axis=1)


def split(
    n: int,
    fractions: Sequence[float],
    random_state: int | np.random.Generator | None,
    stratify: np.ndarray | None = None,
) -> tuple[Int[np.ndarray, " _"], ...]:
    """Disjoint random parts of the rows ``0 .. n-1``, the same for the same ``random_state``.

    Part i gets ``fractions[i] * n`` rows, rounded so that the total is right. With at least as many rows as parts no
    part is empty; with fewer the first parts get one row each. With ``stratify`` each part gets its share of each class
    up to rounding, and the first part (training) sees every class if it has room for them.

    Args:
        n: number of rows, at least 1.
        fractions: one positive number for each part, sum at most 1; below 1 some rows are in no part.
        random_state: seed or generator; None draws a fresh seed.
        stratify: class of each row (n,).

    Returns:
        One index array for each part, in random order.

    Raises:
        ValueError: no row, fractions out of range, or ``stratify`` of another length.

    Examples:
        >>> from numdl.data import split
        >>> train, test = split(10, (0.8, 0.2), random_state=0)
        >>> len(train), len(test), sorted([*train.tolist(), *test.tolist()])
        (8, 2, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    n = checks.whole("split", "n", n, least=1)
    share = np.asarray(checks.finite("split", "fractions", fractions, ("parts",)), np.float64)
    if not len(share) or not np.all(share > 0) or share.sum() > 1 + 1e-9:
        raise ValueError(f"split(fractions={list(fractions)}): give positive numbers with a sum of at most 1.")
    rng = checks.generator("split", random_state)
    sizes = _sizes(n, share)
    order = rng.permutation(n)
    if stratify is None:
        return tuple(np.split(order, np.cumsum(sizes))[: len(sizes)])
    if np.ndim(stratify) != 1:
        raise ValueError(
            f"split(stratify={checks.shown(stratify)}): needs the class of each of the {n} rows, (n,). Give it."
        )
    classes = np.unique(np.asarray(stratify), return_inverse=True)[1].ravel()
    if len(classes) != n:
        raise ValueError(f"split(n={n}): stratify has {len(classes)} entries; give the class of each of the {n} rows.")
    order = order[np.argsort(classes[order], kind="stable")]
    part = _spread(np.append(sizes, n - sizes.sum()))
    _show_every_class(part, classes[order], int(sizes[0]))
    return tuple(rng.permutation(order[part == i]) for i in range(len(sizes)))


def _sizes(n: int, share: np.ndarray) -> np.ndarray:
    total = min(n, max(int(np.rint(n * share.sum())), min(n, len(share))))
    if n <= len(share):
        return (np.arange(len(share)) < n).astype(int)
    exact = total * share / share.sum()
    sizes = np.floor(exact).astype(int)
    # the rows lost by rounding down go to the largest remainders (the first of equals)
    sizes[np.argsort(sizes - exact, kind="stable")[: total - sizes.sum()]] += 1
    while sizes.min() == 0:
        sizes[sizes.argmin()] += 1
        sizes[sizes.argmax()] -= 1
    return sizes


def _spread(sizes: np.ndarray) -> np.ndarray:
    # Part i wants the places (j + 1/2) / sizes[i]: sorted together, each stretch of rows holds its share of each part.
    places = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes if size])
    part = np.repeat(np.arange(len(sizes)), sizes)
    return part[np.argsort(places, kind="stable")]


def _show_every_class(part: np.ndarray, classes: np.ndarray, room: int) -> None:
    seen = np.bincount(classes[part == 0], minlength=classes.max() + 1)
    if len(seen) > room:
        return
    for absent in np.flatnonzero(seen == 0):
        incoming = np.flatnonzero(classes == absent)[0]
        outgoing = np.flatnonzero((part == 0) & (seen[classes] == seen.max()))[0]
        part[outgoing], part[incoming] = part[incoming], 0
        seen[absent] += 1
        seen[classes[outgoing]] -= 1
