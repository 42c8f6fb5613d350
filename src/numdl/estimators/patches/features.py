"""What do filters see in an image, and where: responses beyond a threshold, of both signs, averaged over regions.

``a+ = max(f' z - t, 0)`` and ``a- = max(-f' z - t, 0)`` at each place of a patch, averaged over the cells of a grid.
Blocks of images and of filters are so small that responses never leave the cache: one product of matrices for all
responses of a block, then threshold and averages, which are a product of matrices too. NumPy alone does this at the
speed of BLAS (an image of 32 x 32 x 3 and 400 filters: 64 MFlop in 1.5 ms a core), and nothing is compiled.

Source: Coates, Lee and Ng, AISTATS 2011, sec. 3.3 (two-sided: Coates and Ng, ICML 2011, sec. 3.2).
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.lib.stride_tricks import as_strided

from numdl.contracts.threads import one_blas_thread
from numdl.estimators.kernels.threads import cores, each
from numdl.estimators.patches.filters import Filters

COLUMNS, ROWS = 2048, 256
"""Places and filters of a block, about: its responses take 2 MiB."""


def pooled(
    filters: Filters,
    images: np.ndarray,
    *,
    folded: bool,
    first: int = 0,
    last: int | None = None,
    grid: tuple[int, int] | None = None,
) -> np.ndarray:
    """Features of images.

    Args:
        filters: as drawn.
        images: (n, H, W, C) of the shape of the filters.
        folded: whether features of an image and of its mirror image are added, filter by filter: so a head sees no
            difference between the two.
        first: number of the first filter, even.
        last: number of the filter after the last; None for all.
        grid: cells along both axes; None for those of the filters, the only ones that can be folded.

    Returns:
        Filters, signs, rows and columns of cells in this order, (n, q), float32; with ``folded`` half as many.
    """
    last = len(filters.weights) if last is None else last
    n, parts = len(images), cores()
    with one_blas_thread():
        work = functools.partial(_part, filters, folded, first, last, grid or filters.grid)
        found = each(work, [images[rows] for rows in np.array_split(np.arange(n), min(parts, max(n // 8, 1)))])
    return found[0] if len(found) == 1 else np.concatenate(found)


def _part(
    filters: Filters, folded: bool, first: int, last: int, grid: tuple[int, int], images: np.ndarray
) -> np.ndarray:
    """Features of some of the images."""
    n, height, width, channels = images.shape
    h, w = filters.size
    rows, columns = height - h + 1, width - w + 1
    mean = np.ascontiguousarray(filters.cells(grid).T, np.float32)  # (places, cells)
    q, t = mean.shape[1], np.float32(filters.threshold)
    f = np.column_stack([filters.weights[first:last].reshape(last - first, -1), -filters.bias[first:last]])
    features = np.empty((n, last - first, 2, q), np.float32)
    block = max(COLUMNS // len(mean), 1)
    z = np.ones((f.shape[1], min(block, n), rows, columns), np.float32)
    y, above = np.empty((2, min(ROWS, len(f)) * z[0].size), np.float32)
    for i in range(0, n, block):
        some = np.ascontiguousarray(images[i : i + block].transpose(3, 0, 1, 2), np.float32)
        count = some.shape[1]
        _patches(some, h, w, filters.contrast, z[:-1, :count].reshape(channels, h, w, count, rows, columns))
        flat = z[:, :count].reshape(len(z), -1)
        for k in range(0, len(f), ROWS):
            g = f[k : k + ROWS]
            size = len(g) * flat.shape[1]
            responses = np.dot(g, flat, out=y[:size].reshape(len(g), -1))
            for sign, (low, high) in enumerate(((t, np.float32(np.inf)), (np.float32(-np.inf), -t))):
                kept = np.clip(responses, low, high, out=above[:size].reshape(len(g), -1))
                beyond = kept.reshape(-1, len(mean)) @ mean
                beyond = np.abs(beyond) - t
                features[i : i + count, k : k + len(g), sign] = beyond.reshape(len(g), count, q).swapaxes(0, 1)
    features = features.reshape(n, -1)
    return fold(features, filters) if folded else features


def fold(features: np.ndarray, filters: Filters) -> np.ndarray:
    """Features of images and of their mirror images added, filter by filter.

    Args:
        features: of pairs of filters, (n, q).
        filters: that made them.

    Returns:
        (n, q / 2).
    """
    cells = features.reshape(len(features), -1, 2, 2, *filters.grid)  # pairs, one of the pair, signs, grid
    return (cells[:, :, 0] + cells[:, :, 1, :, :, ::-1]).reshape(len(features), -1)


def rooted(features: np.ndarray) -> np.ndarray:
    """Square roots of averages: what many places say counts less than twice what half of them say.

    Args:
        features: averages, at least 0 but for rounding; changed here.

    Returns:
        The same array.

    Source: Perronnin, Sanchez and Mensink, Improving the Fisher kernel, ECCV 2010, sec. 3.2 (power normalisation).
    """
    return np.sqrt(np.maximum(features, 0.0, out=features), out=features)


def _patches(some: np.ndarray, h: int, w: int, contrast: float, out: np.ndarray) -> None:
    """Patches over their deviations, (C, h, w, n, rows, columns), of images (C, n, H, W)."""
    rows, columns = out.shape[4:]
    d = len(some) * h * w
    some = some - some.mean(axis=(0, 2, 3), keepdims=True)  # filters see no constant, and sums of squares lose less
    mean, square = (_sums(part, h, w) / d for part in (some.sum(axis=0), np.einsum("cnij,cnij->nij", some, some)))
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0) + contrast)
    c, n, i, j = some.strides
    view = as_strided(some, (len(some), h, w, some.shape[1], rows, columns), (c, i, j, n, i, j))
    np.multiply(view, (1.0 / deviation).astype(np.float32), out=out)


def _sums(a: np.ndarray, h: int, w: int) -> np.ndarray:
    """Sums over all windows of images (n, H, W), by differences of sums from the edge."""
    for axis, size in ((1, h), (2, w)):
        sums = np.cumsum(a, axis=axis, dtype=np.float64)
        ends = np.take(sums, range(size - 1, a.shape[axis]), axis=axis)
        before = np.take(sums, range(a.shape[axis] - size), axis=axis)
        a = ends - np.concatenate([np.zeros_like(np.take(sums, [0], axis=axis)), before], axis=axis)
    return a
