"""Pontryagin's maximum principle.

Can Pontryagin's principle train a network, every layer for itself, and what does it cost beside derivatives?

    u_j+1 = u_j + h tanh(K_j u_j + b_j),   20 layers of width 5, T = 5,   u_0 = (x, ..., x),   sum of u_20 = sin x

The basic method of successive approximations minimises each layer's Hamiltonian with states and adjoints held, and
raises the cost. The augmented one (E-MSA) is held back by the errors of state and adjoint equation that a step makes.
Beside it stand Adam, the best of its rates, and Gauss-Newton on the same control problem, and Gauss-Newton with a free
linear head that is eliminated (VarPro): a head that the other networks do not have.

Source: Li, Chen, Tai and E, Maximum principle based algorithms for deep learning, JMLR 18 (2018), sec. 5.1.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from numdl.course.outcome import Outcome, Parameter, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Maximum principle: each layer for itself goes too far, held back it trains; Gauss-Newton leads"
WIDTH, DEPTH, ALPHA = 5, 20, 1e-6
RATES = (3e-3, 1e-2, 3e-2)
PARAMETERS = {
    "T": Parameter(5.0, 0.5, 10.0, "time at which the flow ends"),
    "inner": Parameter(5, 1, 20, "steps of L-BFGS by which a layer minimises its Hamiltonian"),
}
EMSA, BASIC, ADAM, NEWTON, VARPRO = "E-MSA", "basic MSA", "Adam", "Gauss-Newton", "VarPro Gauss-Newton"


def run(
    quick: bool,
    random_state: int,
    *,
    T: float = PARAMETERS["T"].default,
    inner: float = PARAMETERS["inner"].default,
) -> Outcome:
    """All methods from the same weights, for the same number of passes over the samples.

    Args:
        quick: fewer samples and passes, one rate of Adam.
        random_state: seed of the weights.
        T: time at which the flow ends.
        inner: steps by which a layer minimises its Hamiltonian.

    Returns:
        Curves, claims and figure.
    """
    import jax

    with jax.enable_x64(True):
        posed = problems(40 if quick else 200, random_state, T)
        return _train(posed, 400 if quick else 4000, RATES[1:2] if quick else RATES, int(inner))


def total(u: Any) -> Any:
    """What the loss sees of a state: the sum of its entries."""
    return u.sum(keepdims=True)


def problems(n: int, random_state: int, T: float = PARAMETERS["T"].default) -> tuple[Any, Any, Any]:
    """The sine as a control problem, the same with a free head, and random weights.

    Args:
        n: number of samples, evenly spaced in [-pi, pi].
        random_state: seed of the weights.
        T: time at which the flow ends.

    Returns:
        ``ControlProblem``, ``VarPro`` and the weights of the layers.
    """
    import jax.numpy as jnp

    from numdl.control import ControlProblem
    from numdl.flow import PiecewiseConstant, get_activation, get_dynamics, get_scheme
    from numdl.models import ResNet
    from numdl.problems import LEAST_SQUARES, VarPro
    from numdl.regularize import GroupPenalty

    x = np.linspace(-np.pi, np.pi, n)[:, None]
    net = ResNet(WIDTH, WIDTH, DEPTH, T=T, opening=False)
    theta = net.init(random_state)
    u0, c = jnp.asarray(np.repeat(x, WIDTH, axis=1)), jnp.asarray(np.sin(x))
    penalty = GroupPenalty(jnp.full(1, ALPHA), jnp.zeros(net.n_parameters, jnp.int32))
    f = get_dynamics("plain").vector_field(get_activation("tanh"))
    scheme, control, h = get_scheme("euler"), PiecewiseConstant(DEPTH), jnp.asarray(T / DEPTH)
    fixed = ControlProblem(scheme, f, control, u0, h, c, LEAST_SQUARES, total, None, penalty)
    free = VarPro(net, LEAST_SQUARES, u0, c, jnp.ones(n), penalty, jnp.asarray(ALPHA))
    return fixed, free, theta["flow"]


def _train(posed: tuple[Any, Any, Any], work: int, rates: tuple[float, ...], inner: int) -> Outcome:
    import optax

    from numdl.control import SuccessiveApproximations
    from numdl.optimize import Entry, NewtonCG, Optax, compare

    fixed, free, theta = posed
    newton = NewtonCG(max_products=20)
    methods: dict[str, Any] = {
        EMSA: SuccessiveApproximations(inner_steps=inner),
        BASIC: SuccessiveApproximations(inner_steps=inner, augmented=False),
        NEWTON: newton,
        VARPRO: Entry(newton, problem=free, p={"flow": theta}, aux=free.first_head({"flow": theta})),
    }
    curves = compare(fixed, methods, theta, work=work)
    tried = compare(fixed, {f"{rate:g}": Optax(optax.adam(rate)) for rate in rates}, theta, work=work)
    rate = min(tried, key=lambda name: tried[name].training[-1])
    curves[ADAM] = tried[rate]
    zero = float(np.mean(np.asarray(fixed.c) ** 2) / 2)
    start = float(fixed.held_out(theta, None))
    reached = {name: float(np.min(curve.training)) for name, curve in curves.items()}
    numbers = {
        "samples": len(fixed.c),
        "work": work,
        "misfit_at_the_start": start,
        "misfit_of_zero": zero,
        "lowest_misfit": reached,
        "misfit_at_the_end": {name: float(curve.training[-1]) for name, curve in curves.items()},
        "rate_of_adam": float(rate),
        "rho": curves[EMSA].result.history["damping"],
    }
    claims = [
        at_least("Basic MSA ends at the misfit of the constant 0 times", curves[BASIC].training[-1] / zero, 1.0),
        at_most("E-MSA reaches it times", reached[EMSA] / zero, 0.1),
        at_most("Its cost never rises: the largest change is", float(np.max(_changes(curves[EMSA]))), 0.0),
        at_most("At equal work Gauss-Newton reaches the misfit of E-MSA times", reached[NEWTON] / reached[EMSA], 1.0),
    ]
    scores = {name: np.asarray(fixed.states(curves[name].result.p)[-1].sum(axis=1)) for name in (EMSA, ADAM, NEWTON)}
    return Outcome(numbers, claims, partial(_draw, np.asarray(fixed.u0[:, 0]), scores, curves))


def _changes(curve: Any) -> np.ndarray:
    """Changes of the objective from step to step."""
    return np.diff(curve.result.history["objective"])


def _draw(x: np.ndarray, scores: dict[str, np.ndarray], curves: dict[str, Any], figure: Figure) -> None:
    """Misfits over the work, errors of the trained networks, and what held E-MSA back."""
    from numdl.plots.canvas import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, logarithmic

    colors: dict[str, str] = dict(
        zip((EMSA, BASIC, ADAM, NEWTON, VARPRO), (BLUE, GREY, ORANGE, GREEN, PURPLE), strict=True)
    )
    parts = figure.subplot_mosaic([["misfit", "misfit"], ["error", "rho"]], height_ratios=[1.4, 1.0])
    for name, color in colors.items():
        parts["misfit"].plot(curves[name].work, curves[name].training, color=color, label=name)
    logarithmic(parts["misfit"], np.concatenate([curve.training for curve in curves.values()]))
    parts["misfit"].set(
        xlabel="work, passes over the samples", ylabel="mean misfit", title="sin x, 20 layers of width 5"
    )
    low, high = parts["misfit"].get_ylim()
    parts["misfit"].set_ylim(low, 100 * high)
    parts["misfit"].legend(loc="upper center", ncols=5)
    for name, values in scores.items():
        parts["error"].plot(x, values - np.sin(x), color=colors[name], label=name)
    parts["error"].set(xlabel="x", ylabel="network - sin x", title="Error")
    history = curves[EMSA].result.history
    for name, label, color in (("damping", "rho", INK), ("missed", "errors e", RED)):
        parts["rho"].plot(history["work"], history[name], color=color, label=label)
    logarithmic(parts["rho"], np.concatenate([history["damping"], history["missed"]]))
    parts["rho"].set(xlabel="work, passes over the samples", ylabel="rho and e", title="What holds E-MSA back")
    parts["rho"].legend(loc="best")
