"""Search plan of small networks: which are tried, and in which order?

One start in three ends in a poor minimum, and nothing tells beforehand which: different noise and different steepness
to begin with find different ones. Little noise at first finds fine structure where there is little, and imitates noise
where there is much, which its evidence shows; so the first network begins with much. Chosen on six engineering
functions with 50 to 200 rows, with and without noise: three starts bring most of what all six bring.
"""

from __future__ import annotations

from typing import NamedTuple

from numdl.estimators.auto.network import Architecture


class Start(NamedTuple):
    """A network to be trained: architecture, noise variance and factor on the first K to begin with, see `training`."""

    spec: Architecture
    noise: float
    gain: float


def plan(d: int, count: int = 6) -> list[Start]:
    """Networks in the order in which they are worth their time.

    Args:
        d: number of inputs.
        count: how many, at most 6.

    Returns:
        The starts.
    """
    flow, layer = Architecture(d, 8, 4), Architecture(d, 16)
    starts = [Start(flow, 0.1, 1.0), Start(layer, 1e-3, 1.0), Start(flow, 1e-3, 1.0)]
    starts += [Start(layer, 1e-3, 2.0), Start(flow, 1e-3, 2.0), Start(layer, 0.1, 1.0)]
    return starts[:count]
