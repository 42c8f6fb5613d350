"""Misfits of the stability toy against values of the course's own code, see tests/reference/README.md."""

from pathlib import Path

import numpy as np
import pytest

from numdl.course.dynamics import stability_toy as toy

pytestmark = pytest.mark.usefixtures("x64")
PARTS = {"": "training", "_test": "test"}


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).parents[1] / "reference" / "stability_toy.npz") as file:
        return dict(file)


def found(reference, kind, part, swap=False):
    axis, x, c = reference["axis"], reference["x" + part], reference["c" + part]
    values = toy.misfits(axis, toy.STEPS[kind], x, c)
    return values.T if swap else values


@pytest.mark.parametrize("kind", toy.STEPS)
@pytest.mark.parametrize("part", PARTS)
def test_misfits_are_those_of_the_reference(reference, kind, part):
    expected = reference[kind + part]
    np.testing.assert_allclose(found(reference, kind, part), expected, rtol=1e-10, atol=1e-12 * expected.max())


def test_the_comparison_sees_parameters_that_changed_places(reference):
    wrong = found(reference, "coarse", "", swap=True)
    assert np.max(np.abs(wrong - reference["coarse"])) > 0.1 * reference["coarse"].max()


def test_the_truth_gives_the_targets_and_misfits_of_the_course(reference):
    x, c = reference["x"], reference["c"]
    np.testing.assert_allclose(toy.paths(toy.TRUTH, x, toy.TRUE_STEPS)[:, -1], c, rtol=0, atol=1e-14)
    misfit = {kind: 0.5 * np.sum((toy.paths(toy.TRUTH, x, nt)[:, -1] - c) ** 2) for kind, nt in toy.STEPS.items()}
    assert misfit["coarse"] == pytest.approx(26.69, abs=0.01) and misfit["fine"] == pytest.approx(2.02e-7, rel=1e-2)
    assert reference["gap"] == pytest.approx([35.44, 7.135e-5], rel=1e-3)


def test_five_steps_tear_the_entries_apart_and_a_hundred_join_them(reference):
    apart = {kind: np.ptp(toy.paths(toy.TRUTH, reference["x"], nt)[:, -1], axis=1) for kind, nt in toy.STEPS.items()}
    assert apart["coarse"].min() > 0.1 and apart["fine"].max() < 1e-12
