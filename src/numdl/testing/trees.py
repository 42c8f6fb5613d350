"""Pytree operations of checks: which operations on pytrees do several checks share?

They run in NumPy: a check touches each shape a few times only, so compiling an operation per shape would dominate.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from numdl.contracts import PyTree


def dot(a: PyTree, b: PyTree) -> float:
    """Inner product of two pytrees of the same structure, as a Python float.

    Args:
        a: any pytree of real arrays.
        b: same structure and shapes.

    Returns:
        ``sum over leaves of <a, b>``.
    """
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return float(sum(np.vdot(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in pairs))


def norm(a: PyTree) -> float:
    """Euclidean norm of a pytree.

    Args:
        a: any pytree of real arrays.

    Returns:
        ``sqrt(dot(a, a))``.
    """
    return dot(a, a) ** 0.5


def random_like(p: PyTree, key: jax.Array) -> PyTree:
    """Random direction as long as p, or of length one where p is shorter.

    Args:
        p: any pytree of real arrays.
        key: JAX random key.

    Returns:
        Structure, shapes and dtypes of p.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    direction = jax.tree.map(lambda leaf: rng.normal(size=np.shape(leaf)), p)
    length = max(norm(p), 1.0) / max(norm(direction), 1e-30)
    return jax.tree.map(lambda leaf, v: jnp.asarray(length * v, jnp.result_type(leaf)), p, direction)


def add(p: PyTree, t: float, v: PyTree) -> PyTree:
    """Point on a line through p.

    Args:
        p: any pytree of real arrays.
        t: step, no unit.
        v: direction, structure and shapes of p.

    Returns:
        ``p + t v`` with the dtypes of p.
    """
    return jax.tree.map(lambda a, b: jnp.asarray(np.asarray(a) + t * np.asarray(b), jnp.result_type(a)), p, v)


def eps(p: PyTree) -> float:
    """Largest rounding unit among the leaves.

    Args:
        p: any pytree of real arrays.

    Returns:
        Machine epsilon of the shortest dtype.
    """
    return max(float(jnp.finfo(jnp.result_type(leaf)).eps) for leaf in jax.tree.leaves(p))
