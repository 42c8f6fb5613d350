"""Which digits are learned, and by which layers of few values: tanh, each unit with a real scale and shift."""

from __future__ import annotations

import gzip
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks._common import Run
from benchmarks.slim_train import digits

TRAINING, TEST, CLASSES = 10000, 10000, 10
SIZES = (784, 100, 100, CLASSES)
MATRICES = tuple(f"K{j}" for j in range(1, len(SIZES)))
MEAN, DEVIATION = 0.1307, 0.3081
"""Of the pixels of all training images."""


def images(run: Run) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Training and test images in [0, 1], (n, 784), and one-hot classes, (n, 10)."""
    parts = []
    for name, count in (("train", 1000 if run.quick else TRAINING), ("t10k", 1000 if run.quick else TEST)):
        with gzip.open(run.folder("mnist", f"{name}-labels-idx1-ubyte.gz")) as file:
            file.read(8)
            labels = np.frombuffer(file.read(count), np.uint8)
        parts.append((digits(run, name, count), np.eye(CLASSES)[labels]))
    return parts[0], parts[1]


def components(x: np.ndarray, x_test: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    """Ten zeros, where scores begin, and the first principal components, of unit mean variance in training."""
    mean = x.mean(0)
    basis = np.linalg.svd(x - mean, full_matrices=False)[2][:count].T
    scale = np.sqrt(np.mean(((x - mean) @ basis) ** 2))
    return tuple(np.pad((a - mean) @ basis / scale, ((0, 0), (CLASSES, 0))) for a in (x, x_test))


def layered(p: Any, x: Any) -> Any:
    """Scores of one image, (10,)."""
    import jax.numpy as jnp

    for j in range(1, len(SIZES)):
        x = p[f"s{j}"] * (p[f"K{j}"] @ x) + p[f"b{j}"]
        if j < len(SIZES) - 1:
            x = jnp.tanh(x)
    return x


def discrete_problem(x: np.ndarray, c: np.ndarray) -> Any:
    """Softmax misfit of images in [0, 1], without penalties."""
    import jax.numpy as jnp

    from numdl.problems import SOFTMAX, Empirical
    from numdl.regularize import GroupPenalty

    count = sum((columns + 2) * rows for columns, rows in pairwise(SIZES))
    none = GroupPenalty(jnp.zeros(1), jnp.zeros(count, jnp.int32))
    return Empirical(layered, SOFTMAX, none, jnp.asarray((x - MEAN) / DEVIATION), jnp.asarray(c), jnp.ones(len(x)))


def discrete_start(seed: int, values: tuple[float, ...] | None) -> dict[str, Any]:
    """Random weights that keep the variance of a layer's input: of ``values`` and scaled, or normal of that size."""
    import jax.numpy as jnp

    rng, p = np.random.default_rng(seed), {}
    for j, (columns, rows) in enumerate(pairwise(SIZES), 1):
        K = rng.standard_normal((rows, columns)) if values is None else rng.choice(values, (rows, columns))
        size = 1 / np.sqrt(columns * np.mean(K**2))
        K, scale = (size * K, 1.0) if values is None else (K, size)
        p |= {f"K{j}": jnp.asarray(K), f"s{j}": jnp.full(rows, scale), f"b{j}": jnp.zeros(rows)}
    return p
