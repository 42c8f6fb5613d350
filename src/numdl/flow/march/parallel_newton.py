"""What if all layers are linearised at once: Newton's method in depth.

The states U of all layers solve ``F(U) = 0``, ``F_{j+1} = u_{j+1} - step_j(u_j)``. Newton's equation is a linear
recursion, ``u_{j+1} = A_j u_j + (step_j(v_j) - A_j v_j)`` around the states v of before, solved by an associative scan
over affine maps in ``log2(nt)`` parallel stages. It converges quadratically, and in nt iterations at most.

Cost of an iteration: nt Jacobians of steps (m products each) and ``2 nt m^3`` flops for each sample, at the same time
for all layers; memory ``nt m^2`` numbers for each sample. For widths up to some tens.

Sources: Lim, Zhu, Selfridge and Kasim, Parallelizing non-linear sequential models over the sequence length, ICLR 2024;
Blelloch, Prefix sums and their applications, CMU-CS-90-190 (1990).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree, Steps
from numdl.flow.march.all_at_once import AllAtOnce, Propagate, Solve, tangent_of


@dataclasses.dataclass(frozen=True)
class ParallelNewton(AllAtOnce):
    """A way to march: Newton's method for the states of all layers, and associative scans for derivatives.

    Attributes:
        tol: largest defect, relative to the largest state, that ends the iteration; below 10 machine precisions it is
            that.
        most: iterations at most; None for nt, after which the states are exact.
    """

    tol: float = 1e-12
    most: int | None = None

    _name: ClassVar[str] = "parallel-newton"

    def __post_init__(self) -> None:
        """Refuse what no iteration can be made with.

        Raises:
            ValueError: a number is out of range.
        """
        checks.number("ParallelNewton", "tol", self.tol, least=0, hint="Use 1e-12.")
        if self.most is not None:
            checks.whole("ParallelNewton", "most", self.most, least=1)

    def _levels(self, steps: Steps) -> list[Steps]:
        return [steps]

    def _solver(self, step: Propagate) -> Solve:
        def solve(propagate: Propagate, data: list, g: Array, start: Array) -> Array:
            if propagate is step:
                return self._newton(step, data[0], start)
            return affine_recursion(_matrices(propagate, data[0], start), g, start)

        return solve

    def _newton(self, step: Propagate, steps: Steps, start: Array) -> Array:
        nt = steps.nt
        tol = max(self.tol, 10 * float(jnp.finfo(start.dtype).eps))

        def better(state: tuple) -> tuple:
            u, _, k = state
            ahead = jax.vmap(step)(steps, u[:-1])
            defect = jnp.max(jnp.abs(ahead - u[1:]), initial=0.0)
            a = _matrices(tangent_of(step), (u[:-1], steps), start)
            new = affine_recursion(a, ahead - _times(a, u[:-1]), start)
            return new, defect / (jnp.max(jnp.abs(u), initial=0.0) + jnp.finfo(u.dtype).tiny), k + 1

        def needed(state: tuple) -> Array:
            _, defect, k = state
            return (k < (nt if self.most is None else self.most)) & ~((k > 0) & (defect <= tol))

        first = jnp.broadcast_to(start, (nt + 1, *start.shape))
        return jax.lax.while_loop(needed, better, (first, jnp.asarray(jnp.inf, start.dtype), jnp.asarray(0)))[0]


def affine_recursion(a: Float[Array, "nt *n m m"], b: Float[Array, "nt *n m"], start: Float[Array, "*n m"]) -> Array:
    """States of ``u_{j+1} = A_j u_j + b_j`` by an associative scan.

    Args:
        a: matrices, (nt, m, m) or (nt, n, m, m).
        b: sources, (nt, m) or (nt, n, m).
        start: u_0.

    Returns:
        (nt + 1, ...).
    """

    def compose(first: Any, second: Any) -> Any:
        return second[0] @ first[0], _times(second[0], first[1]) + second[1]

    if not len(b):
        return start[None]
    a, b = jax.lax.associative_scan(compose, (a, b))
    return jnp.concatenate([start[None], _times(a, start) + b])


def _times(a: Array, u: Array) -> Array:
    return (a @ u[..., None])[..., 0]


def _matrices(propagate: Propagate, data: PyTree, like: Array) -> Array:
    """Jacobians of linear steps, (nt, m, m) or (nt, n, m, m)."""
    m = like.shape[-1]
    units = jax.vmap(lambda e: jnp.broadcast_to(e, like.shape))(jnp.eye(m, dtype=like.dtype))
    return jax.vmap(lambda d: jnp.moveaxis(jax.vmap(lambda e: propagate(d, e))(units), 0, -1))(data)
