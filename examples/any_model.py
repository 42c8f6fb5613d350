"""Train any model by any optimiser here: an Equinox module, a Flax module, or a function of a pytree and a sample."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from numdl.optimize import LBFGS, LevenbergMarquardt, NewtonCG, minimize
from numdl.problems import LEAST_SQUARES, empirical, split_module

METHODS = {"Levenberg-Marquardt": LevenbergMarquardt(), "Newton-CG": NewtonCG(), "L-BFGS": LBFGS()}


def train(name, apply, params):
    problem = empirical(apply, LEAST_SQUARES, x, c, params, alpha=1e-6)
    for method, optimizer in METHODS.items():
        result, _ = minimize(problem, optimizer, params, max_iter=30)
        objective = result.history["objective"]
        print(f"{name}, {method}: objective {objective[0]:.1e} to {objective[-1]:.1e} in {len(objective)} steps")
    return result.p


def by_hand(params, x):
    """Two layers whose weights are a list of dicts."""
    for layer in params[:-1]:
        x = jnp.tanh(layer["K"] @ x + layer["b"])
    return params[-1]["K"] @ x


with jax.enable_x64(True):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.uniform(-2, 2, (200, 2)))
    c = jnp.sin(x[:, :1]) * x[:, 1:]

    module = eqx.nn.MLP(2, 1, width_size=8, depth=2, activation=jnp.tanh, key=jax.random.key(0))
    apply, params = split_module(module)
    trained = eqx.combine(train("Equinox", apply, params), apply.rest)
    print(f"the trained module is a module: {float(trained(jnp.ones(2))[0]):.3f}, true {np.sin(1):.3f}")

    weights = [
        {"K": jnp.asarray(rng.standard_normal((8, 2))), "b": jnp.asarray(rng.uniform(-1, 1, 8))},
        {"K": jnp.asarray(rng.standard_normal((1, 8)) / 3)},
    ]
    train("by hand", by_hand, weights)

    try:
        import flax.linen as nn
    except ImportError:
        print("Flax is not installed: its part is left out.")
    else:

        class Net(nn.Module):
            @nn.compact
            def __call__(self, x):
                return nn.Dense(1, param_dtype=jnp.float64)(nn.tanh(nn.Dense(8, param_dtype=jnp.float64)(x)))

        net = Net()
        train("Flax", net.apply, net.init(jax.random.key(0), x[0]))
