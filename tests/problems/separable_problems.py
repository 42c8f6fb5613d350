"""Small separable problems with a dense oracle of the full Gauss-Newton matrix."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from numdl.problems import VarPro, get_loss, laplace_metrics
from numdl.regularize import GroupPenalty

N, D, M = 20, 2, 3
KINDS = {"squares": ("least_squares", 2), "wide squares": ("least_squares", 5), "logistic": ("logistic", 1)}
KINDS |= {"softmax": ("softmax", 3), "huber": ("pseudo_huber", 2), "poisson": ("poisson", 2)}


def features(theta, x):
    return jnp.tanh(theta["K"] @ x + theta["b"])


def weights(seed=0):
    rng = np.random.default_rng(seed)
    return {"K": jnp.asarray(rng.normal(size=(M, D))), "b": jnp.asarray(rng.normal(size=M))}


def separable(kind, *, chunk=None, weighted=True, **options):
    """Problem with two groups of penalised weights; samples and their weights are the same for every kind."""
    name, k = KINDS[kind]
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, D))
    target = np.stack([np.sin((j + 1) * x[:, 0]) + x[:, 1] for j in range(k)], axis=1)
    if name == "logistic":
        target = (target + rng.normal(size=target.shape) > 0).astype(float)
    if name == "softmax":
        target = np.eye(k)[np.argmax(target + rng.normal(size=target.shape), axis=1)]
    if name == "poisson":
        target = rng.poisson(np.exp(target)).astype(float)
    w = rng.uniform(0.2, 2.0, N) if weighted else np.ones(N)
    labels = np.repeat([0, 1], [M * D, M])
    return VarPro(
        features,
        get_loss(name),
        jnp.asarray(x),
        jnp.asarray(target),
        jnp.asarray(w / w.mean()),
        GroupPenalty(jnp.array([1e-2, 5e-3]), jnp.asarray(labels, jnp.int32)),
        jnp.asarray(options.pop("alpha_head", 1e-2)),
        chunk=chunk,
        **options,
    )


class Judged(NamedTuple):
    """All a problem says at one point."""

    value: Any  # of ``value``, with its head
    head: Any
    linearized: Any  # value, gradient and head of ``linearize``
    curvature: Any  # its dense curvature
    normal: Any
    laplace: Any


@jax.jit
def judge(problem, theta):
    """Everything from one compilation."""
    start = problem.first_head(theta)
    lin, normal = problem.linearize(theta, start), problem.normal(theta, start)
    vector, unravel = ravel_pytree(theta)
    columns = jax.vmap(lambda e: ravel_pytree(lin.curvature(unravel(e)))[0])(jnp.eye(vector.size))
    factor = jnp.linalg.cholesky(normal.matrix + jnp.diag(normal.diagonal))
    metrics = laplace_metrics(problem, theta, normal, factor)
    return Judged(*problem.value(theta, start), (lin.value, lin.gradient, lin.aux), columns.T, normal, metrics)


@jax.jit
def full_value(problem, theta, head):
    """Objective of the full problem, written once more from its definition."""
    s = jax.vmap(lambda x: head[:, :M] @ problem.features(theta, x) + head[:, M])(problem.x)
    data = jnp.mean(problem.w * jax.vmap(problem.loss.value)(s, problem.c))
    return data + problem.alpha_head / 2 * jnp.sum(head[:, :M] ** 2) + problem.penalty.value(theta)


@jax.jit
def full_matrix(problem, theta, head):
    """Gauss-Newton matrix of the full problem in ``(theta, W)``, penalties included, by a dense Jacobian."""
    vector, unravel = ravel_pytree(theta)
    p = vector.size

    def scores(z):
        weights = z[p:].reshape(head.shape)
        return jax.vmap(lambda x: weights[:, :M] @ problem.features(unravel(z[:p]), x) + weights[:, M])(problem.x)

    z = jnp.concatenate([vector, head.reshape(-1)])
    jacobian, s = jax.jacfwd(scores)(z), scores(z)
    bend = jax.vmap(jax.hessian(problem.loss.value))(s, problem.c)
    matrix = jnp.einsum("nap,nab,nbq->pq", jacobian, problem.w[:, None, None] / len(s) * bend, jacobian)
    penalised = jnp.ones(head.shape).at[:, M].set(0.0).reshape(-1)
    return matrix + jnp.diag(jnp.concatenate([problem.penalty.diagonal, problem.alpha_head * penalised]))


def held(matrix, problem, p):
    """The matrix with the one direction filled that softmax does not see, a common shift of all intercepts."""
    if problem.loss.name != "softmax":
        return np.asarray(matrix)
    k = problem.c.shape[1]
    free = np.zeros((k, M + 1))
    free[:, M] = 1.0
    free = np.concatenate([np.zeros(p), free.reshape(-1)])
    return np.asarray(matrix) + np.outer(free, free)


def schur(matrix, p):
    """Complement of the head's block."""
    a, b, c = matrix[:p, :p], matrix[:p, p:], matrix[p:, p:]
    return a - b @ np.linalg.solve(c, b.T)
