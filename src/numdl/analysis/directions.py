"""Filter-normalised directions of loss landscapes.

Along which directions is an objective looked at, so that two networks can be compared?

A network with positively homogeneous activations does not change where one layer is scaled up and the next one down,
but along a direction of fixed length its landscape does. A filter-normalised direction moves every filter in
proportion to its own size, which takes that freedom away.

Source: Li, Xu, Taylor, Studer, Goldstein, Visualizing the loss landscape of neural nets, NeurIPS 31 (2018), sec. 4.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from numdl import checks
from numdl.contracts import PyTree


def random_direction(p: PyTree, key: jax.Array) -> PyTree:
    """Independent standard normal entries.

    Args:
        p: gives structure, shapes and dtypes.
        key: JAX random key.

    Returns:
        Structure of p.
    """
    checks.leaves("random_direction", "p", p)
    drawn = checks.key("random_direction", "key", key)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(drawn)))
    return jax.tree.map(
        lambda leaf: jax.device_put(rng.standard_normal(jnp.shape(leaf)).astype(jnp.result_type(leaf))), p
    )


def filter_normalised(direction: PyTree, p: PyTree, *, axes: int = 1) -> PyTree:
    """``d_i ||p_i|| / ||d_i||`` for each filter i.

    A filter is what feeds one unit: the last ``axes`` axes of a leaf, so a row of a matrix, in each layer where a leaf
    has layers. The bias of a layer counts as one filter.

    Args:
        direction: structure and shapes of p.
        p: weights the directions starts from.
        axes: how many of the last axes make a filter: 1 for matrices with a row for each unit, 3 for kernels (out, in,
            height, width).

    Returns:
        Structure of p; zero where p is zero.

    Raises:
        ValueError: ``axes`` below 1.
    """
    checks.leaves("filter_normalised", "p", p)
    checks.leaves("filter_normalised", "direction", direction)
    if checks.form_of(direction) != checks.form_of(p):
        raise ValueError("filter_normalised(direction): needs the structure of p. Use random_direction(p, key).")
    checks.whole("filter_normalised", "axes", axes, least=1, hint="Use 1 for matrices with a row per unit.")

    # On the host, where nothing is traced: each small operation on another shape would be compiled by itself.
    on = jnp if any(map(checks.traced, jax.tree.leaves((direction, p)))) else np

    def scale(d: jax.Array, weights: jax.Array) -> jax.Array:
        along = on.asarray(d)
        last = tuple(range(max(np.ndim(weights) - axes, 0), np.ndim(weights)))
        size, length = (on.sqrt(on.sum(a**2, axis=last, keepdims=True)) for a in (on.asarray(weights), along))
        moved = along * on.where(length > 0, size / on.where(length > 0, length, 1.0), 0.0)
        return jax.device_put(moved)

    return jax.tree.map(scale, direction, p)
