"""Empirical risk of linear models.

What do linear models gain from being linear: plain products, single precision where it does, a preconditioner.

    f(W) = 1/n sum_i w_i loss(W z_i, c_i) + penalty(W),    z = [x; 1] with an intercept, else x

The features are stored once, one row per feature: then both ``W z'`` and the product of a residual with the features
stream through memory (60000 x 785, float64, two cores: 50 and 50 ms; stored one row per sample 44 and 128 ms).

Cost of a linearisation: two passes over the features; of a product with the curvature: two passes, over the copy in
lower precision if there is one; of a point on a line after the first: none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from numdl import checks
from numdl.contracts import Linearization, Work
from numdl.problems.fits import require_loss, require_parts, require_penalty
from numdl.problems.risk.losses import Loss, misfit_metrics
from numdl.problems.risk.spectral import SpectralBasis, spectral_basis, spectral_inverse
from numdl.problems.sharding import count_shards, deal, place
from numdl.problems.varpro.heads import head_hessian
from numdl.regularize.operator_penalty import OperatorPenalty

Head = Float[Array, "k q"]
BLOCK = 256
"""Rows that are transposed together."""


class LinearEmpirical(eqx.Module):
    """Empirical risk of a linear model; ``p`` is ``W (k, q)``, there is no companion. Make it by ``linear_empirical``.

    Attributes:
        loss: misfit of one sample.
        penalty: penalty on W.
        z: features, one row for each, the last one of ones if there is an intercept, (q, n).
        c: targets, (n, k).
        w: sample weights of mean 1, no unit, (n,).
        light: the features in lower precision, for products with the curvature; None to use z.
        basis: for the preconditioner; None for none.
    """

    loss: Loss = eqx.field(static=True)
    penalty: OperatorPenalty
    z: Float[Array, "q n"]
    c: Float[Array, "n k"]
    w: Float[Array, " n"]
    light: Float[Array, "q n"] | None = None
    basis: SpectralBasis | None = None

    def __check_init__(self) -> None:
        """Refuse parts that are none.

        Raises:
            TypeError: the basis is none, or as ``require_parts``.
        """
        require_parts(self)
        if self.basis is not None:
            checks.instance("LinearEmpirical", "basis", self.basis, SpectralBasis, "Use linear_empirical.")

    def scores(self, W: Head) -> Float[Array, "n k"]:
        """``W z_i`` for all samples."""
        return (W @ self.z).T

    def value(self, p: Head, aux: None = None) -> tuple[Float[Array, ""], None]:
        """``f(W)``; one pass."""
        return self.misfit(self.scores(p)) + self.penalty.value(p), aux

    def linearize(self, p: Head, aux: None = None) -> Linearization:
        """Value, gradient and the exact Hessian by its products."""
        s = self.scores(p)
        share = self._share()[:, None]
        data = self.misfit(s)
        gradient = self._pull(share * jax.vmap(self.loss.residual)(s, self.c), self.z) + self.penalty.gradient(p)
        features = self.z if self.light is None else self.light
        narrow = lambda a: a.astype(features.dtype)  # noqa: E731
        s_narrow, c_narrow, share_narrow = narrow(s), narrow(self.c), narrow(share)

        def curvature(v: Head) -> Head:
            ds = (narrow(v) @ features).T
            bent = share_narrow * jax.vmap(self._bend)(s_narrow, c_narrow, ds)
            return self._pull(bent, features).astype(v.dtype) + self.penalty.product(v)

        metrics = misfit_metrics(self.loss, s, self.c, self.w, data)
        return Linearization(data + self.penalty.value(p), gradient, curvature, aux, metrics)

    def along(self, p: Head, d: Head, aux: None = None) -> Callable[[Array], tuple[Array, Array, None]]:
        """Value and slope on the line ``W + t d``: one pass for all points of it.

        Args:
            p: origin, (k, q).
            d: direction, (k, q).
            aux: passes through.

        Returns:
            ``t -> (value, slope, aux)``.
        """
        s, ds = self.scores(p), self.scores(d)
        share = self._share()

        def point(t: Array) -> tuple[Array, Array, None]:
            moved, W = s + t * ds, p + t * d
            slope = share @ jnp.sum(jax.vmap(self.loss.residual)(moved, self.c) * ds, axis=1)
            slope = slope + jnp.sum(self.penalty.gradient(W) * d)
            return self.misfit(moved) + self.penalty.value(W), slope, aux

        return point

    def hessian(self, p: Head, aux: None = None) -> Float[Array, "kq kq"]:
        """The dense Hessian, unknowns ordered as ``W.reshape(-1)``; ``n q^2 k (k+1)`` flops."""
        factors = jax.vmap(self.loss.factor)(self.scores(p), self.c)
        square = head_hessian(factors, self._share(), self.z.T)
        return square + jnp.kron(jnp.eye(p.shape[0], dtype=p.dtype), self.penalty.matrix(p.shape[1]))

    def work(self, p: Head) -> Work:
        """A line costs two passes, its points none; the Hessian as many as its flops are worth."""
        k, q = p.shape
        return Work(line=2.0, trial=0.0, matrix=1.0 + q * (k + 1) / 2)

    def preconditioner(self, p: Head, aux: None = None) -> Callable[[Head], Head]:
        """An approximate inverse of the Hessian, see ``numdl.problems.risk.spectral``; the identity without a basis."""
        if self.basis is None:
            return lambda r: r
        return spectral_inverse(self.basis, self.loss, self.penalty, p)

    def rows(self, index: Int[Array, " m"]) -> LinearEmpirical:
        """The same problem on a part of the samples; their weights keep their mean of 1. The basis is kept."""
        w = self.w[index]
        light = None if self.light is None else self.light[:, index]
        return dataclasses.replace(self, z=self.z[:, index], c=self.c[index], w=w / jnp.mean(w), light=light)

    def with_alpha(self, alpha: Float[Array, ""] | Float[np.ndarray, ""]) -> LinearEmpirical:
        """The same problem with another penalty parameter; nothing is compiled anew."""
        return dataclasses.replace(self, penalty=dataclasses.replace(self.penalty, alpha=jnp.asarray(alpha)))

    def _bend(self, s: Array, c: Array, t: Array) -> Array:
        """Hessian of the loss times t; the derivative of the residual along t needs no k x k matrix."""
        return jax.jvp(lambda s: self.loss.residual(s, c), (s,), (t,))[1]

    @staticmethod
    def _pull(r: Float[Array, "n k"], features: Float[Array, "q n"]) -> Head:
        return (features @ r).T

    def _share(self) -> Float[Array, " n"]:
        return self.w / self.z.shape[1]

    def misfit(self, s: Float[Array, "n k"]) -> Float[Array, ""]:
        """Weighted mean misfit of given scores."""
        return self._share() @ jax.vmap(self.loss.value)(s, self.c)


def linear_empirical(
    loss: Loss,
    penalty: OperatorPenalty,
    x: Float[np.ndarray, "n d"],
    c: Float[np.ndarray, "n k"],
    w: Float[np.ndarray, " n"],
    *,
    intercept: bool = True,
    light: bool = False,
    precondition: bool = False,
    mesh: jax.sharding.Mesh | None = None,
) -> LinearEmpirical:
    """The problem of a linear model on samples.

    Args:
        loss: misfit of one sample.
        penalty: penalty on ``W (k, d + intercept)``.
        x: samples, (n, d).
        c: targets, (n, k).
        w: sample weights of mean 1, (n,).
        intercept: whether a free column of ones is added.
        light: whether products with the curvature use a copy of the features in float32.
        precondition: whether a preconditioner is prepared: one gram matrix, one eigendecomposition.
        mesh: devices among which the rows are divided, see ``numdl.problems.sharding``; None for one device.

    Returns:
        The problem.

    Raises:
        ValueError: the penalty has another opinion about the intercept, or samples, targets or weights are not finite
            or have other shapes.
        TypeError: loss or penalty are none.

    Examples:
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> from numdl.optimize import Newton, minimize
        >>> from numdl.problems import LOGISTIC, linear_empirical
        >>> from numdl.regularize import OperatorPenalty
        >>> x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
        >>> problem = linear_empirical(LOGISTIC, OperatorPenalty(jnp.asarray(0.1)), x, 1.0 * (x > 0), np.ones(4))
        >>> found, _ = minimize(problem, Newton(), jnp.zeros((1, 2)))
        >>> round(float(found.p[0, 0]), 3)
        1.458
    """
    require_loss("linear_empirical", loss)
    require_penalty("linear_empirical", penalty)
    checks.mesh("linear_empirical", mesh)
    n, d = checks.finite("linear_empirical", "x", x, ("n", "d")).shape
    checks.finite("linear_empirical", "c", c, (n, "k"))
    checks.finite("linear_empirical", "w", w, (n,))
    if penalty.intercept != intercept:
        raise ValueError(
            f"linear_empirical(intercept={intercept}): the penalty has intercept={penalty.intercept}, needs the same. "
            "Give both the same value."
        )
    z = np.ones((d + intercept, n), x.dtype)
    for first in range(0, n, BLOCK):  # block by block: a transpose in one go misses the cache at every entry
        z[:d, first : first + BLOCK] = x[first : first + BLOCK].T
    small = z.astype(np.float32) if light or precondition else None
    basis = spectral_basis(small, w) if precondition and small is not None else None
    narrow = [small.T] if light and small is not None else []
    w, c, *features = deal(count_shards(mesh), w, c, z.T, *narrow)
    z, *narrow = (place(mesh, a.T, axis=1) for a in features)
    return LinearEmpirical(loss, penalty, z, place(mesh, c), place(mesh, w), narrow[0] if narrow else None, basis)
