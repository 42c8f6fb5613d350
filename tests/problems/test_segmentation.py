"""Segmentation: pixels as samples equal a plain loop over them, slopes obey Taylor, bad labels are refused by name."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from numdl.flow import on_images
from numdl.models import Chain, Connector, ResNet, image_resnet
from numdl.optimize import LBFGS, NewtonCG, StochasticGradient, minimize, minimize_stochastic
from numdl.problems import (
    LEAST_SQUARES,
    LOGISTIC,
    PSEUDO_HUBER,
    SOFTMAX,
    ExactHessian,
    InexactVarPro,
    SlimTrain,
    VarPro,
    confidence,
    full_problem,
    normal_equations,
    segmentation,
    segmented,
)
from numdl.regularize import GroupPenalty
from numdl.testing import check_gradient

pytestmark = pytest.mark.usefixtures("x64")

SIDES, N = (4, 3), 5


def network(**settings):
    return image_resnet((*SIDES, 1), (2,), merge=1, norm="none", cells=SIDES, activation="tanh", **settings)


def data(k=3):
    rng = np.random.default_rng(0)
    return rng.standard_normal((N, *SIDES)), rng.integers(0, k, (N, *SIDES)), rng.uniform(0.5, 1.5, N)


def problem_of(loss=SOFTMAX, **settings):
    net, (x, labels, w) = network(), data(2 if loss is LOGISTIC else 3)
    theta = net.init(0, float)
    return segmentation(net, theta, x, labels, loss=loss, w=w, alpha=0.01, alpha_head=1e-2, **settings), theta


def by_loop(problem, theta, W, labels):
    """The objective, pixel by pixel."""
    total = 0.0
    for i, one in enumerate(problem.x):
        u = np.asarray(problem.features(theta, one)).reshape(*SIDES, -1)
        for a, b in np.ndindex(*SIDES):
            s = W[:, :-1] @ u[a, b] + W[:, -1]
            if len(W) == 1:
                misfit = np.log1p(np.exp(-s[0])) if labels[i, a, b] else np.log1p(np.exp(s[0]))
            else:
                misfit = np.log(np.sum(np.exp(s))) - s[labels[i, a, b]]
            total += problem.w[i] * misfit
    weights = sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(theta))
    return total / (N * 12) + 0.01 / 2 * weights + 1e-2 / 2 * np.sum(W[:, :-1] ** 2)


@pytest.mark.parametrize("loss", [SOFTMAX, LOGISTIC], ids=lambda loss: loss.name)
def test_the_objective_is_that_of_a_loop_over_pixels(loss):
    problem, theta = problem_of(loss)
    labels = data(2 if loss is LOGISTIC else 3)[1]
    value, W = problem.value(theta, problem.first_head(theta))
    np.testing.assert_allclose(value, by_loop(problem, theta, np.asarray(W), labels), rtol=1e-12)
    full = full_problem(problem, theta)
    p = {"theta": theta, "W": W}
    np.testing.assert_allclose(full.value(p, None)[0], value, rtol=1e-12)
    rest = jax.grad(lambda W: full.value({"theta": theta, "W": W}, None)[0])(W)
    assert np.abs(rest).max() < 1e-9  # the head is the best one
    turned = dataclasses.replace(problem, c=problem.c.reshape(N, 4, 3, -1).swapaxes(1, 2).reshape(N, -1))
    assert abs(turned.value(theta, W)[0] - value) > 1e-4  # the mutant: labels of other pixels


@pytest.mark.parametrize("loss", [SOFTMAX, LOGISTIC], ids=lambda loss: loss.name)
def test_it_is_the_problem_of_its_pixels_as_rows(loss):
    """Features that are known: the same images as a table of pixels, by the code that knows no pixels."""
    problem, theta = problem_of(loss)
    u = problem.embed(theta)
    assert u.shape == (N * 12, 2)
    k = 1 if loss is LOGISTIC else 3
    none = GroupPenalty(jnp.zeros(1), jnp.zeros(1, int))
    table = VarPro(
        lambda theta, x: x + 0 * theta, loss, u, problem.c.reshape(-1, k), jnp.repeat(problem.w, 12), none,
        problem.alpha_head,
    )  # fmt: skip
    head = table.solve(u, table.first_head(jnp.zeros(1))).W
    np.testing.assert_allclose(problem.solve(u, problem.first_head(theta)).W, head, atol=1e-10)


@pytest.mark.parametrize("loss", [SOFTMAX, LOGISTIC], ids=lambda loss: loss.name)
@pytest.mark.parametrize("chunk", [None, 2])
def test_slopes_obey_taylor(loss, chunk):
    problem, theta = problem_of(loss, chunk=chunk)
    check_gradient(problem, theta, show=False)
    full = full_problem(problem, theta)
    p = {"theta": theta, "W": 0.3 * jnp.ones(problem.first_head(theta).shape).at[0, 0].set(-1.0)}
    check_gradient(full, p, show=False)


def test_curvatures_are_those_of_dense_matrices():
    problem, theta = problem_of()
    flat, unravel = ravel_pytree(theta)
    lin = problem.linearize(theta, problem.first_head(theta))
    columns = [ravel_pytree(lin.curvature(unravel(jnp.asarray(e))))[0] for e in np.eye(flat.size)]
    # Gauss-Newton of the full problem, scores of pixels by JAX, with the head eliminated.
    W = lin.aux

    def scores(p):
        u = problem.features.batch(unravel(p[: flat.size]), problem.x).reshape(-1, 2)
        head = p[flat.size :].reshape(W.shape)
        return u @ head[:, :-1].T + head[:, -1]

    p = jnp.concatenate([flat, W.ravel()])
    J, s = jax.jacfwd(scores)(p), scores(p)
    H = jax.vmap(lambda s: jnp.diag(jax.nn.softmax(s)) - jnp.outer(jax.nn.softmax(s), jax.nn.softmax(s)))(s)
    share = jnp.repeat(problem.w, 12) / (N * 12)
    G = jnp.einsum("rkp,r,rkl,rlq->pq", J, share, H, J)
    head = np.tile([1.0, 1.0, 0.0], 3) * 1e-2
    G = G + np.diag(np.r_[np.full(flat.size, 0.01), head])
    A, B, D = G[: flat.size, : flat.size], G[: flat.size, flat.size :], G[flat.size :, flat.size :]
    shift = np.tile([0.0, 0.0, 1.0], 3)  # softmax does not see a common shift of the intercepts
    expected = A - B @ np.linalg.solve(D + np.outer(shift, shift), B.T)
    np.testing.assert_allclose(np.stack(columns, 1), expected, atol=1e-9)


def test_the_exact_hessian_of_the_full_problem_is_the_derivative_of_its_gradient():
    problem, theta = problem_of()
    full = full_problem(problem, theta)
    rng = np.random.default_rng(1)
    p = {"theta": theta, "W": problem.first_head(theta)}
    v = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)), p)
    p = jax.tree.map(lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape), p)
    product = ExactHessian(full).linearize(p, None).curvature(v)
    expected = jax.jvp(jax.grad(lambda p: full.value(p, None)[0]), (p,), (v,))[1]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), product, expected)
    # What Gauss-Newton leaves out is that of the bend along a direction.
    curved = full.linearize(p, None).curvature(v)
    left_out = sum(jnp.vdot(a - b, c) for a, b, c in zip(*map(jax.tree.leaves, (product, curved, v)), strict=True))
    assert abs(left_out) > 1e-3


def test_the_bend_along_a_direction_is_that_of_the_mean_over_pixels():
    problem, theta = problem_of()
    full = full_problem(problem, theta)
    p = {"theta": theta, "W": 0.3 * jnp.ones(problem.first_head(theta).shape)}
    d = jax.tree.map(lambda leaf: jnp.asarray(np.random.default_rng(2).standard_normal(leaf.shape)), p)
    second = jax.jvp(lambda q: jax.jvp(full.scores, (q,), (d,))[1], (p,), (d,))[1]
    s, pull = jax.vjp(full.scores, p)
    share = np.repeat(problem.w, 12)[:, None] / (N * 12)
    prob = jax.nn.softmax(s)
    expected = pull(share * (prob * second - prob * jnp.sum(prob * second, 1, keepdims=True)))[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), full.bend(p, d), expected)


def weighted(loss=SOFTMAX, **settings):
    """Weights of pixels, and two pixels of the first image and all of the third without a class."""
    net, (x, labels, _) = network(), data(2 if loss is LOGISTIC else 3)
    labels[0, 1, 1:], labels[2] = 255, 255
    w = np.random.default_rng(5).uniform(0.2, 2.0, labels.shape)
    theta = net.init(0, float)
    made = segmentation(net, theta, x, labels, loss=loss, w=w, ignore=255, alpha=0.01, alpha_head=1e-2, **settings)
    return made, theta, labels, w


@pytest.mark.parametrize("loss", [SOFTMAX, LOGISTIC], ids=lambda loss: loss.name)
def test_pixels_have_weights_and_some_no_class(loss):
    problem, theta, labels, w = weighted(loss)
    value, W = problem.value(theta, problem.first_head(theta))
    seen, total = labels != 255, 0.0
    for i, a, b in np.argwhere(seen):
        u = np.asarray(problem.features(theta, problem.x[i])).reshape(*SIDES, -1)[a, b]
        s = W[:, :-1] @ u + W[:, -1]
        sign = 1 if labels[i, a, b] else -1
        one = np.logaddexp(0, -sign * s[0]) if loss is LOGISTIC else jax.nn.logsumexp(s) - s[labels[i, a, b]]
        total += w[i, a, b] * one
    weights = sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(theta))
    expected = total / w[seen].sum() + 0.01 / 2 * weights + 1e-2 / 2 * np.sum(W[:, :-1] ** 2)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    full, p = full_problem(problem, theta), {"theta": theta, "W": W}
    np.testing.assert_allclose(full.value(p, None)[0], value, rtol=1e-12)
    assert np.abs(jax.grad(lambda W: full.value({"theta": theta, "W": W}, None)[0])(W)).max() < 1e-9
    check_gradient(full, jax.tree.map(lambda leaf: leaf + 0.1, p), show=False)
    blocks, _, _, _ = weighted(loss, chunk=2)
    lin, other = (one.linearize(theta, problem.first_head(theta)) for one in (problem, blocks))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), lin.gradient, other.gradient)
    # What hidden labels are does not matter; what weights are does.
    codes = jnp.where(jnp.repeat(jnp.asarray(seen.reshape(N, -1)), len(W), 1), problem.c, 1.0)
    assert dataclasses.replace(problem, c=codes).value(theta, W)[0] == pytest.approx(float(value), rel=1e-12)
    assert abs(dataclasses.replace(problem, w=jnp.ones(N)).value(theta, W)[0] - value) > 1e-4


def test_equal_weights_of_pixels_are_those_of_images():
    problem, theta = problem_of()
    net, (x, labels, w) = network(), data()
    every = np.broadcast_to(w[:, None, None], labels.shape)
    other = segmentation(net, theta, x, labels, w=every, alpha=0.01, alpha_head=1e-2)
    assert other.w.shape == (N, 12)
    start = problem.first_head(theta)
    for one in (lambda q: q.linearize(theta, start), lambda q: q.rows(jnp.array([3, 1])).linearize(theta, start)):
        found, expected = one(other), one(problem)
        np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), found.gradient, expected.gradient)
    d = jax.tree.map(jnp.ones_like, {"theta": theta, "W": start})
    bends = [full_problem(q, theta).bend(d, d) for q in (other, problem)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), *bends)


def test_batches_of_images_of_which_one_has_no_class_at_all():
    problem, theta, _, _ = weighted()
    full, p = full_problem(problem, theta), {"theta": theta, "W": problem.first_head(theta)}
    alone = full.rows(jnp.array([2]))
    assert alone.value(p, None)[0] == pytest.approx(float(full.penalty.value(p)), rel=1e-12)  # no NaN
    method = StochasticGradient(optax.adam(1.0))
    found, _ = minimize_stochastic(full, method, p, batch=1, epochs=20, rate=0.03, validation=full)
    assert found.history["rejected"].sum() == 0
    assert found.history["validation"][-1] < found.history["validation"][0]


def test_weights_of_pixels_that_are_none_are_refused():
    net, (x, labels, w) = network(), data()
    theta = net.init(0, float)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"w": -np.ones(labels.shape)}, r"w.: has entries below 0"),
        ({"w": np.ones((N, 3, 4))}, r"w of shape \(5, 3, 4\)"),
        ({"w": np.zeros(labels.shape)}, "no pixel has a class and a weight"),
        ({"ignore": 0.5}, r"ignore=0.5.: needs a whole number"),
        ({"w": np.ones(3), "ignore": 2}, r"w of shape \(3,\)"),
    ]
    for settings, words in wrong:
        with pytest.raises(ValueError, match=words):
            segmentation(net, theta, x, labels, **settings)
    with pytest.raises(ValueError, match="no pixel has a class"):
        segmentation(net, theta, x, np.full(labels.shape, 7), ignore=7, classes=3)
    with pytest.raises(ValueError, match=r"holds 255 .*ignore=255"):
        segmentation(net, theta, x, np.where(labels == 2, 255, labels), classes=3)
    problem = segmentation(net, theta, x, labels, w=w)
    with pytest.raises(ValueError, match=r"w of shape \(5, 7\)"):
        dataclasses.replace(problem, w=jnp.ones((N, 7)))


def squares():
    """Two numbers to be told of each pixel."""
    problem, theta = problem_of()
    c = jnp.asarray(np.random.default_rng(3).standard_normal((N, 24)))
    return dataclasses.replace(problem, loss=LEAST_SQUARES, c=c), theta


def test_half_the_squared_residual_is_the_value():
    problem, theta = squares()
    value, W = problem.value(theta, problem.first_head(theta))
    np.testing.assert_allclose(0.5 * jnp.sum(problem.residual(theta) ** 2), value, rtol=1e-12)
    full, p = full_problem(problem, theta), {"theta": theta, "W": W}
    np.testing.assert_allclose(0.5 * jnp.sum(full.residual(p) ** 2), value, rtol=1e-12)


@pytest.mark.parametrize("n", [1, N])
def test_confidence_is_that_of_pixels_as_rows(n):
    rng = np.random.default_rng(4)
    x = jnp.asarray(rng.uniform(0, 2, (n, 12)))
    w = rng.uniform(0.5, 1.5, n)
    decay = lambda theta, x: jnp.exp(-theta * x)  # noqa: E731
    c = jnp.exp(-1.5 * x) + 0.1 * jnp.asarray(rng.standard_normal((n, 12)))
    none, zero = GroupPenalty(jnp.zeros(1), jnp.zeros(1, int)), jnp.zeros(())
    w = jnp.asarray(w / w.mean())
    images = VarPro(decay, LEAST_SQUARES, x, c, w, none, zero, pixels=12)
    rows = VarPro(decay, LEAST_SQUARES, x.reshape(-1, 1), c.reshape(-1, 1), jnp.repeat(w, 12), none, zero)
    p, head = jnp.array([1.4]), jnp.array([[0.9, 0.05]])
    for found, expected in zip(confidence(images, p, head), confidence(rows, p, head), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_hidden_pixels_are_no_observations():
    """They counted: the freedom was 45 instead of 13, and intervals were half as long."""
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 2, (4, 12))
    decay = lambda theta, x: jnp.exp(-theta * x)  # noqa: E731
    c = np.exp(-1.5 * x) + 0.1 * rng.standard_normal((4, 12))
    w = np.where(np.arange(12) < 4, 3.0, 0.0) * np.ones((4, 1))
    none, zero = GroupPenalty(jnp.zeros(1), jnp.zeros(1, int)), jnp.zeros(())

    def made(x, c, w, pixels):
        return VarPro(decay, LEAST_SQUARES, *(jnp.asarray(a) for a in (x, c, w)), none, zero, pixels=pixels)

    p, head = jnp.array([1.4]), jnp.array([[0.9, 0.05]])
    found = confidence(made(x, c, w, 12), p, head)
    assert found.freedom == 13
    for one, expected in zip(found, confidence(made(x[:, :4], c[:, :4], w[:, :4] / 3, 4), p, head), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-9)
    few = np.where(np.arange(48).reshape(4, 12) < 3, 16.0, 0.0)
    with pytest.raises(ValueError, match="3 residuals of positive weight for 3 parameters"):
        confidence(made(x, c, few, 12), p, head)


def test_pieces_tell_the_weights_of_their_pixels():
    """Weights of 1 were filled in, and pixels without a class trained class 0."""
    problem, theta, _, _ = weighted()
    full, p = full_problem(problem, theta), {"theta": theta, "W": problem.first_head(theta)}
    x, c, w = (np.asarray(a) for a in (full.x, full.c, full.w))

    def trained(piece):
        method = StochasticGradient(optax.adam(1.0))
        return minimize_stochastic(full, method, p, batch=2, epochs=1, rate=0.03, pieces=[piece])[0]

    for piece in ((x, c), (x, c, np.ones(N))):
        with pytest.raises(ValueError, match=r"and weights \(m, 12\)\. Give each pixel its weight, 0 without"):
            trained(piece)
    assert not trained((x, c, w)).history["rejected"].any()


def test_no_image_has_no_classes():
    problem, theta = problem_of()
    with pytest.raises(ValueError, match=r"segmented\(x of shape \(0, 4, 3\)\): there is no pixel"):
        segmented(network(), theta, problem.first_head(theta), np.zeros((0, *SIDES)), SIDES)


def test_the_penalty_holds_diffusivities_at_their_start():
    x, labels, _ = data()
    opening = Connector((*SIDES, 1), 3, norm="none")
    field = on_images("plain", SIDES, diffusion=(0.01, 100.0))
    net = Chain((opening, ResNet(36, 36, 3, dynamics=field, scheme="imex", opening=False)))
    theta = net.init(0, float)

    def slope(alpha):
        problem = segmentation(net, theta, x, labels, alpha=alpha)
        return problem.linearize(theta, problem.first_head(theta)).gradient["block 2"]["flow"]

    one, none = slope(1.0), slope(0.0)
    np.testing.assert_allclose(one["log_diffusion"], none["log_diffusion"], atol=1e-12)
    assert np.abs(one["K"] - none["K"]).max() > 1e-2


def test_methods_take_it_with_blocks_batches_and_inexact_heads():
    problem, theta = problem_of()
    start = problem.first_head(theta)
    lin, blocks = problem.linearize(theta, start), problem_of(chunk=2)[0].linearize(theta, start)
    np.testing.assert_allclose(lin.value, blocks.value, rtol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), lin.gradient, blocks.gradient)
    inexact = InexactVarPro(problem, 0.0)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8),
        inexact.linearize(theta, inexact.first_head(theta)).gradient,
        lin.gradient,
    )
    exact = ExactHessian(problem).linearize(theta, start)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), exact.gradient, lin.gradient)
    result, _ = minimize(problem, NewtonCG(), theta, start, max_iter=5)
    assert result.history["objective"][-1] < lin.value - 0.05
    full = full_problem(problem, theta)
    p = {"theta": theta, "W": start}
    method = StochasticGradient(optax.adam(1.0))
    found, _ = minimize_stochastic(full, method, p, batch=2, epochs=20, rate=0.03, validation=full)
    assert found.history["validation"][-1] < found.history["validation"][0]
    part = full.rows(jnp.array([3, 1]))
    np.testing.assert_allclose(part.targets[:12], full.targets[36:48])
    whole, _ = minimize(full, LBFGS(), p, max_iter=5)
    assert whole.history["objective"][-1] < whole.history["objective"][0]


def test_any_dynamics_scheme_and_march_and_what_is_told():
    x, labels, _ = data()
    flows: dict[str, dict[str, Any]] = {
        "reaction_diffusion": {"scheme": "imex", "march": "checkpointed"},
        "hamiltonian": {"scheme": "verlet", "march": "reversible"},
    }
    for dynamics, settings in flows.items():
        layer = Connector((*SIDES, 1), 2, norm="none", to_halves=dynamics == "hamiltonian")
        flow = ResNet(24, 24, 3, dynamics=on_images(dynamics, SIDES), opening=False, **settings)
        back = Connector(layer.after, from_halves=dynamics == "hamiltonian")
        net = Chain((layer, flow, back))
        theta = net.init(0, float)
        problem = segmentation(net, theta, x, labels, alpha_head=1e-3)
        check_gradient(problem, theta, show=False)
        _, W = problem.value(theta, problem.first_head(theta))
        told = segmented(net, theta, W, x, SIDES)
        assert told.shape == (N, *SIDES, 3)
        np.testing.assert_allclose(told.sum(-1), 1)
        wrong = np.mean(np.asarray(told).argmax(-1) != labels)
        assert wrong == pytest.approx(float(problem.linearize(theta, W).metrics["train_error"]), abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((N, 4, 3), int), "all pixels are of class 0"),
        (np.full((N, 4, 3), np.nan), "labels contains NaN.*Give each pixel a class"),
        (np.zeros((N, 12), int), r"labels of shape \(5, 12\)\): needs \(n, h, w\)"),
        (np.zeros((4, 4, 3), int), "there are 5 images, needs an image of labels for each"),
        (np.where(np.arange(60).reshape(N, 4, 3) == 17, -1, 1), "image 2, row 2, column 3 holds -1 .1 such"),
        (np.where(np.arange(60).reshape(N, 4, 3) == 17, 0.5, 1), "image 2, row 2, column 3 holds 0.5"),
        (np.full((N, 4, 3), "sky"), "needs an array of real numbers"),
        (np.arange(N * 20).reshape(N, 4, 5) % 2, r"x of shape \(5, 4, 3\)\): labels have 4 x 5 pixels"),
        (np.arange(N * 12).reshape(N, 3, 4) % 2, "labels have 3 x 4 pixels.*Transpose one of them"),
        (np.arange(N * 12).reshape(N, 1, 12) % 2, "labels have 1 x 12 pixels"),
        (np.arange(N * 12).reshape(N, 4, 3) * 20_000, r"has 1180001 classes, needs at most 10000.*np\.unique"),
        (np.ma.masked_equal(np.arange(N * 12).reshape(N, 4, 3) % 3, 2), "labels.: is a masked array.*each pixel"),
    ],
)
def test_labels_that_are_none_are_refused(labels, words):
    net = network()
    with pytest.raises(ValueError, match=words):
        segmentation(net, net.init(0, float), data()[0], labels)


def test_what_else_is_refused():
    net, (x, labels, _) = network(), data()
    theta = net.init(0, float)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"classes": 2}, "holds 2 .* needs a whole number from 0 to 1"),
        ({"loss": LOGISTIC}, "has 3 classes, needs 2"),
        ({"loss": PSEUDO_HUBER}, "labels are classes"),
        ({"alpha_head": 0.0}, "needs a finite number > 0"),
    ]
    for settings, words in wrong:
        with pytest.raises(ValueError, match=words):
            segmentation(net, theta, x, labels, **settings)
    for images, words in (
        (np.ma.masked_less(x, 0), "x.: is a masked array"),
        (np.stack([x] * 3, 1), r"x of shape \(5, 3, 4, 3\)"),  # channels first
        (x[..., None, None], "labels have 4 x 3 pixels"),
    ):
        with pytest.raises(ValueError, match=words):
            segmentation(net, theta, images, labels)
        with pytest.raises(ValueError, match=words):
            segmented(net, theta, jnp.ones((3, 3)), images, SIDES)
    with pytest.raises(ValueError, match=r"classes.: has 100000 classes, needs at most 10000"):
        segmentation(net, theta, x, labels, classes=100_000)
    with pytest.raises(ValueError, match="a sample has 24 features, needs as many for each pixel"):
        segmentation(net, theta, x.reshape(N, -1), np.arange(N * 20).reshape(N, 4, 5) % 2)
    problem = segmentation(net, theta, x, labels)
    with pytest.raises(ValueError, match="Use linearize"):
        full_problem(problem, theta).residual({"theta": theta, "W": problem.first_head(theta)})
    with pytest.raises(ValueError, match=r"samples have 12 pixels, needs 1.*products only"):
        normal_equations(problem, theta, None)
    with pytest.raises(ValueError, match="samples have 12 pixels"):
        full = full_problem(problem, theta)
        full.normal({"theta": theta, "W": problem.first_head(theta)}, None)
    with pytest.raises(ValueError, match="samples have 12 pixels"):
        squares = dataclasses.replace(problem, loss=LEAST_SQUARES)
        SlimTrain(optax.sgd(1.0)).init(squares, theta, problem.first_head(theta))
    with pytest.raises(ValueError, match="needs as many for each pixel"):
        dataclasses.replace(problem, pixels=7)
    with pytest.raises(ValueError, match=r"images have .24,. features, needs 4 x 3 x 4"):
        segmented(net, theta, jnp.ones((3, 5)), x, SIDES)
