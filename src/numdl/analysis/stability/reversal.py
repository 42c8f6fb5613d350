"""Error of reversible marches: how far is the state that steps undone lead back to from where they began?

A reversible march needs no stored states because it recomputes them from the end. What it recovers differs by rounding,
amplified by what the flow contracts, and the gradient is wrong by about as much. One pass forward and one back tell, in
the memory of one state.

Source: Chang, Meng, Haber, Ruthotto, Begert and Holtham, Reversible architectures for arbitrarily deep residual neural
networks, AAAI 2018.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow.march import coupled
from numdl.flow.march.serial import advance, begin, enter, leave, retreat

VISIBLE = 1e-4
"""Relative error of the start above which a gradient is warned of."""


def reversal_error(net: Any, theta: PyTree, x: Float[Array, "n d"]) -> dict[str, float]:
    """Relative error of the states at time 0 that reversible marches recover, in the precision of weights and samples.

    ``||u~(0) - u(0)|| / ||u(0)||`` over all samples, where ``u~(0)`` is what the steps lead back to from u(T). The
    gradient errs by about as much, and in single precision after many layers of a flow that forgets by far more. Of
    the "coupled" march, from the end of both copies of its state.

    Args:
        net: network with a flow whose march is "reversible" or "coupled", or a chain with some.
        theta: its weights.
        x: samples as the network sees them, (n, d).

    Returns:
        Errors by the blocks of a chain, or of ``"flow"``; infinity where a state is not finite.

    Warns:
        UserWarning: an error is above 1e-4.

    Raises:
        TypeError: net is none, theta holds no weights of it, or one is traced.
        ValueError: no march of the network is undone, or x is not of its inputs, empty or not finite.

    Examples:
        >>> import numpy as np
        >>> from numdl.analysis.stability import reversal_error
        >>> from numdl.models import image_resnet
        >>> net = image_resnet((8, 8, 1), (4,), dynamics="hamiltonian", scheme="verlet", depth=64, march="reversible")
        >>> found = reversal_error(net, net.init(0), np.ones((2, 64), np.float32))
        >>> list(found), found["block 2"] < 1e-5
        (['block 2'], True)
    """
    call = "reversal_error"
    if not all(hasattr(net, part) for part in ("batch", "d")):
        raise TypeError(f"{call}(net={checks.shown(net)}): is no network. Build one by image_resnet, or a ResNet.")
    checks.leaves(call, "theta", theta)
    if any(map(checks.traced, (x, *jax.tree.leaves(theta)))):
        raise TypeError(
            f"{call}: x or theta is traced, and the error is a number. Call it outside jax.jit and jax.vmap."
        )
    x = jnp.asarray(checks.finite(call, "x", x, ("n", net.d)))
    if not len(x):
        raise ValueError(f"{call}(x of shape {x.shape}): there is no sample. Give at least one.")
    found: dict[str, float] = {}
    _follow(net, theta, x, "flow", found)
    if not found:
        raise ValueError(f"{call}(net): none of its flows is undone. Use march='reversible' or 'coupled'.")
    if (worst := max(found, key=lambda name: found[name])) and found[worst] > VISIBLE:
        warnings.warn(
            f"{call}: the states at the start of {worst!r} come back with a relative error of {found[worst]:.2g}, and "
            f"gradients are wrong by about as much. Use float64, march='checkpointed', or dynamics that conserve.",
            stacklevel=2,
        )
    return found


def _follow(net: Any, theta: PyTree, x: Array, name: str, found: dict[str, float]) -> Array:
    """Features of a network, and the errors on the way."""
    if hasattr(net, "named"):  # a chain
        net._require_weights("reversal_error", theta, *dict(net.named()))
        for part, block in net.named():
            x = _follow(block, theta[part], x, part if name == "flow" else f"{name}, {part}", found)
        return x
    if getattr(net, "march", "") in ("reversible", "coupled") and net.depth:
        u0 = jax.vmap(partial(net.open, theta))(x)
        error = float(_error(net, theta, u0)) if jnp.isfinite(u0).all() else jnp.inf
        found[name] = error if error < jnp.inf else float("inf")
    return net.batch(theta, x)


def _error(net: Any, theta: PyTree, u0: Array) -> Array:
    scheme, f, control, coeffs, u0, t0, h = net.flow(theta, u0)
    scheme = coupled(scheme) if net.march == "coupled" else scheme
    u0, steps = begin("reversal_error", scheme, f, control, coeffs, u0, t0, h, rows=True)
    there, back = (jax.vmap(partial(move, scheme, f, control), (0, None)) for move in (advance, retreat))

    @jax.jit
    def error(u0: Array, steps: Any) -> Array:
        end, _ = jax.lax.scan(lambda carry, step: (there(carry, step), None), enter(scheme, u0), steps)
        start, _ = jax.lax.scan(lambda carry, step: (back(carry, step), None), end, steps, reverse=True)
        size = jnp.linalg.norm(u0)
        return jnp.linalg.norm(leave(scheme, start) - u0) / jnp.where(size > 0, size, 1)

    return error(u0, steps)
