"""Covariance and resolution of an estimate: how sure and how blurred is a regularised estimate?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from numdl import checks
from numdl.regularize.ridge.decomposition import RidgeDecomposition
from numdl.regularize.ridge.filters import Filter, require_alphas, tikhonov


def resolution(decomposition: RidgeDecomposition, alpha: float, filter: Filter = tikhonov) -> Float[np.ndarray, "p p"]:
    """Matrix R with ``E[estimate - X0] = R (truth - X0)``: column j shows how a spike at j is blurred.

    ``R = sum_j f_j b_j b_j^+``; the identity where nothing is lost.

    Args:
        decomposition: from ``decompose``.
        alpha: penalty of the mean misfit, not negative.
        filter: how directions are kept.

    Returns:
        (p, p).

    Raises:
        ValueError: alpha is negative or not finite.
        TypeError: there is no decomposition.

    Source: Hansen, Discrete Inverse Problems, SIAM 2010, sec. 4.6 and eq. 4.30.
    """
    checks.instance("resolution", "decomposition", decomposition, RidgeDecomposition, "Use decompose.")
    checks.number("resolution", "alpha", alpha, least=0)
    checks.function("resolution", "filter", filter, "(c, s, alphas) -> Shares")
    d = decomposition
    return (d.basis * filter(d.c, d.s, np.array([float(alpha)])).kept[0]) @ d.dual


def covariance(
    decomposition: RidgeDecomposition, alpha: float, noise: float, filter: Filter = tikhonov
) -> Float[np.ndarray, "p p"]:
    """Covariance of the estimate under independent errors of the targets: ``noise^2 / n sum_j (f_j / c_j)^2 b_j b_j'``.

    The bias is not in it: it tells how far the estimate moves with the noise, not how far it is from the truth.

    Args:
        decomposition: from ``decompose``.
        alpha: penalty of the mean misfit, not negative.
        noise: standard deviation, not negative, of the error of an observation of weight 1, in units of the targets.
        filter: how directions are kept.

    Returns:
        (p, p), for each target.

    Raises:
        ValueError: alpha or the noise is negative or not finite.
        TypeError: there is no decomposition.
    """
    checks.instance("covariance", "decomposition", decomposition, RidgeDecomposition, "Use decompose.")
    checks.number("covariance", "alpha", alpha, least=0)
    checks.number("covariance", "noise", noise, least=0, hint="Give a standard deviation.")
    checks.function("covariance", "filter", filter, "(c, s, alphas) -> Shares")
    d = decomposition
    kept = filter(d.c, d.s, np.array([float(alpha)])).kept[0]
    gain = np.divide(kept, d.c, out=np.zeros_like(kept), where=d.c > 0)
    return noise**2 / d.n * (d.basis * gain**2) @ d.basis.T


class BiasVariance(NamedTuple):
    """Mean squared error of predictions at the training samples, taken apart.

    Attributes:
        squared_bias: what the penalty takes from the truth, (m,).
        variance: what the noise adds, (m,).
    """

    squared_bias: Float[np.ndarray, " m"]
    variance: Float[np.ndarray, " m"]

    @property
    def risk(self) -> Float[np.ndarray, " m"]:
        """Expected squared error against the noise-free targets, (m,)."""
        return self.squared_bias + self.variance


def bias_variance(
    clean: RidgeDecomposition, noise: float, alphas: Float[np.ndarray, " m"], filter: Filter = tikhonov
) -> BiasVariance:
    """Exact decomposition for a linear model: bias from noise-free targets, variance from the trace of ``H^2``.

    Args:
        clean: ``decompose`` of the problem with noise-free targets.
        noise: standard deviation, not negative, of the error of an observation, in the units of the targets.
        alphas: penalty parameters, positive, (m,).
        filter: how directions are kept.

    Returns:
        Both parts, means over observations and targets.

    Raises:
        ValueError: the noise or an alpha is negative or not finite.
        TypeError: there is no decomposition.

    Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, sec. 7.3.
    """
    checks.instance("bias_variance", "clean", clean, RidgeDecomposition, "Use decompose.")
    checks.number("bias_variance", "noise", noise, least=0, hint="Give a standard deviation.")
    require_alphas("bias_variance", alphas)
    checks.function("bias_variance", "filter", filter, "(c, s, alphas) -> Shares")
    d = clean
    kept, lost = filter(d.c, d.s, np.asarray(alphas, float))
    k = d.coefficients.shape[1]
    bias = (lost**2 @ np.sum(d.coefficients**2, axis=1) + np.sum(d.outside)) / k
    return BiasVariance(bias, noise**2 / d.n * ((kept**2).sum(axis=1) + d.free))


def sampled_bias_variance(predictions: Float[np.ndarray, "draws n k"], truth: Float[np.ndarray, "n k"]) -> BiasVariance:
    """The same for any method, from its predictions on repeated draws of the noise.

    The variance is the unbiased one; its share ``variance / draws`` of the squared distance of the mean prediction
    from the truth is taken off the bias, which would be too large otherwise.

    Args:
        predictions: of fits to independent draws, (draws, n, k), at least two draws.
        truth: noise-free targets, (n, k).

    Returns:
        Both parts as arrays of one entry.

    Raises:
        ValueError: fewer than two draws.
    """
    draws = len(checks.finite("sampled_bias_variance", "predictions", predictions, ("draws", "n", "k")))
    checks.finite("sampled_bias_variance", "truth", truth, predictions.shape[1:])
    if draws < 2:
        raise ValueError(f"sampled_bias_variance(predictions): {draws} draw, needs at least 2. Draw more.")
    variance = predictions.var(axis=0, ddof=1).mean()
    bias = np.mean((predictions.mean(axis=0) - truth) ** 2) - variance / draws
    return BiasVariance(np.array([bias]), np.array([variance]))
