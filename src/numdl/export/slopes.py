"""Derivatives of programs, as programs: how does a result change with the input, or with any vector in between?

Reverse mode: from the result backwards, each node hands on what it receives. So deviations that need the derivative by
the weights of a network are programs too, and every target language has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from numdl.export.description import CannotExport
from numdl.export.program import Node, Program, Value


def adjoints(result: Value, wanted: Sequence[Value]) -> list[Value]:
    """Derivatives of one number by vectors.

    Args:
        result: of one entry.
        wanted: vectors that it is made from.

    Returns:
        For each of them a vector of its size; zero where the result does not depend on it.

    Raises:
        CannotExport: a process on nearest rows is among the operations.
    """
    program = result.program
    assert result.size == 1, result.size
    reached = _between(program, result.at, {one.at for one in wanted})
    found: dict[int, Value] = {result.at: program.constant(1.0)}
    for at in range(result.at, -1, -1):
        if at not in found or at not in reached:
            continue
        node = program.nodes[at]
        if node.op in ("input", "constant"):
            continue
        if node.op == "local":  # which rows are the nearest has no derivative, and the rest is the estimator's own
            raise CannotExport("gradient: a process on nearest rows has no derivative as a program; use as_jax.")
        args = [Value(program, arg) for arg in node.args]
        for place, (arg, share) in enumerate(zip(args, PULLS[node.op](Value(program, at), found[at], node, args))):  # noqa: B905
            if arg.at in reached and share is not None:
                share = _fitted(share(), args[place].size)
                found[arg.at] = found[arg.at] + share if arg.at in found else share
    return [
        _fitted(found[one.at], one.size) if one.at in found else program.constant(np.zeros(one.size)) for one in wanted
    ]


def gradients(program: Program, name: str) -> list[Value]:
    """Derivatives of each entry of a result by the input.

    Args:
        program: where the nodes are added.
        name: key of its results.

    Returns:
        Vectors of the size of the input.
    """
    value = Value(program, program.results[name])
    return [adjoints(value[[j]], [program.input])[0] for j in range(value.size)]


def _between(program: Program, result: int, wanted: set[int]) -> set[int]:
    """Nodes on the way from the result to what is wanted."""
    reached = set(wanted)
    for at in range(min(wanted), result + 1):
        if any(arg in reached for arg in program.nodes[at].args):
            reached.add(at)
    return reached


def _fitted(share: Value, size: int) -> Value:
    """A share of the size of its vector: summed where this was spread over entries, spread where it is one number."""
    if share.size == size:
        return share
    return share.sum() if size == 1 else share + np.zeros(size)


Pull = Callable[[Value, Value, Node, list[Value]], Sequence[Callable[[], Value] | None]]


def _unary(slope: Callable[[Value, Value], Value]) -> Pull:
    return lambda v, g, node, args: [lambda: g * slope(v, args[0])]


def _take(v: Value, g: Value, node: Node, args: list[Value]) -> list[Callable[[], Value]]:
    index, size = node.data[0], args[0].size

    def pull() -> Value:
        if len(np.unique(index)) < len(index):
            return _fitted(g, v.size).affine((index[:, None] == np.arange(size)).T.astype(float))
        source = np.full(size, len(index))
        source[index] = np.arange(len(index))
        spread = _fitted(g, v.size)
        return v.program.join([spread, v.program.constant(0.0)])[source] if size > len(index) else spread[source]

    return [pull]


def _join(v: Value, g: Value, node: Node, args: list[Value]) -> list[Callable[[], Value]]:
    ends = np.cumsum([arg.size for arg in args])
    whole = _fitted(g, v.size)
    return [lambda i=i: whole[int(ends[i]) - args[i].size : int(ends[i])] for i in range(len(args))]


def _outer(v: Value, g: Value, node: Node, args: list[Value]) -> list[Callable[[], Value]]:
    a, b = args
    grid = np.arange(a.size * b.size).reshape(a.size, b.size)
    rows = np.repeat(np.eye(a.size), b.size, axis=1)
    columns = np.tile(np.eye(b.size), a.size)
    ones = np.ones(grid.size)
    whole = _fitted(g, v.size)
    return [
        lambda: (whole * b.affine(columns.T)).affine(rows),
        lambda: (whole * a.affine(rows.T) * ones).affine(columns),
    ]


def _distances(v: Value, g: Value, node: Node, args: list[Value]) -> list[Callable[[], Value]]:
    Z = node.data[0]
    whole = _fitted(g, v.size)
    return [lambda: 2.0 * (whole.sum() * args[0] - whole.affine(Z.T))]


def _solve(v: Value, g: Value, node: Node, args: list[Value]) -> list[Callable[[], Value]]:
    flipped = node.data[0].T[::-1, ::-1]  # the transposed triangle, its rows and columns turned round, is lower again
    return [lambda: _fitted(g, v.size)[::-1].solve(flipped)[::-1]]


PULLS: dict[str, Pull] = {
    "take": _take,
    "join": _join,
    "affine": lambda v, g, node, args: [lambda: _fitted(g, v.size).affine(node.data[0].T)],
    "solve": _solve,
    "distances": _distances,
    "outer": _outer,
    "sum": lambda v, g, node, args: [lambda: g + np.zeros(args[0].size)],
    "softmax": lambda v, g, node, args: [lambda: v * (g - (g * v).sum())],
    "add": lambda v, g, node, args: [lambda: g, lambda: g],
    "subtract": lambda v, g, node, args: [lambda: g, lambda: -1.0 * g],
    "multiply": lambda v, g, node, args: [lambda: g * args[1], lambda: g * args[0]],
    "divide": lambda v, g, node, args: [lambda: g / args[1], lambda: -1.0 * g * v / args[1]],
    "maximum": lambda v, g, node, args: [
        lambda: g * (args[0] - args[1]).step(),
        lambda: g * (1.0 - (args[0] - args[1]).step()),
    ],
    "minimum": lambda v, g, node, args: [
        lambda: g * (args[1] - args[0]).step(),
        lambda: g * (1.0 - (args[1] - args[0]).step()),
    ],
    "tanh": _unary(lambda v, a: (1.0 - v) * (1.0 + v)),
    "sin": _unary(lambda v, a: a.cos()),
    "cos": _unary(lambda v, a: a.sin().negative()),
    "exp": _unary(lambda v, a: v),
    "log": _unary(lambda v, a: 1.0 / a),
    "sqrt": _unary(lambda v, a: 0.5 / v),
    "asin": _unary(lambda v, a: 1.0 / ((1.0 - a) * (1.0 + a)).sqrt()),
    "asinh": _unary(lambda v, a: 1.0 / (1.0 + a.square()).sqrt()),
    "erf": _unary(lambda v, a: (2 / np.pi**0.5) * a.square().negative().exp()),
    "sigmoid": _unary(lambda v, a: v * (1.0 - v)),
    "softplus": _unary(lambda v, a: a.sigmoid()),
    "square": _unary(lambda v, a: 2.0 * a),
    "negative": _unary(lambda v, a: a.program.constant(-1.0)),
    "step": lambda v, g, node, args: [None],
    "trees": lambda v, g, node, args: [None],
}
"""What each operation hands on to its arguments."""
