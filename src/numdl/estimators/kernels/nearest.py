"""Nearest-neighbour Gaussian process: what do the nearest rows alone predict, where all are too many?

Each row is predicted from its m nearest ones in the metric of the kernel's lengths: the conditional densities of
Vecchia's approximation, whose cost is linear in the number of rows. `vecchia` finds the hyperparameters.

Sources: Vecchia, Estimation and model identification for continuous spatial processes, JRSS B 50, 1988; Gramacy and
Apley, Local Gaussian process approximation for large computer experiments, JCGS 24, 2015, sec. 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]

from numdl.estimators.kernels.evidence import JITTER, Rows
from numdl.estimators.kernels.stationary import matern52, rbf
from numdl.estimators.kernels.threads import each

BLOCK = 256
"""Rows at once."""

EXACT, NEARLY = 10**5, 0.5
"""Rows beyond which neighbours may be farther than the nearest ones by this share: 10^6 rows of 10 independent inputs
take 0.6 ms instead of 3.4 for each row that is asked for."""


def matern32(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(1 + s) exp(-s)``, ``s = sqrt(3 q)``, and its derivative by the squared distance q."""
    s = np.sqrt(3 * q)
    e = np.exp(-s)
    return (1 + s) * e, -1.5 * e


def exponential(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``exp(-s)``, ``s = sqrt(q)``, and its derivative by the squared distance q; 0 at 0, where no length tells."""
    s = np.sqrt(q)
    e = np.exp(-s)
    return e, -0.5 * e / np.where(s > 0, s, np.inf)


PROFILES: Mapping[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = MappingProxyType(
    {"rbf": rbf, "matern52": matern52, "matern32": matern32, "exponential": exponential}
)
"""Kernels by name, the roughest last."""


class Nearest(NamedTuple):
    """A process that sees the nearest rows only; a member of a `mixture.Mixture`.

    Attributes:
        kernel: name in ``PROFILES``.
        theta: logarithms of noise, signal, linear term and lengths (3 + d,).
        neighbours: how many rows it sees.
        freedom: effective degrees of freedom, estimated.
        weight: share in the mixture.
    """

    kernel: str
    theta: np.ndarray
    neighbours: int
    freedom: float
    weight: float = 1.0

    @property
    def name(self) -> str:
        """Of the kernel, and that it is local."""
        return f"nearest {self.kernel}"

    @property
    def noise(self) -> float:
        """Variance of one observation."""
        return float(np.exp(self.theta[0]))

    @property
    def jitter(self) -> float:
        """Variance added for the sake of rounding."""
        return jitter_of(self.theta, self.neighbours)

    @property
    def n_parameters(self) -> int:
        """Number of hyperparameters."""
        return len(self.theta)

    def moments(self, rows: Rows, box: np.ndarray, x: np.ndarray, *, std: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Mean, and variance of a new observation; see `process.Process` for this and the other methods."""
        near = Neighbours(rows, self.theta, self.neighbours)
        parts = each(lambda block: self._predict(rows, x[block], near.of(x[block])), slices(len(x)))
        mean, variance = np.concatenate(parts, axis=1) if parts else np.empty((2, 0))
        return mean, variance + self.noise if std else None

    def left_out(self, rows: Rows, some: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the mean of each row's observations given all the other rows.

        Args:
            rows: what it was conditioned on.
            some: which rows (s,), None for all.

        Returns:
            Two arrays (s,).
        """
        some = np.arange(len(rows.y)) if some is None else some
        near = Neighbours(rows, self.theta, self.neighbours)

        def part(block: slice) -> tuple[np.ndarray, np.ndarray]:
            return self._predict(rows, rows.x[some[block]], near.others(some[block])[:, 1:])

        mean, variance = np.concatenate(each(part, slices(len(some))), axis=1)
        return mean, variance + self.noise / rows.w[some]

    def spread(self, factor: float) -> Nearest:
        """The same mean, but for the intercept's share in it, and this factor on all variances.

        Args:
            factor: positive.

        Returns:
            The process.
        """
        more = np.zeros(len(self.theta))
        more[:3] = np.log(factor)
        return self._replace(theta=self.theta + more)

    def slope(self, rows: Rows, box: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Derivative of the mean by the scaled inputs, the neighbours being fixed."""
        (_, signal, linear), scale = np.exp(self.theta[:3]), np.exp(-self.theta[3:])
        near = Neighbours(rows, self.theta, self.neighbours)

        def part(block: slice) -> np.ndarray:
            index = near.of(x[block])
            old = rows.x[index]
            dual = solve(self._covariance(old, rows.w[index]), rows.y[index][..., None])[..., 0]
            z, new = old * scale, (x[block] * scale)[:, None]
            m = 2 * signal * PROFILES[self.kernel](_squares(new, z))[1][:, 0] * dual
            curved = (m.sum(axis=1)[:, None] * new[:, 0] - np.einsum("bm,bmd->bd", m, z)) * scale
            return curved + linear * np.einsum("bm,bmd->bd", dual, old)

        return np.concatenate(each(part, slices(len(x))))

    def _covariance(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Of the observations in each group of rows (b, m, d)."""
        C = cover(PROFILES[self.kernel], self.theta, x, x)[0]
        i = np.arange(x.shape[1])
        C[:, i, i] += self.noise / w + self.jitter
        return C

    def _predict(self, rows: Rows, x: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the function at rows (b, d) from those of these numbers (b, m)."""
        old, (_, signal, linear) = rows.x[index], np.exp(self.theta[:3])
        k = cover(PROFILES[self.kernel], self.theta, old, x[:, None])[0][..., 0]
        share = solve(self._covariance(old, rows.w[index]), k[..., None])[..., 0]
        own = 1 + signal + linear * np.einsum("bd,bd->b", x, x)
        mean = np.einsum("bm,bm->b", share, rows.y[index])
        return mean, np.maximum(own - np.einsum("bm,bm->b", share, k), 0.0)


class Neighbours:
    """Nearest rows in the metric of the lengths.

    Args:
        rows: among which.
        theta: hyperparameters (3 + d,).
        count: how many, at most all.
    """

    def __init__(self, rows: Rows, theta: np.ndarray, count: int) -> None:
        self._scale, self._count, self._n = np.exp(-theta[3:]), count, len(rows.y)
        self._z = rows.x * self._scale
        self._tree = cKDTree(self._z, balanced_tree=False)

    def of(self, x: np.ndarray) -> np.ndarray:
        """Those of new rows.

        Args:
            x: rows (b, d).

        Returns:
            Their numbers (b, m).
        """
        return self._ask(x * self._scale, min(self._count, self._n))

    def others(self, some: np.ndarray) -> np.ndarray:
        """Those of rows that are among them.

        Args:
            some: numbers of rows (b,).

        Returns:
            These rows followed by their neighbours (b, 1 + m).
        """
        own = some[:, None]
        index = self._ask(self._z[some], min(self._count + 1, self._n))
        found = index == own
        found[~found.any(axis=1), -1] = True  # it lies at the distance of too many others
        return np.concatenate([own, index[~found].reshape(len(own), -1)], axis=1)

    def _ask(self, z: np.ndarray, count: int) -> np.ndarray:
        eps = NEARLY if self._n > EXACT else 0.0
        return self._tree.query(z, count, eps=eps)[1].reshape(len(z), count)


def cover(
    profile: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], theta: np.ndarray, x: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Covariance of the function in each group of rows, and what it is made of.

    Args:
        profile: of the kernel.
        theta: hyperparameters (3 + d,).
        x: rows of each group (b, m, d).
        z: others (b, l, d), or the same.

    Returns:
        Covariance, kernel, its derivative by the squared distance, and inner products, (b, m, l) each.
    """
    (_, signal, linear), scale = np.exp(theta[:3]), np.exp(-theta[3:])
    q = _squares(x * scale, z * scale)
    if x is z:
        i = np.arange(x.shape[1])
        q[:, i, i] = 0.0
    k, slope = profile(q)
    straight = x @ z.transpose(0, 2, 1)
    return signal * k + linear * straight + 1.0, k, slope, straight


def _squares(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Squared distances in each group, (b, m, d) and (b, l, d) to (b, m, l), not negative.

    Counted from the first row of each, near which the others lie: what cancels is of their size.
    """
    first = x[:, :1]
    x, z = x - first, z - first
    q = x @ (-2 * z.transpose(0, 2, 1))
    q += np.einsum("bmd,bmd->bm", x, x)[:, :, None]
    q += np.einsum("bld,bld->bl", z, z)[:, None, :]
    return np.maximum(q, 0.0, out=q)


def slices(n: int, size: int = BLOCK) -> list[slice]:
    """Slices of rows.

    Args:
        n: rows.
        size: of each slice, at most.

    Returns:
        The slices.
    """
    return [slice(start, start + size) for start in range(0, n, size)]


def jitter_of(theta: np.ndarray, neighbours: int) -> float:
    """Variance added for the sake of rounding: it follows the signal, and no row can change it.

    Args:
        theta: hyperparameters.
        neighbours: rows of a matrix but one.

    Returns:
        A variance.
    """
    return 100 * JITTER * (1 + neighbours) * float(np.exp(theta[1]))


def solve(C: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions in each group; not a number where one is singular.

    Args:
        C: matrices (b, m, m).
        right: right sides (b, m, k).

    Returns:
        (b, m, k).
    """
    try:
        return np.linalg.solve(C, right)
    except np.linalg.LinAlgError:
        return np.full(right.shape, np.nan)
