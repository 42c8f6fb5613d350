"""Task: conjugate gradients for least squares from products alone.

The numbers to compare with are the minimisers over Krylov spaces, each from an orthonormal basis and a dense
least-squares problem; mistakes are recurrences.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.task import Check, Data, Function, Functions, Mistake, Task, Values, close, holds

Product = Callable[[np.ndarray], np.ndarray]


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: a tall and a wide matrix with their right-hand sides."""
    tall, wide = rng.standard_normal((30, 8)), rng.standard_normal((6, 15))
    scales = np.geomspace(1, 0.1, 8)
    return Data(A=tall * scales, b=rng.standard_normal(30), wide=wide, short=rng.standard_normal(6))


def build(
    *, slide: bool = False, formed: bool = False, absolute: str = "", twice: str = ""
) -> dict[str, Callable[..., Any]]:
    """The function; the switches put mistakes in."""

    def krylov(A: Product, At: Product, b: np.ndarray, steps: int, tol: float) -> np.ndarray:
        g = At(b)
        basis, images, X, new = np.empty((len(g), 0)), np.empty((len(b), 0)), [np.zeros(len(g))], g
        for _ in range(steps):
            for _ in range(2):
                new = new - basis @ (basis.T @ new)
            v = new / np.linalg.norm(new)
            image = A(v)
            basis, images = np.column_stack([basis, v]), np.column_stack([images, image])
            X.append(basis @ np.linalg.lstsq(images, b)[0])
            slope = At(b - images @ np.linalg.lstsq(images, b)[0])
            if np.linalg.norm(slope) <= tol * np.linalg.norm(g) or len(X) > min(len(g), len(b)):
                break
            new = slope
        return np.array(X)

    def recurrence(A: Product, At: Product, b: np.ndarray, steps: int, tol: float) -> np.ndarray:
        if formed:
            g = At(b)
            N = np.column_stack([At(A(e)) for e in np.eye(len(g))])
        x, r = np.zeros(len(At(b))), b
        s = d = g = At(b)
        gamma = start = s @ s
        X = [x]
        for _ in range(steps):
            q = N @ d if formed else A(d)
            again = A(d) if twice in ("A", "AA") else q
            step = gamma / (d @ q if formed else again @ (A(d) if twice == "AA" else q))
            x = x + step * d
            r = r if formed else r - step * q
            s = s - step * q if formed else At(r) if twice != "At" else At(r) * np.sign(np.linalg.norm(At(r)))
            X.append(x)
            last, gamma = gamma, d @ d if slide else s @ s
            small = {"": tol * np.sqrt(start), "norm": tol, "square": np.sqrt(tol)}[absolute]
            if np.linalg.norm(s) <= small:
                break
            d = s + gamma / last * d
        return np.array(X)

    def cgls(A: Product, At: Product, b: np.ndarray, steps: int, tol: float) -> np.ndarray:
        wrong = slide or formed or absolute or twice
        return (recurrence if wrong else krylov)(A, At, b, steps, tol)

    return {"cgls": cgls}


class Counted:
    """A matrix as two functions that count, and note whether unit vectors come."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix, self.products, self.units = matrix, [0, 0], [0, 0]

    def times(self, which: int, v: Any) -> np.ndarray:
        """Product with the matrix or its transpose."""
        matrix, v = (self.matrix, self.matrix.T)[which], np.asarray(v, float)
        if v.shape != matrix.shape[1:]:
            name = ("A", "At")[which]
            raise ValueError(f"{name} was given shape {v.shape}, needs {matrix.shape[1:]}")
        self.products[which] += 1
        self.units[which] += int(np.count_nonzero(v) == 1)
        return matrix @ v

    def run(self, f: Functions, b: np.ndarray, steps: int, tol: float = 0.0) -> np.ndarray:
        """Iterates of the submission."""
        return f.cgls(lambda v: self.times(0, v), lambda v: self.times(1, v), b, steps, tol)


def _two_norms(f: Functions, z: Data) -> dict[str, Any]:
    X = Counted(z.A).run(f, z.b, 6)
    return {"residuals": np.linalg.norm(z.b - X @ z.A.T, axis=1), "norms": np.linalg.norm(X, axis=1)}


def _monotone(s: Values) -> bool:
    return bool((np.diff(s["residuals"]) < 1e-12).all() and (np.diff(s["norms"]) > -1e-12).all())


def _products(f: Functions, z: Data) -> Any:
    counts = []
    for steps in (3, 6):
        counted = Counted(z.A)
        counted.run(f, z.b, steps)
        counts.append(counted.products)
    return np.subtract(counts[1], counts[0]) / 3


def _units(f: Functions, z: Data) -> Any:
    counted = Counted(z.A)
    counted.run(f, z.b, 3)
    return max(counted.units)


def _lengths(f: Functions, z: Data) -> Any:
    return [len(Counted(z.A).run(f, scale * z.b, 8, 0.05)) - 1 for scale in (1.0, 1e-6, 1e6)]


TASK = Task(
    name="cgls",
    title="Least squares by conjugate gradients, from products alone",
    text="""
    Write CGLS for $\\min_x \\|Ax - b\\|$, started at $x_0 = 0$. The matrix is not given, only two functions: A(v) is
    $Av$ and At(u) is $A'u$. After k steps the iterate minimises the residual over the span of
    $A'b, (A'A)A'b, \\dots, (A'A)^{k-1}A'b$. A step needs one product with A and one with A'. Stop as soon as
    $\\|A'(b - Ax_k)\\| \\le \\mathrm{tol}\\, \\|A'b\\|$.
    """,
    functions=(
        Function(
            "cgls",
            "A, At, b, steps, tol",
            """
            All iterates of CGLS, one in each row, (k + 1, d); the first row is zero.

            Args:
                A: function, (d,) to (n,).
                At: function, (n,) to (d,).
                b: right-hand side (n,).
                steps: at most so many.
                tol: stop when the norm of A'(b - A x) is at most tol times that of A'b.

            >>> M, b = np.array([[1.0, 0], [1, 1], [0, 2]]), np.array([1.0, 2, 3])
            >>> np.round(cgls(lambda v: M @ v, lambda u: M.T @ u, b, 2, 0.0), 4).tolist()
            [[0.0, 0.0], [0.5674, 1.513], [0.7778, 1.4444]]
            >>> len(cgls(lambda v: M @ v, lambda u: M.T @ u, b, 2, 0.1))
            2
            """,
            lambda A, At, b, steps, tol: (-1, len(At(b))),
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "d'd for s's",
            "The new direction needs the norm of the new s = A'r; d'd is that of the old direction, as on a slide.",
            ({"slide": True},),
        ),
        Mistake(
            "normal equations formed",
            "A was applied to all unit vectors to get the matrix A'A: that costs d products and half the digits.",
            ({"formed": True},),
        ),
        Mistake(
            "absolute tolerance",
            "Compare with tol times the norm of A'b, else the answer depends on the unit of b.",
            ({"absolute": "norm"}, {"absolute": "square"}),
        ),
        Mistake(
            "a product computed again",
            "Keep q = A d and s = A'r: q gives the length of the step and the new r, s its norm and the direction.",
            ({"twice": "A"}, {"twice": "AA"}, {"twice": "At"}),
        ),
    ),
    checks=(
        Check("the first 5 iterates", "1.4", lambda f, z: Counted(z.A).run(f, z.b, 5), close(1e-8), 2),
        Check("as many steps as unknowns end it", "1.4", lambda f, z: Counted(z.A).run(f, z.b, 8)[-1], close(1e-6)),
        Check(
            "the residual falls and the norm of x grows",
            "1.7",
            _two_norms,
            holds(_monotone, "residuals that fall, norms that grow", lambda s: "one that does not"),
        ),
        Check(
            "fewer rows than unknowns: the shortest solution",
            "1.7",
            lambda f, z: Counted(z.wide).run(f, z.short, 6)[-1],
            close(1e-6),
        ),
        Check(
            "one product with A and one with A' in a step",
            "1.4",
            _products,
            holds(
                lambda s: (s[""] <= 1).all(),
                "1 and 1",
                lambda s: f"{s[''][0]:.3g} and {s[''][1]:.3g}",
            ),
        ),
        Check(
            "A is never formed",
            "1.4",
            _units,
            holds(lambda s: s[""] == 0, "no products with unit vectors", lambda s: f"{s['']:.0f}"),
        ),
        Check(
            "stops at the same step for b, b/1000000 and 1000000 b",
            "1.7",
            _lengths,
            close(1e-12),
            2,
        ),
    ),
    elsewhere="""
    A tall matrix `A` with `b`, a wide one `Awide` with `bwide`. Answers, all with tol = 0: `iterates`, rows $x_0$
    to $x_5$ for `A`, `b`; `last`, $x_8$ of them; `shortest`, $x_6$ for `Awide`, `bwide`.
    """,
    tables=lambda z: {"A": z.A, "b": z.b, "Awide": z.wide, "bwide": z.short},
    answers=lambda f, z: {
        "iterates": Counted(z.A).run(f, z.b, 5),
        "last": Counted(z.A).run(f, z.b, 8)[-1],
        "shortest": Counted(z.wide).run(f, z.short, 6)[-1],
    },
    refused=("scipy.sparse.linalg", "numpy.linalg.lstsq", "numpy.linalg.pinv", "scipy.linalg.lstsq"),
)
