"""How many digits of NIST's certified parameters does each least-squares solver find, from near and from far?

All 27 problems of nonlinear regression in the Statistical Reference Datasets, from both of their starts. The digits are
the least log relative error of all parameters, at most the 11 that are certified. Variable projection, for the 24
problems with linear parameters, starts from the nonlinear ones alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks._common import Run, median, table
from benchmarks._least_squares import RIVALS, Squares, by_us, catalogue

ENOUGH = (4, 6, 8, 10)


def theirs(problem: Any) -> dict[str, Callable]:
    """Method -> call with a start."""
    import jax

    def residual(b: Any) -> Any:
        return (jax.vmap(problem.model, (None, 0))(b, problem.x).reshape(problem.c.shape) - problem.c).ravel()

    squares = Squares(residual)
    return {rival: lambda start, rival=rival: squares.by(rival, start) for rival in (*RIVALS, "optimistix_lm")}


def ours(shared: Any, problem: Any) -> dict[str, Callable]:
    """Method -> call with a start."""
    import jax.numpy as jnp

    from numdl.problems import NonlinearLeastSquares, separable

    def model(b: Any, x: Any) -> Any:
        return jnp.atleast_1d(problem.model(b, x))

    squares = NonlinearLeastSquares(model, jnp.asarray(problem.x), jnp.asarray(problem.c))
    calls: dict[str, Callable] = {
        "numdl_lm_qr": lambda start: by_us(squares, start),
        "numdl_lm_qr_straight": lambda start: by_us(squares, start, acceleration=False),
    }
    if problem.name in shared.LINEAR:
        features = shared.Separable(problem.model, shared.LINEAR[problem.name], len(problem.certified))

        def projected(start: Any) -> dict[str, Any]:
            theta = jnp.asarray(start[list(features.nonlinear)])
            reduced = separable(features, theta, problem.x, problem.c)
            found = by_us(reduced, theta, reduced.first_head(theta))
            return {**found, "p": features.whole(found["p"], found["aux"])}

        calls["numdl_varpro"] = projected
    return calls


def run(run: Run) -> None:
    """All methods on the chosen problems, both starts."""
    import jax

    shared = catalogue("nist_regression")
    with jax.enable_x64(True):
        for name in run.chosen(tuple(shared.PROBLEMS), quick=2):
            problem = shared.PROBLEMS[name]
            for side, calls in {"theirs": theirs(problem), "ours": ours(shared, problem)}.items():
                for which, start in enumerate(problem.starts, 1):
                    keys = {"problem": name, "start": which}
                    for method in calls:
                        if run.wants(side, method, **keys):
                            found = calls[method](start)
                            p, _ = found.pop("p"), found.pop("aux", None)
                            digits = 0.0 if p is None else shared.digits(p, problem.certified)
                            run.record(side, method, keys, digits=digits, **found)
        jax.clear_caches()


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Per method: runs with at least so many digits, median passes; and the digits problem by problem."""
    methods = list(dict.fromkeys(record["method"] for record in records))
    summary: dict[str, Any] = {}
    for method in methods:
        own = [record for record in records if record["method"] == method]
        counts = {f"at_least_{d}_digits": sum(record["digits"] >= d for record in own) for d in ENOUGH}
        least = min(record["digits"] for record in own)
        solved = median(record["passes"] for record in own if record["digits"] >= ENOUGH[0])
        summary[method] = {"runs": len(own), **counts, "least_digits": least, "median_passes_solved": solved}
    rows = [[method, *values.values()] for method, values in summary.items()]
    header = ["method", "runs", *(f">= {d} digits" for d in ENOUGH), "least", "passes (>= 4 digits)"]
    table("NIST: runs by correct digits, median passes", header, rows)
    found = {(r["problem"], r["start"], r["method"]): r["digits"] for r in records}
    places = dict.fromkeys((r["problem"], r["start"]) for r in records)
    rows = [[*place, *(found.get((*place, method)) for method in methods)] for place in places]
    table("NIST: digits", ["problem", "start", *(m.replace("scipy_", "").replace("numdl_", "") for m in methods)], rows)
    return {"methods": summary}
