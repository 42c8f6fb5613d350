"""Certified accuracy of residual classifiers: no change within the radius takes a class."""

import numpy as np
import pytest

from numdl import ResNetClassifier
from numdl.analysis import certified_radius
from numdl.models import lipschitz_bound


@pytest.fixture(scope="module", params=["two", "three"])
def fitted(request):
    rng = np.random.default_rng(0)
    X = np.array([30.0, 0.02]) * rng.uniform(-1, 1, (60, 2))
    number = (X[:, 0] > 0) * 1 + ((X[:, 1] > 0.005) & (request.param == "three"))
    y = np.array(["low", "high", "middle"])[number]
    model = ResNetClassifier(4, 2, dynamics="antisymmetric", n_restarts=2, max_iter=3, random_state=0)
    with pytest.warns(match="the most that was allowed"):
        model.fit(X, y)
    second = model.members_[0]  # another network, whatever the search kept
    model.members_ = [second, second._replace(head=1.5 * second.head + 0.3)]
    return model, X, y


def test_no_change_within_the_radius_takes_the_class(fitted):
    model, X, y = fitted
    radius = model.certified_radius(X, y)
    assert ((radius > 0) <= (model.predict(X) == y)).all() and np.mean(radius > 0.02) > 0.5
    rng, sd = np.random.default_rng(1), X.std(axis=0)
    for _ in range(50):
        change = rng.standard_normal(X.shape)
        change *= 0.999 * (radius / np.linalg.norm(change, axis=1))[:, None]
        assert (model.predict(X + change * sd) == y)[radius > 0].all()


def test_it_is_the_least_of_the_networks_and_that_of_the_scores(fitted):
    model, X, y = fitted
    scores = model._member_scores(model._scaled(X, "test"))
    codes, each = np.searchsorted(model.classes_, y), []
    for member, s in zip(model.members_, scores, strict=True):
        W, bound = member.head[:, :-1], lipschitz_bound(member.net, member.theta)
        if len(W) == 1:  # by hand: the margin is the score with the sign of the class
            margin = np.where(codes == 1, s[:, 0], -s[:, 0])
            each.append(np.maximum(margin / (bound * np.linalg.norm(W)), 0))
        else:
            each.append(certified_radius(s, codes, W, bound))
    np.testing.assert_allclose(model.certified_radius(X, y), np.minimum(*each), rtol=1e-12)
    assert (each[0] != each[1]).any()


def test_a_label_of_no_class_is_refused(fitted):
    model, X, _ = fitted
    with pytest.raises(ValueError, match=r"certified_radius: y holds 'none', which is no class"):
        model.certified_radius(X[:1], ["none"])
