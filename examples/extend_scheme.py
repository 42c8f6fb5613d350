"""Add a time-stepping scheme: from its tableau, and by hand; the observed order shows a stage at the wrong time."""

import jax
import jax.numpy as jnp
import numpy as np

from numdl.contracts import Scheme
from numdl.flow import explicit
from numdl.testing import check_order

RALSTON = explicit(2, a=[[], [2 / 3]], b=[1 / 4, 3 / 4])


def step(f, t, h, u, theta):
    """The same by hand, with a mistake: the second stage takes the weights of the start of the step."""
    k1 = f(t, u, theta(0.0))
    k2 = f(t + 2 / 3 * h, u + 2 / 3 * h * k1, theta(0.0))  # should be theta(2 / 3)
    return u + h * (k1 + 3 * k2) / 4


WRONG = Scheme(2, step)


def field(t, u, theta):
    """Nonlinear, moved by time and by weights: an autonomous linear field cannot see wrong stage times."""
    return jnp.sin(theta * u) + jnp.cos(3 * t)


def solve(scheme, nt):
    """State at 1 after nt steps, weights ``1 + sin(4 t)``."""
    h, u = 1.0 / nt, jnp.asarray([0.3, -0.8])
    for j in range(nt):
        u = scheme.step(field, j * h, h, u, lambda c, j=j: 1 + jnp.sin(4 * (j + c) * h))
    return np.asarray(u)


with jax.enable_x64(True):
    exact = solve(explicit(4, a=[[], [1 / 2], [0, 1 / 2], [0, 0, 1]], b=[1 / 6, 1 / 3, 1 / 3, 1 / 6]), 400)
    print(check_order(lambda nt: solve(RALSTON, nt), exact, (40, 80, 160), RALSTON.order))
    try:
        check_order(lambda nt: solve(WRONG, nt), exact, (40, 80, 160), WRONG.order)
    except AssertionError as error:
        print("seen:", str(error).splitlines()[0])
    else:
        raise SystemExit("the mistake was not seen")
print("where a step is stable:", RALSTON.stability(np.array([-0.5, -1.9, -2.1])).round(3))
