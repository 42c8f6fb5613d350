"""Stability of single steps.

Does a step make something grow that decays, where eigenvalues of the dynamics alone do not tell?

A scheme that takes one part of the dynamics implicitly and the other explicitly has no stability function of
``h lambda``: two parts that do not commute have no eigenvalues in common. What a step does to small perturbations is
the matrix ``S = dPhi/du``, for every scheme. Held at the state, the differential equation multiplies them by
``exp(h J)``, with spectral radius ``exp(h a)`` for the largest real part a of the eigenvalues of J. So a step keeps
down what decays if

    rho(S) <= max(1, exp(h a)) .

Where the dynamics themselves grow, a > 0, only growth beyond theirs is seen. Cost: m products with S and its
eigenvalues, for each layer and sample; step sizes are tried at a few of the states where rho(S) is largest.

Source: Ascher, Ruuth and Wetton, Implicit-explicit methods for time-dependent partial differential equations, SIAM J.
Numer. Anal. 32, 1995, sec. 2 (both parts of the test equation count).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from numdl.analysis.stability.layers import Layers
from numdl.analysis.stability.regions import largest_stable
from numdl.analysis.stability.spectra import DENSE, outermost

SLACK = 1e-6
"""How much of a spectral radius above its bound is rounding: a defective eigenvalue is known to the root of it only."""

TRIED, WORK = 16, 2**22
"""Step sizes are tried at so many states, fewer where the eigenvalues of their matrices cost more than this, m^3."""


class Judged(NamedTuple):
    """What steps do, layer by layer.

    Attributes:
        amplification: largest spectral radius of ``dPhi/du`` over the samples, (layers,); infinite where it overflows.
        leaves: whether it is above what the dynamics allow, for a sample, (layers,).
        largest_h: largest step size up to which all smaller ones keep below, at the states tried, in time; 0 or
            infinite where none was found.
    """

    amplification: np.ndarray
    leaves: np.ndarray
    largest_h: float


def judge_steps(layers: Layers, states: list[Any], values: np.ndarray) -> Judged:
    """Spectral radii of the steps against the growth that the dynamics allow.

    Args:
        layers: of the network, of a scheme that carries the state alone.
        states: finite states before each layer that is to be judged, (n, m) each.
        values: eigenvalues of ``J = df/du`` there, (layers, n, count), filled up by NaN.

    Returns:
        What steps do.
    """
    radii = _radii(layers, states[0].shape[1])
    found = np.stack([radii(u, step) for u, step in zip(states, layers.steps, strict=False)])
    rates = np.nanmax(np.real(values), axis=2, initial=0.0)
    h = layers.h[: len(found)]
    beyond = _log(found) - h[:, None] * rates
    tried = max(1, min(TRIED, WORK // states[0].shape[1] ** 3))
    worst = np.argsort(beyond, axis=None)[::-1][:tried]
    some = [np.unravel_index(index, beyond.shape) for index in worst]

    def keeps(size: float) -> bool:
        grown = [radii(states[j][i : i + 1], layers.steps[j]._replace(h=np.asarray(size)))[0] for j, i in some]
        return all(_log(radius) <= size * rates[j, i] + SLACK for radius, (j, i) in zip(grown, some, strict=True))

    leaves = (beyond > SLACK).any(axis=1)
    return Judged(found.max(axis=1), leaves, largest_stable(keeps, float(h.max())))


def _log(radii: Any) -> Any:
    """Logarithm of radii that may be 0; exp(h a) may overflow for the sizes that are tried."""
    return np.log(np.maximum(radii, np.finfo(float).tiny))


def _radii(layers: Layers, m: int) -> Callable[[Any, Any], np.ndarray]:
    """Function of states (n, m) and a step: spectral radius of the step at each, (n,)."""
    if m > DENSE:
        product = layers.compiled(lambda u, step, v: jax.jvp(lambda u: layers.advance(u, step), (u,), (v,))[1])
        return lambda u, step: np.array([np.nanmax(np.abs(outermost(product, row, step, 1, "LM"))) for row in u])
    jacobians = layers.compiled(lambda u, step: jax.vmap(jax.jacfwd(lambda u: layers.advance(u, step)))(u))

    def dense(u: Any, step: Any) -> np.ndarray:
        S = np.asarray(jacobians(u, step))
        good = np.asarray(np.isfinite(S).all(axis=(1, 2)))
        radii = np.abs(np.linalg.eigvals(np.where(good[:, None, None], S, 0.0))).max(axis=1)
        return np.where(good, radii, np.inf)

    return dense
