"""Train a deep network on shallow ones first: a rule says when each has taught what it can.

``ResNetRegressor(depth=16, levels=3)`` and ``numdl fit --depth 16 --levels 3`` do so and choose penalties as well; here
it is done by hand.
"""

import jax
import jax.numpy as jnp
import numpy as np

from numdl.data import TOYS, Scaler
from numdl.models import ResNet, coarsened, prolonged, refined
from numdl.optimize import LevenbergMarquardt, Refinement, minimize, minimize_cascadic
from numdl.problems import LEAST_SQUARES, VarPro
from numdl.regularize import GroupPenalty, group_labels

with jax.enable_x64(True):
    data = TOYS["peaks-regression"](300, random_state=0)
    x, c = (jnp.asarray(Scaler.fit(a).transform(a)) for a in (data.x, data.c))
    net = ResNet(d=2, width=6, depth=16, T=4.0, dynamics="antisymmetric")
    nets = [coarsened(net, levels=3)]  # 4 steps, then 8 and 16
    while nets[-1] != net:
        nets.append(refined(nets[-1]))

    def eliminated(net):
        """The problem without its head; an integral over time is penalised: the step size is a factor."""
        labels, names = group_labels(net.init(0), "kind")
        alpha = [1e-7 * (net.h if name.startswith("flow") else 1.0) for name in names]
        penalty = GroupPenalty(jnp.asarray(alpha), jnp.asarray(labels))
        return VarPro(net, LEAST_SQUARES, x, c, jnp.ones(len(x)), penalty, jnp.asarray(1e-7))

    problems, method, rule = [eliminated(net) for net in nets], LevenbergMarquardt(tol=0.0), Refinement()
    for seed in range(3):
        deep, shallow = net.init(seed), nets[0].init(seed)
        single, _ = minimize(problems[-1], method, deep, problems[-1].first_head(deep), max_iter=60)
        several, _ = minimize_cascadic(
            problems,
            method,
            shallow,
            problems[0].first_head(shallow),
            prolong=lambda level, p: prolonged(nets[level], p),
            rule=rule,  # leave a level whose discretisation error exceeds the progress of five iterations
            max_iter=80,
        )
        # A pass through 4 steps counts a quarter. Not every start gains; on average passes are saved: docs/measured.md.
        one, many = single.history, several.history
        left = [int(np.sum(many["level"] == level)) for level in range(3)]
        ends = [h["objective"][h["work"] <= 240][-1] for h in (one, many)]
        print(f"after 240 passes: 16 steps alone {ends[0]:.1e}; {left} iterations on 4, 8, 16 steps {ends[1]:.1e}")
