"""Batch normalisation: statistics that run along with a training, and the network without it that does the same.

Which network is there after the training, with the statistics of given samples or with those that ran along?

``(K u - mean) / sqrt(var + eps) scale + b`` with numbers mean and var of each channel is a convolution with the kernel
``K scale / sqrt(var + eps)`` and the offset ``b - mean scale / sqrt(var + eps)``: nothing is left of the norm, and no
sample tells on another.

Source: Ioffe and Szegedy, Batch normalization, ICML 2015, sec. 3.1 (training ends with fixed statistics).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow.images.norms import EPS
from numdl.models.chain import Chain
from numdl.models.connector import Connector
from numdl.models.network import Network

Statistics = dict[str, dict[str, Array]]
"""By name of a connector with batch norm: ``{"mean": (c,), "var": (c,)}`` of its channels before the norm."""


def batch_with_statistics(net: Chain, theta: PyTree, x: Float[Array, "n d"]) -> tuple[Float[Array, "n m"], Statistics]:
    """``net.batch(theta, x)`` and the statistics it divides by: what a training carries along as its companion.

    Args:
        net: blocks, some of them connectors with ``norm="batch"``.
        theta: weights as from its ``init``.
        x: samples of a batch, (n, d), at least one.

    Returns:
        Features (n, m), and means and variances by name of the connector, biased, as the batch divides by: sums over
        the number of pixels, not one less. No weights, nothing is to be trained in them.

    Raises:
        TypeError: net is no chain, or theta holds no weights of it.
        ValueError: there is no sample, x has another number of columns than d, or an entry is not finite.

    Examples:
        >>> import jax
        >>> from numdl.models import batch_with_statistics, image_resnet, running_statistics, without_batch_norm
        >>> net = image_resnet((4, 4, 1), (2,), norm="batch")
        >>> theta, x = net.init(0), jax.random.normal(jax.random.key(0), (40, 16))
        >>> _, before = batch_with_statistics(net, theta, x[:20])
        >>> features, now = batch_with_statistics(net, theta, x[20:])
        >>> kept = running_statistics(before, now)  # in each step, from the second on
        >>> plain, weights = without_batch_norm(net, theta, statistics=kept)
        >>> plain.batch(weights, x[:1]).shape == features[:1].shape  # of one sample alone
        True
        >>> plain, weights = without_batch_norm(net, theta, statistics=now)
        >>> bool(abs(plain.batch(weights, x[20:]) - features).max() < 1e-5)
        True
    """
    call = "batch_with_statistics"
    x, found = _checked(call, net, theta, x), {}
    for name, block in net.named():
        own = theta[name]
        if _is_settled(block):
            z = block.convolved(own, block.pooled(x))  # once more than needed, which compilers see
            mean = jnp.mean(z, axis=(0, 1, 2))
            found[name] = {"mean": mean, "var": jnp.mean((z - mean) ** 2, axis=(0, 1, 2))}
        x = block.batch(own, x)
    return x, found


def running_statistics(before: Statistics, now: Statistics, momentum: Float[Array, ""] | float = 0.1) -> Statistics:
    """``before + momentum (now - before)``: means over the last ``1 / momentum`` batches, about.

    Variances are biased, as the batch divides by; the source multiplies them by m / (m - 1), m numbers of a channel.

    Args:
        before: as they were.
        now: of a batch, by `batch_with_statistics`.
        momentum: share of the new batch, no unit, above 0 and at most 1; as in PyTorch, in Keras it is that of the old
            ones.

    Returns:
        Means and variances of the same names.

    Raises:
        ValueError: momentum is out of range, or names or channels differ.
        TypeError: a mean or a variance is missing.

    Source: Ioffe and Szegedy, Batch normalization, ICML 2015, sec. 3.1 (moving averages).
    """
    call = "running_statistics"
    checks.scalar(call, "momentum", momentum, above=0, most=1)
    for name, statistics in (("before", before), ("now", now)):
        checks.instance(call, name, statistics, Mapping, "Give those of batch_with_statistics.")
        for block, own in statistics.items():
            if not isinstance(own, Mapping) or set(own) != {"mean", "var"}:
                raise TypeError(
                    f"{call}({name}[{block!r}]): needs 'mean' and 'var'. Give those of batch_with_statistics."
                )
        checks.leaves(call, name, statistics)
    if set(before) != set(now):
        raise ValueError(f"{call}: before is of {sorted(before)}, now of {sorted(now)}. Give those of one network.")
    for block in before:
        shapes = {np.shape(leaf) for own in (before[block], now[block]) for leaf in own.values()}
        if len(shapes) > 1 or len(min(shapes)) != 1:
            raise ValueError(
                f"{call}: means and variances of {block!r} have the shapes {' and '.join(map(str, sorted(shapes)))}, "
                "need one number for each channel. Give those of one network."
            )
    return jax.tree.map(lambda old, new: old + momentum * (new - old), before, now)


def without_batch_norm(
    net: Chain, theta: PyTree, x: Float[Array, "n d"] | None = None, *, statistics: Statistics | None = None
) -> tuple[Chain, PyTree]:
    """Network and weights whose features are those of ``net.batch(theta, x)``, sample by sample.

    Args:
        net: blocks, some of them connectors with ``norm="batch"``.
        theta: weights as from its ``init``.
        x: samples whose statistics are kept, (n, d), at least one; None where statistics are given.
        statistics: means and variances to be kept, as from `running_statistics`; None for those of x.

    Returns:
        The chain with ``norm="none"`` in their place, and its weights.

    Raises:
        TypeError: net is no chain, theta holds no weights of it, or statistics are none of it.
        ValueError: there is no sample, x has another number of columns than d, an entry is not finite, a variance is
            negative, or not exactly one of x and statistics is given.
    """
    call = "without_batch_norm"
    if (x is None) == (statistics is None):
        raise ValueError(f"{call}: needs x or statistics, one of them. Give samples of the training.")
    if statistics is None:
        statistics = batch_with_statistics(net, theta, _checked(call, net, theta, x))[1]
    else:
        _checked(call, net, theta, None)
        _require_statistics(call, net, statistics)
    blocks, weights = [], {}
    for name, block in net.named():
        own = theta[name]
        if _is_settled(block):
            mean, var = (jnp.asarray(statistics[name][part]) for part in ("mean", "var"))
            block._require_weights("convolved", own, *block._sizes)
            factor = own["scale"] / jnp.sqrt(var + EPS)
            block = dataclasses.replace(block, norm="none")
            own = {"K": own["K"] * factor, "b": own["b"] - mean * factor}
        blocks.append(block)
        weights[name] = own
    return Chain(tuple(blocks)), weights


def _is_settled(block: Network) -> TypeGuard[Connector]:
    """Whether a block has a norm over the batch."""
    return isinstance(block, Connector) and block.norm == "batch" and block.channels is not None


def _checked(call: str, net: Chain, theta: PyTree, x: Any) -> Any:
    """The samples, as an array where there are some; what is no chain, or not of this one, is refused."""
    checks.instance(call, "net", net, Chain, "Give Chain((net,)).")
    if not isinstance(theta, Mapping) or set(theta) != {name for name, _ in net.named()}:
        raise TypeError(f"{call}(theta={checks.shown(theta)}): needs weights of the network. Use net.init(0).")
    checks.leaves(call, "theta", dict(theta))
    if x is None:
        return None
    x = checks.finite(call, "x", x, ("n", net.d))
    if not len(x):
        raise ValueError(f"{call}(x): n = 0, needs at least 1 sample. Give those of the training.")
    return x


def _require_statistics(call: str, net: Chain, statistics: Any) -> None:
    """Refuse what are no means and variances of the connectors with batch norm."""
    wanted = {name: block.after[2] for name, block in net.named() if _is_settled(block)}
    if not isinstance(statistics, Mapping) or set(statistics) != set(wanted):
        raise TypeError(
            f"{call}(statistics={checks.shown(statistics)}): needs those of {', '.join(wanted) or 'no block'}. Use "
            "batch_with_statistics."
        )
    for name, c in wanted.items():
        for part in ("mean", "var"):
            if not isinstance(statistics[name], Mapping) or part not in statistics[name]:
                raise TypeError(f"{call}(statistics[{name!r}]): needs {part!r}. Use batch_with_statistics.")
            found = checks.finite(call, f"statistics[{name!r}][{part!r}]", statistics[name][part], (c,))
            if part == "var" and not checks.traced(found) and (np.asarray(found) < 0).any():
                raise ValueError(f"{call}(statistics[{name!r}]['var']): a variance is negative. Check them.")
