"""Slopes by layer agree with derivatives from another definition."""

import analysis_problems as sp
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis import gradient_by_layer, gradient_by_state

pytestmark = pytest.mark.usefixtures("x64")
NT, N, M = 4, 5, 3


def step(theta, u):
    return u + 0.5 * jnp.tanh(theta["K"] @ u + theta["b"])


def misfit(u, c):
    return jnp.mean((u - c) ** 2)


def layers():
    rng = np.random.default_rng(0)
    return {"K": jnp.asarray(rng.normal(size=(NT, M, M))), "b": jnp.asarray(rng.normal(size=(NT, M)))}


def test_slopes_in_states_are_those_of_the_rest_of_the_network():
    rng = np.random.default_rng(1)
    u, c = jnp.asarray(rng.normal(size=(N, M))), jnp.asarray(rng.normal(size=(N, M)))
    found = gradient_by_state(step, layers(), u, misfit, c)
    for j in range(NT + 1):

        def rest(v, first=j):
            for i in range(first, NT):
                v = jax.vmap(step, (None, 0))(jax.tree.map(lambda leaf, i=i: leaf[i], layers()), v)
            return misfit(v, c)

        assert found[j] == pytest.approx(float(jnp.linalg.norm(jax.grad(rest)(u))), rel=1e-12)
        u = jax.vmap(step, (None, 0))(jax.tree.map(lambda leaf, j=j: leaf[j], layers()), u) if j < NT else u
    assert found.shape == (NT + 1,) and len(set(np.round(found, 12))) == NT + 1  # a shift by one layer is seen


def test_weights_are_told_apart_by_layer():
    def value(p):
        return jnp.sum(jnp.arange(1.0, NT + 1)[:, None, None] * p["flow"]["K"]) + 2 * jnp.sum(p["opening"]["b"])

    norms = gradient_by_layer(value, {"flow": {"K": jnp.ones((NT, M, M))}, "opening": {"b": jnp.ones(M)}})
    np.testing.assert_allclose(norms["flow K"], M * np.arange(1, NT + 1))
    np.testing.assert_allclose(norms["opening b"], [2 * M**0.5])
    assert gradient_by_layer(value, {"flow": {"K": jnp.ones((NT, M, M))}, "opening": {"b": jnp.ones(M)}}, layered="")[
        "opening b"
    ].shape == (M,)


@pytest.mark.quick("separable")
@pytest.mark.parametrize("make", [sp.empirical, sp.separable])
def test_problems_give_the_slope_of_their_linearisation(make):
    problem, p = make(), (sp.weights() if make is sp.empirical else sp.flow_weights())
    aux = problem.first_head(p) if make is sp.separable else None
    slope = problem.linearize(p, aux).gradient
    norms = gradient_by_layer(problem, p)
    assert norms["K"][0] == pytest.approx(float(jnp.linalg.norm(slope["K"])), rel=1e-9)
