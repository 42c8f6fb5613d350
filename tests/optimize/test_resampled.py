"""Samples that grow when they are used up, and methods compared by the passes they take."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from numdl.models import ResNet
from numdl.optimize import (
    Entry,
    LevenbergMarquardt,
    NewtonCG,
    SteepestDescent,
    StochasticGradient,
    compare,
    minimize_sample_average,
    sample_gap,
)
from numdl.optimize.parts.held_out import held_out_losses, held_out_value
from numdl.problems import LEAST_SQUARES, Empirical, SlimTrain, VarPro, full_problem
from numdl.regularize import GroupPenalty

pytestmark = pytest.mark.usefixtures("x64")
NET = ResNet(2, 6, 1, 1.0)


def line(p, x):
    return p[:, :-1] @ x + p[:, -1]


def linear(n, seed=0, noise=1.0, d=20):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    c = x[:, :1] + noise * rng.standard_normal((n, 1))
    penalty = GroupPenalty(jnp.zeros(1), jnp.zeros(d + 1, int))
    return Empirical(line, LEAST_SQUARES, penalty, *map(jnp.asarray, (x, c, np.ones(n))))


def peaks(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 2))
    c = np.exp(-(x[:, :1] ** 2) - x[:, 1:] ** 2) * (1 + 3 * x[:, :1])
    penalty = GroupPenalty(jnp.zeros(1), jnp.zeros(NET.n_parameters, int))
    return VarPro(NET, LEAST_SQUARES, *map(jnp.asarray, (x, c, np.ones(n))), penalty, jnp.asarray(1e-8))


def test_the_gap_has_the_size_that_its_test_says():
    """Without a difference 5 % of the tests at level 5 % reject: 2000 draws, three deviations."""
    rng, z, rejected = np.random.default_rng(0), 1.6449, 0
    for _ in range(2000):
        found = sample_gap(rng.exponential(size=200), rng.exponential(size=150))
        rejected += found.gap > z * found.error
    assert abs(rejected / 2000 - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 2000)
    sample, fresh = rng.standard_normal(30), rng.standard_normal(20) + 1
    gap = sample_gap(sample, fresh)
    assert gap.gap == pytest.approx(fresh.mean() - sample.mean()) and gap.fresh == fresh.mean()
    assert gap.error == pytest.approx(np.sqrt(sample.var(ddof=1) / 30 + fresh.var(ddof=1) / 20))


def test_losses_of_single_samples_average_to_the_misfit():
    problem = linear(40)
    p = jnp.ones((1, 21))
    losses = held_out_losses(problem, p, None)
    assert losses.shape == (40,)
    assert float(jnp.mean(losses)) == pytest.approx(float(held_out_value(problem, p, None)))


def test_a_held_out_head_is_not_solved_for():
    problem, other = peaks(50), peaks(60, seed=1)
    theta = NET.init(0, np.float64)
    head = problem.value(theta, problem.first_head(theta))[1]
    given = float(held_out_value(other, theta, head))
    assert given == pytest.approx(float(other.misfit(other.scores(other.embed(theta), head))))
    assert given > 1.01 * float(other.value(theta, head)[0])  # planted: the objective would fit the head to them


def test_a_sample_with_as_many_unknowns_is_used_up_and_grows():
    problem = linear(4000)  # 1000 would be used up before fresh rows are certain enough for tol
    result = minimize_sample_average(problem, NewtonCG(), jnp.zeros((1, 21)), first=25, tol=0.2)
    history = result.history
    assert history["used_up"][0] == 1 and history["gap"][0] > 0  # 25 rows, 21 unknowns
    assert list(history["n"][:3]) == [25, 50, 100] and np.all(np.diff(history["work"]) > 0)
    assert result.status.code == "converged" and history["used_up"][-1] == 0
    assert history["gap"][-1] + 1.645 * history["error"][-1] <= 0.2 * history["fresh"][-1]
    truth = float(held_out_value(linear(4000, seed=5), result.p, None))
    assert truth < 0.65  # noise alone: 0.5


def test_a_first_sample_that_is_large_enough_is_the_last():
    result = minimize_sample_average(linear(4000, noise=0.5), NewtonCG(), jnp.zeros((1, 21)), first=1800, tol=0.2)
    assert len(result.history["n"]) == 1 and result.status.converged


def test_all_rows_end_it_and_budgets_hold():
    problem = linear(60)
    result = minimize_sample_average(problem, NewtonCG(), jnp.zeros((1, 21)), first=25, tol=1e-6)
    # Which of the two depends on the last bit: both say that nothing lowers the objective any more.
    assert result.history["n"][-1] == 60 and result.status.code in ("converged", "stalled")
    best = np.linalg.lstsq(np.column_stack([problem.x, np.ones(60)]), problem.c)[0].T
    np.testing.assert_allclose(result.p, best, atol=1e-5)
    short = minimize_sample_average(problem, NewtonCG(), jnp.zeros((1, 21)), first=25, tol=1e-6, work=0.5)
    assert short.status.code == "max_iter" and len(short.history["n"]) == 1
    with pytest.raises(ValueError, match=r"first=1\): needs a whole number >= 2 and <= 60"):
        minimize_sample_average(problem, NewtonCG(), jnp.zeros((1, 21)), first=1)


def test_methods_are_compared_on_the_same_passes():
    problem, validation = peaks(120), peaks(80, seed=1)
    theta = NET.init(0, np.float64)
    head = problem.first_head(theta)
    full = {"problem": full_problem(problem, theta), "validation": full_problem(validation, theta)}
    curves = compare(
        problem,
        {
            "varpro": LevenbergMarquardt(),
            "slim": Entry(SlimTrain(optax.adam(1.0)), batch=10, rate=1e-2),
            "adam": Entry(
                StochasticGradient(optax.adam(1.0)), batch=10, rate=1e-2, p={"theta": theta, "W": head}, **full
            ),
        },
        theta,
        head,
        work=12,
        validation=validation,
    )
    for name, curve in curves.items():
        assert len(curve.work) == len(curve.training) == len(curve.validation) == len(curve.seconds)
        assert curve.work[-1] >= 12 and np.all(curve.work[:-1] < 12), name
        assert curve.training[-1] < curve.training[0]
    assert list(curves["adam"].work) == [2, 4, 6, 8, 10, 12]
    last = curves["varpro"]
    assert last.validation[-1] > 0 and last.training[-1] < curves["adam"].training[-1]
    with pytest.raises(ValueError, match="work=0"):
        compare(problem, {}, theta, head, work=0)


class Clock:
    """A clock that goes on by one second whenever it is read."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def test_a_time_budget_ends_each_method(monkeypatch):
    problem, start = linear(60), jnp.zeros((1, 21))
    methods = {
        "descent": SteepestDescent(tol=0.0),
        "sgd": Entry(StochasticGradient(optax.sgd(1.0)), batch=20, rate=1e-2),
    }
    for name, curve in compare(problem, methods, start, work=200, time_budget=0.0).items():
        assert curve.result.status.code == "time_budget", name
        assert len(curve.work) <= 1 and "0 s were given" in curve.result.status.message
    monkeypatch.setattr("time.perf_counter", Clock())
    ended = {}
    for budget in (8.0, 16.0, None):
        for name, curve in compare(problem, methods, start, work=200, time_budget=budget).items():
            assert (curve.result.status.code == "time_budget") == (budget is not None), name
            assert budget is None or np.all(curve.seconds[:-1] < budget)
            ended.setdefault(name, []).append(curve.work[-1])
    for name, work in ended.items():
        assert 0 < work[0] < work[1] < work[2], name


def test_a_method_that_does_not_count_is_refused():
    class Silent(LevenbergMarquardt):
        def step(self, problem, iterate):
            after = super().step(problem, iterate)
            return after._replace(metrics={k: v for k, v in after.metrics.items() if k != "work"})

    problem = peaks(30)
    theta = NET.init(0, np.float64)
    with pytest.raises(ValueError, match="'silent' does not count its passes"):
        compare(problem, {"silent": Silent()}, theta, problem.first_head(theta), work=5)
    assert jax.tree.leaves(theta)
