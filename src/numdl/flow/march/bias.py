"""Bias of inexact layer-parallel gradients.

How wrong is a gradient from few cycles, and how many cycles keep it good enough?

Cycles converge linearly: with ``d_k = ||g_{k+1} - g_k||`` between the gradients of k and k + 1 cycles, and the factor
``q`` by which a cycle lessens it, g_{k+1} is off by about ``d_k q / (1 - q)``. The number of cycles grows until that is
below a share of the gradient, and shrinks again where it is far below: near a minimum, where the gradient is small,
cycles are many; at the start of a training, one or two do.

Cost: one evaluation with k and one with k + 1 cycles; each number of cycles is compiled once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from numdl import checks
from numdl.contracts import PyTree
from numdl.flow.march.layer_parallel import LayerParallel

UNKNOWN_FACTOR = 0.5
"""Factor of a cycle before two differences are known."""
FAR_BELOW = 0.01
"""Share of the allowed bias below which a cycle less is tried."""


class BiasedGradient(NamedTuple):
    """What few cycles gave.

    Attributes:
        value: objective.
        gradient: its gradient, the structure of p.
        bias: estimated norm of the gradient's error.
        cycles: cycles it comes from.
        spent: cycles of all evaluations of this call.
    """

    value: float
    gradient: PyTree
    bias: float
    cycles: int
    spent: int


class BiasControl:
    """Gradients by as many cycles as a share of bias allows; remembers their number from call to call.

    Args:
        objective: ``objective(p, march, *data) -> value``; hands march to whatever marches.
        march: layer-parallel march whose number of cycles is chosen here.
        share: bias allowed, as a share of the gradient's norm, in (0, 1).
        most: cycles at most.

    Raises:
        ValueError: the share is out of range, most is below 2, or the march is another one.
    """

    def __init__(
        self, objective: Callable[..., Any], march: LayerParallel | None = None, share: float = 0.01, most: int = 20
    ) -> None:
        checks.function("BiasControl", "objective", objective, "a solver's objective with march=")
        checks.number("BiasControl", "share", share, above=0, below=1, hint="Use 0.01.")
        checks.whole("BiasControl", "most", most, least=2)
        if not isinstance(march, LayerParallel | None):
            raise ValueError(
                f"BiasControl(march={march!r}): has no cycles to choose, needs a LayerParallel. Use "
                "LayerParallel(), or None for it."
            )
        self.share, self.most, self.cycles, self.factor = share, most, 1, UNKNOWN_FACTOR
        self._march = LayerParallel() if march is None else march
        self._objective = objective
        self._compiled: dict[int, Callable[..., Any]] = {}

    def __call__(self, p: PyTree, *data: Any) -> BiasedGradient:
        """Value and gradient at p.

        Args:
            p: point.
            *data: handed on to the objective.

        Returns:
            Gradient with its estimated bias, at most ``share`` of its norm unless ``most`` cycles did not do.
        """
        k, before = self.cycles, None
        old = ravel_pytree(self.inexact(k, p, *data)[1])[0]
        spent = k
        while True:
            value, gradient = self.inexact(k + 1, p, *data)
            new = ravel_pytree(gradient)[0]
            spent += k + 1
            difference = float(jnp.linalg.norm(new - old))
            if before:
                self.factor = min(max(difference / before, 1e-3), 0.9)
            bias, allowed = difference * self.factor / (1 - self.factor), self.share * float(jnp.linalg.norm(new))
            if bias <= allowed or k + 1 >= self.most:
                self.cycles = max(1, k - 1) if bias <= FAR_BELOW * allowed else k
                return BiasedGradient(float(value), gradient, bias, k + 1, spent)
            k, old, before = k + 1, new, difference

    def inexact(self, cycles: int, p: PyTree, *data: Any) -> tuple[Array, PyTree]:
        """Value and gradient by so many cycles; what this object has compiled serves for it.

        Args:
            cycles: at least 1.
            p: point.
            *data: handed on to the objective.

        Returns:
            Value, and gradient with the structure of p.

        Raises:
            ValueError: there is no cycle.
        """
        checks.whole("BiasControl.inexact", "cycles", cycles, least=1)
        if cycles not in self._compiled:
            march = dataclasses.replace(self._march, cycles=cycles)
            self._compiled[cycles] = jax.jit(jax.value_and_grad(lambda p, *data: self._objective(p, march, *data)))
        return self._compiled[cycles](p, *data)
