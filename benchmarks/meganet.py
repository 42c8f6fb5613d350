"""How well and how fast is the network of Meganet's EResNN_Peaks trained: peaks in five classes, 30 Newton steps?

Opening 2 -> 16, antisymmetric RK4 flow of width 16 on [0, 5] with 8 steps and weights linear in time, VarPro with
trust-region Newton-CG. The rival's numbers (Octave, one core, another machine) are quoted, not measured here: errors
of 3.1, 2.1 and 4.0 % for three seeds, 50 s, 43 ms for a pass over the data.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks._classes import measure, medians, newton
from benchmarks._common import Run, ratio, table

OCTAVE = {"error": 3.1, "seconds": 50.0, "ms_per_pass": 43.0}
METHOD = "varpro_newton_cg"


def run(run: Run) -> None:
    """Our side on every seed."""
    from numdl.models import ResNet

    net = ResNet(2, 16, 8, T=5.0, dynamics="antisymmetric", scheme="rk4", control="linear")
    for seed in range(run.seeds or (1 if run.quick else 5)):
        measure(run, METHOD, seed, partial(newton, net), alpha=1e-5, alpha_head=1e-5, iterations=30)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, and the quoted times over ours."""
    ours = medians(records, METHOD)
    faster = {f"{key}_ratio": ratio(OCTAVE[key], ours[key]) for key in ("seconds", "ms_per_pass")}
    rows = [("Octave, quoted", *OCTAVE.values()), (METHOD, *(ours[key] for key in OCTAVE))]
    table("Peaks in five classes, Meganet's network", ("method", "error %", "s", "ms per pass"), rows)
    met = {"at least 98 % right": ours["error"] <= 2.0, "pass at least 20x faster": ours["ms_per_pass"] <= 43 / 20}
    return {"ours": ours, "octave_quoted": OCTAVE, **faster, "requirements": met}
