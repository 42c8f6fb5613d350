"""Batch normalisation after training: which network without it does the same, with the statistics of given samples?

``(K u - mean) / sqrt(var + eps) scale + b`` with numbers mean and var of each channel is a convolution with the kernel
``K scale / sqrt(var + eps)`` and the offset ``b - mean scale / sqrt(var + eps)``: nothing is left of the norm, and no
sample tells on another.

Source: Ioffe and Szegedy, Batch normalization, ICML 2015, sec. 3.1 (training ends with fixed statistics).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow.images.norms import EPS
from numdl.models.chain import Chain
from numdl.models.connector import Connector


def without_batch_norm(net: Chain, theta: PyTree, x: Float[Array, "n d"]) -> tuple[Chain, PyTree]:
    """Network and weights whose features are those of ``net.batch(theta, x)``, sample by sample.

    Args:
        net: blocks, some of them connectors with ``norm="batch"``.
        theta: weights as from its ``init``.
        x: samples whose statistics are kept, (n, d), at least one.

    Returns:
        The chain with ``norm="none"`` in their place, and its weights.

    Raises:
        TypeError: net is no chain, or theta holds no weights of it.
        ValueError: there is no sample, x has another number of columns than d, or an entry is not finite.
    """
    checks.instance("without_batch_norm", "net", net, Chain, "Give Chain((net,)).")
    if not isinstance(theta, Mapping) or set(theta) != {name for name, _ in net.named()}:
        raise TypeError(
            f"without_batch_norm(theta={checks.shown(theta)}): needs weights of the network. Use net.init(0)."
        )
    checks.leaves("without_batch_norm", "theta", dict(theta))
    x = checks.finite("without_batch_norm", "x", x, ("n", net.d))
    if not len(x):
        raise ValueError("without_batch_norm(x): n = 0, needs at least 1 sample. Give those of the training.")
    blocks, weights = [], {}
    for name, block in net.named():
        own = theta[name]
        if isinstance(block, Connector) and block.norm == "batch" and block.channels is not None:
            z = block.convolved(own, block.pooled(x))
            mean = jnp.mean(z, axis=(0, 1, 2))
            factor = own["scale"] / jnp.sqrt(jnp.mean((z - mean) ** 2, axis=(0, 1, 2)) + EPS)
            block, own = (
                dataclasses.replace(block, norm="none"),
                {"K": own["K"] * factor, "b": own["b"] - mean * factor},
            )
        x = block.batch(own, x)
        blocks.append(block)
        weights[name] = own
    return Chain(tuple(blocks)), weights
