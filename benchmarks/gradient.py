"""What do a gradient's memory and time cost, for each way to march and beside torch?

Memory and accuracy: a Hamiltonian network (Verlet, tanh, width 64, T = 5) and 512 samples in float32, loss ``||u(T)||^2
/ (2 n)``, gradient by all weights. ``temporary_MiB`` is what XLA reports for the compiled gradient beyond its arguments
(weights, samples) and its result (the gradient by the weights, as large as the weights); the states that a march keeps
are in it, and so is each copy of weights or gradient that it makes. ``kept_states`` is the same in states of all
samples. ``added_MiB`` is the growth of the peak resident memory of a fresh process over a network of 2 layers: weights
and their gradient are in that. What is freed goes back to the system in all of them. The march ``adjoint`` takes Heun's
scheme, for Verlet cannot step the adjoint equation; its error is to stored states of Heun's scheme.

Time: medians of calls that take turns, so that a busy machine slows all alike. The same network with 128 samples gives
the time over that of stored states; marches that would take more than 6 GiB are skipped, with what they need. So does a
Hamiltonian network of convolutions (``images``) with 16 images of 16 x 16 pixels and 32 channels, beside the error of
its gradient to stored states in float32. ``convolutions`` is the time of a layer, forward and back by K, b and u, of
8 parabolic ones, ``u - h K' relu(K u + b)`` with 3 x 3 taps on 128 images: in a march, unrolled, and in torch with
channels last. The plain network of 32 layers, width 16 and 2000 samples is also written out
by hand in both layouts, ``rows`` (samples x features) and ``columns`` (features x samples).
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._common import BenchmarkError, Run, median, ratio, table, timed
from benchmarks._gradients import (
    layout_slope,
    march_slope,
    parabolic_slope,
    ready,
    samples,
    torch_parabolic_slope,
    torch_slope,
    weights,
)
from benchmarks._nets import set_torch_threads
from benchmarks.memory import peak
from numdl.flow import MARCHES, on_images

PARTS = ("memory", "accuracy", "peak", "march_time", "images", "convolutions", "layers")
DEPTHS = (64, 512, 2048, 8192)
WIDTH, SAMPLES = 64, 512
EXACT = ("remat", "checkpointed", "reversible")
TIME_SAMPLES = 128
SIDES, CHANNELS, BATCH = (16, 16), 32, 16
CONVOLUTIONS, STACKED = ((16, 32), (32, 16), (64, 8)), 8
"""Channels and pixels along a side, and layers."""
LIMIT_MIB = 6 * 1024
"""What a gradient may take beside weights; whoever plans more is recorded as skipped."""
MAPPED = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""States, 128 KiB each, go back to the system when they are freed: else the C library keeps torch's recomputed ones."""
LAYERS, NARROW, ROWS = 32, 16, 2000
MIB = 2.0**20


def in_turns(calls: dict[tuple[str, str], Callable[[], Any]], repeats: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of each call; one round calls each once."""
    for call in calls.values():
        call()
        call()
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for _, (key, call) in itertools.product(range(repeats), calls.items()):
        seconds[key].append(timed(call)[1])
    return seconds


def distance(found: Any, exact: Any) -> float:
    """Relative distance of two gradients in the Euclidean norm of all weights together."""
    pairs = [(np.asarray(found[name]), np.asarray(exact[name])) for name in exact]
    return float(np.sqrt(sum(np.sum((a - b) ** 2) for a, b in pairs) / sum(np.sum(b**2) for _, b in pairs)))


def planned(march: str, depth: int, n: int) -> tuple[int, int]:
    """Bytes that XLA plans beyond arguments and result, and bytes of the weights; nothing is executed."""
    layer = weights("hamiltonian", 1, WIDTH, "float32")
    coeffs = {k: jax.ShapeDtypeStruct((depth, *a.shape[1:]), a.dtype) for k, a in layer.items()}
    slope = jax.jit(march_slope(march, "hamiltonian", "verlet", depth, n))
    plan = slope.lower(coeffs, jax.ShapeDtypeStruct((n, WIDTH), jnp.float32)).compile().memory_analysis()
    assert plan is not None, "this backend of JAX does not report what it plans"
    return plan.temp_size_in_bytes, depth * sum(a.nbytes for a in layer.values())


def memory(run: Run) -> None:
    """What XLA plans for each march and depth."""
    state = SAMPLES * WIDTH * 4
    for march, depth in itertools.product(MARCHES, DEPTHS[:2] if run.quick else DEPTHS):
        if not run.wants("ours", march, part="memory", depth=depth):
            continue
        used, own = planned(march, depth, SAMPLES)
        keys = {"part": "memory", "depth": depth}
        run.record("ours", march, keys, temporary_MiB=used / MIB, kept_states=used / state, gradient_MiB=own / MIB)


def accuracy(run: Run) -> None:
    """Relative error of the gradient to stored states, float64, 64 samples; ``coupled`` is another discretisation."""
    for depth in (64,) if run.quick else (512, 2048):
        if "ours" not in run.sides:
            return
        with jax.enable_x64(True):
            at = weights("hamiltonian", depth, WIDTH, "float64"), samples(64, WIDTH, "float64")
            found = {
                march: ready(march_slope(march, "hamiltonian", "verlet", depth, 64), *at, "ours")()
                for march in ("stored", *EXACT, "adjoint")
            }
            heun = ready(march_slope("stored", "hamiltonian", "heun", depth, 64), *at, "ours")()
        for march in (*EXACT, "adjoint"):
            error = distance(found[march], heun if march == "adjoint" else found["stored"])
            run.record("ours", march, {"part": "accuracy", "depth": depth}, relative_error=error)


def torch_ways(depth: int) -> dict[str, dict[str, Any]]:
    """Options of ``torch_slope``: all states kept, segments of sqrt(depth) layers recomputed, or each layer."""
    return {
        "torch_eager": {},
        "torch_checkpoint": {"segment_length": round(depth**0.5)},
        "torch_checkpoint_each": {"segment_length": 1},
    }


def wanted(run: Run, part: str, depth: int, n: int) -> list[tuple[str, str]]:
    """Sides and methods to measure at a depth; marches that plan too much memory are recorded as skipped."""
    found = []
    for march in MARCHES:
        # Its steps are chosen for a tolerance, not given, and the states of all 4096 that it may take are kept.
        if march == "adaptive" or not run.wants("ours", march, part=part, depth=depth):
            continue
        needs = planned(march, depth, n)[0] / MIB
        if needs > LIMIT_MIB:
            reason = f"it plans {needs:.0f} MiB for its gradient, the benchmark allows {LIMIT_MIB} MiB"
            run.record("ours", march, {"part": part, "depth": depth}, skipped=reason)
        else:
            found.append(("ours", march))
    return found + [("theirs", name) for name in torch_ways(depth) if run.wants("theirs", name, part=part, depth=depth)]


def peak_memory(run: Run) -> None:
    """One process for each march and depth, beside that for 2 layers."""
    base: dict[str, int] = {}
    for depth in DEPTHS[:1] if run.quick else DEPTHS:
        for side, method in wanted(run, "peak", depth, SAMPLES):
            if method not in base:
                base[method] = resident(side, method, 2)
            used = resident(side, method, depth)
            run.record(side, method, {"part": "peak", "depth": depth}, peak_MiB=used, added_MiB=used - base[method])


def resident(side: str, method: str, depth: int) -> int:
    """Peak resident MiB of a process of its own that computes one gradient."""
    command = [sys.executable, "-m", "benchmarks.gradient", side, method, str(depth)]
    answer = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, env=os.environ | MAPPED
    )
    if answer.returncode:
        last = answer.stderr.strip().splitlines()[-1:] or ["no message"]
        raise BenchmarkError(f"benchmark gradient ({method}, depth={depth}): the process failed: {last[0]}.")
    return json.loads(answer.stdout.strip().splitlines()[-1])["peak_MiB"]


def child(side: str, method: str, depth: int) -> None:
    """One gradient in a process of its own; prints its peak."""
    at = weights("hamiltonian", depth, WIDTH, "float32"), samples(SAMPLES, WIDTH, "float32")
    ready(slope_of(side, method, depth, SAMPLES), *at, side)()
    print(json.dumps({"peak_MiB": peak()}))


def slope_of(side: str, method: str, depth: int, n: int) -> Any:
    """Gradient of the Hamiltonian network, by a march or a way of torch."""
    if side == "ours":
        return march_slope(method, "hamiltonian", "verlet", depth, n)
    return torch_slope(depth, "hamiltonian", **torch_ways(depth)[method])


def record_times(
    run: Run, keys: dict[str, Any], calls: dict[tuple[str, str], Callable[[], Any]], threads: Any, rounds: int = 15
) -> None:
    """Time all calls in turns, keep medians and all the numbers."""
    for (side, method), seconds in in_turns(calls, 3 if run.quick else rounds).items():
        shown = {"torch_threads": threads} if side == "theirs" else {}
        run.record(side, method, keys, seconds=median(seconds), all_seconds=seconds, **shown)


def march_time(run: Run) -> None:
    """All marches and torch, float32, fewer samples; torch with the threads that suit it."""
    for depth in DEPTHS[:1] if run.quick else DEPTHS:
        calls, threads = {}, None
        at = weights("hamiltonian", depth, WIDTH, "float32"), samples(TIME_SAMPLES, WIDTH, "float32")
        for side, method in wanted(run, "march_time", depth, TIME_SAMPLES):
            calls[side, method] = ready(slope_of(side, method, depth, TIME_SAMPLES), *at, side)
        if ("theirs", "torch_eager") in calls:
            threads = set_torch_threads(calls["theirs", "torch_eager"])
        record_times(run, {"part": "march_time", "depth": depth}, calls, threads, rounds=max(3, 2048 // depth))


def images(run: Run) -> None:
    """Stored states beside the marches that keep few, on images."""
    field, width = on_images("hamiltonian", SIDES), math.prod(SIDES) * CHANNELS
    for depth in (64,) if run.quick else (64, 1024):
        at = weights(field, depth, width, "float32"), samples(BATCH, width, "float32")
        calls, told = {}, {}
        for march in ("stored", "checkpointed", "reversible"):
            keys = {"part": "images", "depth": depth}
            if run.wants("ours", march, **keys):
                program = jax.jit(march_slope(march, field, "verlet", depth, BATCH)).lower(*at).compile()
                plan = program.memory_analysis()
                assert plan is not None, "this backend of JAX does not report what it plans"
                calls["ours", march] = lambda program=program, at=at: jax.block_until_ready(program(*at))
                told[march] = {"temporary_MiB": plan.temp_size_in_bytes / MIB}
        if not calls:
            continue
        found = {march: call() for (_, march), call in calls.items()}
        for march in found.keys() - {"stored"} if "stored" in found else ():
            told[march]["relative_error"] = distance(found[march], found["stored"])
        for (side, march), seconds in in_turns(calls, 3).items():
            run.record(side, march, keys, seconds=median(seconds), all_seconds=seconds, **told[march])


def convolutions(run: Run) -> None:
    """A layer of convolutions with its gradient, by us and by torch; float32."""
    for channels, side in ((16, 32),) if run.quick else CONVOLUTIONS:
        keys = {"part": "convolutions", "channels": channels}
        rng = np.random.default_rng(0)
        K = rng.standard_normal((STACKED, 3, 3, channels, channels)).astype("f4") / (3 * channels**0.5)
        at = K, np.zeros((STACKED, channels), "f4"), rng.standard_normal((128, side, side, channels)).astype("f4")
        calls: dict[tuple[str, str], Callable[[], Any]] = {}
        for method in ("march", "unrolled"):
            if run.wants("ours", method, **keys):
                program, given = jax.jit(parabolic_slope(method == "unrolled")), tuple(map(jnp.asarray, at))
                calls["ours", method] = lambda program=program, given=given: jax.block_until_ready(program(*given))
        if run.wants("theirs", "torch_eager", **keys):
            calls["theirs", "torch_eager"] = torch_parabolic_slope(*at)
        for (side_of, method), seconds in in_turns(calls, 5).items():
            each = [one / STACKED for one in seconds]
            run.record(side_of, method, keys, seconds=median(each), all_seconds=each)


def layers(run: Run) -> None:
    """The plain network: ours, both layouts by hand, torch eager, with each layer recomputed, and compiled."""
    for dtype in ("float32", "float64"):
        keys, calls, threads = {"part": "layers", "dtype": dtype}, {}, None
        at = weights("plain", LAYERS, NARROW, dtype), samples(ROWS, NARROW, dtype)
        if run.wants("theirs", "torch_eager", **keys):
            for name in ("torch_eager", "torch_checkpoint_each"):
                calls["theirs", name] = ready(torch_slope(LAYERS, "plain", **torch_ways(LAYERS)[name]), *at, "theirs")
            threads = set_torch_threads(calls["theirs", "torch_eager"])
            compiled = ready(torch_slope(LAYERS, "plain", compiled=True), *at, "theirs")
            try:
                compiled()
                calls["theirs", "torch_compile"] = compiled
            except Exception as error:  # it needs a C++ compiler and headers of Python; without them, say so
                said = str(error).strip().splitlines()[:1] or ["no message"]
                run.record("theirs", "torch_compile", keys, seconds=None, failed=f"{type(error).__name__}: {said[0]}")
        with jax.enable_x64(dtype == "float64"):
            if run.wants("ours", "numdl", **keys):
                slope = march_slope("stored", "plain", "euler", LAYERS, ROWS)
                calls["ours", "numdl"] = ready(slope, *at, "ours")
                for layout in ("rows", "columns"):
                    calls["ours", layout] = ready(layout_slope(layout, LAYERS), *at, "ours")
            answers = [call() for call in calls.values()]
            worst = max((distance(found, answers[0]) for found in answers), default=0.0)
            assert worst < (1e-4 if dtype == "float32" else 1e-10), f"gradients differ by {worst:.1e}"
            record_times(run, keys, calls, threads)


def run(run: Run) -> None:
    """All parts, or those of ``--sets``."""
    parts = {
        "memory": memory, "accuracy": accuracy, "peak": peak_memory, "march_time": march_time, "images": images,
        "convolutions": convolutions,
        "layers": layers,
    }  # fmt: skip
    for part in run.chosen(PARTS, quick=len(PARTS)):
        parts[part](run)


Rows = list[dict[str, Any]]


def over_depths(records: Rows, quantity: str, title: str) -> dict[str, dict[int, float | None]]:
    """Method to depth to a quantity, also as a table; where it was skipped there is none."""
    depths = sorted({r["depth"] for r in records})
    methods = dict.fromkeys(r["method"] for r in records)
    found = {(r["method"], r["depth"]): r.get(quantity) for r in records}
    grid = {name: {d: found[name, d] for d in depths if (name, d) in found} for name in methods}
    table(title, ["method", *map(str, depths)], [[name, *map(row.get, depths)] for name, row in grid.items()])
    return grid


def summarise(records: Rows) -> dict[str, Any]:
    """Tables of memory and ratios of times."""

    def of(part: str) -> Rows:
        return [r for r in records if r["part"] == part]

    beside = f"a gradient, width {WIDTH}, {SAMPLES} samples, float32"
    grid = over_depths(of("memory"), "temporary_MiB", f"temporary MiB of {beside}")
    accuracy = {f"{r['method']} depth={r['depth']}": r["relative_error"] for r in of("accuracy")}
    table("error of the gradient to stored states, float64", ["march", "relative error"], accuracy.items())
    peaks = over_depths(of("peak"), "added_MiB", f"peak resident MiB of {beside}, over a network of 2 layers")
    stored = {r["depth"]: r["seconds"] for r in of("march_time") if r["method"] == "stored"}
    timed = [{**r, "ratio": ratio(r.get("seconds"), stored.get(r["depth"]))} for r in of("march_time")]
    times = over_depths(timed, "seconds", f"seconds of a gradient, width {WIDTH}, {TIME_SAMPLES} samples, float32")
    ratios = over_depths(timed, "ratio", "the same over stored states")
    kept = {r["depth"]: r for r in of("images") if r["method"] == "stored"}
    on_16 = [
        (r["method"], r["depth"], r["temporary_MiB"], r["seconds"],
         ratio(r["seconds"], kept.get(r["depth"], {}).get("seconds")), r.get("relative_error"))
        for r in of("images")
    ]  # fmt: skip
    title = f"a gradient of {BATCH} images of {SIDES[0]} x {SIDES[1]} with {CHANNELS} channels, float32"
    head = ("march", "layers", "temporary MiB", "seconds", "over stored", "relative error")
    table(title, head, on_16)
    taken = {(r["method"], r["channels"]): r["seconds"] for r in of("convolutions")}
    by_channels = [
        (c, *(taken.get((name, c)) for name in ("march", "unrolled", "torch_eager")),
         ratio(taken.get(("march", c)), taken.get(("torch_eager", c))),
         ratio(taken.get(("march", c)), taken.get(("unrolled", c))))
        for c in sorted({c for _, c in taken})
    ]  # fmt: skip
    names = ("channels", "march s", "unrolled s", "torch s", "march / torch", "march / unrolled")
    table("a parabolic layer and its gradient, 128 images, float32", names, by_channels)
    ours: dict[str, dict[str, Any]] = {}
    for dtype in sorted({r["dtype"] for r in of("layers")}):
        seconds = {r["method"]: r["seconds"] for r in of("layers") if r["dtype"] == dtype}
        eager = seconds.get("torch_eager")
        ours[dtype] = {name: {"seconds": s, "over torch_eager": ratio(s, eager)} for name, s in seconds.items()}
        title = f"{LAYERS} layers, width {NARROW}, {ROWS} samples, {dtype}"
        rows = [[name, *row.values()] for name, row in ours[dtype].items()]
        table(title, ["method", "seconds", "over torch_eager"], rows)
    flat = {}
    for name in ("reversible", "coupled"):
        values = [value for value in grid.get(name, {}).values() if value]
        if values:
            flat[name] = max(values) / min(values) - 1
    return {
        "temporary_MiB": grid,
        "relative_growth_over_depths": flat,
        "gradient_error": accuracy,
        "peak_added_MiB": peaks,
        "march_seconds": times,
        "march_seconds_over_stored": ratios,
        "images": {f"{row[0]} depth={row[1]}": dict(zip(head[2:], row[2:], strict=True)) for row in on_16},
        "convolutions": {str(row[0]): dict(zip(names[1:], row[1:], strict=True)) for row in by_channels},
        "layers": ours,
        "skipped": {f"{r['part']} {r['method']} depth={r['depth']}": r["skipped"] for r in records if "skipped" in r},
    }


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
