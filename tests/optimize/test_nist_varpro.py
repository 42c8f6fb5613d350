"""Certified nonlinear regression without starts for linear parameters, and certified standard deviations."""

import jax.numpy as jnp
import numpy as np
import pytest
from nist_regression import DEVIATIONS, LINEAR, PROBLEMS, Separable, digits

from numdl.optimize import LevenbergMarquardtQR, minimize
from numdl.problems import NonlinearLeastSquares, confidence, separable

# From this far start the denominator grows without bound: a plateau at the far end of the valley.
ASTRAY = ("MGH09", 0)
# Two exponentials of one form: which of them is the first one is rounding's to say.
EXCHANGED = {"MGH17": [0, 2, 1, 4, 3]}


def reduced(name):
    """The problem in its nonlinear parameters, and its two starts."""
    found = PROBLEMS[name]
    features = Separable(found.model, LINEAR[name], len(found.certified))
    starts = found.starts[:, features.nonlinear]
    return separable(features, starts[0], found.x, found.c), starts


FEW = ("Misra1a", "Chwirut2", "Lanczos3", "MGH10", "Eckerle4")


@pytest.mark.quick("MGH10", "Lanczos3")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.thorough) for name in LINEAR]
)
def test_variable_projection_finds_the_certified_parameters(name, x64):
    (problem, starts), found = reduced(name), PROBLEMS[name]
    for which, start in enumerate(starts):
        theta = jnp.asarray(start)
        method = LevenbergMarquardtQR(tol=1e-12)
        result, _ = minimize(problem, method, theta, problem.first_head(theta), max_iter=1000)
        whole = problem.features.whole(result.p, result.aux)
        correct = max(digits(one, found.certified) for one in (whole, whole[EXCHANGED.get(name, slice(None))]))
        assert (correct >= 8) == ((name, which) != ASTRAY), (which, correct, result.status)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_deviations_are_the_certified_ones(name, x64):
    found, certified = PROBLEMS[name], np.array([float(word) for word in DEVIATIONS[name].split()])
    joint = NonlinearLeastSquares(found.model, jnp.asarray(found.x), jnp.asarray(found.c))
    whole = confidence(joint, jnp.asarray(found.certified))
    assert digits(whole.deviation, certified) >= 6
    np.testing.assert_allclose(whole.noise, np.sqrt(found.squares / (len(found.c) - len(certified))), rtol=1e-8)
    problem, _ = reduced(name)
    theta, head = (jnp.asarray(found.certified[list(which)]) for which in (problem.features.nonlinear, LINEAR[name]))
    part = confidence(problem, theta, head[None])
    assert (
        digits(problem.features.whole(part.deviation[: len(theta)], part.deviation[None, len(theta) :]), certified) >= 6
    )
