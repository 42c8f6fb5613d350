"""Small networks in NumPy: what does one say at many rows, and how does that depend on weights and rows?

``f(x) = W' u(T) + v'x + b`` with ``u(0) = tanh(K x + k)`` and ``depth`` steps ``u += h tanh(K_i u + k_i)`` of size
``h = 1 / depth``, as `numdl.models.ResNet` takes them with its defaults; without steps it is a single layer. All
weights are one vector:

    K (m, d), k (m,), then K_i (m, m), k_i (m,) of each step; then the head W (m,), v (d,) if there is one, b.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Architecture(NamedTuple):
    """Architecture of a network.

    Attributes:
        d: number of inputs.
        width: number m of features.
        depth: number of steps; 0 for a single layer.
        linear: whether the head sees the inputs too.
    """

    d: int
    width: int
    depth: int = 0
    linear: bool = False

    @property
    def name(self) -> str:
        """The architecture in two words."""
        return f"flow {self.width}x{self.depth}" if self.depth else f"layer {self.width}"

    @property
    def h(self) -> float:
        """Step size."""
        return 1.0 / self.depth if self.depth else 0.0

    @property
    def n_inner(self) -> int:
        """Number of weights below the head."""
        return self.width * (self.d + 1) + self.depth * self.width * (self.width + 1)

    @property
    def n_weights(self) -> int:
        """Number of all weights."""
        return self.n_inner + self.width + self.linear * self.d + 1

    @property
    def groups(self) -> np.ndarray:
        """Which precision holds each weight (n_weights,).

        0 to d - 1 for the columns of K, d for k, d + 1 for all steps, d + 2 for W, d + 3 for v, -1 for b, whose
        precision is 1.
        """
        d, m = self.d, self.width
        opening = np.r_[np.tile(np.arange(d), m), np.full(m, d)]
        steps = np.full(self.n_inner - len(opening), d + 1)
        return np.r_[opening, steps, np.full(m, d + 2), np.full(self.linear * d, d + 3), -1]

    def open(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """K (m, d) and k (m,).

        Args:
            p: weights (n_weights,).

        Returns:
            Views.
        """
        size = self.width * self.d
        return p[:size].reshape(self.width, self.d), p[size : size + self.width]

    def step(self, p: np.ndarray, i: int) -> tuple[slice, np.ndarray, np.ndarray]:
        """Place, K_i (m, m) and k_i (m,) of a step.

        Args:
            p: weights (n_weights,).
            i: which step.

        Returns:
            The place of both, and views.
        """
        m = self.width
        start = m * (self.d + 1) + i * m * (m + 1)
        middle = start + m * m
        return slice(start, middle + m), p[start:middle].reshape(m, m), p[middle : middle + m]


def draw(spec: Architecture, rng: np.random.Generator) -> np.ndarray:
    """Random weights for inputs of mean 0 and variance 1, as `numdl.models.ResNet.init` draws them; the head is 0.

    Args:
        spec: architecture.
        rng: source.

    Returns:
        (n_weights,).
    """
    d, m = spec.d, spec.width
    parts = [rng.standard_normal(m * d) / d**0.5, rng.uniform(-1.0, 1.0, m)]
    scale = min(1.0, 0.5 / spec.h) if spec.depth else 1.0
    for _ in range(spec.depth):
        parts += [rng.standard_normal(m * m) * scale / m**0.5, rng.uniform(-scale, scale, m)]
    return np.concatenate([*parts, np.zeros(spec.n_weights - spec.n_inner)])


def states(spec: Architecture, p: np.ndarray, x: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """States u (depth + 1) and what the tanh gave (depth + 1), the rows as columns: long loops are fast ones.

    Args:
        spec: architecture.
        p: weights (n_weights,).
        x: rows (n, d).

    Returns:
        Two lists of (m, n); the first entries are the same array.
    """
    K, k = spec.open(p)
    u = K @ x.T
    u += k[:, None]
    np.tanh(u, out=u)
    path, bent = [u], [u]
    for i in range(spec.depth):
        _, K, k = spec.step(p, i)
        z = K @ u
        z += k[:, None]
        np.tanh(z, out=z)
        u = u + spec.h * z
        path.append(u)
        bent.append(z)
    return path, bent


def features(spec: Architecture, p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What the head is applied to: ``u(T)``, the inputs if it sees them, and 1.

    Args:
        spec: architecture.
        p: weights (n_weights,).
        x: rows (n, d).

    Returns:
        (n, n_weights - n_inner).
    """
    u = states(spec, p, x)[0][-1]
    one = np.ones((1, len(x)))
    return np.concatenate([u, x.T, one] if spec.linear else [u, one]).T


def predict(spec: Architecture, p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The network at rows.

    Args:
        spec: architecture.
        p: weights (n_weights,).
        x: rows (n, d).

    Returns:
        (n,).
    """
    m, head = spec.width, p[spec.n_inner :]
    value = head[:m] @ states(spec, p, x)[0][-1] + head[-1]
    return value + x @ head[m:-1] if spec.linear else value


def jacobian(spec: Architecture, p: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The network at rows and its derivative by all weights, backwards through the steps.

    Args:
        spec: architecture.
        p: weights (n_weights,).
        x: rows (n, d).

    Returns:
        (n,) and (n, n_weights), the latter in Fortran's order.
    """
    path, bent = states(spec, p, x)
    n, m, head = len(x), spec.width, p[spec.n_inner :]
    J = np.empty((spec.n_weights, n))
    J[spec.n_inner : spec.n_inner + m] = path[-1]
    if spec.linear:
        J[spec.n_inner + m : -1] = x.T
    J[-1] = 1.0
    value = head @ J[spec.n_inner :]
    for place, s, u in _backwards(spec, p, path, bent):
        inputs = x.T if u is None else u
        size = m * len(inputs)
        np.multiply(s[:, None, :], inputs, out=J[place][:size].reshape(m, len(inputs), n))
        J[place][size:] = s
    return value, J.T


def slope(spec: Architecture, p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Derivative of the network by the inputs.

    Args:
        spec: architecture.
        p: weights (n_weights,).
        x: rows (n, d).

    Returns:
        (n, d).
    """
    path, bent = states(spec, p, x)
    *_, (_, s, _) = _backwards(spec, p, path, bent)
    out = s.T @ spec.open(p)[0]
    return out + p[spec.n_inner + spec.width : -1] if spec.linear else out


def _backwards(
    spec: Architecture, p: np.ndarray, path: list[np.ndarray], bent: list[np.ndarray]
) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
    """Through the layers from the last to the first.

    Yields:
        Place of its weights, derivative by what its tanh is given (m, n), its input; None for the rows.
    """
    m, start = spec.width, spec.n_inner
    back = np.broadcast_to(p[start : start + m, None], path[0].shape)
    for i in reversed(range(spec.depth)):
        place, K, _ = spec.step(p, i)
        s = (spec.h * back) * (1 - bent[i + 1] ** 2)
        yield place, s, path[i]
        back = back + K.T @ s
    yield slice(0, m * (spec.d + 1)), back * (1 - bent[0] ** 2), None
