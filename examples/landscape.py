"""Look at an objective: is the gradient right, how stiff is it, and what lies between two minimisers?"""

import jax
import jax.numpy as jnp
import numpy as np

from numdl.analysis import cut, multistart, spectrum
from numdl.models import ResNet
from numdl.optimize import LevenbergMarquardt
from numdl.problems import LEAST_SQUARES, VarPro
from numdl.regularize import GroupPenalty
from numdl.testing import check_gradient

with jax.enable_x64(True):
    x = jnp.asarray(np.random.default_rng(0).uniform(-2, 2, (200, 1)))
    net = ResNet(d=1, width=4, depth=2, T=2.0)
    penalty = GroupPenalty(jnp.full(1, 1e-6), jnp.zeros(net.n_parameters, int))
    problem = VarPro(net, LEAST_SQUARES, x, jnp.sin(4 * x), jnp.ones(200), penalty, jnp.asarray(1e-6))

    check_gradient(problem, net.init(0))  # prints the Taylor table
    ends = multistart(problem, LevenbergMarquardt(), [net.init(seed) for seed in range(6)], max_iter=40)
    print("objectives:", *(f"{value:.1e}" for value in np.sort(ends.values)))
    print("distinct minima:", ends.minima().max() + 1)

    best = ends.point(ends.best)
    found = spectrum(problem, best, kind="gauss-newton")
    print(f"curvature between {found.smallest:.1e} and {found.largest:.1e}")
    other = ends.point(int(np.argsort(ends.values)[1]))
    print(f"barrier between the two best: {cut(problem, best, other).barrier:.1e}")
