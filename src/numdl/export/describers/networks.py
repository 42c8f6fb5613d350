"""Ensembles of networks as programs: residual networks, perceptrons, single layers, and their Laplace posterior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numdl.export.describers.linear import probabilities
from numdl.export.describers.parts import activation, mean_and_std, scaled
from numdl.export.description import CannotExport, Description, kind_of
from numdl.export.program import Program, Value, require_fit
from numdl.export.slopes import adjoints

SCHEMES: dict[str, tuple[list[list[float]], list[float]]] = {
    "euler": ([[]], [1.0]),
    "heun": ([[], [1.0]], [0.5, 0.5]),
    "rk3": ([[], [0.5], [-1.0, 2.0]], [1 / 6, 2 / 3, 1 / 6]),
    "rk4": ([[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
}
"""Explicit schemes: rows of the tableau and weights of the stages, see ``numdl.flow.schemes``."""


class Use(NamedTuple):
    """One place where the weights of a layer are applied, ``z = K a + b``.

    Attributes:
        z: what comes out.
        a: what goes in.
    """

    z: Value
    a: Value


class Layer(NamedTuple):
    """Weights of one layer.

    Attributes:
        K: (r, m).
        b: (r,).
        uses: where they are applied.
        transposed: where ``K' v`` is applied.
        packed: rows and columns of K where its derivative by packed numbers is taken; None for all entries.
    """

    K: np.ndarray
    b: np.ndarray
    uses: list[Use]
    transposed: list[Use]
    packed: tuple[np.ndarray, np.ndarray] | None = None

    def apply(self, a: Value) -> Value:
        """``K a + b``."""
        z = a.affine(self.K, self.b)
        self.uses.append(Use(z, a))
        return z

    def apply_transposed(self, v: Value) -> Value:
        """``K' v``."""
        z = v.affine(self.K.T)
        self.transposed.append(Use(z, v))
        return z

    def slopes(self, found: dict[int, Value]) -> tuple[Value, Value]:
        """Derivatives by the numbers behind K and by b.

        Args:
            found: derivative by each z, by its place.

        Returns:
            Two vectors.
        """
        by_b = _sum([found[use.z.at] for use in self.uses])
        by_K = _sum(
            [found[use.z.at].outer(use.a) for use in self.uses]
            + [use.a.outer(found[use.z.at]) for use in self.transposed]
        )
        if self.packed is not None:
            rows, columns = self.packed
            by_K = by_K[rows * self.K.shape[1] + columns] - by_K[columns * self.K.shape[1] + rows]
        return by_K, by_b


Rate = Callable[[Value, Layer, Callable[[Value], Value], float], Value]


def _plain(u: Value, layer: Layer, act: Callable[[Value], Value], gamma: float) -> Value:
    return act(layer.apply(u))


def _antisymmetric(u: Value, layer: Layer, act: Callable[[Value], Value], gamma: float) -> Value:
    z = layer.apply(u)
    return act(z - gamma * u if gamma else z)


def _double_symmetric(u: Value, layer: Layer, act: Callable[[Value], Value], gamma: float) -> Value:
    return layer.apply_transposed(act(layer.apply(u))).negative()


def _contractive(u: Value, layer: Layer, act: Callable[[Value], Value], gamma: float) -> Value:
    return _double_symmetric(u, layer, act, gamma) - gamma * u


DYNAMICS: dict[str, tuple[Rate, float]] = {
    "plain": (_plain, 0.0),
    "antisymmetric": (_antisymmetric, 0.0),
    "double_symmetric": (_double_symmetric, 0.0),
    "parabolic": (_double_symmetric, 0.0),
    "contractive": (_contractive, 0.1),
}
"""Right-hand sides by name, with the damping where none is given, see ``numdl.flow.dynamics``."""


def describe(model: Any, std: bool) -> Description:
    """An ensemble.

    Args:
        model: fitted.
        std: whether standard deviations are wanted.

    Returns:
        The description.

    Raises:
        CannotExport: dynamics, scheme, control or activation are not known here.
    """
    call = kind_of(model)
    program = Program(len(model._scaler.center))
    x = scaled(program.input, model._scaler)
    scores, variances = [], []
    for member in model.members_:
        features, parameters = network(call, member.net, member.theta, x)
        head = np.asarray(member.head)
        scores.append(features.affine(head[:, :-1], head[:, -1]))
        if std and member.posterior is not None:
            variances.append(_variance(features, parameters, member.posterior))
            require_fit(variances[-1].size == len(head), "posterior", variances[-1].size, len(head))
    single = model.dtype == "float32"
    share = 1.0 / len(scores)
    if hasattr(model, "classes_"):
        classes, shares = np.asarray(model.classes_), [probabilities(one) for one in scores]
        require_fit(all(one.size == (len(classes) if len(classes) > 2 else 1) for one in scores), "classes", classes)
        program.results["probability"] = (_sum(shares) * share).at
        return Description(call, program, True, model._scaler.center, model._scaler.scale, classes, single=single)
    mean, scaler = _sum(scores) * share, model._target_scaler
    require_fit(all(one.size == len(scaler.center) for one in scores), "targets", len(scaler.center))
    deviation = None
    if variances:
        between = _sum([(one - mean).square() for one in scores])
        deviation = ((_sum(variances) + between) * share).sqrt() * scaler.scale
    mean_and_std(program, mean * scaler.scale + scaler.center, deviation)
    return Description(call, program, bool(model._flat), model._scaler.center, model._scaler.scale, single=single)


def network(call: str, net: Any, theta: Any, x: Value) -> tuple[Value, Callable[[dict[int, Value]], list[Value]]]:
    """Features of one network.

    Args:
        call: the model to name.
        net: its architecture.
        theta: its weights.
        x: scaled inputs.

    Returns:
        The features (m,), and from derivatives by the z of all layers those by theta, in the order in which JAX lists
        the leaves of theta. Without arguments, ``{}``, it lists the z instead.

    Raises:
        CannotExport: it has parts that are not known here.
    """
    act = activation(call, net.activation)
    layers: dict[str, Layer] = {}
    if kind_of(net) == "MLP":
        u = x
        for name in ("opening", *(f"layer {j}" for j in range(2, len(net.widths) + 1))):
            layers[name] = _layer(theta[name])
            u = act(layers[name].apply(u))
        return u, _by_weights([layers[name] for name in sorted(layers)], grouped=False)
    field, gamma, (a, b) = _known_parts(call, net)
    opening = [_layer(theta["opening"])] if net.opening else []
    extra = x.program.constant(np.zeros(net.width - x.size)) if net.width > x.size and not opening else None
    u = act(opening[0].apply(x)) if opening else x if extra is None else x.program.join([x, extra])
    h, steps = net.T / net.depth if net.depth else 0.0, []
    for i in range(net.depth):
        steps.append(_flow_layer({name: np.asarray(leaf)[i] for name, leaf in theta["flow"].items()}, net.width))
        stages: list[Value] = []
        for row in a:
            moved = [h * share * stage for share, stage in zip(row, stages, strict=True) if share]
            stages.append(field(u + _sum(moved) if moved else u, steps[-1], act, gamma))
        u = u + _sum([h * share * stage for share, stage in zip(b, stages, strict=True)])
    return u, _by_weights(steps, opening, grouped=True)


def _known_parts(call: str, net: Any) -> tuple[Rate, float, tuple[list[list[float]], list[float]]]:
    """Right-hand side, damping and tableau, or why not."""
    dynamics = net.dynamics if isinstance(net.dynamics, str) else getattr(net.dynamics, "name", "of your own")
    for what, value, known in (
        ("dynamics", dynamics, tuple(DYNAMICS)),
        ("scheme", net.scheme, tuple(SCHEMES)),
        ("control", net.control, ("constant",)),
        ("smoothness", net.smoothness, (0.0,)),
        ("steps", net.steps, ("equal",)),
    ):
        if net.depth and value not in known:
            raise CannotExport(
                f"export({call}): networks with {what} {value!r} have no formula here "
                f"({', '.join(map(str, known))}). Fit with one of these, or use save and load."
            )
    field, gamma = DYNAMICS.get(dynamics, (_plain, 0.0))
    return field, gamma if net.damping is None else float(net.damping), SCHEMES.get(net.scheme, ([[]], [1.0]))


def _layer(weights: Any) -> Layer:
    K, b = (np.asarray(weights[name], float) for name in "Kb")
    require_fit(K.shape[:-1] == b.shape, K.shape, b.shape)
    return Layer(K, b, [], [])


def _flow_layer(weights: Any, m: int) -> Layer:
    if "a" not in weights:
        return _layer(weights)
    rows, columns = np.tril_indices(m, -1)
    K = np.zeros((m, m))
    K[rows, columns], K[columns, rows] = weights["a"], -np.asarray(weights["a"])
    return Layer(K, np.asarray(weights["b"], float), [], [], (rows, columns))


def _by_weights(
    layers: list[Layer], opening: list[Layer] | None = None, *, grouped: bool
) -> Callable[[dict[int, Value]], list[Value]]:
    """Derivatives by the leaves of theta; those of a flow hold one kind of weight of all steps."""
    everything = [*layers, *(opening or [])]

    def parts(found: dict[int, Value]) -> list[Value]:
        if not found:
            return [use.z for layer in everything for use in (*layer.uses, *layer.transposed)]
        pairs = [layer.slopes(found) for layer in layers]
        flat = [K for K, _ in pairs] + [b for _, b in pairs] if grouped else [part for pair in pairs for part in pair]
        return flat + [part for layer in opening or [] for part in layer.slopes(found)]

    return parts


def _variance(features: Value, parts: Callable[[dict[int, Value]], list[Value]], posterior: Any) -> Value:
    """Variance of a new observation, (k,): see ``numdl.estimators.networks.ensemble``."""
    program = features.program
    with_one, roots = program.join([features, program.constant(1.0)]), np.asarray(posterior.head_root)
    each = [with_one.affine(root.T) for root in roots.reshape(-1, *roots.shape[-2:])]  # one, or one for each output
    variance: Any = program.join([t.square().sum() for t in each])
    if len(posterior.root):
        z = parts({})
        turned = []
        for r, row in enumerate(posterior.rows):
            slopes = adjoints(features.affine(row), z)
            by_weights = program.join(parts({one.at: g for one, g in zip(z, slopes, strict=True)}))
            t = each[r if len(each) > 1 else 0]
            turned.append((by_weights - t.affine(posterior.projected[:, r])).affine(posterior.root))
        rotation = np.asarray(posterior.rotation)
        identity = rotation.shape[0] == rotation.shape[1] and (rotation == np.eye(len(rotation))).all()
        spread = turned if identity else [_sum([q * e for q, e in zip(row, turned, strict=True)]) for row in rotation]
        variance = variance + program.join([e.square().sum() for e in spread])
    variance = variance / posterior.count + 1 / posterior.noise
    return (
        variance
        if len(posterior.root) or len(posterior.rotation) == 1
        else variance + np.zeros(len(posterior.rotation))
    )


def _sum(values: list[Value]) -> Value:
    total = values[0]
    for one in values[1:]:
        total = total + one
    return total
