"""Task: a single layer, and products with its derivative and its transpose for weights, bias and input.

The numbers to compare with come unit by unit and sample by sample, by loops over entries of the Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.task import (
    Check,
    Data,
    Function,
    Functions,
    Mistake,
    Task,
    close,
    holds,
    order_two,
    taylor,
)

MANY = 10**8
"""Entries that a Jacobian may not have: there is no memory for them."""


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: a layer from 3 to 5 units for 7 samples, a square one, and directions."""
    return Data(
        K=rng.standard_normal((5, 3)),
        b=rng.standard_normal(5),
        Y=rng.standard_normal((3, 7)),
        VK=rng.standard_normal((5, 3)),
        Vb=rng.standard_normal(5),
        VY=rng.standard_normal((3, 7)),
        U=rng.standard_normal((5, 7)),
        square=rng.standard_normal((4, 4)),
        bias=rng.standard_normal(4),
        columns=rng.standard_normal((4, 4)),
        W=rng.standard_normal((4, 4)),
        wide=rng.standard_normal((100, 150)) / 10,
    )


def build(
    *, slope: str = "sum", bias: str = "unit", lost: str = "", dense: bool = False
) -> dict[str, Callable[..., Any]]:
    """The functions; the switches put mistakes in."""

    def sums(K: np.ndarray, b: np.ndarray, Y: np.ndarray) -> np.ndarray:
        if Y.size > 1000:
            return K @ Y + np.outer(b, np.ones(Y.shape[1]))
        return np.array([[K[i] @ Y[:, j] + b[i] for j in range(Y.shape[1])] for i in range(len(b))])

    def layer(K: np.ndarray, b: np.ndarray, Y: np.ndarray) -> Any:
        return np.tanh(sums(K, b, Y) if bias != "forgotten" else sums(K, 0 * b, Y))

    def derivative(K: np.ndarray, b: np.ndarray, Y: np.ndarray) -> np.ndarray:
        if dense and Y.size * K.size * Y.shape[1] > MANY:
            raise MemoryError
        A = sums(K, b, Y)
        return {"sum": 1 / np.cosh(A) ** 2, "output": 1 / np.cosh(np.tanh(A)) ** 2, "none": np.ones_like(A)}[slope]

    def jacobian(K: Any, b: Any, Y: Any, VK: Any, Vb: Any, VY: Any) -> Any:
        D = derivative(K, b, Y)
        inner = VK @ Y + K @ VY + (Vb[:, None] if bias != "none" else 0)
        return D * inner

    def transposed(K: Any, b: Any, Y: Any, U: Any) -> Any:
        D = derivative(K, b, Y)
        total = {"unit": (D * U).sum(axis=1), "all": np.full(len(b), (D * U).sum()), "none": np.zeros(len(b))}
        total["forgotten"] = total["unit"]
        total["mean"] = (D * U).mean(axis=1)
        GK = (D * U) @ (Y if lost == "Y" else Y.T)
        GY = (K if lost == "K" else K.T) @ (D * U)
        return GK, total[bias], GY

    return {"layer": layer, "jacobian": jacobian, "transposed": transposed}


def _zero(z: Data, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(v * (name in (one, "all")) for one, v in (("K", z.VK), ("b", z.Vb), ("Y", z.VY)))  # pyright: ignore


def _taylor(f: Functions, z: Data) -> dict[str, Any]:
    slope = f.jacobian(z.K, z.b, z.Y, z.VK, z.Vb, z.VY)
    parts = np.array([0.0])

    def along(t: np.ndarray) -> Any:
        return f.layer(z.K + t[0] * z.VK, z.b + t[0] * z.Vb, z.Y + t[0] * z.VY)

    return taylor(along, parts, np.array([1.0]), slope)


def _adjoint(name: str) -> Callable[[Functions, Data], Any]:
    def probe(f: Functions, z: Data) -> Any:
        V = _zero(z, name)
        ahead = np.vdot(z.U, f.jacobian(z.K, z.b, z.Y, *V))
        back = sum(np.vdot(v, g) for v, g in zip(V, f.transposed(z.K, z.b, z.Y, z.U), strict=True))
        return {"ahead": ahead, "back": back}

    return probe


def _big(f: Functions, z: Data) -> Any:
    K, Y = z.wide, np.resize(z.VY, (150, 200))
    b, U = np.resize(z.b, 100), np.resize(z.U, (100, 200))
    GK, Gb, GY = f.transposed(K, b, Y, U)
    return {"K": GK[:5, :5], "b": Gb[:5], "Y": GY[:5, :5], "ahead": f.jacobian(K, b, Y, K, b, Y)[:5, :5]}


def _parts(f: Functions, *at: np.ndarray) -> dict[str, Any]:
    return dict(zip(("K", "b", "Y"), f.transposed(*at), strict=True))


_SAME = holds(
    lambda s: abs(s["ahead"] - s["back"]) <= 1e-12 * max(abs(s["ahead"]), abs(s["back"]), 1.0),
    "<U, J V> = <J'U, V>",
    lambda s: f"{s['ahead']:.6g} and {s['back']:.6g}",
)

TASK = Task(
    name="layer",
    title="A single layer: its values, and products with J and J'",
    text="""
    A layer maps samples, the columns of Y, to $Z = \\tanh(KY + b\\mathbf 1')$: K are weights (m, d), b holds one number
    for each unit. Write its values, the product of its derivative with directions $(V_K, V_b, V_Y)$, and the product of
    the transposed derivative with U of the shape of Z, which is a part for each of K, b and Y. Form no Jacobian: for
    100 units, 150 inputs and 200 samples it would have a thousand million entries.
    """,
    functions=(
        Function(
            "layer",
            "K, b, Y",
            """
            Values of the layer (m, n).

            Args:
                K: weights (m, d).
                b: bias (m,).
                Y: samples (d, n), one in each column.

            >>> K, b, Y = np.array([[1.0, 2], [0, 1]]), np.array([0.5, -1]), np.array([[1.0], [-1]])
            >>> np.round(layer(K, b, Y), 6).tolist()
            [[-0.462117], [-0.964028]]
            """,
            lambda K, b, Y: (len(K), Y.shape[1]),
        ),
        Function(
            "jacobian",
            "K, b, Y, VK, Vb, VY",
            """
            Change of the values (m, n) in the directions VK, Vb and VY together, of the shapes of K, b and Y.

            >>> K, b, Y = np.array([[1.0, 2], [0, 1]]), np.array([0.5, -1]), np.array([[1.0], [-1]])
            >>> np.round(jacobian(K, b, Y, K, 0 * b, 0 * Y), 6).tolist()
            [[-0.786448], [-0.070651]]
            """,
            lambda K, b, Y, *V: (len(K), Y.shape[1]),
        ),
        Function(
            "transposed",
            "K, b, Y, U",
            """
            Product of the transposed derivative with U (m, n): three arrays, of the shapes of K, b and Y.

            >>> K, b, Y = np.array([[1.0, 2], [0, 1]]), np.array([0.5, -1]), np.array([[1.0], [-1]])
            >>> [np.round(part, 4).tolist() for part in transposed(K, b, Y, np.ones((2, 1)))]
            [[[0.7864, -0.7864], [0.0707, -0.0707]], [0.7864, 0.0707], [[0.7864], [1.6435]]]
            """,
            lambda K, b, Y, U: [K.shape, b.shape, Y.shape],
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "bias not by unit",
            "b has an entry for each unit: its part of J'U is the sum over the samples, unit by unit.",
            ({"bias": "all"}, {"bias": "mean"}, {"bias": "none"}, {"bias": "forgotten"}),
        ),
        Mistake(
            "transpose lost",
            "The transposed derivative needs Y' behind (for K) and K' in front (for Y).",
            ({"lost": "K"}, {"lost": "Y"}),
        ),
        Mistake(
            "derivative at Z",
            "tanh is differentiated at K Y + b, not at its own values Z.",
            ({"slope": "output"},),
        ),
        Mistake("derivative of tanh lost", "The chain rule multiplies with 1 - Z * Z.", ({"slope": "none"},)),
        Mistake(
            "Jacobian formed", "Products need as much memory as the layer itself, not a matrix.", ({"dense": True},)
        ),
    ),
    checks=(
        Check("values", "2.6", lambda f, z: f.layer(z.K, z.b, z.Y), close(1e-12)),
        Check("J V for weights", "2.6", lambda f, z: f.jacobian(z.K, z.b, z.Y, *_zero(z, "K")), close(1e-11)),
        Check("J V for the bias", "2.6", lambda f, z: f.jacobian(z.K, z.b, z.Y, *_zero(z, "b")), close(1e-11)),
        Check("J V for the input", "2.6", lambda f, z: f.jacobian(z.K, z.b, z.Y, *_zero(z, "Y")), close(1e-11)),
        Check("Taylor test in all three at once", "1.12", _taylor, order_two),
        Check("J'U for weights", "2.6", lambda f, z: _parts(f, z.K, z.b, z.Y, z.U)["K"], close(1e-11)),
        Check("J'U for the bias", "2.6", lambda f, z: _parts(f, z.K, z.b, z.Y, z.U)["b"], close(1e-11)),
        Check("J'U for the input", "2.6", lambda f, z: _parts(f, z.K, z.b, z.Y, z.U)["Y"], close(1e-11)),
        Check(
            "J'U with as many units as inputs and samples",
            "2.6",
            lambda f, z: _parts(f, z.square, z.bias, z.columns, z.W),
            close(1e-11),
        ),
        Check("adjoint test, weights", "2.6", _adjoint("K"), _SAME),
        Check("adjoint test, bias", "2.6", _adjoint("b"), _SAME),
        Check("adjoint test, input", "2.6", _adjoint("Y"), _SAME),
        Check("100 units, 150 inputs, 200 samples: no Jacobian", "2.6", _big, close(1e-9), 2),
    ),
    elsewhere="""
    A layer `K`, `b`, `Y`, directions `VK`, `Vb`, `VY`, and `U`. Answers: `Z`, the values; `JV`, their change in all
    directions together; `GK`, `Gb`, `GY`, the three parts of J'U.
    """,
    tables=lambda z: {name: getattr(z, name) for name in ("K", "b", "Y", "VK", "Vb", "VY", "U")},
    answers=lambda f, z: {
        "Z": f.layer(z.K, z.b, z.Y),
        "JV": f.jacobian(z.K, z.b, z.Y, z.VK, z.Vb, z.VY),
        **dict(zip(("GK", "Gb", "GY"), f.transposed(z.K, z.b, z.Y, z.U), strict=True)),
    },
)
