"""Inexact variable projection: how well must the head be solved for while the features are still far from their best?

``VarPro`` takes the head W for the best one, W*. With ``F(theta, W)`` the full objective, H its Hessian in the head, C
its mixed second derivative and ``r = dF/dW``, the head that Newton's method leaves is off by ``e = H^-1 r`` to first
order, and so are

    gradient:  dF/dtheta (theta, W) - grad phi(theta)  =  C e ,
    value:     F(theta, W) - phi(theta)  =  lambda^2 / 2 ,     lambda^2 = r' H^-1 r .

C e is the derivative of the gradient along e, one pass backward. The rule: Newton's method for the head goes on until

    ||C e|| <= eta ||g|| / 2 ,      g = dF/dtheta (theta, W) ,

and the last step has made lambda four times smaller: the estimate is then at most a factor of two below the error.

A value has to tell a decrease. Its error may be a share eta of the least that a method may hope for, the decrease
that the quadratic model with the Gauss-Newton matrix A of theta promises along the gradient (Cauchy's point):

    lambda^2 / 2 <= eta ||g||^4 / (2 g' A g) ,

with g and A of the last linearisation, one pass forward. Since a linearisation needs H anyway, it takes a Newton step,
and the error of the head it starts from counts by its square only: mostly one Hessian is enough, and the gradient is
far better than asked for.

Value and gradient belong to the same head, the one after the last step. The curvature belongs to the head before it,
whose Hessian is known: it is the Gauss-Newton matrix of a neighbour, and semidefinite.

Sources: Dembo, Eisenstat, Steihaug, SIAM J. Numer. Anal. 19 (1982), for tolerances tied to the gradient; Boyd and
Vandenberghe, Convex Optimization, sec. 9.5.1, for the decrement.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from numdl import checks
from numdl.contracts import Linearization, Normal, PyTree, Work
from numdl.problems.risk.losses import misfit_metrics
from numdl.problems.risk.passes import Pull, Push
from numdl.problems.varpro.heads import NewtonHead
from numdl.problems.varpro.normal import normal_at
from numdl.problems.varpro.varpro import VarPro

SAFETY = 0.5
"""Share of eta that the estimate may take: with decrements that fall to a quarter, it may be too small by half."""
MOST_ROUNDS = 10
"""Times that one linearisation asks for a better head."""


class InexactHead(NamedTuple):
    """Companion of an inexact reduced problem.

    Attributes:
        W: head, (k, m+1) or (k, m).
        enough: decrement of the head that values ask for, (); 0 for the best head, as long as no gradient is known.
        inner: Hessians of the head formed on the way here, (); those of refused trials are not among them.
    """

    W: Float[Array, "k q"]
    enough: Float[Array, ""]
    inner: Float[Array, ""]


class _Near(NamedTuple):
    """A head that is good enough, with the gradient there.

    Attributes:
        head: after the last step, with the Hessian before it.
        gradient: with the structure of theta, penalty included.
        error: estimated norm of its error, ``||C e||``.
        enough: decrement that the rule asks for, to first order.
        inner: Hessians formed.
        rounds: times that the rule was evaluated.
    """

    head: NewtonHead
    gradient: PyTree
    error: Float[Array, ""]
    enough: Float[Array, ""]
    inner: Float[Array, ""]
    rounds: Int[Array, ""]
    done: Bool[Array, ""]


class InexactVarPro(eqx.Module):
    """``VarPro`` with a head as accurate as the gradient needs; ``p`` is theta, ``aux`` an ``InexactHead``.

    Attributes:
        problem: reduced problem with a loss other than least squares, whose head is solved for directly.
        eta: error of the gradient relative to its norm, no unit, not negative; 0 for the best head.

    Raises:
        ValueError: the loss is least squares.
    """

    problem: VarPro
    eta: Float[Array, ""] | float = 0.1

    def __check_init__(self) -> None:
        """Refuse what has no inner iteration."""
        checks.instance("InexactVarPro", "problem", self.problem, VarPro)
        checks.scalar("InexactVarPro", "eta", self.eta, least=0, hint="Use 0.1.")
        if self.problem.squares:
            raise ValueError(
                "InexactVarPro: the loss is 'least_squares', needs one whose head is found by iteration. "
                "Use the VarPro itself: its head is exact at the price of one factorisation."
            )

    def first_head(self, theta: PyTree) -> InexactHead:
        """Zero head, with nothing known of the gradient yet."""
        zero = np.zeros((), self.problem.x.dtype)
        return InexactHead(self.problem.first_head(theta), jnp.asarray(zero), jnp.asarray(zero))

    def value(self, p: PyTree, aux: InexactHead) -> tuple[Float[Array, ""], InexactHead]:
        """Full objective at a head with decrement ``aux.enough``, above the reduced one; one pass forward.

        Its derivative is that at this head.
        """
        u = self.problem.embed(p)
        head = jax.lax.stop_gradient(self.problem.iterate(*jax.lax.stop_gradient((u, aux.W, aux.enough))))
        value, _ = self._full(p, u, head.W)
        return value, aux._replace(W=head.W, inner=aux.inner + head.steps)

    def linearize(self, p: PyTree, aux: InexactHead) -> Linearization:
        """Value and gradient at one head that obeys the rule, curvature of its neighbour."""
        passes, near, aux = self._solve(p, aux)
        lin = self.problem.linearize_at(p, passes, near.head._replace(W=near.head.base))
        value, metrics = self._full(p, passes[0], near.head.W)
        return Linearization(value, near.gradient, lin.curvature, aux, metrics | _metrics(near))

    def normal(self, p: PyTree, aux: InexactHead) -> Normal:
        """Value and gradient at one head that obeys the rule, curvature of its neighbour as a matrix."""
        (u, _, _), near, aux = self._solve(p, aux)
        normal = normal_at(self.problem, p, u, near.head._replace(W=near.head.base))
        value, metrics = self._full(p, u, near.head.W)
        gradient, metrics = ravel_pytree(near.gradient)[0], metrics | _metrics(near)
        return normal._replace(value=value, gradient=gradient, aux=aux, metrics=metrics)

    def held_out(self, theta: PyTree, aux: InexactHead) -> Float[Array, ""]:
        """Mean misfit with a given head, without penalties."""
        return self.problem.held_out(theta, aux.W)

    def work(self, p: PyTree) -> Work:
        """That of the exact problem and two passes of the rule, one round counted; ``normal`` adds a gradient."""
        work = self.problem.work(p)
        return work._replace(linearize=work.linearize + 2.0, matrix=(work.matrix or 0.0) + 3.0)

    def rows(self, index: Array) -> InexactVarPro:
        """The same problem on a part of the samples."""
        return dataclasses.replace(self, problem=self.problem.rows(index))

    def _full(self, p: PyTree, u: Float[Array, "n m"], W: Float[Array, "k q"]) -> tuple[Array, dict[str, Array]]:
        """Full objective at a head, and the metrics of the misfit."""
        problem = self.problem
        s = problem.scores(u, W)
        data = problem.misfit(s)
        value = data + problem.head_penalty(W) + problem.penalty.value(p)
        return value, misfit_metrics(problem.loss, s, problem.targets, problem.weights, data)

    def _solve(self, p: PyTree, aux: InexactHead) -> tuple[tuple[Array, Push, Pull], _Near, InexactHead]:
        """Passes through the features, a head that obeys the rule, and the companion that says so."""
        problem = self.problem
        passes = problem.passes(p)
        u, push, pull = passes
        m, c = u.shape[1], problem.targets
        share = (problem.weights / len(u))[:, None]

        def bend(s: Array, t: Array) -> Array:  # Hessian of the misfit in the scores
            return share * jax.vmap(lambda s, c, t: problem.loss.hessian(s, c) @ t)(s, c, t)

        def attempt(last: _Near) -> _Near:
            head = problem.iterate(u, last.head.W, last.enough)
            e, W = head.inverse(head.gradient), head.W
            s = problem.scores(u, W)
            rest = share * jax.vmap(problem.loss.residual)(s, c)
            change = pull(bend(s, problem.scores(u, e)) @ W[:, :m] + rest @ e[:, :m])
            slope = pull(rest @ W[:, :m])
            gradient = jax.tree.map(jnp.add, slope, problem.penalty.gradient(p))
            size, error = (jnp.linalg.norm(ravel_pytree(tree)[0]) for tree in (gradient, change))
            bound = SAFETY * self.eta * size
            enough = bound * head.decrement / jnp.maximum(error, jnp.finfo(error.dtype).tiny)
            # Beyond rounding no further step changes the head.
            done = (error <= bound) | (last.rounds + 1 >= MOST_ROUNDS) | (head.decrement >= last.enough)
            inner = last.inner + head.steps
            return _Near(head, gradient, error, enough, inner, last.rounds + 1, done)

        # As long as no gradient is known, the rule decides after one step.
        enough = jnp.where((aux.enough > 0) | (self.eta <= 0), aux.enough, jnp.inf)
        zero, none = jnp.zeros_like(aux.W), jnp.asarray(0)
        blank = NewtonHead(aux.W, jnp.zeros((zero.size, zero.size), zero.dtype), zero, zero, none)
        first = _Near(
            blank, jax.tree.map(jnp.zeros_like, p), jnp.zeros_like(aux.inner), enough, aux.inner, none,
            jnp.asarray(False),
        )  # fmt: skip
        near = jax.lax.while_loop(lambda near: ~near.done, attempt, first)
        W, g = near.head.W, near.gradient
        ds = push(g) @ W[:, :m].T
        curved = jnp.sum(ds * bend(problem.scores(u, W), ds)) + _dot(g, problem.penalty.product(g))
        enough = jnp.sqrt(self.eta * _dot(g, g) ** 2 / jnp.maximum(curved, jnp.finfo(curved.dtype).tiny))
        return passes, near, InexactHead(W, enough, near.inner)


def _dot(a: PyTree, b: PyTree) -> Float[Array, ""]:
    return ravel_pytree(a)[0] @ ravel_pytree(b)[0]


def _metrics(near: _Near) -> dict[str, Array]:
    """``inner``, Hessians of the head so far, and ``gradient_error``, the estimated norm of the gradient's error."""
    return near.head.metrics | {"inner": near.inner, "gradient_error": near.error}
