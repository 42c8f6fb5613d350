"""Coarsening and refinement of residual networks.

How does a residual network become one of twice or half the depth, and its weights with it?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow import prolong
from numdl.models.network import Network
from numdl.models.resnet import ResNet

MOST_LEVELS = 64
"""No depth can be halved more often."""


def with_steps(call: str, net: Network) -> ResNet:
    """A network that has levels of depth.

    Args:
        call: name of the function that was called, for the message.
        net: any network.

    Returns:
        The network itself.

    Raises:
        TypeError: it is no residual network.
    """
    return checks.instance(call, "net", net, ResNet)


def coarsened(net: Network, levels: int) -> ResNet:
    """The network on which training over several levels begins.

    Args:
        net: the finest network.
        levels: number of depths, at least 1, each twice the one before.

    Returns:
        The network of depth ``net.depth / 2^(levels - 1)``.

    Raises:
        ValueError: levels is no count, or the depth cannot be halved so often.
        TypeError: the network is no ``ResNet``.
    """
    net = with_steps("coarsened", net)
    levels = checks.whole("coarsened", "levels", levels, least=1, hint="Use 1 for the network itself.")
    require_halves("coarsened", levels, net.depth)
    return dataclasses.replace(net, depth=net.depth // 2 ** (levels - 1))


def require_halves(call: str, levels: int, depth: int) -> None:
    """Refuse a depth that cannot be halved often enough.

    Args:
        call: name of the function that was called, for the message.
        levels: number of depths, at least 1.
        depth: the last of them.

    Raises:
        ValueError: the depth is no positive multiple of ``2^(levels - 1)``; on one level any depth will do.
    """
    if levels > MOST_LEVELS:
        raise ValueError(f"{call}(levels={levels}): needs at most {MOST_LEVELS}. Use fewer levels.")
    factor = 2 ** (levels - 1)
    if depth % factor or (levels > 1 and depth < factor):
        raise ValueError(
            f"{call}(levels={levels}, depth={depth}): needs a depth that is a positive multiple of {factor}. "
            f"Use depth={max(1, round(depth / factor)) * factor}, or fewer levels: each has twice the steps of the one "
            "before."
        )


def refined(net: Network) -> ResNet:
    """The network of twice the depth, whose steps are half as long.

    Args:
        net: with at least one step.

    Returns:
        Another architecture; see ``prolonged`` for its weights.

    Raises:
        ValueError: there are no steps.
        TypeError: the network is no ``ResNet``.

    Examples:
        >>> from numdl.models import ResNet, prolonged, refined
        >>> net = ResNet(d=2, width=4, depth=3)
        >>> finer = refined(net)
        >>> finer.depth, prolonged(net, net.init(0))["flow"]["K"].shape
        (6, (6, 4, 4))
    """
    net = with_steps("refined", net)
    if not net.depth:
        raise ValueError("refined(depth=0): there are no steps to halve, needs depth >= 1.")
    return dataclasses.replace(net, depth=2 * net.depth)


def prolonged(net: Network, theta: PyTree, kind: str = "same") -> PyTree:
    """Weights of ``refined(net)`` that continue those of net.

    Args:
        net: the coarser network.
        theta: its weights.
        kind: of interpolation in time, see ``numdl.flow.controls.prolong``.

    Returns:
        The structure of ``theta``: opening unchanged, flow prolonged, learned steps halved.

    Raises:
        TypeError: the network is no ``ResNet``, or the weights are no dictionary with those of a flow.
        ValueError: the kind is unknown, a weight is not finite, or the weights have another number of coefficients
            than the control.
    """
    net = with_steps("prolonged", net)
    if not isinstance(theta, Mapping) or "flow" not in theta:
        raise TypeError(f"prolonged(theta={checks.shown(theta)}): needs weights of the network. Use net.init(0).")
    checks.leaves("prolonged", "theta", theta)
    learned = net.steps == "learned"
    sizes = np.asarray(net.step_sizes(theta)) if learned else None
    finer = {**theta, "flow": prolong(net.weights_in_time, theta["flow"], kind, sizes)}
    # exp(s) / sum exp(s) is halved where each s stands twice.
    return finer | {"steps": jnp.repeat(jnp.asarray(theta["steps"]), 2)} if learned else finer
