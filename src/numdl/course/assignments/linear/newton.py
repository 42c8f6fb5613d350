"""Task: descent with Armijo's rule, then Newton's method with inexact inner solves.

Functions are handed in and counted. What a tolerance or a rule is for shows when it is changed: a program that ignores
it does the same work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.task import Check, Data, Function, Functions, Mistake, Task, Values, close, holds

PIXELS, SAMPLES, ALPHA = 36, 60, 1e-3


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: noisy images of rings and bars, 6 x 6, and points to start from."""
    x, y = np.meshgrid(np.arange(6) - 2.5, np.arange(6) - 2.5)
    ring, bar = np.exp(-((np.hypot(x, y) - 2) ** 2)).ravel(), np.exp(-(x**2) / 0.8).ravel()
    sign = rng.permuted(np.repeat([1.0, -1.0], SAMPLES // 2))
    images = np.where(sign[:, None] > 0, ring, bar) + 0.7 * rng.standard_normal((SAMPLES, PIXELS))
    return Data(
        X=images, y=sign, p=0.1 * rng.standard_normal(PIXELS), far=rng.uniform(3, 5, 4), w=rng.uniform(0.5, 2, 4)
    )


def build(
    *, simple: bool = False, reset: bool = True, inner: str = "forcing", stop: bool = True, sign: float = 1.0
) -> dict[str, Callable[..., Any]]:
    """The functions; the switches put mistakes in."""

    def armijo(value: Any, p: Any, g: Any, d: Any, c: float, t: float) -> Any:
        start, slope = value(p), float(np.dot(g, d))
        for _ in range(60):
            if value(p + t * d) <= start + (0.0 if simple else c * t * slope):
                break
            t = t / 2
        return t

    def descent(value: Any, gradient: Any, p: Any, steps: int, c: float) -> Any:
        found, t = [p], 1.0
        for _ in range(steps):
            g = gradient(p)
            t = armijo(value, p, g, -sign * g, c, 1.0 if reset else t)
            p = p - sign * t * g
            found.append(p)
        return np.array(found)

    def newton(value: Any, gradient: Any, product: Any, p: Any, tol: float, forcing: float, steps: int) -> Any:
        found = [p]
        for _ in range(steps):
            g = gradient(p)
            if stop and np.linalg.norm(g) <= tol:
                break
            d = _conjugate(lambda v, p=p: product(p, v), -g, 1e-12 if inner == "exact" else forcing)
            p = p + armijo(value, p, g, d, 1e-4, 1.0) * d
            found.append(p)
        return np.array(found)

    return {"armijo": armijo, "descent": descent, "newton": newton}


def _conjugate(H: Callable[[Any], Any], b: Any, forcing: float) -> Any:
    """Conjugate gradients from zero until the residual is at most forcing times b."""
    x, r, d = 0 * b, b, b
    for _ in range(5 * len(b)):
        if np.linalg.norm(r) <= forcing * np.linalg.norm(b):
            break
        q = H(d)
        step = (r @ r) / (d @ q)
        x, new = x + step * d, r - step * q
        d, r = new + (new @ new) / (r @ r) * d, new
    return x


class Counted:
    """Logistic loss of the images with a penalty; counts passes over the data."""

    def __init__(self, z: Data) -> None:
        self.M, self.passes = z.X * z.y[:, None], {"value": 0, "gradient": 0, "product": 0}

    def value(self, p: Any) -> Any:
        """Mean of log(1 + exp(-y x'p)), plus penalty."""
        self.passes["value"] += 1
        p = _point(p, PIXELS)
        return np.mean(np.logaddexp(0, -self.M @ p)) + ALPHA / 2 * (p @ p)

    def gradient(self, p: Any) -> Any:
        """Its gradient."""
        self.passes["gradient"] += 1
        p = _point(p, PIXELS)
        return -self.M.T @ _share(self.M @ p) / SAMPLES + ALPHA * p

    def product(self, p: Any, v: Any) -> Any:
        """Product of its Hessian at p with v."""
        self.passes["product"] += 1
        p, v = _point(p, PIXELS), _point(v, PIXELS)
        share = _share(self.M @ p)
        return self.M.T @ (share * (1 - share) * (self.M @ v)) / SAMPLES + ALPHA * v

    def run(self, f: Functions, z: Data, tol: float = 1e-9, forcing: float = 0.1, steps: int = 15) -> Any:
        """Iterates of the submission."""
        return f.newton(self.value, self.gradient, self.product, z.p, tol, forcing, steps)


def _share(margin: Any) -> Any:
    return np.exp(-np.logaddexp(0, margin))


def _point(p: Any, length: int) -> np.ndarray:
    p = np.asarray(p, float)
    if p.shape != (length,):
        raise ValueError(f"a point of shape {p.shape} was given, needs ({length},)")
    return p


def _quartic(z: Data) -> tuple[Any, Any]:
    return lambda p: float(np.sum(z.w * _point(p, 4) ** 4)) / 4, lambda p: z.w * _point(p, 4) ** 3


def _steps(f: Functions, z: Data) -> Any:
    """Steps on parabolas on which Armijo's rule and simple decrease part."""
    found = []
    for c, d in ((1e-4, -1.999), (0.3, -1.7), (0.3, -5.0), (0.4, -1.3), (0.1, -0.5)):
        one = np.array([1.0])
        found.append(f.armijo(lambda p: float(_point(p, 1)[0] ** 2) / 2, one, one, np.array([d]), c, 1.0))
    return np.array(found)


def _decreases(f: Functions, z: Data) -> Any:
    value, gradient = _quartic(z)
    p = f.descent(value, gradient, z.far, 12, 0.3)
    g = np.array([gradient(one) for one in p[:-1]])
    moved = np.sum(g * (p[:-1] - p[1:]), axis=1)
    values = np.array([value(one) for one in p])
    return np.min((values[:-1] - values[1:]) / np.where(moved != 0, moved, np.inf))


def _end(f: Functions, z: Data) -> Any:
    task = Counted(z)
    p = task.run(f, z)[-1]
    best = Counted(z).run(Functions(**build()), z, tol=1e-13, forcing=1e-3)[-1]
    return task.value(p) - task.value(best)


def _budget(f: Functions, z: Data) -> dict[str, Any]:
    task = Counted(z)
    task.run(f, z)
    return {"products": task.passes["product"], "gradients": task.passes["gradient"]}


def _affordable(s: Values, right: Values) -> tuple[str, str] | None:
    came, most = float(sum(s.values())), 1.3 * float(sum(right.values())) + 5
    return None if came <= most else (f"at most {most:.0f} gradients and products", f"{came:.0f}")


def _inner(f: Functions, z: Data) -> Any:
    """Whether a looser inner tolerance saves products in a step."""
    spent = []
    for forcing in (0.5, 1e-3):
        task = Counted(z)
        task.run(f, z, forcing=forcing, steps=1)
        spent.append(task.passes["product"])
    return spent[0] < spent[1]


def _outer(f: Functions, z: Data) -> Any:
    """Whether a looser tolerance ends sooner."""
    lengths = [len(Counted(z).run(f, z, tol=tol)) for tol in (1e-2, 1e-9)]
    return lengths[0] < lengths[1]


TASK = Task(
    name="newton",
    title="How far to step: Armijo's rule, descent, and Newton-CG",
    text="""
    Three functions. *armijo* tries the step t and halves it until $E(p + td) \\le E(p) + c\\, t\\, g'd$. *descent*
    steps along $-g$, and tries t = 1 first in every step. *newton* solves $H d = -g$ by conjugate gradients from zero,
    until the residual is at most `forcing` times $\\|g\\|$, takes an Armijo step along d (c = 1e-4, t = 1 first), and
    ends as soon as $\\|g\\| \\le$ tol. It is tried on a logistic model of small images, and its passes over the data
    are counted: an early Newton direction need not be exact.
    """,
    functions=(
        Function(
            "armijo",
            "value, p, g, d, c, t",
            """
            The accepted step, a number: t, t/2, t/4, ...

            Args:
                value: function of a point (d,).
                p: point.
                g: gradient there.
                d: direction with g'd < 0.
                c: share of the promised decrease that is asked for.
                t: first step.

            >>> one = np.array([1.0])
            >>> float(armijo(lambda p: float(p[0] ** 2) / 2, one, one, -4 * one, 0.3, 1.0))
            0.25
            """,
            lambda value, p, g, d, c, t: (),
        ),
        Function(
            "descent",
            "value, gradient, p, steps, c",
            """
            Iterates of steepest descent with Armijo's rule, (steps + 1, d); the first row is p.

            >>> descent(lambda p: float(p[0] ** 4) / 4, lambda p: p**3, np.array([2.0]), 2, 0.3).ravel().tolist()
            [2.0, 1.0, 0.5]
            """,
            lambda value, gradient, p, steps, c: (-1, len(p)),
        ),
        Function(
            "newton",
            "value, gradient, product, p, tol, forcing, steps",
            """
            Iterates of Newton-CG, one in each row, (k + 1, d); the first row is p.

            Args:
                value: function of a point.
                gradient: function of a point, (d,).
                product: function of a point and v (d,), the Hessian at the point times v.
                p: where to start.
                tol: end when the norm of the gradient is at most this.
                forcing: end the inner solve at this share of the norm of the gradient.
                steps: at most so many.
            """,
            lambda value, gradient, product, p, *rest: (-1, len(p)),
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "simple decrease only",
            "A step that decreases by next to nothing is accepted; ask for c t g'd.",
            ({"simple": True},),
        ),
        Mistake(
            "step not reset",
            "After a short step the next ones stay short; try t = 1 first in every step.",
            ({"reset": False},),
        ),
        Mistake(
            "exact inner solves",
            "The inner solve goes on beyond `forcing`: far from the solution that is work for nothing.",
            ({"inner": "exact"},),
        ),
        Mistake("no gradient stop", "The norm of the gradient is never compared with tol.", ({"stop": False},)),
        Mistake("uphill", "Descent goes along -g.", ({"sign": -1.0},)),
    ),
    checks=(
        Check("Armijo's step on five parabolas", "1.13", _steps, close(1e-12)),
        Check(
            "descent: its iterates",
            "1.13",
            lambda f, z: f.descent(*_quartic(z), z.far, 12, 0.3),
            close(1e-9),
        ),
        Check(
            "descent: every step decreases enough",
            "1.13",
            _decreases,
            holds(lambda s: s[""] >= 0.3 - 1e-9, "a share of at least 0.3", lambda s: f"{s['']:.3g}"),
        ),
        Check(
            "Newton-CG: objective to 1e-8",
            "1.13",
            _end,
            holds(lambda s: abs(s[""]) <= 1e-8, "at most 1e-8 above the minimum", lambda s: f"{s['']:.3g}"),
            2,
        ),
        Check("Newton-CG: passes over the data", "1.13", _budget, _affordable, 2),
        Check(
            "a loose inner tolerance saves products",
            "1.13",
            _inner,
            holds(lambda s: s[""], "fewer products for forcing = 0.5 than for 0.001", lambda s: "as many"),
        ),
        Check(
            "a loose tolerance ends sooner",
            "1.13",
            _outer,
            holds(lambda s: s[""], "fewer steps for tol = 0.01 than for 1e-9", lambda s: "as many"),
        ),
    ),
    elsewhere="""
    Images in the rows of `X`, signs `y`, a start `p`, for $E(p)$, the mean of $\\log(1 + e^{-y_i x_i'p})$, plus
    $0.0005 |p|^2$; a start `far` and weights `w` for $\\sum_i w_i p_i^4 / 4$. Answers: `armijo`, the five steps
    from t = 1 for $p^2/2$ at p = 1 with (c, d) = (0.0001, -1.999), (0.3, -1.7), (0.3, -5), (0.4, -1.3), (0.1,
    -0.5); `descent`, the start `far` and 12 iterates in rows, with c = 0.3; `minimiser` of E.
    """,
    tables=lambda z: {"X": z.X, "y": z.y, "p": z.p, "far": z.far, "w": z.w},
    answers=lambda f, z: {
        "armijo": _steps(f, z),
        "descent": f.descent(*_quartic(z), z.far, 12, 0.3),
        "minimiser": Counted(z).run(f, z)[-1],
    },
    pairs=False,
)
