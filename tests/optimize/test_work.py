"""Passes over the data: what problems charge, what methods spend, what the history adds up."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
import small_problems as sp

from numdl.contracts import Work
from numdl.optimize import (
    BFGS,
    LBFGS,
    Adapted,
    InexactNewton,
    LevenbergMarquardt,
    Newton,
    NewtonCG,
    NonlinearCG,
    SteepestDescent,
    minimize,
)
from numdl.optimize.parts.steps import work_of

START = np.array([-1.2, 1.0])
pytestmark = pytest.mark.usefixtures("x64")


class Charged(sp.Residuals):
    """Rosenbrock's function with prices that tell the operations apart."""

    def work(self, p):
        return Work(value=1.0, line=10.0, trial=100.0, linearize=1e4, product=1e6, matrix=1e8)


def spent(method, problem, **options):
    history = minimize(problem, method, jnp.asarray(START), max_iter=4, **options)[0].history
    return history, np.diff(history["work"], prepend=0.0)


PROBLEM = Charged(sp.rosenbrock, jnp.asarray(0.0))


def test_line_search_methods_pay_for_lines_and_trials():
    history, work = spent(SteepestDescent("exact"), PROBLEM)
    np.testing.assert_array_equal(work, 1e4 + 1e6 + 10 + 100 * history["trials"])
    for method in (SteepestDescent(), NonlinearCG(), LBFGS(), BFGS()):
        history, work = spent(method, PROBLEM)
        start = 1e4 * (np.arange(4) == 0)  # later the last trial knows the point
        np.testing.assert_array_equal(work, start + 10 + 100 * history["trials"])


class Tightened:
    """A penalty that grows with every step."""

    def apply(self, problem, memory):
        return dataclasses.replace(problem, alpha=jnp.asarray(memory))

    def update(self, memory, after):
        return Adapted(memory + 1.0, -float(after.metrics["objective"]), {})


@pytest.mark.parametrize("method", [SteepestDescent(), NonlinearCG(), LBFGS(), BFGS()])
def test_nothing_is_kept_of_a_problem_that_has_changed(method):
    points, start = [], jnp.asarray(START)
    result, _ = minimize(
        PROBLEM, method, start, max_iter=4, adapt=Tightened(), memory=0.0,
        observe=lambda now: points.append(now.iterate.p),
    )  # fmt: skip
    for i, (left, reached) in enumerate(zip([start, *points], points, strict=False)):
        here = Tightened().apply(PROBLEM, float(i)).linearize(left, None)
        assert result.history["objective"][i] == pytest.approx(float(here.value), rel=1e-12)
        assert result.history["gradient_norm"][i] == pytest.approx(float(jnp.linalg.norm(here.gradient)), rel=1e-12)
        # Planted: what the last trial knew belongs to the last penalty.
        kept = Tightened().apply(PROBLEM, float(max(i - 1, 0))).linearize(left, None).value
        assert i == 0 or abs(kept - here.value) > 1e-3
        assert np.all(np.isfinite(reached))


def test_a_point_that_is_known_leads_to_the_same_step():
    for method in (SteepestDescent(), NonlinearCG(), LBFGS(), BFGS()):
        _, progress = minimize(PROBLEM, method, jnp.asarray(START), max_iter=3)
        known = progress.iterate._replace(metrics={})
        anew = method.step(PROBLEM, known._replace(value=jnp.asarray(jnp.inf)))
        np.testing.assert_allclose(method.step(PROBLEM, known).p, anew.p, rtol=1e-12)


def test_newton_methods_pay_for_products():
    history, work = spent(InexactNewton(), PROBLEM)
    np.testing.assert_array_equal(work, 1e4 + 1e6 * history["products"] + 10 + 100 * history["trials"])
    history, work = spent(NewtonCG(), PROBLEM)
    np.testing.assert_array_equal(work, 1e4 + 1e6 * history["products"] + history["trials"])
    history, work = spent(Newton(), PROBLEM)
    np.testing.assert_array_equal(work, 1e4 + 1e6 * len(START) + 10 + 100 * history["trials"])


def test_levenberg_marquardt_pays_for_the_matrix():
    history, work = spent(LevenbergMarquardt(), PROBLEM)
    np.testing.assert_array_equal(work, 1e8 + history["trials"])


def test_the_history_goes_on_after_a_break():
    whole = spent(LBFGS(), PROBLEM)[0]
    _, progress = minimize(PROBLEM, LBFGS(), jnp.asarray(START), max_iter=2)
    np.testing.assert_array_equal(spent(LBFGS(), PROBLEM, resume=progress)[0]["work"], whole["work"])


def test_a_problem_without_prices_counts_forward_and_backward():
    assert work_of(sp.Residuals(sp.rosenbrock, jnp.asarray(0.0)), jnp.asarray(START)) == Work()


def test_variable_projection_charges_a_backward_pass_for_each_row():
    problem = sp.decay()
    n, rows = len(problem.x), min(problem.c.shape[1], 2)
    theta = jnp.asarray(sp.DECAY_START)
    assert problem.work(theta) == Work(matrix=2.0 + rows)
    assert dataclasses.replace(problem, chunk=3).work(theta) == Work(linearize=3.0, product=4.0, matrix=2.0 + rows)
    half = dataclasses.replace(problem, curvature_rows=n // 2).work(theta)
    assert half.matrix == pytest.approx(3.0 + (1.0 + rows) * (n // 2) / n)
