"""What do a gradient's memory and time cost, for each way to march and beside torch?

Memory and accuracy: a Hamiltonian network (Verlet, tanh, width 64, T = 5) and 512 samples in float32, loss
``||u(T)||^2 / (2 n)``, gradient by all weights. ``temporary_MiB`` is what XLA reports for the compiled gradient beyond
its arguments (weights, samples) and its result (the gradient by the weights, as large as the weights); the states that
a march keeps are in it, and so is each copy of weights or gradient that it makes. ``kept_states`` is the same in states
of all samples. ``added_MiB`` is the growth of the peak resident memory of a fresh process over a network of 2 layers:
weights and their gradient are in that. The march ``adjoint`` takes Heun's scheme, for Verlet cannot step the adjoint
equation; its error is to stored states of Heun's scheme.

Time: medians of calls that take turns, so that a busy machine slows all alike. The plain network of 32 layers, width 16
and 2000 samples is also written out by hand in both layouts, ``rows`` (samples x features) and ``columns`` (features x
samples).
"""

from __future__ import annotations

import functools
import itertools
import json
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
from benchmarks._nets import set_torch_threads
from benchmarks.memory import peak
from numdl.flow import MARCHES, PiecewiseConstant, get_field, get_march, get_scheme
from numdl.flow.march import over_samples

PARTS = ("memory", "accuracy", "peak", "march_time", "layers", "layers_compiled")
DEPTHS = (64, 512, 2048, 8192)
WIDTH, SAMPLES, T = 64, 512, 5.0
EXACT = ("remat", "checkpointed", "reversible")
PEAK_DEPTH = 2048
TIME_DEPTH, TIME_SAMPLES = 512, 128
LAYERS, NARROW, ROWS = 32, 16, 2000
MIB = 2.0**20

Slope = Callable[[Any, Any], Any]


def weights(dynamics: str, depth: int, width: int, dtype: str) -> dict[str, np.ndarray]:
    """The same random weights for everybody, leading axis depth."""
    rng, field = np.random.default_rng(0), get_field(dynamics)
    layers = [field.init(rng, width, 1.0) for _ in range(depth)]
    return {name: np.stack([np.asarray(layer[name]) for layer in layers]).astype(dtype) for name in layers[0]}


def samples(n: int, width: int, dtype: str) -> np.ndarray:
    """Standard normal states at the start, (n, width)."""
    return np.random.default_rng(1).standard_normal((n, width)).astype(dtype)


def march_slope(march: str, dynamics: str, scheme: str, depth: int, n: int) -> Slope:
    """Compilable gradient of ``||u(T)||^2 / (2 n)`` by the weights."""
    # The adjoint equation moves state, adjoint and gradient as one vector, which has no two halves for Verlet.
    scheme = "heun" if march == "adjoint" else scheme
    args = get_scheme(scheme), get_field(dynamics).dynamics(jnp.tanh), PiecewiseConstant(depth)

    def loss(coeffs: Any, u: Any) -> Any:
        return 0.5 / n * jnp.sum(over_samples(get_march(march), *args, coeffs, u, 0.0, T / depth) ** 2)

    return jax.grad(loss)


def torch_slope(depth: int, dynamics: str, checkpoints: bool = False, compiled: bool = False) -> Slope:
    """The same with torch, eager unless compiled; checkpoints at the ends of about sqrt(depth) equal segments."""
    import torch
    from torch.utils.checkpoint import checkpoint

    h = T / depth

    def verlet(u: Any, K: Any, b: Any) -> Any:
        y, z = u.chunk(2, dim=1)
        z = z - h / 2 * torch.tanh(y @ K + b)
        y = y + h * torch.tanh(z @ K.T + b)
        return torch.cat([y, z - h / 2 * torch.tanh(y @ K + b)], dim=1)

    def euler(u: Any, K: Any, b: Any) -> Any:
        return u + h * torch.tanh(u @ K.T + b)

    step = verlet if dynamics == "hamiltonian" else euler

    def segment(u: Any, K: Any, b: Any) -> Any:
        for Kj, bj in zip(K.unbind(), b.unbind(), strict=True):
            u = step(u, Kj, bj)
        return u

    def loss(u: Any, K: Any, b: Any) -> Any:
        if not checkpoints:
            return 0.5 / u.shape[0] * (segment(u, K, b) ** 2).sum()
        n, length = u.shape[0], round(depth**0.5)
        for Ks, bs in zip(K.split(length), b.split(length), strict=True):
            u = checkpoint(segment, u, Ks, bs, use_reentrant=False)
        return 0.5 / n * (u**2).sum()

    run = torch.compile(loss) if compiled else loss

    def slope(coeffs: Any, u: Any) -> Any:
        K, b = (coeffs[name].requires_grad_() for name in ("K", "b"))
        return dict(zip(("K", "b"), torch.autograd.grad(run(u, K, b), (K, b)), strict=True))

    return slope


def layout_slope(layout: str, depth: int) -> Slope:
    """The plain Euler network by hand on whole matrices, in one layout or the other."""
    h = T / depth

    def loss(coeffs: Any, u: Any) -> Any:
        def rows(u: Any, layer: Any) -> Any:
            return u + h * jnp.tanh(u @ layer["K"].T + layer["b"]), None

        def columns(u: Any, layer: Any) -> Any:
            return u + h * jnp.tanh(layer["K"] @ u + layer["b"][:, None]), None

        n = u.shape[0]
        if layout == "rows":
            return 0.5 / n * jnp.sum(jax.lax.scan(rows, u, coeffs)[0] ** 2)
        return 0.5 / n * jnp.sum(jax.lax.scan(columns, u.T, coeffs)[0] ** 2)

    return jax.grad(loss)


def ready(slope: Slope, coeffs: Any, u: Any, side: str) -> Callable[[], Any]:
    """A call without arguments that computes the gradient and waits for it."""
    if side == "ours":
        call, at = jax.jit(slope), jax.tree.map(jnp.asarray, (coeffs, u))
        return lambda: jax.block_until_ready(call(*at))
    import torch

    there = {name: torch.from_numpy(leaf) for name, leaf in coeffs.items()}, torch.from_numpy(u)
    return lambda: slope(*there)


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


def memory(run: Run) -> None:
    """What XLA plans; nothing is executed."""
    n, state = SAMPLES, SAMPLES * WIDTH * 4
    layer = weights("hamiltonian", 1, WIDTH, "float32")
    for march, depth in itertools.product(MARCHES, DEPTHS[:2] if run.quick else DEPTHS):
        if not run.wants("ours", march, part="memory", depth=depth):
            continue
        coeffs = {k: jax.ShapeDtypeStruct((depth, *a.shape[1:]), a.dtype) for k, a in layer.items()}
        slope = jax.jit(march_slope(march, "hamiltonian", "verlet", depth, n))
        compiled = slope.lower(coeffs, jax.ShapeDtypeStruct((n, WIDTH), jnp.float32)).compile()
        planned = compiled.memory_analysis()
        assert planned is not None, "this backend of JAX does not report what it plans"
        used = planned.temp_size_in_bytes
        run.record(
            "ours",
            march,
            {"part": "memory", "depth": depth},
            temporary_MiB=used / MIB,
            kept_states=used / state,
            gradient_MiB=sum(a.nbytes for a in layer.values()) * depth / MIB,
        )


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


TORCH = {"torch_eager": {}, "torch_checkpoint": {"checkpoints": True}}


def peak_memory(run: Run) -> None:
    """One process per march."""
    methods = [("ours", march) for march in MARCHES if march != "adaptive"] + [("theirs", name) for name in TORCH]
    depth = 64 if run.quick else PEAK_DEPTH
    for side, method in methods:
        if not run.wants(side, method, part="peak", depth=depth):
            continue
        values = {}
        for size in (2, depth):
            command = [sys.executable, "-m", "benchmarks.gradient", side, method, str(size)]
            answer = subprocess.run(
                command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, env=os.environ
            )
            if answer.returncode:
                last = answer.stderr.strip().splitlines()[-1:] or ["no message"]
                raise BenchmarkError(f"benchmark gradient ({method}, depth={size}): the process failed: {last[0]}.")
            values[size] = json.loads(answer.stdout.strip().splitlines()[-1])["peak_MiB"]
        run.record(
            side, method, {"part": "peak", "depth": depth}, peak_MiB=values[depth], added_MiB=values[depth] - values[2]
        )


def child(side: str, method: str, depth: int) -> None:
    """One gradient in a process of its own; prints its peak."""
    at = weights("hamiltonian", depth, WIDTH, "float32"), samples(SAMPLES, WIDTH, "float32")
    if side == "ours":
        slope = march_slope(method, "hamiltonian", "verlet", depth, SAMPLES)
    else:
        slope = torch_slope(depth, "hamiltonian", **TORCH[method])
    ready(slope, *at, side)()
    print(json.dumps({"peak_MiB": peak()}))


def record_times(run: Run, keys: dict[str, Any], calls: dict[tuple[str, str], Callable[[], Any]], extra: Any) -> None:
    """Time all calls in turns, keep medians and all the numbers."""
    for (side, method), seconds in in_turns(calls, 3 if run.quick else 15).items():
        shown = {"torch_threads": extra} if side == "theirs" else {}
        run.record(side, method, keys, seconds=median(seconds), all_seconds=seconds, **shown)


def march_time(run: Run) -> None:
    """All marches and torch at one depth, float32; torch with the threads that suit it."""
    depth, calls, threads = 32 if run.quick else TIME_DEPTH, {}, None
    keys = {"part": "march_time", "depth": depth}
    at = weights("hamiltonian", depth, WIDTH, "float32"), samples(TIME_SAMPLES, WIDTH, "float32")
    if run.wants("theirs", "torch_eager", **keys):
        for name, options in TORCH.items():
            calls["theirs", name] = ready(torch_slope(depth, "hamiltonian", **options), *at, "theirs")
        threads = set_torch_threads(calls["theirs", "torch_eager"])
    for march in MARCHES:
        if march != "adaptive" and run.wants("ours", march, **keys):
            slope = march_slope(march, "hamiltonian", "verlet", depth, TIME_SAMPLES)
            calls["ours", march] = ready(slope, *at, "ours")
    record_times(run, keys, calls, threads)


def layers(run: Run, part: str = "layers") -> None:
    """The plain network: ours, both layouts by hand, torch eager; in a part of its own, with torch compiled."""
    for dtype in ("float32", "float64"):
        keys, calls, threads = {"part": part, "dtype": dtype}, {}, None
        at = weights("plain", LAYERS, NARROW, dtype), samples(ROWS, NARROW, dtype)
        if run.wants("theirs", "torch_eager", **keys):
            calls["theirs", "torch_eager"] = ready(torch_slope(LAYERS, "plain"), *at, "theirs")
            threads = set_torch_threads(calls["theirs", "torch_eager"])
            if part == "layers_compiled":
                compiled = ready(torch_slope(LAYERS, "plain", compiled=True), *at, "theirs")
                try:
                    compiled()
                    calls["theirs", "torch_compile"] = compiled
                except Exception as error:  # it needs a C++ compiler; without one, say so
                    run.record("theirs", "torch_compile", keys, seconds=None, failed=type(error).__name__)
        with jax.enable_x64(dtype == "float64"):
            if run.wants("ours", "numdl", **keys):
                slope = march_slope("stored", "plain", "euler", LAYERS, ROWS)
                calls["ours", "numdl"] = ready(slope, *at, "ours")
                for layout in ("rows", "columns"):
                    calls["ours", layout] = ready(layout_slope(layout, LAYERS), *at, "ours")
                answers = [calls["ours", name]() for name in ("numdl", "rows", "columns")]
                if ("theirs", "torch_eager") in calls:
                    answers.append(calls["theirs", "torch_eager"]())
                worst = max(distance(found, answers[0]) for found in answers)
                assert worst < (1e-4 if dtype == "float32" else 1e-10), f"gradients differ by {worst:.1e}"
            record_times(run, keys, calls, threads)


def run(run: Run) -> None:
    """All parts, or those of ``--sets``."""
    parts = {
        "memory": memory,
        "accuracy": accuracy,
        "peak": peak_memory,
        "march_time": march_time,
        "layers": layers,
        "layers_compiled": functools.partial(layers, part="layers_compiled"),
    }
    for part in run.chosen(PARTS, quick=len(PARTS) - 1):
        parts[part](run)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Tables of memory and ratios of times."""

    def of(part: str) -> list[dict[str, Any]]:
        return [r for r in records if r["part"] == part]

    planned = {(r["method"], r["depth"]): r for r in of("memory")}
    depths = sorted({depth for _, depth in planned})
    methods = list(dict.fromkeys(r["method"] for r in of("memory")))
    grid = {name: {d: planned[name, d]["temporary_MiB"] for d in depths if (name, d) in planned} for name in methods}
    table(
        f"temporary MiB of a gradient, width {WIDTH}, {SAMPLES} samples, float32",
        ["march", *map(str, depths)],
        [[name, *(row.get(d) for d in depths)] for name, row in grid.items()],
    )
    accuracy = {f"{r['method']} depth={r['depth']}": r["relative_error"] for r in of("accuracy")}
    table("error of the gradient to stored states, float64", ["march", "relative error"], accuracy.items())
    peaks = {r["method"]: r["added_MiB"] for r in of("peak")}
    table("peak resident MiB over a network of 2 layers", ["march", "added MiB"], peaks.items())
    times: dict[str, dict[str, Any]] = {}
    for part, base in (("march_time", "stored"), ("layers", "torch_eager"), ("layers_compiled", "torch_eager")):
        for dtype in sorted({r.get("dtype", "float32") for r in of(part)}):
            seconds = {r["method"]: r["seconds"] for r in of(part) if r.get("dtype", "float32") == dtype}
            title = f"{part} {dtype}"
            times[title] = {
                name: {"seconds": s, f"over {base}": ratio(s, seconds.get(base))} for name, s in seconds.items()
            }
            table(
                title,
                ["method", "seconds", f"over {base}"],
                [[name, *row.values()] for name, row in times[title].items()],
            )
    flat = {
        name: max(row.values()) / min(row.values()) - 1
        for name, row in grid.items()
        if name in ("reversible", "coupled") and row
    }
    return {
        "temporary_MiB": grid,
        "relative_growth_over_depths": flat,
        "gradient_error": accuracy,
        "peak_added_MiB": peaks,
        "times": times,
    }


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
