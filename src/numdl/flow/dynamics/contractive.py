"""Contractive layers: which layer forgets where it came from: ``f(t, u, theta) = -gamma u - K' act(K u + b)``?"""

from __future__ import annotations

from numdl import checks
from numdl.flow.activations import Activation
from numdl.flow.dynamics.base import Dynamics, Guarantee
from numdl.flow.dynamics.double_symmetric import DOUBLE_SYMMETRIC
from numdl.flow.semilinear import Semilinear, linear_part


def vector_field(activation: Activation, gamma: float = 0.1) -> Semilinear:
    """Right-hand side ``-gamma u - K' act(K u + b)``; ``K (r, m)``, ``b (r,)`` may have any inner width r.

    The symmetric part of its Jacobian is at most ``-gamma I`` for every non-decreasing activation, so two solutions
    approach each other: ``||u(t) - v(t)|| <= exp(-gamma t) ||u(0) - v(0)||``.

    Args:
        activation: acts on each entry, non-decreasing.
        gamma: rate of contraction, in 1 / time, positive.

    Returns:
        ``f(t, u, theta)``.

    Raises:
        ValueError: gamma is not positive or not finite.

    Source: Soderlind, The logarithmic norm, BIT 46, 2006, sec. 3; the layer is that of Ruthotto and Haber, JMIV 62,
    2020.
    """
    checks.number("contractive.vector_field", "gamma", gamma, above=0, hint="Use double_symmetric for 0.")
    return Semilinear(linear_part(-gamma), DOUBLE_SYMMETRIC.vector_field(activation))


CONTRACTIVE = Dynamics("contractive", DOUBLE_SYMMETRIC.init, vector_field, (Guarantee.DISTANCES,), damping=0.1)
