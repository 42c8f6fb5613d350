"""Samples, labels and weights small enough for dense oracles."""

import jax.numpy as jnp
import numpy as np

from numdl.problems import LEAST_SQUARES, LOGISTIC, SOFTMAX, Empirical, linear_empirical
from numdl.regularize import GroupPenalty, OperatorPenalty

N, D = 30, 4
RNG = np.random.default_rng(2)
X, WEIGHTS = RNG.normal(size=(N, D)), RNG.uniform(0.5, 1.5, N)
WEIGHTS = WEIGHTS / WEIGHTS.mean()
TARGETS = {
    "softmax": np.eye(3)[RNG.integers(3, size=N)],
    "logistic": RNG.integers(2, size=(N, 1)).astype(float),
    "least_squares": RNG.normal(size=(N, 2)),
}
LOSSES = {loss.name: loss for loss in (SOFTMAX, LOGISTIC, LEAST_SQUARES)}


def affine(p, x):
    return p[:, :-1] @ x + p[:, -1]


def network(p, x):
    return p["W"] @ jnp.tanh(p["K"] @ x + p["b"])


def linear(name, alpha=0.1, operator=None, **options):
    penalty = OperatorPenalty(jnp.asarray(alpha), None if operator is None else jnp.asarray(operator))
    return linear_empirical(LOSSES[name], penalty, X, TARGETS[name], WEIGHTS, **options)


def general(name, alpha=0.1, operator=None):
    penalty = OperatorPenalty(jnp.asarray(alpha), None if operator is None else jnp.asarray(operator))
    return Empirical(affine, LOSSES[name], penalty, jnp.asarray(X), jnp.asarray(TARGETS[name]), jnp.asarray(WEIGHTS))


def nonlinear(name, alpha=0.1):
    k = TARGETS[name].shape[1]
    size = 5 * D + 5 + 5 * k
    penalty = GroupPenalty(jnp.full(1, alpha), jnp.zeros(size, jnp.int32))
    problem = Empirical(
        network, LOSSES[name], penalty, jnp.asarray(X), jnp.asarray(TARGETS[name]), jnp.asarray(WEIGHTS)
    )
    rng = np.random.default_rng(4)
    p = {"K": rng.normal(size=(5, D)), "W": rng.normal(size=(k, 5)), "b": rng.normal(size=5)}
    return problem, {name: jnp.asarray(a) for name, a in p.items()}


def weights(name, size=1.0):
    return jnp.asarray(size * np.random.default_rng(7).normal(size=(TARGETS[name].shape[1], D + 1)))
