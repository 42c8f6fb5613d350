"""slimTrain: how are flow and head trained from batches when only the flow needs a learning rate (slimTrain)?

Each step embeds the batch once, moves the head by the sampled limited-memory Tikhonov step with its parameter from
sampled GCV, and then the flow along the transformed gradient of the batch's misfit at the new head: one pass forward
and one backward over the batch, as a step of Adam.

What the rows in memory say about the parameter is noisy, and a sum ``Lambda`` that falls fast undoes regularisation:
``W`` then grows in directions the batch hardly sees. So the first choice is free, and later ones move ``Lambda`` by a
factor of at most ``2^(rows / 64)``, and at most 2.

On peaks (2000 rows, Adam for the flow; mean of 5 seeds that chose no setting; ``benchmarks/slim_train.py``) the
validation loss after 3 epochs in batches of 10 was below that of Adam on all weights at each of 7 rates over 1e-4 ..
1e-1: 0.16 against 0.23 at the best rates, 0.17 against 0.34 at 1e-2, 0.67 against 1.07 at 1e-3. After one epoch in
batches of one row it was 0.69 against 0.68 at the best rates, and lower away from them: 0.85 against 1.02 at 1e-3, 1.04
against 1.45 at 1e-1. There the flow is behind, not the head: the best head for it would bring 0.52 instead of 0.60 (3
other seeds). A head fitted to the rows in memory alone, 180 or 500 of them, or the gradient at the head before the step
were no better there. On a map from 55 to 72 numbers known at 400 points Adam is ahead, 0.80 against 1.94 after 20
epochs in batches of 10; in an autoencoder with a head of 784 rows slimTrain is, 11.4 against 22.6 after 3 epochs in
batches of 50, though its step takes 3 times as long.

Source: Newman, Chung, Chung, Ruthotto, slimTrain - a stochastic approximation method for training separable deep neural
networks, SIAM J. Sci. Comput. 44 (2022) A2322-A2348, sec. 3; the rows of the criterion (see ``limited_memory``) and
the bound on the factor are ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from numdl import checks
from numdl.contracts import Iterate, PyTree
from numdl.optimize.smooth.stochastic_gradient import moved, tree_norm, unknown_value
from numdl.problems.fits import refuse_pixels
from numdl.problems.varpro.limited_memory import SampledSystem, sampled_gcv, sampled_step, sampled_system

TRIALS = 10.0 ** np.linspace(-10, 2, 25)  # of the largest eigenvalue
DOUBLE = 64  # rows in which the parameter may double or halve
ROWS = 20  # rows in memory for each unknown of one output


class SlimState(NamedTuple):
    """Memory of slimTrain.

    Attributes:
        transform: memory of the transformation of the flow's gradient.
        past: features of the last r batches, oldest first, (r, B, m).
        past_c: their targets, (r, B, k).
        past_root: scales of their rows, (r, B); 0 for what is not there yet.
        alpha: sum of the regularisation parameters so far, ().
        chosen: whether a batch has chosen it yet, ().
    """

    transform: PyTree
    past: Array
    past_c: Array
    past_root: Array
    alpha: Array
    chosen: Array


class SlimTrain(eqx.Module):
    """Steps on batches of a ``VarPro`` problem with least squares; its head penalty is not used.

    Attributes:
        transform: an ``optax.GradientTransformation`` of learning rate 1 for theta. Static: make it once.
        alpha: regularisation parameter of the head, in units of the mean misfit, positive; only a start, without
            influence on the result, unless ``fixed``.
        memory: batches whose features are kept, r >= 0; batches of one row need one in memory. None for as many as
            hold 20 rows for each unknown of one output.
        fixed: keep ``alpha`` instead of choosing it by sampled GCV.
    """

    transform: Any = eqx.field(static=True)
    alpha: float | Array = 1e-6
    memory: int | None = eqx.field(static=True, default=None)
    fixed: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        """Refuse settings with which no step can be made.

        Raises:
            ValueError: a number is out of range.
            TypeError: the transformation is none.
        """
        if not hasattr(self.transform, "update"):
            raise TypeError(
                f"SlimTrain(transform={checks.shown(self.transform)}): has no update, needs a transformation. Give for "
                "example optax.adam(1.0)."
            )
        checks.scalar("SlimTrain", "alpha", self.alpha, above=0, hint="Use alpha=1e-6.")
        if self.memory is not None:
            checks.whole("SlimTrain", "memory", self.memory, least=0)

    def init(self, problem: Any, p: PyTree, aux: Float[Array, "k q"]) -> Iterate:
        """First iterate for batches as large as the problem.

        The head begins at zero, and ``aux`` gives only its shape: a part of it that no batch determines would be kept
        by the penalty and grow as ``Lambda`` falls, in proportion to ``1 / Lambda``.

        Raises:
            ValueError: the loss is not least squares, or samples have pixels.
        """
        if not problem.squares:
            raise ValueError(
                f"SlimTrain: the loss is {problem.loss.name!r}, needs least_squares. Use StochasticGradient on "
                "full_problem(problem, theta)."
            )
        refuse_pixels("SlimTrain", problem.pixels)
        rows, features = problem.x.shape[0], aux.shape[1] - problem.intercept
        memory = -(-ROWS * aux.shape[1] // rows) if self.memory is None else self.memory
        arrays = (
            np.zeros((memory, rows, features), aux.dtype),
            np.zeros((memory, *problem.c.shape), problem.c.dtype),
            np.zeros((memory, rows), aux.dtype),
            np.asarray(self.alpha, aux.dtype),
            np.asarray(self.fixed),
        )
        past, past_c, past_root, alpha, chosen = map(jnp.asarray, arrays)
        state = SlimState(self.transform.init(p), past, past_c, past_root, alpha, chosen)
        return Iterate(p, jnp.asarray(np.zeros(aux.shape, aux.dtype)), unknown_value(p), state, {})

    def step(self, problem: Any, iterate: Iterate, rate: Float[Array, ""]) -> Iterate:
        """Head, then flow; ``value`` is the batch's objective at the new head, before the flow moves."""
        theta, state = iterate.p, iterate.state
        u, pull = jax.vjp(problem.embed, theta)
        root = jnp.sqrt(problem.w / problem.x.shape[0])
        system = sampled_system(
            iterate.aux, u, problem.c, root, state.past, state.past_c, state.past_root, intercept=problem.intercept
        )
        after, chosen = state.alpha, state.chosen
        if not self.fixed:
            after, chosen = _chosen(system, state.alpha, state.chosen, jnp.sum(root > 0))
        before = jnp.where(state.chosen | self.fixed, state.alpha, after)  # the first choice replaces, whatever stood
        head = sampled_step(system, before, after, intercept=problem.intercept)
        rest = root[:, None] * (problem.scores(u, head) - problem.c)
        value = 0.5 * jnp.sum(rest**2) + problem.penalty.value(theta)
        slope = pull((root[:, None] * rest) @ head[:, : u.shape[1]])[0]
        gradient = jax.tree.map(jnp.add, slope, problem.penalty.gradient(theta))
        p, transform = moved(self.transform, theta, gradient, state.transform, rate)
        r = state.past.shape[0]
        new = ((state.past, u), (state.past_c, problem.c), (state.past_root, root))
        past, past_c, past_root = (jnp.concatenate([old, last[None]])[-r:] if r else old for old, last in new)
        state = SlimState(transform, past, past_c, past_root, after, chosen)
        return Iterate(p, head, value, state, {"gradient_norm": tree_norm(gradient)})

    def evaluate(self, problem: Any, p: PyTree, aux: Float[Array, "k q"]) -> Float[Array, ""]:
        """Mean misfit of another problem with this head, which is not solved for again."""
        return problem.held_out(p, aux)

    def passes(self, problem: Any, p: PyTree) -> float:
        """Passes over the rows of a batch that its step costs: forward, and backward."""
        return 2.0


def _chosen(
    system: SampledSystem, before: Float[Array, ""], chosen: Bool[Array, ""], rows: Int[Array, ""]
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """The trial of smallest sampled GCV, as near as the bound lets it come; and whether it ever said something.

    Until then the parameter is the largest eigenvalue: a head that hardly moves.
    """
    largest = system.eigenvalues[-1]
    scale = jnp.where(largest > 0, largest, 1.0)
    trials = scale * jnp.asarray(TRIALS, scale.dtype)
    criterion = sampled_gcv(system, trials)
    best = jnp.argmin(criterion)
    said = jnp.isfinite(criterion[best])
    factor = 2.0 ** jnp.minimum(rows.astype(scale.dtype) / DOUBLE, 1.0)
    bounded = jnp.clip(trials[best], before / factor, before * factor)
    wanted = jnp.where(chosen, bounded, trials[best])
    return jnp.where(said, wanted, jnp.where(chosen, before, scale)), chosen | said
