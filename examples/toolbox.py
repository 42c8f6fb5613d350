"""Build the parts by hand: a residual network, the problem without its head, and a method that lowers it."""

import jax
import jax.numpy as jnp
import numpy as np

from numdl.data import TOYS, Scaler
from numdl.models import ResNet
from numdl.optimize import LevenbergMarquardt, minimize
from numdl.problems import LEAST_SQUARES, VarPro
from numdl.regularize import GroupPenalty, group_labels

with jax.enable_x64(True):
    data = TOYS["peaks-regression"](1000, random_state=0)
    inputs, target = Scaler.fit(data.x[:800]), Scaler.fit(data.c[:800])
    x, c = jnp.asarray(inputs.transform(data.x)), jnp.asarray(target.transform(data.c))

    net = ResNet(d=2, width=8, depth=6, T=4.0, dynamics="antisymmetric", scheme="euler")
    theta = net.init(jax.random.key(0))
    labels, names = group_labels(theta, "kind")  # one penalty parameter for each kind of weight
    penalty = GroupPenalty(alpha=jnp.full(len(names), 1e-8), labels=jnp.asarray(labels))
    problem = VarPro(net, LEAST_SQUARES, x[:800], c[:800], jnp.ones(800), penalty, alpha_head=jnp.asarray(1e-8))

    result, progress = minimize(problem, LevenbergMarquardt(), theta, problem.first_head(theta), max_iter=40)
    print(f"{net.n_parameters} weights in {', '.join(names)}; {result.status.message}")
    print("objective:", *(f"{value:.1e}" for value in result.history["objective"][::10]))

    scores = problem.scores(net.batch(result.p, x[800:]), result.aux)
    error = np.sqrt(np.mean((target.inverse(np.asarray(scores)) - data.c[800:]) ** 2))
    print(f"root mean square error on 200 other points: {error:.2g}, against a spread of {data.c.std():.2g}")

    result, progress = minimize(problem, LevenbergMarquardt(), theta, max_iter=45, resume=progress)
    print(f"five iterations more: objective {result.history['objective'][-1]:.1e}")
