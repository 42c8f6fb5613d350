"""Every method on the catalogue: the known minimiser, the contract, statuses, and the rate it promises."""

import convex_problems as cp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_problems as sp

from numdl.optimize import (
    LBFGS,
    InexactNewton,
    Newton,
    NonlinearCG,
    ProximalGradient,
    SteepestDescent,
    minimize,
    nesterov,
)
from numdl.testing import check_contract

pytestmark = pytest.mark.usefixtures("x64")

METHODS = {
    "steepest descent": SteepestDescent,
    "exact steepest descent": lambda **o: SteepestDescent(length="exact", **o),
    "nesterov": nesterov,
    "proximal gradient without prox": lambda **o: ProximalGradient(accelerated=False, **o),
    "nonlinear cg": NonlinearCG,
    "l-bfgs": LBFGS,
    "newton": Newton,
    "newton-cg": InexactNewton,
}
SMOOTH = {"steepest descent", "exact steepest descent", "nonlinear cg", "l-bfgs", "newton", "newton-cg"}
methods = pytest.mark.parametrize("name", METHODS)


def gaps(case, method, count, least=1e-13):
    """f - f* of each iterate, while it is above rounding."""
    _, progress = minimize(case.problem, method, case.start, max_iter=count)
    values = np.asarray(progress.history["objective"])
    best = float(case.problem.value(jnp.reshape(jnp.asarray(case.answer), case.start.shape), None)[0])
    gap = values - best
    return gap[: np.argmax(np.append(gap <= least * max(1, abs(best)), True))]


def errors(case, method, count):
    """Distance of each iterate to the minimiser."""
    seen = [np.ravel(case.start)]
    minimize(
        case.problem,
        method,
        case.start,
        max_iter=count,
        observe=lambda progress: seen.append(np.ravel(progress.iterate.p)),
    )
    return np.array([np.linalg.norm(p - case.answer) for p in seen])


@pytest.mark.quick(
    "round quadratic-newton",
    "quadratic, kappa 100-*",
    "softmax-newton-cg",
    "logistic-l-bfgs",
    "cosh-newton",
    "cosh-nonlinear cg",
)
@methods
@pytest.mark.parametrize("problem", cp.CATALOGUE)
def test_known_minimiser(name, problem):
    case = cp.CATALOGUE[problem]()
    result, _ = minimize(case.problem, METHODS[name](tol=1e-9), case.start, max_iter=3000)
    assert result.status.converged, result.status
    found, answer = np.asarray(result.p), np.reshape(case.answer, result.p.shape)
    if problem == "softmax":  # a common shift of all scores is not seen: Newton's rounding moves the intercepts by it
        found, answer = found - found.mean(axis=0), answer - answer.mean(axis=0)
    np.testing.assert_allclose(found, answer, atol=1e-6)
    assert np.all(np.isfinite(result.history["objective"]))


@pytest.mark.quick("softmax-*")
@methods
@pytest.mark.parametrize("problem", ["softmax", "cosh"])
def test_contract(name, problem):
    case = cp.CATALOGUE[problem]()
    check_contract(METHODS[name](), case.problem, case.start)


@methods
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_pytree_keeps_its_structure_and_dtype(name, dtype):
    problem = cp.Smooth(lambda p: jnp.sum((p["a"] - 1) ** 2) + jnp.sum(jnp.cosh(p["b"])))
    start = {"a": jnp.zeros((2, 2), dtype), "b": jnp.ones(3, dtype)}
    result, _ = minimize(problem, METHODS[name](tol=1e-4), start, max_iter=200)
    assert result.status.converged, result.status
    assert jax.tree.map(lambda a: a.dtype, result.p) == {"a": dtype, "b": dtype}
    np.testing.assert_allclose(result.p["a"], np.ones((2, 2)), atol=1e-3)


@methods
def test_at_the_minimiser_nothing_moves(name):
    case = cp.spectrum(10.0)
    answer = jnp.asarray(case.answer)
    result, progress = minimize(case.problem, METHODS[name](), answer, max_iter=20)
    assert result.status.converged and progress.iteration == 1
    np.testing.assert_allclose(result.p, case.answer, atol=1e-8)


@pytest.mark.quick("steepest descent", "nesterov", "l-bfgs", "newton-cg")
@methods
def test_no_tolerance_ends_in_a_stall_or_at_rounding(name):
    case = cp.softmax()
    result, _ = minimize(case.problem, METHODS[name](tol=0.0), case.start, max_iter=400)
    assert result.status.code in ("stalled", "converged", "max_iter")
    assert np.all(np.diff(result.history["objective"]) <= 1e-14) or name in ("nesterov",)
    assert np.all(np.isfinite(result.p))


@methods
def test_values_that_are_no_numbers_are_never_accepted(name):
    problem = cp.Smooth(lambda p: jnp.sum(p - jnp.log(p)))
    seen = []
    result, _ = minimize(
        problem,
        METHODS[name](tol=1e-7),
        jnp.asarray([4.0, 0.05]),
        max_iter=500,
        observe=lambda progress: seen.append(np.asarray(progress.iterate.p)),
    )
    assert np.all(np.array(seen) > 0) and result.status.converged
    np.testing.assert_allclose(result.p, 1.0, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    ["nonlinear cg", "l-bfgs", "newton", "newton-cg", pytest.param("steepest descent", marks=pytest.mark.thorough)],
)
def test_rosenbrock(name):
    """Not convex; the curvature given is that of Gauss and Newton."""
    problem = sp.Residuals(sp.rosenbrock, jnp.asarray(0.0))
    result, _ = minimize(problem, METHODS[name](tol=1e-9), jnp.asarray([-1.2, 1.0]), max_iter=20000)
    np.testing.assert_allclose(result.p, [1.0, 1.0], atol=1e-6)


@pytest.mark.parametrize("kappa", [10.0, 100.0])
def test_exact_steepest_descent_is_as_slow_as_the_bound_and_no_slower(kappa):
    bound = ((kappa - 1) / (kappa + 1)) ** 2
    gap = gaps(cp.worst(kappa), SteepestDescent(length="exact", tol=0.0), 30, least=1e-10)
    np.testing.assert_allclose(gap[1:] / gap[:-1], bound, rtol=1e-6)
    gap = gaps(cp.spectrum(kappa), SteepestDescent(length="exact", tol=0.0), 200, least=1e-11)
    assert np.all(gap[1:] <= bound * gap[:-1] * (1 + 1e-3))


class _HalfStep(SteepestDescent):
    """Planted mistake: the curvature counts twice, so each step is half as long as it should be."""

    def step(self, problem, iterate):
        class Doubled:
            value = staticmethod(problem.value)

            @staticmethod
            def linearize(p, aux):
                lin = problem.linearize(p, aux)
                return lin._replace(curvature=lambda v: 2 * lin.curvature(v))

        return super().step(Doubled, iterate)


def test_the_rate_sees_a_planted_wrong_step():
    gap = gaps(cp.worst(10.0), _HalfStep(length="exact", tol=0.0), 30, least=1e-10)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(gap[1:] / gap[:-1], (9 / 11) ** 2, rtol=1e-6)


def iterations(case, method, gap=1e-8):
    found = gaps(case, method, 5000, least=gap)
    return len(found)


@pytest.mark.thorough
def test_acceleration_gains_the_root_of_the_condition():
    """1/sqrt(kappa) against 1/kappa: from kappa = 1e2 to 1e4 the count grows 10-fold, not 100-fold."""
    few, many = (iterations(cp.spectrum(kappa), nesterov(tol=0.0), 1e-9) for kappa in (1e2, 1e4))
    assert many / few < 25
    slow, slower = (
        iterations(cp.spectrum(kappa), ProximalGradient(accelerated=False, tol=0.0), 1e-9) for kappa in (1e2, 1e3)
    )
    assert slow > 2 * few and slower / slow > 5


def test_conjugate_gradients_end_after_as_many_steps_as_unknowns():
    case = cp.spectrum(100.0, size=8)
    found = errors(case, NonlinearCG(flatness=1e-10, tol=0.0), 8)
    assert found[8] < 1e-6 * found[0] and found[4] > 1e-3 * found[0]


@pytest.mark.parametrize("name", ["l-bfgs", "newton-cg"])
def test_superlinear(name):
    """The quotients of successive errors fall to zero."""
    method = LBFGS(memory=40, tol=0.0) if name == "l-bfgs" else InexactNewton(tol=0.0)
    found = errors(cp.cosh(), method, 30)
    found = found[: np.argmax(np.append(found < 1e-12, True))]
    quotients = found[1:] / found[:-1]
    assert np.min(quotients[-2:]) < 0.05 and len(found) < 25


def test_a_fixed_forcing_term_is_linear_only():
    """The planted counterpart: without falling forcing terms the quotients stay where they are."""
    case = cp.spectrum(1e4)
    found = errors(case, InexactNewton(forcing=0.5, tol=0.0), 12)
    found = found[found > 1e-10 * found[0]]
    assert np.min(found[1:] / found[:-1]) > 0.05


def digits(case, method, count):
    found = errors(case, method, count)
    return -np.log10(np.maximum(found, 1e-16))


@pytest.mark.parametrize("make", [cp.cosh, cp.logistic])
def test_newton_doubles_the_digits(make):
    found = digits(make(), Newton(tol=0.0), 9)
    settled = [i for i in range(len(found) - 1) if found[i] > 1.0 and found[i + 1] < 10]
    assert settled, found
    for i in settled:
        assert found[i + 1] > 1.8 * found[i] - 0.3, found


def test_newton_with_a_planted_wrong_hessian_does_not_double():
    """The Hessian at the start, for ever."""
    case = cp.cosh()
    fixed = jax.hessian(cp.quartic_value)(case.start)

    class Chord(Newton):
        def step(self, problem, iterate):
            class Fixed:
                value, linearize = staticmethod(problem.value), staticmethod(problem.linearize)

                @staticmethod
                def hessian(p, aux):
                    return fixed

            return super().step(Fixed, iterate)

    found = digits(case, Chord(tol=0.0), 40)
    settled = [i for i in range(len(found) - 1) if found[i] > 1.0 and found[i + 1] < 10]
    assert any(found[i + 1] <= 1.8 * found[i] - 0.3 for i in settled)


def test_newton_takes_a_singular_hessian():
    case = cp.Case(cp.Quadratic(jnp.diag(jnp.asarray([1.0, 0.0])), jnp.asarray([1.0, 0.0])), jnp.zeros(2), None)
    result, _ = minimize(case.problem, Newton(), case.start)
    assert result.status.converged
    np.testing.assert_allclose(result.p, [1.0, 0.0], atol=1e-8)


def test_conjugate_gradients_in_newton_stop_early_where_they_may():
    """Eisenstat and Walker spend fewer products than solving every system to 1e-8."""
    case = cp.softmax(n=200, k=4, d=12, alpha=1e-4)
    loose, _ = minimize(case.problem, InexactNewton(tol=1e-9), case.start)
    tight, _ = minimize(case.problem, InexactNewton(tol=1e-9, forcing=1e-8), case.start)
    assert loose.status.converged and tight.status.converged
    assert np.sum(loose.history["products"]) < 0.7 * np.sum(tight.history["products"])
    assert loose.history["products"][-1] == 0
