"""Cuts and planes show the values of the objective, barriers their height, and directions the size of the filters."""

import analysis_problems as sp
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis import cut, eigenpairs, filter_normalised, on_grid, plane, random_direction
from numdl.analysis.batches import batch_size
from numdl.analysis.landscape import Cut, _values
from numdl.analysis.objective import value_at

pytestmark = pytest.mark.usefixtures("x64")


def test_a_cut_passes_both_ends_and_finds_the_barrier():
    ends = jnp.array([-1.0, 0.0]), jnp.array([1.0, 0.0])
    found = cut(sp.wells, *ends, points=41, margin=0.25)
    np.testing.assert_allclose(found.t[[10, -11]], [0, 1], atol=0)
    assert found.t[0] == -0.25 and found.t[-1] == 1.25
    np.testing.assert_allclose(found.values, ((2 * found.t - 1) ** 2 - 1) ** 2, atol=1e-14)
    assert found.barrier == pytest.approx(1.0, abs=1e-14)


def test_a_convex_function_has_no_barrier_and_a_slope_counts_as_none():
    found = cut(sp.bowl, sp.origin(), jax.tree.map(jnp.ones_like, sp.origin()))
    assert found.barrier == 0.0
    t = np.linspace(0, 1, 11)
    assert Cut(t, 3 * t).barrier == pytest.approx(0, abs=1e-15)
    # The hump counts above the straight line between the ends, not above the higher end.
    assert Cut(t, 4 * t * (1 - t) + 10 * t).barrier == pytest.approx(1)


def test_a_plane_has_rows_for_the_second_direction():
    u, v = jnp.array([1.0, 0.0]), jnp.array([0.0, 2.0])
    found = plane(sp.wells, jnp.array([0.5, 0.0]), u, v, a=(-1, 2), b=(0, 1), points=4)
    expected = [[float(sp.wells(jnp.array([0.5 + a, 2 * b]))) for a in found.a] for b in found.b]
    np.testing.assert_allclose(found.values, expected, rtol=1e-14)
    assert not np.allclose(found.values.T, expected)  # the mutant


@pytest.mark.parametrize("loss", ["softmax", "least_squares"])
def test_problems_are_asked_by_their_contract(loss):
    problem, p, q = sp.separable(loss), sp.flow_weights(0), sp.flow_weights(1)
    found = cut(problem, p, q, points=3, batch=3)
    middle = jax.tree.map(lambda a, b: (a + b) / 2, p, q)
    value = jax.jit(lambda at: problem.value(at, problem.first_head(at))[0])
    expected = [value(at) for at in (p, middle, q)]
    np.testing.assert_allclose(found.values, expected, rtol=1e-9)


def test_batches_change_nothing_and_other_data_compile_nothing():
    p = sp.weights()
    directions = [random_direction(p, jax.random.key(1))]
    t = np.linspace(0, 1, 7)[:, None]
    all_at_once, single = (on_grid(sp.empirical(), p, directions, t, batch=b) for b in (7, 1))
    np.testing.assert_allclose(all_at_once, single, rtol=1e-12)
    count = _values._cached._cache_size()
    problem = sp.empirical()
    on_grid(problem.rows(jnp.arange(15)[::-1]), p, directions, t + 1, batch=7)
    assert _values._cached._cache_size() == count


def test_a_batch_fits_into_memory():
    problem, p = sp.empirical(), sp.weights()
    assert batch_size(value_at, (problem, p, None), 10) == 10
    assert batch_size(value_at, (problem, p, None), 1000) == 64
    assert batch_size(value_at, (problem, p, None), 1000, memory=1) == 1
    assert batch_size(value_at, (problem, p, None), 1) == 1


def test_filters_move_in_proportion_to_their_size():
    p = {"K": jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4))), "b": jnp.ones((2, 3)), "c": jnp.zeros(3)}
    d = filter_normalised(random_direction(p, jax.random.key(0)), p)
    for name in p:
        np.testing.assert_allclose(np.linalg.norm(d[name], axis=-1), np.linalg.norm(p[name], axis=-1), rtol=1e-12)
    kernels = filter_normalised(random_direction(p, jax.random.key(0)), p, axes=2)
    norms = [np.linalg.norm(tree["K"], axis=(-2, -1)) for tree in (kernels, p)]
    np.testing.assert_allclose(*norms, rtol=1e-12)


def test_a_scaled_network_has_the_same_filter_normalised_landscape():
    def relu_net(p):
        return jnp.sum((p["W"] @ jax.nn.relu(p["K"] @ jnp.array([1.0, 2.0])) - 1.0) ** 2)

    p = {"K": sp.weights()["K"], "W": sp.weights()["W"][:, :3]}
    scaled = {"K": 5 * p["K"], "W": p["W"] / 5}
    direction = random_direction(p, jax.random.key(2))
    t = np.linspace(-1, 1, 9)[:, None]

    def values(at, along):
        return on_grid(relu_net, at, (along,), t, batch=9)

    normalised = [values(at, filter_normalised(direction, at)) for at in (p, scaled)]
    np.testing.assert_allclose(*normalised, rtol=1e-10)
    raw = [values(at, direction) for at in (p, scaled)]
    assert np.max(np.abs(raw[0] / raw[1] - 1)) > 0.1  # what the normalisation is there for


def test_a_plane_of_eigenvectors_shows_the_eigenvalues():
    pairs = eigenpairs(sp.bowl, sp.origin(), count=2, steps=sp.P)
    found = plane(sp.bowl, sp.origin(), pairs.vector(0), pairs.vector(1), points=5)
    a, b = np.meshgrid(found.a, found.b)
    np.testing.assert_allclose(found.values, 0.5 * (sp.P * a**2 + (sp.P - 1) * b**2), atol=1e-9)


def test_bad_requests_are_refused():
    p = jnp.zeros(2)
    with pytest.raises(ValueError, match=r"points=2.*needs a whole number >= 3"):
        cut(sp.wells, p, p, points=2)
    with pytest.raises(ValueError, match=r"points=1.*needs a whole number >= 2"):
        plane(sp.wells, p, p, p, points=1)
    with pytest.raises(ValueError, match="needs a whole number >= 1"):
        filter_normalised(p, p, axes=0)
