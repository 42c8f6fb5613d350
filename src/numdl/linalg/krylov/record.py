"""Results and stopping of Krylov methods: what do the Krylov methods for least squares return, and when do they end?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from numdl.contracts import Status

Stop = Callable[[Mapping[str, list[float]]], Status | None]
"""Rule that ends an iteration: history so far -> why to stop, or None to go on."""


class KrylovResult(NamedTuple):
    """Where an iteration ended and how it came there.

    Attributes:
        x: last iterate, (n,).
        status: ``converged``, ``max_iter``, ``stalled``, ``failed``, or what the rule said.
        history: ``residual`` ``||b - A x_k||``, ``solution`` ``||x_k||`` and ``normal`` ``||A' (b - A x_k) - shift
            x_k||`` for k = 0, ..., iterations, each (iterations + 1,).
        iterates: ``x_k`` in rows, (iterations + 1, n), if they were kept.
    """

    x: Float[np.ndarray, " n"]
    status: Status
    history: dict[str, np.ndarray]
    iterates: Float[np.ndarray, "k n"] | None


class Record:
    """History of a running iteration: what rules see, and what the result is made of."""

    def __init__(self, call: str, max_iter: int, tol: float, stop: Stop | None, keep_iterates: bool) -> None:
        if max_iter < 0:
            raise ValueError(f"{call}(max_iter={max_iter}): needs max_iter >= 0. Give the number of iterations.")
        if not 0.0 <= tol < 1.0:
            raise ValueError(f"{call}(tol={tol}): needs 0 <= tol < 1. Use 0 to leave the end to the rule.")
        self.max_iter, self.tol, self.stop = max_iter, tol, stop
        self.history: dict[str, list[float]] = {"residual": [], "solution": [], "normal": []}
        self.iterates: list[np.ndarray] | None = [] if keep_iterates else None

    def add(self, x: np.ndarray, residual: float, normal: float) -> Status | None:
        """Note an iterate; why to stop, or None."""
        for name, value in (("residual", residual), ("solution", np.linalg.norm(x)), ("normal", normal)):
            self.history[name].append(float(value))
        if self.iterates is not None:
            self.iterates.append(x)
        k, first = len(self.history["normal"]) - 1, self.history["normal"][0]
        if not np.isfinite(residual + normal):
            return Status("failed", f"A product at iteration {k} is not finite. Check A, or scale it.")
        if normal <= self.tol * first:
            return Status("converged", f"The gradient fell to {self.tol:g} of its first size in {k} iterations.")
        ruled = self.stop(self.history) if self.stop is not None else None
        if ruled is None and k >= self.max_iter:
            return Status(
                "max_iter", f"Stopped after {k} iterations, gradient at {normal / first:.2g} of its first size."
            )
        return ruled

    def result(self, x: np.ndarray, status: Status) -> KrylovResult:
        """Everything as arrays."""
        history = {name: np.array(values) for name, values in self.history.items()}
        return KrylovResult(x, status, history, None if self.iterates is None else np.stack(self.iterates))
