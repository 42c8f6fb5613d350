"""Separable models outside networks: what they are fitted to, how uncertain that is, and losses of any kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.optimize import LevenbergMarquardtQR, NewtonCG, minimize
from numdl.problems import (
    LEAST_SQUARES,
    POISSON,
    PSEUDO_HUBER,
    NonlinearLeastSquares,
    confidence,
    loss_from,
    separable,
)
from numdl.testing import check_gradient

pytestmark = pytest.mark.usefixtures("x64")
FIT = LevenbergMarquardtQR(tol=1e-12)


def decays(theta, x):
    return jnp.exp(-theta * x)


def curve(p, x):
    return p[:2] @ jnp.exp(-p[2:] * x)[:, None]


def data(noise=1e-2):
    rng = np.random.default_rng(2)
    x = np.linspace(0, 4, 40)
    return x, 2 * np.exp(-0.5 * x) + np.exp(-3 * x) + noise * rng.normal(size=40)


def fitted(problem, start=(0.3, 5.0)):
    start = jnp.asarray(start)
    return minimize(problem, FIT, start, problem.first_head(start), max_iter=100)[0]


def test_eliminated_and_joint_fit_agree_with_their_uncertainty():
    x, c = data()
    w = np.linspace(1.0, 3.0, 40)
    reduced = separable(decays, np.ones(2), x, c, w=5 * w)  # a common factor of the weights means nothing
    found = fitted(reduced)
    joint = NonlinearLeastSquares(curve, reduced.x, reduced.c, reduced.w)
    whole, _ = minimize(joint, FIT, jnp.asarray([1.5, 1.5, 0.4, 4.0]), max_iter=100)
    assert found.status.converged
    np.testing.assert_allclose(np.r_[found.aux[0], found.p], whole.p, rtol=1e-9)
    short, long = confidence(reduced, found.p, found.aux), confidence(joint, whole.p)
    order = [2, 3, 0, 1]  # the reduced problem lists theta first
    np.testing.assert_allclose(short.estimate, long.estimate[order], rtol=1e-9)
    np.testing.assert_allclose(short.covariance, long.covariance[np.ix_(order, order)], rtol=1e-6)
    np.testing.assert_allclose(short.upper - short.lower, 2 * 2.028094 * short.deviation, rtol=1e-6)  # t(36), 97.5 %
    # mutant: theta's part as if the head were known
    fixed = np.linalg.inv(np.linalg.inv(short.covariance)[:2, :2])
    assert fixed[0, 0] < 0.5 * short.covariance[0, 0]


def test_intervals_cover_the_truth_as_often_as_they_say():
    truth, hits = np.array([0.5, 3.0, 2.0, 1.0]), 0
    x = np.linspace(0, 4, 40)
    for seed in range(60):
        c = 2 * np.exp(-0.5 * x) + np.exp(-3 * x) + 1e-2 * np.random.default_rng(seed).normal(size=40)
        problem = separable(decays, np.ones(2), x, c)
        found = fitted(problem, truth[:2])
        sure = confidence(problem, found.p, found.aux, level=0.9)
        hits += int(np.sum((sure.lower <= truth) & (truth <= sure.upper)))
    # 216 of 240 expected, four parameters of one fit at most fully dependent: standard deviation below 9.3
    assert 216 - 28 <= hits <= 240 and abs(sure.noise - 1e-2) < 4e-3


def test_equal_exponents_are_fitted_without_a_fuss():
    x, c = data(noise=0.0)
    found = fitted(separable(decays, np.ones(2), x, c), (0.5, 0.5))  # rank 1: the features are the same
    assert np.all(np.isfinite(found.aux)) and np.all(np.isfinite(found.p))
    problem = separable(decays, np.ones(2), x, 2 * np.exp(-0.5 * x) + np.sin(40 * x) / 100)
    unsure = confidence(problem, jnp.asarray([0.5, 0.5]), jnp.asarray([[1.0, 1.0]]))
    assert np.all(np.isinf(unsure.deviation)) and unsure.freedom == 38


@pytest.mark.quick("pseudo_huber")
@pytest.mark.parametrize("loss", [PSEUDO_HUBER, POISSON], ids=lambda loss: loss.name)
def test_other_losses_agree_with_joint_minimisation(loss):
    x, c = data()
    c = np.random.default_rng(0).poisson(5 * c**2).astype(float) if loss is POISSON else c
    problem = separable(decays, np.ones(2), x, c, loss=loss, alpha_head=1e-4)
    start = jnp.asarray([0.3, 5.0])
    found, _ = minimize(problem, NewtonCG(tol=0.0), start, problem.first_head(start), max_iter=60)

    def joint(z):
        theta, head = z
        u = jax.vmap(decays, (None, 0))(theta, problem.x)
        return jnp.mean(jax.vmap(loss.value)(u @ head.T, problem.c)) + 5e-5 * jnp.sum(head**2)

    slopes = jax.jit(jax.grad(joint))((found.p, found.aux))
    assert all(np.linalg.norm(slope) < 1e-6 for slope in slopes)
    hessian = jax.jit(jax.hessian(lambda v: joint((v[:2], v[2:][None]))))
    assert np.all(np.linalg.eigvalsh(hessian(np.r_[found.p, found.aux[0]])) > 0)


def squared_hinge(s, c):
    return jnp.sum(jnp.maximum(1 - c * s, 0.0) ** 2) / 2


def hinge(s, c):
    return jnp.sum(jnp.maximum(1 - c * s, 0.0))


def test_flat_parts_are_no_trouble_and_kinks_are_reported():
    x = np.linspace(0, 4, 40)
    c = np.where(np.random.default_rng(0).normal(size=40) + 2 - x > 0, 1.0, -1.0)
    theta = jnp.asarray([0.5, 2.0])

    def posed(loss):
        return separable(decays, theta, x, c, loss=loss, alpha_head=1e-2, intercept=True)

    flat = posed(loss_from("squared_hinge", squared_hinge))

    def reduced(theta):
        lin = flat.linearize(theta, flat.first_head(theta))
        return lin.value, lin.gradient

    check_gradient(jax.jit(reduced), theta, jax.random.key(0))
    assert flat.linearize(theta, flat.first_head(theta)).metrics["head_gradient"] < 1e-9
    kinked = posed(loss_from("hinge", hinge))
    assert kinked.linearize(theta, kinked.first_head(theta)).metrics["head_gradient"] > 1e-3


def test_refusals():
    x, c = data()
    with pytest.raises(ValueError, match=r"have 40, 39 and 40 rows"):
        separable(decays, np.ones(2), x, c[1:])
    with pytest.raises(ValueError, match=r"w\[3\] = 0, needs positive"):
        separable(decays, np.ones(2), x, c, w=np.r_[np.ones(3), 0.0, np.ones(36)])
    with pytest.raises(ValueError, match=r"alpha_head = 0 with poisson"):
        separable(decays, np.ones(2), x, c, loss=POISSON)
    head = jnp.ones((1, 2))
    with pytest.raises(ValueError, match="penalties are positive"):
        confidence(separable(decays, np.ones(2), x, c, alpha=1.0), jnp.ones(2), head)
    with pytest.raises(ValueError, match="level=95"):
        confidence(separable(decays, np.ones(2), x, c), jnp.ones(2), head, level=95.0)
    with pytest.raises(ValueError, match="4 residuals of positive weight for 4 parameters"):
        confidence(separable(decays, np.ones(2), x[:4], c[:4], loss=LEAST_SQUARES), jnp.ones(2), head)
