"""Hamiltonian of a single layer.

What is left of a control problem for a single layer, when states and adjoints are held?

    mean over samples of  H_j(u_j, lambda_j+1, theta) + R_j(theta) + rho/2 e_j(theta),
    e_j = [ ||Phi_j(u_j, theta) - u_j+1||^2 + ||dH_j/du - lambda_j||^2 ] / h_j

with ``H_j = lambda_j+1' Phi_j + L_j``. At the weights that gave the states and adjoints e_j vanishes, and the sum of
all slopes is the gradient of the cost. Elsewhere e_j says by how much the equations of state and adjoint are missed:
the cost changes by at most the change of ``sum H_j + R_j`` plus a constant times ``sum e_j``. All layers are
independent of each other.

Source: Li, Chen, Tai and E, Maximum principle based algorithms for deep learning, JMLR 18 (2018), lemma 2 and sec. 3.2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Linearization, PyTree, Steps, Work
from numdl.control.fits import require_problem
from numdl.control.stage import stage_hamiltonian
from numdl.regularize.penalty import DiagonalPenalty


class Held(NamedTuple):
    """What a layer holds, or all layers with the leading axis nt.

    Attributes:
        stage: time, size and weights where the states and adjoints come from.
        u: states before the layer, (n, m).
        after: states after it, (n, m).
        lam: adjoints before it, (n, m).
        lam_after: adjoints after it, (n, m).
        diagonal: Hessian of the layer's penalty, (w,).
        slope: gradient of the penalty at the weights of the stage, (w,).
    """

    stage: Steps
    u: Float[Array, "... n m"]
    after: Float[Array, "... n m"]
    lam: Float[Array, "... n m"]
    lam_after: Float[Array, "... n m"]
    diagonal: Float[Array, "... w"]
    slope: Float[Array, "... w"]


class Layer(eqx.Module):
    """The augmented Hamiltonian of one layer as a problem for its weights, 0 at those it comes from (but for L).

    Attributes:
        problem: the ``ControlProblem``, for its functions.
        held: states, adjoints and penalty of this layer.
        rho: weight of the missed equations, in time, (), not negative.
        augmented: whether they count at all; without them an evaluation costs half.
    """

    problem: Any
    held: Held
    rho: Float[Array, ""]
    augmented: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        """Refuse what is no layer.

        Raises:
            TypeError: the problem is none, or nothing is held.
            ValueError: an entry is not finite, or rho is negative.
        """
        checks.instance("Layer", "held", self.held, Held, "Use problem.layers(coeffs).held.")
        checks.leaves("Layer", "held", self.held)
        require_problem("Layer", self.problem, None)
        checks.scalar("Layer", "rho", self.rho, least=0)

    def terms(self, p: PyTree) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """``H_j + R_j``, up to a constant, and ``e_j``."""
        held, stage = self.held, self.held.stage
        moved = stage._replace(cell=p)

        def of_state(u: Array, after: Array, lam: Array) -> tuple[Array, Array]:
            onward, rest = self.problem.step(moved, u)
            # Only the change of the state: lambda' Phi itself is large, and its decrease would drown in rounding.
            return lam @ (onward - after) + jnp.sum(rest**2) / 2, onward

        energy, onward = jax.vmap(of_state)(held.u, held.after, held.lam_after)
        change = ravel_pytree(p)[0] - ravel_pytree(stage.cell)[0]
        value = jnp.mean(energy) + held.slope @ change + change @ (held.diagonal * change) / 2
        if not self.augmented:
            return value, jnp.zeros_like(value)
        back = jax.vmap(jax.grad(stage_hamiltonian, argnums=2), (None, None, 0, 0))
        adjoint = back(self.problem, moved, held.u, held.lam_after)
        missed = jnp.sum((onward - held.after) ** 2) + jnp.sum((adjoint - held.lam) ** 2)
        return value, missed / (stage.h * held.u.shape[0])

    def value(self, p: PyTree, aux: PyTree) -> tuple[Float[Array, ""], PyTree]:
        """The augmented Hamiltonian; the companion passes through."""
        energy, missed = self.terms(p)
        return energy + self.rho * missed / 2, aux

    def linearize(self, p: PyTree, aux: PyTree) -> Linearization:
        """Value, slope and exact Hessian, which may be indefinite."""

        def slope(p: PyTree) -> tuple[PyTree, Array]:
            value, gradient = jax.value_and_grad(lambda p: self.value(p, aux)[0])(p)
            return gradient, value

        gradient, bend, value = jax.linearize(slope, p, has_aux=True)
        return Linearization(value, gradient, bend, aux, {})

    def work(self, p: PyTree) -> Work:
        """In passes of this layer alone: ``e_j`` needs the slope by the state besides."""
        price = 2.0 if self.augmented else 1.0
        return Work(value=price, trial=2 * price, linearize=2 * price, product=2 * price)


class Layers(NamedTuple):
    """A control problem taken apart.

    Attributes:
        value: its cost, ().
        gradient: of the cost, structure of the coefficients.
        held: what each layer holds, leading axis nt.
        metrics: scalars for the history.
    """

    value: Float[Array, ""]
    gradient: PyTree
    held: Held
    metrics: dict[str, Array]

    def layer(self, problem: Any, held: Held, rho: Float[Array, ""], augmented: bool) -> Layer:
        """One layer; under ``vmap`` over ``held`` it is every layer at once."""
        return Layer(problem, held, rho, augmented)


def layers_of(problem: Any, coeffs: PyTree) -> Layers:
    """States, adjoints and penalties of all layers, for a pass forward and one backward.

    Args:
        problem: a ``ControlProblem`` whose control and penalty do not couple layers.
        coeffs: leaves (nt, ...).

    Returns:
        The layers, with cost and gradient, which are known on the way.

    Raises:
        ValueError: a coefficient acts on more than one layer, or the penalty couples them.
    """
    stages = problem.stages(coeffs)
    require_layers("layers_of", problem, coeffs, stages.cell)
    n = problem.u0.shape[0]
    states = problem.states(coeffs)
    costs, ends = jax.vmap(jax.value_and_grad(problem.terminal))(states[-1], problem.c)

    def backward(lam: Array, step: tuple[Steps, Array]) -> tuple[Array, tuple[Array, PyTree, Array]]:
        stage, u = step

        def one(u: Array, lam: Array) -> tuple[Array, PyTree, Array]:
            def energy(cell: PyTree, u: Array) -> tuple[Array, Array]:
                onward, rest = problem.step(stage._replace(cell=cell), u)
                running = jnp.sum(rest**2) / 2
                return lam @ onward + running, running

            (by_cell, by_state), running = jax.grad(energy, (0, 1), has_aux=True)(stage.cell, u)
            return by_state, by_cell, running

        before, by_cell, running = jax.vmap(one)(u, lam)
        return before, (before, jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), by_cell), jnp.mean(running))

    _, (lams, gradient, running) = jax.lax.scan(backward, ends, (stages, states[:-1]), reverse=True)
    lams = jnp.concatenate([lams, ends[None]])
    value = jnp.mean(costs) + jnp.sum(running)
    width = ravel_pytree(coeffs)[0].size // stages.t.shape[0]
    diagonal = slope = jnp.zeros((stages.t.shape[0], width), states.dtype)
    if problem.penalty is not None:
        diagonal, slope = layer_penalty(problem, coeffs)
        value = value + problem.penalty.value(coeffs)
        gradient = jax.tree.map(jnp.add, gradient, problem.penalty.gradient(coeffs))
    held = Held(stages, states[:-1], states[1:], lams[:-1], lams[1:], diagonal, slope)
    return Layers(value, gradient, held, {"misfit": jnp.sum(costs) / n})


def layer_penalty(problem: Any, coeffs: PyTree) -> tuple[Float[Array, "nt w"], Float[Array, "nt w"]]:
    """Diagonal and gradient of a penalty, layer by layer."""
    like = ravel_pytree(coeffs)[1]
    parts = like(problem.penalty.diagonal), problem.penalty.gradient(coeffs)
    diagonal, gradient = (jax.vmap(lambda layer: ravel_pytree(layer)[0])(part) for part in parts)
    return diagonal, gradient


def require_layers(call: str, problem: Any, coeffs: PyTree, cells: PyTree) -> None:
    """Refuse a control or a penalty that ties layers together.

    Args:
        call: name for the message.
        problem: whose control and penalty are judged.
        coeffs: coefficients.
        cells: what the control makes of them.

    Raises:
        ValueError: a coefficient acts on more than one layer, the penalty has no diagonal, or there are no layers.
    """
    same = jax.tree.structure(cells) == jax.tree.structure(coeffs)
    if not same or any(a is not b for a, b in zip(jax.tree.leaves(cells), jax.tree.leaves(coeffs), strict=True)):
        raise ValueError(
            f"{call}({type(problem.control).__name__}): its coefficients act on several layers, needs one set of "
            "weights for each. Use PiecewiseConstant(nt), or a method that takes any control, such as NewtonCG."
        )
    if not len(jax.tree.leaves(coeffs)[0]):
        raise ValueError(
            f"{call}(nt=0): there are no layers, needs at least one. Use PiecewiseConstant(nt) with nt >= 1."
        )
    if problem.penalty is not None and not isinstance(problem.penalty, DiagonalPenalty):
        raise ValueError(
            f"{call}(penalty={type(problem.penalty).__name__}): it may couple layers, needs a diagonal. "
            "Use GroupPenalty, or a method that takes any penalty, such as NewtonCG."
        )
