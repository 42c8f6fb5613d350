"""The error of the continuous adjoint is measured, detected where it is large, and falls with the order elsewhere."""

import jax.numpy as jnp
import numpy as np
import pytest

from numdl.analysis.stability import adjoint_report
from numdl.analysis.stability.adjoint import shown
from numdl.models import ResNet

X = np.random.default_rng(0).normal(size=(4, 6))


def parabolic(scale):
    net = ResNet(6, 6, 20, T=2.0, dynamics="parabolic", scheme="rk4", opening=False)
    K = scale * np.random.default_rng(1).normal(size=(6, 6)) / 6**0.5
    return net, {"flow": {"K": np.broadcast_to(K, (20, 6, 6)), "b": np.zeros((20, 6))}}


def test_a_flow_that_contracts_is_detected():
    report = adjoint_report(*parabolic(3.5), X)
    assert report.weights > 1 and not report.usable
    assert report.reconstructed[0] > 0.1 and report.reconstructed[-1] == 0
    assert report.verdict[0].startswith("The continuous adjoint is wrong")
    assert any("contracts" in said for said in report.verdict)
    # Orders: 2 for the derivative of the steps, 1 for a slope that is wrong.
    orders = [np.log2(part[-3] / part[-2]) for part in (report.discrete, report.continuous)]
    assert abs(orders[0] - 2) < 0.1 and abs(orders[1] - 1) < 0.1
    assert str(report).count("\n") == len(report.verdict) + len(report.sizes)


def test_the_error_falls_with_the_order_where_nothing_contracts():
    net = ResNet(6, 6, 8, T=1.0, dynamics="antisymmetric", scheme="heun", opening=False)
    report = adjoint_report(net, net.init(0), X, lambda u: jnp.sum(jnp.sin(u)))
    assert report.usable and report.weights < 0.02 and 1.5 < np.log2(report.weights / report.finer) < 3.5
    assert "comes back" in report.verdict[1] and "twice as many steps" in report.verdict[2]


def test_what_cannot_be_asked_is_refused():
    net = ResNet(6, 6, 3, dynamics="hamiltonian", scheme="verlet")
    with pytest.raises(ValueError, match="no halves"):
        adjoint_report(net, net.init(0), X)
    net = ResNet(6, 6, 3)
    with pytest.raises(ValueError, match="nothing to compare"):
        adjoint_report(net, net.init(0), X, lambda u: 0.0 * jnp.sum(u))
    with pytest.raises(TypeError, match="no flow"):
        adjoint_report(object(), {}, X)


@pytest.mark.parametrize(
    ("error", "text"),
    [(0.1, "0.1"), (0.1004, "0.1004"), (0.0998, "0.0998"), (0.102, "0.102"), (0.123, "0.12"), (0.00101, "0.00101"),
     (np.inf, "inf"), (np.nan, "nan"), (0.0, "0")],
)  # fmt: skip
def test_an_error_is_told_from_the_limit_of_the_verdict(error, text):
    assert shown(error) == text
