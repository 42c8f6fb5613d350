"""Gradients of the course's plain and residual networks against the chain rule written out in NumPy."""

import numpy as np
import pytest

from numdl.course.nonlinear.plain_vs_residual import course_draw, course_gradients


def by_hand(kind, seed):
    """Norm of the gradient, one layer after the other."""
    layers, others, x = course_draw(seed)
    skip = [1.0 if kind == "residual" else 0.0] * 5 + [0.0]

    def states(layers):
        u = [x]
        for K, s in zip(layers, skip, strict=True):
            v = np.tanh(u[-1] @ K.T)
            u.append(v + s * u[-1] if s else v)
        return u

    u, squares = states(layers), 0.0
    back = u[-1] - states(others)[-1]
    for j in reversed(range(6)):
        inner = back * (1 - np.tanh(u[j] @ layers[j].T) ** 2)
        squares += np.sum((inner.T @ u[j]) ** 2)
        back = inner @ layers[j] + (back if skip[j] else 0.0)
    return np.sqrt(squares)


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_gradients_are_those_of_the_chain_rule(x64, kind):
    assert course_gradients(kind, range(3)) == pytest.approx([by_hand(kind, seed) for seed in range(3)], rel=1e-10)


def test_the_identity_is_what_makes_the_difference(x64):
    plain, residual = (course_gradients(kind, range(10)) for kind in ("plain", "residual"))
    assert np.all(residual > 100 * plain) and np.median(residual / plain) > 1e3
    assert by_hand("plain", 0) != pytest.approx(residual[0], rel=0.5)
