"""Choice of a selector: what does a rule that chooses alpha answer?

A selector is a pure function of a `RidgePath`. Its answer can be used as an index, ``path.alphas[choice]``, and says
how sharp it is: an interval of alphas that the criterion can hardly tell apart from the chosen one.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from numdl.regularize.ridge.path import RidgePath

FLAT = 6.0
"""Decades of alpha from which on a criterion is called flat."""


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """The alpha that a criterion chooses from a path.

    Attributes:
        name: of the criterion.
        index: into the path.
        alpha: penalty parameter there.
        criterion: what was judged, at every alpha, (m,).
        interval: alphas between which the choice is not sharp; ``meaning`` says in which sense.
        meaning: of the interval, in words.
        edge: ``"low"`` or ``"high"`` if the choice is the first or last alpha of the path, else ``""``.
    """

    name: str
    index: int
    alpha: float
    criterion: Float[np.ndarray, " m"]
    interval: tuple[float, float]
    meaning: str
    edge: str = ""

    def __index__(self) -> int:
        """The choice as an index."""
        return self.index

    @property
    def decades(self) -> float:
        """Width of the interval in decades of alpha: small is sharp."""
        return float(np.log10(self.interval[1] / self.interval[0]))

    @property
    def flat(self) -> bool:
        """Whether the criterion hardly chooses: its interval spans six decades or more."""
        return self.decades >= FLAT

    @property
    def message(self) -> str:
        """The choice in a sentence."""
        low, high = self.interval
        text = f"{self.name} chooses alpha = {self.alpha:.3g}; {self.meaning} from {low:.2g} to {high:.2g}"
        if self.edge:
            way = "smaller" if self.edge == "low" else "larger"
            return f"{text}. This is the edge of the grid: extend it to {way} alphas."
        return f"{text}{', it is flat: other criteria may choose better.' if self.flat else '.'}"


def least(name: str, path: RidgePath, values: Float[np.ndarray, " m"], margin: float, meaning: str) -> Choice:
    """The alpha with the least criterion, ties to the larger alpha.

    Args:
        name: of the criterion.
        path: that was judged.
        values: criterion, not negative, (m,).
        margin: what is counted as hardly different from the minimum, in units of the criterion.
        meaning: of the interval within the margin.

    Returns:
        The choice.

    Raises:
        ValueError: the criterion is nowhere finite.
    """
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError(
            f"{name}: the criterion is finite at no alpha: as many degrees of freedom as observations everywhere. "
            "Add larger alphas, or more data."
        )
    m = len(values)
    judged = np.where(finite, values, np.inf)
    index = m - 1 - int(np.argmin(judged[::-1]))
    interval = around(path, index, judged <= judged[index] + margin)
    return Choice(name, index, float(path.alphas[index]), values, interval, meaning, edge_of(index, m))


def around(path: RidgePath, index: int, near: Bool[np.ndarray, " m"]) -> tuple[float, float]:
    """Alphas that are as good as the chosen one and reached from it without leaving ``near``."""
    away = np.flatnonzero(~near)
    low = np.max(away[away < index], initial=-1) + 1
    high = np.min(away[away > index], initial=len(near)) - 1
    return float(path.alphas[low]), float(path.alphas[high])


def edge_of(index: int, m: int) -> str:
    """Which edge of a path of m alphas an index is at."""
    return "low" if index == 0 else "high" if index == m - 1 else ""
