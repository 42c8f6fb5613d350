"""What do few cycles of a layer-parallel march do to the network that is used in the end, and what does control cost?

An antisymmetric network of 64 Euler steps to T = 6 (width 8 on peaks, 2000 points; 16 on pendigits, 7494 rows) and a
linear head, trained by Adam at rate 1e-2 in batches of 250 rows for 600 steps. Gradients come from the serial march,
from 1 and 2 cycles (two levels, steps 4 times as long, F-relaxation), and from as many cycles as ``BiasControl`` takes
to hold the estimated bias below a share of the gradient. 3 starts.

``own`` is the network whose gradients were taken, with the cycles of the last step; ``serial`` the same weights
marched step by step, the network that is used. Losses are those of the training rows, errors those of held-out rows:
half the mean squared error in standardised units for peaks, the share of wrong classes for pendigits. ``gap`` is
serial less own, in points (percent) for classes and relative to own for peaks. ``cycles`` are those of a gradient that
is used, ``spent`` all that were made for it; ``exact`` what the tolerance 1e-12 would take at the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks._common import Run, median, standardise, table
from benchmarks.classification import load as load_classes
from benchmarks.peaks import points

SETS = ("peaks", "pendigits")
WIDTH = {"peaks": 8, "pendigits": 16}
DEPTH, T, RATE, BATCH, STEPS, SEEDS = 64, 6.0, 1e-2, 250, 600, 3
SHARES = (0.1, 0.01)
WAYS = ("serial", "1 cycle", "2 cycles", *(f"controlled, {share:g}" for share in SHARES))


class Task(NamedTuple):
    """A network, its loss, and what is compiled once for all starts."""

    net: Any
    loss: Any
    gradients: dict[str, Any]
    judge: Callable[..., Any]
    update: Callable[..., Any]
    adam: Any


def arrays(run: Run, name: str) -> tuple[np.ndarray, ...]:
    """Inputs and targets of training, of held-out rows, standardised by the former."""
    if name == "peaks":
        x, c, x_test, c_test = points(0)
        return *standardise(x, x_test), *standardise(c[:, None], c_test[:, None])
    (x, y), (x_test, y_test) = load_classes(run, name, 0)
    return *standardise(x, x_test), np.eye(10)[y], np.eye(10)[y_test]


def scores(net: Any, p: Any, march: Any, x: Any) -> Any:
    """Scores of all rows, (n, k), by one way to march."""
    u = dataclasses.replace(net, march=march).batch(p["theta"], x)
    return u @ p["W"][:, :-1].T + p["W"][:, -1]


def made(name: str, inputs: int) -> Task:
    """The network for a data set, its gradients and what looks at it."""
    import jax
    import jax.numpy as jnp
    import optax

    from numdl.flow import BiasControl, LayerParallel
    from numdl.models import ResNet
    from numdl.optimize.smooth.stochastic_gradient import moved
    from numdl.problems import LEAST_SQUARES, SOFTMAX

    net = ResNet(inputs, WIDTH[name], DEPTH, T=T, dynamics="antisymmetric")
    loss, few = LEAST_SQUARES if name == "peaks" else SOFTMAX, LayerParallel(factor=4, levels=2, relaxation="F")

    def objective(p: Any, march: Any, x: Any, c: Any) -> Any:
        return jnp.mean(jax.vmap(loss.value)(scores(net, p, march, x), c))

    @partial(jax.jit, static_argnums=1)
    def judge(p: Any, march: Any, x: Any, c: Any) -> Any:
        s = scores(net, p, march, x)
        value = jnp.mean(jax.vmap(loss.value)(s, c))
        return value, jnp.mean(s.argmax(1) != c.argmax(1)) if loss.classes else value

    def fixed(march: Any) -> Any:
        return jax.jit(jax.value_and_grad(lambda p, x, c: objective(p, march, x, c)))

    marches = {"serial": "stored", **{f"{k} cycle{'s' * (k > 1)}": dataclasses.replace(few, cycles=k) for k in (1, 2)}}
    gradients: dict[str, Any] = {way: (fixed(march), march) for way, march in marches.items()}
    gradients |= {f"controlled, {share:g}": (BiasControl(objective, few, share), few) for share in SHARES}
    adam = optax.adam(RATE)
    update = jax.jit(lambda g, state, p: moved(adam, p, g, state, jnp.ones(())))
    return Task(net, loss, gradients, judge, update, adam)


def trained(task: Task, way: str, data: tuple[np.ndarray, ...], seed: int, steps: int) -> dict[str, Any]:
    """Train one start in one way, and look at it as it was trained and as it is used."""
    import jax
    import jax.numpy as jnp

    from numdl.flow import LayerParallel
    from numdl.flow.march.bias import UNKNOWN_FACTOR

    x, x_test, c, c_test = (jnp.asarray(a) for a in data)
    theta = task.net.init(seed, np.float64)
    p: Any = {"theta": theta, "W": jnp.zeros((c.shape[1], task.net.width + 1))}
    gradient, march = task.gradients[way]
    controlled = way.startswith("controlled")
    if controlled:
        gradient.cycles, gradient.factor = 1, UNKNOWN_FACTOR  # each start for itself; what is compiled is kept
    state, rng = task.adam.init(p), np.random.default_rng(seed)
    cycles, spent = [], []
    for _ in range(steps):
        rows = rng.choice(len(x), BATCH, replace=False)
        if controlled:
            found = gradient(p, x[rows], c[rows])
            slope = found.gradient
            cycles.append(found.cycles)
            spent.append(found.spent)
        else:
            slope = gradient(p, x[rows], c[rows])[1]
        p, state = task.update(slope, state, p)
    if controlled:
        march = dataclasses.replace(march, cycles=cycles[-1])
    elif way != "serial":
        cycles = spent = [march.cycles] * steps
    looks = {}
    for name, how in (("own", march), ("serial", "stored")):
        looks[f"{name}_loss"] = float(task.judge(p, how, x, c)[0])
        looks[f"{name}_error"] = float(task.judge(p, how, x_test, c_test)[1])
    exact = LayerParallel(factor=4, levels=2, relaxation="F")
    opened = jax.vmap(task.net.open, (None, 0))(p["theta"], x[:BATCH])
    return {
        **looks,
        "cycles": np.median(cycles) if cycles else None,
        "most_cycles": max(cycles, default=None),
        "spent": np.mean(spent) if spent else None,
        "exact": len(exact.convergence(*task.net.flow(p["theta"], opened)).residuals),
        "cycles_by_step": cycles[:: max(steps // 30, 1)] if controlled else [],
    }


def run(run: Run) -> None:
    """Our side; there is no other."""
    import jax

    with jax.enable_x64(True):
        for name in run.chosen(SETS, quick=2):
            data = arrays(run, name)
            task = made(name, data[0].shape[1])
            for seed in range(run.seeds or (1 if run.quick else SEEDS)):
                for way in WAYS:
                    if run.wants("ours", way, set=name, seed=seed):
                        found = trained(task, way, data, seed, 20 if run.quick else STEPS)
                        run.record("ours", way, {"set": name, "seed": seed}, **found)


def gap(record: dict[str, Any]) -> dict[str, float]:
    """What the serial network is worse by: relative in the loss, in points or relative in the error."""
    unit = record["own_error"] if record["set"] == "peaks" else 1.0
    return {
        "loss": record["serial_loss"] / record["own_loss"] - 1,
        "error": 100 * (record["serial_error"] - record["own_error"]) / unit,
    }


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the starts, and the largest gaps."""
    summary: dict[str, Any] = {}
    keys = ("own_loss", "serial_loss", "own_error", "serial_error", "cycles", "most_cycles", "spent", "exact")
    for name in [name for name in SETS if any(r["set"] == name for r in records)]:
        summary[name], rows = {}, []
        for way in WAYS:
            found = [r for r in records if r["set"] == name and r["method"] == way]
            if not found:
                continue
            said: dict[str, Any] = {
                key: median(r[key] for r in found) if found[0][key] is not None else None for key in keys
            }
            gaps = [gap(r) for r in found]
            said |= {f"median_gap_of_{key}": median(g[key] for g in gaps) for key in ("loss", "error")}
            said |= {f"largest_gap_of_{key}": max((g[key] for g in gaps), key=abs) for key in ("loss", "error")}
            summary[name][way] = said
            shown = (*keys, "median_gap_of_error", "largest_gap_of_error")
            rows.append((way, *(said[key] for key in shown)))
        unit = "%" if name == "peaks" else "points"
        header = ("way", *(key.replace("_", " ") for key in keys), f"gap [{unit}]", "largest gap")
        table(f"Bias of few cycles, {name}: medians over starts", header, rows)
    return summary
