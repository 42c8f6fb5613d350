"""Regularised least squares for all alphas at once: decomposition, path, what it tells."""

from numdl.regularize.ridge.decomposition import RidgeDecomposition, decompose, decompose_triangle
from numdl.regularize.ridge.estimate import BiasVariance, bias_variance, covariance, resolution, sampled_bias_variance
from numdl.regularize.ridge.filters import Filter, Shares, tikhonov, truncated
from numdl.regularize.ridge.path import RidgePath, alpha_grid, ridge_path
from numdl.regularize.ridge.picard import Picard, picard
from numdl.regularize.ridge.validation import fold_errors, leave_one_out

__all__ = [
    "BiasVariance",
    "Filter",
    "Picard",
    "RidgeDecomposition",
    "RidgePath",
    "Shares",
    "alpha_grid",
    "bias_variance",
    "covariance",
    "decompose",
    "decompose_triangle",
    "fold_errors",
    "leave_one_out",
    "picard",
    "resolution",
    "ridge_path",
    "sampled_bias_variance",
    "tikhonov",
    "truncated",
]
