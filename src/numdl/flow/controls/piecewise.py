"""Piecewise constant and linear weights in time: how do the weights depend on time, given finitely many coefficients?

Both controls are frozen and hashable and hold no arrays, so they are static under ``jit``; the coefficients travel
separately, as a pytree whose leaves have a leading axis of length ``n_coeffs``.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from numdl import checks
from numdl.contracts import PyTree


@dataclasses.dataclass(frozen=True)
class PiecewiseConstant:
    """``theta(t) = coeffs[i]`` on step i: what a residual network does.

    Attributes:
        nt: number of steps, at least 0.
    """

    nt: int

    def __post_init__(self) -> None:
        require_steps(self)

    @property
    def n_coeffs(self) -> int:
        """Length of the leading axis of the coefficients: nt."""
        return self.nt

    def cells(self, coeffs: PyTree) -> PyTree:
        """The coefficients themselves, leading axis nt.

        Args:
            coeffs: leaves (nt, ...).

        Returns:
            The same pytree.

        Raises:
            ValueError: a leaf has another leading axis.
        """
        require_coeffs(self, coeffs, "cells")
        return coeffs

    def at(self, cell: PyTree, c: Any) -> PyTree:
        """Weights at the fraction c of a step: the same everywhere.

        Args:
            cell: one entry of ``cells``.
            c: fraction of the step, in [0, 1].

        Returns:
            Weights of one layer.
        """
        return cell

    def refine(self, coeffs: PyTree) -> PyTree:
        """The same function of time on 2 nt steps: each coefficient twice.

        Args:
            coeffs: leaves (nt, ...).

        Returns:
            Leaves (2 nt, ...), the coefficients of ``refined()``.

        Raises:
            ValueError: a leaf has another leading axis.
        """
        require_coeffs(self, coeffs, "refine")
        return jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf), 2, axis=0), coeffs)

    def refined(self) -> PiecewiseConstant:
        """The control with 2 nt steps."""
        return PiecewiseConstant(2 * self.nt)


@dataclasses.dataclass(frozen=True)
class PiecewiseLinear:
    """``theta(t)`` is continuous, and linear on step i from ``coeffs[i]`` at its start to ``coeffs[i+1]`` at its end.

    A scheme that never looks at the end of a step (Euler) leaves the last coefficient without influence on the state.

    Attributes:
        nt: number of steps, at least 0.
    """

    nt: int

    def __post_init__(self) -> None:
        require_steps(self)

    @property
    def n_coeffs(self) -> int:
        """Length of the leading axis of the coefficients: nt + 1."""
        return self.nt + 1

    def cells(self, coeffs: PyTree) -> PyTree:
        """Weights at the start and at the end of each step.

        Args:
            coeffs: leaves (nt + 1, ...).

        Returns:
            Pair of pytrees, leaves (nt, ...).

        Raises:
            ValueError: a leaf has another leading axis.
        """
        require_coeffs(self, coeffs, "cells")
        return jax.tree.map(lambda leaf: leaf[:-1], coeffs), jax.tree.map(lambda leaf: leaf[1:], coeffs)

    def at(self, cell: PyTree, c: Any) -> PyTree:
        """Weights at the fraction c of a step: ``(1 - c) start + c end``.

        Args:
            cell: one entry of ``cells``.
            c: fraction of the step, in [0, 1].

        Returns:
            Weights of one layer.
        """
        start, end = cell
        return jax.tree.map(lambda left, right: (1 - c) * left + c * right, start, end)

    def refine(self, coeffs: PyTree) -> PyTree:
        """The same function of time on 2 nt steps: the nodes, with their means in between.

        Args:
            coeffs: leaves (nt + 1, ...).

        Returns:
            Leaves (2 nt + 1, ...), the coefficients of ``refined()``.

        Raises:
            ValueError: a leaf has another leading axis.
        """
        start, end = self.cells(jax.tree.map(jnp.asarray, coeffs))

        def interleave(left: jax.Array, right: jax.Array) -> jax.Array:
            pairs = jnp.stack([left, (left + right) / 2], axis=1)
            return pairs.reshape(2 * self.nt, *left.shape[1:])

        inner = jax.tree.map(interleave, start, end)
        return jax.tree.map(lambda nodes, leaf: jnp.concatenate([nodes, leaf[-1:]]), inner, coeffs)

    def refined(self) -> PiecewiseLinear:
        """The control with 2 nt steps."""
        return PiecewiseLinear(2 * self.nt)


def require_steps(control: Any) -> None:
    """Refuse a number of steps that is no count.

    Args:
        control: with a number of steps ``nt``.

    Raises:
        ValueError: nt is no whole number, or negative.
    """
    hint = "Use 0 for a network without flow." if control.nt is None or checks.is_number(control.nt) else ""
    checks.whole(type(control).__name__, "nt", control.nt, least=0, hint=hint)


def require_coeffs(control: Any, coeffs: PyTree, call: str) -> None:
    """Refuse coefficients whose leading axis does not belong to this control.

    Args:
        control: with a number of coefficients ``n_coeffs``.
        coeffs: leaves (n_coeffs, ...).
        call: name of the method, for the message.

    Raises:
        ValueError: a leaf has another leading axis, or an entry that is no finite number.
    """
    for path, leaf in jax.tree.leaves_with_path(coeffs):
        shape = jnp.shape(leaf)
        if not shape or shape[0] != control.n_coeffs:
            raise ValueError(
                f"{control}.{call}(coeffs): leaf {jax.tree_util.keystr(path)} has shape {shape}, needs a leading axis "
                f"of {control.n_coeffs}. Build the coefficients with n_coeffs layers, or change nt."
            )
    checks.leaves(f"{control}.{call}", "coeffs", coeffs)
