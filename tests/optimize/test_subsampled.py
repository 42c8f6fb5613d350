"""Gauss-Newton on samples that grow by the norm test: the rule, the answer, and the passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.models import ResNet
from numdl.optimize import LevenbergMarquardt, TrustRegion, minimize, minimize_subsampled
from numdl.optimize.drivers.subsampled import Noise, Thinned, gradient_noise, rows_needed
from numdl.problems import LEAST_SQUARES, Empirical, VarPro
from numdl.regularize import GroupPenalty

pytestmark = pytest.mark.usefixtures("x64")
NET = ResNet(2, 3, 1, 1.0)
METHODS = pytest.mark.parametrize(
    "method", [TrustRegion(tol=1e-13), pytest.param(LevenbergMarquardt(tol=1e-13), marks=pytest.mark.thorough)]
)


def curve(p, x):
    return jnp.tanh(p["a"] @ x)[None] * p["b"]


def data(n=400):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (n, 2))
    return x, np.tanh(x @ [1.0, -0.5])[:, None] * 2 + 0.3 * rng.standard_normal((n, 1))


def empirical(n=400):
    return Empirical(curve, LEAST_SQUARES, penalty(3), *map(jnp.asarray, (*data(n), np.ones(n))))


def penalty(size):
    return GroupPenalty(jnp.full(1, 1e-3), jnp.zeros(size, int))


START = {"a": np.array([0.3, 0.2]), "b": np.array([0.5])}


def test_the_scatter_is_that_of_single_gradients():
    problem, p = empirical(60), jax.tree.map(jnp.asarray, START)
    noise = gradient_noise(problem, p, None)
    ones = [
        jax.flatten_util.ravel_pytree(problem.rows(jnp.asarray([i])).linearize(p, None).gradient)[0] for i in range(60)
    ]
    assert float(noise.trace) == pytest.approx(np.trace(np.cov(np.array(ones).T)))
    assert float(noise.square) == pytest.approx(np.sum(np.mean(ones, axis=0) ** 2))


def test_sizes_double_until_the_test_holds():
    noise = Noise(jnp.asarray(100.0), jnp.asarray(1.0))  # without the finite population 400 rows pass at theta 1/2
    assert rows_needed(noise, 50, 10**9, 0.5) == 400
    assert rows_needed(noise, 400, 10**9, 0.5) == 400
    assert rows_needed(noise, 50, 120, 0.5) == 100  # 20 rows are left out: 1.0 * 20/119 <= 1/4
    assert rows_needed(noise, 50, 90, 0.5) == 90
    assert rows_needed(Noise(jnp.asarray(1.0), jnp.asarray(0.0)), 2, 7, 0.5) == 7
    assert rows_needed(Noise(jnp.asarray(jnp.nan), jnp.asarray(1.0)), 2, 7, 0.5) == 7


@METHODS
def test_the_answer_is_that_of_all_rows_and_costs_less(method):
    problem, start = empirical(), jax.tree.map(jnp.asarray, START)
    whole, _ = minimize(problem, method, start)
    result = minimize_subsampled(problem, method, start, first=20)
    for ours, theirs in zip(*map(jax.tree.leaves, (result.p, whole.p)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    n, work = result.history["n"], result.history["work"]
    assert n[0] == 20 and n[-1] == 400 and np.all(np.diff(n) >= 0) and np.all(np.diff(work) > 0)
    # The steps before the last sample size pay for the rows they see only.
    assert work[0] < 1.0
    # Planted: a rule that never grows stops at the minimiser of twenty rows.
    stuck = minimize_subsampled(problem, method, start, first=20, max_iter=5, rule=lambda noise, n, total, theta: n)
    assert np.all(stuck.history["n"] == 20) and stuck.history["noise"][-1] > 0.5


@pytest.mark.thorough
@METHODS
def test_variable_projection_comes_to_the_same_objective(method):
    x, c = data(200)
    problem = VarPro(
        NET, LEAST_SQUARES, *map(jnp.asarray, (x, c, np.ones(200))), penalty(NET.n_parameters), jnp.asarray(1e-3)
    )
    theta = NET.init(0, np.float64)
    head = problem.first_head(theta)
    result = minimize_subsampled(problem, method, theta, head, first=50, max_iter=60, curvature=0.5)
    whole, _ = minimize(problem, method, theta, head, max_iter=60)
    assert result.history["n"][-1] == 200
    assert result.history["objective"][-1] == pytest.approx(whole.history["objective"][-1], rel=1e-2)


def test_passes_are_shares_of_the_rows():
    problem, start = empirical(), jax.tree.map(jnp.asarray, START)
    sample, part = problem.rows(jnp.arange(100)), problem.rows(jnp.arange(25))
    work = Thinned(sample, part).work(start)
    assert work.linearize == 2.5 and work.product == 0.5 and work.matrix == 2.5
    lin, whole = Thinned(sample, part).linearize(start, None), sample.linearize(start, None)
    np.testing.assert_array_equal(lin.gradient["a"], whole.gradient["a"])
    np.testing.assert_array_equal(lin.curvature(start)["a"], part.linearize(start, None).curvature(start)["a"])


def test_budgets_hold_and_settings_are_checked():
    problem, start = empirical(), jax.tree.map(jnp.asarray, START)
    short = minimize_subsampled(problem, TrustRegion(), start, first=20, work=0.5)
    assert short.status.code == "max_iter" and short.history["work"][-2] < 0.5 <= short.history["work"][-1]
    with pytest.raises(ValueError, match=r"first=1\): needs a whole number >= 2 and <= 400"):
        minimize_subsampled(problem, TrustRegion(), start, first=1)
