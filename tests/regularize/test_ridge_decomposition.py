"""One decomposition solves the problem for every alpha: dense oracles, null spaces, ranks, scales."""

import numpy as np
import pytest
from ridge_problems import dense, difference, influence, problem
from sklearn.linear_model import Ridge

from numdl.linalg import tsqr_start, tsqr_update
from numdl.regularize.ridge import (
    decompose,
    decompose_condensed,
    fold_errors,
    leave_one_out,
    prepare_folds,
    ridge_path,
    tikhonov,
    truncated,
    truncation_grid,
)

SHAPES = [(12, 5), (5, 12), (6, 6), (7, 6), (1, 3), (3, 1), (40, 3)]
OPERATORS = {
    "identity": lambda p: None,
    "difference": difference,
    "square": lambda p: np.eye(p) + 0.3 * np.eye(p, k=1),
    "tall": lambda p: np.vstack([np.eye(p), 2 * np.eye(p, k=1)]),
    "diagonal": lambda p: np.diag(np.linspace(1, 3, p)),
}


def solve(a, b, alpha, operator=None, **options):
    return decompose(a, b, operator, **options).solution(alpha)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-3, 0.5, 100.0])
def test_solution_is_the_stacked_least_squares_solution(shape, name, intercept, alpha):
    if name == "difference" and intercept and shape == (1, 3):
        pytest.skip("one centred row sees nothing, so constants are free: refused, see below")
    a, b = problem(*shape)
    operator = OPERATORS[name](shape[1])
    if operator is not None and not operator.size:
        pytest.skip("one unknown has no difference")
    weights, reference = np.linspace(0.5, 2, shape[0]), np.full((shape[1], 2), 0.3)
    options = {"weights": weights, "reference": reference, "intercept": intercept}
    x, b0 = solve(a, b, alpha, operator, **options)
    wanted, wanted_b0 = dense(a, b, alpha, operator, weights, reference, intercept)
    np.testing.assert_allclose(x, wanted, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(b0, wanted_b0, rtol=1e-9, atol=1e-11)


def test_a_penalised_intercept_would_be_seen():
    a, b = problem()
    x, _ = solve(np.hstack([a, np.ones((12, 1))]), b, 0.5)  # mutant: ones as a penalised column
    assert np.abs(x[:5] - dense(a, b, 0.5, intercept=True)[0]).max() > 1e-3


def test_it_is_scikit_learns_ridge_with_n_alpha():
    a, b = problem()
    weights = np.linspace(0.5, 2, 12)
    x, b0 = solve(a, b, 0.1, weights=weights, intercept=True)
    ridge = Ridge(alpha=0.1 * weights.sum()).fit(a, b, sample_weight=weights)
    np.testing.assert_allclose(x.T, ridge.coef_, rtol=1e-10)
    np.testing.assert_allclose(b0, ridge.intercept_, rtol=1e-10)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
def test_data_and_penalty_decouple(name, shape):
    a, b = problem(*shape)
    operator = OPERATORS[name](shape[1])
    d = decompose(a, b, operator, keep_left=True)
    z = a / np.sqrt(len(a))
    operator = np.eye(shape[1]) if operator is None else operator
    np.testing.assert_allclose(z @ d.basis, d.left * d.c, atol=1e-12)
    np.testing.assert_allclose((operator @ d.basis).T @ (operator @ d.basis), np.diag(d.s**2), atol=1e-10)
    np.testing.assert_allclose(d.left.T @ d.left, np.eye(len(d.c)), atol=1e-12)
    np.testing.assert_allclose(d.dual @ d.basis, np.eye(len(d.c)), atol=1e-12)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("intercept", [True, False])
def test_path_holds_the_numbers_of_each_solution(name, intercept):
    a, b = problem()
    operator = OPERATORS[name](5)
    weights = np.linspace(0.5, 2, 12)
    alphas = np.geomspace(1e-4, 10, 6)
    path = ridge_path(decompose(a, b, operator, weights=weights, intercept=intercept), alphas)
    matrix = np.eye(5) if operator is None else operator
    for i, alpha in enumerate(alphas):
        x, b0 = dense(a, b, alpha, operator, weights, None, intercept)
        h = influence(a, alpha, operator, weights, intercept)
        np.testing.assert_allclose(path.residuals[i] ** 2, weights @ np.sum((a @ x + b0 - b) ** 2, axis=1), rtol=1e-9)
        np.testing.assert_allclose(path.seminorms[i], np.linalg.norm(matrix @ x), rtol=1e-9)
        np.testing.assert_allclose(path.freedom[i], np.trace(h), rtol=1e-9)
        np.testing.assert_allclose(path.squared_freedom[i], np.trace(h @ h), rtol=1e-9)


def test_a_path_of_the_squared_filter_would_be_seen():
    a, b = problem()
    d = decompose(a, b)

    def wrong(c, s, alphas):  # mutant: c / (c + alpha s), the filter of another penalty
        return tikhonov(np.sqrt(c), np.sqrt(s), alphas)

    right, mutant = (ridge_path(d, np.array([0.1]), f) for f in (tikhonov, wrong))
    assert abs(mutant.freedom[0] - np.trace(influence(a, 0.1))) > 0.01
    np.testing.assert_allclose(right.freedom[0], np.trace(influence(a, 0.1)), rtol=1e-10)


@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
def test_limits_are_reached(shape):
    a, b = problem(*shape)
    for operator in (None, difference(shape[1])):
        d = decompose(a, b, operator, intercept=True)
        path = ridge_path(d, np.array([1e-16, 1e16]))
        np.testing.assert_allclose(path.residuals, path.limits, rtol=1e-6, atol=1e-6)


def test_rank_deficient_data_stay_at_the_reference():
    a, b = problem()
    a = np.hstack([a, a[:, :2], np.full((12, 1), 3.0)])  # two equal columns, and a constant one
    d = decompose(a, b, intercept=True)
    assert np.sum(d.c > 0) == 5
    x, b0 = d.solution(0.0)
    centred = a - a.mean(axis=0)
    np.testing.assert_allclose(x, np.linalg.pinv(centred, rcond=1e-12) @ (b - b.mean(axis=0)), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(a.mean(axis=0) @ x + b0, b.mean(axis=0))


def test_rank_zero_leaves_the_reference():
    d = decompose(np.zeros((4, 3)), np.arange(4.0)[:, None], reference=np.ones((3, 1)), intercept=True)
    for alpha in (0.0, 1.0):
        x, b0 = d.solution(alpha)
        np.testing.assert_array_equal(x, np.ones((3, 1)))
        np.testing.assert_allclose(b0, [1.5])


def test_common_null_space_is_named():
    a, b = problem(12, 5)
    a -= a.mean(axis=1, keepdims=True)  # blind to constants, as differences are
    with pytest.raises(ValueError, match=r"null spaces .* meet \(the constant vector\)"):
        decompose(a, b, difference(5))
    with pytest.raises(ValueError, match="in column 3"):
        decompose(np.delete(np.eye(5), 3, axis=0), b[:4], np.delete(np.eye(5), 3, axis=0))
    with pytest.raises(ValueError, match="meet"):
        decompose(np.ones((1, 3)), np.ones((1, 1)), difference(3), intercept=True)
    with pytest.raises(ValueError, match="operator is zero"):
        decompose(a, b, np.zeros((2, 5)))


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("name", ["identity", "difference"])
def test_scale_of_the_data_is_the_scale_of_alpha(scale, name):
    a, b = problem()
    operator = OPERATORS[name](5)
    x, _ = solve(a, b, 0.3, operator)
    scaled, _ = solve(scale * a, b, 0.3 * scale**2, operator)
    np.testing.assert_allclose(scale * scaled, x, rtol=1e-9)


def test_bad_grids_are_refused():
    a, b = problem()
    with pytest.raises(ValueError, match="positive finite"):
        ridge_path(decompose(a, b), np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="not ascending"):
        ridge_path(decompose(a, b), np.array([1.0, 1.0]))


def test_truncation_keeps_the_leading_directions():
    a, b = problem()
    d = decompose(a, b)
    u, sigma, vt = np.linalg.svd(a, full_matrices=False)
    for keep in range(1, 5):
        threshold = (sigma[keep - 1] * sigma[keep]) / len(a)
        x, _ = d.solution(threshold, truncated)
        np.testing.assert_allclose(x, vt[:keep].T @ (u[:, :keep].T @ b / sigma[:keep, None]), rtol=1e-10)
        assert ridge_path(d, np.array([threshold]), truncated).freedom[0] == keep
    np.testing.assert_array_equal(ridge_path(d, truncation_grid(d), truncated).freedom, [5, 4, 3, 2, 1, 0])
    assert len(truncation_grid(decompose(np.zeros((3, 2)), np.ones((3, 1))))) == 1


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
def test_leave_one_out_is_refitting(name, shape):
    a, b = problem(*shape)
    operator = OPERATORS[name](shape[1])
    alphas = np.array([1e-3, 0.3])
    path = leave_one_out(decompose(a, b, operator, intercept=True, keep_left=True), alphas)
    n = len(a)
    for i in range(n):
        rows = np.arange(n) != i
        for j, alpha in enumerate(alphas):
            # The penalty of the sum stays: alpha n on n - 1 rows.
            x, b0 = dense(a[rows], b[rows], alpha * n / (n - 1), operator, intercept=True)
            np.testing.assert_allclose(path.errors[j, i], np.mean((a[i] @ x + b0 - b[i]) ** 2), rtol=1e-7)
    path = leave_one_out(decompose(a, b, operator, keep_left=True), alphas)  # mutant: the intercept's leverage missing
    x, b0 = dense(a[1:], b[1:], alphas[1] * n / (n - 1), operator, intercept=True)
    assert abs(path.errors[1, 0] - np.mean((a[0] @ x + b0 - b[0]) ** 2)) > 1e-4


def test_leave_one_out_of_weighted_rows_is_that_of_repeated_rows():
    a, b = problem(8, 3)
    counts = np.array([1, 2, 1, 3, 1, 1, 2, 1])
    alphas = np.array([1e-2, 1.0])
    weighted = decompose(a, b, weights=counts.astype(float), intercept=True, keep_left=True)
    repeated = decompose(np.repeat(a, counts, axis=0), np.repeat(b, counts, axis=0), intercept=True, keep_left=True)
    one, many = leave_one_out(weighted, alphas), leave_one_out(repeated, alphas)
    np.testing.assert_allclose(np.repeat(one.errors, counts, axis=1), many.errors, rtol=1e-10)
    np.testing.assert_allclose(one.residuals, many.residuals, rtol=1e-10)


def test_leave_one_out_of_an_interpolating_row_is_infinite():
    a = np.array([[1.0, 0], [0, 1], [0, 2]])
    d = decompose(a, np.ones((3, 1)), np.array([[0.0, 1.0]]), keep_left=True)
    assert np.isinf(leave_one_out(d, np.array([0.1])).errors[0, 0])
    with pytest.raises(ValueError, match="keep_left"):
        leave_one_out(decompose(a, np.ones((3, 1))), np.array([0.1]))


def test_fold_errors_are_those_of_separate_fits():
    a, b = problem(12, 3)
    weights = np.linspace(0.5, 2, 12)
    folds = [(np.arange(6, 12), np.arange(6)), (np.arange(6), np.arange(6, 12))]
    alphas = np.array([1e-2, 1.0])
    reference = np.full((3, 2), 0.2)
    options = {"weights": weights, "reference": reference, "intercept": True}
    path = ridge_path(decompose(a, b, difference(3), **options), alphas)
    path = fold_errors(path, prepare_folds(a, b, folds, difference(3), **options))
    for f, (fit, check) in enumerate(folds):
        for j, alpha in enumerate(alphas):
            x, b0 = dense(a[fit], b[fit], alpha, difference(3), weights[fit], reference, True)
            missed = np.sum((a[check] @ x + b0 - b[check]) ** 2, axis=1)
            wanted = weights[check] @ missed / weights[check].sum() / 2
            np.testing.assert_allclose(path.errors[j, f], wanted, rtol=1e-9)
    with pytest.raises(ValueError, match="no fold"):
        prepare_folds(a, b, [])


@pytest.mark.parametrize("name", ["identity", "difference"])
def test_a_table_condensed_piece_by_piece_is_enough(name):
    a, b = problem(30, 4)
    operator = OPERATORS[name](4)
    weights = np.linspace(0.5, 2, 30)
    state = tsqr_start(4, 2)
    for rows in np.split(np.arange(30), [3, 17]):
        state = tsqr_update(state, a[rows], b[rows], weights[rows])
    one = decompose_condensed(state, operator)
    whole = decompose(a, b, operator, weights=weights, intercept=True)
    for got, wanted in zip(one.solution(0.1), whole.solution(0.1), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10)
    alphas = np.array([1e-3, 1.0])
    for got, wanted in zip(ridge_path(one, alphas)[1:5], ridge_path(whole, alphas)[1:5], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10)
    with pytest.raises(ValueError, match="no row of positive weight"):
        decompose_condensed(tsqr_start(4, 2))
