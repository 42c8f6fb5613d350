"""Streaming QR: the triangle is that of the whole table, wherever it is cut, and solves as scikit-learn does."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from numdl.linalg import tsqr_reduce, tsqr_solve, tsqr_start, tsqr_update

N, P, K = 90, 6, 2
CUTS = {"whole": [], "halves": [45], "rows": list(range(1, N)), "uneven": [1, 4, 5, 50, 50, 88]}
cuts = pytest.mark.parametrize("cut", CUTS)


def table(smallest=0.1, mean=3.0, seed=0):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(N, P)))[0]
    A = Q * np.geomspace(1, smallest, P) @ np.linalg.qr(rng.normal(size=(P, P)))[0] + mean * rng.normal(size=P)
    return A, rng.normal(size=(N, K)) + 5, rng.uniform(0.2, 3, size=N)


def stream(A, b, weights, cut):
    state = tsqr_start(A.shape[1], b.shape[1])
    parts = [np.split(a, CUTS[cut]) if a is not None else None for a in (A, b, weights)]
    for i in range(len(CUTS[cut]) + 1):
        state = tsqr_update(state, *(part[i] if part is not None else None for part in parts))
    return state


def normal_equations(A, b):
    """Planted mistake: the triangle as the Cholesky factor of Z'Z, which squares the condition number."""
    Z = np.column_stack([np.ones(len(A)), A, b])
    return tsqr_start(A.shape[1], b.shape[1])._replace(triangle=np.linalg.cholesky(Z.T @ Z).T, rows=len(A))


def check_singular_values(state, A, tolerance):
    exact = np.linalg.svd(A - A.mean(axis=0), compute_uv=False)
    found = np.linalg.svd(tsqr_reduce(state).matrix, compute_uv=False)
    np.testing.assert_allclose(found, exact, atol=tolerance * exact[0])


@cuts
def test_singular_values_are_those_of_the_table(cut):
    A, b, _ = table(smallest=1e-10, mean=0.0)
    check_singular_values(stream(A, b, None, cut), A, 1e-14)
    raw = tsqr_reduce(stream(A, b, None, cut), intercept=False).matrix
    np.testing.assert_allclose(np.linalg.svd(raw)[1], np.linalg.svd(A)[1], atol=1e-14)


def test_planted_normal_equations_are_seen():
    A, b, _ = table(smallest=1e-6, mean=0.0)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_singular_values(normal_equations(A, b), A, 1e-14)


@cuts
def test_triangle_does_not_depend_on_the_cuts(cut):
    A, b, weights = table()
    state = stream(A, b, weights, cut)
    np.testing.assert_allclose(state.triangle, stream(A, b, weights, "whole").triangle, atol=1e-12)
    Z = np.sqrt(weights)[:, None] * np.column_stack([np.ones(N), A, b])
    np.testing.assert_allclose(state.triangle.T @ state.triangle, Z.T @ Z, rtol=1e-12)
    assert np.array_equal(state.triangle, np.triu(state.triangle)) and np.all(np.diag(state.triangle) >= 0)
    assert state.rows == N


@cuts
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_solves_as_scikit_learn(cut, weighted, intercept, shift):
    A, b, weights = table()
    weights = weights if weighted else None
    found = tsqr_solve(stream(A, b, weights, cut), shift=shift, intercept=intercept)
    model = Ridge(shift, fit_intercept=intercept, solver="svd") if shift else LinearRegression(fit_intercept=intercept)
    model.fit(A, b, weights)
    np.testing.assert_allclose(found.coefficients, model.coef_.T, rtol=1e-9)
    np.testing.assert_allclose(found.intercept, model.intercept_ * np.ones(K), rtol=1e-9)
    residual = np.sqrt(1 if weights is None else weights[:, None]) * (b - model.predict(A))
    np.testing.assert_allclose(found.residuals, np.linalg.norm(residual, axis=0), rtol=1e-11)


def test_reduced_problem_has_the_misfit_of_the_table_everywhere():
    A, b, weights = table()
    small = tsqr_reduce(stream(A, b, weights, "uneven"))
    mean = np.average(A, axis=0, weights=weights), np.average(b, axis=0, weights=weights)
    np.testing.assert_allclose(small.mean_x, mean[0], rtol=1e-12)
    np.testing.assert_allclose(small.mean_c, mean[1], rtol=1e-12)
    for x in np.random.default_rng(1).normal(size=(3, P, K)):
        whole = np.sqrt(weights)[:, None] * ((A - mean[0]) @ x - (b - mean[1]))
        part = np.linalg.norm(small.matrix @ x - small.targets, axis=0)
        np.testing.assert_allclose(np.hypot(part, small.rest), np.linalg.norm(whole, axis=0), rtol=1e-12)


def test_a_large_mean_costs_only_its_digits():
    """A mean of 1e7 deviations costs seven digits of sixteen; the normal equations would cost fourteen."""
    A, b, _ = table(smallest=1.0, mean=1e6)
    centred = A - A.mean(axis=0)
    exact = np.linalg.lstsq(centred, b - b.mean(axis=0), rcond=None)[0]
    error = tsqr_solve(stream(A, b, None, "rows")).coefficients - exact
    assert np.linalg.norm(error) < 1e-8 * np.linalg.norm(exact)
    squared = tsqr_solve(normal_equations(A, b)).coefficients - exact
    assert np.linalg.norm(squared) > 1e-4 * np.linalg.norm(exact)


def test_state_is_not_changed():
    A, b, weights = table()
    state = stream(A, b, weights, "halves")
    before = [a.copy() for a in (state.triangle, A, b, weights)]
    tsqr_update(state, A, b, weights)
    assert all(np.array_equal(a, c) for a, c in zip(before, (state.triangle, A, b, weights), strict=True))
    assert tsqr_update(state, A[:0], b[:0]) is state


def test_zero_weights_are_rows_left_out():
    A, b, weights = table()
    weights[::3] = 0
    seen = weights > 0
    found, expected = stream(A, b, weights, "uneven"), stream(A[seen], b[seen], weights[seen], "whole")
    np.testing.assert_allclose(found.triangle, expected.triangle, atol=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_fewer_rows_than_columns_give_the_least_norm(rows):
    A, b, _ = table(smallest=1.0)
    found = tsqr_solve(tsqr_update(tsqr_start(P, K), A[:rows], b[:rows]))
    assert np.all(np.isfinite(found.coefficients))
    if rows:
        exact = np.linalg.pinv(A[:rows] - A[:rows].mean(axis=0), rcond=1e-12) @ b[:rows]
        np.testing.assert_allclose(found.coefficients, exact, atol=1e-12)
        np.testing.assert_allclose(found.intercept + A[:rows] @ found.coefficients, b[:rows], atol=1e-12)
    else:
        assert not found.coefficients.any() and not found.intercept.any()
    np.testing.assert_allclose(found.residuals, 0, atol=1e-12)


@cuts
def test_dependent_columns_give_the_least_norm(cut):
    A, b, _ = table()
    A[:, 3] = A[:, 1] + A[:, 2]
    found = tsqr_solve(stream(A, b, None, cut))
    exact = np.linalg.lstsq(A - A.mean(axis=0), b - b.mean(axis=0), rcond=1e-12)[0]
    np.testing.assert_allclose(found.coefficients, exact, rtol=1e-8)


def test_no_columns_is_the_mean():
    _, b, weights = table()
    found = tsqr_solve(tsqr_update(tsqr_start(0, K), np.zeros((N, 0)), b, weights))
    np.testing.assert_allclose(found.intercept, np.average(b, axis=0, weights=weights), rtol=1e-13)
    assert found.coefficients.shape == (0, K)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.ones((4, 3))}, r"rows \(4, 3\) and targets \(4, 2\), needs \(m, 6\) and \(m, 2\)"),
        ({"targets": np.ones((4, 1))}, r"targets \(4, 1\)"),
        ({"rows": np.full((4, 6), np.inf)}, "Input rows contains infinity at column 0, row 1"),
        ({"targets": np.array([[1, 2], [3, np.nan], [1, 2], [1, 2]])}, "Input targets contains NaN at column 1, row 2"),
        ({"weights": np.array([1, 1, -2.0, 1])}, "smallest is -2"),
    ],
)
def test_refuses(change, message):
    good = {"rows": np.ones((4, P)), "targets": np.ones((4, K)), "weights": np.ones(4)}
    with pytest.raises(ValueError, match=message):
        tsqr_update(tsqr_start(P, K), **(good | change))


def test_refuses_a_negative_shift():
    with pytest.raises(ValueError, match=r"tsqr_solve\(shift=-1.0\)"):
        tsqr_solve(tsqr_start(P, K), shift=-1.0)
