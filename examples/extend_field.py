"""Add a right-hand side: a gradient flow, in a network, held to what it promises."""

import jax
import jax.numpy as jnp
import numpy as np

from numdl.analysis.stability import stability_report
from numdl.flow import Dynamics, Guarantee
from numdl.models import ResNet
from numdl.testing import check_adjoint, check_gradient


def init(key, m, scale, dtype=None):
    """Weights of one layer of width m."""
    rng = key if isinstance(key, np.random.Generator) else np.random.default_rng(key)
    K, b = scale / m**0.5 * rng.standard_normal((m, m)), scale * rng.uniform(-1, 1, m)
    return {"K": jnp.asarray(K, dtype), "b": jnp.asarray(b, dtype)}


def vector_field(activation):
    """``f(t, u, theta) = -K' act(K u + b)`` for one sample u (m,)."""

    def f(t, u, theta):
        return -theta["K"].T @ activation(theta["K"] @ u + theta["b"])

    return f


GRADIENT_FLOW = Dynamics("gradient_flow", init, vector_field, (Guarantee.AXIS, Guarantee.DISTANCES))

with jax.enable_x64(True):
    net = ResNet(d=3, width=6, depth=4, T=0.5, dynamics=GRADIENT_FLOW, scheme="heun", march="checkpointed")
    theta = net.init(0, np.float64)
    x = np.random.default_rng(0).standard_normal((10, 3))

    # The derivative of the whole flow: Taylor's theorem, and forwards against backwards.
    slope = jax.jit(jax.value_and_grad(lambda p: jnp.sum(jnp.sin(net.batch(p, x)))))
    print("orders of Taylor's test:", check_gradient(slope, theta, jax.random.key(0)).orders[:5].round(3))
    end, push = jax.linearize(jax.jit(lambda p: net.batch(p, x)), theta)
    pull = jax.linear_transpose(push, theta)
    v = jax.tree.map(lambda a: jnp.asarray(np.random.default_rng(1).standard_normal(a.shape)), theta)
    mismatch = check_adjoint(push, lambda w: pull(w)[0], v, jnp.cos(end))
    print(f"<A v, w> = <v, A' w> to {mismatch:.0e}")

    # What is promised of the flow is measured on samples.
    report = stability_report(net, theta, x)
    print("stable:", report.stable, *report.verdict, sep="\n    ")
