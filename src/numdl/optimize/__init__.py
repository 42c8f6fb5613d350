"""Lower a Problem: one loop, one file per method."""

from numdl.optimize.augmented_lagrangian import AugmentedLagrangian
from numdl.optimize.bfgs import BFGS
from numdl.optimize.block_coordinate_descent import BlockCoordinateDescent
from numdl.optimize.cascadic import Level, Refinement, minimize_cascadic
from numdl.optimize.compare import Curve, Entry, compare
from numdl.optimize.discrete_approximations import DiscreteApproximations
from numdl.optimize.inexact_newton import InexactNewton
from numdl.optimize.lbfgs import LBFGS
from numdl.optimize.levenberg_marquardt import LevenbergMarquardt
from numdl.optimize.levenberg_marquardt_qr import LevenbergMarquardtQR
from numdl.optimize.line_search import armijo, strong_wolfe
from numdl.optimize.loop import Adapt, Adapted, Best, NoFiniteStart, Progress, minimize
from numdl.optimize.multiple_shooting import MultipleShooting
from numdl.optimize.nesterov import nesterov
from numdl.optimize.newton import Newton
from numdl.optimize.nonlinear_cg import NonlinearCG
from numdl.optimize.one_shot import OneShot
from numdl.optimize.optax import Optax
from numdl.optimize.optimistix import Optimistix
from numdl.optimize.projected_gauss_newton import ProjectedGaussNewton
from numdl.optimize.projected_gradient import ProjectedGradient
from numdl.optimize.proximal_gradient import ProximalGradient
from numdl.optimize.resampled import minimize_resampled, sample_gap
from numdl.optimize.steepest_descent import SteepestDescent
from numdl.optimize.stochastic import StochasticProgress, minimize_stochastic
from numdl.optimize.stochastic_gradient import StochasticGradient
from numdl.optimize.subsampled import minimize_subsampled
from numdl.optimize.successive_approximations import SuccessiveApproximations
from numdl.optimize.trust_region import NewtonCG, TrustRegion

__all__ = [
    "BFGS",
    "LBFGS",
    "Adapt",
    "Adapted",
    "AugmentedLagrangian",
    "Best",
    "BlockCoordinateDescent",
    "Curve",
    "DiscreteApproximations",
    "Entry",
    "InexactNewton",
    "Level",
    "LevenbergMarquardt",
    "LevenbergMarquardtQR",
    "MultipleShooting",
    "Newton",
    "NewtonCG",
    "NoFiniteStart",
    "NonlinearCG",
    "OneShot",
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
    "SuccessiveApproximations",
    "TrustRegion",
    "armijo",
    "compare",
    "minimize",
    "minimize_cascadic",
    "minimize_resampled",
    "minimize_stochastic",
    "minimize_subsampled",
    "nesterov",
    "sample_gap",
    "strong_wolfe",
]
