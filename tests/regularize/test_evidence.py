"""The evidence of a linear model is known exactly: formula, fixed point and guards against it."""

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.optimize import minimize

from numdl.regularize import Precisions, Sizes, log_evidence, reestimate

N = 25
COUNTS = np.array([3, 2, 4])
CONTRASTS = null_space(np.ones((1, N))).T


def log_normal(c, covariance):
    return -0.5 * (c @ np.linalg.solve(covariance, c) + np.linalg.slogdet(2 * np.pi * covariance)[1])


class Linear:
    """``c = A w + b + e`` with three groups of weights (the last one in the place of the head), b free."""

    def __init__(self, *, intercept=True, noise=0.3):
        rng = np.random.default_rng(0)
        self.intercept = intercept
        self.a = rng.normal(size=(N, COUNTS.sum()))
        self.labels = np.repeat(np.arange(3), COUNTS)
        w = rng.normal(size=COUNTS.sum()) * np.array([1.0, 5.0, 0.2])[self.labels]
        self.c = self.a @ w + 2.0 * intercept + noise * rng.normal(size=N)
        self.sizes = Sizes(float(N), 1, COUNTS, int(intercept), True)

    def at(self, precisions):
        """Misfit, gamma, squares and logdet at the optimal weights, as the Laplace metrics define them."""
        alphas = precisions.penalties(float(N))[self.labels]
        z = np.column_stack([self.a, np.ones(N)]) if self.intercept else self.a
        h = z.T @ z / N
        h[range(COUNTS.sum()), range(COUNTS.sum())] += alphas
        w = np.linalg.solve(h, z.T @ self.c / N)
        inverse = np.diag(np.linalg.inv(h))[: COUNTS.sum()]
        gamma = np.bincount(self.labels, 1 - alphas * inverse)
        squares = np.bincount(self.labels, w[: COUNTS.sum()] ** 2)
        return np.mean((z @ w - self.c) ** 2) / 2, gamma, squares, np.linalg.slogdet(h)[1]

    def evidence(self, precisions, sizes=None):
        misfit, _, squares, logdet = self.at(precisions)
        return log_evidence(precisions, sizes or self.sizes, misfit, squares, logdet)

    def exact(self, precisions):
        """Marginal likelihood of a Gaussian; with a flat prior of b it lives on the contrasts of c."""
        covariance = np.eye(N) / precisions.noise + (self.a / precisions.prior[self.labels]) @ self.a.T
        if not self.intercept:
            return log_normal(self.c, covariance)
        value = log_normal(CONTRASTS @ self.c, CONTRASTS @ covariance @ CONTRASTS.T)
        return value - 0.5 * np.log(2 * np.pi * N)


POINTS = [Precisions(np.array([1.0, 0.04, 25.0]), 11.0), Precisions(np.array([1e-3, 10.0, 1.0]), 0.5)]


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("precisions", POINTS)
def test_log_evidence_is_the_marginal_likelihood(intercept, precisions):
    model = Linear(intercept=intercept)
    np.testing.assert_allclose(model.evidence(precisions), model.exact(precisions), rtol=1e-10)


def test_a_wrong_count_is_seen():
    model = Linear()
    difference = model.exact(POINTS[0]) - model.exact(POINTS[1])
    np.testing.assert_allclose(model.evidence(POINTS[0]) - model.evidence(POINTS[1]), difference, rtol=1e-10)
    # mutant: the intercept counts among the penalised weights
    wrong = model.sizes._replace(counts=np.array([3, 2, 5]), free=0)
    assert abs(model.evidence(POINTS[0], wrong) - model.evidence(POINTS[1], wrong) - difference) > 0.1


def iterate(model, steps=150, step=reestimate, **options):
    precisions = Precisions(np.full(3, 1e-2), 1.0)
    for _ in range(steps):
        misfit, gamma, squares, _ = model.at(precisions)
        precisions = step(precisions, model.sizes, misfit, gamma, squares, **options)
    return precisions


def maximiser(model, expand=lambda v: v[:3]):
    """Brute force over the logarithms of all precisions."""

    def cost(v):
        return -model.exact(Precisions(np.exp(expand(v)), float(np.exp(v[-1]))))

    start = np.zeros(4)
    best = minimize(cost, start, method="Nelder-Mead", options={"maxfev": 2000, "xatol": 1e-6, "fatol": 1e-11})
    return Precisions(np.exp(expand(best.x)), float(np.exp(best.x[-1])))


@pytest.mark.parametrize("intercept", [True, False])
def test_the_fixed_point_maximises_the_evidence(intercept):
    model = Linear(intercept=intercept)
    found, expected = iterate(model), maximiser(model)
    np.testing.assert_allclose(found.prior, expected.prior, rtol=1e-4)
    np.testing.assert_allclose(found.noise, expected.noise, rtol=1e-5)


def test_a_wrong_noise_is_seen():
    model = Linear()

    def mutant(precisions, sizes, *rest):
        return reestimate(precisions, sizes._replace(free=0), *rest)

    assert abs(iterate(model, step=mutant).noise / maximiser(model).noise - 1) > 1e-2


def test_a_merged_head_shares_the_first_precision():
    model = Linear()
    found = iterate(model, merge_head=True)
    expected = maximiser(model, lambda v: np.array([v[0], v[1], v[0]]))
    assert found.prior[0] == found.prior[-1]
    np.testing.assert_allclose(found.prior, expected.prior, rtol=1e-4)
    np.testing.assert_allclose(found.noise, expected.noise, rtol=1e-5)


def test_fixed_precisions_stay_and_the_others_adapt_to_them():
    model = Linear()
    found = iterate(model, fixed=np.array([False, True, False]))
    assert found.prior[1] == 1e-2
    expected = maximiser(model, lambda v: np.array([v[0], np.log(1e-2), v[2]]))
    np.testing.assert_allclose(found.prior, expected.prior, rtol=1e-4)


def one_step(gamma, squares, misfit=1.0, sizes=None):
    before = Precisions(np.ones(3), 1.0)
    sizes = sizes or Sizes(100.0, 1, COUNTS, 1, True)
    return reestimate(before, sizes, misfit, np.asarray(gamma, float), np.asarray(squares, float))


def test_changes_are_clipped():
    after = one_step([3.0, 2.0, 4.0], [1e-9, 1e9, 4.0])
    np.testing.assert_allclose(np.log(after.prior), [2.3, -1.0, 0.0])
    assert one_step([1, 1, 1], [1, 1, 1], misfit=1e-12).noise == pytest.approx(np.exp(2.3))
    assert one_step([1, 1, 1], [1, 1, 1], misfit=1e12).noise == pytest.approx(np.exp(-1.0))


@pytest.mark.parametrize("gamma", [[np.nan, 1, 1], [-1e9, 1, 1], [0, 0, 0]])
@pytest.mark.parametrize("squares", [[0, 0, 0], [1e300, 1, 1]])
@pytest.mark.parametrize("misfit", [0.0, 1e300])
def test_whatever_comes_in_precisions_stay_positive_and_finite(gamma, squares, misfit):
    after = one_step(gamma, squares, misfit)
    assert np.all(np.isfinite(after.prior)) and np.all(after.prior > 0)
    assert np.isfinite(after.noise) and after.noise > 0


def test_precisions_stay_within_their_range_for_ever():
    precisions = Precisions(np.ones(3), 1.0)
    for _ in range(200):
        precisions = reestimate(precisions, Sizes(100.0, 1, COUNTS, 1, True), 0.0, COUNTS.astype(float), np.zeros(3))
    assert np.all(precisions.prior == 1e16) and precisions.noise == 1e24


def test_an_interpolating_model_leaves_something_to_the_noise():
    sizes = Sizes(10.0, 1, COUNTS, 1, True)
    after = one_step([3, 2, 4], [3, 2, 4], misfit=0.02, sizes=sizes)  # 9 + 1 parameters for 10 observations
    assert after.noise == pytest.approx(0.05 * 10 / (2 * 10 * 0.02))


def test_without_gaussian_noise_only_the_prior_moves():
    after = one_step([3, 2, 4], [1.5, 4, 4], sizes=Sizes(100.0, 3, COUNTS, 3, False))
    assert after.noise == 1.0
    np.testing.assert_allclose(after.prior, [2.0, 0.5, 1.0])


def test_an_empty_group_keeps_its_precision():
    after = one_step([0, 2, 4], [0, 2, 4], sizes=Sizes(100.0, 1, np.array([0, 2, 4]), 1, True))
    np.testing.assert_allclose(after.prior, 1.0)


def test_an_empty_group_determines_nothing():
    empty, without = Sizes(100.0, 1, np.array([0, 2, 4]), 1, True), Sizes(100.0, 1, np.array([2, 4]), 1, True)
    after = reestimate(Precisions(np.ones(3), 1.0), empty, 0.4, np.array([0.0, 1.5, 3.0]), np.array([0.0, 2.0, 4.0]))
    wanted = reestimate(Precisions(np.ones(2), 1.0), without, 0.4, np.array([1.5, 3.0]), np.array([2.0, 4.0]))
    assert after.noise == wanted.noise
    np.testing.assert_array_equal(after.prior[1:], wanted.prior)


def test_penalties_of_the_mean_misfit():
    np.testing.assert_allclose(Precisions(np.array([2.0, 8.0]), 4.0).penalties(10.0), [0.05, 0.2])
