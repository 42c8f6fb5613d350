"""Method of successive approximations (MSA, extended MSA).

How far does Pontryagin's principle train a network: every layer for itself, with states and adjoints held?

    theta_j <- argmin over theta of  H_j(u_j, lambda_j+1, theta) + R_j(theta) + rho/2 e_j(theta)

for all layers at once, where e_j says by how much the layer misses the equations of state and adjoint, and H_j is to be
small (Li et al. maximise, with the adjoint's sign reversed). With rho = 0 it is the basic method of successive
approximations, which takes any step and often diverges: a layer knows nothing of what the others do to its states.

With ``augmented`` a step is kept only if the cost falls. The cost changes by at most ``sum dH_j + C sum e_j``, and any
``rho >= 2 C`` makes this negative. The constant is not known, but every trial measures one, ``(dJ - sum dH_j) / sum
e_j``: a trial that is refused sets rho to twice the measured constant (or to four times the old rho), and one that is
kept lets rho fall to twice the constant, at most by half. Near a minimum changes drown in the rounding of the cost.
There slopes at both ends of the step say what values cannot, ``dJ = (g_old + g_new)' dtheta / 2`` and likewise for H:
exact for linear quadratic problems, on which the method converges at a linear rate to the last digits.

Cost of a step: one pass forward and one backward; for every trial the evaluations of the inner method, of which one in
every layer is a pass (with the errors two, and four with the slope), the errors and a value.

Sources: Chernousko and Lyubushin, Method of successive approximations for solution of optimal control problems, Optim.
Control Appl. Methods 3 (1982) 101-114; Li, Chen, Tai and E, Maximum principle based algorithms for deep learning, JMLR
18 (2018), alg. 2 and lemma 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Iterate, LayeredProblem, Linearization, Optimizer, PyTree, Status, Work, require
from numdl.optimize.parts.checks import require_pytree
from numdl.optimize.parts.descent import gradient_status
from numdl.optimize.parts.line_search import rounding_of
from numdl.optimize.parts.steps import kept_if, scalars_like, work_of
from numdl.optimize.smooth.lbfgs import LBFGS


class Augmentation(NamedTuple):
    """State of the method: the weight rho of the missed equations, in time."""

    rho: Float[Array, ""]


class SuccessiveApproximations(eqx.Module):
    """MSA and, augmented, E-MSA for a ``LayeredProblem``, such as ``ControlProblem``.

    Attributes:
        inner: lowers the Hamiltonian of one layer, all layers at once: a method that asks for ``value``, ``linearize``
            and ``work`` alone, counts its passes, and whose ``init`` and ``step`` can be traced, as ``LBFGS``,
            ``Newton``, ``InexactNewton`` or, for bounds of the weights, ``ProjectedGradient(Box(...))``.
        inner_steps: steps of ``inner``.
        augmented: E-MSA, which keeps to a falling cost; else the basic method, which takes every finite step.
        first_rho: rho at the start, in time, positive.
        max_trials: rho tried in one step.
        tol: norm of the gradient, relative to max(1, |J|), at which to stop.
    """

    inner: Optimizer = LBFGS()
    inner_steps: int = eqx.field(static=True, default=10)
    augmented: bool = eqx.field(static=True, default=True)
    first_rho: float = eqx.field(static=True, default=1.0)
    max_trials: int = eqx.field(static=True, default=8)
    tol: float = eqx.field(static=True, default=1e-8)

    def __check_init__(self) -> None:
        """Refuse settings with which no step can be made.

        Raises:
            ValueError: a number is out of range.
            TypeError: ``inner`` is no method, or no pytree.
        """
        name = type(self).__name__
        for what in ("inner_steps", "max_trials"):
            checks.whole(name, what, getattr(self, what), least=1)
        checks.number(name, "first_rho", self.first_rho, above=0, hint="Use 1.0, or augmented=False for none.")
        checks.number(name, "tol", self.tol, least=0, hint="Use 1e-8.")
        require(self.inner, Optimizer, f"{name}(inner)", "use LBFGS()")
        require_pytree(name, inner=self.inner)

    def init(self, problem: LayeredProblem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate; nothing is evaluated.

        Args:
            problem: what to lower.
            p: start.
            aux: companion of the problem.

        Returns:
            The start.

        Raises:
            TypeError: the problem has no layers.
            ValueError: ``inner`` is no method for them.
        """
        require(problem, LayeredProblem, type(self).__name__, "use LBFGS, which needs no layers")
        self._require_inner(p)
        value, rho = scalars_like(p, np.inf, self.first_rho if self.augmented else 0.0)
        return Iterate(p, aux, value, Augmentation(rho), {})

    def step(self, problem: LayeredProblem, iterate: Iterate) -> Iterate:
        """One step, or with ``augmented`` none if ``max_trials`` values of rho did not help.

        Args:
            problem: as given to ``init``.
            iterate: where the method stands.

        Returns:
            Next iterate; ``metrics`` belong to the point that was left, ``missed`` (the sum of e_j) to the last trial.
        """
        layers = problem.layers(iterate.p)
        nt = layers.held.stage.t.shape[0]
        cost = work_of(problem, iterate.p)

        def lowered(held: Any, theta: PyTree, rho: Array) -> tuple[PyTree, Array, Array, Array]:
            layer = layers.layer(problem, held, rho, self.augmented)
            at, work = self._lowered(layer, theta)
            before, (after, missed) = layer.terms(theta)[0], layer.terms(at.p)
            return at.p, after - before, missed, jnp.sum(work) + 2 * layer.work(theta).value

        def attempt(carry: tuple) -> tuple:
            _, rho, p, value, work, count, _ = carry
            trial, change, missed, spent = jax.vmap(lowered, (0, 0, None))(layers.held, iterate.p, rho)
            new, _ = problem.value(trial, iterate.aux)
            work = work + cost.value + jnp.sum(spent) / nt
            good, missed = jnp.isfinite(new), jnp.sum(missed)
            if self.augmented:
                promise, tiny = jnp.sum(change), jnp.finfo(new.dtype).tiny
                rounding = rounding_of(layers.value)
                rise, promise, paid = jax.lax.cond(
                    jnp.abs(promise) > rounding,
                    lambda: (new - layers.value, promise, jnp.zeros_like(new)),
                    lambda: _by_slopes(problem, layers, iterate.p, trial, cost.linearize),
                )
                work = work + paid
                constant = 2 * (rise - promise) / jnp.maximum(missed, tiny)
                good &= (rise < 0) & (rise <= 1e-4 * promise) & (new <= layers.value + rounding)
                # A cost that is no number measures nothing: fmax passes over it.
                rho = jnp.where(good, jnp.fmax(constant, rho / 2), jnp.fmax(constant, 4 * rho))
                rho = jnp.clip(rho, 1e-10, 1e10).astype(new.dtype)
            p, value = kept_if(good, (trial, new), (p, value))
            return good, rho, p, value, work, count + 1, missed

        rho, value = iterate.state.rho, layers.value
        start = (
            jnp.asarray(False),
            rho,
            iterate.p,
            value,
            jnp.zeros_like(value),
            jnp.asarray(0),
            jnp.zeros_like(value),
        )
        trials = self.max_trials if self.augmented else 1
        good, rho, p, value, work, count, missed = jax.lax.while_loop(lambda s: ~s[0] & (s[5] < trials), attempt, start)
        metrics = {
            **layers.metrics,
            "aux": iterate.aux,
            "objective": layers.value,
            "gradient_norm": jnp.linalg.norm(ravel_pytree(layers.gradient)[0]),
            "damping": iterate.state.rho,
            "missed": missed,
            "accepted": good.astype(value.dtype),
            "trials": count.astype(value.dtype),
            "work": (cost.linearize + work).astype(value.dtype),
        }
        return Iterate(p, iterate.aux, value, Augmentation(rho), metrics)

    def _lowered(self, layer: Any, theta: PyTree) -> tuple[Iterate, Float[Array, " steps"]]:
        """A layer after the inner steps, and what each of them cost."""

        def once(at: Iterate, _: None) -> tuple[Iterate, Array]:
            at = self.inner.step(layer, at)
            return at._replace(metrics={}), at.metrics["work"]

        return jax.lax.scan(once, self.inner.init(layer, theta, None), length=self.inner_steps)

    def _require_inner(self, p: PyTree) -> None:
        """Refuse an inner method that cannot be traced on a layer with what it may ask for; nothing is evaluated."""
        theta = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf)[1:], leaf.dtype), p)
        try:
            jax.eval_shape(lambda theta: self._lowered(_Bowl(), theta), theta)
        except (AttributeError, KeyError, TypeError, ValueError, jax.errors.JAXTypeError) as error:
            raise ValueError(
                f"{type(self).__name__}(inner={type(self.inner).__name__}): it cannot lower all layers at once, needs "
                "a method whose init and step can be traced and ask for value, linearize and work alone. Use LBFGS(), "
                "InexactNewton(), or ProjectedGradient(Box(...)) for bounds. What went wrong on a plain layer: "
                f"{str(error).splitlines()[0]}"
            ) from error

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` at a small gradient, ``stalled`` when no rho helps (or no step is finite)."""
        return gradient_status(history, self.tol)


class _Bowl(eqx.Module):
    """The plainest layer, ``||theta||^2 / 2``."""

    def value(self, p: PyTree, aux: PyTree) -> tuple[Array, PyTree]:
        flat = ravel_pytree(p)[0]
        return flat @ flat / 2, aux

    def linearize(self, p: PyTree, aux: PyTree) -> Linearization:
        return Linearization(self.value(p, aux)[0], p, lambda v: v, aux, {})

    def work(self, p: PyTree) -> Work:
        return Work()


def _by_slopes(
    problem: LayeredProblem, layers: Any, p: PyTree, trial: PyTree, price: float
) -> tuple[Array, Array, Array]:
    """Change of the cost and of ``sum H_j + R_j``, by the trapezoidal rule along the step, and the passes spent.

    Args:
        problem: has ``layers``.
        layers: where the step starts.
        p: weights there.
        trial: weights at its end.
        price: passes of a gradient.

    Returns:
        Both changes and the passes, each ().
    """

    def slope(held: Any, theta: PyTree) -> tuple[PyTree, Array]:
        layer = layers.layer(problem, held, jnp.zeros_like(layers.value), False)
        return layer.linearize(theta, None).gradient, jnp.asarray(layer.work(theta).linearize)

    step, start = ravel_pytree(trial)[0] - ravel_pytree(p)[0], ravel_pytree(layers.gradient)[0]
    apart, work = jax.vmap(slope)(layers.held, trial)
    cost, energy = ((start + ravel_pytree(end)[0]) @ step / 2 for end in (problem.layers(trial).gradient, apart))
    return cost, energy, (price + jnp.mean(work)).astype(cost.dtype)
