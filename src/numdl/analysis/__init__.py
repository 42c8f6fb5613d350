"""Analysis of training: why is training hard: what does an objective look like, and how do networks fail?

Everything takes a ``Problem`` by its contract, or a plain function.
"""

from numdl.analysis.adversarial import (
    Attack,
    GradientSearch,
    LinearisedSearch,
    ProjectedSearch,
    attack,
    certified_radius,
)
from numdl.analysis.directions import filter_normalised, random_direction
from numdl.analysis.landscape import Cut, Plane, cut, on_grid, plane
from numdl.analysis.layers import gradient_by_layer, gradient_by_state
from numdl.analysis.overfitting import OverfittingCurve, Watch, over_complexity
from numdl.analysis.spectra import Density, Eigenpairs, Spectrum, eigenpairs, spectrum
from numdl.analysis.starts import MultiStart, multistart

__all__ = [
    "Attack",
    "Cut",
    "Density",
    "Eigenpairs",
    "GradientSearch",
    "LinearisedSearch",
    "MultiStart",
    "OverfittingCurve",
    "Plane",
    "ProjectedSearch",
    "Spectrum",
    "Watch",
    "attack",
    "certified_radius",
    "cut",
    "eigenpairs",
    "filter_normalised",
    "gradient_by_layer",
    "gradient_by_state",
    "multistart",
    "on_grid",
    "over_complexity",
    "plane",
    "random_direction",
    "spectrum",
]
