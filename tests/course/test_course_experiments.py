"""The quick versions of the experiments hold their claims; the full ones are run by hand."""

import jax
import numpy as np
import pytest

from numdl.course import REGISTRY, run, training
from numdl.course.control import path_planning
from numdl.course.nonlinear import peaks, swiss_roll
from numdl.models import ResNet


@pytest.mark.experiment
@pytest.mark.parametrize("name", REGISTRY)
def test_quick_experiments_hold_their_claims(tmp_path, name, capsys):
    record = run(name, tmp_path, quick=True)
    assert record["passed"], record["claims"]
    assert "FAIL" not in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.{ending}" for ending in ("json", "svg", "png")}
    assert (tmp_path / f"{name}.svg").stat().st_size < 2e6
    assert not jax.config.jax_enable_x64


def test_training_lowers_the_held_out_error_and_reports_it(x64):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 1))
    c = np.sin(3 * x)
    trained = training.train(
        ResNet(1, 6, 0),
        "least_squares",
        (x[:40], c[:40]),
        (x[40:], c[40:]),
        lambda s, c: float(np.mean((s - c) ** 2)),
        alpha=1e-8,
        iterations=8,
        seed=0,
    )
    assert len(trained.errors) == len(trained.result.history["objective"]) <= 8
    assert trained.errors[-1] < 0.1 * trained.errors[0]
    assert np.mean((trained.scores(x[40:]) - c[40:]) ** 2) == pytest.approx(trained.errors[-1], rel=1e-6)


def test_wrong_counts_the_samples_on_the_other_side():
    assert swiss_roll.wrong(np.array([[1.0], [-1.0], [2.0], [0.0]]), np.array([[1], [1], [0], [0]])) == 50


def test_full_claims_are_stronger_than_quick_ones():
    assert peaks.FULL.error < peaks.QUICK.error and peaks.FULL.gain_ridge > peaks.QUICK.gain_ridge
    assert swiss_roll.FULL.error < swiss_roll.QUICK.error


@pytest.mark.parametrize(("bend", "length", "energy"), [(0.0, 1.0, 1.0), (1.0, 2**0.5, 2.0)])
def test_travel_of_known_paths(bend, length, energy):
    # To (1, 0) straight, and by half-way at (1/2, 1/2), each at one speed.
    t = np.linspace(0, 1, path_planning.DEPTH + 1)
    paths = np.stack([t, bend * (0.5 - np.abs(t - 0.5))], axis=-1)[:, None]
    travel = path_planning.Planned({}, paths, np.array([True]), 0.0).travel()
    assert travel["length"] == pytest.approx(length) and travel["length_to_distance"] == pytest.approx(length)
    assert travel["energy"] == pytest.approx(energy / 2) and travel["energy_to_least"] == pytest.approx(energy)


def test_planned_paths_are_those_of_the_control_problem(x64):
    rng = np.random.default_rng(0)
    theta = {"V": rng.normal(size=(8, 3, 8)), "K": rng.normal(size=(8, 8, 3)), "b": rng.normal(size=(8, 8))}
    x = rng.normal(size=(5, 2))
    states = path_planning.transport(x, np.zeros((5, 1)), 3, (0.0, 0.0, 1.0)).states(theta)
    np.testing.assert_allclose(path_planning.paths_of(theta, x), np.asarray(states)[..., :-1], atol=1e-13)
