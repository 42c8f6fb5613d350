"""Curves of overfitting hold what a loop passed, and find where the validation error turns."""

import analysis_problems as sp
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis import OverfittingCurve, Watch, over_complexity
from numdl.optimize import LevenbergMarquardt, minimize

pytestmark = pytest.mark.usefixtures("x64")


def test_the_turn_is_found():
    curve = OverfittingCurve(np.arange(4), np.array([4.0, 2, 1, 0]), np.array([5.0, 3, 4, 6]))
    assert curve.best == 1 and curve.overfit == 2.0
    assert OverfittingCurve(np.arange(2), np.ones(2), np.array([np.nan, 3.0])).overfit == 1.0


def test_watching_a_loop_keeps_the_head_of_the_training():
    problem = sp.separable("least_squares")
    held = problem.rows(jnp.arange(7))

    def error(of):
        return lambda p, head: of.misfit(of.scores(of.embed(p), head))

    watch = Watch(error(problem), error(held))
    theta = sp.flow_weights()
    _, progress = minimize(problem, LevenbergMarquardt(), theta, problem.first_head(theta), max_iter=4, observe=watch)
    curve = watch.curve()
    assert curve.x.tolist() == [1, 2, 3, 4]
    last = progress.iterate
    assert curve.validation[-1] == pytest.approx(float(error(held)(last.p, last.aux)), rel=1e-12)
    # The mutant: a problem that solves for its own head on the held-out part looks better than it is.
    assert float(held.value(last.p, last.aux)[0] - held.penalty.value(last.p)) < curve.validation[-1]
    assert np.all(np.diff(curve.training) < 0)


def test_complexities_are_fitted_one_by_one():
    x = np.linspace(-1, 1, 12)
    rng = np.random.default_rng(0)
    y, fresh = (np.sin(2 * x) + 0.3 * rng.normal(size=12) for _ in range(2))

    def fit(degree):
        model = np.polynomial.Polynomial.fit(x, y, degree)
        return np.mean((model(x) - y) ** 2), np.mean((model(x) - fresh) ** 2)

    curve = over_complexity(fit, [1, 3, 5, 9])
    assert np.all(np.diff(curve.training) < 0) and curve.overfit > 1.2
    with pytest.raises(ValueError, match="at least one size"):
        over_complexity(fit, [])
    with pytest.raises(ValueError, match="no step was seen"):
        Watch(fit, fit).curve()
