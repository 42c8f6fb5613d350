"""Training as optimal control: the cost of a flow and its control, its optimality system, and its local models."""

from numdl.control.lagrangian import lagrangian
from numdl.control.layers import Layer, Layers
from numdl.control.methods.augmented_lagrangian import AugmentedLagrangian
from numdl.control.methods.discrete_approximations import DiscreteApproximations
from numdl.control.methods.multiple_shooting import MultipleShooting
from numdl.control.methods.one_shot import OneShot
from numdl.control.methods.successive_approximations import SuccessiveApproximations
from numdl.control.optimality import Optimality, adjoint_states, hamiltonian, optimality, sensitivity
from numdl.control.problem import ControlProblem
from numdl.control.reduced import linear_quadratic, riccati_step
from numdl.control.shots import Shot, shots

__all__ = [
    "AugmentedLagrangian",
    "ControlProblem",
    "DiscreteApproximations",
    "Layer",
    "Layers",
    "MultipleShooting",
    "OneShot",
    "Optimality",
    "Shot",
    "SuccessiveApproximations",
    "adjoint_states",
    "hamiltonian",
    "lagrangian",
    "linear_quadratic",
    "optimality",
    "riccati_step",
    "sensitivity",
    "shots",
]
