"""Linear-quadratic model of a control problem.

What is a control problem near some states and controls: a linear quadratic one, solved by a Riccati recursion?

All samples together are one state (n m,); a stage has the Gauss-Newton matrices of its cost, and adds to the next
state what the given states miss of it. At states that fit the controls the solution is the Gauss-Newton step of the
control alone, ``-H^-1 g`` of ``ControlProblem.linearize``, for ``O(nt (n m + w)^3)`` flops instead of ``(nt w)^3`` or
some tens of products: for few samples and great depth. At others it is the step of multiple shooting.

Sources: Bock and Plitt, A multiple shooting algorithm for direct solution of optimal control problems, IFAC 1984;
Dunn and Bertsekas, Efficient dynamic programming implementations of Newton's method for unconstrained optimal control
problems, JOTA 63 (1989) 23-38.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from numdl import checks
from numdl.contracts import PyTree, Steps
from numdl.control.fits import require_problem, require_states
from numdl.control.layers import layer_penalty, require_layers
from numdl.linalg import LinearQuadratic, follow, riccati
from numdl.optimize.parts.packing import as_layers


def riccati_step(problem: Any, coeffs: PyTree, damping: Float[Array, ""] | float = 0.0) -> PyTree:
    """Gauss-Newton step of the control by a Riccati recursion over the layers.

    Args:
        problem: a ``ControlProblem``; the control belongs to single layers, and so does the penalty.
        coeffs: leaves (nt, ...).
        damping: multiple of the identity added to the Hessian, not negative, in cost per squared unit of the control.

    Returns:
        Structure of ``coeffs``; not a number where the damped Hessian is singular.

    Raises:
        ValueError: the damping is negative, or as ``linear_quadratic``.
    """
    require_problem("riccati_step", problem, coeffs)
    checks.scalar("riccati_step", "damping", damping, least=0, hint="Use 0 for none.")
    local = linear_quadratic(problem, coeffs, problem.states(coeffs))
    w = local.r.shape[1]
    local = local._replace(R=local.R + damping * jnp.eye(w, dtype=local.R.dtype))
    return as_layers(coeffs, _controls(local))


@jax.jit
def _controls(local: LinearQuadratic) -> Float[Array, "nt w"]:
    """The best controls from 0, compiled: where there are none they are not a number, and nothing is refused."""
    return follow(local, riccati(local), jnp.zeros(local.b.shape[1], local.b.dtype))[1]


def linear_quadratic(problem: Any, coeffs: PyTree, states: Float[Array, "times n m"]) -> LinearQuadratic:
    """Linear dynamics and quadratic cost near states and controls; unknowns are the changes of both.

    Args:
        problem: a ``ControlProblem``; the control belongs to single layers, and so does the penalty (``diagonal``).
        coeffs: leaves (nt, ...).
        states: (nt + 1, n, m), need not fit the control.

    Returns:
        A linear quadratic problem with states (n m,) and controls (w,), one layer's weights.

    Raises:
        ValueError: a coefficient acts on more than one layer, the penalty couples them, there are no layers, or the
            states have another shape.
    """
    require_problem("linear_quadratic", problem, coeffs)
    stages = problem.stages(coeffs)
    require_layers("linear_quadratic", problem, coeffs, stages.cell)
    require_states("linear_quadratic", "states", problem, len(stages.t), states)
    n, m = problem.u0.shape
    unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], coeffs))[1]
    flat = jax.vmap(lambda cell: ravel_pytree(cell)[0])(coeffs)

    def local(t: Array, h: Array, theta: Array, u: Array, after: Array) -> tuple[Array, ...]:
        def step(u: Array, theta: Array) -> tuple[Array, Array]:
            return problem.step(Steps(t, h, unravel(theta)), u)

        (A, B), (Ju, Jv) = jax.vmap(jax.jacfwd(step, (0, 1)), (0, None))(u, theta)
        onward, r = jax.vmap(step, (0, None))(u, theta)
        missed = onward - after
        Q = jnp.einsum("iqa,iqb->iab", Ju, Ju) / n
        S = jnp.einsum("iqw,iqa->wia", Jv, Ju).reshape(-1, n * m) / n
        R = jnp.einsum("iqv,iqw->vw", Jv, Jv) / n
        slopes = jnp.einsum("iqa,iq->ia", Ju, r).reshape(-1) / n, jnp.einsum("iqw,iq->w", Jv, r) / n
        return blocks_of(A), B.reshape(n * m, -1), missed.reshape(-1), blocks_of(Q), S, R, *slopes

    A, B, b, Q, S, R, q, r = jax.vmap(local)(stages.t, stages.h, flat, states[:-1], states[1:])
    s, outputs = (jax.vmap(fun)(states[-1]) for fun in (problem.scores, jax.jacfwd(problem.scores)))
    bent = jax.vmap(problem.loss.hessian)(s, problem.c)
    last = blocks_of(jnp.einsum("ika,ikl,ilb->iab", outputs, bent, outputs) / n)
    slope = jnp.einsum("ika,ik->ia", outputs, jax.vmap(problem.loss.residual)(s, problem.c)).reshape(-1) / n
    if problem.penalty is not None:
        diagonal, gradient = layer_penalty(problem, coeffs)
        R, r = R + jax.vmap(jnp.diag)(diagonal), r + gradient
    return LinearQuadratic(A, B, b, jnp.concatenate([Q, last[None]]), S, R, jnp.concatenate([q, slope[None]]), r)


def blocks_of(parts: Float[Array, "n a b"]) -> Float[Array, "na nb"]:
    """The block diagonal matrix of the samples' matrices.

    Args:
        parts: a matrix (a, b) for each sample.

    Returns:
        (n a, n b).
    """
    n, a, b = parts.shape
    return jnp.einsum("iab,ij->iajb", parts, jnp.eye(n, dtype=parts.dtype)).reshape(n * a, n * b)
