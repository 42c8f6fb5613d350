"""Regularisation by products: hybrid LSQR is the direct method, early stopping finds the dip of semi-convergence."""

import importlib
from functools import partial

import numpy as np
import pytest
from ridge_problems import blur, difference

from numdl.data.problems.inverse_problems import image_deblurring, tomography
from numdl.linalg import bidiagonalise, cgls, lsqr
from numdl.regularize.iterative import gcv_of_iterates, hybrid_lsqr, iterate_by_gcv, stop_discrepancy, stop_gcv
from numdl.regularize.ridge import alpha_grid, decompose, ridge_path
from numdl.regularize.selectors import GUARD, discrepancy, gcv, l_curve, search

iteration = importlib.import_module("numdl.regularize.iterative.hybrid_lsqr")  # hidden by the function of its name
NOISE = 1e-2
OPERATORS = {"identity": None, "difference": difference(100), "second": np.diff(np.eye(100), 2, axis=0)}


def blurred(seed=0, width=0.05):
    a, signal = blur(100, width)
    return a, a @ signal + NOISE * np.random.default_rng(seed).normal(size=100), signal


@pytest.mark.quick("1e-06-second", "0.001-identity")
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("alpha", [1e-6, 1e-3])
def test_a_given_alpha_is_the_direct_solution(name, alpha):
    a, b, _ = blurred()
    operator = OPERATORS[name]
    direct, _ = decompose(a, b[:, None], operator).solution(alpha)
    found = hybrid_lsqr(a, b, operator, alpha=alpha, tol=1e-12)
    np.testing.assert_allclose(found.x, direct[:, 0], atol=1e-6)
    assert found.alpha == alpha and found.choice is None and found.path is None
    # mutant: the penalty of another operator
    if operator is not None:
        assert np.abs(hybrid_lsqr(a, b, alpha=alpha, tol=1e-12).x - direct[:, 0]).max() > 1e-3


@pytest.mark.quick("gcv-identity", "discrepancy-second", "l-curve-difference")
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("rule", ["gcv", "discrepancy", "l-curve"])
def test_the_choice_on_the_projected_problem_is_that_of_the_whole(name, rule):
    a, b, signal = blurred()
    selector = {"gcv": gcv, "discrepancy": partial(discrepancy, noise=10 * NOISE), "l-curve": l_curve}[rule]
    d = decompose(a, b[:, None], OPERATORS[name])
    _, choice = search(partial(ridge_path, d), selector, alpha_grid(d))
    found = hybrid_lsqr(a, b, OPERATORS[name], selector=selector)
    error, wanted = (np.linalg.norm(x - signal) for x in (found.x, d.solution(choice.alpha)[0][:, 0]))
    assert error < 1.02 * wanted
    if rule != "l-curve":  # its curvature also sees directions that the projection has not reached
        assert found.alpha == pytest.approx(choice.alpha, rel=0.1)
    assert len(found.history["alpha"]) < 80 and found.status.converged
    np.testing.assert_allclose(found.history["residual"][-1], np.linalg.norm(a @ found.x - b), rtol=1e-6)


@pytest.mark.quick("1")
@pytest.mark.parametrize("seed", range(3))
def test_degrees_of_freedom_are_those_of_the_whole_problem(seed):
    """Tomography: of 400 directions most are of use, far more than b shows in a few steps."""
    problem = tomography(20, 16)
    n = len(problem.b)
    d = decompose(problem.A.toarray(), problem.b[:, None])
    alpha = 1e-4 * d.scale
    kept = ridge_path(d, np.array([alpha]))
    found = hybrid_lsqr(problem.A, problem.noisy(0.01, seed), alpha=alpha)
    steps = found.history["step"][-1]
    # The sign vector's quadratic form deviates by at most sqrt(2 tr(H^2)), four times that is hardly ever exceeded;
    # the space of b takes part of it away.
    assert abs(found.freedom - kept.freedom[0]) < 2 * np.sqrt(2 * kept.squared_freedom[0])
    assert steps < 0.8 * kept.freedom[0] < n  # mutant: those of the projected problem are no more than its steps
    assert kept.freedom[0] - steps > 2 * np.sqrt(2 * kept.squared_freedom[0])
    assert np.isnan(hybrid_lsqr(problem.A, problem.b, alpha=alpha, probe=False).freedom)


def test_degrees_of_freedom_are_exact_where_the_rows_outnumber_the_unknowns(monkeypatch):
    rng = np.random.default_rng(2)
    a = rng.normal(size=(60, 12)) * np.geomspace(1, 1e-2, 12)
    b = a @ rng.normal(size=12) + 3 + NOISE * rng.normal(size=60)
    values = np.linalg.svd(a, compute_uv=False) ** 2 / 60
    for alpha in (1e-9, 1e-6, 1e-3):
        exact = np.sum(values / (values + alpha))
        assert hybrid_lsqr(a, b, alpha=alpha).freedom == pytest.approx(exact, rel=1e-9)
    # planted: Gauss quadrature that leaves out the node at zero keeps what lies outside the range of a
    monkeypatch.setattr(iteration, "_nodes", lambda probes: iteration._bidiagonal(probes)[: len(probes)])
    assert hybrid_lsqr(a, b, alpha=1e-9).freedom > 50


def test_degrees_of_freedom_do_not_end_with_data_in_a_small_space(monkeypatch):
    a = np.random.default_rng(3).normal(size=(60, 12))
    left, c, _ = np.linalg.svd(a, full_matrices=False)
    kept = c**2 / (c**2 + 60 * 1e-3)
    spread = 3 * np.sqrt(2 * np.sum(kept**2))  # of the one random vector
    assert abs(hybrid_lsqr(a, left[:, 0], alpha=1e-3).freedom - kept.sum()) < spread
    monkeypatch.setattr(iteration, "EXACT", 0)  # planted: the random vector stops with the data
    assert hybrid_lsqr(a, left[:, 0], alpha=1e-3).freedom - kept.sum() > spread


@pytest.mark.quick("0.001-make0")
@pytest.mark.parametrize("make", [partial(tomography, 20, 16), partial(image_deblurring, 20)])
@pytest.mark.parametrize("level", [1e-3, 1e-2])
def test_gcv_by_products_errs_as_gcv_of_the_whole_problem(make, level):
    problem = make()
    b = problem.noisy(level, 0)
    d = decompose(problem.A.toarray(), b[:, None])
    _, choice = search(partial(ridge_path, d), partial(gcv, guard=GUARD), alpha_grid(d))
    found, wanted = hybrid_lsqr(problem.A, b).x, d.solution(choice.alpha)[0][:, 0]
    assert np.linalg.norm(found - problem.x) < 1.05 * np.linalg.norm(wanted - problem.x)


def test_gcv_with_the_projected_degrees_of_freedom_fails():
    """What the probe replaces: it takes a far smaller alpha, as the space follows the noise."""
    problem = tomography(20, 16)
    b = problem.noisy(0.01, 0)

    form = bidiagonalise(problem.A, b, 250)
    size = np.sqrt(251 / len(b))
    small = decompose(size * form.B, size * np.linalg.norm(b) * np.eye(251, 1))._replace(n=float(len(b)))
    paths = partial(ridge_path, small)
    _, choice = search(paths, partial(gcv, guard=1.4), alpha_grid(small))
    x = form.V @ small.solution(choice.alpha)[0][:, 0]
    ours = hybrid_lsqr(problem.A, b).x
    assert np.linalg.norm(x - problem.x) > 2 * np.linalg.norm(ours - problem.x)


def test_hybrid_does_not_semi_converge_where_lsqr_does():
    a, b, signal = blurred()
    plain = lsqr(a, b, max_iter=60, tol=0.0, reorthogonalise=True, keep_iterates=True)
    errors = np.linalg.norm(plain.iterates - signal, axis=1)
    assert errors[-1] > 5 * errors.min()
    assert np.linalg.norm(hybrid_lsqr(a, b).x - signal) < 1.1 * errors.min()


def test_without_reorthogonalisation_it_still_solves():
    a, b, signal = blurred()
    kept, lost = (hybrid_lsqr(a, b, reorthogonalise=flag, tol=1e-3).x for flag in (True, False))
    assert np.linalg.norm(lost - signal) < 1.1 * np.linalg.norm(kept - signal)


def test_an_intercept_costs_a_degree_of_freedom():
    a, b, _ = blurred()
    one, two = (hybrid_lsqr(a, b, alpha=1e-3, free=flag, tol=1e-12).freedom for flag in (1, 0))
    assert one == pytest.approx(two + 1)


def test_the_budget_of_steps_is_kept_and_said():
    a, b, _ = blurred()
    found = hybrid_lsqr(a, b, max_iter=4)
    assert found.status.code == "max_iter" and len(found.history["alpha"]) == 4
    with pytest.raises(ValueError, match="smallest residual"):
        hybrid_lsqr(a, b, selector=partial(discrepancy, noise=10 * NOISE), max_iter=2)


def test_data_out_of_reach_give_zero():
    a = np.array([[1.0, 0], [0, 1], [0, 0]])
    found = hybrid_lsqr(a, np.array([0.0, 0.0, 1.0]))
    np.testing.assert_array_equal(found.x, 0)
    assert "orthogonal" in found.status.message
    np.testing.assert_array_equal(hybrid_lsqr(a, np.zeros(3)).x, 0)


@pytest.mark.parametrize("method", [cgls, lsqr])
def test_gcv_stops_near_the_dip(method):
    a, b, signal = blurred()
    run, best = iterate_by_gcv(method, a, b, weight=1.4)
    full = method(a, b, max_iter=60, keep_iterates=True)
    errors = np.linalg.norm(full.iterates - signal, axis=1)
    assert np.linalg.norm(run.x - signal) < 1.3 * errors.min()
    np.testing.assert_allclose(run.x, full.iterates[best], rtol=1e-6, atol=1e-9)
    assert f"least after {best}" in run.status.message
    values = gcv_of_iterates(run.history["residual"], 100, weight=1.4)
    assert np.argmin(values) == best == len(values) - 6


@pytest.mark.parametrize("method", [cgls, lsqr])
def test_discrepancy_stops_at_the_noise(method):
    a, b, signal = blurred()
    noise = np.linalg.norm(b - a @ signal)
    run = method(a, b, stop=stop_discrepancy(noise))
    assert run.history["residual"][-1] <= 1.01 * noise < run.history["residual"][-2]
    for bad in ({"noise": -1.0}, {"noise": 1.0, "tau": 0.5}):
        with pytest.raises(ValueError, match="needs a finite number >="):
            stop_discrepancy(**bad)


def test_gcv_of_iterates_is_that_of_a_truncation():
    # With a diagonal matrix of k different values, k iterations solve exactly: as k kept directions.
    np.testing.assert_allclose(gcv_of_iterates([2.0, 1.0], 4), [4 * 4 / 16, 4 * 1 / 9])
    np.testing.assert_allclose(gcv_of_iterates([2.0, 1.0], 4, weight=2.0, free=1), [4 * 4 / 9, 4 * 1 / 1])
    assert np.isinf(gcv_of_iterates([1.0, 1.0, 1.0], 2)[-1])
    rule = stop_gcv(10, patience=2)
    assert rule({"residual": [3.0, 1.0, 1.0]}) is None
    assert "least after 1" in rule({"residual": [3.0, 1.0, 1.0, 1.0]}).message
