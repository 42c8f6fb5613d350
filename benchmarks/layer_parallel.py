"""How many cycles do layer-parallel marches need, are their gradients the serial ones, and what would processes gain?

An antisymmetric network of width 8 (T = 6, tanh, 64 samples, standard normal) with 32 to 4096 layers, forward Euler
and rk4, weights that vary smoothly in time (four Legendre polynomials) or are independent from layer to layer.
``cycles`` and ``factor`` are those of the states to the tolerance 1e-12; ``value`` and ``gradient`` the relative
differences from stored states. ``adjoint_cycles`` is not measured apart: a linear recursion along the same states.

The speed-up on P processes is predicted by counting: each process holds its share of the intervals, a step costs 1, a
message between neighbours ``LATENCY`` steps. A cycle costs on each level two relaxations, one coarse step per interval,
one sweep to fill, and a message for each; the coarsest level is marched in turn by all. Serial: one step for each
layer. Nothing here is a time: with two cores there is nothing to gain.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from benchmarks._common import Run, table

DEPTHS = (32, 128, 512, 1024, 4096)
WIDTH, SAMPLES, T = 8, 64, 6.0
PROCESSES = tuple(4**k for k in range(6))
LATENCY = 1.0
"""Of a message, in steps: 64 samples of width 8 take some microseconds a step, as a message between neighbours does."""


def run(run: Run) -> None:
    """Our side; there is no other."""
    import jax

    with jax.enable_x64(True):
        for scheme in ("euler", "rk4"):
            for weights in ("smooth", "independent"):
                for depth in DEPTHS[:2] if run.quick else DEPTHS:
                    keys = {"scheme": scheme, "weights": weights, "layers": depth}
                    for cycle in ("V", "F"):
                        if run.wants("ours", cycle, **keys):
                            run.record("ours", cycle, keys, **measure(scheme, weights, depth, cycle))


def measure(scheme: str, weights: str, depth: int, cycle: str) -> dict[str, Any]:
    """Cycles, convergence factor, differences from the serial march, and predicted speed-ups."""
    import jax
    import jax.numpy as jnp

    from numdl.flow import LayerParallel
    from numdl.models import ResNet

    control = "legendre" if weights == "smooth" else "constant"
    net = ResNet(WIDTH, WIDTH, depth, T=T, dynamics="antisymmetric", scheme=scheme, control=control, opening=False)
    theta = net.init(0, np.float64)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((SAMPLES, WIDTH)))
    march = LayerParallel(cycle=cycle)
    (serial, exact), (value, slope) = (
        jax.jit(jax.value_and_grad(lambda t, x, way=way: jnp.mean(jnp.sin(way.batch(t, x)) ** 2)))(theta, x)
        for way in (net, dataclasses.replace(net, march=march))
    )
    gap = [float(jnp.linalg.norm(a - b)) for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(exact), strict=True)]
    size = [float(jnp.linalg.norm(a)) for a in jax.tree.leaves(exact)]
    found = march.convergence(*net.flow(theta, x))
    cycles, levels = len(found.residuals), 1 + max(0, math.ceil(math.log(depth / 16, 4)))
    return {
        "cycles": cycles,
        "levels": levels,
        "factor": None if math.isnan(found.factor) else found.factor,
        "residuals": [float(r) for r in found.residuals],
        "value": float(abs(value - serial) / abs(serial)),
        "gradient": math.hypot(*gap) / math.hypot(*size),
        "speed_up": {str(p): depth / critical(depth, levels, cycles, p) for p in PROCESSES},
    }


def critical(depth: int, levels: int, cycles: int, processes: int, factor: int = 4) -> float:
    """Steps and messages, one after the other, of V-cycles on so many processes; the first guess and the end are in."""
    one, first = 0.0, 0.0
    for level in range(levels - 1):
        intervals = math.ceil(depth / factor ** (level + 1))
        share = math.ceil(intervals / processes)
        message = LATENCY if processes > 1 else 0.0
        sweep = share * factor + message
        one += 2 * sweep + share + message + (sweep if level else 0.0)
        first += sweep
    coarsest = math.ceil(depth / factor ** (levels - 1))
    return cycles * (one + coarsest) + first + coarsest


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Largest differences, cycles by depth, and where more processes than one begin to gain."""
    rows, cycles = [], {}
    for r in records:
        gain = {int(p): s for p, s in r["speed_up"].items()}
        even = min((p for p, s in gain.items() if s > 1), default=None)
        cycles.setdefault(f"{r['scheme']}, {r['weights']}, {r['method']}", {})[str(r["layers"])] = r["cycles"]
        name = (r["scheme"], r["weights"], r["method"], str(r["layers"]))
        rows.append(
            (*name, r["cycles"], r["factor"] or np.nan, r["value"], r["gradient"], gain[max(gain)], even or "-")
        )
    header = (
        "scheme",
        "weights",
        "cycle",
        "layers",
        "cycles",
        "factor",
        "value",
        "gradient",
        "gain at 1024",
        "gains from",
    )
    table("Layer-parallel: differences from the serial march, predicted gain", header, rows)
    return {
        "largest_difference_of_the_value": max(r["value"] for r in records),
        "largest_difference_of_the_gradient": max(r["gradient"] for r in records),
        "cycles": cycles,
        "largest_predicted_speed_up": {
            str(d): max(max(r["speed_up"].values()) for r in records if r["layers"] == d)
            for d in dict.fromkeys(r["layers"] for r in records)
        },
    }
