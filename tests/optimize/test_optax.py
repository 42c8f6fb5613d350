"""Transformations of optax in the loop: the same iterates as by hand, the contract, and the domain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convex_problems import Smooth, spectrum

from numdl.optimize import Optax, minimize
from numdl.testing import check_contract

optax = pytest.importorskip("optax")
pytestmark = pytest.mark.usefixtures("x64")
TRANSFORMATIONS = {
    "sgd": optax.sgd(0.5),
    "nesterov": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.1),
    "scheduled": optax.adamw(optax.exponential_decay(0.1, 10, 0.9)),
    "clipped": optax.chain(optax.clip_by_global_norm(1.0), optax.rmsprop(0.05)),
}
names = pytest.mark.parametrize("name", TRANSFORMATIONS)


@names
def test_iterates_are_those_by_hand(name):
    case, transformation = spectrum(10.0, size=5), TRANSFORMATIONS[name]
    result, progress = minimize(case.problem, Optax(transformation, tol=0.0), case.start, max_iter=8)
    p, state = case.start, transformation.init(case.start)
    for _ in range(8):
        updates, state = transformation.update(case.problem.H @ p - case.problem.b, state, p)
        p = optax.apply_updates(p, updates)
    np.testing.assert_allclose(progress.iterate.p, p, rtol=1e-12)
    np.testing.assert_allclose(result.history["work"], 3.0 * np.arange(1, 9))


@names
def test_contract(name):
    case = spectrum(10.0, size=5)
    check_contract(Optax(TRANSFORMATIONS[name]), case.problem, case.start)


def test_a_step_out_of_the_domain_is_refused_and_shortened():
    problem = Smooth(lambda p: jnp.sum(p - jnp.log(p)))
    seen = []
    start = jnp.asarray([4.0, 0.05])
    result, progress = minimize(
        problem, Optax(optax.sgd(1.0), tol=1e-6), start, max_iter=200,
        observe=lambda now: seen.append([*np.asarray(now.iterate.p), float(now.iterate.value)]),
    )  # fmt: skip
    assert np.all(np.isfinite(seen)) and np.all(np.array(seen)[:, :2] > 0)
    result, _ = minimize(problem, Optax(optax.sgd(6.0)), jnp.asarray([4.0, 4.0]), max_iter=3)
    np.testing.assert_array_equal(result.history["accepted"][:2], [0.0, 1.0])
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(progress.iterate.state))


def test_nowhere_to_go_is_a_stall():
    problem = Smooth(lambda p: jnp.where(jnp.all(p == 1.0), 1.0 + jnp.sum(p), jnp.nan))
    result, _ = minimize(problem, Optax(optax.sgd(1e3)), jnp.ones(2), max_iter=100)
    assert result.status.code == "stalled" and np.all(np.isfinite(result.p))
