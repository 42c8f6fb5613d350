"""Task: Pontryagin's principle by sweeps, for one state and a quadratic goal.

The numbers to compare with come from the dense matrix that maps the controls to the states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.task import Check, Data, Function, Functions, Mistake, Task, close

LAYERS = 32


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: growth, weight of the goal, start, and controls."""
    return Data(
        a=rng.uniform(0.2, 1.0),
        h=1 / LAYERS,
        q=rng.uniform(2.0, 6.0),
        u0=rng.uniform(0.5, 2.0),
        v=rng.standard_normal(LAYERS),
        rho=rng.uniform(1.5, 2.5),
    )


def build(
    *, sign: float = 1.0, hold: str = "both", shifted: bool = False, steps: str = "none", plain: bool = False
) -> dict[str, Callable[..., Any]]:
    """The functions; the switches put mistakes in."""

    def matrix(a: float, h: float, N: int) -> np.ndarray:
        """Row k: how the controls before layer k move the state there."""
        behind = np.arange(N + 1)[:, None] - np.arange(N) - 1
        return np.where(behind >= 0, h * (1 + h * a) ** np.maximum(behind, 0.0), 0.0)

    def forwards(a: float, h: float, u0: float, v: np.ndarray) -> Any:
        N = len(v)
        return u0 * (1 + h * a) ** np.arange(N + 1) + matrix(a, h, N) @ v

    def backwards(a: float, h: float, last: float, N: int) -> Any:
        powers = np.arange(N)[::-1] + (1 if shifted else 0)
        return sign * last * (1.0 if plain else 1 + h * a) ** powers

    def sweep(a: float, h: float, q: float, u0: float, v: np.ndarray, rho: float) -> Any:
        p = backwards(a, h, q * forwards(a, h, u0, v)[-1], len(v)) * (h if steps == "twice" else 1)
        upper = -p if hold == "below" else rho * v - p
        return upper / (1 if hold == "above" else 1 + rho)

    def optimal(a: float, h: float, q: float, u0: float, N: int) -> Any:
        g = matrix(a, h, N)[-1]
        H = q * np.outer(g, g) + h * np.eye(N)
        return np.linalg.solve(H, -q * u0 * (1 + h * a) ** N * g * (1 / h if steps == "optimal" else 1))

    return {"forwards": forwards, "backwards": backwards, "sweep": sweep, "optimal": optimal}


def _gain(z: Data) -> float:
    return z.h * sum((1 + z.h * z.a) ** (2 * k) for k in range(LAYERS))


def _factors(f: Functions, z: Data) -> Any:
    """What a sweep multiplies the error by, for holds below, at and above the smallest that converges."""
    best = build()["optimal"](z.a, z.h, z.q, z.u0, LAYERS)
    found = []
    for rho in (0.5 * (_gain(z) * z.q - 1) / 2, (_gain(z) * z.q - 1) / 2, 1.5 * _gain(z) * z.q):
        v, errors = np.zeros(LAYERS), []
        for _ in range(4):
            v = f.sweep(z.a, z.h, z.q, z.u0, v, rho)
            errors.append(v - best)
        found += [np.vdot(errors[-2], errors[-1]) / np.vdot(errors[-2], errors[-2])]
    return np.array(found)


def _limit(f: Functions, z: Data) -> Any:
    v = np.zeros(LAYERS)
    for _ in range(20):
        v = f.sweep(z.a, z.h, z.q, z.u0, v, 1.2 * _gain(z) * z.q)
    return v


TASK = Task(
    name="sweeps",
    title="Every layer for itself: sweeps of Pontryagin's principle",
    text="""
    A state passes N layers, $u_{k+1} = (1 + ha)u_k + h v_k$, and is to end near zero at little cost:

    $$ \\min_v\\ \\tfrac q2 u_N^2 + \\tfrac h2 \\sum_k v_k^2 . $$

    A sweep goes forwards for the states, backwards for the slopes $p_k$ of the goal in the state *behind* layer k,
    $p_{N-1} = q u_N$, $p_{k-1} = (1 + ha) p_k$, and lets every layer minimise
    $\\tfrac12 v^2 + p_k v + \\tfrac\\rho2 (v - v_k)^2$ for itself; rho holds it near its old control. The error of the
    controls is multiplied by $(\\rho - qG)/(1 + \\rho)$ in each sweep, with $G = h \\sum_{k<N} (1 + ha)^{2k}$.
    Write the parts, one sweep, and the optimum without sweeps, by Riccati's recursion or a linear system.
    """,
    functions=(
        Function(
            "forwards",
            "a, h, u0, v",
            """
            States u_0, ..., u_N, (N + 1,).

            Args:
                a: growth.
                h: length of a step.
                u0: first state.
                v: controls (N,).

            >>> forwards(1.0, 0.5, 2.0, np.array([-1.0, 0])).tolist()
            [2.0, 2.5, 3.75]
            """,
            lambda a, h, u0, v: (len(v) + 1,),
        ),
        Function(
            "backwards",
            "a, h, last, N",
            """
            Slopes p_0, ..., p_{N-1} behind the layers, (N,); the last one is `last`.

            >>> backwards(1.0, 0.5, 2.0, 2).tolist()
            [3.0, 2.0]
            """,
            lambda a, h, last, N: (N,),
        ),
        Function(
            "sweep",
            "a, h, q, u0, v, rho",
            """
            Controls (N,) after one sweep from the controls v (N,).

            >>> sweep(1.0, 0.5, 2.0, 2.0, np.array([-1.0, 0]), 1.0).tolist()
            [-6.125, -3.75]
            """,
            lambda a, h, q, u0, v, rho: v.shape,
        ),
        Function(
            "optimal",
            "a, h, q, u0, N",
            """
            The best controls (N,).

            >>> np.round(optimal(1.0, 0.5, 2.0, 2.0, 2), 6).tolist()
            [-3.176471, -2.117647]
            """,
            lambda a, h, q, u0, N: (N,),
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake("sign of the adjoint", "The layer minimises v^2/2 + p v, so it goes against p.", ({"sign": -1.0},)),
        Mistake(
            "hold in the wrong term",
            "The minimiser of v^2/2 + p v + rho/2 (v - old)^2 is (rho old - p) / (1 + rho).",
            ({"hold": "above"}, {"hold": "below"}),
        ),
        Mistake(
            "slope before the layer",
            "A control moves the state behind its layer; the slope there is p_k, not (1 + ha) p_k.",
            ({"shifted": True},),
        ),
        Mistake(
            "h counted twice",
            "Both the cost of a control and its effect carry h, so it cancels.",
            ({"steps": "twice"}, {"steps": "optimal"}),
        ),
        Mistake("slope carried back unchanged", "Each layer multiplies the slope by 1 + ha.", ({"plain": True},)),
    ),
    checks=(
        Check("states, forwards", "3.12", lambda f, z: f.forwards(z.a, z.h, z.u0, z.v), close(1e-11)),
        Check("slopes, backwards", "3.12", lambda f, z: f.backwards(z.a, z.h, z.q * z.u0, LAYERS), close(1e-11)),
        Check("one sweep", "3.12", lambda f, z: f.sweep(z.a, z.h, z.q, z.u0, z.v, z.rho), close(1e-10), 2),
        Check("the best controls", "3.12", lambda f, z: f.optimal(z.a, z.h, z.q, z.u0, LAYERS), close(1e-9)),
        Check("factor of a sweep for three holds, as the formula says", "3.12", _factors, close(1e-7), 2),
        Check("20 sweeps end at the best controls", "3.12", _limit, close(1e-9)),
    ),
    elsewhere="""
    Controls `v` of 32 layers, and the numbers `a`, `h`, `q`, `u0`, `rho`. Answers: `states` for `v`; `slopes` for
    the last one q u0; `sweep` from `v`; `optimal`.
    """,
    tables=lambda z: {"v": z.v, **{name: np.array(getattr(z, name)) for name in ("a", "h", "q", "u0", "rho")}},
    answers=lambda f, z: {
        "states": f.forwards(z.a, z.h, z.u0, z.v),
        "slopes": f.backwards(z.a, z.h, z.q * z.u0, LAYERS),
        "sweep": f.sweep(z.a, z.h, z.q, z.u0, z.v, z.rho),
        "optimal": f.optimal(z.a, z.h, z.q, z.u0, LAYERS),
    },
)
