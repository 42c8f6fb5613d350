"""Loss landscape on lines and planes: how does the objective run between two points, and on a plane through one?

    f((1 - t) p + t q)        and        f(p + a u + b v)

Cost: one evaluation for each point of the grid. Points are evaluated together as far as memory allows.

Sources: Goodfellow, Vinyals, Saxe, ICLR 2015 (cuts); Li et al., NeurIPS 31 (2018) (planes); Entezari, Sedghi, Saukh,
Neyshabur, ICLR 2022, def. 2.1 (barrier).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from numdl import checks
from numdl.analysis.batches import batch_size
from numdl.analysis.objective import companion, require_analysed, value_at
from numdl.contracts import PyTree


class Cut(NamedTuple):
    """An objective on a line.

    Attributes:
        t: 0 at p, 1 at q, no unit, (points,).
        values: objective there, (points,).
    """

    t: np.ndarray
    values: np.ndarray

    @property
    def barrier(self) -> float:
        """``max over 0 <= t <= 1 of f(t) - (1 - t) f(0) - t f(1)``: what has to be climbed above the straight line.

        Not negative, and zero where f is convex along the line. Of the points of the grid only, so a lower bound.
        """
        inside = (self.t >= 0) & (self.t <= 1)
        ends = np.interp((0.0, 1.0), self.t, self.values)
        return float(np.max(self.values - (1 - self.t) * ends[0] - self.t * ends[1], where=inside, initial=0.0))


class Plane(NamedTuple):
    """An objective on a plane.

    Attributes:
        a: coordinates along the first direction, (r,).
        b: coordinates along the second direction, (s,).
        values: objective at ``p + a_i u + b_j v``, (s, r): rows belong to b, as drawings want it.
    """

    a: np.ndarray
    b: np.ndarray
    values: np.ndarray


def cut(
    f: Any,
    p: PyTree,
    q: PyTree,
    aux: PyTree = None,
    *,
    points: int = 51,
    margin: float | int = 0.0,
    batch: int | None = None,
) -> Cut:
    """Objective between p and q, and a little beyond.

    Args:
        f: problem or function ``p -> ()``.
        p: where t is 0.
        q: where t is 1; structure of p.
        aux: companion for all points; None for the problem's first head, if it has one.
        points: number of points on the way from p to q, both included, at least 3; the spacing beyond is the same.
        margin: how far the line goes on at both ends, as a share of its length, at most 100.
        batch: points evaluated together; None for as many as memory allows.

    Returns:
        Values, with the height of the barrier.

    Raises:
        ValueError: fewer than 3 points, or a negative margin.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.analysis import cut
        >>> found = cut(lambda p: (p**2 - 1) ** 2, jnp.asarray(-1.0), jnp.asarray(1.0), points=5)
        >>> found.values
        array([0.    , 0.5625, 1.    , 0.5625, 0.    ], dtype=float32)
    """
    require_analysed("cut", f, p, aux, q=q)
    checks.whole("cut", "points", points, least=3, hint="Use 51.")
    checks.number("cut", "margin", margin, least=0, most=100, hint="Use 0.")
    more = round(margin * (points - 1))
    t = np.arange(-more, points + more) / (points - 1)  # 0 and 1 are among them exactly
    direction = jax.tree.map(jnp.subtract, q, p)
    return Cut(t, on_grid(f, p, (direction,), t[:, None], aux, batch=batch))


def plane(
    f: Any,
    p: PyTree,
    u: PyTree,
    v: PyTree,
    aux: PyTree = None,
    *,
    a: Any = (-1.0, 1.0),
    b: Any = (-1.0, 1.0),
    points: int = 41,
    batch: int | None = None,
) -> Plane:
    """Objective on ``p + a u + b v``.

    Args:
        f: problem or function ``p -> ()``.
        p: centre.
        u: first direction, structure of p: random and ``filter_normalised``, or from ``eigenpairs``.
        v: second direction, structure of p.
        aux: companion for all points; None for the problem's first head, if it has one.
        a: smallest and largest coordinate along u, no unit.
        b: smallest and largest coordinate along v, no unit.
        points: number of points along each direction, at least 2; an odd number has p among them where the limits are
            symmetric.
        batch: points evaluated together; None for as many as memory allows.

    Returns:
        Coordinates and values.

    Raises:
        ValueError: fewer than 2 points.
    """
    require_analysed("plane", f, p, aux, u=u, v=v)
    checks.whole("plane", "points", points, least=2, hint="Use 41.")
    a, b = checks.finite("plane", "a", a, (2,)), checks.finite("plane", "b", b, (2,))
    first, second = (np.linspace(low, high, points) for low, high in (a, b))
    grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    values = on_grid(f, p, (u, v), grid, aux, batch=batch)
    return Plane(first, second, values.reshape(points, points))


def on_grid(
    f: Any,
    p: PyTree,
    directions: Sequence[PyTree],
    coordinates: Float[np.ndarray, "points r"],
    aux: PyTree = None,
    *,
    batch: int | None = None,
) -> Float[np.ndarray, " points"]:
    """``f(p + sum_j t_j d_j)`` at many coordinates t.

    Args:
        f: problem or function ``p -> ()``.
        p: origin.
        directions: r of them, structure of p.
        coordinates: no unit, (points, r).
        aux: companion for all points; None for the problem's first head, if it has one.
        batch: points evaluated together; None for as many as memory allows.

    Returns:
        Values; what is not finite stays so.

    Examples:
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> from numdl.analysis import on_grid
        >>> f = lambda p: jnp.sum(p**2)
        >>> values = on_grid(f, jnp.zeros(2), [jnp.array([1.0, 0.0])], np.array([[-1.0], [0.0], [2.0]]))
        >>> [float(value) for value in values]
        [1.0, 0.0, 4.0]
    """
    if not isinstance(directions, list | tuple):
        raise TypeError(f"on_grid(directions={checks.shown(directions)}): needs several. Give a list.")
    alike = {f"directions[{i}]": direction for i, direction in enumerate(directions)}
    require_analysed("on_grid", f, p, aux, **alike)
    checks.finite("on_grid", "coordinates", coordinates, ("points", len(directions)))
    if batch is not None:
        checks.whole("on_grid", "batch", batch, least=1)
    aux = companion(f, p, aux)
    batch = batch_size(value_at, (f, p, aux), len(coordinates)) if batch is None else batch
    dtype = jnp.result_type(*jax.tree.leaves(p))
    return np.asarray(_values(f, p, tuple(directions), jnp.asarray(coordinates, dtype), aux, batch))


@eqx.filter_jit
def _values(
    f: Any, p: PyTree, directions: tuple[PyTree, ...], t: Float[Array, "points r"], aux: PyTree, batch: int
) -> Float[Array, " points"]:
    def one(t: Array) -> Array:
        point = jax.tree.map(lambda a, *d: a + sum(x * y for x, y in zip(t, d, strict=True)), p, *directions)
        return value_at(f, point, aux)

    return jax.lax.map(one, t, batch_size=batch)
