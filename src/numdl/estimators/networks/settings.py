"""What does every run of a fit share: data, settings, and the two numbers that name a random start?"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Start(NamedTuple):
    """A random start.

    Attributes:
        seed: of the weights.
        gain: factor on them, no unit.
    """

    seed: int
    gain: float = 1.0


class Data(NamedTuple):
    """Scaled training data (and validation data to watch), as the problem wants them.

    ``total`` is the sum of the weights before they were brought to a mean of 1: the observations they stand for.
    """

    x: Float[np.ndarray, "n d"]
    c: Float[np.ndarray, "n k"]
    w: Float[np.ndarray, " n"]
    total: float
    x_val: Float[np.ndarray, "v d"] | None = None
    c_val: Float[np.ndarray, "v k"] | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all runs of a fit share; ``grouping="auto"`` and ``first_prior=None`` depend on the loss.

    Least squares: a precision for each kind of weights, from 1e-3 (from 1 small rugged tables lose: concrete 4.6
    instead of 4.1 with two starts). Classes: one precision for all weights, head included, from 1e-2 (from 1 a swiss
    roll ends as a linear classifier; digits do not care). With precisions of their own the head grows and the opening
    shrinks towards a linear classifier, because a fitted sample has no curvature left that could object, and the
    evidence rises on the way.

    ``finest`` is the depth of the last level where training begins on coarser ones.
    """

    loss: str
    max_iter: int
    tol: float
    grouping: str = "auto"
    alpha: float | None = None
    alpha_head: float | None = None
    solver: str = "auto"
    memory_budget: int = 2**31
    first_prior: float | None = None
    finest: int | None = None

    @property
    def squares(self) -> bool:
        """Whether the misfit is least squares."""
        return self.loss == "least_squares"

    @property
    def tied(self) -> bool:
        """Whether the head shares the precision of the other weights."""
        return not self.squares and self.grouping == "one" and self.alpha is None and self.alpha_head is None

    @property
    def prior(self) -> float:
        """First precision of all weights."""
        return (1e-3 if self.squares else 1e-2) if self.first_prior is None else self.first_prior

    def filled(self) -> Settings:
        """The same with the grouping decided."""
        if self.grouping != "auto":
            return self
        return dataclasses.replace(self, grouping="kind" if self.squares else "one")
