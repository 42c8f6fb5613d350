"""Residual networks of images, from the parts that there are: opening, flows at falling resolutions, pooling.

Which chain is a convolutional network motivated by PDEs?

Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62, 2020, sec. 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numdl import checks
from numdl.contracts import require
from numdl.flow import Dynamics, Separable, get_activation, get_dynamics, on_images
from numdl.models.chain import Chain
from numdl.models.connector import Connector
from numdl.models.network import Network
from numdl.models.resnet import ResNet

OF_FLOW = ("T", "scheme", "control", "smoothness", "march", "coefficients", "steps", "damping")
"""Parameters of ``ResNet`` that all flows share as they are given."""


def image_resnet(
    image: tuple[int, int, int],
    channels: tuple[int, ...] = (32, 64),
    *,
    merge: int | tuple[int, int] = 2,
    dynamics: str | Dynamics = "parabolic",
    kind: str = "full",
    border: str = "zero",
    norm: str = "layer",
    cells: tuple[int, int] = (1, 1),
    depth: int = 2,
    activation: str = "relu",
    diffusion: float | Sequence[float] | None = None,
    **flow: Any,
) -> Chain:
    """Chain of an opening, a flow at each resolution behind a connector that halves the sides, and means over cells.

    Args:
        image: height, width and channels.
        channels: of the states of each flow; the sides of its images are halved from one to the next.
        merge: pixels of a rectangle that become channels of one pixel in the opening.
        dynamics: of each flow, as for ``numdl.flow.on_images``.
        kind: of the convolutions of each flow, as there.
        border: what lies beyond it, everywhere.
        norm: of the connectors, as for ``Connector``.
        cells: rows and columns of the cells over which the last images are averaged.
        depth: steps of each flow.
        activation: everywhere.
        diffusion: where the diffusivities of the first flow's channels start, as for ``on_images``, for
            ``scheme="imex"``; a fourth of it in each next flow, whose pixels are twice as long.
        **flow: what ``ResNet`` knows else of a flow: ``T``, ``scheme``, ``march``, ``control``, ``coefficients``, ...

    Returns:
        A network of ``prod(image)`` inputs and ``cells * channels[-1]`` features.

    Raises:
        ValueError: parts do not go together, or sides that are not divisible.
        TypeError: dynamics of yours miss a part, or a name that is none of a flow.

    Examples:
        >>> from numdl.models import image_resnet
        >>> net = image_resnet((28, 28, 1), (16, 32), dynamics="hamiltonian", scheme="verlet", march="reversible")
        >>> net.title
        'connector 14x14x16, then hamiltonian on 14x14 3136x2, then connector 7x7x32, then hamiltonian on 7x7 1568x2, \
then pooling 1x1x32'
    """
    if not isinstance(dynamics, str):
        require(dynamics, Dynamics, "image_resnet(dynamics)", "use 'parabolic'")
    if unknown := [name for name in flow if name not in OF_FLOW]:
        raise TypeError(
            f"image_resnet({unknown[0]}={checks.shown(flow[unknown[0]])}): sizes of the flows follow from image and "
            f"channels, and ResNet knows of a flow {', '.join(OF_FLOW)}. Give one of these."
        )
    channels = checks.wholes("image_resnet", "channels", channels, least=1)
    cells = checks.wholes("image_resnet", "cells", cells, count=2, least=1)  # type: ignore[assignment]
    blocks: list[Network] = []
    of_all = {"norm": norm, "activation": activation, "border": border}
    two = isinstance(get_dynamics(dynamics).vector_field(get_activation(activation)), Separable)
    of_all = of_all | {"to_halves": two}
    layer = Connector(image, channels[0], merge=merge, **of_all)  # type: ignore[arg-type]
    for c in channels:
        if blocks:
            diffusion = None if diffusion is None else (np.broadcast_to(diffusion, 2) / 4).tolist()
            layer = Connector(layer.after, c, pool=2, from_halves=two, **of_all)  # type: ignore[arg-type]
        field = on_images(dynamics, layer.after[:2], kind, border=border, diffusion=diffusion)
        flowing = ResNet(layer.width, layer.width, depth, dynamics=field, opening=False, activation=activation, **flow)
        blocks += [layer, flowing]
    sides = layer.after[:2]
    if sides[0] % cells[0] or sides[1] % cells[1]:
        raise ValueError(
            f"image_resnet(cells={cells}): the last images have {sides[0]} x {sides[1]} pixels, which are not divided "
            f"into {cells[0]} x {cells[1]} cells. Give divisors, as cells=(1, 1)."
        )
    last = Connector(layer.after, pool=(sides[0] // cells[0], sides[1] // cells[1]), from_halves=two)
    return Chain((*blocks, last))
