"""Criteria side by side: each says what the estimator with that criterion says, and the recommendation has a reason."""

import numpy as np
import pytest

from numdl import TikhonovRegressor
from numdl.estimators.tikhonov.selection import NAMES, compare_criteria


def data(n=60, d=20, noise=1.0, seed=0, k=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ np.diag(np.geomspace(1, 0.02, d)) + 3.0
    return x, x @ rng.normal(size=(d, k)) + noise * rng.normal(size=(n, k))


@pytest.mark.parametrize("k", [1, 2])
def test_each_criterion_says_what_its_estimator_says(k):
    x, y = data(k=k)
    found = compare_criteria(x, y, noise=1.0)
    for criterion, row in zip(NAMES, found.rows, strict=True):
        if criterion != "cv":  # folds are shuffled here
            model = TikhonovRegressor(criterion, standardize=True, noise=1.0).fit(x, y)
            # Curvature is a second derivative: rounding moves its flat maximum.
            close = 0.05 if criterion == "l-curve" else 1e-3
            assert row.alpha == pytest.approx(model.alpha_, rel=close)
            assert row.freedom == pytest.approx(model.effective_dof_, rel=close)
        assert row.message.startswith(("guarded", row.name))
    assert np.all(np.diff(found.path.alphas) > 0)
    assert found.path.alphas[0] < min(row.alpha for row in found.rows)


def test_the_recommended_alpha_is_as_good_as_the_best_within_its_error():
    x, y = data()
    found = compare_criteria(x, y)
    errors = [row.error for row in found.rows]
    assert errors[found.recommended] < 1.1 * min(errors)
    assert found.alpha == found.rows[found.recommended].alpha
    assert found.rows[found.recommended].name in found.reason


def test_a_criterion_without_answer_is_named_and_not_recommended():
    x, y = data(n=16, d=30)
    found = compare_criteria(x, y, noise=0.0)
    row = found.rows[1]
    assert np.isnan(row.alpha) and "noise level" in row.message and found.recommended != 1
    loud = compare_criteria(x, y, noise=1e3)
    assert "nothing to explain" in loud.rows[1].message


def test_equal_units_and_operators():
    x, y = data()
    scaled = compare_criteria(x * 10.0 ** np.arange(-10, 10), y)
    assert scaled.alpha == pytest.approx(compare_criteria(x, y).alpha, rel=1e-5)
    assert compare_criteria(x, y, "difference").alpha != pytest.approx(compare_criteria(x, y).alpha)


def test_edges():
    x, y = data(n=2, d=2)
    assert np.isfinite(compare_criteria(x, y).alpha)
    with pytest.raises(ValueError, match="n_samples = 1"):
        compare_criteria(x[:1], y[:1])


def test_the_summary_holds_what_the_page_draws():
    x, y = data()
    summary = compare_criteria(x, y).summary("a title", {"Rows": "60"})
    m = len(summary.alphas)
    assert all(len(a) == m for a in (summary.residuals, summary.seminorms, summary.freedom, summary.error))
    assert np.all(summary.error_high >= summary.error)
    assert len(summary.values) == len(summary.coefficients) == 20
    assert summary.recommendation.startswith("Recommended: alpha = ")
