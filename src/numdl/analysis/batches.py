"""Batched evaluation within memory: how many evaluations fit into memory side by side?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

MEMORY = 2**28  # bytes
MOST = 64  # more side by side were not faster: the arrays leave the caches


def batch_size(fun: Callable[..., Any], arguments: tuple, count: int, memory: int = MEMORY) -> int:
    """How many calls of a function may be mapped at once.

    The function is compiled once for one call, and the compiler is asked what that needs besides its arguments.

    Args:
        fun: what is to be mapped.
        arguments: of one call; arrays in them are traced, all else is static.
        count: number of calls.
        memory: that may be used, in bytes.

    Returns:
        At least 1, at most ``count`` and 64.
    """
    if count <= 1:
        return 1
    arrays, static = eqx.partition(arguments, eqx.is_array)
    compiled = jax.jit(lambda arrays: fun(*eqx.combine(arrays, static))).lower(arrays).compile()
    needs = getattr(compiled.memory_analysis(), "temp_size_in_bytes", MEMORY)  # unknown: one at a time
    return max(1, min(count, MOST, memory // max(int(needs), 1)))
