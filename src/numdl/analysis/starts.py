"""Random restarts: minimisers from many starts.

How much does it matter where training starts: which values are reached, and how many different minimisers?

Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, sec. 8.2.2 (weight space symmetry).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.analysis.objective import companion, gradient_at, require_analysed, value_at
from numdl.contracts import Iterate, Optimizer, PyTree, Result


class MultiStart(NamedTuple):
    """Where runs from many starts ended, in the order of the starts.

    Attributes:
        points: unknowns at the ends, structure of p with a leading axis (starts,).
        values: objective there, (starts,).
        gradient_norms: size of the slope there, (starts,): what is not small is not a minimiser yet.
        distances: Euclidean distances between the ends, nothing divided out, (starts, starts).
    """

    points: PyTree
    values: np.ndarray
    gradient_norms: np.ndarray
    distances: np.ndarray

    @property
    def best(self) -> int:
        """Start that came lowest."""
        return int(np.nanargmin(self.values))

    def point(self, i: int) -> PyTree:
        """Where the run from the i-th start ended, structure of p."""
        return jax.tree.map(lambda leaf: leaf[i], self.points)

    def minima(
        self, tol: float = 1e-3, *, slope: float | int = np.inf, canonical: Callable[[PyTree], PyTree] | None = None
    ) -> np.ndarray:
        """Which ends are the same minimum.

        Ends are joined while one is within ``tol`` of another one, relative to the largest norm of an end.

        Args:
            tol: largest distance of neighbours, no unit.
            slope: ends with a larger gradient norm, or without a finite value, belong to no minimum.
            canonical: maps equivalent points to one of them, such as a layer to the one with sorted units; None to
                count them all.

        Returns:
            Number of its minimum for each end, 0 for that of the lowest value, then upwards; -1 for none. (starts,)
        """
        from scipy.sparse.csgraph import connected_components

        known = np.isfinite(self.values) & (self.gradient_norms <= slope)
        if not known.any():
            return np.full(len(self.values), -1)
        ends = range(len(self.values))
        flat = np.stack([_flat(self.point(i) if canonical is None else canonical(self.point(i))) for i in ends])[known]
        distances = self.distances[np.ix_(known, known)] if canonical is None else _distances(flat)
        near = distances <= tol * max(np.linalg.norm(flat, axis=1).max(), np.finfo(float).tiny)
        count, groups = connected_components(near, directed=False)
        lowest = [self.values[known][groups == g].min() for g in range(count)]
        rank = np.empty(count, int)
        rank[np.argsort(lowest, kind="stable")] = np.arange(count)
        labels = np.full(len(self.values), -1)
        labels[known] = rank[groups]
        return labels


def multistart(
    f: Any,
    optimizer: Optimizer | Callable[[PyTree], Result],
    starts: Sequence[PyTree],
    aux: PyTree = None,
    *,
    max_iter: int = 100,
    batch: int = 1,
) -> MultiStart:
    """Run a method from many starts.

    An ``Optimizer`` runs in one compiled loop of ``max_iter`` steps for all starts: its ``status`` is not asked, since
    a point that cannot be lowered stays. Where runs differ much in length, give a function that calls a loop.

    Args:
        f: problem or function ``p -> ()``; an ``Optimizer`` needs a problem.
        optimizer: a method by its contract, or ``run(p) -> Result`` for one start.
        starts: first unknowns, at least one, all of one structure.
        aux: companion at the starts; None for the problem's first head, if it has one.
        max_iter: steps of an ``Optimizer``; a function decides for itself.
        batch: starts whose steps are computed side by side; helps where one run does not fill the machine.

    Returns:
        Ends, values, slopes and distances.

    Raises:
        ValueError: no start.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.analysis import multistart
        >>> from numdl.optimize import LevenbergMarquardt
        >>> from numdl.problems import NonlinearLeastSquares
        >>> def decay(p, x):
        ...     return p[0] * jnp.exp(-p[1] * x)
        ...
        >>> x = jnp.linspace(0.0, 2.0, 10)[:, None]
        >>> problem = NonlinearLeastSquares(decay, x, 2.0 * jnp.exp(-0.7 * x))
        >>> starts = [jnp.array([1.0, 1.0]), jnp.array([3.0, 0.1])]
        >>> ends = multistart(problem, LevenbergMarquardt(), starts, max_iter=20)
        >>> bool(ends.distances.max() < 1e-3)
        True
    """
    checks.whole("multistart", "max_iter", max_iter, least=0)
    checks.whole("multistart", "batch", batch, least=1)
    if not isinstance(starts, list | tuple):
        raise TypeError(f"multistart(starts={checks.shown(starts)}): needs several. Give a list.")
    if not isinstance(optimizer, Optimizer):
        checks.function("multistart", "optimizer", optimizer, "p -> Result, or an Optimizer")
    for start in starts:
        require_analysed("multistart(starts)", f, start, aux)
    if not starts:
        raise ValueError("multistart(starts=[]): needs at least one start. Draw some, as from ResNet.init.")
    if isinstance(optimizer, Optimizer):
        first = [optimizer.init(f, p, companion(f, p, aux)) for p in starts]
        last = _run(optimizer, f, _stacked(first), max_iter, batch)
        points, companions = last.p, last.aux
    else:
        results = [optimizer(p) for p in starts]
        points = _stacked([result.p for result in results])
        companions = _stacked([companion(f, r.p, aux) if r.aux is None else r.aux for r in results])
    values, norms = (np.asarray(a) for a in _judge(f, points, companions, batch))
    flat = np.stack([_flat(jax.tree.map(lambda leaf, i=i: leaf[i], points)) for i in range(len(starts))])
    return MultiStart(points, values, norms, _distances(flat))


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jax.device_put(np.stack([np.asarray(leaf) for leaf in leaves])), *trees)


def _flat(p: PyTree) -> np.ndarray:
    return np.concatenate([np.ravel(np.asarray(leaf)) for leaf in jax.tree.leaves(p)])


def _distances(flat: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(flat, flat)


@eqx.filter_jit
def _run(optimizer: Optimizer, problem: Any, iterates: Iterate, count: int, batch: int) -> Iterate:
    def one(iterate: Iterate) -> Iterate:
        return jax.lax.fori_loop(0, count, lambda _, it: optimizer.step(problem, it)._replace(metrics={}), iterate)

    return jax.lax.map(one, iterates, batch_size=batch)


@eqx.filter_jit
def _judge(
    f: Any, points: PyTree, companions: PyTree, batch: int
) -> tuple[Float[Array, " starts"], Float[Array, " starts"]]:
    def one(end: tuple[PyTree, PyTree]) -> tuple[Array, Array]:
        p, aux = end
        return value_at(f, p, aux), jnp.linalg.norm(ravel_pytree(gradient_at(f, p, aux))[0])

    return jax.lax.map(one, (points, companions), batch_size=batch)
