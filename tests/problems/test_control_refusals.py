"""A control problem refuses what does not fit it: parts, functions, states, changes and bounds of other shapes."""

import dataclasses
from types import SimpleNamespace

import control_problems as cp
import jax.numpy as jnp
import numpy as np
import pytest

from numdl import control
from numdl.control.fits import full_bounds, require_parts, require_states
from numdl.flow import PiecewiseConstant, get_scheme

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scheme": get_scheme("adams_bashforth")}, "several steps"),
        ({"scheme": "heun"}, r"needs a Scheme: 'heun' has no order, step.*get_scheme\('heun'\)"),
        ({"u0": jnp.ones(2)}, r"u0 of shape \(2,\).*u0\[None, :\] for one sample"),
        ({"u0": jnp.ones((3, 2), complex)}, "complex.*needs real"),
        ({"c": jnp.ones(2)}, r"c of shape \(2,\).*shape \(3, k\)"),
        ({"c": jnp.ones((2, 2))}, r"c of shape \(2, 2\).*the 3 samples of u0"),
        ({"h": jnp.ones((2, 2))}, "h of shape"),
        ({"h": jnp.asarray(0.0)}, "h=0.0.*finite step sizes > 0"),
        ({"h": jnp.asarray([0.1, -0.1])}, "finite step sizes > 0"),
        ({"h": jnp.asarray(np.nan)}, "h=nan"),
        ({"u0": jnp.ones((3, 2)).at[1, 0].set(jnp.nan)}, r"Input u0 contains NaN at column 0, row 2.*mend it"),
        ({"c": jnp.ones((3, 2)).at[2, 1].set(jnp.inf)}, r"Input c contains infinity at column 1, row 3"),
        ({"control": 4}, r"needs a Control: 4 has no cells\(coeffs\).*PiecewiseConstant\(nt\)"),
        ({"scheme": get_scheme("rk4")._replace(nodes=None)}, "of order 4 without nodes.*running cost of order 2"),
        ({"loss": "least_squares"}, r"needs a Loss: 'least_squares' has no .*residual.*get_loss\('least_squares'\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(given, message):
    problem = cp.network()[0]
    parts = {name: getattr(problem, name) for name in ("scheme", "control", "loss", "u0", "c", "h", "running")}
    with pytest.raises((ValueError, TypeError), match=message):
        require_parts(SimpleNamespace(**{**parts, **given}))


def short(t, u, theta):
    """One number, which would be added to each entry of the state."""
    return u[0]


def by_numpy(t, u, theta):
    """What cannot be traced."""
    return np.tanh(u)


def matrix(t, u, theta):
    """No vector."""
    return jnp.outer(u, u)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"f": short}, ValueError, r"ControlProblem\(f\): returns \(\).*shape \(2,\)"),
        ({"f": by_numpy}, TypeError, r"(?s)ControlProblem\(f\): cannot be evaluated.*Use jax.numpy"),
        ({"running": short}, ValueError, r"ControlProblem\(running\): returns \(\).*\(q,\)"),
        ({"running": matrix}, ValueError, r"returns \(2, 2\)"),
        ({"c": jnp.ones((3, 1))}, ValueError, r"ControlProblem\(output\): returns \(2,\).*shape \(1,\)"),
        ({"c": jnp.ones((3, 1)), "output": None}, ValueError, r"sees the last state \(2,\)"),
        ({"h": jnp.ones(4)}, ValueError, r"h has shape \(4,\), but the control has 5 steps"),
        ({"u0": jnp.ones((3, 2), jnp.float32)}, ValueError, r"coefficients\['K'\] are float64, u0 is float32"),
    ],
)
def test_functions_of_other_shapes_are_refused(given, error, message):
    problem, coeffs = cp.network()
    with pytest.raises(error, match=message):
        dataclasses.replace(problem, **given).stages(coeffs)


def test_states_of_other_times_or_samples_are_refused():
    problem, coeffs = cp.network()
    states = problem.states(coeffs)
    for wrong in (states[:-1], states.transpose(1, 0, 2), states[:, :1]):
        with pytest.raises(
            ValueError, match=r"adjoint_states\(states of shape .*needs \(nt \+ 1, n, m\) = \(6, 3, 2\)"
        ):
            control.adjoint_states(problem, coeffs, wrong)
        with pytest.raises(ValueError, match=r"optimality\(states of shape"):
            control.optimality(problem, coeffs, wrong, wrong)
        with pytest.raises(ValueError, match=r"optimality\(adjoints of shape .*Use adjoint_states\("):
            require_states("optimality", "adjoints", problem, 5, wrong)
        with pytest.raises(ValueError, match=r"linear_quadratic\(states"):
            problem.local(coeffs, wrong)


def test_no_layers_and_a_negative_damping_are_refused():
    problem = dataclasses.replace(cp.regulator()[0], control=PiecewiseConstant(0))
    with pytest.raises(ValueError, match=r"layers_of\(nt=0\): there are no layers"):
        problem.layers(jnp.zeros((0, 1)))
    with pytest.raises(ValueError, match=r"linear_quadratic\(nt=0\)"):
        control.riccati_step(problem, jnp.zeros((0, 1)))
    with pytest.raises(ValueError, match=r"riccati_step\(damping=-1"):
        control.riccati_step(*cp.regulator(), -1.0)


def test_changes_and_bounds_of_other_shapes_are_refused():
    problem, coeffs = cp.network()
    for wrong in ({"K": coeffs["K"]}, {**coeffs, "b": coeffs["b"][1:]}, coeffs["K"]):
        with pytest.raises(
            ValueError, match=r"sensitivity\(change of shapes .*needs the structure and shapes.*'b': \(5, 2"
        ):
            control.sensitivity(problem, coeffs, wrong)
        for name in ("lower", "upper"):
            with pytest.raises(ValueError, match=f"optimality.{name} of shapes"):
                full_bounds("optimality", coeffs, **{"lower": None, "upper": None, name: wrong})
    high = {**coeffs, "b": coeffs["b"].at[1, 0].add(-1.0)}
    states = problem.states(coeffs)
    with pytest.raises(ValueError, match=r"optimality: coefficient\['b'\] \(1, 0\) has the bounds .*lower <= upper"):
        control.optimality(problem, coeffs, states, states, lower=coeffs, upper=high)
    with pytest.raises(ValueError, match=r"bounds 1 and -1"):
        full_bounds("optimality", coeffs, 1.0, -1.0)
