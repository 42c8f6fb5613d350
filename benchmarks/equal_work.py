"""Which optimiser learns most from the same number of passes over the data: regression, a surrogate, handwriting?

A pass forward or backward over all training samples costs one, inner solves included. Antisymmetric tanh networks of
width 8 and a linear head: peaks (2000 training, 1000 validation points, 8 Euler steps to T = 5), the
convection-diffusion-reaction surrogate (400 and 200 simulations, 55 inputs, 72 outputs, 4 steps to T = 1) and
pendigits (7494 and 3498 samples, 10 classes, 4 steps to T = 4). All methods start from the same weights of the flow;
those that move the head along start from the best one, except stochastic ones, which its large weights throw far off
and which start from zero. The rate of each stochastic method is the best of five by the training misfit after a
quarter of the passes; the search is not counted. Levenberg-Marquardt scales no weight's damping below the mean of
all: with a floor of 1e-3 saturated units of the opening keep it at 0.2 on the surrogate. Reported is the misfit
without penalties, in standardised units for regression.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._common import Run, standardise, table
from benchmarks.classification import load as load_classes
from benchmarks.peaks import points
from benchmarks.surrogate import load as load_surrogate

WORK = {"peaks": 2000.0, "surrogate": 2000.0, "pendigits": 300.0}
SEARCH = 0.25
"""Share of the passes after which the rate of a stochastic method is chosen."""
SECONDS = {"peaks": 45.0, "surrogate": 60.0, "pendigits": 45.0}
"""For each method, compilation included; who is stopped by it says so."""
ALPHA = {"peaks": 1e-8, "surrogate": 1e-6, "pendigits": 1e-4}
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""Of Adam and slimTrain; those of SGD with momentum are ten times as large."""
KEPT = 60
"""Points of a curve in the result file."""


class Task(NamedTuple):
    """Training and validation data as reduced problems, start, and the head that belongs to it."""

    training: Any
    validation: Any
    theta: Any
    head: Any


def arrays(run: Run, name: str) -> tuple[np.ndarray, ...]:
    """Inputs and targets of the training and of the validation part, standardised by the former."""
    if name == "pendigits":
        (x, y), (x_val, y_val) = load_classes(run, name, 0)
        return *standardise(x, x_val), np.eye(10)[y], np.eye(10)[y_val]
    if name == "peaks":
        x, c, x_val, c_val = points(0)
        c, c_val = c[:, None], c_val[:, None]
    else:
        (x, c), (x_val, c_val), _ = load_surrogate(run)
    return *standardise(x, x_val), *standardise(c, c_val)


def task(run: Run, name: str) -> Task:
    """The problem called ``name``."""
    import jax
    import jax.numpy as jnp

    from numdl.models import ResNet
    from numdl.problems import LEAST_SQUARES, SOFTMAX, VarPro
    from numdl.regularize import GroupPenalty

    x, x_val, c, c_val = (jnp.asarray(a) for a in arrays(run, name))
    depth, T = {"peaks": (8, 5.0), "surrogate": (4, 1.0), "pendigits": (4, 4.0)}[name]
    net = ResNet(x.shape[1], 8, depth, T=T, dynamics="antisymmetric")
    theta = jax.tree.map(jnp.asarray, net.init(0, np.float64))
    penalty = GroupPenalty(jnp.asarray(np.array([ALPHA[name]])), jnp.asarray(np.zeros(net.n_parameters, np.int32)))
    loss = SOFTMAX if name == "pendigits" else LEAST_SQUARES

    def on(x: Any, c: Any) -> VarPro:
        return VarPro(net, loss, x, c, jnp.ones(len(x)), penalty, jnp.asarray(np.array(ALPHA[name])))

    training = on(x, c)
    head = jax.jit(lambda problem, p: problem.value(p, problem.first_head(p))[1])(training, theta)
    return Task(training, on(x_val, c_val), theta, head)


def methods(given: Task) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name, and the entries of ``compare`` that compete for it."""
    import optax

    from numdl.optimize import (
        BFGS,
        LBFGS,
        BlockCoordinateDescent,
        Entry,
        LevenbergMarquardt,
        NonlinearCG,
        SteepestDescent,
        StochasticGradient,
        TrustRegion,
    )
    from numdl.problems import SlimTrain, full_problem

    theta, head = given.theta, given.head
    full: dict[str, Any] = {
        "problem": full_problem(given.training, theta),
        "validation": full_problem(given.validation, theta),
    }
    start, still = {"theta": theta, "W": head}, {"theta": theta, "W": 0 * head}
    joint = {
        "steepest descent": SteepestDescent(tol=0.0),
        "nonlinear CG": NonlinearCG(tol=0.0),
        "L-BFGS": LBFGS(tol=0.0),
        "BFGS": BFGS(tol=0.0),
        "block coordinates": BlockCoordinateDescent((("W",), ("theta",)), tol=0.0),
        "trust region": TrustRegion(tol=0.0),
        "Levenberg-Marquardt": LevenbergMarquardt(tol=0.0, floor=1.0),
    }
    for name, method in joint.items():
        yield name, {"": Entry(method, p=start, **full)}
    reduced = {
        "VarPro L-BFGS": LBFGS(tol=0.0),
        "VarPro trust region": TrustRegion(tol=0.0),
        "VarPro Levenberg-Marquardt": LevenbergMarquardt(tol=0.0, floor=1.0),
    }
    for name, method in reduced.items():
        yield name, {"": Entry(method)}
    batch = 32
    for name, method, rates in (
        ("SGD", StochasticGradient(optax.sgd(1.0, momentum=0.9)), [10 * rate for rate in RATES]),
        ("Adam", StochasticGradient(optax.adam(1.0)), RATES),
    ):
        yield name, {f"rate {r:g}": Entry(method, p=still, batch=batch, rate=r, **full) for r in rates}
    if given.training.loss.name == "least_squares":
        slim = SlimTrain(optax.adam(1.0))
        yield "slimTrain", {f"rate {r:g}": Entry(slim, batch=batch, rate=r) for r in RATES}


def run(run: Run) -> None:
    """Our side; there is no other."""
    import jax

    from numdl.optimize import compare

    with jax.enable_x64(True):
        for name in run.chosen(tuple(WORK), quick=1):
            given = task(run, name)
            work = 60.0 if run.quick else WORK[name]
            for method, entries in methods(given):
                if not run.wants("ours", method, set=name):
                    continue
                entries = {
                    label: entry if entry.p is not None else entry._replace(p=given.theta, aux=given.head)
                    for label, entry in entries.items()
                }
                race = functools.partial(
                    compare, given.training, p=given.theta, aux=given.head, validation=given.validation
                )
                if len(entries) > 1:
                    tried = race(entries, work=SEARCH * work, time_budget=SECONDS[name])
                    best = min(tried, key=lambda label: np.nan_to_num(tried[label].training[-1], nan=np.inf))
                    entries = {best: entries[best]}
                ((setting, curve),) = race(entries, work=work, time_budget=SECONDS[name]).items()
                record(run, name, method, setting, curve)
    draw(run.records, run.path.with_suffix(".svg"))


def record(run: Run, name: str, method: str, setting: str, curve: Any) -> None:
    """Keep the end of a curve, and the curve at work growing by equal factors."""
    wanted = np.geomspace(max(curve.work[0], 1.0), curve.work[-1], KEPT)
    index = np.unique(np.clip(np.searchsorted(curve.work, wanted), 0, len(curve.work) - 1))
    kept = {"work": curve.work, "training": curve.training, "validation": curve.validation}
    run.record(
        "ours",
        method,
        {"set": name},
        training=curve.training[-1],
        validation=curve.validation[-1],
        least_validation=float(np.min(curve.validation)),
        work=curve.work[-1],
        seconds=curve.seconds[-1],
        setting=setting,
        ended=curve.result.status.code,
        curve={key: values[index] for key, values in kept.items()},
    )


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Per problem: misfits at the end, who is in front, and a figure of the curves."""
    summary: dict[str, Any] = {}
    for name in [name for name in WORK if any(r["set"] == name for r in records)]:
        found = sorted((r for r in records if r["set"] == name), key=lambda r: r["training"])
        keys = ("training", "validation", "least_validation", "work", "seconds", "ended")
        table(f"Equal work: {name}", ("method", *keys), [(r["method"], *(r[key] for key in keys)) for r in found])
        summary[name] = {
            "first_in_training": found[0]["method"],
            "first_in_validation": min(found, key=lambda r: r["least_validation"])["method"],
            "misfits": {r["method"]: {key: r[key] for key in keys} for r in found},
        }
    return summary


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Training and validation misfit against passes, one row for each problem, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    names = [name for name in WORK if any(r["set"] == name for r in records)]
    labels = list(dict.fromkeys(r["method"] for r in records))
    colors = {label: mpl.colormaps["tab20"](i) for i, label in enumerate(labels)}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "equal_work", "font.size": 8}):
        figure = Figure(figsize=(9, 2.6 * len(names)), layout="constrained")
        grid = figure.subplots(len(names), 2, squeeze=False)
        for name, row in zip(names, grid, strict=True):
            for part, axes in zip(("training", "validation"), row, strict=True):
                for r in (r for r in records if r["set"] == name):
                    style = "-" if "VarPro" in r["method"] else "--"
                    curve = r["curve"]
                    axes.plot(curve["work"], curve[part], style, color=colors[r["method"]], lw=1.2, label=r["method"])
                axes.set(xscale="log", yscale="log", title=f"{name}: {part}", xlabel="passes over the training data")
            row[0].set_ylabel("mean misfit")
        handles = {h.get_label(): h for axes in grid.ravel() for h in axes.get_lines()}
        figure.legend(handles=list(handles.values()), loc="outside right center", frameon=False)
        figure.savefig(path, metadata={"Date": None})
