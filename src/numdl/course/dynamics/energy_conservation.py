"""Energy of Hamiltonian networks: does a scheme keep the energy that the dynamics conserve, and for how long?

    y' = K1' tanh(K1 z + b1),    z' = -K2' tanh(K2 y + b2)

has the energy ``sum log cosh(K1 z + b1) + sum log cosh(K2 y + b2)``. Euler's and Runge-Kutta schemes of order p let it
drift: the error grows with time, like ``t h^p`` at best. Symplectic schemes conserve a nearby energy, to all orders
of h, for times of ``exp(1 / h)``: their error is of size ``h^p``, and stays there. Weights do not move in time here;
where they do, no energy is conserved by the flow itself.

Source: Hairer, Lubich and Wanner, Geometric numerical integration, Springer 2006, sec. IX.8.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Symplectic steps keep the energy of a Hamiltonian network, however deep; others let it drift"
WIDTH = 4
PARAMETERS = {"h": Parameter(0.2, 0.01, 0.5, "length of a step, in time")}
DRIFTING = ("euler", "heun", "rk4")
SYMPLECTIC = ("symplectic_euler", "verlet", "implicit_midpoint")
ORDERS = {"symplectic_euler": 1, "verlet": 2, "implicit_midpoint": 2}


def run(quick: bool, random_state: int, *, h: float = PARAMETERS["h"].default) -> Outcome:
    """Relative error of the energy along one path, over time and over the step size.

    Args:
        quick: a path of 2000 steps instead of 20000.
        random_state: seed of weights and start.
        h: length of a step, in time.

    Returns:
        Errors, claims and figure.
    """
    import jax

    nt = 2000 if quick else 20000
    steps = h / 2.0 ** np.arange(4)
    with jax.enable_x64(True):
        errors = {name: energy_errors(name, h, nt, random_state) for name in (*DRIFTING, *SYMPLECTIC)}
        largest = {
            name: [float(energy_errors(name, size, round(20 / size), random_state).max()) for size in steps]
            for name in ORDERS
        }
    observed = {name: float(np.log2(np.array(found[:-1]) / found[1:])[-1]) for name, found in largest.items()}
    early = {name: float(found[: nt // 10].max()) for name, found in errors.items()}
    late = {name: float(found[-nt // 10 :].max()) for name, found in errors.items()}
    numbers = {"steps": steps, "h": h, "first_tenth": early, "last_tenth": late, "largest": largest, "order": observed}
    claims = [at_least("Forward Euler: the energy is off by", late["euler"], 1.0)]
    claims += [
        at_least(f"{name}: the last tenth of the path errs more by", late[name] / early[name], 5.0)
        for name in ("heun", "rk4")
    ]
    claims += [
        at_most(f"{name}: the last tenth of the path errs more by", late[name] / early[name], 1.2)
        for name in SYMPLECTIC
    ]
    claims += [
        at_most(f"{name}: its order in h differs from {p} by", abs(observed[name] - p), 0.1)
        for name, p in ORDERS.items()
    ]
    return Outcome(numbers, claims, partial(_draw, errors, steps, largest))


def energy_errors(scheme: str, h: float, nt: int, seed: int) -> np.ndarray:
    """``|H(u_j) - H(u_0)| / H(u_0)`` along a path.

    Args:
        scheme: key of ``SCHEMES``.
        h: step size.
        nt: number of steps.
        seed: of weights and start.

    Returns:
        (nt + 1,).
    """
    import jax
    import jax.numpy as jnp

    from numdl.flow import BasisInTime, energy, get_activation, get_dynamics, get_scheme, serial

    field = get_dynamics("double_hamiltonian")
    f, rng = field.vector_field(get_activation("tanh")), np.random.default_rng(seed)
    layer = field.init(rng, WIDTH, 1.0, jnp.float64)
    weights = {name: leaf[None] for name, leaf in layer.items()}

    @jax.jit
    def along(u0: jax.Array, h: jax.Array) -> jax.Array:
        states = serial(get_scheme(scheme), f, BasisInTime(nt, 1, "legendre"), weights, u0, 0.0, h)
        return jax.vmap(lambda u: energy("double_hamiltonian", "tanh", u, layer))(states)

    found = np.asarray(along(jnp.asarray(rng.standard_normal(WIDTH)), jnp.asarray(h)))
    return np.abs(found - found[0]) / found[0]


def _draw(errors: dict[str, np.ndarray], steps: np.ndarray, largest: dict[str, list[float]], figure: Figure) -> None:
    """Error of the energy over time on the left; its largest value over the step size on the right."""
    from numdl.plots.canvas import CYCLE, GREY, logarithmic, logarithmic_x

    left, right = figure.subplots(1, 2)
    colors = dict(zip(errors, CYCLE, strict=False))
    for name, found in errors.items():
        # The largest error so far, which does not hide the curves behind oscillations.
        at = np.unique(np.geomspace(1, len(found) - 1, 200).astype(int))
        left.plot(at * steps[0], np.maximum.accumulate(found)[at], color=colors[name], label=name.replace("_", " "))
    logarithmic(left, np.array([1e-6, 1e2]))
    logarithmic_x(left)
    left.set(xlabel="time", ylabel="relative error", title=f"Largest error of the energy so far, h = {steps[0]:g}")
    left.legend()
    for name, found in largest.items():
        right.plot(steps, found, color=colors[name], marker="o", label=name.replace("_", " "))
    logarithmic(right, np.ravel(list(largest.values())))
    logarithmic_x(right)
    right.set(xlabel="step size", ylabel="relative error", title="Largest error up to time 20")
    right.set_xticks(steps, [f"{h:g}" for h in steps])
    right.plot(steps, largest["verlet"][0] * (steps / steps[0]) ** 2, color=GREY, linestyle="--", label="power 2 of h")
    right.legend()
