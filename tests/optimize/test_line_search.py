"""Line searches keep their conditions, also where values are no numbers or differ by rounding only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.optimize import armijo, strong_wolfe
from numdl.optimize.parts.line_search import Trial

pytestmark = pytest.mark.usefixtures("x64")

FUNCTIONS = {
    "quadratic": lambda t: (t - 3.0) ** 2,
    "far": lambda t: -t / (t**2 + 2.0),  # More and Thuente's first
    "steep": lambda t: jnp.exp(5 * t) - 20 * t,
    "logarithm": lambda t: -jnp.log(1 - t) - 5 * t,  # not a number from 1 on
    "wavy": lambda t: 0.02 * (t - 4.0) ** 2 + 0.3 * jnp.cos(2.0 * t) - 0.2 * t,
}


def line_of(f):
    return lambda t: Trial(f(t), jax.grad(f)(t), None)


@pytest.mark.quick("0.9-1.0-*", "0.1-0.001-far", "0.1-1000.0-wavy")
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("first", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("flatness", [0.9, 0.1])
def test_strong_wolfe_conditions(name, first, flatness):
    line = line_of(FUNCTIONS[name])
    start = line(jnp.asarray(0.0))
    found = jax.jit(lambda t: strong_wolfe(line, start, t, flatness=flatness))(jnp.asarray(first))
    assert found.good and found.t > 0
    assert found.trial.value <= start.value + 1e-4 * found.t * start.slope
    assert abs(found.trial.slope) <= flatness * abs(start.slope)
    np.testing.assert_allclose(found.trial.value, FUNCTIONS[name](found.t), rtol=1e-12)


def test_the_conditions_see_a_planted_search_without_slopes():
    line = line_of(FUNCTIONS["quadratic"])
    start = line(jnp.asarray(0.0))
    found = armijo(line, start, jnp.asarray(1e-3))
    assert not abs(found.trial.slope) <= 0.1 * abs(start.slope)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("first", [1e-3, 1.0, 1e3])
def test_armijo_takes_the_largest_halving_that_decreases(name, first):
    f = FUNCTIONS[name]
    line = line_of(f)
    start = line(jnp.asarray(0.0))
    found = armijo(line, start, jnp.asarray(first))
    halvings = first / 2.0 ** np.arange(30)
    fits = [bool(f(t) <= start.value + 1e-4 * t * start.slope) for t in halvings]
    assert found.good and float(found.t) == halvings[np.argmax(fits)]
    assert int(found.trials) == np.argmax(fits) + 1


@pytest.mark.parametrize("search", [armijo, strong_wolfe])
def test_nothing_to_find_stays_at_the_start(search):

    def line(t):
        return Trial(1.0 + t, jnp.asarray(-1.0), None)

    start = line(jnp.asarray(0.0))
    found = search(line, start, jnp.asarray(1.0), max_trials=9)
    assert not found.good and found.t == 0 and found.trial.value == 1.0 and found.trials == 9


def test_armijo_goes_on_where_values_drown_in_rounding():
    """``1e8 + (t - 1)^2 * 1e-9`` is constant to rounding: the slope decides."""

    def line(t):
        return Trial(jnp.asarray(1e8), 2e-9 * (t - 1), None)

    found = armijo(line, line(jnp.asarray(0.0)), jnp.asarray(1.0))
    assert found.good and found.t == 1.0
    found = armijo(line, line(jnp.asarray(0.0)), jnp.asarray(8.0), decrease=0.25)
    assert found.t == 1.0
