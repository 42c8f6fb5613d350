"""Discrete weights: each one's best value by definition, the best of all combinations, and what refuses a step."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from numdl.control import DiscreteApproximations
from numdl.optimize import minimize, minimize_stochastic
from numdl.problems import LEAST_SQUARES, Empirical
from numdl.regularize import GroupPenalty
from numdl.testing import check_contract

pytestmark = pytest.mark.usefixtures("x64")
BINARY, TERNARY = (-1.0, 1.0), (-1.0, 0.0, 1.0)


def layers(p, x):
    """Two residual layers, linear in their weights."""
    for K in p:
        x = x + 0.2 * K @ jnp.tanh(x)
    return x


def with_scale(p, x):
    return p["scale"] * layers(p["theta"], x)


def teacher(values, seed, n=30):
    """Samples of a network of the set; the least cost is 0."""
    rng = np.random.default_rng(seed)
    theta = jnp.asarray(rng.choice(values, (2, 2, 2)))
    x = jnp.asarray(2 * rng.normal(size=(n, 2)))
    c = jax.vmap(layers, (None, 0))(theta, x)
    none = GroupPenalty(jnp.zeros(1), jnp.zeros(8, jnp.int32))
    return Empirical(layers, LEAST_SQUARES, none, x, c, jnp.ones(n)), theta


@pytest.mark.quick("ternary")
@pytest.mark.parametrize("values", [BINARY, TERNARY], ids=["binary", "ternary"])
def test_some_starts_find_the_best_of_all_combinations(values):
    problem, theta = teacher(values, 1)
    every = jnp.asarray(list(itertools.product(values, repeat=8))).reshape(-1, 2, 2, 2)
    costs = np.asarray(jax.jit(jax.vmap(lambda p: problem.value(p, None)[0]))(every))
    assert np.min(costs) < 1e-28 and jnp.all(every[np.argmin(costs)] == theta)
    ends = []
    for seed in range(6):
        start = jnp.asarray(np.random.default_rng(seed).choice(values, (2, 2, 2)))
        result = minimize(problem, DiscreteApproximations(values), start, max_iter=200)[0]
        assert result.status.converged and np.all(np.diff(result.history["objective"]) <= 0)
        assert set(np.unique(result.p)) <= set(values)
        ends.append(float(problem.value(result.p, None)[0]))
    share = np.mean(costs[:, None] < np.array(ends) - 1e-14, axis=0)  # of all combinations that are better
    # A change of sign is far for a linear model of eight weights: from most starts binary ones end too early.
    assert min(ends) < 1e-28 and np.median(share) < (0.01 if 0.0 in values else 1.0), (ends, share)


def test_a_value_is_the_best_of_its_augmented_hamiltonian():
    rng = np.random.default_rng(0)
    average, theta = rng.normal(size=(5, 6)), rng.choice(TERNARY, (5, 6))
    method = DiscreteApproximations(TERNARY, sparsity=0.3)
    unit = np.mean(np.abs(average))
    gain = [average * v - unit / (2 * 0.7) * (v - theta) ** 2 - 0.3 * unit * v**2 for v in TERNARY]
    expected = np.asarray(TERNARY)[np.argmax(gain, axis=0)]
    found = method._best(jnp.asarray(0.7), jnp.asarray(average), jnp.asarray(theta))
    np.testing.assert_array_equal(found, expected)
    assert np.any(expected != theta) and np.any(expected == theta)
    # The planted mutant: without the augmented term all weights go where the Hamiltonian alone is largest.
    assert np.any(method._best(jnp.asarray(np.inf), jnp.asarray(average), jnp.asarray(theta)) != expected)
    # Binary in closed form, and nothing moves where nothing is wanted.
    signs = np.where(np.abs(average) > unit / 0.7, np.sign(average), np.sign(theta + 0.5))
    both = DiscreteApproximations(BINARY)._best(jnp.asarray(0.7), jnp.asarray(average), jnp.sign(theta + 0.5))
    np.testing.assert_array_equal(both, signs)
    np.testing.assert_array_equal(method._best(jnp.asarray(1.0), jnp.zeros((5, 6)), jnp.asarray(theta)), theta)


def test_batches_move_discrete_and_other_unknowns():
    problem, theta = teacher(TERNARY, 2)
    none = GroupPenalty(jnp.zeros(1), jnp.zeros(9, jnp.int32))
    problem = Empirical(with_scale, LEAST_SQUARES, none, problem.x, 0.7 * problem.c, problem.w)
    start = {"theta": theta.at[0, 0, 0].set(1.0 - theta[0, 0, 0]), "scale": jnp.asarray(1.0)}
    method = DiscreteApproximations(memory=0.8, discrete=("theta",), free=optax.sgd(0.05))
    result, _ = minimize_stochastic(problem, method, start, batch=10, epochs=60, rate=0.3)
    assert set(np.unique(result.p["theta"])) <= set(TERNARY)
    assert result.history["objective"][-1] < 0.2 * result.history["objective"][0]
    assert result.history["work"][-1] == 120


def test_contract_and_start():
    problem, theta = teacher(TERNARY, 3)
    last = check_contract(DiscreteApproximations(), problem, theta)
    assert last.metrics["work"] == 3
    first = DiscreteApproximations().init(problem, jnp.array([[0.2, -0.9], [0.7, -5.0]]), None)
    np.testing.assert_array_equal(first.p, [[0.0, -1.0], [1.0, -1.0]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"values": (1.0,)}, "two or more"),
        ({"values": (-np.inf, 1.0)}, "values contains infinity.*needs finite"),
        ({"memory": 1.0}, r"memory=1.0.*>= 0 and < 1"),
        ({"sparsity": -1.0}, "sparsity=-1.0.*>= 0"),
        ({"first_rate": 0.0}, "first_rate=0.0.*> 0"),
        ({"discrete": ("K",)}, "both"),
    ],
)
def test_bad_settings_raise(settings, message):
    with pytest.raises(ValueError, match=message):
        DiscreteApproximations(**settings)


@pytest.mark.parametrize(
    ("discrete", "p", "message"),
    [
        (("Q",), {"K": jnp.ones(2)}, r"has \['K'\]"),
        (("K",), {"K": jnp.asarray([np.nan])}, r"p\['K'\] is not finite"),
    ],
)
def test_starts_without_the_discrete_weights_are_refused(discrete, p, message):
    method = DiscreteApproximations(discrete=discrete, free=optax.sgd(0.1))
    with pytest.raises(ValueError, match=message):
        method.init(None, p, None)
