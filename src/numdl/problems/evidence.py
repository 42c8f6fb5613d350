"""Evidence by Laplace: how many parameters do the data determine, and how does a run follow the evidence?

Laplace's approximation at a reduced problem's linearisation. With everything per mean over samples, and H the
Gauss-Newton matrix of the full problem (theta and head), ``log det H = log det H_WW + log det (S + diag(alpha))`` and

    gamma_g = N_g - alpha_g tr_g(H^-1)    for each group of theta and for the head.

Targets of several units have several noises. A run sees target j in units of its noise, times the geometric mean of
all: ``r_j c_j`` with ``r_j^2 = beta_j / beta``. The noise then is one number, beta, and log densities of ``r_j c_j``
are those of c_j, as the product of all r_j is 1. With one target nothing changes.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Iterate, Linearization, Normal, PyTree
from numdl.linalg import lanczos_probe, lower_inverse
from numdl.optimize.drivers.loop import Adapted
from numdl.problems.fits import require_theta
from numdl.problems.varpro.heads import head_mask
from numdl.problems.varpro.varpro import VarPro
from numdl.regularize.evidence import Precisions, Sizes, log_evidence, reestimate

MOST = 1000
"""Random vectors, and Lanczos steps for each: more cost more than a matrix."""


@dataclasses.dataclass(frozen=True)
class FollowEvidence:
    """Adaptation of a run: re-estimate the precisions after each step, score points by their log evidence.

    Attributes:
        sizes: numbers of samples, outputs and weights, in G+1 groups, or in G+k with one for the head of each output.
        names: names of the G groups; the head is added.
        merge_head: whether the head shares the precision of the first group.
        fixed: alphas of the mean misfit that the user gave, as many as groups; NaN where the evidence decides.
        first: steps before the first update: the start says nothing about the weights.
    """

    sizes: Sizes
    names: tuple[str, ...]
    merge_head: bool = False
    fixed: np.ndarray | None = None
    first: int = 1

    def __post_init__(self) -> None:
        """Refuse what no run can follow.

        Raises:
            ValueError: ``first`` is no count, ``fixed`` no array of a number for each group, or a name no text.
            TypeError: the sizes are none.
        """
        checks.instance("FollowEvidence", "sizes", self.sizes, Sizes)
        if not isinstance(self.names, tuple) or not all(isinstance(name, str) for name in self.names):
            raise ValueError(
                f"FollowEvidence(names={checks.shown(self.names)}): needs a tuple of texts, one for each group. Give "
                "for example ('flow',)."
            )
        if self.fixed is not None:
            checks.real("FollowEvidence", "fixed", self.fixed, (len(self.names) + self.heads,))
        checks.whole("FollowEvidence", "first", self.first, least=0)

    def start(self, prior: float = 1e-2, noise: float = 1.0) -> tuple[Precisions, int]:
        """Memory of a run that has not begun: all groups alike, and all targets."""
        several = self.sizes.gaussian and self.sizes.k > 1
        return Precisions(
            np.full(len(self.names) + self.heads, prior), np.full(self.sizes.k, noise) if several else noise
        ), 0

    @property
    def heads(self) -> int:
        """Groups of the head: 1, or k."""
        return max(len(self.sizes.counts) - len(self.names), 1)

    def alphas(self, memory: tuple[Precisions, int]) -> np.ndarray:
        """Penalty parameters of the mean misfit, (G+1,), the head last; or (G+k,), that of each target."""
        prior, noise = memory[0]
        own = noise if self.heads > 1 else level_of(noise)
        level = np.append(np.full(len(self.names), level_of(noise)), np.broadcast_to(own, self.heads))
        alphas = prior / (self.sizes.n * level)
        return alphas if self.fixed is None else np.where(np.isnan(self.fixed), alphas, self.fixed)

    def apply(self, problem: VarPro, memory: tuple[Precisions, int]) -> VarPro:
        """The problem with targets in units of their noise and the penalty parameters of a memory."""
        alphas = np.asarray(self.alphas(memory), problem.x.dtype)
        noise, groups = memory[0].noise, len(self.names)
        if np.ndim(noise):
            problem = problem.with_targets(problem.c * jnp.asarray(units_of(noise), problem.c.dtype))
        parts = alphas[:groups], alphas[groups:] if self.heads > 1 else alphas[groups]
        return problem.with_alpha(*jax.device_put(parts))  # parts of a JAX array are a program for each shape

    def update(self, memory: tuple[Precisions, int], after: Iterate) -> Adapted:
        """New precisions from the Laplace metrics of a step."""
        precisions, steps = memory
        metrics = {name: np.asarray(after.metrics[name], float) for name in ("gamma", "squares", "logdet", "misfit")}
        misfit, gamma, squares = float(metrics["misfit"]), metrics["gamma"], metrics["squares"]
        alphas, noise, groups = self.alphas(memory), precisions.noise, len(self.names)
        level, units, weights = level_of(noise), np.ones(1), squares[groups:]
        if np.ndim(noise):
            units = units_of(noise)
        if self.heads > 1:
            squares = np.append(squares[:groups], weights / units**2)
        own, head = noise if self.heads > 1 else level, level_of(alphas[groups:])
        effective = alphas * self.sizes.n * np.append(np.full(groups, level), np.broadcast_to(own, self.heads))
        known = np.isfinite(misfit) and np.all(np.isfinite(squares)) and np.all(np.isfinite(effective))
        score = -np.inf
        if known and np.isfinite(metrics["logdet"]):
            at = Precisions(effective, level)
            score = log_evidence(at, self.sizes, misfit, squares, float(metrics["logdet"]))
        columns = {"log_evidence": score, "effective_dof": float(np.sum(gamma)), "noise": level}
        columns |= {f"alpha:{name}": float(a) for name, a in zip(self.names, alphas, strict=False)}
        columns["alpha:head"] = head
        errors: float | np.ndarray = misfit
        if np.ndim(noise):
            errors = (
                np.asarray(after.metrics.get("misfits", np.full(np.size(noise), misfit / np.size(noise))), float)
                / units**2
            )
            columns |= {"misfit": float(np.sum(errors)), "train_error": float(np.sqrt(2 * np.mean(errors)))}
        if steps >= self.first and known:
            # A target pays for its head, and for the features by how strongly it asks for them.
            share = weights / weights.sum() if self.heads > 1 and weights.sum() > 0 else None
            at = Precisions(effective, noise)
            precisions = reestimate(at, self.sizes, errors, gamma, squares, merge_head=self.merge_head, share=share)
        return Adapted((precisions, steps + 1), score if np.isfinite(score) else -np.inf, columns)


def level_of(values: float | np.ndarray) -> float:
    """Geometric mean; a number is its own."""
    return float(np.ravel(values)[0]) if np.size(values) == 1 else float(np.exp(np.mean(np.log(values))))


def units_of(noise: float | np.ndarray) -> np.ndarray:
    """Factors r on targets of noise precisions (k,), which make these one number."""
    return np.sqrt(noise / level_of(noise))


def laplace_metrics(problem: VarPro, theta: PyTree, normal: Normal, factor: Float[Array, "p p"]) -> dict[str, Array]:
    """Effective numbers of parameters, square norms and log determinant, for ``numdl.regularize.evidence``.

    Args:
        problem: separable problem.
        theta: where it was linearised.
        normal: its normal equations there.
        factor: lower Cholesky factor of ``normal.matrix + diag(normal.diagonal)``.

    Returns:
        ``gamma (G+1,)`` and ``squares (G+1,)`` (the head last), ``logdet ()`` of the full Gauss-Newton matrix.
    """
    require_theta("laplace_metrics", problem, theta)
    checks.instance("laplace_metrics", "normal", normal, Normal, "Use problem.normal(theta, head).")
    checks.leaves("laplace_metrics", "normal", normal)
    checks.finite("laplace_metrics", "factor", factor, ("p", "p"))
    inverse = lower_inverse(factor)
    determined = 1 - normal.diagonal * jnp.sum(inverse**2, axis=0)
    k, q = normal.aux.shape
    size = k * (q - problem.intercept) / problem.alpha_head.size
    moved = (inverse @ normal.eliminated.coupling) ** 2
    moved = jnp.sum(moved.reshape(-1, k, q), axis=(0, 2)) if problem.alpha_head.ndim else jnp.sum(moved)
    trace = normal.eliminated.trace + moved
    logdet = 2 * jnp.sum(jnp.log(jnp.diag(factor))) + normal.eliminated.logdet
    return _by_group(problem, theta, normal.aux, determined, size - problem.alpha_head * trace, logdet)


def probed_metrics(problem: VarPro, theta: PyTree, lin: Linearization, *, probes: int = 2, steps: int = 25) -> dict:
    """The same numbers from products only: random signs, Lanczos, and the head's Hessian as if theta were known.

    Costs ``probes * steps`` products. The signs are the same in every iteration.

    Args:
        problem: separable problem.
        theta: where it was linearised.
        lin: its linearisation there.
        probes: number of random vectors, at least 1.
        steps: Lanczos steps for each, at least 1.

    Returns:
        As ``laplace_metrics``, with the error of the estimate.

    Raises:
        ValueError: a number is out of range or not finite.
        TypeError: problem or linearisation are none, or theta does not fit.

    Source: Ubaru, Chen, Saad, SIAM J. Matrix Anal. Appl. 38 (2017).
    """
    require_theta("probed_metrics", problem, theta)
    checks.instance("probed_metrics", "lin", lin, Linearization, "Use problem.linearize(theta, head).")
    checks.whole("probed_metrics", "probes", probes, least=1, most=MOST)
    checks.whole("probed_metrics", "steps", steps, least=1, most=MOST)
    vector, unravel = ravel_pytree(theta)

    def product(v: Array) -> Array:
        return ravel_pytree(lin.curvature(unravel(v)))[0]

    signs = jax.random.rademacher(jax.random.key(0), (probes, vector.shape[0]), vector.dtype)
    found = jax.lax.map(lambda z: lanczos_probe(product, z, steps), signs)
    inverse_diagonal = jnp.mean(signs * found.solve, axis=0)
    head = problem.solve(problem.embed(theta), lin.aux)
    trace, logdet = head.spectrum(intercept=problem.intercept)
    k, q = lin.aux.shape
    size = k * (q - problem.intercept) / problem.alpha_head.size
    determined = 1 - problem.penalty.diagonal * inverse_diagonal
    return _by_group(
        problem, theta, lin.aux, determined, size - problem.alpha_head * trace, jnp.mean(found.log) + logdet
    )


def _by_group(
    problem: VarPro, theta: PyTree, head: Array, determined: Array, head_gamma: Array, logdet: Array
) -> dict[str, Array]:
    """Sums over groups; the head is the last one."""
    vector = ravel_pytree(theta)[0]
    if problem.penalty.reference is not None:
        vector = vector - problem.penalty.reference
    k, q = head.shape
    mask = head_mask(k, q - problem.intercept, problem.intercept, head.dtype)
    pairs = jnp.stack([determined, vector**2], axis=1)
    sums = jax.ops.segment_sum(pairs, problem.penalty.labels, problem.penalty.alpha.shape[0])
    rows = jnp.sum(mask * head**2, axis=1)
    return {
        "gamma": jnp.append(sums[:, 0], head_gamma),
        "squares": jnp.append(sums[:, 1], rows if problem.alpha_head.ndim else jnp.sum(rows)),
        "logdet": logdet,
    }
