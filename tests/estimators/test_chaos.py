"""Sparse expansions: candidates by enumeration, path by its definition and rows left out, evidence by integration."""

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from sklearn.linear_model import lars_path

import numdl
from numdl import AutoRegressor
from numdl.estimators.auto import chaos, terms
from numdl.estimators.kernels.clock import Clock
from numdl.estimators.kernels.evidence import CENTRE, SPREAD, Rows

BOX = np.array([[-1.3, -1.3, -1.3], [1.3, 1.3, 1.3]])
INTERVAL = BOX / 1.2


def rows(n=30, weights=False, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 3))
    y = x[:, 0] ** 3 + x[:, 1] * x[:, 2] + noise * rng.normal(size=n)
    w = rng.integers(1, 4, n).astype(float) if weights else np.ones(n)
    return Rows(x, (y - y.mean()) / y.std(), w, 0.3 * float(weights))


@pytest.mark.parametrize(("q", "degree"), [(0.5, 9), (0.75, 6), (1.0, 5)])
def test_candidates_are_all_terms_within_the_norm(q, degree):
    powers, least = terms.hyperbolic(3, q, degree)
    wanted = {
        a: sum(v**q for v in a) ** (1 / q)
        for a in itertools.product(range(degree + 1), repeat=3)
        if 0 < sum(v**q for v in a) ** (1 / q) <= degree + 1e-6
    }
    assert {tuple(int(v) for v in row) for row in powers} == set(wanted) and len(powers) == len(wanted)
    assert [int(np.ceil(wanted[tuple(row)] - 1e-6)) for row in powers] == list(least) == sorted(least)
    fewer, _ = terms.hyperbolic(3, q, degree, most=len(powers) - 1)
    assert set(map(tuple, fewer)) == {tuple(row) for row, p in zip(powers, least, strict=True) if p < degree}


def design(n=40, m=12, seed=0):
    """Correlated candidates, and a target that some of them explain."""
    rng = np.random.default_rng(seed)
    f = rng.normal(size=(n, m)) @ (np.eye(m) + 0.4 * rng.normal(size=(m, m))) + 0.3
    return f, f[:, :5] @ [2.0, -1.5, 1.0, 0.7, -0.5] + 0.5 * rng.normal(size=n)


def by_matching(f, y, count):
    """A mutant: the order in which the residual of least squares correlates with the terms."""
    x = (f - f.mean(axis=0)) / np.linalg.norm(f - f.mean(axis=0), axis=0)
    chosen, r = [], y - y.mean()
    for _ in range(count):
        chosen.append(int(np.argmax(np.abs(r @ x))))
        active = x[:, chosen]
        r = y - y.mean() - active @ np.linalg.lstsq(active, y - y.mean(), rcond=None)[0]
    return chosen


def by_angles(f, y, count):
    """Least angle regression from its definition: all correlations and directions anew in each step."""
    x = (f - f.mean(axis=0)) / np.linalg.norm(f - f.mean(axis=0), axis=0)
    r = y - y.mean()
    chosen = [int(np.argmax(np.abs(r @ x)))]
    while len(chosen) < count:
        c = r @ x
        reach, active = np.abs(c[chosen]).max(), x[:, chosen] * np.sign(c[chosen])
        u = active @ np.linalg.inv(active.T @ active).sum(axis=1)
        a, u = u @ x / np.linalg.norm(u), u / np.linalg.norm(u)
        steepness = a[chosen[0]] * np.sign(c[chosen[0]])
        steps = {}
        for j in set(range(x.shape[1])) - set(chosen):
            both = ((reach - c[j]) / (steepness - a[j]), (reach + c[j]) / (steepness + a[j]))
            steps[j] = min(step for step in both if step > 0)
        chosen.append(min(steps, key=lambda j: steps[j]))
        r = r - steps[chosen[-1]] * u
    return chosen


def test_terms_come_in_the_order_of_least_angles():
    differs = []
    for seed in range(5):
        f, y = design(seed=seed)
        chosen, _ = terms.path(f, y, np.ones(len(y)))
        x = (f - f.mean(axis=0)) / np.linalg.norm(f - f.mean(axis=0), axis=0)
        _, active, _ = lars_path(x, y - y.mean(), method="lar", max_iter=6)
        assert len(chosen) > 8 and chosen[:6] == [int(j) for j in active]
        assert chosen == by_angles(f, y, len(chosen))
        differs.append(chosen != by_matching(f, y, len(chosen)))
    assert any(differs)


@pytest.mark.parametrize("weights", [False, True])
def test_the_error_is_that_of_rows_left_out_corrected(weights):
    f, y = design()
    n = len(y)
    w = np.random.default_rng(1).integers(1, 4, n).astype(float) if weights else np.ones(n)
    chosen, errors = terms.path(f, y, w)
    root, mean = np.sqrt(w / w.mean()), w @ f / w.sum()
    for k in range(len(chosen) + 1):
        F = np.column_stack([np.ones(n), f[:, chosen[:k]]])
        out = []
        for i in range(n):
            kept = np.arange(n) != i
            c = np.linalg.lstsq(F[kept] * root[kept, None], y[kept] * root[kept], rcond=None)[0]
            out.append(root[i] * (y[i] - F[i] @ c))
        centred = (f - mean)[:, chosen[:k]] * root[:, None]
        trace = 1 + np.trace(np.linalg.inv(centred.T @ centred / n))
        factor = n / (n - k - 1) * (1 + trace / n)
        variance = np.average((y - np.average(y, weights=w)) ** 2, weights=w)
        np.testing.assert_allclose(errors[k], np.mean(np.square(out)) * factor / variance, rtol=1e-9)


POWERS = np.array([[1, 0, 0], [3, 0, 0], [0, 1, 1]])


def density(data, noise, prior):
    """Of all observations, from the covariance of the means of the rows."""
    every = np.vstack([np.zeros((1, 3), int), POWERS])
    f = terms.products(chaos.polynomials(data.x, INTERVAL, 3), every)
    cov = prior * f @ f.T + noise * np.diag(1 / data.w)
    more = data.w.sum() - len(data.w)
    inner = -0.5 * (more * np.log(2 * np.pi * noise) + np.log(data.w).sum() + data.spread / noise)
    return multivariate_normal(np.zeros(len(data.y)), cov).logpdf(data.y) + inner, f, cov


@pytest.mark.parametrize("weights", [False, True])
def test_evidence_is_the_integral_over_noise_and_prior(weights):
    data = rows(weights=weights)
    member, evidence = chaos.condition(data, INTERVAL, POWERS)
    noise = np.log(member.noise) + np.linspace(-1.6, 1.6, 13)
    prior = np.linspace(-7, 9, 41)
    centre = CENTRE[1] - np.log(4)
    table = [
        [
            density(data, np.exp(a), np.exp(b))[0]
            + norm.logpdf(a, CENTRE[0], SPREAD[0])
            + norm.logpdf(b, centre, SPREAD[1])
            for b in prior
        ]
        for a in noise
    ]
    whole = np.log(np.sum(np.exp(np.array(table) - evidence)) * np.diff(noise)[0] * np.diff(prior)[0])
    assert abs(whole) < 0.1


@pytest.mark.parametrize("weights", [False, True])
def test_moments_and_rows_left_out_are_those_of_a_process(weights):
    data = rows(weights=weights)
    member, _ = chaos.condition(data, INTERVAL, POWERS)
    posterior = member.root @ member.root.T
    new = rows(7, seed=3).x * 1.5
    g = chaos.terms_at(new, INTERVAL, member.powers)
    _, f, _ = density(data, member.noise, 1.0)
    prior = 1 / np.linalg.eigvalsh(np.linalg.inv(posterior) - f.T @ (f * data.w[:, None]) / member.noise).mean()
    cov = density(data, member.noise, prior)[2]
    mean, variance = member.moments(data, BOX, new, std=True)
    cross = prior * g @ f.T
    np.testing.assert_allclose(mean, cross @ np.linalg.solve(cov, data.y), rtol=1e-7, atol=1e-9)
    own = prior * np.sum(g**2, axis=1) - np.sum(cross * np.linalg.solve(cov, cross.T).T, axis=1)
    np.testing.assert_allclose(np.asarray(variance), own + member.noise, rtol=1e-6)
    out = member.left_out(data)
    for i in range(len(data.y)):
        kept = np.arange(len(data.y)) != i
        inner = np.linalg.solve(cov[np.ix_(kept, kept)], np.column_stack([data.y[kept], cov[kept, i]]))
        np.testing.assert_allclose(out[0][i], cov[i, kept] @ inner[:, 0], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(out[1][i], cov[i, i] - cov[i, kept] @ inner[:, 1], rtol=1e-6)


def test_the_slope_is_that_of_the_mean_and_of_linear_terms_alone_beyond_the_interval():
    data = rows()
    member, _ = chaos.condition(data, INTERVAL, POWERS)
    x, h = np.vstack([data.x, [[1.15, 0.2, -2.0], [1.25, 0.2, -2.0]]]), 1e-6  # within the box of the processes
    slope = member.slope(data, BOX, x)
    for j, unit in enumerate(np.eye(3)):
        ends = [member.moments(data, BOX, x + way * h * unit, std=False)[0] for way in (-1, 1)]
        np.testing.assert_allclose(slope[:, j], (ends[1] - ends[0]) / (2 * h), atol=1e-8)
    np.testing.assert_allclose(slope[-1, [0, 2]], slope[-2, [0, 2]], rtol=1e-12)
    bent = member._replace(powers=np.where(member.powers == 1, 2, member.powers)).slope(data, BOX, x)
    assert bent[-1, 0] == bent[-1, 2] == 0 != bent[-1, 1]


def test_beyond_the_rows_an_expansion_is_straight_where_processes_still_have_room():
    """30 rows of a noisy wave: at the ends of the box of the processes polynomials were ten times as large."""
    rng = np.random.default_rng(7)
    x = np.sort(rng.normal(size=(30, 1)), axis=0)
    y = np.sin(2 * x[:, 0]) + 0.2 * rng.normal(size=30)
    model = AutoRegressor(random_state=0).fit(x, y)
    member = next(one for one in model.mixtures_[0].members if one.name == "chaos")
    mixture, ends = model.mixtures_[0], member.interval
    assert (ends[1] < mixture.box[1]).all() and member.powers.max() > 2
    mean, _ = member.moments(
        mixture.rows, mixture.box, np.vstack([ends, mixture.box, 2 * mixture.box - ends]), std=True
    )
    np.testing.assert_allclose(mean[4:] - mean[2:4], mean[2:4] - mean[:2], atol=1e-12)
    assert np.abs(mean).max() < 3


def test_a_sum_of_inputs_is_one_beyond_the_rows_too():
    """The margin of a poll is the difference of two columns: two rows beyond erred by 0.8 where ridge erred by 1e-8."""
    rng = np.random.default_rng(0)
    x = rng.integers(35, 55, size=(60, 4)).astype(float)
    model = AutoRegressor(random_state=0).fit(x, x[:, 0] - x[:, 2])
    new = np.array([[70.0, 40, 20, 40], [30, 60, 60, 30]])
    assert "chaos" in [member.name for member in model.mixtures_[0].members]
    np.testing.assert_allclose(model.predict(new), [50, -30], rtol=1e-9)
    x = rng.uniform(-1, 1, (80, 4))
    model = AutoRegressor(random_state=0).fit(x, x[:, 0] * x[:, 1] * x[:, 2] + x[:, 3] + 2 * x[:, 1])
    assert np.isfinite(model.predict(np.full((1, 4), 5e59), return_std=True)).all()  # products stay as they are


def test_what_cannot_be_expanded_brings_no_candidate():
    few, many = rows(chaos.FEWEST - 1), rows(chaos.MOST + 1)
    flat = rows()._replace(y=np.ones(30))
    assert chaos.expansions(few, Clock(None)) == chaos.expansions(many, Clock(None)) == []
    assert chaos.expansions(flat, Clock(None)) == []
    late = Clock(None)
    late.interrupted = True
    assert chaos.expansions(rows(), late) == []


def test_of_many_bases_that_are_equally_good_the_best_stays(monkeypatch):
    """Two columns of a category, each the other's complement, give thirty, none with a twentieth of the weight."""
    alike = [terms.Terms(np.array([[3, 0, 0], [0, 1, 1], [0, 0, i]]), 50, 0.1 + 1e-6 * (i != 7)) for i in range(1, 31)]
    monkeypatch.setattr(chaos, "search", lambda *_: alike)
    (found,) = chaos.expansions(rows(60), Clock(None))
    assert np.isfinite(found.left_out) and np.isfinite(found.evidence)
    (member,) = found.members(1.0)
    assert member.powers[-1].tolist() == [0, 0, 7]


def wave(n, seed):
    """Ishigami's function: strong oscillation, one interaction."""
    x = np.random.default_rng(seed).uniform(-np.pi, np.pi, size=(n, 3))
    return x, np.sin(x[:, 0]) * (1 + 0.1 * x[:, 2] ** 4) + 7 * np.sin(x[:, 1]) ** 2


def test_an_oscillation_in_few_rows_is_an_expansion_and_files_hold_it(tmp_path):
    x, y = wave(60, 0)
    new, truth = wave(500, 1)
    y = y + 0.05 * truth.std() * np.random.default_rng(2).normal(size=60)
    model = AutoRegressor(n_networks=0, random_state=0).fit(x, y)
    assert model.weights_[0]["chaos"] > 0.9 and model.evidence_[0]["chaos"] == model.log_evidence_
    mean, std = model.predict(new, return_std=True)
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 0.3 * truth.std()
    assert 0.8 < np.mean(np.abs(mean - truth) < 1.645 * std) < 0.99
    assert abs(sum(member.weight for member in model.mixtures_[0].members) - 1) < 1e-12
    model.save(tmp_path / "model.numdl")
    np.testing.assert_allclose(numdl.load(tmp_path / "model.numdl").predict(new, True), (mean, std), rtol=1e-14)
