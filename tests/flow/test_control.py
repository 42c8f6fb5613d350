"""Controls: the contract, the function of time behind the coefficients, and its refinement."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.contracts import Control
from numdl.flow import PiecewiseConstant, PiecewiseLinear

pytestmark = pytest.mark.usefixtures("x64")
CONTROLS = [PiecewiseConstant, PiecewiseLinear]


def coeffs_of(control):
    key_k, key_b = jax.random.split(jax.random.key(0))
    return {
        "K": jax.random.normal(key_k, (control.n_coeffs, 2, 2)),
        "b": {"inner": jax.random.normal(key_b, (control.n_coeffs, 2))},
    }


def weights(control, coeffs, t):
    """Weights at time t in [0, 1], from the contract alone."""
    i = min(int(t * control.nt), control.nt - 1)
    cell = jax.tree.map(lambda leaf: leaf[i], control.cells(coeffs))
    return control.at(cell, t * control.nt - i)


@pytest.mark.parametrize("kind", CONTROLS)
def test_contract(kind):
    control = kind(3)
    assert isinstance(control, Control)
    assert hash(control) == hash(kind(3))
    assert control == kind(3) != kind(4)
    assert jax.tree.leaves(control) == [control], "static: no arrays inside"
    with pytest.raises(AttributeError):
        control.nt = 4


@pytest.mark.quick("0-*Constant", "1-*", "3-*Linear")
@pytest.mark.parametrize("kind", CONTROLS)
@pytest.mark.parametrize("nt", [0, 1, 3])
def test_sizes(kind, nt):
    control = kind(nt)
    coeffs = coeffs_of(control)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(control.cells(coeffs))} == {nt}
    fine = control.refine(coeffs)
    assert jax.tree.structure(fine) == jax.tree.structure(coeffs)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(fine)} == {control.refined().n_coeffs}


@pytest.mark.parametrize("kind", CONTROLS)
@pytest.mark.parametrize("nt", [1, 3])
def test_refinement_is_the_same_function_of_time(kind, nt):
    control = kind(nt)
    coeffs = coeffs_of(control)
    fine = control.refine(coeffs)
    for t in np.linspace(0.01, 0.99, 23):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14),
            weights(control, coeffs, t),
            weights(control.refined(), fine, t),
        )


def test_linear_interpolates_its_nodes():
    control = PiecewiseLinear(4)
    nodes = jnp.linspace(0.0, 1.0, 5)[:, None] * jnp.array([2.0, -1.0])
    for t in (0.0, 0.1, 0.5, 0.7, 1.0):
        np.testing.assert_allclose(weights(control, nodes, t), t * np.array([2.0, -1.0]), atol=1e-15)


@pytest.mark.parametrize("kind", CONTROLS)
@pytest.mark.parametrize("call", ["cells", "refine"])
def test_wrong_number_of_coefficients_is_named(kind, call):
    control = kind(3)
    with pytest.raises(ValueError, match=rf"{kind.__name__}\(nt=3\).*\['b'\].*\(7, 2\).*{control.n_coeffs}"):
        getattr(control, call)({"a": jnp.zeros((control.n_coeffs, 2)), "b": jnp.zeros((7, 2))})
    with pytest.raises(ValueError, match=r"nt=-1.*needs a whole number >= 0"):
        kind(-1)
