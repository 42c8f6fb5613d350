"""Cascadic iteration: a boundary value problem from coarse to fine, left by the rule, resumed, counted in passes."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_problems import Residuals

from numdl.contracts import Linearization, Normal, Status, Work
from numdl.optimize import LBFGS, Level, LevenbergMarquardt, Refinement, minimize, minimize_cascadic
from numdl.optimize.drivers.cascadic import carried, require_levels

pytestmark = pytest.mark.usefixtures("x64")
METHOD = LevenbergMarquardt(tol=0.0)


class Bratu(eqx.Module):
    """``u'' + 3 exp(u) = 0``, u = 0 at both ends: mean square of the differences at n inner points, plus a constant."""

    floor: float = 1e-4

    def residual(self, p):
        u = jnp.pad(p, 1)
        h = 1 / (len(p) + 1)
        return ((u[2:] - 2 * p + u[:-2]) / h**2 + 3 * jnp.exp(p)) * jnp.sqrt(h)

    def value(self, p, aux):
        return 0.5 * jnp.sum(self.residual(p) ** 2) + self.floor / len(p), aux

    def normal(self, p, aux):
        j, value = jax.jacfwd(self.residual)(p), self.value(p, aux)[0]
        return Normal(value, j.T @ self.residual(p), j.T @ j, jnp.zeros_like(p), aux, {"misfit": value})

    def linearize(self, p, aux):
        value, gradient, matrix, _, _, metrics, _ = self.normal(p, aux)
        return Linearization(value, gradient, lambda v: matrix @ v, aux, metrics)

    def work(self, p):
        return Work(value=1.0, matrix=3.0)


LEVELS = [Bratu()] * 3


def prolong(level, p):
    """Linear interpolation from n to 2n + 1 points."""
    assert len(p) == 4 * 2**level - 1
    return jnp.interp(jnp.arange(1, 2 * len(p) + 2) / 2, jnp.arange(len(p) + 2), jnp.pad(p, 1))


def solve(problems=LEVELS, method=METHOD, **options):
    return minimize_cascadic(
        problems, method, jnp.zeros(3), **({"prolong": prolong, "rule": Refinement(1.0, 2)} | options)
    )


def test_each_level_goes_on_where_the_coarser_one_ended():
    seen = []

    def recorded(level, p):
        seen.append(prolong(level, p))
        return seen[-1]

    result, level = solve(max_iter=30, prolong=recorded)
    depth = result.history["level"]
    assert level.level == 2 and result.p.shape == (15,) and set(depth) == {0, 1, 2} and np.all(np.diff(depth) >= 0)
    assert {len(column) for column in result.history.values()} == {len(depth)}
    u = np.asarray(minimize(Bratu(), METHOD, jnp.zeros(15), max_iter=30)[0].p)
    np.testing.assert_allclose(result.p, u, atol=1e-8)
    assert np.linalg.norm(seen[-1] - u) < 0.2 * np.linalg.norm(u), "near, where zero is all of u away"


def test_a_level_is_left_when_the_error_outweighs_the_progress():
    rule = Refinement(1.0, 2)
    history = solve(max_iter=60, rule=rule)[0].history
    error, gained, level = (history[name] for name in ("discretisation_error", "progress", "level"))
    looked = np.flatnonzero(np.isfinite(error))
    assert set(level[looked]) == {0, 1}
    for k in looked:
        assert (level[k + 1] > level[k]) == (error[k] >= gained[k])
        if level[k + 1] == level[k]:  # the objective two steps before that of the point where it looked
            np.testing.assert_allclose(gained[k], history["objective"][k - 1] - history["objective"][k + 1])
    # Planted: a rule that never speaks stays until the share of the level is used up.
    blunt = solve(max_iter=30, rule=Refinement(1e300, 2))[0].history
    assert np.sum(blunt["level"] == 0) >= np.sum(history["level"] == 0) + 3


@pytest.mark.parametrize(
    ("error", "progress", "due"),
    [(0.9, 1.0, False), (1.0, 1.0, True), (1e-9, 0.0, True), (0.0, 0.0, True), (0.1, -1.0, True)],
)
def test_the_rule(error, progress, due):
    assert Refinement().due(error, progress) is due
    assert Refinement(2.0).due(2 * error, progress) is due
    assert not Refinement().due(math.inf, progress) and not Refinement().due(math.nan, progress)
    assert [k for k in range(11) if Refinement(window=5).looks(k)] == [5, 10]


def test_passes_of_coarse_levels_count_less():
    for rule in (Refinement(1.0, 2), Refinement(1e300, 2)):
        history = solve(max_iter=30, rule=rule)[0].history
        looked = np.isfinite(history["progress"])
        # Where the rule did not speak, the finer objective is asked for once more, at the point that starts there.
        ends = np.append(np.diff(history["level"]) > 0, False) & ~(
            history["discretisation_error"] >= rule.fraction * history["progress"]
        )
        steps = (3.0 + history["trials"] + 2.0 * looked + 2.0 * ends) * 0.5 ** (2 - history["level"])
        np.testing.assert_allclose(history["work"], np.cumsum(steps))


def test_one_level_is_minimize():
    result, level = solve(LEVELS[:1], max_iter=7)
    alone = minimize(Bratu(), METHOD, jnp.zeros(3), max_iter=7)[0]
    np.testing.assert_array_equal(result.p, alone.p)
    assert level.level == 0 and np.isnan(result.history["progress"]).all() and result.status == alone.status


@pytest.mark.parametrize("stop", [1, 4, 7, 12])
def test_an_interrupted_iteration_goes_on_as_if_it_had_not_been(stop):
    whole, _ = solve(max_iter=18)

    def observe(progress):
        return Status("interrupted", "enough") if progress.iteration == stop else None

    part, level = solve(max_iter=18, observe=observe)
    assert part.status.code == "interrupted" and len(part.history["level"]) == stop
    rest, _ = solve(max_iter=18, resume=level)
    np.testing.assert_array_equal(rest.p, whole.p)
    assert rest.status == whole.status
    for name in set(whole.history) - {"seconds"}:
        np.testing.assert_array_equal(rest.history[name], whole.history[name])


def test_time_and_methods_that_end_early():
    result, level = solve(max_iter=30, time_budget=0.0)
    assert result.status.code == "time_budget" and level.level == 0 and result.p.shape == (3,)
    done, _ = solve(max_iter=300, method=LevenbergMarquardt(tol=1e-6), rule=Refinement(1e300, 2))
    np.testing.assert_allclose(done.history["objective"][-1], Bratu().floor / 15, rtol=1e-6)
    assert set(done.history["level"]) == {0, 1, 2}
    assert len(done.history["level"]) < 100, "a plateau ends a level"


def test_what_a_method_remembers_goes_on_where_it_fits():
    _, progress = minimize(Bratu(), METHOD, jnp.zeros(3), max_iter=4)
    finer = carried(progress, Bratu(), METHOD, prolong(0, progress.iterate.p))
    assert finer.iterate.state == progress.iterate.state and not math.isfinite(finer.iterate.value)
    assert finer.since == finer.iteration == 4 and finer.best.score == -math.inf and not finer.recent["objective"]
    method, quadratic = LBFGS(), Residuals(lambda p: (p - 1) * jnp.arange(1.0, len(p) + 1))
    _, progress = minimize(quadratic, method, jnp.zeros(3), max_iter=2)
    longer = carried(progress, quadratic, method, jnp.zeros(7))
    fresh = method.init(quadratic, jnp.zeros(7), None)
    assert jax.tree.map(jnp.shape, longer.iterate.state) == jax.tree.map(jnp.shape, fresh.state)
    assert minimize(quadratic, method, jnp.zeros(7), max_iter=60, resume=longer)[0].status.converged


def test_a_prolonged_point_that_is_no_number_keeps_the_coarse_one():
    whole, _ = solve(LEVELS[:1], max_iter=10)
    result, level = solve(LEVELS[:2], max_iter=20, prolong=lambda level, p: jnp.nan * prolong(level, p))
    assert result.status.code == "failed" and result.status.message.startswith("The objective of level 1 is nan at")
    assert "level 0 is kept. Check prolong(0, p)" in result.status.message
    assert level.level == 0 and result.history["level"].tolist() == [0.0] * 10
    np.testing.assert_array_equal(result.p, whole.p)
    # Nothing is lost: the same level goes on with a prolongation that can be used.
    mended, level = solve(LEVELS[:2], max_iter=20, resume=level)
    assert level.level == 1 and mended.p.shape == (7,) and np.all(np.isfinite(mended.p))


def test_refusals():
    with pytest.raises(ValueError, match="at least one problem"):
        solve([])
    for options in ({"fraction": 0.0}, {"fraction": math.nan}, {"window": 0}):
        with pytest.raises(ValueError, match=r"fraction.*finite number > 0|window.*whole number >= 1"):
            Refinement(**options)
    with pytest.raises(ValueError, match="max_iter=-1"):
        solve(max_iter=-1)
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=f"resume at level {wrong}.*3 problems, needs a level from 0 to 2"):
            solve(resume=Level(wrong, None))
    for problems, resume, words in ((Bratu(), None, "problems=Bratu"), (LEVELS, (0, None), "resume=tuple")):
        with pytest.raises(TypeError, match=words):
            require_levels(problems, resume)
    assert Level(0, None).progress is None
