"""All ways to march agree: states, gradients, tangents and curvature products, one sample or many."""

import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import DYNAMICS, MARCHES, PiecewiseConstant, PiecewiseLinear, final, get_dynamics, get_march, get_scheme
from numdl.flow.dynamics.base import by_columns
from numdl.flow.march import coupled, over_samples
from numdl.flow.march.recomputed import segments

pytestmark = pytest.mark.usefixtures("x64")
NT = 7
X = np.random.default_rng(0).normal(size=(5, 4))
H = np.linspace(0.05, 0.15, NT)


def case(dynamics):
    field = get_dynamics(dynamics)
    coeffs = [field.init(seed, 4, 1.0) for seed in range(NT + 1)]
    return field.vector_field(jnp.tanh), jax.tree.map(lambda *leaves: np.stack(leaves), *coeffs)


def loss(way, scheme, f):
    def total(coeffs, x, h):
        return jnp.sum(jnp.sin(over_samples(way, scheme, f, PiecewiseLinear(NT), coeffs, x, 0.1, h)))

    return total


def close(found, expected, atol=1e-13):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=atol)


EXACT = [
    ("remat", "heun", "plain"),
    ("checkpointed", "adams_bashforth", "plain"),
    ("reversible", "symplectic_euler", "hyperbolic"),
    ("reversible", "verlet", "hamiltonian"),
    pytest.param("reversible", "implicit_midpoint", "antisymmetric", marks=pytest.mark.thorough),
    ("coupled", "heun", "plain"),
]


@pytest.mark.parametrize(("name", "scheme", "dynamics"), EXACT)
def test_exact_ways_agree_with_stored_states(name, scheme, dynamics):
    (f, coeffs), scheme = case(dynamics), get_scheme(scheme)
    at = (coeffs, jnp.asarray(X), jnp.asarray(H))
    mine, stored = loss(get_march(name), scheme, f), loss(final, coupled(scheme) if name == "coupled" else scheme, f)

    def everything(total):
        slope = jax.grad(total, (0, 1, 2))
        return jax.jit(lambda at: (total(*at), jax.jvp(slope, at, at), jax.jvp(total, at, at)[1]))(at)

    close(everything(mine), everything(stored), 1e-11)


def undone_too_late(scheme):
    """The mutant of a step back: weights of another time."""
    return scheme._replace(inverse=lambda f, t, h, u, theta: scheme.inverse(f, t, h, u, lambda c: theta(0.9 * c)))


def undone_without_coupling(scheme):
    """The mutant of a coupled step back: the copies do not pull at each other."""
    return coupled(scheme, 0.5)._replace(inverse=coupled(scheme, 1.0).inverse)


def without_the_rest(scheme, f, control, coeffs, u0, t0, h):
    """The mutant of checkpoints: 7 steps are 3 segments of 2, and one that is lost."""
    coeffs = jax.tree.map(lambda leaf: leaf[:NT], coeffs)
    return MARCHES["checkpointed"](scheme, f, PiecewiseLinear(NT - 1), coeffs, u0, t0, h[: NT - 1])


@pytest.mark.parametrize(
    ("march", "mutant", "scheme", "dynamics"),
    [
        (MARCHES["reversible"], undone_too_late, "verlet", "hamiltonian"),
        (MARCHES["reversible"], undone_without_coupling, "heun", "plain"),
        (without_the_rest, lambda scheme: scheme, "heun", "plain"),
    ],
)
def test_a_mistake_on_the_way_back_or_in_the_segments_shows_in_the_gradient(march, mutant, scheme, dynamics):
    (f, coeffs), scheme = case(dynamics), get_scheme(scheme)
    own = coupled(scheme, 0.5) if mutant is undone_without_coupling else scheme
    at = (coeffs, jnp.asarray(X), jnp.asarray(H))
    right, wrong = (jax.jit(jax.grad(loss(*way, f)))(*at) for way in ((final, own), (march, mutant(scheme))))
    with pytest.raises(AssertionError):
        close(wrong, right, 1e-5)


def columns_are_samples(f, theta):
    """Of dynamics that say so, the columns of (m, n) move as each of them does by itself."""
    one_by_one = jax.vmap(lambda u: f(0.0, u, theta))(jnp.asarray(X))
    np.testing.assert_allclose(f(0.0, jnp.asarray(X).T, theta).T, one_by_one, atol=1e-14)


@pytest.mark.quick("plain", "antisymmetric", "low_rank", "circulant", "double_hamiltonian", "contractive")
@pytest.mark.parametrize("name", DYNAMICS)
def test_columns_are_samples(name):
    field = get_dynamics(name)
    f = field.vector_field(jnp.tanh)
    assert getattr(f, "columns", False) == (name not in ("contractive", "reaction_diffusion"))
    if getattr(f, "columns", False):
        columns_are_samples(f, field.init(0, 4, 1.0))


def test_columns_that_mix_samples_are_seen():
    mutant = by_columns(lambda t, u, theta: jnp.roll(u, 1, axis=-1))  # the neighbour along the wrong axis
    with pytest.raises(AssertionError):
        columns_are_samples(mutant, {})


@pytest.mark.quick("adams_bashforth-low_rank")
@pytest.mark.parametrize(
    ("scheme", "dynamics"),
    [("heun", "antisymmetric"), ("adams_bashforth", "low_rank"), ("verlet", "double_hamiltonian")],
)
def test_many_samples_march_as_each_by_itself(scheme, dynamics):
    (f, coeffs), scheme = case(dynamics), get_scheme(scheme)
    assert scheme.columns and f.columns

    def own(scheme, f, control, coeffs, u0, t0, h):
        """A march that nobody has told about columns."""
        assert u0.shape == (4,)
        return final(scheme, f, control, coeffs, u0, t0, h)

    many, each = (
        jax.jit(jax.value_and_grad(loss(way, scheme, f)))(coeffs, jnp.asarray(X), jnp.asarray(H))
        for way in (final, own)
    )
    close(many, each, 1e-12)


@pytest.mark.quick("reversible")
@pytest.mark.parametrize("name", ["reversible", "coupled", "adjoint"])
def test_one_sample_under_vmap_agrees_with_many(name):
    f, coeffs = case("hamiltonian")
    way, args = get_march(name), (get_scheme("verlet" if name == "reversible" else "heun"), f, PiecewiseLinear(NT))

    def alone(coeffs):
        return jax.vmap(lambda u: way(*args, coeffs, u, 0.1, H))(jnp.asarray(X))

    def together(coeffs):
        return over_samples(way, *args, coeffs, jnp.asarray(X), 0.1, H)

    def ends_and_slope(ends):
        ends, pulled = jax.vjp(ends, coeffs)
        return ends, pulled(jnp.cos(jnp.asarray(X)))[0]

    close(*jax.jit(lambda: [ends_and_slope(ends) for ends in (alone, together)])())


@pytest.mark.parametrize("name", ["reversible", "layer-parallel"])
def test_a_derivative_by_one_argument_is_its_part_of_that_by_all(name, monkeypatch):
    f, coeffs = case("hamiltonian")
    scheme = get_scheme("verlet" if name == "reversible" else "heun")
    at = (coeffs, jnp.asarray(X), jnp.asarray(H))

    def slope(argument):
        return jax.grad(loss(get_march(name), scheme, f), argument)(*at)

    close(*jax.jit(lambda: ([slope(0), slope(1), slope(2)], slope((0, 1, 2))))())

    home = "reversible" if name == "reversible" else "all_at_once"
    monkeypatch.setattr(importlib.import_module(f"numdl.flow.march.{home}"), "tied", lambda tangents: tangents)
    with pytest.raises(Exception):  # noqa: B017  the mutant: which exception, differs between versions of JAX
        slope(0)


def test_memory_of_a_gradient_with_reversed_or_recomputed_states():
    """Temporary memory of the compiled gradient, as XLA reports it; the gradient itself grows with the depth."""
    field, n, m = get_dynamics("hamiltonian"), 64, 8
    f, layer = field.vector_field(jnp.tanh), field.init(0, m, 1.0)

    def temporary(name, nt):
        control, scheme = PiecewiseLinear(nt), get_scheme("verlet")
        coeffs = jax.tree.map(lambda a: jnp.zeros((nt + 1, *a.shape)), layer)

        def total(coeffs, u):
            return jnp.sum(over_samples(get_march(name), scheme, f, control, coeffs, u, 0.0, 1 / nt))

        compiled = jax.jit(jax.grad(total)).lower(coeffs, jnp.zeros((n, m))).compile()
        weights = sum(leaf.size for leaf in jax.tree.leaves(coeffs)) * 8
        return compiled.memory_analysis().temp_size_in_bytes, weights

    (small, w_small), (large, w_large) = (temporary("reversible", nt) for nt in (32, 512))
    states = (512 - 32) * n * m * 8
    # Slopes of both ends of each step, and the linear weights themselves, are a few copies of the weights.
    assert large - small < 6 * (w_large - w_small) + 0.02 * states
    assert temporary("stored", 512)[0] > states
    assert temporary("checkpointed", 512)[0] < 5 * w_large + 0.1 * states


def test_the_adjoint_of_a_batch_holds_no_gradient_for_each_sample():
    m, n, nt = 8, 64, 128
    f, layer = get_dynamics("plain").vector_field(jnp.tanh), get_dynamics("plain").init(0, m, 1.0)
    coeffs = jax.tree.map(lambda a: jnp.zeros((nt, *a.shape)), layer)

    def temporary(over):
        def total(coeffs, u):
            return jnp.sum(over(get_march("adjoint"), get_scheme("euler"), f, PiecewiseConstant(nt), coeffs, u, 0, 0.1))

        return jax.jit(jax.grad(total)).lower(coeffs, jnp.zeros((n, m))).compile().memory_analysis().temp_size_in_bytes

    def one_by_one(march, scheme, f, control, coeffs, u, t0, h):
        return jax.vmap(lambda u: march(scheme, f, control, coeffs, u, t0, h))(u)

    weights = sum(leaf.size for leaf in jax.tree.leaves(coeffs)) * 8
    assert temporary(over_samples) < 3 * weights
    assert temporary(one_by_one) > 0.9 * n * weights  # the mutant


def test_checkpoints_come_in_equal_segments_where_the_depth_allows():
    assert [sum(segments(nt)) for nt in (512, 1000, 2048, 8192)] == [24, 30, 40, 64]
    for nt in range(1, 400):
        parts = segments(nt)
        left = nt - math.prod(parts)
        assert left >= 0 and sum(parts) + left <= 1.5 * 3 * nt ** (1 / 3) + 1, (nt, parts)


def test_the_continuous_adjoint_has_the_value_of_stored_states_and_an_error_of_the_order_of_the_scheme():
    f, layer = case("plain")[0], get_dynamics("plain").init(0, 4, 1.0)

    def slopes(name, nt):
        coeffs = jax.tree.map(lambda a: jnp.broadcast_to(a, (nt + 1, *a.shape)), layer)
        args = get_scheme("heun"), f, PiecewiseLinear(nt)

        def total(scale):
            moved = jax.tree.map(lambda a: scale * a, coeffs)
            if name == "stored":  # one by one, as the adjoint: columns are another order of summation
                ends = jax.vmap(lambda u: final(*args, moved, u, 0.0, 1 / nt))(jnp.asarray(X))
            else:
                ends = over_samples(get_march(name), *args, moved, jnp.asarray(X), 0.0, 1 / nt)
            return jnp.sum(jnp.sin(ends))

        return jax.jit(jax.value_and_grad(total))(1.0)

    errors = []
    for nt in (8, 16, 32):
        (value, slope), (exact_value, exact) = slopes("adjoint", nt), slopes("stored", nt)
        assert value == exact_value
        errors.append(abs(slope - exact))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert errors[0] > 1e-8 and np.all(orders > 1.5)


def test_adaptive_steps_reach_the_solution():
    pytest.importorskip("diffrax")
    f, coeffs = case("plain")
    args = f, PiecewiseLinear(NT), coeffs, jnp.asarray(X[0]), 0.1, H

    @jax.jit
    def exactly(coeffs):
        fine = coeffs, PiecewiseLinear(NT)
        for _ in range(4):
            fine = fine[1].refine(fine[0]), fine[1].refined()
        return final(get_scheme("rk4"), f, fine[1], fine[0], jnp.asarray(X[0]), 0.1, np.repeat(H / 16, 16))

    exact = exactly(coeffs)
    np.testing.assert_allclose(get_march("adaptive")(get_scheme("euler"), *args), exact, atol=1e-6)
    # The mutant: weights that stand still over each step.
    still = PiecewiseConstant(NT), jax.tree.map(lambda leaf: leaf[:NT], coeffs)
    wrong = get_march("adaptive")(get_scheme("euler"), f, *still, *args[3:])
    assert np.max(np.abs(wrong - exact)) > 1e-3


@pytest.mark.parametrize(
    ("name", "scheme", "words"),
    [
        ("reversible", "rk4", "needs a step that can be undone"),
        ("coupled", "adams_bashforth", "from state to state"),
        ("adjoint", "adams_bashforth", "from state to state"),
        ("adjoint", "verlet", "no halves"),
    ],
)
def test_what_does_not_go_together_is_refused(name, scheme, words):
    f, coeffs = case("plain")
    with pytest.raises(ValueError, match=words):
        get_march(name)(get_scheme(scheme), f, PiecewiseLinear(NT), coeffs, jnp.asarray(X[0]), 0.0, 0.1)
    with pytest.raises(ValueError, match=f"unknown march. Use one of {', '.join(MARCHES)}"):
        get_march("backwards")
