"""ONNX in float64: how does a program become a graph of standard operators?

Opset 17, and version 3 of ``ai.onnx.ml`` where the table has text. ONNX Runtime has no arc sine, asinh and erf in
float64: the first is polished by Newton's method, the second written with a logarithm, the last is that of float32.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from numdl import __version__
from numdl.export.columns import Column
from numdl.export.description import CannotExport
from numdl.export.package import Package
from numdl.export.targets.onnx_local import local

OPSET, ML, IR = 17, 3, 8
"""Versions of the operators and of the file."""

TILE = 128
"""Unknowns that a triangular solve eliminates at once."""

NAMES = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "maximum": "Max", "minimum": "Min"}
NAMES |= {"tanh": "Tanh", "sin": "Sin", "cos": "Cos", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sigmoid": "Sigmoid"}
NAMES |= {"negative": "Neg"}
"""Operations that ONNX has under one name."""


def write(package: Package) -> bytes:
    """The model.

    Args:
        package: what to write.

    Returns:
        Its bytes.

    Raises:
        CannotExport: the package ``onnx`` is not installed.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ImportError:
        raise CannotExport(
            "export(to='onnx'): needs the package onnx. Install it: pip install 'numdl[onnx]'."
        ) from None
    graph = Graph()
    inputs = _inputs(graph, package)
    for at in package.program.needed(*package.results):
        graph.print(at, package.program)
    outputs = []
    for name in package.results:
        at = package.program.results[name]
        graph.add("Identity", [graph.spread(at, package.program)], out=name)
        outputs.append(
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", package.program.nodes[at].size])
        )
    if package.classes:
        labels = [str(label) for label in package.classes]
        graph.constants.append(helper.make_tensor("labels", TensorProto.STRING, [len(labels)], labels))  # type: ignore[arg-type]
        best = graph.add("ArgMax", ["probability"], axis=1, keepdims=0)
        graph.add("Gather", ["labels", best], out="label", axis=0)
        outputs.append(helper.make_tensor_value_info("label", TensorProto.STRING, ["rows"]))
    made = helper.make_graph(graph.nodes, package.name, inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=IR, producer_name="numdl")
    model.producer_version, model.doc_string = __version__, "\n".join(package.head())
    examples = {"rows": package.x, **package.expected}
    told = {"columns": [column.name for column in package.columns], "targets": list(package.targets)}
    told["examples"] = {name: values.tolist() for name, values in examples.items()}  # type: ignore[assignment]
    helper.set_model_props(model, {name: json.dumps(value) for name, value in told.items()})
    checker.check_model(model)
    return model.SerializeToString()


def _inputs(graph: Graph, package: Package) -> list[Any]:
    """One matrix, or one column each where the table has text; the coded row becomes ``v0``."""
    from onnx import TensorProto, helper

    if not package.coded:
        graph.add("Identity", ["x"], out="v0")
        return [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["rows", package.program.d])]
    found, parts = [], []
    for column in package.columns:
        kind = TensorProto.STRING if column.text else TensorProto.DOUBLE
        found.append(helper.make_tensor_value_info(column.name, kind, ["rows", 1]))
        parts += graph.coding(column)
    graph.add("Concat", parts, out="v0", axis=1)
    return found


class Graph:
    """Nodes and constants of a graph that is being written.

    Attributes:
        nodes: of ONNX.
        constants: of ONNX, by name in the nodes.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._zero = ""

    def add(self, op: str, inputs: list[str], out: str = "", **attributes: Any) -> str:
        """One operator.

        Args:
            op: its name.
            inputs: names of what it takes.
            out: name of what it makes; a new one if not given.
            **attributes: of the operator; ``domain`` for others than those of ONNX itself.

        Returns:
            The name of what it makes.
        """
        from onnx import helper

        out = out or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        return out

    def several(self, op: str, inputs: list[str], outs: list[str], **attributes: Any) -> None:
        """One operator with several results, named by the caller.

        Args:
            op: its name.
            inputs: names of what it takes.
            outs: names of what it makes.
            **attributes: of the operator.
        """
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, outs, **attributes))

    def constant(self, values: Any) -> str:
        """An array.

        Args:
            values: numbers; integers stay so.

        Returns:
            Its name.
        """
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def sum(self, name: str) -> str:
        """Sum of each row, (rows, 1)."""
        return self.add("ReduceSum", [name, self.constant(np.array([1]))], keepdims=1)

    def one_hot(self, name: str, values: tuple[str, ...]) -> str:
        """Zeros and ones for values of a text column; all zeros for others."""
        from onnx import TensorProto

        domain = "ai.onnx.ml"
        coded = self.add("OneHotEncoder", [name], domain=domain, cats_strings=list(values), zeros=1)
        flat = self.add("Reshape", [coded, self.constant(np.array([-1, len(values)]))])
        return self.add("Cast", [flat], to=TensorProto.DOUBLE)

    def coding(self, column: Column) -> list[str]:
        """The inputs that a column of the table becomes.

        Args:
            column: its coding.

        Returns:
            Names of matrices with one row for each row of the table.
        """
        name, c, add = column.name, self.constant, self.add
        if column.text:
            parts = [self.one_hot(name, column.common)] if column.common else []
            parts += [self.sum(self.one_hot(name, column.rare))] if column.rare else []
            if column.fill is None:
                return parts
            gap = self.one_hot(name, ("",))
            if column.place is not None:
                there = np.eye(1, column.width - column.indicator, column.place)
                parts = [add("Add", [add("Concat", parts, axis=1), add("MatMul", [gap, c(there)])])]
            return parts + [gap] * column.indicator
        value, parts = name, []
        if column.fill is not None:
            from onnx import TensorProto

            gap = add("IsNaN", [name])
            value = add("Where", [gap, c(np.array([[float(column.fill)]])), name])
            parts = [add("Cast", [gap], to=TensorProto.DOUBLE)] if column.indicator else []
        if column.date:
            value = add("Sub", [value, c(np.array([[column.origin]]))])
        if column.kind != "cyclic":
            return [value, *parts]
        turned = add("Mul", [add("Add", [value, c(np.array([[column.origin]]))]), c(np.array([[2 * np.pi]]))])
        angles = [add("Div", [turned, c(np.array([[period]]))]) for period in column.periods]
        return [add(f, [angle]) for angle in angles for f in ("Sin", "Cos")] + parts

    def spread(self, at: int, program: Any) -> str:
        """A vector with one row for each row of the input, also where it is the same for all."""
        if program.nodes[at].op != "constant":
            return f"v{at}"
        if not self._zero:
            first = self.add("Gather", ["v0", self.constant(np.array([0]))], axis=1)
            self._zero = self.add("Mul", [first, self.constant(np.zeros((1, 1)))])
        return self.add("Add", [f"v{at}", self._zero])

    def print(self, at: int, program: Any) -> None:
        """The operators of one node, whose result is ``v<at>``.

        Args:
            at: its place.
            program: where it belongs.
        """
        node, out = program.nodes[at], f"v{at}"
        args = [f"v{arg}" for arg in node.args]
        match node.op:
            case "input":
                return
            case "constant":
                self.add("Identity", [self.constant(node.data[0][None, :])], out)
            case "take":
                self.add("Gather", [args[0], self.constant(node.data[0].astype(np.int64))], out, axis=1)
            case "join":
                self.add("Concat", [self.spread(arg, program) for arg in node.args], out, axis=1)
            case "affine":
                product = self.add("MatMul", [args[0], self.constant(node.data[0].T)])
                self.add("Add", [product, self.constant(node.data[1][None, :])], out)
            case "solve":
                self.solve(args[0], node.data[0], out)
            case "distances":
                Z = node.data[0]
                product = self.add("MatMul", [args[0], self.constant(-2 * Z.T)])
                own = self.sum(self.add("Mul", [args[0], args[0]]))
                q = self.add("Add", [self.add("Add", [product, own]), self.constant((Z * Z).sum(axis=1)[None, :])])
                self.add("Max", [q, self.constant(np.zeros((1, 1)))], out)
            case "outer":
                left = self.add("Unsqueeze", [args[0], self.constant(np.array([2]))])
                right = self.add("Unsqueeze", [args[1], self.constant(np.array([1]))])
                self.add("Reshape", [self.add("Mul", [left, right]), self.constant(np.array([-1, node.size]))], out)
            case "sum":
                self.add("ReduceSum", [args[0], self.constant(np.array([1]))], out, keepdims=1)
            case "trees":
                self.trees(args[0], node.data, out)
            case "local":
                local(self, args[0], node.data, out)
            case "softmax":
                self.add("Softmax", args, out, axis=1)
            case "square":
                self.add("Mul", [args[0], args[0]], out)
            case _:
                self.add(NAMES[node.op], args, out) if node.op in NAMES else self.written(node.op, args[0], out)

    def solve(self, a: str, L: np.ndarray, out: str) -> None:
        """Forward substitution by tiles, by products only: of the inverses of diagonal tiles, each result corrected.

        Where L L' is nearly singular, as of a process with little noise, a product with the inverse has an error of
        the inverse's size. Its correction by the residual has that of a substitution.

        Args:
            a: right-hand sides, (rows, m).
            L: lower triangle, (m, m).
            out: the result.
        """
        c, add, m = self.constant, self.add, len(L)
        done: list[str] = []
        for start in range(0, m, TILE):
            stop = min(start + TILE, m)
            tile = L[start:stop, start:stop]
            inverse = c(np.tril(np.linalg.solve(tile, np.eye(stop - start))).T)
            right = a if stop - start == m else add("Gather", [a, c(np.arange(start, stop))], axis=1)
            if done:
                before = done[0] if len(done) == 1 else add("Concat", done, axis=1)
                right = add("Sub", [right, add("MatMul", [before, c(L[start:stop, :start].T)])])
            first = add("MatMul", [right, inverse])
            wrong = add("Sub", [right, add("MatMul", [first, c(tile.T)])])
            done.append(add("Add", [first, add("MatMul", [wrong, inverse])]))
        add("Concat", done, out, axis=1)

    def trees(self, a: str, data: tuple[np.ndarray, ...], out: str) -> None:
        """All trees at once, a level at a time: the operator that ONNX has for them takes float32.

        Args:
            a: rows.
            data: nodes, values, roots and depth.
            out: the result.
        """
        from onnx import TensorProto

        nodes, values, roots, depth = data
        feature, low, high = (self.constant(column.astype(np.int64)) for column in nodes[:, [0, 2, 3]].T)
        threshold = self.constant(nodes[:, 1])
        row = self.add(
            "Mul", [self.add("Gather", [a, self.constant(np.array([0]))], axis=1), self.constant(np.zeros(1))]
        )
        start = self.add("Add", [row, self.constant(roots[None, :])])
        at = self.add("Cast", [start], to=TensorProto.INT64)
        for _ in range(int(depth[0])):
            asked = self.add("GatherElements", [a, self.add("Gather", [feature, at])], axis=1)
            below = self.add("LessOrEqual", [asked, self.add("Gather", [threshold, at])])
            at = self.add("Where", [below, self.add("Gather", [low, at]), self.add("Gather", [high, at])])
        each = self.add("Gather", [self.constant(values), at])
        self.add("ReduceSum", [each, self.constant(np.array([1]))], out, keepdims=0)

    def written(self, op: str, a: str, out: str) -> None:
        """Functions that ONNX Runtime does not have in float64.

        Args:
            op: "step", "softplus", "asinh", "erf" or "asin".
            a: its argument.
            out: its result.
        """
        from onnx import TensorProto

        if op in ("step", "softplus"):
            zero = self.constant(np.zeros((1, 1)))
        if op in ("softplus", "asinh"):
            one = self.constant(np.ones((1, 1)))
        if op == "step":
            self.add("Cast", [self.add("Greater", [a, zero])], out, to=TensorProto.DOUBLE)
        elif op == "softplus":
            e = self.add("Exp", [self.add("Neg", [self.add("Abs", [a])])])
            self.add("Add", [self.add("Max", [a, zero]), self.add("Log", [self.add("Add", [one, e])])], out)
        elif op == "asinh":
            size = self.add("Abs", [a])
            root = self.add("Sqrt", [self.add("Add", [self.add("Mul", [a, a]), one])])
            self.add("Mul", [self.add("Sign", [a]), self.add("Log", [self.add("Add", [size, root])])], out)
        elif op == "erf":
            short = self.add("Erf", [self.add("Cast", [a], to=TensorProto.FLOAT)])
            self.add("Cast", [short], out, to=TensorProto.DOUBLE)
        else:
            ends = self.constant(np.full((1, 1), 1 - 1e-7))
            inside = self.add("Max", [self.add("Min", [a, ends]), self.add("Neg", [ends])])
            short = self.add("Asin", [self.add("Cast", [inside], to=TensorProto.FLOAT)])
            y = self.add("Cast", [short], to=TensorProto.DOUBLE)
            for last in ("", "", out):  # y - (sin y - a) / cos y
                wrong = self.add("Sub", [self.add("Sin", [y]), a])
                y = self.add("Sub", [y, self.add("Div", [wrong, self.add("Cos", [y])])], last)
