"""Neural ODE flow: how does one sample move through the network, read as ``du/dt = f(t, u, theta(t))``?"""

from numdl.flow.activations import ACTIVATIONS, get_activation
from numdl.flow.controls import CONTROLS, get_control
from numdl.flow.controls.basis import BasisInTime
from numdl.flow.controls.piecewise import PiecewiseConstant, PiecewiseLinear
from numdl.flow.controls.prolong import PROLONGATIONS, prolong
from numdl.flow.controls.smooth import SmoothInTime
from numdl.flow.dynamics import DYNAMICS, Dynamics, Guarantee, damped, get_dynamics
from numdl.flow.energy import POTENTIALS, energy
from numdl.flow.graphs import on_graph
from numdl.flow.images import on_images
from numdl.flow.march import MARCHES, BiasControl, LayerParallel, ParallelNewton, final, get_march, serial
from numdl.flow.schemes import SCHEMES, explicit, get_scheme
from numdl.flow.semilinear import Semilinear, circulant_part, linear_part
from numdl.flow.separable import Separable

__all__ = [
    "ACTIVATIONS",
    "CONTROLS",
    "DYNAMICS",
    "MARCHES",
    "POTENTIALS",
    "PROLONGATIONS",
    "SCHEMES",
    "BasisInTime",
    "BiasControl",
    "Dynamics",
    "Guarantee",
    "LayerParallel",
    "ParallelNewton",
    "PiecewiseConstant",
    "PiecewiseLinear",
    "Semilinear",
    "Separable",
    "SmoothInTime",
    "circulant_part",
    "damped",
    "energy",
    "explicit",
    "final",
    "get_activation",
    "get_control",
    "get_dynamics",
    "get_march",
    "get_scheme",
    "linear_part",
    "on_graph",
    "on_images",
    "prolong",
    "serial",
]
