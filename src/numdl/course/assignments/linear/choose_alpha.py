"""Task: Tikhonov's path, generalised cross validation, and an alpha that the data choose.

The numbers to compare with come from augmented least-squares problems and dense influence matrices, one for each alpha.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.task import Check, Data, Function, Functions, Mistake, Task, Values, close, holds

ROWS, UNKNOWNS, DRAWS = 60, 24, 20
WIDE = np.geomspace(1e-14, 1e-2, 121)


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: a blur of their own width, and signals with noise."""
    s, t = np.linspace(0, 1, ROWS)[:, None], (np.arange(UNKNOWNS) + 0.5) / UNKNOWNS
    A = np.exp(-0.5 * ((s - t) / rng.uniform(0.025, 0.032)) ** 2) / (20 * UNKNOWNS)
    waves = np.sin(np.pi * np.outer(np.arange(1, 25), t)) / np.sqrt(np.arange(1, 25))[:, None]
    truths = rng.standard_normal((DRAWS, 24)) @ waves
    clean = truths @ A.T
    noise = rng.standard_normal(clean.shape) * 0.1 * np.sqrt(np.mean(clean**2, axis=1, keepdims=True))
    return Data(A=A, truths=truths, B=clean + noise, alphas=np.geomspace(1e-9, 1e-5, 5))


def build(
    *, weight: str = "alpha", trace: str = "influence", grid: tuple[float, float] | None = None
) -> dict[str, Callable[..., Any]]:
    """The functions; the switches put mistakes in."""

    def weights(A: np.ndarray, alphas: np.ndarray) -> np.ndarray:
        return alphas * {"alpha": 1.0, "times": len(A), "over": 1 / len(A)}[weight]

    def path(A: np.ndarray, b: np.ndarray, alphas: np.ndarray) -> Any:
        d = A.shape[1]
        tall = [np.vstack([A, np.sqrt(alpha) * np.eye(d)]) for alpha in weights(A, alphas)]
        return np.array([np.linalg.lstsq(one, np.append(b, np.zeros(d)))[0] for one in tall])

    def gcv(A: np.ndarray, b: np.ndarray, alphas: np.ndarray) -> Any:
        n, d = A.shape
        found = []
        for alpha in weights(A, alphas):
            inverse = np.linalg.inv(A.T @ A + alpha * np.eye(d))
            H = A @ inverse @ A.T
            left = {"influence": n - np.trace(H), "unknowns": d - np.trace(H), "squared": n - np.sum(H * H)}
            left["inverse"] = n - np.trace(inverse)
            found.append(n * np.sum((b - H @ b) ** 2) / left[trace] ** 2)
        return np.array(found)

    def choose(A: np.ndarray, b: np.ndarray) -> Any:
        alphas = WIDE if grid is None else np.geomspace(*grid, 61)
        return alphas[_scores(_svd(A), b, weights(A, alphas), trace).argmin()]

    return {"path": path, "gcv": gcv, "choose": choose}


def _svd(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return _decomposed(A.tobytes(), A.shape)


@functools.lru_cache(2)
def _decomposed(content: bytes, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same matrix is asked about for each draw and each mistake."""
    return np.linalg.svd(np.frombuffer(content).reshape(shape), full_matrices=False)


def _scores(svd: Any, b: np.ndarray, alphas: np.ndarray, trace: str = "influence") -> Any:
    """GCV at many alphas from one decomposition."""
    U, s, Vt = svd
    n, d = len(U), Vt.shape[1]
    phi = s**2 / (s**2 + alphas[:, None])
    beta = U.T @ b
    misfit = (1 - phi) ** 2 @ beta**2 + b @ b - beta @ beta
    traces = {"influence": phi, "unknowns": phi, "squared": phi**2, "inverse": 1 / (s**2 + alphas[:, None])}
    return n * misfit / ((d if trace == "unknowns" else n) - traces[trace].sum(axis=1)) ** 2


def _solutions(svd: Any, b: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    U, s, Vt = svd
    return (s / (s**2 + alphas[:, None]) * (U.T @ b)) @ Vt


def _chosen(f: Functions, z: Data) -> np.ndarray:
    alphas = np.array([f.choose(z.A, b) for b in z.B])
    if not (np.isfinite(alphas).all() and (alphas > 0).all()):
        raise ValueError("alpha must be positive")
    return alphas


def _ratios(f: Functions, z: Data) -> Any:
    ratios, svd = [], _svd(z.A)
    for alpha, b, truth in zip(_chosen(f, z), z.B, z.truths, strict=True):
        best = np.linalg.norm(_solutions(svd, b, WIDE) - truth, axis=1).min()
        ratios.append(np.linalg.norm(_solutions(svd, b, np.array([alpha]))[0] - truth) / best)
    return np.array(ratios)


def _edges(f: Functions, z: Data) -> dict[str, Any]:
    """Draws in which GCV is smaller to the left and to the right of the alpha that was chosen."""
    sides, svd = [], _svd(z.A)
    for alpha, b in zip(_chosen(f, z), z.B, strict=True):
        lower = _scores(svd, b, WIDE) < 0.98 * _scores(svd, b, np.array([alpha]))
        sides.append(((lower & (alpha > WIDE)).any(), (lower & (alpha < WIDE)).any()))
    # Values of GCV are not judged here; they tell a wrong search from the search of wrong values.
    values = f.gcv(z.A, z.B[0], z.alphas)
    return {"left": [one[0] for one in sides], "right": [one[1] for one in sides], "values": values}


def _spread(s: Values) -> float:
    return float(np.exp(np.log(s[""]).mean()))


TASK = Task(
    name="choose_alpha",
    title="How much to smooth: Tikhonov's path, GCV, and a choice of alpha",
    text="""
    A blur A (60, 24) and readings b with noise are given. For a penalty alpha,

    $$ x_\\alpha = \\arg\\min_x \\|Ax - b\\|^2 + \\alpha \\|x\\|^2, \\qquad
       \\mathrm{GCV}(\\alpha) = \\frac{n\\, \\|Ax_\\alpha - b\\|^2}{(n - \\mathrm{tr} H_\\alpha)^2}, \\qquad
       H_\\alpha = A (A'A + \\alpha I)^{-1} A'. $$

    Write the path of solutions, the values of GCV, and a function that chooses alpha from A and b alone. It is tried on
    20 signals whose truth you do not see: the errors must be within a factor 1.5 of those of the best alpha, on
    (geometric) average. Mind where your search for the minimum begins and ends.
    """,
    functions=(
        Function(
            "path",
            "A, b, alphas",
            """
            Solutions for each alpha, one in each row, (m, d).

            Args:
                A: matrix (n, d).
                b: readings (n,).
                alphas: penalties (m,), positive.

            >>> A, b = np.array([[1.0, 0], [0, 0.1], [0, 0]]), np.array([1.0, 1, 1])
            >>> np.round(path(A, b, np.array([0.01, 1])), 4).tolist()
            [[0.9901, 5.0], [0.5, 0.099]]
            """,
            lambda A, b, alphas: (len(alphas), A.shape[1]),
        ),
        Function(
            "gcv",
            "A, b, alphas",
            """
            Generalised cross validation at each alpha, (m,).

            >>> A, b = np.array([[1.0, 0], [0, 0.1], [0, 0]]), np.array([1.0, 1, 1])
            >>> np.round(gcv(A, b, np.array([0.01, 1])), 4).tolist()
            [1.645, 1.0791]
            """,
            lambda A, b, alphas: (len(alphas),),
        ),
        Function("choose", "A, b", "The alpha you would take, a positive number.", lambda A, b: ()),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "alpha against n alpha",
            "Here the misfit is a sum, not a mean, so that no n stands beside alpha.",
            ({"weight": "times"}, {"weight": "over"}),
        ),
        Mistake(
            "trace of the wrong matrix",
            "The denominator is n, the number of readings, less the trace of H = A (A'A + alpha I)^-1 A'.",
            ({"trace": "unknowns"}, {"trace": "squared"}, {"trace": "inverse"}),
        ),
        Mistake(
            "minimum at the edge of the grid",
            "GCV still falls beyond the alphas that were tried. Scale the grid by the largest singular value squared.",
            ({"grid": (1e-3, 1e3)}, {"grid": (1e-15, 1e-13)}),
        ),
    ),
    checks=(
        Check("path of solutions", "1.5", lambda f, z: f.path(z.A, z.B[0], z.alphas), close(1e-8), 2),
        Check("values of GCV", "1.8", lambda f, z: f.gcv(z.A, z.B[0], z.alphas), close(1e-8), 2),
        Check(
            "the chosen alpha is a minimum of GCV, not an end of the search",
            "1.8",
            _edges,
            holds(
                lambda s: not (s["left"].any() or s["right"].any()),
                "no alpha whose GCV is smaller by 2 %",
                lambda s: f"in {int((s['left'] | s['right']).sum())} of {DRAWS} draws there is one",
            ),
        ),
        Check(
            "errors on 20 hidden signals within 1.5 of the best",
            "1.8",
            _ratios,
            holds(lambda s: _spread(s) <= 1.5, "a factor of at most 1.5", lambda s: f"{_spread(s):.3g}"),
            2,
        ),
    ),
    elsewhere="""
    `A`, readings of 20 signals in the rows of `B`, and `alphas`. Answers, for the first row of `B`: `X`, the path,
    one solution in each row, and `gcv`.
    """,
    tables=lambda z: {"A": z.A, "B": z.B, "alphas": z.alphas},
    answers=lambda f, z: {"X": f.path(z.A, z.B[0], z.alphas), "gcv": f.gcv(z.A, z.B[0], z.alphas)},
    pairs=False,
)
