"""How is an architecture written into the header of a file, and read again?"""

from __future__ import annotations

import dataclasses
from typing import Any

from numdl.models.mlp import MLP
from numdl.models.network import Network
from numdl.models.resnet import ResNet

NETWORKS: dict[str, type[Network]] = {"ResNet": ResNet, "MLP": MLP}
"""Which networks a file may name."""


def to_header(net: Network) -> dict[str, Any]:
    """Architecture as JSON types.

    Args:
        net: a network of ``NETWORKS``.

    Returns:
        Its fields, and its class as ``"kind"``.

    Raises:
        ValueError: the dynamics are functions, not a name, or the march has settings.
    """
    header = {"kind": type(net).__name__} | dataclasses.asdict(net)  # pyright: ignore[reportArgumentType]
    if not isinstance(getattr(net, "dynamics", ""), str):
        raise ValueError("to_header(net with dynamics of your own): a file names dynamics, it cannot hold functions.")
    if not isinstance(getattr(net, "march", ""), str):
        raise ValueError("to_header(net with a march of your own): a file names the march. Use march='stored' in it.")
    return header


def from_header(header: dict[str, Any]) -> Network:
    """The network that ``to_header`` was given.

    Args:
        header: JSON types; without ``"kind"`` a ResNet, as files of version 0.1.0 have it.

    Returns:
        The network.

    Raises:
        ValueError: the kind is unknown.
    """
    fields = dict(header)
    kind = fields.pop("kind", "ResNet")
    if kind not in NETWORKS:
        raise ValueError(f"from_header(kind={kind!r}): unknown network. Use one of {', '.join(NETWORKS)}.")
    return NETWORKS[kind](**fields)
