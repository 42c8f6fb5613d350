"""How far does a method get in passes over the data and in seconds, compilation and watching not counted?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

GROWTH = 1.1
"""Factor of the passes from one look at a method to the next."""


class Watch:
    """Looks at a run from time to time, on a clock that stands meanwhile, and ends it.

    Args:
        judge: ``judge(p, aux)`` gives the numbers to be kept, by name.
        work: passes that a run is worth.
        seconds: seconds that it is worth; a run ends when it has had both.
        most: seconds at most.
    """

    def __init__(self, judge: Callable[..., Mapping[str, float]], work: float, seconds: float, most: float) -> None:
        self.judge, self.work, self.seconds, self.most = judge, work, seconds, most
        self.paused, self.next = 0.0, 0.0
        self.curve: dict[str, list[float]] = {"work": [], "seconds": []}

    def __call__(self, history: Mapping[str, Sequence[float]], p: Any, aux: Any) -> Any:
        """A status that ends the run, or None."""
        from numdl.contracts import Status

        work, seconds = float(history["work"][-1]), float(history["seconds"][-1]) - self.paused
        ended = (work >= self.work and seconds >= self.seconds) or seconds >= self.most
        if work >= self.next or ended:
            began = time.perf_counter()
            self.next = GROWTH * work
            for name, value in {"work": work, "seconds": seconds, **self.judge(p, aux)}.items():
                self.curve.setdefault(name, []).append(value)
            self.paused += time.perf_counter() - began
        return Status("max_iter", "It had its passes and its seconds.") if ended else None


def race(problem: Any, method: Any, p: Any, aux: Any, watch: Watch, **batches: Any) -> dict[str, Any]:
    """Run a method that has been compiled before, see ``first_call``.

    Args:
        problem: as for ``minimize`` or, with ``batch``, ``minimize_stochastic``.
        method: what lowers it.
        p: start.
        aux: companion at the start.
        watch: looks and ends.
        **batches: ``batch``, ``rate`` and ``key`` of a stochastic run.

    Returns:
        Curves of ``work``, ``seconds`` and what is judged, and how it ended.
    """
    from numdl.optimize import minimize, minimize_stochastic

    if not batches:
        result, _ = minimize(
            problem, method, p, aux, max_iter=10**6,
            observe=lambda now: watch(now.history, now.iterate.p, now.iterate.aux),
        )  # fmt: skip
    else:
        result, _ = minimize_stochastic(
            problem, method, p, aux, epochs=10**6, **batches,
            observe=lambda now: watch(now.history, now.chain.now.iterate.p, now.chain.now.iterate.aux),
        )  # fmt: skip
    return {"ended": result.status.code, "curve": {name: np.asarray(values) for name, values in watch.curve.items()}}


def first_call(problem: Any, method: Any, p: Any, aux: Any, **batches: Any) -> float:
    """Seconds of a first step (or epoch) less those of a second run of it: what compilation takes."""
    from numdl.optimize import minimize, minimize_stochastic

    taken = []
    for _ in range(2):
        began = time.perf_counter()
        if batches:
            minimize_stochastic(problem, method, p, aux, epochs=1, **batches)
        else:
            minimize(problem, method, p, aux, max_iter=1)
        taken.append(time.perf_counter() - began)
    return max(taken[0] - taken[1], 0.0)


def at(curve: Mapping[str, Any], along: str, spent: float, name: str) -> float | None:
    """What a curve had reached when so much was spent; None before the first look, the last number after the end.

    Args:
        curve: as from ``race``.
        along: ``work`` or ``seconds``.
        spent: how much of it.
        name: of the number.

    Returns:
        The last number seen by then.
    """
    seen = np.searchsorted(np.asarray(curve[along], float), spent * (1 + 1e-9), side="right")
    return None if seen == 0 else curve[name][seen - 1]
