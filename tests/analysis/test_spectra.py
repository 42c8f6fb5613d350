"""Spectra from products agree with dense eigenvalues, within the errors they state."""

import analysis_problems as sp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from numdl.analysis import eigenpairs, spectrum
from numdl.analysis.objective import curvature_at

pytestmark = pytest.mark.usefixtures("x64")
EIGENVALUES = np.concatenate([np.linspace(-1, 1, 30), np.linspace(4, 5, 9), [20.0]])


def quadratic(p):
    """Symmetric, indefinite, dense; the same matrix at every call."""
    q = np.linalg.qr(np.random.default_rng(5).normal(size=(40, 40)))[0]
    return 0.5 * p @ jnp.asarray(q @ np.diag(EIGENVALUES) @ q.T) @ p


def blurred(eigenvalues, grid, width):
    bells = np.exp(-0.5 * ((grid[:, None] - eigenvalues) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return bells.mean(axis=1)


@pytest.mark.quick("15")
@pytest.mark.parametrize("steps", [15, 40])
def test_the_density_is_that_of_dense_eigenvalues_within_its_error(steps):
    found = spectrum(quadratic, jnp.zeros(40), probes=30, steps=steps)
    density = found.density(width=0.5)
    exact = blurred(EIGENVALUES, density.grid, 0.5)
    assert np.all(np.abs(density.values - exact) <= 4 * density.error + 1e-6)
    assert np.max(density.error) < 0.35 * np.max(exact)
    assert np.trapezoid(density.values, density.grid) == pytest.approx(1, abs=1e-3)
    # The mutant: the spectrum of -H is not within the error.
    assert np.any(np.abs(density.values - blurred(-EIGENVALUES, density.grid, 0.5)) > 4 * density.error + 1e-6)


def test_the_error_falls_with_the_probes_and_is_infinite_for_one():
    few, many = (spectrum(quadratic, jnp.zeros(40), probes=n, steps=40) for n in (5, 80))
    assert many.density(width=0.5).error.mean() < 0.5 * few.density(width=0.5).error.mean()
    alone = spectrum(quadratic, jnp.zeros(40), probes=1, steps=10)
    assert np.all(np.isinf(alone.density().error)) and np.isinf(alone.trace()[1])


def test_trace_and_ends():
    found = spectrum(quadratic, jnp.zeros(40), probes=30, steps=15)
    trace, error = found.trace()
    assert abs(trace - EIGENVALUES.sum()) < 4 * error
    assert found.largest == pytest.approx(20, abs=1e-8) and found.largest <= 20 + 1e-12
    assert EIGENVALUES[0] - 1e-12 <= found.smallest <= EIGENVALUES[0] + 0.1
    assert np.min(np.abs(EIGENVALUES - found.smallest)) <= found.smallest_error
    assert 0 < found.smallest_error < 0.5
    share, error = spectrum(quadratic, jnp.zeros(40), probes=30, steps=40).share_below(2.0)
    assert abs(share - 30 / 40) < 4 * error < 0.2


def test_few_distinct_eigenvalues_break_the_iteration_down_and_stay_exact():
    def few(p):
        return 0.5 * (jnp.sum(p[:5] ** 2) - 2 * jnp.sum(p[5:8] ** 2))  # 5 times 1, 3 times -2, 4 times 0

    found = spectrum(few, jnp.zeros(12), probes=4, steps=10)
    assert found.largest == pytest.approx(1, abs=1e-12) and found.smallest == pytest.approx(-2, abs=1e-12)
    assert found.largest_error < 1e-12 and found.smallest_error < 1e-12


@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_eigenpairs_are_those_of_the_matrix(which):
    found = eigenpairs(quadratic, jnp.zeros(40), count=2, which=which, steps=25)
    ends = np.sort(EIGENVALUES)[::-1] if which == "largest" else np.sort(EIGENVALUES)
    assert found.values[0] == pytest.approx(ends[0], abs=1e-4)
    H = np.asarray(jax.hessian(quadratic)(jnp.zeros(40)))
    for i in range(2):
        v = np.asarray(found.vector(i))
        assert np.linalg.norm(v) == pytest.approx(1)
        assert np.linalg.norm(H @ v - found.values[i] * v) == pytest.approx(found.errors[i], abs=1e-10)


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("loss", ["softmax", "least_squares"])
def test_curvatures_of_problems_are_those_of_dense_oracles(loss):
    problem, p = sp.empirical(loss), sp.weights()
    flat = ravel_pytree(p)[0]

    def dense(kind):
        return np.asarray(jax.jit(jax.vmap(lambda v: curvature_at(problem, p, None, kind)(v)))(jnp.eye(flat.size)))

    hessian = sp.dense(lambda q: problem.value(q, None)[0], p)
    np.testing.assert_allclose(dense("hessian"), hessian, atol=1e-12)
    np.testing.assert_allclose(dense("difference"), hessian, atol=1e-7)
    # Gauss-Newton from the Jacobian of the scores; where nothing is left of the misfit it is the Hessian.
    J = jax.jit(jax.vmap(lambda x: jax.jacobian(lambda q: sp.scores(q, x))(p)))(problem.x)
    J = np.concatenate([np.asarray(J[name]).reshape(15, 2, -1) for name in sorted(J)], axis=2)
    bend = np.asarray(jax.jit(lambda: jax.vmap(problem.loss.hessian)(problem.scores(p), problem.c))())
    gauss_newton = np.einsum("nkp,nkl,nlq->pq", J, bend, J) / 15 + 1e-2 * np.eye(flat.size)
    np.testing.assert_allclose(dense("gauss-newton"), gauss_newton, atol=1e-12)
    assert not np.allclose(dense("hessian"), gauss_newton, atol=1e-3)


@pytest.mark.quick("softmax")
@pytest.mark.parametrize("loss", ["softmax", "least_squares"])
def test_the_hessian_of_a_reduced_problem_holds_the_moving_head(loss):
    problem, p = sp.separable(loss), sp.flow_weights()
    head = problem.first_head(p)
    product = jax.jit(curvature_at(problem, p, head, "difference"))
    found = np.stack([product(e) for e in jnp.eye(9)])
    flat, unravel = ravel_pytree(p)
    value = jax.jit(lambda q: problem.value(unravel(q), head)[0])
    h, e = 3e-4, np.eye(9)  # from values only
    corners = [[s * t * value(flat + h * (s * a + t * b)) for a in e for b in e] for s in (1, -1) for t in (1, -1)]
    exact = np.sum(corners, axis=0).reshape(9, 9) / (4 * h**2)
    np.testing.assert_allclose(found, exact, atol=2e-5)
    np.testing.assert_allclose(found, found.T, atol=1e-7)
    largest = np.linalg.eigvalsh(exact)[-1]
    assert spectrum(problem, p, kind="difference", probes=2, steps=9).largest == pytest.approx(largest, abs=1e-4)


def test_bad_requests_are_refused():
    p = jnp.zeros(3)
    with pytest.raises(ValueError, match="has no Gauss-Newton matrix"):
        spectrum(lambda q: q @ q, p, kind="gauss-newton")
    with pytest.raises(ValueError, match=r"kind='newton'.*unknown"):
        spectrum(lambda q: q @ q, p, kind="newton")
    with pytest.raises(ValueError, match="needs a whole number >= 1"):
        spectrum(lambda q: q @ q, p, probes=0)
    with pytest.raises(ValueError, match=r"count=4.*needs a whole number >= 1 and <= 3"):
        eigenpairs(lambda q: q @ q, p, count=4)
    with pytest.raises(ValueError, match=r"width.*needs a finite number > 0"):
        spectrum(lambda q: q @ q, p).density(width=0)
