"""Inverse problems with known solutions.

Which linear problems with a known answer punish whoever solves them without regularisation?

Each is ``A x = b`` from a discretised integral, with the exact b of the given x: small errors in b are large errors in
``A^+ b``. Built from their formulas; A is an array or a sparse matrix, and where it is a convolution its kernel comes
with it, for those who work by products.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float
from scipy.linalg import toeplitz

from numdl import checks
from numdl.data.problems.simulators import Seed

ELLIPSES = np.array(
    [
        (1.0, 0.69, 0.92, 0.0, 0.0, 0.0),
        (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0),
        (-0.2, 0.11, 0.31, 0.22, 0.0, -18.0),
        (-0.2, 0.16, 0.41, -0.22, 0.0, 18.0),
        (0.1, 0.21, 0.25, 0.0, 0.35, 0.0),
        (0.1, 0.046, 0.046, 0.0, 0.1, 0.0),
        (0.1, 0.046, 0.046, 0.0, -0.1, 0.0),
        (0.1, 0.046, 0.023, -0.08, -0.605, 0.0),
        (0.1, 0.023, 0.023, 0.0, -0.605, 0.0),
        (0.1, 0.023, 0.046, 0.06, -0.605, 0.0),
    ]
)
"""The head of Shepp and Logan with Toft's contrasts: intensity, half axes, centre, angle in degrees, in [-1, 1]^2."""


class InverseProblem(NamedTuple):
    """A problem with its answer.

    Attributes:
        A: matrix, (n, p): an array, or a sparse matrix.
        b: ``A x``, (n,).
        x: the answer, (p,).
        image: rows and columns of the image that x is, row by row; None for a signal.
        kernel: of the convolution that A is, (m,) or (m, m), with zeros beyond the edge; None for other problems.
    """

    A: Any
    b: Float[np.ndarray, " n"]
    x: Float[np.ndarray, " p"]
    image: tuple[int, int] | None = None
    kernel: np.ndarray | None = None

    def noisy(self, level: float, random_state: Seed = None) -> Float[np.ndarray, " n"]:
        """``b + e`` with independent normal errors of norm ``level ||b||`` in the mean square.

        Args:
            level: relative size of the errors, no unit, not negative.
            random_state: seed or generator.

        Returns:
            Data, (n,); the standard deviation of an entry is ``deviation(level)``.
        """
        return self.b + self.deviation(level) * np.random.default_rng(random_state).standard_normal(len(self.b))

    def deviation(self, level: float) -> float:
        """Standard deviation ``level ||b|| / sqrt(n)`` of an entry of ``noisy(level)``, in the units of b."""
        return level * float(np.linalg.norm(self.b)) / len(self.b) ** 0.5


def deblurring(n: int = 200, width: float = 0.025) -> InverseProblem:
    """A signal with jumps, a ramp and a bump on n points of [0, 1], seen through a Gaussian.

    ``b_i = sum_j k_(i-j) x_j`` with ``k_i`` in proportion to ``exp(-(i h / width)^2 / 2)``, cut at five widths.

    Args:
        n: number of points, at least 8; the distance is ``h = 1 / n``.
        width: standard deviation of the Gaussian, in the unit of the interval, positive.

    Returns:
        A dense, symmetric; the kernel (m,), m odd.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 7.1.
    """
    _require("deblurring", n, 8, width=width)
    kernel = _gaussian(width * n, n)
    t = (np.arange(n) + 0.5) / n
    x = 1.0 * ((t > 0.1) & (t < 0.25)) + np.clip((t - 0.35) / 0.15, 0, 1) * (t < 0.5)
    x = x + 1.5 * np.exp(-(((t - 0.75) / 0.06) ** 2) / 2)
    A = _toeplitz(kernel, n)
    return InverseProblem(A, A @ x, x, kernel=kernel)


def image_deblurring(n: int = 32, width: float = 0.05) -> InverseProblem:
    """The head of Shepp and Logan on n by n pixels, seen through a round Gaussian.

    Args:
        n: pixels each way, at least 8.
        width: standard deviation of the Gaussian, as a part of the image's side, positive.

    Returns:
        A sparse, ``(n^2, n^2)``; the kernel (m, m), m odd.

    Source: Hansen, Nagy, O'Leary, Deblurring Images, SIAM 2006, ch. 3-4.
    """
    _require("image_deblurring", n, 8, width=width)
    line = _gaussian(width * n, n)
    one = sparse.csr_array(_toeplitz(line, n))
    A, x = sparse.csr_array(sparse.kron(one, one)), phantom(n).ravel()
    return InverseProblem(A, A @ x, x, (n, n), np.outer(line, line))


def tomography(n: int = 32, angles: int = 24) -> InverseProblem:
    """Line integrals through the head of Shepp and Logan along parallel beams.

    Entry (i, j) is the length of ray i in pixel j. The side of a pixel is 1, and so is the distance of rays; at each
    angle as many are sent as the diagonal needs.

    Args:
        n: pixels each way, at least 8.
        angles: directions, equidistant in half a turn, at least 1.

    Returns:
        A sparse, (angles x rays, n^2).

    Source: Kak and Slaney, Principles of Computerized Tomographic Imaging, SIAM 2001, sec. 3.1 and 7.1.
    """
    _require("tomography", n, 8)
    checks.whole("tomography", "angles", angles, least=1)
    rays = int(np.ceil(2**0.5 * n)) + 1
    offsets = np.arange(rays) - (rays - 1) / 2
    A: Any = sparse.vstack([_lengths(n, np.pi * i / angles, offsets) for i in range(angles)], format="csr")
    x = phantom(n).ravel()
    return InverseProblem(A, A @ x, x, (n, n))


def phillips(n: int = 200) -> InverseProblem:
    """Phillips's equation on [-6, 6] by the midpoint rule: mildly ill-posed, smooth answer.

    ``K(s, t) = phi(s - t)``, ``x = phi(t)`` with ``phi(t) = 1 + cos(pi t / 3)`` for ``|t| < 3``, else 0.

    Args:
        n: number of points, at least 8.

    Returns:
        A dense, symmetric.

    Source: Phillips, J. ACM 9 (1962) 84-97; Hansen, Discrete Inverse Problems, SIAM 2010, exercise 2.6.
    """
    _require("phillips", n, 8)
    t = 12 * (np.arange(n) + 0.5) / n - 6
    A, x = 12 / n * _hump(t[:, None] - t), _hump(t)
    return InverseProblem(A, A @ x, x)


def shaw(n: int = 100) -> InverseProblem:
    """Light through a slit, on [-pi/2, pi/2] by the midpoint rule: severely ill-posed.

    ``K(s, t) = (cos s + cos t)^2 (sin u / u)^2`` with ``u = pi (sin s + sin t)``, and
    ``x = 2 exp(-6 (t - 0.8)^2) + exp(-2 (t + 0.5)^2)``.

    Args:
        n: number of points, at least 8.

    Returns:
        A dense, symmetric.

    Source: Shaw, J. Math. Anal. Appl. 37 (1972) 83-112; Hansen, Discrete Inverse Problems, SIAM 2010, sec. 3.2.
    """
    _require("shaw", n, 8)
    t = np.pi * (np.arange(n) + 0.5) / n - np.pi / 2
    u = np.sin(t[:, None]) + np.sin(t)  # NumPy's sinc has pi in it
    A = np.pi / n * (np.cos(t[:, None]) + np.cos(t)) ** 2 * np.sinc(u) ** 2
    x = 2 * np.exp(-6 * (t - 0.8) ** 2) + np.exp(-2 * (t + 0.5) ** 2)
    return InverseProblem(A, A @ x, x)


def phantom(n: int, samples: int = 4) -> Float[np.ndarray, "n n"]:
    """The head of Shepp and Logan: sums of the intensities of `ELLIPSES`, means over each pixel, first row on top.

    Args:
        n: pixels each way, at least 1.
        samples: points each way in a pixel, over which the mean is taken.

    Returns:
        Intensities between 0 and 1, (n, n).

    Source: Shepp and Logan, IEEE Trans. Nucl. Sci. 21 (1974) 21-43; Toft, The Radon Transform, DTU 1996, app. B.3.
    """
    m = n * samples
    axis = (2 * np.arange(m) + 1) / m - 1
    x, y = np.meshgrid(axis, -axis)
    picture = np.zeros((m, m))
    for intensity, a, b, x0, y0, degrees in ELLIPSES:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        along, across = c * (x - x0) + s * (y - y0), c * (y - y0) - s * (x - x0)
        picture += intensity * ((along / a) ** 2 + (across / b) ** 2 <= 1)
    return picture.reshape(n, samples, n, samples).mean(axis=(1, 3))


def _gaussian(width: float, n: int) -> Float[np.ndarray, " m"]:
    """Gaussian of standard deviation ``width`` in points, cut at five of them or the size of the grid, sum 1."""
    reach = min(max(int(5 * width), 1), n - 1)
    values = np.exp(-((np.arange(-reach, reach + 1) / width) ** 2) / 2)
    return values / values.sum()


def _toeplitz(kernel: np.ndarray, n: int) -> Float[np.ndarray, "n n"]:
    half = kernel[len(kernel) // 2 :]
    return toeplitz(np.append(half, np.zeros(n - len(half))))


def _hump(t: np.ndarray) -> np.ndarray:
    return np.where(np.abs(t) < 3, 1 + np.cos(np.pi * t / 3), 0.0)


def _lengths(n: int, angle: float, offsets: np.ndarray) -> sparse.coo_array:
    """Length of each ray in each pixel: between neighbouring crossings with the lines of the grid, a ray is in one."""
    lines = np.arange(n + 1) - n / 2
    direction, normal = (np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))
    crossings = [
        (lines - offsets[:, None] * across) / along
        for along, across in zip(direction, normal, strict=True)
        if abs(along) > 1e-12  # a ray along the lines crosses none of them
    ]
    at = np.sort(np.concatenate(crossings, axis=1), axis=1)
    length, middle = np.diff(at, axis=1), (at[:, 1:] + at[:, :-1]) / 2
    # The last floor keeps a ray that runs on a line of the grid on one side of it, whatever the rounding.
    x, y = (
        np.floor(offsets[:, None] * across + middle * along + n / 2 + 1e-9).astype(int)
        for along, across in zip(direction, normal, strict=True)
    )
    ray = np.broadcast_to(np.arange(len(offsets))[:, None], length.shape)
    inside = (x >= 0) & (x < n) & (y >= 0) & (y < n) & (length > 1e-12)
    pixel = (n - 1 - y[inside]) * n + x[inside]  # first row on top
    return sparse.coo_array((length[inside], (ray[inside], pixel)), shape=(len(offsets), n * n))


def _require(call: str, n: int, least: int, **positive: float) -> None:
    for name, value in positive.items():
        checks.number(call, name, value, above=0)
    checks.whole(call, "n", n, least=least, most=100_000)
