"""What does a Gaussian process say of a row when it sees the nearest rows only? The operation ``local`` of programs.

Of the m rows nearest to ``a`` in the metric of the lengths, with values y and variances of noise e::

    C = 1 + signal k(|z_i - z_j|^2) + linear x_i' x_j + diag(e),   z = x scale
    mean = k(a)' C^-1 y,   variance of the function = 1 + signal + linear |a|^2 - k(a)' C^-1 k(a)

with a kernel ``k(q) = (1 + c1 s + c2 s^2) exp(-s)``, ``s = sqrt(factor q)`` or ``s = factor q``. Distances are those
from the new row, so that rows far from the origin lose no digits. Formulas are those of
``numdl.estimators.kernels.nearest``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

PROFILES: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "rbf": (0.5, 0.0, 0.0, 0.0),
        "matern52": (5.0, 1.0, 1.0, 1 / 3),
        "matern32": (3.0, 1.0, 1.0, 0.0),
        "exponential": (1.0, 1.0, 0.0, 0.0),
    }
)
"""Kernel by name: factor, whether there is a root, c1, c2."""

TINY = 1e-30
"""Least squared distance below a root, whose derivative at 0 would be infinite."""


def local(xp: Any, a: Any, data: tuple[np.ndarray, ...], kept: dict[tuple[int, int], Any], at: int) -> Any:
    """Mean, and variance of the function.

    Args:
        xp: ``numpy`` or ``jax.numpy``.
        a: rows (b, d).
        data: rows (n, d), values (n,), variances of their noise (n,), scale (d,), and the settings: m, signal, linear,
            factor, root, c1, c2.
        kept: search trees from one block to the next.
        at: the key of this operation in them.

    Returns:
        (b, 2).
    """
    rows, y, e, scale, settings = data
    m, (signal, linear) = int(settings[0]), settings[1:3]
    index = _nearest(xp, a, rows * scale, scale, m, kept, at)
    old = xp.asarray(rows)[index]
    away = (old - a[:, None]) * scale
    own = (away * away).sum(axis=2)
    q = own[:, :, None] + own[:, None, :] - 2 * (away @ away.transpose(0, 2, 1))
    q = xp.maximum(q, 0.0) * (1 - np.eye(m))
    C = 1 + signal * profile(xp, q, settings) + linear * (old @ old.transpose(0, 2, 1))
    C = C + np.eye(m) * xp.asarray(e)[index][:, None, :]
    k = 1 + signal * profile(xp, own, settings) + linear * (old @ a[:, :, None])[:, :, 0]
    share = xp.linalg.solve(C, k[:, :, None])[:, :, 0]
    left = 1 + signal + linear * (a * a).sum(axis=1) - (share * k).sum(axis=1)
    return xp.stack([(share * xp.asarray(y)[index]).sum(axis=1), xp.maximum(left, 0.0)], axis=1)


def profile(xp: Any, q: Any, settings: Any) -> Any:
    """The kernel of squared distances.

    Args:
        xp: ``numpy`` or ``jax.numpy``.
        q: squared distances.
        settings: as above.

    Returns:
        The same shape.
    """
    factor, root, c1, c2 = settings[3:]
    s = xp.sqrt(xp.maximum(factor * q, TINY)) if root else factor * q
    return (1 + s * (c1 + c2 * s)) * xp.exp(-s)


def _nearest(
    xp: Any, a: Any, z: np.ndarray, scale: np.ndarray, m: int, kept: dict[tuple[int, int], Any], at: int
) -> Any:
    if xp is not np:
        from jax.lax import top_k

        new = a * scale
        return top_k(2 * new @ z.T - (z * z).sum(axis=1), m)[1]
    from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

    if (at, -1) not in kept:
        kept[at, -1] = cKDTree(z, balanced_tree=False)
    return kept[at, -1].query(a * scale, m)[1].reshape(len(a), m)
