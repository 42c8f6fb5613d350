"""Training loop of an experiment.

How does an experiment train one network with everything in sight: problem, method, errors on the way?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from numdl.contracts import PyTree, Result
from numdl.data import TOYS, Scaler
from numdl.models import ResNet
from numdl.optimize import LevenbergMarquardt, Progress, minimize
from numdl.problems import VarPro, get_loss
from numdl.regularize import GroupPenalty, group_labels

Arrays = tuple[np.ndarray, np.ndarray]


class Trained(NamedTuple):
    """A network after training.

    Attributes:
        problem: the reduced problem on the training part.
        result: weights ``p`` and head ``aux`` that lowered the objective most.
        errors: error on the held-out part after each iteration, (iterations,).
    """

    problem: VarPro
    result: Result
    errors: np.ndarray

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Scores (n, k) of samples (n, d)."""
        return scores(self.problem, self.result.p, self.result.aux, x)


def peaks_surface(n: int, seed: int, noise: float = 0.0) -> tuple[Arrays, Arrays, Scaler, Scaler]:
    """Points of the peaks surface, standardised by those that are trained on, and 1000 more to watch.

    Args:
        n: points to train on.
        seed: of the points.
        noise: standard deviation of that in the targets to train on, over theirs.

    Returns:
        Training and held-out samples and targets, and the scalings of inputs and targets.
    """
    data = TOYS["peaks-regression"](n + 1000, seed)
    inputs, target = Scaler.fit(data.x[:n]), Scaler.fit(data.c[:n])
    x, c = inputs.transform(data.x), target.transform(data.c)
    given = c[:n] + noise * np.random.default_rng(seed + 1).standard_normal((n, 1))
    return (x[:n], given), (x[n:], c[n:]), inputs, target


def train(
    net: ResNet,
    loss: str,
    training: Arrays,
    held_out: Arrays,
    error: Callable[[np.ndarray, np.ndarray], float],
    *,
    alpha: float,
    iterations: int,
    seed: int,
) -> Trained:
    """Levenberg-Marquardt on the problem whose head is eliminated, with one fixed alpha for all weights.

    Args:
        net: architecture.
        loss: key of ``numdl.problems.LOSSES``.
        training: samples (n, d) and targets (n, k), scaled.
        held_out: samples (v, d) and targets (v, k), scaled alike; watched, never trained on.
        error: ``error(scores (v, k), targets (v, k))``.
        alpha: penalty of weights and head, in units of the mean misfit.
        iterations: at most.
        seed: of the first weights.

    Returns:
        The trained network and its errors.
    """
    x, c = (jax.device_put(a) for a in training)  # compiles nothing, other than jnp.asarray
    theta = net.init(jax.random.key(seed), x.dtype)
    penalty = GroupPenalty(
        jax.device_put(np.full(1, alpha, x.dtype)), jax.device_put(np.zeros(net.n_parameters, np.int32))
    )
    weights = jax.device_put(np.ones(len(x), x.dtype))
    held = jax.device_put(np.asarray(alpha, x.dtype))
    problem = VarPro(net, get_loss(loss), x, c, weights, penalty, held)
    errors: list[float] = []

    def watch(progress: Progress) -> None:
        iterate = progress.iterate
        errors.append(error(scores(problem, iterate.p, iterate.aux, held_out[0]), held_out[1]))

    method = LevenbergMarquardt(tol=1e-6)
    result, _ = minimize(problem, method, theta, problem.first_head(theta), max_iter=iterations, observe=watch)
    return Trained(problem, result, np.array(errors))


def reduced(net: ResNet, loss: str, theta: PyTree, x: np.ndarray, c: np.ndarray, alpha: float) -> VarPro:
    """The problem with eliminated head whose penalty is one of functions of time, whatever the number of steps.

    Args:
        net: the features.
        loss: key of ``numdl.problems.LOSSES``.
        theta: weights; only their structure and shapes are used.
        x: samples, (n, d).
        c: targets, (n, k).
        alpha: penalty on opening and head, and on the integral of the squared flow weights over a unit of time.

    Returns:
        The problem.
    """
    labels, names = group_labels(theta, "kind")
    alphas = [alpha * (net.h if name.startswith("flow") else 1.0) for name in names]
    penalty = GroupPenalty(jax.device_put(np.asarray(alphas, float)), jax.device_put(np.asarray(labels)))
    samples, targets, weights = (jax.device_put(a) for a in (x, c, np.ones(len(x))))
    return VarPro(net, get_loss(loss), samples, targets, weights, penalty, jax.device_put(np.float64(alpha)))


def scores(problem: VarPro, theta: PyTree, head: Any, x: np.ndarray) -> np.ndarray:
    """``W [u(theta, x_i); 1]`` of samples that need not be those of the problem.

    Args:
        problem: knows the network and whether there is an intercept.
        theta: weights of the network.
        head: W, (k, m+1).
        x: samples, (n, d).

    Returns:
        (n, k).
    """
    return np.asarray(problem.scores(_embed(problem.features, theta, jax.device_put(x)), head))


@jax.jit(static_argnums=0)
def _embed(features: Callable, theta: PyTree, x: Any) -> Any:
    return jax.vmap(features, (None, 0))(theta, x)
