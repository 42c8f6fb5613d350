"""Training as optimal control: the cost of a flow and its control, its optimality system, and its local models."""

from numdl.problems.control.lagrangian import lagrangian
from numdl.problems.control.layers import Layer, Layers
from numdl.problems.control.optimality import Optimality, adjoint, hamiltonian, optimality, sensitivity
from numdl.problems.control.problem import ControlProblem
from numdl.problems.control.reduced import linear_quadratic, riccati_step
from numdl.problems.control.shots import Shot, shots

__all__ = [
    "ControlProblem",
    "Layer",
    "Layers",
    "Optimality",
    "Shot",
    "adjoint",
    "hamiltonian",
    "lagrangian",
    "linear_quadratic",
    "optimality",
    "riccati_step",
    "sensitivity",
    "shots",
]
