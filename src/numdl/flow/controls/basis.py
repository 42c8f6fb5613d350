"""Weights in time by basis functions: splines, Legendre, Chebyshev.

How do few coefficients describe weights over many steps?

``theta(t) = sum_j coeffs_j phi_j(t / T)`` with B-splines or orthogonal polynomials ``phi_j``: the number of weights
does not depend on the number of steps, so the same weights can be marched with more of them.
"""

from __future__ import annotations

import dataclasses
import functools
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow.controls.piecewise import require_coeffs, require_steps

KINDS = ("linear", "cubic", "legendre", "chebyshev")


@dataclasses.dataclass(frozen=True)
class BasisInTime:
    """Weights ``theta(t) = sum_j coeffs_j phi_j``, given to each step at its start, middle and end.

    All schemes known by name look only there; in between a step sees the parabola through the three.

    Attributes:
        nt: number of steps, at least 0.
        n_coeffs: number of functions, at least 1; at least 2 for ``"linear"``, 4 for ``"cubic"``.
        kind: ``"linear"`` or ``"cubic"`` B-splines on equal intervals, ``"legendre"`` or ``"chebyshev"`` polynomials.
        nodes: the nt + 1 times of the steps as fractions of T, from 0 to 1; None for those of the march: equal steps,
            or as long as it says.

    Source: Guenther, Pazner and Qi, Spline parameterization of neural network controls for deep learning,
    arXiv:2103.00301; de Boor, A practical guide to splines, Springer 2001, chapter IX.
    """

    nt: int
    n_coeffs: int
    kind: str = "cubic"
    nodes: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no basis on these steps.

        Raises:
            ValueError: a number is out of range, the kind is unknown, or the nodes do not increase from 0 to 1.
        """
        require_steps(self)
        checks.choice("BasisInTime", "kind", self.kind, KINDS)
        least = {"linear": 2, "cubic": 4}.get(self.kind, 1)
        checks.whole(f"BasisInTime[{self.kind}]", "n_coeffs", self.n_coeffs, least=least)
        if self.nodes is not None:
            times = checks.finite("BasisInTime", "nodes", self.nodes, ("nt + 1",))
            if times.shape != (self.nt + 1,) or np.any(np.diff(times) <= 0) or times[0] != 0 or times[-1] != 1:
                raise ValueError(
                    f"BasisInTime(nodes of shape {times.shape}): needs {self.nt + 1} increasing numbers from 0 to 1."
                )

    def cells(self, coeffs: PyTree) -> PyTree:
        """Weights at the start, in the middle and at the end of each step.

        Args:
            coeffs: leaves (n_coeffs, ...).

        Returns:
            Three pytrees, leaves (nt, ...).

        Raises:
            ValueError: a leaf has another leading axis.
        """
        return self._cells(coeffs, _values(self.nt, self.n_coeffs, self.kind, self.nodes))

    def cells_at(self, coeffs: PyTree, h: Any) -> PyTree:
        """The same for steps of these sizes, unless ``nodes`` says where they are.

        Args:
            coeffs: leaves (n_coeffs, ...).
            h: sizes of the steps, (nt,), in any unit, may be learned; one number for equal steps.

        Returns:
            Three pytrees, leaves (nt, ...).

        Raises:
            ValueError: a leaf has another leading axis.
        """
        if self.nodes is not None or not self.nt or jnp.shape(h) != (self.nt,):
            return self.cells(coeffs)  # who marches refuses sizes of another shape
        return self._cells(coeffs, _values_at(jnp.asarray(h), self.n_coeffs, self.kind))

    def _cells(self, coeffs: PyTree, values: Any) -> PyTree:
        """Starts, middles and ends from all functions there, (2 nt + 1, n_coeffs)."""
        require_coeffs(self, coeffs, "cells")

        def at(part: slice) -> PyTree:
            return jax.tree.map(
                lambda leaf: jnp.tensordot(jnp.asarray(values[part], jnp.asarray(leaf).dtype), leaf, axes=1), coeffs
            )

        return at(slice(0, -1, 2)), at(slice(1, None, 2)), at(slice(2, None, 2))

    def at(self, cell: PyTree, c: Any) -> PyTree:
        """Weights at the fraction c of a step, on the parabola through start, middle and end.

        Args:
            cell: one entry of ``cells``.
            c: fraction of the step, in [0, 1].

        Returns:
            Weights of one layer.
        """
        weights = ((1 - c) * (1 - 2 * c), 4 * c * (1 - c), c * (2 * c - 1))
        return jax.tree.map(lambda *three: sum(w * leaf for w, leaf in zip(weights, three, strict=True)), *cell)

    def refine(self, coeffs: PyTree) -> PyTree:
        """The same function of time on 2 nt steps: the same coefficients.

        Args:
            coeffs: leaves (n_coeffs, ...).

        Returns:
            The same pytree, the coefficients of ``refined()``.

        Raises:
            ValueError: a leaf has another leading axis.
        """
        require_coeffs(self, coeffs, "refine")
        return coeffs

    def refined(self) -> BasisInTime:
        """The control with 2 nt steps, each halved."""
        nodes = self.nodes
        if nodes is not None:
            halved = np.interp(np.arange(2 * self.nt + 1) / 2, np.arange(self.nt + 1), nodes)
            nodes = tuple(float(node) for node in halved)
        return dataclasses.replace(self, nt=2 * self.nt, nodes=nodes)


@functools.lru_cache(maxsize=64)
def _values(nt: int, count: int, kind: str, nodes: tuple[float, ...] | None) -> Float[np.ndarray, "times count"]:
    """All functions at the starts, middles and ends of steps that are known before any work, (2 nt + 1, count)."""
    ends = np.linspace(0.0, 1.0, nt + 1) if nodes is None else np.asarray(nodes)
    return np.stack(_functions(np.interp(np.arange(2 * nt + 1) / 2, np.arange(nt + 1), ends), count, kind), axis=1)


def _values_at(sizes: Float[Array, " nt"], count: int, kind: str) -> Float[Array, "times count"]:
    """The same for steps of these sizes, which may be traced and differentiated."""
    ends = jnp.cumsum(sizes)
    ends = jnp.concatenate([jnp.zeros_like(ends[:1]), ends]) / ends[-1]
    middles = (ends[:-1] + ends[1:]) / 2
    times = jnp.concatenate([jnp.stack([ends[:-1], middles], axis=1).reshape(-1), ends[-1:]])
    return jnp.stack(_functions(times, count, kind), axis=1)


def _functions(t: Any, count: int, kind: str) -> list[Any]:
    """All functions at times t in [0, 1], arrays of NumPy or JAX, by the recurrences of de Boor and of three terms."""
    if kind in ("legendre", "chebyshev"):
        x = 2 * t - 1
        found = [0 * x + 1, x]
        for k in range(1, count - 1):
            a, b = ((2 * k + 1) / (k + 1), k / (k + 1)) if kind == "legendre" else (2, 1)
            found.append(a * x * found[-1] - b * found[-2])
        return found[:count]
    degree = 1 if kind == "linear" else 3
    knots = [0.0] * degree + np.linspace(0.0, 1.0, count - degree + 1).tolist() + [1.0] * degree
    # The last interval that is not empty owns its end: at t = 1 the functions still add up to one.
    found = [
        ((left <= t) & ((t < right) | (right == 1.0))) * (0 * t + (left < right)) for left, right in pairwise(knots)
    ]
    for k in range(1, degree + 1):
        rising = [_ratio(t - a, b - a) for a, b in zip(knots, knots[k:], strict=False)]
        found = [
            rise * low + (knots[i + k + 1] > knots[i + 1]) * (1 - after) * high
            for i, (rise, after, low, high) in enumerate(zip(rising, rising[1:], found, found[1:], strict=False))
        ]
    return found


def _ratio(above: Any, below: float) -> Any:
    """Their quotient, 0 on an empty interval."""
    return above / below if below else 0 * above
