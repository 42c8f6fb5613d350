"""What a run learns from the evidence between its steps."""

import jax.numpy as jnp
import numpy as np
import pytest
import separable_problems as sp

from numdl.contracts import Iterate
from numdl.optimize.drivers.loop import Adapt
from numdl.problems import FollowEvidence
from numdl.regularize import Precisions, Sizes, log_evidence, reestimate

SIZES = Sizes(20.0, 2, np.array([6, 3, 6]), 2, True)
NAMES = ("K", "b")
METRICS = {
    "gamma": np.array([4.0, 2.0, 5.0]),
    "squares": np.array([3.0, 1.0, 2.0]),
    "logdet": np.asarray(-7.0),
    "misfit": np.asarray(0.1),
}


def after(**changes):
    return Iterate(None, None, None, None, METRICS | changes)


def test_it_is_an_adaptation():
    assert isinstance(FollowEvidence(SIZES, NAMES), Adapt)


def test_the_first_steps_change_nothing():
    follow = FollowEvidence(SIZES, NAMES, first=2)
    memory = follow.start()
    for steps in range(2):
        memory = follow.update(memory, after()).memory
        assert memory[1] == steps + 1
        np.testing.assert_array_equal(memory[0].prior, follow.start()[0].prior)
    assert not np.allclose(follow.update(memory, after()).memory[0].prior, memory[0].prior)


def test_a_point_is_scored_with_the_precisions_it_was_optimised_for():
    follow, memory = FollowEvidence(SIZES, NAMES), (Precisions(np.array([0.1, 0.2, 0.3]), 4.0), 5)
    adapted = follow.update(memory, after())
    expected = log_evidence(memory[0], SIZES, 0.1, METRICS["squares"], -7.0)
    assert adapted.score == adapted.columns["log_evidence"] == pytest.approx(expected)
    assert adapted.columns["effective_dof"] == 11.0 and adapted.columns["noise"] == 4.0
    alphas = memory[0].penalties(20.0)
    assert [adapted.columns[f"alpha:{name}"] for name in (*NAMES, "head")] == pytest.approx(list(alphas))
    new = reestimate(memory[0], SIZES, 0.1, METRICS["gamma"], METRICS["squares"])
    np.testing.assert_allclose(adapted.memory[0].prior, new.prior)


def test_alphas_of_the_user_hold():
    follow = FollowEvidence(SIZES, NAMES, fixed=np.array([0.5, np.nan, 0.25]))
    memory = follow.start()
    for _ in range(5):
        adapted = follow.update(memory, after())
        memory = adapted.memory
        alphas = follow.alphas(memory)
        assert alphas[0] == 0.5 and alphas[2] == 0.25 and alphas[1] not in (0.5, 0.25)
        assert adapted.columns["alpha:K"] == 0.5 and adapted.columns["alpha:head"] == 0.25


def test_the_problem_gets_the_alphas_in_its_own_precision():
    follow = FollowEvidence(SIZES, NAMES)
    problem = follow.apply(sp.separable("squares"), (Precisions(np.array([0.1, 0.2, 0.3]), 0.5), 1))
    assert problem.penalty.alpha.dtype == problem.alpha_head.dtype == problem.x.dtype == jnp.float32
    np.testing.assert_allclose(problem.penalty.alpha, [0.01, 0.02], rtol=1e-6)
    np.testing.assert_allclose(problem.alpha_head, 0.03, rtol=1e-6)


@pytest.mark.parametrize("name", ["logdet", "misfit"])
def test_a_point_without_a_finite_evidence_is_never_the_best(name):
    follow = FollowEvidence(SIZES, NAMES)
    adapted = follow.update(follow.start(), after(**{name: np.asarray(np.nan)}))
    assert adapted.score == -np.inf
    assert np.all(np.isfinite(adapted.memory[0].prior)) and np.all(np.isfinite(adapted.memory[0].noise))


def test_gammas_that_are_not_finite_leave_usable_precisions():
    follow = FollowEvidence(SIZES, NAMES, first=0)
    adapted = follow.update(follow.start(), after(gamma=np.full(3, np.nan)))
    assert np.all(np.isfinite(adapted.memory[0].prior)) and np.all(np.isfinite(adapted.memory[0].noise))


def test_each_target_has_its_noise_and_its_head():
    follow = FollowEvidence(Sizes(20.0, 2, np.array([6, 3, 3, 3]), 2, True), NAMES)
    memory = (Precisions(np.array([0.1, 0.2, 0.3, 0.4]), np.array([100.0, 0.25])), 5)
    problem = sp.separable("squares")
    seen = follow.apply(problem, memory)
    np.testing.assert_allclose(seen.c[:, 0] / problem.c[:, 0], 20**0.5, rtol=1e-5)  # sqrt(100 / 5)
    np.testing.assert_allclose(seen.c[:, 1] / problem.c[:, 1], 20**-0.5, rtol=1e-5)
    np.testing.assert_allclose(seen.penalty.alpha, [0.1 / 100, 0.2 / 100], rtol=1e-6)  # n and the mean noise, 5
    np.testing.assert_allclose(seen.alpha_head, [0.3 / 2000, 0.4 / 5], rtol=1e-6)
    gamma, squares = np.array([4.0, 2.0, 2.5, 1.0]), np.array([3.0, 1.0, 60.0, 0.1])
    after_step = after(gamma=gamma, squares=squares, misfits=np.array([0.02, 0.09]))
    found = follow.update(memory, after_step).memory[0]
    share = squares[2:] / squares[2:].sum()
    left = 20 - (gamma[2:] + share * 6.0) - 1  # rows, what each determines, its intercept
    np.testing.assert_allclose(found.noise, left / (2 * 20 * np.array([0.02 / 20, 0.09 * 20])), rtol=1e-12)
    np.testing.assert_allclose(found.prior[3], 1.0 / (0.1 * 20), rtol=1e-12)  # gamma over the square in its own units
