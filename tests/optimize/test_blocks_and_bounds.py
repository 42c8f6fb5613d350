"""Bounds against SciPy and the conditions of Karush, Kuhn and Tucker; blocks; negative curvature."""

import jax.numpy as jnp
import numpy as np
import pytest
import small_problems as sp
from scipy.optimize import least_squares

from numdl.optimize import (
    BFGS,
    BlockCoordinateDescent,
    InexactNewton,
    ProjectedGaussNewton,
    TrustRegion,
    minimize,
)
from numdl.problems import ExactHessian, full_problem

pytestmark = pytest.mark.usefixtures("x64")
START = np.array([-1.2, 1.0])


def rosenbrock():
    return sp.Residuals(sp.rosenbrock, jnp.asarray(0.0))


@pytest.mark.parametrize(("low", "high"), [([-2.0, -2.0], [0.5, 2.0]), ([-2.0, 1.5], [2.0, 3.0]), ([-9, -9], [9, 9])])
def test_bounds_agree_with_scipy_and_the_conditions_hold(low, high):
    low, high = np.asarray(low, float), np.asarray(high, float)
    seen = []
    method = ProjectedGaussNewton(jnp.asarray(low), jnp.asarray(high))
    result, _ = minimize(
        rosenbrock(),
        method,
        jnp.asarray(START),
        max_iter=300,
        observe=lambda now: seen.append(np.asarray(now.iterate.p)),
    )
    assert result.status.converged, result.status
    assert np.all(np.array(seen) >= low) and np.all(np.array(seen) <= high)
    theirs = least_squares(
        lambda p: [10 * (p[1] - p[0] ** 2), 1 - p[0]], np.clip(START, low + 0.1, high - 0.1), bounds=(low, high),
        xtol=1e-15, ftol=1e-15, gtol=1e-12,
    )  # fmt: skip
    np.testing.assert_allclose(result.p, theirs.x, atol=1e-5)
    p, g = np.asarray(result.p), np.asarray(rosenbrock().linearize(result.p, None).gradient)
    free = (p > low) & (p < high)
    np.testing.assert_allclose(g[free], 0.0, atol=1e-6)
    assert np.all(g[p == low] >= 0) and np.all(g[p == high] <= 0)


def test_exchanged_bounds_are_refused():
    method = ProjectedGaussNewton(jnp.asarray([0.0, 2.0]), jnp.asarray([1.0, 1.0]))
    with pytest.raises(ValueError, match="unknown 1 has the bounds 2 and 1, needs lower <= upper"):
        method.init(rosenbrock(), jnp.asarray(START), None)


@pytest.mark.parametrize("blocks", [None, (("theta",), ("W",)), (("theta", "W"),)])
def test_blocks_lower_a_coupled_problem(blocks):
    reduced, theta = sp.decay(1e-4), jnp.asarray(sp.DECAY_START)
    problem = full_problem(reduced, theta)
    p = {"theta": theta, "W": reduced.first_head(theta)}
    result, _ = minimize(problem, BlockCoordinateDescent(blocks, tol=0.0), p, max_iter=300)
    values = result.history["objective"]
    assert np.all(np.diff(values) <= 0)
    if blocks == (("theta", "W"),):  # one block is the whole method
        best, _ = minimize(problem, TrustRegion(tol=0.0), p, max_iter=300)
        np.testing.assert_allclose(values[-1], best.history["objective"][-1], rtol=1e-6)
    assert values[-1] < 3e-2 * values[0]


def test_parts_that_are_named_twice_or_not_at_all_are_refused():
    p = {"theta": jnp.zeros(2), "W": jnp.zeros(1)}
    with pytest.raises(ValueError, match="p has the parts W, theta, needs each of them in one block"):
        BlockCoordinateDescent((("theta",),)).init(rosenbrock(), p, None)


def saddle(p):
    """``1/2 sum r^2 = (x^2 - 1)^2/2 + y^2/2``: minima at x = 1 and -1, a saddle at 0."""
    return jnp.stack([p[0] ** 2 - 1, p[1]])


@pytest.mark.parametrize("method", [InexactNewton(), TrustRegion(), TrustRegion(subspace="lanczos"), BFGS()])
def test_negative_curvature_leads_away_from_a_saddle(method):
    problem = ExactHessian(sp.Residuals(saddle, jnp.asarray(0.0)))
    result, _ = minimize(problem, method, jnp.asarray([1e-3, 1e-9]), max_iter=60)
    np.testing.assert_allclose(np.abs(result.p), [1.0, 0.0], atol=1e-4)
    if isinstance(method, InexactNewton):
        assert result.history["definite"][0] == 0 and len(result.history["objective"]) < 15


@pytest.mark.parametrize("subspace", ["lanczos", "arnoldi"])
def test_krylov_spaces_reach_the_minimiser_of_rosenbrock(subspace):
    result, _ = minimize(rosenbrock(), TrustRegion(subspace=subspace), jnp.asarray(START), max_iter=100)
    np.testing.assert_allclose(result.p, [1.0, 1.0], atol=1e-6)
    # A smaller radius after a rejected trial costs no product: at most one per unknown and step.
    assert np.max(result.history["trials"]) > 1 and np.max(result.history["products"]) <= 2


def test_bfgs_ends_on_a_quadratic_and_learns_its_inverse():
    from convex_problems import spectrum

    case = spectrum(100.0, size=8)
    result, progress = minimize(case.problem, BFGS(tol=1e-10), case.start, max_iter=200)
    assert result.status.converged
    B, H = np.asarray(progress.iterate.state.B), np.asarray(case.problem.H)
    np.testing.assert_allclose(B, B.T, atol=1e-10)
    assert np.min(np.linalg.eigvalsh((B + B.T) / 2)) > 0
    np.testing.assert_allclose(B @ H, np.eye(8), atol=0.2)
