"""Is a network stable, what would help, and may the continuous adjoint train it? A fitted one, and maps of your own."""

import jax.numpy as jnp
import numpy as np

from numdl import ResNetRegressor
from numdl.data import TOYS
from numdl.flow.stability import residual_report

data = TOYS["borehole"](200, random_state=0)
short = {"dynamics": "antisymmetric", "width": 8, "depth": 8, "n_restarts": 1, "tol": 0.1, "random_state": 0}
for scheme in ("euler", "rk4"):
    model = ResNetRegressor(scheme=scheme, T=4.0, **short).fit(data.x, data.c[:, 0])
    report = model.stability(data.x)  # for a network built by hand: numdl.flow.stability.stability_report
    print(f"{scheme}: stable: {report.stable}; {report.verdict[0]}")
    print(f"    a step multiplies by {report.amplification.max():.3f} at most, all steps by {report.growth[-1]:.2f}")
    adjoint = model.check_adjoint(data.x)  # may march="adjoint" be used?
    print(f"    usable: {adjoint.usable}; {adjoint.verdict[0]}")

# Layers of another library or by hand: any JAX function from a state to a state of the same length.
rng = np.random.default_rng(0)
weights = rng.standard_normal((10, 6, 6))


def block(K, size):
    return lambda u: u - size * K.T @ jnp.tanh(K @ u)  # descends in a convex function


states = rng.standard_normal((20, 6))
for size in (0.5, 0.05):
    report = residual_report([block(K, size) for K in weights], states)
    print(f"blocks of size {size}: stable: {report.stable}", *report.verdict, sep="\n    ")
