"""Discrete weights by the maximum principle (discrete MSA).

How are weights trained that may take a few values only, such as -1, 0 and 1?

Where the Hamiltonian of a layer is linear in its weights, ``H = -M . theta`` with ``M = -dJ/dtheta``, as for layers
that are a product with theta, each weight for itself has a best value, whatever the set. As in the augmented method of
successive approximations a step is held back, and sums over batches are smoothed:

    A <- a A + (1 - a) M
    theta <- argmax over the values v of  A v - rho (v - theta)^2 - lambda v^2,     theta itself at a tie

For -1 and 1 a weight changes its sign where A wants it with ``|A| > 2 rho``; lambda makes ternary weights sparse. The
source leaves rho to the user, a number for each layer; here it is ``mean |A| / (2 rate)`` of each array, whatever the
scale of the cost: a binary weight moves where A is more than ``mean |A| / rate``. By batches the rate is that of the
run. With all rows at once a step is kept if the cost falls, and then the rate grows by a fifth, else it is halved: A of
a step that was refused says the same again, with a larger rho.

Other Hamiltonians are replaced by their linear model, without a promise. For few weights a change of sign is far even
so: on eight binary weights two of eight starts ended at the best of all combinations, on eight ternary ones three.
Cost of a step: a gradient, and with all rows at once a value.

Source: Li and Hao, An optimal control approach to deep learning and applications to discrete-weight neural networks,
ICML 2018, sec. 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Iterate, Problem, PyTree, Status
from numdl.optimize.parts.held_out import held_out
from numdl.optimize.parts.steps import RUNNING, kept_if, scalars_like, work_of
from numdl.optimize.smooth.stochastic_gradient import moved, tree_norm

LEAST_RATE = 1e-4
"""At this rate all steps have been refused for long: no weight's A is so much larger than the mean."""


class Averages(NamedTuple):
    """State of the method.

    Attributes:
        average: A, structure of the discrete unknowns, in cost.
        rate: see the module; used with all rows at once.
        free: memory of the transformation of the other unknowns.
    """

    average: PyTree
    rate: Float[Array, ""]
    free: PyTree


class DiscreteApproximations(eqx.Module):
    """Discrete MSA, for ``minimize`` and, by batches, for ``minimize_stochastic``.

    Attributes:
        values: that a weight may take, ascending.
        memory: a, share of the average that stays, in [0, 1); for batches 0.9.
        sparsity: lambda in units of the mean of ``|A|`` of an array, not negative.
        first_rate: rate at the start where all rows are seen at once, no unit.
        discrete: keys of p that are discrete; None for all of p. The others are moved by ``free``.
        free: an ``optax.GradientTransformation`` with a learning rate of its own, for batches. Static: make it once.
    """

    values: tuple[float, ...] = eqx.field(static=True, default=(-1.0, 0.0, 1.0))
    memory: float = eqx.field(static=True, default=0.0)
    sparsity: float = eqx.field(static=True, default=0.0)
    first_rate: float = eqx.field(static=True, default=0.5)
    discrete: tuple[str, ...] | None = eqx.field(static=True, default=None)
    free: Any = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Refuse a set without a choice, and others that nobody moves.

        Raises:
            ValueError: there are less than two values, another number is out of range, or ``discrete`` is given
                without ``free``.
        """
        name = type(self).__name__
        checks.finite(name, "values", self.values, ("values",))
        checks.number(
            name, "memory", self.memory, least=0, below=1, hint="Use 0 for all rows at once, 0.9 for batches."
        )
        checks.number(name, "sparsity", self.sparsity, least=0, hint="Use 0 for none.")
        checks.number(name, "first_rate", self.first_rate, above=0, hint="Use 0.5.")
        values = self.values
        if len(values) < 2 or list(values) != sorted(set(values)):
            raise ValueError(
                f"DiscreteApproximations(values={self.values}): needs two or more, finite and ascending. "
                "Use (-1.0, 0.0, 1.0)."
            )
        if (self.discrete is None) != (self.free is None):
            raise ValueError(
                f"DiscreteApproximations(discrete={self.discrete}, free={self.free}): needs both or none of them. "
                "Name the discrete keys of p, and give for the others optax.adam(1e-3)."
            )

    def init(self, problem: Problem, p: PyTree, aux: PyTree) -> Iterate:
        """First iterate, the nearest values; nothing is evaluated.

        Args:
            problem: is not looked at.
            p: start.
            aux: companion of the problem.

        Returns:
            The start.

        Raises:
            ValueError: p has not the keys that are discrete, or such weights that are not finite.
        """
        self._require_keys(p)
        value, rate = scalars_like(p, np.inf, self.first_rate)
        weights, others = self._parts(p)
        weights = jax.tree.map(self._nearest, weights)
        zero = jax.tree.map(lambda a: jnp.asarray(np.zeros(a.shape, a.dtype)), weights)
        memory = () if self.free is None else self.free.init(others)
        return Iterate(self._whole(weights, others), aux, value, Averages(zero, rate, memory), {})

    def step(self, problem: Problem, iterate: Iterate, rate: Float[Array, ""] | None = None) -> Iterate:
        """One step.

        Args:
            problem: has ``value``.
            iterate: where the method stands.
            rate: given by ``minimize_stochastic``; None where all rows are seen, and only steps that help are kept.

        Returns:
            Next iterate. ``metrics`` belong to the point that was left, and so does ``value`` where a rate is given.
        """
        old, slopes = jax.value_and_grad(lambda p: problem.value(p, iterate.aux)[0])(iterate.p)
        state, (weights, others) = iterate.state, self._parts(iterate.p)
        slope, rest = self._parts(slopes)
        average = jax.tree.map(lambda a, g: self.memory * a - (1 - self.memory) * g, state.average, slope)
        chosen = jax.tree.map(partial(self._best, state.rate if rate is None else rate), average, weights)
        free = state.free
        if self.free is not None:
            others, free = moved(self.free, others, rest, free, jnp.ones_like(old))
        trial, metrics = self._whole(chosen, others), {"gradient_norm": tree_norm(slopes)}
        if rate is not None:
            return Iterate(trial, iterate.aux, old, Averages(average, state.rate, free), metrics)
        new, cost = problem.value(trial, iterate.aux)[0], work_of(problem, iterate.p)
        good = new < old
        flips = sum(jnp.sum(a != b) for a, b in zip(jax.tree.leaves(chosen), jax.tree.leaves(weights), strict=True))
        p, value, free = kept_if(good, (trial, new, free), (iterate.p, old, state.free))
        metrics |= {
            "aux": iterate.aux,
            "objective": old,
            "damping": 1 / state.rate,
            "moved": jnp.where(good, flips, 0).astype(old.dtype),
            "accepted": good.astype(old.dtype),
            "work": jnp.asarray(cost.trial + cost.value, old.dtype),
        }
        rate = jnp.where(good, jnp.minimum(1.2 * state.rate, 1e4), state.rate / 2)
        return Iterate(p, iterate.aux, value, Averages(average, rate, free), metrics)

    def status(self, history: Mapping[str, Sequence[float]]) -> Status:
        """``converged`` when so small a rate has been tried that no weight would move."""
        if history["damping"][-1] < 1 / LEAST_RATE:
            return RUNNING
        return Status("converged", "No set of weights that the Hamiltonians would move lowers the objective.")

    def evaluate(self, problem: Problem, p: PyTree, aux: PyTree) -> Float[Array, ""]:
        """Mean misfit of another problem at this point, for validation."""
        return held_out(problem, p, aux)

    def passes(self, problem: Problem, p: PyTree) -> float:
        """Passes over the rows of a batch that its step costs."""
        return work_of(problem, p).trial

    def _require_keys(self, p: PyTree) -> None:
        names, known = self.discrete, list(p) if isinstance(p, dict) else []
        if names is not None and (isinstance(names, str) or not set(names) <= set(known)):
            raise ValueError(
                f"DiscreteApproximations(discrete={names!r}): needs keys of p, which has {known}. Give a tuple of "
                "them, or leave discrete and free out if all of p is discrete."
            )
        for path, leaf in jax.tree.leaves_with_path(self._parts(p)[0]):
            if not isinstance(leaf, Tracer) and not np.all(np.isfinite(leaf)):
                raise ValueError(
                    f"DiscreteApproximations: p{jax.tree_util.keystr(path)} is not finite. Start from finite weights."
                )

    def _parts(self, p: PyTree) -> tuple[PyTree, PyTree]:
        """Discrete and other unknowns."""
        if self.discrete is None:
            return p, {}
        return {k: p[k] for k in self.discrete}, {k: leaf for k, leaf in p.items() if k not in self.discrete}

    def _whole(self, weights: PyTree, others: PyTree) -> PyTree:
        return weights if self.discrete is None else {**weights, **others}

    def _nearest(self, a: Array) -> Array:
        values = np.asarray(self.values, a.dtype)
        return jnp.asarray(values[np.argmin(np.abs(np.asarray(a)[..., None] - values), axis=-1)])

    def _best(self, rate: Array, average: Array, theta: Array) -> Array:
        """The value of each weight."""
        unit = jnp.mean(jnp.abs(average))
        rho, sparse = unit / (2 * rate), self.sparsity * unit
        best, gain = theta, average * theta - sparse * theta**2
        for value in self.values:
            other = average * value - rho * (value - theta) ** 2 - sparse * value**2
            best, gain = jnp.where(other > gain, value, best), jnp.maximum(gain, other)
        return best.astype(theta.dtype)
