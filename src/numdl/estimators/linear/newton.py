"""Newton's method for linear classifiers of moderate size, without a compiler.

``H d = -g`` by Cholesky, H with a small shift, or by conjugate gradients up to the residual min(1/2, |g|^(1/2)) |g|;
then d is halved until Armijo's condition holds. Steps are those of `numdl.optimize.Newton` and `InexactNewton`, whose
programs take seconds to compile for each new number of rows.

Source: Nocedal and Wright, Numerical Optimization, sec. 3.3, alg. 3.3, and sec. 7.1, alg. 7.1.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_solve

from numdl.contracts import Status
from numdl.contracts.interrupts import within_search
from numdl.problems.risk.dense_linear import DenseLinear, shifted_factor

ROUNDING = 20 * np.finfo(float).eps
"""Differences of objectives, over max(1, |f|), that say nothing."""

PRODUCTS = 200
"""With the Hessian, in one step at most."""

History = dict[str, list[float]]


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused
def newton(
    problem: DenseLinear,
    W: Float[np.ndarray, "k q"],
    *,
    formed: bool,
    tol: float,
    max_iter: int,
    observe: Callable[[History], object],
) -> tuple[Float[np.ndarray, "k q"], Status, dict[str, np.ndarray]]:
    """Minimise from W.

    Args:
        problem: to minimise.
        W: where to begin, (k, q).
        formed: whether the Hessian is formed, else there are only products with it.
        tol: norm of the gradient, relative to max(1, |f|), at which to stop.
        max_iter: steps at most.
        observe: called with the history after each step.

    Returns:
        The last point, why it is that, and one array for each recorded quantity: each row belongs to the point that a
        step has left. Ctrl-C ends it with what is there.

    Raises:
        ValueError: the objective is not finite at W.
        KeyboardInterrupt: Ctrl-C came before the first step was done.
    """
    history: History = {}
    status = Status("max_iter", f"Stopped after {max_iter} iterations, the most that was allowed.")
    begin, matrix = time.perf_counter(), 1.0 + W.shape[1] * (W.shape[0] + 1) / 2
    try:
        for _ in range(max_iter):
            s = problem.scores(W)
            misfit, g = problem.misfit(s), problem.gradient(W, s)
            value = misfit + problem.penalty.value(W)
            norm = float(np.linalg.norm(g))
            if not (np.isfinite(value) and np.isfinite(g).all()):
                if history:
                    status = Status("failed", f"The objective is {value:g} after {len(history['work'])} steps.")
                    break
                raise ValueError(
                    f"fit: the objective is {value:g} where it begins, so no step can be judged. Look for entries of "
                    "X, p_ref or operator far beyond all others, or let standardize=True."
                )
            first = history["objective"][0] if history else value
            target = tol * max(1.0, abs(min(value, first)))
            if formed:
                factor, more = shifted_factor(problem.hessian(s)), {}
                d, work = -cho_solve((factor, True), g.reshape(-1), check_finite=False).reshape(W.shape), matrix
            else:
                forcing = max(min(0.5, norm**0.5), 0.5 * target / norm if norm else 1.0)
                d, products = _conjugate(problem, s, g, norm if norm <= target else forcing * norm)
                more, work = {"products": float(products), "forcing": forcing}, 2.0 * products
            t, trials = _armijo(problem, W, s, d, value, float(np.vdot(g, d)))
            W = W + t * d if t else W
            _record(
                history,
                misfit=misfit,
                train_error=problem.wrong(s),
                objective=value,
                gradient_norm=norm,
                work=history.get("work", [0.0])[-1] + work + 3.0,
                accepted=float(t > 0),
                trials=float(trials),
                step_length=t,
                seconds=time.perf_counter() - begin,
                **more,
            )
            observe(history)
            if norm <= target:
                text = f"The gradient has a norm of {norm:.1e}; {tol:g} max(1, |objective|) was asked for."
                status = Status("converged", text)
                break
            if not any(history["accepted"][-2:]):
                text = f"No step lowers the objective any more; the gradient has a norm of {norm:.1e}."
                status = Status("stalled", text)
                break
    except KeyboardInterrupt:
        if within_search() or not history:
            raise
        status = Status("interrupted", f"Ctrl-C came after {len(history['seconds'])} steps.")
    return W, status, {name: np.array(column) for name, column in history.items()}


def _conjugate(problem: DenseLinear, s: np.ndarray, g: np.ndarray, enough: float) -> tuple[np.ndarray, int]:
    """Solution of ``H d = -g`` up to a residual, by conjugate gradients, and the products that it took.

    With the residual small enough at once it is the steepest descent.
    """
    curved, d, r = problem.curved(s), np.zeros_like(g), -g
    way, square = r, float(np.vdot(r, r))
    for count in range(PRODUCTS):
        if square <= enough**2:
            return (d, count) if count else (-g, 0)
        Hway = problem.product(curved, way)
        rise = float(np.vdot(way, Hway))
        if not rise > 0:  # the Hessian is semidefinite: rounding, or a direction that nothing sees
            return (d, count) if count else (-g, 0)
        t = square / rise
        d, r = d + t * way, r - t * Hway
        last, square = square, float(np.vdot(r, r))
        way = r + (square / last) * way
    return d, PRODUCTS


def _armijo(
    problem: DenseLinear, W: np.ndarray, s: np.ndarray, d: np.ndarray, value: float, slope: float
) -> tuple[float, int]:
    """Length of a step that lowers the objective, 0 for none, and the number of trials."""
    if not np.all(np.isfinite(d)) or slope >= 0:
        return 0.0, 0
    ds, t = problem.scores(d), 1.0
    for trial in range(1, 41):
        moved = problem.misfit(s + t * ds) + problem.penalty.value(W + t * d) - value
        if moved <= 1e-4 * t * slope:
            return t, trial
        if abs(moved) <= ROUNDING * max(1.0, abs(value)):  # values say nothing here, slopes do
            there = float(np.vdot(problem.gradient(W + t * d, s + t * ds), d))
            if there <= (2e-4 - 1) * slope:
                return t, trial
        t /= 2
    return 0.0, 40


def _record(history: History, **row: float) -> None:
    for name, number in row.items():
        history.setdefault(name, []).append(number)
