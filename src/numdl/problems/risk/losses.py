"""Loss functions: how far are the scores of one sample from its target, and how does that bend?

Every function takes scores ``s (k,)`` and a target ``c (k,)`` of ONE sample; the mean over samples is left to the
problem. All stay finite for ``|s| = 1e4``, and so do their automatic derivatives: no exponential of a positive number
is formed, and no square root of a probability that may underflow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, log_softmax, logsumexp, sigmoid, softplus
from jax.scipy.special import xlogy
from jaxtyping import Array, Float

Scores = Float[Array, " k"]


class Loss(NamedTuple):
    """A misfit of one sample with the derivatives that Gauss-Newton needs.

    Attributes:
        name: the key under which it is registered.
        value: ``value(s, c) -> ()``.
        residual: ``residual(s, c) -> (k,)``, the derivative of value with respect to s.
        hessian: ``hessian(s, c) -> (k, k)``, the second derivative, symmetric positive semidefinite.
        factor: ``factor(s, c) -> (r, k)`` with ``factor' factor = hessian``; here r = k.
        predict: ``predict(s) -> (k,)``: what the scores say about the target, in the target's units or probabilities.
        classes: whether targets are classes, so that an error is a wrong class and not a distance.
    """

    name: str
    value: Callable[[Array, Array], Array]
    residual: Callable[[Array, Array], Array]
    hessian: Callable[[Array, Array], Array]
    factor: Callable[[Array, Array], Array]
    predict: Callable[[Array], Array]
    classes: bool = False


# Least squares: 1/2 ||s - c||^2.


def _square_value(s: Scores, c: Scores) -> Float[Array, ""]:
    return jnp.sum((s - c) ** 2) / 2


def _square_residual(s: Scores, c: Scores) -> Scores:
    return s - c


def _square_hessian(s: Scores, c: Scores) -> Float[Array, "k k"]:
    return jnp.eye(s.shape[0], dtype=jnp.result_type(s, c))


def _square_predict(s: Scores) -> Scores:
    return s


# Softmax cross entropy: -c' log p with p = exp(s) / sum(exp(s)).


def _require_classes(s: Array) -> None:
    if s.shape[0] < 2:
        raise ValueError(f"softmax loss: s has {s.shape[0]} entry, needs k >= 2. Use the logistic loss for one score.")


def _softmax_value(s: Scores, c: Scores) -> Float[Array, ""]:
    _require_classes(s)
    # Shifting by the score of the target first avoids the difference of two large numbers.
    return logsumexp(s - jnp.dot(c, s))


def _softmax_residual(s: Scores, c: Scores) -> Scores:
    return jax.nn.softmax(s) - c


def _softmax_hessian(s: Scores, c: Scores) -> Float[Array, "k k"]:
    p = jax.nn.softmax(s)
    return jnp.diag(p) - jnp.outer(p, p)


def _softmax_factor(s: Scores, c: Scores) -> Float[Array, "k k"]:
    # F = (I - q q') diag(q) with q = sqrt(p), ||q|| = 1: I - q q' is a projection, hence F'F = diag(p) - p p'.
    # sqrt(p) has no derivative where p underflows; exp(log(p) / 2) has.
    q = jnp.exp(log_softmax(s) / 2)
    return jnp.diag(q) - jnp.outer(q, q**2)


def _softmax_predict(s: Scores) -> Scores:
    _require_classes(s)
    return jax.nn.softmax(s)


# Logistic loss: -c log p - (1 - c) log(1 - p) with p = 1 / (1 + exp(-s)), one score.


def _require_one(s: Array) -> None:
    if s.shape[0] != 1:
        raise ValueError(f"logistic loss: s has {s.shape[0]} entries, needs 1. Use the softmax loss for k classes.")


def _logistic_value(s: Scores, c: Scores) -> Float[Array, ""]:
    _require_one(s)
    return jnp.sum(c * softplus(-s) + (1 - c) * softplus(s))


def _logistic_residual(s: Scores, c: Scores) -> Scores:
    # Equal to p - c, without cancellation where the sample is fitted well.
    return (1 - c) * sigmoid(s) - c * sigmoid(-s)


def _logistic_hessian(s: Scores, c: Scores) -> Float[Array, "k k"]:
    return jnp.diag(sigmoid(s) * sigmoid(-s))


def _logistic_factor(s: Scores, c: Scores) -> Float[Array, "k k"]:
    return jnp.diag(jnp.exp((log_sigmoid(s) + log_sigmoid(-s)) / 2))


def _logistic_predict(s: Scores) -> Scores:
    _require_one(s)
    return sigmoid(s)


# Pseudo-Huber: sum_j sqrt(1 + (s_j - c_j)^2) - 1, quadratic near the target and linear far from it.


def _huber_value(s: Scores, c: Scores) -> Float[Array, ""]:
    # sqrt(1 + r^2) - 1 without cancellation for small r.
    square = (s - c) ** 2
    return jnp.sum(square / (jnp.sqrt(1 + square) + 1))


def _huber_residual(s: Scores, c: Scores) -> Scores:
    return (s - c) / jnp.sqrt(1 + (s - c) ** 2)


def _huber_hessian(s: Scores, c: Scores) -> Float[Array, "k k"]:
    return jnp.diag((1 + (s - c) ** 2) ** -1.5)


def _huber_factor(s: Scores, c: Scores) -> Float[Array, "k k"]:
    return jnp.diag((1 + (s - c) ** 2) ** -0.75)


# Poisson: half the deviance of counts c with means exp(s).
FARTHEST = 50.0
"""Beyond this score the exponential continues as its quadratic: no count is near ``exp(50)``, and Newton's trials may
be anywhere."""


def _growing(s: Scores) -> Scores:
    beyond = jnp.maximum(s - FARTHEST, 0.0)
    return jnp.exp(jnp.minimum(s, FARTHEST)) * (1 + beyond + beyond**2 / 2)


def _growth(s: Scores) -> Scores:
    return jnp.exp(jnp.minimum(s, FARTHEST)) * (1 + jnp.maximum(s - FARTHEST, 0.0))


def _poisson_value(s: Scores, c: Scores) -> Float[Array, ""]:
    return jnp.sum(_growing(s) - c * s + xlogy(c, c) - c)


def _poisson_residual(s: Scores, c: Scores) -> Scores:
    return _growth(s) - c


def _poisson_hessian(s: Scores, c: Scores) -> Float[Array, "k k"]:
    return jnp.diag(jnp.exp(jnp.minimum(s, FARTHEST)))


def _poisson_factor(s: Scores, c: Scores) -> Float[Array, "k k"]:
    return jnp.diag(jnp.exp(jnp.minimum(s, FARTHEST) / 2))


LEAST_SQUARES = Loss(
    "least_squares", _square_value, _square_residual, _square_hessian, _square_hessian, _square_predict
)
"""``1/2 ||s - c||^2``, any k >= 1."""

SOFTMAX = Loss("softmax", _softmax_value, _softmax_residual, _softmax_hessian, _softmax_factor, _softmax_predict, True)
"""``-c' log softmax(s)``, k >= 2, c one-hot (or any probabilities that sum to one).

Source: Bishop, Pattern recognition and machine learning, Springer 2006, sec. 4.3.4.
"""

LOGISTIC = Loss(
    "logistic", _logistic_value, _logistic_residual, _logistic_hessian, _logistic_factor, _logistic_predict, True
)
"""``-c log p - (1 - c) log(1 - p)`` with ``p = sigmoid(s)``, k = 1, c in {0, 1} (or a probability).

Source: Bishop, Pattern recognition and machine learning, Springer 2006, sec. 4.3.2.
"""

PSEUDO_HUBER = Loss("pseudo_huber", _huber_value, _huber_residual, _huber_hessian, _huber_factor, _square_predict)
"""``sum_j sqrt(1 + (s_j - c_j)^2) - 1``, any k >= 1: outliers pull with at most unit force. Scale the targets so that
an ordinary error is about 1.

Source: Charbonnier, Blanc-Féraud, Aubert, Barlaud, IEEE Trans. Image Process. 6 (1997) 298-311.
"""

POISSON = Loss("poisson", _poisson_value, _poisson_residual, _poisson_hessian, _poisson_factor, _growing)
"""``sum_j exp(s_j) - c_j s_j + c_j log c_j - c_j``, half the deviance of counts c >= 0 with means ``exp(s)``, k >= 1.

Source: McCullagh and Nelder, Generalized Linear Models, 1989, sec. 2.3 and 6.2.
"""

LOSSES: dict[str, Loss] = {loss.name: loss for loss in (LEAST_SQUARES, SOFTMAX, LOGISTIC, PSEUDO_HUBER, POISSON)}
"""Name to loss."""


def get_loss(name: str) -> Loss:
    """Loss of that name.

    Args:
        name: a key of ``LOSSES``.

    Returns:
        Value, derivatives and prediction for one sample.

    Raises:
        ValueError: no loss has that name.

    Examples:
        >>> import jax.numpy as jnp
        >>> from numdl.problems import get_loss
        >>> loss = get_loss("softmax")
        >>> s, c = jnp.array([2.0, 0.0]), jnp.array([1.0, 0.0])
        >>> round(float(loss.value(s, c)), 4), [round(float(x), 4) for x in loss.residual(s, c)]
        (0.1269, [-0.1192, 0.1192])
    """
    if not isinstance(name, str) or name not in LOSSES:
        raise ValueError(f"get_loss(name={name!r}): unknown loss. Use one of {', '.join(LOSSES)}.")
    return LOSSES[name]


def misfit_metrics(
    loss: Loss,
    s: Float[Array, "n k"],
    c: Float[Array, "n k"],
    w: Float[Array, " n"],
    data: Float[Array, ""],
) -> dict[str, Array]:
    """Mean misfit and training error.

    Args:
        loss: misfit of one sample.
        s: scores, (n, k).
        c: targets, (n, k).
        w: weights of mean 1, (n,).
        data: weighted mean misfit, ().

    Returns:
        ``misfit`` and ``train_error``: root mean squared error over samples and outputs, or share of samples whose
        class is wrong. For least squares with several outputs also ``misfits``, that of each, (k,).
    """
    found = {"misfit": data, "train_error": error_of(loss, s, c, w)}
    if loss.name == LEAST_SQUARES.name and c.shape[1] > 1:
        found["misfits"] = 0.5 * w @ (s - c) ** 2 / c.shape[0]
    return found


def error_of(loss: Loss, s: Float[Array, "n k"], c: Float[Array, "n k"], w: Float[Array, " n"]) -> Float[Array, ""]:
    """Root mean squared error, or the share of wrong classes.

    Args:
        loss: misfit of one sample.
        s: scores, (n, k).
        c: targets, (n, k).
        w: weights of mean 1, (n,).

    Returns:
        (), in the units of c, or no unit.
    """
    if not loss.classes:
        return jnp.sqrt(jnp.mean(w[:, None] * (jax.vmap(loss.predict)(s) - c) ** 2))
    if c.shape[1] == 1:
        return jnp.mean(jnp.where((s[:, 0] > 0) != (c[:, 0] > 0.5), w, 0.0))
    return jnp.mean(jnp.where(jnp.argmax(s, axis=1) != jnp.argmax(c, axis=1), w, 0.0))
