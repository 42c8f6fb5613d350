"""Is a network stable, what would help, and may the continuous adjoint train it? Fitted, by hand, and any maps."""

import jax.numpy as jnp
import numpy as np

from numdl import ResNetRegressor
from numdl.analysis.stability import residual_report, stability_report
from numdl.data import TOYS
from numdl.models import ResNet

# A fitted estimator: rows are given as to predict.
data = TOYS["borehole"](200, random_state=0)
flow = {"width": 6, "depth": 4, "T": 2.0, "dynamics": "antisymmetric"}
model = ResNetRegressor(**flow, n_restarts=1, tol=0.1, random_state=0).fit(data.x, data.c[:, 0])
report, adjoint = model.stability(data.x), model.adjoint_report(data.x)
print("fitted, stable:", report.stable, *report.verdict, sep="\n    ")
print(f"one step amplifies at most {report.amplification.max():.3f} times, all {report.growth[-1]:.3f} times")
print(f"march='adjoint' usable: {adjoint.usable}; {adjoint.verdict[0]}")

# A network by hand, before any training, in another scheme: here inputs are as the network sees them, scaled.
rng = np.random.default_rng(0)
net = ResNet(d=8, scheme="rk4", **flow)
report = stability_report(net, net.init(0), rng.standard_normal((16, 8)))
print(f"by hand, stable: {report.stable}; {report.verdict[0]}")


# Layers of any other origin: JAX functions from one state to the next.
def block(K, size):
    return lambda u: u - size * K.T @ jnp.tanh(K @ u)  # descends in a convex function, if the step is short enough


matrices, states = rng.standard_normal((2, 5, 5)), rng.standard_normal((10, 5))
for size in (0.5, 0.1):
    report = residual_report([block(K, size) for K in matrices], states)
    print(f"blocks of size {size}, stable: {report.stable}; {report.verdict[0]}")
