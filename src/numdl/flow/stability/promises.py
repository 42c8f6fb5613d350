"""Does the network keep what its dynamics promise: an energy, or distances between samples?

Theorem 1: solutions of parabolic dynamics with a non-decreasing activation never move apart. Theorem 2: solutions of
hyperbolic dynamics with frozen weights stay within a bound; for the linearised problem, with ``omega^2`` the largest
eigenvalue of ``K' diag(act') K``, distances ``a`` of the positions and ``b`` of the velocities at time 0 give at time t
at most ``a + t b`` and ``omega a + b``.

Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62, 2020, sec. 3,
theorems 1 and 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from numdl.contracts import PyTree
from numdl.flow.energy import POTENTIALS
from numdl.flow.stability.layers import Layers


class Pairs(NamedTuple):
    """Distances of pairs of solutions.

    Attributes:
        spread: distance over that at time 0, of the pair that stands worst against the promise, (layers + 1,).
        promised: what the theorem allows for that pair, (layers + 1,); infinite without a promise.
    """

    spread: np.ndarray
    promised: np.ndarray


def pairs(states: np.ndarray, near: np.ndarray, field: Any, times: np.ndarray, omega: float) -> Pairs:
    """Distances of each sample from its neighbour and from a perturbed copy of itself.

    Args:
        states: of n samples, (layers + 1, n, m).
        near: of their perturbed copies, (layers + 1, n, m).
        field: the dynamics; None for maps.
        times: of the states, (layers + 1,).
        omega: largest modulus of an eigenvalue, in 1 / time.

    Returns:
        The worst pair at each time.
    """
    apart = np.concatenate([states - near, np.diff(states, axis=1)], axis=1)
    distance = np.linalg.norm(apart, axis=2)
    apart, distance = apart[:, distance[0] > 0], distance[:, distance[0] > 0]
    if not distance.shape[1]:  # the same sample several times, which no noise can move
        return Pairs(np.ones(len(states)), np.full(len(states), np.inf))
    allowed = np.full_like(distance, np.inf)
    if field is not None and field.conserves == "distances never grow":
        allowed = np.ones_like(distance)
    elif field is not None and field.name == "hyperbolic":
        half = apart.shape[2] // 2
        a, b = np.linalg.norm(apart[0, :, :half], axis=1), np.linalg.norm(apart[0, :, half:], axis=1)
        allowed = np.hypot(a + times[:, None] * b, omega * a + b) / distance[0]
    ratio = distance / distance[0]
    worst = np.argmax(ratio / allowed if np.isfinite(allowed).all() else ratio, axis=1)
    rows = np.arange(len(ratio))
    return Pairs(ratio[rows, worst], allowed[rows, worst])


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
