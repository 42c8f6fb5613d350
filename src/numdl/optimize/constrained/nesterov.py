"""Nesterov's accelerated gradient.

How fast can a method be that knows gradients only: Nesterov's acceleration, with restarts.

``p_new = y - g(y)/L`` with y extrapolated along the last step. On convex problems ``f - f* <= 2 L |p_0 - p*|^2 / k^2``;
with the restart the error falls like ``(1 - 1/sqrt(kappa))^k`` on strongly convex ones, whose constant nobody needs to
know. It is the accelerated proximal gradient method without a proximal term.

Sources: Nesterov, Soviet Math. Dokl. 27 (1983) 372-376; O'Donoghue and Candes, Found. Comput. Math. 15 (2015).
"""

from __future__ import annotations

from typing import Any

from numdl.optimize.constrained.proximal_gradient import ProximalGradient


def nesterov(**options: Any) -> ProximalGradient:
    """Nesterov's method.

    Args:
        **options: fields of ``ProximalGradient`` other than ``prox`` and ``accelerated``.

    Returns:
        The method.
    """
    return ProximalGradient(prox=None, accelerated=True, **options)
