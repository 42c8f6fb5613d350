"""A scheme of two parts is judged by the eigenvalues of its steps: against formulas, a dense oracle and a mutant."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis.stability import stability_report, steps
from numdl.flow import Dynamics, Semilinear, get_scheme, linear_part
from numdl.models import ResNet


def two_parts(L, G):
    """``u' = L u + G u``, the first part implicit."""
    field = Semilinear(linear_part(np.asarray(L)), lambda t, u, theta: jnp.asarray(G) @ u)
    return Dynamics("two_parts", lambda rng, m, scale, dtype=None: {"unused": jnp.zeros(1)}, lambda activation: field)


def report_of(dynamics, h, nt=3, width=2):
    net = ResNet(width, width, nt, T=nt * h, dynamics=dynamics, scheme="imex", opening=False)
    return stability_report(net, net.init(0), np.random.default_rng(0).standard_normal((2, width)))


def test_two_numbers_decide_where_the_parts_commute():
    # S = (1 + h g) / (1 - h l) with l = -2 and g = -1, -5: down to -1 at h = 2 / 3; Euler alone: 2 / 7.
    dynamics = two_parts(-2.0, np.diag([-1.0, -5.0]))
    report = report_of(dynamics, 0.6)
    assert report.stable and report.largest_h == pytest.approx(2 / 3, rel=1e-5)
    np.testing.assert_allclose(report.amplification, abs(1 - 0.6 * 5) / (1 + 0.6 * 2), rtol=1e-12)
    assert "keeps down what decays" in report.verdict[0] and "up to h = 0.666" in report.verdict[0]
    report = report_of(dynamics, 0.7)
    assert not report.stable and report.leaves.all()
    assert "multiplies what decays by up to 1.04 per step in layers 0-2; use" in report.verdict[0]
    assert "h <= 0.666" in report.verdict[0]


def test_what_is_taken_implicitly_bounds_no_step():
    report = report_of(two_parts(-50.0, np.zeros((2, 2))), 10.0)
    assert report.stable and report.largest_h == np.inf and "at any step size" in report.verdict[0]


def test_growth_of_the_dynamics_themselves_is_none_of_the_scheme():
    report = report_of(two_parts(-1.0, np.diag([3.0, 0.0])), 0.2)  # the flow grows by exp(0.4), the step by 1.6 / 1.2
    np.testing.assert_allclose(report.amplification, 1.6 / 1.2, rtol=1e-12)
    assert not report.leaves.any() and "dynamics themselves grow" in " ".join(report.verdict)


@pytest.mark.parametrize("dynamics", [pytest.param("contractive", marks=pytest.mark.thorough), "reaction_diffusion"])
def test_amplification_is_the_spectral_radius_of_the_dense_step(dynamics, x64):
    net = ResNet(4, 4, 3, T=6.0, dynamics=dynamics, scheme="imex", opening=False)
    theta = jax.tree.map(lambda leaf: 3 * leaf, net.init(1, np.float64))
    x = jnp.asarray(np.random.default_rng(1).standard_normal((2, 4)))
    report = stability_report(net, theta, x)
    _, f, control, coeffs, _, _, h = net.flow(theta, x[0])
    path = np.stack([net.trajectory(theta, row) for row in x])

    def radius(u, j, step):
        cell = jax.tree.map(lambda leaf: leaf[j], control.cells(coeffs))
        S = jax.jacfwd(lambda u: step(f, j * h, h, u, lambda c: control.at(cell, c)))(jnp.asarray(u))
        return np.abs(np.linalg.eigvals(np.asarray(S))).max()

    def dense(step):
        return [max(radius(states[j], j, step) for states in path) for j in range(net.depth)]

    np.testing.assert_allclose(report.amplification, dense(get_scheme("imex").step), rtol=1e-10)
    # The mutant takes all of the dynamics explicitly, as a judgement by h times their eigenvalues would.
    assert np.min(np.abs(report.amplification / dense(get_scheme("euler").step) - 1)) > 0.02


def test_parts_that_do_not_commute(x64):
    # Each part alone decays or turns; together their step is none of the products of their factors.
    L, G, h = np.diag([-8.0, 0.0]), np.array([[0.0, 6.0], [-6.0, -1.0]]), 0.4
    report = report_of(two_parts(L, G), h)
    S = np.linalg.solve(np.eye(2) - h * L, np.eye(2) + h * G)
    np.testing.assert_allclose(report.amplification, np.abs(np.linalg.eigvals(S)).max(), rtol=1e-10)
    # The determinant is the product of the complex pair: it reaches 1 where (1 - h + 36 h^2) = 1 + 8 h, h = 1 / 4.
    assert report.largest_h == pytest.approx(0.25, rel=1e-4) and report.leaves.all()


def test_wide_networks_are_judged_by_products(monkeypatch):
    rng = np.random.default_rng(2)
    dynamics = two_parts(-np.diag(rng.uniform(0, 8, 20)), rng.standard_normal((20, 20)))
    narrow = report_of(dynamics, 0.4, width=20)
    monkeypatch.setattr(steps, "DENSE", 8)
    np.testing.assert_allclose(report_of(dynamics, 0.4, width=20).amplification, narrow.amplification, rtol=1e-6)
