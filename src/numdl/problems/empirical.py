"""What is the mean misfit of any one-sample map plus a penalty, with its slope and curvature from products?

    f(p) = 1/n sum_i w_i loss(apply(p, x_i), c_i) + penalty(p)

The curvature is the Gauss-Newton matrix ``1/n sum_i w_i J_i' H_i J_i`` plus the penalty's Hessian, ``J_i`` the
derivative of the scores and ``H_i`` the loss's Hessian there. Where ``apply`` is linear in p it is the exact Hessian.

Cost: a linearisation is a pass forward and one backward over the samples, as is a product with the curvature.

Source: Schraudolph, Neural Computation 14 (2002) 1723-1738, sec. 3 (the generalised Gauss-Newton matrix).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from numdl.contracts import Linearization, PyTree
from numdl.problems.losses import Loss
from numdl.problems.metrics import misfit_metrics


class Empirical(eqx.Module):
    """Empirical risk; ``p`` is whatever ``apply`` takes, there is no companion.

    Attributes:
        apply: ``apply(p, x_i) -> (k,)`` for one sample. Static: give an object that compares by value (a module-level
            function), else every new one is compiled anew.
        loss: misfit of one sample.
        penalty: has ``value``, ``gradient`` and ``product`` of p, such as ``GroupPenalty``.
        x: samples, (n, d).
        c: targets, (n, k).
        w: sample weights of mean 1, no unit, (n,).
    """

    apply: Callable = eqx.field(static=True)
    loss: Loss = eqx.field(static=True)
    penalty: Any
    x: Float[Array, "n d"]
    c: Float[Array, "n k"]
    w: Float[Array, " n"]

    def scores(self, p: PyTree) -> Float[Array, "n k"]:
        """``apply(p, x_i)`` for all samples."""
        return jax.vmap(self.apply, (None, 0))(p, self.x)

    def value(self, p: PyTree, aux: PyTree) -> tuple[Float[Array, ""], PyTree]:
        """``f(p)``; the companion passes through."""
        return self._misfit(self.scores(p)) + self.penalty.value(p), aux

    def held_out(self, p: PyTree, aux: PyTree) -> Float[Array, ""]:
        """Mean misfit without the penalty: for samples that nothing is fitted to."""
        return self._misfit(self.scores(p))

    def linearize(self, p: PyTree, aux: PyTree) -> Linearization:
        """Value, gradient and matrix-free Gauss-Newton curvature."""
        s, pull = jax.vjp(self.scores, p)
        share = (self.w / self.x.shape[0])[:, None]
        data = self._misfit(s)
        rest = share * jax.vmap(self.loss.residual)(s, self.c)
        gradient = jax.tree.map(jnp.add, pull(rest)[0], self.penalty.gradient(p))

        def curvature(v: PyTree) -> PyTree:
            ds = jax.jvp(self.scores, (p,), (v,))[1]
            bent = share * jax.vmap(lambda s, c, t: self.loss.hessian(s, c) @ t)(s, self.c, ds)
            return jax.tree.map(jnp.add, pull(bent)[0], self.penalty.product(v))

        metrics = misfit_metrics(self.loss, s, self.c, self.w, data)
        return Linearization(data + self.penalty.value(p), gradient, curvature, aux, metrics)

    def rows(self, index: Int[Array, " m"]) -> Empirical:
        """The same problem on a part of the samples; their weights keep their mean of 1."""
        w = self.w[index]
        return dataclasses.replace(self, x=self.x[index], c=self.c[index], w=w / jnp.mean(w))

    def _misfit(self, s: Float[Array, "n k"]) -> Float[Array, ""]:
        return self.w @ jax.vmap(self.loss.value)(s, self.c) / self.x.shape[0]
