"""Task: parareal, many intervals at the same time, corrected by a coarse march.

The numbers to compare with come from the formula, interval by interval; the marches that are handed in note when they
are asked for what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.task import Check, Data, Function, Functions, Mistake, Task, close, holds

INTERVALS, FINE = 6, 8


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: a flow that turns and grows, with weights that change from interval to interval."""
    return Data(
        A=rng.standard_normal((INTERVALS, 2, 2)),
        u0=rng.standard_normal(2),
        K=int(rng.integers(5, 12)),
        m=int(rng.integers(13, 30)),
    )


def build(
    *, coarse_old: bool = False, serial: bool = False, double: bool = False, count: str = "right"
) -> dict[str, Callable[..., Any]]:
    """The functions; the switches put mistakes in."""

    def parareal(fine: Any, coarse: Any, u0: np.ndarray, K: int, cycles: int) -> Any:
        U = [u0]
        for k in range(K):
            U.append(coarse(U[-1], k))
        found = [np.array(U)]
        for _ in range(cycles):
            for _ in range(2 if double else 1):
                if serial:
                    ends = None
                else:
                    ends = [fine(U[k], k) for k in range(K)]
                new = [u0]
                for k in range(K):
                    end = fine(new[k], k) if ends is None else ends[k]
                    start = U[k] if coarse_old or ends is None else new[k]
                    new.append(end + coarse(start, k) - coarse(U[k], k))
                U = new
            found.append(np.array(U))
        return np.array(found)

    def in_sequence(K: int, m: int, cycles: int) -> Any:
        return {
            "right": K + cycles * (m + K),
            "twice": K + 2 * cycles * (m + K),
            "serial": K + cycles * (K * m + K),
            "first": cycles * (m + K),
            "coarse": K + cycles * m,
        }[count]

    return {"parareal": parareal, "in_sequence": in_sequence}


class Marches:
    """Fine and coarse march of one interval; notes which calls come one after the other."""

    def __init__(self, z: Data) -> None:
        self.z, self.count = z, 0

    def _march(self, u: Any, k: Any, steps: int) -> np.ndarray:
        u = np.asarray(u, float)
        if u.shape != (2,) or int(k) != k or not 0 <= k < INTERVALS:
            raise ValueError(f"a march was given shape {u.shape} and interval {k}, needs (2,) and 0 to {INTERVALS - 1}")
        for _ in range(steps):
            u = u + 0.5 / steps * np.tanh(self.z.A[int(k)] @ u)
        return u

    def fine(self, u: Any, k: Any) -> np.ndarray:
        """Eight steps through interval k."""
        self.count += 1
        return self._march(u, k, FINE)

    def coarse(self, u: Any, k: Any) -> np.ndarray:
        """One step through interval k."""
        return self._march(u, k, 1)

    def run(self, f: Functions, cycles: int) -> np.ndarray:
        """States of the submission after each cycle."""
        return f.parareal(self.fine, self.coarse, self.z.u0, INTERVALS, cycles)

    def exact(self) -> np.ndarray:
        """States of the fine march."""
        found = [self.z.u0]
        for k in range(INTERVALS):
            found.append(self._march(found[-1], k, FINE))
        return np.array(found)


def _front(f: Functions, z: Data) -> Any:
    """Intervals whose ends are exact after each cycle."""
    marches = Marches(z)
    off = np.abs(marches.run(f, INTERVALS) - marches.exact()).max(axis=2) > 1e-11
    return np.array([row.argmax() - 1 if row.any() else INTERVALS for row in off])


def _errors(f: Functions, z: Data) -> Any:
    marches = Marches(z)
    return np.abs(marches.run(f, INTERVALS)[-1] - marches.exact())


def _fine_marches(f: Functions, z: Data) -> Any:
    counts = []
    for cycles in (1, 3):
        marches = Marches(z)
        marches.run(f, cycles)
        counts.append(marches.count)
    return (counts[1] - counts[0]) / 2


def _together(f: Functions, z: Data) -> Any:
    """Whether a fine march starts from what a fine march of the same cycle has given, which makes it wait."""
    marches, waits = Marches(z), []
    ends: list[np.ndarray] = []

    def fine(u: Any, k: Any) -> np.ndarray:
        waits.append(any(np.allclose(u, end, rtol=0, atol=1e-13) for end in ends))
        ends.append(marches.fine(u, k))
        return ends[-1]

    f.parareal(fine, marches.coarse, z.u0, INTERVALS, 1)
    return sum(waits)


TASK = Task(
    name="parareal",
    title="Parareal: all layers at the same time",
    text="""
    The layers of a network are cut into K intervals. fine(u, k) marches the state u through interval k, in m steps;
    coarse(u, k) does so in one. A first coarse march gives $U^0_0 = u_0$, $U^0_{k+1} = C_k(U^0_k)$. A cycle marches
    all intervals from the old states, at the same time if there are enough processors, and corrects them in sequence:

    $$ U^{\\text{new}}_{k+1} = F_k(U^{\\text{old}}_k) + C_k(U^{\\text{new}}_k) - C_k(U^{\\text{old}}_k). $$

    Write it, and count the steps that must wait for each other: those of the first coarse march, and in each cycle m of
    one fine march, as all go at the same time, and K of the correction.
    """,
    functions=(
        Function(
            "parareal",
            "fine, coarse, u0, K, cycles",
            """
            States at the ends of the intervals, before and after each cycle, (cycles + 1, K + 1, d).

            Args:
                fine: function of a state (d,) and a number of an interval from 0; returns the state at its end.
                coarse: the same, cheap.
                u0: first state (d,).
                K: number of intervals.
                cycles: how many.

            >>> double, add = lambda u, k: 2 * u, lambda u, k: u + 1
            >>> parareal(double, add, np.ones(1), 3, 1)[:, :, 0].tolist()
            [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 7.0]]
            """,
            lambda fine, coarse, u0, K, cycles: (cycles + 1, K + 1, len(u0)),
        ),
        Function(
            "in_sequence",
            "K, m, cycles",
            """
            Steps one after the other, for K intervals of m fine or 1 coarse step.

            >>> in_sequence(16, 16, 5)
            176
            """,
            lambda K, m, cycles: (),
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "coarse correction with old states",
            "C(U_old) - C(U_old) is zero: the correction needs the new state of the interval before.",
            ({"coarse_old": True},),
        ),
        Mistake(
            "cycle counted twice",
            "One cycle is one fine march of every interval and one correction.",
            ({"double": True}, {"count": "twice"}),
        ),
        Mistake(
            "fine marches from new states",
            "They wait for each other then, and nothing is parallel: start all from the old states.",
            ({"serial": True}, {"count": "serial"}),
        ),
        Mistake(
            "coarse steps not counted",
            "The first march and every correction take K coarse steps, one after the other.",
            ({"count": "first"}, {"count": "coarse"}),
        ),
    ),
    checks=(
        Check("states before and after three cycles", "3.15", lambda f, z: Marches(z).run(f, 3), close(1e-11), 2),
        Check(
            "after k cycles the first k intervals are exact, and no more",
            "3.15",
            _front,
            lambda s, r: _fronts(s[""], r[""]),
        ),
        Check(
            "as many cycles as intervals: the serial march",
            "3.15",
            _errors,
            holds(lambda s: s[""].max() < 1e-11, "0", lambda s: f"{s[''].max():.3g}"),
        ),
        Check(
            "fine marches of a cycle",
            "3.15",
            _fine_marches,
            holds(lambda s: s[""] <= INTERVALS, f"at most {INTERVALS}", lambda s: f"{s['']:.3g}"),
        ),
        Check(
            "fine marches wait for none of their cycle",
            "3.15",
            _together,
            holds(lambda s: s[""] == 0, "0 that wait", lambda s: f"{s['']:.0f}"),
        ),
        Check(
            "steps one after the other",
            "3.15",
            lambda f, z: np.array([f.in_sequence(z.K, z.m, cycles) for cycles in (1, 2, 5)]),
            close(1e-12),
        ),
    ),
    elsewhere="""
    Six matrices (2, 2) below each other in `A`, and `u0`: fine marches through interval k by 8 steps $u +
    \\tanh(A_k u)/16$, coarse by one, $u + \\tanh(A_k u)/2$. And numbers `K`, `m`. Answers: `first` and `third`, the
    states (7, 2) after one and three cycles; `sequence`, the steps for `K`, `m` and 5 cycles.
    """,
    tables=lambda z: {"A": z.A.reshape(-1, 2), "u0": z.u0, "K": np.array(z.K), "m": np.array(z.m)},
    answers=lambda f, z: {
        "first": Marches(z).run(f, 1)[1],
        "third": Marches(z).run(f, 3)[3],
        "sequence": np.array(f.in_sequence(z.K, z.m, 5)),
    },
)


def _fronts(came: np.ndarray, right: np.ndarray) -> tuple[str, str] | None:
    words = [", ".join(f"{k:.0f}" for k in one) for one in (right, came)]
    return None if words[0] == words[1] else (words[0], words[1])
