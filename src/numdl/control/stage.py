"""Stage Hamiltonian: what is the Hamiltonian of one step of a control problem?"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import Steps


def stage_hamiltonian(problem: Any, stage: Steps, u: Float[Array, " m"], lam: Float[Array, " m"]) -> Float[Array, ""]:
    """``lambda' Phi_j(u) + L_j(u)`` of one sample and step: the Hamiltonian of the discrete system.

    Args:
        problem: a ``ControlProblem``.
        stage: the step.
        u: state before it, (m,).
        lam: adjoint after it, (m,).

    Returns:
        In units of the cost, ().
    """
    onward, rest = problem.step(stage, u)
    return lam @ onward + jnp.sum(rest**2) / 2
