"""Task: cross entropy of softmax with gradient and Hessian product, that survives scores of any size.

The numbers to compare with are made sample by sample, with dense Hessians.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: ordinary scores, scores to 1e4, and directions."""
    n, d, k = 20, 4, 3
    X, W = rng.standard_normal((n, d)), rng.standard_normal((k, d))
    steep = X / np.abs(X @ W.T).max() * 1e4
    steep[::2] *= 1e-4  # samples of small scores beside them: one shift for all would lose these
    return Data(
        X=X, W=W, C=np.eye(k)[rng.permuted(np.arange(n) % k)], steep=steep, order=rng.permutation(n),
        V=rng.standard_normal((k, d)), U=rng.standard_normal((k, d)), y=rng.standard_normal(d),
    )  # fmt: skip


def build(
    *,
    factor: tuple[float, float, float] = (1, 1, 1),
    sums: tuple[bool, bool, bool] = (False, False, False),
    shift: str = "sample",
    plus: bool = False,
    transposed: bool = False,
    ridge: float = 0.0,
) -> dict[str, Callable[..., Any]]:
    """The functions; the switches put mistakes in."""

    def scores(W: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        S = np.array([[w @ x for w in W] for x in X])
        top = {
            "sample": S.max(axis=1, keepdims=True),
            "all": np.full((len(X), 1), S.max()),
            "none": np.zeros((len(X), 1)),
        }
        E = np.exp(S - top[shift])
        return S, E / E.sum(axis=1, keepdims=True), top[shift][:, 0] + np.log(E.sum(axis=1))

    def mean(parts: list[Any], which: int) -> Any:
        return factor[which] * sum(parts) / (1 if sums[which] else len(parts))

    def value(W: np.ndarray, X: np.ndarray, C: np.ndarray) -> Any:
        S, _, logs = scores(W, X)
        return mean([logs[i] - C[i] @ S[i] for i in range(len(X))], 0)

    def gradient(W: np.ndarray, X: np.ndarray, C: np.ndarray) -> Any:
        _, P, _ = scores(W, X)
        G = mean([np.outer(P[i] + C[i] if plus else P[i] - C[i], X[i]) for i in range(len(X))], 1)
        return G.T if transposed else G

    def hessian(W: np.ndarray, X: np.ndarray, C: np.ndarray, V: np.ndarray) -> Any:
        _, P, _ = scores(W, X)
        H = (
            mean([np.outer((np.diag(p) - np.outer(p, p)) @ (V @ x), x) for p, x in zip(P, X, strict=True)], 2)
            + ridge * V
        )
        return H.T if transposed else H

    return {"value": value, "gradient": gradient, "hessian": hessian}


def _twice(f: Functions, z: Data) -> dict[str, Any]:
    X, C = np.vstack([z.X, z.X]), np.vstack([z.C, z.C])
    return {"value": f.value(z.W, X, C), "gradient": f.gradient(z.W, X, C)}


def _ordered(f: Functions, z: Data) -> dict[str, Any]:
    return {"value": f.value(z.W, z.X[z.order], z.C[z.order]), "gradient": f.gradient(z.W, z.X[z.order], z.C[z.order])}


def _large(f: Functions, z: Data) -> dict[str, Any]:
    return {"value": f.value(z.W, z.steep, z.C), "gradient": f.gradient(z.W, z.steep, z.C)}


def _taylor(f: Functions, z: Data) -> dict[str, np.ndarray]:
    slope = np.vdot(f.gradient(z.W, z.X, z.C), z.V)
    return taylor(lambda W: f.value(W, z.X, z.C), z.W, z.V, slope)


def _curvature(f: Functions, z: Data) -> dict[str, np.ndarray]:
    return taylor(lambda W: f.gradient(W, z.X, z.C), z.W, z.V, f.hessian(z.W, z.X, z.C, z.V))


def _null(f: Functions, z: Data) -> Any:
    return f.hessian(z.W, z.X, z.C, np.tile(z.y, (3, 1)))


def _definite(f: Functions, z: Data) -> dict[str, Any]:
    HV, HU = f.hessian(z.W, z.X, z.C, z.V), f.hessian(z.W, z.X, z.C, z.U)
    size = np.linalg.norm(HV) * np.linalg.norm(z.U)
    return {"skew": (np.vdot(z.U, HV) - np.vdot(z.V, HU)) / size, "bend": np.vdot(z.V, HV)}


_MANY = tuple(
    {"sums": (a, b, c)} for a, b, c in [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, 1)]
)

TASK = Task(
    name="softmax",
    title="Cross entropy of softmax: value, gradient, Hessian product",
    text="""
    For samples $x_i$, the rows of X, with scores $s_i = W x_i$, and targets $c_i$, the rows of C, a one for the class,

    $$ E(W) = \\frac1n \\sum_i \\Bigl( \\log \\sum_j e^{s_{ij}} - c_i' s_i \\Bigr). $$

    Write its value, its gradient, and the product of its Hessian with a matrix V of the shape of W, without forming the
    Hessian. All three must survive scores of 10000: add and subtract what keeps exponentials below 1, for each sample.
    """,
    functions=(
        Function(
            "value",
            "W, X, C",
            """
            Cross entropy E(W), a number.

            Args:
                W: weights (k, d).
                X: samples (n, d), one in each row.
                C: targets (n, k), one-hot.

            >>> W, X, C = np.array([[1.0, 0], [0, 1]]), np.array([[1.0, 2], [0, 1]]), np.eye(2)
            >>> round(float(value(W, X, C)), 6)
            0.813262
            >>> float(value(10000 * W, X, C))
            5000.0
            """,
            lambda W, X, C: (),
        ),
        Function(
            "gradient",
            "W, X, C",
            """
            Gradient of E, (k, d): entry [a, b] is the derivative with respect to W[a, b].

            >>> W, X, C = np.array([[1.0, 0], [0, 1]]), np.array([[1.0, 2], [0, 1]]), np.eye(2)
            >>> np.round(gradient(W, X, C), 4).tolist()
            [[-0.3655, -0.5966], [0.3655, 0.5966]]
            """,
            lambda W, X, C: W.shape,
        ),
        Function(
            "hessian",
            "W, X, C, V",
            """
            Product of the Hessian of E with V, both (k, d).

            >>> W, X, C = np.array([[1.0, 0], [0, 1]]), np.array([[1.0, 2], [0, 1]]), np.eye(2)
            >>> np.round(hessian(W, X, C, W), 4).tolist()
            [[-0.0983, -0.2949], [0.0983, 0.2949]]
            """,
            lambda W, X, C, V: W.shape,
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "sign of the gradient", "The gradient is (P - C)'X / n; this is (C - P)'X / n.", ({"factor": (1, -1, 1)},)
        ),
        Mistake(
            "sign of the value",
            "The value is log-sum minus the score of the right class.",
            ({"factor": (-1, 1, 1)}, {"factor": (-1, -1, -1)}),
        ),
        Mistake("1/n lost", "E is the mean over the samples; this is the sum.", _MANY),
        Mistake(
            "no shift",
            "exp of a score above 709 overflows. Subtract the largest score of each sample first.",
            ({"shift": "none"},),
        ),
        Mistake(
            "one shift for all samples",
            "Subtract the largest score of each sample, not of all: the others vanish.",
            ({"shift": "all"},),
        ),
        Mistake(
            "gradient of the first term with +",
            "The score of the right class enters with a minus: P - C, not P + C.",
            ({"plus": True},),
        ),
        Mistake("transposed", "W is (k, d), so its gradient is, too; this is (d, k).", ({"transposed": True},)),
        Mistake(
            "shift of 1e-5 in the Hessian",
            "A multiple of the identity was added; this Hessian has a null space.",
            ({"ridge": 1e-5},),
        ),
    ),
    checks=(
        Check("value of 20 samples", "1.11", lambda f, z: f.value(z.W, z.X, z.C), close(1e-12)),
        Check("the order of the samples does not matter", "1.11", _ordered, close(1e-12)),
        Check("samples given twice change nothing", "1.11", _twice, close(1e-12)),
        Check("scores to 10000", "1.11", _large, close(1e-10), 2),
        Check("gradient", "1.12", lambda f, z: f.gradient(z.W, z.X, z.C), close(1e-12), 2),
        Check("Taylor test of the gradient", "1.12", _taylor, order_two),
        Check("Hessian product", "1.11", lambda f, z: f.hessian(z.W, z.X, z.C, z.V), close(1e-11), 2),
        Check("Taylor test of the Hessian product", "1.12", _curvature, order_two),
        Check(
            "Hessian symmetric and not negative",
            "1.12",
            _definite,
            holds(
                lambda s: abs(s["skew"]) < 1e-12 and s["bend"] > 0,
                "<U, HV> = <V, HU>, <V, HV> > 0",
                lambda s: f"they differ by {s['skew']:.2g}, <V, HV> = {s['bend']:.3g}",
            ),
        ),
        Check(
            "null vectors of the Hessian: all scores raised alike",
            "1.11",
            _null,
            holds(lambda s: np.abs(s[""]).max() < 1e-12, "0", lambda s: f"{np.abs(s['']).max():.3g}"),
        ),
    ),
    elsewhere="""
    `W`, `X`, `C` and `V` as above, and `Xlarge`, samples with scores to 10000. Answers: `value`, `gradient` and
    `hessian` (its product with `V`) for `W`, `X`, `C`; `valuelarge` and `gradientlarge` with `Xlarge` for `X`.
    """,
    tables=lambda z: {"W": z.W, "X": z.X, "C": z.C, "V": z.V, "Xlarge": z.steep},
    answers=lambda f, z: {
        "value": f.value(z.W, z.X, z.C),
        "gradient": f.gradient(z.W, z.X, z.C),
        "hessian": f.hessian(z.W, z.X, z.C, z.V),
        "valuelarge": f.value(z.W, z.steep, z.C),
        "gradientlarge": f.gradient(z.W, z.steep, z.C),
    },
    refused=("scipy.special",),
)
