"""Regularised least squares for all alphas at once: decomposition, path, what it tells."""

from numdl.regularize.ridge.decomposition import RidgeDecomposition, decompose, decompose_condensed
from numdl.regularize.ridge.estimate import BiasVariance, bias_variance, covariance, resolution, sampled_bias_variance
from numdl.regularize.ridge.filters import Filter, Shares, tikhonov, truncated
from numdl.regularize.ridge.noise import noise_level
from numdl.regularize.ridge.path import RidgePath, alpha_grid, ridge_path, truncation_grid
from numdl.regularize.ridge.picard import Picard, picard
from numdl.regularize.ridge.validation import Fold, fold_errors, leave_one_out, prepare_folds

__all__ = [
    "BiasVariance",
    "Filter",
    "Fold",
    "Picard",
    "RidgeDecomposition",
    "RidgePath",
    "Shares",
    "alpha_grid",
    "bias_variance",
    "covariance",
    "decompose",
    "decompose_condensed",
    "fold_errors",
    "leave_one_out",
    "noise_level",
    "picard",
    "prepare_folds",
    "resolution",
    "ridge_path",
    "sampled_bias_variance",
    "tikhonov",
    "truncated",
    "truncation_grid",
]
