"""How far does each trainer lower the validation error of one fixed deep network in 2, 5 and 15 seconds?

Peaks regression: 2000 training and 1000 validation points uniform in [-3, 3]^2; network 2 -> 8, 8 antisymmetric tanh
Euler steps, T = 5, linear head (609 weights); error ``0.5 * mean (s - c)^2`` on the validation points in raw units.
Everybody gets standardised inputs and targets.

The alternatives get what helps them: the smallest validation error so far, a clock that stops while errors are
evaluated, and Adam counts with the best of its four settings at every time. We are called as a user would, with
``time_budget``. Compilation is counted in three ways: "nobody_pays" (our second fit; theirs without compilation),
"both_pay" (our first fit; theirs with it) and "only_we_pay" (our first fit; theirs without), the strictest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks._common import Run, median, ratio, standardise, table, timed
from benchmarks._nets import forward, initial, set_torch_threads

TIMES = (2.0, 5.0, 15.0)
WIDTH, DEPTH, T = 8, 8, 5.0
ADAM = [(rate, batch) for rate in (1e-2, 3e-3) for batch in (64, None)]
OURS = {"width": WIDTH, "depth": DEPTH, "T": T, "dynamics": "antisymmetric", "scheme": "euler", "activation": "tanh"}


def peaks(x: np.ndarray) -> np.ndarray:
    """The test surface of the field at the rows of ``x (n, 2)``."""
    a, b = x.T
    hill = 3 * (1 - a) ** 2 * np.exp(-(a**2) - (b + 1) ** 2)
    middle = -10 * (a / 5 - a**3 - b**5) * np.exp(-(a**2) - b**2)
    return hill + middle - np.exp(-((a + 1) ** 2) - b**2) / 3


def points(seed: int) -> tuple[np.ndarray, ...]:
    """Training and validation points and targets, raw units: (2000, 2), (2000,), (1000, 2), (1000,)."""
    x = np.random.default_rng(seed).uniform(-3, 3, (3000, 2))
    c = peaks(x)
    return x[:2000], c[:2000], x[2000:], c[2000:]


class Clock:
    """Wall time that runs only during training, and the errors seen so far.

    ``advance`` yields after each group of steps a function that evaluates the scores on the validation points.
    """

    def __init__(self, scale: tuple[float, float], target: np.ndarray, budget: float) -> None:
        self.scale, self.target, self.budget = scale, target, budget
        self.seconds: list[float] = []
        self.errors: list[float] = []

    def follow(self, steps: Iterator[Callable[[], np.ndarray]]) -> None:
        """Run ``steps`` until the budget is spent or they end."""
        spent, start = 0.0, time.perf_counter()
        for scores in steps:
            spent += time.perf_counter() - start
            mean, deviation = self.scale
            error = 0.5 * np.mean((mean + deviation * scores() - self.target) ** 2)
            self.seconds.append(spent)
            self.errors.append(float(error) if np.isfinite(error) else np.inf)
            if spent >= self.budget:
                return
            start = time.perf_counter()

    def best(self, seconds: float) -> float:
        """Smallest error seen by then; NaN before the first."""
        seen = [e for t, e in zip(self.seconds, self.errors, strict=True) if t <= seconds * 1.01]
        return min(seen, default=np.nan)

    def values(self, compiled: float = 0.0) -> dict[str, Any]:
        """What the result file keeps: errors at the given times, the same with compilation paid, a thinned curve."""
        every = slice(None, None, max(1, len(self.errors) // 60))
        curve = {"seconds": self.seconds[every], "errors": self.errors[every]}
        times = [t for t in TIMES if t <= self.budget]
        free = {f"error_{t:g}s": self.best(t) for t in times}
        paid = {f"error_{t:g}s_paid": self.best(t - compiled) for t in times if compiled}
        return {**free, **paid, "compile": compiled, "curve": curve}


def torch_steps(kind: str, seed: int, x: np.ndarray, z: np.ndarray, x_val: np.ndarray, rate: float, batch: int | None):
    """Adam (one epoch at a time) or L-BFGS (five iterations at a time) in torch, float64."""
    import torch

    torch.manual_seed(seed)
    weights = {k: torch.tensor(v, requires_grad=True) for k, v in initial(seed, 2, WIDTH, DEPTH, 1).items()}
    inputs, target, held = torch.tensor(x), torch.tensor(z)[:, None], torch.tensor(x_val)

    def loss(rows: Any) -> Any:
        optimizer.zero_grad()
        value = 0.5 * ((forward(weights, inputs[rows], T, torch.tanh) - target[rows]) ** 2).mean()
        value.backward()
        return value

    def scores() -> np.ndarray:
        with torch.no_grad():
            return forward(weights, held, T, torch.tanh).numpy().ravel()

    everything = slice(None)
    if kind == "lbfgs":
        optimizer = torch.optim.LBFGS(
            weights.values(), max_iter=5, history_size=20, line_search_fn="strong_wolfe",
            tolerance_grad=0, tolerance_change=0,
        )  # fmt: skip
        while True:
            optimizer.step(lambda: loss(everything))
            yield scores
    optimizer = torch.optim.Adam(weights.values(), lr=rate)
    while True:
        order = torch.randperm(len(inputs))
        for rows in order.split(batch) if batch else [everything] * 10:
            loss(rows)
            optimizer.step()
        yield scores


def optimistix_steps(kind: str, seed: int, x: np.ndarray, z: np.ndarray, x_val: np.ndarray, compiled: list[float]):
    """BFGS or L-BFGS (history 20) of optimistix, float64, twenty iterations per compiled call."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optimistix
    from jax.flatten_util import ravel_pytree

    with jax.enable_x64(True):
        start, unravel = ravel_pytree(jax.tree.map(jnp.asarray, initial(seed, 2, WIDTH, DEPTH, 1)))
        data = (jnp.asarray(x), jnp.asarray(z)[:, None])

        def objective(p: Any, args: Any) -> tuple[Any, None]:
            return 0.5 * jnp.mean((forward(unravel(p), args[0], T, jnp.tanh) - args[1]) ** 2), None

        tol = 1e-15  # never stop before the clock
        solver = optimistix.BFGS(tol, tol) if kind == "bfgs" else optimistix.LBFGS(tol, tol, history_length=20)
        value = jax.eval_shape(objective, start, data)
        state = solver.init(objective, start, data, {}, value[0], value[1], frozenset())
        arrays, static = eqx.partition(state, eqx.is_array)

        def twenty(p: Any, arrays: Any, data: Any) -> tuple[Any, Any]:
            def one(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
                q, inner = carry
                q, inner, _ = solver.step(objective, q, data, {}, eqx.combine(inner, static), frozenset())
                return q, eqx.filter(inner, eqx.is_array)

            return jax.lax.fori_loop(0, 20, one, (p, arrays))

        advance, seconds = timed(lambda: jax.jit(twenty).lower(start, arrays, data).compile())
        compiled.append(seconds)
        predict = jax.jit(lambda p, held: forward(unravel(p), held, T, jnp.tanh).ravel())
        held, p = jnp.asarray(x_val), start
        predict(p, held).block_until_ready()
        while True:
            p, arrays = jax.block_until_ready(advance(p, arrays, data))
            yield lambda p=p: np.asarray(predict(p, held))


def theirs(run: Run, seed: int, budget: float) -> None:
    """All alternatives on the points and initial weights of this seed."""
    x, c, x_val, c_val = points(seed)
    x, x_val = standardise(x, x_val)
    z = standardise(c)[0]
    warm_up = torch_steps("adam", seed, x, z, x_val, 1e-2, None)
    threads = set_torch_threads(lambda: next(warm_up))
    settings = [("torch_adam", {"lr": r, "batch": b or "full"}, ("adam", r, b)) for r, b in ADAM]
    settings.append(("torch_lbfgs", {}, ("lbfgs", 0.0, None)))
    for method, setting, (kind, rate, batch) in settings:
        if not run.wants("theirs", method, seed=seed, **setting):
            continue
        clock = Clock((c.mean(), c.std()), c_val, budget)
        clock.follow(torch_steps(kind, seed, x, z, x_val, rate, batch))
        run.record("theirs", method, {"seed": seed, **setting}, **clock.values(), threads=threads)
    for kind in ("bfgs", "lbfgs"):
        if not run.wants("theirs", f"optimistix_{kind}", seed=seed):
            continue
        clock, compiled = Clock((c.mean(), c.std()), c_val, budget), []
        steps = optimistix_steps(kind, seed, x, z, x_val, compiled)
        next(steps)  # compiles, and takes twenty steps that are not charged
        clock.follow(steps)
        iterations = 20 * (len(clock.errors) + 1)
        values = clock.values(compiled[0])
        run.record("theirs", f"optimistix_{kind}", {"seed": seed}, **values, iterations=iterations)


def ours(run: Run, seed: int, budget: float) -> None:
    """The same network trained by us, one fit per time: cold (compilation inside the budget), then warm."""
    import jax

    from numdl import ResNetRegressor

    x, c, x_val, c_val = points(seed)
    for method in ("numdl_cold", "numdl_warm"):
        if not run.wants("ours", method, seed=seed):
            continue
        values: dict[str, float] = {}
        for limit in [t for t in TIMES if t <= budget]:
            if method == "numdl_cold":
                jax.clear_caches()
            model = ResNetRegressor(
                **OURS, n_restarts=1, max_iter=1_000_000, tol=0.0, time_budget=limit, random_state=seed
            )
            model, seconds = timed(lambda model=model: model.fit(x, c))
            values[f"error_{limit:g}s"] = 0.5 * np.mean((model.predict(x_val) - c_val) ** 2)
            values[f"wall_{limit:g}s"] = seconds
            values[f"iterations_{limit:g}s"] = len(model.history_["seconds"])
        run.record("ours", method, {"seed": seed}, **values)


def run(run: Run) -> None:
    """Both sides on every seed."""
    budget = 2.0 if run.quick else TIMES[-1]
    for seed in range(run.seeds or (1 if run.quick else 3)):
        if "theirs" in run.sides:
            theirs(run, seed, budget)
        if "ours" in run.sides:
            ours(run, seed, budget)


def median_errors(records: list[dict[str, Any]], method: str, ending: str = "") -> dict[str, float | None]:
    """Time -> median over seeds of the error (best setting of each seed)."""
    errors: dict[str, float | None] = {}
    for t in TIMES:
        per_seed: dict[int, list[float]] = {}
        for record in records:
            value = record.get(f"error_{t:g}s{ending}", record.get(f"error_{t:g}s"))
            if record["method"] == method and value is not None and np.isfinite(value):
                per_seed.setdefault(record["seed"], []).append(value)
        errors[f"{t:g}s"] = median(min(found) for found in per_seed.values()) if per_seed else None
    return errors


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Median error per method and time, ratios to ours, and whether the requirements of the project hold."""
    rivals = ("torch_adam", "torch_lbfgs", "optimistix_bfgs", "optimistix_lbfgs")
    free = {method: median_errors(records, method) for method in (*rivals, "numdl_cold", "numdl_warm")}
    paid = {method: median_errors(records, method, "_paid") for method in rivals}
    views = {
        "nobody_pays": (free, free["numdl_warm"]),
        "both_pay": (paid, free["numdl_cold"]),
        "only_we_pay": (free, free["numdl_cold"]),
    }
    ratios = {
        view: {method: {t: ratio(error, our[t]) for t, error in their[method].items()} for method in rivals}
        for view, (their, our) in views.items()
    }
    seeds = len({record["seed"] for record in records})
    header = [f"{t:g} s" for t in TIMES]
    rows = [[method, *errors.values()] for method, errors in free.items()]
    rows += [[f"{method} + compile", *paid[method].values()] for method in rivals[2:]]
    table(f"peaks: validation error, median of {seeds} seed(s)", ["method", *header], rows)
    rows = [[view, method, *found.values()] for view, methods in ratios.items() for method, found in methods.items()]
    table("peaks: their error over ours", ["compilation", "method", *header], rows)
    least = {"torch_adam": {"15s": 1000.0}, "torch_lbfgs": {"15s": 1000.0}}
    least |= {method: {"2s": 1.0, "5s": 3.0, "15s": 1.0} for method in rivals[2:]}
    requirements = {
        view: {
            f"{method} at {t}: at least {bound:g}x": None if (got := found[method][t]) is None else got >= bound
            for method, bounds in least.items()
            for t, bound in bounds.items()
        }
        for view, found in ratios.items()
    }
    return {
        "seeds": seeds,
        "median_error": free,
        "median_error_compile_paid": paid,
        "their_error_over_ours": ratios,
        "requirements": requirements,
    }
