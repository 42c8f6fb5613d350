"""Task: a graph of neighbours, its Laplacian, the second eigenvector, and few labels spread over it.

The numbers to compare with come from loops over pairs of points, and parts of a graph from walking along its edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.task import Check, Data, Function, Functions, Mistake, Task, close

NEIGHBOURS, WIDTH = 4, 0.8


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: three far clouds of points, two touching ones, values, and labels."""
    near = rng.standard_normal((24, 2)) * 0.5 + np.repeat([[0.0, 0], [1.6, 0]], 12, axis=0)
    far = rng.standard_normal((24, 2)) * 0.4 + np.repeat([[0.0, 0], [9, 0], [0, 9]], 8, axis=0)
    return Data(
        near=near,
        far=far,
        W=dense_weights(near, NEIGHBOURS, WIDTH, "either") + 0.02 * (1 - np.eye(24)),
        parts=dense_weights(far, NEIGHBOURS, WIDTH, "either"),
        f=rng.standard_normal(24),
        rows=np.array([0, 5, 13, 20]),
        values=np.array([1.0, 1, -1, -1]) + 0.1 * rng.standard_normal(4),
    )


def dense_weights(X: np.ndarray, k: int, width: float, symmetric: str) -> np.ndarray:
    """Weights of a graph of neighbours, pair by pair."""
    n = len(X)
    far = np.array([[np.hypot(*(X[i] - X[j])) for j in range(n)] for i in range(n)])
    near = np.array([[i != j and np.sum(far[i] < far[i, j]) <= k for j in range(n)] for i in range(n)])
    edges = {"either": near | near.T, "none": near, "both": near & near.T}[symmetric]
    return edges * np.exp(-(far**2) / (2 * width**2))


def build(
    *, symmetric: str = "either", degree: str = "sum", factor: float = 0.5, second: int = 1, held: bool = True
) -> dict[str, Callable[..., Any]]:
    """The functions; the switches put mistakes in."""

    def weights(X: np.ndarray, k: int, width: float) -> Any:
        return dense_weights(X, k, width, symmetric)

    def laplacian(W: np.ndarray) -> Any:
        n = len(W)
        edges = W > 0 if degree == "count" else W
        L = -np.array(W)
        for i in range(n):
            L[i, i] = sum(edges[i, j] for j in range(n) if j != i)
        return L

    def roughness(W: np.ndarray, f: np.ndarray) -> Any:
        n = len(f)
        return factor * sum(W[i, j] * (f[i] - f[j]) ** 2 for i in range(n) for j in range(n))

    def parts(W: np.ndarray) -> Any:
        left, count = set(range(len(W))), 0
        while left:
            front = {left.pop()}
            count += 1
            while front:
                i = front.pop()
                new = {j for j in left if W[i, j] > 0 or W[j, i] > 0}
                left, front = left - new, front | new
        return count

    def fiedler(W: np.ndarray) -> Any:
        v = np.linalg.eigh(laplacian(W))[1][:, second]
        return v * np.sign(v[0])

    def spread(W: np.ndarray, rows: np.ndarray, values: np.ndarray) -> Any:
        L, n = laplacian(W), len(W)
        S = np.zeros((len(rows), n))
        S[np.arange(len(rows)), rows] = 1
        if not held:
            return np.linalg.solve(L + S.T @ S, S.T @ values)
        zero = np.zeros((len(rows), len(rows)))
        return np.linalg.solve(np.block([[L, S.T], [S, zero]]), np.append(np.zeros(n), values))[:n]

    made = [weights, laplacian, roughness, parts, fiedler, spread]
    return {one.__name__: one for one in made}


def _sums(f: Functions, z: Data) -> Any:
    return f.laplacian(z.W).sum(axis=1)


TASK = Task(
    name="graph",
    title="A graph of neighbours: Laplacian, Fiedler vector, few labels",
    text="""
    Points that lie close are joined: i and j have the weight $w_{ij} = e^{-|x_i - x_j|^2 / (2 s^2)}$ if one of them is
    among the k nearest neighbours of the other (a point is not its own neighbour), and else 0. With the degrees
    $d_i = \\sum_j w_{ij}$ the Laplacian is $L = D - W$, and

    $$ f'Lf = \\tfrac12 \\sum_{ij} w_{ij} (f_i - f_j)^2 $$

    says how rough f is. Write both sides, the number of parts of a graph, its second eigenvector, and the smoothest f
    that has given values in some rows: $(Lf)_i = 0$ in all others.
    """,
    functions=(
        Function(
            "weights",
            "X, k, s",
            """
            Weights of the graph (n, n), symmetric.

            Args:
                X: points (n, 2).
                k: neighbours of each point.
                s: width.

            >>> np.round(weights(np.array([[0.0, 0], [1, 0], [3, 0]]), 1, 1.0), 4).tolist()
            [[0.0, 0.6065, 0.0], [0.6065, 0.0, 0.1353], [0.0, 0.1353, 0.0]]
            """,
            lambda X, k, s: (len(X), len(X)),
        ),
        Function("laplacian", "W", "Laplacian (n, n) of a graph with weights W (n, n).", lambda W: W.shape),
        Function(
            "roughness",
            "W, f",
            """
            Roughness f'Lf of values f (n,), a number.

            >>> float(roughness(np.array([[0.0, 2], [2, 0]]), np.array([1.0, -2])))
            18.0
            """,
            lambda W, f: (),
        ),
        Function("parts", "W", "Number of parts that are not connected with each other.", lambda W: ()),
        Function(
            "fiedler",
            "W",
            "Eigenvector (n,) of the second smallest eigenvalue of L, of norm 1, its first entry positive.",
            lambda W: (len(W),),
        ),
        Function(
            "spread",
            "W, rows, values",
            """
            Values f (n,) with f[rows] = values, and (L f)_i = 0 in all other rows.

            >>> W = np.array([[0.0, 1, 0], [1, 0, 3], [0, 3, 0]])
            >>> np.round(spread(W, np.array([0, 2]), np.array([0.0, 1])), 6).tolist()
            [0.0, 0.75, 1.0]
            """,
            lambda W, rows, values: (len(W),),
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake("factor 2", "The sum over all i and j counts each edge twice: take half of it.", ({"factor": 1.0},)),
        Mistake(
            "not symmetrised",
            "j may be a neighbour of i without i being one of j; the edge counts in both directions.",
            ({"symmetric": "none"},),
        ),
        Mistake("only mutual neighbours", "One of the two is enough for an edge.", ({"symmetric": "both"},)),
        Mistake(
            "edges counted instead of weights",
            "The degree is the sum of the weights, so that the rows of L sum to 0.",
            ({"degree": "count"},),
        ),
        Mistake("first eigenvector", "The first one is constant and says nothing; take the second.", ({"second": 0},)),
        Mistake("labels not held", "Values in the given rows are conditions, not a penalty.", ({"held": False},)),
    ),
    checks=(
        Check("weights", "1.2", lambda f, z: f.weights(z.near, NEIGHBOURS, WIDTH), close(1e-11)),
        Check("Laplacian", "1.2", lambda f, z: f.laplacian(z.W), close(1e-11)),
        Check("rows of the Laplacian sum to 0", "1.2", _sums, lambda s, r: _zero(s)),
        Check("roughness", "1.2", lambda f, z: f.roughness(z.W, z.f), close(1e-11)),
        Check("parts of two graphs", "1.2", lambda f, z: np.array([f.parts(z.W), f.parts(z.parts)]), close(1e-12)),
        Check("Fiedler vector", "1.2", lambda f, z: f.fiedler(z.W), close(1e-7), 2),
        Check("labels spread", "1.2", lambda f, z: f.spread(z.W, z.rows, z.values), close(1e-9), 2),
    ),
    elsewhere="""
    Points `X`; weights `W` and `Wparts` of two other graphs; values `f`; labels `values` in the rows `rows`,
    counted from 1. Answers: `weights` of `X` with k = 4 and s = 0.8; `laplacian`, `fiedler`, `spread` and, with
    `f`, `roughness` of `W`; `parts` of `Wparts`.
    """,
    tables=lambda z: {"X": z.near, "W": z.W, "Wparts": z.parts, "f": z.f, "rows": z.rows + 1.0, "values": z.values},
    answers=lambda f, z: {
        "weights": f.weights(z.near, NEIGHBOURS, WIDTH),
        "laplacian": f.laplacian(z.W),
        "roughness": f.roughness(z.W, z.f),
        "parts": np.array(f.parts(z.parts)),
        "fiedler": f.fiedler(z.W),
        "spread": f.spread(z.W, z.rows, z.values),
    },
    refused=("scipy.sparse.csgraph", "networkx"),
)


def _zero(s: Any) -> tuple[str, str] | None:
    worst = float(np.abs(s[""]).max())
    return None if worst < 1e-10 else ("0", f"{worst:.3g}")
