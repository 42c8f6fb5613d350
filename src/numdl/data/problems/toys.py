"""Toy data sets for classification and regression.

Which two-dimensional problems can be drawn, understood at a glance and still be hard to learn?

Every generator returns a `Dataset` with inputs ``x1, x2``; classes are one-hot in ``c`` and numbers in ``labels``.
``noise`` is the standard deviation of Gaussian errors: added to the target in regression, to both inputs in
classification (after the class is known, so that classes overlap). `TOYS` lists these and the simulators by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from numdl.data.problems import simulators
from numdl.data.problems.simulators import Seed
from numdl.data.table.dataset import Dataset

_NAMES = ("x1", "x2")


def peaks(x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    """The function of MATLAB's ``peaks``: a sum of three humps and hollows.

    ``3 (1-x)^2 exp(-x^2-(y+1)^2) - 10 (x/5 - x^3 - y^5) exp(-x^2-y^2) - 1/3 exp(-(x+1)^2-y^2)``

    Args:
        x: first coordinate, any shape.
        y: second coordinate, same shape.

    Returns:
        Values, same shape, between about -6.55 and 8.11.

    Source: MathWorks, MATLAB documentation of ``peaks``.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    south = 3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
    middle = 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
    return np.asarray(south - middle - np.exp(-((x + 1) ** 2) - y**2) / 3)


def peaks_regression(n: int, random_state: Seed = None, noise: float = 0.0) -> Dataset:
    """Values of `peaks` at points uniform in [-3, 3]^2.

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of errors added to the values.

    Returns:
        2 inputs, 1 target.
    """
    rng = _start("peaks_regression", n, noise, random_state)
    x = rng.uniform(-3, 3, size=(n, 2))
    c = peaks(x[:, 0], x[:, 1]) + noise * rng.standard_normal(n)
    return Dataset(x, c[:, None], _NAMES)


def peaks_classes(n: int, random_state: Seed = None, noise: float = 0.0, classes: int = 5) -> Dataset:
    """Bands between level sets of `peaks`, each with the same probability for points uniform in [-3, 3]^2.

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of errors added to the points after their class is known.
        classes: number of bands, at least 2.

    Returns:
        2 inputs, one-hot classes from the lowest band to the highest.

    Raises:
        ValueError: fewer than 2 classes, no sample, or a negative noise.
    """
    rng = _start("peaks_classes", n, noise, random_state)
    if classes < 2:
        raise ValueError(f"peaks_classes(classes={classes}): give at least 2 classes.")
    x = rng.uniform(-3, 3, size=(n, 2))
    labels = np.searchsorted(_levels(classes), peaks(x[:, 0], x[:, 1]))
    return _classified(x, labels, classes, noise, rng)


def swiss_roll(n: int, random_state: Seed = None, noise: float = 0.0) -> Dataset:
    """Two intertwined spirals ``r (cos 4 pi t, sin 4 pi t)`` with ``r = t`` and ``r = t + 0.2``, for even t in [0, 1].

    Args:
        n: number of samples of each class (2 n in all), at least 1.
        random_state: seed or generator; matters only with noise.
        noise: standard deviation of errors added to the points.

    Returns:
        2 inputs (2n, 2), one-hot classes (2n, 2) in turn: row 2 i and row 2 i + 1 have the same t.

    Source: Haber, Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 5.
    """
    rng = _start("swiss_roll", n, noise, random_state)
    t = np.repeat(np.linspace(0, 1, n), 2)
    labels = np.tile([0, 1], n)
    return _classified(_polar(t + 0.2 * labels, 4 * np.pi * t), labels, 2, noise, rng)


def spirals(n: int, random_state: Seed = None, noise: float = 0.0, classes: int = 3, turns: float = 0.75) -> Dataset:
    """Arms ``t (cos a, sin a)`` with ``a = 2 pi (turns t + j / classes)`` for class j, t uniform in [0.1, 1].

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of errors added to the points.
        classes: number of arms, at least 2.
        turns: turns of each arm.

    Returns:
        2 inputs, one-hot classes of sizes as equal as n allows.

    Raises:
        ValueError: fewer than 2 classes, no sample, or a negative noise.
    """
    rng = _start("spirals", n, noise, random_state)
    if classes < 2:
        raise ValueError(f"spirals(classes={classes}): give at least 2 classes.")
    labels = _balanced(n, classes, rng)
    t = rng.uniform(0.1, 1.0, size=n)
    return _classified(_polar(t, 2 * np.pi * (turns * t + labels / classes)), labels, classes, noise, rng)


def ellipses(n: int, random_state: Seed = None, noise: float = 0.0) -> Dataset:
    """A filled ellipse with half axes 1 and 0.4 (class 0) in an elliptic ring of 1.25 to 2 times its size (class 1).

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of errors added to the points.

    Returns:
        2 inputs, one-hot classes of sizes as equal as n allows.
    """
    rng = _start("ellipses", n, noise, random_state)
    labels = _balanced(n, 2, rng)
    r = np.where(labels == 0, _disc_radius(rng, n, 0.0, 1.0), _disc_radius(rng, n, 1.25, 2.0))
    x = _polar(r, rng.uniform(0, 2 * np.pi, n)) * np.array([1.0, 0.4])
    return _classified(x, labels, 2, noise, rng)


def double_circles(n: int, random_state: Seed = None, noise: float = 0.0, factor: float = 0.5) -> Dataset:
    """Two concentric circles with radii 1 (class 0) and ``factor`` (class 1).

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of errors added to the points.
        factor: inner radius, between 0 and 1.

    Returns:
        2 inputs, one-hot classes of sizes as equal as n allows.
    """
    rng = _start("double_circles", n, noise, random_state)
    labels = _balanced(n, 2, rng)
    x = _polar(np.where(labels == 0, 1.0, factor), rng.uniform(0, 2 * np.pi, n))
    return _classified(x, labels, 2, noise, rng)


def double_moons(n: int, random_state: Seed = None, noise: float = 0.0) -> Dataset:
    """Two half circles that reach into each other: ``(cos a, sin a)`` and ``(1 - cos a, 1/2 - sin a)``, a in [0, pi].

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of errors added to the points.

    Returns:
        2 inputs, one-hot classes of sizes as equal as n allows.
    """
    rng = _start("double_moons", n, noise, random_state)
    labels = _balanced(n, 2, rng)
    arc = _polar(np.ones(n), rng.uniform(0, np.pi, n))
    x = np.where(labels[:, None] == 0, arc, np.array([1.0, 0.5]) - arc)
    return _classified(x, labels, 2, noise, rng)


def donuts(n: int, random_state: Seed = None, noise: float = 0.0) -> Dataset:
    """Two rings side by side, radii 0.7 to 1 around (-1, 0) and (1, 0) (class 0), and discs in their holes (class 1).

    The discs have radius 0.5: each class has two parts, and one surrounds the other.

    Args:
        n: number of samples, at least 1.
        random_state: seed or generator.
        noise: standard deviation of errors added to the points.

    Returns:
        2 inputs, one-hot classes of sizes as equal as n allows.
    """
    rng = _start("donuts", n, noise, random_state)
    labels = _balanced(n, 2, rng)
    r = np.where(labels == 0, _disc_radius(rng, n, 0.7, 1.0), _disc_radius(rng, n, 0.0, 0.5))
    x = _polar(r, rng.uniform(0, 2 * np.pi, n))
    x[:, 0] += rng.choice([-1.0, 1.0], size=n)
    return _classified(x, labels, 2, noise, rng)


TOYS: Mapping[str, Callable[..., Dataset]] = MappingProxyType(
    {
        generator.__name__.replace("_", "-"): generator
        for generator in (
            peaks_regression,
            peaks_classes,
            swiss_roll,
            spirals,
            ellipses,
            double_circles,
            double_moons,
            donuts,
            simulators.borehole,
            simulators.otl_circuit,
            simulators.wing_weight,
            simulators.piston,
            simulators.friedman1,
        )
    }
)
"""Generators by name (``peaks-regression``, ``swiss-roll``, ...), called as ``TOYS[name](n, random_state, noise)``."""


def _start(call: str, n: int, noise: float, random_state: Seed) -> np.random.Generator:
    simulators.check_request(call, n, noise)
    return np.random.default_rng(random_state)


def _balanced(n: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(np.arange(n) % classes)


def _polar(r: np.ndarray, angle: np.ndarray) -> Float[np.ndarray, "n 2"]:
    return np.column_stack([r * np.cos(angle), r * np.sin(angle)])


def _disc_radius(rng: np.random.Generator, n: int, inner: float, outer: float) -> np.ndarray:
    # uniform in area, hence uniform in r^2
    return np.sqrt(rng.uniform(inner**2, outer**2, size=n))


def _classified(x: np.ndarray, labels: np.ndarray, classes: int, noise: float, rng: np.random.Generator) -> Dataset:
    return Dataset(x + noise * rng.standard_normal(x.shape), np.eye(classes)[labels], _NAMES)


@functools.cache
def _levels(classes: int) -> np.ndarray:
    # quantiles over a fixed grid, not over the sample: the classes do not depend on n or the seed
    grid = -3 + 6 * (np.arange(600) + 0.5) / 600
    return np.quantile(peaks(grid[:, None], grid[None, :]), np.arange(1, classes) / classes)
