"""Task: an antisymmetric network, marched by RK4, and the gradient of its Euler layers by the adjoint.

The numbers to compare with come from matrix exponentials where there are some, and from derivatives that are carried
forwards, one for each weight.
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

M, LAYERS = 4, 6
PAIRS = [(i, j) for i in range(M) for j in range(i + 1, M)]


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: weights of all layers, a state, a slope at the end, and directions."""
    W, B, u = rng.standard_normal((LAYERS, len(PAIRS))), rng.standard_normal((LAYERS, M)), rng.standard_normal(M)
    return Data(
        W=W,
        B=B,
        u=u,
        g=rng.standard_normal(M),
        VW=rng.standard_normal((LAYERS, len(PAIRS))),
        VB=rng.standard_normal((LAYERS, M)),
        h=0.2,
        exact=build()["rk4"](u, W[0], B[0], 1.0, 200)[-1],
    )


def build(
    *, pairs: float = 1.0, h_lost: bool = False, at: str = "before", transpose: float = -1.0, stages: str = "rk4",
    skew: bool = True,
) -> dict[str, Callable[..., Any]]:  # fmt: skip
    """The functions; the switches put mistakes in."""

    def antisymmetric(w: np.ndarray) -> Any:
        A = np.zeros((M, M))
        for value, (i, j) in zip(w, PAIRS, strict=True):
            A[i, j], A[j, i] = value, -value if skew else value
        return A

    def rk4(u: np.ndarray, w: np.ndarray, b: np.ndarray, T: float, N: int) -> Any:
        A, h, found = antisymmetric(w), T / N, [u]
        nodes = (0.0, 0.5, 0.5, 1.0)
        shares = {"rk4": (1, 2, 2, 1), "equal": (1.5, 1.5, 1.5, 1.5), "euler": (6, 0, 0, 0)}[stages]
        for _ in range(N):
            k, total = np.zeros(M), np.zeros(M)
            for node, share in zip(nodes, shares, strict=True):
                k = np.tanh(A @ (u + h * node * k) + b)
                total = total + share / 6 * k
            u = u + h * total
            found.append(u)
        return np.array(found)

    def euler(u: np.ndarray, W: np.ndarray, B: np.ndarray, h: float) -> Any:
        found = [u]
        for w, b in zip(W, B, strict=True):
            u = u + h * np.tanh(antisymmetric(w) @ u + b)
            found.append(u)
        return np.array(found)

    def gradient(u: np.ndarray, W: np.ndarray, B: np.ndarray, h: float, g: np.ndarray) -> Any:
        states = euler(u, W, B, h)
        GW, GB = np.zeros_like(W), np.zeros_like(B)
        for k in range(len(W) - 1, -1, -1):
            A = antisymmetric(W[k])
            here = states[k + 1] if at == "after" else states[k]
            D = np.cosh(A @ here + B[k]) ** -2.0
            factor = 1.0 if h_lost else h
            for place, (i, j) in enumerate(PAIRS):
                E = np.zeros((M, M))
                E[i, j], E[j, i] = 1, -1 if skew else 1
                GW[k, place] = pairs * factor * (g @ (D * (E @ here)))
            GB[k] = factor * D * g
            turned = A.T if transpose < 0 or not skew else A
            g = g + h * turned @ (D * g)
        return GW, GB

    return {"antisymmetric": antisymmetric, "rk4": rk4, "euler": euler, "gradient": gradient}


def _spectrum(f: Functions, z: Data) -> Any:
    return np.sort(np.linalg.eigvals(f.antisymmetric(z.W[0])).real)


def _orders(f: Functions, z: Data) -> Any:
    """Error of RK4 at T = 1 for two numbers of steps, against a march with many."""
    return np.array([np.linalg.norm(f.rk4(z.u, z.W[0], z.B[0], 1.0, N)[-1] - z.exact) for N in (10, 20)])


def _order(s: Any) -> float:
    return float(np.log2(s[""][0] / s[""][1])) if (s[""] > 0).all() else np.nan


def _taylor(f: Functions, z: Data) -> dict[str, Any]:
    GW, GB = f.gradient(z.u, z.W, z.B, z.h, z.g)

    def value(t: Any) -> Any:
        return z.g @ f.euler(z.u, z.W + t[0] * z.VW, z.B + t[0] * z.VB, z.h)[-1]

    return taylor(value, np.zeros(1), np.ones(1), np.vdot(GW, z.VW) + np.vdot(GB, z.VB))


def _parts(f: Functions, z: Data) -> dict[str, Any]:
    return dict(zip(("weights", "bias"), f.gradient(z.u, z.W, z.B, z.h, z.g), strict=True))


TASK = Task(
    name="antisymmetric",
    title="An antisymmetric network: RK4, and the gradient by the adjoint",
    text="""
    A network follows $u' = \\tanh(A u + b)$ with four units and an antisymmetric A, whose eigenvalues are imaginary. A
    has six free weights, $w = (a_{12}, a_{13}, a_{14}, a_{23}, a_{24}, a_{34})$, each of which stands in A twice, once
    with a minus. Write A, the march by RK4 with one w and b, the march by Euler steps
    $u_{k+1} = u_k + h \\tanh(A_k u_k + b_k)$ with weights for each layer, and the gradient of $g'u_N$ in all weights of
    the Euler march: forwards for the states, backwards with $\\lambda_N = g$ and

    $$ \\lambda_k = \\lambda_{k+1} + h A_k' \\bigl( \\tanh'(A_k u_k + b_k) \\circ \\lambda_{k+1} \\bigr). $$
    """,
    functions=(
        Function(
            "antisymmetric",
            "w",
            """
            The matrix A (4, 4) of six weights, row by row above the diagonal.

            >>> antisymmetric(np.arange(1.0, 7))[:2].tolist()
            [[0.0, 1.0, 2.0, 3.0], [-1.0, 0.0, 4.0, 5.0]]
            """,
            lambda w: (M, M),
        ),
        Function(
            "rk4",
            "u, w, b, T, N",
            """
            States (N + 1, 4) of N steps of RK4 from time 0 to T; the first row is u.

            Args:
                u: first state (4,).
                w: weights (6,).
                b: bias (4,).
                T: end time.
                N: number of steps.
            """,
            lambda u, w, b, T, N: (N + 1, M),
        ),
        Function(
            "euler",
            "u, W, B, h",
            """
            States (N + 1, 4) of N layers u + h tanh(A u + b).

            Args:
                u: first state (4,).
                W: weights (N, 6).
                B: bias (N, 4).
                h: step.

            >>> np.round(euler(np.ones(4), np.ones((1, 6)), np.zeros((1, 4)), 0.1)[1], 6).tolist()
            [1.099505, 1.076159, 0.923841, 0.900495]
            """,
            lambda u, W, B, h: (len(W) + 1, M),
        ),
        Function(
            "gradient",
            "u, W, B, h, g",
            """
            Gradients of g'u_N in W (N, 6) and in B (N, 4), a tuple.
            """,
            lambda u, W, B, h, g: [W.shape, B.shape],
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "each pair of weights twice",
            "A weight moves two entries of A, with opposite signs; its slope is G_ij - G_ji, once.",
            ({"pairs": 2.0}, {"pairs": 0.5}),
        ),
        Mistake(
            "h missing in the gradient", "A weight acts through h tanh(...): its slope carries h.", ({"h_lost": True},)
        ),
        Mistake(
            "adjoint marched with new states",
            "Derivatives of layer k are taken at u_k, before the layer, not at u_{k+1}.",
            ({"at": "after"},),
        ),
        Mistake(
            "transpose lost",
            "The adjoint needs A', which is -A here: with A it runs the other way round.",
            ({"transpose": 1.0},),
        ),
        Mistake("symmetric instead of antisymmetric", "a_ji = -a_ij.", ({"skew": False},)),
        Mistake(
            "stages weighted wrongly",
            "RK4 weighs its stages 1, 2, 2, 1 over 6.",
            ({"stages": "equal"}, {"stages": "euler"}),
        ),
    ),
    checks=(
        Check("matrix of six weights", "3.1", lambda f, z: f.antisymmetric(z.W[0]), close(1e-12)),
        Check(
            "imaginary spectrum",
            "3.2",
            _spectrum,
            holds(lambda s: np.abs(s[""]).max() < 1e-12, "real parts 0", lambda s: f"{np.abs(s['']).max():.3g}"),
        ),
        Check("states of RK4", "3.2", lambda f, z: f.rk4(z.u, z.W[0], z.B[0], 1.0, 8), close(1e-11)),
        Check(
            "order of RK4",
            "3.2",
            _orders,
            holds(lambda s: abs(_order(s) - 4) < 0.5, "order 4", lambda s: f"{_order(s):.3g}"),
        ),
        Check("states of Euler layers", "3.1", lambda f, z: f.euler(z.u, z.W, z.B, z.h), close(1e-11)),
        Check("gradient", "3.8", _parts, close(1e-10), 3),
        Check("Taylor test of the gradient", "1.12", _taylor, order_two, 2),
    ),
    elsewhere="""
    Weights `W` and `B` of six layers, `u`, `g`, and `h`. Answers: `A` of the first row of `W`; `rk4`, the states of
    8 steps to T = 1 with the first rows of `W` and `B`; `euler`, the states of all layers; `gradientweights` and
    `gradientbias`.
    """,
    tables=lambda z: {"W": z.W, "B": z.B, "u": z.u, "g": z.g, "h": np.array(z.h)},
    answers=lambda f, z: {
        "A": f.antisymmetric(z.W[0]),
        "rk4": f.rk4(z.u, z.W[0], z.B[0], 1.0, 8),
        "euler": f.euler(z.u, z.W, z.B, z.h),
        **{"gradient" + name: value for name, value in _parts(f, z).items()},
    },
)
