"""Methods of the maximum principle: layers against definitions, where the basic method fails, what the errors bound."""

import dataclasses

import control_problems as cp
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.control import SuccessiveApproximations, adjoint_states, riccati_step
from numdl.control.methods import successive_approximations
from numdl.optimize import (
    BFGS,
    LBFGS,
    LevenbergMarquardt,
    Newton,
    NewtonCG,
    ProjectedGaussNewton,
    ProjectedGradient,
    minimize,
)
from numdl.regularize import Box
from numdl.testing import check_contract, check_gradient

pytestmark = pytest.mark.usefixtures("x64")


def one(tree, j):
    return jax.tree.map(lambda a: a[j], tree)


def test_layers_are_the_cost_taken_apart():
    problem, coeffs = cp.network()
    layers, lin = eqx.filter_jit(problem.layers)(coeffs), problem.linearize(coeffs, None)
    lam = jax.jit(lambda p: adjoint_states(problem, p, problem.states(p)))(coeffs)
    np.testing.assert_allclose(layers.value, lin.value, rtol=1e-14)
    np.testing.assert_allclose(layers.metrics["misfit"], lin.metrics["misfit"], rtol=1e-14)
    np.testing.assert_allclose(layers.held.lam, lam[:-1], rtol=1e-12)
    np.testing.assert_allclose(layers.held.lam_after, lam[1:], rtol=1e-12)
    gradient, rho = ravel_pytree(layers.gradient)[0], jnp.asarray(3.0)
    np.testing.assert_allclose(gradient, ravel_pytree(lin.gradient)[0], rtol=0, atol=1e-12)

    @jax.jit
    def slopes(held):
        of = lambda held, theta: layers.layer(problem, held, rho, True).linearize(theta, None).gradient  # noqa: E731
        return ravel_pytree(jax.vmap(of)(held, coeffs))[0]

    np.testing.assert_allclose(slopes(layers.held), gradient, rtol=0, atol=1e-12)
    # The planted mutant: adjoints before the layer in place of those after it.
    early = layers.held._replace(lam_after=layers.held.lam)
    assert jnp.linalg.norm(slopes(early) - gradient) > 1e-2 * jnp.linalg.norm(gradient)


def test_terms_are_those_of_the_formula():
    problem, coeffs = cp.network()
    layers, j = eqx.filter_jit(problem.layers)(coeffs), 2
    held = one(layers.held, j)
    theta = jax.tree.map(lambda a: a[j] + 0.1, coeffs)

    def rates(t, uz, theta):
        return jnp.append(problem.f(t, uz[:-1], theta), jnp.sum(problem.running(t, uz[:-1], theta) ** 2) / 2)

    def total(u, theta, ahead):
        step = problem.scheme.step(rates, held.stage.t, held.stage.h, jnp.append(u, 0.0), lambda c: theta)
        return ahead @ step[:-1] + step[-1], step[:-1]

    @jax.jit
    def one_sample(u, after, lam, ahead):
        (now, step), slope = total(u, theta, ahead), jax.grad(lambda u: total(u, theta, ahead)[0])(u)
        energy = now - total(u, held.stage.cell, ahead)[0]
        return energy, jnp.sum((step - after) ** 2) + jnp.sum((slope - lam) ** 2)

    samples = zip(held.u, held.after, held.lam, held.lam_after, strict=True)
    energy, missed = sum(jnp.stack(one_sample(*sample)) for sample in samples) / 3
    penalty = problem.penalty.value({k: v.at[j].add(0.1) for k, v in coeffs.items()}) - problem.penalty.value(coeffs)
    layer = layers.layer(problem, held, jnp.asarray(2.0), True)
    terms = eqx.filter_jit(layer.terms)
    (now, e), (then, zero) = terms(theta), terms(one(coeffs, j))
    np.testing.assert_allclose(now - then, energy + penalty, rtol=1e-12)
    np.testing.assert_allclose([e, zero], [missed / held.stage.h, 0.0], rtol=1e-12, atol=1e-28)
    np.testing.assert_allclose(eqx.filter_jit(layer.value)(theta, None)[0], now + e, rtol=1e-14)
    check_gradient(jax.jit(lambda p: (layer.value(p, None)[0], layer.linearize(p, None).gradient)), theta)
    hessian = jax.jit(jax.hessian(lambda p: layer.value({"K": p[:4].reshape(2, 2), "b": p[4:]}, None)[0]))(
        ravel_pytree(theta)[0]
    )
    direction = jnp.arange(1.0, 7.0)
    bend = jax.jit(lambda p, v: layer.linearize(p, None).curvature(v))
    found = ravel_pytree(bend(theta, {"K": direction[:4].reshape(2, 2), "b": direction[4:]}))[0]
    np.testing.assert_allclose(found, hessian @ direction, rtol=1e-10)


@pytest.mark.quick("True")
@pytest.mark.parametrize("augmented", [True, False])
def test_contract(augmented):
    problem, coeffs = cp.network(n=2, scheme="euler")
    last = check_contract(SuccessiveApproximations(inner_steps=2, augmented=augmented), problem, coeffs)
    assert set(last.metrics) >= {"objective", "gradient_norm", "accepted", "work", "aux"}


def test_basic_steps_fail_where_augmented_ones_find_the_control():
    """A regulator of an unstable oscillator: each layer by itself pushes as if the others did not."""
    problem, coeffs = cp.regulator(nt=12, n=2, scheme="heun")
    exact = coeffs + eqx.filter_jit(riccati_step)(problem, coeffs)
    basic = minimize(problem, SuccessiveApproximations(augmented=False, inner_steps=4), coeffs, max_iter=12)[0]
    assert basic.history["objective"][-1] > 10 * basic.history["objective"][0]
    method = SuccessiveApproximations(inner_steps=4, tol=1e-12)
    result = minimize(problem, method, coeffs, max_iter=100)[0]
    assert result.status.converged
    assert np.all(np.diff(result.history["objective"]) <= 1e-15)
    assert jnp.max(jnp.abs(result.p - exact)) < 1e-10


def test_where_the_cost_is_blind_slopes_hold_the_step_back(monkeypatch):
    """All changes of the cost are rounding from the start; Newton solves each layer exactly."""
    problem, coeffs = cp.regulator(nt=12, n=2)
    exact = coeffs + eqx.filter_jit(riccati_step)(problem, coeffs)
    near = exact + 1e-8 * jnp.cos(jnp.arange(12.0))[:, None]

    def error(tol):
        method = SuccessiveApproximations(Newton(), inner_steps=1, tol=tol)
        return float(jnp.max(jnp.abs(minimize(problem, method, near, max_iter=60)[0].p - exact)))

    assert error(1e-13) < 1e-11
    # The planted mutant: values decide, as if they could tell.
    monkeypatch.setattr(successive_approximations, "rounding_of", jnp.zeros_like)
    assert error(1e-14) > 1e-9


def test_basic_steps_converge_where_the_horizon_is_short():
    problem, coeffs = cp.regulator(nt=2, n=1, scheme="euler")
    problem = dataclasses.replace(problem, h=jnp.asarray(0.05))
    exact = coeffs + eqx.filter_jit(riccati_step)(problem, coeffs)
    result = minimize(problem, SuccessiveApproximations(augmented=False), coeffs, max_iter=40)[0]
    assert jnp.max(jnp.abs(result.p - exact)) < 1e-6


def test_the_cost_changes_by_no_more_than_energy_and_missed_equations_allow():
    """Lemma 2 of Li et al.: dJ - sum dH is of second order, as the sum of e_j is."""
    problem, coeffs = cp.network()
    layers = problem.layers(coeffs)
    terms = jax.jit(jax.vmap(lambda held, p: layers.layer(problem, held, jnp.asarray(1.0), True).terms(p)))
    before = jnp.sum(terms(layers.held, coeffs)[0])
    rng, ratios = np.random.default_rng(0), []
    for size in (1.0, 1e-1, 1e-2, 1e-3):
        moved = jax.tree.map(lambda a, size=size: a + size * rng.normal(size=a.shape), coeffs)
        energy, missed = terms(layers.held, moved)
        rest = problem.value(moved, None)[0] - layers.value - (jnp.sum(energy) - before)
        ratios.append(abs(float(rest / jnp.sum(missed))))
    assert max(ratios) < 10


def test_weights_keep_to_bounds():
    problem, coeffs = cp.regulator(nt=8, n=1)
    box = Box(-0.3, 0.2)
    method = SuccessiveApproximations(ProjectedGradient(box), inner_steps=5)
    found = minimize(problem, method, coeffs, max_iter=80)[0].p
    low, high = (jnp.full_like(coeffs, bound) for bound in (-0.3, 0.2))
    exact = minimize(problem, ProjectedGaussNewton(low, high, tol=1e-12), coeffs, max_iter=60)[0].p
    assert jnp.any(exact == 0.2) or jnp.any(exact == -0.3)
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_the_passes_are_those_of_the_layers():
    problem, coeffs = cp.network(n=2, scheme="euler", uneven=False)
    method = SuccessiveApproximations(LBFGS(), inner_steps=3, augmented=False)
    found = jax.jit(method.step)(problem, method.init(problem, coeffs, None)).metrics["work"]
    layers, spent = eqx.filter_jit(problem.layers)(coeffs), []
    for j in range(5):
        layer = layers.layer(problem, one(layers.held, j), jnp.asarray(0.0), False)
        spent.append(minimize(layer, LBFGS(tol=0.0), one(coeffs, j), max_iter=3)[0].history["work"][-1])
    assert found == pytest.approx(2 + 1 + 2 + sum(spent) / 5)


def test_coupled_layers_are_refused():
    problem, coeffs = cp.network(linear=True)
    with pytest.raises(ValueError, match="act on several layers"):
        SuccessiveApproximations().step(problem, SuccessiveApproximations().init(problem, coeffs, None))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inner_steps": 0}, "inner_steps=0.*whole number >= 1"),
        ({"max_trials": 0}, "max_trials=0"),
        ({"first_rho": 0.0}, "first_rho=0.0.*augmented=False"),
        ({"first_rho": np.nan}, "first_rho=nan"),
        ({"tol": -1.0}, "tol=-1.0"),
        ({"inner": "lbfgs"}, r"\(inner\) needs an Optimizer: 'lbfgs' has no init.*LBFGS\(\)"),
    ],
)
def test_settings_that_make_no_step_are_refused(settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        SuccessiveApproximations(**settings)


def test_problems_without_layers_are_refused():
    with pytest.raises(TypeError, match=r"needs a LayeredProblem: 'object' has no .*layers\(p\).*use LBFGS"):
        SuccessiveApproximations().init(object(), jnp.ones(1), None)


@pytest.mark.parametrize(
    ("inner", "reason"),
    [(NewtonCG(), "traced array"), (LevenbergMarquardt(), r"has no normal\(p, aux\)"), (BFGS(), "traced array")],
)
def test_inner_methods_that_cannot_lower_layers_are_refused(inner, reason):
    method = SuccessiveApproximations(inner)
    with pytest.raises(ValueError, match=f"inner={type(inner).__name__}.*Use LBFGS.*{reason}"):
        method.init(*cp.network(n=2, scheme="euler"), None)
