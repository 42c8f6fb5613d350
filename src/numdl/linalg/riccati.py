"""Riccati recursion (LQR).

Which controls and states solve a linear quadratic control problem, one stage after the other?

    min sum_j [ 1/2 x'Q x + v'S x + 1/2 v'R v + q'x + r'v ]_j + 1/2 x_N' Q_N x_N + q_N' x_N
    subject to  x_j+1 = A_j x_j + B_j v_j + b_j

Backwards: the cost to go is ``1/2 x'P_j x + p_j'x`` and its best control ``v_j = K_j x_j + k_j``. Forwards: the states.
``P_j x_j + p_j`` is the adjoint, the multiplier of the equation that leads to ``x_j``.

Cost: ``O(N (m + w)^3)`` for N stages, states (m,) and controls (w,): linear in depth, where the matrix of all controls
takes ``(N w)^3``.

Source: Rao, Wright and Rawlings, Application of interior-point methods to model predictive control, JOTA 99 (1998)
723-757, sec. 3; Bertsekas, Dynamic Programming and Optimal Control, vol. 1, sec. 3.1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from numdl import checks


class LinearQuadratic(NamedTuple):
    """A linear quadratic control problem with N stages; symbols as in the module's formula.

    Attributes:
        A: (N, m, m).
        B: (N, m, w).
        b: (N, m), what a stage adds by itself.
        Q: (N + 1, m, m), symmetric, not negative; the last is that of the final state.
        S: (N, w, m), couples control and state of a stage.
        R: (N, w, w), symmetric; positive together with ``B'P B``.
        q: (N + 1, m).
        r: (N, w).
    """

    A: Float[Array, "N m m"]
    B: Float[Array, "N m w"]
    b: Float[Array, "N m"]
    Q: Float[Array, "times m m"]
    S: Float[Array, "N w m"]
    R: Float[Array, "N w w"]
    q: Float[Array, "times m"]
    r: Float[Array, "N w"]


class Feedback(NamedTuple):
    """The best control of every state, and the cost to go.

    Attributes:
        K: gain, (N, w, m).
        k: offset of the control, (N, w).
        P: Hessian of the cost to go, (N + 1, m, m).
        p: its slope at 0, (N + 1, m).
    """

    K: Float[Array, "N w m"]
    k: Float[Array, "N w"]
    P: Float[Array, "times m m"]
    p: Float[Array, "times m"]


def riccati(problem: LinearQuadratic) -> Feedback:
    """Gains, offsets and cost to go, backwards from the end.

    Args:
        problem: stages and costs.

    Returns:
        The feedback; not a number where a stage has no unique minimum.

    Raises:
        ValueError: an entry is known and not finite.
        TypeError: the problem is none.
    """
    checks.record("riccati", "problem", problem, LinearQuadratic)

    def backward(ahead: tuple[Array, Array], stage: tuple) -> tuple[tuple[Array, Array], tuple]:
        P, p = ahead
        A, B, b, Q, S, R, q, r = stage
        slope = p + P @ b
        mixed = S + B.T @ P @ A
        factor = jnp.linalg.cholesky(R + B.T @ P @ B)
        K = -cho_solve((factor, True), mixed)
        k = -cho_solve((factor, True), r + B.T @ slope)
        P = Q + A.T @ P @ A + mixed.T @ K
        P, p = (P + P.T) / 2, q + A.T @ slope + mixed.T @ k
        return (P, p), (K, k, P, p)

    end = problem.Q[-1], problem.q[-1]
    stages = problem._replace(Q=problem.Q[:-1], q=problem.q[:-1])
    _, (K, k, P, p) = jax.lax.scan(backward, end, tuple(stages), reverse=True)
    return Feedback(K, k, jnp.concatenate([P, end[0][None]]), jnp.concatenate([p, end[1][None]]))


def follow(
    problem: LinearQuadratic, feedback: Feedback, x0: Float[Array, " m"]
) -> tuple[Float[Array, "times m"], Float[Array, "N w"]]:
    """States and controls of a feedback.

    Args:
        problem: gives the stages.
        feedback: as from ``riccati``.
        x0: first state, (m,).

    Returns:
        States (N + 1, m) and controls (N, w).

    Raises:
        ValueError: an entry is known and not finite, or x0 has another length than the states.
        TypeError: problem or feedback is none.
    """
    checks.record("follow", "problem", problem, LinearQuadratic)
    checks.record("follow", "feedback", feedback, Feedback)
    x0 = jnp.asarray(checks.finite("follow", "x0", x0, problem.b.shape[1:]))

    def forward(x: Array, stage: tuple) -> tuple[Array, tuple[Array, Array]]:
        A, B, b, K, k = stage
        v = K @ x + k
        x = A @ x + B @ v + b
        return x, (x, v)

    _, (x, v) = jax.lax.scan(forward, x0, (problem.A, problem.B, problem.b, feedback.K, feedback.k))
    return jnp.concatenate([x0[None], x]), v
