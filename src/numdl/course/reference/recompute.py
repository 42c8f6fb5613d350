"""Recomputation of reference results: which of them take seconds, and how are they computed from scratch?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Record = Mapping[str, Any]
Found = dict[str, float]


def peaks(record: Record) -> Found:
    """Values of the surface, its extrema by Newton's method on its slope, and the error of a constant.

    Args:
        record: of the reference.

    Returns:
        What to value, as of every function here.
    """
    from scipy.optimize import minimize

    from numdl.data.problems.toys import peaks as surface

    def extremum(sign: float, start: tuple[float, float]) -> float:
        settings = {"xatol": 1e-10, "fatol": 1e-14}
        found = minimize(lambda p: sign * float(surface(*p)), start, method="Nelder-Mead", options=settings)
        return sign * float(found.fun)

    axis = np.linspace(-3, 3, 801)
    values = surface(*np.meshgrid(axis, axis))
    return {
        "value at (0, 0)": float(surface(0.0, 0.0)),
        "value at (1, -2)": float(surface(1.0, -2.0)),
        "largest value": extremum(-1.0, (0.0, 1.6)),
        "smallest value": extremum(1.0, (0.2, -1.6)),
        "standard deviation over the square": float(_trapezoid_deviation(values)),
    }


def _trapezoid_deviation(values: np.ndarray) -> float:
    """Standard deviation over a square by the trapezoidal rule."""
    w = np.ones(len(values))
    w[[0, -1]] = 0.5
    weights = np.outer(w, w) / np.sum(w) ** 2
    mean = np.sum(weights * values)
    return float(np.sum(weights * (values - mean) ** 2) ** 0.5)


def ellipses(record: Record) -> Found:
    """Share of the points that the best ellipse and the best line separate, of many points."""
    from numdl.data import TOYS

    data = TOYS["ellipses"](200_000, 0)
    inner = data.c[:, 0] > 0.5
    r = np.hypot(data.x[:, 0], data.x[:, 1] / 0.4)
    areas = np.pi * 0.4 * np.array([1.0, 4.0 - 1.25**2])
    return {
        "largest radius of class 0, in half axes": float(r[inner].max().round(3)),
        "smallest radius of class 1, in half axes": float(r[~inner].min().round(3)),
        "largest radius of class 1, in half axes": float(r[~inner].max().round(3)),
        "area of class 0": float(areas[0]),
        "area of class 1": float(areas[1]),
        "mean square radius of class 0, in half axes": float(np.mean(r[inner] ** 2)),
    }


def stability_regions(record: Record) -> Found:
    """Where ``|R(z)| = 1`` on the negative real and on the imaginary axis, by bisection."""
    from numdl.flow import get_scheme

    def end(scheme: str, direction: complex) -> float:
        stability: Any = get_scheme(scheme).stability
        low, high = 1e-3, 10.0  # stable and unstable
        for _ in range(60):
            middle = (low + high) / 2
            stable = abs(complex(stability(np.array(middle * direction)))) <= 1.0
            low, high = (middle, high) if stable else (low, middle)
        return low

    return {
        "euler, real axis": end("euler", -1.0),
        "heun, real axis": end("heun", -1.0),
        "rk3, real axis": end("rk3", -1.0),
        "rk4, real axis": end("rk4", -1.0),
        "rk3, imaginary axis": end("rk3", 1j),
        "rk4, imaginary axis": end("rk4", 1j),
    }


def stability_toy(record: Record) -> Found:
    """Half the sum of squares at the true parameters, with five and with a hundred steps."""
    import jax

    from numdl.course.dynamics.stability_toy import STEPS, TRUE_STEPS, TRUTH, paths

    x = np.array(record["data"]["x"])
    with jax.enable_x64(True):
        c = paths(TRUTH, x, TRUE_STEPS)[:, -1]
        misfit = {kind: 0.5 * float(np.sum((paths(TRUTH, x, nt)[:, -1] - c) ** 2)) for kind, nt in STEPS.items()}
    return {"misfit at the truth, h = 2": misfit["coarse"], "misfit at the truth, h = 0.1": misfit["fine"]}


def deblurring(record: Record) -> Found:
    """Singular values of the blur, and the error of the best alpha, of GCV and of no penalty on one draw of noise."""
    from numdl.data.problems.inverse_problems import deblurring as blur
    from numdl.regularize.ridge import alpha_grid, decompose, ridge_path
    from numdl.regularize.selectors import GUARD, gcv

    problem = blur(200)
    A: Any = problem.A
    sigma = np.linalg.svd(np.asarray(A), compute_uv=False)
    d = decompose(problem.A, problem.noisy(1e-3, 0)[:, None])
    path = ridge_path(d, alpha_grid(d, 120))
    size = np.linalg.norm(problem.x)
    errors = [np.linalg.norm(d.solution(alpha)[0][:, 0] - problem.x) / size for alpha in path.alphas]
    return {
        "largest singular value": float(sigma[0]),
        "singular value 20": float(sigma[19]),
        "least relative error on the path": float(min(errors)),
        "relative error of guarded GCV": float(errors[gcv(path, guard=GUARD).index]),
    }


def hamiltonian_layers(record: Record) -> Found:
    """Four symplectic Euler steps with one matrix for each, written out in NumPy."""
    data = {key: np.array(value) for key, value in record["data"].items()}
    y, z, h = data["x"], np.zeros_like(data["x"]), float(data["h"])
    for K, b in zip(data["K"], data["b"], strict=True):
        z = z - h * np.tanh(y @ K + b)  # rows are samples: y K is K' y
        y = y + h * np.tanh(z @ K.T + b)
    return {f"y[{i}][{j}]": float(y[i, j]) for i in range(2) for j in range(y.shape[1])}


def _growth(b: Any, x: Any) -> Any:
    import jax.numpy as jnp

    return b[0] * (1 - jnp.exp(-b[1] * x))


def _power(b: Any, x: Any) -> Any:
    return b[0] * x ** b[1]


def _logistic(b: Any, x: Any) -> Any:
    import jax.numpy as jnp

    return b[0] / (1 + jnp.exp(b[1] - b[2] * x))


STRD_MODELS: dict[str, Callable[[Any, Any], Any]] = {
    "Misra1a": _growth,
    "BoxBOD": _growth,
    "DanWood": _power,
    "Rat42": _logistic,
}
"""Those of the nonlinear problems of NIST whose data come along."""


def strd_nonlinear(record: Record) -> Found:
    """Levenberg-Marquardt by QR from NIST's second start."""
    import jax
    import jax.numpy as jnp

    from numdl.optimize import LevenbergMarquardtQR, minimize
    from numdl.problems import NonlinearLeastSquares

    found: Found = {}
    with jax.enable_x64(True):
        for name, model in STRD_MODELS.items():
            data = record["data"][name]
            x, c = (jnp.asarray(np.array(data[key], float)[:, None]) for key in ("x", "y"))
            problem = NonlinearLeastSquares(model, x, c)
            start = jnp.asarray(np.array(data["starts"][1], float))
            p = minimize(problem, LevenbergMarquardtQR(tol=1e-12), start, max_iter=1000)[0].p
            found |= {f"{name}, b{j + 1}": float(value) for j, value in enumerate(p)}
            found[f"{name}, sum of squares"] = 2 * len(x) * float(problem.value(p)[0])
    return found


RECOMPUTED: dict[str, Callable[[Record], Found]] = {
    "deblurring": deblurring,
    "ellipses": ellipses,
    "hamiltonian-layers": hamiltonian_layers,
    "peaks": peaks,
    "stability-regions": stability_regions,
    "stability-toy": stability_toy,
    "strd-nonlinear": strd_nonlinear,
}
"""Name to what computes it."""
