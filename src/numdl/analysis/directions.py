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
    return jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(jnp.shape(leaf)), jnp.result_type(leaf)), p)


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

    def scale(d: jax.Array, weights: jax.Array) -> jax.Array:
        last = tuple(range(max(weights.ndim - axes, 0), weights.ndim))
        size, length = (jnp.sqrt(jnp.sum(a**2, axis=last, keepdims=True)) for a in (weights, d))
        return d * jnp.where(length > 0, size / jnp.where(length > 0, length, 1.0), 0.0)

    return jax.tree.map(scale, direction, p)
