"""What does training on coarse images save? A network of 28 x 28 pixels, trained there or on means over 2 x 2 pixels.

The first 10,000 training and 2000 test images. A parabolic network (opening of 3 x 3 taps, flows of 8 and 16 channels
of two Euler steps, means over 7 x 7 cells, softmax) is trained in four ways:

- "fine": on 28 x 28 pixels, for the whole budget;
- "coarse": on 14 x 14 pixels, for half of it. Its dilated stencils are then applied to 28 x 28 pixels;
- "coarse to fine": for 30 % of the budget on 14 x 14 pixels, from there for 20 % on 28 x 28;
- "fine, half": on 28 x 28 pixels, for half of the budget.

All by Adam on batches of 64 at rates that rise and fall with the share of the time that is spent, with the same peak;
but the fine stage of "coarse to fine" has a third of it, fresh moments and a rise of its own. The clock
tells CPU seconds of one core and runs while programs are compiled. All are judged on images of 28 x 28 pixels.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np

from benchmarks._common import Run, table
from benchmarks.images import load

BUDGETS, SEEDS = (24, 80), 3
RATE, BATCH, ALPHA = 1e-2, 64, 1e-4
WAYS = {
    "fine": {"fine": 1.0},
    "coarse": {"coarse": 0.5},
    "coarse to fine": {"coarse": 0.3, "fine": 0.2},
    "fine, half": {"fine": 0.5},
}
"""Shares of the budget on each kind of images, one after the other."""
SETS = ("fashion_mnist", "mnist")
WANTED = -1.0
"""Points that half of the time may lose."""


def network(side: int) -> Any:
    """For images of so many pixels along a side; those of 14 and 28 have as many cells."""
    from numdl.models import image_resnet

    return image_resnet((side, side, 1), (8, 16), merge=1, norm="none", cells=(7, 7), depth=2, T=1.0)


def trained(data: dict[str, tuple[np.ndarray, np.ndarray]], way: str, budget: float, seed: int) -> dict[str, Any]:
    """Train in one of the ways; returns network, weights, steps and CPU seconds."""
    from numdl.models import rescaled

    began = time.process_time()
    stages = WAYS[way]
    net = network(14 if "coarse" in stages else 28)
    theta = net.init(seed, "float32")
    head = {"W": np.zeros((10, net.width), "f4"), "b": np.zeros(10, "f4")}
    p, steps = {"theta": theta, **head}, {}
    end, rng, peak = 0.0, np.random.default_rng(seed), RATE
    for stage, share in stages.items():
        if stage == "fine" and "coarse" in stages:
            net, theta = rescaled(net, p["theta"], "dilated")
            p, peak = {**p, "theta": theta}, RATE / 3
        start, end = end, end + share * budget
        p, steps[stage] = _run(net, p, *data[stage], began + start, began + end, peak, rng)
    if "fine" not in stages:
        net, theta = rescaled(net, p["theta"], "dilated")
        p = {**p, "theta": theta}
    return {"net": net, "p": p, "steps": steps, "seconds": time.process_time() - began}


def _run(net: Any, p: Any, x: np.ndarray, y: np.ndarray, start: float, end: float, peak: float, rng: Any) -> Any:
    """Steps of Adam until the clock tells ``end``."""
    import jax
    import jax.numpy as jnp
    import optax

    adam = optax.scale_by_adam()

    def loss(p: Any, x: Any, y: Any) -> Any:
        told = jax.nn.log_softmax(net.batch(p["theta"], x) @ p["W"].T + p["b"])
        return -jnp.mean(told[jnp.arange(len(y)), y]) + ALPHA / 2 * jnp.sum(p["W"] ** 2)

    @jax.jit
    def step(p: Any, state: Any, x: Any, y: Any, rate: Any) -> Any:
        change, state = adam.update(jax.grad(loss)(p, x, y), state)
        return jax.tree.map(lambda a, b: a - rate * b, p, change), state

    state, count = adam.init(p), 0
    while (spent := time.process_time()) < end:
        share = (spent - start) / (end - start)
        rate = peak * max(min(share / 0.2, (1 - share) / 0.8), 0.01)
        rows = rng.integers(0, len(x), BATCH)
        p, state = step(p, state, x[rows], y[rows], np.float32(rate))
        jax.block_until_ready(p["b"])
        count += 1
    return p, count


def right(net: Any, p: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Percent."""
    import jax

    told = jax.jit(lambda p, x: (net.batch(p["theta"], x) @ p["W"].T + p["b"]).argmax(1))
    parts = [np.asarray(told(p, part)) for part in np.array_split(x, len(x) // 200)]
    return 100 * float(np.mean(np.concatenate(parts) == y))


def run(run: Run) -> None:
    """Measure all ways, one budget and one seed after the other."""
    for name in run.chosen(SETS, 1):
        x, y, x_test, y_test = load(run, name)
        if run.quick:
            x, y = x[:1000], y[:1000]
        fine, unseen = ((images[..., 0] / 255).astype("f4") for images in (x, x_test))
        coarse = fine.reshape(-1, 14, 2, 14, 2).mean((2, 4))
        data = {"fine": (fine.reshape(len(x), -1), y), "coarse": (coarse.reshape(len(x), -1), y)}
        seeds = range(run.seeds or (1 if run.quick else SEEDS))
        for budget, seed, way in itertools.product((8,) if run.quick else BUDGETS, seeds, WAYS):
            keys = {"set": name, "budget": budget, "seed": seed}
            if run.wants("ours", way, **keys):
                found = trained(data, way, budget, seed)
                accuracy = right(found["net"], found["p"], unseen.reshape(len(unseen), -1), y_test)
                told = {"accuracy": accuracy, "seconds": found["seconds"], "steps": found["steps"]}
                run.record("ours", way, keys, **told)


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds, and paired differences to the whole budget on fine images."""
    summary: dict[str, Any] = {}
    rows = []
    for name, budget, way in itertools.product(SETS, BUDGETS, WAYS):
        of_all = {
            how: {r["seed"]: r for r in records if (r["set"], r["budget"], r["method"]) == (name, budget, how)}
            for how in ("fine", way)
        }
        if not of_all[way]:
            continue
        both = of_all["fine"].keys() & of_all[way].keys()
        gaps = [of_all[way][seed]["accuracy"] - of_all["fine"][seed]["accuracy"] for seed in both]
        line = {
            "accuracy": float(np.mean([r["accuracy"] for r in of_all[way].values()])),
            "seconds": float(np.mean([r["seconds"] for r in of_all[way].values()])),
            "seeds": len(of_all[way]),
            "difference": float(np.mean(gaps)) if gaps else None,
            "least_difference": min(gaps, default=None),
            "wanted": None if way == "fine" else WANTED,
        }
        summary[f"{name}/{budget}s/{way}"] = line
        rows.append((name, budget, way, *line.values()))
    header = ("set", "s", "trained", "right %", "CPU s", "seeds", "to fine", "least", "wanted")
    table("Trained on coarse images, judged on fine ones", header, rows)
    return summary
