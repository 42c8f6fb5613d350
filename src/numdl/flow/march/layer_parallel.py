"""Layer-parallel march (multigrid reduction in time).

How are all layers of a network evaluated, and differentiated, at the same time?

The states of all layers are the unknowns of one recursion, solved by multigrid reduction in time; its derivative is a
linear recursion along the states, forwards for tangents and backwards for adjoints, solved in the same way. A coarse
step is the scheme itself with the sum of c step sizes and the mean of their weights. To a tolerance, values and
derivatives are those of the serial march; a fixed number of cycles is cheaper and leaves a bias.

Source: Guenther, Ruthotto, Schroder, Cyr and Gauger, Layer-parallel training of deep residual neural networks, SIAM J.
Math. Data Sci. 2 (2020) 1-23.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import Control, PyTree, Scheme, Steps, VectorField
from numdl.flow.march.all_at_once import AllAtOnce, Propagate, Solve, enter_all, no_source, step_of
from numdl.flow.march.multigrid import Cycles, Recursion, solve_recursion

COARSEST = 16
"""Steps on the coarsest level, at most, where the number of levels is left open: more levels take longer to compile."""


class Convergence(NamedTuple):
    """What the cycles of a march did.

    Attributes:
        states: (nt + 1, m) or (nt + 1, n, m).
        residuals: largest defect before each cycle, relative to the largest state, (cycles that were made,).
        factor: geometric mean of the factors by which a cycle lessened it; NaN below two cycles.
    """

    states: Array
    residuals: Float[Array, " cycles"]
    factor: float


@dataclasses.dataclass(frozen=True)
class LayerParallel(AllAtOnce):
    """A way to march: multigrid reduction in time, for values and all derivatives.

    Attributes:
        factor: c, coarsening factor, at least 2.
        levels: number of levels, at least 1; None for as many as leave 16 steps at most on the coarsest.
        cycles: cycles to make whatever they leave (inexact mode); None for as many as the tolerance needs, ``nt / (2
            c) + 1`` at most, after which the result is that of the serial march.
        tol: relative defect that ends the cycles; below 10 machine precisions it is that.
        cycle: ``"V"`` or ``"F"``.
        relaxation: ``"FCF"`` or ``"F"``.
        mesh: devices among which the layers are divided, with an axis ``"layer"``; None for one device. Samples may be
            divided along another axis of it, as ``numdl.problems.sharding`` does.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.flow import LayerParallel, PiecewiseConstant, get_march, get_scheme
        >>> def decay(t, u, theta):
        ...     return -theta * u
        ...
        >>> how = (get_scheme("rk4"), decay, PiecewiseConstant(64), jnp.ones((64, 1)), jnp.ones(1), 0.0, 1 / 64)
        >>> bool(jnp.allclose(LayerParallel()(*how), get_march("stored")(*how)))
        True
    """

    factor: int = 4
    levels: int | None = None
    cycles: int | None = None
    tol: float = 1e-12
    cycle: str = "V"
    relaxation: str = "FCF"
    mesh: jax.sharding.Mesh | None = None

    _name: ClassVar[str] = "layer-parallel"

    def __post_init__(self) -> None:
        """Refuse what no cycle can be made with.

        Raises:
            ValueError: a number is out of range or a name is unknown.
        """
        for name, least in (("factor", 2), ("levels", 1), ("cycles", 1)):
            if getattr(self, name) is not None or name == "factor":
                checks.whole("LayerParallel", name, getattr(self, name), least=least)
        checks.number("LayerParallel", "tol", self.tol, least=0, hint="Use 1e-12.")
        checks.choice("LayerParallel", "cycle", self.cycle, ("V", "F"))
        checks.choice("LayerParallel", "relaxation", self.relaxation, ("FCF", "F"))
        axes = getattr(self.mesh, "axis_names", ())
        if self.mesh is not None and "layer" not in axes:
            raise ValueError(
                f"LayerParallel(mesh={type(self.mesh).__name__} with axes {axes}): needs an axis 'layer'. Use "
                "jax.make_mesh((devices,), ('layer',))."
            )

    def convergence(
        self,
        scheme: Scheme,
        f: VectorField,
        control: Control,
        coeffs: PyTree,
        u0: Float[Array, "*n m"],
        t0: Any,
        h: Any,
    ) -> Convergence:
        """States at all times, and how fast the cycles came to them; not differentiable, not for ``jit``.

        Args:
            scheme: as for a call.
            f: as for a call.
            control: as for a call.
            coeffs: as for a call.
            u0: as for a call.
            t0: as for a call.
            h: as for a call.

        Returns:
            States, residuals, and the convergence factor.
        """
        u0, steps = enter_all(self._name, scheme, f, control, coeffs, u0, t0, h)
        nt = steps.nt

        def solve(u0: Array, steps: Steps) -> Recursion:
            levels = self._levels(steps)
            return self._cycles_of(step_of(scheme, f, control), levels, no_source(levels[0], u0), u0)

        found = jax.jit(solve)(u0, steps)
        made = found.residuals[~jnp.isnan(found.residuals)]
        usable = made[made > 0]
        few = len(usable) < 2
        factor = math.nan if few else float((usable[-1] / usable[0]) ** (1 / (len(usable) - 1)))
        return Convergence(found.states[: nt + 1], made, factor)

    def _levels(self, steps: Steps) -> list[Steps]:
        """Steps of all levels; idle steps of length 0 at the end make the number divisible."""
        nt, c = steps.nt, self.factor

        def wanted(n: int) -> bool:
            """Whether a level more than n is asked for."""
            return n < self.levels if self.levels is not None else n == 1 or nt > COARSEST * c ** (n - 1)

        n_levels = 1
        while wanted(n_levels) and nt >= 2 * c**n_levels:  # two steps or more on the coarsest level
            n_levels += 1
        idle = -nt % c ** (n_levels - 1)
        if idle:
            last = steps.t[-1] + steps.h[-1]
            steps = Steps(
                jnp.concatenate([steps.t, jnp.broadcast_to(last, idle)]),
                jnp.pad(steps.h, (0, idle)),
                jax.tree.map(lambda leaf: jnp.concatenate([leaf, jnp.repeat(leaf[-1:], idle, 0)]), steps.cell),
            )
        levels = [steps]
        for _ in range(n_levels - 1):
            levels.append(_coarser(levels[-1], c))
        return levels

    def _solver(self, step: Propagate) -> Solve:
        return lambda propagate, data, g, start: self._cycles_of(propagate, data, g, start).states

    def _cycles_of(self, propagate: Propagate, data: list, g: Array, start: Array) -> Recursion:
        exact = -(-g.shape[0] // (2 * self.factor)) + 1 if self.relaxation == "FCF" else g.shape[0] // self.factor + 1
        tol = max(self.tol, 10 * float(jnp.finfo(start.dtype).eps)) if self.cycles is None else 0.0
        most = exact if self.cycles is None else self.cycles
        cycles = Cycles(self.factor, most, tol, self.cycle == "F", self.relaxation == "FCF", self._place)
        return solve_recursion(propagate, data, g, start, cycles)

    def _place(self, tree: PyTree) -> PyTree:
        """Intervals divided among the devices along the axis ``"layer"``; samples stay where other axes have them."""
        if self.mesh is None:
            return tree
        mesh = jax.sharding.Mesh(self.mesh.devices, self.mesh.axis_names)  # leaves it to XLA what moves

        def one(leaf: Array) -> Array:
            if leaf.shape[0] % mesh.shape["layer"]:
                return leaf
            others = [jax.sharding.PartitionSpec.UNCONSTRAINED] * (leaf.ndim - 1)
            spec = jax.sharding.PartitionSpec("layer", *others)
            return jax.lax.with_sharding_constraint(leaf, jax.sharding.NamedSharding(mesh, spec))

        return jax.tree.map(one, tree)


def _coarser(steps: Steps, c: int) -> Steps:
    """Steps c times as long: sums of sizes, and means of weights by size."""
    h = steps.h.reshape(-1, c)
    size = h.sum(1)
    share = jnp.where(size[:, None] > 0, h / jnp.where(size > 0, size, 1.0)[:, None], 1 / c)
    cell = jax.tree.map(
        lambda leaf: jnp.einsum("kc,kc...->k...", share.astype(leaf.dtype), leaf.reshape(-1, c, *leaf.shape[1:])),
        steps.cell,
    )
    return Steps(steps.t[::c], size, cell)
