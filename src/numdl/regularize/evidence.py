"""Evidence (marginal likelihood) of penalties.

How strongly should each group of weights be penalised, judged by the data alone?

Model: targets ``c = s + e`` with e of precision ``beta`` (least squares; other losses have ``beta = 1``), weights of
group g Gaussian with precision ``a_g``. With the mean misfit M over n samples, N_g weights and squares q_g per group,
the Laplace approximation of the log evidence is

    log p = -beta n M - 1/2 sum a_g q_g - 1/2 log det H + 1/2 sum N_g log a_g + n k/2 log(beta / 2 pi)

and its stationary points satisfy (gamma_g: effective number of parameters of a group)

    a_g = gamma_g / q_g,        beta = (n k - gamma) / (2 n M).

The objective of the library is a mean, so its penalty parameters are ``alpha_g = a_g / (n beta)``.

Sources: MacKay, Neural Computation 4 (1992) 415-472; Foresee and Hagan, ICNN 1997; Tipping, JMLR 1 (2001) 211-244.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numdl import checks

SMALLEST = 1e-280
"""What a sum of squares counts at least: numbers of weights and observations divided by it stay finite."""


class Precisions(NamedTuple):
    """Precisions of the prior and of the noise.

    Attributes:
        prior: (G+1,) precision of each group of weights, the head last; in 1/weight^2.
        noise: precision beta of the noise, in 1/target^2, or that of each target (k,); 1 for classification.
    """

    prior: np.ndarray
    noise: float | np.ndarray

    def penalties(self, n: float) -> np.ndarray:
        """Penalty parameters ``alpha (G+1,)`` of the mean misfit over n samples."""
        return self.prior / (n * self.noise)


class Sizes(NamedTuple):
    """What is counted once per problem.

    Attributes:
        n: sum of the sample weights.
        k: number of outputs.
        counts: (G+1,) number of penalised weights in each group, the head last.
        free: number of weights without prior (intercepts).
        gaussian: whether the noise has a precision to estimate.
    """

    n: float
    k: int
    counts: np.ndarray
    free: int
    gaussian: bool


def require_precisions(call: str, precisions: Precisions, sizes: Sizes) -> None:
    """Refuse what are no precisions and sizes.

    Args:
        call: the call to name.
        precisions: as given.
        sizes: as given.

    Raises:
        ValueError: an entry is not finite, or shapes differ.
        TypeError: one of them is of another kind.
    """
    checks.record(call, "precisions", precisions, Precisions)
    checks.record(call, "sizes", sizes, Sizes)
    checks.real(call, "sizes.counts", sizes.counts, np.shape(precisions.prior))


def log_evidence(precisions: Precisions, sizes: Sizes, misfit: float, squares: np.ndarray, logdet: float) -> float:
    """Laplace approximation of ``log p(targets | model, precisions)``, in nats.

    Args:
        precisions: prior and noise.
        sizes: numbers of samples, outputs and weights.
        misfit: mean misfit M (least squares: ``1/(2n) sum ||s - c||^2``), in squared units of the targets.
        squares: (G+1,) square norms of the groups, the head last.
        logdet: log determinant of the Gauss-Newton matrix of the objective (mean misfit plus penalties).

    Returns:
        Log evidence; flat priors of the intercepts are left out, so compare only models with the same targets.

    Raises:
        ValueError: an argument is not finite, or out of range.
        TypeError: precisions or sizes are none.

    Source: MacKay 1992, eq. 2.22 with the Gauss-Newton matrix for the Hessian.
    """
    require_precisions("log_evidence", precisions, sizes)
    checks.number("log_evidence", "misfit", misfit, least=0)
    checks.number("log_evidence", "logdet", logdet)
    checks.finite("log_evidence", "squares", squares, precisions.prior.shape)
    prior, noise = precisions
    n = sizes.n
    total = np.sum(sizes.counts) + sizes.free
    log_hessian = logdet + total * np.log(n * noise)
    result = -noise * n * misfit - 0.5 * prior @ squares - 0.5 * log_hessian + 0.5 * sizes.counts @ np.log(prior)
    if sizes.gaussian:
        result += 0.5 * n * sizes.k * np.log(noise / (2 * np.pi))
    return float(result)


def reestimate(
    precisions: Precisions,
    sizes: Sizes,
    misfit: float | np.ndarray,
    gamma: np.ndarray,
    squares: np.ndarray,
    *,
    merge_head: bool = False,
    fixed: np.ndarray | None = None,
    share: np.ndarray | None = None,
) -> Precisions:
    """One fixed-point step for all precisions; changes of their logarithms are clipped to [-1, 2.3].

    A step is taken at every Gauss-Newton iteration, long before the weights are optimal: an unclipped update would
    trust a gamma that belongs to weights still on their way.

    Args:
        precisions: current values.
        sizes: numbers of samples, outputs and weights.
        misfit: mean misfit, not negative; that of each target (k,) where each has its noise.
        gamma: (G+1,) effective numbers of parameters; where one is not finite, all of the group count.
        squares: (G+1,) square norms.
        merge_head: whether the head shares the precision of the first group.
        fixed: (G+1,) marks precisions that stay as they are; None for none.
        share: of each target in what the data determine of the groups before the last k, which are its head, (k,),
            their sum 1; None where the head is one group, and all targets have the same share.

    Returns:
        New precisions, positive and finite.

    Raises:
        ValueError: an argument but gamma is not finite, or out of range.
        TypeError: precisions or sizes are none.

    Source: MacKay 1992, eqs. 2.20-2.21 of his sec. 2.4; the clipping is ours.
    """
    require_precisions("reestimate", precisions, sizes)
    if np.ndim(misfit):
        checks.finite("reestimate", "misfit", misfit, np.shape(precisions.noise))
        checks.number("reestimate", "misfit", float(np.min(misfit)), least=0)
    else:
        checks.scalar("reestimate", "misfit", misfit, least=0)
    checks.finite("reestimate", "squares", squares, precisions.prior.shape)
    if share is not None:
        checks.finite("reestimate", "share", share, np.shape(precisions.noise))
    if fixed is not None:
        checks.real("reestimate", "fixed", fixed, precisions.prior.shape)
    checks.real("reestimate", "gamma", gamma, precisions.prior.shape)
    gamma = np.where(np.isfinite(gamma), gamma, sizes.counts)
    # Empty groups (the flow of depth 0) determine nothing and keep what they have.
    gamma, squares = np.where(sizes.counts > 0, np.clip(gamma, 1e-3, None), 0.0), np.maximum(squares, SMALLEST)
    if merge_head:
        gamma, squares = gamma.copy(), squares.copy()
        gamma[0] = gamma[-1] = gamma[0] + gamma[-1]
        squares[0] = squares[-1] = squares[0] + squares[-1]
        determined = gamma[:-1].sum()
    else:
        determined = gamma.sum()
    wanted = np.where(sizes.counts > 0, gamma / squares, precisions.prior)
    prior = precisions.prior * np.exp(np.clip(np.log(wanted / precisions.prior), -1.0, 2.3))
    prior = np.clip(prior, 1e-10, 1e16)
    if fixed is not None:
        prior = np.where(fixed, precisions.prior, prior)
    noise = precisions.noise
    if sizes.gaussian:
        noises, misfits = np.atleast_1d(noise), np.atleast_1d(misfit)
        observations = sizes.n * sizes.k / len(noises)
        spent = determined / len(noises)
        if share is not None:
            heads = len(noises)
            spent = gamma[-heads:] + share * gamma[:-heads].sum()
        # At least 5 % of the observations are left to the noise: an interpolating model cannot claim to be exact.
        left = np.maximum(observations - spent - sizes.free / len(noises), 0.05 * observations)
        wanted = left / np.maximum(2 * sizes.n * misfits, SMALLEST)
        noises = noises * np.exp(np.clip(np.log(wanted / noises), -1.0, 2.3))
        noises = np.clip(noises, 1e-12, 1e24)
        noise = noises if np.ndim(noise) else float(noises[0])
    return Precisions(prior, noise)
