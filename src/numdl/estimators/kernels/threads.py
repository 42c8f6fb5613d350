"""Threads over blocks of rows: NumPy and BLAS leave the interpreter to others while they compute.

BLAS itself runs with one thread then: two of them that wait for each other at each small matrix took 8 to 40 times the
time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def cores() -> int:
    """Cores that this process may use; ``OMP_NUM_THREADS`` says how many at most."""
    have = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = os.environ.get("OMP_NUM_THREADS", "")
    return min(have, int(most)) if most.isdigit() and int(most) > 0 else have


def each(call: Callable[[S], T], parts: Iterable[S]) -> list[T]:
    """Results of a call on each part, several at once.

    Args:
        call: of one part; parts share nothing that a call changes.
        parts: what it is called with.

    Returns:
        The results, in the order of the parts.
    """
    parts = list(parts)
    workers = min(cores(), len(parts))
    if workers < 2:
        return [call(part) for part in parts]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(call, parts))
