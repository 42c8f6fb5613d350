"""Second-order layers.

What is a layer with inertia: ``y'' = act(K y + b)``, written as ``y' = v``, ``v' = act(K y + b)``?
"""

from __future__ import annotations

from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import Dynamics, Guarantee, plus, times
from numdl.flow.dynamics.hamiltonian import init
from numdl.flow.separable import Separable


def vector_field(activation: Activation) -> Separable:
    """Right-hand side ``[v; act(K y + b)]`` with ``u = [y; v]``.

    The symplectic Euler scheme on it is the leapfrog ``y_{j+1} = 2 y_j - y_{j-1} + h^2 act(K_j y_j + b_j)``; a state
    whose second half is zero starts it at rest.

    Args:
        activation: acts on each entry.

    Returns:
        ``f(t, u, theta)``.

    Source: Haber and Ruthotto, Stable architectures for deep neural networks, Inverse Problems 34, 2018, sec. 4.2.
    """
    return Separable(
        lambda t, v, theta: v, lambda t, y, theta: activation(plus(times(theta["K"], y), theta["b"])), columns=True
    )


SECOND_ORDER = Dynamics("second_order", init, vector_field, (Guarantee.VOLUME,))
