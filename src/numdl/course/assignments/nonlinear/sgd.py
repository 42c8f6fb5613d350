"""Task: stochastic gradient descent with momentum that uses every row once in an epoch.

The order of the rows is handed in, so that the iterates of two right programs are the same; what a program asks for is
counted by the function that gives the slopes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.task import Check, Data, Function, Functions, Mistake, Task, Values, close

ROWS, BATCH = 50, 8


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: the function peaks at 50 places, seen through five random features."""
    x, y = rng.uniform(-3, 3, (2, ROWS))
    peaks = (
        3 * (1 - x) ** 2 * np.exp(-(x**2) - (y + 1) ** 2)
        - 10 * (x / 5 - x**3 - y**5) * np.exp(-(x**2) - y**2)
        - np.exp(-((x + 1) ** 2) - y**2) / 3
    )
    Z = np.tanh(np.column_stack([x, y, np.ones(ROWS)]) @ rng.standard_normal((3, 5)))
    orders = np.array([rng.permutation(ROWS) for _ in range(60)])
    return Data(Z=Z, c=peaks, p=rng.standard_normal(5), orders=orders)


def build(
    *,
    rows: str = "batch",
    remainder: bool = True,
    mean: str = "own",
    shuffled: bool = True,
    velocity: str = "plain",
) -> dict[str, Callable[..., Any]]:
    """The function; the switches put mistakes in."""

    def sgd(slopes: Any, p: Any, n: int, rate: float, momentum: float, batch: int, epochs: int, order: Any) -> Any:
        v, found = np.zeros(len(p)), [p]
        places = order()
        for epoch in range(epochs):
            places = order() if epoch and shuffled else places
            v = np.zeros(len(p)) if velocity == "reset" else v
            for start in range(0, n if remainder else n - n % batch, batch):
                taken = places[start : start + batch]
                each = slopes(p, np.arange(n) if rows == "all" else taken)
                count = {"own": len(each), "batch": batch, "sum": 1}[mean]
                v = momentum * v - (1 - momentum if velocity == "scaled" else 1) * rate * each.sum(axis=0) / count
                p = p + v
                found.append(p)
        return np.array(found)

    return {"sgd": sgd}


class Watched:
    """Slopes of single rows, with a record of the rows that were asked for."""

    def __init__(self, z: Data) -> None:
        self.z, self.asked, self.epoch = z, [], 0

    def slopes(self, p: Any, rows: Any) -> np.ndarray:
        """Gradients of ``(z_i'p - c_i)^2 / 2`` for some rows, (rows, d)."""
        p, rows = np.asarray(p, float), np.asarray(rows)
        if p.shape != self.z.p.shape or rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise ValueError(
                f"slopes was given shapes {p.shape} and {rows.shape} of {rows.dtype}, needs p and row numbers"
            )
        if rows.size and not (rows.min() >= 0 and rows.max() < ROWS):
            raise ValueError(f"slopes was given row numbers to {rows.max()}, needs 0 to {ROWS - 1}")
        self.asked.append(rows)
        Z = self.z.Z[rows]
        return (Z @ p - self.z.c[rows])[:, None] * Z

    def order(self) -> np.ndarray:
        """Order of the rows in the next epoch."""
        self.epoch += 1
        return self.z.orders[(self.epoch - 1) % len(self.z.orders)].copy()

    def run(self, f: Functions, rate: float, momentum: float, batch: int, epochs: int) -> np.ndarray:
        """Iterates of the submission."""
        return f.sgd(self.slopes, self.z.p, ROWS, rate, momentum, batch, epochs, self.order)


def _iterates(momentum: float, batch: int = BATCH, epochs: int = 2) -> Callable[[Functions, Data], Any]:
    return lambda f, z: Watched(z).run(f, 0.05, momentum, batch, epochs)


def _counts(f: Functions, z: Data) -> Any:
    watched = Watched(z)
    watched.run(f, 0.05, 0.0, BATCH, 2)
    return np.array([len(rows) for rows in watched.asked])


def _uses(f: Functions, z: Data) -> Any:
    watched = Watched(z)
    watched.run(f, 0.05, 0.0, BATCH, 1)
    return np.bincount(np.concatenate([*watched.asked, np.empty(0, int)]).astype(int), minlength=ROWS)


def _orders(f: Functions, z: Data) -> Any:
    watched = Watched(z)
    watched.run(f, 0.05, 0.0, BATCH, 3)
    return watched.epoch


def _floor(f: Functions, z: Data) -> Any:
    p = Watched(z).run(f, 0.2, 0.0, BATCH, 30)
    best = np.linalg.lstsq(z.Z, z.c)[0]
    late = (p[len(p) // 2 :] - best) @ z.Z.T
    return np.mean(late**2)


def _factor(s: Values, right: Values) -> tuple[str, str] | None:
    wanted, came = float(right[""]), float(s[""])
    return None if wanted / 2 <= came <= 2 * wanted else (f"{wanted:.3g} within a factor 2", f"{came:.3g}")


TASK = Task(
    name="sgd",
    title="Stochastic gradient descent with momentum, every row once in an epoch",
    text="""
    Minimise the mean of n losses by steps on batches. An epoch takes the rows in the order that order() returns, called
    once for each epoch, in pieces of `batch` rows; the last piece may be shorter. For the rows I of a piece

    $$ v \\leftarrow \\mu v - h\\, \\frac1{|I|} \\sum_{i \\in I} \\nabla f_i(p), \\qquad p \\leftarrow p + v, $$

    with the rate h, the momentum mu, and v = 0 at the very start. slopes(p, rows) returns the gradients of single rows,
    one in each row; it is counted which rows you ask for. The task is tried on the function peaks.
    """,
    functions=(
        Function(
            "sgd",
            "slopes, p, n, rate, momentum, batch, epochs, order",
            """
            All iterates, one in each row, (steps + 1, d); the first row is p.

            Args:
                slopes: function of p (d,) and row numbers (k,) from 0; returns gradients (k, d).
                p: where to start (d,).
                n: number of rows.
                rate: h.
                momentum: mu, 0 for none.
                batch: rows of a step; the last one of an epoch may have fewer.
                epochs: number of passes over the rows.
                order: function without arguments; returns the n row numbers in the order of the next epoch.

            >>> a = np.array([[0.0], [1], [5]])
            >>> def slopes(p, rows): return p - a[rows]
            >>> sgd(slopes, np.zeros(1), 3, 0.5, 0.0, 2, 1, lambda: np.array([2, 0, 1])).ravel().tolist()
            [0.0, 1.25, 1.125]
            >>> sgd(slopes, np.zeros(1), 3, 0.5, 0.5, 2, 1, lambda: np.array([2, 0, 1])).ravel().tolist()
            [0.0, 1.25, 1.75]
            """,
            lambda slopes, p, n, rate, momentum, batch, epochs, order: (-1, len(p)),
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "index ignored",
            "Every step asked for all rows: that is gradient descent at the price of an epoch a step.",
            ({"rows": "all"},),
        ),
        Mistake("remainder dropped", "The last, shorter piece of an epoch counts as well.", ({"remainder": False},)),
        Mistake(
            "sum instead of mean",
            "Divide by the number of rows, else the rate grows with the batch.",
            ({"mean": "sum"},),
        ),
        Mistake(
            "last piece divided by the full batch", "Divide by the number of rows that are there.", ({"mean": "batch"},)
        ),
        Mistake("one order for all epochs", "Call order() again at the start of each epoch.", ({"shuffled": False},)),
        Mistake(
            "rate times 1 - momentum",
            "Here v is a sum, v = mu v - h g; a mean, with (1 - mu), takes smaller steps.",
            ({"velocity": "scaled"},),
        ),
        Mistake("velocity forgotten at each epoch", "v is zero at the very start only.", ({"velocity": "reset"},)),
    ),
    checks=(
        Check("rows of each step", "2.11", _counts, close(1e-12)),
        Check("every row once in an epoch", "2.11", _uses, close(1e-12)),
        Check("a new order for each epoch", "2.11", _orders, close(1e-12)),
        Check("iterates without momentum", "2.11", _iterates(0.0), close(1e-10)),
        Check("iterates with momentum", "2.11", _iterates(0.9), close(1e-10), 2),
        Check("one batch of all rows is gradient descent", "2.11", _iterates(0.0, ROWS, 5), close(1e-10)),
        Check("noise floor of 30 epochs", "2.11", _floor, _factor),
    ),
    elsewhere="""
    Losses $(z_i'p - c_i)^2 / 2$ with rows $z_i$ of `Z` and entries of `c`, a start `p`, and `orders`, the rows of
    two epochs counted from 1. Answers: iterates of two epochs in rows, with h = 0.05 and batches of 8: `plain`
    without momentum, `momentum` with 0.9.
    """,
    tables=lambda z: {"Z": z.Z, "c": z.c, "p": z.p, "orders": z.orders[:2] + 1},
    answers=lambda f, z: {"plain": _iterates(0.0)(f, z), "momentum": _iterates(0.9)(f, z)},
    pairs=False,
)
