"""What does one step of a control problem need to know, and what is its Hamiltonian?"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import PyTree


class Stage(NamedTuple):
    """One step, or all steps with the leading axis nt.

    Attributes:
        t: start, in time.
        h: size, in time.
        cell: what the control says of the step.
    """

    t: Float[Array, ...]
    h: Float[Array, ...]
    cell: PyTree


def stage_hamiltonian(problem: Any, stage: Stage, u: Float[Array, " m"], lam: Float[Array, " m"]) -> Float[Array, ""]:
    """``lambda' Phi_j(u) + h L`` of one sample and step: the Hamiltonian of the discrete system.

    Args:
        problem: a ``ControlProblem``.
        stage: the step.
        u: state before it, (m,).
        lam: adjoint after it, (m,).

    Returns:
        In units of the cost, ().
    """
    return lam @ problem.advance(stage, u) + jnp.sum(problem.running_residual(stage, u) ** 2) / 2
