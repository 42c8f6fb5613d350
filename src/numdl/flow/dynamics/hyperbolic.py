"""Hyperbolic layers.

How does a layer carry waves: ``y'' = -K' act(K y + b)``, written as ``y' = v``, ``v' = -K' act(K y + b)``?
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Array

from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import Dynamics, Guarantee, plus, times
from numdl.flow.dynamics.hamiltonian import init
from numdl.flow.separable import Separable, halves


def vector_field(activation: Activation) -> Separable:
    """Right-hand side ``[v; -K' act(K y + b)]`` with ``u = [y; v]``; the inner width is free.

    The force is minus the gradient of ``sum Act(K y + b)``, ``Act' = act``: a bounded Jacobian with real eigenvalues
    that are not positive makes y oscillate and never explode. The energy ``||v||^2 / 2 + sum Act(K y + b)`` is
    conserved where the weights do not move.

    Args:
        activation: acts on each entry, non-decreasing.

    Returns:
        ``f(t, u, theta)``.

    Source: Ruthotto and Haber, Deep neural networks motivated by partial differential equations, JMIV 62, 2020, sec. 3.
    """
    return Separable(
        lambda t, v, theta: v,
        lambda t, y, theta: -times(theta["K"].T, activation(plus(times(theta["K"], y), theta["b"]))),
        columns=True,
    )


def energy(potential: Activation, u: Array, theta: dict[str, Any]) -> Array:
    """``||v||^2 / 2 + sum Act(K y + b)``.

    Args:
        potential: antiderivative of the activation, see ``numdl.flow.energy``.
        u: state ``[y; v]``, (m,).
        theta: weights of one layer.

    Returns:
        (), conserved where the weights do not move.
    """
    y, v = halves(u)
    return 0.5 * v @ v + potential(plus(times(theta["K"], y), theta["b"])).sum()


HYPERBOLIC = Dynamics("hyperbolic", init, vector_field, (Guarantee.VOLUME, Guarantee.WAVES), energy)
