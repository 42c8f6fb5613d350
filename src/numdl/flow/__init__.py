"""How does one sample move through the network, read as ``du/dt = f(t, u, theta(t))``?"""

from numdl.flow.activations import ACTIVATIONS, get_activation
from numdl.flow.control import PiecewiseConstant, PiecewiseLinear
from numdl.flow.fields import FIELDS, Field, get_field
from numdl.flow.march import final, serial
from numdl.flow.schemes import SCHEMES, get_scheme
from numdl.flow.smooth import SmoothInTime

__all__ = [
    "ACTIVATIONS",
    "FIELDS",
    "SCHEMES",
    "Field",
    "PiecewiseConstant",
    "PiecewiseLinear",
    "SmoothInTime",
    "final",
    "get_activation",
    "get_field",
    "get_scheme",
    "serial",
]
