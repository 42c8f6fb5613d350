"""How do few coefficients describe weights over many steps?

``theta(t) = sum_j coeffs_j phi_j(t / T)`` with B-splines or orthogonal polynomials ``phi_j``: the number of weights
does not depend on the number of steps, so the same weights can be marched with more of them.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.polynomial import chebyshev, legendre
from scipy.interpolate import BSpline

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
        nodes: the nt + 1 times of the steps as fractions of T, from 0 to 1; None for equal steps.

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
        if self.kind not in KINDS:
            raise ValueError(f"BasisInTime(kind={self.kind!r}): unknown. Use one of {', '.join(KINDS)}.")
        least = {"linear": 2, "cubic": 4}.get(self.kind, 1)
        if self.n_coeffs < least:
            raise ValueError(f"BasisInTime(n_coeffs={self.n_coeffs}, kind={self.kind!r}): needs at least {least}.")
        if self.nodes is not None:
            times = np.asarray(self.nodes, float)
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
        require_coeffs(self, coeffs, "cells")
        values = _values(self.nt, self.n_coeffs, self.kind, self.nodes)

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
    """All functions at the starts, middles and ends of the steps, (2 nt + 1, count)."""
    ends = np.linspace(0.0, 1.0, nt + 1) if nodes is None else np.asarray(nodes)
    times = np.interp(np.arange(2 * nt + 1) / 2, np.arange(nt + 1), ends)
    if kind in ("legendre", "chebyshev"):
        vander = legendre.legvander if kind == "legendre" else chebyshev.chebvander
        return vander(2 * times - 1, count - 1)
    degree = 1 if kind == "linear" else 3
    knots = np.concatenate([np.zeros(degree), np.linspace(0.0, 1.0, count - degree + 1), np.ones(degree)])
    return BSpline.design_matrix(times, knots, degree).toarray()
