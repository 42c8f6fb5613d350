"""A mixture of many members is predicted by few of them: what is lost, and what stays as it was."""

import collections

import numpy as np
import pytest

from numdl.data.problems.simulators import borehole
from numdl.estimators import KernelRegressor
from numdl.estimators.kernels import base, thin
from numdl.estimators.kernels.mixture import combine, moments


@pytest.fixture(scope="module")
def whole():
    """The mixture before anything is left out, on 40 rows with noise: hyperparameters are averaged."""
    data = borehole(40, 3)
    y = data.c[:, 0] + 2.0 * np.random.default_rng(0).normal(size=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "thinned", lambda mixture: mixture)
        mixture = KernelRegressor(random_state=0).fit(data.x[:, :3], y).mixtures_[0]
    assert len(mixture.members) > 20
    return mixture


def _shares(mixture):
    sums = collections.Counter()
    for member in mixture.members:
        sums[member.name] += member.weight
    return sums


def test_few_members_predict_what_all_predict(whole):
    few = thin.thinned(whole)
    assert 2 <= len(few.members) < len(whole.members) / 1.5
    assert all(member.weight > 0 for member in few.members)
    for name, share in _shares(whole).items():
        assert _shares(few)[name] == pytest.approx(share, rel=1e-4)
    lo, hi = whole.rows.x.min(axis=0), whole.rows.x.max(axis=0)
    x = np.random.default_rng(1).uniform(lo, hi, (500, len(lo)))  # not where they were compared
    (mean, std), (other, others) = (combine(m.weights, *moments(m, x, std=True)) for m in (whole, few))
    assert np.sqrt(np.mean(((other - mean) / std) ** 2)) < 2 * thin.LOST
    assert np.sqrt(np.mean((others / std - 1) ** 2)) < 2 * thin.LOST


def test_without_loss_all_members_that_differ_stay_and_repeated_ones_become_one(whole, monkeypatch):
    monkeypatch.setattr(thin, "LOST", 0.0)
    total = whole.weights[:5].sum()
    once = whole._replace(members=[m._replace(weight=m.weight / total) for m in whole.members[:5]])
    twice = whole._replace(members=[m._replace(weight=m.weight / 2) for m in once.members for _ in range(2)])
    few = thin.thinned(twice)
    x = whole.rows.x[:20] + 0.1
    expected = combine(once.weights, *moments(once, x, std=True))
    np.testing.assert_allclose(combine(few.weights, *moments(few, x, std=True)), expected, rtol=1e-6)


def test_few_members_all_stay(whole):
    four = whole._replace(members=whole.members[: thin.FEW])
    assert thin.thinned(four) is four


def test_where_weights_are_not_found_all_members_stay(whole, monkeypatch):
    def gives_up(a, b):
        raise RuntimeError("Maximum number of iterations reached.")

    monkeypatch.setattr(thin, "nnls", gives_up)
    assert thin.thinned(whole) is whole
