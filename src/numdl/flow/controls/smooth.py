"""Smooth weights in time: how does a prior on the coefficients make weights smooth in time?

Weights with the prior precision ``alpha (I + tau^2 D'D)``, D the difference quotient in time, are
``theta = (I + tau^2 D'D)^(-1/2) coeffs`` with coefficients of precision alpha: independent, all alike. Size and
smoothness then are one penalty ``alpha/2 ||coeffs||^2`` of the diagonal kind that the evidence can follow.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow.controls.piecewise import PiecewiseConstant, PiecewiseLinear


@dataclasses.dataclass(frozen=True)
class SmoothInTime:
    """A control whose neighbouring weights are correlated under a prior of independent coefficients.

    The root is scaled so that the mean prior variance of the weights is that of the coefficients.

    Attributes:
        control: turns the smoothed coefficients into weights.
        steps: correlation time tau in steps, ``tau / h``, no unit, not negative; 0 changes nothing.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 4 (the
    penalty); the change of variables is the usual whitening of a Gaussian prior.
    """

    control: PiecewiseConstant | PiecewiseLinear
    steps: float

    def __post_init__(self) -> None:
        """Refuse a correlation time that is none.

        Raises:
            ValueError: steps is negative or not finite.
            TypeError: the control is none of coefficients on steps.
        """
        if not isinstance(self.control, PiecewiseConstant | PiecewiseLinear):
            raise TypeError(
                f"SmoothInTime(control={checks.shown(self.control)}): needs coefficients on steps. Use "
                "PiecewiseConstant(nt) or PiecewiseLinear(nt)."
            )
        checks.number("SmoothInTime", "steps", self.steps, least=0, hint="Use 0 for free weights.")

    @property
    def nt(self) -> int:
        """Number of steps."""
        return self.control.nt

    @property
    def n_coeffs(self) -> int:
        """Length of the leading axis of the coefficients."""
        return self.control.n_coeffs

    def smooth(self, coeffs: PyTree) -> PyTree:
        """Coefficients of the inner control.

        Args:
            coeffs: leaves (n_coeffs, ...).

        Returns:
            The same structure and shapes.
        """
        return self._times(smoothing(self.n_coeffs, self.steps), coeffs)

    def cells(self, coeffs: PyTree) -> PyTree:
        """What each step needs to know, see the inner control."""
        return self.control.cells(self.smooth(coeffs))

    def at(self, cell: PyTree, c: Any) -> PyTree:
        """Weights at the fraction c of a step."""
        return self.control.at(cell, c)

    def refine(self, coeffs: PyTree) -> PyTree:
        """Coefficients of ``refined()`` for the same function of time.

        Args:
            coeffs: leaves (n_coeffs, ...).

        Returns:
            Leaves with the leading axis of ``refined()``.
        """
        finer = self.refined()
        inverse = np.linalg.inv(smoothing(finer.n_coeffs, finer.steps)) if finer.n_coeffs else np.zeros((0, 0))
        return self._times(inverse, self.control.refine(self.smooth(coeffs)))

    def refined(self) -> SmoothInTime:
        """The control with 2 nt steps and the same correlation time."""
        return SmoothInTime(self.control.refined(), 2 * self.steps)

    @staticmethod
    def _times(matrix: np.ndarray, coeffs: PyTree) -> PyTree:
        return jax.tree.map(lambda a: jnp.tensordot(jnp.asarray(matrix, jnp.asarray(a).dtype), a, axes=1), coeffs)


@functools.lru_cache(maxsize=256)
def smoothing(n: int, steps: float) -> Float[np.ndarray, "n n"]:
    """``c (I + steps^2 D'D)^(-1/2)`` with c such that the mean of the squared row norms is 1.

    Args:
        n: number of coefficients.
        steps: correlation time in steps.

    Returns:
        Symmetric positive definite matrix.
    """
    difference = np.diff(np.eye(n), axis=0) if n else np.zeros((0, 0))
    values, vectors = np.linalg.eigh(np.eye(n) + steps**2 * difference.T @ difference)
    scale = np.sqrt(n / np.sum(1 / values)) if n else 1.0
    return (vectors * (scale / np.sqrt(values))) @ vectors.T
