"""Results and stopping of Krylov methods: what do the Krylov methods for least squares return, and when do they end?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from numdl import checks
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


def length(v: np.ndarray) -> float:
    """Euclidean norm without underflow or overflow of squares."""
    largest = float(np.max(np.abs(v), initial=0.0))
    return largest * float(np.linalg.norm(v / largest)) if 0.0 < largest < np.inf else largest


def exponent(value: float) -> int:
    """The power of two just above a size; 0 for zero and for what is not finite."""
    return int(np.frexp(value)[1]) if 0.0 < value < np.inf else 0


class Record:
    """History of a running iteration: what rules see, and what the result is made of.

    ``units`` are exponents of two of the data and of A: an iteration hands over what it computes in these units.
    """

    def __init__(self, call: str, max_iter: int, tol: float, stop: Stop | None, keep_iterates: bool) -> None:
        checks.whole(call, "max_iter", max_iter, least=0)
        checks.number(call, "tol", tol, least=0, below=1, hint="Use 0 to leave the end to the rule.")
        if stop is not None:
            checks.function(call, "stop", stop, "history -> Status or None")
        self.max_iter, self.tol, self.stop = max_iter, tol, stop
        self.history: dict[str, list[float]] = {"residual": [], "solution": [], "normal": []}
        self.iterates: list[np.ndarray] | None = [] if keep_iterates else None
        self.units, self.first = (0, 0), 0.0

    def add(self, x: np.ndarray, residual: float, normal: float) -> Status | None:
        """Note an iterate; why to stop, or None."""
        data, size = self.units
        units = {"residual": (residual, data), "solution": (length(x), data - size), "normal": (normal, data + size)}
        for name, (value, unit) in units.items():
            self.history[name].append(float(np.ldexp(value, unit)))
        if self.iterates is not None:
            self.iterates.append(np.ldexp(x, data - size))
        k = len(self.history["normal"]) - 1
        first = self.first = self.first if k else normal
        if not np.isfinite(residual + normal):
            return Status("failed", f"A product at iteration {k} is not finite. Check A, or scale it.")
        if not np.isfinite(self.history["solution"][-1]):
            return Status("failed", f"The solution at iteration {k} is beyond floating point. Scale A or b.")
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
        x = np.ldexp(x, self.units[0] - self.units[1])
        return KrylovResult(x, status, history, None if self.iterates is None else np.stack(self.iterates))
