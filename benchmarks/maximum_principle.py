"""What do methods of Pontryagin's principle train in equal passes and equal seconds: a sine, digits, discrete weights?

- ``sine``: the toy of Li et al., 20 Euler steps of width 5, T = 5, 200 samples of sin x on [-pi, pi], the sum of the
  last state against the target, penalty 1e-6; 5 starts.
- ``mnist``: the first 10000 images (54 principal components of unit mean variance, and ten zeros), 6 Euler steps of
  width 64, T = 6, the first ten entries of the last state are the scores of a softmax, penalty 1e-4; 3 starts; the
  10000 test images are only looked at.
- ``discrete``: the same images, tanh layers 784-100-100-10 whose matrices have entries of a few values, each unit with
  a real scale and shift; batches of 100; 3 starts. Real weights: the same layers, all of it moved by Adam.

``E-MSA``, ``Adam`` (all rows, or batches of 100), Gauss-Newton by Steihaug's conjugate gradients and
Levenberg-Marquardt move the same weights from the same start; with ``free head`` the scores are a linear map of the
last state that moves along, with ``VarPro`` one that is eliminated: a head that the others do not have. Adam is
the best of its rates, E-MSA the best of 2, 5 and 10 inner steps, by the median misfit at the end of the passes; the
search is not counted. A pass forward or backward over all rows is one; ``seconds`` are those after compilation, which
is given apart, and without the looks at the misfit, one whenever the passes have grown by a tenth. A curve that ended
early keeps its last number.

Sources: Li, Chen, Tai and E, JMLR 18 (2018), sec. 5; Li and Hao, ICML 2018, sec. 4 (discrete weights).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks._common import Run, median, table
from benchmarks._digits import CLASSES, MATRICES, TRAINING, components, discrete_problem, discrete_start, images
from benchmarks._race import Watch, at, first_call, race

SETS = ("sine", "mnist", "discrete")
SEEDS = {"sine": 5, "mnist": 3, "discrete": 3}
WORK = {"sine": 4000.0, "mnist": 300.0, "discrete": 40.0}
SECONDS = {"sine": 2.0, "mnist": 8.0, "discrete": 0.0}
MOST = {"sine": 20.0, "mnist": 40.0, "discrete": 60.0}
LOOKS = {
    "sine": {"work": (250.0, 1000.0, 4000.0), "seconds": (0.1, 0.3, 1.0, 2.0)},
    "mnist": {"work": (25.0, 100.0, 300.0), "seconds": (1.0, 3.0, 8.0)},
    "discrete": {"work": (10.0, 20.0, 40.0), "seconds": ()},
}
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
INNER = (2, 5, 10)
FLIPS = (0.1, 0.2, 0.4)
"""Rates of discrete weights at the start; all rates fall to a twentieth along a cosine."""
MEMORY, FREE = 0.98, 1e-3
"""Of the averages of discrete weights, and the rate of Adam for scales and shifts beside them."""
WIDTH, DEPTH, T, ALPHA, BATCH = 64, 6, 6.0, 1e-4, 100


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of a network without a head: the sum of its last state, or the first entries; compares by value."""

    net: Any
    classes: int

    def __call__(self, theta: Any, x: Any) -> Any:
        """(k,) of one sample."""
        return first(self.net.features(theta, x)) if self.classes else self.net.features(theta, x).sum(keepdims=True)


def first(u: Any) -> Any:
    """The scores within a state."""
    return u[:CLASSES]


class Entry(NamedTuple):
    """One setting of a method: problem, method, start, companion, batches, and what judges it."""

    setting: float
    problem: Any
    method: Any
    p: Any
    aux: Any
    batches: dict[str, Any]
    judge: Any


def run(run: Run) -> None:
    """All settings of all methods; the first start also tells what compilation takes."""
    makers = {"sine": sine, "mnist": mnist, "discrete": discrete}
    with jax.enable_x64(True):
        for name in run.chosen(SETS, quick=1):
            shorter = 0.05 if run.quick else 1.0
            for seed in range(run.seeds or (1 if run.quick else SEEDS[name])):
                for method, entries in makers[name](run, seed):
                    for entry in entries[: 1 if run.quick else None]:
                        keys = {"set": name, "setting": entry.setting, "seed": seed}
                        if not run.wants("ours", method, **keys):
                            continue
                        at_start = (entry.problem, entry.method, entry.p, entry.aux)
                        compiled = first_call(*at_start, **entry.batches) if seed == 0 else warm(*at_start, entry)
                        limits = (shorter * limit[name] for limit in (WORK, SECONDS, MOST))
                        watch = Watch(entry.judge, *limits)
                        entry.judge(entry.p, entry.aux)  # compiles
                        found = race(*at_start, watch, **entry.batches)
                        run.record("ours", method, keys, compile_seconds=compiled, **last(found["curve"]), **found)


def warm(problem: Any, method: Any, p: Any, aux: Any, entry: Entry) -> None:
    """Another start has other arrays only; a step sees to it that nothing is left to compile."""
    first_call(problem, method, p, aux, **entry.batches)


def last(curve: dict[str, Any]) -> dict[str, float]:
    """The ends of all curves."""
    return {name: float(values[-1]) for name, values in curve.items()}


def sine(run: Run, seed: int) -> Iterator[tuple[str, list[Entry]]]:
    """The methods on the sine."""
    import jax.numpy as jnp

    from numdl.course.control.maximum_principle import problems
    from numdl.models import ResNet
    from numdl.problems import LEAST_SQUARES, Empirical

    fixed, free, theta = problems(200, seed)
    net = ResNet(5, 5, 20, T=5.0, opening=False)
    penalty, n = fixed.penalty, len(fixed.c)
    dense = Empirical(Scores(net, 0), LEAST_SQUARES, penalty, fixed.u0, fixed.c, jnp.ones(n))
    return methods(fixed, dense, free, theta, None)


def mnist(run: Run, seed: int) -> Iterator[tuple[str, list[Entry]]]:
    """The methods on principal components of digits."""
    import jax.numpy as jnp

    from numdl.control import ControlProblem
    from numdl.flow import PiecewiseConstant, get_activation, get_dynamics, get_scheme
    from numdl.models import ResNet
    from numdl.problems import SOFTMAX, Empirical, VarPro
    from numdl.regularize import GroupPenalty

    (x, c), (x_test, c_test) = images(run)
    x, x_test = components(x, x_test, WIDTH - CLASSES)
    net = ResNet(WIDTH, WIDTH, DEPTH, T=T, opening=False)
    theta = net.init(seed, np.float64)
    penalty = GroupPenalty(jnp.full(1, ALPHA), jnp.zeros(net.n_parameters, jnp.int32))
    f = get_dynamics("plain").vector_field(get_activation("tanh"))

    def on(x: np.ndarray, c: np.ndarray) -> tuple[Any, Any, Any]:
        u0, c, w = jnp.asarray(x), jnp.asarray(c), jnp.ones(len(x))
        control, h = PiecewiseConstant(DEPTH), jnp.asarray(T / DEPTH)
        return (
            ControlProblem(get_scheme("euler"), f, control, u0, h, c, SOFTMAX, first, None, penalty),
            Empirical(Scores(net, CLASSES), SOFTMAX, penalty, u0, c, w),
            VarPro(net, SOFTMAX, u0, c, w, penalty, jnp.asarray(ALPHA)),
        )

    return methods(*on(x, c), theta["flow"], on(x_test, c_test))


def methods(fixed: Any, dense: Any, free: Any, flow: Any, test: Any) -> Iterator[tuple[str, list[Entry]]]:
    """Methods and their settings on three forms of a problem.

    Args:
        fixed: the control problem.
        dense: the same function for methods that take rows or a matrix.
        free: with a head that is eliminated.
        flow: start.
        test: the three forms on held-out data, or None.

    Returns:
        Name and entries of each method.
    """
    import optax

    from numdl.control import SuccessiveApproximations
    from numdl.optimize import LevenbergMarquardt, NewtonCG, Optax, StochasticGradient
    from numdl.problems import full_problem

    theta, batches = {"flow": flow}, test is not None
    judges = [judge_of(train, held) for train, held in zip((fixed, dense, free), test or (None,) * 3, strict=True)]
    adam, newton = StochasticGradient(optax.adam(1.0)), NewtonCG(max_products=20, tol=0.0)

    def whole(problem: Any, method: Any, p: Any, judge: Any, setting: float = 0.0, aux: Any = None) -> Entry:
        return Entry(setting, problem, method, p, aux, {}, judge)

    yield "E-MSA", [whole(fixed, emsa(k), flow, judges[0], k) for k in INNER]
    yield "basic MSA", [whole(fixed, SuccessiveApproximations(inner_steps=5, augmented=False), flow, judges[0])]
    yield "Adam", [whole(fixed, Optax(adams(rate), tol=0.0), flow, judges[0], rate) for rate in RATES]
    yield "Gauss-Newton", [whole(fixed, newton, flow, judges[0])]
    if not batches:
        yield "Levenberg-Marquardt", [whole(dense, LevenbergMarquardt(tol=0.0), theta, judges[1])]
    head = free.first_head(theta)
    yield "VarPro Gauss-Newton", [whole(free, newton, theta, judges[2], 0.0, head)]
    if not batches:
        yield "VarPro Levenberg-Marquardt", [whole(free, LevenbergMarquardt(tol=0.0), theta, judges[2], 0.0, head)]
        return
    full, held = full_problem(free, theta), full_problem(test[2], theta)
    joint = judge_of(full, held)
    settings = [(rate, {"batch": BATCH, "rate": rate}) for rate in RATES[:3]]
    yield "Adam, batches", [Entry(rate, dense, adam, theta, None, how, judges[1]) for rate, how in settings]
    start = {"theta": theta, "W": head}
    yield "Adam, batches, free head", [Entry(rate, full, adam, start, None, how, joint) for rate, how in settings]


@lru_cache
def adams(rate: float) -> Any:
    """Adam with a rate of its own, made once."""
    import optax

    return optax.adam(rate)


@lru_cache
def falling(rate: float) -> Any:
    """A rate that falls to a twentieth while the discrete runs last, made once."""
    import optax

    return optax.cosine_decay_schedule(rate, int(WORK["discrete"] / 2) * TRAINING // BATCH, alpha=0.05)


def emsa(steps: int) -> Any:
    """E-MSA with so many inner steps."""
    from numdl.control import SuccessiveApproximations

    return SuccessiveApproximations(inner_steps=steps, tol=0.0)


def judge_of(training: Any, test: Any) -> Any:
    """What is looked at: misfit of the training rows, and wrong classes of the test rows, if there are any."""

    def judge(p: Any, aux: Any) -> dict[str, float]:
        found = {"training": float(misfit(training, p, aux))}
        return found if test is None else {**found, "error": float(wrong(test, p, aux))}

    return judge


def misfit(problem: Any, p: Any, aux: Any) -> Any:
    """Mean misfit without penalties."""
    from numdl.optimize.parts.held_out import held_out_value

    return held_out_value(problem, p, aux)


@jax.jit
def wrong(problem: Any, p: Any, aux: Any) -> Any:
    """Share of rows whose largest score is another class."""
    if hasattr(problem, "states"):
        scores = problem.states(p)[-1][:, :CLASSES]
    else:
        scores = problem.scores(p) if aux is None else problem.scores(problem.embed(p), aux)
    return (scores.argmax(1) != problem.c.argmax(1)).mean()


def discrete(run: Run, seed: int) -> Iterator[tuple[str, list[Entry]]]:
    """Layers of few values by discrete successive approximations, and the same layers of real weights by Adam."""
    from numdl.control import DiscreteApproximations
    from numdl.optimize import StochasticGradient

    (x, c), (x_test, c_test) = images(run)
    problem, held = discrete_problem(x, c), discrete_problem(x_test, c_test)
    judge = judge_of(problem, held)
    for name, values in (("ternary", (-1.0, 0.0, 1.0)), ("binary", (-1.0, 1.0))):
        method = DiscreteApproximations(values, memory=MEMORY, discrete=MATRICES, free=adams(FREE))
        start = discrete_start(seed, values)
        yield name, [Entry(r, problem, method, start, None, {"batch": BATCH, "rate": falling(r)}, judge) for r in FLIPS]
    start = discrete_start(seed, None)
    adam = StochasticGradient(adams(1.0))
    yield "real", [Entry(r, problem, adam, start, None, {"batch": BATCH, "rate": falling(r)}, judge) for r in RATES[:3]]


def chosen(records: list[dict[str, Any]], name: str) -> dict[str, list[dict[str, Any]]]:
    """The records of each method at its best setting, by the median misfit at the end of the passes."""
    best = {}
    for method in dict.fromkeys(r["method"] for r in records if r["set"] == name):
        here = [r for r in records if of(r, name, method)]
        by = {s: [r for r in here if r["setting"] == s] for s in dict.fromkeys(r["setting"] for r in here)}
        best[method] = min(by.values(), key=lambda rs: median(ended(r) for r in rs))
    return best


def of(record: dict[str, Any], name: str, method: str) -> bool:
    """Whether a record belongs to a method on a set."""
    return record["set"] == name and record["method"] == method


def ended(record: dict[str, Any]) -> float:
    """Misfit at the end of the passes; a run that is no longer finite is the worst."""
    found = at(record["curve"], "work", WORK[record["set"]], "training")
    return np.inf if found is None else found


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the starts at equal passes and at equal seconds."""
    summary: dict[str, Any] = {}
    for name in [name for name in SETS if any(r["set"] == name for r in records)]:
        numbers = ("training",) if name == "sine" else ("training", "error")
        looks = [(along, spent) for along, all_spent in LOOKS[name].items() for spent in all_spent]
        rows: dict[str, list] = {number: [] for number in numbers}
        summary[name] = {}
        for method, found in chosen(records, name).items():
            said: dict[str, Any] = {
                "setting": found[0]["setting"],
                "compile_seconds": max(r["compile_seconds"] or 0.0 for r in records if of(r, name, method)),
                "seconds_for_100_passes": 100 * median(r["seconds"] / r["work"] for r in found),
            }
            for number in numbers:
                reached = [median_at(found, along, spent, number) for along, spent in looks]
                said[number] = {f"{spent:g} {along}": v for (along, spent), v in zip(looks, reached, strict=True)}
                rows[number].append((method, said["setting"], *reached, *list(said.values())[1:3]))
            summary[name][method] = said
        titles = [f"{spent:g} {'passes' if along == 'work' else 's'}" for along, spent in looks]
        for number in numbers:
            header = ("method", "setting", *titles, "compile [s]", "s / 100 passes")
            table(f"{name}: {number}, median over starts", header, rows[number])
    return summary


def median_at(records: list[dict[str, Any]], along: str, spent: float, number: str) -> float | None:
    """Median of what was reached by then; None where half of the starts had no number yet."""
    found = [at(r["curve"], along, spent, number) for r in records]
    return None if any(value is None for value in found) else median(found)
