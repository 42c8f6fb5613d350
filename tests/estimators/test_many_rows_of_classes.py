"""Classes of many rows: kernels are judged on some of them, and the best two see all."""

import numpy as np
import pytest

from numdl import AutoClassifier
from numdl.estimators.classes import search

KERNELS = set(search.TRIED[1:])


@pytest.fixture
def few_are_many(monkeypatch):
    for name, value in (
        ("SCREEN", 40),
        ("REFINE", 60),
        ("AVERAGED", 60),
        ("MARKS", 120),
        ("GAIN", -9.0),
        ("CERTAIN", -99.0),
    ):
        monkeypatch.setattr(search, name, value)


def rings(n=400, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, 2))
    return x, np.digitize((x**2).sum(axis=1), [0.7, 2.2])


@pytest.mark.usefixtures("few_are_many")
def test_two_kernels_see_all_rows_and_start_from_what_some_gave(monkeypatch):
    starts = []

    def climb(phi, c, scale, V, ask=None, small=None):
        if phi.shape == (400, 120):
            given = -np.vdot(c, search.log_softmax(phi @ V @ search.contrasts(3).T + search.shares(c), axis=1)) / 400
            starts.append((given, np.any(V)))
        return original(phi, c, scale, V, ask, small)

    original = search.climb
    monkeypatch.setattr(search, "climb", climb)
    model = AutoClassifier(random_state=0).fit(*rings())
    assert len(KERNELS & set(model.left_out_)) == search.KEPT == 2
    assert len(starts) == 2
    for loss, warm in starts:
        assert warm and loss < 0.4  # ignorance has 1.1
    new, label = rings(1000, 1)
    assert model.score(new, label) > 0.95


@pytest.mark.usefixtures("few_are_many")
def test_kernels_that_do_best_on_some_rows_are_the_ones_that_see_all(monkeypatch):
    losses = dict(zip(search.TRIED[1:], (5.0, 1.0, 9.0, 2.0), strict=True))
    original = search._candidate

    def candidate(name, *rest):
        found = original(name, *rest)
        return found._replace(loss=losses[name]) if name in losses else found

    monkeypatch.setattr(search, "_candidate", candidate)
    model = AutoClassifier(random_state=0).fit(*rings())
    assert KERNELS & set(model.left_out_) == {"arcsine", "rbf"}


@pytest.mark.usefixtures("few_are_many")
def test_one_kernel_that_is_kept_predicts_the_same_from_any_start(monkeypatch):
    (x, label), new = rings(), rings(50, 1)[0]
    warm = AutoClassifier(random_state=0).fit(x, label)
    original = search.climb
    monkeypatch.setattr(search, "climb", lambda phi, c, scale, V, *more: original(phi, c, scale, 0 * V, *more))
    cold = AutoClassifier(random_state=0).fit(x, label)
    np.testing.assert_allclose(warm.predict_proba(new), cold.predict_proba(new), atol=0.02)
