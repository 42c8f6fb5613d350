"""Sticks of the experiment: both ends decide the class, labels cover the object, noise is what was asked for."""

import jax
import numpy as np
import pytest

from numdl.course.dynamics.field_of_view import CLASSES, network, sticks


def test_both_ends_decide_the_class():
    x, labels = sticks(60, 64, 0.0, np.random.default_rng(0))
    assert x.shape == labels.shape == (60, 64, 64) and set(np.unique(labels)) == {0, 1, 2, 3}
    for image, classes in zip(x, labels, strict=True):
        (found,) = set(np.unique(classes)) - {0}
        assert not image[classes == 0].any()  # nothing beside the object
        hollow = (classes > 0) & (image == 0)
        rows, columns = np.nonzero(hollow)
        if found == 1:
            assert not hollow.any()
            continue
        far = np.hypot(np.ptp(rows), np.ptp(columns))  # the holes of two rings are as far apart as the stick is long
        assert (far > 0.45 * 64) if found == 2 else (far < 13)


def test_objects_lie_inside_and_noise_is_added():
    quiet, labels = sticks(40, 32, 0.0, np.random.default_rng(1))
    noisy, same = sticks(40, 32, 0.2, np.random.default_rng(1))
    np.testing.assert_array_equal(labels, same)
    assert abs(np.std(noisy - quiet) - 0.2) < 0.01 and quiet.max() == 1 and quiet.min() == 0
    border = np.ones((32, 32), bool)
    border[1:-1, 1:-1] = False
    assert np.mean(labels[:, border] > 0) < 0.01


@pytest.mark.parametrize(("name", "reaches"), [("explicit", False), ("implicit", True)])
def test_three_layers_reach_four_pixels_or_all(name, reaches):
    net = network(name, 16, 3, 3)
    theta = net.init(0, "float32")
    x = np.zeros((2, 256), "f4")
    x[1, 0] = 1.0  # the corner
    u = np.asarray(jax.jit(net.batch)(theta, x)).reshape(2, 16, 16, 3)
    changed = np.abs(u[1] - u[0]).max(-1) > 0
    assert changed[:5, :5].any() and changed[5:, 5:].all() == reaches == changed[5:, 5:].any()
    assert CLASSES == 4
