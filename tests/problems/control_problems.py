"""Small control problems: a regulator, and a network that moves in time with a running cost."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from numdl.control import ControlProblem, riccati_step
from numdl.flow import PiecewiseConstant, PiecewiseLinear, get_scheme
from numdl.optimize import minimize
from numdl.problems.risk.losses import LEAST_SQUARES
from numdl.regularize import GroupPenalty
from numdl.testing import check_contract

A = np.array([[0.0, 1.0], [-2.0, 0.1]])
B = np.array([[0.0], [1.0]])


def oscillator(t, u, theta):
    """An unstable oscillator that is pushed."""
    return jnp.asarray(A) @ u + jnp.asarray(B) @ theta + jnp.array([0.0, 0.3]) * jnp.cos(t)


def effort(t, u, theta):
    """Weighted state and control, which also couple."""
    return jnp.concatenate([0.5 * u, 0.4 * theta, 0.2 * (theta + u[:1])])


def regulator(nt=12, scheme="heun", n=1):
    """Linear quadratic; nothing but the loss is at the end."""
    u0 = jnp.asarray(np.array([[1.0, -0.5], [0.3, 0.8], [-1.0, 0.2]])[:n])
    return ControlProblem(
        get_scheme(scheme), oscillator, PiecewiseConstant(nt), u0, jnp.asarray(2.0 / nt), 0 * u0, running=effort
    ), jnp.zeros((nt, 1))


def layer(t, u, theta):
    """A network that sees the time."""
    return jnp.tanh(theta["K"] @ u + theta["b"] + jnp.sin(3 * t))


def energy(t, u, theta):
    """Residual of a running cost that is not quadratic in the state."""
    return jnp.concatenate([jnp.sin(u) + t, 0.3 * theta["K"].reshape(-1), 0.3 * theta["b"]])


def first(u):
    """Nonlinear output of two entries."""
    return jnp.stack([u[0] + u[1] ** 2, u[1]])


def network(nt=5, scheme="heun", linear=False, n=3, alpha=1e-2, loss=LEAST_SQUARES, uneven=True, running=energy):
    """Nonlinear, non-autonomous, with steps of different size."""
    control = (PiecewiseLinear if linear else PiecewiseConstant)(nt)
    rng = np.random.default_rng(0)
    u0, c = rng.normal(size=(n, 2)), rng.normal(size=(n, 2))  # first, as they must not depend on nt
    coeffs = {"K": 0.7 * rng.normal(size=(control.n_coeffs, 2, 2)), "b": 0.5 * rng.normal(size=(control.n_coeffs, 2))}
    h = np.linspace(0.1, 0.3, nt) if uneven else np.full(nt, 1.0 / nt)
    c = c if loss is LEAST_SQUARES else np.eye(2)[np.arange(n) % 2]
    size = 6 * control.n_coeffs
    penalty = GroupPenalty(jnp.full(1, float(alpha)), jnp.zeros(size, jnp.int32), jnp.asarray(rng.normal(size=size)))
    problem = ControlProblem(
        get_scheme(scheme),
        layer,
        control,
        jnp.asarray(u0),
        jnp.asarray(h),
        jnp.asarray(c),
        loss,
        first,
        running,
        penalty if alpha else None,
    )
    return problem, {name: jnp.asarray(leaf) for name, leaf in coeffs.items()}


def solved_regulator(method, max_iter):
    """A regulator, its coefficients, Riccati's control, and a method's result and progress, which must agree."""
    problem, coeffs = regulator(nt=20, n=2)
    exact = coeffs + eqx.filter_jit(riccati_step)(problem, coeffs)
    result, progress = minimize(problem, method, coeffs, max_iter=max_iter)
    assert result.status.converged, result.status
    assert jnp.max(jnp.abs(result.p - exact)) < 1e-10
    return problem, coeffs, exact, result, progress


def trained_network(method, max_iter, slope):
    """A small network with a method's result and progress; the contract is kept, and the gradient below the slope."""
    problem, coeffs = network(n=2, nt=4, alpha=0.1)
    check_contract(type(method)(), problem, coeffs)
    result, progress = minimize(problem, method, coeffs, max_iter=max_iter)
    assert result.status.converged, result.status
    # A small gradient of the cost itself, with states marched: nothing of the method's own is asked.
    gradient = ravel_pytree(jax.jit(lambda p: problem.linearize(p, None).gradient)(result.p))[0]
    assert jnp.linalg.norm(gradient) < slope
    return problem, result, progress
