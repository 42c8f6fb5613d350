"""Interpreter: what does a program say of many rows, in NumPy, or in JAX for those who differentiate it?"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from numdl.contracts.threads import one_blas_thread
from numdl.export.local import local
from numdl.export.program import Program

BLOCK = 256
"""Rows at once: what belongs to them then stays in the cache."""

SMALL = 4000
"""Entries of vectors up to which one thread is quicker: two wait for each other."""

TILE = 64
"""Unknowns that a triangular solve eliminates at once."""


def evaluate(program: Program, names: tuple[str, ...], x: np.ndarray) -> list[np.ndarray]:
    """Results for rows, block by block.

    Args:
        program: what to run.
        names: keys of its results.
        x: rows (n, d), finite.

    Returns:
        One array (n, size) for each name.
    """
    kept: dict[tuple[int, int], Any] = {}
    blocks = [x[start : start + BLOCK] for start in range(0, len(x), BLOCK)] or [x]
    small = max(program.nodes[at].size for at in program.needed(*names)) <= SMALL
    with one_blas_thread() if small else nullcontext(), np.errstate(all="ignore"):  # what is not finite shows
        parts = [run(program, names, block, np, kept) for block in blocks]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def run(program: Program, names: tuple[str, ...], x: Any, xp: Any, kept: dict[tuple[int, int], Any]) -> list[Any]:
    """Results for all rows at once.

    Args:
        program: what to run.
        names: keys of its results.
        x: rows (n, d).
        xp: ``numpy`` or ``jax.numpy``.
        kept: inverses of diagonal tiles and search trees from one block to the next; give a new dictionary first.

    Returns:
        One array (n, size) for each name.
    """
    results = [program.results[name] for name in names]
    places = program.needed(*names)
    given_up = program.last_use(places, results)
    values: dict[int, Any] = {}
    for at in places:
        node = program.nodes[at]
        args = [values[arg] for arg in node.args]
        if node.op == "solve":
            values[at] = _solve(node.data[0], args[0], xp, kept, at)
        elif node.op == "local":
            values[at] = local(xp, args[0], node.data, kept, at)
        else:
            values[at] = x if node.op == "input" else RULES[node.op](xp, *args, *node.data)
        for arg in given_up.get(at, ()):
            values.pop(arg, None)
    return [xp.broadcast_to(values[at], (len(x), program.nodes[at].size)) for at in results]


def fold(op: str, args: list[np.ndarray], data: tuple[np.ndarray, ...], size: int) -> np.ndarray:
    """An operation on vectors that are the same for every row.

    Args:
        op: operation.
        args: vectors.
        data: arrays of the operation.
        size: of the result.

    Returns:
        (size,).
    """
    rows = [arg[None, :] for arg in args]
    value = _solve(data[0], rows[0], np, {}, 0) if op == "solve" else RULES[op](np, *rows, *data)
    return np.array(np.broadcast_to(value[0], (size,)))


def _distances(xp: Any, a: Any, Z: np.ndarray) -> Any:
    q = a @ (-2 * Z.T) + (a * a).sum(axis=1, keepdims=True) + (Z * Z).sum(axis=1)
    return xp.maximum(q, 0.0)


def _outer(xp: Any, a: Any, b: Any) -> Any:
    return (a[:, :, None] * b[:, None, :]).reshape(max(len(a), len(b)), -1)


def _join(xp: Any, *parts: Any) -> Any:
    rows = max(len(part) for part in parts)
    return xp.concatenate([xp.broadcast_to(part, (rows, part.shape[1])) for part in parts], axis=1)


def _softmax(xp: Any, a: Any) -> Any:
    e = xp.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _sigmoid(xp: Any, a: Any) -> Any:
    e = xp.exp(-xp.abs(a))
    return xp.where(a >= 0, 1.0, e) / (1.0 + e)


def _softplus(xp: Any, a: Any) -> Any:
    return xp.maximum(a, 0.0) + xp.log1p(xp.exp(-xp.abs(a)))


def _erf(xp: Any, a: Any) -> Any:
    if xp is np:
        return np.array([math.erf(value) for value in a.ravel()]).reshape(a.shape)
    from jax.scipy.special import erf

    return erf(a)


def _solve(L: np.ndarray, a: Any, xp: Any, kept: dict[tuple[int, int], Any], at: int) -> Any:
    """Forward substitution by tiles, whose diagonal blocks are inverted once; so BLAS does the work.

    The result of each tile is corrected by its residual: the error of a product with the inverse is of its size.
    """
    if xp is not np:
        from jax.scipy.linalg import solve_triangular

        return solve_triangular(L, a.T, lower=True).T
    out = np.empty((len(a), len(L)))
    for start in range(0, len(L), TILE):
        stop = min(start + TILE, len(L))
        if (at, start) not in kept:
            kept[at, start] = np.linalg.inv(L[start:stop, start:stop]).T
        right = a[:, start:stop] - out[:, :start] @ L[start:stop, :start].T
        first = right @ kept[at, start]
        out[:, start:stop] = first + (right - first @ L[start:stop, start:stop].T) @ kept[at, start]
    return out


def _trees(xp: Any, a: Any, nodes: np.ndarray, values: np.ndarray, roots: np.ndarray, depth: np.ndarray) -> Any:
    feature, low, high = nodes[:, [0, 2, 3]].T.astype(int)
    feature, threshold, low, high, values = (xp.asarray(one) for one in (feature, nodes[:, 1], low, high, values))
    at = xp.zeros((len(a), 1), int) + xp.asarray(roots.astype(int))
    for _ in range(int(depth[0])):
        below = xp.take_along_axis(a, feature[at], axis=1) <= threshold[at]
        at = xp.where(below, low[at], high[at])
    return values[at].sum(axis=1)


RULES: dict[str, Callable[..., Any]] = {
    "constant": lambda xp, values: xp.asarray(values)[None, :],
    "take": lambda xp, a, index: a[:, index],
    "join": _join,
    "affine": lambda xp, a, W, b: a @ W.T + b,
    "distances": _distances,
    "outer": _outer,
    "sum": lambda xp, a: a.sum(axis=1, keepdims=True),
    "softmax": _softmax,
    "trees": _trees,
    "add": lambda xp, a, b: a + b,
    "subtract": lambda xp, a, b: a - b,
    "multiply": lambda xp, a, b: a * b,
    "divide": lambda xp, a, b: a / b,
    "maximum": lambda xp, a, b: xp.maximum(a, b),
    "minimum": lambda xp, a, b: xp.minimum(a, b),
    "tanh": lambda xp, a: xp.tanh(a),
    "sin": lambda xp, a: xp.sin(a),
    "cos": lambda xp, a: xp.cos(a),
    "exp": lambda xp, a: xp.exp(a),
    "log": lambda xp, a: xp.log(a),
    "sqrt": lambda xp, a: xp.sqrt(a),
    "asin": lambda xp, a: xp.arcsin(a),
    "asinh": lambda xp, a: xp.arcsinh(a),
    "erf": _erf,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "square": lambda xp, a: a * a,
    "negative": lambda xp, a: -a,
    "step": lambda xp, a: xp.where(a > 0, 1.0, 0.0),
}
"""How each operation is computed for rows (n, size)."""
