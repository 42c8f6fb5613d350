"""Losses: reference values, derivatives against automatic ones, and scores of any size."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.problems.risk.loss_from import loss_from
from numdl.problems.risk.losses import LEAST_SQUARES, LOGISTIC, LOSSES, POISSON, PSEUDO_HUBER, SOFTMAX, get_loss
from numdl.testing import check_curvature, check_gradient

pytestmark = pytest.mark.usefixtures("x64")
REFERENCE = Path(__file__).parents[1] / "reference"
FILES = {"softmax_loss": SOFTMAX, "logregression_loss": LOGISTIC, "regression_loss": LEAST_SQUARES}
FILES |= {"softmax_objective": SOFTMAX, "logistic_objective": LOGISTIC}


def target(name, k, seed=0):
    if name == "poisson":
        return jnp.arange(k) + float(seed)
    if name in ("least_squares", "pseudo_huber"):
        return jax.random.normal(jax.random.key(seed), (k,))
    if name == "softmax":
        return jnp.eye(k)[seed % k]
    return jnp.array([float(seed % 2)])


def sizes(name):
    return {"softmax": [2, 3, 10], "logistic": [1]}.get(name, [1, 2, 5])


CASES = [(name, k, seed) for name in LOSSES for k in sizes(name) for seed in (0, 1)]


@pytest.mark.parametrize("name", FILES)
def test_reference(name):
    loss = FILES[name]
    with np.load(REFERENCE / f"{name}.npz") as file:
        ref = {key: jnp.asarray(file[key]) for key in file.files}

    def scores(W, u):
        return jnp.hstack([u, jnp.ones((len(u), 1))]) @ W.T

    def close(found, expected):
        assert np.linalg.norm(np.asarray(found - expected)) <= 1e-10 * np.linalg.norm(expected)

    n, s = len(ref["u"]), scores(ref["W"], ref["u"])
    residual = jax.vmap(loss.residual)(s, ref["c"]) / n
    hessian = jax.vmap(loss.hessian)(s, ref["c"]) / n
    close(jnp.mean(jax.vmap(loss.value)(s, ref["c"])), ref["value"])
    gW, gu = jax.vjp(scores, ref["W"], ref["u"])[1](residual)
    close(gW, ref["gW"])
    close(gu, ref["gu"])
    for which, p in (("W", ref["W"]), ("u", ref["u"])):
        one = (lambda W: scores(W, ref["u"])) if which == "W" else (lambda u: scores(ref["W"], u))
        ds = jax.jvp(one, (p,), (ref["v" + which],))[1]
        close(
            jax.vjp(one, p)[1](jnp.einsum("nij,nj->ni", hessian, ds))[0],
            ref["hv" + which] - ref.get("shift", 0.0) * ref["v" + which],
        )
    if "wrong" in ref:  # samples whose likelier class is not theirs
        likely = jax.vmap(loss.predict)(s)
        hit = likely.argmax(1) == ref["c"].argmax(1) if name == "softmax_loss" else (likely > 0.5) == (ref["c"] > 0.5)
        assert np.sum(~np.asarray(hit)) == ref["wrong"]
    if "gs" in ref:
        close(residual, ref["gs"])
        close(jnp.einsum("nij,nj->ni", hessian, ref["vs"]), ref["hvs"])


@functools.cache
def derivatives(name):
    """What a loss says and what automatic differentiation finds; targets are arguments, so that one program does."""
    loss = get_loss(name)
    said = (loss.residual, loss.hessian, loss.factor)
    return jax.jit(lambda s, c: [f(s, c) for f in (*said, jax.grad(loss.value), jax.hessian(loss.value))])


@pytest.mark.quick("*-2-1", "logistic-1-0", "least_squares-1-0")
@pytest.mark.parametrize(("name", "k", "seed"), CASES)
def test_derivatives_are_those_of_the_value(name, k, seed):
    c, s = target(name, k, seed), jax.random.normal(jax.random.key(7), (k,))
    residual, hessian, factor, gradient, second = derivatives(name)(s, c)
    np.testing.assert_allclose(residual, gradient, atol=1e-14)
    np.testing.assert_allclose(hessian, second, atol=1e-14)
    assert factor.shape[1] == k
    np.testing.assert_allclose(factor.T @ factor, hessian, atol=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_taylor_and_curvature(name):
    loss, k = get_loss(name), sizes(name)[-1]
    c, s = target(name, k), jax.random.normal(jax.random.key(8), (k,))
    check_gradient(lambda s: (loss.value(s, c), loss.residual(s, c)), s, jax.random.key(9))
    check_curvature(lambda v: loss.hessian(s, c) @ v, s, jax.random.key(10))


@pytest.mark.parametrize("name", LOSSES)
def test_taylor_sees_a_wrong_residual(name):
    """Mutant: probabilities or scores without the target subtracted."""
    loss, k = get_loss(name), sizes(name)[-1]
    c, s = target(name, k, 1), jax.random.normal(jax.random.key(8), (k,))
    with pytest.raises(AssertionError, match="gradient is wrong"):
        check_gradient(lambda s: (loss.value(s, c), loss.residual(s, 0 * c)), s, jax.random.key(9))


@functools.cache
def everything(name):
    """All functions of a loss and their derivatives, for many scores and one target."""
    loss = get_loss(name)
    functions = (loss.value, loss.residual, loss.hessian, loss.factor)

    def at(s, c):
        plain = [f(s, c) for f in functions] + [loss.predict(s)]
        return plain, [jax.jacfwd(f)(s, c) for f in functions], [jax.jacrev(f)(s, c) for f in functions]

    return jax.jit(jax.vmap(at, (0, None)))


@pytest.mark.quick("*-2-1", "logistic-1-0", "least_squares-1-0")
@pytest.mark.parametrize(("name", "k", "seed"), CASES)
def test_large_scores_stay_finite(name, k, seed):
    signs = np.where(np.arange(k) % 2 == 0, 1.0, -1.0)
    s = np.multiply.outer(np.array([0.0, 40.0, -40.0, 800.0, -800.0, 1e4, -1e4]), signs)
    leaves = jax.tree.leaves(everything(name)(s, target(name, k, seed)))
    assert len(leaves) == 13
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)


def test_known_values_far_out():
    """log(1 + exp(-30)) and scores where p - c would cancel; the true values are known to all digits."""
    tiny = np.exp(-30.0)
    s, one = jnp.array([30.0]), jnp.ones(1)
    np.testing.assert_allclose(LOGISTIC.value(s, one), np.log1p(tiny), rtol=1e-14)
    np.testing.assert_allclose(LOGISTIC.residual(s, one), [-tiny / (1 + tiny)], rtol=1e-14)
    np.testing.assert_allclose(LOGISTIC.value(1e4 * one, 0 * one), 1e4, rtol=1e-15)
    np.testing.assert_allclose(SOFTMAX.value(jnp.array([1e4, -1e4]), jnp.array([0.0, 1.0])), 2e4, rtol=1e-15)
    np.testing.assert_allclose(SOFTMAX.value(jnp.array([1e4, 1e4]), jnp.array([0.0, 1.0])), np.log(2), rtol=1e-12)


def test_logistic_is_softmax_of_two_classes():
    for s in (-3.0, 0.2, 5.0):
        for c in (0.0, 1.0):
            pair = jnp.array([0.0, s]), jnp.array([1 - c, c])
            one = jnp.array([s]), jnp.array([c])
            np.testing.assert_allclose(LOGISTIC.value(*one), SOFTMAX.value(*pair), rtol=1e-12)
            np.testing.assert_allclose(LOGISTIC.residual(*one), SOFTMAX.residual(*pair)[1:], rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(LOGISTIC.predict(one[0]), SOFTMAX.predict(pair[0])[1:], rtol=1e-14)


def test_poisson_is_half_the_deviance_of_scikit_learn():
    from sklearn.metrics import mean_poisson_deviance

    rng = np.random.default_rng(0)
    s, c = rng.normal(size=(50, 1)), rng.poisson(2.0, size=(50, 1)).astype(float)
    ours = jnp.mean(jax.vmap(POISSON.value)(jnp.asarray(s), jnp.asarray(c)))
    np.testing.assert_allclose(2 * ours, mean_poisson_deviance(c, np.exp(s)), rtol=1e-12)


def test_pseudo_huber_is_quadratic_near_and_linear_far():
    near, far = jnp.array([1e-4]), jnp.array([1e6])
    np.testing.assert_allclose(PSEUDO_HUBER.value(near, 0 * near), 0.5e-8, rtol=1e-8)
    np.testing.assert_allclose(PSEUDO_HUBER.value(far, 0 * far), 1e6, rtol=2e-6)


def test_a_loss_from_its_value_alone_is_the_loss():
    made = loss_from("made", SOFTMAX.value, SOFTMAX.predict, classes=True)
    s, c = jax.random.normal(jax.random.key(1), (4,)), jnp.eye(4)[2]
    parts = jax.jit(lambda loss: (loss.residual(s, c), loss.hessian(s, c), loss.factor(s, c)), static_argnums=0)
    (residual, hessian, factor), (own, bend, _) = parts(made), parts(SOFTMAX)
    np.testing.assert_allclose(residual, own, atol=1e-15)
    np.testing.assert_allclose(hessian, bend, atol=1e-15)
    factor = np.asarray(factor)  # one eigenvalue is zero to rounding, and may be negative
    np.testing.assert_allclose(factor.T @ factor, bend, atol=1e-15)
    np.testing.assert_array_equal(loss_from("itself", LEAST_SQUARES.value).predict(s), s)


def test_refusals():
    with pytest.raises(ValueError, match="least_squares, softmax, logistic"):
        get_loss("hinge")
    with pytest.raises(ValueError, match="needs k >= 2"):
        SOFTMAX.value(jnp.ones(1), jnp.ones(1))
    with pytest.raises(ValueError, match="needs 1"):
        LOGISTIC.value(jnp.ones(2), jnp.ones(2))
