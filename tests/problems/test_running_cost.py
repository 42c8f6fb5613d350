"""A running cost has the order of the scheme, in value and slope, and what the schemes' nodes promise."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import solve_continuous_are

from numdl import control
from numdl.control import ControlProblem
from numdl.flow import SCHEMES, BasisInTime, PiecewiseConstant, Separable, explicit, get_scheme
from numdl.testing import check_curvature, check_gradient, check_order

pytestmark = pytest.mark.usefixtures("x64")
COEFFS = np.random.default_rng(3).normal(size=(4, 2)) / np.array(
    [[1], [1], [2], [2]]
)  # NumPy: arrays made on import would be float32
START = np.array([[1.0, -0.5], [0.3, 0.8]])


def moved(t, u, theta):
    """Nonlinear, non-autonomous, by weights that move in time."""
    return jnp.tanh(theta * u[::-1]) - jnp.sin(3 * t) * u


def effort(t, u, theta):
    """All that a running cost may see."""
    return jnp.concatenate([jnp.sin(u) + t, 0.5 * theta * u])


def kick(t, y, theta):
    """What moves the second half."""
    return jnp.tanh(theta[:1] * y) - jnp.cos(2 * t)


def drift(t, z, theta):
    """What moves the first half."""
    return jnp.sin(theta[1:] * z) + t


HALVES = Separable(drift, kick)


def posed(scheme, f, nt):
    """Weights that are the same function of time for every nt."""
    basis, u0 = BasisInTime(nt, 4, "chebyshev"), jnp.asarray(START)
    return ControlProblem(scheme, f, basis, u0, jnp.asarray(2.0 / nt), 0 * u0, running=effort)


def exact(f):
    """The cost by an adaptive solver of SciPy, with the running cost as one more state."""

    @jax.jit
    def both_rates(t, u, theta):
        return jnp.append(f(t, u, theta), jnp.sum(jnp.square(effort(t, u, theta))) / 2)

    def rates(t, uz):
        theta = np.polynomial.chebyshev.chebval(t - 1.0, COEFFS)  # 2 t / T - 1 for T = 2
        return np.asarray(both_rates(t, uz[:-1], theta))

    ends = [solve_ivp(rates, (0.0, 2.0), [*u, 0.0], "DOP853", rtol=1e-12, atol=1e-13).y[:, -1] for u in START]
    return np.array([np.mean([end[-1] + np.sum(end[:-1] ** 2) / 2 for end in ends])])


@pytest.fixture(scope="module")
def costs():
    with jax.enable_x64(True):
        return {f: exact(f) for f in (moved, HALVES)}


def cost(scheme, f):
    value = eqx.filter_jit(ControlProblem.value)
    return lambda nt: np.array([value(posed(scheme, f, nt), jnp.asarray(COEFFS), None)[0]])


def rectangle(f, t, h, u, theta):
    """The planted mutant: the cost at the start of each step, whatever the scheme."""
    return get_scheme("rk4").step(f, t, h, u, theta), ((1.0, 0.0, u),)


@pytest.mark.quick("euler", "rk3", "rk4", "verlet")
@pytest.mark.parametrize("name", [name for name, scheme in SCHEMES.items() if scheme.start is None and name != "imex"])
def test_the_cost_has_the_order_of_the_scheme(name, costs):
    scheme = get_scheme(name)
    f = HALVES if scheme.halves else moved
    nts = (80, 160, 320) if scheme.order > 2 else (320, 640, 1280)
    print(check_order(cost(scheme, f), costs[f], nts, scheme.order))


def test_the_planted_rectangle_rule_is_caught(costs):
    mutant = get_scheme("rk4")._replace(nodes=rectangle)
    with pytest.raises(AssertionError, match="observed order"):
        check_order(cost(mutant, moved), costs[moved], (80, 160, 320), 4)


@pytest.mark.quick("rk4")
@pytest.mark.parametrize("name", ["heun", "rk4", "implicit_midpoint"])
def test_the_gradient_has_the_order_of_the_scheme(name):
    def slope(scheme, nt):
        lin = eqx.filter_jit(ControlProblem.linearize)(posed(scheme, moved, nt), jnp.asarray(COEFFS), None)
        return np.asarray(lin.gradient)

    scheme = get_scheme(name)
    check_order(lambda nt: slope(scheme, nt), slope(get_scheme("rk4"), 2000), (160, 320, 640), scheme.order)


@pytest.mark.quick("rk3")
@pytest.mark.parametrize("name", ["rk3", "implicit_midpoint", "verlet"])
def test_slope_and_curvature(name):
    scheme = get_scheme(name)
    problem, coeffs = posed(scheme, HALVES if scheme.halves else moved, 5), jnp.asarray(COEFFS)
    check_gradient(jax.jit(lambda p: (problem.value(p, None)[0], problem.linearize(p, None).gradient)), coeffs)
    check_curvature(jax.jit(problem.linearize(coeffs, None).curvature), coeffs, jax.random.key(0))


def test_a_scalar_regulator_costs_what_the_riccati_equation_says():
    """``min int_0^1 (u^2 + w^2) / 2`` for ``u' = w``, the end weighted by the solution of Riccati's equation, 1."""
    p = solve_continuous_are(*np.array([[[0.0]], [[1.0]], [[1.0]], [[1.0]]]))[0, 0]
    steps = (50, 100, 200)
    errors = []
    for nt in steps:
        t = np.linspace(0.0, 1.0, nt + 1)
        problem = ControlProblem(
            get_scheme("rk4"),
            pushed,
            PiecewiseConstant(nt),
            jnp.ones((1, 1)),
            jnp.asarray(1 / nt),
            jnp.zeros((1, 1)),
            running=both,
        )
        weights = -(np.exp(-t[:-1]) - np.exp(-t[1:]))[:, None] * nt  # the best control, -exp(-t), in the mean of a step
        best = weights + eqx.filter_jit(control.riccati_step)(problem, jnp.asarray(weights))
        errors.append(float(eqx.filter_jit(ControlProblem.value)(problem, best, None)[0]) - p / 2)
    # Constants on each step miss the control by O(h), the cost by O(h^2), and from above.
    assert errors[-1] > 0
    assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx([2, 2], abs=0.1)
    assert errors[0] < 1e-4


def pushed(t, u, theta):
    """``u' = w``."""
    return theta


def both(t, u, theta):
    """State and control, alike."""
    return jnp.concatenate([u, theta])


def test_a_tableau_with_negative_weights_has_no_nodes():
    """Its integral of squares could be negative: order 2 falls back on the ends of a step, order 3 is refused."""
    two, three = explicit(2, [[], [-0.25]], [3.0, -2.0]), explicit(3, [[], [1.0], [1.0, 0.0]], [0.5, 0.75, -0.25])
    assert two.nodes is three.nodes is None
    gaps = []
    for nt in (640, 1280):
        problem, coeffs = posed(two, moved, nt), jnp.asarray(COEFFS)
        fine = posed(get_scheme("rk4"), moved, 1000).value(coeffs, None)[0]
        gaps.append(abs(problem.value(coeffs, None)[0] - fine))
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(2, abs=0.1)
    with pytest.raises(ValueError, match="of order 3 without nodes"):
        dataclasses.replace(problem, scheme=three)
