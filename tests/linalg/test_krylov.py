"""CGLS and LSQR: each iterate is a minimiser over a Krylov space, the history is true, rules end, noise comes back."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.sparse.linalg
from krylov_problems import damped_solution, deblurring, ill_conditioned, krylov_minimisers, random_problem
from scipy.sparse.linalg import LinearOperator

from numdl.contracts import Status
from numdl.linalg import as_operator, cgls, lsqr


def by_cgls(A, b, shift=0.0, **options):
    return cgls(A, b, shift=shift, **options)


def by_lsqr(A, b, shift=0.0, **options):
    return lsqr(A, b, damp=shift**0.5, **options)


methods = pytest.mark.parametrize("solve", [by_cgls, by_lsqr])
shifts = pytest.mark.parametrize("shift", [0.0, 0.3])
SHAPES = [(12, 7), (7, 7), (5, 9), (1, 1), (1, 6), (6, 1)]


def check_iterates(found, A, b, shift):
    """Iterates minimise over growing Krylov spaces, to the condition times rounding."""
    expected = krylov_minimisers(A, b, shift, len(found.iterates) - 1)
    np.testing.assert_allclose(found.iterates[1:], expected, rtol=1e-8, atol=1e-10)


@methods
@shifts
def test_iterates_minimise_over_krylov_spaces(solve, shift):
    A, b = random_problem()
    found = solve(A, b, shift, keep_iterates=True, max_iter=6)
    assert found.iterates is not None and found.iterates.shape == (7, 7)
    np.testing.assert_array_equal(found.iterates[-1], found.x)
    check_iterates(found, A, b, shift)


def forgetful_cgls(A, b, shift, steps):
    """Planted mistake: the shift is left out of the curvature along the direction."""
    x, r = np.zeros(A.shape[1]), b
    d = s = A.T @ r
    iterates = [x]
    for _ in range(steps):
        q, gamma = A @ d, s @ s
        length = gamma / (q @ q)
        x, r = x + length * d, r - length * q
        s = A.T @ r - shift * x
        d = s + (s @ s) / gamma * d
        iterates.append(x)
    return by_cgls(A, b, shift, max_iter=0)._replace(iterates=np.array(iterates))


def test_a_planted_curvature_is_seen():
    A, b = random_problem()
    check_iterates(forgetful_cgls(A, b, 0.0, 6), A, b, 0.0)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_iterates(forgetful_cgls(A, b, 0.3, 6), A, b, 0.3)


@methods
@shifts
@pytest.mark.parametrize("shape", SHAPES)
def test_end_is_the_dense_solution(solve, shift, shape):
    A, b = random_problem(*shape)
    found = solve(A, b, shift)
    assert found.status.converged
    assert "1e-12 of its first size" in found.status.message
    # without shift and with fewer rows than columns both give the solution of least norm
    np.testing.assert_allclose(found.x, damped_solution(A, b, shift), rtol=1e-9, atol=1e-11)


@methods
@shifts
def test_history_is_measured(solve, shift):
    A, b = random_problem(20, 9)
    found = solve(A, b, shift, keep_iterates=True, max_iter=7)
    assert found.status == Status("max_iter", found.status.message)
    residuals = b - found.iterates @ A.T
    normal = np.linalg.norm(residuals @ A - shift * found.iterates, axis=1)
    np.testing.assert_allclose(found.history["residual"], np.linalg.norm(residuals, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.history["solution"], np.linalg.norm(found.iterates, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.history["normal"], normal, rtol=1e-9)
    assert np.all(np.diff(found.history["residual"]) < 0) or shift
    assert np.all(np.diff(found.history["solution"]) > 0)


@shifts
def test_lsqr_is_scipys(shift):
    # well conditioned: otherwise rounding grows as orthogonality is lost, to two different but equally good iterates
    A, b = ill_conditioned(smallest=0.1)
    for k in (1, 5, 20, 200):
        theirs = scipy.sparse.linalg.lsqr(A, b, damp=shift**0.5, iter_lim=k, atol=0, btol=0, conlim=0)
        ours = by_lsqr(A, b, shift, max_iter=k, tol=0.0)
        np.testing.assert_allclose(ours.x, theirs[0], atol=1e-10 * np.linalg.norm(ours.x))


def test_reorthogonalisation_needs_no_more_iterations_than_columns():
    A, b = ill_conditioned(smallest=1e-7)
    exact = damped_solution(A, b)
    errors = {}
    for kept in (True, False):
        found = lsqr(A, b, reorthogonalise=kept, max_iter=40, tol=0.0)
        errors[kept] = np.linalg.norm(found.x - exact) / np.linalg.norm(exact)
    assert errors[True] < 1e-6 < 1e-2 < errors[False]


@methods
def test_semi_convergence_and_the_discrepancy_principle(solve):
    A, b, x, noise = deblurring()
    found = solve(A, b, max_iter=60, tol=0.0, keep_iterates=True)
    errors = np.linalg.norm(found.iterates - x, axis=1)
    best = int(np.argmin(errors))
    assert 3 <= best <= 30 and errors[-1] > 2 * errors[best] and errors[0] > 2 * errors[best]

    def discrepancy(history):
        if history["residual"][-1] <= 1.01 * noise:
            return Status("converged", "The noise explains the residual.")
        return None

    stopped = solve(A, b, max_iter=60, tol=0.0, stop=discrepancy)
    assert stopped.status == Status("converged", "The noise explains the residual.")
    k = len(stopped.history["residual"]) - 1
    np.testing.assert_array_equal(stopped.x, found.iterates[k])
    assert stopped.history["residual"][k - 1] > 1.01 * noise
    assert np.linalg.norm(stopped.x - x) < 1.3 * errors[best]


@methods
def test_priorconditioning_is_the_standard_form(solve):
    """``x = L^-1 z``: the penalty on L x is one on z, and early iterates are what L finds small: here, smooth."""
    A, *_ = deblurring(n=40)
    t = (np.arange(40) + 0.5) / 40
    x = np.sin(np.pi * t / 2) + 0.3 * np.sin(2 * np.pi * t)
    b = A @ x + 0.03 * np.random.default_rng(3).normal(size=40)
    L = 4 * (np.eye(40) - np.eye(40, k=-1))
    M = LinearOperator(
        L.shape, matvec=lambda z: np.linalg.solve(L, z), rmatvec=lambda v: np.linalg.solve(L.T, v), dtype=float
    )
    found = solve(as_operator(A) @ M, b, 1e-3, max_iter=200)
    expected = np.linalg.solve(A.T @ A + 1e-3 * L.T @ L, A.T @ b)
    np.testing.assert_allclose(M @ found.x, expected, rtol=1e-8, atol=1e-8)

    plain = solve(A, b, max_iter=20, keep_iterates=True).iterates
    prior = (M @ solve(as_operator(A) @ M, b, max_iter=20, keep_iterates=True).iterates.T).T
    best = [np.min(np.linalg.norm(iterates - x, axis=1)) for iterates in (prior, plain)]
    assert best[0] < 0.6 * best[1]


def test_start_moves_the_path_and_not_the_minimiser():
    A, b = random_problem()
    x0 = np.arange(7.0)
    found = cgls(A, b, x0=x0, shift=0.3, keep_iterates=True)
    np.testing.assert_array_equal(found.iterates[0], x0)
    np.testing.assert_allclose(found.x, damped_solution(A, b, 0.3), rtol=1e-10)
    solved = cgls(A, b, x0=damped_solution(A, b), tol=1e-12, max_iter=0)
    assert solved.history["normal"][0] < 1e-12


@methods
@pytest.mark.parametrize("b", [np.zeros(4), np.array([0, 0, 0, 2.0])])
def test_nothing_to_do(solve, b):
    A = np.vstack([np.eye(3), np.zeros(3)])
    found = solve(A, b)
    assert found.status.converged and not found.x.any()
    assert found.history["residual"].tolist() == [np.linalg.norm(b)]


@methods
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty(solve, shape):
    found = solve(np.zeros(shape), np.zeros(shape[0]))
    assert found.x.shape == (shape[1],) and found.status.converged


@methods
def test_an_operator_that_overflows_is_named(solve):
    A = LinearOperator((3, 3), matvec=lambda v: np.full(3, np.nan), rmatvec=lambda v: v, dtype=float)
    found = solve(A, np.ones(3))
    assert found.status.code == "failed" and "not finite" in found.status.message


@methods
@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-100, 1e200, 1e300])
@pytest.mark.parametrize("data", [1e-200, 1.0, 1e200])
def test_units_of_matrix_and_data_change_no_digit(solve, size, data):
    """As squares of 1e-200 vanish, zero was returned, and said to have converged."""
    A, b = random_problem()
    size, data = (2.0 ** np.round(np.log2(unit)) for unit in (size, data))
    found, plain = solve(size * A, data * b, keep_iterates=True), solve(A, b, keep_iterates=True)
    with np.errstate(over="ignore"):
        unit = data / size
    if np.isinf(unit):
        assert found.status.code == "failed" and "beyond floating point. Scale A or b" in found.status.message
        return
    assert found.status == plain.status
    if unit > 1e-290:
        np.testing.assert_array_equal(found.x, unit * plain.x)
        np.testing.assert_array_equal(found.iterates, unit * plain.iterates)
        np.testing.assert_array_equal(found.history["solution"], unit * plain.history["solution"])
    if solve is lsqr:
        return  # its bounds of the residual square what is damped
    np.testing.assert_array_equal(found.history["residual"], data * plain.history["residual"])


def test_a_penalty_has_the_unit_of_the_squared_matrix():
    A, b = random_problem()
    unit = 2.0**-500
    found, plain = cgls(unit * A, b, shift=0.3 * unit**2, x0=np.ones(7) / unit), cgls(A, b, shift=0.3, x0=np.ones(7))
    np.testing.assert_array_equal(found.x, plain.x / unit)
    apart = cgls(1e-200 * A, b, shift=1.0)  # no unit of A suits both
    assert apart.status.code == "stalled" and "Scale A and b" in apart.status.message
    assert found.status == plain.status
    damped, plain = lsqr(unit * A, b, damp=0.3 * unit), lsqr(A, b, damp=0.3)
    np.testing.assert_array_equal(damped.x, plain.x / unit)


@methods
def test_sees_rank_zero(solve):
    found = solve(np.zeros((5, 3)), np.ones(5))
    assert found.status.converged and not found.x.any()


@methods
def test_jax_operators_solve(solve):
    A, b = random_problem()
    with jax.enable_x64(True):
        operator = lx.MatrixLinearOperator(jnp.asarray(A))
    np.testing.assert_allclose(solve(operator, b).x, damped_solution(A, b), rtol=1e-10)


@methods
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": np.ones(3)}, r"b has shape \(3,\), needs \(12,\)"),
        ({"b": np.array([1.0] * 11 + [np.nan])}, "Input b contains NaN at row 12"),
        ({"b": 1j * np.ones(12)}, "b has dtype complex128, needs real"),
        ({"max_iter": -1}, "max_iter=-1"),
        ({"tol": 1.0}, "needs a finite number >= 0 and < 1"),
        ({"shift": float("inf")}, "needs a finite"),
    ],
)
def test_refuses(solve, change, message):
    A, b = random_problem()
    with pytest.raises(ValueError, match=message):
        solve(**{"A": A, "b": b, **change})


def test_refuses_what_only_one_has():
    A, b = random_problem()
    with pytest.raises(ValueError, match=r"cgls\(shift=-1.0\): needs a finite number >= 0"):
        cgls(A, b, shift=-1.0)
    with pytest.raises(ValueError, match=r"lsqr\(damp=-1.0\)"):
        lsqr(A, b, damp=-1.0)
    with pytest.raises(ValueError, match=r"x0 has shape \(3,\), needs \(7,\)"):
        cgls(A, b, x0=np.ones(3))
