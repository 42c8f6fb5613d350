"""Searches for adversarial examples find the distance to the boundary where it is known in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis import GradientSearch, LinearisedSearch, ProjectedSearch, attack

pytestmark = pytest.mark.usefixtures("x64")
STRAIGHT, BALLS, NEWTON = SEARCHES = GradientSearch(), ProjectedSearch(), LinearisedSearch()
NORMS = {"l2": (2, 2), "linf": (np.inf, 1)}  # order of the norm, and of its dual


def linear(p, x):
    return p["W"] @ x + p["b"]


def circle(p, x):
    """Two classes with the boundary ||x|| = p."""
    r = jnp.sum(x**2)
    return jnp.stack([p**2, r])


def samples(k, d=6, n=25, seed=0):
    rng = np.random.default_rng(seed)
    p = {"W": jnp.asarray(rng.normal(size=(k, d))), "b": jnp.asarray(rng.normal(size=k))}
    x = rng.normal(size=(n, d))
    labels = np.argmax(x @ p["W"].T + np.asarray(p["b"]), axis=1)
    return p, x, labels


def exact(p, x, labels, norm):
    """``min_j (s_y - s_j) / ||w_y - w_j||_*`` by loops."""
    W, b = np.asarray(p["W"]), np.asarray(p["b"])
    found = []
    for row, y in zip(x, labels, strict=True):
        s = W @ row + b
        others = [j for j in range(len(b)) if j != y]
        found.append(min((s[y] - s[j]) / np.linalg.norm(W[y] - W[j], NORMS[norm][1]) for j in others))
    return np.array(found)


@pytest.mark.quick("search0-l2", "search1-linf", "search2-l2")
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("search", SEARCHES)
def test_two_linear_classes_are_exact_for_all(search, norm):
    p, x, labels = samples(2)
    found = attack(search, linear, p, x, labels, norm=norm)
    rtol = 1e-4 if search is BALLS else 1e-10
    np.testing.assert_allclose(found.norms, exact(p, x, labels, norm), rtol=rtol)
    assert np.all(found.classes == 1 - labels)


@pytest.mark.quick("l2")
@pytest.mark.parametrize("norm", NORMS)
def test_many_linear_classes_are_exact_for_the_linearised_search_only(norm):
    p, x, labels = samples(5)
    least = exact(p, x, labels, norm)
    found = {search: attack(search, linear, p, x, labels, norm=norm) for search in SEARCHES}
    np.testing.assert_allclose(found[NEWTON].norms, least, rtol=1e-10)
    # The mutant: the class with the nearest score is not always the nearest class.
    straight, balls = found[STRAIGHT].norms, found[BALLS].norms
    assert np.all(straight >= least * (1 - 1e-12)) and np.max(straight / least) > 1.1
    assert np.all(balls <= straight * (1 + 1e-12)) and np.all(balls >= least * (1 - 1e-12))


@pytest.mark.quick("l2-search0", "linf-search1", "l2-search2")
@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("norm", NORMS)
def test_perturbed_points_have_the_stated_distance_and_class(search, norm):
    p, x, labels = samples(4, seed=3)
    found = attack(search, linear, p, x, labels, norm=norm)
    np.testing.assert_allclose(np.linalg.norm(found.x - x, NORMS[norm][0], axis=1), found.norms, rtol=1e-9)
    assert np.all(np.argmax(found.x @ np.asarray(p["W"]).T + np.asarray(p["b"]), axis=1) == found.classes)
    assert np.all(found.classes != labels)


def test_the_nearest_point_of_a_curved_boundary():
    x = np.array([[0.5, 0.0], [0.1, 0.2], [2.0, 1.0], [0.0, 1.4]])
    labels = np.array([0, 0, 1, 1])
    for search in SEARCHES:
        found = attack(search, circle, jnp.asarray(1.0), x, labels)
        np.testing.assert_allclose(found.norms, np.abs(np.linalg.norm(x, axis=1) - 1), rtol=1e-3)
    # In the maximum norm the nearest point of the circle from (a, b) outside moves both coordinates by the same t.
    found = attack(NEWTON, circle, jnp.asarray(1.0), x[2:3], labels[2:3], norm="linf")
    t = (3 - np.sqrt(9 - 2 * 4)) / 2
    assert found.norms[0] == pytest.approx(t, rel=1e-3)


def test_an_oblique_parabola_needs_more_than_the_first_slope():
    def parabola(p, x):
        return jnp.stack([x[1] - 1.0 + p * (x[0] - 1.0) ** 2, jnp.zeros(())])

    # Nearest point of y = 1 - 2 (x - 1)^2 from (0.9, 2) by brute force.
    t = np.linspace(-1, 3, 400001)
    least = np.min(np.hypot(t - 0.4, 1 - 2 * (t - 1) ** 2 - 2.0))
    x, labels = np.array([[0.4, 2.0]]), np.array([0])
    newton = attack(NEWTON, parabola, jnp.asarray(2.0), x, labels).norms[0]
    assert newton == pytest.approx(least, rel=1e-3)
    assert attack(STRAIGHT, parabola, jnp.asarray(2.0), x, labels).norms[0] > 1.05 * least


@pytest.mark.quick("search0")
@pytest.mark.parametrize("search", SEARCHES)
def test_misclassified_samples_stay_and_safe_ones_are_told(search):
    p = {"W": jnp.eye(2), "b": jnp.array([0.0, 0.0])}
    found = attack(search, linear, p, np.array([[1.0, 0.0], [100.0, 0.0]]), np.array([1, 0]), reach=5.0)
    assert found.norms[0] == 0 and np.isinf(found.norms[1])
    np.testing.assert_array_equal(found.x, [[1.0, 0.0], [100.0, 0.0]])
    constant = attack(search, lambda p, x: p, jnp.array([1.0, 0.0]), np.ones((1, 2)), np.array([0]))
    assert np.isinf(constant.norms[0]) and constant.classes[0] == 0


def test_bad_requests_are_refused():
    p, x, labels = samples(3)
    for search in SEARCHES:
        with pytest.raises(ValueError, match=r"norm='l1'.*unknown"):
            attack(search, linear, p, x, labels, norm="l1")
    with pytest.raises(ValueError, match="labels reach from 0 to 3"):
        attack(STRAIGHT, linear, p, x, labels + 1)
    with pytest.raises(ValueError, match="One-hot"):
        attack(STRAIGHT, linear, p, x, np.eye(3)[labels])
    with pytest.raises(ValueError, match=r"reach=0.*needs a finite number > 0"):
        attack(STRAIGHT, linear, p, x, labels, reach=0)
    with pytest.raises(ValueError, match=r"steps=2.*needs a whole number >= 3"):
        ProjectedSearch(steps=2)
    with pytest.raises(ValueError, match="needs a whole number >= 1"):
        LinearisedSearch(steps=0)
