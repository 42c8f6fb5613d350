"""Base arguments of the catalogue for flow, models, problems and control, see ``test_arguments``."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np


def room(name):
    return importlib.import_module(f"numdl.{name}")


def weights(depth=2):
    return {"a": jnp.zeros((depth, 1)), "b": jnp.ones((depth, 2)) / 4}


MARCH = {
    "scheme": lambda: room("flow").get_scheme("heun"),
    "f": lambda: field(),
    "control": lambda: room("flow").PiecewiseConstant(2),
    "coeffs": weights,
    "u0": lambda: jnp.ones(2),
    "t0": lambda: 0.0,
    "h": lambda: 0.5,
}
MARCHES = ("final", "serial", "adaptive", "adjoint", "checkpointed", "over_samples", "remat", "reversible")

FLOW = {f"{call}.{name}": value for call in MARCHES for name, value in MARCH.items()} | {
    "get_activation.name": lambda: "tanh",
    "border": lambda: "zero",
    "convolve.K": lambda: jnp.ones((3, 3, 2, 2)),
    "convolve.u": lambda: jnp.ones((2, 3, 4, 2)),
    "convolve_transposed.K": lambda: jnp.ones((3, 3, 2, 2)),
    "convolve_transposed.z": lambda: jnp.ones((2, 3, 4, 2)),
    "normalise.norm": lambda: "instance",
    "get_control.name": lambda: "spline",
    "get_march.name": lambda: "stored",
    "get_scheme.name": lambda: "heun",
    "get_dynamics.name": lambda: "antisymmetric",
    "damped.field": lambda: room("flow").DYNAMICS["antisymmetric"],
    "damped.gamma": lambda: 0.5,
    "energy.dynamics": lambda: "double_hamiltonian",
    "energy.activation": lambda: "tanh",
    "energy.u": lambda: jnp.ones(4),
    "energy.theta": lambda: room("flow").DYNAMICS["double_hamiltonian"].init(0, 4, 1.0),
    "explicit.a": lambda: [[], [1.0]],
    "explicit.b": lambda: [0.5, 0.5],
    "explicit.order": lambda: 2,
    "linear_part.L": lambda: -np.eye(2),
    "circulant_part.column": lambda: np.array([-2.0, 1.0, 1.0]),
    "Semilinear.linear": lambda: room("flow").linear_part(-1.0),
    "Semilinear.rest": lambda: field(),
    "Separable.first": lambda: field(),
    "Separable.second": lambda: field(),
    "BasisInTime.nt": lambda: 2,
    "BasisInTime.n_coeffs": lambda: 4,
    "SmoothInTime.control": lambda: room("flow").PiecewiseConstant(2),
    "SmoothInTime.steps": lambda: 1.0,
    "BiasControl.objective": lambda: lambda p, march: p @ p,
    "over_samples.march": lambda: room("flow").get_march("stored"),
    "over_samples.u0": lambda: jnp.ones((3, 2)),
    "coupled.scheme": MARCH["scheme"],
    "on_images.dynamics": lambda: "parabolic",
    "on_images.sides": lambda: (3, 4),
    "prolong.control": MARCH["control"],
    "prolong.coeffs": weights,
    "reversible.scheme": lambda: room("flow").get_scheme("symplectic_euler"),
    "reversible.f": lambda: room("flow").Separable(half, half),
}


def half(t, u, theta):
    return theta["b"][:1] * u


def field():
    return room("flow").get_dynamics("antisymmetric").vector_field(room("flow").get_activation("tanh"))


def net(**settings):
    return room("models").ResNet(d=2, width=2, depth=2, **settings)


def theta_of(depth=2):
    return net().init(0) if depth else None


def images():
    return room("models").image_resnet((4, 4, 1), (2,), norm="batch")


def images_without_norm():
    return room("models").image_resnet((4, 4, 1), (2,), merge=1, norm="none")


MODELS = {
    "Chain.blocks": lambda: (net(), room("models").MLP(2, 3)),
    "Connector.image": lambda: (4, 6, 2),
    "Connector.channels": lambda: 3,
    "batch_with_statistics.net": images,
    "batch_with_statistics.theta": lambda: images().init(0),
    "batch_with_statistics.x": lambda: np.ones((2, 16)),
    "running_statistics.before": lambda: {"block 1": {"mean": np.zeros(2), "var": np.ones(2)}},
    "running_statistics.now": lambda: {"block 1": {"mean": np.ones(2), "var": np.ones(2)}},
    "without_batch_norm.net": images,
    "without_batch_norm.theta": lambda: images().init(0),
    "without_batch_norm.x": lambda: np.ones((2, 16)),
    "image_resnet.image": lambda: (4, 4, 1),
    "image_resnet.channels": lambda: (2,),
    "on_graph.dynamics": lambda: "parabolic",
    "on_graph.weights": lambda: np.ones((3, 3)),
    "lipschitz_bound.net": images_without_norm,
    "lipschitz_bound.theta": lambda: images_without_norm().init(0),
    "rescaled.net": images_without_norm,
    "rescaled.theta": lambda: images_without_norm().init(0),
    "stencil_roughness.net": images_without_norm,
    "stencil_roughness.theta": lambda: images_without_norm().init(0),
    "transferred.K": lambda: np.ones((3, 3, 2)),
    "roughness.K": lambda: np.ones((3, 3, 2)),
    "certified_radius.scores": lambda: np.arange(12.0).reshape(6, 2),
    "certified_radius.labels": lambda: np.array([0, 1, 0, 1, 1, 0]),
    "certified_radius.W": lambda: np.eye(2, 4),
    "certified_radius.bound": lambda: 2.0,
    "MLP.widths": lambda: (2, 3),
    "coarsened.net": net,
    "coarsened.levels": lambda: 2,
    "refined.net": net,
    "prolonged.net": net,
    "prolonged.theta": theta_of,
    "first_overflow.net": net,
    "first_overflow.theta": theta_of,
}


def features(theta, x):
    return jnp.tanh(theta["w"] * x)


def pixel_features(theta, x):
    return jnp.tanh(theta["w"] * x)  # two pixels of one feature


def output(p, x):
    return jnp.stack([p["w"] @ x, p["w"][0]])


THETA = {"w": jnp.array([0.5, 1.0])}
X, C = np.linspace(-1, 1, 12).reshape(6, 2), np.linspace(0, 1, 12).reshape(6, 2)


def group_penalty():
    return room("regularize").GroupPenalty(jnp.full(1, 0.1), jnp.zeros(2, int))


@functools.cache
def varpro(loss="least_squares"):
    of = room("problems")
    return of.VarPro(
        features, of.get_loss(loss), jnp.asarray(X), jnp.asarray(C), jnp.ones(6), group_penalty(), jnp.asarray(0.1)
    )


def curve():
    return room("problems").NonlinearLeastSquares(output, jnp.asarray(X), jnp.asarray(C), None)


def loss():
    return room("problems").LEAST_SQUARES


def sizes():
    return room("regularize").Sizes(6.0, 2, np.array([2.0, 4.0]), 2, True)


@functools.cache
def normal():
    return room("problems").normal_equations(varpro(), THETA, varpro().first_head(THETA))


@functools.cache
def head():
    return varpro().first_head(THETA)


PROBLEMS = {
    "Empirical.apply": lambda: output,
    "Empirical.loss": loss,
    "Empirical.penalty": group_penalty,
    "ExactHessian.problem": varpro,
    "FollowEvidence.sizes": sizes,
    "FollowEvidence.names": lambda: ("flow",),
    "InexactVarPro.problem": lambda: varpro("pseudo_huber"),
    "LinearEmpirical.loss": loss,
    "LinearEmpirical.penalty": lambda: room("regularize").OperatorPenalty(jnp.asarray(0.1)),
    "LinearEmpirical.z": lambda: jnp.ones((3, 6)),
    "NonlinearLeastSquares.model": lambda: output,
    "SeparableModel.features": lambda: features,
    "SlimTrain.transform": lambda: importlib.import_module("optax").sgd(0.1),
    "VarPro.features": lambda: features,
    "VarPro.loss": loss,
    "VarPro.penalty": group_penalty,
    "confidence.problem": curve,
    "confidence.p": lambda: THETA,
    "empirical.apply": lambda: output,
    "empirical.loss": loss,
    "empirical.p": lambda: THETA,
    "full_problem.problem": varpro,
    "full_problem.theta": lambda: THETA,
    "get_loss.name": lambda: "softmax",
    "laplace_metrics.problem": varpro,
    "laplace_metrics.theta": lambda: THETA,
    "laplace_metrics.normal": normal,
    "laplace_metrics.factor": lambda: jnp.linalg.cholesky(normal().matrix + jnp.diag(normal().diagonal)),
    "linear_empirical.loss": loss,
    "linear_empirical.penalty": lambda: room("regularize").OperatorPenalty(jnp.asarray(0.1)),
    "loss_from.name": lambda: "cosh",
    "loss_from.value": lambda: lambda s, c: jnp.sum(jnp.log(jnp.cosh(s - c))),
    "normal_equations.problem": varpro,
    "normal_equations.theta": lambda: THETA,
    "normal_equations.aux": head,
    "probed_metrics.problem": varpro,
    "probed_metrics.theta": lambda: THETA,
    "probed_metrics.lin": lambda: varpro().linearize(THETA, head()),
    "probed_metrics.steps": lambda: 2,
    "segmentation.features": lambda: pixel_features,
    "segmentation.theta": lambda: THETA,
    "segmentation.x": lambda: X,
    "segmentation.labels": lambda: np.arange(12).reshape(6, 1, 2) % 2,
    "segmentation.loss": lambda: room("problems").SOFTMAX,
    "segmented.features": lambda: pixel_features,
    "segmented.theta": lambda: THETA,
    "segmented.W": lambda: np.eye(2),
    "segmented.x": lambda: X,
    "segmented.sides": lambda: (1, 2),
    "segmented.loss": lambda: room("problems").SOFTMAX,
    "separable.features": lambda: features,
    "separable.theta": lambda: THETA,
    "separable.x": lambda: X,
    "separable.c": lambda: C,
    "split_module.module": lambda: importlib.import_module("equinox").nn.Linear(2, 2, key=jax.random.key(0)),
}


def decay(t, u, theta):
    return theta["b"] - u


def levels():
    return {"b": jnp.ones((2, 1)) / 4}


PARTS = {
    "scheme": lambda: room("flow").get_scheme("euler"),
    "f": lambda: decay,
    "control": lambda: room("flow").PiecewiseConstant(2),
    "u0": lambda: jnp.ones((2, 1)) / 2,
    "h": lambda: jnp.asarray(0.5),
    "c": lambda: jnp.zeros((2, 1)),
}


@functools.cache
def steering():
    penalty = room("regularize").GroupPenalty(jnp.ones(1), jnp.zeros(2, int))
    return room("control").ControlProblem(**{name: part() for name, part in PARTS.items()}, penalty=penalty)


@functools.cache
def states():
    return steering().states(levels())


OF_PROBLEM = ("adjoint_states", "lagrangian", "linear_quadratic", "optimality", "riccati_step", "sensitivity", "shots")
CONTROL = {f"ControlProblem.{name}": part for name, part in PARTS.items()} | {
    f"{call}.{name}": given
    for call in OF_PROBLEM
    for name, given in {"problem": steering, "coeffs": levels, "states": states}.items()
}
CONTROL |= {
    "Layer.problem": steering,
    "Layer.held": lambda: jax.tree.map(lambda leaf: leaf[0], steering().layers(levels()).held),
    "Layer.rho": lambda: jnp.asarray(1.0),
    "hamiltonian.problem": steering,
    "hamiltonian.t": lambda: 0.0,
    "hamiltonian.u": lambda: jnp.ones(1),
    "hamiltonian.lam": lambda: jnp.ones(1),
    "hamiltonian.theta": lambda: {"b": jnp.ones(1)},
    "lagrangian.multipliers": lambda: jnp.ones((2, 2)),
    "lagrangian.local": lambda: room("control").linear_quadratic(steering(), levels(), states()),
    "optimality.adjoints": lambda: jnp.ones((3, 2, 1)),
    "sensitivity.change": levels,
    "shots.U": lambda: jnp.ones((1, 2, 1)),
    "shots.Lambda": lambda: jnp.ones((1, 2, 1)),
    "shots.blocks": lambda: 2,
}


BASES = {**FLOW, **MODELS, **PROBLEMS, **CONTROL}
