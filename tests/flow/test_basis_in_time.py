"""Weights from few coefficients: what the bases reproduce, uneven steps, refinement, errors."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import chebyshev, legendre
from scipy.interpolate import BSpline

from numdl.flow import BasisInTime, final, get_control, get_scheme
from numdl.testing import check_gradient, check_order

pytestmark = pytest.mark.usefixtures("x64")
COEFFS = np.random.default_rng(0).normal(size=(6, 2))  # NumPy: arrays made on import would be float32


def truth(kind, t):
    if kind in ("legendre", "chebyshev"):
        return (legendre.legval if kind == "legendre" else chebyshev.chebval)(2 * t - 1, np.asarray(COEFFS)).T
    degree = 1 if kind == "linear" else 3
    knots = np.concatenate([np.zeros(degree), np.linspace(0, 1, 7 - degree), np.ones(degree)])
    return BSpline(knots, np.asarray(COEFFS), degree)(t)


@pytest.mark.parametrize("kind", ["linear", "cubic", "legendre", "chebyshev"])
@pytest.mark.parametrize("nodes", [None, (0.0, 0.1, 0.4, 1.0)])
def test_starts_middles_and_ends(kind, nodes):
    control = BasisInTime(3, 6, kind, nodes)
    times = np.linspace(0, 1, 4) if nodes is None else np.array(nodes)
    cells = control.cells({"a": COEFFS})
    for c in (0.0, 0.5, 1.0):
        found = control.at(cells, c)["a"]
        np.testing.assert_allclose(found, truth(kind, times[:-1] + c * np.diff(times)), atol=1e-13)


@pytest.mark.parametrize("kind", ["linear", "cubic", "legendre", "chebyshev"])
@pytest.mark.parametrize("count", [4, 6])
def test_weights_follow_the_sizes_of_the_steps(kind, count):
    sizes = jnp.asarray([0.2, 0.6, 1.2])
    known = BasisInTime(3, count, kind, (0.0, 0.1, 0.4, 1.0)).cells(COEFFS[:count])
    found = jax.jit(BasisInTime(3, count, kind).cells_at)(COEFFS[:count], sizes)
    np.testing.assert_allclose(found, known, atol=1e-14)
    equal = BasisInTime(3, count, kind)
    np.testing.assert_allclose(equal.cells_at(COEFFS[:count], jnp.ones(3)), equal.cells(COEFFS[:count]), atol=1e-14)
    fixed = BasisInTime(3, count, kind, (0.0, 0.5, 0.6, 1.0))
    np.testing.assert_array_equal(fixed.cells_at(COEFFS[:count], sizes), fixed.cells(COEFFS[:count]))


@pytest.mark.parametrize("kind", ["cubic", "chebyshev"])
def test_weights_move_with_the_sizes(kind):
    def value(h):
        return jnp.sum(jnp.cosh(jnp.stack(BasisInTime(3, 6, kind).cells_at(COEFFS, h))))

    check_gradient(jax.jit(jax.value_and_grad(value)), jnp.asarray([0.2, 0.6, 1.2]))


def test_uneven_steps_of_a_march_have_the_weights_of_their_times():
    def f(t, u, theta):
        return jnp.tanh(theta * u) - t * u

    @partial(jax.jit, static_argnums=0)
    def end(nt, h):
        return final(get_scheme("rk4"), f, BasisInTime(nt, 6, "chebyshev"), COEFFS, jnp.ones(2), 0.0, h)

    def solve(nt):
        return end(nt, np.linspace(1.0, 3.0, nt) / (2 * nt))

    exact = end(2000, np.full(2000, 5e-4))
    check_order(solve, exact, [160, 320, 640], 4)


def test_a_parabola_is_exact_everywhere():
    control = BasisInTime(2, 3, "legendre")
    cells = control.cells(COEFFS[:3])
    found = control.at(cells, 0.3)[1]
    np.testing.assert_allclose(found, legendre.legval(2 * 0.65 - 1, np.asarray(COEFFS[:3])), atol=1e-14)


def test_the_same_coefficients_on_more_steps_converge_with_the_order_of_the_scheme():
    def solve(nt):
        def f(t, u, theta):
            return jnp.tanh(theta * u) - t * u

        return final(get_scheme("rk4"), f, BasisInTime(nt, 6, "chebyshev"), COEFFS, jnp.ones(2), 0.0, 1 / nt)

    check_order(solve, solve(1000), [60, 120, 240], 4)


def test_refining_keeps_the_function():
    control = BasisInTime(3, 6, "cubic", (0.0, 0.1, 0.4, 1.0))
    fine = control.refined()
    assert fine.nt == 6 and fine.nodes == pytest.approx((0.0, 0.05, 0.1, 0.25, 0.4, 0.7, 1.0))
    assert fine.refine(control.refine(COEFFS)) is COEFFS
    middle = control.at(control.cells(COEFFS), 0.5)
    np.testing.assert_allclose(fine.at(fine.cells(COEFFS), 1.0)[::2], middle, atol=1e-14)


def test_no_steps_are_fine():
    assert BasisInTime(0, 4).cells(COEFFS[:4])[0].shape == (0, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: BasisInTime(-1, 4), "nt=-1.*needs a whole number >= 0"),
        (lambda: BasisInTime(3, 3), "needs a whole number >= 4"),
        (lambda: BasisInTime(3, 4, "fourier"), "unknown. Use one of 'linear'"),
        (lambda: BasisInTime(3, 4, nodes=(0.0, 0.5, 1.0)), "needs 4 increasing numbers"),
        (lambda: BasisInTime(2, 4, nodes=(0.0, 0.5, 0.5)), "increasing numbers from 0 to 1"),
        (lambda: BasisInTime(3, 4).cells(COEFFS), "needs a leading axis of 4"),
    ],
)
def test_what_is_no_basis_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_piecewise_linear_basis_has_a_name_and_fewer_coefficients_than_steps():
    control = get_control("linear_spline", 12, 4)
    assert control == BasisInTime(12, 4, "linear") and control.n_coeffs == 4
    cells = control.cells(COEFFS[:4])
    for c in (0.0, 0.5, 1.0):
        times = (np.arange(12) + c) / 12
        by_hand = np.stack([np.interp(times, np.linspace(0, 1, 4), column) for column in COEFFS[:4].T], axis=1)
        np.testing.assert_allclose(control.at(cells, c), by_hand, atol=1e-14)
    # on as many coefficients as a step has ends it is the control "linear"
    steps = get_control("linear", 5)
    full = get_control("linear_spline", 5, 6)
    for c in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(
            full.at(full.cells(COEFFS), c), steps.at(steps.cells(jnp.asarray(COEFFS)), c), atol=1e-14
        )
