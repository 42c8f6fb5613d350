"""Overflow in the forward pass.

Where does a pass forward leave the range of its numbers: in which row, layer and step?
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.models.network import Network
from numdl.models.resnet import ResNet

ROWS = 1024
"""Rows looked at together: all their states are kept."""


class Overflow(NamedTuple):
    """The first state that is not finite.

    Attributes:
        row: of the samples, from 0.
        layer: whose result it is, from 0; None for the opening.
        h: size of that step, in time; 0 for the opening.
    """

    row: int
    layer: int | None
    h: float

    def __str__(self) -> str:
        """What happened, and what to try; rows count from 1 in messages to people."""
        if self.layer is None:
            return f"row {self.row + 1} overflows in the opening. Scale the data."
        return (
            f"row {self.row + 1} overflows in layer {self.layer}, step size h = {self.h:.3g}. Use smaller steps (a "
            "larger depth or a smaller T), a scheme that is stable for them, or dynamics that do not grow."
        )


def first_overflow(net: Network, theta: PyTree, x: Float[np.ndarray, "n d"]) -> Overflow | None:
    """The first row whose states do not stay finite.

    Args:
        net: a residual network; others have no steps to name.
        theta: its weights; what is not finite in them shows in the states.
        x: samples as the network sees them, (n, d).

    Returns:
        Row, layer and step, or None where everything is finite or the network has no steps.

    Raises:
        TypeError: the network is none, or the weights are not its own.
        ValueError: samples of another shape, or not finite.
    """
    checks.instance("first_overflow", "net", net, Network)
    if not isinstance(net, ResNet):
        return None
    x = checks.finite("first_overflow", "x", x, ("n", net.d))
    row, needs = jax.ShapeDtypeStruct((net.d,), x.dtype), "weights as from net.init"
    checks.shape_of("first_overflow", "theta", net.trajectory, theta, row, needs=needs)
    sizes = np.broadcast_to(np.asarray(net.step_sizes(theta)), (net.depth,))
    for start in range(0, len(x), ROWS):
        finite: Any = np.isfinite(np.asarray(_states(net, theta, x[start : start + ROWS]))).all(axis=2)
        if not finite.all():
            row = int(np.argmin(finite.all(axis=1)))
            layer = int(np.argmin(finite[row])) - 1
            return Overflow(start + row, None if layer < 0 else layer, float(sizes[layer]) if layer >= 0 else 0.0)
    return None


@functools.partial(jax.jit, static_argnums=0)
def _states(net: ResNet, theta: PyTree, x: Any) -> Any:
    return jax.vmap(lambda row: net.trajectory(theta, row))(x)
