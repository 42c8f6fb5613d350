"""Jacobian eigenvalues and logarithmic norms.

Which eigenvalues and which logarithmic norm has the Jacobian of the dynamics along trajectories?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from numdl.analysis.stability.layers import Layers

DENSE = 256
"""Up to this width Jacobians are formed; above, eigenvalues come from products."""

FEW = 8
"""Eigenvalues from products: so many of largest modulus and so many of largest real part."""

RESTARTS, ACCURACY = 300, 1e-8
"""Where eigenvalues lie close together, as those of antisymmetric matrices do, all digits took 90 s for one state of
width 300 and 10 s with these, for the same eigenvalues; what has not converged is left out."""


def spectra(layers: Layers, states: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of ``J = df/du`` and its logarithmic 2-norm, at the start of each step.

    ``mu(J)`` is the largest eigenvalue of ``(J + J') / 2``: two solutions move apart no faster than ``exp(mu t)``.

    Args:
        layers: of the network.
        states: finite states before each layer that is to be judged, (n, m) each.

    Returns:
        Eigenvalues (layers, n, m), or (layers, n, 16) of those farthest out for m > 256, filled up by NaN; and
        logarithmic norms (layers, n), in 1 / time.

    Source: Soederlind, The logarithmic norm: history and modern theory, BIT 46, 2006; Lehoucq, Sorensen and Yang,
    ARPACK users' guide, SIAM 1998.
    """
    find = (_dense if states[0].shape[1] <= DENSE else _products)(layers)
    found = [find(u, step) for u, step in zip(states, layers.steps, strict=False)]
    return np.stack([values for values, _ in found]), np.stack([norms for _, norms in found])


Find = Callable[[Any, Any], tuple[np.ndarray, np.ndarray]]


def _dense(layers: Layers) -> Find:
    """From the Jacobians."""

    @layers.compiled
    def jacobians(u: Any, step: Any) -> Any:
        return jax.vmap(jax.jacfwd(lambda u: layers.rate(u, step)))(u)

    def find(u: Any, step: Any) -> tuple[np.ndarray, np.ndarray]:
        J = np.asarray(jacobians(u, step))
        if not np.isfinite(J).all():
            return np.full(J.shape[:2], np.nan + 0j), np.full(len(J), np.nan)
        return np.linalg.eigvals(J).astype(complex), np.linalg.eigvalsh((J + J.transpose(0, 2, 1)) / 2)[:, -1]

    return find


def _products(layers: Layers) -> Find:
    """From products with the Jacobians, sample by sample."""

    @layers.compiled
    def product(u: Any, step: Any, v: Any) -> Any:
        return jax.jvp(lambda u: layers.rate(u, step), (u,), (v,))[1]

    @layers.compiled
    def symmetric(u: Any, step: Any, v: Any) -> Any:
        (back,) = jax.vjp(lambda u: layers.rate(u, step), u)[1](v)
        return (product(u, step, v) + back) / 2

    def find(u: Any, step: Any) -> tuple[np.ndarray, np.ndarray]:
        values = [[outermost(product, row, step, FEW, which) for which in ("LM", "LR")] for row in u]
        norms = [np.real(outermost(symmetric, row, step, 1, "LA", symmetric=True))[0] for row in u]
        return np.reshape(values, (len(u), 2 * FEW)), np.asarray(norms)

    return find


def outermost(times: Any, u: Any, step: Any, count: int, which: str, symmetric: bool = False) -> np.ndarray:
    """Eigenvalues of a matrix that is known by its products, of one state and step.

    Args:
        times: ``times(u, step, v)``, the product with v (m,).
        u: state, (m,).
        step: of the network.
        count: how many.
        which: end of the spectrum, as ARPACK names it: ``"LM"``, ``"LR"`` or ``"LA"``.
        symmetric: whether the matrix is.

    Returns:
        Complex, (count,), filled up by NaN where they have not converged.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, eigsh

    m = len(u)
    times_v = lambda v: np.asarray(times(u, step, v.ravel()))  # noqa: E731
    operator: Any = LinearOperator((m, m), times_v, dtype=float)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(0).standard_normal(m)
    try:
        given = {"v0": start, "tol": ACCURACY, "maxiter": RESTARTS, "return_eigenvectors": False}
        found: Any = (eigsh if symmetric else eigs)(operator, k=count, which=which, **given)
    except ArpackNoConvergence as error:
        found = error.eigenvalues
    filled = np.full(count, np.nan + 0j)
    filled[: len(found[:count])] = found[:count]
    return filled
