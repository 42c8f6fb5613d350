"""Projected and proximal gradients against scikit-learn's lasso and SciPy's bounded least squares."""

import convex_problems as cp
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import lsq_linear, nnls
from sklearn.linear_model import Lasso

from numdl.optimize import ProjectedGradient, ProximalGradient, minimize
from numdl.regularize import L1, Box, non_negative
from numdl.testing import check_contract

pytestmark = pytest.mark.usefixtures("x64")
RNG = np.random.default_rng(1)
A = RNG.normal(size=(40, 12)) * np.geomspace(1, 0.1, 12)
B = A @ (RNG.normal(size=12) * (RNG.uniform(size=12) < 0.5)) + 0.3 * RNG.normal(size=40)
START = np.zeros(12)


def squares():
    return cp.Quadratic(jnp.asarray(A.T @ A / 40), jnp.asarray(A.T @ B / 40))


def proximal(prox, **options):
    return ProximalGradient(prox, **options)


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("alpha", [0.02, 0.1])
def test_lasso_agrees_with_scikit_learn(accelerated, alpha):
    theirs = Lasso(alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(A, B).coef_
    method = proximal(L1(jnp.asarray(alpha)), accelerated=accelerated, tol=1e-10)
    result, _ = minimize(squares(), method, jnp.asarray(START), max_iter=20000)
    assert result.status.converged
    np.testing.assert_allclose(result.p, theirs, atol=1e-6)
    assert np.sum(np.asarray(result.p) == 0) == np.sum(theirs == 0) > 0, "nothing vanishes: this shows nothing"


def test_lasso_sees_a_planted_wrong_threshold():
    theirs = Lasso(alpha=0.05, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(A, B).coef_

    class Half(L1):
        def prox(self, p, t):
            return super().prox(p, 0.5 * t)

    result, _ = minimize(squares(), proximal(Half(jnp.asarray(0.05)), tol=1e-10), jnp.asarray(START), max_iter=20000)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(result.p, theirs, atol=1e-6)


BOUNDED = {
    "spectral projected gradient": ProjectedGradient,
    "fista": ProximalGradient,
    "ista": lambda prox, **o: ProximalGradient(prox, accelerated=False, **o),
}
bounded = pytest.mark.parametrize("name", BOUNDED)


@bounded
def test_non_negative_least_squares_agree_with_scipy(name):
    theirs = nnls(A, B)[0]
    result, _ = minimize(squares(), BOUNDED[name](non_negative(), tol=1e-10), jnp.asarray(START), max_iter=20000)
    assert result.status.converged
    np.testing.assert_allclose(result.p, theirs, atol=1e-6)
    assert np.sum(theirs == 0) >= 2, "no bound is active: this shows nothing"


@bounded
def test_a_box_agrees_with_scipy_and_is_never_left(name):
    low, high = np.full(12, -0.2), np.linspace(0.1, 0.4, 12)
    theirs = lsq_linear(A, B, (low, high), tol=1e-14).x
    seen = []
    method = BOUNDED[name](Box(jnp.asarray(low), jnp.asarray(high)), tol=1e-10)
    start = START + 9.0 if name == "spectral projected gradient" else START  # init projects
    result, _ = minimize(
        squares(), method, jnp.asarray(start), max_iter=20000, observe=lambda progress: seen.append(progress.iterate.p)
    )
    np.testing.assert_allclose(result.p, theirs, atol=1e-7)
    assert np.all(np.array(seen) >= low - 1e-15) and np.all(np.array(seen) <= high + 1e-15)


@bounded
def test_contract(name):
    check_contract(BOUNDED[name](non_negative()), squares(), jnp.asarray(START))


@pytest.mark.thorough
def test_momentum_gains_over_none():
    counts = [
        len(
            minimize(
                cp.spectrum(1e3).problem,
                proximal(L1(jnp.asarray(1e-4)), accelerated=a, tol=1e-8),
                jnp.zeros(20),
                max_iter=20000,
            )[0].history["objective"]
        )
        for a in (False, True)
    ]
    assert counts[0] > 5 * counts[1]


def test_the_objective_counts_the_penalty():
    result, _ = minimize(squares(), proximal(L1(jnp.asarray(0.05))), jnp.asarray(START), max_iter=500)
    p = np.asarray(result.p)
    expected = 0.5 * np.mean((A @ p - B) ** 2) - 0.5 * np.mean(B**2) + 0.05 * np.sum(np.abs(p))
    np.testing.assert_allclose(result.history["objective"][-1], expected, rtol=1e-10)
