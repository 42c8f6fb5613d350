"""How much of a variable projection's inner solves can be saved, and which rule saves it?

Trust-region Gauss-Newton on two reduced problems whose head comes from Newton's method: peaks in five classes (1000
points, residual network of the course, softmax) and the convection-diffusion-reaction surrogate (400 simulations, 72
outputs in units of a tenth of their deviation, antisymmetric network, pseudo-Huber: least squares would have a direct
head). ``eta`` is the rule of ``InexactVarPro``, 0 the exact head; its rivals ask of every head a fixed decrement, or
one tied to the last decrease of the objective.

Each rule has the same number of iterations. Reported is what it took to the objective that all of them reach, and at
the points on the way the true error of the gradient relative to its norm, by a head solved to all digits.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from benchmarks._classes import reduced
from benchmarks._common import Run, median, ratio, standardise, table
from benchmarks.surrogate import load

ETAS = (0.0, 0.01, 0.1, 0.5)
FIXED = (1e-2, 1e-4)
SHARE = 0.1
ITERATIONS = {"peaks": 60, "cdr": 25}
ALPHA = 1e-5
KEYS = ("factor_inner", "factor_work", "factor_seconds")


class Path(NamedTuple):
    """One run: columns of its history, and the judged points."""

    objective: np.ndarray
    inner: np.ndarray
    work: np.ndarray
    seconds: np.ndarray
    error: np.ndarray


def run(run: Run) -> None:
    """All rules on every seed; there is no other side."""
    import jax

    with jax.enable_x64(True):
        for name in run.chosen(tuple(ITERATIONS), quick=1):
            for seed in range(run.seeds or (1 if run.quick else 3)):
                if run.wants("ours", "eta=0", set=name, seed=seed):
                    compare(run, name, seed)


def compare(run: Run, name: str, seed: int) -> None:
    """Record every rule on one problem and seed."""
    problem, theta = peaks(seed) if name == "peaks" else surrogate(run, seed)
    iterations = 10 if run.quick else ITERATIONS[name]
    paths = {method: trained(wrapped, theta, iterations) for method, wrapped in rules(problem).items()}
    target = max(path.objective.min() for path in paths.values())
    for method, path in paths.items():
        at = int(np.argmax(path.objective <= target))
        run.record(
            "ours",
            method,
            {"set": name, "seed": seed},
            target=target,
            final=path.objective.min(),
            iterations=at,
            inner=path.inner[at],
            work=path.work[at],
            seconds=path.seconds[at],
            error={str(q): float(np.quantile(path.error, q)) for q in (0.5, 0.9, 1.0)},
        )


def rules(problem: Any) -> dict[str, Any]:
    """Method to wrapped problem."""
    from numdl.problems import InexactVarPro

    fixed, decrease = rivals()
    found = {f"eta={eta:g}": InexactVarPro(problem, eta) for eta in ETAS}
    found |= {f"fixed={decrement:g}": fixed(problem, decrement) for decrement in FIXED}
    return found | {f"decrease={SHARE:g}": decrease(problem, SHARE)}


@functools.cache
def rivals() -> tuple[Any, Any]:
    """The two other rules; after an infinite ``eta`` the head of a linearisation is never asked to be better."""
    import jax.numpy as jnp

    from numdl.problems import InexactVarPro

    class Fixed(InexactVarPro):
        """Decrement ``eta`` for values and linearisations."""

        def linearize(self, p: Any, aux: Any) -> Any:
            aux = aux._replace(enough=jnp.full_like(aux.enough, self.eta))
            lin = InexactVarPro(self.problem, jnp.inf).linearize(p, aux)
            return lin._replace(aux=lin.aux._replace(enough=aux.enough))

    class Decrease(InexactVarPro):
        """``decrement^2 / 2 <= eta`` times the last decrease; ``W`` carries the last value in an entry of its own."""

        def linearize(self, p: Any, aux: Any) -> Any:
            (W, last), plain = aux.W, InexactVarPro(self.problem, jnp.inf)
            lin = plain.linearize(p, aux._replace(W=W))
            fall = jnp.maximum(last - lin.value, 10 * jnp.finfo(last.dtype).eps * lin.value)
            enough = jnp.where(jnp.isfinite(fall), jnp.sqrt(2 * self.eta * fall), 1e-3)
            return lin._replace(aux=lin.aux._replace(W=(lin.aux.W, lin.value), enough=enough))

        def value(self, p: Any, aux: Any) -> Any:
            value, new = InexactVarPro(self.problem, jnp.inf).value(p, aux._replace(W=aux.W[0]))
            return value, new._replace(W=(new.W, aux.W[1]))

        def first_head(self, theta: Any) -> Any:
            head = InexactVarPro.first_head(self, theta)
            return head._replace(W=(head.W, jnp.full_like(head.enough, jnp.inf)))

    return Fixed, Decrease


def trained(problem: Any, theta: Any, iterations: int) -> Path:
    """Train twice, the second time without compilation, and judge the gradient of every point."""
    from numdl.optimize import TrustRegion, minimize

    method = TrustRegion(tol=0.0, max_products=20)
    start, points = problem.first_head(theta), []

    def watch(progress: Any) -> None:
        points.append((progress.iterate.p, progress.iterate.aux))

    minimize(problem, method, theta, start, max_iter=1)
    history = minimize(problem, method, theta, start, max_iter=iterations, observe=watch)[0].history
    judged = [float(error()(problem, *point)) for point in points[:-1]]
    return Path(history["objective"], history["inner"], history["work"], history["seconds"], np.array(judged))


@functools.cache
def error() -> Any:
    """Compiled: norm of the error of the gradient, relative to the gradient."""
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    def relative(problem: Any, p: Any, aux: Any) -> Any:
        W = aux.W[0] if isinstance(aux.W, tuple) else aux.W
        both = problem.linearize(p, aux), problem.problem.linearize(p, W)
        g, exact = (ravel_pytree(lin.gradient)[0] for lin in both)
        return jnp.linalg.norm(g - exact) / jnp.linalg.norm(exact)

    return jax.jit(relative)


def peaks(seed: int) -> tuple[Any, Any]:
    """The course's residual network on peaks in five classes."""
    from numdl.models import ResNet

    return reduced(ResNet(2, 8, 16, T=4.0, activation="sine"), seed, ALPHA, ALPHA)[:2]


def surrogate(run: Run, seed: int) -> tuple[Any, Any]:
    """The surrogate's training part with pseudo-Huber."""
    import jax
    import jax.numpy as jnp

    from numdl.models import ResNet
    from numdl.problems import PSEUDO_HUBER, VarPro
    from numdl.regularize import GroupPenalty

    (x, c), _, _ = load(run)
    x, c = jnp.asarray(standardise(x)[0]), jnp.asarray(10 * standardise(c)[0])
    net = ResNet(x.shape[1], 8, 4, T=1.0, dynamics="antisymmetric")
    theta = jax.tree.map(jnp.asarray, net.init(seed, np.float64))
    penalty = GroupPenalty(jnp.full(1, ALPHA), jnp.zeros(net.n_parameters, jnp.int32))
    return VarPro(net, PSEUDO_HUBER, x, c, jnp.ones(len(x)), penalty, jnp.asarray(ALPHA)), theta


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Per problem and rule: medians over the seeds of what is saved against the exact head, and errors."""
    summary: dict[str, Any] = {}
    for name in [name for name in ITERATIONS if any(r["set"] == name for r in records)]:
        here = [r for r in records if r["set"] == name]
        exact = {r["seed"]: r for r in here if r["method"] == "eta=0"}
        summary[name], rows = {}, []
        for method in dict.fromkeys(r["method"] for r in here):
            same = [r for r in here if r["method"] == method]
            factors = {
                f"factor_{key}": median(ratio(exact[r["seed"]][key], r[key]) or np.nan for r in same)
                for key in ("inner", "work", "seconds")
            }
            found = {key: median(r[key] for r in same) for key in ("final", "inner", "work", "seconds")}
            errors = {f"error_{q}": max(r["error"][q] for r in same) for q in ("0.5", "0.9", "1.0")}
            summary[name][method] = {**found, **factors, **errors, "seeds": len(same)}
            rows.append((method, *found.values(), *factors.values(), *errors.values()))
        header = ("rule", "objective", "Hessians", "passes", "s", *KEYS, "error 50 %", "90 %", "largest")
        table(f"Inexact heads: {name}", header, rows)
    return summary
