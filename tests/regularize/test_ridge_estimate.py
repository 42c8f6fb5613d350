"""What a path says about its estimates: resolution, covariance, bias and variance, the Picard condition."""

import numpy as np
import pytest
from ridge_problems import blur, difference, problem

from numdl.regularize.ridge import (
    alpha_grid,
    bias_variance,
    covariance,
    decompose,
    picard,
    resolution,
    sampled_bias_variance,
)


@pytest.mark.parametrize("operator", [None, difference(5)])
def test_resolution_maps_the_truth_to_the_mean_of_the_estimate(operator):
    a, _ = problem()
    truth = np.arange(5.0)[:, None]
    d = decompose(a, a @ truth, operator)
    np.testing.assert_allclose(resolution(d, 0.2) @ truth, d.solution(0.2)[0], rtol=1e-10)
    np.testing.assert_allclose(resolution(d, 0.0), np.eye(5), atol=1e-10)
    # mutant: the transpose blurs the other way
    if operator is not None:
        assert np.abs(resolution(d, 0.2).T @ truth - d.solution(0.2)[0]).max() > 1e-3


@pytest.mark.parametrize("operator", [None, difference(5)])
def test_covariance_is_that_of_a_linear_map_of_the_noise(operator):
    a, _ = problem()
    d = decompose(a, np.eye(12), operator, intercept=True)  # the solution as a matrix acting on targets
    linear, _ = d.solution(0.2)
    np.testing.assert_allclose(covariance(d, 0.2, 1.5), 1.5**2 * linear @ linear.T, rtol=1e-9, atol=1e-14)


def test_bias_and_variance_are_exact():
    a, _ = problem(20, 5)
    truth = a @ np.linspace(-1, 1, 5)[:, None] + 0.7
    alphas = np.array([1e-3, 0.1, 10.0])
    parts = bias_variance(decompose(a, truth, intercept=True), 0.5, alphas)
    d = decompose(a, np.eye(20), intercept=True)
    for i, alpha in enumerate(alphas):
        x, b0 = d.solution(alpha)
        h = a @ x + b0
        np.testing.assert_allclose(parts.squared_bias[i], np.mean((h @ truth - truth) ** 2), rtol=1e-9)
        np.testing.assert_allclose(parts.variance[i], 0.25 * np.trace(h.T @ h) / 20, rtol=1e-9)
        assert parts.risk[i] == parts.squared_bias[i] + parts.variance[i]


def test_sampled_bias_and_variance_agree_with_the_exact_ones():
    a, _ = problem(20, 5)
    truth = a @ np.linspace(-1, 1, 5)[:, None]
    exact = bias_variance(decompose(a, truth), 0.5, np.array([0.3]))
    rng = np.random.default_rng(0)
    draws = 400
    predictions = np.stack(
        [a @ decompose(a, truth + 0.5 * rng.normal(size=truth.shape)).solution(0.3)[0] for _ in range(draws)]
    )
    sampled = sampled_bias_variance(predictions, truth)
    # The variance is a mean of 20 sample variances of 400 draws, of about 5 independent directions: relative
    # standard error sqrt(2 / (400 * 2)) at most; three of them.
    assert abs(sampled.variance[0] / exact.variance[0] - 1) < 3 * np.sqrt(2 / (draws * 2))
    assert abs(sampled.squared_bias[0] - exact.squared_bias[0]) < 3 * np.sqrt(
        4 * exact.squared_bias[0] * exact.variance[0] / draws
    )
    with pytest.raises(ValueError, match="at least 2"):
        sampled_bias_variance(predictions[:1], truth)


def test_picard_finds_the_level_of_the_noise():
    a, signal = blur(width=0.05)
    clean = a @ signal
    rng = np.random.default_rng(1)
    for noise in (1e-2, 1e-4):
        plot = picard(decompose(a, (clean + noise * rng.normal(size=64))[:, None]))
        assert 0.5 < plot.noise / noise < 2  # a median of 16 moduli has a relative standard error of 0.3
        stands_out = np.abs(np.linalg.svd(a)[0].T @ clean) > 3 * noise
        assert abs(plot.usable - np.flatnonzero(stands_out)[-1] - 1) <= 6
        assert "first" in plot.message
    np.testing.assert_allclose(plot.solution, plot.coefficients / plot.values)


def test_picard_of_clean_targets_holds_everywhere():
    a, signal = blur(width=0.025)
    plot = picard(decompose(a, (a @ (a @ signal))[:, None]))
    assert plot.usable == len(plot.values) and "holds for all" in plot.message
    few = picard(decompose(*problem(4, 2)))
    assert few.usable == 2


def test_the_grid_spans_the_strengths():
    d = decompose(*problem())
    grid = alpha_grid(d, 30)
    assert len(grid) == 30 and grid[0] < d.c.min() ** 2 < d.c.max() ** 2 < grid[-1]
    assert len(alpha_grid(decompose(np.zeros((3, 2)), np.ones((3, 1))), 10)) == 10
