"""Schemes and marches: observed order, agreement of the ways to march, edge sizes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.contracts import Scheme
from numdl.flow import (
    SCHEMES,
    PiecewiseConstant,
    PiecewiseLinear,
    Semilinear,
    Separable,
    final,
    get_dynamics,
    get_scheme,
    linear_part,
    serial,
)
from numdl.flow.march import coupled
from numdl.flow.schemes.tableau import explicit
from numdl.testing import check_order

pytestmark = pytest.mark.usefixtures("x64")


def constant(weights, nt):
    return jax.tree.map(lambda a: jnp.broadcast_to(a, (nt, *a.shape)), weights)


class Moving:
    """Weights that are a smooth function of time, sampled by each step at its own stages."""

    def __init__(self, nt, T):
        self.nt, self.h = nt, T / nt

    def cells(self, coeffs):
        return {"start": jnp.arange(self.nt) * self.h, **constant(coeffs, self.nt)}

    def at(self, cell, c):
        t = cell["start"] + c * self.h
        return {"K": cell["K"] * jnp.cos(3 * t), "b": cell["b"] * jnp.exp(t)}

    def refine(self, coeffs):
        return coeffs


def moving_field(t, u, theta):
    return jnp.tanh(theta["K"] @ u + theta["b"]) * (1 + jnp.sin(4 * t)) - 0.3 * u * u


# Two halves that move each other only, each with its own dependence on time.
HALVES = Separable(
    lambda t, z, theta: jnp.tanh(theta["K"][0, :1] * z + theta["b"][:1]) * (1 + jnp.sin(4 * t)),
    lambda t, y, theta: -jnp.sin(theta["K"][1, :1] * y + theta["b"][1:]) * jnp.cos(2 * t) - 0.2 * y,
)
# A linear part, and a rest with its own dependence on time.
DECAYING = Semilinear(linear_part(np.array([[-2.0, 1.0], [1.0, -3.0]])), moving_field)
NEEDS_HALVES = [name for name, scheme in SCHEMES.items() if scheme.halves]


# NumPy, because arrays made on import would be float32.
COEFFS = {"K": np.array([[0.4, -1.0], [1.3, 0.2]]), "b": np.array([0.3, -0.2])}
U0 = np.array([0.5, -0.4])


def solve(scheme, f=moving_field):
    return lambda nt: final(scheme, f, Moving(nt, 1.0), COEFFS, jnp.asarray(U0), 0.0, 1.0 / nt)


def exact(f=moving_field):
    return solve(get_scheme("rk4"), f)(1024)


@pytest.mark.quick("euler", "rk3", "rk4", "adams_bashforth", "verlet", "imex", "coupled rk4")
@pytest.mark.parametrize("name", [*SCHEMES, "coupled rk4", "coupled heun"])
def test_observed_order(name):
    scheme = coupled(get_scheme(name.split()[1])) if " " in name else get_scheme(name)
    nts = [64, 128, 256] if scheme.order == 4 else [128, 256, 512]
    f = HALVES if name in NEEDS_HALVES else DECAYING if name == "imex" else moving_field
    check_order(solve(scheme, f), exact(f), nts, scheme.order)


def wrong_stage_time(f, t, h, u, theta):
    """RK4 whose inner stages read the weights at the start of the step."""
    return get_scheme("rk4").step(f, t, h, u, lambda c: theta(0.0))


def wrong_time(f, t, h, u, theta):
    """RK4 that hands the start of the step to the right-hand side at each stage."""
    return get_scheme("rk4").step(lambda s, v, w: f(t, v, w), t, h, u, theta)


@pytest.mark.parametrize("mutant", [wrong_stage_time, wrong_time])
def test_order_sees_wrong_times(mutant):
    with pytest.raises(AssertionError, match="observed order"):
        check_order(solve(Scheme(4, mutant)), exact(), [64, 128, 256], 4)


def test_order_on_an_autonomous_problem_cannot_see_them():
    f = get_dynamics("plain").vector_field(jnp.tanh)
    step = Scheme(4, wrong_stage_time)

    def run(nt):
        return final(step, f, PiecewiseConstant(nt), constant(COEFFS, nt), jnp.asarray(U0), 0.0, 1 / nt)

    check_order(run, run(1024), [16, 32, 64], 4)


def test_tableau_is_checked():
    with pytest.raises(ValueError, match="rows of length"):
        explicit(2, a=[[], [1.0, 0.0]], b=[0.5, 0.5])
    with pytest.raises(ValueError, match=r"needs 1"):
        explicit(2, a=[[], [1.0]], b=[0.5, 0.6])
    with pytest.raises(ValueError, match="euler, heun, rk3, rk4"):
        get_scheme("midpoint")


@pytest.mark.quick("0-4-*Constant-rk4", "1-1-*Constant-*", "3-4-*Linear-*")
@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("kind", [PiecewiseConstant, PiecewiseLinear])
@pytest.mark.parametrize(("nt", "m"), [(0, 4), (1, 1), (3, 4)])
def test_serial_and_final_agree_and_equal_a_plain_loop(name, kind, nt, m):
    control, scheme = kind(nt), get_scheme(name)
    f = get_dynamics("plain").vector_field(jnp.tanh)
    rng = np.random.default_rng(0)
    coeffs = {"K": rng.normal(size=(control.n_coeffs, m, m)), "b": rng.normal(size=(control.n_coeffs, m))}
    if name in NEEDS_HALVES:
        f, m = get_dynamics("second_order").vector_field(jnp.tanh), 2 * m
    if name == "imex":
        f = Semilinear(linear_part(-0.5), f)
    u0, h = np.linspace(-1, 1, m), np.linspace(0.1, 0.3, nt)

    @jax.jit
    def loop(coeffs, u):
        states, cells, carry = [u], control.cells(coeffs), scheme.start(u) if scheme.start else u
        for i in range(nt):
            cell = jax.tree.map(lambda leaf, i=i: leaf[i], cells)
            carry = scheme.step(f, 0.5 + sum(h[:i]), h[i], carry, lambda c, cell=cell: control.at(cell, c))
            states.append(scheme.finish(carry) if scheme.finish else carry)
        return jnp.stack(states)

    states = serial(scheme, f, control, coeffs, jnp.asarray(u0), 0.5, h)
    assert states.shape == (nt + 1, m)
    np.testing.assert_allclose(states, loop(coeffs, u0), atol=1e-14)
    np.testing.assert_array_equal(states[-1], final(scheme, f, control, coeffs, jnp.asarray(u0), 0.5, h))


def test_times_of_uniform_and_uneven_steps():
    """A right-hand side that returns t makes Euler add up h_i t_i."""
    control, coeffs = PiecewiseConstant(3), jnp.zeros((3, 1))
    args = (get_scheme("euler"), lambda t, u, theta: jnp.full_like(u, t), control, coeffs, jnp.zeros(1), 2.0)
    np.testing.assert_allclose(final(*args, 0.5), [0.5 * (2.0 + 2.5 + 3.0)])
    np.testing.assert_allclose(final(*args, jnp.array([0.1, 0.3, 0.6])), [0.1 * 2.0 + 0.3 * 2.1 + 0.6 * 2.4])


@pytest.mark.parametrize("dtypes", [("float32", "float32"), ("float32", "float64"), ("float64", "float32")])
def test_dtype_is_the_common_one(dtypes):
    u_dtype, c_dtype = dtypes
    coeffs = {"K": jnp.ones((2, 3, 3), c_dtype), "b": jnp.ones((2, 3), c_dtype)}
    f = get_dynamics("plain").vector_field(jnp.tanh)
    out = serial(get_scheme("rk4"), f, PiecewiseConstant(2), coeffs, jnp.ones(3, u_dtype), 0.0, 0.5)
    assert out.dtype == jnp.result_type(u_dtype, c_dtype)


@pytest.mark.parametrize("way", [serial, final])
def test_bad_sizes_are_refused(way):
    f = get_dynamics("plain").vector_field(jnp.tanh)
    coeffs = {"K": jnp.ones((2, 3, 3)), "b": jnp.ones((2, 3))}
    args = (get_scheme("euler"), f)
    with pytest.raises(ValueError, match=r"h of shape \(3,\).*shape \(\) or \(2,\)"):
        way(*args, PiecewiseConstant(2), coeffs, jnp.ones(3), 0.0, jnp.ones(3))
    with pytest.raises(ValueError, match="needs a leading axis of 3"):
        way(*args, PiecewiseLinear(2), coeffs, jnp.ones(3), 0.0, 0.5)
    with pytest.raises(ValueError, match="number of steps is unknown"):
        way(*args, PiecewiseConstant(2), {}, jnp.ones(3), 0.0, 0.5)


def test_refining_weights_and_steps_converges():
    """Same function of time, steps of half the length: the state changes by O(h^4), for weights linear on each step."""
    f = get_dynamics("antisymmetric").vector_field(jnp.tanh)
    control = PiecewiseLinear(2)
    coeffs = {"a": np.array([[0.4, -1.0, 0.7], [1.3, 0.2, -0.5], [0.1, 0.6, 0.9]]), "b": np.eye(3)}

    @jax.jit
    def ends(coeffs):
        states, fine = [], control
        for _ in range(7):
            states.append(final(get_scheme("rk4"), f, fine, coeffs, jnp.ones(3), 0.0, 2.0 / fine.nt))
            coeffs, fine = fine.refine(coeffs), fine.refined()
        return states

    changes = [float(jnp.linalg.norm(b - a)) for a, b in itertools.pairwise(ends(coeffs))]
    assert abs(np.log2(changes[-2] / changes[-1]) - 4) < 0.1
