"""slimTrain: a head without learning rate, whatever the alpha it begins with."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from numdl.models import ResNet
from numdl.optimize import minimize_stochastic
from numdl.optimize.drivers.stochastic_epoch import run_epoch
from numdl.problems import LEAST_SQUARES, SOFTMAX, SlimTrain, VarPro
from numdl.regularize import GroupPenalty

pytestmark = pytest.mark.usefixtures("x64")
NET = ResNet(2, 5, 2, 2.0, dynamics="antisymmetric", scheme="rk4")
ADAM, FROZEN = optax.adam(1.0), optax.set_to_zero()


def peaks(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 2))
    c = np.exp(-(x[:, :1] ** 2) - x[:, 1:] ** 2) * (1 + 3 * x[:, :1])
    theta = NET.init(3, np.float64)
    size = sum(leaf.size for leaf in jax.tree.leaves(theta))
    penalty = GroupPenalty(jnp.zeros(1), jnp.zeros(size, int))
    arrays = map(jnp.asarray, (x, c, rng.uniform(0.5, 1.5, n)))
    return VarPro(NET, LEAST_SQUARES, *arrays, penalty, jnp.asarray(0.0)), theta


def train(problem, theta, method, **options):
    settings = {"batch": 10, "epochs": 2, "rate": 1e-2} | options
    return minimize_stochastic(problem, method, theta, problem.first_head(theta), **settings)


def tikhonov_error(batch):
    problem, theta = peaks(60)
    result, _ = train(problem, theta, SlimTrain(FROZEN, alpha=0.03, fixed=True), batch=batch, epochs=1)
    w = problem.w / jnp.mean(problem.w)
    expected = dataclasses.replace(problem, alpha_head=jnp.asarray(0.03 / jnp.mean(problem.w)), w=w)
    _, head = jax.jit(lambda theta: expected.value(theta, expected.first_head(theta)))(theta)
    return np.abs(result.aux - head).max()


def test_one_batch_of_all_data_gives_the_tikhonov_head():
    assert tikhonov_error(60) < 1e-9


def test_a_planted_batch_that_is_not_all_data_is_seen():
    assert tikhonov_error(59) > 1e-6


def test_the_gradient_is_that_at_the_new_head():
    problem, theta = peaks(30)
    transform = optax.sgd(1.0)
    head = problem.first_head(theta)
    method = SlimTrain(transform)
    after = jax.jit(method.step)(problem, method.init(problem, theta, head), jnp.asarray(0.1))

    def misfit(theta, head):
        return problem.misfit(problem.scores(problem.embed(theta), head))

    @jax.jit
    def moved(head):
        return jax.tree.map(lambda p, g: p - 0.1 * g, theta, jax.grad(misfit)(theta, head))

    new, old = moved(after.aux), moved(head + 0.5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13), after.p, new)
    assert not np.allclose(after.p["opening"]["K"], old["opening"]["K"], rtol=1e-6)  # planted: another head


def test_the_initial_alpha_does_not_matter_over_ten_decades():
    problem, theta = peaks(200)
    validation = peaks(200, seed=1)[0]
    found = [
        train(problem, theta, SlimTrain(ADAM, alpha=alpha), validation=validation)[0].history["validation"][-1]
        for alpha in (1e-10, 1e-5, 1.0)
    ]
    np.testing.assert_allclose(found, found[0], rtol=1e-6)
    fixed = [
        train(problem, theta, SlimTrain(ADAM, alpha=alpha, fixed=True), validation=validation)[0].history["validation"]
        for alpha in (1e-10, 1.0)
    ]
    assert abs(fixed[1][-1] / fixed[0][-1] - 1) > 0.1  # planted: without sampled GCV it matters


def test_the_head_it_is_given_does_not_matter():
    problem, theta = peaks(60)
    given = jnp.asarray(np.random.default_rng(0).standard_normal(problem.first_head(theta).shape))
    method, settings = SlimTrain(ADAM), {"batch": 10, "epochs": 2, "rate": 1e-2}
    ends = [minimize_stochastic(problem, method, theta, head, **settings)[0].aux for head in (given, 0 * given)]
    np.testing.assert_array_equal(*ends)
    method = SlimTrain(ADAM, alpha=1.0, fixed=True)
    start = method.init(problem, theta, given)
    step = eqx.filter_jit(lambda problem, head: method.step(problem, start._replace(aux=head), jnp.asarray(0.0)).aux)
    kept = [np.asarray(step(problem, head)) for head in (given, 0 * given)]
    assert np.abs(kept[0] - kept[1]).max() > 0.1  # planted: a head that is kept does matter


def test_it_lowers_the_objective_and_compiles_once():
    problem, theta = peaks(103)
    run_epoch.clear_cache()
    result, progress = train(problem, theta, SlimTrain(ADAM), epochs=8)
    train(dataclasses.replace(problem, x=problem.x + 0.1), theta, SlimTrain(ADAM, alpha=0.5), rate=1e-3)
    assert run_epoch._cache_size() == 1
    assert result.history["objective"][-1] < 0.5 * result.history["objective"][0]
    assert progress.steps == 8 * 11 and np.all(result.history["work"] == 2 * np.arange(1, 9))


@pytest.mark.quick("1")
@pytest.mark.parametrize("memory", [0, 1, 4])
def test_a_broken_run_goes_on_to_the_last_bit(memory):
    problem, theta = peaks(33)
    whole, _ = train(problem, theta, SlimTrain(ADAM, memory=memory), epochs=4)
    _, progress = train(problem, theta, SlimTrain(ADAM, memory=memory), epochs=1)
    resumed, _ = train(problem, theta, SlimTrain(ADAM, memory=memory), epochs=4, resume=progress)
    np.testing.assert_array_equal(whole.aux, resumed.aux)


def test_bad_settings_raise():
    problem, theta = peaks(20)
    with pytest.raises(ValueError, match=r"alpha=0.*needs a finite number"):
        train(problem, theta, SlimTrain(ADAM, alpha=0.0))
    with pytest.raises(ValueError, match=r"memory=-1.*needs a whole number >= 0"):
        train(problem, theta, SlimTrain(ADAM, memory=-1))
    with pytest.raises(ValueError, match=r"'softmax', needs least_squares"):
        train(dataclasses.replace(problem, loss=SOFTMAX), theta, SlimTrain(ADAM))
