"""Guarantees of dynamics, checked.

Does the network keep what its dynamics promise: an energy, or distances between samples?

Theorem 1: solutions of parabolic dynamics with a non-decreasing activation never move apart. Theorem 2: solutions of
hyperbolic dynamics with frozen weights stay within a bound; for the linearised problem, with ``omega^2`` the largest
eigenvalue of ``K' diag(act') K``, distances ``a`` of the positions and ``b`` of the velocities at time 0 give at time t
at most ``a + t b`` and ``omega a + b``. Where weights move, the bounds at the end of a stretch begin the next one.

Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62, 2020, sec. 3,
theorems 1 and 2.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from numdl.analysis.stability.layers import Layers
from numdl.contracts import PyTree
from numdl.flow.activations import NON_DECREASING
from numdl.flow.dynamics import Guarantee
from numdl.flow.energy import POTENTIALS


class Pairs(NamedTuple):
    """Distances of pairs of solutions.

    Attributes:
        spread: distance over that at time 0, of the pair that stands worst against the promise, (layers + 1,).
        promised: what the theorem allows for that pair, (layers + 1,); infinite without a promise.
    """

    spread: np.ndarray
    promised: np.ndarray


def pairs(states: np.ndarray, near: np.ndarray, net: Any, layers: Layers, omega: np.ndarray) -> Pairs:
    """Distances of each sample from its neighbour and from a perturbed copy of itself.

    Args:
        states: of n samples, (layers + 1, n, m).
        near: of their perturbed copies, (layers + 1, n, m).
        net: whose dynamics promise something; None for maps.
        layers: the same network, layer by layer.
        omega: largest modulus of an eigenvalue in each layer, in 1 / time.

    Returns:
        The worst pair at each time.
    """
    apart = np.concatenate([states - near, np.diff(states, axis=1)], axis=1)
    distance = np.linalg.norm(apart, axis=2)
    apart, distance = apart[:, distance[0] > 0], distance[:, distance[0] > 0]
    if not distance.shape[1]:  # the same sample several times, which no noise can move
        return Pairs(np.ones(len(states)), np.full(len(states), np.inf))
    allowed = np.full_like(distance, np.inf)
    guarantees = net.field.guarantees if net is not None and net.activation in NON_DECREASING else ()
    if Guarantee.DISTANCES in guarantees:
        allowed = np.ones_like(distance)
    elif Guarantee.WAVES in guarantees:
        a, b = (np.linalg.norm(half, axis=1) for half in np.split(apart[0], 2, axis=1))
        count = len(states) - 1
        allowed = _waves(a, b, layers.h[:count], omega[:count], _frozen(net, layers)[:count]) / distance[0]
    ratio = distance / distance[0]
    worst = np.argmax(ratio / allowed if np.isfinite(allowed).all() else ratio, axis=1)
    rows = np.arange(len(ratio))
    return Pairs(ratio[rows, worst], allowed[rows, worst])


def _waves(a: np.ndarray, b: np.ndarray, h: np.ndarray, omega: np.ndarray, frozen: np.ndarray) -> np.ndarray:
    """Bound of theorem 2 on the distances after each layer, (layers + 1, pairs), begun anew where weights move."""
    bounds = [np.hypot(a, b)]
    starts = np.flatnonzero(~frozen)
    for start, end in zip(starts, [*starts[1:], len(h)], strict=True):
        rate = omega[start:end].max()
        t = np.cumsum(h[start:end])[:, None]
        far, fast = a + t * b, rate * a + b + 0 * t
        bounds.extend(np.hypot(far, fast))
        a, b = far[-1], fast[-1]
    return np.stack(bounds)


def _frozen(net: Any, layers: Layers) -> np.ndarray:
    """Whether a layer has the weights of the one before and neither moves, (layers,); the first has none before."""

    def weights(step: Any) -> np.ndarray:
        at = [net.weights_in_time.at(step.cell, c) for c in (0.0, 0.5, 1.0)]
        return np.stack([np.asarray(ravel_pytree(part)[0]) for part in at])

    found = [weights(step) for step in layers.steps]
    return np.array([False] + [np.ptp([*a, *b], axis=0).max(initial=0.0) == 0 for a, b in itertools.pairwise(found)])


def energy_changes(net: Any, theta: PyTree, layers: Layers, states: list[Any]) -> np.ndarray:
    """Relative change of the energy within each step, under the weights in its middle.

    Args:
        net: network whose field has an energy.
        theta: its weights.
        layers: the same network, layer by layer.
        states: before each layer and after the last, (n, m) each.

    Returns:
        ``max |H(u_{j+1}) - H(u_j)| / max |H(u_j)|`` over the samples, (layers,); empty where no energy is known.
    """
    if net is None or net.field.energy is None or net.activation not in POTENTIALS:
        return np.zeros(0)
    potential, control = POTENTIALS[net.activation], net.weights_in_time

    @jax.jit
    def energies(u: Any, step: Any) -> Any:
        weights = control.at(step.cell, 0.5)
        return jax.vmap(lambda u: net.field.energy(potential, u, weights))(u)

    changes = []
    for before, after, step in zip(states[:-1], states[1:], layers.steps, strict=False):
        old, new = np.asarray(energies(before, step)), np.asarray(energies(after, step))
        changes.append(np.abs(new - old).max() / max(np.abs(old).max(), np.finfo(float).tiny))
    return np.asarray(changes)
