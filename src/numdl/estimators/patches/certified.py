"""Lipschitz bounds of patch features: how far can they move, at most, when an image does by a given length?

Lengths are Euclidean. Let an image change by ``e`` of norm eps. A patch of d pixels at the place q is
``n = (p - mean) / s_q``, ``s_q = sqrt(var + c)``, and on the way s_q falls to ``t_q = sqrt(max(sqrt(var) - eps /
sqrt(d), 0)^2 + c)`` at most, so that n moves by ``||e_q|| / t_q`` and all responses by ``||F|| ||e_q|| / t_q``. Each
pixel lies in p patches at most: ``sum_q ||e_q||^2 <= p eps^2``. Averages ``a = M max(+-r - t, 0)`` move
by what reaches the threshold, at the places ``U`` of a filter and sign with ``+-r + ||f|| eps / t_q > t``. With the
inequality of Cauchy and Schwarz, ``m_q = sum_c M_cq`` and any weights ``g >= 0``

    sum_j g_j |b_j - a_j| <= sqrt(sum_j g_j^2 T_j),   T_j = p eps^2 ||F||^2 sum_(q in U_j) M_jq m_q / t_q^2,
    |b_j - a_j| <= D_j = eps sqrt(p) ||f_j|| sqrt(sum_(q in U_j) M_jq^2 / t_q^2),
    |sqrt b_j - sqrt a_j| <= |b_j - a_j| / (sqrt a_j + sqrt max(a_j - D_j, 0)),
    |sqrt b_j - sqrt a_j| <= max(sqrt a_j, sqrt(a_j + D_j) - sqrt a_j),   which is taken where a_j is tiny.

All of it holds for changes of this length, not only of small ones. ``||F||`` is a singular value that is computed
whole, no power iteration, which would be a bound from below.

Averages in float32 are off by delta, ``4 eps32 (t + max ||f|| ||z||)``, ``||z||`` the root mean square over the patches
less the image's mean; on digits by an eighth of it at most. Roots are off by ``sqrt(a + delta) - sqrt(a)``
at the least a that a change leaves; roundings of several features are taken as independent, which is no proof.

Source: Tsuzuku, Sato and Sugiyama, Lipschitz-margin training, NeurIPS 2018, sec. 3 (margins and bounds).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numdl.estimators.patches.features import fold
from numdl.estimators.patches.filters import Filters

TINY = 1 / 32
"""Averages below this share of their largest change count by the root of that change."""

SLACK = 1e-4
"""By what responses in float32 are taken to be nearer to the threshold."""

FINER, FACTOR, LEAST = 4, 4.0, 1e-9
"""Halvings of the factor between lengths that are tried, that factor, and the least length over the range of pixels."""


class Seen(NamedTuple):
    """What filters see in one image.

    Attributes:
        deviation: of the patches, (places,).
        responses: (filters, places), float32.
        averages: without roots, as features are ordered, (m,).
        rounding: of averages in float32, about.
    """

    deviation: np.ndarray
    responses: np.ndarray
    averages: np.ndarray
    rounding: float = 0.0


class Changes(NamedTuple):
    """How far features of one image move at most: ``sum_j g_j |change_j| <= sum_j g_j o_j + sqrt(sum_j g_j^2 w_j)``.

    Attributes:
        offset: o, (m,).
        weight: w, (m,).
        rounding: of the features before and after the change, (m,), or of all.
    """

    offset: np.ndarray
    weight: np.ndarray
    rounding: np.ndarray | float = 0.0

    def along(self, g: np.ndarray) -> np.ndarray:
        """The most that ``sum_j g_j change_j`` can be.

        Args:
            g: any weights, (..., m).

        Returns:
            (...).
        """
        return np.abs(g) @ self.offset + np.sqrt(g**2 @ self.weight)

    def rounded(self, g: np.ndarray) -> np.ndarray:
        """How far rounding moves ``sum_j g_j change_j`` besides, about.

        Args:
            g: any weights, (..., m).

        Returns:
            (...).
        """
        return np.linalg.norm(g * self.rounding, axis=-1)

    def length(self, scale: np.ndarray) -> float:
        """The largest norm of all changes over ``scale``.

        Args:
            scale: positive, (m,).

        Returns:
            In units of features over scale.
        """
        return float(np.linalg.norm(self.offset / scale) + np.sqrt((self.weight / scale**2).max()))


class Bounds:
    """Changes of what filters see.

    Args:
        filters: as drawn.
        folded: whether features of an image and of its mirror image are added.
    """

    def __init__(self, filters: Filters, *, folded: bool) -> None:
        self.filters, self.folded = filters, folded
        self.F = filters.weights.reshape(len(filters.weights), -1).astype(float)
        self.norm, self.norms = np.linalg.norm(self.F, 2), np.linalg.norm(self.F, axis=1)
        self.M = filters.cells()
        places = zip(filters.shape[:2], filters.size, strict=True)
        self.overlap = float(np.prod([min(size - side + 1, side) for size, side in places]))

    def see(self, image: np.ndarray) -> Seen:
        """What the filters see.

        Args:
            image: (H, W, C).

        Returns:
            All that the other methods need.
        """
        p, s = self._patches(image)
        r = (self.F @ (p / s).T - self.filters.bias[:, None]).astype(np.float32)
        beyond = [np.maximum(signed - np.float32(self.filters.threshold), 0) @ self.M.T for signed in (r, -r)]
        windows = sliding_window_view(image.astype(float) - image.mean(dtype=float), self.filters.size, axis=(0, 1))
        long = np.sqrt(np.mean(np.sum((windows.reshape(p.shape) / s) ** 2, axis=1)))
        delta = 4 * float(np.finfo(np.float32).eps) * (self.filters.threshold + self.norms.max() * long)
        return Seen(np.sqrt(np.mean(p**2, axis=1)), r, self._features(np.stack(beyond, axis=1)), float(delta))

    def changes(self, seen: Seen, eps: float) -> Changes:
        """How far features, square roots of averages, move.

        Args:
            seen: by `see`.
            eps: length of the change of the image, in its units.

        Returns:
            Bounds of all features.
        """
        inverse = 1 / self._least(seen, eps) ** 2
        near = np.float32(self.filters.threshold) - (1 + SLACK) * self.norms[:, None] * eps * np.sqrt(inverse) - SLACK
        near = near.astype(np.float32)
        reached = np.stack([seen.responses > near, -seen.responses > near], axis=1).astype(np.float32)
        scale = self.overlap * eps**2
        T = scale * self.norm**2 * (reached @ (self.M * self.M.sum(axis=0) * inverse).T.astype(np.float32))
        D = np.sqrt(scale * (reached @ (self.M**2 * inverse).T.astype(np.float32))) * self.norms[:, None, None]
        a, T, D = np.maximum(seen.averages, 0.0), self._features(T), self._features(D)
        tiny = a <= TINY * D
        slope = 1 / np.maximum(np.sqrt(a) + np.sqrt(np.maximum(a - D, 0)), 1e-150)
        whole = np.maximum(np.sqrt(a), np.sqrt(a + D) - np.sqrt(a))
        least = np.maximum(a - D, 0)
        rounding = 2 * (np.sqrt(least + seen.rounding) - np.sqrt(least))
        return Changes(np.where(tiny, whole, 0.0), np.where(tiny, 0.0, slope**2 * T), rounding)

    def of_cells(self, count: int, grid: tuple[int, int]) -> Callable[[Seen, float], float]:
        """How far averages of the first filters over another grid move together, without roots.

        Args:
            count: of the filters.
            grid: cells along both axes.

        Returns:
            From what is seen and the length of the change of the image to a bound of the norm of all changes,
            ``eps sqrt(p) ||F|| max_q sqrt(m_q) / t_q``: rows of M sum to 1.
        """
        m = self.filters.cells(grid).sum(axis=0)
        factor = float(np.linalg.norm(self.F[:count], 2) * np.sqrt(self.overlap))
        return lambda seen, eps: eps * factor * float(np.sqrt((m / self._least(seen, eps) ** 2).max()))

    def slope(
        self,
        image: np.ndarray,
        seen: Seen,
        g: np.ndarray,
        count: int | None = None,
        grid: tuple[int, int] | None = None,
    ) -> np.ndarray:
        """Derivative of a sum of averages by the pixels, ``sum_j g_j a_j``.

        Args:
            image: (H, W, C).
            seen: in it, by `see`.
            g: a weight for each average in the order of features, not folded where a grid is given.
            count: of the filters, with ``grid``.
            grid: cells along both axes; None for those of the features.

        Returns:
            (H, W, C).
        """
        M = self.M if grid is None else self.filters.cells(grid)
        if (
            grid is None and self.folded
        ):  # what a filter of a pair sees in a cell, the other one sees in its mirror image
            cells = g.reshape(-1, 1, 2, *self.filters.grid)
            g = np.concatenate([cells, cells[..., ::-1]], axis=1)
        F, r = self.F[:count], seen.responses[:count]
        by_place = g.reshape(len(F), 2, len(M)) @ M
        reached = [signed > self.filters.threshold for signed in (r, -r)]
        by_patch = (by_place[:, 0] * reached[0] - by_place[:, 1] * reached[1]).T @ F
        p, s = self._patches(image)
        by_patch = by_patch - by_patch.mean(axis=1, keepdims=True)
        by_patch = by_patch / s - p * (p * by_patch).sum(axis=1, keepdims=True) / (p.shape[1] * s**3)
        (h, w), (height, width, channels) = self.filters.size, self.filters.shape
        rows, columns = height - h + 1, width - w + 1
        parts = by_patch.reshape(rows, columns, channels, h, w)
        found = np.zeros(self.filters.shape)
        for i, j in np.ndindex(h, w):
            found[i : i + rows, j : j + columns] += parts[..., i, j]
        return found

    def _patches(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Patches less their means, (places, pixels), and what they are divided by, (places, 1)."""
        windows = sliding_window_view(image.astype(float), self.filters.size, axis=(0, 1))
        p = windows.reshape(self.M.shape[1], -1)
        p = p - p.mean(axis=1, keepdims=True)
        return p, np.sqrt(np.mean(p**2, axis=1, keepdims=True) + self.filters.contrast)

    def _least(self, seen: Seen, eps: float) -> np.ndarray:
        """What patches are divided by, at the least."""
        nearer = np.maximum(seen.deviation - eps / np.sqrt(self.F.shape[1]), 0.0)
        return np.sqrt(nearer**2 + self.filters.contrast)

    def _features(self, of_filters: np.ndarray) -> np.ndarray:
        """Numbers of filters, signs and cells in the order of features."""
        flat = of_filters.reshape(1, -1)
        return (fold(flat, self.filters) if self.folded else flat)[0].astype(float)


def largest(holds: Callable[[float], bool], unit: float) -> float:
    """The largest length of a ladder for which something is proved.

    Args:
        holds: whether it is proved for this length, and then for all shorter ones.
        unit: where to begin.

    Returns:
        At least 15/16 of the logarithmic step below what could be proved, about; 0 where nothing is.
    """
    eps = unit
    if holds(eps):
        while holds(eps * FACTOR):
            eps *= FACTOR
            if not eps < 1e12 * unit:
                return np.inf
    else:
        while not holds(eps := eps / FACTOR):
            if eps < LEAST * unit:
                return 0.0
    step = FACTOR
    for _ in range(FINER):
        step = step**0.5
        eps = eps * step if holds(eps * step) else eps
    return eps
