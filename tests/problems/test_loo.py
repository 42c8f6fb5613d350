"""Leaving one out approximately agrees with leaving one out, and the evidence with its definition."""

import dataclasses

import convex_samples as cs
import numpy as np
import pytest

from numdl.estimators.linear.newton import newton
from numdl.problems.risk.dense_linear import DenseLinear, QuadraticPenalty
from numdl.problems.risk.loo import approximate_loo, laplace_evidence, left_out_scores


class Squares(DenseLinear):
    """Half the squared distance as loss, for which one Newton step is exact."""

    def misfit(self, s):
        return float(self._share @ np.sum((s - self.c) ** 2, axis=1)) / 2

    def residual(self, s):
        return s - self.c

    def bent(self, curved, a, b):
        return np.full(len(curved), float(a == b))

    def wrong(self, s):
        return 0.0


def linear(name, alpha=0.1, square=None, w=cs.WEIGHTS):
    z = np.vstack([cs.X.T, np.ones(cs.N)])
    made = Squares if name == "least_squares" else DenseLinear
    return made(name, QuadraticPenalty(alpha, square), z, cs.TARGETS[name], w)


def fitted(problem):
    W = np.zeros((problem.c.shape[1], len(problem.z)))
    return newton(problem, W, formed=True, tol=1e-12, max_iter=50, observe=lambda history: None)[0]


def without(problem, i):
    """The fit without observation i; the others keep their share of 1/n, as the formula has it."""
    return dataclasses.replace(problem, w=np.where(np.arange(cs.N) == i, 0.0, problem.w))


@pytest.mark.parametrize("name", ["softmax", "logistic", "least_squares"])
def test_agrees_with_refitting(name):
    problem = linear(name, alpha=0.3, w=np.ones(cs.N))
    W = fitted(problem)
    moved = left_out_scores(problem, W, float(cs.N))
    exact = np.stack([problem.scores(fitted(without(problem, i)))[i] for i in range(cs.N)])
    change = np.max(np.abs(exact - problem.scores(W)))
    centred = lambda s: s - s.mean(axis=1, keepdims=True) if name == "softmax" else s  # noqa: E731
    # Exact for squares; one Newton step for the others.
    tolerance = 1e-9 if name == "least_squares" else 0.1 * change
    np.testing.assert_allclose(centred(moved), centred(exact), atol=tolerance)
    with pytest.raises(AssertionError):  # planted: the sign
        np.testing.assert_allclose(centred(2 * problem.scores(W) - moved), centred(exact), atol=tolerance)
    np.testing.assert_allclose(approximate_loo(problem, W, float(cs.N)), problem.misfit(exact), rtol=0.02)


def test_a_row_of_weight_two_is_two_rows():
    w = np.ones(cs.N)
    w[[2, 5]] = 2.0
    twice = np.r_[np.arange(cs.N), 2, 5]
    heavy = linear("softmax", w=w / w.mean())
    repeated = dataclasses.replace(heavy, z=heavy.z[:, twice], c=heavy.c[twice], w=np.ones(len(twice)))
    W, total = fitted(heavy), float(len(twice))
    np.testing.assert_allclose(approximate_loo(heavy, W, total), approximate_loo(repeated, W, total), rtol=1e-10)


@pytest.mark.parametrize("name", ["softmax", "logistic"])
def test_the_evidence_is_a_gaussian_integral(name):
    """``log int exp(-n f) dW`` with the prior's constant, from the dense Hessian."""
    L = np.eye(cs.D) - 0.5 * np.eye(cs.D, k=1)
    problem = linear(name, alpha=0.2, square=L.T @ L)
    W = fitted(problem)
    n, k = 40.0, W.shape[0]
    hessian = n * problem.hessian(problem.scores(W))
    if name == "softmax":
        shift = np.zeros(W.shape)
        shift[:, -1] = 1.0
        hessian += n * np.outer(shift, shift)
    weights = k * cs.D
    expected = -n * problem.value(W) - 0.5 * np.linalg.slogdet(hessian)[1]
    expected += 0.5 * weights * np.log(0.2 * n)
    np.testing.assert_allclose(laplace_evidence(problem, W, n), expected, rtol=1e-9)
