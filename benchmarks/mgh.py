"""How often, and for how many passes, does each least-squares solver find the least sum of squares?

The 35 problems of Moré, Garbow and Hillstrom from the standard start and from 10 and 100 times it. Solved is a sum of
squares at most 1e-6 above the least one known, relative, or 1e-12 absolute: the paper's further local minima do not
count. A start whose sum of squares is not finite is left out. Passes are compared where every method solved.
"""

from __future__ import annotations

from typing import Any

from benchmarks._common import Run, median, table
from benchmarks._least_squares import RIVALS, Squares, by_us, catalogue


def methods(problem: Any) -> dict[str, tuple[str, Any]]:
    """Method -> its side, and a call with a start."""
    import jax.numpy as jnp

    from numdl.problems import NonlinearLeastSquares

    squares = Squares(problem.residual)
    calls: dict[str, tuple[str, Any]] = {
        rival: ("theirs", lambda start, rival=rival: squares.by(rival, start)) for rival in (*RIVALS, "optimistix_lm")
    }
    # One sample with m outputs and targets 0: its residual is exactly the problem's.
    size = problem.residual(jnp.asarray(problem.start)).size
    posed = NonlinearLeastSquares(lambda p, _: problem.residual(p), jnp.zeros((1, 1)), jnp.zeros((1, size)))
    calls["numdl_lm_qr"] = ("ours", lambda start: by_us(posed, start))
    calls["numdl_lm_qr_straight"] = ("ours", lambda start: by_us(posed, start, acceleration=False))
    return calls


def run(run: Run) -> None:
    """All methods on the chosen problems, all starts."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    shared = catalogue("more_garbow_hillstrom")
    with jax.enable_x64(True):
        for name in run.chosen(tuple(shared.PROBLEMS), quick=2):
            problem = shared.PROBLEMS[name]
            for method, (side, call) in methods(problem).items():
                for factor in shared.FACTORS:
                    start, keys = problem.from_afar(factor), {"problem": name, "factor": factor}
                    if np.isfinite(problem.squares(start)) and run.wants(side, method, **keys):
                        found = call(start)
                        p, _ = found.pop("p"), found.pop("aux", None)
                        squares = np.nan if p is None else problem.squares(jnp.asarray(p))
                        run.record(side, method, keys, solved=problem.reached(squares), squares=squares, **found)
            jax.clear_caches()


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Per method: problems solved from each start, median counts where all methods solved; and who failed where."""
    names = list(dict.fromkeys(record["method"] for record in records))
    factors = sorted({record["factor"] for record in records})
    at = {(r["problem"], r["factor"], r["method"]): r for r in records}
    places = list(dict.fromkeys((r["problem"], r["factor"]) for r in records))
    common = [place for place in places if all(at.get((*place, name), {}).get("solved") for name in names)]
    summary: dict[str, Any] = {}
    for name in names:
        own = [record for record in records if record["method"] == name]
        solved = {f"solved_x{f}": sum(r["solved"] for r in own if r["factor"] == f) for f in factors}
        counts = {
            key: median(at[*place, name][key] for place in common) for key in ("residuals", "jacobians", "passes")
        }
        summary[name] = {"runs": len(own), **solved, "solved": sum(solved.values()), **counts}
    header = ["method", "runs", *(f"x{f}" for f in factors), "solved", "residuals", "Jacobians", "passes"]
    rows = [[name, *values.values()] for name, values in summary.items()]
    table(f"More-Garbow-Hillstrom: solved, and medians of the {len(common)} all methods solve", header, rows)
    missed = [place for place in places if place not in common]
    rows = [
        [*place, *("yes" if at[*place, n]["solved"] else at[*place, n]["squares"] for n in names)] for place in missed
    ]
    header = ["problem", "factor", *(n.replace("scipy_", "").replace("numdl_", "") for n in names)]
    table("Sum of squares where not all solve", header, rows)
    return {"solved_by_all": len(common), "starts": len(places), "methods": summary}
