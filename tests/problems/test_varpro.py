"""Variable projection: value, slope and curvature belong together and to the full problem."""

import dataclasses
import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import separable_problems as sp
from jax.flatten_util import ravel_pytree

from numdl.contracts import Normal, Problem
from numdl.optimize import StochasticGradient, minimize_stochastic
from numdl.problems import VarPro
from numdl.regularize import GroupPenalty
from numdl.testing import check_curvature, check_gradient

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(3)
P = sp.M * (sp.D + 1)
kinds = pytest.mark.parametrize("kind", sp.KINDS)
cases = pytest.mark.parametrize(
    ("kind", "chunk"), [*((kind, None) for kind in sp.KINDS), ("squares", 7), ("softmax", 7)]
)


def close(found, expected, rtol=1e-9):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) <= rtol * np.linalg.norm(expected)


def test_it_is_a_problem():
    assert isinstance(sp.separable("squares"), Problem)


@pytest.mark.quick("squares-None", "wide squares-None", "huber-None", "softmax-7")
@cases
def test_the_gradient_is_the_derivative_of_the_reduced_value(kind, chunk):
    problem = sp.separable(kind, chunk=chunk)
    check_gradient(lambda p: sp.judge(problem, p).linearized[:2], sp.weights(), KEY)
    found = sp.judge(problem, sp.weights())
    for value in (found.linearized[0], found.normal.value):
        close(value, found.value, 1e-14)
    for head in (found.linearized[2], found.normal.aux):
        close(head, found.head, 1e-12)


@kinds
def test_taylor_sees_a_missing_head_penalty(kind):
    problem = sp.separable(kind)

    def mutant(p):
        value, gradient, head = sp.judge(problem, p).linearized
        return value - problem.head_penalty(head), gradient

    with pytest.raises(AssertionError, match="orders are"):
        check_gradient(mutant, sp.weights(), KEY)


@pytest.mark.quick("wide squares", "softmax", "poisson")
@kinds
def test_the_head_is_optimal_in_the_full_problem(kind):
    problem, theta = sp.separable(kind), sp.weights()
    found = sp.judge(problem, theta)
    value, head = found.value, found.head
    close(value, sp.full_value(problem, theta, head), 1e-13)
    slope_theta, slope_head = jax.grad(sp.full_value, (1, 2))(problem, theta, head)
    assert jnp.linalg.norm(slope_head) < 1e-9
    close(found.normal.gradient, ravel_pytree(slope_theta)[0])
    for seed in range(3):
        move = 1e-3 * np.random.default_rng(seed).normal(size=head.shape)
        assert sp.full_value(problem, theta, head + move) > value


@pytest.mark.quick("wide squares-None", "softmax-None", "squares-7")
@cases
def test_the_curvature_is_the_schur_complement_of_the_full_problem(kind, chunk):
    problem, theta = sp.separable(kind, chunk=chunk), sp.weights()
    found = sp.judge(problem, theta)
    full = sp.held(sp.full_matrix(problem, theta, found.head), problem, P)
    expected = sp.schur(full, P)
    close(found.curvature, expected)
    close(found.normal.matrix + jnp.diag(found.normal.diagonal), expected)
    close(found.normal.gradient, ravel_pytree(found.linearized[1])[0])
    check_curvature(lambda v: found.curvature @ v, jnp.zeros(P), KEY)
    # mutant: the head is held fixed instead of eliminated
    assert np.linalg.norm(full[:P, :P] - expected) > 1e-2 * np.linalg.norm(expected)


@pytest.mark.parametrize("kind", ["squares", "softmax"])
def test_weights_are_repetitions(kind):
    problem, theta = sp.separable(kind, weighted=False), sp.weights()
    # the first five rows twice in place of the last five, against weights 2, 1 and 0
    repeated = problem.rows(jnp.asarray(np.r_[np.arange(sp.N - 5), np.arange(5)]))
    counted = dataclasses.replace(problem, w=jnp.asarray(np.r_[np.full(5, 2.0), np.ones(sp.N - 10), np.zeros(5)]))
    for a, b in zip(sp.judge(counted, theta), sp.judge(repeated, theta), strict=True):
        a, b = ((tree._replace(metrics={}) if isinstance(tree, Normal) else tree) for tree in (a, b))
        close(ravel_pytree(a)[0], ravel_pytree(b)[0], 1e-7)


def test_rows_keep_a_mean_weight_of_one():
    part = sp.separable("softmax").rows(jnp.arange(3, 9))
    assert part.x.shape == (6, sp.D) and part.c.shape == (6, 3)
    close(jnp.mean(part.w), 1.0, 1e-14)


@pytest.mark.quick("wide squares-None")
@pytest.mark.parametrize(("kind", "chunk"), [("squares", 7), ("wide squares", None)])
def test_the_residual_carries_the_full_golub_pereyra_derivative(kind, chunk):
    problem, theta = sp.separable(kind, chunk=chunk, derivative="golub-pereyra"), sp.weights()
    vector, unravel = ravel_pytree(theta)
    residual = jax.jit(lambda z: problem.residual(unravel(z)))
    jacobian = jax.jit(jax.jacfwd(residual))(vector)
    (value, gradient, _), curvature = (found := sp.judge(problem, theta)).linearized, found.curvature
    close(0.5 * jnp.sum(residual(vector) ** 2), value, 1e-13)
    close(jacobian.T @ residual(vector), ravel_pytree(gradient)[0])
    close(jacobian.T @ jacobian, curvature)
    # fourth-order central differences of the residual with the head solved anew at every point
    h = 1e-3

    def at(t):
        return np.stack([residual(vector + t * e) for e in jnp.eye(P)], axis=1)

    differences = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    close(jacobian, differences, 1e-7)
    # mutant: Kaufman's derivative leaves a part of the residual's derivative out
    kaufman = found.normal.matrix + jnp.diag(found.normal.diagonal)
    assert np.linalg.norm(kaufman - curvature) > 1e-5 * np.linalg.norm(curvature)


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("kind", ["squares", "softmax"])
def test_the_head_moves_as_the_implicit_function_theorem_says(kind):
    problem, theta, v = sp.separable(kind), sp.weights(), sp.weights(4)
    start = problem.first_head(theta)

    @jax.jit
    def head(theta):
        return problem.solve(problem.embed(theta), start).W

    @jax.jit
    def derivative(theta):
        solved = jax.lax.stop_gradient(problem.solve(problem.embed(theta), start))
        return jax.jvp(lambda t: problem.moving_head(t, solved), (theta,), (v,))

    value, slope = derivative(theta)
    close(value, head(theta), 1e-8)
    h = 1e-3

    def moved(t):
        return head(jax.tree.map(lambda a, b: a + t * b, theta, v))

    differences = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
    close(slope, differences, 1e-6)


def test_golub_pereyra_of_other_losses_is_the_derivative_of_scores_and_head():
    problem, theta = sp.separable("softmax", derivative="golub-pereyra"), sp.weights()
    vector, unravel = ravel_pytree(theta)

    @jax.jit
    def dense(vector):
        solved = problem.solve(problem.embed(theta), problem.first_head(theta))

        def both(z):
            head = problem.moving_head(unravel(z), solved)
            return problem.scores(problem.embed(unravel(z)), head), head[:, : sp.M]

        (ds, dw), s = jax.jacfwd(both)(vector), both(vector)[0]
        bend = problem.w[:, None, None] / sp.N * jax.vmap(jax.hessian(problem.loss.value))(s, problem.c)
        data = jnp.einsum("nap,nab,nbq->pq", ds, bend, ds)
        return data + problem.alpha_head * jnp.einsum("abp,abq->pq", dw, dw) + jnp.diag(problem.penalty.diagonal)

    close(sp.judge(problem, theta).curvature, dense(vector), 1e-8)


def test_gauss_newton_is_that_of_the_reduced_misfit():
    """J by differences of the scores with the head solved anew, the Hessian of softmax by its formula."""
    problem, theta = sp.separable("softmax", derivative="gauss-newton"), sp.weights()
    vector, unravel = ravel_pytree(theta)

    @jax.jit
    def scores(z):
        u = problem.embed(unravel(z))
        return problem.scores(u, problem.solve(u, problem.first_head(theta)).W)

    def at(t):
        return np.stack([scores(vector + t * e) for e in jnp.eye(P)], axis=2)

    h = 1e-3
    J = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    p = np.exp(s := np.asarray(scores(vector))) / np.exp(s).sum(axis=1, keepdims=True)
    H = np.asarray(problem.w)[:, None, None] / sp.N * (p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None])
    dense = np.einsum("nap,nab,nbq->pq", J, H, J) + np.diag(problem.penalty.diagonal)
    curvature = sp.judge(problem, theta).curvature
    close(curvature, dense, 1e-7)
    check_curvature(jax.jit(problem.linearize(theta, problem.first_head(theta)).curvature), theta, KEY)
    assert np.linalg.eigvalsh(curvature)[0] >= np.min(problem.penalty.diagonal) - 1e-12
    # mutants: the other two, which bend with the penalty on the head or leave a part of dW out
    for other in ("golub-pereyra", "kaufman"):
        wrong = sp.judge(dataclasses.replace(problem, derivative=other), theta).curvature
        assert np.linalg.norm(wrong - dense) > 1e-4 * np.linalg.norm(dense)


def test_an_unknown_derivative_is_refused():
    with pytest.raises(ValueError, match=r"VarPro\(derivative='gnvpro'\): unknown. Use one of kaufman, golub-pereyra"):
        VarPro.__check_init__(SimpleNamespace(derivative="gnvpro"))


def test_other_losses_have_no_residual():
    with pytest.raises(ValueError, match=r"VarPro.residual: the loss is 'softmax', needs least_squares. Use linearize"):
        sp.separable("softmax").residual(sp.weights())


def test_rank_deficient_features_need_no_head_penalty():
    problem, theta = sp.separable("squares", alpha_head=0.0), sp.weights()
    theta["K"], theta["b"] = theta["K"].at[2].set(theta["K"][1]), theta["b"].at[2].set(theta["b"][1])
    found = sp.judge(problem, theta)
    assert all(np.all(np.isfinite(a)) for a in jax.tree.leaves(found))
    # equal units share the weight: the shortest head
    close(found.head[:, 1], found.head[:, 2], 1e-7)


def test_new_alphas_compile_nothing():
    traces = 0

    @functools.partial(jax.jit)
    def value(problem, theta, head):
        nonlocal traces
        traces += 1
        return problem.value(theta, head)[0]

    problem, theta = sp.separable("squares"), sp.weights()
    values = {
        float(value(problem.with_alpha(jnp.full(2, alpha), jnp.asarray(alpha)), theta, problem.first_head(theta)))
        for alpha in (1e-3, 1e-2, 1e-1)
    }
    assert traces == 1 and len(values) == 3


def test_a_reference_moves_the_centre_of_the_penalty():
    problem, theta = sp.separable("squares"), sp.weights()
    moved = GroupPenalty(problem.penalty.alpha, problem.penalty.labels, ravel_pytree(theta)[0])
    head = problem.first_head(theta)
    difference = problem.value(theta, head)[0] - dataclasses.replace(problem, penalty=moved).value(theta, head)[0]
    close(difference, problem.penalty.value(theta), 1e-10)


def test_the_residual_carries_its_second_derivative():
    problem, theta = sp.separable("squares"), sp.weights()
    vector, unravel = ravel_pytree(theta)
    v = jnp.asarray(np.random.default_rng(5).normal(size=P))

    def second(residual):
        def first(z):
            return jax.jvp(residual, (z,), (v,))[1]

        return jax.jit(first), jax.jit(lambda z: jax.jvp(first, (z,), (v,))[1])

    first, found = second(lambda z: problem.residual(unravel(z)))
    h = 1e-3
    differences = 8 * (first(vector + h * v) - first(vector - h * v))
    differences = (differences - (first(vector + 2 * h * v) - first(vector - 2 * h * v))) / (12 * h)
    close(found(vector), differences, 1e-7)

    def one_step(z):  # mutant: the head moves by one Newton step, which is exact to first order only
        solved = jax.lax.stop_gradient(problem.solve(problem.embed(unravel(z)), problem.first_head(theta)))
        head = problem.moving_head(unravel(z), solved)
        rest = problem.scores(problem.embed(unravel(z)), head) - problem.c
        return (jnp.sqrt(problem.w / sp.N)[:, None] * rest).reshape(-1)

    assert np.linalg.norm(second(one_step)[1](vector) - found(vector)[: sp.N * 2]) > 1e-3 * np.linalg.norm(differences)


@pytest.mark.parametrize("kind", ["softmax", "logistic"])
def test_the_value_of_an_iterated_head_has_exact_derivatives(kind):
    # Of a loop there is no reverse derivative: minimize_stochastic ended in an error of JAX.
    problem, theta = sp.separable(kind), sp.weights()
    vector, unravel = ravel_pytree(theta)

    def value(z):
        return problem.value(unravel(z), problem.first_head(theta))[0]

    slope = jax.jit(jax.grad(value))
    close(slope(vector), ravel_pytree(sp.judge(problem, theta).linearized[1])[0], 1e-8)
    v, h = jnp.asarray(np.random.default_rng(5).normal(size=P)), 1e-3
    differences = 8 * (slope(vector + h * v) - slope(vector - h * v))
    differences = (differences - (slope(vector + 2 * h * v) - slope(vector - 2 * h * v))) / (12 * h)
    bend = jax.jit(lambda z: jax.jvp(slope, (z,), (v,))[1])
    close(bend(vector), differences, 1e-6)

    def fixed(z):  # mutant: a head that does not move has the same slope and another Hessian
        head = jax.lax.stop_gradient(problem.value(unravel(z), problem.first_head(theta))[1])
        return sp.full_value(problem, unravel(z), head)

    held = jax.jit(lambda z: jax.jvp(jax.grad(fixed), (z,), (v,))[1])(vector)
    assert np.linalg.norm(held - differences) > 1e-3 * np.linalg.norm(differences)


def test_the_value_is_that_of_the_head_that_was_solved_for():
    problem, theta = sp.separable("softmax"), sp.weights()
    value, head = problem.value(theta, problem.first_head(theta))
    np.testing.assert_array_equal(head, problem.solve(problem.embed(theta), problem.first_head(theta)).W)
    close(value, sp.full_value(problem, theta, head), 1e-13)


def test_steps_on_batches_of_a_softmax_lower_it():
    problem, theta = sp.separable("softmax"), sp.weights()
    method, head = StochasticGradient(optax.adam(1.0)), problem.first_head(theta)
    result, _ = minimize_stochastic(problem, method, theta, head, batch=10, epochs=30, rate=0.03)
    assert result.history["objective"][-1] < 0.9 * result.history["objective"][0]
