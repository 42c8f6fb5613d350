"""Small objectives whose landscape, curvature and minima are known."""

import jax
import jax.numpy as jnp
import numpy as np

from numdl.problems import Empirical, VarPro, get_loss
from numdl.regularize import GroupPenalty

P = 12


def bowl(q):
    """``1/2 q' H q`` with H = diag(1..P), p a dict."""
    flat = jnp.concatenate([q["a"].reshape(-1), q["b"]])
    return 0.5 * jnp.sum(jnp.arange(1.0, P + 1) * flat**2)


def origin():
    return {"a": jnp.zeros((2, 4)), "b": jnp.zeros(4)}


def wells(p):
    """Two wells at (-1, 0) and (1, 0), value 0, with a barrier of 1 between them."""
    return (p[0] ** 2 - 1) ** 2 + p[1] ** 2


def features(theta, x):
    return jnp.tanh(theta["K"] @ x + theta["b"])


def scores(p, x):
    return p["W"] @ jnp.append(features(p, x), 1.0)


def weights(seed=0, m=3, d=2, k=2):
    rng = np.random.default_rng(seed)
    shapes = {"K": (m, d), "W": (k, m + 1), "b": (m,)}
    return {name: jnp.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}


def data(n=15, k=2):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 2))
    return jnp.asarray(x), jnp.asarray(np.eye(k)[rng.integers(k, size=n)])


def penalty(p, alpha=1e-2):
    size = sum(leaf.size for leaf in jax.tree.leaves(p))
    return GroupPenalty(jnp.full(1, alpha), jnp.zeros(size, jnp.int32))


def empirical(loss="softmax"):
    x, c = data()
    return Empirical(scores, get_loss(loss), penalty(weights()), x, c, jnp.ones(len(x)))


def separable(loss="softmax"):
    x, c = data()
    theta = flow_weights()
    return VarPro(features, get_loss(loss), x, c, jnp.ones(len(x)), penalty(theta), jnp.asarray(1e-2))


def flow_weights(seed=0):
    p = weights(seed)
    return {"K": p["K"], "b": p["b"]}


def dense(fun, p):
    """Dense Hessian by automatic differentiation of a flat function."""
    from jax.flatten_util import ravel_pytree

    flat, unravel = ravel_pytree(p)
    return np.asarray(jax.jit(jax.hessian(lambda q: fun(unravel(q))))(flat))
