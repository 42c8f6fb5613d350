"""Image networks across resolutions: how is a network trained on coarse images applied to, or trained on, finer ones?

All stencils go over to images of twice as many pixels along both sides, or half as many, by `transferred`, and the
diffusivities that are started from by a factor of 4, so that what was learned of them stays; offsets, norms and the
mixing of channels stay, and means before the head go over as many cells as before: so the head stays.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow import damped, on_images
from numdl.flow.images.scales import TRANSFERS, roughness, transferred
from numdl.models.chain import Chain
from numdl.models.connector import Connector
from numdl.models.network import Network
from numdl.models.resnet import ResNet

STENCILS = {"full": "", "pointwise": None, "depthwise": "", "lean": "taps"}
"""Which array of a kind of convolution is a stencil: what follows the name of the matrix."""


def rescaled(net: Network, theta: PyTree, how: str = "galerkin", *, coarser: bool = False) -> tuple[Network, PyTree]:
    """The network for images of twice as many pixels along both sides, or half as many, and its weights.

    Args:
        net: a chain of connectors and flows on images, or one of these; connectors do not merge pixels.
        theta: its weights.
        how: of the stencils, "same", "galerkin", "dilated" or "rediscretised", see ``numdl.flow.images.transferred``.
        coarser: whether to half as many pixels.

    Returns:
        Network and weights.

    Raises:
        TypeError: a part is neither connector nor flow on images, or theta holds no weights of it.
        ValueError: an unknown word, a connector that merges, whose convolution follows means over all pixels, or
            whose stride leaves other sides, a flow that pads its inputs, sides that cannot be halved, or a weight that
            is not finite or cannot be transferred.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.models import image_resnet, rescaled
        >>> net = image_resnet((4, 4, 1), (2,), merge=1)
        >>> finer, theta = rescaled(net, net.init(0))
        >>> finer.d, finer.width == net.width, finer(theta, jnp.ones(64)).shape
        (64, True, (2,))
    """
    call = "rescaled"
    checks.choice(call, "how", how, TRANSFERS)
    checks.flag(call, "coarser", coarser)
    _require(call, net, theta)
    return _rescaled(net, theta, functools.partial(transferred, how=how, coarser=coarser), 0.5 if coarser else 2.0)


def stencil_roughness(net: Network, theta: PyTree) -> Float[Array, ""]:
    """Sum of the roughness of all stencils, a penalty that keeps them meaningful across resolutions.

    Args:
        net: as for `rescaled`.
        theta: its weights.

    Returns:
        (), in squared units of the weights.

    Raises:
        TypeError: a part is neither connector nor flow on images, or theta holds no weights of it.
        ValueError: a weight is not finite.

    Examples:
        >>> from numdl.models import image_resnet, stencil_roughness
        >>> net = image_resnet((8, 8, 1), (4,), norm="none", depth=2)
        >>> bool(stencil_roughness(net, net.init(0)) > 0)
        True
    """
    _require("stencil_roughness", net, theta)
    found: list[Array] = []

    def add(K: Array) -> Array:
        found.append(roughness(K))
        return K

    _changed("stencil_roughness", net, theta, add)
    return sum(found, start=jnp.zeros(()))


def _require(call: str, net: Any, theta: Any) -> None:
    checks.instance(call, "net", net, Network, "Build one by image_resnet.")
    checks.leaves(call, "theta", theta)


def _changed(call: str, net: Network, theta: PyTree, change: Callable[[Array], Array]) -> PyTree:
    """The weights with another array for each stencil."""
    if isinstance(net, Chain):
        net._require_weights(call, theta, *dict(net.named()))
        return {**theta, **{name: _changed(call, block, theta[name], change) for name, block in net.named()}}
    if isinstance(net, Connector):
        if net.channels is None:
            return theta
        net._require_weights(call, theta, "K")
        return {**theta, "K": change(theta["K"])}
    make = _maker(call, net)
    net._require_weights(call, theta, "flow")
    flow = {
        name: jnp.stack([change(K) for K in values]) if _is_stencil(name, make.kind) else values
        for name, values in theta["flow"].items()
    }
    return {**theta, "flow": flow}


def _is_stencil(name: str, kind: str) -> bool:
    """Whether an array of a flow is one, by its name: a matrix, such as K1, and what follows it."""
    matrix, _, more = name.partition("_")
    return matrix[0] == "K" and more == STENCILS[kind]


def _maker(call: str, net: Any) -> Any:
    """How the dynamics were made, as ``on_images`` says it."""
    make: Any = net.field.rule if isinstance(net, ResNet) else None
    if not hasattr(make, "kind") or net.opening:
        raise TypeError(
            f"{call}(net): {net.title} is neither connector nor flow on images. Build "
            "networks by image_resnet, or from Connector and ResNet(dynamics=on_images(...), opening=False)."
        )
    if make.kind not in STENCILS:
        raise ValueError(
            f"{call}(net): {net.title} joins all pixels of one resolution and has no stencils. Use kind='full'."
        )
    return make


def _rescaled(net: Network, theta: PyTree, change: Callable[[Array], Array], factor: float) -> tuple[Network, PyTree]:
    call = "rescaled"
    if isinstance(net, Chain):
        net._require_weights(call, theta, *dict(net.named()))
        pairs = {name: _rescaled(block, theta[name], change, factor) for name, block in net.named()}
        blocks = tuple(block for block, _ in pairs.values())
        return Chain(blocks), {**theta, **{name: own for name, (_, own) in pairs.items()}}
    theta = _changed(call, net, theta, change)
    if isinstance(net, Connector):
        if max(net.merge) > 1:
            raise ValueError(
                f"{call}(Connector(merge={net.merge})): pixels that became channels have no other resolution. Use "
                "merge=1, with stride or pool."
            )
        if net.channels is not None and net.pool == net.image[:2] != (1, 1):
            raise ValueError(
                f"{call}(Connector(pool={net.pool})): the means are over all pixels, a convolution behind them has no "
                "other resolution. Give the means a connector of their own, without channels."
            )
        image = (*_sides(net.image[:2], factor), net.image[2])
        more = {"pool": _sides(net.pool, factor)} if net.channels is None else {"taps": theta["K"].shape[0]}
        found = dataclasses.replace(net, image=image, **more)
        if net.channels is not None and found.after[:2] != _sides(net.after[:2], factor):
            raise ValueError(
                f"{call}(Connector(stride={net.stride})): takes {found.after[:2]} pixels of an image that had "
                f"{net.after[:2]}, which is not {factor:g} times as many along both sides. Use sides that "
                "stride divides."
            )
        return found, theta
    assert isinstance(net, ResNet)
    make = _maker(call, net)
    if net.d != net.width:
        raise ValueError(
            f"{call}(ResNet(d={net.d}, width={net.width})): inputs padded with zeros are no image of other resolution. "
            "Use d = width, behind a Connector."
        )
    sides = _sides(make.sides, factor)
    taps = next((leaf.shape[1] for name, leaf in theta["flow"].items() if _is_stencil(name, make.kind)), 1)
    spread = make.diffusion
    if spread is not None:  # in squared pixels; the weights are factors of it
        spread = (spread[0] * factor**2, spread[1] * factor**2)
    field = on_images(make.base, (sides[0], sides[1]), make.kind, taps=taps, border=make.border, diffusion=spread)
    if make is not net.field.vector_field:
        field = damped(field, net.field.damping or 0.0)
    width = net.width // (make.sides[0] * make.sides[1]) * sides[0] * sides[1]
    return dataclasses.replace(net, d=width, width=width, dynamics=field, damping=None), theta


def _sides(sides: tuple[int, ...], factor: float) -> tuple[int, ...]:
    if factor < 1 and any(side % 2 for side in sides):
        raise ValueError(f"rescaled(coarser=True): {' x '.join(map(str, sides))} cannot be halved. Give even sides.")
    return tuple(int(side * factor) for side in sides)
