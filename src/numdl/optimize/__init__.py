"""Lower a Problem: one loop, one file per method."""

from numdl.optimize.adapters.optax import Optax
from numdl.optimize.adapters.optimistix import Optimistix
from numdl.optimize.constrained.nesterov import nesterov
from numdl.optimize.constrained.projected_gauss_newton import ProjectedGaussNewton
from numdl.optimize.constrained.projected_gradient import ProjectedGradient
from numdl.optimize.constrained.proximal_gradient import ProximalGradient
from numdl.optimize.drivers.cascadic import Level, Refinement, minimize_cascadic
from numdl.optimize.drivers.compare import Curve, Entry, compare
from numdl.optimize.drivers.loop import Adapt, Adapted, Best, NoFiniteStart, Progress, minimize
from numdl.optimize.drivers.sample_average import minimize_sample_average, sample_gap
from numdl.optimize.drivers.stochastic import StochasticProgress, minimize_stochastic
from numdl.optimize.drivers.subsampled import minimize_subsampled
from numdl.optimize.least_squares.levenberg_marquardt import LevenbergMarquardt
from numdl.optimize.least_squares.levenberg_marquardt_qr import LevenbergMarquardtQR
from numdl.optimize.parts.line_search import armijo, strong_wolfe
from numdl.optimize.smooth.bfgs import BFGS
from numdl.optimize.smooth.block_coordinate_descent import BlockCoordinateDescent
from numdl.optimize.smooth.inexact_newton import InexactNewton
from numdl.optimize.smooth.lbfgs import LBFGS
from numdl.optimize.smooth.newton import Newton
from numdl.optimize.smooth.nonlinear_cg import NonlinearCG
from numdl.optimize.smooth.steepest_descent import SteepestDescent
from numdl.optimize.smooth.stochastic_gradient import StochasticGradient
from numdl.optimize.smooth.trust_region import NewtonCG, TrustRegion

__all__ = [
    "BFGS",
    "LBFGS",
    "Adapt",
    "Adapted",
    "Best",
    "BlockCoordinateDescent",
    "Curve",
    "Entry",
    "InexactNewton",
    "Level",
    "LevenbergMarquardt",
    "LevenbergMarquardtQR",
    "Newton",
    "NewtonCG",
    "NoFiniteStart",
    "NonlinearCG",
    "Optax",
    "Optimistix",
    "Progress",
    "ProjectedGaussNewton",
    "ProjectedGradient",
    "ProximalGradient",
    "Refinement",
    "SteepestDescent",
    "StochasticGradient",
    "StochasticProgress",
    "TrustRegion",
    "armijo",
    "compare",
    "minimize",
    "minimize_cascadic",
    "minimize_sample_average",
    "minimize_stochastic",
    "minimize_subsampled",
    "nesterov",
    "sample_gap",
    "strong_wolfe",
]
