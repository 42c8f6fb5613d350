"""A process on the nearest rows in ONNX, which solves no equations: all groups are eliminated column by column."""

from __future__ import annotations

from typing import Any

import numpy as np


def local(graph: Any, a: str, data: tuple[np.ndarray, ...], out: str) -> None:
    """Mean and variance.

    Args:
        graph: where the operators are added.
        a: rows.
        data: rows of the fit, values, noise, scale and settings.
        out: the result, mean and variance.
    """
    rows, y, e, scale, settings = data
    m, signal, linear = int(settings[0]), float(settings[1]), float(settings[2])
    z, c, add = rows * scale, graph.constant, graph.add
    new = add("Mul", [a, c(scale[None, :])])
    q = add("Add", [add("MatMul", [new, c(-2 * z.T)]), c((z * z).sum(axis=1)[None, :])])
    names = [f"{out}_least", f"{out}_index"]
    graph.several("TopK", [q, c(np.array([m]))], names, axis=1, largest=0, sorted=0)
    old = add("Gather", [c(rows), names[1]])
    away = add("Mul", [add("Sub", [old, add("Unsqueeze", [a, c(np.array([1]))])]), c(scale[None, None, :])])
    last = c(np.array([2]))
    own = add("ReduceSum", [add("Mul", [away, away]), last], keepdims=1)
    double = add("Mul", [add("MatMul", [away, add("Transpose", [away], perm=[0, 2, 1])]), c(np.array(-2.0))])
    q = add("Add", [add("Add", [own, add("Transpose", [own], perm=[0, 2, 1])]), double])
    q = add("Mul", [add("Max", [q, c(np.array(0.0))]), c(1 - np.eye(m)[None])])
    straight = add("MatMul", [old, add("Transpose", [old], perm=[0, 2, 1])])
    noise = add("Mul", [add("Unsqueeze", [add("Gather", [c(e), names[1]]), c(np.array([1]))]), c(np.eye(m)[None])])
    C = add("Add", [covariance(graph, q, straight, settings), noise])
    right = add("Unsqueeze", [a, last])
    k = covariance(graph, own, add("MatMul", [old, right]), settings)
    values = add("Unsqueeze", [add("Gather", [c(y), names[1]]), last])
    A = add("Concat", [C, k, values], axis=2)
    squares = add("Mul", [graph.sum(add("Mul", [a, a])), c(np.array([[linear]]))])
    left = add("Unsqueeze", [add("Add", [squares, c(np.array([[1 + signal]]))]), last])
    mean = add("Mul", [left, c(np.zeros((1, 1, 1)))])
    first, far, axes = c(np.array([0, 0])), c(np.array([1, 2**31])), c(np.array([1, 2]))
    for i in range(m):  # rows L^-1 k and L^-1 y come out of the elimination one by one
        pivot = add("Slice", [A, first, c(np.array([1, 1])), axes])
        row = add("Slice", [A, c(np.array([0, 1])), far, axes])
        share = add("Div", [row, pivot])
        ends = [add("Gather", [one, c(np.array([-2]))], axis=2) for one in (row, share)]
        value = add("Gather", [row, c(np.array([-1]))], axis=2)
        mean = add("Add", [mean, add("Mul", [ends[1], value])])
        left = add("Sub", [left, add("Mul", ends)])
        if i < m - 1:
            column = add("Slice", [A, c(np.array([1, 0])), c(np.array([2**31, 1])), axes])
            rest = add("Slice", [A, c(np.array([1, 1])), c(np.array([2**31, 2**31])), axes])
            A = add("Sub", [rest, add("Mul", [column, share])])
    both = add("Concat", [mean, add("Max", [left, c(np.zeros((1, 1, 1)))])], axis=2)
    add("Reshape", [both, c(np.array([-1, 2]))], out)


def covariance(graph: Any, q: str, straight: str, settings: np.ndarray) -> str:
    """``1 + signal k(q) + linear straight`` of a process on nearest rows.

    Args:
        graph: where the operators are added.
        q: squared distances.
        straight: inner products.
        settings: of the operation.

    Returns:
        The name of the result.
    """
    _, signal, linear, factor, root, c1, c2 = (float(one) for one in settings)
    c, add = graph.constant, graph.add
    s = add("Mul", [q, c(np.array(factor))])
    s = add("Sqrt", [add("Max", [s, c(np.array(1e-30))])]) if root else s
    inner = add("Mul", [s, add("Add", [add("Mul", [s, c(np.array(c2))]), c(np.array(c1))])])
    k = add("Mul", [add("Add", [inner, c(np.array(1.0))]), add("Exp", [add("Neg", [s])])])
    curved = add("Add", [add("Mul", [k, c(np.array(signal))]), c(np.array(1.0))])
    return add("Add", [curved, add("Mul", [straight, c(np.array(linear))])])
