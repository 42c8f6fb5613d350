"""Which error do the course's networks reach on peaks in five classes by Newton-CG, with and without elimination?

1000 training and 2000 held-out points, networks and numbers of steps as in the course; its errors and seconds
(Octave, one core, another machine) are quoted, not measured here.
"""

from __future__ import annotations

from typing import Any

from benchmarks._classes import measure, medians
from benchmarks._common import Run, ratio, table

COURSE = {
    "layer_newton_cg": (3.3, 8.4),
    "layer_varpro": (3.3, 8.1),
    "resnet_newton_cg": (4.6, 2.6),
    "resnet_varpro": (3.25, 3.3),
}
"""Error in per cent and seconds."""


def run(run: Run) -> None:
    """Our side on every seed."""
    from numdl.models import ResNet

    nets = {"layer": ResNet(2, 40, 0), "resnet": ResNet(2, 8, 16, T=4.0, activation="sine")}
    for seed in range(run.seeds or (1 if run.quick else 5)):
        for method in COURSE:
            eliminate = method.endswith("varpro")
            net = nets[method.split("_")[0]]
            measure(run, method, net, seed, alpha=1e-5, alpha_head=1e-5, iterations=50, eliminate=eliminate)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, and the quoted seconds over ours with and without compilation."""
    summary, rows = {}, []
    for method, (error, seconds) in COURSE.items():
        ours = medians(records, method)
        faster, faster_cold = ratio(seconds, ours["seconds"]), ratio(seconds, ours["cold"])
        summary[method] = {**ours, "course_error": error, "times_faster": faster, "times_faster_cold": faster_cold}
        rows.append((method, ours["error"], error, ours["seconds"], ours["cold"], seconds))
    table("Peaks in five classes", ("method", "error %", "course %", "s", "s with compiling", "course s"), rows)
    return summary
