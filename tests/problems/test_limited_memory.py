"""The sampled Tikhonov step and its criterion, against stacked least squares and influence matrices."""

import jax.numpy as jnp
import numpy as np
import pytest

from numdl.problems.varpro.limited_memory import sampled_gcv, sampled_step, sampled_system

pytestmark = pytest.mark.usefixtures("x64")
B, M, K = 7, 4, 2


def batches(number, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.2, 2.0, (number, B))
    weights[-1, -2:] = 0.0  # a last batch that is not full
    return rng.standard_normal((number, B, M)) + 0.5, rng.standard_normal((number, B, K)), np.sqrt(weights / B)


def rows(u, root, intercept):
    z = np.concatenate([u, np.ones((len(u), 1))], axis=1) if intercept else u
    return root[:, None] * z


def penalised(intercept):
    return np.diag([1.0] * M + [0.0] * intercept)


def ours(W, u, c, root, before, after, intercept, step=sampled_step):
    arrays = map(jnp.asarray, (W, u[-1], c[-1], root[-1], u[:-1], c[:-1], root[:-1]))
    system = sampled_system(*arrays, intercept=intercept)
    return system, np.asarray(step(system, jnp.asarray(before), jnp.asarray(after), intercept=intercept))


def stacked(W, u, c, root, before, after, intercept):
    """The step from the least-squares problem of the paper, all rows written down."""
    D = penalised(intercept)
    blocks = [rows(a, r, intercept) for a, r in zip(u, root, strict=True)]
    rest = blocks[-1] @ W.T - root[-1][:, None] * c[-1]
    matrix = np.concatenate([*blocks, np.sqrt(after) * D])
    right = [np.zeros((len(a), K)) for a in blocks[:-1]] + [rest, (after - before) / np.sqrt(after) * D @ W.T]
    return W - np.linalg.lstsq(matrix, np.concatenate(right), rcond=None)[0].T


@pytest.mark.quick("0.0-0.3-0-True", "0.5-0.2-1-False", "0.1-10.0-3-True", "0.1-10.0-3-False")
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("past", [0, 1, 3])
@pytest.mark.parametrize(("before", "after"), [(0.0, 0.3), (0.5, 0.2), (0.1, 10.0)])
def test_the_step_is_the_stacked_least_squares_solution(intercept, past, before, after):
    u, c, root = batches(past + 1)
    W = np.random.default_rng(1).standard_normal((K, M + intercept))
    _, W_new = ours(W, u, c, root, before, after, intercept)
    np.testing.assert_allclose(W_new, stacked(W, u, c, root, before, after, intercept), rtol=1e-10, atol=1e-11)


def test_a_planted_step_that_forgets_the_old_head_is_seen():
    u, c, root = batches(3)
    W = np.random.default_rng(1).standard_normal((K, M + 1))

    def mutant(system, before, after, *, intercept):
        return sampled_step(system, after, after, intercept=intercept)  # Lambda W is missing

    W_new = ours(W, u, c, root, 0.5, 0.2, True, step=mutant)[1]
    assert np.abs(W_new - stacked(W, u, c, root, 0.5, 0.2, True)).max() > 1e-3


@pytest.mark.parametrize("intercept", [True, False])
def test_with_all_batches_in_memory_it_is_tikhonov_for_any_sequence_of_parameters(intercept):
    u, c, root = batches(5)
    W, sums = np.zeros((K, M + intercept)), [1e-3, 2.0, 0.4, 0.5, 0.05]
    for k, after in enumerate(sums):
        before = sums[k - 1] if k else 7.0  # what stood there before a zero head does not matter
        W = ours(W, u[: k + 1], c[: k + 1], root[: k + 1], before, after, intercept)[1]
    A = np.concatenate([rows(a, r, intercept) for a, r in zip(u, root, strict=True)])
    b = np.concatenate([r[:, None] * t for t, r in zip(c, root, strict=True)])
    expected = np.linalg.solve(A.T @ A + sums[-1] * penalised(intercept), A.T @ b).T
    np.testing.assert_allclose(W, expected, rtol=1e-9, atol=1e-10)


def influence_gcv(u, c, root, after, intercept):
    """G/N from its definition: residual and influence matrix of the Tikhonov problem of all rows in memory."""
    A = np.concatenate([rows(a, r, intercept) for a, r in zip(u, root, strict=True)])
    b = np.concatenate([r[:, None] * t for t, r in zip(c, root, strict=True)])
    T = A @ np.linalg.solve(A.T @ A + after * penalised(intercept), A.T)
    return np.sum((b - T @ b) ** 2) / (np.sum(root > 0) - np.trace(T)) ** 2


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("past", [0, 2])
def test_sampled_gcv_is_its_definition(intercept, past):
    u, c, root = batches(past + 1)
    trials = np.array([1e-4, 0.05, 0.5, 20.0])
    system, _ = ours(np.ones((K, M + intercept)), u, c, root, 0.2, 0.2, intercept)
    found = sampled_gcv(system, jnp.asarray(trials))
    if past == 0:  # 5 rows for 5 unknowns: the smallest trial leaves hardly any freedom
        found, trials = found[1:], trials[1:]
    expected = [influence_gcv(u, c, root, after, intercept) for after in trials]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_planted_trace_without_the_intercept_is_seen():
    u, c, root = batches(3)
    system, _ = ours(np.ones((K, M + 1)), u, c, root, 0.2, 0.2, True)
    mutant = system._replace(count=system.count + 1)
    found = sampled_gcv(mutant, jnp.asarray([0.5]))[0]
    assert abs(found / influence_gcv(u, c, root, 0.5, True) - 1) > 1e-2


def test_sampled_gcv_says_nothing_where_the_fit_follows_its_targets():
    u, c, _ = (a[:, :1] for a in batches(1))
    arrays = map(jnp.asarray, (u[0], c[0], np.ones(1), u[:0], c[:0], np.ones((0, 1))))
    system = sampled_system(jnp.zeros((K, M + 1)), *arrays, intercept=True)
    assert np.all(np.isinf(sampled_gcv(system, jnp.asarray([0.1, 1.0]))))


def test_rows_without_weight_have_no_part():
    u, c, root = batches(2)
    W = jnp.asarray(np.random.default_rng(1).standard_normal((K, M + 1)))
    c_wild = c.copy()
    c_wild[-1, -1] = 1e3
    first, second = (ours(W, u, t, root, 0.2, 0.3, True)[1] for t in (c, c_wild))
    np.testing.assert_array_equal(first, second)
