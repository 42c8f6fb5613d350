"""Which network do the alternatives train: an opening layer, an antisymmetric tanh Euler flow, a linear head.

``u = tanh(K0 x + b0)``; ``u <- u + h tanh((K_j - K_j') u + b_j)``, j = 1..depth, ``h = T/depth``; ``s = W u + c``.
Written once with the operations that numpy-like modules share: torch and JAX train the same function from the same
weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

Weights = dict[str, Any]


def initial(seed: int, inputs: int, width: int, depth: int, outputs: int) -> Weights:
    """Random weights, variance 1/(number of inputs of the layer) as usual; zero intercepts."""
    rng = np.random.default_rng(seed)
    return {
        "K0": rng.normal(size=(inputs, width)) / np.sqrt(inputs),
        "b0": rng.normal(size=width) / np.sqrt(inputs),
        "K": rng.normal(size=(depth, width, width)) / np.sqrt(2 * width),
        "b": np.zeros((depth, width)),
        "W": rng.normal(size=(width, outputs)) / np.sqrt(width),
        "c": np.zeros(outputs),
    }


def forward(weights: Weights, x: Any, T: float, tanh: Any) -> Any:
    """Scores (n, k) of the rows of ``x (n, d)``; ``tanh`` is the array library's own."""
    u = tanh(x @ weights["K0"] + weights["b0"])
    depth = weights["K"].shape[0]
    for j in range(depth):
        K = weights["K"][j]
        u = u + (T / depth) * tanh(u @ (K - K.T) + weights["b"][j])
    return u @ weights["W"] + weights["c"]


def set_torch_threads(call: Callable[[], Any]) -> int:
    """Let torch use one thread or its default, whichever runs ``call`` faster now; returns the choice.

    Such small matrices gain nothing from threads, and lose a factor of ten when another process shares the cores.
    """
    import torch

    default = torch.get_num_threads()
    seconds = {}
    for threads in sorted({1, default}):
        torch.set_num_threads(threads)
        call()
        start = time.perf_counter()
        call()
        seconds[threads] = time.perf_counter() - start
    best = min(seconds, key=seconds.__getitem__)
    torch.set_num_threads(best)
    return best
