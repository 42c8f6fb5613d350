"""Feature scaling: how are columns of any unit and any tail brought to a size a network can work with, and back?

Plain columns are standardised, ``z = (x - mean) / std``. A column with an entry beyond ``|z| = 8`` is heavy-tailed: its
mean and deviation say little about most of its values. It is centred at the median, divided by the interquartile range
and squashed smoothly into (-3, 3): ``y = z / sqrt(1 + (z / 3)^2)``. If its quartiles agree (counts, rare events) it has
no interquartile range, and what tells its rows apart is whether something happened rather than how much: it is put on
a logarithmic scale, ``y = 2/3 asinh(10 (x - median) / mean distance of the other entries)``; a typical event is at 2.
A column that is constant in the rows of the fit tells nothing about its slope: whatever comes later is mapped to 0.

Source: Holzmueller, Grinsztajn, Steinwart, Better by default, NeurIPS 2024, sec. 3 (robust scaling and smooth
clipping), there for all columns. The logarithmic scale is ours; asinh is its usual form for values that may be zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from numdl import checks

HEAVY = 8.0
"""Largest standardised value, no unit, of a column that counts as plain."""

LIMIT = 3.0
"""Bound of squashed values, no unit."""

FINENESS = 10.0
"""Typical event over the unit of the logarithmic scale, no unit: below a tenth of it the scale is linear."""

STRETCH = 2 / 3
"""Factor on the logarithmic scale, no unit; brings a typical event, ``asinh(10) = 3.0``, to 2."""

_HUGE = 1e300

FLAT = float(np.finfo(np.float64).max)
"""Scale of a constant column: finite, as files and exports need it; a quotient by it is 0 for practical ends."""


class Scaler(NamedTuple):
    """The affine map and squash of each column, fitted on training rows by `Scaler.fit`.

    Attributes:
        center: mean, or median where squashed or logarithmic (d,), units of the column.
        scale: standard deviation, or interquartile range where squashed, or unit of the logarithm (d,), units of the
            column; ``FLAT`` if constant.
        squash: which columns are squashed (d,).
        logarithmic: which columns are on a logarithmic scale (d,).
    """

    center: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    squash: Bool[np.ndarray, " d"]
    logarithmic: Bool[np.ndarray, " d"]

    @property
    def flat(self) -> Bool[np.ndarray, " d"]:
        """Which columns were constant (d,)."""
        return self.scale >= FLAT

    @property
    def spread(self) -> Float[np.ndarray, " d"]:
        """The scale, 1 for columns that were constant (d,), units of the column."""
        return np.where(self.flat, 1.0, self.scale)

    @staticmethod
    def fit(x: ArrayLike, weights: ArrayLike | None = None, *, tails: str = "none") -> Scaler:
        """Measure centre and spread of each column.

        Args:
            x: training rows (n, d), finite, up to the largest float64.
            weights: how often each row counts (n,), not negative; rows of weight 0 count as absent.
            tails: "auto" squashes heavy-tailed columns or takes their logarithm, "none" standardises all (for targets).

        Returns:
            The scaler.

        Raises:
            ValueError: ``x`` is not a finite matrix with a row, or the weights are not finite, negative or all 0.
        """
        call = "Scaler.fit"
        if tails not in {"none", "auto"}:
            raise ValueError(f"{call}(tails={tails!r}): give 'none' or 'auto'.")
        x = finite_matrix(call, x)
        given, share = _rows(call, x, weights)
        # Each column is measured in units of the power of two next to its largest entry: no square overflows or
        # vanishes, and nothing is rounded.
        unit = np.ldexp(1.0, np.frexp(np.abs(given).max(axis=0))[1] - 1)
        rows = given / unit
        mean = share @ rows
        rows -= mean  # in place from here on: with a million rows every copy counts
        std = np.sqrt(np.einsum("n,nd,nd->d", share, rows, rows))
        flat = std <= 8 * np.finfo(np.float64).eps
        std[flat] = 1.0
        heavy, logarithmic = np.zeros(x.shape[1], dtype=bool), np.zeros(x.shape[1], dtype=bool)
        if tails == "auto":
            heavy = ~flat & (np.maximum(rows.max(axis=0), -rows.min(axis=0)) > HEAVY * std)
        center, spread = mean, std
        if heavy.any():
            center[heavy], spread[heavy], logarithmic[heavy] = _robust(given[:, heavy] / unit[heavy], share)
        scale = np.where(flat, FLAT, spread * unit)
        scale[scale == 0] = FLAT  # a spread below the smallest float64
        return Scaler(np.where(flat, given[0], center * unit), scale, heavy & ~logarithmic, logarithmic)

    def transform(self, x: ArrayLike) -> Float[np.ndarray, "n d"]:
        """Scale rows.

        Args:
            x: rows (n, d), finite.

        Returns:
            Scaled rows (n, d), no unit, finite; 0 in columns that were constant.

        Raises:
            ValueError: ``x`` is not a finite matrix with d columns.
        """
        return self.scaled(self._checked("Scaler.transform", x))

    def scaled(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """``transform`` of rows that have been checked.

        Args:
            x: rows (n, d), finite, float64.

        Returns:
            Scaled rows (n, d).
        """
        with np.errstate(over="ignore"):
            # Halves, because the difference of two values near the largest float64 overflows and its half does not.
            z = 0.5 * x
            z -= 0.5 * self.center
            z /= 0.5 * self.scale
        np.clip(z, -_HUGE, _HUGE, out=z)
        z[:, self.flat] = 0.0
        tails = z[:, self.squash]
        z[:, self.squash] = tails / np.hypot(1.0, tails / LIMIT)
        z[:, self.logarithmic] = STRETCH * np.arcsinh(z[:, self.logarithmic])
        return z

    def derivative(self, x: ArrayLike) -> Float[np.ndarray, "n d"]:
        """Derivative of ``transform`` by each entry.

        Args:
            x: rows (n, d), finite.

        Returns:
            (n, d), one over the units of the columns; 0 in columns that were constant.

        Raises:
            ValueError: ``x`` is not a finite matrix with d columns.
        """
        z = (self._checked("Scaler.derivative", x) - self.center) / self.scale
        slope = np.where(self.squash, (1 + (z / LIMIT) ** 2) ** -1.5, 1.0)
        return np.where(self.flat, 0.0, np.where(self.logarithmic, STRETCH / np.sqrt(1 + z**2), slope) / self.scale)

    def inverse(self, z: ArrayLike) -> Float[np.ndarray, "n d"]:
        """Values in the units of the training rows.

        Args:
            z: scaled rows (n, d), within [-3, 3] where squashed. The ends of this interval, which `transform` reaches
                only by rounding, give the largest value that can be told from them.

        Returns:
            Rows (n, d), units of the columns.

        Raises:
            ValueError: ``z`` is not a finite matrix with d columns, or is beyond 3 in a squashed column.
        """
        call = "Scaler.inverse"
        z = self._checked(call, z)
        beyond = self.squash & (np.abs(z) > LIMIT)
        if beyond.any():
            row, column = np.argwhere(beyond)[0]
            raise ValueError(
                f"{call}: column {column}, row {row + 1} holds {z[row, column]:.6g}, but squashed columns end at "
                f"{LIMIT:g}; give values made by transform, or fit with tails='none'."
            )
        inner = np.where(self.squash, z, 0.0) / LIMIT
        inner = np.clip(inner, -np.nextafter(1.0, 0.0), np.nextafter(1.0, 0.0))
        z = np.where(self.squash, LIMIT * inner / np.sqrt((1 - inner) * (1 + inner)), z)
        most = STRETCH * np.arcsinh(_HUGE)
        beyond = self.logarithmic & (np.abs(z) > most)
        if beyond.any():
            row, column = np.argwhere(beyond)[0]
            raise ValueError(
                f"{call}: column {column}, row {row + 1} holds {z[row, column]:.6g}, but logarithmic columns end at "
                f"{most:.3g}; give values made by transform, or fit with tails='none'."
            )
        z[:, self.logarithmic] = np.sinh(z[:, self.logarithmic] / STRETCH)
        return self.center + z * np.where(self.flat, 0.0, self.scale)

    def _checked(self, call: str, x: ArrayLike) -> np.ndarray:
        x = finite_matrix(call, x)
        if x.shape[1] != len(self.center):
            raise ValueError(
                f"{call}: got {x.shape[1]} columns; give the {len(self.center)} columns of the training rows."
            )
        return x


def finite_matrix(call: str, x: ArrayLike) -> Float[np.ndarray, "n d"]:
    """Refuse what is not a finite matrix with at least one row.

    Args:
        call: the call to name in an error.
        x: anything numpy understands.

    Returns:
        float64 (n, d).

    Raises:
        ValueError: names the shape seen, or the first column (from 0) and row (from 1) that is not finite.
    """
    matrix = np.asarray(checks.finite(call, "x", x, ("n", "d")), np.float64)
    if not len(matrix):
        raise ValueError(f"{call}: x has shape {matrix.shape}; give a matrix (n, d) with n >= 1 rows.")
    return matrix


def _rows(call: str, x: np.ndarray, weights: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    if weights is None:
        return x, np.full(len(x), 1.0 / len(x))
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (len(x),) or not np.isfinite(w).all() or (w < 0).any() or not (w > 0).any():
        raise ValueError(
            f"{call}: weights have shape {w.shape} and must be {len(x)} finite numbers, none negative, not all zero; "
            "give one weight for each row."
        )
    w = w / w.max()
    return x[w > 0], w[w > 0] / w.sum()


def _robust(rows: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median, spread, and which columns have quartiles that agree."""
    weights = {"weights": share, "method": "inverted_cdf"}
    low, center, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0, **weights)
    distance = np.abs(rows - center)
    event = (share @ distance) / (share @ (distance > 0))  # no column is constant
    agree = low == high
    return center, np.where(agree, event / FINENESS, high - low), agree
