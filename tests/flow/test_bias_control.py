"""The control of the bias of few cycles, against cycles whose bias is known, and faults planted in it."""

import inspect
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import BiasControl, LayerParallel
from numdl.flow.march import bias

pytestmark = pytest.mark.usefixtures("x64")
Q, SHARE = 0.3, 0.02
OFF = np.array([3.0, -4.0])


def known(p, march, x, q=Q):
    """The gradient from k cycles is x p + q^k OFF: its bias has the norm 5 q^k."""
    return x * p @ p / 2 + q**march.cycles * (OFF @ p)


def judge(control_type):
    """All that a control promises, on cycles of a known factor."""
    control = control_type(known, LayerParallel(), SHARE)
    p, spent = jnp.asarray([0.3, 0.4]), []
    for x in (1.0, 1.0, 1e5, 1e5, 1e5, 1e5, 1e5, 1.0):
        before = control.cycles
        found = control(p, x)
        spent.append(found.spent)
        k, size = found.cycles, np.linalg.norm(found.gradient)
        np.testing.assert_allclose(found.gradient, x * p + Q**k * OFF, rtol=1e-12)
        np.testing.assert_allclose(found.value, known(p, SimpleNamespace(cycles=k), x), rtol=1e-12)
        np.testing.assert_allclose(found.bias, 5 * Q**k, rtol=1e-9)  # the estimate is exact here
        assert found.bias <= SHARE * size
        # With one cycle less the bias were too large, where it was not the number of the step before.
        assert k == before + 1 or 5 * Q ** (k - 1) > SHARE * np.linalg.norm(x * p + Q ** (k - 1) * OFF)
        assert found.spent == sum(range(before, k + 1))
        far_below = found.bias <= bias.FAR_BELOW * SHARE * size
        assert control.cycles == (max(1, k - 2) if far_below else k - 1)
    assert spent[1] < spent[0] and spent[6] == 3  # remembered, and given back where a long gradient needs none
    return True


def test_the_known_bias_is_found_held_and_paid_as_little_as_possible():
    assert judge(BiasControl)


def test_a_gradient_of_so_many_cycles_is_that():
    value, gradient = BiasControl(known).inexact(2, jnp.asarray([0.3, 0.4]), 2.0)
    np.testing.assert_allclose(gradient, 2 * np.array([0.3, 0.4]) + Q**2 * OFF, rtol=1e-12)
    np.testing.assert_allclose(value, 0.25 + Q**2 * (OFF @ [0.3, 0.4]), rtol=1e-12)
    with pytest.raises(ValueError, match=r"BiasControl.inexact\(cycles=0\)"):
        BiasControl(known).inexact(0, jnp.ones(2), 2.0)


FAULTS = {
    "the gradient of the cycle before": ("(float(value), gradient,", "(float(value), ravel_pytree(p)[1](old),"),
    "the value of a cycle before": (
        "new = ravel_pytree(gradient)[0]",
        "new, value = ravel_pytree(gradient)[0], self.inexact(k, p, *data)[0]",
    ),
    "the difference for the bias": ("difference * self.factor / (1 - self.factor), ", "difference, "),
    "the bias of the cycle before": (
        "difference * self.factor / (1 - self.factor), ",
        "difference / (1 - self.factor), ",
    ),
    "a factor that is never measured": ("if before:", "if False:"),
    "the factor upside down": ("difference / before", "before / difference"),
    "the first difference kept": ("new, difference", "new, before or difference"),
    "no gradient in the tolerance": ("self.share * float(jnp.linalg.norm(new))", "self.share"),
    "all of the gradient allowed": ("self.share * float(jnp.linalg.norm(new))", "float(jnp.linalg.norm(new))"),
    "never more cycles": ("if bias <= allowed or", "if True or"),
    "always most cycles": ("if bias <= allowed or", "if"),
    "never fewer cycles": ("max(1, k - 1) if", "k if"),
    "always fewer cycles": ("bias <= FAR_BELOW * allowed", "True"),
    "fewer than one cycle": ("max(1, k - 1)", "k - 1"),
    "cycles forgotten": ("k, before = self.cycles, None", "k, before = 1, None"),
    "cycles not counted": ("spent += k + 1", "spent += 1"),
    "the number of the cycle before": ("bias, k + 1, spent", "bias, k, spent"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_control_is_seen(fault):
    """Each is planted in the source, and the oracle above must refuse what comes of it."""
    source, (right, wrong) = inspect.getsource(bias), FAULTS[fault]
    assert source.count(right) == 1
    space = {"__name__": "faulty"}
    exec(compile(source.replace(right, wrong), "faulty", "exec"), space)
    with pytest.raises((AssertionError, ValueError)):
        judge(space["BiasControl"])


def test_cycles_that_do_not_converge_end_at_most_and_say_so():
    control = BiasControl(lambda p, march: known(p, march, 1.0, q=1.5), LayerParallel(), SHARE, most=4)
    found = control(jnp.asarray([0.3, 0.4]))
    assert found.cycles == 4 and found.bias > SHARE * np.linalg.norm(found.gradient)
