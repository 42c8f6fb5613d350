"""Exact Hessian of the reduced problem.

What if the curvature is the derivative of the gradient instead of a Gauss-Newton matrix?

    H v = d/dt grad f(p + t v) at t = 0

Gauss-Newton leaves out the residuals times the second derivatives of the model, which matter where the fit is poor. H
is symmetric but may be indefinite: for ``InexactNewton`` and ``TrustRegion``, which make use of negative curvature.

Of a reduced problem, ``phi(theta) = f(theta, W(theta))``, H is ``f_tt + f_tW W'`` with ``W' = -f_WW^-1 f_Wt`` by the
implicit function theorem: the gradient is differentiated along the optimal head.

Cost of a product: the tangents of a pass forward and of a pass backward, each about twice as dear as the pass itself.

Source: Pearlmutter, Neural Computation 6 (1994) 147-160; Ruhe and Wedin, SIAM Rev. 22 (1980) 318-337, sec. 2.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl.contracts import Linearization, Problem, PyTree, Work, require
from numdl.optimize.parts.steps import work_of
from numdl.problems.risk.losses import misfit_metrics
from numdl.problems.varpro.varpro import VarPro


class ExactHessian(eqx.Module):
    """A problem with its own Hessian as curvature; value, gradient and companion are the problem's.

    Attributes:
        problem: ``VarPro``, or any problem whose ``linearize`` can be differentiated, such as ``Empirical``.
    """

    problem: Any

    def __check_init__(self) -> None:
        """Refuse what is no problem."""
        require(self.problem, Problem, "ExactHessian(problem)", "use VarPro or empirical of numdl.problems")

    def value(self, p: PyTree, aux: PyTree = None) -> tuple[Float[Array, ""], PyTree]:
        """Objective and companion."""
        return self.problem.value(p, aux)

    def linearize(self, p: PyTree, aux: PyTree = None) -> Linearization:
        """Value, gradient and products with the Hessian; forward quantities are kept, not computed again."""
        if isinstance(self.problem, VarPro):
            return _reduced(self.problem, p, aux)

        def slope(q: PyTree) -> tuple[PyTree, tuple]:
            lin = self.problem.linearize(q, aux)
            return lin.gradient, (lin.value, lin.aux, dict(lin.metrics))

        gradient, product, (value, aux, metrics) = jax.linearize(slope, p, has_aux=True)
        return Linearization(value, gradient, product, aux, metrics)

    def work(self, p: PyTree) -> Work:
        """Tangents of passes count twice; that the head of a reduced problem moves along doubles it again."""
        inner = work_of(self.problem, p)
        times = 4.0 if isinstance(self.problem, VarPro) else 2.0
        return inner._replace(product=times * inner.product, matrix=None)

    def rows(self, index: Array) -> ExactHessian:
        """The same problem on a part of the samples."""
        return ExactHessian(self.problem.rows(index))


def _reduced(problem: VarPro, p: PyTree, aux: Float[Array, "k q"]) -> Linearization:
    """``ExactHessian.linearize`` of a reduced problem."""
    u = problem.embed(p)
    solved = jax.lax.stop_gradient(problem.solve(u, aux))

    def full(theta: PyTree, head: Array) -> Array:
        return problem.misfit(problem.scores(problem.embed(theta), head))

    def slope(theta: PyTree) -> PyTree:
        # The partial derivative in theta, at a head that moves with theta.
        gradient = jax.grad(full)(theta, problem.moving_head(theta, solved))
        return jax.tree.map(jnp.add, gradient, problem.penalty.gradient(theta))

    gradient, product = jax.linearize(slope, p)
    s = problem.scores(u, solved.W)
    data = problem.misfit(s)
    metrics = misfit_metrics(problem.loss, s, problem.targets, problem.weights, data) | solved.metrics
    value = data + problem.head_penalty(solved.W) + problem.penalty.value(p)
    return Linearization(value, gradient, product, solved.W, metrics)
