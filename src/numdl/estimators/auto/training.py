"""Training of a small network by evidence: which weights explain the rows best?

Between steps of Levenberg-Marquardt, `step`, precisions and noise move to where the evidence is larger, `precisions`.
That is not monotone in the evidence: the best of all steps is kept.

The evidence counts the ``m! 2^m`` orders and signs of the units that leave the network as it is, for the number of
units whose head the data determine.

Source: MacKay, A practical Bayesian framework for backpropagation networks, Neural Computation 4, 1992, secs. 2 and 4.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from numdl.estimators.auto.blocks import curvature_at
from numdl.estimators.auto.laplace import Curvature
from numdl.estimators.auto.member import Network, left_out_of
from numdl.estimators.auto.network import Architecture, draw
from numdl.estimators.auto.precisions import Precisions, start
from numdl.estimators.auto.step import Damping, solve_head, step
from numdl.estimators.kernels.evidence import Rows, within

LEAST, MOST, WINDOW = 40, 150, 20
"""Steps at least and at most, and how many must bring nothing for a stop."""


class Point(NamedTuple):
    """Weights with what is known there.

    Attributes:
        weights: (P,).
        precisions: there.
        curvature: there.
        f: the network at the rows (n,).
        determined: numbers of weights by group that the data determine, and what they leave (G + 1,).
        evidence: Laplace log evidence.
    """

    weights: np.ndarray
    precisions: Precisions
    curvature: Curvature
    f: np.ndarray
    determined: np.ndarray
    evidence: float


class Training:
    """A network on its way from one start, which can be followed a few steps at a time.

    Args:
        rows: the data.
        spec: architecture.
        rng: source of the start.
        noise: variance to start with: little noise finds fine structure, much noise finds simple functions.
        gain: factor on the first K; 2 for functions that oscillate.

    Attributes:
        best: where the evidence was largest so far, None where it is nowhere finite.
        seen: evidence of all steps.
        settled: whether nothing more is to be expected.
    """

    def __init__(
        self, rows: Rows, spec: Architecture, rng: np.random.Generator, noise: float = 1e-3, gain: float = 1.0
    ) -> None:
        self.rows, self.spec, self.settled = rows, spec, False
        self.best: Point | None = None
        self.seen: list[float] = []
        self._seconds = 0.0
        weights = draw(spec, rng)
        weights[: spec.width * spec.d] *= gain
        self._damping, self._precisions = Damping(), start(spec, noise)
        with np.errstate(all="ignore"):
            found = solve_head(spec, weights, self._precisions, rows)
        self._weights = None if found is None else found[0]

    def onto(self, rows: Rows) -> None:
        """Go on with other rows, from the best weights so far.

        Args:
            rows: as many or more, scaled alike.
        """
        if self.best is not None:
            self._weights, self._precisions = self.best.weights, self.best.precisions
        self._seconds *= len(rows.y) / len(self.rows.y)
        self.rows, self.settled, self.best, self.seen = rows, False, None, []

    def advance(self, steps: int = MOST, deadline: float | None = None) -> bool:
        """Some steps more.

        Args:
            steps: at most.
            deadline: of ``time.monotonic``; but for the first one no step begins that is not likely to end before it.

        Returns:
            Whether there is more to be done.
        """
        with np.errstate(all="ignore"):  # what overflows is not finite, which is asked for
            for _ in range(min(steps, MOST - len(self.seen))):
                began = time.monotonic()
                if self.seen and deadline is not None and began + self._seconds > deadline:
                    break
                if self._weights is None or not self._step(self._weights):
                    self._weights = None
                    break
                self._seconds = time.monotonic() - began
        return self._weights is not None and not self.settled and len(self.seen) < MOST

    def network(self) -> Network | None:
        """The network of the best evidence so far, None without one."""
        with np.errstate(all="ignore"):
            return None if self.best is None else _finish(self.spec, self.best, self.rows, len(self.seen), self.settled)

    def brief(self) -> Network | None:
        """The same without the densities of left out rows, which take as long as two steps."""
        best = self.best
        root = None if best is None else best.curvature.posterior_root()
        if best is None or root is None:
            return None
        noise, freedom = best.curvature.noise, float(self.rows.w.sum() - best.determined[-1])
        a, steps = best.precisions.each, len(self.seen)
        return Network(self.spec, best.weights, a, noise, root, best.evidence, np.nan, freedom, steps, self.settled)

    def _step(self, weights: np.ndarray) -> bool:
        """Look, and go on from there unless it has settled; whether that was possible."""
        point = look(self.spec, weights, self._precisions, self.rows)
        if point is None:
            return False
        self.seen.append(point.evidence)
        if self.best is None or point.evidence > self.best.evidence:
            self.best = point
        self.settled = settled(self.seen, len(self.rows.y))
        if self.settled:
            return False
        self._precisions = _moved(point, self.rows)
        self._weights, self._damping = step(
            self.spec, point.weights, point.f, point.curvature, self._precisions, self.rows, self._damping
        )
        return True


def train(
    rows: Rows,
    spec: Architecture,
    rng: np.random.Generator,
    deadline: float | None = None,
    *,
    noise: float = 1e-3,
    gain: float = 1.0,
) -> Network | None:
    """A network from one start, as far as it goes.

    Args:
        rows: the data.
        spec: architecture.
        rng: source of the start.
        deadline: of ``time.monotonic``; the best so far is taken then.
        noise: as for `Training`.
        gain: as for `Training`.

    Returns:
        The network of the best evidence, or None where not even one evidence is finite.
    """
    training = Training(rows, spec, rng, noise, gain)
    training.advance(deadline=deadline)
    return training.network()


def settled(seen: list[float], n: int) -> bool:
    """Whether the last steps brought next to nothing.

    Args:
        seen: evidence of all steps.
        n: number of rows.

    Returns:
        The answer.
    """
    return len(seen) >= LEAST and max(seen[-WINDOW:]) - max(seen[:-WINDOW]) < 0.2 + 0.002 * n


def look(spec: Architecture, weights: np.ndarray, precisions: Precisions, rows: Rows) -> Point | None:
    """Evidence and curvature at some weights.

    Args:
        spec: architecture.
        weights: (P,).
        precisions: there.
        rows: the data.

    Returns:
        The point, None where something is not finite.
    """
    f, curvature = curvature_at(spec, weights, precisions.each, precisions.noise, rows)
    if not curvature.ok:
        return None
    share, left = curvature.determined()
    determined = np.append(precisions.sums(share), left)
    head = share[spec.n_inner : spec.n_inner + spec.width]
    units = float(np.clip(head, 0.0, 1.0).sum())
    value = likelihood(curvature, rows, f, precisions.each, weights) + precisions.volume(determined)
    value += float(gammaln(units + 1) + units * np.log(2))
    return Point(weights, precisions, curvature, f, determined, value) if np.isfinite(value) else None


def likelihood(curvature: Curvature, rows: Rows, f: np.ndarray, a: np.ndarray, weights: np.ndarray) -> float:
    """Laplace approximation of the log density of all observations, precisions and noise given.

    Args:
        curvature: at the weights.
        rows: the data.
        f: the network at the rows (n,).
        a: precisions of the weights (P,).
        weights: (P,), the most probable ones for the value to be what it says.

    Returns:
        Nats; exact where the network is linear.
    """
    misfit = rows.w @ (rows.y - f) ** 2 / curvature.noise + a @ weights**2
    own = -0.5 * (misfit + curvature.logdet + len(f) * np.log(2 * np.pi))
    return float(own + within(rows, curvature.noise))


def _moved(point: Point, rows: Rows) -> Precisions:
    """New precisions from what is known at a point."""
    misfit = float(rows.w @ (rows.y - point.f) ** 2) + rows.spread
    squares = np.append(point.precisions.sums(point.weights**2), misfit)
    return point.precisions.moved(point.determined, squares)


def _finish(spec: Architecture, best: Point, rows: Rows, steps: int, done: bool) -> Network | None:
    """What predictions need of the best point."""
    curvature, f = best.curvature, best.f
    mean, variance = left_out_of(curvature, rows.y, f, curvature.J @ best.weights)
    density = -0.5 * float(np.sum((rows.y - mean) ** 2 / variance + np.log(2 * np.pi * variance)))
    root = curvature.posterior_root()
    if root is None or not np.isfinite(density):
        return None
    noise, freedom = curvature.noise, float(rows.w.sum() - best.determined[-1])
    density += within(rows, noise)
    return Network(spec, best.weights, best.precisions.each, noise, root, best.evidence, density, freedom, steps, done)
