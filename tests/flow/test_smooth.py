"""Smooth weights: the prior they are meant to have, the same function of time after refinement, nothing at 0."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.contracts import Control
from numdl.flow import PiecewiseConstant, PiecewiseLinear, SmoothInTime
from numdl.flow.controls.smooth import smoothing
from numdl.models import ResNet

pytestmark = pytest.mark.usefixtures("x64")
KINDS = [PiecewiseConstant, PiecewiseLinear]


@pytest.mark.parametrize("n", [1, 2, 5, 9])
@pytest.mark.parametrize("steps", [0.0, 0.3, 4.0])
def test_weights_have_the_prior_precision_of_size_and_slope(n, steps):
    root = smoothing(n, steps)
    precision = np.linalg.inv(root @ root.T)
    slope = np.zeros((n, n))
    for i in range(n - 1):  # sum of squared differences, entry by entry
        slope[i, i] += 1
        slope[i + 1, i + 1] += 1
        slope[i, i + 1] -= 1
        slope[i + 1, i] -= 1
    wanted = np.eye(n) + steps**2 * slope
    scale = np.trace(precision) / np.trace(wanted)
    np.testing.assert_allclose(precision, scale * wanted, rtol=1e-9, atol=1e-9)
    assert np.mean(np.sum(root**2, axis=1)) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract_and_the_same_function_after_refinement(kind):
    control = SmoothInTime(kind(3), 0.7)
    assert isinstance(control, Control) and hash(control) == hash(SmoothInTime(kind(3), 0.7))
    assert jax.tree.leaves(control) == [control], "static: no arrays inside"
    coeffs = {"a": jnp.asarray(np.random.default_rng(0).normal(size=(control.n_coeffs, 2)))}
    finer, fine = control.refined(), control.refine(coeffs)
    assert finer.nt == 6 and fine["a"].shape[0] == finer.n_coeffs and finer.steps == 1.4
    expected = control.control.refine(control.smooth(coeffs))["a"]
    np.testing.assert_allclose(finer.smooth(fine)["a"], expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_no_correlation_time_changes_nothing(kind):
    coeffs = {"a": jnp.asarray(np.random.default_rng(0).normal(size=(kind(3).n_coeffs, 2)))}
    np.testing.assert_allclose(SmoothInTime(kind(3), 0.0).smooth(coeffs)["a"], coeffs["a"], atol=1e-14)


@pytest.mark.parametrize("steps", [-1.0, np.nan, np.inf])
def test_other_correlation_times_are_refused(steps):
    with pytest.raises(ValueError, match="needs a finite number"):
        SmoothInTime(PiecewiseConstant(2), steps)
    with pytest.raises(ValueError, match="needs a finite number"):
        ResNet(2, 3, 2, smoothness=steps)


def test_a_smooth_network_is_the_free_one_with_smoothed_weights():
    net = ResNet(2, 4, 6, T=3.0, control="linear", scheme="rk4", smoothness=1.5)
    free = dataclasses.replace(net, smoothness=0.0)
    theta, x = net.init(0, jnp.float64), jnp.asarray([0.3, -0.8])
    layers = net.layers(theta)
    np.testing.assert_allclose(net(theta, x), free({**theta, "flow": layers}, x), rtol=1e-12)
    assert free.layers(theta) is theta["flow"]
    difference = np.diff(np.eye(7), axis=0)
    expected = np.sum((difference @ smoothing(7, 3.0)) ** 2) / np.sum(difference**2)
    smooth, rough = (np.sum(np.diff(np.asarray(tree["K"]), axis=0) ** 2) for tree in (layers, theta["flow"]))
    # Two sums of some hundred squares each: the deviation of their ratio is about a sixth.
    assert expected < 0.25 and 0.5 * expected < smooth / rough < 2 * expected
