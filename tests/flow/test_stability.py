"""A stability report against numbers computed by hand, and planted mutants that it must see."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis.stability import (
    adjoint_report,
    first_scheme,
    largest_step,
    residual_report,
    spectra,
    stability_report,
)
from numdl.analysis.stability.layers import layers_of_net
from numdl.flow import SCHEMES, get_dynamics
from numdl.models import ResNet

TURN = np.array([[0.0, 1.0], [-1.0, 0.0]])


def turning(damping, h, nt=4):
    """Euler steps of ``u' = (2 TURN - damping I) u``, eigenvalues ``-damping +- 2i``."""
    step = np.eye(2) + h * (2 * TURN - damping * np.eye(2))
    return [lambda u: step @ u] * nt


def test_turning_without_damping_is_unstable_for_euler_at_every_step():
    report = residual_report(turning(0.0, 0.5), np.ones((1, 2)), h=0.5)
    assert not report.stable and report.leaves.all()
    np.testing.assert_allclose(report.amplification, np.sqrt(2), rtol=1e-12)
    np.testing.assert_allclose(np.sort(report.eigenvalues[0, 0].imag), [-2, 2], rtol=1e-12)
    np.testing.assert_allclose(report.growth, np.sqrt(2) ** np.arange(5), rtol=1e-12)
    np.testing.assert_allclose(report.gradients, np.sqrt(2) ** np.arange(4, -1, -1), rtol=1e-12)
    np.testing.assert_allclose(report.exponents, np.log(2), rtol=1e-12)  # log(sqrt 2) / h
    np.testing.assert_allclose(report.bound, 1.0)  # the logarithmic norm of an antisymmetric matrix is 0
    np.testing.assert_allclose(report.worst, 4.0, rtol=1e-12)
    assert report.largest_h == 0 and report.better_scheme == "rk3"  # Heun leaves the axis as well
    assert report.verdict[0].startswith("Forward Euler with h = 0.5 leaves the stability region in layers 0-3; use rk3")


def test_with_damping_the_recommended_step_is_that_of_the_formula():
    report = residual_report(turning(1.0, 0.5), np.ones((1, 2)), h=0.5)
    assert report.largest_h == pytest.approx(2 * 1.0 / (1.0 + 4.0), rel=1e-9)  # -2 Re / |lambda|^2
    assert report.verdict[0].endswith("use heun or h <= 0.4.")
    assert residual_report(turning(1.0, 0.39), np.ones((1, 2)), h=0.39).stable


@pytest.mark.parametrize(
    ("scheme", "values", "separable", "bound"),
    [
        ("euler", [-2.0], False, 1.0),
        ("rk3", [2j], False, np.sqrt(3) / 2),
        ("rk4", [2j], False, np.sqrt(2)),
        ("adams_bashforth", [-2.0], False, 0.5),
        ("verlet", [2j], True, 1.0),
        ("symplectic_euler", [2j], True, 1.0),
        ("implicit_midpoint", [2j, -9.0], False, np.inf),
    ],
)
def test_largest_steps_are_those_of_the_books(scheme, values, separable, bound):
    found = largest_step(SCHEMES[scheme], np.array(values, complex), 0.3, separable)
    assert found == pytest.approx(bound, rel=1e-3)


def test_the_first_scheme_that_contains_all():
    assert first_scheme(np.array([-1.0 + 0j]), False) == "euler"
    assert first_scheme(np.array([1.9j]), True) == "rk4"
    assert first_scheme(np.array([-9.0 + 0j]), False) == "implicit_midpoint"


def test_parabolic_never_expands_and_a_flipped_sign_is_seen():
    x = np.random.default_rng(0).normal(size=(3, 2))
    net = ResNet(2, 3, 4, T=1.0, dynamics="parabolic")
    report = stability_report(net, net.init(0), x)
    assert report.stable and report.spread.max() <= 1 + 1e-12 and (report.promised == 1).all()
    assert report.log_norm.max() <= 1e-12 and set(report.rediscretised) == {"nt/2", "2 nt", "4 nt", "rk4"}
    own = get_dynamics("parabolic")

    def flipped(activation):
        f = own.vector_field(activation)
        return lambda t, u, theta: -f(t, u, theta)

    mutant = ResNet(2, 3, 4, T=1.0, dynamics=own._replace(name="flipped", vector_field=flipped))
    report = stability_report(mutant, mutant.init(0), x)
    assert not report.keeps_promise and any("against the promise" in said for said in report.verdict)


@pytest.mark.usefixtures("x64")
def test_spectra_from_products_are_those_of_the_jacobians(monkeypatch):
    """ARPACK against eigenvalues of full matrices; a mutant whose products are off by a percent is seen."""
    net = ResNet(24, 24, 2, T=1.0, opening=False)
    theta, u = net.init(0), jnp.asarray(np.random.default_rng(2).normal(size=(2, 24)))
    layers = layers_of_net(net, theta, u[0])
    values, norms = spectra.spectra(layers, [u, 0.5 * u])
    monkeypatch.setattr(spectra, "DENSE", 8)
    few, norms_few = spectra.spectra(layers, [u, 0.5 * u])
    assert few.shape == (2, 2, 16) and np.isfinite(few).all()
    np.testing.assert_allclose(norms_few, norms, rtol=1e-7)
    for part in (np.abs, np.real):
        np.testing.assert_allclose(part(few).max(axis=2), part(values).max(axis=2), rtol=1e-7)
    distance = np.abs(few[..., None] - values[:, :, None]).min(axis=-1)
    assert distance.max() < 1e-7 * np.abs(values).max()
    mutant = layers._replace(rate=lambda u, step: 1.01 * layers.rate(u, step))
    assert np.min(spectra.spectra(mutant, [u, 0.5 * u])[1] / norms) > 1.005


def test_an_overflow_names_layer_and_step():
    maps = [lambda u: 2 * u, lambda u: u * jnp.inf, lambda u: u]
    report = residual_report(maps, np.ones((1, 2)))
    assert report.overflow == 1 and report.verdict[0].startswith("Overflow in layer 1, step size h = 1")


def test_modules_of_equinox_are_maps():
    """They have arrays and no hash; a linear one says what its matrix does."""

    class Residual(eqx.Module):
        K: jax.Array

        def __call__(self, u):
            return u + 0.5 * self.K @ u

    with jax.enable_x64(True):
        module, half = Residual(jnp.asarray(2 * TURN)), Residual(jnp.asarray(TURN))
    report = residual_report([module, module, half], np.ones((1, 2)), h=0.5)
    np.testing.assert_allclose(report.amplification, np.sqrt([2, 2, 1.25]), rtol=1e-12)
    np.testing.assert_allclose(np.sort(report.eigenvalues[:, 0].imag), [[-2, 2], [-2, 2], [-1, 1]], rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "message"),
    [([[np.nan, 0.0]], "column 0, row 1"), (np.zeros((0, 2)), "n >= 1"), ([1.0, 2.0], "samples in rows")],
)
def test_samples_that_cannot_be_used_are_refused(x, message):
    net = ResNet(2, 2, 1)
    with pytest.raises(ValueError, match=message):
        stability_report(net, net.init(0), x)


def test_weights_of_zero_change_nothing_and_those_that_are_not_finite_are_refused():
    net = ResNet(2, 2, 2)
    zero = jax.tree.map(jnp.zeros_like, net.init(0))
    report = stability_report(net, zero, np.ones((1, 2)))
    assert set(report.rediscretised.values()) == {0.0} and "nan" not in " ".join(report.verdict)
    assert not np.isnan(adjoint_report(net, zero, np.ones((1, 2))).reconstructed).any()
    theta = net.init(0)
    theta["flow"]["b"] = theta["flow"]["b"].at[1, 0].set(jnp.nan)
    for ask in (stability_report, adjoint_report):
        with pytest.raises(ValueError, match=r"theta\['flow'\]\['b'\] is not finite"):
            ask(net, theta, np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"loss of shape \(1, 2\)"):
        adjoint_report(net, net.init(0), np.ones((1, 2)), lambda u: u)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda theta: {}, r"theta\['flow'\]\['K'\] is missing, it is empty.*net.init\(key\)"),
        (lambda theta: theta["flow"], r"theta\['flow'\]\['K'\] is missing, it has \['K'\], \['b'\]"),
        (lambda theta: {"flow": theta["flow"]}, r"theta\['opening'\]\['K'\] is missing"),
        (
            lambda theta: theta | {"flow": jax.tree.map(lambda a: a[:1], theta["flow"])},
            r"\(1, 2, 2\), needs \(2, 2, 2\)",
        ),
    ],
)
def test_weights_of_another_network_are_refused(change, message):
    net = ResNet(2, 2, 2)
    for ask in (stability_report, adjoint_report):
        with pytest.raises(ValueError, match=f"{ask.__name__}.theta.*{message}"):
            ask(net, change(net.init(0)), np.ones((1, 2)))


def test_what_has_no_layers_is_refused():
    net = ResNet(2, 2, 0)
    with pytest.raises(ValueError, match="depth >= 1"):
        stability_report(net, net.init(0), np.ones((1, 2)))
    with pytest.raises(TypeError, match="no flow"):
        stability_report(object(), {}, np.ones((1, 2)))
    with pytest.raises(ValueError, match="no maps"):
        residual_report([], np.ones((1, 2)))
    for wrong in (np.linalg.norm, lambda u: np.tanh(u) + u):
        with pytest.raises(TypeError, match=r"layer 1 is .*needs a JAX function of one state"):
            residual_report([jnp.tanh, wrong], np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"layer 0 maps \(2,\) to None"):
        residual_report([lambda u: (u, u)], np.ones((1, 2)))
