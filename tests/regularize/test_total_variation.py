"""Smoothed total variation: the reference, derivatives, what it prefers, and its use in problems."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.optimize import TrustRegion, minimize
from numdl.problems import LEAST_SQUARES, Empirical
from numdl.regularize import GroupPenalty, SmoothedTotalVariation, TimeSmoothness
from numdl.testing import check_curvature, check_gradient

REFERENCE = Path(__file__).parents[1] / "reference"
KEY = jax.random.key(0)
pytestmark = pytest.mark.usefixtures("x64")


def load(name):
    with np.load(REFERENCE / f"{name}.npz") as file:
        return {key: jnp.asarray(file[key]) for key in file.files}


def weights(seed=0):
    rng = np.random.default_rng(seed)
    return {"K": jnp.asarray(rng.normal(size=(5, 2, 2))), "b": jnp.asarray(rng.normal(size=(5, 2)))}


def variation(eps=1e-2, ridge=0.3):
    return SmoothedTotalVariation(jnp.asarray(0.4), jnp.asarray(0.25), jnp.asarray(eps), jnp.asarray(ridge))


def close(found, expected):
    assert np.linalg.norm(found - expected) <= 1e-10 * np.linalg.norm(expected)


def test_the_reference():
    ref = load("l1reg")
    penalty = SmoothedTotalVariation(ref["alpha"], ref["h"], ref["eps"], ref["ridge"])
    close(penalty.value(ref["x"]), ref["value"])
    close(penalty.gradient(ref["x"]), ref["gradient"])
    close(penalty.hessian(ref["x"])(ref["v"]), ref["hv"])
    true = jax.jvp(jax.grad(penalty.value), (ref["x"],), (ref["v"],))[1]  # mutant: the Hessian that is not lagged
    with pytest.raises(AssertionError):
        close(true, ref["hv"])


def test_the_reference_of_squares():
    ref = load("l2reg")
    parts = (
        TimeSmoothness(ref["alpha"], ref["h"]),
        GroupPenalty(ref["ridge"][None], jnp.zeros(ref["x"].size, jnp.int32)),
    )
    close(sum(part.value(ref["x"]) for part in parts), ref["value"])
    close(sum(part.gradient(ref["x"]) for part in parts), ref["gradient"])
    close(sum(part.product(ref["v"]) for part in parts), ref["hv"])


def test_derivatives_belong_together():
    penalty, theta = variation(), weights()
    check_gradient(lambda p: (penalty.value(p), penalty.gradient(p)), theta, KEY)
    check_curvature(penalty.hessian(theta), theta, KEY)
    with pytest.raises(AssertionError, match="orders are"):  # mutant: the gradient of other weights of the sum
        check_gradient(lambda p: (penalty.value(p), variation(eps=1.1e-2).gradient(p)), theta, KEY)


def test_the_lagged_hessian_is_above_the_true_one():
    penalty, theta = variation(), weights()
    vector, unravel = ravel_pytree(theta)
    true = jax.hessian(lambda p: penalty.value(unravel(p)))(vector)
    lagged = jax.vmap(lambda e: ravel_pytree(penalty.hessian(theta)(unravel(e)))[0])(jnp.eye(vector.size))
    assert float(jnp.linalg.eigvalsh(lagged - true).min()) > -1e-12
    flat = jax.tree.map(jnp.ones_like, theta)  # without slopes they are the same
    true = jax.hessian(lambda p: penalty.value(unravel(p)))(ravel_pytree(flat)[0])
    lagged = jax.vmap(lambda e: ravel_pytree(penalty.hessian(flat)(unravel(e)))[0])(jnp.eye(vector.size))
    np.testing.assert_allclose(lagged, true, atol=1e-10)


def test_a_jump_costs_what_a_slow_change_does():
    jump, ramp = jnp.asarray([0.0, 0, 0, 1, 1, 1]), jnp.linspace(0, 1, 6)
    small = variation(eps=1e-12, ridge=0.0)
    np.testing.assert_allclose(small.value(jump), small.value(ramp), rtol=1e-5)
    square = TimeSmoothness(jnp.asarray(0.4), jnp.asarray(0.25))
    assert square.value(jump) > 4 * square.value(ramp)


def test_large_eps_is_a_square():
    """``sqrt(d^2 + eps) = sqrt(eps) + d^2 / (2 sqrt(eps)) + O(eps^(-3/2))``."""
    eps, theta = 1e6, weights()
    square = TimeSmoothness(jnp.asarray(0.4 / np.sqrt(eps)), jnp.asarray(0.25))
    found, expected = variation(eps, 0.0).gradient(theta), square.gradient(theta)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-10), found, expected)


def test_single_times_have_no_changes():
    single = jax.tree.map(lambda a: a[:1], weights())
    assert float(variation(ridge=0.0).value(single)) == 0.0
    assert not np.any(variation(ridge=0.0).gradient(single)["K"])


def at(p, x):
    return p[x[0].astype(int)]


def denoised(penalty):
    """A step under noise, one unknown for each time; and the noise."""
    truth = np.repeat([[0.0], [1.0]], 20, axis=0)
    noise = 0.1 * np.random.default_rng(3).normal(size=truth.shape)
    x = jnp.arange(40.0)[:, None]
    problem = Empirical(at, LEAST_SQUARES, penalty, x, jnp.asarray(truth + noise), jnp.ones(40))
    check_gradient(problem, jnp.zeros((40, 1)) + jnp.sin(x), show=False)
    result, _ = minimize(problem, TrustRegion(tol=1e-14), jnp.zeros((40, 1)), max_iter=200)
    assert float(jnp.linalg.norm(problem.linearize(result.p, None).gradient)) < 1e-6
    return np.linalg.norm(result.p - truth), np.linalg.norm(noise)


def test_a_problem_with_it_keeps_the_edge_of_a_step():
    one = jnp.asarray(1.0)
    kept, noise = denoised(SmoothedTotalVariation(jnp.asarray(0.01), one, jnp.asarray(1e-6)))
    blurred = min(denoised(TimeSmoothness(jnp.asarray(a), one))[0] for a in (0.003, 0.01, 0.03, 0.1))
    assert kept < 0.5 * noise and kept < 0.7 * blurred


def test_the_matrix_of_a_problem_is_its_curvature():
    problem = Empirical(
        at, LEAST_SQUARES, variation(), jnp.arange(4.0)[:, None], jnp.asarray([[0.0], [1], [1], [3]]), jnp.ones(4)
    )
    p = jnp.asarray([[0.1], [0.2], [0.9], [1.4]])
    curvature = problem.linearize(p, None).curvature
    dense = jax.vmap(lambda e: curvature(e.reshape(4, 1)).ravel())(jnp.eye(4))
    np.testing.assert_allclose(problem.normal(p, None).matrix, dense, atol=1e-12)
