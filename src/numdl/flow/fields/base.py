"""What does a right-hand side ``f(t, u, theta)`` have to bring along to be used by name?"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array

from numdl.contracts import Dynamics


class Field(NamedTuple):
    """A family of right-hand sides.

    Attributes:
        name: the key under which it is registered.
        init: ``init(key, m, scale, dtype=None) -> theta``, the weights of one layer of width m as a dict of arrays.
            Entries of m-by-m matrices have standard deviation ``scale / sqrt(m)``, so the spectral norm of a square
            matrix is about ``2 * scale`` for large m; entries of biases are uniform on ``[-scale, scale]``.
        dynamics: ``dynamics(activation) -> f`` with ``f(t, u, theta) -> du/dt`` for one sample, u (m,).
    """

    name: str
    init: Callable[..., dict[str, Array]]
    dynamics: Callable[..., Dynamics]
