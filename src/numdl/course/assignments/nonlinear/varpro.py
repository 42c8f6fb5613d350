"""Task: two decay rates by variable projection.

The numbers to compare with come from the whole objective of rates and head: its gradient is taken in all unknowns, and
the head solves a dense linear system.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.process.remote import Failure
from numdl.course.assignments.task import (
    Check,
    Data,
    Function,
    Functions,
    Mistake,
    Task,
    close,
    holds,
    order_two,
    taylor,
)

ACCEPTED = 1e-6
"""Largest norm of the slope in w at which a head counts as the minimiser."""


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: readings of two decays, with noise and without."""
    t = np.linspace(0, 4, 25)
    rates = np.array([rng.uniform(0.3, 0.6), rng.uniform(1.5, 2.5)])
    clean = np.exp(-np.outer(t, rates)) @ rng.uniform(1, 3, 2)
    return Data(
        t=t,
        c=clean + 0.1 * rng.standard_normal(25),
        clean=clean,
        rates=rates,
        theta=rates * rng.uniform(0.8, 1.25, 2),
        d=rng.standard_normal(2),
        off=0.1 * rng.standard_normal(2),
        alpha=0.05,
    )


def build(
    *, penalty: str = "mean", bare: bool = False, extra: float = 0.0, accepts: bool = False, early: bool = False
) -> dict[str, Callable[..., Any]]:
    """The functions; the switches put mistakes in."""

    def head(theta: np.ndarray, t: np.ndarray, c: np.ndarray, alpha: float) -> Any:
        F, n = np.exp(-np.outer(t, theta)), len(t)
        alpha = alpha * {"mean": 1.0, "sum": 1 / n, "none": 0.0}[penalty]
        return np.linalg.solve(F.T @ F / n + alpha * np.eye(2), F.T @ c / n)

    def partial(theta: np.ndarray, w: np.ndarray, t: np.ndarray, c: np.ndarray, alpha: float) -> tuple[Any, Any]:
        F, n = np.exp(-np.outer(t, theta)), len(t)
        r = F @ w - c
        return np.array([np.mean(r * -t * F[:, j]) * w[j] for j in range(2)]), F.T @ r / n + alpha * w

    def reduced(theta: np.ndarray, t: np.ndarray, c: np.ndarray, alpha: float) -> Any:
        w = head(theta, t, c, alpha)
        r = np.exp(-np.outer(t, theta)) @ w - c
        value = np.mean(r**2) / 2 + (0 if bare else alpha / 2 * (w @ w))
        slope = partial(theta, w, t, c, alpha)[0]
        if extra:  # how the head moves with the rates, by central differences of fourth order
            for j, e in enumerate(1e-3 * np.eye(2)):
                near, far = (head(theta + s * e, t, c, alpha) - head(theta - s * e, t, c, alpha) for s in (1, 2))
                slope[j] += extra * partial(theta, w, t, c, 0.0)[1] @ (8 * near - far) / 12e-3
        return value, slope

    def slope(theta: np.ndarray, w: np.ndarray, t: np.ndarray, c: np.ndarray, alpha: float) -> Any:
        in_rates, in_head = partial(theta, w, t, c, alpha)
        if np.linalg.norm(in_head) > ACCEPTED and not accepts:
            raise ValueError("this head is not the minimiser")
        return in_rates

    def fit(t: np.ndarray, c: np.ndarray, theta: np.ndarray) -> Any:
        """Gauss-Newton on rates and head together."""
        p = np.concatenate([theta, head(theta, t, c, 0.0)])
        for _ in range(2 if early else 50):
            F = np.exp(-np.outer(t, p[:2]))
            J = np.column_stack([-t[:, None] * F * p[2:], F])
            p = p - np.linalg.lstsq(J, F @ p[2:] - c)[0]
        return p[:2]

    return {"head": head, "reduced": reduced, "slope": slope, "fit": fit}


def _at(f: Functions, z: Data) -> Any:
    return f.reduced(z.theta, z.t, z.c, z.alpha)


def _taylor(f: Functions, z: Data) -> dict[str, Any]:
    return taylor(lambda theta: f.reduced(theta, z.t, z.c, z.alpha)[0], z.theta, z.d, _at(f, z)[1] @ z.d)


def _slopes(f: Functions, z: Data) -> Any:
    w = build()["head"](z.theta, z.t, z.c, z.alpha)
    return f.slope(z.theta, w, z.t, z.c, z.alpha)


def _refuses(f: Functions, z: Data) -> Any:
    w = build()["head"](z.theta, z.t, z.c, z.alpha)
    refused = []
    for size in (1.0, 1e-2):
        try:
            f.slope(z.theta, w + size * z.off, z.t, z.c, z.alpha)
            refused.append(False)
        except Failure as failure:
            if failure.kind != "ValueError":
                raise
            refused.append(True)
    return refused


TASK = Task(
    name="varpro",
    title="Two decay rates by variable projection",
    text="""
    Readings $c_i$ at times $t_i$ are sums of two decays, $w_1 e^{-\\theta_1 t} + w_2 e^{-\\theta_2 t}$. With
    $\\Phi(\\theta)$, whose columns are the two decays at all times, and n readings,

    $$ J(\\theta, w) = \\frac1{2n} \\|\\Phi(\\theta) w - c\\|^2 + \\frac\\alpha2 \\|w\\|^2, \\qquad
       w(\\theta) = \\arg\\min_w J(\\theta, w), \\qquad J_r(\\theta) = J(\\theta, w(\\theta)). $$

    Write the head $w(\\theta)$, the reduced objective with its gradient, and a fit of the rates. The gradient of $J_r$
    needs no derivative of $w(\\theta)$, but only at the minimiser: refuse other heads.
    """,
    functions=(
        Function(
            "head",
            "theta, t, c, alpha",
            """
            The best head w for given rates, (2,).

            Args:
                theta: rates (2,).
                t: times (n,).
                c: readings (n,).
                alpha: penalty of the head, not negative.

            >>> t, c = np.array([0.0, 1, 2]), np.array([2.0, 1, 0.5])
            >>> np.round(head(np.array([0.5, 1.5]), t, c, 0.1), 6).tolist()
            [1.065469, 0.753435]
            """,
            lambda theta, t, c, alpha: (2,),
        ),
        Function(
            "reduced",
            "theta, t, c, alpha",
            """
            Value of the reduced objective, a number, and its gradient (2,).

            >>> t, c = np.array([0.0, 1, 2]), np.array([2.0, 1, 0.5])
            >>> value, gradient = reduced(np.array([0.5, 1.5]), t, c, 0.1)
            >>> round(float(value), 6), np.round(gradient, 6).tolist()
            (0.097183, [0.058419, 0.012167])
            """,
            lambda theta, t, c, alpha: [(), (2,)],
        ),
        Function(
            "slope",
            "theta, w, t, c, alpha",
            """
            Gradient of the reduced objective (2,) from a head that was computed before.

            Raises:
                ValueError: w is not the minimiser: the derivative of J in w has a norm above 1e-6.
            """,
            lambda theta, w, t, c, alpha: (2,),
        ),
        Function(
            "fit",
            "t, c, theta",
            """
            Rates (2,) that fit readings without noise, from the guess theta (2,), with alpha = 0.
            """,
            lambda t, c, theta: (2,),
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "value without the penalty",
            "The reduced value is J at the best head, with alpha/2 |w|^2; without it value and gradient do not match.",
            ({"bare": True},),
        ),
        Mistake(
            "derivative of the head added",
            "At the best head J does not change with w, so what w does with the rates adds nothing to the gradient.",
            ({"extra": 1.0}, {"extra": 2.0}, {"extra": -1.0}),
        ),
        Mistake(
            "alpha against n alpha",
            "The misfit is a mean: Phi'Phi / n + alpha I, or Phi'Phi + n alpha I.",
            ({"penalty": "sum"},),
        ),
        Mistake("head without the penalty", "The head minimises misfit plus penalty.", ({"penalty": "none"},)),
        Mistake(
            "inexact head accepted",
            "Away from the minimiser the formula is not the gradient of anything; raise ValueError.",
            ({"accepts": True},),
        ),
        Mistake("stopped early", "Two steps are not enough; go on until the rates stand still.", ({"early": True},)),
    ),
    checks=(
        Check("head", "2.8", lambda f, z: f.head(z.theta, z.t, z.c, z.alpha), close(1e-9)),
        Check("reduced value", "2.8", lambda f, z: _at(f, z)[0], close(1e-10)),
        Check("gradient", "2.8", lambda f, z: _at(f, z)[1], close(1e-8), 2),
        Check("Taylor test: value and gradient belong together", "1.12", _taylor, order_two, 2),
        Check("gradient from a given head", "2.8", _slopes, close(1e-8)),
        Check(
            "a head that is not the minimiser is refused",
            "2.8",
            _refuses,
            holds(lambda s: s[""].all(), "ValueError", lambda s: "a gradient"),
        ),
        Check("rates to 8 digits", "2.8", lambda f, z: np.sort(f.fit(z.t, z.clean, z.theta)), close(1e-8), 2),
    ),
    elsewhere="""
    Times `t`, readings `c`, readings without noise `clean`, rates `theta`, and `alpha`. Answers: `head`, `value`
    and `gradient` at `theta` for `c` and `alpha`; `rates`, ascending, that fit `clean` with alpha = 0.
    """,
    tables=lambda z: {"t": z.t, "c": z.c, "clean": z.clean, "theta": z.theta, "alpha": np.array(z.alpha)},
    answers=lambda f, z: {
        "head": f.head(z.theta, z.t, z.c, z.alpha),
        "value": _at(f, z)[0],
        "gradient": _at(f, z)[1],
        "rates": np.sort(f.fit(z.t, z.clean, z.theta)),
    },
)
