"""Do layers that are divided among processes give the serial gradient, and from how many processes on would they gain?

An antisymmetric network of width 8 (T = 6, tanh, forward Euler, 64 samples) whose weights are four Legendre polynomials
in time; value and gradient by ``LayerParallel`` to the tolerance 1e-12 and by stored states.

``counted``: one process with 1 to 8 devices, more than there are cores: no times. What a device executes is read from
the compiled program, loops multiplied by their trips: steps (activations over those of one step), collective
operations, and bytes that come out of them, for each cycle and for all that is done once. ``1 process`` and ``2
processes``: real ones, each bound to a core, joined by ``jax.distributed`` on gloo; median seconds of three calls.
``gap`` is the relative difference of value or gradient from stored states.

The model: ``seconds(P) = a shared(P) + b copied(P) + latency messages + bytes / bandwidth``. Steps are fitted at 1 and
2, ``shared / P + copied``, messages and bytes at 2, and both checked at 4 and 8. A level is shared by as many devices
as it has intervals; where some have fewer than P, messages and bytes are taken twice, as XLA then needs (checked for
256 layers at 32). ``b`` is the time of a serial step, ``a`` that of one of many at a time on one process; latency and
bandwidth are those of a message of 4 KB and of 8 MB between two processes, or those of a ``fast network``. ``free
messages`` is the same with steps alone, for steps so large that messages do not count, each at the price of a serial
step and its derivative, though half of them only go forward. The serial gradient, on one process, is the unit of
speed-up.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from typing import Any

import numpy as np

from benchmarks._common import BenchmarkError, Run, ratio, table
from benchmarks._hlo import executed
from benchmarks._processes import Compiled, join, median_seconds, started

DEPTHS, TIMED = (64, 256, 1024, 4096), (256, 1024)
COUNTED, MORE = (1, 2, 4, 8), {256: (32,)}
WIDTH, SAMPLES, T, FACTOR, FEW = 8, 64, 6.0, 4, 2
FAST = (5e-6, 1e10)
"""Seconds of a message and bytes per second between the machines of a cluster with a good network; not measured."""
PREDICTED = tuple(2**k for k in range(11))
COUNTS = ("steps", "messages", "bytes")


def run(run: Run) -> None:
    """Our side; there is no other."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchmarkError(
            f"benchmark layer_processes: {len(cores)} core is free, needs 2. Run it on a larger machine."
        )
    parts = run.chosen(("counts", "times"), quick=2)
    for depth in DEPTHS[:2] if run.quick else DEPTHS:
        if "counts" in parts and run.wants("ours", "counted", layers=depth):
            (found,) = started("layer_processes", {"what": "count", "depth": depth}, [cores], devices=32)
            run.record("ours", "counted", {"layers": depth}, **found)
        if "times" not in parts or depth not in TIMED or not run.wants("ours", "2 processes", layers=depth):
            continue
        for count, name in ((1, "1 process"), (2, "2 processes")):
            own = [[core] for core in cores[:count]]
            found = started("layer_processes", {"what": "time", "depth": depth}, own)[0]
            run.record("ours", name, {"layers": depth}, **found)


def made(depth: int, mesh: Any) -> tuple[Any, Any, Any, Any]:
    """The gradient by stored states and by all layers at once, weights and samples."""
    import jax
    import jax.numpy as jnp

    from numdl.flow import LayerParallel
    from numdl.models import ResNet

    net = ResNet(WIDTH, WIDTH, depth, T=T, dynamics="antisymmetric", control="legendre", opening=False)
    theta = jax.tree.map(np.asarray, net.init(0, np.float64))
    x = np.random.default_rng(0).standard_normal((SAMPLES, WIDTH))
    marches = ("stored", LayerParallel(factor=FACTOR, mesh=mesh))
    everywhere = None if mesh is None else jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    serial, parallel = (
        jax.jit(jax.value_and_grad(lambda t, x, way=way: jnp.mean(jnp.sin(way.batch(t, x)) ** 2)), out_shardings=where)
        for way, where in zip((dataclasses.replace(net, march=m) for m in marches), (None, everywhere), strict=True)
    )
    return serial, parallel, theta, x


def work(task: dict[str, Any]) -> dict[str, Any]:
    """What one of the processes does."""
    join(task)
    import jax

    with jax.enable_x64(True):
        return count(task["depth"]) if task["what"] == "count" else measure(task["depth"], task["count"])


def count(depth: int) -> dict[str, Any]:
    """What a device executes for each number of devices, and how far the gradient is from the serial one."""
    import jax

    from numdl.flow import LayerParallel
    from numdl.models import ResNet

    net = ResNet(WIDTH, WIDTH, depth, T=T, dynamics="antisymmetric", control="legendre", opening=False)
    counts, gaps, expected = {}, {}, None
    for parts in (*COUNTED, *MORE.get(depth, ())):
        mesh = None if parts == 1 else jax.sharding.Mesh(np.array(jax.devices()[:parts]), ("layer",))
        serial, parallel, theta, x = made(depth, mesh)
        if expected is None:
            expected = serial(theta, x)
            alone = executed(Compiled(serial, theta, x).program.as_text(), 0)["tanh"] / (SAMPLES * WIDTH)
        call = Compiled(parallel, theta, x)
        counts[str(parts)] = counted(call.program.as_text())
        gaps[str(parts)] = gap(call(), expected)
    residuals = LayerParallel(factor=FACTOR).convergence(*net.flow(theta, x)).residuals
    return {"serial_steps": alone, "cycles": len(residuals), "counts": counts, "gaps": gaps}


def counted(text: str) -> dict[str, dict[str, float]]:
    """Steps, messages and bytes of all that is done once, and of one cycle of the states and one of the adjoints."""
    once, one = ({**e, "steps": e["tanh"] / (SAMPLES * WIDTH)} for e in (executed(text, k) for k in (0, 1)))
    return {"once": {k: once[k] for k in COUNTS}, "cycle": {k: one[k] - once[k] for k in COUNTS}}


def gap(found: Any, expected: Any) -> list[float]:
    """Relative differences of value and gradient."""
    import jax

    flat = [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(g)]) for _, g in (found, expected)]
    value = abs(float(found[0]) / float(expected[0]) - 1)
    return [value, float(np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[1]))]


def measure(depth: int, processes: int) -> dict[str, Any]:
    """Seconds of the gradient, serially and by all processes, and of messages between them."""
    import jax

    mesh = None if processes == 1 else jax.make_mesh((processes,), ("layer",))
    serial, parallel, theta, x = made(depth, mesh)
    alone, together = Compiled(serial, theta, x), Compiled(parallel, theta, x)
    found = {"gap": gap(together(), alone()), "serial_seconds": median_seconds(alone)}
    found["seconds"] = median_seconds(together)
    found["message_seconds"] = [] if mesh is None else [message(mesh, size) for size in (SAMPLES * WIDTH, 2**20)]
    return found


def message(mesh: Any, size: int) -> float:
    """Seconds of handing so many numbers to the neighbour, mean of 100 in a row."""
    import jax
    import jax.numpy as jnp

    spec = jax.sharding.PartitionSpec("layer")

    def turn(a: Any) -> Any:
        around = [(k, (k + 1) % mesh.size) for k in range(mesh.size)]
        return jax.lax.fori_loop(0, 100, lambda _, a: jax.lax.ppermute(a, "layer", around), a)

    passed = jax.jit(jax.shard_map(turn, mesh=mesh, in_specs=spec, out_specs=spec))
    rows = jax.jit(lambda: jnp.ones((mesh.size, size)), out_shardings=jax.sharding.NamedSharding(mesh, spec))()
    return median_seconds(Compiled(passed, rows)) / 100


def fitted(record: dict[str, Any], cycles: int, parts: int) -> dict[str, float]:
    """Steps shared and copied, messages and bytes on so many processes, from the counts at 1 and 2."""
    one, two = ({k: c["once"][k] + cycles * c["cycle"][k] for k in COUNTS} for c in map(record["counts"].get, "12"))
    copied = 2 * two["steps"] - one["steps"]
    shared = one["steps"] - copied
    weights = level_weights(record["layers"])
    share = sum(weight / min(parts, intervals) for intervals, weight in weights.items()) / sum(weights.values())
    times = 0 if parts == 1 else 2 if parts > min(weights) else 1
    rest = {k: times * two[k] for k in ("messages", "bytes")}
    return {"shared": shared * share, "copied": copied, **rest}


def level_weights(depth: int) -> dict[int, float]:
    """Intervals of each level that is relaxed, and its share of the work: two sweeps, one coarse step, one fill."""
    levels = 1 + max(0, math.ceil(math.log(depth / 16, FACTOR)))
    return {
        intervals: intervals * (2 * FACTOR + 1 + (FACTOR if level else 0))
        for level in range(levels - 1)
        for intervals in [depth // FACTOR ** (level + 1)]
    }


def checked(record: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What is counted over what is predicted, less 1, for the cycles of this depth."""
    cycles, found = record["cycles"], {}
    for parts, c in record["counts"].items():
        if int(parts) > 2:
            said = fitted(record, cycles, int(parts))
            said["steps"] = said["shared"] + said["copied"]
            found[parts] = {k: (c["once"][k] + cycles * c["cycle"][k]) / said[k] - 1 for k in COUNTS}
    return found


def rates(by: dict[tuple[int, str], dict[str, Any]], depth: int) -> dict[str, float] | None:
    """Seconds of steps and messages, from one process and from messages between two; None before there are any."""
    timed = [d for d in TIMED if (d, "2 processes") in by]
    if not timed:
        return None
    near = min(timed, key=lambda d: abs(math.log(d / depth)))
    counts, one, two = (by[near, name] for name in ("counted", "1 process", "2 processes"))
    said, serial = fitted(counts, counts["cycles"], 1), one["serial_seconds"] / counts["serial_steps"]
    small, large = two["message_seconds"]
    return {
        "b": serial,
        "a": max(one["seconds"] - serial * said["copied"], 0.0) / said["shared"],
        "latency": small,
        "bandwidth": 8 * (2**20 - SAMPLES * WIDTH) / max(large - small, 1e-12),
    }


def seconds(record: dict[str, Any], rate: dict[str, float], cycles: int, parts: int) -> float:
    """Seconds that the model gives."""
    said = fitted(record, cycles, parts)
    messages = said["messages"] * rate["latency"] + said["bytes"] / rate["bandwidth"]
    return rate["a"] * said["shared"] + rate["b"] * said["copied"] + messages


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Checks of the model, and predicted speed-ups with the number of processes from which there is a gain."""
    by = {(r["layers"], r["method"]): r for r in records}
    depths = [depth for depth in DEPTHS if (depth, "counted") in by]
    summary: dict[str, Any] = {}
    checks, gains = [], []
    for depth in depths:
        record = by[depth, "counted"]
        rate, off = rates(by, depth), checked(record)
        free = {"a": 1.0, "b": 1.0, "latency": 0.0, "bandwidth": math.inf}
        fast = None if rate is None else rate | {"latency": FAST[0], "bandwidth": FAST[1]}
        ways = {}
        for name, cycles in (("1e-12", record["cycles"]), (f"{FEW} cycles", FEW)):
            for prices, r in (("this machine", rate), ("fast network", fast), ("free messages", free)):
                if r is None:
                    continue
                alone = r["b"] * record["serial_steps"]
                gain = {str(p): alone / seconds(record, r, cycles, p) for p in PREDICTED}
                gains_from = next((p for p in PREDICTED if gain[str(p)] > 1), None)
                ways[f"{name}, {prices}"] = {"speed_up": gain, "gains_from": gains_from}
                gains.append((str(depth), name, prices, *(gain[str(p)] for p in (1, 4, 16, 64, 256, 1024)), gains_from))
        gaps = np.max(list(record["gaps"].values()), axis=0)
        summary[str(depth)] = {
            "cycles": record["cycles"],
            "largest_gaps_of_value_and_gradient": gaps,
            "counted_over_predicted_minus_1": off,
            "rates": rate,
            "predicted": ways,
        }
        row = [str(depth), record["cycles"], *gaps]
        row += [max((o[k] for o in off.values()), key=abs) for k in COUNTS]
        if rate is not None and (depth, "2 processes") in by:
            one, two = by[depth, "1 process"], by[depth, "2 processes"]
            said = seconds(record, rate, record["cycles"], 2)
            summary[str(depth)] |= {
                "seconds": {"serial": one["serial_seconds"], "1": one["seconds"], "2": two["seconds"]},
                "gaps_of_two_processes": two["gap"],
                "speed_up_of_two_processes_over_one": ratio(one["seconds"], two["seconds"]),
                "predicted_over_measured_seconds_of_two": said / two["seconds"],
            }
            row += [one["serial_seconds"], one["seconds"], two["seconds"], said / two["seconds"]]
        checks.append(row + [None] * (11 - len(row)))
    header = ("layers", "cycles", "value", "gradient", "steps off", "messages off", "bytes off")
    table("Layers divided among processes", (*header, "serial [s]", "1 [s]", "2 [s]", "model/2"), checks)
    table("Predicted speed-up", ("layers", "to", "prices", "1", "4", "16", "64", "256", "1024", "gains from"), gains)
    return summary


if __name__ == "__main__":
    print(json.dumps(work(json.loads(sys.argv[1]))), flush=True)
