"""Nonlinear least squares (curve fitting).

How far is a model with few parameters from its data, in least squares and without a penalty?

    F(p) = 1/(2n) sum_i w_i ||model(p, x_i) - c_i||^2 = ||r(p)||^2 / 2,    r_i = sqrt(w_i/n) (model(p, x_i) - c_i)

Plain curve fitting: the model is any function of one sample, no network and no head. Parameters that enter linearly are
better eliminated, see ``VarPro``.

Cost: the Jacobian is formed forward, one pass over the n samples for each of the P parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl.contracts import Linearization, Normal, PyTree, Work
from numdl.problems.fits import require_parts


class NonlinearLeastSquares(eqx.Module):
    """Least squares between a model and targets; ``p`` are the parameters, ``aux`` is handed through.

    Attributes:
        model: ``model(p, x_i) -> (k,)`` for one sample. Static: give a module-level function, else every new one is
            compiled anew.
        x: samples, (n, d).
        c: targets, (n, k).
        w: sample weights of mean 1, no unit, (n,); None for equal weights.
    """

    model: Callable = eqx.field(static=True)
    x: Float[Array, "n d"]
    c: Float[Array, "n k"]
    w: Float[Array, " n"] | None = None

    def __check_init__(self) -> None:
        """Refuse samples, targets and weights of different numbers, and no samples at all.

        Raises:
            ValueError: the numbers of rows differ or are zero, or as ``require_parts``.
        """
        require_parts(self)
        rows = [a.shape[0] for a in (self.x, self.c, self.w) if a is not None]
        if len(set(rows)) != 1 or rows[0] == 0:
            raise ValueError(
                f"NonlinearLeastSquares: x, c and w have {rows} rows, needs the same positive number. "
                "Give x (n, d), c (n, k) and w (n,); a single column is x[:, None]."
            )

    def residual(self, p: PyTree) -> Float[Array, " N"]:
        """``sqrt(w_i/n) (model(p, x_i) - c_i)``, sample by sample; half its square norm is the objective.

        Args:
            p: parameters.

        Returns:
            Residuals of all samples and outputs, N = n k.

        Raises:
            ValueError: the model's output does not have the shape of one target.
        """
        s = jax.vmap(self.model, (None, 0))(p, self.x)
        if s.shape != self.c.shape:
            raise ValueError(
                f"NonlinearLeastSquares: the model gives {s.shape[1:]} for one sample, needs {self.c.shape[1:]}. "
                "Return an array (k,), also for one output; x_i is an array (d,)."
            )
        rest = s - self.c
        if self.w is not None:
            rest = jnp.sqrt(self.w)[:, None] * rest
        return rest.reshape(-1) / jnp.sqrt(1.0 * self.x.shape[0])

    def value(self, p: PyTree, aux: PyTree = None) -> tuple[Float[Array, ""], PyTree]:
        """Objective and the companion; one pass forward."""
        return 0.5 * jnp.sum(self.residual(p) ** 2), aux

    def linearize(self, p: PyTree, aux: PyTree = None) -> Linearization:
        """Value, gradient and matrix-free Gauss-Newton curvature ``v -> J'(J v)``."""
        r, push = jax.linearize(self.residual, p)
        pull = jax.linear_transpose(push, p)
        value = 0.5 * jnp.sum(r**2)
        return Linearization(value, pull(r)[0], lambda v: pull(push(v))[0], aux, {"misfit": value})

    def normal(self, p: PyTree, aux: PyTree = None) -> Normal:
        """Value, gradient and ``J'J``; half of the digits are lost where J is ill-conditioned."""
        vector, unravel = ravel_pytree(p)
        r, j = self.residual(p), jax.jacfwd(lambda q: self.residual(unravel(q)))(vector)
        value = 0.5 * jnp.sum(r**2)
        return Normal(value, j.T @ r, j.T @ j, jnp.zeros_like(vector), aux, {"misfit": value})

    def work(self, p: PyTree) -> Work:
        """The matrix costs one pass forward for each parameter."""
        return Work(matrix=1.0 + sum(leaf.size for leaf in jax.tree.leaves(p)))

    def rows(self, index: Array) -> NonlinearLeastSquares:
        """The same problem on a part of the samples; their weights keep their mean of 1."""
        w = None if self.w is None else self.w[index] / jnp.mean(self.w[index])
        return NonlinearLeastSquares(self.model, self.x[index], self.c[index], w)
