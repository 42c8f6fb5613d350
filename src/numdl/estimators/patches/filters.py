"""Which filters see what images of this kind are made of: patches of the images themselves, whitened.

A patch p loses its mean and is divided by its deviation, ``z = (p - mean) / sqrt(var + c)``. With the mean mu and the
covariance ``S = V diag(l) V'`` of such patches, ``R = V diag(1 / sqrt(l + eps)) V'`` whitens them (ZCA): all
directions of variation become alike, edges as strong as large dark and bright parts. Filters are whitened patches of
norm 1, ``f = R (z - mu) / ||R (z - mu)||``, and their responses at another patch are ``f' R (z - mu)``, linear in z, so
that all responses to an image are one product of matrices. Filters come in pairs, each beside its mirror image, so that
features of mirrored images are a permutation of features.

Source: Coates, Lee and Ng, An analysis of single-layer networks in unsupervised feature learning, AISTATS 2011, secs. 3
and 4 (patches alone do next to as well as centres of clusters: Coates and Ng, ICML 2011).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SIDE, SHARE = 6, 0.4
"""Pixels of the side of a patch, and its part of the side of a small image at most."""

DRAWN = 40_000
"""Patches whose covariance whitens."""

CONTRAST = 1e-2
"""Added to the variance of a patch, in units of the mean variance of patches: flat patches stay flat."""

FLOOR = 0.1
"""Added to the variance along each direction, of patches of variance near 1: noise is not blown up."""

THRESHOLD = 0.25
"""What a response has to exceed to count."""

CELL, CELLS = 8, 3
"""Places along a side of a cell, about, and cells along a side where an image is too small for that."""


class Filters(NamedTuple):
    """Filters and how their responses are taken.

    Attributes:
        weights: of channel, row and column, (K, C, h, w), float32; filters 2i and 2i + 1 are mirror images.
        bias: subtracted from the responses, (K,), float32.
        contrast: added to the variance of a patch, in squared units of the pixels.
        threshold: of the responses.
        shape: height, width and channels of the images they are for.
    """

    weights: np.ndarray
    bias: np.ndarray
    contrast: float
    threshold: float
    shape: tuple[int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a patch."""
        return self.weights.shape[2], self.weights.shape[3]

    @property
    def places(self) -> tuple[int, int]:
        """Rows and columns of the places of a patch."""
        return self.shape[0] - self.size[0] + 1, self.shape[1] - self.size[1] + 1

    @property
    def grid(self) -> tuple[int, int]:
        """Cells along both axes, at least 1, at most 4 each."""
        return tuple(int(np.clip(min(round(n / CELL), 4), min(CELLS, n // 2) or 1, 4)) for n in self.places)  # type: ignore

    def cells(self, grid: tuple[int, int] | None = None) -> np.ndarray:
        """Weights of the places in the mean of each cell.

        Args:
            grid: cells along both axes; None for its own.

        Returns:
            (cells, places), row by row both.
        """
        down, along = (averages(n, count) for n, count in zip(self.places, grid or self.grid, strict=True))
        return np.einsum("ai,bj->abij", down, along).reshape(len(down) * len(along), -1)


def averages(places: int, cells: int) -> np.ndarray:
    """Weights of places in the mean of each cell, (cells, places): 1 in its middle, 0 in that of the next one.

    Cells that fade into each other change little when an image moves by a pixel. On Fashion-MNIST (10,000 rows, 200
    filters, 3 x 3 cells) 9.0 % were wrong with these, 9.7 % with cells that have edges.
    """
    middle = (np.arange(cells) + 0.5) * places / cells - 0.5
    weights = np.maximum(1 - np.abs(np.arange(places) - middle[:, None]) * cells / places, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def draw_filters(images: np.ndarray, count: int, rng: np.random.Generator) -> Filters:
    """Filters from patches of images.

    Args:
        images: (n, H, W, C).
        count: number of filters, even.
        rng: draws the patches.

    Returns:
        The filters; those of more than one patch that is flat may be equal.
    """
    height, width, channels = images.shape[1:]
    h, w = (min(SIDE, size, max(round(SHARE * size), 2)) for size in (height, width))
    windows = sliding_window_view(images, (h, w), axis=(1, 2))  # (n, H', W', C, h, w)
    where = [rng.integers(size, size=max(DRAWN, count)) for size in windows.shape[:3]]
    patches = windows[where[0], where[1], where[2]].astype(np.float64).reshape(len(where[0]), -1)
    patches -= patches.mean(axis=1, keepdims=True)
    variance = np.mean(patches**2, axis=1)
    contrast = CONTRAST * float(variance.mean()) or 1.0
    patches /= np.sqrt(variance + contrast)[:, None]
    # Whitening is that of the patches and their mirror images, so that both belong to one family.
    d = patches.shape[1]
    across = np.arange(d).reshape(channels, h, w)[:, :, ::-1].ravel()
    mu = patches.mean(axis=0)
    mu = (mu + mu[across]) / 2
    moment = patches.T @ patches / len(patches)
    values, vectors = np.linalg.eigh((moment + moment[np.ix_(across, across)]) / 2 - np.outer(mu, mu))
    whiten = (vectors / np.sqrt(np.maximum(values, 0.0) + FLOOR)) @ vectors.T
    # The most varied half of the patches that were drawn: a flat one says nothing.
    kept = np.flatnonzero(variance >= np.median(variance))[: count // 2]
    kept = np.resize(kept, count // 2)
    f = (patches[kept] - mu) @ whiten
    f /= np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-12)
    f = np.stack([f, f[:, across]], axis=1).reshape(count, d) @ whiten
    bias = f @ mu
    f -= f.mean(axis=1, keepdims=True)  # so that the mean of a patch need not be subtracted
    weights = f.astype(np.float32).reshape(count, channels, h, w)
    return Filters(weights, bias.astype(np.float32), contrast, THRESHOLD, (height, width, channels))
