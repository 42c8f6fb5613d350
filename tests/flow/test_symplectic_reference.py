"""Leapfrog and Hamiltonian networks against values of an independent code, see tests/reference/README.md."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_flow_reference import compare, compare_objective, load, pick

from numdl.flow import PiecewiseConstant, Separable, get_dynamics, get_march, get_scheme

pytestmark = pytest.mark.usefixtures("x64")
EULER = get_scheme("symplectic_euler")


def march(f, ref, theta, x, name="stored"):
    nt = len(jax.tree.leaves(theta)[0])
    rest = jnp.zeros_like(x)
    go = get_march(name)
    return jax.vmap(lambda u: go(EULER, f, PiecewiseConstant(nt), theta, u, 0.0, ref["h"]))(
        jnp.concatenate([x, rest], axis=1)
    )


def check(fun, ref, names, way):
    if way == "reversible":  # by the gradient of this march; one of them is enough
        compare_objective(fun, names, ref)
    theta, dtheta = pick(ref, "", *names), pick(ref, "d", *names)
    found = compare(fun, theta, dtheta, ref)
    for name in names:
        np.testing.assert_allclose(found[name], ref["g" + name], rtol=1e-10, atol=1e-13)


@pytest.mark.quick("reversible")
@pytest.mark.parametrize("way", ["stored", "reversible"])
def test_leapfrog(way):
    ref, inner = load("leapfrog"), get_dynamics("hyperbolic").vector_field(jnp.tanh)
    f = Separable(inner.first, lambda t, y, theta: inner.second(t, y, theta) + theta["shift"])

    check(lambda theta, x: march(f, ref, theta, x, way)[:, :4], ref, ("K", "b", "shift"), way)


@pytest.mark.quick("reversible")
@pytest.mark.parametrize("way", ["stored", "reversible"])
def test_hamiltonian(way):
    ref, f = load("hamiltonian"), get_dynamics("hamiltonian").vector_field(jnp.tanh)

    check(lambda theta, x: march(f, ref, theta, x, way)[:, :4], ref, ("K", "b"), way)


@pytest.mark.quick("reversible")
@pytest.mark.parametrize("way", ["stored", "reversible"])
def test_double_hamiltonian(way):
    """There the first half moves first: it is our second."""
    ref = load("double_hamiltonian")
    f = Separable(
        lambda t, z, theta: -jnp.tanh(theta["K2"] @ z + theta["b2"]),
        lambda t, y, theta: jnp.tanh(theta["K1"] @ y + theta["b1"]),
    )

    def fun(theta, x):
        swapped = jnp.concatenate([x[:, 2:], x[:, :2]], axis=1)
        go, nt = get_march(way), len(theta["K1"])
        u = jax.vmap(lambda u: go(EULER, f, PiecewiseConstant(nt), theta, u, 0.0, ref["h"]))(swapped)
        return jnp.concatenate([u[:, 2:], u[:, :2]], axis=1)

    check(fun, ref, ("K1", "b1", "K2", "b2"), way)
