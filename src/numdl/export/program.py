"""Program of a fitted model: which few operations on vectors take one row of inputs to a prediction?

A program is a list of nodes, each a vector that is made from vectors before it; constants are arrays in the nodes. It
is written down once for each kind of model (``describers``). NumPy and JAX run it (``evaluate``), its derivatives are
programs again (``slopes``), and each target language prints it node by node (``targets``).

===========  =======================  ============================================================
``op``       ``data``                 value for one row
===========  =======================  ============================================================
input        size                     the row itself
constant     values (m,)              values
take         index (m,)               ``a[index]``
join         -                        the parts one behind the other
affine       W (m, d), b (m,)         ``W a + b``
solve        L (m, m) lower triangle  ``L^-1 a``
distances    Z (m, d)                 ``|a - Z_i|^2``
outer        -                        ``a_i b_j`` row by row
sum          -                        (1,)
softmax      -                        ``exp(a) / sum(exp(a))``
trees        nodes (m, 4), values     sum over the trees of the values of the leaf that the row reaches; a node is
             (m, k), roots (T,),      input, threshold, child for ``a[input] <= threshold``, child for larger ones,
             depth (1,)               a leaf its own child; all are whole numbers in float64 but thresholds, values
local        X (n, d), y (n,),        mean and variance of a process that sees the nearest rows of X only, (2,), see
             noise (n,), scale (d,),  ``numdl.export.local``
             settings (7,)
add, ...     name in BINARY           elementwise; a vector of one entry goes with any
tanh, ...    name in UNARY            elementwise
===========  =======================  ============================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

UNARY = (
    "tanh",
    "sin",
    "cos",
    "exp",
    "log",
    "sqrt",
    "asin",
    "asinh",
    "erf",
    "sigmoid",
    "softplus",
    "square",
    "negative",
    "step",
)
"""Functions of one vector; ``step`` is 1 where its argument is positive, else 0."""

BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
"""Functions of two vectors."""


def require_fit(fits: bool, *seen: object) -> None:
    """Refuse arrays that do not fit a vector: NumPy would stretch them over it, and files may hold anything.

    Args:
        fits: whether they do.
        *seen: what to show.

    Raises:
        ValueError: they do not.
    """
    if not fits:
        raise ValueError(f"arrays and vectors do not fit together: {', '.join(map(str, seen))}")


class Node(NamedTuple):
    """One vector of a program.

    Attributes:
        op: what makes it, see the table above.
        args: places of the vectors that it is made from.
        data: arrays of the operation.
        size: number of entries.
    """

    op: str
    args: tuple[int, ...]
    data: tuple[np.ndarray, ...]
    size: int


class Value:
    """A vector of a program that is being written; arithmetic on it adds nodes.

    Attributes:
        program: where it belongs.
        at: its place.
    """

    __array_ufunc__ = None  # so that array * Value is ours

    def __init__(self, program: Program, at: int) -> None:
        self.program, self.at = program, at

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.program.nodes[self.at].size

    def __add__(self, other: Any) -> Value:
        return self.program.binary("add", self, other)

    def __radd__(self, other: Any) -> Value:
        return self.program.binary("add", other, self)

    def __sub__(self, other: Any) -> Value:
        return self.program.binary("subtract", self, other)

    def __rsub__(self, other: Any) -> Value:
        return self.program.binary("subtract", other, self)

    def __mul__(self, other: Any) -> Value:
        return self.program.binary("multiply", self, other)

    def __rmul__(self, other: Any) -> Value:
        return self.program.binary("multiply", other, self)

    def __truediv__(self, other: Any) -> Value:
        return self.program.binary("divide", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return self.program.binary("divide", other, self)

    def __getitem__(self, index: Any) -> Value:
        chosen = np.atleast_1d(np.arange(self.size)[index])
        whole = chosen.size == self.size and (chosen == np.arange(self.size)).all()
        return self if whole else self.program.node("take", (self,), (chosen,), chosen.size)

    def __getattr__(self, name: str) -> Any:
        if name not in UNARY:
            raise AttributeError(name)
        return lambda: self.program.node(name, (self,), (), self.size)

    def maximum(self, other: Any) -> Value:
        """The larger of both, entry by entry."""
        return self.program.binary("maximum", self, other)

    def minimum(self, other: Any) -> Value:
        """The smaller of both, entry by entry."""
        return self.program.binary("minimum", self, other)

    def affine(self, W: np.ndarray, b: Any = 0.0) -> Value:
        """``W a + b``."""
        W, b = np.ascontiguousarray(np.atleast_2d(W), np.float64), np.asarray(b, np.float64)
        require_fit(W.ndim == 2 and W.shape[1] == self.size and b.shape in ((), (len(W),)), W.shape, b.shape, self.size)
        b = np.array(np.broadcast_to(b, len(W)))
        return self.program.node("affine", (self,), (W, b), len(W))

    def solve(self, lower: np.ndarray) -> Value:
        """``L^-1 a`` with the lower triangle L."""
        lower = np.tril(np.asarray(lower, np.float64))
        require_fit(lower.shape == (self.size, self.size), lower.shape, self.size)
        return self.program.node("solve", (self,), (lower,), len(lower))

    def distances(self, Z: np.ndarray) -> Value:
        """Squared distance to each row of Z."""
        Z = np.ascontiguousarray(Z, np.float64)
        require_fit(Z.shape[1:] == (self.size,), Z.shape, self.size)
        return self.program.node("distances", (self,), (Z,), len(Z))

    def outer(self, other: Value) -> Value:
        """All products ``a_i b_j``, row by row."""
        return self.program.node("outer", (self, other), (), self.size * other.size)

    def sum(self) -> Value:
        """Sum of the entries, (1,)."""
        return self if self.size == 1 else self.program.node("sum", (self,), (), 1)

    def trees(self, nodes: np.ndarray, values: np.ndarray, roots: np.ndarray) -> Value:
        """Sum over trees of the values (m, k) of the leaf that is reached; nodes (m, 4) and roots (T,) as above."""
        nodes, values, roots = (np.ascontiguousarray(a, np.float64) for a in (nodes, values, roots))
        require_fit(nodes[:, 0].max() < self.size, nodes[:, 0].max(), self.size)
        depth, front = 0, roots.astype(int)
        while len(front := front[nodes[front, 2] != front]):
            front = nodes[front, 2:].astype(int).ravel()
            depth += 1
            require_fit(depth <= len(nodes), "a tree goes in a circle")
        data = (nodes, values, roots, np.array([float(depth)]))
        return self.program.node("trees", (self,), data, values.shape[1])

    def local(self, *data: np.ndarray) -> Value:
        """Mean and variance of a process on the nearest rows (2,); data as above."""
        return self.program.node("local", (self,), tuple(np.ascontiguousarray(a, np.float64) for a in data), 2)

    def softmax(self) -> Value:
        """Probabilities from scores."""
        return self.program.node("softmax", (self,), (), self.size)


class Program:
    """A list of nodes with named results.

    Attributes:
        nodes: each after those it is made from; the first is the input.
        results: places of what is asked for, by name.
    """

    def __init__(self, d: int) -> None:
        self.nodes: list[Node] = [Node("input", (), (), d)]
        self.results: dict[str, int] = {}

    @property
    def d(self) -> int:
        """Number of inputs."""
        return self.nodes[0].size

    @property
    def input(self) -> Value:
        """The row."""
        return Value(self, 0)

    def constant(self, values: Any) -> Value:
        """The same for every row."""
        values = np.atleast_1d(np.array(values, np.float64))
        require_fit(values.ndim == 1, values.shape)
        return self.node("constant", (), (values,), values.size)

    def node(self, op: str, args: Sequence[Value], data: tuple[np.ndarray, ...], size: int) -> Value:
        """Add a node; one that is the same for every row becomes a constant.

        Args:
            op: operation.
            args: vectors that it needs.
            data: its arrays.
            size: number of entries.

        Returns:
            The new vector.
        """
        given = [self.nodes[arg.at] for arg in args]
        if given and all(one.op == "constant" for one in given):
            from numdl.export.evaluate import fold

            op, args, data = "constant", (), (fold(op, [one.data[0] for one in given], data, size),)
        self.nodes.append(Node(op, tuple(arg.at for arg in args), data, size))
        return Value(self, len(self.nodes) - 1)

    def binary(self, op: str, left: Any, right: Any) -> Value:
        """An elementwise operation; numbers and arrays become constants.

        Args:
            op: one of ``BINARY``.
            left: vector, array or number.
            right: likewise.

        Returns:
            The new vector.
        """
        left, right = (one if isinstance(one, Value) else self.constant(one) for one in (left, right))
        require_fit(left.size == right.size or 1 in (left.size, right.size), op, left.size, right.size)
        return self.node(op, (left, right), (), max(left.size, right.size))

    def join(self, parts: Sequence[Value]) -> Value:
        """The parts one behind the other."""
        if len(parts) == 1:
            return parts[0]
        return self.node("join", parts, (), sum(part.size for part in parts))

    def needed(self, *names: str) -> list[int]:
        """Places of all nodes that these results need, in their order.

        Args:
            *names: keys of ``results``.

        Returns:
            Increasing numbers.
        """
        wanted = {self.results[name] for name in names}
        for at in range(len(self.nodes) - 1, -1, -1):
            if at in wanted:
                wanted.update(self.nodes[at].args)
        return sorted(wanted)

    def last_use(self, places: Sequence[int], keep: Sequence[int]) -> dict[int, list[int]]:
        """Which vectors are not needed any more after each node.

        Args:
            places: the nodes that are run, in their order.
            keep: vectors that are never given up.

        Returns:
            Places to give up, by the place after which.
        """
        last = {arg: at for at in places for arg in self.nodes[at].args}
        out: dict[int, list[int]] = {}
        for arg, at in last.items():
            if arg not in keep:
                out.setdefault(at, []).append(arg)
        return out

    def count(self, *names: str) -> int:
        """Numbers in the arrays that these results need.

        Args:
            *names: keys of ``results``.

        Returns:
            The count; a triangle counts its entries.
        """
        total = 0
        for at in self.needed(*names):
            node = self.nodes[at]
            total += node.size * (node.size + 1) // 2 if node.op == "solve" else sum(a.size for a in node.data)
        return total
