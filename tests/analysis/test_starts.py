"""Many starts find the minima that are known, as often as runs one by one."""

import analysis_problems as sp
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis import MultiStart, multistart
from numdl.contracts import Result, Status
from numdl.optimize import LevenbergMarquardt, NewtonCG, minimize

pytestmark = pytest.mark.usefixtures("x64")


@jax.jit
def descend(p):
    return jax.lax.fori_loop(0, 200, lambda _, p: p - 0.05 * jax.grad(sp.wells)(p), p)


def descent(p):
    return Result(descend(p), None, Status("converged", ""), {})


def test_two_wells_are_two_minima_or_one_up_to_symmetry():
    starts = [jnp.array(s) for s in ((-2.0, 1.0), (0.5, -1.0), (-0.3, 0.2), (1.7, 0.0))]
    found = multistart(sp.wells, descent, starts)
    np.testing.assert_allclose(np.asarray(found.points)[:, 0], [-1, 1, -1, 1], atol=1e-4)
    np.testing.assert_allclose(found.distances[0], [0, 2, 0, 2], atol=1e-3)
    assert found.values.max() < 1e-6 and found.gradient_norms.max() < 1e-3
    labels = found.minima()
    assert labels[0] == labels[2] != labels[1] == labels[3] and set(labels) == {0, 1}
    assert set(found.minima(canonical=jnp.abs)) == {0}
    assert set(found.minima(tol=2.0)) == {0}


def test_minima_are_numbered_from_the_lowest_and_leave_out_what_is_none():
    points = jnp.array([[3.0], [1.0], [1.0001], [7.0], [5.0]])
    distances = np.abs(np.asarray(points) - np.asarray(points).T)
    ends = MultiStart(points, np.array([2.0, 1.0, 1.0, np.nan, 0.5]), np.array([0, 0, 0, 0, 1.0]), distances)
    assert ends.minima(1e-3).tolist() == [2, 1, 1, -1, 0]
    assert ends.minima(1e-3, slope=0.1).tolist() == [1, 0, 0, -1, -1]
    assert ends.minima(1e-3, slope=-1.0).tolist() == [-1] * 5
    assert ends.best == 4 and float(ends.point(0)[0]) == 3.0


@pytest.mark.quick("optimizer0")
@pytest.mark.parametrize("optimizer", [LevenbergMarquardt(), NewtonCG()])
def test_an_optimiser_of_the_contract_ends_where_its_loop_ends(optimizer):
    problem = sp.separable("least_squares")
    starts = [sp.flow_weights(seed) for seed in range(3)]
    together = multistart(problem, optimizer, starts, max_iter=6, batch=3)

    def run(p):
        return minimize(problem, optimizer, p, problem.first_head(p), max_iter=6)[0]

    one_by_one = multistart(problem, run, starts)
    # The loop keeps the best point, and may stop early.
    np.testing.assert_allclose(together.values, one_by_one.values, rtol=1e-6)
    start_values = [float(problem.value(p, problem.first_head(p))[0]) for p in starts]
    assert np.all(together.values < start_values)


def test_no_start_is_refused():
    with pytest.raises(ValueError, match="at least one start"):
        multistart(sp.wells, descent, [])
