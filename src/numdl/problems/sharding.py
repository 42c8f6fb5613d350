"""Sharding of rows (data parallelism).

Which rows does each device hold, so that a sum over all rows is a sum over devices?

Rows are dealt to the shards in turn, row i to shard ``i mod n_shards``: the first rows of the data are then the first
rows of each shard, and a matrix from some of the rows is shared out as evenly as one from all of them. Where the shards
do not divide n, the first row is repeated with weight 0, and the other weights grow by ``n' / n``: their mean stays 1,
so that ``w_i / n'`` of the arrays on the devices is ``w_i / n`` of the data.

The arrays are global: every formula stays as it is, and XLA turns each sum over rows into sums of shards and one
all-reduce. Weights, penalties and all that an optimiser keeps are copied to every device.

Source of the factorisation: Demmel, Grigori, Hoemmen, Langou, SIAM J. Sci. Comput. 34 (2012) A206-A239, sec. 2.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

AXIS = "data"
"""Axis of a mesh along which the rows are divided."""


def count_shards(mesh: jax.sharding.Mesh | None) -> int:
    """Parts into which a mesh divides the rows; 1 without a mesh.

    Args:
        mesh: devices with an axis ``"data"``.

    Returns:
        At least 1.

    Raises:
        ValueError: the mesh has no such axis.
    """
    if mesh is None:
        return 1
    if AXIS not in mesh.shape:
        raise ValueError(
            f"mesh with the axes {tuple(mesh.axis_names)}: needs an axis {AXIS!r}, along which the rows are divided. "
            f"Make it by jax.make_mesh((devices,), ({AXIS!r},))."
        )
    return mesh.shape[AXIS]


def deal(n_shards: int, w: Float[np.ndarray, " n *pixels"], *arrays: np.ndarray) -> list[np.ndarray]:
    """Rows in the order in which the shards hold them, filled up so that all shards have as many.

    Args:
        n_shards: at least 1.
        w: sample weights of mean 1, no unit, (n,), or of pixels, (n, pixels).
        arrays: arrays of n rows.

    Returns:
        ``w`` and the arrays, of ``n_shards ceil(n / n_shards)`` rows: those of the first shard, of the second one, ...
    """
    n = len(w)
    more = -n % n_shards
    filled = [np.concatenate([w * ((n + more) / n), np.zeros((more, *w.shape[1:]), w.dtype)]) if more else w]
    filled += [np.concatenate([a, np.repeat(a[:1], more, axis=0)]) if more else a for a in arrays]
    return [in_turn(a, n_shards) for a in filled]


def place(mesh: jax.sharding.Mesh | None, array: np.ndarray, axis: int = 0) -> Array:
    """An array on the devices of a mesh, divided along one of its axes.

    Args:
        mesh: devices with an axis ``"data"``, of this process or of several that hold the same array; None for the
            default device.
        array: as ``deal`` has it, or a part of its columns.
        axis: along which it is divided.

    Returns:
        A global array.
    """
    if mesh is None:
        return jax.device_put(np.array(array))  # a copy: JAX shares the memory of some arrays
    auto = jax.sharding.Mesh(mesh.devices, mesh.axis_names)  # leaves it to XLA what moves
    spec = jax.sharding.PartitionSpec(*[None] * axis, AXIS)
    return jax.make_array_from_callback(
        array.shape, jax.sharding.NamedSharding(auto, spec), lambda index: np.ascontiguousarray(array[index])
    )


def divide(mesh: jax.sharding.Mesh | None, w: Float[np.ndarray, " n *pixels"], *arrays: np.ndarray) -> list[Array]:
    """``deal`` the rows to the devices of a mesh and ``place`` them; without a mesh, on the default device."""
    return [place(mesh, array) for array in deal(count_shards(mesh), w, *arrays)]


def first_rows(count: int, n_shards: int, w: Array, *arrays: Array) -> list[Array]:
    """The first rows of the data, from arrays as ``deal`` has them.

    Args:
        count: number of rows, at least 1.
        n_shards: of the arrays.
        w: sample weights, (n,), or of pixels, (n, pixels).
        arrays: arrays of n rows.

    Returns:
        Weights of mean 1 and the arrays, each of ``n_shards ceil(count / n_shards)`` rows; those beyond count have
            weight 0.
    """
    each = -(-count // n_shards)

    def first(a: Array) -> Array:
        return a.reshape(n_shards, -1, *a.shape[1:])[:, :each].reshape(n_shards * each, *a.shape[1:])

    own = jnp.asarray(in_turn(np.arange(n_shards * each), n_shards) < count, w.dtype)
    w = first(w) * own.reshape(-1, *[1] * (w.ndim - 1))
    return [w / jnp.mean(w), *(first(a) for a in arrays)]


def in_turn(a: Any, n_shards: int) -> Any:
    """Rows of the data in the order of ``deal``; a multiple of ``n_shards`` of them."""
    return a.reshape(-1, n_shards, *a.shape[1:]).swapaxes(0, 1).reshape(a.shape)


def tall_qr(a: Float[Array, "n m"], n_shards: int) -> tuple[Float[Array, "n m"], Float[Array, "m m"]]:
    """QR factorisation of each shard and then of their triangles, which are all that leaves a device.

    Args:
        a: (n, m).
        n_shards: into which the rows are divided; a divisor of n.

    Returns:
        Q and R with ``Q R = a``. The columns of Q are orthonormal; where n < m they are as far as that goes, for the
        matrix is factorised as if rows of zeros stood below it.
    """
    n, m = a.shape
    if n < m:
        q, r = jnp.linalg.qr(jnp.pad(a, ((0, m - n), (0, 0))))
        return q[:n], r
    if n_shards == 1:
        return jnp.linalg.qr(a)
    q, r = jnp.linalg.qr(a.reshape(n_shards, -1, m))
    top, r = jnp.linalg.qr(r.reshape(-1, m))
    return jnp.einsum("ijk,ikm->ijm", q, top.reshape(n_shards, -1, m)).reshape(a.shape), r
