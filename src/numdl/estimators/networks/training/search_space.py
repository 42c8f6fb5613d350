"""Search space of architectures.

Which networks may the evidence choose from, where the user has fixed some of their parts?
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

from numdl.flow import Dynamics
from numdl.models import MLP, Network, ResNet, coarsened

CLASS_WIDTH = 64
"""Features of a classifier: 32 err more on digits and spambase, 128 cost more and gain nothing sure."""

CLASS_HEAD = 1500
"""Entries of a classifier's head at most: every step factors its Hessian, which has one row for each of them."""


class SearchSpace(Protocol):
    """Networks that differ in what the user left open."""

    def candidates(self, d: int, classes: int | None = None) -> list[Network]:
        """Networks to screen, cheapest first.

        Args:
            d: number of inputs.
            classes: number of scores of a classifier; None for regression.
        """
        ...

    @property
    def grows(self) -> bool:
        """Whether the width is open, so that wider networks may be tried."""
        ...

    @property
    def levels(self) -> int:
        """Number of depths on which each network is trained in turn; the candidates have the first."""
        ...


@dataclasses.dataclass(frozen=True)
class ResNets:
    """Residual networks; None where the evidence chooses."""

    width: int | None = None
    depth: int | None = None
    dynamics: str | Dynamics | None = None
    T: float = 1.0
    scheme: str = "euler"
    control: str = "constant"
    activation: str = "tanh"
    smoothness: float = 0.0
    march: str = "stored"
    levels: int = 1
    damping: float | None = None

    def candidates(self, d: int, classes: int | None = None) -> list[Network]:
        """Networks to screen, cheapest first.

        Args:
            d: number of inputs.
            classes: number of scores of a classifier; None for regression.

        Returns:
            One wide layer for classes: its evidence does not predict which width or depth errs least, and a narrow
            state is a bottleneck for ten classes. Several networks for regression.
        """
        if classes is not None:
            choices = [self._filled(class_width(classes), 0, "plain")]
        else:
            choices = [self._filled(8, 4, "antisymmetric"), self._filled(16, 2, "plain")]
        return [self._network(d, *choice) for choice in dict.fromkeys(choices)]

    @property
    def grows(self) -> bool:
        """Whether the width is open, so that wider networks may be tried."""
        return self.width is None

    def _filled(self, width: int, depth: int, dynamics: str) -> tuple[int, int, str | Dynamics]:
        """Width, depth and dynamics where they are open; without steps all dynamics are the same network."""
        depth = depth if self.depth is None else self.depth
        return self.width or width, depth, self.dynamics or (dynamics if depth else "plain")

    def _network(self, d: int, width: int, depth: int, dynamics: str | Dynamics) -> Network:
        net = ResNet(
            d=d,
            width=width,
            depth=depth,
            T=self.T,
            dynamics=dynamics,
            scheme=self.scheme,
            control=self.control,
            smoothness=self.smoothness,
            activation=self.activation,
            march=self.march,
            damping=self.damping,
        )
        return coarsened(net, self.levels) if self.levels > 1 else net


@dataclasses.dataclass(frozen=True)
class MLPs:
    """Multi-layer perceptrons; None where the evidence chooses."""

    widths: tuple[int, ...] | None = None
    activation: str = "tanh"

    @property
    def levels(self) -> int:
        """One: there is no depth to be halved."""
        return 1

    def candidates(self, d: int, classes: int | None = None) -> list[Network]:
        """Networks to screen, cheapest first.

        Args:
            d: number of inputs.
            classes: number of scores of a classifier; None for regression.

        Returns:
            One network for classes, as for ``ResNets``; two of two layers for regression.
        """
        if self.widths is not None:
            open_widths = [self.widths]
        elif classes is not None:
            open_widths = [(class_width(classes),) * 2]
        else:
            open_widths = [(8, 8), (16, 16)]
        return [MLP(d, widths, self.activation) for widths in open_widths]

    @property
    def grows(self) -> bool:
        """Whether the width is open, so that wider networks may be tried."""
        return self.widths is None


def class_width(classes: int) -> int:
    """Features of a classifier whose head stays affordable.

    Args:
        classes: number of scores.

    Returns:
        At least 8.
    """
    return min(CLASS_WIDTH, max(CLASS_HEAD // classes, 8))
