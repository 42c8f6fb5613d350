"""The loop: ends for a reason, goes on to the last bit, keeps the best, and compiles once."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_problems as sp

from numdl.contracts import Status
from numdl.optimize import LBFGS, LevenbergMarquardt, NewtonCG, minimize
from numdl.optimize.drivers.loop import Adapted
from numdl.optimize.parts.checks import require_budget
from numdl.optimize.parts.descent import _known, gradient_status, nothing_known
from numdl.optimize.parts.steps import plateau
from numdl.problems import FollowEvidence, laplace_metrics, probed_metrics
from numdl.regularize import Sizes

pytestmark = pytest.mark.usefixtures("x64")
START = np.array([-1.2, 1.0])
LM = LevenbergMarquardt(tol=0.0)


def rosenbrock(**options):
    return minimize(sp.Residuals(sp.rosenbrock, jnp.asarray(0.0)), LM, jnp.asarray(START), **options)


def by_evidence(method, **options):
    """Two noisy exponentials whose penalties follow the evidence."""
    problem, theta = sp.decay(noise=0.05), jnp.asarray(sp.DECAY_START)
    follow = FollowEvidence(Sizes(25.0, 1, np.array([2, 2]), 0, True), ("rates",))
    start = {"adapt": follow, "memory": follow.start()} | options
    return minimize(problem, method, theta, problem.first_head(theta), **start)


def same(a, b):
    for name in a.history.keys() - {"seconds"}:
        np.testing.assert_array_equal(a.history[name], b.history[name], err_msg=name)
    np.testing.assert_array_equal(a.p, b.p)
    np.testing.assert_array_equal(a.aux, b.aux)


def test_max_iter():
    result, progress = rosenbrock(max_iter=4)
    assert result.status.code == "max_iter" and progress.iteration == 4
    assert "4 iterations" in result.status.message
    assert {len(column) for column in result.history.values()} == {4}


def test_time_budget_ends_after_the_step_that_used_it_up():
    result, progress = rosenbrock(time_budget=0.0, max_iter=4)
    assert result.status.code == "time_budget" and progress.iteration == 1


def test_an_observer_can_end_the_run():
    result, progress = rosenbrock(
        observe=lambda progress: Status("enough", "The user has seen enough.") if progress.iteration == 3 else None
    )
    assert result.status == Status("enough", "The user has seen enough.") and progress.iteration == 3


def test_convergence_is_seen_by_the_method():
    problem = sp.Residuals(sp.rosenbrock, jnp.asarray(0.1))
    result, _ = minimize(problem, LevenbergMarquardt(tol=1e-6), jnp.asarray(START))
    assert result.status.converged and "1e-06" in result.status.message


def test_an_objective_that_is_not_finite_at_the_start_is_refused():
    with pytest.raises(ValueError, match=r"minimize: the objective is nan at the start.*smaller weights"):
        minimize(sp.Residuals(sp.logarithm, jnp.asarray(0.0)), LM, -jnp.ones(1))


def test_the_best_point_is_returned_with_its_value():
    result, progress = rosenbrock(max_iter=12)
    assert progress.best.score == -float(progress.iterate.value)
    np.testing.assert_array_equal(result.p, progress.iterate.p)
    result, _ = rosenbrock(max_iter=0)
    np.testing.assert_array_equal(result.p, START)


@pytest.mark.parametrize("broken", [1, 4, 9])
def test_a_broken_run_goes_on_to_the_last_bit(broken):
    unbroken, _ = rosenbrock(max_iter=10)
    _, progress = rosenbrock(max_iter=broken)
    resumed, _ = rosenbrock(max_iter=10, resume=progress)
    same(resumed, unbroken)


@pytest.mark.quick("method0")
@pytest.mark.parametrize("method", [LevenbergMarquardt(laplace_metrics, tol=0.0), NewtonCG(probed_metrics, tol=0.0)])
def test_a_broken_run_with_evidence_goes_on_to_the_last_bit(method):
    unbroken, _ = by_evidence(method, max_iter=8)
    _, progress = by_evidence(method, max_iter=3)
    resumed, _ = by_evidence(method, max_iter=8, resume=progress)
    same(resumed, unbroken)
    assert {"log_evidence", "noise", "alpha:rates", "alpha:head"} <= set(unbroken.history)


def test_resuming_changes_nothing_in_the_stored_progress():
    _, progress = rosenbrock(max_iter=3)
    before = {name: list(column) for name, column in progress.history.items()}
    rosenbrock(max_iter=6, resume=progress)
    assert progress.history == before


def test_ctrl_c_keeps_what_was_reached():
    def interrupt(progress):
        if progress.iteration == 4:
            raise KeyboardInterrupt

    result, progress = rosenbrock(observe=interrupt)
    expected, _ = rosenbrock(max_iter=4)
    assert result.status.code == "interrupted" and "4 iterations" in result.status.message
    same(result, expected)
    same(rosenbrock(max_iter=10, resume=progress)[0], rosenbrock(max_iter=10)[0])


def test_the_point_of_best_evidence_is_returned_with_the_head_of_its_penalties():
    method = LevenbergMarquardt(laplace_metrics, tol=0.0)
    result, progress = by_evidence(method, max_iter=12)
    evidence = result.history["log_evidence"]
    best = progress.best
    assert best.iteration == np.argmax(evidence) and best.score == np.max(evidence)
    alphas = FollowEvidence(Sizes(25.0, 1, np.array([2, 2]), 0, True), ("rates",)).alphas(best.memory)
    assert result.history["alpha:rates"][best.iteration] == alphas[0]
    problem = sp.decay(noise=0.05).with_alpha(jnp.asarray(alphas[:-1]), jnp.asarray(alphas[-1]))
    expected = problem.value(result.p, problem.first_head(result.p))[1]
    np.testing.assert_allclose(result.aux, expected, rtol=1e-12)


def test_the_evidence_grows_and_finds_the_noise():
    result, _ = by_evidence(LevenbergMarquardt(laplace_metrics, tol=0.0), max_iter=25)
    evidence = result.history["log_evidence"]
    assert evidence[-1] > evidence[0]
    assert 1 / np.sqrt(result.history["noise"][-1]) == pytest.approx(0.05, rel=0.4)


class Never:
    """An adaptation that likes no point."""

    def apply(self, problem, memory):
        return problem

    def update(self, memory, after):
        return Adapted(memory + 1, -np.inf, {"steps": float(memory)})


def test_without_any_good_point_the_start_is_returned():
    result, progress = rosenbrock(max_iter=3, adapt=Never(), memory=0)
    np.testing.assert_array_equal(result.p, START)
    assert progress.memory == 3 and list(result.history["steps"]) == [0, 1, 2]


traces = 0


def counted(theta, t):
    global traces
    traces += 1
    return sp.exponentials(theta, t)


def test_changing_penalties_and_data_compiles_once():
    def run(seed, max_iter):
        problem = dataclasses.replace(sp.decay(noise=0.1 * seed), features=counted)
        theta = jnp.asarray(sp.DECAY_START + 0.1 * seed)
        follow = FollowEvidence(Sizes(25.0, 1, np.array([2, 2]), 0, True), ("rates",))
        method = LevenbergMarquardt(laplace_metrics, tol=0.0)
        minimize(
            problem, method, theta, problem.first_head(theta), max_iter=max_iter, adapt=follow, memory=follow.start()
        )

    run(1, 1)
    first = traces
    run(2, 6)
    # the shape of the head is asked for anew, by one abstract evaluation
    assert traces - first <= 1


@pytest.mark.parametrize(
    ("values", "tol", "code"),
    [
        ([1.0] * 5, 1e-3, "running"),
        ([1.0] * 6, 1e-3, "converged"),
        ([1.0, 0.5, 0.4, 0.3, 0.2, 0.1], 1e-3, "running"),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 0.9995], 1e-3, "converged"),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 0.9985], 1e-3, "running"),
        ([1.0] * 9, 0.0, "running"),
        ([9.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0], 1e-3, "converged"),
    ],
)
def test_plateau(values, tol, code):
    assert plateau(values, tol).code == code


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ({}, "p has no arrays"),
        ({"a": jnp.ones(2), "b": np.arange(2)}, r"p\['b'\] is int"),
        ([1.0], r"p\[0\] is float"),
        (np.ones(2, complex), "p is complex128"),
    ],
)
def test_unknowns_that_cannot_be_moved_are_refused(p, message):
    with pytest.raises(ValueError, match=message):
        minimize(sp.Residuals(sp.rosenbrock), NewtonCG(), p)


@pytest.mark.parametrize("trace", [jax.jit, jax.vmap, jax.jacfwd])
def test_what_is_traced_is_refused_before_jax_is_puzzled(trace):
    start = jnp.asarray(START)
    of_start = lambda p: minimize(sp.Residuals(sp.rosenbrock, jnp.asarray(0.0)), LM, p, max_iter=2)[0].p  # noqa: E731
    of_data = lambda a: minimize(sp.Residuals(sp.rosenbrock, a), LM, start, max_iter=2)[0].p  # noqa: E731
    with pytest.raises(TypeError, match=r"^minimize: p is traced, needs numbers.*outside jit"):
        trace(of_start)(start[None] if trace is jax.vmap else start)
    with pytest.raises(TypeError, match=r"^minimize: problem.* is traced"):
        trace(of_data)(jnp.zeros(2) if trace is jax.vmap else jnp.asarray(0.0))
    assert of_data(jnp.asarray(0.0)).shape == (2,)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ((-1, None), r"minimize\(max_iter=-1\): needs a whole number >= 0"),
        ((2.5, None), r"max_iter=2.5"),
        ((True, None), r"max_iter=True"),
        ((1, -1.0), r"minimize\(time_budget=-1.0\): needs a number >= 0.*None for no limit"),
        ((1, np.nan), r"time_budget=nan"),
        ((1, "1 h"), r"time_budget='1 h'"),
    ],
)
def test_budgets_that_are_no_steps_or_seconds_are_refused(budget, message):
    with pytest.raises(ValueError, match=message):
        require_budget("minimize", *budget)


def test_the_loop_asks_for_a_budget():
    for budget in ({"max_iter": -1}, {"time_budget": -1.0}):
        with pytest.raises(ValueError, match=r"minimize\((max_iter|time_budget)=-1"):
            rosenbrock(**budget)


def test_a_gradient_is_not_small_because_the_objective_has_grown():
    grown = {"objective": [1.0, 1e17], "gradient_norm": [1.0, 1e8], "accepted": [1.0, 1.0]}
    assert gradient_status(grown, 1e-8).code == "running"
    assert gradient_status({**grown, "objective": [1e17, 1e17]}, 1e-8).code == "converged"


def test_progress_of_another_method_is_refused():
    problem, p = sp.Residuals(sp.rosenbrock, jnp.asarray(0.0)), jnp.asarray(START)
    _, progress = minimize(problem, LBFGS(), p, max_iter=1)
    with pytest.raises(ValueError, match=r"its state is Pairs, not that of TrustRegion.*resume.best.p"):
        minimize(problem, NewtonCG(), p, resume=progress)
    with pytest.raises(TypeError, match=r"observe.*returned 'stop', needs a Status"):
        minimize(problem, LBFGS(), p, observe=lambda progress: "stop")


class Counted(sp.Residuals):
    """Says how often it is linearised in Python, which is how often it is traced."""

    def linearize(self, p, aux=None):
        TRACED.append(1)
        return super().linearize(p, aux)


TRACED = []


def by_a_closure(problem, p, aux):
    """The planted mistake: JAX knows a function by what it is, and this one is another each time."""
    return jax.eval_shape(lambda *given: _known.__wrapped__(*given), problem, p, aux)


@pytest.mark.parametrize(("form_of", "again"), [(nothing_known, 0), (by_a_closure, 1)])
def test_another_run_does_not_trace_a_problem_of_the_same_shapes_again(form_of, again):
    problem, p = Counted(sp.rosenbrock, jnp.asarray(0.0)), jnp.asarray(START)
    form_of(problem, p, None)
    before = len(TRACED)
    form_of(Counted(sp.rosenbrock, jnp.asarray(1.0)), p + 1, None)
    assert len(TRACED) - before == again
