"""Each rule chooses what its definition says, tells how sharp it is, and names edges and impossible questions."""

from functools import partial

import numpy as np
import pytest
from ridge_problems import blur, difference, influence, problem
from sklearn.linear_model import RidgeCV

from numdl.regularize.ridge import RidgePath, alpha_grid, decompose, leave_one_out, ridge_path
from numdl.regularize.selectors import (
    GUARD,
    cross_validation,
    discrepancy,
    gcv,
    l_curve,
    one_standard_error,
    search,
    upre,
)

ALPHAS = np.geomspace(1e-4, 10, 40)


def noisy(n=30, p=6, noise=1.0, seed=0, k=1):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, p)) @ np.diag(np.geomspace(1, 0.05, p))
    return a, a @ rng.normal(size=(p, k)) + noise * rng.normal(size=(n, k))


@pytest.mark.parametrize("operator", [None, difference(6)])
@pytest.mark.parametrize("k", [1, 3])
def test_gcv_is_its_definition(operator, k):
    a, b = noisy(k=k)
    path = ridge_path(decompose(a, b, operator, intercept=True), ALPHAS)
    values, robust, weighted, guarded = [], [], [], []
    for alpha in ALPHAS:
        h = influence(a, alpha, operator, intercept=True)
        misfit = np.sum((b - h @ b) ** 2) / (30 * k)
        values.append(misfit / (1 - np.trace(h) / 30) ** 2)
        robust.append(values[-1] * (0.3 + 0.7 * np.trace(h @ h) / 30))
        weighted.append(misfit / (1 - 0.8 * np.trace(h) / 30) ** 2)
        guarded.append(misfit / (1 - np.trace(h) / 30) ** 2.8)
    np.testing.assert_allclose(gcv(path).criterion, values, rtol=1e-9)
    np.testing.assert_allclose(gcv(path, robust=0.3).criterion, robust, rtol=1e-9)
    np.testing.assert_allclose(gcv(path, weight=0.8).criterion, weighted, rtol=1e-9)
    np.testing.assert_allclose(gcv(path, guard=1.4).criterion, guarded, rtol=1e-9)
    assert gcv(path).index == np.argmin(values)
    assert path.alphas[gcv(path)] == gcv(path).alpha
    # mutant: the intercept's degree of freedom is forgotten
    without = path._replace(freedom=path.freedom - 1)
    assert np.abs(gcv(without).criterion / values - 1).max() > 0.01


def test_upre_estimates_the_predictive_risk():
    a, _ = noisy()
    truth = a @ np.ones((6, 1))
    rng = np.random.default_rng(3)
    h = influence(a, 0.05)
    risk = np.mean((h @ truth - truth) ** 2) + np.trace(h @ h) / 30
    draws = [
        upre(ridge_path(decompose(a, truth + rng.normal(size=truth.shape)), np.array([0.05])), 1.0).criterion[0] - 1
        for _ in range(400)
    ]
    assert abs(np.mean(draws) - risk) < 3 * np.std(draws) / np.sqrt(400)
    # mutant: one degree of freedom counted once instead of twice
    assert abs(np.mean(draws) - np.trace(h) / 30 - risk) > 3 * np.std(draws) / np.sqrt(400)


def test_discrepancy_takes_the_largest_alpha_that_the_noise_explains():
    path = ridge_path(decompose(*noisy()), ALPHAS)
    noise = float(path.residuals[20])
    choice = discrepancy(path, noise, tau=1.0)
    assert choice.index == 20
    assert choice.interval[0] < choice.alpha < choice.interval[1]
    assert discrepancy(path, noise, tau=1.05).index >= 20


def test_impossible_discrepancies_name_both_numbers():
    path = ridge_path(decompose(*noisy()), ALPHAS)
    with pytest.raises(ValueError, match=r"noise=0.01.*smallest residual on this path is .*above tau"):
        discrepancy(path, 0.01)
    with pytest.raises(ValueError, match=r"noise=100.*residual is .*nothing to explain"):
        discrepancy(path, 100.0)
    for bad in (-1.0, np.nan):
        with pytest.raises(ValueError, match="needs a finite number >="):
            discrepancy(path, bad)
        with pytest.raises(ValueError, match="standard deviation"):
            upre(path, bad)


def test_zero_noise_is_met_only_by_exact_fits():
    a, _ = problem(6, 6)
    path = ridge_path(decompose(a, a @ np.ones((6, 1))), np.geomspace(1e-3, 1, 9))
    with pytest.raises(ValueError, match="No alpha goes below"):
        discrepancy(path, 0.0)
    with pytest.raises(ValueError, match="Add smaller alphas"):
        discrepancy(path, float(path.residuals[0]) / 2)


def test_l_curve_finds_the_corner_of_a_known_curve():
    # ||r|| = (t^4 + 1)^(1/4), ||x|| = (t^-4 + 1)^(1/4): in logarithms a smooth corner, symmetric about t = 1.
    t = np.geomspace(1e-3, 1e3, 61)
    one = np.ones_like(t)
    path = RidgePath(t, (t**4 + 1) ** 0.25, (t**-4.0 + 1) ** 0.25, one, one, 10.0, 1, (1.0, np.inf))
    choice = l_curve(path)
    assert choice.alpha == pytest.approx(1.0) and not choice.edge and choice.decades < 1.5
    # mutant: exchanged axes turn the corner into a bulge
    assert l_curve(path._replace(residuals=path.seminorms, seminorms=path.residuals)).alpha != pytest.approx(1.0)


def test_an_l_curve_without_corner_ends_at_an_edge():
    t = np.geomspace(1e-3, 1e3, 41)
    one = np.ones_like(t)
    path = RidgePath(t, np.exp(-1 / (1 + t)), np.exp(-(np.log1p(t) ** 2)), one, one, 10.0, 1, (1.0, np.inf))
    concave = path._replace(residuals=t**0.5, seminorms=np.exp(-((np.log(t) + 8) ** 2) / 40))
    choice = l_curve(concave)
    assert choice.edge and "edge of the grid" in choice.message
    with pytest.raises(ValueError, match="at least 5"):
        l_curve(ridge_path(decompose(*noisy()), ALPHAS[:4]))
    with pytest.raises(ValueError, match="seminorms are zero"):
        l_curve(path._replace(seminorms=0 * t))


def test_leave_one_out_choice_is_scikit_learns():
    a, b = noisy()
    path = leave_one_out(decompose(a, b, intercept=True, keep_left=True), ALPHAS)
    choice = cross_validation(path)
    theirs = RidgeCV(alphas=ALPHAS * 30).fit(a, b[:, 0])
    assert choice.alpha == pytest.approx(theirs.alpha_ / 30)
    np.testing.assert_allclose(choice.criterion[choice.index], -theirs.best_score_, rtol=1e-8)


def test_one_standard_error_is_the_simplest_that_is_as_good():
    path = ridge_path(decompose(*noisy()), ALPHAS[:5])
    errors = np.array([[4.0, 6], [2, 4], [2.4, 4.4], [3, 5], [9, 9]])
    path = path._replace(errors=errors, weights=np.ones(2))
    best, simple = cross_validation(path), one_standard_error(path)
    assert (best.index, simple.index) == (1, 3)  # errors 3 +- 1: up to and including 4
    assert simple.interval == (path.alphas[1], path.alphas[3])
    assert cross_validation(path._replace(errors=errors[:, :1], weights=np.ones(1))).index == 1
    for rule in (cross_validation, one_standard_error):
        with pytest.raises(ValueError, match="no errors"):
            rule(path._replace(errors=None, weights=None))


def test_edges_are_named_extended_and_left():
    a, b = noisy()
    paths = partial(ridge_path, decompose(a, b))
    inner = gcv(paths(ALPHAS))
    assert not inner.edge
    short = ALPHAS[4 * inner.alpha < ALPHAS]
    edge = gcv(paths(short))
    assert edge.edge == "low" and "smaller alphas" in edge.message
    path, choice = search(paths, gcv, short)
    assert not choice.edge
    grid = np.geomspace(1e-6, 1e3, 4000)
    assert choice.alpha == pytest.approx(grid[gcv(paths(grid))], rel=0.02)
    assert path.alphas[choice] == choice.alpha
    # Pure noise: the more alpha, the better; the edge stays and is said.
    noise = np.random.default_rng(0).normal(size=(30, 1))
    noise -= a @ np.linalg.lstsq(a, noise)[0]
    _, choice = search(partial(ridge_path, decompose(a, noise)), gcv, ALPHAS)
    assert choice.edge == "high"


def test_a_flat_criterion_says_so():
    path = ridge_path(decompose(*noisy()), np.geomspace(1e-9, 1, 60))
    constant = path._replace(residuals=np.ones(60), freedom=np.ones(60))
    choice = gcv(constant)
    assert choice.flat and choice.edge == "high"
    assert not gcv(ridge_path(decompose(*noisy(noise=0.05)), ALPHAS)).flat
    middle = constant._replace(residuals=np.where(np.arange(60) == 40, 0.999, 1.0))
    assert gcv(middle).flat and "flat" in gcv(middle).message


def test_no_freedom_left_anywhere_is_refused():
    a, b = problem(3, 3)
    path = ridge_path(decompose(a, b), np.array([1e-30, 1e-29]))
    with pytest.raises(ValueError, match="as many degrees of freedom as observations"):
        gcv(path)
    for options in ({"weight": 0.0}, {"robust": 2.0}, {"guard": 0.9}):
        with pytest.raises(ValueError, match="needs a finite number >"):
            gcv(path, **options)


RULES = {
    "gcv": (gcv, 1.1),
    "robust": (partial(gcv, robust=0.5), 1.1),
    "weighted": (partial(gcv, weight=1.4), 1.1),
    "guarded": (partial(gcv, guard=GUARD), 1.1),
    "upre": (partial(upre, noise=0.01), 1.1),
    "discrepancy": (partial(discrepancy, noise=8 * 0.01), 1.1),
    "l-curve": (l_curve, 1.4),
}


@pytest.fixture(scope="module")
def deblurring():
    """Error over the best error for each rule on 40 draws of the noise."""
    a, signal = blur(width=0.05)
    rng = np.random.default_rng(0)
    ratios = {name: [] for name in RULES}
    for _ in range(40):
        d = decompose(a, (a @ signal + 0.01 * rng.normal(size=64))[:, None])
        paths, grid = partial(ridge_path, d), alpha_grid(d)
        error = lambda alpha, d=d: np.linalg.norm(d.solution(alpha)[0][:, 0] - signal)  # noqa: E731
        best = min(map(error, grid))
        for name, (rule, _) in RULES.items():
            ratios[name].append(error(search(paths, rule, grid)[1].alpha) / best)
    return ratios


@pytest.mark.quick("gcv", "robust", "upre", "discrepancy", "l-curve")
@pytest.mark.parametrize("name", RULES)
def test_rules_come_near_the_best_alpha_on_deblurring(deblurring, name):
    assert np.median(deblurring[name]) < RULES[name][1]


@pytest.mark.parametrize("guarded", ["weighted", "guarded"])
def test_a_higher_price_guards_gcv_against_its_failures(deblurring, guarded):
    assert max(deblurring[guarded]) < 1.3 < 3 < max(deblurring["gcv"])


def test_the_guard_costs_little_where_there_are_many_degrees_of_freedom():
    """As many columns as rows and little noise: three quarters of the degrees of freedom are of use."""
    rng = np.random.default_rng(5)
    a = rng.normal(size=(120, 120)) * np.geomspace(1, 0.01, 120)
    truth = a @ rng.normal(size=(120, 1))
    ratios = {"guard": [], "weight": []}
    for _ in range(20):
        d = decompose(a, truth + 0.05 * truth.std() * rng.normal(size=truth.shape))
        path = ridge_path(d, alpha_grid(d))
        errors = [np.linalg.norm(a @ d.solution(alpha)[0] - truth) for alpha in path.alphas]
        assert 0.6 < path.freedom[np.argmin(errors)] / 120 < 0.9
        for name in ratios:
            ratios[name].append(errors[gcv(path, **{name: GUARD})] / min(errors))
    assert np.median(ratios["guard"]) < 1.1
    assert np.median(ratios["weight"]) > 1.3  # what the guard replaces
