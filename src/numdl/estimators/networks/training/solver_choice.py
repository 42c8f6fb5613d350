"""Choice of the linear solver: which linear algebra does a problem of this size deserve, and does it fit the memory?

A dense step costs ``2 n r p^2`` flops for the matrix (n rows used, r rows pulled back per sample, p weights), about
``p^3`` for the factors of its trials and for the evidence, and holds about six (p, p) matrices; a matrix-free product
costs about six passes, ``12 n (p + k m)`` flops, and some forty of them do what a dense step does. Beyond 8 p pulled
rows a noisy matrix gains little from more of them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numdl.flow.march import NO_TANGENTS
from numdl.models import Network

PULLED_PER_WEIGHT = 8
LEAST_PULLED = 6000
LEAST_BLOCK = 64
CACHED = 350_000
"""Entries of a block of the Jacobian that stays near the processor: 10,000 rows, 684 weights .34 -> .22 CPU s."""
DENSE_WEIGHTS = 4000
"""Largest number of weights whose matrix is formed unasked: its factor takes about a second on one core."""
AFFORDABLE = 4e10
"""Operations of a step up to which the matrix is formed even where products are faster, and networks may grow: a few
seconds on two cores. Networks are compared by their evidence, and products only estimate it."""
MATRIX_RATE, PRODUCT_RATE = 6e9, 2e9
"""Operations in a second on two cores, as counted here: 5.7e9 to 6.4e9 of a dense step at 1000 samples and 330 to 2905
weights, 1.3e9 to 3.8e9 matrix-free at 1000 to 100 000 samples and 330 or 969 weights (``benchmarks/scaling.py``)."""
CLEARLY = 3.0
"""Factor by which matrix-free steps must be the faster ones, at one output: with more they have not been measured."""
LOGISTIC_WEIGHTS = 500
"""``DENSE_WEIGHTS`` for two classes: a step takes 80 products of ``12 n p`` flops, its matrix costs ``1000 n p``."""


class SolverChoice(NamedTuple):
    """Choice of the cost model.

    Attributes:
        dense: whether the matrix is formed.
        chunk: rows of each shard in a block, None for all.
        curvature_rows: rows that give the matrix, None for all.
        sampled: one drawn row per sample instead of one per class.
        work: operations of one iteration, about.
        text: the choice and its reason, for the log.
    """

    dense: bool
    chunk: int | None
    curvature_rows: int | None
    sampled: bool
    work: float
    text: str


def choose_algebra(
    n: int,
    k: int,
    net: Network,
    *,
    squares: bool,
    memory_budget: int,
    itemsize: int,
    solver: str = "auto",
    n_shards: int = 1,
) -> SolverChoice:
    """Dense, dense in blocks, on a part of the rows, or matrix-free.

    Args:
        n: samples.
        k: outputs.
        net: architecture.
        squares: least squares (else cross entropy).
        memory_budget: bytes for the work arrays; the data themselves are not counted.
        itemsize: bytes of a number.
        solver: ``"auto"``, ``"dense"`` or ``"matrix-free"``.
        n_shards: of the rows among devices, each with a budget of its own; decides about blocks only.

    Returns:
        The choice.

    Raises:
        ValueError: ``solver="dense"`` does not fit the budget, or the march has no forward derivative for products.
    """
    p, m = net.n_parameters, net.width
    sampled = not squares and k > 2
    r = min(k, m) if squares else 1
    need = 6 * p * p * itemsize
    state_rows = max(int(memory_budget // 2 // (itemsize * (4 * net.n_states + 4 * k))), LEAST_BLOCK)
    if solver == "dense" and need > memory_budget:
        raise ValueError(
            f"solver='dense': {p} weights need {need / 2**20:.0f} MiB, above memory_budget={memory_budget}. "
            "Raise memory_budget, lower width, or use solver='matrix-free'."
        )
    pulled = max(PULLED_PER_WEIGHT * p, LEAST_PULLED)
    used = n if n * r <= 1.5 * pulled else max(pulled // r, 1)
    matrix = 2.0 * used * r * p**2 + p**3 + 24.0 * n * (p + k * m)
    products = 12.0 * 40 * n * (p + k * m)
    slow = r == 1 and matrix > AFFORDABLE and matrix / MATRIX_RATE > CLEARLY * products / PRODUCT_RATE
    # A drawn row per sample loses the curvature once all samples are fitted, and the evidence with it.
    most = DENSE_WEIGHTS if squares else 0 if sampled else LOGISTIC_WEIGHTS
    free = solver == "matrix-free" or (solver == "auto" and (p > most or slow or need > memory_budget // 2))
    if free and getattr(net, "march", None) in NO_TANGENTS:
        if solver == "matrix-free" or need > memory_budget:
            raise ValueError(
                f"march={getattr(net, 'march', None)!r}, solver={solver!r}: {p} weights need matrix-free Gauss-Newton, "
                "and this march has no forward derivative. Use march='checkpointed', or 'dense' and fewer weights."
            )
        free = False
    if free:
        chunk = _even(math.ceil(n / n_shards), state_rows)
        text = f"matrix-free Gauss-Newton, {p} weights" + _blocks(chunk)
        return SolverChoice(False, chunk, None, False, products, text)
    matrix_rows = max(int(memory_budget // 4 // (itemsize * p * (r + (not squares)) * 3)), LEAST_BLOCK)
    quick_rows = max(max(p, CACHED // p) // r, LEAST_BLOCK)  # fewer add up p^2 numbers for too little
    chunk = _even(math.ceil(n / n_shards), min(matrix_rows, state_rows, quick_rows))
    text = f"dense Gauss-Newton, {p} weights"
    text += f", matrix from {used} of {n} rows" if used < n else ""
    text += ", one drawn row per sample" if sampled else ""
    return SolverChoice(True, chunk, None if used == n else used, sampled, matrix, text + _blocks(chunk))


def _even(n: int, most: int) -> int | None:
    """Rows in a block: as few blocks as ``most`` rows in each allow, all of about the same size; None for one block.

    Blocks overlap where they do not divide n (``numdl.problems.blocks``): two of 70 % would do 140 % of the work.
    """
    return None if most >= n else math.ceil(n / math.ceil(n / most))


def _blocks(chunk: int | None) -> str:
    return "" if chunk is None else f", blocks of {chunk} rows"
