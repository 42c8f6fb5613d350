"""Packed lower triangular matrices.

How do packed numbers become a lower triangle, fast enough to be done in every layer?
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

FEW = 32


def lower(packed: Float[Array | np.ndarray, " entries"], m: int, diagonal: int = 0) -> Float[Array, "m m"]:
    """Triangle with the given entries row by row, zeros elsewhere.

    Args:
        packed: entries on and below the diagonal, or below it, row by row.
        m: size.
        diagonal: 0 with the diagonal, -1 without.

    Returns:
        The triangle.
    """
    if m > FEW:  # one row after the other would make a program as long as m
        return jnp.zeros((m, m), packed.dtype).at[jnp.tril_indices(m, diagonal)].set(packed)
    # XLA runs a scatter on a CPU as a loop over its entries: rows cut and padded take a third of a step of training.
    rows, start = [], 0
    for row in range(m):
        length = row + 1 + diagonal
        rows.append(jnp.pad(packed[start : start + length], (0, m - length)))
        start += length
    return jnp.stack(rows)
